/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input and output of verbs that stream: a file, or standard input and output as "-".
 *
 * A regular output file appears only when the work is complete: it is written beside its place under a
 * temporary name and renamed by px_output_commit. Pipes and devices are written directly. While an
 * interrupt guard is on, SIGINT, SIGTERM and SIGHUP make reads fail with PX_E_CANCELLED instead of ending
 * the process, so that the temporary file does not stay.
 */
#ifndef PX_INTERFACES_CLI_STREAM_H
#define PX_INTERFACES_CLI_STREAM_H

#include "shared/err.h"
#include "shared/str.h"

#include <limits.h>

struct px_input {
    int fd;
    const char *name; /* for messages */
    uint64_t size;    /* of a regular file; 0 = unknown */
};

/* PX_E_NOT_FOUND, PX_E_IO. */
PX_MUST_USE enum px_code px_input_open(struct px_input *input, const char *path,
                                       struct px_err *err);
/* *ret_n == 0 is the end. */
PX_MUST_USE enum px_code px_input_read(struct px_input *input, char *out, size_t cap, size_t *ret_n,
                                       struct px_err *err);
/* Is the input the regular file at `path`? */
bool px_input_is(const struct px_input *input, const char *path);
void px_input_close(struct px_input *input);

struct px_output {
    int fd;
    const char *name;
    bool standard;            /* standard output: not ours to close */
    char temporary[PATH_MAX]; /* empty when written directly */
};

PX_MUST_USE enum px_code px_output_open(struct px_output *output, const char *path,
                                        struct px_err *err);
PX_MUST_USE enum px_code px_output_write(struct px_output *output, struct px_str bytes,
                                         struct px_err *err);
/* Makes what was written durable and visible. */
PX_MUST_USE enum px_code px_output_commit(struct px_output *output, struct px_err *err);
/* Closes; without a commit before, nothing appears. */
void px_output_close(struct px_output *output);

void px_interrupts_guard(void);
bool px_interrupts_seen(void);

#endif
