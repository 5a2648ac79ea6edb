/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests: which files a version consists of, so that one that is half copied, or damaged, is not taken for the whole.
 *
 *     {"files": [{"path": "model.json", "size": 1234, "sha256": "9f86d0..."}]}
 *
 * as `manifest.json` in the version's folder, written last. An unknown key is an error with the nearest match. Threads: any.
 */
#ifndef PX_APPLICATION_RESIDENCY_MANIFEST_H
#define PX_APPLICATION_RESIDENCY_MANIFEST_H

#include "shared/buf.h"
#include "shared/json.h"

#define PX_MANIFEST_FILE "manifest.json"

enum { PX_MANIFEST_FILES_MAX = 10000, PX_MANIFEST_DEPTH_MAX = 8, PX_MANIFEST_BYTES_MAX = 8 << 20 };

/* PX_E_NOT_FOUND without a manifest; PX_E_CORRUPT when a file is missing, or is another than it says. Reads every file. */
PX_MUST_USE enum px_code px_manifest_check(const char *folder, struct px_err *err);

/* Describes the files of `folder`, but those that begin with '.', and writes its manifest. */
PX_MUST_USE enum px_code px_manifest_write(const char *folder, struct px_err *err);

/* One file as a manifest describes it. */
struct px_manifest_file {
    struct px_str path, sha256; /* below the version's folder; 64 digits */
    uint64_t size;
};

/* Reads {"path": ..., "size": ..., "sha256": ...}; what is wrong is the reader's failure. The path is as it came. Of an index, whose
 * entries may say more than is known here: other keys are passed over. */
void px_manifest_read_file(struct px_json *json, struct px_manifest_file *ret);
/*
 * Writes "files" with the files of `folder`: as its manifest says, whose sizes are compared with the files, or, without one, as they are, which reads
 * them. PX_E_CORRUPT as px_manifest_check.
 */
PX_MUST_USE enum px_code px_manifest_put_files(const char *folder, struct px_json_writer *w,
                                               struct px_err *err);
/* PX_OK when the file has that size and content. Reads it. */
PX_MUST_USE enum px_code px_manifest_check_file(const char *path,
                                                const struct px_manifest_file *file,
                                                struct px_err *err);

/*
 * What can be seen of a file or folder without reading its files: changes when one comes, goes, or is written (names, sizes, times of content and
 * status, numbers of files), and when the manifest says something else. 0 when there is nothing.
 */
uint64_t px_manifest_stamp(const char *path);

#endif
