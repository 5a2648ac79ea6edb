/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/plugin/settings.h"

enum { KEY_MAX = 512 };

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

enum px_code px_plugin_settings_read(const struct px_engine_request *request,
                                     struct px_plugin_settings *ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("name"), PX_STR("library"), PX_STR("settings")};
    *ret = (struct px_plugin_settings){0};
    if (!request->settings)
        return px_err_set(err, PX_E_INVALID, "a plug-in needs a model.yaml that names its library");
    enum px_code code = px_yaml_only(request->settings, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_text(request, "library", &ret->library, err);
    if (code == PX_OK)
        code = read_pairs(request, ret, err);
    return code;
}
