/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/forest.h"

#include "domain/forest/explain.h"
#include "domain/forest/kernels/walker.h"
#include "domain/forest/planner.h"
#include "domain/forest/readers/readers.h"
#include "domain/forest/selftest.h"
#include "domain/forest/typical.h"

struct px_forest {
    struct px_forest_ir ir;
    struct px_plan plan;
    struct px_forest_info info;
    struct px_forest_choice choices[PX_PLAN_CLASSES]; /* what info points to */
    struct px_forest_kernel kernels[PX_KERNELS];
};

static enum px_code read_model(struct px_forest *forest, struct px_str bytes,
                               enum px_forest_rounds rounds, struct px_err *err)
{
    struct px_err why = {0};
    enum px_forest_format format = px_forest_detect(bytes, &why);
    if (format == PX_FOREST_UNKNOWN) {
        px_err_set(err, why.code, "%s", why.message);
        return px_err_hint(err, "%s", why.hint);
    }
    bool lightgbm = format == PX_FOREST_LIGHTGBM_TEXT;
    bool catboost = format == PX_FOREST_CATBOOST_JSON;
    px_ir_init(&forest->ir, format, lightgbm || catboost ? PX_TYPE_FP64 : PX_TYPE_FP32, bytes.len);
    if (px_str_starts(bytes, "\xEF\xBB\xBF"))
        bytes = px_str_n(bytes.ptr + 3, bytes.len - 3);
    if (format == PX_FOREST_ONNX)
        return px_onnx_read(&forest->ir, bytes, err);
    if (lightgbm)
        return px_lightgbm_read(&forest->ir, bytes, err);
    if (catboost)
        return px_catboost_read(&forest->ir, bytes, err);
    return px_xgboost_read(&forest->ir, bytes, format == PX_FOREST_XGBOOST_UBJSON, rounds, err);
}

static void fill_plan_info(struct px_forest *forest)
{
    const struct px_plan *plan = &forest->plan;
    for (size_t i = 0; i < PX_PLAN_CLASSES; i++)
        forest->choices[i] = px_plan_describe_class(plan, i);
    for (size_t i = 0; i < PX_KERNELS; i++)
        forest->kernels[i] = px_plan_describe_kernel(plan, i);
    forest->info.kernel_one = forest->choices[0].kernel;
    forest->info.kernel_many = forest->choices[PX_PLAN_CLASSES - 1].kernel;
    forest->info.kernel_forced = plan->forced;
    forest->info.choices = forest->choices;
    forest->info.n_choices = PX_PLAN_CLASSES;
    forest->info.kernels = forest->kernels;
    forest->info.n_kernels = PX_KERNELS;
}

static void fill_info(struct px_forest *forest)
{
    const struct px_forest_ir *ir = &forest->ir;
    forest->info = (struct px_forest_info){
        .format = ir->format,
        .library_version = ir->library_version,
        .objective = ir->objective,
        .feature_type = ir->type,
        .score_type = ir->type,
        .n_features = ir->n_features,
        .feature_names = ir->feature_names,
        .names_made_up = ir->names_made_up,
        .categorical = ir->categorical,
        .n_outputs = ir->n_outputs,
        .n_margins = ir->n_margins,
        .n_classes = ir->n_classes,
        .score_is_probability = ir->score_is_probability,
        .decision_threshold = ir->decision_threshold,
        .n_trees = ir->trees.len,
        .n_nodes = ir->nodes.len,
        .n_leaves = ir->n_leaves,
        .depth_max = ir->depth_max,
        .n_rounds = ir->n_rounds,
        .best_round = ir->best_round,
        .bytes = px_ir_bytes(ir) + px_plan_bytes(&forest->plan),
        .warnings = ir->warnings.items,
        .n_warnings = ir->warnings.len,
        .class_labels = ir->class_labels,
    };
    fill_plan_info(forest);
}

enum px_code px_forest_create(struct px_str bytes, const struct px_forest_options *options,
                              struct px_forest **ret, struct px_err *err)
{
    static const struct px_forest_options defaults;
    if (!options)
        options = &defaults;
    struct px_forest *forest = px_alloc(1, sizeof *forest);
    if (!forest)
        return px_ir_no_memory(err);
    enum px_code code = read_model(forest, bytes, options->rounds, err);
    if (code == PX_OK && options->bytes_read)
        options->bytes_read(options->bytes_context);
    if (code == PX_OK) {
        struct px_plan_options plan = {.kernel = options->kernel,
                                       .clock_ns = options->clock_ns,
                                       .measure_ns = options->measure_ns};
        code = px_plan_init_with(&forest->plan, &forest->ir, &plan, err);
    }
    if (code != PX_OK) {
        px_forest_destroy(forest);
        return code;
    }
    fill_info(forest);
    *ret = forest;
    return PX_OK;
}

void px_forest_destroy(struct px_forest *forest)
{
    if (!forest)
        return;
    px_plan_deinit(&forest->plan);
    px_ir_deinit(&forest->ir);
    px_free(forest);
}

const struct px_forest_info *px_forest_info(const struct px_forest *forest)
{
    return &forest->info;
}

const struct px_str *px_forest_categories(const struct px_forest *forest, size_t feature,
                                          size_t *ret_n)
{
    PX_ASSERT(feature < forest->ir.n_features);
    const struct px_category_names *all = forest->ir.categories;
    *ret_n = all ? all[feature].n : 0;
    return *ret_n ? all[feature].names : NULL;
}

/* Room for margins that are not the scores, up to whole cache lines: the kernels' part comes after it. */
static size_t margins_scratch(const struct px_forest *forest, size_t n_rows)
{
    size_t bytes = n_rows * forest->ir.n_margins * px_datatype_size(forest->ir.type);
    return (bytes + PX_CACHE_LINE - 1) & ~(size_t)(PX_CACHE_LINE - 1);
}

size_t px_forest_scratch_size(const struct px_forest *forest, size_t rows_max)
{
    return margins_scratch(forest, rows_max) + px_plan_scratch_size(&forest->plan, rows_max);
}

static void transform_row_f32(const struct px_forest_ir *ir, const float *margins, float *scores)
{
    PX_ASSERT(ir->average_by == 0.0); /* no FP32 format averages */
    px_transform_f32(ir->transform, margins, scores, ir->n_margins);
}

/* `margins` may be `scores`; when it is not, it is scratch that may be changed. */
static void transform_row_f64(const struct px_forest_ir *ir, double *margins, double *scores)
{
    for (size_t k = 0; ir->average_by > 0.0 && k < ir->n_margins; k++)
        margins[k] /= ir->average_by;
    px_transform_f64(ir->transform, margins, scores, ir->n_margins);
}

static void transform_rows(const struct px_forest_ir *ir, void *margins, void *scores, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ir->type == PX_TYPE_FP32)
            transform_row_f32(ir, (const float *)margins + i * ir->n_margins,
                              (float *)scores + i * ir->n_outputs);
        else
            transform_row_f64(ir, (double *)margins + i * ir->n_margins,
                              (double *)scores + i * ir->n_outputs);
    }
}

void px_forest_predict(const struct px_forest *forest, const struct px_matrix *rows, void *out,
                       void *scratch, unsigned flags)
{
    const struct px_forest_ir *ir = &forest->ir;
    PX_ASSERT(rows->type == ir->type);
    PX_ASSERT(rows->n_cols == ir->n_features && rows->stride >= rows->n_cols);
    bool in_place = (flags & PX_FOREST_MARGIN) || ir->n_outputs == ir->n_margins;
    void *margins = in_place ? out : scratch;
    px_plan_margins(&forest->plan, rows, margins,
                    (char *)scratch + margins_scratch(forest, rows->n_rows));
    if (!(flags & PX_FOREST_MARGIN))
        transform_rows(ir, margins, out, rows->n_rows);
}

void px_forest_leaves(const struct px_forest *forest, const struct px_matrix *rows, uint32_t *out)
{
    const struct px_forest_ir *ir = &forest->ir;
    PX_ASSERT(rows->type == ir->type && rows->n_cols == ir->n_features);
    for (size_t i = 0; i < rows->n_rows; i++) {
        for (size_t t = 0; t < ir->trees.len; t++)
            out[i * ir->trees.len + t] =
                px_walker_leaf(ir, &ir->trees.items[t], px_matrix_row(rows, i));
    }
}

const char *px_forest_explain_refusal(const struct px_forest *forest)
{
    return px_explain_refusal(&forest->ir);
}

size_t px_forest_explain_scratch_size(const struct px_forest *forest)
{
    return px_explain_scratch_size(&forest->ir);
}

double px_forest_explain_steps(const struct px_forest *forest)
{
    return px_explain_steps(&forest->ir);
}

void px_forest_explain(const struct px_forest *forest, const struct px_matrix *rows, double *out,
                       void *scratch)
{
    PX_ASSERT(rows->type == forest->ir.type && rows->n_cols == forest->ir.n_features);
    PX_ASSERT(!px_explain_refusal(&forest->ir));
    px_explain_rows(&forest->ir, rows, out, scratch);
}

void px_forest_probe_rows(const struct px_forest *forest, uint64_t seed, struct px_matrix *rows)
{
    PX_ASSERT(rows->type == forest->ir.type && rows->n_cols == forest->ir.n_features);
    struct px_rng rng = px_rng(seed);
    px_selftest_rows(&forest->ir, &rng, rows);
}

void px_forest_typical_row(const struct px_forest *forest, struct px_matrix *row)
{
    px_typical_row(&forest->ir, row);
}

enum px_code px_forest_self_test(struct px_forest *forest, size_t n_rows, uint64_t seed,
                                 struct px_err *err)
{
    return px_selftest_plan(&forest->plan, n_rows, seed, &forest->info.self_test, err);
}
