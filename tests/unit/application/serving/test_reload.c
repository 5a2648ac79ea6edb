/* SPDX-License-Identifier: Apache-2.0 */
/* Models are loaded, replaced and unloaded while four loops predict: no request fails, no memory stays behind. */
#include "application/lifecycle/package.h"
#include "application/serving/repository.h"
#include "application/serving/statistics.h"
#include "manual_loops.h"
#include "shared/file.h"
#include "tiny_model.h"

#include "harness.h"

#include <ftw.h>
#include <malloc.h>
#include <stdatomic.h>
#include <unistd.h>

enum {
    LOOPS = 4,
    CALLS = 3,
    RELOADS = 200, /* of one model; the other comes and goes meanwhile */
    SETTLED = 40,
    PAUSE_US = 500, /* of a loop between wake-ups, so that four fit on a small machine */
    GROWTH_MAX = 1 << 20,
};

static char root[64];
static struct px_serving *serving;
static struct manual_loops loops;
static _Atomic bool stopping;
static _Atomic size_t n_scored, n_failed, n_absent;
static _Atomic int n_answers;
static _Atomic enum px_code answer;

/* The model, with so many blank lines at its end. */
static void put(const char *folder, size_t padding)
{
    char path[256];
    struct px_buf text = px_buf(1 << 20);
    px_buf_str(&text, px_str(tiny_model));
    for (size_t i = 0; i < padding; i++)
        px_buf_append(&text, "\n", 1);
    snprintf(path, sizeof path, "%s/%s/1", root, folder);
    CHECK_OK(px_file_mkdirs(path, NULL));
    snprintf(path, sizeof path, "%s/%s/1/model.txt", root, folder);
    CHECK_OK(px_file_write(path, px_buf_view(&text), NULL));
    px_buf_deinit(&text);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void check_score(struct px_call *call)
{
    bool right = call->code == PX_OK && px_matrix_get(&call->scores, 0, 0) == 11.0;
    atomic_fetch_add(right ? &n_scored : &n_failed, 1);
}

/* One request: `name` must be there unless `may_be_absent`. */
static void ask(struct px_call *call, struct px_arena *arena, unsigned loop, bool may_be_absent)
{
    px_arena_reset(arena);
    *call = (struct px_call){.model_name = px_str(may_be_absent ? "comes-and-goes" : "stays"),
                             .loop = loop,
                             .arena = arena,
                             .done = check_score};
    if (px_call_open(serving, call) != PX_OK) {
        bool fine = may_be_absent && call->code == PX_E_NOT_FOUND;
        atomic_fetch_add(fine ? &n_absent : &n_failed, 1);
        return;
    }
    struct px_matrix *rows = px_call_rows(serving, call, 1);
    px_matrix_set(rows, 0, 0, 20);
    px_matrix_set(rows, 0, 1, 0.1);
    if (px_call_submit(serving, call) != PX_OK)
        atomic_fetch_add(&n_failed, 1);
}

static void read_statistics(struct px_arena *arena)
{
    struct px_statistics s;
    px_arena_reset(arena);
    if (px_serving_statistics(serving, &(struct px_model_choice){0}, arena, &s, NULL) != PX_OK)
        atomic_fetch_add(&n_failed, 1);
}

/* Every seventh request is traced with its tensors, whatever happens to the models. */
static struct px_trace *trace_some(void)
{
    char path[256];
    struct px_trace *trace;
    struct px_trace_change change = {0};
    const struct px_str levels[] = {PX_STR("TIMESTAMPS"), PX_STR("TENSORS")}, rate = PX_STR("7");
    snprintf(path, sizeof path, "%s/.trace.json", root);
    CHECK_OK(px_trace_create(path, LOOPS, &trace, NULL));
    CHECK_OK(px_trace_change_add(&change, px_str("trace_level"), levels, 2, NULL));
    CHECK_OK(px_trace_change_add(&change, px_str("trace_rate"), &rate, 1, NULL));
    CHECK_OK(px_trace_update(trace, px_str(""), &change, NULL));
    px_serving_set_trace(serving, trace);
    return trace;
}

static void *serve(void *argument)
{
    unsigned loop = *(unsigned *)argument;
    struct px_arena arenas[CALLS], own = px_arena(1 << 20);
    struct px_call calls[CALLS];
    for (size_t i = 0; i < CALLS; i++)
        arenas[i] = px_arena(1 << 16);
    while (!atomic_load(&stopping)) {
        for (size_t i = 0; i < CALLS; i++)
            ask(&calls[i], &arenas[i], loop, i == CALLS - 1);
        manual_loops_run(&loops, loop);
        px_serving_wave(serving, loop);
        read_statistics(&own);
        usleep(PAUSE_US);
    }
    manual_loops_stop(&loops, loop);
    for (size_t i = 0; i < CALLS; i++)
        px_arena_deinit(&arenas[i]);
    px_arena_deinit(&own);
    return NULL;
}

static void count_answer(struct px_repository_request *request)
{
    atomic_store(&answer, request->code);
    atomic_fetch_add(&n_answers, 1);
}

static void ask_repository(enum px_repository_action action, const char *name)
{
    struct px_repository_request *request = px_repository_request_create(action);
    int before = atomic_load(&n_answers);
    request->name = px_str(name);
    request->loop = 1;
    request->done = count_answer;
    CHECK_OK(px_repository_submit(serving, request, NULL));
    while (atomic_load(&n_answers) == before)
        usleep(50);
    CHECK_OK(atomic_load(&answer));
}

/* Bytes that the C library has handed out; 0 where a sanitizer's allocator stands in for it. */
static size_t heap_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void reload_many_times(void)
{
    size_t settled = 0;
    for (int i = 0; i < RELOADS; i++) {
        ask_repository(PX_REPOSITORY_LOAD, "stays");
        if (i % 2)
            ask_repository(PX_REPOSITORY_LOAD, "comes-and-goes");
        else
            ask_repository(PX_REPOSITORY_UNLOAD, "comes-and-goes");
        ask_repository(PX_REPOSITORY_INDEX, "");
        if (i == SETTLED)
            settled = heap_bytes();
    }
    ask_repository(PX_REPOSITORY_LOAD, "stays"); /* the one before has been given back by now */
    CHECK(heap_bytes() <= settled + GROWTH_MAX);
}

PX_TEST(reloads_under_load_fail_no_request_and_keep_no_memory)
{
    const struct px_serving_limits limits = {
        .request_rows_max = 100, .batch_rows_max = 16, .wave_bytes_max = 1 << 26};
    static unsigned numbers[LOOPS];
    pthread_t threads[LOOPS];
    snprintf(root, sizeof root, "/tmp/px-reload-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    put("stays",
        PX_PACKAGE_BEHIND_BYTES); /* so large that it is loaded and freed by another thread */
    put("comes-and-goes", 0);
    CHECK_OK(px_serving_create(LOOPS, &limits, &serving, NULL));
    CHECK_OK(px_serving_add(serving, root, NULL));
    struct px_trace *trace = trace_some();
    manual_loops_init(&loops, LOOPS);
    CHECK_OK(px_serving_manage(serving, &loops.port, true, NULL));
    for (unsigned i = 0; i < LOOPS; i++) {
        numbers[i] = i;
        CHECK_INT(pthread_create(&threads[i], NULL, serve, &numbers[i]), 0);
    }
    reload_many_times();
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    px_serving_unmanage(serving);
    px_serving_destroy(serving);
    px_trace_destroy(trace);
    nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    CHECK_INT(atomic_load(&n_failed), 0);
    CHECK(atomic_load(&n_scored) > 0);
}

PX_TEST_MAIN(T(reloads_under_load_fail_no_request_and_keep_no_memory))
