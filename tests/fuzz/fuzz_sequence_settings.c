/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `sequence:` of model.yaml: what is read is within its limits, what is refused says why, and a model with rows and one without either
 * keep sequences as it says or refuse it.
 */
#include "fuzz.h"

#include "application/sequences/sequence_engine.h"
#include "shared/clock.h"

#include <string.h>

enum { MEMORY_MAX = 1 << 20 };

/* ---- limits ---- */

static void check_rules(const struct px_sequence_settings *settings)
{
    const struct px_sequence_rules *rules = &settings->rules;
    size_t before = 0;
    PX_ASSERT(rules->scheduler == PX_SEQUENCE_OLDEST || rules->scheduler == PX_SEQUENCE_DIRECT);
    PX_ASSERT(rules->sequences_max >= 1 && rules->sequences_max <= PX_SEQUENCES_MAX);
    PX_ASSERT(rules->backlog_max <= PX_SEQUENCE_BACKLOG_MAX);
    PX_ASSERT(rules->batch_max >= 1 && rules->batch_max <= PX_SEQUENCE_BATCH_MAX);
    PX_ASSERT(settings->steps_max >= 1 && settings->steps_max <= PX_SEQUENCE_STEPS_MAX);
    PX_ASSERT(rules->idle_timeout_ns >= PX_NS_PER_MS && settings->memory_max >= 1);
    PX_ASSERT(rules->n_preferred <= PX_SEQUENCE_PREFERRED_MAX);
    for (size_t i = 0; i < rules->n_preferred; i++) {
        PX_ASSERT(rules->preferred[i] > before && rules->preferred[i] <= rules->batch_max);
        before = rules->preferred[i];
    }
}

static bool is_name(struct px_str text)
{
    return text.len > 0 && !memchr(text.ptr, '\0', text.len) && text.ptr[text.len] == '\0';
}

static void check_states(const struct px_sequence_settings *settings)
{
    PX_ASSERT(settings->n_states <= PX_SEQUENCE_STATES_MAX);
    for (size_t i = 0; i < settings->n_states; i++) {
        const struct px_sequence_state *state = &settings->states[i];
        PX_ASSERT(is_name(state->input) && is_name(state->output));
        PX_ASSERT(state->initial.len == 0 || is_name(state->initial));
        PX_ASSERT(state->type != PX_TYPE_BYTES && state->n_dims <= PX_TENSOR_DIMS_MAX);
        for (size_t k = 0; k < state->n_dims; k++)
            PX_ASSERT(state->shape[k] >= 1);
        for (size_t k = 0; k < i; k++)
            PX_ASSERT(!px_str_eq(settings->states[k].input, state->input) &&
                      !px_str_eq(settings->states[k].output, state->output));
    }
    for (size_t i = 0; i < PX_SEQUENCE_CONTROLS; i++)
        PX_ASSERT(settings->controls[i].len == 0 || is_name(settings->controls[i]));
}

/* ---- a model ---- */

static void start(struct px_engine *engine, struct px_run *run)
{
    (void)engine;
    (void)run;
    PX_ASSERT(false); /* nobody asks */
}

static void destroy(struct px_engine *engine)
{
    (void)engine;
}

#define SPEC(tensor, datatype, ...)                                                                \
    {                                                                                              \
        .name = PX_STR(tensor), .type = datatype, .shape = {-1, __VA_ARGS__},                      \
        .n_dims = 1 + sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)                           \
    }

static void try_model(const struct px_sequence_settings *settings, bool batches)
{
    static const struct px_tensor_spec
        takes[] = {SPEC("x", PX_TYPE_FP32, 4),
                   SPEC("h_in", PX_TYPE_FP32, -1),
                   SPEC("c_in", PX_TYPE_FP32, 2, 2),
                   SPEC("n_in", PX_TYPE_INT64, 1),
                   {.name = PX_STR("a_in"), .type = PX_TYPE_FP64, .any_rank = true},
                   SPEC("t_in", PX_TYPE_BYTES, 1),
                   SPEC("START", PX_TYPE_BOOL, 1),
                   SPEC("END", PX_TYPE_FP32, 1),
                   SPEC("READY", PX_TYPE_INT32, -1),
                   SPEC("CORRID", PX_TYPE_UINT64, 1)},
        gives[] = {SPEC("y", PX_TYPE_FP32, 1),
                   SPEC("h_out", PX_TYPE_FP32, -1),
                   SPEC("c_out", PX_TYPE_FP32, 2, 2),
                   SPEC("n_out", PX_TYPE_INT64, 1),
                   {.name = PX_STR("a_out"), .type = PX_TYPE_FP64, .any_rank = true},
                   SPEC("t_out", PX_TYPE_BYTES, 1)};
    const struct px_engine_ops ops = {.abi = PX_ENGINE_ABI,
                                      .caps = PX_ENGINE_TENSORS | PX_ENGINE_ASYNC |
                                              (batches ? PX_ENGINE_BATCHES : 0u),
                                      .name = "model",
                                      .start = start,
                                      .destroy = destroy};
    struct px_engine inner = {
        .ops = &ops, .takes = {takes, PX_ARRAY_LEN(takes)}, .gives = {gives, PX_ARRAY_LEN(gives)}};
    const struct px_sequence_options options = {.settings = settings};
    struct px_engine *engine = NULL;
    struct px_err err = {0};
    if (px_sequence_engine_create(&inner, &options, &engine, &err) != PX_OK) {
        PX_ASSERT(err.code && err.message[0]);
        return;
    }
    PX_ASSERT(engine->takes.n + settings->n_states <= PX_ARRAY_LEN(takes));
    PX_ASSERT(engine->takes.n >= 1 && engine->gives.n >= 1);
    px_engine_destroy(engine);
}

/* Files are the package's matter, and memory is not what is tried here. */
static void try_models(struct px_sequence_settings *settings)
{
    for (size_t i = 0; i < settings->n_states; i++)
        settings->states[i].initial = (struct px_str){0};
    if (settings->memory_max > MEMORY_MAX)
        settings->memory_max = MEMORY_MAX;
    try_model(settings, true);
    try_model(settings, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_arena arena = px_arena(16 << 20);
    struct px_sequence_settings settings;
    const struct px_yaml *root = NULL;
    struct px_err err = {0};
    struct px_str text = px_str_n((const char *)data, size);
    if (px_yaml_parse(text, &arena, &root, &err) == PX_OK) {
        if (px_sequence_settings_read(root, &arena, &settings, &err) == PX_OK) {
            check_rules(&settings);
            check_states(&settings);
            try_models(&settings);
        } else {
            PX_ASSERT(err.code && err.message[0]);
        }
    }
    px_arena_deinit(&arena);
    return 0;
}
