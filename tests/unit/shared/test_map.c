/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "shared/alloc.h"
#include "shared/hash.h"
#include "shared/map.h"

enum { KEYS = 5000 };

static char names[KEYS][16];

static void fill_names(void)
{
    for (int i = 0; i < KEYS; i++)
        snprintf(names[i], sizeof names[i], "key-%d", i);
}

PX_TEST(keeps_what_is_put)
{
    struct px_map map = {0};
    size_t value;
    fill_names();
    CHECK(!px_map_get(&map, px_str("key-0"), &value));
    for (size_t i = 0; i < KEYS; i++)
        CHECK_OK(px_map_put(&map, px_str(names[i]), i, NULL));
    CHECK_INT(map.len, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        CHECK(px_map_get(&map, px_str(names[i]), &value));
        CHECK_INT(value, i);
    }
    CHECK(!px_map_get(&map, px_str("key-"), &value));
    CHECK(!px_map_get(&map, px_str("key-00"), &value));
    px_map_deinit(&map);
    px_map_deinit(&map);
    CHECK_INT(map.len, 0);
}

PX_TEST(replaces)
{
    struct px_map map = {0};
    size_t value;
    CHECK_OK(px_map_put(&map, px_str("a"), 1, NULL));
    CHECK_OK(px_map_put(&map, px_str("a"), 2, NULL));
    CHECK_INT(map.len, 1);
    CHECK(px_map_get(&map, px_str("a"), &value));
    CHECK_INT(value, 2);
    px_map_deinit(&map);
}

PX_TEST(any_bytes_are_keys)
{
    struct px_map map = {0};
    size_t value;
    CHECK_OK(px_map_put(&map, (struct px_str){0}, 1, NULL));
    CHECK_OK(px_map_put(&map, px_str_n("a\0b", 3), 2, NULL));
    CHECK_OK(px_map_put(&map, px_str("a"), 3, NULL));
    CHECK(px_map_get(&map, px_str(""), &value) && value == 1);
    CHECK(px_map_get(&map, (struct px_str){0}, &value) && value == 1);
    CHECK(px_map_get(&map, px_str_n("a\0b", 3), &value) && value == 2);
    CHECK(px_map_get(&map, px_str("a"), &value) && value == 3);
    CHECK_INT(map.len, 3);
    px_map_deinit(&map);
}

PX_TEST(reserved_room_needs_no_allocation)
{
    struct px_map map = {0};
    fill_names();
    CHECK_OK(px_map_reserve(&map, KEYS, NULL));
    uint64_t before = px_alloc_count();
    for (size_t i = 0; i < KEYS; i++)
        CHECK_OK(px_map_put(&map, px_str(names[i]), i, NULL));
    CHECK_INT(px_alloc_count(), before);
    px_map_deinit(&map);
    struct px_err err;
    CHECK_INT(px_map_reserve(&map, SIZE_MAX, &err), PX_E_NO_MEMORY);
    CHECK_INT(px_map_reserve(&map, SIZE_MAX / 4, &err), PX_E_NO_MEMORY);
}

PX_TEST(a_failed_put_changes_nothing)
{
    fill_names();
    for (uint64_t n = 1; n <= 5; n++) {
        struct px_map map = {0};
        struct px_err err;
        size_t value, failures = 0;
        px_alloc_fail_at(n);
        for (size_t i = 0; i < 200; i++) {
            size_t before = map.len;
            if (px_map_put(&map, px_str(names[i]), i, &err) == PX_OK)
                continue;
            failures++;
            CHECK_INT(err.code, PX_E_NO_MEMORY);
            CHECK_INT(map.len, before);
            CHECK(!px_map_get(&map, px_str(names[i]), &value));
        }
        px_alloc_fail_at(0);
        CHECK_INT(failures, 1);
        CHECK_INT(map.len, 199);
        px_map_deinit(&map);
    }
}

PX_TEST(hashes)
{
    /* The XXH3 specification's values for no seed: content hashes must never change. */
    CHECK(px_hash_content("", 0) == 0x2D06800538D394C2u);
    CHECK(px_hash_content(NULL, 0) == 0x2D06800538D394C2u);
    CHECK(px_hash_content("abc", 3) == 0x78AF5F94892F3950u);
    CHECK(px_hash("abc", 3) == px_hash("abc", 3));
    CHECK(px_hash("abc", 3) != px_hash("abd", 3));
    CHECK(px_hash(NULL, 0) == px_hash("", 0));
}

PX_TEST_MAIN(T(keeps_what_is_put) T(replaces) T(any_bytes_are_keys)
                 T(reserved_room_needs_no_allocation) T(a_failed_put_changes_nothing) T(hashes))
