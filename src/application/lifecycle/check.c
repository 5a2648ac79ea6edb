/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/check.h"

#include "application/batch/rows.h"
#include "application/batch/scores.h"
#include "application/lifecycle/forest_options.h"
#include "application/lifecycle/warm_up.h"
#include "shared/alloc.h"
#include "shared/file.h"
#include "shared/number.h"

#include <inttypes.h>
#include <math.h>

enum {
    GOLDEN_FILE_MAX = 256 << 20,
    SELF_TEST_SEED = 20240229,
    SCORE_NAME_MAX = 1 << 16,
    FEED_BYTES = 1 << 18,
};

struct golden {
    const struct px_package *package;
    const struct px_forest_info *info;
    struct px_golden_report *report;
    struct px_rows rows;
    struct px_matrix row; /* one */
    void *scores, *scratch;
    long *columns; /* [n_outputs]: the column that holds each expected score */
    bool found;    /* `columns` is filled */
};

static enum px_code create(struct golden *g, struct px_err *err)
{
    const struct px_forest_info *info = g->info;
    g->row = (struct px_matrix){
        .type = info->feature_type,
        .data = px_alloc(info->n_features + 1, px_datatype_size(info->feature_type)),
        .n_rows = 1,
        .n_cols = info->n_features,
        .stride = info->n_features,
    };
    g->scores = px_alloc(info->n_outputs, px_datatype_size(info->score_type));
    g->scratch =
        px_alloc_aligned(PX_CACHE_LINE, px_forest_scratch_size(g->package->forest, 1) + 1, 1);
    g->columns = px_alloc(info->n_outputs, sizeof *g->columns);
    if (g->row.data && g->scores && g->scratch && g->columns)
        return PX_OK;
    return px_err_set(err, PX_E_NO_MEMORY, "no memory to compare golden rows");
}

static void destroy(struct golden *g)
{
    px_rows_deinit(&g->rows);
    px_free(g->row.data);
    px_free(g->scores);
    px_free(g->scratch);
    px_free(g->columns);
}

static enum px_code find_columns(struct golden *g, struct px_err *err)
{
    struct px_buf name = px_buf(SCORE_NAME_MAX);
    enum px_code code = PX_OK;
    for (size_t i = 0; i < g->info->n_outputs && code == PX_OK; i++) {
        px_buf_clear(&name);
        px_buf_str(&name, g->package->golden_scores);
        px_score_name(&g->package->signature, g->info->n_outputs, i, &name);
        g->columns[i] = px_rows_column(&g->rows, px_buf_view(&name));
        if (g->columns[i] < 0) {
            px_err_set(err, PX_E_INVALID, "there is no column '%s' with the expected scores",
                       px_buf_cstr(&name));
            code = px_err_hint(err, "golden rows are feature columns and score columns; "
                                    "'phoenix predict' prints such scores");
        }
    }
    px_buf_deinit(&name);
    g->found = code == PX_OK;
    return code;
}

/* The value that the text stands for, in the type of the scores; texts are not compared. */
static bool parse_score(enum px_datatype type, struct px_str text, double *ret)
{
    float narrow;
    if (type == PX_TYPE_FP64)
        return px_str_to_f64(text, ret);
    if (!px_str_to_f32(text, &narrow))
        return false;
    *ret = (double)narrow;
    return true;
}

static void note_worst(struct golden *g, size_t score, double expected, double got)
{
    struct px_golden_report *r = g->report;
    double now = fabs(expected - got), worst = fabs(r->worst_expected - r->worst_got);
    if (r->worst_line && !(now > worst) && !(isnan(now) && !isnan(worst)))
        return;
    struct px_str column = g->rows.columns[g->columns[score]];
    r->worst_line = g->rows.record.line;
    r->worst_expected = expected;
    r->worst_got = got;
    snprintf(r->worst_column, sizeof r->worst_column, "%.*s", PX_STR_ARG(column));
}

static enum px_code compare_row(struct golden *g, struct px_err *err)
{
    bool different = false;
    if (!g->found) {
        enum px_code code = find_columns(g, err);
        if (code != PX_OK)
            return code;
    }
    px_forest_predict(g->package->forest, &g->row, g->scores, g->scratch, 0);
    for (size_t i = 0; i < g->info->n_outputs; i++) {
        struct px_str text = px_str_trim(g->rows.record.fields[g->columns[i]].text);
        double got = px_score_get(g->info->score_type, g->scores, i), expected;
        if (!parse_score(g->info->score_type, text, &expected))
            return px_err_set(
                err, PX_E_INVALID, "line %" PRIu64 ": column '%.*s' must be a number, got '%.*s'",
                g->rows.record.line, PX_STR_ARG(g->rows.columns[g->columns[i]]), PX_STR_ARG(text));
        if (expected == got || (isnan(expected) && isnan(got)))
            continue;
        different = true;
        note_worst(g, i, expected, got);
    }
    g->report->n_rows++;
    g->report->n_different += different;
    return PX_OK;
}

/* Feeds the next piece of the text; at its end, the end. */
static enum px_code feed(struct golden *g, struct px_str *rest, struct px_err *err)
{
    size_t n = rest->len < FEED_BYTES ? rest->len : FEED_BYTES;
    enum px_code code = px_rows_feed(&g->rows, rest->ptr, n, err);
    *rest = px_str_n(rest->ptr + n, rest->len - n);
    return code;
}

static enum px_code compare_all(struct golden *g, struct px_str text, struct px_err *err)
{
    enum px_code code = PX_OK;
    while (code == PX_OK) {
        switch (px_rows_next(&g->rows, &g->row, 0, err)) {
        case PX_ROWS_ROW:
            code = compare_row(g, err);
            break;
        case PX_ROWS_MORE:
            code = feed(g, &text, err);
            break;
        case PX_ROWS_BAD:
            px_err_wrap(err, "line %" PRIu64, g->rows.record.line);
            return PX_E_INVALID;
        case PX_ROWS_FAILED:
            return PX_E_INVALID;
        case PX_ROWS_NONE:
        case PX_ROWS_END:
            return PX_OK;
        }
    }
    return code;
}

static enum px_code judge(const struct golden *g, struct px_err *err)
{
    const struct px_golden_report *r = g->report;
    char expected[PX_NUMBER_TEXT_MAX], got[PX_NUMBER_TEXT_MAX];
    if (r->n_rows == 0)
        return px_err_set(err, PX_E_INVALID, "there are no golden rows, only a header");
    if (r->n_different == 0)
        return PX_OK;
    bool narrow = g->info->score_type == PX_TYPE_FP32;
    size_t n_expected = narrow ? px_number_print_f32((float)r->worst_expected, expected)
                               : px_number_print_f64(r->worst_expected, expected);
    size_t n_got = narrow ? px_number_print_f32((float)r->worst_got, got)
                          : px_number_print_f64(r->worst_got, got);
    px_err_set(err, PX_E_CONFLICT,
               "%zu of %zu golden rows score differently; the worst is line %" PRIu64
               ", %s: expected %.*s, got %.*s",
               r->n_different, r->n_rows, r->worst_line, r->worst_column, (int)n_expected, expected,
               (int)n_got, got);
    return px_err_hint(err, "the golden rows come from another model or another 'rounds' (all or "
                            "best), or their features were prepared differently");
}

enum px_code px_check_golden(const struct px_package *package, const char *path,
                             struct px_golden_report *ret, struct px_err *err)
{
    struct golden g = {.package = package, .info = px_forest_info(package->forest), .report = ret};
    struct px_rows_options options = {.target = package->target, .with_scores = true};
    struct px_file file = {0};
    *ret = (struct px_golden_report){0};
    enum px_code code = px_file_load(&file, path, GOLDEN_FILE_MAX, err);
    if (code != PX_OK)
        return code;
    px_rows_init(&g.rows, &package->signature, &options);
    code = create(&g, err);
    if (code == PX_OK)
        code = compare_all(&g, file.bytes, err);
    if (code == PX_OK)
        code = judge(&g, err);
    destroy(&g);
    px_file_unload(&file);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "%s", path);
}

static enum px_code first_failure(const struct px_check_report *report, struct px_err *err)
{
    const struct px_err *failure = NULL;
    if (!report->self_test_passed)
        failure = &report->self_test_error;
    else if (report->has_golden && !report->golden_passed)
        failure = &report->golden_error;
    if (!failure)
        return PX_OK;
    if (err)
        *err = *failure;
    return failure->code;
}

static void self_test(const struct px_package *package, struct px_check_report *report)
{
    struct px_err *why = &report->self_test_error;
    enum px_code code =
        px_forest_self_test(package->forest, PX_CHECK_SELF_TEST_ROWS, SELF_TEST_SEED, why);
    report->self_test_passed = code == PX_OK;
    if (code == PX_E_INTERNAL)
        px_err_hint(why, "a fault of Phoenix, please report it; " PX_KERNEL_VARIABLE
                         "=walker serves this model slowly and rightly");
}

enum px_code px_check_package(const struct px_package *package, const char *golden_path,
                              struct px_check_report *ret, struct px_err *err)
{
    *ret = (struct px_check_report){0};
    if (package->engine)
        ret->self_test_passed = true; /* that is a tree model's */
    else
        self_test(package, ret);
    if (!golden_path && package->golden_path.len)
        golden_path = package->golden_path.ptr;
    ret->has_golden = golden_path != NULL;
    if (golden_path && package->engine)
        ret->golden_passed = px_check_golden_requests(package, golden_path, &ret->golden,
                                                      &ret->golden_error) == PX_OK;
    else if (golden_path)
        ret->golden_passed =
            px_check_golden(package, golden_path, &ret->golden, &ret->golden_error) == PX_OK;
    return first_failure(ret, err);
}

enum px_code px_check_answers(const struct px_package *package, struct px_check_report *report,
                              struct px_err *err)
{
    bool golden;
    if (!package->engine || package->warm_up.runs == 0 || report->has_golden)
        return PX_OK;
    report->has_warm_up = true;
    enum px_code code = px_package_warm_up(package, 1, &golden, &report->warm_up_error);
    report->warm_up_passed = code == PX_OK;
    report->warm_up_refused = !golden && code == PX_E_INVALID;
    if (code != PX_OK)
        px_err_wrap(&report->warm_up_error, "the model is opened, but a request of zeros fails");
    if (code == PX_OK || report->warm_up_refused)
        return PX_OK;
    if (err)
        *err = report->warm_up_error;
    return code;
}
