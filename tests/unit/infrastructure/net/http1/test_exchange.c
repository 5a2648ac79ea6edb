/* SPDX-License-Identifier: Apache-2.0 */
/* The pool of exchanges: reuse, limits on memory, room for input. */
#include "harness.h"
#include "infrastructure/net/http1/exchange.h"
#include "shared/alloc.h"

static struct px_http1_pool make_pool(void)
{
    return (struct px_http1_pool){
        .limits = {.header_bytes_max = 4096, .body_bytes_max = 64 << 20},
        .arena_bytes_max = 1 << 20,
        .input_bytes_max = 1 << 20,
    };
}

PX_TEST(reuses_what_was_given_back)
{
    struct px_http1_pool pool = make_pool();
    struct px_http1_exchange *first = px_http1_exchange_take(&pool);
    size_t room;
    CHECK(first && px_http1_exchange_input_room(&pool, first, &room, NULL));
    CHECK_INT(room, PX_HTTP1_INPUT_FIRST);
    px_buf_text(&first->body, "answer");
    CHECK(px_arena_alloc(&first->arena, 100, 1));
    px_http1_exchange_give(&pool, first);
    uint64_t before = px_alloc_count();
    struct px_http1_exchange *second = px_http1_exchange_take(&pool);
    CHECK(second == first);
    CHECK(px_http1_exchange_input_room(&pool, second, &room, NULL));
    CHECK_INT(second->body.len, 0);
    CHECK_INT(second->arena.used, 0);
    CHECK_INT(px_alloc_count() - before, 0);
    px_http1_exchange_give(&pool, second);
    px_http1_pool_deinit(&pool);
}

PX_TEST(does_not_keep_more_than_its_share)
{
    struct px_http1_pool pool = make_pool();
    struct px_http1_exchange *large = px_http1_exchange_take(&pool),
                             *small = px_http1_exchange_take(&pool);
    CHECK(px_buf_reserve(&large->body, PX_HTTP1_KEPT_BYTES_MAX));
    large->body.len = PX_HTTP1_KEPT_BYTES_MAX;
    px_http1_exchange_give(&pool, large);
    CHECK_INT(pool.n_unused, 0);
    px_http1_exchange_give(&pool, small);
    CHECK_INT(pool.n_unused, 1);
    static struct px_http1_exchange *many[PX_HTTP1_KEPT_MAX + 10];
    for (size_t i = 0; i < PX_ARRAY_LEN(many); i++)
        many[i] = px_http1_exchange_take(&pool);
    for (size_t i = 0; i < PX_ARRAY_LEN(many); i++)
        px_http1_exchange_give(&pool, many[i]);
    CHECK_INT(pool.n_unused, PX_HTTP1_KEPT_MAX);
    px_http1_pool_deinit(&pool);
}

/* An exchange that waits for a body of `missing` bytes. */
static struct px_http1_exchange *begin_body(struct px_http1_pool *pool, const char *head)
{
    struct px_http1_exchange *x = px_http1_exchange_take(pool);
    size_t room, len = strlen(head);
    char *to = px_http1_exchange_input_room(pool, x, &room, NULL);
    CHECK(to && len <= room);
    memcpy(to, head, len);
    x->input.len += len;
    CHECK_INT(px_http1_parse(&x->parser, x->input.ptr, &len, NULL), PX_HTTP1_MORE);
    return x;
}

#define POST(n) "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " n "\r\n\r\n"

PX_TEST(makes_room_for_what_is_missing)
{
    struct px_http1_pool pool = make_pool();
    size_t room;
    struct px_http1_exchange *x = begin_body(&pool, POST("100"));
    CHECK(px_http1_exchange_input_room(&pool, x, &room, NULL));
    CHECK_INT(x->input.len + room, PX_HTTP1_INPUT_FIRST);
    px_http1_exchange_give(&pool, x);
    x = begin_body(&pool, POST("100000"));
    CHECK(px_http1_exchange_input_room(&pool, x, &room, NULL));
    CHECK_INT(room, 100000);
    px_http1_exchange_give(&pool, x);
    pool.input_bytes_max = 4 << 20;
    x = begin_body(&pool, POST("50000000"));
    CHECK(px_http1_exchange_input_room(&pool, x, &room, NULL));
    CHECK_INT(room, PX_HTTP1_INPUT_STEP_MAX);
    px_http1_exchange_give(&pool, x);
    px_http1_pool_deinit(&pool);
}

PX_TEST(turns_large_bodies_away_when_too_many_are_read)
{
    struct px_http1_pool pool = make_pool();
    struct px_err err;
    size_t room;
    struct px_http1_exchange *first = begin_body(&pool, POST("900000"));
    CHECK(px_http1_exchange_input_room(&pool, first, &room, &err));
    struct px_http1_exchange *second = begin_body(&pool, POST("900000"));
    CHECK(!px_http1_exchange_input_room(&pool, second, &room, &err));
    CHECK_INT(err.code, PX_E_OVERLOADED);
    struct px_http1_exchange *small = begin_body(&pool, POST("10"));
    CHECK(px_http1_exchange_input_room(&pool, small, &room, &err));
    px_http1_exchange_give(&pool, first);
    CHECK(px_http1_exchange_input_room(&pool, second, &room, &err));
    px_http1_exchange_give(&pool, second);
    px_http1_exchange_give(&pool, small);
    CHECK_INT(pool.input_bytes, 0);
    px_http1_pool_deinit(&pool);
}

PX_TEST(a_large_arena_is_given_back_with_the_response)
{
    struct px_http1_pool pool = make_pool();
    pool.arena_bytes_max = 16 << 20;
    struct px_http1_exchange *x = px_http1_exchange_take(&pool);
    CHECK(px_arena_alloc(&x->arena, 1000, 1));
    px_http1_exchange_forget_request(x);
    CHECK_INT(x->arena.used, 0);
    uint64_t before = px_alloc_count();
    CHECK(px_arena_alloc(&x->arena, 1000, 1)); /* a small one is kept */
    CHECK_INT(px_alloc_count() - before, 0);
    CHECK(px_arena_alloc(&x->arena, 2 << 20, 1));
    px_http1_exchange_forget_request(x);
    CHECK(px_arena_alloc(&x->arena, 1000, 1));
    CHECK_INT(px_alloc_count() - before, 2);
    px_http1_exchange_give(&pool, x);
    px_http1_pool_deinit(&pool);
}

PX_TEST(reports_failed_allocations)
{
    struct px_http1_pool pool = make_pool();
    struct px_err err;
    size_t room;
    px_alloc_fail_at(1);
    CHECK(px_http1_exchange_take(&pool) == NULL);
    struct px_http1_exchange *x = px_http1_exchange_take(&pool);
    px_alloc_fail_at(1);
    CHECK(!px_http1_exchange_input_room(&pool, x, &room, &err));
    CHECK_INT(err.code, PX_E_NO_MEMORY);
    px_http1_exchange_give(&pool, x);
    px_http1_pool_deinit(&pool);
}

PX_TEST_MAIN(T(reuses_what_was_given_back) T(does_not_keep_more_than_its_share)
                 T(makes_room_for_what_is_missing) T(turns_large_bodies_away_when_too_many_are_read)
                     T(a_large_arena_is_given_back_with_the_response) T(reports_failed_allocations))
