/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program file of a running process: another one is put in its place, and back.
 *
 * The file at the path is always a whole program: the new one is written beside it and renamed over it. What was there stays as
 * PATH.previous, for a way back. Threads: one at a time.
 */
#ifndef PX_INFRASTRUCTURE_HOST_PROGRAM_H
#define PX_INFRASTRUCTURE_HOST_PROGRAM_H

#include "shared/err.h"

#include <limits.h>
#include <sys/types.h>

struct px_program {
    char path[PATH_MAX];
    char previous[PATH_MAX];
    bool has_previous;
};

/* Where the program of a process lies, or lay before it was replaced. */
PX_MUST_USE enum px_code px_program_of(pid_t pid, struct px_program *ret, struct px_err *err);
/* Copies `file` there. An error has changed nothing. */
PX_MUST_USE enum px_code px_program_install(struct px_program *program, const char *file,
                                            struct px_err *err);
/* The one before is there again. */
PX_MUST_USE enum px_code px_program_restore(struct px_program *program, struct px_err *err);

#endif
