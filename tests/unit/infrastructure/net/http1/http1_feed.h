/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Feeds bytes to the HTTP/1 parser in given portions, each time in a fresh exact-size buffer, so that
 * a read past the end and a pointer into the old buffer are caught by the address sanitizer.
 */
#ifndef PX_TESTS_HTTP1_FEED_H
#define PX_TESTS_HTTP1_FEED_H

#include "harness.h"
#include "infrastructure/net/http1/http1.h"
#include "shared/alloc.h"

struct feed {
    struct px_http1 parser;
    struct px_err err;
    enum px_http1_result result;
    char *bytes; /* what the request points into */
    size_t len;
};

static const struct px_http1_limits feed_limits = {.header_bytes_max = 1024, .body_bytes_max = 100};

static inline void feed_deinit(struct feed *feed)
{
    px_free(feed->bytes);
}

static inline void feed_more(struct feed *feed, const char *more, size_t n)
{
    char *grown = px_alloc(feed->len + n, 1);
    CHECK(grown);
    if (feed->len)
        memcpy(grown, feed->bytes, feed->len);
    if (n)
        memcpy(grown + feed->len, more, n);
    px_free(feed->bytes);
    feed->bytes = grown;
    feed->len += n;
    feed->result = px_http1_parse(&feed->parser, grown, &feed->len, &feed->err);
}

/* `portion` bytes at a time; 0 means all at once. Stops at DONE and BAD. */
static inline void feed_init(struct feed *feed, struct px_str text, size_t portion)
{
    memset(feed, 0, sizeof *feed);
    px_http1_init(&feed->parser, &feed_limits);
    feed->result = PX_HTTP1_MORE;
    if (portion == 0)
        portion = text.len;
    for (size_t at = 0; at < text.len && feed->result == PX_HTTP1_MORE; at += portion) {
        size_t n = text.len - at < portion ? text.len - at : portion;
        feed_more(feed, text.ptr + at, n);
    }
}

#endif
