/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of HTTP replies: whatever a server sends, and however it is cut, the outcome is the same.
 *
 * The first eight bytes of an input seed the cuts; the rest is the stream of the server, parsed reply by reply, once
 * at once and once in portions. Each portion is an exact-size copy, so that reading past it is found.
 */
#include "fuzz.h"

#include "infrastructure/load/reply.h"
#include "shared/alloc.h"

enum { SEED_BYTES = 8, REPLIES_MAX = 8, BODY_MAX = 300, KEPT = 64 };

struct outcome {
    enum px_reply_result result;
    struct px_err err;
    size_t used;
    bool ends; /* px_reply_end after MORE */
    char kept[KEPT];
    struct px_buf body;
    struct px_reply_parser parser;
};

static void require(bool condition)
{
    if (!condition)
        __builtin_trap();
}

static size_t next_portion(uint64_t *seed, size_t left)
{
    if (*seed == 0)
        return left;
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    size_t portion = 1 + (size_t)(*seed >> 60);
    return portion < left ? portion : left;
}

static void parse(struct outcome *o, const uint8_t *bytes, size_t len, uint64_t seed)
{
    o->err = (struct px_err){0};
    o->body = px_buf_fixed(o->kept, sizeof o->kept);
    o->used = 0;
    px_reply_begin(&o->parser, &o->body, BODY_MAX);
    do {
        size_t n = next_portion(&seed, len - o->used), used = 0;
        char *copy = px_xalloc(n + 1, 1);
        if (n)
            memcpy(copy, bytes + o->used, n);
        char *exact = px_realloc(copy, n ? n : 1, 1);
        o->result = px_reply_feed(&o->parser, exact, n, &used, &o->err);
        px_free(exact);
        require(used <= n && (o->result != PX_REPLY_MORE || used == n));
        o->used += used;
    } while (o->result == PX_REPLY_MORE && o->used < len);
    o->ends = o->result == PX_REPLY_MORE && px_reply_end(&o->parser, &o->err) == PX_REPLY_DONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole, cut;
    uint64_t seed;
    if (size < SEED_BYTES)
        return 0;
    memcpy(&seed, data, SEED_BYTES);
    data += SEED_BYTES;
    size -= SEED_BYTES;
    for (int i = 0; i < REPLIES_MAX; i++) {
        parse(&whole, data, size, 0);
        parse(&cut, data, size, seed | 1);
        require(whole.result == cut.result && whole.ends == cut.ends);
        require(strcmp(whole.err.message, cut.err.message) == 0);
        require(whole.parser.status == cut.parser.status);
        require(whole.result == PX_REPLY_BAD || whole.parser.body_len == cut.parser.body_len);
        require(whole.result == PX_REPLY_BAD ||
                px_str_eq(px_buf_view(&whole.body), px_buf_view(&cut.body)));
        if (whole.result != PX_REPLY_DONE)
            break;
        require(whole.used == cut.used && whole.parser.keep_alive == cut.parser.keep_alive);
        require(whole.parser.body_len <= BODY_MAX);
        data += whole.used;
        size -= whole.used;
    }
    return 0;
}
