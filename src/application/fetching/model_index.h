/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of a repository of models behind a URL: which versions there are, and of which files each consists.
 *
 *     {"phoenix_models": 1,
 *      "models": [{"name": "fraud",
 *                  "versions": [{"version": "1", "folder": "fraud/1",
 *                                "files": [{"path": "model.json", "size": 1234, "sha256": "9f86d0..."}]}]}]}
 *
 * as `index.json` at the URL; a file lies at <URL>/<folder>/<path>. Files are described as in manifest.json (residency/manifest.h). Keys that are not
 * known are passed over, so that later indexes can say more.
 *
 * An index comes from a stranger: names, paths, digests, counts and sizes are checked here, and what is in a parsed index is safe to become a
 * path. Threads: any; a parsed index does not change.
 */
#ifndef PX_APPLICATION_FETCHING_MODEL_INDEX_H
#define PX_APPLICATION_FETCHING_MODEL_INDEX_H

#include "application/residency/manifest.h"
#include "shared/sha256.h"
#include "shared/vec.h"

#define PX_MODEL_INDEX_FILE "index.json"

enum {
    PX_MODEL_INDEX_BYTES_MAX = 256 << 20,
    PX_MODEL_INDEX_VERSIONS_MAX = 100000,
    PX_MODEL_INDEX_FILES_MAX = 1000000, /* of all versions together */
};
#define PX_MODEL_INDEX_FILE_BYTES_MAX (1ull << 44)

struct px_index_version {
    struct px_str name, version, folder;
    size_t first_file, n_files; /* in px_model_index.files, sorted by path */
    uint64_t bytes;             /* of its files */
    char key[PX_SHA256_HEX];    /* of what the files are: equal files, equal key */
};

struct px_model_index {
    PX_VEC(struct px_index_version) versions; /* sorted by name, then version */
    PX_VEC(struct px_manifest_file) files;
    /* private */
    struct px_buf text;
    struct px_arena arena;
};

/*
 * Takes the memory of `text`, also on failure; the index is to be deinited either way. PX_E_INVALID says where and what was expected,
 * PX_E_TOO_LARGE, PX_E_NO_MEMORY.
 */
PX_MUST_USE enum px_code px_model_index_parse(struct px_buf *text, struct px_model_index *ret,
                                              struct px_err *err);
void px_model_index_deinit(struct px_model_index *index);
/* NULL when there is none. */
const struct px_index_version *px_model_index_find(const struct px_model_index *index,
                                                   struct px_str name, struct px_str version);

/*
 * Writes <folder>/index.json for a folder of models as `phoenix serve` takes it: all versions that their versions.yaml lets serve. A version that cannot be
 * used is an error, and nothing is written. One writer at a time: others wait.
 */
PX_MUST_USE enum px_code px_model_index_write(const char *folder, size_t *ret_n_versions,
                                              struct px_err *err);

#endif
