/* SPDX-License-Identifier: Apache-2.0 */
/* The heap, and the small containers that stand directly on it: vector, buffer, arena. */
#include "harness.h"
#include "shared/alloc.h"
#include "shared/arena.h"
#include "shared/buf.h"
#include "shared/vec.h"

static struct px_err err;

PX_TEST(allocations_are_zeroed_and_counted)
{
    uint64_t before = px_alloc_count();
    unsigned char *bytes = px_alloc(100, 1);
    CHECK(bytes);
    for (int i = 0; i < 100; i++)
        CHECK(bytes[i] == 0);
    bytes = px_realloc(bytes, 200, 1);
    CHECK(bytes);
    px_free(bytes);
    px_free(NULL);
    void *none = px_alloc(0, 0);
    CHECK(none);
    px_free(none);
    CHECK_INT(px_alloc_count() - before, 3);
}

PX_TEST(impossible_sizes_fail)
{
    volatile size_t huge = SIZE_MAX / 2;
    CHECK(!px_alloc(huge, 4));
    CHECK(!px_realloc(NULL, huge, 4));
    CHECK(!px_alloc_aligned(64, huge, 4));
    CHECK(!px_alloc_aligned(64, SIZE_MAX - (huge - huge), 1));
}

PX_TEST(aligned_allocations)
{
    for (size_t alignment = 16; alignment <= 4096; alignment *= 2) {
        unsigned char *bytes = px_alloc_aligned(alignment, 3, 7);
        CHECK(bytes && (uintptr_t)bytes % alignment == 0);
        for (int i = 0; i < 21; i++)
            CHECK(bytes[i] == 0);
        px_free(bytes);
    }
}

PX_TEST(the_nth_allocation_fails_once)
{
    px_alloc_fail_at(2);
    void *a = px_alloc(1, 1), *b = px_alloc(1, 1), *c = px_alloc_aligned(64, 1, 1);
    CHECK(a && !b && c);
    px_free(a);
    px_free(c);
    px_alloc_fail_at(0);
    a = px_alloc(1, 1);
    CHECK(a);
    px_free(a);
}

PX_TEST(vectors_grow)
{
    PX_VEC(int) vec = {0};
    int *item, sum = 0;
    px_vec_foreach (item, &vec)
        sum++;
    CHECK_INT(sum, 0);
    for (int i = 0; i < 1000; i++) {
        item = px_vec_push(&vec);
        CHECK(item);
        *item = i;
    }
    CHECK_INT(vec.len, 1000);
    px_vec_foreach (item, &vec)
        sum += *item;
    CHECK_INT(sum, 999 * 1000 / 2);
    px_vec_free(&vec);
    CHECK(!vec.items && vec.cap == 0);
    CHECK(px_vec_reserve(&vec, 100));
    CHECK(vec.cap >= 100 && vec.len == 0);
    px_vec_free(&vec);
}

PX_TEST(a_vector_survives_a_failed_push)
{
    for (uint64_t n = 1; n <= 4; n++) {
        PX_VEC(int) vec = {0};
        size_t failures = 0;
        px_alloc_fail_at(n);
        for (int i = 0; i < 100; i++) {
            int *item = px_vec_push(&vec);
            if (item)
                *item = i;
            else
                failures++;
        }
        px_alloc_fail_at(0);
        CHECK_INT(failures, 1);
        CHECK_INT(vec.len, 99);
        CHECK_INT(vec.items[98], 99);
        px_vec_free(&vec);
    }
}

PX_TEST(buffers_append)
{
    struct px_buf buf = px_buf(100);
    CHECK_STR(px_str(px_buf_cstr(&buf)), "");
    px_buf_text(&buf, "a");
    px_buf_byte(&buf, 'b');
    px_buf_str(&buf, px_str("cd"));
    px_buf_append(&buf, NULL, 0);
    px_buf_u64(&buf, 0);
    px_buf_u64(&buf, UINT64_MAX);
    px_buf_printf(&buf, "%s-%d", "x", -5);
    CHECK_STR(px_buf_view(&buf), "abcd018446744073709551615x--5");
    CHECK_STR(px_str(px_buf_cstr(&buf)), "abcd018446744073709551615x--5");
    px_buf_consume(&buf, 0);
    px_buf_consume(&buf, 4);
    CHECK_STR(px_str(px_buf_cstr(&buf)), "018446744073709551615x--5");
    px_buf_consume(&buf, buf.len);
    CHECK_STR(px_str(px_buf_cstr(&buf)), "");
    CHECK_OK(px_buf_check(&buf, "it", &err));
    px_buf_deinit(&buf);
    px_buf_text(&buf, "again");
    CHECK_STR(px_buf_view(&buf), "again");
    px_buf_deinit(&buf);
}

PX_TEST(buffers_have_a_maximum_and_a_sticky_error)
{
    for (size_t max = 0; max < 600; max += 37) {
        struct px_buf buf = px_buf(max);
        for (size_t i = 0; i < max; i++)
            px_buf_byte(&buf, 'x');
        CHECK(!buf.failed && buf.len == max);
        px_buf_byte(&buf, 'y');
        CHECK(buf.failed && buf.len == max);
        px_buf_append(&buf, "", 0);
        CHECK(!px_buf_reserve(&buf, 0));
        CHECK_INT(px_buf_check(&buf, "the reply", &err), PX_E_TOO_LARGE);
        px_buf_clear(&buf);
        CHECK(!buf.failed && buf.len == 0);
        CHECK(px_buf_reserve(&buf, max));
        px_buf_deinit(&buf);
    }
    CHECK_CONTAINS(err.message, "the reply does not fit in 592 bytes");
    struct px_buf buf = px_buf(4);
    px_buf_printf(&buf, "%s", "12345");
    CHECK(buf.failed && buf.len == 0);
    px_buf_deinit(&buf);
}

PX_TEST(buffers_without_a_limit)
{
    struct px_buf buf = px_buf(SIZE_MAX);
    px_buf_text(&buf, "x");
    CHECK_STR(px_buf_view(&buf), "x");
    CHECK(!px_buf_reserve(&buf, SIZE_MAX / 2)); /* the system has no such memory */
    CHECK_INT(px_buf_check(&buf, "x", &err), PX_E_NO_MEMORY);
    px_buf_deinit(&buf);
}

PX_TEST(buffers_without_memory)
{
    for (uint64_t n = 1; n <= 3; n++) {
        struct px_buf buf = px_buf(10000);
        px_alloc_fail_at(n);
        for (int i = 0; i < 2000; i++)
            px_buf_byte(&buf, 'x');
        px_alloc_fail_at(0);
        CHECK(buf.failed);
        CHECK_INT(px_buf_check(&buf, "the reply", &err), PX_E_NO_MEMORY);
        CHECK(buf.len < 2000);
        px_buf_clear(&buf);
        CHECK_OK(px_buf_check(&buf, "it", NULL));
        px_buf_text(&buf, "fine");
        CHECK_STR(px_buf_view(&buf), "fine");
        px_buf_deinit(&buf);
    }
}

PX_TEST(fixed_buffers_never_allocate)
{
    char memory[8];
    uint64_t before = px_alloc_count();
    struct px_buf buf = px_buf_fixed(memory, sizeof memory);
    CHECK_STR(px_str(px_buf_cstr(&buf)), "");
    px_buf_text(&buf, "1234567");
    CHECK(!buf.failed);
    CHECK_STR(px_str(memory), "1234567");
    px_buf_byte(&buf, '8');
    CHECK(buf.failed);
    CHECK_INT(px_alloc_count(), before);
}

PX_TEST(arenas_hand_out_aligned_memory)
{
    struct px_arena arena = px_arena(1 << 20);
    for (size_t i = 0; i < 500; i++) {
        unsigned char *bytes = px_arena_alloc(&arena, i % 50, 1);
        CHECK(bytes && (uintptr_t)bytes % 16 == 0);
        memset(bytes, 0xAB, i % 50);
    }
    unsigned char *zeroed = px_arena_zalloc(&arena, 100, 1);
    for (int i = 0; i < 100; i++)
        CHECK(zeroed[i] == 0);
    CHECK_STR(px_arena_str(&arena, px_str("text")), "text");
    CHECK_STR(px_str(px_arena_cstr(&arena, (struct px_str){0})), "");
    CHECK_OK(px_arena_check(&arena, "it", &err));
    px_arena_deinit(&arena);
    CHECK_INT(arena.used, 0);
}

PX_TEST(arenas_stop_allocating_after_warm_up)
{
    struct px_arena arena = px_arena(1 << 20);
    uint64_t before = 0;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 200; i++)
            CHECK(px_arena_alloc(&arena, 100, 1));
        if (round == 2)
            before = px_alloc_count();
        px_arena_reset(&arena);
        CHECK_INT(arena.used, 0);
    }
    CHECK_INT(px_alloc_count(), before);
    px_arena_deinit(&arena);
}

PX_TEST(arenas_have_a_cap)
{
    struct px_arena arena = px_arena(1000);
    CHECK(!px_arena_alloc(&arena, 1001, 1));
    CHECK(arena.failed);
    CHECK(!px_arena_alloc(&arena, 1, 1)); /* sticky */
    CHECK_INT(px_arena_check(&arena, "the request", &err), PX_E_TOO_LARGE);
    CHECK_CONTAINS(err.message, "the request needs more than 1000 bytes");
    px_arena_reset(&arena);
    size_t n = 0;
    while (px_arena_alloc(&arena, 16, 1))
        n++;
    CHECK_INT(n, 1000 / 16);
    CHECK(arena.used <= 1000);
    px_arena_reset(&arena);
    volatile size_t huge = SIZE_MAX;
    CHECK(!px_arena_alloc(&arena, huge, 2));
    px_arena_deinit(&arena);

    struct px_arena endless = px_arena(SIZE_MAX);
    CHECK(!px_arena_alloc(&endless, huge, 1));
    CHECK(px_arena_str(&endless, px_str("x")).ptr == NULL);
    px_arena_deinit(&endless);
}

PX_TEST(arenas_without_memory)
{
    for (uint64_t n = 1; n <= 4; n++) {
        struct px_arena arena = px_arena(1 << 20);
        bool failed = false;
        px_alloc_fail_at(n);
        for (int i = 0; i < 100; i++)
            failed |= !px_arena_alloc(&arena, 1000, 1);
        px_alloc_fail_at(0);
        CHECK(failed && arena.failed);
        CHECK_INT(px_arena_check(&arena, "it", &err), PX_E_NO_MEMORY);
        px_arena_reset(&arena);
        CHECK_OK(px_arena_check(&arena, "it", &err));
        CHECK(px_arena_alloc(&arena, 1000, 1));
        px_arena_deinit(&arena);
    }
    /* The reset that joins blocks may find no memory; the arena is then empty and works. */
    struct px_arena arena = px_arena(1 << 20);
    for (int i = 0; i < 100; i++)
        CHECK(px_arena_alloc(&arena, 1000, 1));
    px_alloc_fail_at(1);
    px_arena_reset(&arena);
    px_alloc_fail_at(0);
    CHECK(!arena.failed && px_arena_alloc(&arena, 1000, 1));
    px_arena_deinit(&arena);
}

PX_TEST_MAIN(T(allocations_are_zeroed_and_counted) T(impossible_sizes_fail) T(aligned_allocations)
                 T(the_nth_allocation_fails_once) T(vectors_grow) T(a_vector_survives_a_failed_push)
                     T(buffers_append) T(buffers_have_a_maximum_and_a_sticky_error)
                         T(buffers_without_a_limit) T(buffers_without_memory)
                             T(fixed_buffers_never_allocate) T(arenas_hand_out_aligned_memory)
                                 T(arenas_stop_allocating_after_warm_up) T(arenas_have_a_cap)
                                     T(arenas_without_memory))
