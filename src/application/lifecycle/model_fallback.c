/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_fallback.h"

#include "application/lifecycle/model_name.h"

enum { DEFAULT_REASONS = 1 << PX_FALLBACK_FAILURE | 1 << PX_FALLBACK_OPEN };

static const char *const kind_names[] = {
    [PX_RUNG_PREVIOUS_VERSION] = "previous_version",
    [PX_RUNG_MODEL] = "model",
    [PX_RUNG_CACHED] = "cached",
    [PX_RUNG_DEFAULT] = "default",
};

static const char *const reason_names[PX_FALLBACK_REASONS] = {"failure", "open", "overload",
                                                              "deadline"};

const char *px_rung_kind_name(enum px_rung_kind kind)
{
    return kind_names[kind];
}

const char *px_fallback_reason_name(enum px_fallback_reason reason)
{
    return reason_names[reason];
}

static enum px_code bad_rung(const struct px_yaml *node, struct px_err *err)
{
    struct px_str got =
        node->type == PX_YAML_SCALAR ? node->text : (struct px_str)PX_STR("a mapping");
    if (node->type == PX_YAML_SEQUENCE)
        got = (struct px_str)PX_STR("a list");
    px_err_set(err, PX_E_INVALID,
               "line %u: a rung must be previous_version, cached, {model: NAME} or {default: "
               "{OUTPUT: VALUE}}, got %.*s",
               node->line, PX_STR_ARG(got));
    return px_err_hint(err, "write fallback: [previous_version, {default: {score: 0.5}}]");
}

static bool is_kind(struct px_str text, struct px_rung *ret)
{
    static const enum px_rung_kind plain[] = {PX_RUNG_PREVIOUS_VERSION, PX_RUNG_CACHED};
    for (size_t i = 0; i < PX_ARRAY_LEN(plain); i++) {
        if (!px_str_is(text, kind_names[plain[i]]))
            continue;
        ret->kind = plain[i];
        return true;
    }
    return false;
}

/* ---- reasons ---- */

static enum px_code read_reason(const struct px_yaml *node, struct px_rung *ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("failure"), PX_STR("open"), PX_STR("overload"),
                                          PX_STR("deadline")};
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    for (size_t i = 0; i < PX_ARRAY_LEN(known); i++) {
        if (px_str_eq(text, known[i])) {
            ret->reasons |= 1u << i;
            return PX_OK;
        }
    }
    code = px_err_set(err, PX_E_INVALID,
                      "line %u: 'on' lists failure, open, overload and deadline, got '%.*s'",
                      node->line, PX_STR_ARG(text));
    px_err_suggest(err, text, known, PX_ARRAY_LEN(known));
    return code;
}

static enum px_code read_reasons(const struct px_yaml *node, struct px_rung *ret,
                                 struct px_err *err)
{
    enum px_code code = PX_OK;
    if (!node) {
        ret->reasons = DEFAULT_REASONS;
        return PX_OK;
    }
    if (node->type == PX_YAML_SCALAR)
        return read_reason(node, ret, err);
    if (node->type != PX_YAML_SEQUENCE || node->n_children == 0)
        return px_err_set(err, PX_E_INVALID, "line %u: 'on' must be a list, as [failure, open]",
                          node->line);
    for (const struct px_yaml *n = node->first_child; n && code == PX_OK; n = n->next)
        code = read_reason(n, ret, err);
    return code;
}

/* ---- models ---- */

/* Versions are numbers: 1, 2, ... */
static bool is_version(struct px_str text)
{
    uint64_t number;
    return text.len > 0 && text.ptr[0] != '0' && px_str_to_u64(text, &number);
}

static enum px_code read_model(const struct px_yaml *node, struct px_arena *arena,
                               struct px_rung *ret, struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    struct px_str name = slash ? px_str_n(text.ptr, (size_t)(slash - text.ptr)) : text;
    struct px_str version =
        slash ? px_str_n(slash + 1, text.len - name.len - 1) : (struct px_str){0};
    if (!px_model_name_is_valid(name) || (slash && !is_version(version)))
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'model' must be NAME or NAME/VERSION, got "
                          "'%.*s'",
                          node->line, PX_STR_ARG(text));
    ret->kind = PX_RUNG_MODEL;
    ret->model = px_arena_str(arena, name);
    ret->version = px_arena_str(arena, version);
    return px_arena_check(arena, "model.yaml", err);
}

/* ---- defaults ---- */

static size_t count_values(const struct px_yaml *node)
{
    size_t n = 0;
    if (node->type == PX_YAML_SCALAR)
        return 1;
    for (const struct px_yaml *child = node->first_child; child; child = child->next)
        n += count_values(child); /* the parser bounds depth and number */
    return n;
}

static enum px_code read_values(const struct px_yaml *node, struct px_arena *arena,
                                struct px_str **at, struct px_err *err)
{
    struct px_str text;
    enum px_code code = PX_OK;
    if (node->type == PX_YAML_SCALAR) {
        code = px_yaml_str(node, &text, err);
        if (code == PX_OK)
            *(*at)++ = px_arena_str(arena, text);
        return code;
    }
    if (node->type != PX_YAML_SEQUENCE)
        return px_err_set(err, PX_E_INVALID, "line %u: a default is a value or a list of values",
                          node->line);
    for (const struct px_yaml *n = node->first_child; n && code == PX_OK; n = n->next)
        code = read_values(n, arena, at, err);
    return code;
}

static enum px_code read_default(const struct px_yaml *node, struct px_arena *arena,
                                 struct px_rung *ret, struct px_err *err)
{
    if (node->type != PX_YAML_MAPPING || node->n_children == 0)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'default' must name outputs, as {score: 0.5}", node->line);
    ret->kind = PX_RUNG_DEFAULT;
    ret->outputs = px_arena_zalloc(arena, node->n_children, sizeof *ret->outputs);
    if (!ret->outputs)
        return px_arena_check(arena, "model.yaml", err);
    for (const struct px_yaml *n = node->first_child; n; n = n->next) {
        struct px_rung_output *output = &ret->outputs[ret->n_outputs++];
        size_t n_values = count_values(n);
        if (n_values == 0 || n_values > PX_RUNG_VALUES_MAX)
            return px_err_set(err, PX_E_INVALID, "line %u: expected 1 to %d values, got %zu",
                              n->line, PX_RUNG_VALUES_MAX, n_values);
        struct px_str *values = px_arena_zalloc(arena, n_values, sizeof *values), *at = values;
        enum px_code code = values ? read_values(n, arena, &at, err) : PX_OK;
        if (code != PX_OK)
            return code;
        *output = (struct px_rung_output){.name = px_arena_str(arena, n->key),
                                          .values = values,
                                          .n_values = n_values,
                                          .is_scalar = n->type == PX_YAML_SCALAR,
                                          .line = n->line};
    }
    return px_arena_check(arena, "model.yaml", err);
}

/* ---- rungs ---- */

static enum px_code read_mapping(const struct px_yaml *node, struct px_arena *arena,
                                 struct px_rung *ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("model"), PX_STR("default"), PX_STR("rung"),
                                          PX_STR("on")};
    const struct px_yaml *model = px_yaml_get(node, "model"), *rung = px_yaml_get(node, "rung");
    const struct px_yaml *values = px_yaml_get(node, "default");
    struct px_str text;
    enum px_code code = px_yaml_only(node, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK && (model != NULL) + (values != NULL) + (rung != NULL) != 1)
        return bad_rung(node, err);
    if (code == PX_OK && model)
        code = read_model(model, arena, ret, err);
    if (code == PX_OK && values)
        code = read_default(values, arena, ret, err);
    if (code == PX_OK && rung)
        code = px_yaml_str(rung, &text, err);
    if (code == PX_OK && rung && !is_kind(text, ret))
        return bad_rung(rung, err);
    return code == PX_OK ? read_reasons(px_yaml_get(node, "on"), ret, err) : code;
}

static enum px_code read_rung(const struct px_yaml *node, struct px_arena *arena,
                              struct px_rung *ret, struct px_err *err)
{
    struct px_str text;
    if (node->type == PX_YAML_MAPPING)
        return read_mapping(node, arena, ret, err);
    if (node->type != PX_YAML_SCALAR || px_yaml_is_null(node))
        return bad_rung(node, err);
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    ret->reasons = DEFAULT_REASONS;
    return is_kind(text, ret) ? PX_OK : bad_rung(node, err);
}

/* The latest rung comes after those before it have failed: it must not be one of them, for the same reasons. */
static enum px_code check_reached(const struct px_yaml *node,
                                  const struct px_model_fallback *ladder, struct px_err *err)
{
    const struct px_rung *latest = &ladder->rungs[ladder->n_rungs - 1];
    for (const struct px_rung *rung = ladder->rungs; rung < latest; rung++) {
        bool is_same = rung->kind == latest->kind && px_str_eq(rung->model, latest->model) &&
                       px_str_eq(rung->version, latest->version);
        if (!is_same || (rung->reasons & latest->reasons) == 0)
            continue;
        px_err_set(err, PX_E_INVALID,
                   "line %u: rung %zu is the same as rung %zu: what has failed is not asked again",
                   node->line, ladder->n_rungs, (size_t)(rung - ladder->rungs) + 1);
        return px_err_hint(err, "leave it out, or give the two different reasons under 'on'");
    }
    return PX_OK;
}

enum px_code px_model_fallback_read(const struct px_yaml *node, struct px_arena *arena,
                                    struct px_model_fallback *ret, struct px_err *err)
{
    *ret = (struct px_model_fallback){0};
    if (node->type != PX_YAML_SEQUENCE || node->n_children == 0)
        return bad_rung(node, err);
    if (node->n_children > PX_RUNGS_MAX)
        return px_err_set(err, PX_E_INVALID, "line %u: expected at most %d rungs, got %zu",
                          node->line, PX_RUNGS_MAX, node->n_children);
    ret->rungs = px_arena_zalloc(arena, node->n_children, sizeof *ret->rungs);
    if (!ret->rungs)
        return px_arena_check(arena, "model.yaml", err);
    for (const struct px_yaml *n = node->first_child; n; n = n->next) {
        enum px_code code = read_rung(n, arena, &ret->rungs[ret->n_rungs++], err);
        if (code == PX_OK)
            code = check_reached(n, ret, err);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}
