/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures: look-up of names, encoding of raw values, binding of columns.
 *
 * Invariants
 * 1. A text and the JSON value that means the same encode to the same number: "3" and 3, "true" and
 *    true, "" and null. Where a category list is concerned a number is looked up by its text. Values are
 *    doubles here; a 32-bit matrix rounds them once more. A reader of typed numbers (an FP32 tensor) may round
 *    the text to a float at once; the two differ, in the last bit, only for a text that lies within a
 *    double's rounding of the middle between two floats.
 * 2. A category is looked up exactly before anything else is tried, so a list may hold "NA" or a
 *    name with blanks; only then is the text trimmed and tested for the words that mean missing.
 * 3. Encoding never guesses: what is neither valid nor missing is an error. The one exception is an
 *    unseen category, which production data always brings: it has a defined code.
 */
#include "domain/inference/signature.h"

#include "shared/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const char *const kind_names[] = {
    [PX_FEATURE_NUMBER] = "number",
    [PX_FEATURE_CATEGORY] = "category",
    [PX_FEATURE_BOOLEAN] = "boolean",
    [PX_FEATURE_DATETIME] = "datetime",
};

static const char *const task_names[] = {
    [PX_TASK_REGRESSION] = "regression",
    [PX_TASK_BINARY] = "binary",
    [PX_TASK_MULTICLASS] = "multiclass",
    [PX_TASK_RANKING] = "ranking",
};

/* What a message says was expected. */
static const char *const kind_expected[] = {
    [PX_FEATURE_NUMBER] = "a number",
    [PX_FEATURE_CATEGORY] = "a category",
    [PX_FEATURE_BOOLEAN] = "true or false",
    [PX_FEATURE_DATETIME] = "an ISO 8601 date or date-time",
};

/* Hash maps mark a free slot by a null key, so an empty name needs an address. */
static struct px_str map_key(struct px_str s)
{
    return s.len ? s : (struct px_str)PX_STR("");
}

static enum px_code index_categories(struct px_feature *feature, struct px_err *err)
{
    size_t n = feature->n_categories, before;
    PX_ASSERT(feature->other >= -1 && feature->other <= (long)n);
    if (n == 0)
        return PX_OK;
    enum px_code code = px_map_reserve(&feature->by_name, n, err);
    for (size_t i = 0; code == PX_OK && i < n; i++) {
        struct px_str key = map_key(feature->categories[i]);
        if (px_map_get(&feature->by_name, key, &before))
            return px_err_set(err, PX_E_INVALID,
                              "feature '%.*s': category '%.*s' is listed twice, as %zu and %zu",
                              PX_STR_ARG(feature->name), PX_STR_ARG(key), before, i);
        code = px_map_put(&feature->by_name, key, i, err);
    }
    return code;
}

enum px_code px_signature_finish(struct px_signature *signature, struct px_err *err)
{
    size_t before;
    enum px_code code = px_map_reserve(&signature->by_name, signature->n_features, err);
    signature->all_numbers = true;
    for (size_t i = 0; code == PX_OK && i < signature->n_features; i++) {
        struct px_feature *feature = &signature->features[i];
        signature->all_numbers &= feature->kind == PX_FEATURE_NUMBER;
        if (feature->name.len == 0)
            return px_err_set(err, PX_E_INVALID, "feature %zu has no name", i);
        if (px_map_get(&signature->by_name, feature->name, &before))
            return px_err_set(err, PX_E_INVALID,
                              "feature '%.*s' is listed twice, as number %zu and %zu",
                              PX_STR_ARG(feature->name), before, i);
        code = px_map_put(&signature->by_name, feature->name, i, err);
        if (code == PX_OK)
            code = index_categories(feature, err);
    }
    return code;
}

void px_signature_deinit(struct px_signature *signature)
{
    for (size_t i = 0; signature->features && i < signature->n_features; i++)
        px_map_deinit(&signature->features[i].by_name);
    px_map_deinit(&signature->by_name);
}

/* The feature that is called f<index>. */
static long find_numbered(const struct px_signature *signature, struct px_str name)
{
    uint64_t index;
    char canonical[24];
    if (name.len < 2 || name.ptr[0] != 'f' ||
        !px_str_to_u64(px_str_n(name.ptr + 1, name.len - 1), &index) ||
        index >= signature->n_features)
        return -1;
    snprintf(canonical, sizeof canonical, "f%" PRIu64, index);
    return px_str_is(name, canonical) ? (long)index : -1; /* not f01, f+1 */
}

long px_signature_find(const struct px_signature *signature, struct px_str name)
{
    size_t index;
    if (px_map_get(&signature->by_name, name, &index))
        return (long)index;
    return signature->named ? -1 : find_numbered(signature, name);
}

enum px_code px_signature_unknown(const struct px_signature *signature, struct px_str name,
                                  struct px_err *err)
{
    long nearest = -1;
    if (signature->n_features)
        nearest = px_str_nearest_of(name, &signature->features[0].name, sizeof *signature->features,
                                    signature->n_features);
    if (nearest >= 0)
        return px_err_set(err, PX_E_INVALID, "unknown feature '%.*s' (did you mean '%.*s'?)",
                          PX_STR_ARG(name), PX_STR_ARG(signature->features[nearest].name));
    px_err_set(err, PX_E_INVALID, "unknown feature '%.*s'", PX_STR_ARG(name));
    if (signature->n_features)
        px_err_hint(err, "the model has %zu features, the first is '%.*s'", signature->n_features,
                    PX_STR_ARG(signature->features[0].name));
    return PX_E_INVALID;
}

const char *px_feature_kind_name(enum px_feature_kind kind)
{
    PX_ASSERT(kind >= PX_FEATURE_NUMBER && kind <= PX_FEATURE_DATETIME);
    return kind_names[kind];
}

enum px_feature_kind px_feature_kind_from_name(struct px_str name)
{
    for (int kind = PX_FEATURE_NUMBER; kind <= PX_FEATURE_DATETIME; kind++) {
        if (px_str_is(name, kind_names[kind]))
            return (enum px_feature_kind)kind;
    }
    return (enum px_feature_kind)0;
}

const char *px_task_name(enum px_task task)
{
    PX_ASSERT(task >= PX_TASK_REGRESSION && task <= PX_TASK_RANKING);
    return task_names[task];
}

enum px_task px_task_from_name(struct px_str name)
{
    for (int task = PX_TASK_REGRESSION; task <= PX_TASK_RANKING; task++) {
        if (px_str_is(name, task_names[task]))
            return (enum px_task)task;
    }
    return (enum px_task)0;
}

/* Is `code` what a category outside the list is encoded to? Missing values have NaN too. */
static bool is_outside(const struct px_feature *feature, double code)
{
    bool named = feature->kind == PX_FEATURE_CATEGORY && feature->n_categories > 0;
    return named && (isnan(code) || code == (double)feature->other);
}

bool px_feature_is_unseen_text(const struct px_feature *feature, struct px_str text, double code)
{
    return is_outside(feature, code) && !px_is_missing_text(px_str_trim(text));
}

bool px_feature_is_unseen_number(const struct px_feature *feature, double number, double code)
{
    return is_outside(feature, code) && !isnan(number);
}

bool px_is_missing_text(struct px_str text)
{
    static const struct px_str words[] = {PX_STR("na"), PX_STR("nan"), PX_STR("null"),
                                          PX_STR("none"), PX_STR("?")};
    struct px_str s = px_str_trim(text);
    if (s.len == 0)
        return true;
    if (s.len > 4) /* longer than every word: the common case of real text */
        return false;
    for (size_t i = 0; i < PX_ARRAY_LEN(words); i++) {
        if (px_str_eq_nocase(s, words[i]))
            return true;
    }
    return false;
}

static enum px_code refuse(const struct px_feature *feature, struct px_str got, struct px_err *err)
{
    return px_err_set(err, PX_E_INVALID, "feature '%.*s': expected %s, got '%.*s'",
                      PX_STR_ARG(feature->name), kind_expected[feature->kind], PX_STR_ARG(got));
}

static bool find_category(const struct px_feature *feature, struct px_str name, double *ret)
{
    size_t index;
    if (!px_map_get(&feature->by_name, map_key(name), &index))
        return false;
    *ret = (double)index;
    return true;
}

static double unseen(const struct px_feature *feature)
{
    return feature->other >= 0 ? (double)feature->other : (double)NAN;
}

/* A coded category without names takes the codes themselves. */
static enum px_code encode_code(const struct px_feature *feature, double number, double *ret,
                                struct px_err *err)
{
    if (number < 0 || number != floor(number) || isinf(number))
        return px_err_set(err, PX_E_INVALID,
                          "feature '%.*s': expected a category code (0, 1, 2, ...), got %g",
                          PX_STR_ARG(feature->name), number);
    *ret = number;
    return PX_OK;
}

static enum px_code encode_category_text(const struct px_feature *feature, struct px_str text,
                                         double *ret, struct px_err *err)
{
    struct px_str s = px_str_trim(text);
    double number;
    if (feature->n_categories == 0) {
        if (px_is_missing_text(s))
            *ret = NAN;
        else if (px_str_to_f64(s, &number))
            return encode_code(feature, number, ret, err);
        else
            return px_err_set(err, PX_E_INVALID,
                              "feature '%.*s': expected a category code (0, 1, 2, ...) because the "
                              "model does not name its categories, got '%.*s'",
                              PX_STR_ARG(feature->name), PX_STR_ARG(s));
        return PX_OK;
    }
    if (!find_category(feature, text, ret) && !find_category(feature, s, ret))
        *ret = px_is_missing_text(s) ? (double)NAN : unseen(feature);
    return PX_OK;
}

/* True when `s` is one of the words for a boolean. */
static bool read_boolean(struct px_str s, double *ret)
{
    static const struct px_str yes[] = {PX_STR("true"), PX_STR("yes"), PX_STR("1"),  PX_STR("t"),
                                        PX_STR("y"),    PX_STR("on"),  PX_STR("1.0")};
    static const struct px_str no[] = {PX_STR("false"), PX_STR("no"),  PX_STR("0"),  PX_STR("f"),
                                       PX_STR("n"),     PX_STR("off"), PX_STR("0.0")};
    for (size_t i = 0; i < PX_ARRAY_LEN(yes); i++) {
        bool is_yes = px_str_eq_nocase(s, yes[i]);
        if (is_yes || px_str_eq_nocase(s, no[i])) {
            *ret = is_yes;
            return true;
        }
    }
    return false;
}

bool px_feature_takes_text(const struct px_feature *feature)
{
    return feature->kind == PX_FEATURE_DATETIME ||
           (feature->kind == PX_FEATURE_CATEGORY && feature->n_categories > 0);
}

enum px_code px_feature_encode_text(const struct px_feature *feature, struct px_str text,
                                    double *ret, struct px_err *err)
{
    if (feature->kind == PX_FEATURE_CATEGORY)
        return encode_category_text(feature, text, ret, err);
    struct px_str s = px_str_trim(text);
    bool valid = feature->kind == PX_FEATURE_NUMBER    ? px_str_to_f64(s, ret)
                 : feature->kind == PX_FEATURE_BOOLEAN ? read_boolean(s, ret)
                                                       : px_parse_datetime(s, ret);
    if (valid)
        return PX_OK;
    if (s.len && memchr(s.ptr, '\0', s.len)) /* a message ends where it would quote the byte */
        return px_err_set(
            err, PX_E_INVALID,
            "feature '%.*s': the field holds a NUL byte: the text is damaged, or UTF-16",
            PX_STR_ARG(feature->name));
    if (!px_is_missing_text(s))
        return refuse(feature, s, err);
    *ret = NAN;
    return PX_OK;
}

/* A number is looked up as it may have been written: 3 as "3", then as "3.0". */
static enum px_code encode_category_number(const struct px_feature *feature, double number,
                                           double *ret, struct px_err *err)
{
    char text[PX_NUMBER_TEXT_MAX];
    if (feature->n_categories == 0)
        return encode_code(feature, number, ret, err);
    size_t len = px_number_print_f64(number, text);
    struct px_str printed = px_str_n(text, len);
    struct px_str whole = px_str_ends(printed, ".0") ? px_str_n(text, len - 2) : printed;
    if (!find_category(feature, whole, ret) && !find_category(feature, printed, ret))
        *ret = unseen(feature);
    return PX_OK;
}

enum px_code px_feature_encode_number(const struct px_feature *feature, double number, double *ret,
                                      struct px_err *err)
{
    if (isnan(number)) {
        *ret = NAN;
        return PX_OK;
    }
    if (feature->kind == PX_FEATURE_CATEGORY)
        return encode_category_number(feature, number, ret, err);
    if (feature->kind == PX_FEATURE_BOOLEAN && number != 0 && number != 1)
        return px_err_set(err, PX_E_INVALID, "feature '%.*s': expected true or false, got %g",
                          PX_STR_ARG(feature->name), number);
    *ret = number;
    return PX_OK;
}

enum px_code px_feature_encode_bool(const struct px_feature *feature, bool value, double *ret,
                                    struct px_err *err)
{
    static const struct px_str spellings[2][4] = {
        {PX_STR("false"), PX_STR("False"), PX_STR("FALSE"), PX_STR("0")},
        {PX_STR("true"), PX_STR("True"), PX_STR("TRUE"), PX_STR("1")},
    };
    if (feature->kind == PX_FEATURE_DATETIME)
        return refuse(feature, spellings[value][0], err);
    *ret = value;
    if (feature->kind != PX_FEATURE_CATEGORY || feature->n_categories == 0)
        return PX_OK;
    for (size_t i = 0; i < PX_ARRAY_LEN(spellings[0]); i++) {
        if (find_category(feature, spellings[value][i], ret))
            return PX_OK;
    }
    *ret = unseen(feature);
    return PX_OK;
}

/* Which column each feature was bound to, to find absent and repeated ones. */
static enum px_code bind_by_name(const struct px_signature *signature, const struct px_str *columns,
                                 long *column_of, struct px_column_binding *ret, struct px_err *err)
{
    for (size_t i = 0; i < signature->n_features; i++)
        column_of[i] = -1;
    for (size_t c = 0; c < ret->n_columns; c++) {
        long feature = px_signature_find(signature, columns[c]);
        ret->feature_of[c] = feature;
        if (feature < 0)
            continue;
        if (column_of[feature] >= 0)
            return px_err_set(err, PX_E_INVALID,
                              "column '%.*s' appears twice, as number %ld and %zu",
                              PX_STR_ARG(columns[c]), column_of[feature] + 1, c + 1);
        column_of[feature] = (long)c;
    }
    return PX_OK;
}

static enum px_code check_present(const struct px_signature *signature,
                                  const struct px_str *columns, const long *column_of,
                                  size_t n_columns, struct px_err *err)
{
    for (size_t i = 0; i < signature->n_features; i++) {
        if (column_of[i] >= 0)
            continue;
        struct px_str name = signature->features[i].name;
        long nearest = px_str_nearest(name, columns, n_columns);
        if (nearest >= 0)
            return px_err_set(err, PX_E_INVALID,
                              "no column for feature '%.*s' (the nearest column is '%.*s')",
                              PX_STR_ARG(name), PX_STR_ARG(columns[nearest]));
        return px_err_set(err, PX_E_INVALID, "no column for feature '%.*s'", PX_STR_ARG(name));
    }
    return PX_OK;
}

/* A model without names takes its columns in order, whatever they are called. */
static enum px_code bind_by_position(const struct px_signature *signature, bool allow_absent,
                                     struct px_column_binding *ret, struct px_err *err)
{
    size_t n = signature->n_features;
    if (ret->n_columns > n || (ret->n_columns < n && !allow_absent))
        return px_err_set(err, PX_E_INVALID,
                          "the model has no feature names and takes %zu columns in order, got %zu",
                          n, ret->n_columns);
    for (size_t c = 0; c < ret->n_columns; c++)
        ret->feature_of[c] = (long)c;
    return PX_OK;
}

static bool any_bound(const struct px_column_binding *binding)
{
    for (size_t c = 0; c < binding->n_columns; c++) {
        if (binding->feature_of[c] >= 0)
            return true;
    }
    return false;
}

struct px_str px_column_name(struct px_str header, size_t index, struct px_arena *arena)
{
    char place[32];
    struct px_str name = px_str_trim(header);
    if (name.len == 0) {
        snprintf(place, sizeof place, "column_%zu", index + 1);
        name = px_str(place);
    }
    return px_arena_str(arena, name);
}

enum px_code px_signature_bind(const struct px_signature *signature, const struct px_str *columns,
                               size_t n_columns, bool allow_absent, struct px_arena *arena,
                               struct px_column_binding *ret, struct px_err *err)
{
    ret->n_columns = n_columns;
    ret->feature_of = px_arena_alloc(arena, n_columns + 1, sizeof *ret->feature_of);
    long *column_of = px_arena_alloc(arena, signature->n_features + 1, sizeof *column_of);
    if (!ret->feature_of || !column_of)
        return px_arena_check(arena, "the binding of columns", err);
    enum px_code code = bind_by_name(signature, columns, column_of, ret, err);
    if (code != PX_OK)
        return code;
    if (!signature->named && !any_bound(ret))
        return bind_by_position(signature, allow_absent, ret, err);
    return allow_absent ? PX_OK : check_present(signature, columns, column_of, n_columns, err);
}
