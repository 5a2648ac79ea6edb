/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a LightGBM text model, v2 (2.0) to v4 (4.x).
 *
 * The file is read line by line: a header up to the first "Tree=", the tree blocks, and a tail of which
 * only the pandas categories matter. `tree_sizes` is ignored: edited files break it, and the blocks say
 * where they end.
 *
 * A file that was cut off must not be taken for a smaller model. So the trees must be followed by the line
 * that every writer puts there, and a list of parameters must be closed. A v3 file that ends between the
 * two may be cut or not; it is refused when the rules below depend on the list.
 *
 * Two rules changed in versions that the file does not state. A missing category goes right, except in
 * 3.0 to 3.2 where NaN counted as category 0 unless the missing type is NaN; cross_entropy_lambda is
 * log1p(exp(x)) since 3.3 and was log(1 + exp(x)). v2 was written by 2.0 to 2.2, v3 by 2.3 to 3.3, v4 later.
 * Within v3 the list of parameters tells: `saved_feature_importance_type` came with 3.0,
 * `precise_float_parser` with 3.3 (measured: 2.2.3, 2.3.1, 3.0.0, 3.1.1, 3.2.1, 3.3.0, 4.1, 4.7 on
 * x86-64). Without the list the newest rules are taken, with a warning when the first one matters (Python
 * wrote it then: its line of pandas categories is the last).
 */
#include "domain/forest/readers/doc.h"
#include "domain/forest/readers/lightgbm/lightgbm_objective.h"
#include "domain/forest/readers/lightgbm/lightgbm_tree.h"
#include "domain/forest/readers/readers.h"
#include "shared/json.h"

#include <inttypes.h>

enum { VERSION_KNOWN = 4, VERSION_WITH_END = 3 };

enum generation { LIGHTGBM_2, LIGHTGBM_3_0_TO_3_2, LIGHTGBM_3_3_ON, LIGHTGBM_V3_UNSURE };

struct reader {
    struct px_forest_ir *ir;
    struct px_str rest; /* what is not read yet */
    struct px_str version, num_class, trees_per_iteration, max_feature, objective;
    struct px_str feature_names, feature_infos, pandas_categorical;
    int64_t format; /* number of the version; 2 when the file does not say */
    bool average_output;
    bool has_ending; /* the file has one of the lines that writers put last */
    enum generation generation;
    struct px_lightgbm_tree tree;
};

static void take_header_line(struct reader *reader, struct px_str line)
{
    struct px_str value = line;
    struct px_str key = px_str_cut(&value, '=');
    const struct {
        const char *key;
        struct px_str *text;
    } fields[] = {
        {"version", &reader->version},
        {"num_class", &reader->num_class},
        {"num_tree_per_iteration", &reader->trees_per_iteration},
        {"max_feature_idx", &reader->max_feature},
        {"objective", &reader->objective},
        {"feature_names", &reader->feature_names},
        {"feature_infos", &reader->feature_infos},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(fields); i++) {
        if (px_str_is(key, fields[i].key))
            *fields[i].text = value;
    }
    if (px_str_is(px_str_trim(line), "average_output"))
        reader->average_output = true;
}

static void read_header(struct reader *reader)
{
    while (reader->rest.ptr) {
        struct px_str after = reader->rest;
        struct px_str line = px_lightgbm_line(&after);
        if (px_str_starts(line, "Tree=") || px_str_is(line, "end of trees"))
            return;
        take_header_line(reader, line);
        reader->rest = after;
    }
}

static enum px_code header_number(struct px_str text, const char *key, int64_t least, int64_t most,
                                  size_t *ret, struct px_err *err)
{
    int64_t value;
    if (!text.ptr)
        return px_err_set(err, PX_E_CORRUPT, "the header has no %s", key);
    if (!px_str_to_i64(px_str_trim(text), &value) || value < least)
        return px_err_set(err, PX_E_CORRUPT, "%s is '%.*s', expected a number from %" PRId64 " on",
                          key, PX_STR_ARG(text), least);
    if (value > most)
        return px_err_set(err, PX_E_TOO_LARGE, "%s is %" PRId64 "; the limit is %" PRId64, key,
                          value, most);
    *ret = (size_t)value;
    return PX_OK;
}

static enum px_code take_sizes(struct reader *reader, struct px_err *err)
{
    struct px_forest_ir *ir = reader->ir;
    size_t num_class = 0, max_feature = 0;
    enum px_code code =
        header_number(reader->num_class, "num_class", 1, PX_FOREST_OUTPUTS_MAX, &num_class, err);
    if (code == PX_OK)
        code =
            header_number(reader->max_feature, "max_feature_idx", 0, INT64_MAX, &max_feature, err);
    if (code == PX_OK)
        code = px_ir_check_features(max_feature + 1, err);
    ir->n_margins = num_class;
    ir->n_features = max_feature + 1;
    if (code == PX_OK && reader->trees_per_iteration.ptr)
        code = header_number(reader->trees_per_iteration, "num_tree_per_iteration", 1,
                             PX_FOREST_OUTPUTS_MAX, &ir->n_margins, err);
    if (code != PX_OK)
        return code;
    ir->n_outputs = ir->n_margins;
    ir->base = px_arena_zalloc(&ir->arena, ir->n_margins, sizeof *ir->base);
    return ir->base ? PX_OK : px_ir_no_memory(err);
}

static bool file_contains(struct px_str text, const char *word)
{
    return text.len && memmem(text.ptr, text.len, word, strlen(word));
}

/* `bytes` is the whole file, `number` its format. */
static enum generation find_generation(int64_t number, struct px_str bytes)
{
    if (number != 3)
        return number < 3 ? LIGHTGBM_2 : LIGHTGBM_3_3_ON;
    if (file_contains(bytes, "\n[precise_float_parser:"))
        return LIGHTGBM_3_3_ON;
    if (file_contains(bytes, "\n[saved_feature_importance_type:"))
        return LIGHTGBM_3_0_TO_3_2;
    return file_contains(bytes, "\nparameters:") ? LIGHTGBM_2 : LIGHTGBM_V3_UNSURE;
}

static enum px_code take_version(struct reader *reader, struct px_str bytes, struct px_err *err)
{
    struct px_str version = px_str_trim(reader->version);
    bool numbered = version.len > 1 && version.ptr[0] == 'v' &&
                    px_str_to_i64(px_str_n(version.ptr + 1, version.len - 1), &reader->format);
    if (!numbered)
        reader->format = version.len ? INT64_MAX : 2;
    reader->generation = find_generation(reader->format, bytes);
    reader->tree.nan_is_category_0 = reader->generation == LIGHTGBM_3_0_TO_3_2;
    reader->ir->library_version =
        px_arena_str(&reader->ir->arena, version.ptr ? version : px_str("v2"));
    if (!reader->ir->library_version.ptr)
        return px_ir_no_memory(err);
    if (reader->format <= VERSION_KNOWN)
        return PX_OK;
    return px_ir_warn(
        reader->ir, err,
        "the model's format is '%.*s', newer than v%d, the newest known here; compare "
        "some predictions before serving it",
        PX_STR_ARG(version), VERSION_KNOWN);
}

/* The section after the trees; only the first name of it is written by every v3 and v4. */
static bool is_after_trees(struct px_str line)
{
    return px_str_is(line, "end of trees") || px_str_is(line, "feature_importances:") ||
           px_str_is(line, "feature importances:") || px_str_is(line, "parameters:");
}

static enum px_code read_numbered_tree(struct reader *reader, struct px_str line,
                                       struct px_err *err)
{
    int64_t number;
    size_t n = reader->ir->trees.len;
    if (!px_str_starts(line, "Tree="))
        return px_err_set(err, PX_E_CORRUPT, "after %zu trees: expected 'Tree=%zu', got '%.*s'", n,
                          n, PX_STR_ARG(line));
    if (!px_str_to_i64(px_str_n(line.ptr + 5, line.len - 5), &number) || number != (int64_t)n)
        return px_err_set(err, PX_E_CORRUPT, "expected 'Tree=%zu', got '%.*s'", n,
                          PX_STR_ARG(line));
    return px_lightgbm_read_tree(&reader->tree, &reader->rest, reader->ir, err);
}

static enum px_code check_ending(const struct reader *reader, struct px_str last_line,
                                 struct px_err *err)
{
    bool says_so = reader->format >= VERSION_WITH_END;
    size_t n = reader->ir->trees.len;
    if (says_so ? px_str_is(last_line, "end of trees") : is_after_trees(last_line))
        return PX_OK;
    px_err_set(err, PX_E_CORRUPT, "no line '%s' after %zu trees: the file is truncated",
               says_so ? "end of trees" : "feature importances:", n);
    return px_err_hint(err, "copy the file again; if trees were edited, keep the line after them");
}

static enum px_code read_trees(struct reader *reader, struct px_err *err)
{
    struct px_str line = {0};
    enum px_code code = PX_OK;
    while (code == PX_OK && reader->rest.ptr) {
        line = px_lightgbm_line(&reader->rest);
        if (is_after_trees(line))
            break;
        if (px_str_trim(line).len)
            code = read_numbered_tree(reader, line, err);
    }
    return code == PX_OK ? check_ending(reader, line, err) : code;
}

static enum px_code read_tail(struct reader *reader, struct px_err *err)
{
    static const char key[] = "pandas_categorical:";
    bool in_parameters = false;
    while (reader->rest.ptr) {
        struct px_str line = px_lightgbm_line(&reader->rest);
        bool closes = px_str_is(line, "end of parameters"), pandas = px_str_starts(line, key);
        in_parameters = (in_parameters || px_str_is(line, "parameters:")) && !closes;
        reader->has_ending = reader->has_ending || closes || pandas;
        if (pandas)
            reader->pandas_categorical =
                px_str_n(line.ptr + sizeof key - 1, line.len - sizeof key + 1);
    }
    if (in_parameters)
        return px_err_set(err, PX_E_CORRUPT,
                          "no line 'end of parameters' after 'parameters:': the file is truncated");
    return PX_OK;
}

static enum px_code take_rounds(struct reader *reader, struct px_err *err)
{
    struct px_forest_ir *ir = reader->ir;
    size_t n = ir->trees.len, k = ir->n_margins;
    if (n % k != 0)
        return px_err_set(err, PX_E_CORRUPT,
                          "%zu trees are no multiple of the %zu trees per iteration (truncated?)",
                          n, k);
    for (size_t t = 0; t < n; t++)
        ir->trees.items[t].output = (uint32_t)(t % k);
    ir->n_rounds = n / k;
    ir->best_round = ir->n_rounds ? ir->n_rounds - 1 : 0;
    ir->average_by = reader->average_output ? (double)ir->n_rounds : 0.0;
    return PX_OK;
}

/* Words between single spaces. */
static size_t count_words(struct px_str text)
{
    size_t n = 0;
    for (struct px_str rest = px_str_trim(text); rest.len; n++)
        px_str_cut(&rest, ' ');
    return n;
}

/* LightGBM invents Column_0, Column_1, ... when the data has no names. */
static bool is_invented(struct px_str name, size_t i)
{
    char invented[32];
    snprintf(invented, sizeof invented, "Column_%zu", i);
    return px_str_is(name, invented);
}

static enum px_code take_names(struct reader *reader, struct px_err *err)
{
    struct px_forest_ir *ir = reader->ir;
    struct px_str rest = px_str_trim(reader->feature_names);
    bool all_invented = true;
    if (!rest.len)
        return PX_OK;
    if (count_words(rest) != ir->n_features)
        return px_err_set(err, PX_E_CORRUPT, "feature_names has %zu names for %zu features",
                          count_words(rest), ir->n_features);
    struct px_str *names = px_arena_zalloc(&ir->arena, ir->n_features, sizeof *names);
    for (size_t i = 0; names && i < ir->n_features; i++) {
        names[i] = px_arena_str(&ir->arena, px_str_cut(&rest, ' '));
        if (!names[i].ptr)
            return px_ir_no_memory(err);
        if (!px_str_is_utf8(names[i]))
            return px_err_set(err, PX_E_CORRUPT, "feature_names: name %zu is not valid UTF-8", i);
        all_invented = all_invented && is_invented(names[i], i);
    }
    if (!names)
        return px_ir_no_memory(err);
    ir->feature_names = names;
    ir->names_made_up = all_invented;
    return PX_OK;
}

/* feature_infos: [min:max], none, or the list of categories. */
static enum px_code take_infos(struct reader *reader, struct px_err *err)
{
    struct px_forest_ir *ir = reader->ir;
    struct px_str rest = px_str_trim(reader->feature_infos);
    ir->categorical = px_arena_zalloc(&ir->arena, ir->n_features, sizeof(bool));
    if (!ir->categorical)
        return px_ir_no_memory(err);
    if (!rest.len)
        return PX_OK;
    if (count_words(rest) != ir->n_features)
        return px_err_set(err, PX_E_CORRUPT, "feature_infos has %zu entries for %zu features",
                          count_words(rest), ir->n_features);
    for (size_t i = 0; i < ir->n_features; i++) {
        struct px_str info = px_str_cut(&rest, ' ');
        ir->categorical[i] = info.len && info.ptr[0] != '[' && !px_str_is(info, "none");
    }
    return PX_OK;
}

static enum px_code check_linear(const struct reader *reader, struct px_err *err)
{
    const struct px_forest_ir *ir = reader->ir;
    for (size_t i = 0; i < ir->linear_terms.len; i++) {
        if (ir->linear_terms.items[i].feature >= ir->n_features)
            return px_err_set(err, PX_E_CORRUPT,
                              "leaf_features: feature %" PRIu32 " of a linear leaf, but the model "
                              "has %zu features",
                              ir->linear_terms.items[i].feature, ir->n_features);
    }
    return PX_OK;
}

static enum px_code check_generation(struct reader *reader, struct px_err *err)
{
    bool lambda = reader->ir->transform.kind == PX_TRANSFORM_LOG1P_EXP;
    bool matters = reader->tree.met_nan_rule || lambda;
    if (reader->generation != LIGHTGBM_V3_UNSURE || !matters)
        return PX_OK;
    if (!reader->has_ending) {
        px_err_set(err, PX_E_CORRUPT, "the file ends after the trees: it is truncated");
        return px_err_hint(err, "the parameters at the end of a v3 file say how to score its %s",
                           lambda ? "objective" : "missing categories");
    }
    if (!reader->tree.met_nan_rule)
        return PX_OK;
    return px_ir_warn(reader->ir, err,
                      "LightGBM 3.0 to 3.2 treats a missing category as category 0, other versions "
                      "send it right; this v3 file has no parameters that tell which wrote it, and "
                      "it is sent right");
}

/* One list of pandas categories; numbers keep their text. */
static enum px_code read_category_list(struct px_json *json, struct px_forest_ir *ir,
                                       struct px_category_names *ret, struct px_err *err)
{
    PX_VEC(struct px_str) names = {0};
    px_json_enter_array(json);
    while (!px_json_failed(json) && px_json_next_element(json)) {
        struct px_str value = px_doc_json_label(json);
        struct px_str *name = px_vec_push(&names);
        if (name)
            *name = px_arena_str(&ir->arena, value);
        if (!name || !name->ptr) {
            px_vec_free(&names);
            return px_ir_no_memory(err);
        }
    }
    *ret = (struct px_category_names){
        .names = px_arena_zalloc(&ir->arena, names.len, sizeof *ret->names), .n = names.len};
    if (ret->names && names.len)
        memcpy(ret->names, names.items, names.len * sizeof *names.items);
    px_vec_free(&names);
    return ret->names ? PX_OK : px_ir_no_memory(err);
}

/* The next categorical feature after `i`, or n_features. */
static size_t next_categorical(const struct px_forest_ir *ir, size_t i)
{
    while (i < ir->n_features && !ir->categorical[i])
        i++;
    return i;
}

/*
 * The k-th list belongs to the k-th categorical feature. The file does not say so; when the counts
 * differ (a categorical column that training found useless) the lists cannot be assigned.
 */
static enum px_code assign_categories(struct reader *reader, struct px_json *json,
                                      struct px_err *err)
{
    struct px_forest_ir *ir = reader->ir;
    size_t feature = next_categorical(ir, 0), n_lists = 0;
    ir->categories = px_arena_zalloc(&ir->arena, ir->n_features, sizeof *ir->categories);
    if (!ir->categories)
        return px_ir_no_memory(err);
    px_json_enter_array(json);
    for (; !px_json_failed(json) && px_json_next_element(json); n_lists++) {
        if (feature == ir->n_features) {
            px_json_skip(json);
            feature = SIZE_MAX; /* one list too many */
            break;
        }
        enum px_code code = read_category_list(json, ir, &ir->categories[feature], err);
        if (code != PX_OK)
            return code;
        feature = next_categorical(ir, feature + 1);
    }
    if (!px_json_failed(json) && feature == ir->n_features)
        return PX_OK;
    ir->categories = NULL;
    return n_lists == 0 && !px_json_failed(json)
               ? PX_OK
               : px_ir_warn(ir, err,
                            "pandas_categorical does not match the categorical features; requests "
                            "must send category codes");
}

static enum px_code take_categories(struct reader *reader, struct px_err *err)
{
    struct px_json json;
    struct px_str text = px_str_trim(reader->pandas_categorical);
    px_json_init(&json, text, &reader->ir->arena, PX_JSON_NONFINITE);
    if (!text.len || px_json_peek(&json) != PX_JSON_ARRAY)
        return PX_OK;
    return assign_categories(reader, &json, err);
}

static enum px_code finish(struct reader *reader, struct px_err *err)
{
    enum px_code code = take_rounds(reader, err);
    if (code == PX_OK)
        code = px_lightgbm_take_objective(reader->objective,
                                          reader->generation == LIGHTGBM_2 ||
                                              reader->generation == LIGHTGBM_3_0_TO_3_2,
                                          reader->ir, err);
    if (code == PX_OK)
        code = take_names(reader, err);
    if (code == PX_OK)
        code = take_infos(reader, err);
    if (code == PX_OK)
        code = check_linear(reader, err);
    if (code == PX_OK)
        code = check_generation(reader, err);
    if (code == PX_OK)
        code = px_ir_finish(reader->ir, err);
    return code == PX_OK ? take_categories(reader, err) : code;
}

enum px_code px_lightgbm_read(struct px_forest_ir *ir, struct px_str bytes, struct px_err *err)
{
    struct reader reader = {.ir = ir, .rest = bytes};
    read_header(&reader);
    enum px_code code = take_sizes(&reader, err);
    if (code == PX_OK)
        code = take_version(&reader, bytes, err);
    if (code == PX_OK)
        code = read_trees(&reader, err);
    if (code == PX_OK)
        code = read_tail(&reader, err);
    if (code == PX_OK)
        code = finish(&reader, err);
    px_lightgbm_tree_deinit(&reader.tree);
    return code;
}
