/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP/1.1 parser: whatever the bytes are, and however they are cut, the outcome is the same.
 *
 * The first eight bytes of an input seed the cuts; the rest is what a client sends. The stream is
 * parsed request by request, once at once and once in portions, each portion in a fresh exact-size
 * buffer; results, messages, requests and the rest of the stream must agree.
 */
#include "fuzz.h"

#include "infrastructure/net/http1/http1.h"
#include "shared/alloc.h"

enum { SEED_BYTES = 8, REQUESTS_MAX = 8 };

static const struct px_http1_limits limits = {.header_bytes_max = 512, .body_bytes_max = 300};

struct stream {
    struct px_http1 parser;
    struct px_err err;
    enum px_http1_result result;
    char *bytes; /* from the current request on */
    size_t len;
    const uint8_t *rest; /* not yet in `bytes` */
    size_t rest_len;
};

static void move(struct stream *s, size_t drop, size_t add)
{
    size_t kept = s->len - drop;
    char *moved = px_xalloc(kept + add, 1);
    if (kept)
        memcpy(moved, s->bytes + drop, kept);
    if (add)
        memcpy(moved + kept, s->rest, add);
    px_free(s->bytes);
    s->bytes = moved;
    s->len = kept + add;
    s->rest += add;
    s->rest_len -= add;
}

/* `seed` 0 feeds everything at once, else portions of 1 to 16 bytes. */
static void parse_request(struct stream *s, uint64_t *seed)
{
    s->result = px_http1_parse(&s->parser, s->bytes, &s->len, &s->err);
    while (s->result == PX_HTTP1_MORE && s->rest_len) {
        size_t portion = s->rest_len;
        if (*seed) {
            *seed = *seed * 6364136223846793005u + 1442695040888963407u;
            portion = 1 + (size_t)(*seed >> 60);
        }
        move(s, 0, portion < s->rest_len ? portion : s->rest_len);
        s->result = px_http1_parse(&s->parser, s->bytes, &s->len, &s->err);
    }
}

static void require(bool condition)
{
    if (!condition)
        __builtin_trap();
}

/* Every borrowed part lies within the buffer. */
static void check_within(const struct stream *s, struct px_str part)
{
    bool inside = part.ptr >= s->bytes && part.ptr + part.len <= s->bytes + s->len;
    require(part.len == 0 || inside || px_str_is(part, "/"));
}

static void check_request(const struct stream *s)
{
    const struct px_http_request *request = &s->parser.request;
    check_within(s, request->path);
    check_within(s, request->query);
    for (size_t i = 0; i < request->n_headers; i++) {
        check_within(s, request->headers[i].name);
        check_within(s, request->headers[i].value);
        require(request->headers[i].name.len > 0);
    }
    if (s->result != PX_HTTP1_DONE)
        return;
    check_within(s, request->body);
    require(request->body.len <= limits.body_bytes_max && s->parser.consumed <= s->len);
    require(request->path.ptr[0] == '/' || px_str_is(request->path, "*"));
}

static void check_same(const struct stream *a, const struct stream *b)
{
    const struct px_http_request *x = &a->parser.request, *y = &b->parser.request;
    require(a->result == b->result && a->err.code == b->err.code);
    require(strcmp(a->err.message, b->err.message) == 0);
    require(x->method == y->method && x->n_headers == y->n_headers);
    require(px_str_eq(x->path, y->path) && px_str_eq(x->query, y->query));
    require(px_str_eq(x->body, y->body));
    for (size_t i = 0; i < x->n_headers; i++) {
        require(px_str_eq(x->headers[i].name, y->headers[i].name));
        require(px_str_eq(x->headers[i].value, y->headers[i].value));
    }
    require(a->parser.keep_alive == b->parser.keep_alive);
    require(a->parser.expect_continue == b->parser.expect_continue);
    if (a->result == PX_HTTP1_DONE) {
        size_t left_a = a->len - a->parser.consumed + a->rest_len;
        size_t left_b = b->len - b->parser.consumed + b->rest_len;
        require(left_a == left_b);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t no_seed = 0, seed = 0;
    if (size < SEED_BYTES)
        return 0;
    memcpy(&seed, data, SEED_BYTES);
    seed |= 1;
    struct stream whole = {.rest = data + SEED_BYTES, .rest_len = size - SEED_BYTES};
    struct stream cut = whole;
    px_http1_init(&whole.parser, &limits);
    px_http1_init(&cut.parser, &limits);
    move(&whole, 0, 0);
    move(&cut, 0, 0);
    for (int i = 0; i < REQUESTS_MAX; i++) {
        parse_request(&whole, &no_seed);
        parse_request(&cut, &seed);
        check_request(&whole);
        check_request(&cut);
        check_same(&whole, &cut);
        if (whole.result != PX_HTTP1_DONE)
            break;
        move(&whole, whole.parser.consumed, 0);
        move(&cut, cut.parser.consumed, 0);
        px_http1_reset(&whole.parser);
        px_http1_reset(&cut.parser);
    }
    px_free(whole.bytes);
    px_free(cut.bytes);
    return 0;
}
