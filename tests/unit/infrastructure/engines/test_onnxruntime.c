/* SPDX-License-Identifier: Apache-2.0 */
/* The ONNX Runtime engine on the models of tests/golden/make_onnxruntime.py. */
#include "onnxruntime_fixture.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <glob.h>
#include <pthread.h>

static const float six[] = {0, 1, 2, 3, 4, 5};

static float f32(const struct px_tensor *tensor, size_t i)
{
    float value;
    CHECK((i + 1) * sizeof value <= tensor->bytes.len);
    memcpy(&value, tensor->bytes.ptr + i * sizeof value, sizeof value);
    return value;
}

static void check_shape(const struct px_tensor *tensor, const char *want)
{
    char text[PX_TENSOR_SHAPE_TEXT_MAX];
    CHECK_STR(px_str(px_tensor_shape_text(tensor, text)), want);
}

static void open_affine(struct onnx_fixture *f, const char *settings)
{
    onnx_open(f, "affine.onnx", settings);
    struct px_tensor *x = onnx_input(f, "x", PX_TYPE_FP32, six, sizeof six);
    x->n_dims = 2;
    x->shape[0] = 2;
    x->shape[1] = 3;
    onnx_ask(f, "y");
}

PX_TEST(says_what_a_graph_takes_and_gives)
{
    struct onnx_fixture f;
    char text[PX_TENSOR_SHAPE_TEXT_MAX];
    if (!have_onnxruntime())
        return;
    onnx_open(&f, "affine.onnx", NULL);
    CHECK_INT(f.engine->takes.n, 1);
    CHECK_STR(f.engine->takes.list[0].name, "x");
    CHECK_INT(f.engine->takes.list[0].type, PX_TYPE_FP32);
    CHECK_STR(px_str(px_tensor_spec_shape_text(&f.engine->takes.list[0], text)), "[-1,3]");
    CHECK_INT(f.engine->gives.n, 1);
    CHECK_STR(f.engine->gives.list[0].name, "y");
    CHECK(!px_engine_has(f.engine, PX_ENGINE_BATCHES));
    onnx_close(&f);
}

PX_TEST(computes_where_the_bytes_lie)
{
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    open_affine(&f, NULL);
    for (size_t round = 0; round < 3; round++) {
        CHECK_OK(onnx_run(&f));
        check_shape(&f.outputs[0], "[2,3]");
        for (size_t i = 0; i < 6; i++)
            CHECK_DOUBLE(f32(&f.outputs[0], i), 2 * six[i] + 1);
    }
    onnx_close(&f);
}

PX_TEST(takes_bytes_at_any_address_and_no_rows)
{
    struct onnx_fixture f;
    char odd[sizeof six + 1];
    if (!have_onnxruntime())
        return;
    open_affine(&f, NULL);
    memcpy(odd + 1, six, sizeof six);
    f.inputs[0].bytes.ptr = odd + 1;
    CHECK_OK(onnx_run(&f));
    CHECK_DOUBLE(f32(&f.outputs[0], 5), 11);
    f.inputs[0].bytes = (struct px_str){NULL, 0};
    f.inputs[0].shape[0] = 0;
    CHECK_OK(onnx_run(&f));
    check_shape(&f.outputs[0], "[0,3]");
    CHECK_INT(f.outputs[0].bytes.len, 0);
    onnx_close(&f);
}

PX_TEST(outputs_larger_than_the_runs_memory_are_lent)
{
    enum { ROWS = 100000 };
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    open_affine(&f, NULL);
    float *many = px_alloc(ROWS * 3, sizeof *many);
    CHECK(many);
    many[ROWS * 3 - 1] = 7;
    f.run_arena.max = 4096;
    f.inputs[0].bytes = px_str_n((const char *)many, ROWS * 3 * sizeof *many);
    f.inputs[0].shape[0] = ROWS;
    CHECK_OK(onnx_run(&f));
    CHECK_DOUBLE(f32(&f.outputs[0], ROWS * 3 - 1), 15);
    onnx_close(&f);
    px_free(many);
}

PX_TEST(every_type_goes_through)
{
    static const char *const names[] = {"BOOL",  "UINT8",  "UINT16",   "UINT32", "UINT64",
                                        "INT8",  "INT16",  "INT32",    "INT64",  "FLOAT16",
                                        "FLOAT", "DOUBLE", "BFLOAT16", "STRING"};
    static const enum px_datatype types[] = {
        PX_TYPE_BOOL, PX_TYPE_UINT8, PX_TYPE_UINT16, PX_TYPE_UINT32, PX_TYPE_UINT64,
        PX_TYPE_INT8, PX_TYPE_INT16, PX_TYPE_INT32,  PX_TYPE_INT64,  PX_TYPE_FP16,
        PX_TYPE_FP32, PX_TYPE_FP64,  PX_TYPE_BF16,   PX_TYPE_BYTES};
    static const char texts[] = "\3\0\0\0a\0c\0\0\0\0\2\0\0\0\xC3\xA4"; /* a NUL inside, empty, ä */
    static const uint64_t numbers[2] = {0x0001000001000001, 0x0100010000010100};
    char in[sizeof names / sizeof *names][16], out[sizeof names / sizeof *names][16];
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    onnx_open(&f, "types.onnx", NULL);
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        bool text = types[i] == PX_TYPE_BYTES;
        size_t n = text ? 3 : 2, len = text ? sizeof texts - 1 : n * px_datatype_size(types[i]);
        snprintf(in[i], sizeof in[i], "in_%s", names[i]);
        snprintf(out[i], sizeof out[i], "out_%s", names[i]);
        onnx_input(&f, in[i], types[i], text ? (const void *)texts : numbers, len)->shape[0] = n;
        onnx_ask(&f, out[i]);
    }
    CHECK_OK(onnx_run(&f));
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        CHECK_INT(f.outputs[i].type, types[i]);
        CHECK_INT(f.outputs[i].shape[0], f.inputs[i].shape[0]);
        CHECK(px_str_eq(f.outputs[i].bytes, f.inputs[i].bytes));
    }
    onnx_close(&f);
}

static void ask_classifier(struct onnx_fixture *f)
{
    static const float rows[] = {3, 0, 0, 3};
    struct px_tensor *x = onnx_input(f, "x", PX_TYPE_FP32, rows, sizeof rows);
    x->n_dims = 2;
    x->shape[0] = x->shape[1] = 2;
}

PX_TEST(a_list_of_mappings_becomes_scores_and_labels)
{
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    onnx_open(&f, "zipmap_texts.onnx", NULL);
    CHECK_INT(f.engine->gives.n, 3);
    CHECK_STR(f.engine->gives.list[2].name, "probabilities_labels");
    CHECK_INT(f.engine->gives.list[2].type, PX_TYPE_BYTES);
    ask_classifier(&f);
    onnx_ask(&f, "probabilities_labels");
    onnx_ask(&f, "probabilities");
    onnx_ask(&f, "label");
    CHECK_OK(onnx_run(&f));
    check_shape(&f.outputs[0], "[3]");
    check_shape(&f.outputs[1], "[2,3]");
    CHECK(px_str_eq(f.outputs[0].bytes, px_str_n("\3\0\0\0ham\5\0\0\0other\4\0\0\0spam", 24)));
    /* Labels are sorted: ham is the second class of the model, spam the first. */
    CHECK(f32(&f.outputs[1], 0) < 0.1f && f32(&f.outputs[1], 2) > 0.9f);
    CHECK(f32(&f.outputs[1], 3) > 0.9f && f32(&f.outputs[1], 5) < 0.1f);
    CHECK(px_str_eq(f.outputs[2].bytes, px_str_n("\4\0\0\0spam\3\0\0\0ham", 15)));
    onnx_close(&f);
}

PX_TEST(labels_may_be_numbers_and_scores_alone_be_asked_for)
{
    static const int64_t want[] = {10, 20, 30};
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    onnx_open(&f, "zipmap_numbers.onnx", NULL);
    ask_classifier(&f);
    onnx_ask(&f, "probabilities_labels");
    CHECK_OK(onnx_run(&f));
    CHECK_INT(f.outputs[0].type, PX_TYPE_INT64);
    CHECK(px_str_eq(f.outputs[0].bytes, px_str_n((const char *)want, sizeof want)));
    f.inputs[0].shape[0] = 0;
    f.inputs[0].bytes.len = 0;
    CHECK_OK(onnx_run(&f));
    check_shape(&f.outputs[0], "[0]");
    onnx_close(&f);
}

PX_TEST(a_list_of_equal_tensors_is_stacked_and_others_are_refused)
{
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    onnx_open(&f, "pieces.onnx", NULL);
    onnx_input(&f, "x", PX_TYPE_FP32, six, sizeof six);
    onnx_ask(&f, "y");
    CHECK_OK(onnx_run(&f));
    check_shape(&f.outputs[0], "[3,2]");
    CHECK_DOUBLE(f32(&f.outputs[0], 5), 5);
    f.inputs[0].shape[0] = 5;
    f.inputs[0].bytes.len = 20;
    CHECK_INT(onnx_run(&f), PX_E_UNSUPPORTED);
    CHECK_CONTAINS(f.err.message, "output 'y'");
    CHECK_CONTAINS(f.err.message, "differ in shape, [2] and [1]");
    onnx_close(&f);
}

PX_TEST(a_graph_that_lies_about_a_shape_is_served)
{
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    onnx_open(&f, "liar.onnx", NULL);
    onnx_input(&f, "x", PX_TYPE_FP32, six, sizeof six);
    onnx_ask(&f, "y");
    for (size_t i = 0; i < 2; i++) {
        CHECK_OK(onnx_run(&f));
        check_shape(&f.outputs[0], "[12]");
    }
    onnx_close(&f);
}

PX_TEST(data_that_do_not_suit_the_graph_are_the_callers_fault)
{
    static const int64_t shape[] = {4, 2};
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    onnx_open(&f, "reshaped.onnx", NULL);
    onnx_input(&f, "x", PX_TYPE_FP32, six, sizeof six);
    onnx_input(&f, "shape", PX_TYPE_INT64, shape, sizeof shape);
    onnx_ask(&f, "y");
    CHECK_INT(onnx_run(&f), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "Reshape");
    CHECK(!strstr(f.err.message, "/onnxruntime") && !strstr(f.err.message, "onnxruntime::"));
    onnx_close(&f);
}

PX_TEST(weights_beside_the_file_are_found_and_their_lack_names_no_folder)
{
    static const char copy[] = "/tmp/px_onnx_alone_test.onnx";
    float zeros[64] = {0};
    struct px_buf bytes = px_buf(1 << 20);
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    onnx_open(&f, "outside.onnx", NULL);
    struct px_tensor *x = onnx_input(&f, "x", PX_TYPE_FP32, zeros, sizeof zeros);
    x->n_dims = 2;
    x->shape[0] = 1;
    x->shape[1] = 64;
    onnx_ask(&f, "y");
    CHECK_OK(onnx_run(&f));
    CHECK_DOUBLE(f32(&f.outputs[0], 63), 63);
    onnx_close(&f);
    CHECK_OK(px_file_read(ONNX_MODELS "outside.onnx", &bytes, NULL));
    CHECK_OK(px_file_write(copy, px_buf_view(&bytes), NULL));
    enum px_code code = onnx_try_open(&f, copy, NULL);
    unlink(copy);
    px_buf_deinit(&bytes);
    CHECK(code != PX_OK && !f.engine);
    CHECK_CONTAINS(f.err.message, "outside.bin");
    CHECK(!strstr(f.err.message, "/tmp/"));
    onnx_close(&f);
}

PX_TEST(weights_above_the_folder_are_refused_before_the_library_sees_them)
{
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    CHECK_INT(onnx_try_open(&f, "escaping.onnx", NULL), PX_E_CORRUPT);
    CHECK_CONTAINS(f.err.message, "'../make_onnxruntime.py', outside the model's folder");
    CHECK(!strstr(f.err.message, "ONNX Runtime says"));
    onnx_close(&f);
}

PX_TEST(outputs_without_a_tensor_are_left_out_and_inputs_refused)
{
    struct onnx_fixture f;
    char memory[512];
    struct px_buf text = px_buf_fixed(memory, sizeof memory);
    struct px_json_writer json = px_json_writer(&text);
    if (!have_onnxruntime())
        return;
    onnx_open(&f, "optional.onnx", NULL);
    CHECK_INT(f.engine->gives.n, 1);
    CHECK_STR(f.engine->gives.list[0].name, "y");
    px_json_begin_object(&json);
    f.engine->ops->describe(f.engine, &json);
    px_json_end_object(&json);
    CHECK_CONTAINS(memory, "\"outputs_left_out\":\"maybe\"");
    CHECK_CONTAINS(memory, "\"threads\":1");
    onnx_close(&f);
    CHECK_INT(onnx_try_open(&f, "listed.onnx", NULL), PX_E_UNSUPPORTED);
    CHECK_CONTAINS(f.err.message, "input 'x'");
    onnx_close(&f);
}

PX_TEST(files_that_are_no_model_are_errors)
{
    static const struct {
        const char *file;
        enum px_code code;
    } cases[] = {{"absent.onnx", PX_E_NOT_FOUND},
                 {"outside.bin", PX_E_CORRUPT},
                 {"custom.onnx", PX_E_UNSUPPORTED},
                 {"new_format.onnx", PX_E_UNSUPPORTED}};
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        enum px_code code = onnx_try_open(&f, cases[i].file, NULL);
        if (code != cases[i].code)
            fprintf(stderr, "%s: %s\n", cases[i].file, f.err.message);
        CHECK_INT(code, cases[i].code);
        CHECK(!strstr(f.err.message, "/golden/"));
        onnx_close(&f);
    }
}

PX_TEST(a_refused_file_is_explained_to_whoever_exported_it)
{
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    CHECK(onnx_try_open(&f, "custom.onnx", NULL) != PX_OK);
    CHECK_CONTAINS(f.err.message, "the operator 'Magic' is of the domain 'com.example'");
    CHECK_CONTAINS(f.err.message, "ONNX Runtime says: ");
    onnx_close(&f);
    CHECK(onnx_try_open(&f, "new_format.onnx", NULL) != PX_OK);
    CHECK_CONTAINS(f.err.message, "IR version 99");
    CHECK_CONTAINS(f.err.hint, "ir_version");
    onnx_close(&f);
}

PX_TEST(an_unwise_export_has_warnings)
{
    struct onnx_fixture f;
    char memory[2048];
    struct px_buf text = px_buf_fixed(memory, sizeof memory);
    struct px_json_writer json = px_json_writer(&text);
    if (!have_onnxruntime())
        return;
    onnx_open(&f, "zipmap_texts.onnx", NULL);
    px_json_begin_object(&json);
    f.engine->ops->describe(f.engine, &json);
    px_json_end_object(&json);
    CHECK_CONTAINS(memory, "\"warnings\":[\"the output 'probabilities' is a list of mappings");
    CHECK_CONTAINS(memory, "'zipmap': False");
    onnx_close(&f);
}

PX_TEST(settings_are_read_and_wrong_ones_named)
{
    static const struct {
        const char *yaml, *message;
    } wrong[] = {
        {"thread: 2", "engine: line 1"},
        {"threads: 300",
         "engine.threads: line 1: 'threads' must be a whole number, 0 to 256, got '300'"},
        {"execution_mode: both", "expected one of sequential, parallel, got 'both'"},
        {"spinning: maybe", "must be on or off"},
        {"providers: CPU", "expected a list"},
        {"providers: [{device_id: 0}]", "with `name`"},
        {"providers: [CUDA]", "no execution provider 'CUDA'; it has CPUExecutionProvider"},
        {"providers: [TensorrtExecutionProvider]", "no execution provider 'Tensorrt'"},
        {"providers: [{name: CPU, foo: 1}]", "engine.providers: the provider CPU has no options"},
        {"free_dimensions: {batch: many}", "engine.free_dimensions.batch"},
        {"free_dimensions: {batch: 0}", "expected 1 or more, got 0"},
        {"free_dimensions: {bach: 2}", "the inputs have no dimension 'bach'; they have batch"},
        {"profile: /nowhere/at/all/trace", "engine.profile: no file can be made in /nowhere"},
        {"config: {session.disable_prepackin: \"1\"}", "no setting 'session.disable_prepackin'"},
        {"config: {threads: \"1\"}", "engine.config: line 1: ONNX Runtime has no setting"},
    };
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    open_affine(&f, "name: onnxruntime\nthreads: 2\ninter_op_threads: 2\nexecution_mode: parallel\n"
                    "graph_optimization: basic\nproviders: [CPU]\ndeterministic: true\n"
                    "memory_arena: false\nmemory_pattern: false\nspinning: true\nbatches: true\n"
                    "config: {session.disable_prepacking: \"1\"}\n");
    CHECK(px_engine_has(f.engine, PX_ENGINE_BATCHES));
    CHECK_OK(onnx_run(&f));
    onnx_close(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(wrong); i++) {
        CHECK(onnx_try_open(&f, "affine.onnx", wrong[i].yaml) != PX_OK);
        CHECK_CONTAINS(f.err.message, wrong[i].message);
        onnx_close(&f);
    }
}

PX_TEST(a_profile_is_written_when_the_model_is_unloaded)
{
    struct onnx_fixture f;
    struct px_buf text = px_buf(1 << 20);
    char folder[] = "/tmp/px-onnx-XXXXXX", settings[128];
    glob_t found = {0};
    if (!have_onnxruntime())
        return;
    CHECK(mkdtemp(folder));
    snprintf(settings, sizeof settings, "profile: %s/trace", folder);
    open_affine(&f, settings);
    CHECK_OK(onnx_run(&f));
    onnx_close(&f);
    snprintf(settings, sizeof settings, "%s/trace_*.json", folder);
    CHECK_INT(glob(settings, 0, NULL, &found), 0);
    CHECK_INT(found.gl_pathc, 1);
    CHECK_OK(px_file_read(found.gl_pathv[0], &text, NULL));
    CHECK_CONTAINS(text.ptr, "\"op_name\"");
    unlink(found.gl_pathv[0]);
    rmdir(folder);
    globfree(&found);
    px_buf_deinit(&text);
}

PX_TEST(a_free_dimension_can_be_fixed)
{
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    open_affine(&f, "free_dimensions: {batch: 2}");
    CHECK_INT(f.engine->takes.list[0].shape[0], 2);
    CHECK_OK(onnx_run(&f));
    f.inputs[0].shape[0] = 1;
    f.inputs[0].bytes.len /= 2;
    CHECK_INT(onnx_run(&f), PX_E_INVALID);
    onnx_close(&f);
}

PX_TEST(what_model_yaml_declares_narrows_the_graph)
{
    struct px_arena arena = px_arena(1 << 20);
    struct px_tensor_spec in = {
        .name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {4, 3}, .n_dims = 2};
    struct px_tensor_spec out = {
        .name = PX_STR("z"), .type = PX_TYPE_FP32, .shape = {-1, 3}, .n_dims = 2};
    struct px_engine_request request = {.model_name = PX_STR("test"),
                                        .path = PX_STR(ONNX_MODELS "affine.onnx"),
                                        .inputs = {&in, 1},
                                        .arena = &arena};
    struct px_engine *engine = NULL;
    struct px_err err = {0};
    if (!have_onnxruntime())
        return;
    CHECK_OK(px_onnxruntime_provider.open(&request, &engine, &err));
    CHECK_INT(engine->takes.list[0].shape[0], 4);
    px_engine_destroy(engine);
    request.outputs = (struct px_tensor_specs){&out, 1};
    CHECK_INT(px_onnxruntime_provider.open(&request, &engine, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "output 'z'");
    request.outputs.n = 0;
    in.type = PX_TYPE_FP64;
    CHECK_INT(px_onnxruntime_provider.open(&request, &engine, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "FP64 [4,3]; the model says FP32 [-1,3]");
    px_arena_deinit(&arena);
}

/* ---- threads ---- */

struct worker {
    struct onnx_fixture *shared;
    float first;
    bool right;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct px_arena arena = px_arena(1 << 16);
    float row[3] = {worker->first, 0, 0};
    worker->right = true;
    for (size_t i = 0; i < 200; i++) {
        const struct px_tensor input = {.name = PX_STR("x"),
                                        .type = PX_TYPE_FP32,
                                        .shape = {1, 3},
                                        .n_dims = 2,
                                        .bytes = {(const char *)row, sizeof row}};
        struct px_tensor output = {.name = PX_STR("y")};
        struct px_run run = {
            .inputs = &input, .n_inputs = 1, .outputs = &output, .n_outputs = 1, .arena = &arena};
        enum px_code code = px_engine_run(worker->shared->engine, &run, NULL);
        float got = 0;
        if (code == PX_OK)
            memcpy(&got, output.bytes.ptr, sizeof got);
        worker->right &= got == 2 * worker->first + 1;
        px_run_release(&run);
        px_arena_reset(&arena);
    }
    px_arena_deinit(&arena);
    return NULL;
}

PX_TEST(threads_share_a_session)
{
    enum { THREADS = 4 };
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    open_affine(&f, NULL);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.shared = &f, .first = (float)i};
        CHECK_INT(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(workers[i].right);
    onnx_close(&f);
}

static void *run_slowly(void *argument)
{
    struct onnx_fixture *f = argument;
    f->run.code = px_engine_run(f->engine, &f->run, &f->run.err);
    return NULL;
}

PX_TEST(a_run_is_stopped_from_another_thread)
{
    static const int64_t rounds[] = {1000000000}; /* hours */
    static const int64_t few[] = {2};
    struct onnx_fixture f;
    pthread_t thread;
    if (!have_onnxruntime())
        return;
    onnx_open(&f, "loop.onnx", NULL);
    onnx_input(&f, "rounds", PX_TYPE_INT64, rounds, sizeof rounds);
    onnx_ask(&f, "y");
    f.run.inputs = f.inputs;
    f.run.outputs = f.outputs;
    f.run.arena = &f.run_arena;
    CHECK_INT(pthread_create(&thread, NULL, run_slowly, &f), 0);
    nanosleep(&(struct timespec){0, 20 * 1000 * 1000}, NULL);
    px_engine_cancel(f.engine, &f.run);
    pthread_join(thread, NULL);
    CHECK_INT(f.run.code, PX_E_CANCELLED);
    /* What stopped that run does not stop the next one with its ticket. */
    atomic_store(&f.run.cancelled, false);
    f.inputs[0].bytes.ptr = (const char *)few;
    CHECK_OK(onnx_run(&f));
    check_shape(&f.outputs[0], "[64,64]");
    onnx_close(&f);
}

PX_TEST(a_cancelled_run_does_not_begin)
{
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    open_affine(&f, NULL);
    atomic_store(&f.run.cancelled, true);
    CHECK_INT(onnx_run(&f), PX_E_CANCELLED);
    onnx_close(&f);
}

/* ---- the rest ---- */

PX_TEST(every_allocation_may_fail)
{
    struct onnx_fixture f;
    if (!have_onnxruntime())
        return;
    for (uint64_t n = 1;; n++) {
        px_alloc_fail_at(n);
        enum px_code code = onnx_try_open(&f, "zipmap_texts.onnx", NULL);
        if (code == PX_OK) {
            ask_classifier(&f);
            onnx_ask(&f, "probabilities");
            code = onnx_run(&f);
        }
        px_alloc_fail_at(0);
        onnx_close(&f);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        if (code == PX_OK && n > 20)
            break;
        CHECK(n < 1000);
    }
}

PX_TEST(models_are_known_by_name_or_content)
{
    struct px_buf bytes = px_buf(1 << 20);
    const struct px_engine_provider *p = &px_onnxruntime_provider;
    CHECK(p->knows("a/model.onnx", (struct px_str){NULL, 0}));
    CHECK_OK(px_file_read(ONNX_MODELS "types.onnx", &bytes, NULL));
    CHECK(p->knows("model", px_buf_view(&bytes)));
    CHECK(p->knows("model", px_str_n(bytes.ptr, 100)));
    CHECK(!p->knows("model.json", px_str("{\"learner\": {}}")));
    CHECK(!p->knows("model", (struct px_str){NULL, 0}));
    CHECK(!p->knows("model", px_str_n("\x08\x07\x10\x01", 4)));
    px_buf_deinit(&bytes);
}

// clang-format off
PX_TEST_MAIN(
    T(says_what_a_graph_takes_and_gives)
    T(computes_where_the_bytes_lie)
    T(takes_bytes_at_any_address_and_no_rows)
    T(outputs_larger_than_the_runs_memory_are_lent)
    T(every_type_goes_through)
    T(a_list_of_mappings_becomes_scores_and_labels)
    T(labels_may_be_numbers_and_scores_alone_be_asked_for)
    T(a_list_of_equal_tensors_is_stacked_and_others_are_refused)
    T(a_graph_that_lies_about_a_shape_is_served)
    T(data_that_do_not_suit_the_graph_are_the_callers_fault)
    T(weights_beside_the_file_are_found_and_their_lack_names_no_folder)
    T(weights_above_the_folder_are_refused_before_the_library_sees_them)
    T(outputs_without_a_tensor_are_left_out_and_inputs_refused)
    T(files_that_are_no_model_are_errors)
    T(a_refused_file_is_explained_to_whoever_exported_it)
    T(an_unwise_export_has_warnings)
    T(settings_are_read_and_wrong_ones_named)
    T(a_profile_is_written_when_the_model_is_unloaded)
    T(a_free_dimension_can_be_fixed)
    T(what_model_yaml_declares_narrows_the_graph)
    T(threads_share_a_session)
    T(a_run_is_stopped_from_another_thread)
    T(a_cancelled_run_does_not_begin)
    T(every_allocation_may_fail)
    T(models_are_known_by_name_or_content))
// clang-format on
