/* SPDX-License-Identifier: Apache-2.0 */
/* Traces: settings and their override, sampling, rings that are full, files that are whole JSON. */
#include "application/telemetry/trace_impl.h"
#include "shared/alloc.h"
#include "shared/json.h"

#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

static struct px_trace *trace;
static char path[64];

static void set_up(void)
{
    snprintf(path, sizeof path, "/tmp/px-trace-XXXXXX");
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    CHECK_OK(px_trace_create(path, 2, &trace, NULL));
}

static void tear_down(void)
{
    px_trace_destroy(trace);
    unlink(path);
}

/* Changes one setting; NULL clears it. */
static enum px_code set(const char *model, const char *key, const char *value)
{
    struct px_trace_change change = {0};
    struct px_str text = px_str(value);
    enum px_code code = px_trace_change_add(&change, px_str(key), &text, value ? 1 : 0, NULL);
    return code == PX_OK ? px_trace_update(trace, px_str(model), &change, NULL) : code;
}

static size_t count_sampled(const char *model, size_t n)
{
    size_t sampled = 0;
    for (size_t i = 0; i < n; i++)
        sampled += px_trace_sample(trace, px_str(model)) != 0;
    return sampled;
}

/* Elements of the array in a file of a trace that was destroyed. */
static size_t count_elements(const char *name)
{
    struct px_json json;
    struct px_arena arena = px_arena(1 << 20);
    char text[1 << 16];
    size_t n = 0;
    FILE *file = fopen(name, "r");
    size_t len = fread(text, 1, sizeof text, file);
    fclose(file);
    px_json_init(&json, px_str_n(text, len), &arena, 0);
    px_json_enter_array(&json);
    while (px_json_next_element(&json)) {
        px_json_skip(&json);
        n++;
    }
    CHECK_OK(px_json_finish(&json, NULL));
    px_arena_deinit(&arena);
    return n;
}

static size_t count_records(void)
{
    return count_elements(path);
}

/* A trace of two elements. */
static void trace_one(void)
{
    struct px_trace_record *record = px_trace_begin(trace, 0, px_str("m"), px_str("1"));
    CHECK(record != NULL);
    record->at_ns[PX_TRACE_RECEIVED] = 1;
    px_trace_commit(trace, 0);
}

static void limit_files(rlim_t n_bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = n_bytes;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void wait_until_written(void)
{
    struct px_trace_ring *ring = &trace->rings[0];
    while (atomic_load(&ring->tail) < atomic_load(&ring->head))
        usleep(1000);
}

static void wait_for_drops(uint64_t n)
{
    while (px_trace_dropped(trace) < n)
        usleep(1000);
}

PX_TEST(nothing_is_traced_until_it_is_asked_for)
{
    set_up();
    CHECK(!px_trace_is_on(trace));
    CHECK_INT(count_sampled("m", 5000), 0);
    CHECK_OK(set("", "trace_level", "TIMESTAMPS"));
    CHECK(px_trace_is_on(trace));
    CHECK_INT(count_sampled("m", 5000), 5);
    CHECK_OK(set("", "trace_level", NULL));
    CHECK(!px_trace_is_on(trace));
    tear_down();
}

PX_TEST(a_models_settings_go_before_the_global_ones_until_they_are_cleared)
{
    struct px_trace_settings s;
    set_up();
    CHECK_OK(set("", "trace_level", "TIMESTAMPS"));
    CHECK_OK(set("", "trace_rate", "10"));
    CHECK_OK(set("m", "trace_rate", "2"));
    CHECK_OK(set("n", "trace_level", "OFF"));
    CHECK_INT(count_sampled("m", 10), 5);
    CHECK_INT(count_sampled("n", 10), 0);
    CHECK_INT(count_sampled("other", 10), 1);
    CHECK_OK(set("m", "trace_rate", NULL));
    px_trace_read(trace, px_str("m"), &s);
    CHECK_INT(s.rate, 10);
    CHECK_INT(s.levels, PX_TRACE_TIMESTAMPS);
    tear_down();
}

PX_TEST(a_count_is_used_up)
{
    struct px_trace_settings s;
    set_up();
    CHECK_OK(set("", "trace_level", "TENSORS"));
    CHECK_OK(set("", "trace_rate", "1"));
    CHECK_OK(set("", "trace_count", "3"));
    CHECK_INT(count_sampled("m", 10), 3);
    px_trace_read(trace, px_str(""), &s);
    CHECK_INT(s.count, 0);
    tear_down();
}

PX_TEST(too_many_models_with_settings_are_refused)
{
    char name[16];
    set_up();
    for (int i = 0; i < PX_TRACE_MODELS_MAX; i++) {
        snprintf(name, sizeof name, "m%d", i);
        CHECK_OK(set(name, "trace_rate", "5"));
    }
    CHECK_INT(set("one-more", "trace_rate", "5"), PX_E_TOO_LARGE);
    CHECK_OK(set("m0", "trace_rate", "6"));
    tear_down();
}

PX_TEST(models_without_settings_of_their_own_take_no_room)
{
    const struct px_trace_change nothing = {0};
    struct px_trace_settings s;
    char name[16];
    set_up();
    for (int i = 0; i < 2 * PX_TRACE_MODELS_MAX; i++) {
        snprintf(name, sizeof name, "m%d", i);
        CHECK_OK(px_trace_update(trace, px_str(name), &nothing, NULL));
        CHECK_OK(set(name, "trace_rate", NULL));
    }
    for (int i = 0; i < 2 * PX_TRACE_MODELS_MAX; i++) {
        snprintf(name, sizeof name, "m%d", i);
        CHECK_OK(set(name, "trace_level", "TENSORS"));
        CHECK(px_trace_is_on(trace));
        if (i % 2)
            CHECK_OK(set(name, "trace_level", NULL));
        else
            px_trace_forget(trace, px_str(name));
        CHECK(!px_trace_is_on(trace));
        px_trace_read(trace, px_str(name), &s);
        CHECK_INT(s.levels, 0);
    }
    for (int i = 0; i < PX_TRACE_MODELS_MAX; i++) {
        snprintf(name, sizeof name, "m%d", i);
        CHECK_OK(set(name, "trace_rate", "5"));
    }
    px_trace_forget(trace, px_str("m7"));
    CHECK_OK(set("another", "trace_rate", "6")); /* in its place */
    px_trace_read(trace, px_str("another"), &s);
    CHECK_INT(s.rate, 6);
    px_trace_read(trace, px_str("m7"), &s);
    CHECK_INT(s.rate, 1000);
    px_trace_read(trace, px_str("m8"), &s);
    CHECK_INT(s.rate, 5);
    tear_down();
}

static _Atomic bool is_over;

static void *sample_until_over(void *argument)
{
    _Atomic size_t *n = argument;
    while (!atomic_load(&is_over)) {
        (void)px_trace_sample(trace, px_str("a-model-with-a-longer-name"));
        (void)px_trace_sample(trace, px_str("b"));
        atomic_fetch_add(n, 1);
    }
    return NULL;
}

/* Nothing to compare: the thread sanitizer looks, and a rate of 0 would end the process. */
PX_TEST(loops_read_settings_while_entries_change_hands)
{
    _Atomic size_t n = 0;
    pthread_t loop;
    set_up();
    atomic_store(&is_over, false);
    CHECK_INT(pthread_create(&loop, NULL, sample_until_over, &n), 0);
    for (int i = 0; i < 2000 || atomic_load(&n) < 100; i++) {
        const char *name = i % 2 ? "a-model-with-a-longer-name" : "b";
        CHECK_OK(set(name, "trace_rate", "3"));
        CHECK_OK(set(name, "trace_level", "TIMESTAMPS"));
        px_trace_forget(trace, px_str(name));
    }
    atomic_store(&is_over, true);
    pthread_join(loop, NULL);
    CHECK(!px_trace_is_on(trace));
    tear_down();
}

PX_TEST(a_file_that_cannot_be_written_is_an_error_at_the_start)
{
    struct px_err err;
    CHECK_INT(px_trace_create("/nonexistent/trace.json", 1, &trace, &err), PX_E_IO);
    CHECK_CONTAINS(err.message, "/nonexistent/trace.json");
}

PX_TEST(records_are_whole_json_and_long_tensors_are_cut)
{
    float values[4096];
    struct px_matrix m = {
        .type = PX_TYPE_FP32, .data = values, .n_rows = 1, .n_cols = 4096, .stride = 4096};
    for (size_t i = 0; i < 4096; i++)
        values[i] = i % 3 ? (float)i * 1.37e-20F : NAN;
    set_up();
    for (unsigned i = 0; i < 3; i++) {
        struct px_trace_record *record =
            px_trace_begin(trace, i % 2, px_str("a \"name\""), px_str("v1"));
        CHECK(record != NULL);
        record->at_ns[PX_TRACE_RECEIVED] = 1;
        px_trace_put_tensor(&record->input, &(struct px_trace_tensor){px_str("x"), &m});
        CHECK_CONTAINS(record->input.values, ",...");
        px_trace_commit(trace, i % 2);
    }
    px_trace_destroy(trace);
    CHECK_INT(count_records(), 9);
    unlink(path);
}

PX_TEST(a_full_disk_leaves_whole_json_and_is_tried_again)
{
    set_up();
    limit_files(1000);
    for (int i = 0; i < 20; i++)
        trace_one();
    wait_for_drops(1);
    limit_files(RLIM_INFINITY);
    trace_one();
    wait_until_written();
    uint64_t dropped = px_trace_dropped(trace);
    px_trace_destroy(trace);
    CHECK(dropped >= 1 && dropped < 20);
    CHECK_INT(count_records(), 2 * (21 - dropped));
    unlink(path);
}

PX_TEST(a_frequency_of_0_goes_back_to_the_one_file)
{
    char numbered[2][80];
    set_up();
    trace_one();
    CHECK_OK(set("", "log_frequency", "2"));
    for (int i = 0; i < 3; i++)
        trace_one();
    CHECK_OK(set("", "log_frequency", "0"));
    trace_one();
    CHECK_OK(set("", "log_frequency", "2"));
    trace_one();
    px_trace_destroy(trace);
    CHECK_INT(count_records(), 4);
    for (int i = 0; i < 2; i++) {
        snprintf(numbered[i], sizeof numbered[i], "%s.%d", path, i);
        CHECK_INT(count_elements(numbered[i]), 4);
        unlink(numbered[i]);
    }
    unlink(path);
}

/* Reads what came through a pipe. */
static size_t count_in(int fd, const char *word)
{
    static char text[1 << 16];
    size_t n = 0;
    ssize_t len = read(fd, text, sizeof text - 1);
    text[len > 0 ? len : 0] = '\0';
    for (const char *at = text; (at = strstr(at, word)); at++)
        n++;
    return n;
}

PX_TEST(a_file_that_cannot_be_written_is_told_once_until_it_can)
{
    int fds[2], stderr_before = dup(STDERR_FILENO);
    set_up();
    CHECK(pipe2(fds, O_NONBLOCK) == 0);
    dup2(fds[1], STDERR_FILENO);
    for (int round = 0; round < 2; round++) {
        uint64_t before = px_trace_dropped(trace);
        limit_files(1);
        for (int i = 0; i < 3; i++)
            trace_one();
        wait_for_drops(before + 3);
        limit_files(RLIM_INFINITY);
        trace_one();
        wait_until_written();
    }
    dup2(stderr_before, STDERR_FILENO);
    CHECK_INT(count_in(fds[0], "reason=\"File too large\""), 2);
    close(fds[0]);
    close(fds[1]);
    close(stderr_before);
    tear_down();
}

PX_TEST(a_full_ring_drops_and_counts)
{
    set_up();
    size_t dropped = 0;
    for (int i = 0; i < 100000 && !dropped; i++) {
        if (px_trace_begin(trace, 0, px_str("m"), px_str("1")))
            px_trace_commit(trace, 0);
        dropped = px_trace_dropped(trace);
    }
    CHECK_INT(dropped, 1);
    tear_down();
}

PX_TEST(no_allocation_failure_breaks_the_set_up)
{
    snprintf(path, sizeof path, "/tmp/px-trace-XXXXXX");
    close(mkstemp(path));
    for (uint64_t n = 1; n < 8; n++) {
        px_alloc_fail_at(n);
        enum px_code code = px_trace_create(path, 2, &trace, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        if (code == PX_OK)
            px_trace_destroy(trace);
    }
    unlink(path);
}

PX_TEST_MAIN(
    T(nothing_is_traced_until_it_is_asked_for)
        T(a_models_settings_go_before_the_global_ones_until_they_are_cleared) T(a_count_is_used_up)
            T(too_many_models_with_settings_are_refused)
                T(models_without_settings_of_their_own_take_no_room)
                    T(loops_read_settings_while_entries_change_hands)
                        T(a_file_that_cannot_be_written_is_an_error_at_the_start)
                            T(records_are_whole_json_and_long_tensors_are_cut)
                                T(a_full_disk_leaves_whole_json_and_is_tried_again)
                                    T(a_frequency_of_0_goes_back_to_the_one_file)
                                        T(a_file_that_cannot_be_written_is_told_once_until_it_can)
                                            T(a_full_ring_drops_and_counts)
                                                T(no_allocation_failure_breaks_the_set_up))
