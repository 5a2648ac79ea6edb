/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: a code that every fallible function returns, and a caller-owned message.
 *
 *     enum px_code px_thing_open(struct px_thing *t, const char *path, struct px_err *err);
 *
 *     if (px_thing_open(&t, path, &err) != PX_OK)
 *         return px_err_wrap(&err, "load model '%s'", name);
 *
 * The last parameter is always `struct px_err *err`; it may be NULL, and it is untouched on success,
 * so calls chain. Without an object only the code of an error is kept, per thread, from px_err_set to the
 * px_err_hint or px_err_wrap that returns it: what a function returns never depends on who listens. A message says what was expected and what came; the hint says how to fix it. Each
 * layer adds its context once, with px_err_wrap. Nothing both logs and returns an error. A bug is not
 * an error: see PX_ASSERT.
 */
#ifndef PX_SHARED_ERR_H
#define PX_SHARED_ERR_H

#include "shared/str.h"

enum px_code {
    PX_OK = 0,
#define PX_ERROR(name, number, http, grpc, retryable, text) PX_E_##name = number,
#include "shared/errors.def"
#undef PX_ERROR
};

enum {
    PX_ERR_MESSAGE_MAX = 384,
    PX_ERR_HINT_MAX = 192,
};

struct px_err {
    enum px_code code;
    int line;         /* where it was set, for logs */
    const char *file; /* static storage */
    char message[PX_ERR_MESSAGE_MAX];
    char hint[PX_ERR_HINT_MAX]; /* empty when there is nothing to add */
    uint64_t retry_ns;          /* when the same may succeed, from now on; 0: nobody knows */
};

/* Fills `err` (may be NULL) and returns `code`, so that `return px_err_set(...)` is one statement. */
#define px_err_set(err, code, ...) px_err_set_at(err, code, __FILE__, __LINE__, __VA_ARGS__)

enum px_code px_err_set_at(struct px_err *err, enum px_code code, const char *file, int line,
                           const char *format, ...) PX_PRINTF(5, 6);

/* Adds how to fix it; returns the code of the error: the one that px_err_set was given. */
enum px_code px_err_hint(struct px_err *err, const char *format, ...) PX_PRINTF(2, 3);

/* Says after what time trying again is worth it; returns the code of the error. */
enum px_code px_err_retry(struct px_err *err, uint64_t retry_ns);
uint64_t px_err_retry_ms(const struct px_err *err); /* at least 1 */

/* Hints "did you mean 'X'?" when a candidate is near `word`; false, and no hint, when none is. */
bool px_err_suggest(struct px_err *err, struct px_str word, const struct px_str *candidates,
                    size_t n);

/* Puts "context: " before the message; returns the code of the error. */
enum px_code px_err_wrap(struct px_err *err, const char *format, ...) PX_PRINTF(2, 3);

/* The message, and the hint after it in parentheses, as one line for people. `cap` > 0. */
const char *px_err_text(const struct px_err *err, char *out, size_t cap);

/* Properties of a code, from errors.def. */
const char *px_code_name(enum px_code code); /* "NOT_FOUND" */
const char *px_code_text(enum px_code code); /* "not found" */
int px_code_http(enum px_code code);
int px_code_grpc(enum px_code code);
bool px_code_retryable(enum px_code code);

#endif
