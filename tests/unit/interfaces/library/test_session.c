/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions from inside: arguments, memory, threads. That they compute what other faces do is tested from outside. */
#include "harness.h"

#include "shared/alloc.h"
#include "shared/file.h"

#include <phoenix/phoenix.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static const char fraud[] = PX_TEST_DATA "/../../examples/graphs/fraud/graph.yaml";
static const char text_graph[] = PX_TEST_DATA "/../../examples/graphs/text/graph.yaml";
static const char affine[] = PX_TEST_DATA "/onnxruntime/affine.onnx";
static const char fetched[] = PX_TEST_DATA "/../../build/engines/libonnxruntime.so";

static char folder[] = "/tmp/px_session_XXXXXX";

static phx_session *open_good(const char *path)
{
    char err[512];
    phx_session *session = phx_session_open(path, err, sizeof err);
    if (!session)
        fprintf(stderr, "%s\n", err);
    CHECK(session);
    return session;
}

/* A package for the plug-in of the tests, which gives back what it gets unless `mode` says otherwise. */
static const char *puppet(const char *mode)
{
    static char path[256];
    char text[512];
    snprintf(path, sizeof path, "%s/model.yaml", folder);
    snprintf(text, sizeof text,
             "phoenix: 1\n"
             "engine: {name: plugin, library: puppet, settings: {mode: %s}}\n"
             "inputs: [{name: x, type: FP32, shape: [-1]}]\n"
             "outputs: [{name: y, type: FP32, shape: [-1]}]\n",
             mode);
    CHECK_OK(px_file_write(path, px_str(text), NULL));
    return folder;
}

static phx_tensor payment(const float *rows, int64_t n)
{
    return (phx_tensor){.name = "payment",
                        .datatype = PHX_FP32,
                        .n_dims = 2,
                        .dims = {n, 3},
                        .data = rows,
                        .size = (uint64_t)n * 3 * sizeof *rows};
}

static phx_tensor vector(const float *x, int64_t n)
{
    return (phx_tensor){.name = "x",
                        .datatype = PHX_FP32,
                        .n_dims = 1,
                        .dims = {n},
                        .data = x,
                        .size = (uint64_t)n * sizeof *x};
}

static void check_fails(phx_session *session, const phx_tensor *input, int code, const char *part)
{
    size_t n = 7;
    phx_result *result = phx_session_run(session, input, 1, NULL, 0);
    CHECK_INT(phx_result_code(result), code);
    CHECK_CONTAINS(phx_result_error(result), part);
    CHECK(!phx_result_outputs(result, &n) && n == 0);
    CHECK(*phx_result_degraded(result) == 0);
    phx_result_free(result);
}

PX_TEST(a_session_tells_what_it_takes_and_gives)
{
    phx_session *session = open_good(fraud);
    const phx_specs *specs = phx_session_specs(session);
    CHECK_INT(specs->n_inputs, 1);
    CHECK_INT(specs->n_outputs, 1);
    CHECK(strcmp(specs->inputs[0].name, "payment") == 0);
    CHECK_INT(specs->inputs[0].datatype, PHX_FP32);
    CHECK_INT(specs->inputs[0].n_dims, 2);
    CHECK_INT(specs->inputs[0].dims[0], -1);
    CHECK_INT(specs->inputs[0].dims[1], 3);
    CHECK(strcmp(specs->outputs[0].name, "score") == 0);
    phx_session_close(session);
}

PX_TEST(rows_have_the_same_score_alone_and_together)
{
    float rows[200 * 3];
    phx_session *session = open_good(fraud);
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++)
        rows[i] = (float)(i * 37 % 301) / 3;
    phx_tensor all = payment(rows, 200);
    phx_result *together = phx_session_run(session, &all, 1, NULL, 0);
    size_t n;
    const phx_tensor *out = phx_result_outputs(together, &n);
    CHECK_INT(n, 1);
    CHECK(strcmp(out->name, "score") == 0 && out->n_dims == 2 && out->dims[0] == 200);
    CHECK_INT(out->size, 200 * sizeof(float));
    for (size_t i = 0; i < 200; i++) {
        phx_tensor one = payment(&rows[i * 3], 1);
        phx_result *alone = phx_session_run(session, &one, 1, NULL, 0);
        CHECK(memcmp(phx_result_outputs(alone, NULL)->data, (const float *)out->data + i, 4) == 0);
        phx_result_free(alone);
    }
    phx_result_free(together);
    phx_session_close(session);
}

PX_TEST(tensors_that_are_none_are_refused)
{
    float rows[3] = {0};
    phx_session *session = open_good(fraud);
    phx_tensor t = payment(rows, 1);
    t.name = NULL;
    check_fails(session, &t, PHX_INVALID, "input 1 has no name");
    t = payment(rows, 1);
    t.datatype = 0;
    check_fails(session, &t, PHX_INVALID, "there is no datatype 0");
    t.datatype = PHX_BYTES + 1;
    check_fails(session, &t, PHX_INVALID, "there is no datatype 15");
    t.datatype = PHX_FP64;
    check_fails(session, &t, PHX_INVALID, "expected FP32, got FP64");
    t = payment(rows, 1);
    t.n_dims = PHX_TENSOR_DIMS_MAX + 1;
    check_fails(session, &t, PHX_INVALID, "at most 8 dimensions, got 9");
    t = payment(rows, -1);
    t.size = 12;
    check_fails(session, &t, PHX_INVALID, "dimension 0 is negative");
    t = payment(NULL, 1);
    check_fails(session, &t, PHX_INVALID, "expected data, got NULL");
    t = payment(rows, 1);
    t.size = 8;
    check_fails(session, &t, PHX_INVALID, "expected 12 bytes");
    t = payment(rows, INT64_MAX);
    t.size = 12;
    check_fails(session, &t, PHX_INVALID, "tensor 'payment'");
    phx_session_close(session);
}

PX_TEST(texts_that_are_cut_short_are_refused)
{
    static const char half[] = "\5\0\0\0hell";
    phx_session *session = open_good(text_graph);
    phx_tensor t = {.name = "text",
                    .datatype = PHX_BYTES,
                    .n_dims = 1,
                    .dims = {1},
                    .data = half,
                    .size = sizeof half - 1};
    check_fails(session, &t, PHX_INVALID, "elements of BYTES");
    t = (phx_tensor){.name = "text", .datatype = PHX_BYTES, .n_dims = 1}; /* no texts at all */
    phx_result *result = phx_session_run(session, &t, 1, NULL, 0);
    CHECK_INT(phx_result_code(result), PHX_OK);
    CHECK_INT(phx_result_outputs(result, NULL)->size, 0);
    phx_result_free(result);
    phx_session_close(session);
}

PX_TEST(lists_that_are_none_are_refused)
{
    float rows[3] = {0};
    static const char *const nameless[] = {NULL}, *const score[] = {"score"};
    phx_session *session = open_good(fraud);
    phx_tensor t = payment(rows, 1);
    const struct {
        const phx_tensor *inputs;
        size_t n_inputs;
        const char *const *outputs;
        size_t n_outputs;
        const char *part;
    } cases[] = {{NULL, 1, NULL, 0, "inputs, got 1 at NULL"},
                 {&t, SIZE_MAX, NULL, 0, "at most 256 inputs"},
                 {&t, 1, NULL, 1, "outputs, got 1 at NULL"},
                 {&t, 1, score, SIZE_MAX, "at most 256 outputs"},
                 {&t, 1, nameless, 1, "output 1 has no name"},
                 {NULL, 0, NULL, 0, "input 'payment' is missing"}};
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        phx_result *result = phx_session_run(session, cases[i].inputs, cases[i].n_inputs,
                                             cases[i].outputs, cases[i].n_outputs);
        CHECK_INT(phx_result_code(result), PHX_INVALID);
        CHECK_CONTAINS(phx_result_error(result), cases[i].part);
        phx_result_free(result);
    }
    phx_session_close(session);
}

PX_TEST(null_is_no_session)
{
    size_t n = 1;
    char err[64];
    phx_session_close(NULL);
    phx_result_free(NULL);
    CHECK(!phx_session_specs(NULL) && !phx_session_open(NULL, err, sizeof err));
    CHECK_CONTAINS(err, "got NULL");
    CHECK_INT(phx_result_code(NULL), PHX_NO_MEMORY);
    CHECK_CONTAINS(phx_result_error(NULL), "no memory");
    CHECK(!phx_result_outputs(NULL, &n) && n == 0);
    check_fails(NULL, NULL, PHX_INVALID, "expected a session");
}

/* A graph may hand an input through; the caller's memory is the caller's again when the call returns. */
PX_TEST(an_output_never_lies_in_the_callers_memory)
{
    char path[256];
    float x[4] = {1, 2, 3, 4};
    snprintf(path, sizeof path, "%s/graph.yaml", folder);
    CHECK_OK(px_file_write(path,
                           px_str("phoenix_graph: 1\n"
                                  "inputs: [{name: x, type: FP32, shape: [-1]}]\n"
                                  "outputs: [{name: same, from: x}, {name: y, from: both}]\n"
                                  "steps: [{name: both, combine: mean, inputs: [x, x]}]\n"),
                           NULL));
    phx_session *session = open_good(path);
    phx_tensor t = vector(x, 4);
    phx_result *result = phx_session_run(session, &t, 1, NULL, 0);
    CHECK_INT(phx_result_code(result), PHX_OK);
    memset(x, 0, sizeof x);
    const phx_tensor *out = phx_result_outputs(result, NULL);
    CHECK_DOUBLE(((const float *)out[0].data)[3], 4);
    phx_result_free(result);
    phx_session_close(session);
}

PX_TEST(a_plug_in_computes_in_this_process)
{
    const float x[3] = {1, -2, 0.1F};
    phx_session *session = open_good(puppet("echo"));
    phx_tensor t = vector(x, 3);
    phx_result *result = phx_session_run(session, &t, 1, NULL, 0);
    CHECK_INT(phx_result_code(result), PHX_OK);
    CHECK(memcmp(phx_result_outputs(result, NULL)->data, x, sizeof x) == 0);
    phx_result_free(result);
    phx_session_close(session);
    session = open_good(puppet("fails"));
    result = phx_session_run(session, &t, 1, NULL, 0);
    CHECK(phx_result_code(result) != PHX_OK && *phx_result_error(result));
    phx_result_free(result);
    phx_session_close(session);
}

PX_TEST(a_model_of_tensors_is_no_phx_model)
{
    char err[512];
    const char *const paths[] = {fraud, affine, puppet("echo")};
    for (size_t i = 0; i < PX_ARRAY_LEN(paths); i++) {
        CHECK(!phx_model_open(paths[i], err, sizeof err));
        CHECK_CONTAINS(err, "phx_session_open");
    }
}

PX_TEST(every_code_has_words)
{
    CHECK(strcmp(phx_error_text(PHX_OVERLOADED), "overloaded") == 0);
    CHECK(strcmp(phx_error_text(PHX_DEADLINE), "deadline exceeded") == 0);
    CHECK(strcmp(phx_error_text(PHX_INTERNAL), "internal error") == 0);
}

/* ---- memory ---- */

PX_TEST(no_failed_allocation_crashes_or_leaks)
{
    float rows[6] = {10, 3, 500, 100, 23, 4};
    phx_tensor t = payment(rows, 2);
    bool opened = false;
    for (uint64_t at = 1; !opened && at < 20000; at += at < 300 ? 1 : 7) {
        px_alloc_fail_at(at);
        phx_session *session = phx_session_open(fraud, NULL, 0);
        px_alloc_fail_at(0);
        opened = session != NULL;
        phx_session_close(session);
    }
    CHECK(opened);
    phx_session *session = open_good(fraud);
    int code = PHX_NO_MEMORY;
    for (uint64_t at = 1; code != PHX_OK && at < 1000; at++) {
        px_alloc_fail_at(at);
        phx_result *result = phx_session_run(session, &t, 1, NULL, 0);
        px_alloc_fail_at(0);
        code = phx_result_code(result);
        CHECK(code == PHX_OK || *phx_result_error(result));
        phx_result_free(result);
    }
    CHECK_INT(code, PHX_OK);
    phx_session_close(session);
}

/* ---- threads ---- */

enum { THREADS = 6, RUNS = 40 };

static _Atomic int n_wrong;

static void *run_often(void *session)
{
    float rows[30], first[10];
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++)
        rows[i] = (float)(i * 53 % 211);
    for (int i = 0; i < RUNS; i++) {
        phx_tensor t = payment(rows, 10);
        phx_result *result = phx_session_run(session, &t, 1, NULL, 0);
        const phx_tensor *out = phx_result_outputs(result, NULL);
        if (!out || (i > 0 && memcmp(out->data, first, sizeof first) != 0))
            atomic_fetch_add(&n_wrong, 1);
        else
            memcpy(first, out->data, sizeof first);
        phx_result_free(result);
    }
    return NULL;
}

PX_TEST(threads_share_a_session)
{
    pthread_t threads[THREADS];
    phx_session *session = open_good(fraud);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, run_often, session), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(n_wrong, 0);
    phx_session_close(session);
}

PX_TEST(onnx_runtime_computes)
{
    const float x[3] = {1, 2, 3};
    phx_tensor t = {.name = "x",
                    .datatype = PHX_FP32,
                    .n_dims = 2,
                    .dims = {1, 3},
                    .data = x,
                    .size = sizeof x};
    char err[512];
    phx_session *session = phx_session_open(affine, err, sizeof err);
    if (!session && strstr(err, "was not found")) {
        printf("skipped: %s\n", err);
        return;
    }
    CHECK(session);
    phx_result *result = phx_session_run(session, &t, 1, NULL, 0);
    CHECK_INT(phx_result_code(result), PHX_OK);
    CHECK_INT(phx_result_outputs(result, NULL)->size, sizeof x);
    phx_result_free(result);
    phx_session_close(session);
}

PX_TEST(files_are_removed)
{
    static const char *const names[] = {"model.yaml", "graph.yaml"};
    char path[256];
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        CHECK_INT(unlink(path), 0);
    }
    CHECK_INT(rmdir(folder), 0);
}

/* A folder for what tests write, and where engines are found. */
__attribute__((constructor)) static void prepare(void)
{
    if (!mkdtemp(folder))
        abort();
    setenv("PHOENIX_PLUGIN_PATH", PX_TEST_PLUGINS, 1);
    if (access(fetched, R_OK) == 0)
        setenv("PHOENIX_ONNXRUNTIME", fetched, 0);
}

// clang-format off
PX_TEST_MAIN(
    T(a_session_tells_what_it_takes_and_gives)
    T(rows_have_the_same_score_alone_and_together)
    T(tensors_that_are_none_are_refused)
    T(texts_that_are_cut_short_are_refused)
    T(lists_that_are_none_are_refused)
    T(null_is_no_session)
    T(an_output_never_lies_in_the_callers_memory)
    T(a_plug_in_computes_in_this_process)
    T(a_model_of_tensors_is_no_phx_model)
    T(every_code_has_words)
    T(no_failed_allocation_crashes_or_leaks)
    T(threads_share_a_session)
    T(onnx_runtime_computes)
    T(files_are_removed)
)
