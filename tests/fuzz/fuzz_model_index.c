/* SPDX-License-Identifier: Apache-2.0 */
/* The index of a repository behind a URL: what is parsed is safe to become a path, sorted, and found again. */
#include "fuzz.h"

#include "application/fetching/model_index.h"
#include "application/lifecycle/model_name.h"
#include "application/ports/model_store.h"

static void check_file(const struct px_manifest_file *file)
{
    PX_ASSERT(px_store_path_is_valid(file->path) && file->sha256.len == PX_SHA256_HEX - 1);
    for (struct px_str rest = file->path; rest.ptr;) {
        struct px_str part = px_str_cut(&rest, '/');
        PX_ASSERT(part.len > 0 && !px_str_is(part, "..") && !px_str_is(part, "."));
    }
    PX_ASSERT(!memchr(file->path.ptr, '\0', file->path.len));
    for (size_t i = 0; i < file->sha256.len; i++)
        PX_ASSERT(strchr("0123456789abcdef", file->sha256.ptr[i]) && file->sha256.ptr[i]);
}

static void check_version(const struct px_model_index *index,
                          const struct px_index_version *version)
{
    uint64_t bytes = 0;
    PX_ASSERT(px_model_name_is_valid(version->name) && px_model_name_is_valid(version->version));
    PX_ASSERT(px_store_path_is_valid(version->folder) && version->n_files > 0);
    PX_ASSERT(version->first_file + version->n_files <= index->files.len);
    for (size_t i = 0; i < version->n_files; i++) {
        check_file(&index->files.items[version->first_file + i]);
        bytes += index->files.items[version->first_file + i].size;
    }
    PX_ASSERT(bytes == version->bytes && strlen(version->key) == PX_SHA256_HEX - 1);
    PX_ASSERT(px_model_index_find(index, version->name, version->version) == version);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_model_index index;
    struct px_err err;
    struct px_buf text = px_buf(1 << 20);
    px_buf_append(&text, data, size);
    enum px_code code = px_model_index_parse(&text, &index, &err);
    for (size_t i = 0; i < index.versions.len && code == PX_OK; i++)
        check_version(&index, &index.versions.items[i]);
    px_model_index_deinit(&index);
    return 0;
}
