/* SPDX-License-Identifier: Apache-2.0 */
/*
 * features_info: float features with their borders, categorical features with the hashes that one-hot
 * splits ask for, target statistics with their borders, and the names of categories. Columns are numbered
 * by flat_feature_index; a number that no feature has is a column that the model does not look at.
 */
#include "domain/forest/readers/catboost/catboost_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void refuse_kind(struct px_catboost_file *file, const char *kind)
{
    if (!px_catboost_going(file))
        return;
    file->code = px_err_set(file->err, PX_E_UNSUPPORTED, "the model has %s features", kind);
    px_err_hint(file->err, "train without them, or turn them into numbers first");
}

static void refuse_texts(struct px_doc *doc, void *target)
{
    (void)doc;
    refuse_kind(target, "text");
}

static void refuse_embeddings(struct px_doc *doc, void *target)
{
    (void)doc;
    refuse_kind(target, "embedding");
}

/* Where a run of numbers goes. */
struct run_target {
    struct px_catboost_file *file;
    struct px_catboost_run *run;
};

static void add_number(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    double *number = px_vec_push(&file->borders);
    if (!number)
        px_catboost_no_memory(file);
    else
        *number = px_doc_f64(doc);
}

static void read_numbers(struct px_doc *doc, void *target)
{
    const struct run_target *to = target;
    to->run->first = to->file->borders.len;
    px_doc_list(doc, add_number, to->file);
    to->run->n = to->file->borders.len - to->run->first;
}

/* The library keeps borders as floats, and writes them as the doubles of the same value. */
static void read_borders(struct px_doc *doc, void *target)
{
    const struct run_target *to = target;
    read_numbers(doc, target);
    for (size_t i = to->run->first; i < to->run->first + to->run->n; i++)
        to->file->borders.items[i] = (double)(float)to->file->borders.items[i];
}

/* The name that the training data gave; one that says nothing is left out. */
static void read_feature_name(struct px_doc *doc, void *target)
{
    struct px_str text = px_doc_str(doc);
    if (text.len > 0)
        *(struct px_str *)target = text;
}

/* Stands for a name that is not there. */
static void read_feature_id(struct px_doc *doc, void *target)
{
    struct px_str text = px_doc_str(doc), *name = target;
    if (name->len == 0)
        *name = text;
}

/* AsFalse and AsIs are the same: no NaN is greater than a border. AsTrue counts only with has_nans. */
static void read_float_feature(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    struct px_catboost_float *feature = px_vec_push(&file->floats);
    if (!feature) {
        px_catboost_no_memory(file);
        return;
    }
    struct px_str treatment = PX_STR("AsIs");
    bool has_nans = false;
    struct run_target borders = {file, &feature->borders};
    const struct px_doc_field fields[] = {
        {"feature_index", px_doc_read_i64, &feature->index},
        {"flat_feature_index", px_doc_read_i64, &feature->flat},
        {"has_nans", px_doc_read_bool, &has_nans},
        {"nan_value_treatment", px_doc_read_str, &treatment},
        {"borders", read_borders, &borders},
        {"feature_name", read_feature_name, &feature->name},
        {"feature_id", read_feature_id, &feature->name},
    };
    *feature = (struct px_catboost_float){.index = -1, .flat = -1};
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
    bool above = px_str_is(treatment, "AsTrue");
    if (px_catboost_going(file) && !above && !px_str_is(treatment, "AsIs") &&
        !px_str_is(treatment, "AsFalse"))
        file->code = px_err_set(file->err, PX_E_UNSUPPORTED,
                                "float feature %" PRId64 ": nan_value_treatment '%.*s' is not "
                                "AsIs, AsFalse or AsTrue",
                                feature->index, PX_STR_ARG(treatment));
    feature->nan_above = above && has_nans;
}

static void read_float_features(struct px_doc *doc, void *target)
{
    px_doc_list(doc, read_float_feature, target);
}

static void read_category(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    struct px_catboost_category *feature = px_vec_push(&file->categories);
    if (!feature) {
        px_catboost_no_memory(file);
        return;
    }
    struct run_target values = {file, &feature->values};
    const struct px_doc_field fields[] = {
        {"feature_index", px_doc_read_i64, &feature->index},
        {"flat_feature_index", px_doc_read_i64, &feature->flat},
        {"values", read_numbers, &values},
        {"feature_name", read_feature_name, &feature->name},
        {"feature_id", read_feature_id, &feature->name},
    };
    *feature = (struct px_catboost_category){.index = -1, .flat = -1};
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void read_categories(struct px_doc *doc, void *target)
{
    px_doc_list(doc, read_category, target);
}

/* --- target statistics ------------------------------------------------------------------------ */

/* A target statistic under way. */
struct ctr_target {
    struct px_catboost_file *file;
    struct px_catboost_ctr *ctr;
    size_t n_elements;
};

/* An element of a combination: a category, or a float or one-hot split. */
static void read_element(struct px_doc *doc, struct ctr_target *to)
{
    struct px_str kind = PX_STR("");
    int64_t feature = -1;
    size_t i = to->n_elements++;
    const struct px_doc_field fields[] = {
        {"cat_feature_index", px_doc_read_i64, &feature},
        {"combination_element", px_doc_read_str, &kind},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
    to->ctr->combined |= i > 0 || !px_str_is(kind, "cat_feature_value");
    if (i == 0)
        to->ctr->feature = feature;
    else if (i == 1)
        to->ctr->other = feature;
}

static void read_elements(struct px_doc *doc, void *target)
{
    struct ctr_target *to = target;
    to->n_elements = 0;
    px_doc_enter_array(doc);
    while (px_doc_next_element(doc))
        read_element(doc, to);
}

static void read_ctr_type(struct px_doc *doc, void *target)
{
    static const struct {
        const char *name;
        enum px_catboost_ctr_type type;
    } types[] = {
        {"Borders", PX_CATBOOST_BORDERS},
        {"Buckets", PX_CATBOOST_BUCKETS},
        {"BinarizedTargetMeanValue", PX_CATBOOST_MEAN},
        {"FloatTargetMeanValue", PX_CATBOOST_MEAN},
        {"Counter", PX_CATBOOST_COUNTER},
        {"FeatureFreq", PX_CATBOOST_COUNTER},
    };
    struct ctr_target *to = target;
    struct px_str name = px_doc_str(doc);
    size_t i = 0;
    while (i < PX_ARRAY_LEN(types) && !px_str_is(name, types[i].name))
        i++;
    if (i < PX_ARRAY_LEN(types))
        to->ctr->type = types[i].type;
    else if (px_catboost_going(to->file))
        to->file->code =
            px_err_set(to->file->err, PX_E_UNSUPPORTED,
                       "target statistics of type '%.*s' are not supported", PX_STR_ARG(name));
}

static void read_ctr(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    struct px_catboost_ctr *ctr = px_vec_push(&file->ctrs);
    if (!ctr) {
        px_catboost_no_memory(file);
        return;
    }
    struct ctr_target to = {.file = file, .ctr = ctr};
    struct run_target borders = {file, &ctr->borders};
    const struct px_doc_field fields[] = {
        {"ctr_type", read_ctr_type, &to},
        {"identifier", px_doc_read_str, &ctr->identifier},
        {"elements", read_elements, &to},
        {"prior_numerator", px_doc_read_single, &ctr->prior_numerator},
        {"prior_denomerator", px_doc_read_single, &ctr->prior_denominator}, /* their spelling */
        {"shift", px_doc_read_single, &ctr->shift},
        {"scale", px_doc_read_single, &ctr->scale},
        {"target_border_idx", px_doc_read_i64, &ctr->target_border},
        {"borders", read_borders, &borders},
    };
    *ctr = (struct px_catboost_ctr){.feature = -1, .other = -1, .scale = 1.0F};
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void read_ctrs(struct px_doc *doc, void *target)
{
    px_doc_list(doc, read_ctr, target);
}

/* --- names of categories ---------------------------------------------------------------------- */

static void read_name(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    struct px_catboost_name *name = px_vec_push(&file->names);
    if (!name) {
        px_catboost_no_memory(file);
        return;
    }
    int64_t hash = -1;
    const struct px_doc_field fields[] = {
        {"hash", px_doc_read_i64, &hash},
        {"value", px_doc_read_str, &name->text},
    };
    *name = (struct px_catboost_name){0};
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
    if (px_catboost_going(file) && (hash < 0 || hash > UINT32_MAX || !name->text.ptr))
        px_doc_fail(doc, "expected a hash of 32 bits and its value");
    name->hash = (uint32_t)hash;
}

static void read_names(struct px_doc *doc, void *target)
{
    px_doc_list(doc, read_name, target);
}

/* --- bins and columns ------------------------------------------------------------------------- */

static void add_bins(struct px_catboost_file *file, enum px_catboost_question question,
                     size_t owner, struct px_catboost_run run)
{
    if (!px_vec_reserve(&file->bins, file->bins.len + run.n)) {
        px_catboost_no_memory(file);
        return;
    }
    for (size_t i = 0; i < run.n; i++)
        file->bins.items[file->bins.len++] =
            (struct px_catboost_bin){.question = question,
                                     .owner = (uint32_t)owner,
                                     .border = file->borders.items[run.first + i]};
}

/* Float comparisons are made right away; sets wait for ctr_data. */
static void make_float_bin(const struct px_catboost_float *feature, struct px_catboost_bin *bin)
{
    bool nan_right = feature->nan_above && bin->border < (double)INFINITY;
    bin->made = true;
    bin->node = (struct px_node){.kind = PX_NODE_LE,
                                 .feature = (uint32_t)feature->flat,
                                 .threshold = px_catboost_threshold((float)bin->border),
                                 .missing = PX_MISSING_NAN,
                                 .default_left = !nan_right};
}

static void lay_out_bins(struct px_catboost_file *file)
{
    for (size_t i = 0; i < file->floats.len; i++) {
        size_t first = file->bins.len;
        add_bins(file, PX_CATBOOST_FLOAT, i, file->floats.items[i].borders);
        for (size_t j = first; j < file->bins.len; j++)
            make_float_bin(&file->floats.items[i], &file->bins.items[j]);
    }
    for (size_t i = 0; i < file->categories.len; i++)
        add_bins(file, PX_CATBOOST_ONE_HOT, i, file->categories.items[i].values);
    for (size_t i = 0; i < file->ctrs.len; i++)
        add_bins(file, PX_CATBOOST_CTR, i, file->ctrs.items[i].borders);
}

static void take_column(struct px_catboost_file *file, int64_t flat)
{
    if (file->code != PX_OK)
        return;
    if (flat < 0)
        file->code = px_err_set(file->err, PX_E_CORRUPT, "flat_feature_index is %" PRId64, flat);
    else
        file->code = px_ir_check_features((uint64_t)flat + 1, file->err);
    if (file->code == PX_OK && (size_t)flat >= file->ir->n_features)
        file->ir->n_features = (size_t)flat + 1;
}

void px_catboost_read_features(struct px_catboost_file *file)
{
    const struct px_doc_field fields[] = {
        {"float_features", read_float_features, file},
        {"categorical_features", read_categories, file},
        {"ctrs", read_ctrs, file},
        {"cat_features_hash", read_names, file},
        {"text_features", refuse_texts, file},
        {"embedding_features", refuse_embeddings, file},
    };
    px_doc_object(&file->doc, fields, PX_ARRAY_LEN(fields));
    if (!px_catboost_going(file))
        return;
    for (size_t i = 0; i < file->floats.len; i++)
        take_column(file, file->floats.items[i].flat);
    for (size_t i = 0; i < file->categories.len; i++)
        take_column(file, file->categories.items[i].flat);
    if (file->code == PX_OK)
        lay_out_bins(file);
}

/* Is the id only the number of the column? */
static bool is_number_of(struct px_str name, int64_t flat)
{
    int64_t number;
    return px_str_to_i64(name, &number) && number == flat;
}

static void describe(struct px_catboost_file *file, int64_t flat, struct px_str name)
{
    struct px_str *slot = &file->ir->feature_names[flat];
    if (file->code != PX_OK)
        return;
    if (slot->ptr) {
        file->code = px_err_set(file->err, PX_E_CORRUPT,
                                "two features have the flat_feature_index %" PRId64, flat);
        return;
    }
    char number[32];
    snprintf(number, sizeof number, "f%" PRId64, flat);
    bool named = name.len && !is_number_of(name, flat);
    *slot = px_arena_str(&file->ir->arena, named ? name : px_str(number));
    if (!slot->ptr)
        px_catboost_no_memory(file);
}

/* Columns that the model does not know. */
static void describe_rest(struct px_catboost_file *file)
{
    for (size_t i = 0; file->code == PX_OK && i < file->ir->n_features; i++) {
        if (!file->ir->feature_names[i].ptr)
            describe(file, (int64_t)i, (struct px_str){0});
    }
}

static bool any_name(const struct px_catboost_file *file)
{
    const struct px_catboost_float *number;
    const struct px_catboost_category *category;
    px_vec_foreach (number, &file->floats) {
        if (number->name.len && !is_number_of(number->name, number->flat))
            return true;
    }
    px_vec_foreach (category, &file->categories) {
        if (category->name.len && !is_number_of(category->name, category->flat))
            return true;
    }
    return false;
}

static void list_categories(struct px_catboost_file *file,
                            const struct px_catboost_category *feature)
{
    struct px_forest_ir *ir = file->ir;
    struct px_category_names *list = &ir->categories[feature->flat];
    ir->categorical[feature->flat] = true;
    list->names = px_arena_zalloc(&ir->arena, feature->n_codes, sizeof *list->names);
    if (!list->names && feature->n_codes) {
        px_catboost_no_memory(file);
        return;
    }
    for (size_t code = 0; code < feature->n_codes; code++) {
        list->names[code] = px_arena_str(&ir->arena, file->names.items[feature->codes[code]].text);
        if (!list->names[code].ptr)
            px_catboost_no_memory(file);
    }
    list->n = feature->n_codes;
}

void px_catboost_describe_columns(struct px_catboost_file *file)
{
    struct px_forest_ir *ir = file->ir;
    size_t n = ir->n_features;
    ir->feature_names = px_arena_zalloc(&ir->arena, n, sizeof *ir->feature_names);
    ir->categorical = px_arena_zalloc(&ir->arena, n, sizeof *ir->categorical);
    ir->categories = px_arena_zalloc(&ir->arena, n, sizeof *ir->categories);
    if (n && (!ir->feature_names || !ir->categorical || !ir->categories)) {
        px_catboost_no_memory(file);
        return;
    }
    const struct px_catboost_float *number;
    const struct px_catboost_category *category;
    px_vec_foreach (number, &file->floats)
        describe(file, number->flat, number->name);
    px_vec_foreach (category, &file->categories) {
        describe(file, category->flat, category->name);
        if (file->code == PX_OK)
            list_categories(file, category);
    }
    describe_rest(file);
    if (!any_name(file))
        ir->feature_names = NULL;
}
