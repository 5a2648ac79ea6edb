/* SPDX-License-Identifier: Apache-2.0 */
/* The diagnosis of ONNX files, on the models of tests/golden/make_onnxruntime.py. */
#include "domain/inference/onnx_diagnosis.h"

#include "harness.h"
#include "shared/alloc.h"
#include "shared/file.h"
#include "shared/protobuf.h"

static const struct px_onnx_limits limits = {
    .ir_version_max = 13, .opset_least = 7, .opset_max = 26};

struct fixture {
    struct px_file file;
    struct px_arena arena;
    struct px_onnx_diagnosis diagnosis;
};

static void diagnose(struct fixture *f, const char *model)
{
    char path[512];
    *f = (struct fixture){.arena = px_arena(1 << 20)};
    snprintf(path, sizeof path, PX_TEST_DATA "/onnxruntime/%s", model);
    CHECK_OK(px_file_load(&f->file, path, 1 << 20, NULL));
    CHECK_OK(px_onnx_diagnose(f->file.bytes, &limits, &f->arena, &f->diagnosis, NULL));
}

static void end(struct fixture *f)
{
    px_file_unload(&f->file);
    px_arena_deinit(&f->arena);
}

static void check_only(const char *model, bool error, const char *message, const char *hint)
{
    struct fixture f;
    diagnose(&f, model);
    for (size_t i = f.diagnosis.n_findings; i-- > 0 && f.diagnosis.n_findings != 1;)
        printf("%s: %s\n", model, f.diagnosis.findings[i].message.ptr);
    CHECK_INT(f.diagnosis.n_findings, 1);
    CHECK_INT(f.diagnosis.findings[0].error, error);
    CHECK_CONTAINS(f.diagnosis.findings[0].message.ptr, message);
    CHECK_CONTAINS(f.diagnosis.findings[0].hint.ptr, hint);
    end(&f);
}

PX_TEST(a_good_model_has_nothing)
{
    struct fixture f;
    diagnose(&f, "affine.onnx");
    CHECK_INT(f.diagnosis.n_findings, 0);
    CHECK_INT(f.diagnosis.ir_version, 8);
    CHECK_INT(f.diagnosis.opset, 13);
    end(&f);
}

PX_TEST(mappings_and_doubles_are_unwise)
{
    check_only("zipmap_numbers.onnx", false, "'probabilities' is a list of mappings", "zipmap");
    check_only("doubles.onnx", false, "'x' is FP64", "FloatTensorType");
}

PX_TEST(what_an_export_forgot_is_found)
{
    check_only("dropout_weight.onnx", false, "'Dropout' behaves as in training", "model.eval()");
    check_only("dropout_constant.onnx", false, "'Dropout' behaves as in training", "model.eval()");
    check_only("fixed.onnx", false, "fixed to 2: a request has to hold exactly 2 rows",
               "dynamic_axes");
    check_only("fell_back.onnx", true, "'ATen' is PyTorch's own", "operator_export_type");
    check_only("fell_through.onnx", true, "'aten::erfinv' is PyTorch's own",
               "operator_export_type");
}

PX_TEST(a_dropout_that_is_off_is_right)
{
    struct fixture f;
    diagnose(&f, "dropout_off.onnx");
    CHECK_INT(f.diagnosis.n_findings, 0);
    end(&f);
}

PX_TEST(scalars_are_told_from_shapes_that_are_not_known)
{
    struct fixture f;
    diagnose(&f, "scalars.onnx");
    CHECK_INT(f.diagnosis.n_findings, 0);
    CHECK_INT(f.diagnosis.n_scalars, 3);
    CHECK_STR(f.diagnosis.scalars[0], "a");
    CHECK_STR(f.diagnosis.scalars[2], "sum");
    end(&f);
}

static bool has(const struct fixture *f, bool error, const char *message)
{
    for (size_t i = 0; i < f->diagnosis.n_findings; i++) {
        const struct px_onnx_finding *finding = &f->diagnosis.findings[i];
        if (finding->error == error && strstr(finding->message.ptr, message))
            return true;
    }
    return false;
}

PX_TEST(versions_and_operators_that_no_library_has_are_errors)
{
    static const struct {
        const char *model, *message;
    } cases[] = {{"opset6.onnx", "operators of opset 6"},
                 {"custom.onnx", "'Magic' is of the domain 'com.example'"},
                 {"new_format.onnx", "IR version 99"}};
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct fixture f;
        diagnose(&f, cases[i].model);
        CHECK(has(&f, true, cases[i].message));
        CHECK(has(&f, false, "is fixed to 1"));
        end(&f);
    }
}

PX_TEST(weights_outside_are_listed_and_may_be_missing)
{
    struct fixture f;
    diagnose(&f, "outside.onnx");
    CHECK_INT(f.diagnosis.n_findings, 0);
    CHECK_INT(f.diagnosis.n_external, 1);
    CHECK_STR(f.diagnosis.external[0], "outside.bin");
    px_onnx_report_missing(&f.diagnosis, f.diagnosis.external[0], &f.arena);
    CHECK(has(&f, true, "weights in 'outside.bin' are missing"));
    end(&f);
}

/* A model with one tensor whose weights lie at `location`, and a function of the domain `domain`, or none. */
static void write_model(struct px_buf *buf, const char *location, const char *domain)
{
    size_t graph = px_protobuf_begin(buf, 7);
    if (location) {
        size_t tensor = px_protobuf_begin(buf, 5), entry = px_protobuf_begin(buf, 13);
        px_protobuf_put_text(buf, 1, "location");
        px_protobuf_put_text(buf, 2, location);
        px_protobuf_end(buf, entry);
        px_protobuf_put_u64(buf, 14, 1);
        px_protobuf_end(buf, tensor);
    }
    size_t node = px_protobuf_begin(buf, 1), attribute;
    px_protobuf_put_text(buf, 4, "Dropout");
    px_protobuf_put_text(buf, 7, "my.domain");
    attribute = px_protobuf_begin(buf, 5);
    px_protobuf_put_text(buf, 1, "training_mode");
    px_protobuf_put_u64(buf, 3, 1);
    px_protobuf_end(buf, attribute);
    px_protobuf_end(buf, node);
    px_protobuf_end(buf, graph);
    if (domain) {
        size_t function = px_protobuf_begin(buf, 25);
        px_protobuf_put_text(buf, 10, domain);
        px_protobuf_end(buf, function);
    }
}

PX_TEST(functions_in_the_file_explain_their_domain)
{
    struct px_buf buf = px_buf(1 << 16);
    struct fixture f = {.arena = px_arena(1 << 20)};
    write_model(&buf, "../secret.bin", "my.domain");
    CHECK_OK(px_onnx_diagnose(px_buf_view(&buf), &limits, &f.arena, &f.diagnosis, NULL));
    CHECK(!has(&f, true, "my.domain"));
    CHECK_STR(f.diagnosis.external[0], "../secret.bin");
    px_onnx_report_outside(&f.diagnosis, f.diagnosis.external[0], &f.arena);
    CHECK(has(&f, true, "'../secret.bin', outside the model's folder"));
    CHECK(has(&f, true, "does not say which version"));
    CHECK(has(&f, true, "no outputs"));
    CHECK(has(&f, false, "'Dropout' behaves as in training"));
    px_buf_clear(&buf);
    write_model(&buf, NULL, "other.domain");
    CHECK_OK(px_onnx_diagnose(px_buf_view(&buf), &limits, &f.arena, &f.diagnosis, NULL));
    CHECK(has(&f, true, "'my.domain'"));
    px_buf_deinit(&buf);
    px_arena_deinit(&f.arena);
}

PX_TEST(what_is_no_model_is_corrupt)
{
    struct fixture f = {.arena = px_arena(1 << 20)};
    struct px_err err;
    CHECK_INT(px_onnx_diagnose(px_str("{\"a\": 1}"), &limits, &f.arena, &f.diagnosis, &err),
              PX_E_CORRUPT);
    CHECK_INT(px_onnx_diagnose(px_str_n("\x08\x07", 2), &limits, &f.arena, &f.diagnosis, &err),
              PX_E_CORRUPT);
    CHECK_CONTAINS(err.message, "no graph");
    CHECK_INT(px_onnx_diagnose(px_str_n("\x3A\x7F\x0A", 3), &limits, &f.arena, &f.diagnosis, &err),
              PX_E_CORRUPT);
    px_arena_deinit(&f.arena);
}

PX_TEST(graphs_in_graphs_have_a_limit)
{
    struct px_buf inner = px_buf(1 << 16), outer = px_buf(1 << 16);
    struct fixture f = {.arena = px_arena(1 << 20)};
    for (size_t depth = 0; depth < PX_ONNX_DEPTH_MAX + 2; depth++) {
        px_buf_clear(&outer);
        size_t node = px_protobuf_begin(&outer, 1), attribute = px_protobuf_begin(&outer, 5);
        px_protobuf_put_bytes(&outer, 6, px_buf_view(&inner));
        px_protobuf_end(&outer, attribute);
        px_protobuf_end(&outer, node);
        struct px_buf swap = inner;
        inner = outer;
        outer = swap;
    }
    px_buf_clear(&outer);
    px_protobuf_put_bytes(&outer, 7, px_buf_view(&inner));
    CHECK_INT(px_onnx_diagnose(px_buf_view(&outer), &limits, &f.arena, &f.diagnosis, NULL),
              PX_E_TOO_LARGE);
    px_buf_deinit(&inner);
    px_buf_deinit(&outer);
    px_arena_deinit(&f.arena);
}

/* A tensor whose weights lie at `location`, as field `number`. */
static void write_external(struct px_buf *buf, uint32_t number, const char *location)
{
    size_t tensor = px_protobuf_begin(buf, number), entry = px_protobuf_begin(buf, 13);
    px_protobuf_put_text(buf, 1, "location");
    px_protobuf_put_text(buf, 2, location);
    px_protobuf_end(buf, entry);
    px_protobuf_put_u64(buf, 14, 1);
    px_protobuf_end(buf, tensor);
}

/* The same in a sparse tensor. */
static void write_sparse(struct px_buf *buf, uint32_t number, const char *location)
{
    size_t sparse = px_protobuf_begin(buf, number);
    write_external(buf, 2, location);
    px_protobuf_end(buf, sparse);
}

PX_TEST(weights_hide_in_no_corner_of_the_file)
{
    struct fixture f = {.arena = px_arena(1 << 20)};
    struct px_buf buf = px_buf(1 << 20);
    size_t graph = px_protobuf_begin(&buf, 7);
    write_sparse(&buf, 15, "sparse");
    size_t node = px_protobuf_begin(&buf, 1), attribute = px_protobuf_begin(&buf, 5);
    write_sparse(&buf, 22, "sparse attribute");
    px_protobuf_end(&buf, attribute);
    px_protobuf_end(&buf, node);
    px_protobuf_end(&buf, graph);
    size_t function = px_protobuf_begin(&buf, 25);
    attribute = px_protobuf_begin(&buf, 11);
    write_external(&buf, 5, "default");
    px_protobuf_end(&buf, attribute);
    px_protobuf_end(&buf, function);
    CHECK_OK(px_onnx_diagnose(px_buf_view(&buf), &limits, &f.arena, &f.diagnosis, NULL));
    CHECK_INT(f.diagnosis.n_external, 3);
    CHECK(!f.diagnosis.more_external);
    graph = px_protobuf_begin(&buf, 7);
    for (unsigned i = 0; i < PX_ONNX_EXTERNAL_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        write_external(&buf, 5, name);
    }
    px_protobuf_end(&buf, graph);
    CHECK_OK(px_onnx_diagnose(px_buf_view(&buf), &limits, &f.arena, &f.diagnosis, NULL));
    CHECK(f.diagnosis.more_external);
    px_buf_deinit(&buf);
    px_arena_deinit(&f.arena);
}

// clang-format off
PX_TEST_MAIN(
    T(a_good_model_has_nothing)
    T(mappings_and_doubles_are_unwise)
    T(what_an_export_forgot_is_found)
    T(a_dropout_that_is_off_is_right)
    T(scalars_are_told_from_shapes_that_are_not_known)
    T(versions_and_operators_that_no_library_has_are_errors)
    T(weights_outside_are_listed_and_may_be_missing)
    T(weights_hide_in_no_corner_of_the_file)
    T(functions_in_the_file_explain_their_domain)
    T(what_is_no_model_is_corrupt)
    T(graphs_in_graphs_have_a_limit))
// clang-format on
