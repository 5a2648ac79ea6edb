/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/err.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const struct code_row {
    enum px_code code;
    int http, grpc;
    bool retryable;
    const char *name, *text;
} code_rows[] = {
    {PX_OK, 200, 0, false, "OK", "ok"},
#define PX_ERROR(name, number, http, grpc, retryable, text)                                        \
    {PX_E_##name, http, grpc, retryable, #name, text},
#include "shared/errors.def"
#undef PX_ERROR
};

/* The code of this thread's latest error that nobody listens to; its texts are not worth keeping. */
static _Thread_local enum px_code unheard = PX_E_INTERNAL;

static const struct code_row *find_row(enum px_code code)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(code_rows); i++) {
        if (code_rows[i].code == code)
            return &code_rows[i];
    }
    return find_row(PX_E_INTERNAL);
}

enum px_code px_err_set_at(struct px_err *err, enum px_code code, const char *file, int line,
                           const char *format, ...)
{
    PX_ASSERT(code != PX_OK);
    if (!err)
        return unheard = code;
    va_list args;
    va_start(args, format);
    /* Formatted aside first: an argument may be the old message. */
    char message[PX_ERR_MESSAGE_MAX];
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    *err = (struct px_err){.code = code, .file = file, .line = line};
    memcpy(err->message, message, sizeof message);
    return code;
}

enum px_code px_err_hint(struct px_err *err, const char *format, ...)
{
    if (!err)
        return unheard;
    va_list args;
    va_start(args, format);
    vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return err->code;
}

enum px_code px_err_retry(struct px_err *err, uint64_t retry_ns)
{
    if (!err)
        return unheard;
    err->retry_ns = retry_ns;
    return err->code;
}

uint64_t px_err_retry_ms(const struct px_err *err)
{
    enum { NS_PER_MS = 1000000 };
    return err->retry_ns <= NS_PER_MS ? 1 : (err->retry_ns - 1) / NS_PER_MS + 1;
}

bool px_err_suggest(struct px_err *err, struct px_str word, const struct px_str *candidates,
                    size_t n)
{
    long nearest = px_str_nearest(word, candidates, n);
    if (nearest >= 0)
        px_err_hint(err, "did you mean '%.*s'?", PX_STR_ARG(candidates[nearest]));
    return nearest >= 0;
}

enum px_code px_err_wrap(struct px_err *err, const char *format, ...)
{
    if (!err)
        return unheard;
    PX_ASSERT(err->code != PX_OK);
    char message[PX_ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    int context = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    size_t used = (size_t)context < sizeof message ? (size_t)context : sizeof message - 1;
    snprintf(message + used, sizeof message - used, ": %s", err->message);
    memcpy(err->message, message, sizeof message);
    return err->code;
}

const char *px_err_text(const struct px_err *err, char *out, size_t cap)
{
    PX_ASSERT(cap > 0);
    if (err->hint[0])
        snprintf(out, cap, "%s (%s)", err->message, err->hint);
    else
        snprintf(out, cap, "%s", err->message);
    return out;
}

const char *px_code_name(enum px_code code)
{
    return find_row(code)->name;
}

const char *px_code_text(enum px_code code)
{
    return find_row(code)->text;
}

int px_code_http(enum px_code code)
{
    return find_row(code)->http;
}

int px_code_grpc(enum px_code code)
{
    return find_row(code)->grpc;
}

bool px_code_retryable(enum px_code code)
{
    return find_row(code)->retryable;
}
