/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading an XGBoost model, JSON or UBJSON, 1.0 to 3.4.
 *
 * The order of keys is not fixed (up to 2.x they are sorted, so the trees come before the number of
 * features), hence two steps: this file collects what stands where, xgboost_finish.c judges the whole.
 * Trees are built as they are read, so that only one tree's arrays are held at a time.
 *
 * Each object of the document is a table (px_doc_object). A key that comes twice replaces the first, as in
 * XGBoost.
 *
 * Dropout weights have had three places (beside `gbtree` inside a `dart` booster up to 3.2, beside
 * `model` in 3.3, inside `model` from 3.4 on); the tables accept all, whatever the version says.
 */
#include "domain/forest/readers/xgboost/xgboost_file.h"

#include "domain/forest/readers/readers.h"

#include <inttypes.h>

/* Into a struct px_strs. */
static void read_strings(struct px_doc *doc, void *target)
{
    struct px_strs *strings = target;
    strings->len = 0;
    px_doc_enter_array(doc);
    while (px_doc_next_element(doc)) {
        struct px_str *item = px_vec_push(strings);
        if (!item) {
            doc->no_memory = true;
            return;
        }
        *item = px_doc_str(doc);
    }
}

/* --- attributes ------------------------------------------------------------------------------- */

static void read_best_iteration(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    file->best_iteration = px_doc_param(doc);
    file->has_best_iteration = true;
}

/* Labels of classes: strings as they are, numbers as their text. */
static void read_labels(struct px_xgboost_file *file, struct px_json *json)
{
    file->class_labels.len = 0;
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        struct px_str label = px_doc_json_label(json);
        struct px_str *item = px_vec_push(&file->class_labels);
        if (!item) {
            px_json_fail(json, "out of memory"); /* ends the caller's walk as well */
            file->doc.no_memory = true;
            return;
        }
        *item = label;
    }
}

/*
 * The scikit-learn wrapper keeps its own JSON inside a string; old versions put the class labels there.
 * It is a convenience of another program, so a surprise in it costs the labels, not the model.
 */
static void read_wrapper(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    struct px_json json;
    struct px_str key;
    struct px_str text = px_doc_str(doc);
    px_json_init(&json, text, &file->ir->arena, PX_JSON_NONFINITE);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        if (px_str_is(key, "classes_") && px_json_peek(&json) == PX_JSON_ARRAY)
            read_labels(file, &json);
        else
            px_json_skip(&json);
    }
    if (px_json_failed(&json))
        file->class_labels.len = 0;
}

static void read_attributes(struct px_doc *doc, void *target)
{
    const struct px_doc_field fields[] = {
        {"best_iteration", read_best_iteration, target},
        {"scikit_learn", read_wrapper, target},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

/* --- parameters ------------------------------------------------------------------------------- */

static void read_model_param(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    const struct px_doc_field fields[] = {
        {"base_score", px_doc_read_str, &file->base_score},
        {"num_class", px_doc_read_param, &file->num_class},
        {"num_feature", px_doc_read_param, &file->num_feature},
        {"num_target", px_doc_read_param, &file->num_target},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void read_softmax_param(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    const struct px_doc_field fields[] = {
        {"num_class", px_doc_read_param, &file->objective_classes},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void read_objective(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    const struct px_doc_field fields[] = {
        {"name", px_doc_read_str, &file->objective},
        {"softmax_multiclass_param", read_softmax_param, file},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

/* --- the booster ------------------------------------------------------------------------------ */

static void read_gbtree_param(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    const struct px_doc_field fields[] = {
        {"num_trees", px_doc_read_param, &file->num_trees},
        {"num_parallel_tree", px_doc_read_param, &file->num_parallel_tree},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void read_trees(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    px_ir_clear_trees(file->ir);
    file->has_trees = true;
    px_doc_enter_array(doc);
    while (px_doc_next_element(doc))
        file->code = px_xgboost_read_tree(&file->tree, doc, file->ir, file->err);
}

static void read_weights(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    px_doc_floats(doc, &file->weights);
    file->has_weights = true;
}

static void read_tree_model(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    const struct px_doc_field fields[] = {
        {"gbtree_model_param", read_gbtree_param, file},
        {"tree_info", px_doc_read_ints, &file->tree_info},
        {"trees", read_trees, file},
        {"iteration_indptr", px_doc_read_ints, &file->iteration_starts},
        {"weight_drop", read_weights, file},
        {"cats", px_xgboost_read_categories, file},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

/* The booster inside a dart booster; its name ("gbtree") is not the model's. */
static void read_inner_booster(struct px_doc *doc, void *target)
{
    const struct px_doc_field fields[] = {{"model", read_tree_model, target}};
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void read_booster(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    const struct px_doc_field fields[] = {
        {"name", px_doc_read_str, &file->booster},
        {"model", read_tree_model, file},
        {"gbtree", read_inner_booster, file},
        {"weight_drop", read_weights, file},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

/* --- the document ----------------------------------------------------------------------------- */

/* Up to 3.4 `learner` has the same few members; another one may change what the rest means. */
static void warn_and_pass_over(struct px_xgboost_file *file, struct px_str key)
{
    file->code = px_ir_warn(file->ir, file->err,
                            "learner has a member '%.*s' that is not known here; compare some "
                            "predictions before serving the model",
                            PX_STR_ARG(key));
    px_doc_skip(&file->doc);
}

static void read_learner(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    struct px_str key;
    const struct px_doc_field fields[] = {
        {"attributes", read_attributes, file},
        {"feature_names", read_strings, &file->feature_names},
        {"feature_types", read_strings, &file->feature_types},
        {"learner_model_param", read_model_param, file},
        {"objective", read_objective, file},
        {"gradient_booster", read_booster, file},
    };
    file->has_learner = true;
    px_doc_enter_object(doc);
    while (px_doc_next_key(doc, &key)) {
        if (!px_doc_member(doc, key, fields, PX_ARRAY_LEN(fields)))
            warn_and_pass_over(file, key);
    }
}

/* The payload of a pickle is a model beside its training configuration. */
static void read_snapshot(struct px_doc *doc, void *target)
{
    struct px_xgboost_file *file = target;
    const struct px_doc_field fields[] = {
        {"learner", read_learner, file},
        {"version", px_doc_read_ints, &file->version},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void read_document(struct px_xgboost_file *file)
{
    const struct px_doc_field fields[] = {
        {"learner", read_learner, file},
        {"version", px_doc_read_ints, &file->version},
        {"Model", read_snapshot, file},
    };
    px_doc_object(&file->doc, fields, PX_ARRAY_LEN(fields));
}

static void deinit_file(struct px_xgboost_file *file)
{
    px_vec_free(&file->version);
    px_vec_free(&file->tree_info);
    px_vec_free(&file->iteration_starts);
    px_vec_free(&file->weights);
    px_vec_free(&file->feature_names);
    px_vec_free(&file->feature_types);
    px_vec_free(&file->class_labels);
    px_xgboost_tree_deinit(&file->tree);
}

enum px_code px_xgboost_read(struct px_forest_ir *ir, struct px_str bytes, bool binary,
                             enum px_forest_rounds rounds, struct px_err *err)
{
    struct px_xgboost_file file = {
        .ir = ir, .err = err, .num_target = 1, .num_trees = -1, .num_parallel_tree = 1};
    px_doc_init(&file.doc, bytes, binary, &ir->arena);
    file.doc.finding = &file.code;
    read_document(&file);
    enum px_code code = file.code;
    if (code == PX_OK)
        code = px_doc_finish(&file.doc, err);
    if (code == PX_OK)
        code = px_xgboost_finish(&file, rounds, err);
    deinit_file(&file);
    return code;
}
