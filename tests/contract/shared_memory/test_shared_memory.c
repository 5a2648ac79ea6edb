/* SPDX-License-Identifier: Apache-2.0 */
/* The shared memory port's contract, run against every adapter. */
#include "infrastructure/ipc/posix_memory.h"
#include "memory_shared.h"
#include "shared/buf.h"

#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIZE = 64 };

/* One adapter, and an object of SIZE bytes under `key` that a client would have made. */
struct subject {
    struct px_shared_memory *memory;
    char key[64];
    struct memory_shared fake;
    char bytes[SIZE]; /* of the fake's object */
};

static struct subject s;

static void set_up_memory(void)
{
    snprintf(s.key, sizeof s.key, "/object");
    s.memory = memory_shared_init(&s.fake);
    memory_shared_object(&s.fake, "/object", s.bytes, SIZE);
}

static void set_up_posix(void)
{
    snprintf(s.key, sizeof s.key, "/phoenix-contract-%d", (int)getpid());
    int fd = shm_open(s.key, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && ftruncate(fd, SIZE) == 0);
    close(fd);
    CHECK_OK(px_posix_memory_create(&s.memory, &(struct px_err){0}));
}

static void (*const adapters[])(void) = {set_up_memory, set_up_posix};

static void tear_down(void)
{
    px_shared_memory_destroy(s.memory);
    (void)shm_unlink(s.key);
}

static enum px_code add(const char *name, uint64_t offset, uint64_t size)
{
    const struct px_shared_region_info info = {px_str(name), px_str(s.key), offset, size};
    struct px_err err;
    return px_shared_memory_add(s.memory, &info, &err);
}

static bool append_name(void *context, const struct px_shared_region_info *info)
{
    struct px_buf *names = context;
    px_buf_printf(names, "%.*s@%llu+%llu ", PX_STR_ARG(info->name),
                  (unsigned long long)info->offset, (unsigned long long)info->size);
    return names->len < 60;
}

static void check_regions(const char *want)
{
    char memory[128];
    struct px_buf names = px_buf_fixed(memory, sizeof memory);
    px_shared_memory_visit(s.memory, append_name, &names);
    CHECK_STR(px_buf_view(&names), want);
}

static struct px_shared_region *take(const char *name)
{
    struct px_shared_region *region;
    struct px_err err;
    CHECK_INT(px_shared_memory_take(s.memory, px_str(name), &region, &err), PX_OK);
    return region;
}

PX_TEST(regions_come_and_go)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(adapters); i++) {
        struct px_shared_region *region;
        struct px_err err;
        adapters[i]();
        CHECK_INT(add("b", 0, SIZE), PX_OK);
        CHECK_INT(add("a", 8, 16), PX_OK);
        CHECK_INT(add("a", 0, 8), PX_E_CONFLICT);
        check_regions("b@0+64 a@8+16 ");
        px_shared_memory_remove(s.memory, px_str("nobody"));
        px_shared_memory_remove(s.memory, px_str("b"));
        check_regions("a@8+16 ");
        CHECK_INT(px_shared_memory_take(s.memory, px_str("b"), &region, &err), PX_E_NOT_FOUND);
        CHECK_INT(add("b", 1, 2), PX_OK); /* the name is free again */
        px_shared_memory_remove_all(s.memory);
        check_regions("");
        tear_down();
    }
}

PX_TEST(refuses_what_the_object_does_not_hold)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(adapters); i++) {
        adapters[i]();
        CHECK_INT(add("a", 0, SIZE + 1), PX_E_INVALID);
        CHECK_INT(add("a", SIZE, 1), PX_E_INVALID);
        CHECK_INT(add("a", UINT64_MAX, 1), PX_E_INVALID);
        CHECK_INT(add("a", 1, UINT64_MAX), PX_E_INVALID);
        CHECK_INT(add("a", 0, 0), PX_E_INVALID);
        CHECK_INT(add("", 0, 1), PX_E_INVALID);
        char first = s.key[1];
        s.key[1] = '!';
        CHECK_INT(add("a", 0, 1), PX_E_INVALID);
        s.key[1] = first;
        check_regions("");
        tear_down();
    }
}

PX_TEST(bytes_are_those_of_the_region_only)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(adapters); i++) {
        char out[16] = "";
        struct px_err err;
        adapters[i]();
        CHECK_INT(add("all", 0, SIZE), PX_OK);
        CHECK_INT(add("part", 8, 8), PX_OK);
        struct px_shared_region *all = take("all"), *part = take("part");
        CHECK_INT(px_shared_region_write(part, 2, px_str("abc"), &err), PX_OK);
        CHECK_INT(px_shared_region_read(all, 10, out, 3, &err), PX_OK);
        CHECK_STR(px_str(out), "abc");
        CHECK_INT(px_shared_region_read(part, 6, out, 3, &err), PX_E_INVALID);
        CHECK_CONTAINS(err.message, "not inside shared memory region 'part' of 8 bytes");
        CHECK_INT(px_shared_region_write(part, 8, px_str("x"), &err), PX_E_INVALID);
        CHECK_INT(px_shared_region_write(part, UINT64_MAX, px_str("xy"), &err), PX_E_INVALID);
        CHECK_INT(px_shared_region_write(part, 8, px_str(""), &err), PX_OK);
        px_shared_region_release(all);
        px_shared_region_release(part);
        px_shared_region_release(NULL);
        tear_down();
    }
}

PX_TEST(a_region_in_use_outlives_its_name)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(adapters); i++) {
        char out[2] = "";
        struct px_err err;
        adapters[i]();
        CHECK_INT(add("a", 0, SIZE), PX_OK);
        struct px_shared_region *old = take("a");
        px_shared_memory_remove_all(s.memory);
        CHECK_INT(add("a", 1, 1), PX_OK);
        struct px_shared_region *new = take("a");
        CHECK_INT(px_shared_region_write(old, 1, px_str("z"), &err), PX_OK);
        CHECK_INT(px_shared_region_read(new, 0, out, 1, &err), PX_OK);
        CHECK_STR(px_str(out), "z");
        px_shared_region_release(old);
        px_shared_region_release(new);
        tear_down();
    }
}

PX_TEST_MAIN(T(regions_come_and_go) T(refuses_what_the_object_does_not_hold)
                 T(bytes_are_those_of_the_region_only) T(a_region_in_use_outlives_its_name))
