/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/inference/tensor.h"
#include "harness.h"

static struct px_tensor shaped(uint64_t a, uint64_t b, uint64_t c)
{
    return (struct px_tensor){
        .name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {a, b, c}, .n_dims = 3};
}

static bool count(uint64_t a, uint64_t b, uint64_t c, size_t *ret)
{
    const struct px_tensor tensor = shaped(a, b, c);
    return px_tensor_elements(&tensor, ret);
}

PX_TEST(elements_are_the_product_of_the_dimensions)
{
    size_t n = 7;
    const struct px_tensor scalar = {.type = PX_TYPE_FP32};
    CHECK(count(2, 3, 4, &n) && n == 24);
    CHECK(count(2, 0, 4, &n) && n == 0);
    CHECK(px_tensor_elements(&scalar, &n) && n == 1);
}

PX_TEST(a_zero_does_not_excuse_the_other_dimensions)
{
    size_t n;
    struct px_err err;
    const struct px_tensor vast = shaped(UINT64_C(1) << 40, UINT64_C(1) << 40, 0);
    CHECK(!count(UINT64_C(1) << 40, UINT64_C(1) << 40, 0, &n));
    CHECK(!count(0, UINT64_C(1) << 40, UINT64_C(1) << 40, &n));
    CHECK(!count(0, UINT64_MAX, 1, &n));
    CHECK(!count(UINT64_C(1) << 63, 0, 1, &n));
    CHECK(count(INT64_MAX, 0, 1, &n) && n == 0);
    CHECK_INT(px_tensor_check_bytes(&vast, &err), PX_E_INVALID);
}

PX_TEST_MAIN(T(elements_are_the_product_of_the_dimensions)
                 T(a_zero_does_not_excuse_the_other_dimensions))
