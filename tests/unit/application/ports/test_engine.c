/* SPDX-License-Identifier: Apache-2.0 */
#include "application/ports/engine.h"
#include "harness.h"

static const struct px_engine_ops row_ops = {
    .abi = PX_ENGINE_ABI, .caps = PX_ENGINE_TENSORS | PX_ENGINE_ASYNC | PX_ENGINE_BATCHES};
static const struct px_engine_ops whole_ops = {.abi = PX_ENGINE_ABI,
                                               .caps = PX_ENGINE_TENSORS | PX_ENGINE_ASYNC};
static const struct px_tensor_spec specs[] = {
    {.name = PX_STR("threshold"), .type = PX_TYPE_FP32},
    {.name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1}, .n_dims = 1},
};
static const struct px_engine by_rows = {.ops = &row_ops, .takes = {specs, 2}, .gives = {specs, 2}};
static const struct px_engine whole = {.ops = &whole_ops, .takes = {specs, 2}, .gives = {specs, 2}};

static const float values[5];
static const struct px_tensor inputs[] = {
    {.name = PX_STR("threshold"), .type = PX_TYPE_FP32, .bytes = {(const char *)values, 4}},
    {.name = PX_STR("x"),
     .type = PX_TYPE_FP32,
     .shape = {5},
     .n_dims = 1,
     .bytes = {(const char *)values, sizeof values}},
};

PX_TEST(rows_are_those_of_the_first_input_that_has_some)
{
    const struct px_run both = {.inputs = inputs, .n_inputs = 2},
                        scalar = {.inputs = inputs, .n_inputs = 1};
    CHECK_OK(px_engine_check_run(&by_rows, &both, NULL));
    CHECK_INT(px_engine_run_rows(&by_rows, &both), 5);
    CHECK_INT(px_engine_run_rows(&whole, &both), 1);
    CHECK_INT(px_engine_run_rows(&by_rows, &scalar), 1);
}

PX_TEST(who_asks_for_all_gets_a_name_for_each_output)
{
    struct px_arena arena = px_arena(1 << 16), none = px_arena(1);
    struct px_run run = {.arena = &arena}, poor = {.arena = &none};
    CHECK_OK(px_run_ask_all(&run, &by_rows, NULL));
    CHECK_INT(run.n_outputs, 2);
    CHECK_STR(run.outputs[1].name, "x");
    CHECK_INT(px_run_ask_all(&poor, &by_rows, NULL), PX_E_TOO_LARGE);
    px_arena_deinit(&arena);
    px_arena_deinit(&none);
}

PX_TEST_MAIN(T(who_asks_for_all_gets_a_name_for_each_output)
                 T(rows_are_those_of_the_first_input_that_has_some))
