/* SPDX-License-Identifier: Apache-2.0 */
/* Golden requests: what parses has tensors whose bytes are what their types and shapes say, and agrees with itself. */
#include "fuzz.h"

#include "application/lifecycle/golden.h"

static void check_tensors(const struct px_tensor *tensors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct px_golden_difference difference;
        PX_ASSERT(px_tensor_check_bytes(&tensors[i], NULL) == PX_OK);
        px_golden_compare(&tensors[i], &tensors[i], 0, &difference);
        PX_ASSERT(!difference.differs);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_arena arena = px_arena(64 << 20);
    struct px_golden golden;
    struct px_err err;
    if (px_golden_parse(px_str_n((const char *)data, size), &arena, &golden, &err) == PX_OK) {
        for (size_t i = 0; i < golden.n_cases; i++) {
            check_tensors(golden.cases[i].inputs, golden.cases[i].n_inputs);
            check_tensors(golden.cases[i].outputs, golden.cases[i].n_outputs);
        }
    }
    px_arena_deinit(&arena);
    return 0;
}
