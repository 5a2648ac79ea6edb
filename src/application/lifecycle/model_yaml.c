/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/model_yaml.h"

#include "application/lifecycle/model_name.h"
#include "shared/yaml_scalars.h"

#include <inttypes.h>

enum { TREE_MEMORY_MAX = 512 << 20 };

/* A text that lives in the arena, NUL-terminated. */
static enum px_code read_text(const struct px_yaml *node, struct px_arena *arena,
                              struct px_str *ret, struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    *ret = px_arena_str(arena, text);
    return ret->ptr ? PX_OK : px_arena_check(arena, "model.yaml", err);
}

static enum px_code read_texts(const struct px_yaml *list, struct px_arena *arena,
                               const struct px_str **ret, size_t *ret_n, struct px_err *err)
{
    if (list->type != PX_YAML_SEQUENCE)
        return px_err_set(err, PX_E_INVALID, "line %u: '%.*s' must be a list, as [a, b]",
                          list->line, PX_STR_ARG(list->key));
    struct px_str *texts = px_arena_alloc(arena, list->n_children + 1, sizeof *texts);
    if (!texts)
        return px_arena_check(arena, "model.yaml", err);
    size_t n = 0;
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        enum px_code code = read_text(node, arena, &texts[n++], err);
        if (code != PX_OK)
            return code;
    }
    *ret = texts;
    *ret_n = n;
    return PX_OK;
}

static enum px_code check_layout(const struct px_yaml *root, struct px_err *err)
{
    const struct px_yaml *node = px_yaml_get(root, "phoenix");
    int64_t layout;
    if (!node) {
        px_err_set(err, PX_E_INVALID, "the key 'phoenix' (layout version) is missing");
        return px_err_hint(err, "write 'phoenix: %d' as its first line", PX_MODEL_YAML_LAYOUT);
    }
    enum px_code code = px_yaml_i64(node, &layout, err);
    if (code != PX_OK || layout == PX_MODEL_YAML_LAYOUT)
        return code;
    px_err_set(err, PX_E_UNSUPPORTED, "line %u: layout %" PRId64 " is not known, expected %d",
               node->line, layout, PX_MODEL_YAML_LAYOUT);
    return px_err_hint(err, "a newer Phoenix may have written this package");
}

static enum px_code read_task(const struct px_yaml *node, struct px_model_yaml *ret,
                              struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    ret->task = px_task_from_name(text);
    if (ret->task)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID,
                      "line %u: task must be regression, binary, multiclass or ranking, got '%.*s'",
                      node->line, PX_STR_ARG(text));
}

static enum px_code read_categories(const struct px_yaml *entry, struct px_arena *arena,
                                    struct px_feature *ret, struct px_err *err)
{
    const struct px_yaml *list = px_yaml_get(entry, "categories");
    const struct px_yaml *other = px_yaml_get(entry, "other");
    int64_t bucket;
    ret->other = -1;
    if ((list || other) && ret->kind != PX_FEATURE_CATEGORY)
        return px_err_set(err, PX_E_INVALID, "line %u: feature '%.*s' is a %s and cannot have '%s'",
                          entry->line, PX_STR_ARG(ret->name), px_feature_kind_name(ret->kind),
                          list ? "categories" : "other");
    enum px_code code =
        list ? read_texts(list, arena, &ret->categories, &ret->n_categories, err) : PX_OK;
    if (code != PX_OK || !other)
        return code;
    code = px_yaml_i64(other, &bucket, err);
    if (code != PX_OK)
        return code;
    if (bucket < 0 || (uint64_t)bucket > ret->n_categories)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: 'other' of feature '%.*s' must be a code from 0 to %zu, got "
                          "%" PRId64,
                          other->line, PX_STR_ARG(ret->name), ret->n_categories, bucket);
    ret->other = (long)bucket;
    return PX_OK;
}

static enum px_code read_kind(const struct px_yaml *entry, struct px_feature *ret,
                              struct px_err *err)
{
    const struct px_yaml *type = px_yaml_get(entry, "type");
    struct px_str text;
    if (!type) {
        ret->kind = PX_FEATURE_NUMBER;
        return PX_OK;
    }
    enum px_code code = px_yaml_str(type, &text, err);
    if (code != PX_OK)
        return code;
    ret->kind = px_feature_kind_from_name(text);
    if (ret->kind)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID,
                      "line %u: type of feature '%.*s' must be number, category, boolean or "
                      "datetime, got '%.*s'",
                      type->line, PX_STR_ARG(ret->name), PX_STR_ARG(text));
}

static enum px_code read_feature(const struct px_yaml *entry, struct px_arena *arena,
                                 struct px_feature *ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("name"), PX_STR("type"), PX_STR("categories"),
                                          PX_STR("other")};
    if (entry->type != PX_YAML_MAPPING)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: a feature is a mapping, as {name: age, type: number}",
                          entry->line);
    enum px_code code = px_yaml_only(entry, known, PX_ARRAY_LEN(known), err);
    if (code != PX_OK)
        return code;
    const struct px_yaml *name = px_yaml_get(entry, "name");
    if (!name)
        return px_err_set(err, PX_E_INVALID, "line %u: a feature has no name", entry->line);
    code = read_text(name, arena, &ret->name, err);
    if (code == PX_OK)
        code = read_kind(entry, ret, err);
    return code == PX_OK ? read_categories(entry, arena, ret, err) : code;
}

static enum px_code read_features(const struct px_yaml *list, struct px_arena *arena,
                                  struct px_model_yaml *ret, struct px_err *err)
{
    if (list->type != PX_YAML_SEQUENCE || list->n_children == 0)
        return px_err_set(err, PX_E_INVALID, "line %u: 'features' must be a list of features",
                          list->line);
    ret->features = px_arena_zalloc(arena, list->n_children, sizeof *ret->features);
    if (!ret->features)
        return px_arena_check(arena, "model.yaml", err);
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        enum px_code code = read_feature(node, arena, &ret->features[ret->n_features++], err);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

static enum px_code read_scalars(const struct px_yaml *root, struct px_arena *arena,
                                 struct px_model_yaml *ret, struct px_err *err)
{
    const struct {
        const char *key;
        struct px_str *ret;
    } texts[] = {{"name", &ret->name},           {"model", &ret->model},
                 {"rounds", &ret->rounds},       {"target", &ret->target},
                 {"output", &ret->output},       {"golden", &ret->golden},
                 {"reference", &ret->reference}, {"golden_scores", &ret->golden_scores}};
    for (size_t i = 0; i < PX_ARRAY_LEN(texts); i++) {
        const struct px_yaml *node = px_yaml_get(root, texts[i].key);
        if (!node)
            continue;
        enum px_code code = read_text(node, arena, texts[i].ret, err);
        if (code != PX_OK)
            return code;
        if (texts[i].ret->len == 0)
            return px_err_set(err, PX_E_INVALID, "line %u: '%s' is empty", node->line,
                              texts[i].key);
    }
    return PX_OK;
}

static enum px_code check_scalars(const struct px_model_yaml *yaml, struct px_err *err)
{
    if (!yaml->model.ptr && !yaml->engine)
        return px_err_set(err, PX_E_INVALID, "the key 'model' (the model's file) is missing");
    if (yaml->name.ptr && !px_model_name_is_valid(yaml->name))
        return px_err_set(err, PX_E_INVALID,
                          "name '%.*s': expected at most %d letters, digits, '.', '_' and '-', not "
                          "beginning with '.' or '-'",
                          PX_STR_ARG(yaml->name), PX_MODEL_NAME_MAX);
    if (yaml->rounds.ptr && !px_str_is(yaml->rounds, "all") && !px_str_is(yaml->rounds, "best"))
        return px_err_set(err, PX_E_INVALID, "rounds must be all or best, got '%.*s'",
                          PX_STR_ARG(yaml->rounds));
    return PX_OK;
}

static enum px_code read_residency(const struct px_yaml *root, struct px_model_yaml *ret,
                                   struct px_err *err)
{
    static const struct px_str words[] = {PX_STR("on_demand"), PX_STR("pinned")};
    size_t at = 0;
    enum px_code code =
        px_yaml_word(px_yaml_get(root, "residency"), words, PX_ARRAY_LEN(words), &at, err);
    ret->is_pinned = at == 1;
    return code;
}

/* A step of a graph is asked by its graph alone: what guards or keeps answers of requests never sees it. */
static void find_clients_only(const struct px_yaml *root, struct px_model_yaml *ret)
{
    const struct {
        const char *key;
        bool asks;
    } keys[] = {
        {"cache", ret->cache.is_on},
        {"limits", ret->limits.is_on},
        {"breaker", ret->breaker.is_set && ret->breaker.is_on},
        {"fallback", ret->fallback.n_rungs > 0},
        {"residency", ret->is_pinned},
        {"warm_up", ret->warm_up.runs > 0 || ret->warm_up.recorded || ret->warm_up.required}};
    for (size_t i = 0; i < PX_ARRAY_LEN(keys); i++) {
        if (!keys[i].asks)
            continue;
        ret->clients_only = keys[i].key;
        ret->clients_only_line = px_yaml_get(root, keys[i].key)->line;
        return;
    }
}

static enum px_code read_root(const struct px_yaml *root, struct px_arena *arena,
                              struct px_model_yaml *ret, struct px_err *err)
{
    static const struct px_str known[] = {
        /* what a hint has no room for comes last */
        PX_STR("phoenix"),   PX_STR("name"),      PX_STR("model"),    PX_STR("engine"),
        PX_STR("inputs"),    PX_STR("outputs"),   PX_STR("batching"), PX_STR("cache"),
        PX_STR("limits"),    PX_STR("breaker"),   PX_STR("fallback"), PX_STR("instances"),
        PX_STR("queue_max"), PX_STR("residency"), PX_STR("warm_up"),  PX_STR("sequence"),
        PX_STR("features"),  PX_STR("labels"),    PX_STR("golden"),   PX_STR("output"),
        PX_STR("task"),      PX_STR("target"),    PX_STR("rounds"),   PX_STR("golden_scores"),
        PX_STR("reference"), PX_STR("training")};
    if (root->type != PX_YAML_MAPPING)
        return px_err_set(err, PX_E_INVALID, "line %u: expected keys such as 'model:'", root->line);
    enum px_code code = px_yaml_only(root, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = check_layout(root, err);
    if (code == PX_OK)
        code = read_scalars(root, arena, ret, err);
    if (code == PX_OK)
        code = px_model_yaml_read_tensors(root, arena, ret, err);
    if (code == PX_OK)
        code = check_scalars(ret, err);
    const struct px_yaml *cache = px_yaml_get(root, "cache");
    if (code == PX_OK && cache)
        code = px_model_cache_read(cache, &ret->cache, err);
    const struct px_yaml *limits = px_yaml_get(root, "limits");
    if (code == PX_OK && limits)
        code = px_model_limits_read(limits, &ret->limits, err);
    const struct px_yaml *fallback = px_yaml_get(root, "fallback");
    if (code == PX_OK)
        code = px_model_breaker_read(px_yaml_get(root, "breaker"), &ret->breaker, err);
    if (code == PX_OK && fallback)
        code = px_model_fallback_read(fallback, arena, &ret->fallback, err);
    const struct px_yaml *task = px_yaml_get(root, "task");
    const struct px_yaml *labels = px_yaml_get(root, "labels");
    const struct px_yaml *features = px_yaml_get(root, "features");
    if (code == PX_OK && task)
        code = read_task(task, ret, err);
    if (code == PX_OK)
        code = read_residency(root, ret, err);
    if (code == PX_OK && labels)
        code = read_texts(labels, arena, &ret->labels, &ret->n_labels, err);
    if (code == PX_OK && features)
        code = read_features(features, arena, ret, err);
    if (code == PX_OK)
        find_clients_only(root, ret);
    return code;
}

enum px_code px_model_yaml_parse(struct px_str text, struct px_arena *arena,
                                 struct px_model_yaml *ret, struct px_err *err)
{
    struct px_arena tree = px_arena(TREE_MEMORY_MAX);
    const struct px_yaml *root;
    *ret = (struct px_model_yaml){0};
    enum px_code code = px_yaml_parse(text, &tree, &root, err);
    if (code == PX_OK)
        code = read_root(root, arena, ret, err);
    px_arena_deinit(&tree);
    return code;
}
