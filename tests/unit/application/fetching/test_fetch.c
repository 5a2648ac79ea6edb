/* SPDX-License-Identifier: Apache-2.0 */
/* Versions come into the cache from a store on its bad days: what is resumed, refused, kept, and what leaves. */
#include "application/fetching/fetch.h"
#include "memory_store.h"
#include "shared/clock.h"
#include "shared/file.h"

#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 100000, VERSIONS = 6 };

static char root[64];
static struct memory_store store;
static struct px_model_cache *cache;
static struct px_fetch_counts counts;
static _Atomic bool stopping;
static char contents[VERSIONS][SIZE];

/* Version i is the file i/m.txt of SIZE bytes. */
struct version {
    struct px_manifest_file file;
    char key[PX_SHA256_HEX], sha256[PX_SHA256_HEX], folder[8];
};
static struct version versions[VERSIONS];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void hash(const char *text, size_t n, char hex[PX_SHA256_HEX])
{
    struct px_sha256 sha = px_sha256();
    px_sha256_add(&sha, px_str_n(text, n));
    px_sha256_end(&sha, hex);
}

static void make_version(size_t i)
{
    struct version *v = &versions[i];
    char path[32];
    for (size_t k = 0; k < SIZE; k++)
        contents[i][k] = (char)('a' + (k * (i + 3) + k / 1000) % 26);
    hash(contents[i], SIZE, v->sha256);
    snprintf(v->folder, sizeof v->folder, "v%zu", i);
    hash(v->folder, strlen(v->folder), v->key);
    v->file = (struct px_manifest_file){px_str("m.txt"), px_str(v->sha256), SIZE};
    snprintf(path, sizeof path, "%s/m.txt", v->folder);
    memory_store_put(&store, path, px_str_n(contents[i], SIZE));
}

static void open_cache(uint64_t bytes_max)
{
    CHECK_OK(px_model_cache_open(root, bytes_max, &cache, NULL));
}

static void set_up(uint64_t bytes_max)
{
    snprintf(root, sizeof root, "/tmp/px-cache-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    memory_store_init(&store);
    memset(&counts, 0, sizeof counts);
    atomic_store(&stopping, false);
    for (size_t i = 0; i < VERSIONS; i++)
        make_version(i);
    open_cache(bytes_max);
}

static void tear_down(void)
{
    px_model_cache_close(cache);
    cache = NULL;
    nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static struct px_version_files files_of(size_t i)
{
    return (struct px_version_files){versions[i].key, &versions[i].file, 1};
}

static enum px_code fetch_into(size_t i, struct px_cached_version **ret, struct px_err *err)
{
    const struct px_fetch_job job = {.store = &store.base,
                                     .cache = cache,
                                     .counts = &counts,
                                     .stopping = &stopping,
                                     .folder = px_str(versions[i].folder),
                                     .files = files_of(i)};
    return px_fetch_version(&job, ret, err);
}

static void check_content(const struct px_cached_version *held, size_t i)
{
    char path[PATH_MAX];
    struct px_buf text = px_buf(2 * SIZE);
    snprintf(path, sizeof path, "%s/m.txt", px_cached_version_path(held));
    CHECK_OK(px_file_read(path, &text, NULL));
    CHECK(px_str_eq(px_buf_view(&text), px_str_n(contents[i], SIZE)));
    px_buf_deinit(&text);
}

/* Fetches it and lets it go. */
static void bring(size_t i)
{
    struct px_cached_version *held;
    CHECK_OK(fetch_into(i, &held, NULL));
    check_content(held, i);
    px_cached_version_release(held);
}

static bool is_there(size_t i)
{
    struct px_cached_version *held;
    const struct px_version_files files = files_of(i);
    if (px_model_cache_take(cache, &files, &held, NULL) != PX_OK)
        return false;
    px_cached_version_release(held);
    return true;
}

static size_t count_entries(const char *kind)
{
    char path[128];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/%s", root, kind);
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

/* When it was used, in whole seconds before now: the clock of files may be coarse. */
static void set_used(size_t i, time_t seconds_ago)
{
    char path[PATH_MAX];
    struct timespec now[2];
    clock_gettime(CLOCK_REALTIME, &now[0]);
    now[0].tv_sec -= seconds_ago;
    now[1] = now[0];
    snprintf(path, sizeof path, "%s/versions/%s", root, versions[i].key);
    CHECK_INT(utimensat(AT_FDCWD, path, now, 0), 0);
}

static uint64_t bytes(void)
{
    return atomic_load(&px_model_cache_counts(cache)->bytes);
}

/* ---- fetching ---- */

PX_TEST(a_version_comes_once_and_is_found_by_the_next_process)
{
    set_up(0);
    CHECK(!is_there(0));
    bring(0);
    CHECK(is_there(0));
    bring(0);
    CHECK_INT(store.n_reads, 1);
    CHECK_INT(atomic_load(&counts.bytes), SIZE);
    CHECK_INT(bytes(), SIZE);
    px_model_cache_close(cache);
    open_cache(0);
    CHECK(is_there(0) && bytes() == SIZE);
    tear_down();
}

PX_TEST(versions_share_equal_files)
{
    set_up(0);
    bring(0);
    versions[1].file = versions[0].file;
    memcpy(contents[1], contents[0], SIZE);
    bring(1);
    CHECK_INT(store.n_reads, 1);
    CHECK_INT(bytes(), SIZE);
    CHECK_INT(count_entries("blobs"), 1);
    CHECK_INT(count_entries("versions"), 2);
    tear_down();
}

PX_TEST(a_broken_connection_is_gone_on_with)
{
    set_up(0);
    store.cut_at = 70000;
    bring(0);
    CHECK_INT(store.n_reads, 2);
    CHECK_INT(store.n_bytes, SIZE);
    CHECK_INT(atomic_load(&counts.retries), 1);
    CHECK_INT(count_entries("partial"), 0);
    tear_down();
}

PX_TEST(without_ranges_it_begins_anew)
{
    set_up(0);
    store.cut_at = 70000;
    store.has_ranges = false;
    bring(0);
    CHECK_INT(store.n_bytes, 70000 + SIZE);
    tear_down();
}

PX_TEST(a_file_that_changed_between_two_parts_begins_anew)
{
    struct px_cached_version *held;
    set_up(0);
    memory_store_put(&store, "v0/m.txt", px_str_n(contents[1], SIZE));
    store.cut_at = 70000;
    store.fail_reads = 0;
    CHECK_INT(fetch_into(0, &held, NULL), PX_E_CORRUPT); /* of another content, cut once */
    CHECK_INT(count_entries("partial"), 0);
    for (int has_tags = 0; has_tags < 2; has_tags++) {
        char name[PATH_MAX];
        snprintf(name, sizeof name, "%s/partial/%s", root, versions[0].sha256);
        CHECK_OK(px_file_write(name, px_str_n(contents[1], 5000), NULL));
        store.has_tags = has_tags;
        memory_store_put(&store, "v0/m.txt", px_str_n(contents[0], SIZE));
        bring(0);
        px_model_cache_close(cache);
        nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        open_cache(0);
    }
    tear_down();
}

PX_TEST(a_partial_file_that_is_whole_or_too_long_is_no_trap)
{
    char name[PATH_MAX];
    set_up(0);
    snprintf(name, sizeof name, "%s/partial/%s", root, versions[0].sha256);
    CHECK_OK(px_file_write(name, px_str_n(contents[0], SIZE), NULL));
    bring(0);
    CHECK_INT(store.n_reads, 0);
    snprintf(name, sizeof name, "%s/partial/%s", root, versions[1].sha256);
    CHECK_OK(px_file_write(name, px_str_n(contents[0], SIZE), NULL)); /* whole, and wrong */
    bring(1);
    CHECK_INT(store.n_reads, 1);
    snprintf(name, sizeof name, "%s/partial/%s", root, versions[2].sha256);
    CHECK_OK(px_file_write(name, px_str_n(contents[0], 2 * SIZE), NULL));
    bring(2);
    CHECK_INT(store.n_reads, 2);
    tear_down();
}

PX_TEST(bytes_that_are_wrong_are_refused_and_leave_nothing)
{
    struct px_cached_version *held;
    struct px_err err;
    set_up(0);
    memory_store_put(&store, "v0/m.txt", px_str_n(contents[1], SIZE));
    CHECK_INT(fetch_into(0, &held, &err), PX_E_CORRUPT);
    CHECK(strstr(err.message, "m.txt") && strstr(err.message, "SHA-256"));
    CHECK_INT(store.n_reads, 1);
    memory_store_put(&store, "v0/m.txt", px_str_n(contents[0], SIZE - 1));
    CHECK_INT(fetch_into(0, &held, &err), PX_E_CORRUPT);
    CHECK(strstr(err.message, "99999 bytes"));
    memory_store_put(&store, "v0/m.txt", px_str_n(contents[0], SIZE + 1));
    CHECK_INT(fetch_into(0, &held, &err), PX_E_CORRUPT);
    CHECK(strstr(err.message, "more bytes"));
    CHECK_INT(count_entries("partial") + count_entries("blobs") + count_entries("versions"), 0);
    CHECK_INT(bytes(), 0);
    CHECK_INT(atomic_load(&counts.failed), 3);
    tear_down();
}

PX_TEST(what_may_pass_is_tried_again_and_what_may_not_is_not)
{
    struct px_cached_version *held;
    set_up(0);
    store.fail_reads = 2;
    bring(0);
    CHECK_INT(store.n_reads, 3);
    store.fail_reads = 1;
    store.failure = PX_E_FORBIDDEN;
    CHECK_INT(fetch_into(1, &held, NULL), PX_E_FORBIDDEN);
    CHECK_INT(store.n_reads, 4);
    CHECK_INT(count_entries("partial"), 0);
    bring(1);
    tear_down();
}

/* ---- the limit ---- */

PX_TEST(the_one_that_was_not_used_for_the_longest_time_leaves)
{
    set_up(3 * SIZE);
    for (size_t i = 0; i < 3; i++) {
        bring(i);
        set_used(i, 100 - (time_t)i);
    }
    set_used(0, 1);
    bring(3);
    CHECK(is_there(0) && !is_there(1) && is_there(2) && is_there(3));
    CHECK_INT(bytes(), 3 * SIZE);
    CHECK_INT(count_entries("blobs"), 3);
    CHECK_INT(atomic_load(&px_model_cache_counts(cache)->evictions), 1);
    CHECK_INT(atomic_load(&px_model_cache_counts(cache)->evicted_bytes), SIZE);
    tear_down();
}

PX_TEST(what_is_held_stays_and_the_next_is_told)
{
    struct px_cached_version *held[2], *none;
    struct px_err err;
    set_up(2 * SIZE);
    CHECK_OK(fetch_into(0, &held[0], NULL));
    CHECK_OK(fetch_into(1, &held[1], NULL));
    CHECK_INT(fetch_into(2, &none, &err), PX_E_OVERLOADED);
    CHECK(strstr(err.hint, "repository.cache_bytes_max"));
    CHECK_INT(atomic_load(&px_model_cache_counts(cache)->bytes), 2 * SIZE);
    px_cached_version_release(held[0]);
    bring(2);
    CHECK(!is_there(0) && is_there(1) && is_there(2));
    px_cached_version_release(held[1]);
    tear_down();
    set_up(SIZE - 1);
    CHECK_INT(fetch_into(0, &none, &err), PX_E_TOO_LARGE);
    tear_down();
}

PX_TEST(remains_of_fetches_leave_before_versions)
{
    char name[PATH_MAX];
    set_up(3 * SIZE);
    bring(0);
    snprintf(name, sizeof name, "%s/partial/%s", root, versions[1].sha256);
    CHECK_OK(px_file_write(name, px_str_n(contents[1], SIZE / 2), NULL));
    snprintf(name, sizeof name, "%s/blobs/%s", root, versions[2].sha256);
    CHECK_OK(px_file_write(name, px_str_n(contents[2], SIZE), NULL)); /* of no version */
    bring(3);
    CHECK(is_there(0));
    CHECK_INT(count_entries("partial"), 0);
    bring(4);
    CHECK(is_there(0) && is_there(3));
    CHECK_INT(count_entries("blobs"), 3);
    CHECK_INT(atomic_load(&px_model_cache_counts(cache)->evictions), 0);
    tear_down();
}

PX_TEST(another_process_takes_nothing_that_is_used_here)
{
    struct px_cached_version *held;
    set_up(2 * SIZE);
    CHECK_OK(fetch_into(0, &held, NULL));
    set_used(0, 100);
    bring(1);
    struct px_model_cache *here = cache, *there;
    CHECK_OK(px_model_cache_open(root, 2 * SIZE, &there, NULL)); /* its own locks */
    cache = there;
    bring(2);
    CHECK(is_there(0) && !is_there(1));
    px_cached_version_release(held);
    set_used(0, 100);
    bring(3);
    CHECK(!is_there(0));
    px_model_cache_close(there);
    cache = here;
    tear_down();
}

/* ---- damage and crashes ---- */

PX_TEST(files_that_the_disk_has_damaged_are_fetched_again)
{
    char name[PATH_MAX];
    struct px_cached_version *held;
    const struct px_version_files files = files_of(0);
    set_up(0);
    bring(0);
    snprintf(name, sizeof name, "%s/versions/%s/m.txt", root, versions[0].key);
    CHECK_INT(truncate(name, 10), 0);
    CHECK(!is_there(0)); /* its size tells */
    bring(0);
    CHECK_OK(px_model_cache_take(cache, &files, &held, NULL));
    CHECK(!px_cached_version_distrust(held, &files));
    px_cached_version_release(held);
    int file = open(name, O_WRONLY);
    CHECK_INT(write(file, "X", 1), 1);
    close(file);
    CHECK(!is_there(0)); /* of the right size, and wrong all the same */
    bring(0);
    tear_down();
}

/* A process that fetches everything, again and again, until it is killed. */
static void fetch_until_killed(void)
{
    struct px_cached_version *held;
    if (px_model_cache_open(root, 3 * SIZE, &cache, NULL) != PX_OK)
        _exit(1);
    for (size_t i = 0;; i++) {
        store.cut_at = i % 5 == 4 ? (i * 7919) % SIZE : 0; /* then it pauses in the middle */
        store.has_ranges = i % 3 != 0;
        if (fetch_into(i % VERSIONS, &held, NULL) == PX_OK)
            px_cached_version_release(held);
    }
}

PX_TEST(a_process_that_is_killed_at_any_moment_leaves_a_cache_that_works)
{
    set_up(3 * SIZE);
    px_model_cache_close(cache);
    for (unsigned round = 0; round < 40; round++) {
        pid_t child = fork();
        if (child == 0)
            fetch_until_killed();
        usleep(2000 + round * 977 % 20000);
        CHECK_INT(kill(child, SIGKILL), 0);
        CHECK_INT(waitpid(child, NULL, 0), child);
        open_cache(3 * SIZE);
        /* What is there is right, and what is not can be had. */
        for (size_t i = 0; i < VERSIONS; i++) {
            struct px_cached_version *held;
            const struct px_version_files files = files_of(i);
            if (px_model_cache_take(cache, &files, &held, NULL) != PX_OK)
                continue;
            check_content(held, i);
            px_cached_version_release(held);
        }
        store.cut_at = 0;
        bring(round % VERSIONS);
        CHECK(bytes() <= 3 * SIZE);
        px_model_cache_close(cache);
    }
    open_cache(3 * SIZE);
    tear_down();
}

/* ---- at the same time ---- */

static _Atomic size_t n_wrong;

static void *fetch_many(void *argument)
{
    size_t first = (size_t)(uintptr_t)argument;
    for (size_t k = 0; k < 40; k++) {
        struct px_cached_version *held;
        size_t i = (first + k * 5) % VERSIONS;
        enum px_code code = fetch_into(i, &held, NULL);
        if (code != PX_OK) {
            atomic_fetch_add(&n_wrong, code != PX_E_OVERLOADED && code != PX_E_UNAVAILABLE);
            continue;
        }
        px_cached_version_release(px_cached_version_retain(held));
        atomic_fetch_add(&n_wrong, !is_there(i));
        px_cached_version_release(held);
    }
    return NULL;
}

PX_TEST(threads_that_fetch_the_same_wait_for_each_other)
{
    pthread_t threads[4];
    set_up(5 * SIZE);
    for (size_t i = 0; i < PX_ARRAY_LEN(threads); i++)
        CHECK_INT(px_thread_start("test", fetch_many, (void *)(uintptr_t)i, &threads[i]), 0);
    for (size_t i = 0; i < PX_ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(atomic_load(&n_wrong), 0);
    CHECK(bytes() <= 5 * SIZE);
    CHECK_INT(count_entries("partial"), 0);
    tear_down();
}

static void *fetch_one(void *argument)
{
    struct px_cached_version *held;
    enum px_code *code = argument;
    *code = fetch_into(0, &held, NULL);
    return NULL;
}

PX_TEST(two_who_fetch_one_version_need_room_for_two)
{
    const struct px_version_files files = files_of(0);
    struct px_cache_room rooms[2];
    set_up(SIZE * 3 / 2);
    CHECK_OK(px_model_cache_enter(cache, &rooms[0], &files, NULL));
    CHECK_OK(px_model_cache_enter(cache, &rooms[1], &files, NULL));
    CHECK_INT(atomic_load(&px_model_cache_counts(cache)->bytes), SIZE);
    px_model_cache_leave(cache, &rooms[0]);
    px_model_cache_leave(cache, &rooms[1]);
    tear_down();
}

PX_TEST(a_fetch_ends_when_the_server_stops)
{
    pthread_t threads[2];
    enum px_code codes[2] = {PX_OK, PX_OK};
    set_up(0);
    atomic_store(&store.holds, true);
    for (size_t i = 0; i < 2; i++) /* one reads, the other waits for it */
        CHECK_INT(px_thread_start("test", fetch_one, &codes[i], &threads[i]), 0);
    while (atomic_load(&store.n_waiting) == 0)
        usleep(100);
    atomic_store(&stopping, true);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK(codes[0] == PX_E_CANCELLED && codes[1] == PX_E_CANCELLED);
    tear_down();
}

PX_TEST(no_failing_allocation_is_fatal)
{
    struct px_err err;
    enum px_code code = PX_E_NO_MEMORY;
    set_up(0);
    for (uint64_t n = 1; code != PX_OK && n < 100; n++) {
        struct px_cached_version *held = NULL;
        px_alloc_fail_at(n);
        code = fetch_into(0, &held, &err);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        px_cached_version_release(held);
    }
    CHECK_OK(code);
    struct px_model_cache *other = NULL;
    px_alloc_fail_at(1);
    CHECK_INT(px_model_cache_open(root, 0, &other, &err), PX_E_NO_MEMORY);
    px_alloc_fail_at(0);
    tear_down();
}

PX_TEST(a_folder_that_cannot_be_written_is_told)
{
    struct px_err err;
    struct px_model_cache *none;
    CHECK(px_model_cache_open("/proc/no/such", 0, &none, &err) != PX_OK);
    CHECK(strstr(err.hint, "repository.cache_dir"));
}

PX_TEST_MAIN(
    T(a_version_comes_once_and_is_found_by_the_next_process) T(versions_share_equal_files)
        T(a_broken_connection_is_gone_on_with) T(without_ranges_it_begins_anew)
            T(a_file_that_changed_between_two_parts_begins_anew)
                T(a_partial_file_that_is_whole_or_too_long_is_no_trap) T(
                    bytes_that_are_wrong_are_refused_and_leave_nothing)
                    T(what_may_pass_is_tried_again_and_what_may_not_is_not) T(
                        the_one_that_was_not_used_for_the_longest_time_leaves)
                        T(what_is_held_stays_and_the_next_is_told) T(
                            remains_of_fetches_leave_before_versions)
                            T(another_process_takes_nothing_that_is_used_here) T(
                                files_that_the_disk_has_damaged_are_fetched_again)
                                T(a_process_that_is_killed_at_any_moment_leaves_a_cache_that_works)
                                    T(threads_that_fetch_the_same_wait_for_each_other)
                                        T(two_who_fetch_one_version_need_room_for_two)
                                            T(a_fetch_ends_when_the_server_stops)
                                                T(no_failing_allocation_is_fatal)
                                                    T(a_folder_that_cannot_be_written_is_told))
