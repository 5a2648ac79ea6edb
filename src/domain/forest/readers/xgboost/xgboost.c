/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading an XGBoost model, JSON or UBJSON, 1.0 to 3.4.
 *
 * The order of keys is not fixed (up to 2.x they are sorted, so the trees come before the number of
 * features), hence two steps: this file collects what stands where, xgboost_finish.c judges the whole.
 * Trees are built as they are read, so that only one tree's arrays are held at a time.
 *
 * Each object of the document is a table of keys with the function that reads the value; other keys are
 * skipped. A key that comes twice replaces the first, as in XGBoost.
 *
 * Dropout weights have had three places (beside `gbtree` inside a `dart` booster up to 3.2, beside
 * `model` in 3.3, inside `model` from 3.4 on); the tables accept all, whatever the version says.
 */
#include "domain/forest/readers/xgboost/xgboost_file.h"

#include "domain/forest/readers/readers.h"

#include <inttypes.h>

struct field {
    const char *key;
    void (*read)(struct px_xgboost_file *file);
};

static bool going(const struct px_xgboost_file *file)
{
    return file->code == PX_OK && !px_doc_failed(&file->doc);
}

/* What to do with a key that is in no table. */
static void pass_over(struct px_xgboost_file *file, struct px_str key)
{
    (void)key;
    px_doc_skip(&file->doc);
}

/* Up to 3.4 `learner` has the same few members; another one may change what the rest means. */
static void warn_and_pass_over(struct px_xgboost_file *file, struct px_str key)
{
    file->code = px_ir_warn(file->ir, file->err,
                            "learner has a member '%.*s' that is not known here; compare some "
                            "predictions before serving the model",
                            PX_STR_ARG(key));
    px_doc_skip(&file->doc);
}

static void read_object(struct px_xgboost_file *file, const struct field *fields, size_t n,
                        void (*otherwise)(struct px_xgboost_file *file, struct px_str key))
{
    struct px_str key;
    px_doc_enter_object(&file->doc);
    while (going(file) && px_doc_next_key(&file->doc, &key)) {
        size_t i = 0;
        while (i < n && !px_str_is(key, fields[i].key))
            i++;
        if (i < n)
            fields[i].read(file);
        else
            otherwise(file, key);
    }
}

#define READ_OBJECT(file, fields) read_object(file, fields, PX_ARRAY_LEN(fields), pass_over)

static void fail_memory(struct px_xgboost_file *file)
{
    if (file->code == PX_OK)
        file->code = px_ir_no_memory(file->err);
}

static void read_strings(struct px_xgboost_file *file, struct px_strs *ret)
{
    ret->len = 0;
    px_doc_enter_array(&file->doc);
    while (going(file) && px_doc_next_element(&file->doc)) {
        struct px_str *item = px_vec_push(ret);
        if (!item) {
            fail_memory(file);
            return;
        }
        *item = px_doc_str(&file->doc);
    }
}

/* --- attributes ------------------------------------------------------------------------------- */

static void read_best_iteration(struct px_xgboost_file *file)
{
    file->best_iteration = px_doc_param(&file->doc);
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
            fail_memory(file);
            return;
        }
        *item = label;
    }
}

/*
 * The scikit-learn wrapper keeps its own JSON inside a string; old versions put the class labels there.
 * It is a convenience of another program, so a surprise in it costs the labels, not the model.
 */
static void read_wrapper(struct px_xgboost_file *file)
{
    struct px_json json;
    struct px_str key;
    struct px_str text = px_doc_str(&file->doc);
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

static void read_attributes(struct px_xgboost_file *file)
{
    static const struct field fields[] = {
        {"best_iteration", read_best_iteration},
        {"scikit_learn", read_wrapper},
    };
    READ_OBJECT(file, fields);
}

/* --- names and parameters --------------------------------------------------------------------- */

static void read_feature_names(struct px_xgboost_file *file)
{
    read_strings(file, &file->feature_names);
}

static void read_feature_types(struct px_xgboost_file *file)
{
    read_strings(file, &file->feature_types);
}

static void read_base_score(struct px_xgboost_file *file)
{
    file->base_score = px_doc_str(&file->doc);
}

static void read_num_class(struct px_xgboost_file *file)
{
    file->num_class = px_doc_param(&file->doc);
}

static void read_num_feature(struct px_xgboost_file *file)
{
    file->num_feature = px_doc_param(&file->doc);
}

static void read_num_target(struct px_xgboost_file *file)
{
    file->num_target = px_doc_param(&file->doc);
}

static void read_model_param(struct px_xgboost_file *file)
{
    static const struct field fields[] = {
        {"base_score", read_base_score},
        {"num_class", read_num_class},
        {"num_feature", read_num_feature},
        {"num_target", read_num_target},
    };
    READ_OBJECT(file, fields);
}

static void read_objective_name(struct px_xgboost_file *file)
{
    file->objective = px_doc_str(&file->doc);
}

static void read_objective_classes(struct px_xgboost_file *file)
{
    file->objective_classes = px_doc_param(&file->doc);
}

static void read_softmax_param(struct px_xgboost_file *file)
{
    static const struct field fields[] = {{"num_class", read_objective_classes}};
    READ_OBJECT(file, fields);
}

static void read_objective(struct px_xgboost_file *file)
{
    static const struct field fields[] = {
        {"name", read_objective_name},
        {"softmax_multiclass_param", read_softmax_param},
    };
    READ_OBJECT(file, fields);
}

/* --- the booster ------------------------------------------------------------------------------ */

static void read_num_trees(struct px_xgboost_file *file)
{
    file->num_trees = px_doc_param(&file->doc);
}

static void read_num_parallel_tree(struct px_xgboost_file *file)
{
    file->num_parallel_tree = px_doc_param(&file->doc);
}

static void read_gbtree_param(struct px_xgboost_file *file)
{
    static const struct field fields[] = {
        {"num_trees", read_num_trees},
        {"num_parallel_tree", read_num_parallel_tree},
    };
    READ_OBJECT(file, fields);
}

static void read_trees(struct px_xgboost_file *file)
{
    px_ir_clear_trees(file->ir);
    file->has_trees = true;
    px_doc_enter_array(&file->doc);
    while (going(file) && px_doc_next_element(&file->doc))
        file->code = px_xgboost_read_tree(&file->tree, &file->doc, file->ir, file->err);
}

static void read_tree_info(struct px_xgboost_file *file)
{
    px_doc_ints(&file->doc, &file->tree_info);
}

static void read_iteration_starts(struct px_xgboost_file *file)
{
    px_doc_ints(&file->doc, &file->iteration_starts);
}

static void read_weights(struct px_xgboost_file *file)
{
    px_doc_floats(&file->doc, &file->weights);
    file->has_weights = true;
}

static void read_tree_model(struct px_xgboost_file *file)
{
    static const struct field fields[] = {
        {"gbtree_model_param", read_gbtree_param},
        {"tree_info", read_tree_info},
        {"trees", read_trees},
        {"iteration_indptr", read_iteration_starts},
        {"weight_drop", read_weights},
        {"cats", px_xgboost_read_categories},
    };
    READ_OBJECT(file, fields);
}

static void read_booster_name(struct px_xgboost_file *file)
{
    file->booster = px_doc_str(&file->doc);
}

/* The booster inside a dart booster; its name ("gbtree") is not the model's. */
static void read_inner_booster(struct px_xgboost_file *file)
{
    static const struct field fields[] = {{"model", read_tree_model}};
    READ_OBJECT(file, fields);
}

static void read_booster(struct px_xgboost_file *file)
{
    static const struct field fields[] = {
        {"name", read_booster_name},
        {"model", read_tree_model},
        {"gbtree", read_inner_booster},
        {"weight_drop", read_weights},
    };
    READ_OBJECT(file, fields);
}

/* --- the document ----------------------------------------------------------------------------- */

static void read_learner(struct px_xgboost_file *file)
{
    static const struct field fields[] = {
        {"attributes", read_attributes},       {"feature_names", read_feature_names},
        {"feature_types", read_feature_types}, {"learner_model_param", read_model_param},
        {"objective", read_objective},         {"gradient_booster", read_booster},
    };
    file->has_learner = true;
    read_object(file, fields, PX_ARRAY_LEN(fields), warn_and_pass_over);
}

static void read_version(struct px_xgboost_file *file)
{
    px_doc_ints(&file->doc, &file->version);
}

static const struct field model_fields[] = {
    {"learner", read_learner},
    {"version", read_version},
};

/* The payload of a pickle is a model beside its training configuration. */
static void read_snapshot(struct px_xgboost_file *file)
{
    READ_OBJECT(file, model_fields);
}

static void read_document(struct px_xgboost_file *file)
{
    static const struct field fields[] = {
        {"learner", read_learner},
        {"version", read_version},
        {"Model", read_snapshot},
    };
    READ_OBJECT(file, fields);
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
    read_document(&file);
    enum px_code code = file.code;
    if (code == PX_OK)
        code = px_doc_finish(&file.doc, err);
    if (code == PX_OK)
        code = px_xgboost_finish(&file, rounds, err);
    deinit_file(&file);
    return code;
}
