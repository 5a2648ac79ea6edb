/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a CatBoost model saved with format='json'.
 *
 * The document is walked once. Trees need the features, and target statistics need ctr_data; the library
 * sorts its keys, so both come before the trees. A file with another order is read as well: a reader is a
 * small value, so the place of a part that comes too early is kept as a copy of the reader, and the part
 * is read at the end.
 *
 * Numbers. Features, borders and target statistics are floats, leaves and sums are doubles. The forest is
 * one of doubles whose thresholds are exact images of the float comparison (px_catboost_threshold), so
 * rows of doubles are never rounded, and equal what the library makes of them.
 */
#include "domain/forest/readers/catboost/catboost_file.h"

#include "domain/forest/readers/readers.h"

#include <math.h>

/* Target statistics may share a table: how often, on average, an element of it may be looked at. */
enum { CTR_WORK_PER_BYTE = 64, CTR_WORK_SLACK = 1 << 24 };

void px_catboost_no_memory(struct px_catboost_file *file)
{
    if (file->code == PX_OK)
        file->code = px_ir_no_memory(file->err);
}

double px_catboost_number(struct px_catboost_file *file)
{
    double value = px_doc_f64(&file->doc);
    if (!isfinite(value) && px_catboost_going(file))
        px_doc_fail(&file->doc, "expected a finite number");
    return value;
}

/* "...Branch: tags/v1.2.10\n..." -> "1.2.10"; empty when it looks different. */
static struct px_str find_version(struct px_str info)
{
    static const char mark[] = "tags/v";
    const char *at = info.len == 0 ? NULL : memmem(info.ptr, info.len, mark, sizeof mark - 1);
    if (!at)
        return (struct px_str)PX_STR("");
    at += sizeof mark - 1;
    struct px_str rest = px_str_n(at, (size_t)(info.ptr + info.len - at));
    return px_str_trim(px_str_cut(&rest, '\n'));
}

static void read_loss(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    const struct px_doc_field fields[] = {{"type", px_doc_read_str, &file->loss}};
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void read_params(struct px_doc *doc, void *target)
{
    const struct px_doc_field fields[] = {{"loss_function", read_loss, target}};
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

/* A label: a string as it is, a number or truth value as its text. */
static void add_class_name(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    struct px_str *item = px_vec_push(&file->class_names);
    if (!item)
        px_catboost_no_memory(file);
    else
        *item = px_doc_label(doc);
}

static void read_class_names(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    file->class_names.len = 0;
    px_doc_list(doc, add_class_name, file);
}

static void read_classes(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    const struct px_doc_field fields[] = {{"class_names", read_class_names, file}};
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
    file->has_classes = true;
}

static void read_version(struct px_doc *doc, void *target)
{
    *(struct px_str *)target = find_version(px_doc_str(doc));
}

static void read_model_info(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    const struct px_doc_field fields[] = {
        {"params", read_params, file},
        {"class_params", read_classes, file},
        {"multiclass_params", read_classes, file},
        {"catboost_version_info", read_version, &file->version},
    };
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void add_bias(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    double *bias = px_vec_push(&file->bias);
    (void)doc;
    if (!bias)
        px_catboost_no_memory(file);
    else
        *bias = px_catboost_number(file);
}

/* [scale, [bias, ...]]; older versions write a single number for the bias. */
static void read_scale_and_bias(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    file->bias.len = 0;
    px_doc_enter_array(doc);
    for (size_t i = 0; px_doc_next_element(doc); i++) {
        if (i == 0)
            file->scale = px_catboost_number(file);
        else if (px_doc_peek(doc) == PX_JSON_NUMBER)
            add_bias(doc, file);
        else
            px_doc_list(doc, add_bias, file);
    }
}

static void refuse_twice(struct px_catboost_file *file, const char *key)
{
    file->code = px_err_set(file->err, PX_E_CORRUPT, "'%s' stands in the file twice", key);
}

/* Whatever the trees refer to was read. */
static bool is_ready(const struct px_catboost_file *file)
{
    return file->has_features && (file->has_ctr_data || file->ctrs.len == 0);
}

static void read_ready_trees(struct px_catboost_file *file)
{
    px_catboost_assign_codes(file);
    if (px_catboost_going(file))
        px_catboost_read_trees(file);
    file->trees_read = true;
}

static void take_trees(struct px_catboost_file *file, bool oblivious)
{
    if (file->has_trees) {
        refuse_twice(file, "trees");
        return;
    }
    file->has_trees = true;
    file->oblivious = oblivious;
    if (is_ready(file)) {
        read_ready_trees(file);
        return;
    }
    file->trees_at = file->doc;
    px_doc_skip(&file->doc);
}

static void take_oblivious_trees(struct px_doc *doc, void *target)
{
    (void)doc;
    take_trees(target, true);
}

static void take_nested_trees(struct px_doc *doc, void *target)
{
    (void)doc;
    take_trees(target, false);
}

static void take_features(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    (void)doc;
    if (file->has_features) {
        refuse_twice(file, "features_info");
        return;
    }
    file->has_features = true;
    px_catboost_read_features(file);
}

/* null in the files of models without target statistics that some versions write. */
static void take_ctr_data(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    if (file->has_ctr_data) {
        refuse_twice(file, "ctr_data");
        return;
    }
    file->has_ctr_data = true;
    if (px_doc_peek(doc) == PX_JSON_OBJECT)
        px_catboost_read_tables(file);
    else
        px_doc_skip(doc);
}

static void read_document(struct px_catboost_file *file)
{
    const struct px_doc_field fields[] = {
        {"features_info", take_features, file},
        {"ctr_data", take_ctr_data, file},
        {"model_info", read_model_info, file},
        {"scale_and_bias", read_scale_and_bias, file},
        {"oblivious_trees", take_oblivious_trees, file},
        {"trees", take_nested_trees, file},
    };
    px_doc_object(&file->doc, fields, PX_ARRAY_LEN(fields));
}

/* Trees that came before what they refer to. */
static void read_postponed(struct px_catboost_file *file)
{
    if (!file->has_features)
        file->code = px_err_set(file->err, PX_E_CORRUPT, "the file has no 'features_info'");
    else if (!file->has_trees)
        file->code =
            px_err_set(file->err, PX_E_CORRUPT, "the file has no 'oblivious_trees' and no 'trees'");
    if (file->code != PX_OK || file->trees_read)
        return;
    file->doc = file->trees_at;
    read_ready_trees(file);
}

/* Every sum starts at 0; the library applies scale and bias to it. */
static enum px_code take_scale_and_bias(struct px_catboost_file *file, struct px_err *err)
{
    struct px_forest_ir *ir = file->ir;
    if (file->bias.len > 1 && file->bias.len != ir->n_margins)
        return px_err_set(err, PX_E_CORRUPT,
                          "scale_and_bias has %zu biases, but leaves have %zu values",
                          file->bias.len, ir->n_margins);
    ir->base = px_arena_zalloc(&ir->arena, ir->n_margins, sizeof *ir->base);
    if (!ir->base)
        return px_ir_no_memory(err);
    bool any = file->scale != 1.0;
    for (size_t k = 0; file->bias.len && k < ir->n_margins; k++) {
        ir->base[k] = file->bias.items[file->bias.len == 1 ? 0 : k];
        any |= ir->base[k] != 0.0;
    }
    ir->base_last = any;
    ir->sum_factor = file->scale;
    return PX_OK;
}

static enum px_code finish(struct px_catboost_file *file, struct px_err *err)
{
    struct px_forest_ir *ir = file->ir;
    px_catboost_describe_columns(file);
    if (file->code != PX_OK)
        return file->code;
    if (file->width > PX_FOREST_OUTPUTS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "leaves have %zu values; the limit is %d",
                          file->width, PX_FOREST_OUTPUTS_MAX);
    ir->n_margins = ir->n_outputs = file->width ? file->width : 1;
    ir->n_rounds = ir->trees.len;
    ir->best_round = ir->n_rounds ? ir->n_rounds - 1 : 0;
    ir->library_version = px_arena_str(&ir->arena, file->version);
    if (!ir->library_version.ptr)
        return px_ir_no_memory(err);
    enum px_code code = take_scale_and_bias(file, err);
    if (code == PX_OK)
        code = px_catboost_take_loss(file, err);
    return code == PX_OK ? px_ir_finish(ir, err) : code;
}

static void deinit_file(struct px_catboost_file *file)
{
    px_vec_free(&file->class_names);
    px_vec_free(&file->bias);
    px_vec_free(&file->borders);
    px_vec_free(&file->floats);
    px_vec_free(&file->categories);
    px_vec_free(&file->ctrs);
    px_vec_free(&file->names);
    px_vec_free(&file->tables);
    px_map_deinit(&file->table_of);
    px_vec_free(&file->claims);
    px_vec_free(&file->bins);
    px_vec_free(&file->splits);
    px_vec_free(&file->values);
    px_vec_free(&file->nodes);
}

enum px_code px_catboost_read(struct px_forest_ir *ir, struct px_str bytes, struct px_err *err)
{
    struct px_catboost_file file = {
        .ir = ir, .err = err, .scale = 1.0, .version = PX_STR(""), .loss = PX_STR("")};
    file.codes_max = PX_FOREST_CATEGORY_MAX;
    file.ctr_work = (uint64_t)bytes.len * CTR_WORK_PER_BYTE + CTR_WORK_SLACK;
    px_doc_init(&file.doc, bytes, false, &ir->arena);
    file.doc.finding = &file.code;
    read_document(&file);
    if (file.code == PX_OK)
        file.code = px_doc_finish(&file.doc, err);
    if (file.code == PX_OK)
        read_postponed(&file);
    if (file.code == PX_OK)
        file.code = px_doc_check(&file.doc, err);
    if (file.code == PX_OK)
        file.code = finish(&file, err);
    deinit_file(&file);
    return file.code;
}
