/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/net/http1/exchange.h"

#include "shared/alloc.h"

enum {
    INPUT_STEP_MIN = 4096,
    ARENA_KEPT_BYTES = 1 << 20, /* more is given back before the client has read its response */
};

static void free_exchange(struct px_http1_exchange *exchange)
{
    px_buf_deinit(&exchange->input);
    px_buf_deinit(&exchange->head);
    px_buf_deinit(&exchange->body);
    px_buf_deinit(&exchange->part);
    px_arena_deinit(&exchange->arena);
    px_free(exchange);
}

static struct px_http1_exchange *create_exchange(const struct px_http1_pool *pool)
{
    struct px_http1_exchange *exchange = px_alloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    /* A pipelined request may begin in the bytes that are read for the one before. */
    size_t input_max = pool->limits.header_bytes_max + pool->limits.body_bytes_max +
                       PX_HTTP1_INPUT_FIRST + PX_HTTP1_INPUT_STEP_MAX;
    exchange->input = px_buf(input_max);
    exchange->head = px_buf(PX_HTTP1_HEAD_MAX);
    exchange->body = px_buf(PX_HTTP1_RESPONSE_MAX);
    exchange->part = px_buf(PX_HTTP1_RESPONSE_MAX);
    exchange->arena = px_arena(pool->arena_bytes_max);
    px_http1_init(&exchange->parser, &pool->limits);
    exchange->parser.stops_at_head = pool->stops_at_head;
    exchange->base.worker = pool->worker;
    exchange->base.kind = pool->kind;
    return exchange;
}

struct px_http1_exchange *px_http1_exchange_take(struct px_http1_pool *pool)
{
    struct px_http1_exchange *exchange = pool->unused;
    if (!exchange)
        return create_exchange(pool);
    pool->unused = exchange->next;
    pool->n_unused--;
    pool->kept_bytes -= exchange->kept_bytes;
    return exchange;
}

/* Buffers double, so at most twice the bytes that were used lie behind them. */
static void note_use(struct px_http1_exchange *x)
{
    size_t bytes = 2 * (x->input_charged + x->head.len + x->body.len + x->part.len + x->arena.used);
    if (bytes > x->kept_bytes)
        x->kept_bytes = bytes;
}

void px_http1_exchange_forget_request(struct px_http1_exchange *exchange)
{
    note_use(exchange);
    px_exchange_forget_decoded(&exchange->base);
    if (exchange->arena.used > ARENA_KEPT_BYTES)
        px_arena_deinit(&exchange->arena);
    else
        px_arena_reset(&exchange->arena);
}

void px_http1_exchange_give(struct px_http1_pool *pool, struct px_http1_exchange *exchange)
{
    note_use(exchange);
    px_exchange_forget_decoded(&exchange->base);
    pool->input_bytes -= exchange->input_charged;
    if (pool->n_unused == PX_HTTP1_KEPT_MAX ||
        pool->kept_bytes + exchange->kept_bytes > PX_HTTP1_KEPT_BYTES_MAX) {
        free_exchange(exchange);
        return;
    }
    px_http1_exchange_next_request(exchange);
    px_buf_clear(&exchange->input);
    exchange->input_at = exchange->input_charged = 0;
    exchange->next = pool->unused;
    pool->unused = exchange;
    pool->n_unused++;
    pool->kept_bytes += exchange->kept_bytes;
}

void px_http1_exchange_destroy(struct px_http1_pool *pool, struct px_http1_exchange *exchange)
{
    px_exchange_forget_decoded(&exchange->base);
    pool->input_bytes -= exchange->input_charged;
    free_exchange(exchange);
}

void px_http1_pool_deinit(struct px_http1_pool *pool)
{
    for (struct px_http1_exchange *x = pool->unused, *next; x; x = next) {
        next = x->next;
        free_exchange(x);
    }
    pool->unused = NULL;
    pool->n_unused = pool->kept_bytes = 0;
}

void px_http1_exchange_next_request(struct px_http1_exchange *exchange)
{
    note_use(exchange);
    exchange->input_at += exchange->parser.consumed;
    px_http1_reset(&exchange->parser);
    px_exchange_forget_decoded(&exchange->base);
    px_arena_reset(&exchange->arena);
    px_buf_clear(&exchange->head);
    px_buf_clear(&exchange->body);
    px_buf_clear(&exchange->part);
    exchange->payload = exchange->tail = (struct px_str){0};
    exchange->has_begun = exchange->has_ended = false;
    exchange->base.is_handed_over = false;
    exchange->sent = 0;
    exchange->sent_continue = false;
    exchange->body_began_ns = 0;
}

/* How much to read at once: the first buffer whole, then what is known to be missing, in steps. */
static size_t choose_room(const struct px_http1_exchange *x)
{
    size_t missing = px_http1_missing(&x->parser, x->input.len);
    if (x->input.len + INPUT_STEP_MIN + missing <= PX_HTTP1_INPUT_FIRST)
        return PX_HTTP1_INPUT_FIRST - x->input.len;
    if (x->parser.streams)
        return missing < PX_HTTP1_PIECE_MAX ? missing : PX_HTTP1_PIECE_MAX;
    if (missing > PX_HTTP1_INPUT_STEP_MAX)
        return PX_HTTP1_INPUT_STEP_MAX;
    return missing > INPUT_STEP_MIN ? missing : PX_HTTP1_INPUT_FIRST;
}

char *px_http1_exchange_input_room(struct px_http1_pool *pool, struct px_http1_exchange *exchange,
                                   size_t *room, struct px_err *err)
{
    px_buf_consume(&exchange->input, exchange->input_at);
    exchange->input_at = 0;
    *room = choose_room(exchange);
    size_t charge = exchange->input.len + *room;
    size_t more = charge > exchange->input_charged ? charge - exchange->input_charged : 0;
    bool is_large = charge > PX_HTTP1_INPUT_FIRST; /* small requests are never turned away */
    if (is_large && pool->input_bytes + more > pool->input_bytes_max) {
        px_err_set(err, PX_E_OVERLOADED, "requests that are being read hold more than %zu bytes",
                   pool->input_bytes_max);
        px_err_hint(err, "try again later");
        return NULL;
    }
    pool->input_bytes += more;
    exchange->input_charged += more;
    char *to = px_buf_reserve(&exchange->input, *room);
    if (!to)
        px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu bytes of a request", charge);
    return to;
}
