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

static struct px_catboost_run read_numbers(struct px_catboost_file *file)
{
    struct px_catboost_run run = {.first = file->borders.len};
    bool any = px_catboost_enter_list(file);
    while (any && px_catboost_going(file) && px_doc_next_element(&file->doc)) {
        double *border = px_vec_push(&file->borders);
        if (!border)
            px_catboost_no_memory(file);
        else
            *border = px_doc_f64(&file->doc);
    }
    run.n = file->borders.len - run.first;
    return run;
}

/* The library keeps borders as floats, and writes them as the doubles of the same value. */
static struct px_catboost_run read_borders(struct px_catboost_file *file)
{
    struct px_catboost_run run = read_numbers(file);
    for (size_t i = run.first; i < run.first + run.n; i++)
        file->borders.items[i] = (double)(float)file->borders.items[i];
    return run;
}

/* The name that the training data gave, else the id; texts that say nothing are left out. */
static void take_name(struct px_catboost_file *file, struct px_str key, struct px_str *name)
{
    struct px_str text = px_doc_str(&file->doc);
    if (px_str_is(key, "feature_name") ? text.len > 0 : name->len == 0)
        *name = text;
}

static bool is_name(struct px_str key)
{
    return px_str_is(key, "feature_name") || px_str_is(key, "feature_id");
}

/* AsFalse and AsIs are the same: no NaN is greater than a border. AsTrue counts only with has_nans. */
static void read_float_feature(struct px_catboost_file *file, struct px_catboost_float *feature)
{
    struct px_doc *doc = &file->doc;
    struct px_str key, treatment = PX_STR("AsIs");
    bool has_nans = false;
    px_doc_enter_object(doc);
    while (px_catboost_going(file) && px_doc_next_key(doc, &key)) {
        if (px_str_is(key, "feature_index"))
            feature->index = px_doc_i64(doc);
        else if (px_str_is(key, "flat_feature_index"))
            feature->flat = px_doc_i64(doc);
        else if (px_str_is(key, "has_nans"))
            has_nans = px_doc_i64(doc);
        else if (px_str_is(key, "nan_value_treatment"))
            treatment = px_doc_str(doc);
        else if (px_str_is(key, "borders"))
            feature->borders = read_borders(file);
        else if (is_name(key))
            take_name(file, key, &feature->name);
        else
            px_doc_skip(doc);
    }
    bool above = px_str_is(treatment, "AsTrue");
    if (px_catboost_going(file) && !above && !px_str_is(treatment, "AsIs") &&
        !px_str_is(treatment, "AsFalse"))
        file->code = px_err_set(file->err, PX_E_UNSUPPORTED,
                                "float feature %" PRId64 ": nan_value_treatment '%.*s' is not "
                                "AsIs, AsFalse or AsTrue",
                                feature->index, PX_STR_ARG(treatment));
    feature->nan_above = above && has_nans;
}

static void read_float_features(struct px_catboost_file *file)
{
    bool any = px_catboost_enter_list(file);
    while (any && px_catboost_going(file) && px_doc_next_element(&file->doc)) {
        struct px_catboost_float *feature = px_vec_push(&file->floats);
        if (!feature) {
            px_catboost_no_memory(file);
            return;
        }
        *feature = (struct px_catboost_float){.index = -1, .flat = -1};
        read_float_feature(file, feature);
    }
}

static void read_category(struct px_catboost_file *file, struct px_catboost_category *feature)
{
    struct px_doc *doc = &file->doc;
    struct px_str key;
    px_doc_enter_object(doc);
    while (px_catboost_going(file) && px_doc_next_key(doc, &key)) {
        if (px_str_is(key, "feature_index"))
            feature->index = px_doc_i64(doc);
        else if (px_str_is(key, "flat_feature_index"))
            feature->flat = px_doc_i64(doc);
        else if (px_str_is(key, "values"))
            feature->values = read_numbers(file);
        else if (is_name(key))
            take_name(file, key, &feature->name);
        else
            px_doc_skip(doc);
    }
}

static void read_categories(struct px_catboost_file *file)
{
    bool any = px_catboost_enter_list(file);
    while (any && px_catboost_going(file) && px_doc_next_element(&file->doc)) {
        struct px_catboost_category *feature = px_vec_push(&file->categories);
        if (!feature) {
            px_catboost_no_memory(file);
            return;
        }
        *feature = (struct px_catboost_category){.index = -1, .flat = -1};
        read_category(file, feature);
    }
}

/* --- target statistics ------------------------------------------------------------------------ */

/* An element of a combination: a category, or a float or one-hot split. */
static void read_element(struct px_catboost_file *file, struct px_catboost_ctr *ctr, size_t i)
{
    struct px_doc *doc = &file->doc;
    struct px_str key, kind = PX_STR("");
    int64_t feature = -1;
    px_doc_enter_object(doc);
    while (px_catboost_going(file) && px_doc_next_key(doc, &key)) {
        if (px_str_is(key, "cat_feature_index"))
            feature = px_doc_i64(doc);
        else if (px_str_is(key, "combination_element"))
            kind = px_doc_str(doc);
        else
            px_doc_skip(doc);
    }
    ctr->combined |= i > 0 || !px_str_is(kind, "cat_feature_value");
    if (i == 0)
        ctr->feature = feature;
    else if (i == 1)
        ctr->other = feature;
}

static void read_elements(struct px_catboost_file *file, struct px_catboost_ctr *ctr)
{
    px_doc_enter_array(&file->doc);
    for (size_t i = 0; px_catboost_going(file) && px_doc_next_element(&file->doc); i++)
        read_element(file, ctr, i);
}

static void take_ctr_type(struct px_catboost_file *file, struct px_catboost_ctr *ctr)
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
    struct px_str name = px_doc_str(&file->doc);
    size_t i = 0;
    while (i < PX_ARRAY_LEN(types) && !px_str_is(name, types[i].name))
        i++;
    if (i < PX_ARRAY_LEN(types))
        ctr->type = types[i].type;
    else if (px_catboost_going(file))
        file->code =
            px_err_set(file->err, PX_E_UNSUPPORTED,
                       "target statistics of type '%.*s' are not supported", PX_STR_ARG(name));
}

static float read_float(struct px_catboost_file *file)
{
    return (float)px_doc_f64(&file->doc);
}

static void read_ctr(struct px_catboost_file *file, struct px_catboost_ctr *ctr)
{
    struct px_doc *doc = &file->doc;
    struct px_str key;
    px_doc_enter_object(doc);
    while (px_catboost_going(file) && px_doc_next_key(doc, &key)) {
        if (px_str_is(key, "ctr_type"))
            take_ctr_type(file, ctr);
        else if (px_str_is(key, "identifier"))
            ctr->identifier = px_doc_str(doc);
        else if (px_str_is(key, "elements"))
            read_elements(file, ctr);
        else if (px_str_is(key, "prior_numerator"))
            ctr->prior_numerator = read_float(file);
        else if (px_str_is(key, "prior_denomerator")) /* as the library spells it */
            ctr->prior_denominator = read_float(file);
        else if (px_str_is(key, "shift"))
            ctr->shift = read_float(file);
        else if (px_str_is(key, "scale"))
            ctr->scale = read_float(file);
        else if (px_str_is(key, "target_border_idx"))
            ctr->target_border = px_doc_i64(doc);
        else if (px_str_is(key, "borders"))
            ctr->borders = read_borders(file);
        else
            px_doc_skip(doc);
    }
}

static void read_ctrs(struct px_catboost_file *file)
{
    bool any = px_catboost_enter_list(file);
    while (any && px_catboost_going(file) && px_doc_next_element(&file->doc)) {
        struct px_catboost_ctr *ctr = px_vec_push(&file->ctrs);
        if (!ctr) {
            px_catboost_no_memory(file);
            return;
        }
        *ctr = (struct px_catboost_ctr){.feature = -1, .other = -1, .scale = 1.0F};
        read_ctr(file, ctr);
    }
}

/* --- names of categories ---------------------------------------------------------------------- */

static void read_name(struct px_catboost_file *file, struct px_catboost_name *name)
{
    struct px_str key;
    int64_t hash = -1;
    px_doc_enter_object(&file->doc);
    while (px_catboost_going(file) && px_doc_next_key(&file->doc, &key)) {
        if (px_str_is(key, "hash"))
            hash = px_doc_i64(&file->doc);
        else if (px_str_is(key, "value"))
            name->text = px_doc_str(&file->doc);
        else
            px_doc_skip(&file->doc);
    }
    if (px_catboost_going(file) && (hash < 0 || hash > UINT32_MAX || !name->text.ptr))
        px_doc_fail(&file->doc, "expected a hash of 32 bits and its value");
    name->hash = (uint32_t)hash;
}

static void read_names(struct px_catboost_file *file)
{
    bool any = px_catboost_enter_list(file);
    while (any && px_catboost_going(file) && px_doc_next_element(&file->doc)) {
        struct px_catboost_name *name = px_vec_push(&file->names);
        if (!name) {
            px_catboost_no_memory(file);
            return;
        }
        *name = (struct px_catboost_name){0};
        read_name(file, name);
    }
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
    struct px_str key;
    px_doc_enter_object(&file->doc);
    while (px_catboost_going(file) && px_doc_next_key(&file->doc, &key)) {
        if (px_str_is(key, "float_features"))
            read_float_features(file);
        else if (px_str_is(key, "categorical_features"))
            read_categories(file);
        else if (px_str_is(key, "ctrs"))
            read_ctrs(file);
        else if (px_str_is(key, "cat_features_hash"))
            read_names(file);
        else if (px_str_is(key, "text_features"))
            refuse_kind(file, "text");
        else if (px_str_is(key, "embedding_features"))
            refuse_kind(file, "embedding");
        else
            px_doc_skip(&file->doc);
    }
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
