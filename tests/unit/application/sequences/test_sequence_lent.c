/* SPDX-License-Identifier: Apache-2.0 */
/* Models that answer with the bytes that they were lent, and inputs that do not count rows. */
#include "application/sequences/sequence_engine.h"

#include "application/execution/executor.h"
#include "harness.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "waited_run.h"

/*
 * A model that shifts: a = x, b = what a was, c = what b was, all without a copy. Its scalar `unit` is one value for all rows, and it
 * fails when that has other bytes.
 */
static struct px_engine shifter;
static struct px_engine *engine;

static struct px_tensor *find(const struct px_tensor *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (px_str_is(list[i].name, name))
            return (struct px_tensor *)(uintptr_t)&list[i];
    }
    return NULL;
}

static enum px_code shift(struct px_engine *base, struct px_run *run, struct px_err *err)
{
    static const char *const pairs[][2] = {{"x", "a"}, {"a_in", "b"}, {"b_in", "c"}};
    const struct px_tensor *unit = find(run->inputs, run->n_inputs, "unit");
    (void)base;
    if (unit && (unit->n_dims != 0 || unit->bytes.len != sizeof(float)))
        return px_err_set(err, PX_E_INVALID, "the unit has %zu bytes", unit->bytes.len);
    for (size_t i = 0; i < PX_ARRAY_LEN(pairs); i++) {
        const struct px_tensor *from = find(run->inputs, run->n_inputs, pairs[i][0]);
        struct px_tensor *to = find(run->outputs, run->n_outputs, pairs[i][1]);
        if (!from || !to)
            continue;
        struct px_str name = to->name;
        *to = *from;
        to->name = name;
    }
    return PX_OK;
}

static void destroy(struct px_engine *base)
{
    (void)base;
}

#define COLUMN(tensor)                                                                             \
    {                                                                                              \
        .name = PX_STR(tensor), .type = PX_TYPE_FP32, .shape = {-1, 1}, .n_dims = 2                \
    }

static void set_up(enum px_sequence_scheduler scheduler)
{
    static const struct px_engine_ops ops = {.abi = PX_ENGINE_ABI,
                                             .caps = PX_ENGINE_TENSORS | PX_ENGINE_BATCHES,
                                             .name = "shifter",
                                             .run = shift,
                                             .destroy = destroy};
    static const struct px_tensor_spec takes[] = {COLUMN("x"),
                                                  COLUMN("a_in"),
                                                  COLUMN("b_in"),
                                                  {.name = PX_STR("unit"),
                                                   .type = PX_TYPE_FP32,
                                                   .optional = true}},
                                       gives[] = {COLUMN("a"), COLUMN("b"), COLUMN("c")};
    static struct px_sequence_state states[] = {
        {.input = PX_STR("a_in"), .output = PX_STR("a"), .show = true},
        {.input = PX_STR("b_in"), .output = PX_STR("b"), .show = true}};
    const struct px_sequence_settings settings = {
        .rules = {.scheduler = scheduler,
                  .sequences_max = 4,
                  .batch_max = 4,
                  .idle_timeout_ns = 60 * PX_NS_PER_S},
        .steps_max = 100,
        .memory_max = 1 << 20,
        .states = states,
        .n_states = 2,
    };
    struct px_engine *inner = NULL;
    shifter = (struct px_engine){.ops = &ops, .takes = {takes, 4}, .gives = {gives, 3}};
    CHECK_OK(px_executor_engine_create(&shifter, &(struct px_executor_options){.n_threads = 1},
                                       &inner, NULL));
    CHECK_OK(px_sequence_engine_create(inner, &(struct px_sequence_options){.settings = &settings},
                                       &engine, NULL));
}

static void check_step(uint64_t id, bool start, bool with_unit, float x, const float want[3])
{
    static const float unit = 1;
    struct waited_run wait;
    struct px_tensor outputs[] = {
        {.name = PX_STR("a")}, {.name = PX_STR("b")}, {.name = PX_STR("c")}};
    const struct px_tensor inputs[] = {{.name = PX_STR("x"),
                                        .type = PX_TYPE_FP32,
                                        .shape = {1, 1},
                                        .n_dims = 2,
                                        .bytes = px_str_n((const char *)&x, sizeof x)},
                                       {.name = PX_STR("unit"),
                                        .type = PX_TYPE_FP32,
                                        .bytes = px_str_n((const char *)&unit, sizeof unit)}};
    waited_run_init(&wait);
    wait.run.inputs = inputs;
    wait.run.n_inputs = with_unit ? 2 : 1;
    wait.run.outputs = outputs;
    wait.run.n_outputs = 3;
    wait.run.sequence = (struct px_sequence_step){.id = id, .start = start};
    CHECK_OK(px_engine_check_run(engine, &wait.run, NULL));
    px_engine_start(engine, &wait.run);
    CHECK_INT(waited_run_wait(&wait), PX_OK);
    for (size_t i = 0; i < 3; i++) {
        CHECK_INT(outputs[i].bytes.len, sizeof(float));
        CHECK(memcmp(outputs[i].bytes.ptr, &want[i], sizeof(float)) == 0);
    }
    waited_run_deinit(&wait);
}

PX_TEST(states_that_a_model_shifts_without_a_copy_are_not_overwritten)
{
    set_up(PX_SEQUENCE_OLDEST);
    check_step(1, true, false, 1, (float[]){1, 0, 0});
    check_step(1, false, false, 2, (float[]){2, 1, 0});
    check_step(1, false, false, 3, (float[]){3, 2, 1});
    check_step(1, false, false, 4, (float[]){4, 3, 2});
    check_step(1, true, false, 5, (float[]){5, 0, 0});
    px_engine_destroy(engine);
}

PX_TEST(an_input_without_rows_is_not_repeated_for_empty_rows)
{
    set_up(PX_SEQUENCE_DIRECT);
    check_step(1, true, true, 1, (float[]){1, 0, 0});
    check_step(2, true, true, 2, (float[]){2, 0, 0});
    check_step(2, false, true, 3, (float[]){3, 2, 0}); /* in the second row, behind an empty one */
    px_engine_destroy(engine);
}

PX_TEST_MAIN(T(states_that_a_model_shifts_without_a_copy_are_not_overwritten)
                 T(an_input_without_rows_is_not_repeated_for_empty_rows))
