/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files. Domain code does not include this header: it is given bytes.
 * Errors name the path and what the system said.
 */
#ifndef PX_SHARED_FILE_H
#define PX_SHARED_FILE_H

#include "shared/buf.h"

#include <limits.h>

/* The bytes of a file as they were when it was read. A zeroed struct is empty. */
struct px_file {
    struct px_str bytes;
};

/*
 * Reads a regular file of at most `max` bytes into memory of just its size. PX_E_NOT_FOUND, PX_E_TOO_LARGE,
 * PX_E_NO_MEMORY; PX_E_IO also when the file changed meanwhile.
 */
PX_MUST_USE enum px_code px_file_load(struct px_file *file, const char *path, size_t max,
                                      struct px_err *err);
void px_file_unload(struct px_file *file);

/* Reads all of a file (or pipe) into `buf`, within its maximum. */
PX_MUST_USE enum px_code px_file_read(const char *path, struct px_buf *buf, struct px_err *err);

/* Writes a file so that a reader sees the old or the new one, never half: temporary, fsync, rename. */
PX_MUST_USE enum px_code px_file_write(const char *path, struct px_str bytes, struct px_err *err);

/* Creates a folder and its parents; fine when it is there. */
PX_MUST_USE enum px_code px_file_mkdirs(const char *path, struct px_err *err);

enum px_file_kind { PX_FILE_ABSENT, PX_FILE_REGULAR, PX_FILE_FOLDER, PX_FILE_OTHER };
enum px_file_kind px_file_kind(const char *path);

/* Bytes of a regular file; 0 when it is none. */
uint64_t px_file_size(const char *path);

/*
 * Why px_file_kind says PX_FILE_ABSENT: PX_E_NOT_FOUND, or PX_E_IO when something is there that cannot be looked at (a
 * link that leads to itself, a folder that may not be entered).
 */
enum px_code px_file_fail_absent(const char *path, struct px_err *err);

/*
 * Where `name` lies below `folder`, links resolved, into `path` (PATH_MAX bytes). What a stranger's file names stays in the folder of that
 * file: PX_E_INVALID when the name is absolute or has a "..", or a link leads out; PX_E_NOT_FOUND, PX_E_IO as px_file_fail_absent. Open the
 * path that comes back: by its name, a link that is changed meanwhile would lead elsewhere.
 */
PX_MUST_USE enum px_code px_file_resolve_inside(struct px_str folder, struct px_str name,
                                                char *path, struct px_err *err);

/* Do both paths lead to one file? False when one of them leads nowhere. */
bool px_file_same(const char *a, const char *b);

#endif
