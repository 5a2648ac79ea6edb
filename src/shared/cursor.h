/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reading cursor over bytes that owns the bounds. Reads past the end set the sticky `failed` and
 * return zero, so a parser reads a whole header and checks once.
 */
#ifndef PX_SHARED_CURSOR_H
#define PX_SHARED_CURSOR_H

#include "shared/str.h"

struct px_cursor {
    const unsigned char *at, *end;
    bool failed;
};

static inline struct px_cursor px_cursor(const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    return (struct px_cursor){p, len ? p + len : p, false};
}

static inline size_t px_cursor_left(const struct px_cursor *c)
{
    return (size_t)(c->end - c->at);
}

/* The next `n` bytes and moves past them; NULL (and failed) when fewer are left. */
static inline const unsigned char *px_cursor_take(struct px_cursor *c, size_t n)
{
    if (PX_UNLIKELY(c->failed || px_cursor_left(c) < n)) {
        c->failed = true;
        return NULL;
    }
    const unsigned char *p = c->at;
    c->at += n;
    return p;
}

static inline uint8_t px_cursor_u8(struct px_cursor *c)
{
    const unsigned char *p = px_cursor_take(c, 1);
    return p ? p[0] : 0;
}

/* Big-endian integers of 2, 4 and 8 bytes. */
static inline uint64_t px_cursor_be(struct px_cursor *c, size_t bytes)
{
    const unsigned char *p = px_cursor_take(c, bytes);
    uint64_t value = 0;
    for (size_t i = 0; p && i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

/* Little-endian integers of 2, 4 and 8 bytes. */
static inline uint64_t px_cursor_le(struct px_cursor *c, size_t bytes)
{
    const unsigned char *p = px_cursor_take(c, bytes);
    uint64_t value = 0;
    for (size_t i = bytes; p && i-- > 0;)
        value = value << 8 | p[i];
    return value;
}

#endif
