/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An example instance for the ready-to-paste curl and the dashboard's form: the first row of the
 * package's reference sample when it has one, else values around the model's own thresholds.
 */
#include "application/lifecycle/example.h"
#include "application/lifecycle/package.h"
#include "application/serving/serving_impl.h"

#include "shared/csv.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/number.h"

#include <math.h>

enum { REFERENCE_MAX = 64 << 20 };

static void put_text_value(struct px_json_writer *w, const struct px_feature *feature,
                           struct px_str text)
{
    double number;
    if (px_is_missing_text(text))
        px_json_put_null(w);
    else if (feature->kind == PX_FEATURE_NUMBER && px_str_to_f64(text, &number))
        px_json_put_f64(w, number, false);
    else
        px_json_put_str(w, text);
}

static void put_code(struct px_json_writer *w, const struct px_feature *feature, double value)
{
    if (isnan(value))
        px_json_put_null(w);
    else if (feature->kind == PX_FEATURE_BOOLEAN)
        px_json_put_bool(w, value > 0);
    else if (feature->n_categories > 0)
        px_json_put_str(w, feature->categories[0]);
    else if (feature->kind == PX_FEATURE_CATEGORY)
        px_json_put_i64(w, 0);
    else
        px_json_put_f64(w, round(value * 1e4) / 1e4, false);
}

static void from_thresholds(const struct px_package *package, struct px_buf *json)
{
    const struct px_signature *signature = &package->signature;
    enum px_datatype type = px_forest_info(package->forest)->feature_type;
    struct px_arena arena = px_arena(signature->n_features * 8 + 64);
    struct px_matrix row = {.type = type,
                            .n_rows = 1,
                            .n_cols = signature->n_features,
                            .stride = signature->n_features};
    row.data = px_arena_zalloc(&arena, signature->n_features, px_datatype_size(type));
    if (row.data)
        px_forest_typical_row(package->forest, &row);
    struct px_json_writer w = px_json_writer(json);
    px_json_begin_object(&w);
    for (size_t i = 0; row.data && i < signature->n_features; i++) {
        px_json_key_str(&w, signature->features[i].name);
        put_code(&w, &signature->features[i], px_matrix_get(&row, 0, i));
    }
    px_json_end_object(&w);
    px_arena_deinit(&arena);
}

/* The text of column `name` in the second of the two records, or a missing value. */
static struct px_str cell(const struct px_str *names, size_t n, const struct px_csv_record *record,
                          struct px_str name)
{
    for (size_t i = 0; i < n && i < record->n_fields; i++) {
        if (px_str_eq(names[i], name))
            return record->fields[i].text;
    }
    return (struct px_str){0};
}

static struct px_str *copy_names(const struct px_csv_record *header, struct px_arena *arena)
{
    struct px_str *names = px_arena_alloc(arena, header->n_fields, sizeof *names);
    for (size_t i = 0; names && i < header->n_fields; i++)
        names[i] = px_arena_str(arena, header->fields[i].text);
    return arena->failed ? NULL : names;
}

static bool from_records(const struct px_signature *signature, struct px_csv *csv,
                         struct px_arena *arena, struct px_buf *json)
{
    struct px_csv_record record;
    if (px_csv_next(csv, &record, NULL) != PX_CSV_RECORD)
        return false;
    size_t n = record.n_fields;
    struct px_str *names = copy_names(&record, arena);
    if (!names || px_csv_next(csv, &record, NULL) != PX_CSV_RECORD)
        return false;
    struct px_json_writer w = px_json_writer(json);
    px_json_begin_object(&w);
    for (size_t i = 0; i < signature->n_features; i++) {
        const struct px_feature *feature = &signature->features[i];
        px_json_key_str(&w, feature->name);
        put_text_value(&w, feature, cell(names, n, &record, feature->name));
    }
    px_json_end_object(&w);
    return true;
}

static bool from_reference(const struct px_package *package, struct px_buf *json)
{
    struct px_file file = {0};
    if (!package->reference_path.len ||
        px_file_load(&file, package->reference_path.ptr, REFERENCE_MAX, NULL) != PX_OK)
        return false;
    struct px_arena arena = px_arena(REFERENCE_MAX);
    struct px_csv csv;
    px_csv_init(&csv, ',');
    bool done = px_csv_feed(&csv, file.bytes.ptr, file.bytes.len, NULL) == PX_OK &&
                px_csv_feed(&csv, NULL, 0, NULL) == PX_OK &&
                from_records(&package->signature, &csv, &arena, json);
    px_csv_deinit(&csv);
    px_arena_deinit(&arena);
    px_file_unload(&file);
    return done;
}

void px_model_sample(const struct px_package *package, struct px_buf *json)
{
    if (package->engine)
        px_example_put_json(package->engine, json);
    else if (!from_reference(package, json))
        from_thresholds(package, json);
}
