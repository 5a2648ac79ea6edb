/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/buf.h"

#include "shared/alloc.h"

#include <stdarg.h>
#include <stdio.h>

enum { FIRST_CAP = 256 };

void px_buf_deinit(struct px_buf *buf)
{
    px_free(buf->ptr);
    *buf = px_buf(buf->max);
}

void px_buf_clear(struct px_buf *buf)
{
    buf->len = 0;
    buf->failed = buf->no_memory = false;
    if (buf->ptr)
        buf->ptr[0] = '\0';
}

static bool grow(struct px_buf *buf, size_t need)
{
    size_t cap = buf->cap ? buf->cap : FIRST_CAP;
    while (cap < need)
        cap = cap <= SIZE_MAX / 2 ? cap * 2 : need;
    if (cap - 1 > buf->max)
        cap = buf->max + 1;
    char *ptr = px_realloc(buf->ptr, cap, 1);
    buf->no_memory = !ptr;
    if (!ptr)
        return false;
    buf->ptr = ptr;
    buf->cap = cap;
    return true;
}

char *px_buf_reserve(struct px_buf *buf, size_t more)
{
    PX_ASSERT(buf->len <= buf->max);
    if (buf->failed)
        return NULL;
    if (more > buf->max - buf->len ||
        (buf->cap < buf->len + more + 1 && !grow(buf, buf->len + more + 1))) {
        buf->failed = true;
        return NULL;
    }
    return buf->ptr + buf->len;
}

void px_buf_append_slowly(struct px_buf *buf, const void *bytes, size_t len)
{
    char *to = px_buf_reserve(buf, len);
    if (!to)
        return;
    if (len)
        memcpy(to, bytes, len);
    to[len] = '\0';
    buf->len += len;
}

void px_buf_u64(struct px_buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    px_buf_append(buf, digits + at, sizeof digits - at);
}

void px_buf_printf(struct px_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = len < 0 ? NULL : px_buf_reserve(buf, (size_t)len);
    if (to) {
        vsnprintf(to, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
}

void px_buf_consume(struct px_buf *buf, size_t n)
{
    PX_ASSERT(n <= buf->len);
    if (n == 0)
        return;
    buf->len -= n;
    memmove(buf->ptr, buf->ptr + n, buf->len);
    buf->ptr[buf->len] = '\0';
}

enum px_code px_buf_check(const struct px_buf *buf, const char *what, struct px_err *err)
{
    if (!buf->failed)
        return PX_OK;
    if (buf->no_memory)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %s", what);
    return px_err_set(err, PX_E_TOO_LARGE, "%s does not fit in %zu bytes", what, buf->max);
}
