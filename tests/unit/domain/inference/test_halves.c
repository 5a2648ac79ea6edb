/* SPDX-License-Identifier: Apache-2.0 */
/* FP16 and BF16: every one of them comes back, and everything else is rounded. */
#include "domain/inference/tensor_writer.h"
#include "harness.h"

#include <math.h>

PX_TEST(every_number_of_16_bits_comes_back)
{
    for (unsigned bits = 0; bits <= UINT16_MAX; bits++) {
        float half = px_half_to_float((uint16_t)bits), bfloat = px_bfloat_to_float((uint16_t)bits);
        CHECK(isnan(half) || px_float_to_half((double)half) == bits);
        CHECK(isnan(bfloat) || px_float_to_bfloat(bfloat) == bits);
    }
    CHECK(isnan(px_half_to_float(px_float_to_half((double)NAN))));
    CHECK(isnan(px_bfloat_to_float(px_float_to_bfloat(NAN))));
}

/* The middle between two neighbours goes to the even one, anything beyond it to the nearer. */
PX_TEST(halves_are_rounded_to_the_nearest)
{
    for (unsigned bits = 0; bits < 0x7BFF; bits++) {
        double a = (double)px_half_to_float((uint16_t)bits);
        double b = (double)px_half_to_float((uint16_t)(bits + 1));
        double middle = (a + b) / 2;
        CHECK_INT(px_float_to_half(middle), bits + (bits & 1));
        CHECK_INT(px_float_to_half(nextafter(middle, a)), bits);
        CHECK_INT(px_float_to_half(nextafter(middle, b)), bits + 1);
        CHECK_INT(px_float_to_half(-middle), 0x8000 + bits + (bits & 1));
    }
    CHECK_INT(px_float_to_half(65519.99), 0x7BFF);
    CHECK_INT(px_float_to_half(65520), 0x7C00);
    CHECK_INT(px_float_to_half(-1e300), 0xFC00);
    CHECK_INT(px_float_to_half(-0.0), 0x8000);
}

PX_TEST(bfloats_are_rounded_to_the_nearest)
{
    CHECK_INT(px_float_to_bfloat(0x1.01p0F), 0x3F80); /* the middle: to even */
    CHECK_INT(px_float_to_bfloat(0x1.03p0F), 0x3F82);
    CHECK_INT(px_float_to_bfloat(0x1.0102p0F), 0x3F81);
    CHECK_INT(px_float_to_bfloat(3.4e38F), 0x7F80);
    CHECK_INT(px_float_to_bfloat(-INFINITY), 0xFF80);
}

/* Callers put what they have: the writer may not cut it. */
PX_TEST(a_tensor_of_16_bits_is_rounded_when_it_is_written)
{
    static const struct {
        enum px_datatype type;
        uint16_t bits;
    } cases[] = {{PX_TYPE_FP16, 0x2E66}, {PX_TYPE_BF16, 0x3DCD}};
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct px_arena arena = px_arena(1 << 16);
        struct px_tensor tensor = {.type = cases[i].type, .shape = {1}, .n_dims = 1};
        struct px_tensor_writer writer;
        uint16_t bits;
        CHECK_OK(px_tensor_writer_init(&writer, &tensor, &arena, 1, NULL));
        CHECK_OK(px_tensor_put_number(&writer, 0.1, NULL));
        CHECK_OK(px_tensor_writer_end(&writer, NULL));
        memcpy(&bits, tensor.bytes.ptr, sizeof bits);
        CHECK_INT(bits, cases[i].bits);
        px_arena_deinit(&arena);
    }
}

PX_TEST_MAIN(T(every_number_of_16_bits_comes_back) T(halves_are_rounded_to_the_nearest)
                 T(bfloats_are_rounded_to_the_nearest)
                     T(a_tensor_of_16_bits_is_rounded_when_it_is_written))
