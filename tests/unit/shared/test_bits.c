/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "shared/bits.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static const double ascending[] = {
    -(double)INFINITY, -DBL_MAX, -1.5,    -DBL_MIN,        -5e-324, 0.0, 5e-324,
    DBL_MIN,           1.5,      DBL_MAX, (double)INFINITY};
static const float ascending_f32[] = {-INFINITY, -FLT_MAX, -1.5F, -FLT_MIN, -1e-45F, 0.0F,
                                      1e-45F,    FLT_MIN,  1.5F,  FLT_MAX,  INFINITY};

PX_TEST(ordered_integers_compare_as_the_numbers)
{
    for (size_t i = 1; i < PX_ARRAY_LEN(ascending); i++)
        CHECK(px_f64_ordered(ascending[i - 1]) < px_f64_ordered(ascending[i]));
    for (size_t i = 1; i < PX_ARRAY_LEN(ascending_f32); i++)
        CHECK(px_f32_ordered(ascending_f32[i - 1]) < px_f32_ordered(ascending_f32[i]));
}

PX_TEST(neighbours_are_neighbours)
{
    CHECK(px_f64_ordered(nextafter(1.0, 2.0)) == px_f64_ordered(1.0) + 1);
    CHECK(px_f64_ordered(nextafter(-1.0, -2.0)) == px_f64_ordered(-1.0) - 1);
    CHECK(px_f32_ordered(nextafterf(1.0F, 2.0F)) == px_f32_ordered(1.0F) + 1);
    CHECK(px_f32_ordered(nextafterf(-1.0F, -2.0F)) == px_f32_ordered(-1.0F) - 1);
}

PX_TEST(both_zeros_have_one_place)
{
    CHECK(px_f64_ordered(-0.0) == px_f64_ordered(0.0));
    CHECK(px_f32_ordered(-0.0F) == px_f32_ordered(0.0F));
    CHECK(!signbit(px_f64_of_ordered(px_f64_ordered(-0.0))));
    CHECK(px_f64_compare(&(double){-0.0}, &(double){0.0}) == 0);
}

PX_TEST(numbers_come_back_from_bits_and_from_ordered_integers)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(ascending); i++) {
        CHECK(px_f64_of_bits(px_f64_bits(ascending[i])) == ascending[i]);
        CHECK(px_f64_of_ordered(px_f64_ordered(ascending[i])) == ascending[i]);
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(ascending_f32); i++) {
        CHECK(px_f32_of_bits(px_f32_bits(ascending_f32[i])) == ascending_f32[i]);
        CHECK(px_f32_of_ordered(px_f32_ordered(ascending_f32[i])) == ascending_f32[i]);
    }
    CHECK(px_f32_bits(-0.0F) == UINT32_C(0x80000000));
}

PX_TEST(doubles_are_sorted)
{
    double numbers[] = {2.5, -(double)INFINITY, 0.0, -3.0, 5e-324};
    qsort(numbers, PX_ARRAY_LEN(numbers), sizeof *numbers, px_f64_compare);
    for (size_t i = 1; i < PX_ARRAY_LEN(numbers); i++)
        CHECK(numbers[i - 1] < numbers[i]);
}

// clang-format off
PX_TEST_MAIN(
    T(ordered_integers_compare_as_the_numbers)
    T(neighbours_are_neighbours)
    T(both_zeros_have_one_place)
    T(numbers_come_back_from_bits_and_from_ordered_integers)
    T(doubles_are_sorted)
)
