/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an index: strict about everything that becomes a path or a size. */
#include "application/fetching/model_index.h"

#include "application/lifecycle/model_name.h"
#include "application/ports/model_store.h"
#include "application/serving/serving_impl.h"

#include <stdlib.h>

enum { FORMAT = 1 };

struct reader {
    struct px_json json;
    struct px_model_index *index;
    bool no_memory;
};

static void fail_memory(struct reader *r)
{
    r->no_memory = true;
    px_json_fail(&r->json, "no memory for the index");
}

/* ---- files ---- */

static bool is_digest(struct px_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
    }
    return text.len == PX_SHA256_HEX - 1;
}

static void check_file(struct reader *r, const struct px_manifest_file *file)
{
    if (!px_store_path_is_valid(file->path))
        px_json_fail(&r->json, "expected the path of a file inside its folder, got '%.*s'",
                     PX_STR_ARG(file->path));
    else if (!is_digest(file->sha256))
        px_json_fail(&r->json, "expected a SHA-256 of 64 lower-case hexadecimal digits, got '%.*s'",
                     PX_STR_ARG(file->sha256));
    else if (file->size > PX_MODEL_INDEX_FILE_BYTES_MAX)
        px_json_fail(&r->json, "a file of more than %llu bytes", PX_MODEL_INDEX_FILE_BYTES_MAX);
}

static void read_files(struct reader *r, struct px_index_version *version)
{
    struct px_model_index *index = r->index;
    version->first_file = index->files.len;
    px_json_enter_array(&r->json);
    while (px_json_next_element(&r->json)) {
        struct px_manifest_file file;
        px_manifest_read_file(&r->json, &file);
        if (!px_json_failed(&r->json))
            check_file(r, &file);
        if (index->files.len == PX_MODEL_INDEX_FILES_MAX ||
            index->files.len - version->first_file == PX_MANIFEST_FILES_MAX)
            px_json_fail(&r->json, "more than %d files of one version, or %d of all",
                         PX_MANIFEST_FILES_MAX, PX_MODEL_INDEX_FILES_MAX);
        struct px_manifest_file *slot =
            px_json_failed(&r->json) ? NULL : px_vec_push(&index->files);
        if (slot)
            *slot = file;
        else if (!px_json_failed(&r->json))
            fail_memory(r);
    }
    version->n_files = index->files.len - version->first_file;
}

static int compare_files(const void *a, const void *b)
{
    const struct px_manifest_file *x = a, *y = b;
    return px_str_cmp(x->path, y->path);
}

/* Is one the folder of the other, or the same? They are neighbours, but for names between "a" and "a/". */
static bool is_same_or_below(struct px_str outer, struct px_str inner)
{
    return inner.len >= outer.len && memcmp(inner.ptr, outer.ptr, outer.len) == 0 &&
           (inner.len == outer.len || inner.ptr[outer.len] == '/');
}

static void finish_version(struct reader *r, struct px_index_version *version)
{
    struct px_manifest_file *files = r->index->files.items + version->first_file;
    struct px_sha256 sha = px_sha256();
    qsort(files, version->n_files, sizeof *files, compare_files);
    for (size_t i = 0; i < version->n_files; i++) {
        if (i > 0 && is_same_or_below(files[i - 1].path, files[i].path))
            px_json_fail(&r->json, "'%.*s' is there twice, or also a folder",
                         PX_STR_ARG(files[i - 1].path));
        version->bytes += files[i].size;
        px_sha256_add(&sha, files[i].path);
        px_sha256_add(&sha, px_str_n("", 1));
        px_sha256_add(&sha, files[i].sha256);
    }
    px_sha256_end(&sha, version->key);
}

/* ---- versions ---- */

static void read_members(struct reader *r, struct px_index_version *version)
{
    struct px_str key;
    px_json_enter_object(&r->json);
    while (px_json_next_key(&r->json, &key)) {
        if (px_str_is(key, "version"))
            version->version = px_json_str(&r->json);
        else if (px_str_is(key, "folder"))
            version->folder = px_json_str(&r->json);
        else if (px_str_is(key, "files") && version->n_files == 0)
            read_files(r, version);
        else
            px_json_skip(&r->json);
    }
}

static void check_version(struct reader *r, const struct px_index_version *version)
{
    if (!px_model_name_is_valid(version->version))
        px_json_fail(&r->json, "expected a \"version\" such as \"1\", got '%.*s'",
                     PX_STR_ARG(version->version));
    else if (!px_store_path_is_valid(version->folder))
        px_json_fail(&r->json, "expected a \"folder\" below the index, got '%.*s'",
                     PX_STR_ARG(version->folder));
    else if (version->n_files == 0)
        px_json_fail(&r->json, "expected \"files\" of version %.*s", PX_STR_ARG(version->version));
}

static void read_version(struct reader *r)
{
    struct px_index_version version = {0};
    read_members(r, &version);
    if (!px_json_failed(&r->json))
        check_version(r, &version);
    if (px_json_failed(&r->json))
        return;
    finish_version(r, &version);
    if (r->index->versions.len == PX_MODEL_INDEX_VERSIONS_MAX) {
        px_json_fail(&r->json, "more than %d versions", PX_MODEL_INDEX_VERSIONS_MAX);
        return;
    }
    struct px_index_version *slot = px_vec_push(&r->index->versions);
    if (slot)
        *slot = version;
    else
        fail_memory(r);
}

static void read_model(struct reader *r)
{
    struct px_str key, name = {0};
    size_t first = r->index->versions.len;
    px_json_enter_object(&r->json);
    while (px_json_next_key(&r->json, &key)) {
        if (px_str_is(key, "name")) {
            name = px_json_str(&r->json);
        } else if (px_str_is(key, "versions")) {
            px_json_enter_array(&r->json);
            while (px_json_next_element(&r->json))
                read_version(r);
        } else {
            px_json_skip(&r->json);
        }
    }
    if (!px_json_failed(&r->json) && !px_model_name_is_valid(name))
        px_json_fail(&r->json, "expected a \"name\" of a model, got '%.*s'", PX_STR_ARG(name));
    for (size_t i = first; i < r->index->versions.len; i++)
        r->index->versions.items[i].name = name;
}

static void read_all(struct reader *r)
{
    struct px_str key;
    uint64_t format = 0;
    px_json_enter_object(&r->json);
    while (px_json_next_key(&r->json, &key)) {
        if (px_str_is(key, "phoenix_models")) {
            format = px_json_u64(&r->json);
        } else if (px_str_is(key, "models")) {
            px_json_enter_array(&r->json);
            while (px_json_next_element(&r->json))
                read_model(r);
        } else {
            px_json_skip(&r->json);
        }
    }
    if (!px_json_failed(&r->json) && format != FORMAT)
        px_json_fail(&r->json, "expected \"phoenix_models\": %d, got %llu", FORMAT,
                     (unsigned long long)format);
}

/* ---- the whole ---- */

static int compare(const struct px_index_version *version, struct px_str name, struct px_str number)
{
    int order = px_str_cmp(version->name, name);
    return order ? order : px_compare_versions(version->version, number);
}

static int compare_versions(const void *a, const void *b)
{
    const struct px_index_version *y = b;
    return compare(a, y->name, y->version);
}

static enum px_code sort(struct px_model_index *index, struct px_err *err)
{
    struct px_index_version *list = index->versions.items;
    if (index->versions.len > 1) /* else there may be no array */
        qsort(list, index->versions.len, sizeof *list, compare_versions);
    for (size_t i = 1; i < index->versions.len; i++) {
        if (compare_versions(&list[i - 1], &list[i]) == 0)
            return px_err_set(err, PX_E_INVALID, "model '%.*s' version %.*s is there twice",
                              PX_STR_ARG(list[i].name), PX_STR_ARG(list[i].version));
    }
    return PX_OK;
}

enum px_code px_model_index_parse(struct px_buf *text, struct px_model_index *ret,
                                  struct px_err *err)
{
    *ret = (struct px_model_index){.text = *text, .arena = px_arena(PX_MODEL_INDEX_BYTES_MAX)};
    *text = px_buf(text->max);
    struct reader r = {.index = ret};
    px_json_init(&r.json, px_buf_view(&ret->text), &ret->arena, 0);
    read_all(&r);
    enum px_code code = px_json_finish(&r.json, err);
    if (r.no_memory)
        code = px_err_set(err, PX_E_NO_MEMORY, "no memory for the index");
    if (code == PX_OK)
        code = sort(ret, err);
    if (code == PX_OK)
        return PX_OK;
    (void)px_err_wrap(err, PX_MODEL_INDEX_FILE);
    return px_err_hint(err, "phoenix publish --index FOLDER writes it");
}

void px_model_index_deinit(struct px_model_index *index)
{
    px_vec_free(&index->versions);
    px_vec_free(&index->files);
    px_buf_deinit(&index->text);
    px_arena_deinit(&index->arena);
}

const struct px_index_version *px_model_index_find(const struct px_model_index *index,
                                                   struct px_str name, struct px_str version)
{
    size_t low = 0, high = index->versions.len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(&index->versions.items[middle], name, version);
        if (order == 0)
            return &index->versions.items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
