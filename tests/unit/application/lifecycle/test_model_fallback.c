/* SPDX-License-Identifier: Apache-2.0 */
/* `fallback:` of model.yaml: rungs and their reasons, declared answers, and what is refused with its line. */
#include "application/lifecycle/model_fallback.h"

#include "harness.h"
#include "memory_tensor_engine.h"

static struct px_model_fallback fallback;
static struct px_arena arena;
static struct px_err err;

/* Into `fallback`, which lives until the next one. */
static enum px_code read_text(const char *text)
{
    const struct px_yaml *root;
    char yaml[512];
    px_arena_deinit(&arena);
    arena = px_arena(1 << 20);
    err = (struct px_err){0};
    snprintf(yaml, sizeof yaml, "fallback: %s\n", text);
    enum px_code code = px_yaml_parse(px_str(yaml), &arena, &root, &err);
    return code == PX_OK
               ? px_model_fallback_read(px_yaml_get(root, "fallback"), &arena, &fallback, &err)
               : code;
}

static void refuses(const char *text, const char *part)
{
    CHECK(read_text(text) != PX_OK);
    CHECK_CONTAINS(err.message, "line 1");
    CHECK_CONTAINS(err.message, part);
}

enum {
    FAILURE = 1 << PX_FALLBACK_FAILURE,
    OPEN = 1 << PX_FALLBACK_OPEN,
    OVERLOAD = 1 << PX_FALLBACK_OVERLOAD,
    DEADLINE = 1 << PX_FALLBACK_DEADLINE,
};

PX_TEST(rungs_keep_their_order_and_have_reasons)
{
    CHECK_OK(
        read_text("[previous_version, {model: small}, {model: other/7, on: [overload, deadline]}, "
                  "{rung: cached, on: open}, {default: {sum: 1}}]"));
    CHECK_INT(fallback.n_rungs, 5);
    CHECK_INT(fallback.rungs[0].kind, PX_RUNG_PREVIOUS_VERSION);
    CHECK_INT(fallback.rungs[0].reasons, FAILURE | OPEN);
    CHECK_INT(fallback.rungs[1].kind, PX_RUNG_MODEL);
    CHECK(px_str_is(fallback.rungs[1].model, "small") && fallback.rungs[1].version.len == 0);
    CHECK_INT(fallback.rungs[2].reasons, OVERLOAD | DEADLINE);
    CHECK(px_str_is(fallback.rungs[2].model, "other") && px_str_is(fallback.rungs[2].version, "7"));
    CHECK_INT(fallback.rungs[3].kind, PX_RUNG_CACHED);
    CHECK_INT(fallback.rungs[3].reasons, OPEN);
    CHECK_INT(fallback.rungs[4].kind, PX_RUNG_DEFAULT);
    CHECK_INT(fallback.rungs[4].reasons, FAILURE | OPEN);
}

PX_TEST(what_is_no_ladder_is_refused_with_its_line)
{
    static const char *const cases[][2] = {
        {"previous_version", "a rung must be"},
        {"[]", "a rung must be"},
        {"{model: a}", "a rung must be"},
        {"[previous]", "got previous"},
        {"[~]", "a rung must be"},
        {"[[cached]]", "a rung must be"},
        {"[{rung: default}]", "a rung must be"},
        {"[{on: [open]}]", "a rung must be"},
        {"[{model: a, default: {y: 1}}]", "a rung must be"},
        {"[{modell: a}]", "modell"},
        {"[{model: \"\"}]", "NAME or NAME/VERSION"},
        {"[{model: a/}]", "NAME or NAME/VERSION"},
        {"[{model: ../a}]", "NAME or NAME/VERSION"},
        {"[{model: a/x}]", "NAME or NAME/VERSION"},
        {"[{model: a/0}]", "NAME or NAME/VERSION"},
        {"[{model: a/1/2}]", "NAME or NAME/VERSION"},
        {"[previous_version, cached, previous_version]", "rung 3 is the same as rung 1"},
        {"[{model: a}, {model: a, on: [open, deadline]}]", "rung 2 is the same as rung 1"},
        {"[{model: [a]}]", "expected"},
        {"[{model: a, on: []}]", "'on' must be a list"},
        {"[{model: a, on: {open: 1}}]", "'on' must be a list"},
        {"[{model: a, on: [opened]}]", "'on' lists failure"},
        {"[{default: 1}]", "must name outputs"},
        {"[{default: {}}]", "must name outputs"},
        {"[{default: {y: []}}]", "1 to 65536 values"},
        {"[{default: {y: {z: 1}}}]", "a value or a list"},
        {"[cached, cached, cached, cached, cached, cached, cached, cached, cached]", "at most 8"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++)
        refuses(cases[i][0], cases[i][1]);
    refuses("[{model: a, on: [opened]}]", "opened");
    CHECK_CONTAINS(err.hint, "open");
}

/* ---- declared answers ---- */

static enum px_code prepare(const char *text, enum memory_tensor_kind kind)
{
    struct memory_tensor_engine *engine = memory_tensor_engine_create(kind, true);
    CHECK_OK(read_text(text));
    enum px_code code = px_model_fallback_prepare(&fallback, &engine->base, &arena, &err);
    px_engine_destroy(&engine->base);
    return code;
}

PX_TEST(a_default_has_every_output_in_its_type_and_shape)
{
    static const char *const bad[][2] = {
        {"[{default: {total: 1}}]", "unknown output 'total'"},
        {"[{default: {sum: high}}]", "'high' is no FP32"},
        {"[{default: {sum: [1, 2, 3]}}]", "which is no row of"},
        {"[{default: {sum: [1]}}]", "which is no row of"},
        {"[{default: {sum: 1, more: 2}}]", "unknown output 'more'"},
    };
    CHECK_OK(prepare("[{default: {sum: 5}}]", MEMORY_TENSOR_ADD));
    CHECK_OK(prepare("[{default: {sum: [5, 6]}}]", MEMORY_TENSOR_ADD));
    CHECK_OK(prepare("[{default: {sum: [[5, 6]]}}]", MEMORY_TENSOR_ADD));
    CHECK_OK(prepare("[{default: {text: ['not known']}}]", MEMORY_TENSOR_ECHO));
    for (size_t i = 0; i < PX_ARRAY_LEN(bad); i++) {
        CHECK_INT(prepare(bad[i][0], MEMORY_TENSOR_ADD), PX_E_INVALID);
        CHECK_CONTAINS(err.message, bad[i][1]);
        CHECK_CONTAINS(err.message, "line 1");
    }
}

PX_TEST(a_tree_model_has_only_rungs_that_are_other_models)
{
    CHECK_OK(read_text("[previous_version, {model: a}]"));
    CHECK_OK(px_model_fallback_prepare(&fallback, NULL, &arena, &err));
    CHECK_OK(read_text("[cached]"));
    CHECK_INT(px_model_fallback_prepare(&fallback, NULL, &arena, &err), PX_E_CONFLICT);
    CHECK_CONTAINS(err.message, "tree model");
}

/* Asks for the declared answer to so many rows of x and y. */
static enum px_code answer(struct memory_tensor_engine *engine, uint64_t n_rows, struct px_run *run)
{
    static struct px_tensor inputs[2], output;
    for (size_t i = 0; i < 2; i++)
        inputs[i] = (struct px_tensor){.name = i ? px_str("y") : px_str("x"),
                                       .type = PX_TYPE_FP32,
                                       .shape = {n_rows, 2},
                                       .n_dims = 2};
    output = (struct px_tensor){.name = PX_STR("sum")};
    *run = (struct px_run){
        .inputs = inputs, .n_inputs = 2, .outputs = &output, .n_outputs = 1, .arena = &arena};
    return px_rung_answer(&fallback.rungs[0], &engine->base, run, &err);
}

PX_TEST(the_answer_is_repeated_for_the_rows_of_the_request)
{
    static const uint64_t counts[] = {1, 3, 0};
    struct memory_tensor_engine *engine = memory_tensor_engine_create(MEMORY_TENSOR_ADD, true);
    struct px_run run;
    CHECK_OK(read_text("[{default: {sum: [5, 6.5]}}]"));
    CHECK_OK(px_model_fallback_prepare(&fallback, &engine->base, &arena, &err));
    for (size_t i = 0; i < PX_ARRAY_LEN(counts); i++) {
        CHECK_OK(answer(engine, counts[i], &run));
        CHECK_INT(run.outputs[0].shape[0], counts[i]);
        CHECK_INT(run.outputs[0].shape[1], 2);
        CHECK_INT(run.outputs[0].bytes.len, counts[i] * 2 * sizeof(float));
        for (uint64_t row = 0; row < counts[i]; row++) {
            float values[2];
            memcpy(values, run.outputs[0].bytes.ptr + row * sizeof values, sizeof values);
            CHECK(values[0] == 5 && values[1] == 6.5f);
        }
    }
    px_engine_destroy(&engine->base);
}

PX_TEST(without_memory_it_is_an_error_and_no_crash)
{
    enum px_code code = PX_E_NO_MEMORY;
    struct memory_tensor_engine *engine = memory_tensor_engine_create(MEMORY_TENSOR_ADD, true);
    for (uint64_t n = 1; n < 100 && code != PX_OK; n++) {
        struct px_run run;
        px_alloc_fail_at(n);
        code = read_text("[{model: a/1}, {default: {sum: [5, 6]}}]");
        if (code == PX_OK)
            code = px_model_fallback_prepare(&fallback, &engine->base, &arena, &err);
        if (code == PX_OK) {
            fallback.rungs++;
            code = answer(engine, 10000, &run);
        }
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
    }
    CHECK_OK(code);
    px_engine_destroy(&engine->base);
    px_arena_deinit(&arena);
}

PX_TEST_MAIN(T(rungs_keep_their_order_and_have_reasons)
                 T(what_is_no_ladder_is_refused_with_its_line)
                     T(a_default_has_every_output_in_its_type_and_shape)
                         T(a_tree_model_has_only_rungs_that_are_other_models)
                             T(the_answer_is_repeated_for_the_rows_of_the_request)
                                 T(without_memory_it_is_an_error_and_no_crash))
