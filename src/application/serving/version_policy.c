/* SPDX-License-Identifier: Apache-2.0 */
#include "application/serving/version_policy.h"

#include "application/lifecycle/model_name.h"
#include "shared/file.h"
#include "shared/json.h"
#include "shared/yaml.h"

#include <stdio.h>

enum { FILE_BYTES_MAX = 1 << 16, TREE_BYTES_MAX = 8 << 20, LIST_BYTES_MAX = 1 << 16 };

/* ---- the list ---- */

static enum px_code add_version(struct px_buf *list, struct px_str version, struct px_err *err)
{
    if (!px_model_name_is_valid(version))
        return px_err_set(err, PX_E_INVALID, "'%.*s' is no version", PX_STR_ARG(version));
    if (list->len)
        px_buf_byte(list, ',');
    px_buf_str(list, version);
    return px_buf_check(list, "the list of versions", err);
}

static enum px_code set_latest(struct px_version_policy *ret, int64_t n, struct px_err *err)
{
    *ret = (struct px_version_policy){.kind = PX_VERSIONS_LATEST, .n_latest = (uint64_t)n};
    return n > 0 ? PX_OK
                 : px_err_set(err, PX_E_INVALID, "expected at least 1 latest version, got %lld",
                              (long long)n);
}

static enum px_code set_specific(struct px_version_policy *ret, const struct px_buf *list,
                                 struct px_arena *arena, struct px_err *err)
{
    *ret = (struct px_version_policy){.kind = PX_VERSIONS_SPECIFIC,
                                      .specific = px_arena_str(arena, px_buf_view(list))};
    if (list->len == 0)
        return px_err_set(err, PX_E_INVALID, "the list of versions is empty");
    return px_arena_check(arena, "the list of versions", err);
}

bool px_version_policy_takes(const struct px_version_policy *policy, struct px_str version,
                             size_t n_newer)
{
    if (policy->kind == PX_VERSIONS_ALL)
        return true;
    if (policy->kind == PX_VERSIONS_LATEST)
        return n_newer < policy->n_latest;
    for (struct px_str rest = policy->specific; rest.ptr;) {
        if (px_str_eq(px_str_cut(&rest, ','), version))
            return true;
    }
    return false;
}

/* ---- versions.yaml ---- */

static enum px_code read_list(const struct px_yaml *node, struct px_arena *arena,
                              struct px_version_policy *ret, struct px_err *err)
{
    struct px_buf list = px_buf(LIST_BYTES_MAX);
    enum px_code code = PX_OK;
    if (node->type != PX_YAML_SEQUENCE)
        code = px_err_set(err, PX_E_INVALID, "line %u: 'specific' must be a list, as [1, 3]",
                          node->line);
    for (const struct px_yaml *item = node->first_child; item && code == PX_OK; item = item->next) {
        struct px_str version;
        code = px_yaml_str(item, &version, err);
        if (code == PX_OK)
            code = add_version(&list, version, err);
    }
    if (code == PX_OK)
        code = set_specific(ret, &list, arena, err);
    px_buf_deinit(&list);
    return code;
}

static enum px_code read_root(const struct px_yaml *root, struct px_arena *arena,
                              struct px_version_policy *ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("all"), PX_STR("latest"), PX_STR("specific")};
    const struct px_yaml *latest = px_yaml_get(root, "latest");
    const struct px_yaml *specific = px_yaml_get(root, "specific");
    const struct px_yaml *all = px_yaml_get(root, "all");
    int64_t n;
    enum px_code code = px_yaml_only(root, known, PX_ARRAY_LEN(known), err);
    if (code != PX_OK)
        return code;
    if ((latest != NULL) + (specific != NULL) + (all != NULL) != 1)
        return px_err_set(err, PX_E_INVALID,
                          "expected one of 'all: true', 'latest: 2', 'specific: [1, 3]'");
    if (specific)
        return read_list(specific, arena, ret, err);
    if (!latest)
        return px_str_is(all->text, "true")
                   ? PX_OK
                   : px_err_set(err, PX_E_INVALID, "line %u: 'all' can only be true", all->line);
    code = px_yaml_i64(latest, &n, err);
    return code == PX_OK ? set_latest(ret, n, err) : code;
}

enum px_code px_version_policy_read(const char *folder, struct px_arena *arena,
                                    struct px_version_policy *ret, struct px_err *err)
{
    char path[PATH_MAX];
    struct px_file file = {0};
    struct px_arena tree = px_arena(TREE_BYTES_MAX);
    const struct px_yaml *root;
    *ret = (struct px_version_policy){0};
    if ((size_t)snprintf(path, sizeof path, "%s/" PX_VERSION_POLICY_FILE, folder) >= sizeof path ||
        px_file_kind(path) == PX_FILE_ABSENT)
        return PX_OK;
    enum px_code code = px_file_load(&file, path, FILE_BYTES_MAX, err);
    if (code == PX_OK)
        code = px_yaml_parse(file.bytes, &tree, &root, err);
    if (code == PX_OK)
        code = root->type == PX_YAML_MAPPING
                   ? read_root(root, arena, ret, err)
                   : px_err_set(err, PX_E_INVALID, "expected a key such as 'latest:'");
    px_arena_deinit(&tree);
    px_file_unload(&file);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "%s", path);
}

/* ---- ModelConfig ---- */

/* A 64-bit number of JSON's mapping of protobuf: 3 or "3". */
static struct px_str read_number(struct px_json *json)
{
    return px_json_peek(json) == PX_JSON_STRING ? px_json_str(json) : px_json_raw(json);
}

static enum px_code read_latest(struct px_json *json, struct px_version_policy *ret,
                                struct px_err *err)
{
    struct px_str key;
    uint64_t n = 1; /* Triton's, too */
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        struct px_str text = read_number(json);
        if (!px_str_is(key, "num_versions") || !px_str_to_u64(text, &n) || n > INT64_MAX)
            px_json_fail(json, "expected latest as {\"num_versions\": 2}");
    }
    return px_json_failed(json) ? PX_OK : set_latest(ret, (int64_t)n, err);
}

static enum px_code read_specific(struct px_json *json, struct px_arena *arena,
                                  struct px_version_policy *ret, struct px_err *err)
{
    struct px_buf list = px_buf(LIST_BYTES_MAX);
    struct px_str key;
    enum px_code code = PX_OK;
    px_json_enter_object(json);
    while (code == PX_OK && px_json_next_key(json, &key)) {
        if (!px_str_is(key, "versions"))
            px_json_fail(json, "expected specific as {\"versions\": [1, 3]}");
        px_json_enter_array(json);
        while (code == PX_OK && px_json_next_element(json)) {
            struct px_str version = read_number(json);
            code = px_json_failed(json) ? PX_OK : add_version(&list, version, err);
        }
    }
    if (code == PX_OK && !px_json_failed(json))
        code = set_specific(ret, &list, arena, err);
    px_buf_deinit(&list);
    return code;
}

static enum px_code read_policy(struct px_json *json, struct px_arena *arena,
                                struct px_version_policy *ret, struct px_err *err)
{
    struct px_str key;
    enum px_code code = PX_OK;
    px_json_enter_object(json);
    while (code == PX_OK && px_json_next_key(json, &key)) {
        if (px_str_is(key, "latest"))
            code = read_latest(json, ret, err);
        else if (px_str_is(key, "specific"))
            code = read_specific(json, arena, ret, err);
        else if (px_str_is(key, "all"))
            px_json_skip(json);
        else
            px_json_fail(json, "expected all, latest or specific");
    }
    return code;
}

enum px_code px_version_policy_of_config(struct px_str config, struct px_arena *arena,
                                         struct px_version_policy *ret, bool *found,
                                         struct px_err *err)
{
    struct px_json json;
    struct px_str key;
    enum px_code code = PX_OK;
    *ret = (struct px_version_policy){0};
    *found = false;
    if (config.len == 0)
        return PX_OK;
    px_json_init(&json, config, arena, 0);
    px_json_enter_object(&json);
    while (code == PX_OK && px_json_next_key(&json, &key)) {
        bool is_policy = px_str_is(key, "version_policy");
        *found = *found || is_policy;
        if (is_policy)
            code = read_policy(&json, arena, ret, err);
        else
            px_json_skip(&json);
    }
    if (code == PX_OK)
        code = px_json_check(&json, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "parameter 'config': version_policy");
}
