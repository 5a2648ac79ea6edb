/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable bytes with a maximum and a sticky error: write many, check once.
 *
 * Every buffer is created with the most that it may ever hold. A write that would pass it, or that
 * finds no memory, sets `failed`; later writes do nothing. px_buf_check turns that into an error.
 * The contents are always followed by a NUL that does not count, so `ptr` is a C string at libc
 * borders (an empty, never written buffer has ptr == NULL; use px_buf_cstr).
 */
#ifndef PX_SHARED_BUF_H
#define PX_SHARED_BUF_H

#include "shared/err.h"
#include "shared/str.h"

struct px_buf {
    char *ptr;
    size_t len;
    size_t max;
    bool failed;
    /* private */
    bool no_memory; /* why it failed */
    size_t cap;
};

static inline struct px_buf px_buf(size_t max)
{
    return (struct px_buf){.max = max};
}

/* A buffer over `size` > 0 bytes of the caller's, which never allocates. It must not be deinited. */
static inline struct px_buf px_buf_fixed(char *memory, size_t size)
{
    memory[0] = '\0';
    return (struct px_buf){.ptr = memory, .max = size - 1, .cap = size};
}

/* Frees the memory; the buffer may be used again. */
void px_buf_deinit(struct px_buf *buf);

/* Empties it, clears the sticky error, keeps the memory. */
void px_buf_clear(struct px_buf *buf);

/* Makes room for `more` bytes and returns where they go, or NULL. The caller adds to `len`. */
char *px_buf_reserve(struct px_buf *buf, size_t more);

void px_buf_append_slowly(struct px_buf *buf, const void *bytes, size_t len); /* private */

/*
 * Inline, because responses are made of many short pieces, whose length the compiler often knows. A buffer with memory has
 * cap > len, and cap <= max + 1.
 */
static inline void px_buf_append(struct px_buf *buf, const void *bytes, size_t len)
{
    if (PX_UNLIKELY(buf->cap - buf->len <= len || buf->failed || len == 0)) {
        px_buf_append_slowly(buf, bytes, len);
        return;
    }
    char *to = buf->ptr + buf->len;
    memcpy(to, bytes, len);
    to[len] = '\0';
    buf->len += len;
}

static inline void px_buf_str(struct px_buf *buf, struct px_str s)
{
    px_buf_append(buf, s.ptr, s.len);
}

static inline void px_buf_text(struct px_buf *buf, const char *text)
{
    px_buf_append(buf, text, strlen(text));
}

static inline void px_buf_byte(struct px_buf *buf, char byte)
{
    px_buf_append(buf, &byte, 1);
}

void px_buf_u64(struct px_buf *buf, uint64_t value);
void px_buf_printf(struct px_buf *buf, const char *format, ...) PX_PRINTF(2, 3);

/* Removes the first `n` bytes. */
void px_buf_consume(struct px_buf *buf, size_t n);

static inline struct px_str px_buf_view(const struct px_buf *buf)
{
    return px_str_n(buf->ptr, buf->len);
}

static inline const char *px_buf_cstr(const struct px_buf *buf)
{
    return buf->ptr ? buf->ptr : "";
}

/* PX_OK, PX_E_TOO_LARGE naming `what` and the maximum, or PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_buf_check(const struct px_buf *buf, const char *what,
                                      struct px_err *err);

#endif
