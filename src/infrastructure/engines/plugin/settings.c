/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/plugin/settings.h"

#include "shared/cores.h"
#include "shared/yaml_scalars.h"

enum { KEY_MAX = 512, SPIN_US = 20 };

/* Collects the scalars of `settings` as key/value pairs. */
struct pairs {
    struct px_arena *arena;
    phx_setting *list;
    size_t n, max;
    struct px_buf key; /* of the node that is being looked at */
};

static size_t count_scalars(const struct px_yaml *node)
{
    size_t n = node->type == PX_YAML_SCALAR;
    for (const struct px_yaml *child = node->first_child; child; child = child->next)
        n += count_scalars(child);
    return n;
}

static enum px_code add_pair(struct pairs *pairs, const struct px_yaml *node, struct px_err *err)
{
    PX_ASSERT(pairs->n < pairs->max);
    if (pairs->key.failed)
        return px_err_set(err, PX_E_INVALID, "line %u: the name of this setting is too long",
                          node->line);
    if (memchr(node->text.ptr ? node->text.ptr : "", '\0', node->text.len))
        return px_err_set(err, PX_E_INVALID, "line %u: a setting cannot hold a NUL", node->line);
    phx_setting *pair = &pairs->list[pairs->n++];
    pair->key = px_arena_cstr(pairs->arena, px_buf_view(&pairs->key));
    pair->value = px_arena_cstr(pairs->arena, node->text);
    return px_arena_check(pairs->arena, "the engine's settings", err);
}

/* Adds "key" of an entry or "3" of an element to the name, with a dot before it. */
static void extend_key(struct px_buf *key, const struct px_yaml *child, size_t index)
{
    if (key->len)
        px_buf_byte(key, '.');
    if (child->key.ptr)
        px_buf_str(key, child->key);
    else
        px_buf_u64(key, index);
}

static enum px_code flatten(struct pairs *pairs, const struct px_yaml *node, struct px_err *err)
{
    if (node->type == PX_YAML_SCALAR)
        return add_pair(pairs, node, err);
    size_t len = pairs->key.len, index = 0;
    enum px_code code = PX_OK;
    for (const struct px_yaml *child = node->first_child; child && code == PX_OK;
         child = child->next) {
        extend_key(&pairs->key, child, index++);
        code = flatten(pairs, child, err);
        pairs->key.len = len;
    }
    return code;
}

static enum px_code read_pairs(const struct px_engine_request *request,
                               struct px_plugin_settings *ret, struct px_err *err)
{
    const struct px_yaml *node = px_yaml_get(request->settings, "settings");
    if (!node)
        return PX_OK;
    if (node->type != PX_YAML_MAPPING)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'settings' must be a mapping, as {limit: 1000}", node->line);
    char key[KEY_MAX];
    struct pairs pairs = {.arena = request->arena, .max = count_scalars(node)};
    if (pairs.max > PX_PLUGIN_SETTINGS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "line %u: %zu settings, at most %d", node->line,
                          pairs.max, PX_PLUGIN_SETTINGS_MAX);
    pairs.key = px_buf_fixed(key, sizeof key);
    pairs.list = px_arena_zalloc(request->arena, pairs.max + 1, sizeof *pairs.list);
    if (!pairs.list)
        return px_arena_check(request->arena, "the engine's settings", err);
    enum px_code code = flatten(&pairs, node, err);
    ret->pairs = pairs.list;
    ret->n_pairs = pairs.n;
    return code;
}

static enum px_code read_text(const struct px_engine_request *request, const char *key,
                              struct px_str *ret, struct px_err *err)
{
    const struct px_yaml *node = px_yaml_get(request->settings, key);
    struct px_str text;
    if (!node)
        return PX_OK;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return px_err_wrap(err, "engine.%s", key);
    *ret = px_arena_str(request->arena, text);
    return px_arena_check(request->arena, "the engine's settings", err);
}

static enum px_code read_truth(const struct px_engine_request *request, const char *key, bool *ret,
                               struct px_err *err)
{
    enum px_code code = px_yaml_switch(px_yaml_get(request->settings, key), ret, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "engine.%s", key);
}

/* A setting that is a number; `at` is its place in struct px_plugin_settings. */
static const struct number {
    const char *key;
    size_t at;
    uint32_t least, most, otherwise;
} numbers[] = {
    {"workers", offsetof(struct px_plugin_settings, workers), 1, PX_PLUGIN_WORKERS_MAX, 1},
    {"timeout_ms", offsetof(struct px_plugin_settings, timeout_ms), 1, 86400000, 30000},
    {"start_timeout_ms", offsetof(struct px_plugin_settings, start_timeout_ms), 1, 86400000, 60000},
    {"backoff_ms", offsetof(struct px_plugin_settings, backoff_ms), 1, 3600000, 100},
    {"backoff_max_ms", offsetof(struct px_plugin_settings, backoff_max_ms), 1, 3600000, 30000},
    {"transfer_mb", offsetof(struct px_plugin_settings, transfer_mb), 1, 16384, 64},
    {"memory_mb", offsetof(struct px_plugin_settings, memory_mb), 16, 1 << 24, 0},
    {"spin_us", offsetof(struct px_plugin_settings, spin_us), 0, 10000, SPIN_US},
};

static enum px_code read_number(const struct px_engine_request *request, const struct number *n,
                                struct px_plugin_settings *ret, struct px_err *err)
{
    uint32_t value = n->otherwise;
    enum px_code code =
        px_yaml_count32(px_yaml_get(request->settings, n->key), n->least, n->most, &value, err);
    memcpy((char *)ret + n->at, &value, sizeof value);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "engine.%s", n->key);
}

static enum px_code read_numbers(const struct px_engine_request *request,
                                 struct px_plugin_settings *ret, struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; i < PX_ARRAY_LEN(numbers) && code == PX_OK; i++)
        code = read_number(request, &numbers[i], ret, err);
    if (px_cores(2) < 2) /* whoever looks takes the core from the other */
        ret->spin_us = 0;
    return code;
}

static enum px_code check_keys(const struct px_engine_request *request, enum px_plugin_kind kind,
                               struct px_err *err)
{
    struct px_str known[8 + PX_ARRAY_LEN(numbers)] = {PX_STR("name"), PX_STR("settings")};
    size_t n = 2;
    if (kind == PX_PLUGIN_LIBRARY)
        known[n++] = px_str("library");
    if (kind != PX_PLUGIN_PYTHON) {
        known[n++] = px_str("isolated");
    } else {
        known[n++] = px_str("file");
        known[n++] = px_str("function");
        known[n++] = px_str("python");
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(numbers); i++)
        known[n++] = px_str(numbers[i].key);
    return px_yaml_only(request->settings, known, n, err);
}

/* Settings of processes do nothing without any. */
static enum px_code check_isolated(const struct px_engine_request *request,
                                   const struct px_plugin_settings *settings, struct px_err *err)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(numbers) && !settings->isolated; i++) {
        const struct px_yaml *node = px_yaml_get(request->settings, numbers[i].key);
        if (node)
            return px_err_set(err, PX_E_INVALID,
                              "line %u: engine.%s is for a plug-in with 'isolated: true'",
                              node->line, numbers[i].key);
    }
    return PX_OK;
}

static enum px_code read_library(const struct px_engine_request *request,
                                 struct px_plugin_settings *ret, struct px_err *err)
{
    enum px_code code = read_text(request, "library", &ret->library, err);
    if (code == PX_OK)
        code = read_truth(request, "isolated", &ret->isolated, err);
    return code == PX_OK ? check_isolated(request, ret, err) : code;
}

static enum px_code read_python(const struct px_engine_request *request,
                                struct px_plugin_settings *ret, struct px_err *err)
{
    ret->isolated = true;
    ret->function = (struct px_str)PX_STR("predict");
    ret->python = (struct px_str)PX_STR("python3");
    enum px_code code = read_text(request, "file", &ret->file, err);
    if (code == PX_OK)
        code = read_text(request, "function", &ret->function, err);
    if (code == PX_OK)
        code = read_text(request, "python", &ret->python, err);
    if (code == PX_OK && ret->file.len == 0)
        return px_err_set(err, PX_E_INVALID, "engine.file is missing: which file is the model?");
    return code;
}

static enum px_code read_settings(const struct px_engine_request *request, enum px_plugin_kind kind,
                                  struct px_plugin_settings *ret, struct px_err *err)
{
    enum px_code code = check_keys(request, kind, err);
    if (code == PX_OK)
        code = kind == PX_PLUGIN_PYTHON ? read_python(request, ret, err)
                                        : read_library(request, ret, err);
    if (code == PX_OK)
        code = read_numbers(request, ret, err);
    return code == PX_OK ? read_pairs(request, ret, err) : code;
}

enum px_code px_plugin_settings_read(const struct px_engine_request *request,
                                     enum px_plugin_kind kind, struct px_plugin_settings *ret,
                                     struct px_err *err)
{
    static const struct px_yaml nothing = {.type = PX_YAML_MAPPING};
    struct px_engine_request asked = *request;
    *ret = (struct px_plugin_settings){0};
    if (asked.settings)
        return read_settings(&asked, kind, ret, err);
    if (kind != PX_PLUGIN_INSTALLED)
        return px_err_set(err, PX_E_INVALID, "a plug-in needs a model.yaml that names its code");
    if (asked.inputs.n == 0 || asked.outputs.n == 0) {
        px_err_set(err, PX_E_INVALID,
                   "a model.yaml has to list the inputs and outputs of this model");
        return px_err_hint(err, "inputs: [{name: x, type: FP32, shape: [-1, 4]}], and outputs "
                                "likewise; the file does not say them");
    }
    /* The file alone said which engine it is for. */
    asked.settings = &nothing;
    return read_settings(&asked, kind, ret, err);
}
