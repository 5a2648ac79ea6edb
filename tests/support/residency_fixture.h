/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A serving core over a folder of small models m0 ... m5, of which none is in memory, and `probe`, which is. Loop 0 runs on the test's thread.
 */
#ifndef PX_TESTS_RESIDENCY_FIXTURE_H
#define PX_TESTS_RESIDENCY_FIXTURE_H

#include "application/serving/repository_impl.h"
#include "manual_loops.h"
#include "shared/clock.h"
#include "shared/file.h"
#include "tiny_model.h"

#include "harness.h"

#include <ftw.h>
#include <stdatomic.h>
#include <unistd.h>

enum { LOOPS = 3, MODELS = 6 };

static char root[64];
static struct px_serving *serving;
static struct manual_loops loops;
static sem_t loader_may_go, loader_is_idle;
static size_t n_loaded;

static inline void put(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s/1", root, name);
    CHECK_OK(px_file_mkdirs(path, NULL));
    snprintf(path, sizeof path, "%s/%s/1/model.txt", root, name);
    CHECK_OK(px_file_write(path, px_str(tiny_model), NULL));
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Models m0 ... m5, and `probe`, which is loaded at the start. */
static inline void set_up(struct px_residency_settings settings)
{
    const struct px_serving_limits limits = {
        .request_rows_max = 100, .batch_rows_max = 16, .wave_bytes_max = 1 << 26};
    char argument[128];
    snprintf(root, sizeof root, "/tmp/px-residency-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    for (char name[] = "m0"; name[1] < '0' + MODELS; name[1]++)
        put(name);
    settings.on_demand = true;
    n_loaded = 0;
    sem_init(&loader_may_go, 0, 0);
    sem_init(&loader_is_idle, 0, 0);
    CHECK_OK(px_serving_create(LOOPS, &limits, &serving, NULL));
    px_serving_set_residency(serving, &settings);
    CHECK_OK(px_serving_add(serving, root, NULL));
    snprintf(argument, sizeof argument, "probe=%s/m0/1/model.txt", root);
    CHECK_OK(px_serving_add(serving, argument, NULL));
    manual_loops_init(&loops, LOOPS);
    CHECK_OK(px_serving_manage(serving, &loops.port, true, NULL));
    px_repository_of(serving)->patience_ns = PX_NS_PER_MS; /* only loop 0 runs */
}

static inline void tear_down(void)
{
    sem_post(&loader_may_go);
    for (unsigned i = 0; i < LOOPS; i++)
        manual_loops_stop(&loops, i);
    px_serving_unmanage(serving);
    px_serving_destroy(serving);
    sem_destroy(&loader_may_go);
    sem_destroy(&loader_is_idle);
    nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void hold(struct px_control_job *job)
{
    (void)job;
    while (sem_wait(&loader_may_go) != 0) {
    }
}

static struct px_control_job hold_job = {.run = hold, .drop = hold};

/* What is asked for from now on waits until the semaphore is posted. */
static inline void hold_the_loader(void)
{
    CHECK_OK(px_control_give(px_repository_of(serving)->loader, &hold_job, NULL));
}

static inline void tell(struct px_control_job *job)
{
    (void)job;
    sem_post(&loader_is_idle);
}

/* It has ended what it does after the calls were let go. */
static inline void wait_for_loader(void)
{
    static struct px_control_job job = {.run = tell, .drop = tell};
    CHECK_OK(px_control_give(px_repository_of(serving)->loader, &job, NULL));
    while (sem_wait(&loader_is_idle) != 0) {
    }
}

static inline void loaded(struct px_call *call)
{
    (void)call;
    n_loaded++;
}

static inline struct px_call call_for(const char *name)
{
    return (struct px_call){.model_name = px_str(name), .received_ns = px_clock_monotonic_ns()};
}

static inline void run_until_loaded(size_t n)
{
    while (n_loaded < n) {
        manual_loops_run(&loops, 0);
        usleep(100);
    }
}

static inline struct px_model *find(const char *name)
{
    return px_serving_find_known(serving, px_str(name), px_str("1"), NULL);
}

static inline void bring(const char *name)
{
    struct px_call call = call_for(name);
    size_t before = n_loaded;
    CHECK_OK(px_call_await_model(serving, &call, loaded));
    run_until_loaded(before + 1);
    wait_for_loader();
    CHECK_OK(call.code);
    CHECK_INT(find(name)->state, PX_MODEL_READY);
}

static const struct px_residency_settings patient = {.load_wait_ns = 3600 * PX_NS_PER_S};

/* Sizes that leave room for two, whatever the models really take. */
static inline void pretend_size(const char *name)
{
    find(name)->bytes = 1 << 29;
}

#endif
