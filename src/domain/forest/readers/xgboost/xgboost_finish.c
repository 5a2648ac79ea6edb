/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second step of reading an XGBoost model: the parts are there, now they are checked against each
 * other and become the internal form. Each function below handles one fact; px_xgboost_finish lists them
 * in the order in which they depend on each other.
 */
#include "domain/forest/readers/xgboost/xgboost_file.h"

#include "shared/number.h"

#include <inttypes.h>
#include <math.h>

/* The newest version whose sources this reader was written from. */
enum { VERSION_MAJOR_KNOWN = 3, VERSION_MINOR_KNOWN = 4 };

static int version_number(const struct px_xgboost_file *file)
{
    if (file->version.len < 2)
        return VERSION_MAJOR_KNOWN * 100 + VERSION_MINOR_KNOWN;
    return (int)(file->version.items[0] * 100 + file->version.items[1]);
}

static enum px_code take_version(struct px_xgboost_file *file, struct px_err *err)
{
    char text[64];
    const int64_t *v = file->version.items;
    if (file->version.len == 0)
        return px_ir_warn(file->ir, err,
                          "the file does not say which XGBoost wrote it; read as version %d.%d",
                          VERSION_MAJOR_KNOWN, VERSION_MINOR_KNOWN);
    if (file->version.len != 3 || v[0] < 0 || v[1] < 0 || v[2] < 0 || v[0] > 999 || v[1] > 99 ||
        v[2] > 9999)
        return px_err_set(err, PX_E_CORRUPT, "version: expected three small numbers, like [3,2,0]");
    snprintf(text, sizeof text, "%d.%d.%d", (int)v[0], (int)v[1], (int)v[2]);
    file->ir->library_version = px_arena_str(&file->ir->arena, px_str(text));
    if (!file->ir->library_version.ptr)
        return px_ir_no_memory(err);
    if (version_number(file) > VERSION_MAJOR_KNOWN * 100 + VERSION_MINOR_KNOWN)
        return px_ir_warn(file->ir, err,
                          "written by XGBoost %s, newer than %d.%d, the newest known here; compare "
                          "some predictions before serving it",
                          text, VERSION_MAJOR_KNOWN, VERSION_MINOR_KNOWN);
    return PX_OK;
}

static enum px_code check_parts(const struct px_xgboost_file *file, struct px_err *err)
{
    if (!file->has_learner)
        return px_err_set(err, PX_E_CORRUPT, "the file has no 'learner': not an XGBoost model");
    if (px_str_is(file->booster, "gblinear")) {
        px_err_set(err, PX_E_UNSUPPORTED, "booster 'gblinear' is not supported");
        return px_err_hint(err, "only tree boosters (gbtree, dart) are served");
    }
    if (!px_str_is(file->booster, "gbtree") && !px_str_is(file->booster, "dart"))
        return px_err_set(err, PX_E_UNSUPPORTED, "booster '%.*s' is not supported",
                          PX_STR_ARG(file->booster));
    if (!file->has_trees)
        return px_err_set(err, PX_E_CORRUPT, "gradient_booster: no 'trees'");
    return PX_OK;
}

static enum px_code take_sizes(struct px_xgboost_file *file, struct px_err *err)
{
    int64_t classes = file->num_class, targets = file->num_target;
    if (classes < 0 || targets < 0 || file->num_feature < 0)
        return px_err_set(err, PX_E_CORRUPT,
                          "learner_model_param: num_class %" PRId64 ", num_target %" PRId64
                          ", num_feature %" PRId64 ": none may be negative",
                          classes, targets, file->num_feature);
    if (classes > 1 && targets > 1)
        return px_err_set(err, PX_E_CORRUPT,
                          "learner_model_param: both num_class (%" PRId64 ") and num_target "
                          "(%" PRId64 ") exceed 1",
                          classes, targets);
    int64_t outputs = classes > 1 ? classes : targets > 1 ? targets : 1;
    if (outputs > PX_FOREST_OUTPUTS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE,
                          "the model declares %" PRId64 " outputs; the limit is %d", outputs,
                          PX_FOREST_OUTPUTS_MAX);
    file->ir->n_margins = (size_t)outputs;
    file->ir->n_features = (size_t)file->num_feature;
    return PX_OK;
}

static enum px_code take_outputs(struct px_xgboost_file *file, struct px_err *err)
{
    size_t n = file->ir->trees.len;
    if (file->num_trees < 0 || (uint64_t)file->num_trees != n)
        return px_err_set(err, PX_E_CORRUPT,
                          "gbtree_model_param: num_trees is %" PRId64 ", but there are %zu trees",
                          file->num_trees, n);
    if (file->tree_info.len != n)
        return px_err_set(err, PX_E_CORRUPT, "tree_info has %zu elements for %zu trees",
                          file->tree_info.len, n);
    for (size_t t = 0; t < n; t++) {
        struct px_tree *tree = &file->ir->trees.items[t];
        int64_t output = file->tree_info.items[t];
        if (output < 0 || (uint64_t)output >= file->ir->n_margins)
            return px_err_set(err, PX_E_CORRUPT,
                              "tree %zu: tree_info says output %" PRId64 ", but the model has %zu",
                              t, output, file->ir->n_margins);
        tree->output = tree->width == 1 ? (uint32_t)output : 0;
    }
    return PX_OK;
}

static enum px_code take_weights(struct px_xgboost_file *file, struct px_err *err)
{
    size_t n = file->ir->trees.len;
    bool dart = px_str_is(file->booster, "dart");
    if (!file->has_weights || (file->weights.len == 0 && !dart)) {
        if (dart)
            return px_err_set(err, PX_E_CORRUPT, "booster 'dart' without weight_drop");
        return PX_OK;
    }
    if (file->weights.len != n)
        return px_err_set(err, PX_E_CORRUPT, "weight_drop has %zu elements for %zu trees",
                          file->weights.len, n);
    for (size_t t = 0; t < n; t++) {
        if (!isfinite(file->weights.items[t]))
            return px_err_set(err, PX_E_CORRUPT, "weight_drop of tree %zu is not finite", t);
        file->ir->trees.items[t].weight = (double)file->weights.items[t];
    }
    return PX_OK;
}

static enum px_code check_iteration_starts(const struct px_xgboost_file *file, struct px_err *err)
{
    const struct px_ints *starts = &file->iteration_starts;
    for (size_t i = 0; i < starts->len; i++) {
        int64_t before = i ? starts->items[i - 1] : 0;
        if (starts->items[i] < before || (i == 0 && starts->items[i] != 0))
            return px_err_set(err, PX_E_CORRUPT,
                              "iteration_indptr[%zu] is %" PRId64
                              ": expected numbers that ascend from 0",
                              i, starts->items[i]);
    }
    if ((uint64_t)starts->items[starts->len - 1] != file->ir->trees.len)
        return px_err_set(err, PX_E_CORRUPT,
                          "iteration_indptr ends at %" PRId64 ", but there are %zu trees",
                          starts->items[starts->len - 1], file->ir->trees.len);
    return PX_OK;
}

/* Trees of one boosting round where the file has no iteration_indptr (up to 1.7). */
static size_t trees_per_round(const struct px_xgboost_file *file)
{
    int64_t groups = 1;
    for (size_t t = 0; t < file->tree_info.len; t++) {
        if (file->tree_info.items[t] + 1 > groups)
            groups = file->tree_info.items[t] + 1;
    }
    int64_t parallel = file->num_parallel_tree;
    if (parallel < 1 || parallel > PX_FOREST_NODES_MAX)
        parallel = 1; /* early files say 0 */
    return (size_t)(parallel * groups);
}

static enum px_code take_rounds(struct px_xgboost_file *file, enum px_forest_rounds rounds,
                                struct px_err *err)
{
    struct px_forest_ir *ir = file->ir;
    size_t per_round = trees_per_round(file);
    bool listed = file->iteration_starts.len > 0;
    enum px_code code = listed ? check_iteration_starts(file, err) : PX_OK;
    if (code != PX_OK)
        return code;
    ir->n_rounds =
        listed ? file->iteration_starts.len - 1 : (ir->trees.len + per_round - 1) / per_round;
    ir->best_round = ir->n_rounds ? ir->n_rounds - 1 : 0;
    if (!file->has_best_iteration)
        return PX_OK;
    if (file->best_iteration < 0 || (uint64_t)file->best_iteration >= ir->n_rounds)
        return px_ir_warn(
            ir, err, "best_iteration is %" PRId64 ", but the file has %zu rounds; it is ignored",
            file->best_iteration, ir->n_rounds);
    ir->best_round = (size_t)file->best_iteration;
    if (ir->best_round + 1 == ir->n_rounds)
        return PX_OK;
    if (rounds == PX_ROUNDS_BEST) {
        px_ir_truncate(ir, listed ? (size_t)file->iteration_starts.items[ir->best_round + 1]
                                  : (ir->best_round + 1) * per_round);
        return PX_OK;
    }
    return px_ir_warn(ir, err,
                      "training stopped early: round %zu of %zu was best; all rounds are used, as "
                      "Booster.predict() does (the scikit-learn wrapper uses the best only)",
                      ir->best_round + 1, ir->n_rounds);
}

static enum px_code check_classes(const struct px_xgboost_file *file,
                                  const struct px_xgboost_objective *objective, struct px_err *err)
{
    if (!px_xgboost_objective_is_multiclass(objective))
        return PX_OK;
    if (file->num_class < 2)
        return px_err_set(err, PX_E_CORRUPT, "objective '%.*s' with num_class %" PRId64,
                          PX_STR_ARG(file->objective), file->num_class);
    if (file->objective_classes > 0 && file->objective_classes != file->num_class)
        return px_err_set(err, PX_E_CORRUPT,
                          "num_class is %" PRId64 " in learner_model_param and %" PRId64
                          " in the objective",
                          file->num_class, file->objective_classes);
    return PX_OK;
}

/* Takes the brackets or parentheses off a list; a plain number stays as it is. */
static struct px_str strip_brackets(struct px_str text)
{
    bool list = text.len >= 2 && ((text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') ||
                                  (text.ptr[0] == '(' && text.ptr[text.len - 1] == ')'));
    return list ? px_str_n(text.ptr + 1, text.len - 2) : text;
}

/* The base scores as text: a number, or a list in brackets or parentheses. */
static enum px_code parse_base_score(const struct px_xgboost_file *file, float *base, size_t *ret_n,
                                     struct px_err *err)
{
    struct px_str text = strip_brackets(px_str_trim(file->base_score));
    size_t n = 0;
    if (!file->base_score.ptr)
        return px_err_set(err, PX_E_CORRUPT, "learner_model_param has no base_score");
    for (struct px_str rest = text; rest.ptr && n <= file->ir->n_margins; n++) {
        float value;
        struct px_str part = px_str_trim(px_str_cut(&rest, ','));
        if (!px_str_to_f32(part, &value) || !isfinite(value))
            return px_err_set(err, PX_E_CORRUPT, "base_score: '%.*s' is no finite number",
                              PX_STR_ARG(part));
        if (n < file->ir->n_margins)
            base[n] = value;
    }
    if (n != 1 && n != file->ir->n_margins)
        return px_err_set(err, PX_E_CORRUPT,
                          "base_score has another number of values than 1 or one for each of the "
                          "%zu outputs",
                          file->ir->n_margins);
    *ret_n = n;
    return PX_OK;
}

static enum px_code take_base(struct px_xgboost_file *file,
                              const struct px_xgboost_objective *objective, struct px_err *err)
{
    struct px_forest_ir *ir = file->ir;
    size_t n = 0;
    float *base = px_arena_zalloc(&ir->arena, ir->n_margins, sizeof *base);
    ir->base = px_arena_zalloc(&ir->arena, ir->n_margins, sizeof *ir->base);
    if (!base || !ir->base)
        return px_ir_no_memory(err);
    enum px_code code = parse_base_score(file, base, &n, err);
    for (size_t k = 1; code == PX_OK && n == 1 && k < ir->n_margins; k++)
        base[k] = base[0];
    if (code == PX_OK)
        code = px_xgboost_objective_link(objective, version_number(file), base, ir->n_margins, err);
    for (size_t k = 0; code == PX_OK && k < ir->n_margins; k++)
        ir->base[k] = (double)base[k];
    return code;
}

static enum px_code take_objective(struct px_xgboost_file *file, struct px_err *err)
{
    const struct px_xgboost_objective *objective = px_xgboost_objective_find(file->objective);
    if (!objective)
        return px_xgboost_objective_unknown(file->objective, err);
    enum px_code code = check_classes(file, objective, err);
    if (code != PX_OK)
        return code;
    file->ir->objective = px_arena_str(&file->ir->arena, file->objective);
    if (!file->ir->objective.ptr)
        return px_ir_no_memory(err);
    px_xgboost_objective_apply(objective, version_number(file), file->ir);
    int base_first_since = px_str_is(file->booster, "dart") ? PX_XGBOOST_1_4 : PX_XGBOOST_1_3;
    file->ir->base_last = version_number(file) < base_first_since;
    return take_base(file, objective, err);
}

/* Copies texts, which may be views into the file, into the arena. */
static struct px_str *copy_strings(struct px_forest_ir *ir, const struct px_strs *from)
{
    struct px_str *copy = px_arena_zalloc(&ir->arena, from->len, sizeof *copy);
    for (size_t i = 0; copy && i < from->len; i++) {
        copy[i] = px_arena_str(&ir->arena, from->items[i]);
        if (!copy[i].ptr)
            return NULL;
    }
    return copy;
}

static enum px_code check_per_feature(const struct px_forest_ir *ir, const char *field, size_t n,
                                      struct px_err *err)
{
    if (n == 0 || n == ir->n_features)
        return PX_OK;
    return px_err_set(err, PX_E_CORRUPT, "%s has %zu elements for %zu features", field, n,
                      ir->n_features);
}

static enum px_code take_features(struct px_xgboost_file *file, struct px_err *err)
{
    struct px_forest_ir *ir = file->ir;
    enum px_code code = check_per_feature(ir, "feature_names", file->feature_names.len, err);
    if (code == PX_OK)
        code = check_per_feature(ir, "feature_types", file->feature_types.len, err);
    if (code == PX_OK)
        code = check_per_feature(ir, "cats", file->n_categories, err);
    if (code == PX_OK)
        code = px_ir_check_features(ir->n_features, err);
    if (code != PX_OK)
        return code;
    ir->categorical = px_arena_zalloc(&ir->arena, ir->n_features, sizeof(bool));
    if (file->feature_names.len)
        ir->feature_names = copy_strings(ir, &file->feature_names);
    if (!ir->categorical || (file->feature_names.len && !ir->feature_names))
        return px_ir_no_memory(err);
    for (size_t i = 0; i < file->feature_types.len; i++)
        ir->categorical[i] = px_str_is(file->feature_types.items[i], "c");
    ir->categories = file->n_categories ? file->categories : NULL;
    return PX_OK;
}

static enum px_code take_labels(struct px_xgboost_file *file, struct px_err *err)
{
    if (file->class_labels.len == 0 || file->class_labels.len != file->ir->n_classes)
        return PX_OK;
    file->ir->class_labels = copy_strings(file->ir, &file->class_labels);
    return file->ir->class_labels ? PX_OK : px_ir_no_memory(err);
}

/*
 * 1.6 sent codes that are no category (negative, beyond the split's bit words) to the default side, all
 * other versions left. The majority's rule is used for every file.
 */
static enum px_code warn_invalid_categories(const struct px_xgboost_file *file, struct px_err *err)
{
    int version = version_number(file);
    if (file->ir->sets.len == 0 || version < PX_XGBOOST_1_6 || version >= PX_XGBOOST_1_7)
        return PX_OK;
    return px_ir_warn(file->ir, err,
                      "XGBoost 1.6 itself sends unknown categories to the default side of a split; "
                      "here they go left, as in every other version");
}

static enum px_code warn_infinite_leaves(struct px_forest_ir *ir, struct px_err *err)
{
    for (size_t i = 0; i < ir->leaf_values.len; i++) {
        if (isinf(ir->leaf_values.items[i]))
            return px_ir_warn(ir, err, "some leaf values are infinite");
    }
    return PX_OK;
}

enum px_code px_xgboost_finish(struct px_xgboost_file *file, enum px_forest_rounds rounds,
                               struct px_err *err)
{
    enum px_code code = check_parts(file, err);
    if (code == PX_OK)
        code = take_version(file, err);
    if (code == PX_OK)
        code = take_sizes(file, err);
    if (code == PX_OK)
        code = take_outputs(file, err);
    if (code == PX_OK)
        code = take_weights(file, err);
    if (code == PX_OK)
        code = take_objective(file, err);
    if (code == PX_OK)
        code = take_rounds(file, rounds, err);
    if (code == PX_OK)
        code = take_features(file, err);
    if (code == PX_OK)
        code = take_labels(file, err);
    if (code == PX_OK)
        code = warn_invalid_categories(file, err);
    if (code == PX_OK)
        code = warn_infinite_leaves(file->ir, err);
    return code == PX_OK ? px_ir_finish(file->ir, err) : code;
}
