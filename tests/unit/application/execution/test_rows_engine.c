/* SPDX-License-Identifier: Apache-2.0 */
/* A forest as an engine of tensors: the same scores to the bit, every way of giving features, and what is refused. */
#include "application/execution/await.h"
#include "application/execution/forest_engine.h"
#include "application/lifecycle/tensor_engine.h"
#include "shared/alloc.h"
#include "shared/file.h"
#include "tiny_model.h"

#include "harness.h"

enum { ROWS = 3000, ARENA_MAX = 64 << 20 };

static char folder[] = "/tmp/px_rows_engine_XXXXXX";
static struct px_package *package;
static struct px_engine *engine;
static struct px_arena arena;
static struct px_err err;
static double values[ROWS][2];

static void put(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(px_file_write(path, px_str(text), &err));
}

static void set_up(const char *yaml)
{
    put("m.txt", tiny_model);
    put("model.yaml", yaml);
    CHECK_OK(px_package_open(folder, NULL, &package, &err));
    CHECK_OK(px_package_tensor_engine(package, &engine, &err));
    arena = px_arena(ARENA_MAX);
    for (size_t i = 0; i < ROWS; i++) {
        values[i][0] = (double)(i % 61);
        values[i][1] = i % 7 == 0 ? (double)NAN : (double)(i % 3) / 2;
    }
}

static const char plain[] = "phoenix: 1\nmodel: m.txt\n";

static void tear_down(void)
{
    px_arena_deinit(&arena);
    px_package_close(package);
}

static struct px_tensor tensor(const char *name, enum px_datatype type, const void *bytes,
                               size_t n_bytes)
{
    return (struct px_tensor){
        .name = px_str(name), .type = type, .bytes = px_str_n(bytes, n_bytes)};
}

static enum px_code run(const struct px_tensor *inputs, size_t n_inputs, struct px_tensor *outputs,
                        size_t n_outputs)
{
    struct px_run run = {.inputs = inputs,
                         .n_inputs = n_inputs,
                         .outputs = outputs,
                         .n_outputs = n_outputs,
                         .arena = &arena};
    enum px_code code = px_engine_check_run(engine, &run, &err);
    return code == PX_OK ? px_engine_await(engine, &run, &err) : code;
}

/* What the rows engine gives, all rows at once. */
static void score(double *out, unsigned flags)
{
    struct px_engine *rows = NULL;
    CHECK_OK(px_forest_engine_create(package->forest, NULL, &rows, &err));
    const struct px_matrix in = {
        .type = rows->feature_type, .data = values, .n_rows = ROWS, .n_cols = 2, .stride = 2};
    struct px_matrix scores = {
        .type = rows->score_type, .data = out, .n_rows = ROWS, .n_cols = 1, .stride = 1};
    void *scratch = px_alloc_aligned(PX_CACHE_LINE, px_engine_scratch_size(rows, ROWS) + 1, 1);
    CHECK_OK(px_engine_score(rows, &in, &scores, scratch, flags, &err));
    px_free(scratch);
    px_engine_destroy(rows);
}

static void check_equal(const struct px_tensor *out, unsigned flags)
{
    double *expected = px_xalloc(ROWS, sizeof *expected);
    score(expected, flags);
    CHECK(out->type == PX_TYPE_FP64 && out->n_dims == 2 && out->shape[0] == ROWS);
    CHECK_INT(out->bytes.len, ROWS * sizeof *expected);
    CHECK(memcmp(out->bytes.ptr, expected, ROWS * sizeof *expected) == 0);
    px_free(expected);
}

static struct px_tensor matrix(const void *bytes, size_t n_rows)
{
    struct px_tensor t = tensor("input", PX_TYPE_FP64, bytes, n_rows * 2 * sizeof(double));
    t.n_dims = 2;
    t.shape[0] = n_rows;
    t.shape[1] = 2;
    return t;
}

PX_TEST(a_folder_is_made)
{
    CHECK(mkdtemp(folder));
}

PX_TEST(a_whole_matrix_scores_as_the_rows_engine_to_the_bit)
{
    set_up(plain);
    const struct px_tensor in = matrix(values, ROWS);
    struct px_tensor out[] = {{.name = PX_STR("predictions")}, {.name = PX_STR("margins")}};
    CHECK_OK(run(&in, 1, out, 2));
    check_equal(&out[0], 0);
    check_equal(&out[1], PX_SCORE_MARGIN);
    char *odd = px_xalloc(sizeof values + 1, 1); /* as it may lie in a request */
    memcpy(odd + 1, values, sizeof values);
    const struct px_tensor unaligned = matrix(odd + 1, ROWS);
    CHECK_OK(run(&unaligned, 1, out, 1));
    check_equal(&out[0], 0);
    px_free(odd);
    tear_down();
}

PX_TEST(one_tensor_for_each_feature_scores_the_same)
{
    static double ages[ROWS], amounts[ROWS];
    set_up(plain);
    for (size_t i = 0; i < ROWS; i++) {
        ages[i] = values[i][0];
        amounts[i] = values[i][1];
    }
    struct px_tensor in[] = {tensor("amount", PX_TYPE_FP64, amounts, sizeof amounts),
                             tensor("age", PX_TYPE_FP64, ages, sizeof ages)};
    struct px_tensor out = {.name = PX_STR("predictions")};
    in[0].n_dims = 1;
    in[0].shape[0] = ROWS;
    in[1].n_dims = 2;
    in[1].shape[0] = ROWS;
    in[1].shape[1] = 1;
    CHECK_OK(run(in, 2, &out, 1));
    check_equal(&out, 0);
    for (size_t i = 0; i < ROWS; i++)
        values[i][1] = (double)NAN;
    CHECK_OK(run(&in[1], 1, &out, 1)); /* an absent feature is missing */
    check_equal(&out, 0);
    tear_down();
}

static const char categories[] =
    "phoenix: 1\nmodel: m.txt\ntask: binary\nlabels: [no, yes]\nfeatures:\n"
    "  - {name: age, type: category, categories: [young, old]}\n  - {name: amount, type: "
    "boolean}\n";

static struct px_str texts(char *out, const char *const *list, size_t n)
{
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t length = (uint32_t)strlen(list[i]);
        memcpy(out + at, &length, sizeof length);
        memcpy(out + at + sizeof length, list[i], length);
        at += sizeof length + length;
    }
    return px_str_n(out, at);
}

PX_TEST(categories_come_as_texts_and_labels_go_as_texts)
{
    static const char *const ages[] = {"young", "old", "unheard of"};
    static const bool amounts[] = {false, true, true};
    char bytes[64];
    set_up(categories);
    struct px_tensor in[] = {{.name = PX_STR("age"),
                              .type = PX_TYPE_BYTES,
                              .n_dims = 1,
                              .shape = {3},
                              .bytes = texts(bytes, ages, 3)},
                             tensor("amount", PX_TYPE_BOOL, amounts, sizeof amounts)};
    in[1].n_dims = 1;
    in[1].shape[0] = 3;
    struct px_tensor out[] = {{.name = PX_STR("labels")}, {.name = PX_STR("predictions")}};
    CHECK_OK(run(in, 2, out, 2));
    double scores[3];
    CHECK_INT(out[1].bytes.len, sizeof scores);
    memcpy(scores, out[1].bytes.ptr, sizeof scores);
    CHECK(scores[0] == 11 && scores[1] == 12 && scores[2] == 22);
    struct px_str rest = out[0].bytes, label;
    CHECK(px_tensor_next_text(&rest, &label));
    CHECK_INT(out[0].shape[0], 3);
    tear_down();
}

PX_TEST(what_is_no_request_is_refused)
{
    set_up(plain);
    struct px_tensor out = {.name = PX_STR("predictions")};
    struct px_tensor both[] = {matrix(values, 2), tensor("age", PX_TYPE_FP64, values, 16)};
    both[1].n_dims = 1;
    both[1].shape[0] = 2;
    CHECK_INT(run(both, 2, &out, 1), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "both");
    CHECK_INT(run(NULL, 0, &out, 1), PX_E_INVALID);
    struct px_tensor uneven[] = {both[1], tensor("amount", PX_TYPE_FP64, values, 32)};
    uneven[1].n_dims = 2;
    uneven[1].shape[0] = 2;
    uneven[1].shape[1] = 2;
    CHECK_INT(run(uneven, 2, &out, 1), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "amount");
    out.name = px_str("labels"); /* of a regression */
    CHECK_INT(run(both, 1, &out, 1), PX_E_INVALID);
    tear_down();
}

PX_TEST(no_rows_have_no_scores)
{
    set_up(plain);
    const struct px_tensor in = matrix(values, 0);
    struct px_tensor out = {.name = PX_STR("predictions")};
    CHECK_OK(run(&in, 1, &out, 1));
    CHECK(out.bytes.len == 0 && out.shape[0] == 0);
    tear_down();
}

PX_TEST(one_engine_for_one_package)
{
    struct px_engine *again = NULL;
    set_up(plain);
    CHECK_OK(px_package_tensor_engine(package, &again, &err));
    CHECK(again == engine);
    tear_down();
}

PX_TEST(no_failing_allocation_crashes)
{
    set_up(plain);
    for (uint64_t n = 1; n < 100; n++) {
        struct px_package *p = NULL;
        struct px_engine *e = NULL;
        CHECK_OK(px_package_open(folder, NULL, &p, &err));
        px_alloc_fail_at(n);
        enum px_code code = px_package_tensor_engine(p, &e, &err);
        px_alloc_fail_at(0);
        px_package_close(p);
        if (code == PX_OK) {
            tear_down();
            return;
        }
        CHECK_INT(code, PX_E_NO_MEMORY);
    }
    CHECK(false);
}

PX_TEST(the_folder_is_removed)
{
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_INT(system(command), 0);
}

PX_TEST_MAIN(T(a_folder_is_made) T(a_whole_matrix_scores_as_the_rows_engine_to_the_bit)
                 T(one_tensor_for_each_feature_scores_the_same)
                     T(categories_come_as_texts_and_labels_go_as_texts)
                         T(what_is_no_request_is_refused) T(no_rows_have_no_scores)
                             T(one_engine_for_one_package) T(no_failing_allocation_crashes)
                                 T(the_folder_is_removed))
