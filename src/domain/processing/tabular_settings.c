/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/processing/tabular_settings.h"

#include "domain/processing/text_settings.h"
#include "shared/number.h"

#include <math.h>

enum { KEYS_MAX = 16 };

static enum px_code read_file(struct px_tabular_settings *settings, struct px_err *err)
{
    struct px_str text;
    const struct px_processor_source *step = &settings->step;
    if (px_text_setting_str(step, "file", &settings->file_name, err) != PX_OK)
        return px_err_wrap(err, "file");
    enum px_code code = px_text_setting_file(step, "file", &text, err);
    if (code != PX_OK || !text.ptr)
        return code;
    if (px_yaml_parse(text, step->arena, &settings->file.settings, err) != PX_OK)
        return px_err_wrap(err, "file '%.*s'", PX_STR_ARG(settings->file_name));
    return PX_OK;
}

enum px_code px_tabular_settings_open(struct px_tabular_settings *settings,
                                      const struct px_processor_source *source,
                                      const struct px_str *known, size_t n_known,
                                      struct px_err *err)
{
    struct px_str keys[KEYS_MAX];
    PX_ASSERT(n_known < KEYS_MAX);
    if (n_known)
        memcpy(keys, known, n_known * sizeof *known);
    keys[n_known] = px_str("file");
    *settings = (struct px_tabular_settings){.step = *source, .file = *source};
    settings->file.settings = NULL;
    enum px_code code = px_text_settings_only(source, keys, n_known + 1, err);
    if (code == PX_OK)
        code = read_file(settings, err);
    if (code == PX_OK && px_text_settings_only(&settings->file, keys, n_known, err) != PX_OK)
        return px_err_wrap(err, "file '%.*s'", PX_STR_ARG(settings->file_name));
    return code;
}

/* Where the setting stands. */
static const struct px_processor_source *source_of(const struct px_tabular_settings *settings,
                                                   const char *key)
{
    bool own = px_text_setting(&settings->step, key) || !px_text_setting(&settings->file, key);
    return own ? &settings->step : &settings->file;
}

const struct px_yaml *px_tabular_node(const struct px_tabular_settings *settings, const char *key)
{
    const struct px_yaml *node = px_text_setting(source_of(settings, key), key);
    return px_yaml_is_null(node) ? NULL : node;
}

enum px_code px_tabular_wrap(const struct px_tabular_settings *settings, const char *key,
                             struct px_err *err)
{
    if (source_of(settings, key) == &settings->file)
        return px_err_wrap(err, "file '%.*s'", PX_STR_ARG(settings->file_name));
    return px_err_wrap(err, "with");
}

enum px_code px_tabular_need(const struct px_tabular_settings *settings, const char *key,
                             const char *what, struct px_err *err)
{
    if (px_tabular_node(settings, key))
        return PX_OK;
    const struct px_yaml *own = settings->step.settings;
    return px_err_set(err, PX_E_INVALID, "with: line %u: expected the setting '%s', %s",
                      own ? own->line : 0, key, what);
}

enum px_code px_tabular_bool(const struct px_tabular_settings *settings, const char *key,
                             bool *value, struct px_err *err)
{
    if (px_tabular_node(settings, key) &&
        px_text_setting_bool(source_of(settings, key), key, value, err) != PX_OK)
        return px_tabular_wrap(settings, key, err);
    return PX_OK;
}

enum px_code px_tabular_str(const struct px_tabular_settings *settings, const char *key,
                            struct px_str *value, struct px_err *err)
{
    if (px_tabular_node(settings, key) &&
        px_text_setting_str(source_of(settings, key), key, value, err) != PX_OK)
        return px_tabular_wrap(settings, key, err);
    return PX_OK;
}

enum px_code px_tabular_choice(const struct px_tabular_settings *settings, const char *key,
                               const char *const *names, size_t *value, struct px_err *err)
{
    if (px_tabular_node(settings, key) &&
        px_text_setting_choice(source_of(settings, key), key, names, value, err) != PX_OK)
        return px_tabular_wrap(settings, key, err);
    return PX_OK;
}

enum px_code px_tabular_type(const struct px_tabular_settings *settings, const char *const *names,
                             enum px_datatype *type, struct px_err *err)
{
    size_t choice = SIZE_MAX;
    enum px_code code = px_tabular_choice(settings, "type", names, &choice, err);
    if (code == PX_OK && choice != SIZE_MAX)
        *type = px_datatype_from_name(px_str(names[choice]));
    return code;
}

/* ---- numbers ---- */

/* As YAML, JSON and Python write them. */
static bool parse_number(struct px_str text, double *value)
{
    if (px_str_eq_nocase(text, px_str(".nan")) || px_str_eq_nocase(text, px_str(".inf")))
        text = px_str_n(text.ptr + 1, text.len - 1);
    if (px_str_eq_nocase(text, px_str("-.inf")))
        text = px_str("-inf");
    return px_str_to_f64(text, value);
}

enum px_code px_tabular_scalar(const struct px_yaml *node, bool nonfinite, double *value,
                               struct px_err *err)
{
    if (node->type != PX_YAML_SCALAR || node->quoted)
        return px_err_set(err, PX_E_INVALID, "line %u: expected a number", node->line);
    if (!parse_number(node->text, value))
        return px_err_set(err, PX_E_INVALID, "line %u: expected a number, got '%.*s'", node->line,
                          PX_STR_ARG(node->text));
    if (!nonfinite && !isfinite(*value))
        return px_err_set(err, PX_E_INVALID, "line %u: expected a finite number, got '%.*s'",
                          node->line, PX_STR_ARG(node->text));
    return PX_OK;
}

/* "with: scale: line 3: ..." */
static enum px_code wrap_key(const struct px_tabular_settings *settings, const char *key,
                             struct px_err *err)
{
    px_err_wrap(err, "%s", key);
    return px_tabular_wrap(settings, key, err);
}

enum px_code px_tabular_number(const struct px_tabular_settings *settings, const char *key,
                               double *value, struct px_err *err)
{
    const struct px_yaml *node = px_tabular_node(settings, key);
    if (node && px_tabular_scalar(node, false, value, err) != PX_OK)
        return wrap_key(settings, key, err);
    return PX_OK;
}

static enum px_code check_sequence(const struct px_yaml *node, const char *what, struct px_err *err)
{
    if (node->type != PX_YAML_SEQUENCE || node->n_children == 0)
        return px_err_set(err, PX_E_INVALID, "line %u: expected a list of %s", node->line, what);
    if (node->n_children > PX_TABULAR_LIST_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "line %u: the list has %zu values; at most %d",
                          node->line, node->n_children, PX_TABULAR_LIST_MAX);
    return PX_OK;
}

enum px_code px_tabular_sequence(const struct px_yaml *node, bool nonfinite, struct px_arena *arena,
                                 struct px_tabular_numbers *ret, struct px_err *err)
{
    enum px_code code = check_sequence(node, "numbers", err);
    if (code != PX_OK)
        return code;
    double *list = px_arena_alloc(arena, node->n_children, sizeof *list);
    if (!list)
        return px_arena_check(arena, "numbers of a processor", err);
    size_t n = 0;
    for (const struct px_yaml *at = node->first_child; at && code == PX_OK; at = at->next, n++)
        code = px_tabular_scalar(at, nonfinite, &list[n], err);
    *ret = (struct px_tabular_numbers){list, node->n_children, false};
    return code;
}

enum px_code px_tabular_numbers(const struct px_tabular_settings *settings, const char *key,
                                struct px_tabular_numbers *ret, struct px_err *err)
{
    const struct px_yaml *node = px_tabular_node(settings, key);
    *ret = (struct px_tabular_numbers){NULL, 0, false};
    if (!node)
        return PX_OK;
    if (node->type != PX_YAML_SCALAR) {
        if (px_tabular_sequence(node, false, settings->step.arena, ret, err) != PX_OK)
            return wrap_key(settings, key, err);
        return PX_OK;
    }
    double *one = px_arena_alloc(settings->step.arena, 1, sizeof *one);
    if (!one)
        return px_arena_check(settings->step.arena, "numbers of a processor", err);
    *ret = (struct px_tabular_numbers){one, 1, true};
    return px_tabular_number(settings, key, one, err);
}

enum px_code px_tabular_ascending(const struct px_tabular_numbers *numbers, bool strictly,
                                  struct px_err *err)
{
    for (size_t i = 1; i < numbers->n; i++) {
        double before = numbers->list[i - 1], here = numbers->list[i];
        if (here < before || (strictly && !(here > before)))
            return px_err_set(err, PX_E_INVALID, "expected ascending numbers, got %g before %g",
                              before, here);
    }
    return PX_OK;
}

enum px_code px_tabular_fit(const struct px_tabular_settings *settings, const char *key,
                            const struct px_tabular_numbers *numbers, size_t *n_cols,
                            struct px_err *err)
{
    if (numbers->n == 0 || numbers->is_one)
        return PX_OK;
    if (numbers->n > PX_TABULAR_COLUMNS_MAX) {
        px_err_set(err, PX_E_TOO_LARGE, "%zu columns; at most %d", numbers->n,
                   PX_TABULAR_COLUMNS_MAX);
        return wrap_key(settings, key, err);
    }
    if (*n_cols && *n_cols != numbers->n) {
        px_err_set(err, PX_E_INVALID, "line %u: expected %zu numbers, one for each column, got %zu",
                   px_tabular_node(settings, key)->line, *n_cols, numbers->n);
        return wrap_key(settings, key, err);
    }
    *n_cols = numbers->n;
    return PX_OK;
}

enum px_code px_tabular_texts(const struct px_tabular_settings *settings, const char *key,
                              struct px_tabular_texts *ret, struct px_err *err)
{
    const struct px_yaml *node = px_tabular_node(settings, key);
    *ret = (struct px_tabular_texts){NULL, 0};
    if (!node)
        return PX_OK;
    if (check_sequence(node, "texts", err) != PX_OK)
        return wrap_key(settings, key, err);
    struct px_str *list = px_arena_alloc(settings->step.arena, node->n_children, sizeof *list);
    if (!list)
        return px_arena_check(settings->step.arena, "texts of a processor", err);
    size_t n = 0;
    for (const struct px_yaml *at = node->first_child; at; at = at->next, n++) {
        if (px_yaml_str(at, &list[n], err) != PX_OK)
            return wrap_key(settings, key, err);
    }
    *ret = (struct px_tabular_texts){list, n};
    return PX_OK;
}
