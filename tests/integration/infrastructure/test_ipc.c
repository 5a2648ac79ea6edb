/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX shared memory: clients that shrink, unlink or name what they should not, descriptors, and threads. */
#include "infrastructure/ipc/posix_memory.h"

#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIZE = 3 * 4096 };

static struct px_shared_memory *memory;
static char key[64];
static int object;

static void set_up(void)
{
    snprintf(key, sizeof key, "/phoenix-ipc-%d", (int)getpid());
    object = shm_open(key, O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(object >= 0 && ftruncate(object, SIZE) == 0);
    CHECK_OK(px_posix_memory_create(&memory, &(struct px_err){0}));
}

static void tear_down(void)
{
    px_shared_memory_destroy(memory);
    close(object);
    (void)shm_unlink(key);
}

static enum px_code add_key(const char *name, struct px_str object_key, struct px_err *err)
{
    const struct px_shared_region_info info = {px_str(name), object_key, 0, SIZE};
    return px_shared_memory_add(memory, &info, err);
}

static struct px_shared_region *take(const char *name)
{
    struct px_shared_region *region;
    struct px_err err;
    CHECK_INT(px_shared_memory_take(memory, px_str(name), &region, &err), PX_OK);
    return region;
}

static size_t count_descriptors(void)
{
    size_t n = 0;
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder != NULL);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

PX_TEST(an_object_that_shrinks_is_an_error_and_no_fault)
{
    static char out[SIZE];
    struct px_err err;
    struct stat stat;
    set_up();
    CHECK_INT(add_key("a", px_str(key), &err), PX_OK);
    struct px_shared_region *region = take("a");
    CHECK_INT(px_shared_region_read(region, 0, out, SIZE, &err), PX_OK);
    CHECK(ftruncate(object, 100) == 0);
    CHECK_INT(px_shared_region_read(region, 0, out, SIZE, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "is smaller now than when it was registered");
    CHECK_INT(px_shared_region_read(region, 0, out, 100, &err), PX_OK);
    CHECK_INT(px_shared_region_write(region, 0, px_str_n(out, 101), &err), PX_E_INVALID);
    CHECK_INT(px_shared_region_write(region, 0, px_str_n(out, 100), &err), PX_OK);
    CHECK(fstat(object, &stat) == 0 && stat.st_size == 100); /* nobody has grown it */
    px_shared_region_release(region);
    tear_down();
}

PX_TEST(an_object_without_a_name_goes_on)
{
    char out[4] = "";
    struct px_err err;
    set_up();
    CHECK_INT(add_key("a", px_str(key), &err), PX_OK);
    CHECK(shm_unlink(key) == 0);
    CHECK(pwrite(object, "abc", 3, 0) == 3);
    struct px_shared_region *region = take("a");
    CHECK_INT(px_shared_region_read(region, 0, out, 3, &err), PX_OK);
    CHECK_STR(px_str(out), "abc");
    px_shared_region_release(region);
    tear_down();
}

PX_TEST(a_key_names_an_object_and_no_path)
{
    static const char *const bad[] = {"", "/", "/.", "..", "/a/b", "//a", "/../etc/passwd"};
    struct px_err err;
    char longest[300];
    set_up();
    for (size_t i = 0; i < PX_ARRAY_LEN(bad); i++) {
        CHECK_INT(add_key("a", px_str(bad[i]), &err), PX_E_INVALID);
        CHECK_CONTAINS(err.message, "expected a key of the form '/name'");
    }
    CHECK_INT(add_key("a", px_str_n("/a\0b", 4), &err), PX_E_INVALID);
    memset(longest, 'x', sizeof longest);
    CHECK_INT(add_key("a", px_str_n(longest, sizeof longest), &err), PX_E_INVALID);
    CHECK_INT(add_key("a", px_str("/phoenix-nobody-made-this"), &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "cannot open '/phoenix-nobody-made-this'");
    CHECK_INT(add_key("a", px_str(key + 1), &err), PX_OK); /* without its slash */
    longest[256] = '\0';
    CHECK_INT(add_key(longest, px_str(key), &err), PX_E_INVALID);
    tear_down();
}

PX_TEST(a_pipe_under_the_key_is_refused)
{
    char path[128];
    struct px_err err;
    set_up();
    (void)shm_unlink(key);
    snprintf(path, sizeof path, "/dev/shm%s", key);
    if (mkfifo(path, 0600) == 0) {
        CHECK_INT(add_key("a", px_str(key), &err), PX_E_INVALID);
        CHECK_CONTAINS(err.message, "is no shared memory object");
    }
    tear_down();
}

PX_TEST(regions_are_limited_and_their_descriptors_come_back)
{
    char name[16];
    struct px_err err;
    set_up();
    size_t before = count_descriptors();
    for (int i = 0; i < PX_POSIX_REGIONS_MAX; i++) {
        snprintf(name, sizeof name, "r%d", i);
        CHECK_INT(add_key(name, px_str(key), &err), PX_OK);
    }
    CHECK_INT(add_key("more", px_str(key), &err), PX_E_TOO_LARGE);
    struct px_shared_region *region = take("r7");
    px_shared_memory_remove_all(memory);
    CHECK_INT(count_descriptors(), before + 1);
    px_shared_region_release(region);
    CHECK_INT(count_descriptors(), before);
    tear_down();
}

static _Atomic bool stop;

static void *use_regions(void *unused)
{
    char out[8];
    struct px_err err;
    (void)unused;
    while (!atomic_load(&stop)) {
        struct px_shared_region *region;
        if (px_shared_memory_take(memory, px_str("a"), &region, &err) != PX_OK)
            continue;
        CHECK_STR(region->info.name, "a");
        CHECK_INT(px_shared_region_read(region, 0, out, sizeof out, &err), PX_OK);
        px_shared_region_release(region);
    }
    return NULL;
}

PX_TEST(regions_come_and_go_under_use)
{
    pthread_t threads[2];
    struct px_err err;
    set_up();
    size_t before = count_descriptors();
    atomic_store(&stop, false);
    for (size_t i = 0; i < PX_ARRAY_LEN(threads); i++)
        CHECK(pthread_create(&threads[i], NULL, use_regions, NULL) == 0);
    for (int i = 0; i < 2000; i++) {
        CHECK_INT(add_key(i % 3 ? "a" : "b", px_str(key), &err), PX_OK);
        px_shared_memory_remove_all(memory);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < PX_ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(count_descriptors(), before);
    tear_down();
}

PX_TEST_MAIN(T(an_object_that_shrinks_is_an_error_and_no_fault) T(an_object_without_a_name_goes_on)
                 T(a_key_names_an_object_and_no_path) T(a_pipe_under_the_key_is_refused)
                     T(regions_are_limited_and_their_descriptors_come_back)
                         T(regions_come_and_go_under_use))
