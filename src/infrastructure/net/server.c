/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/net/server.h"

#include "infrastructure/net/worker.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/thread.h"

#include <pthread.h>
#include <stdio.h>

enum { LOOPS_MAX = 1024 };

struct worker_thread {
    struct px_worker worker;
    struct px_net *net;
    pthread_t id;
};

struct px_net {
    struct px_endpoints endpoints;
    uint16_t ports[PX_ENDPOINTS_MAX];
    size_t n_threads; /* initialised, in `threads` */
    size_t n_started; /* of them, started and not joined */
    struct worker_thread *threads;

    /* The control thread waits here for the worker threads to end. */
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    size_t n_running;
};

static void init_waiting(struct px_net *net)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&net->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&net->mutex, NULL);
}

static enum px_code init_workers(struct px_net *net, const struct px_net_config *config,
                                 const struct px_http_handler *handler,
                                 struct px_listeners *listeners, struct px_err *err)
{
    for (unsigned i = 0; i < config->n_loops; i++) {
        struct worker_thread *thread = &net->threads[i];
        thread->net = net;
        net->n_threads++; /* a failed init is undone by px_worker_deinit as well */
        enum px_code code = px_worker_init(&thread->worker, i, config, handler, &listeners[i], err);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

static enum px_code open_listeners(struct px_net *net, const struct px_net_config *config,
                                   struct px_listeners *listeners, struct px_err *err)
{
    const struct px_listener_sets into = {listeners, config->n_loops, config->tls,
                                          config->inherited};
    enum px_code code = PX_OK;
    net->endpoints = config->endpoints;
    for (int any = 0; any < 2; any++) { /* who takes any port takes none that another asks for */
        for (size_t i = 0; code == PX_OK && i < net->endpoints.n; i++) {
            const struct px_endpoint *endpoint = &net->endpoints.items[i];
            bool takes_any = !endpoint->path && endpoint->port == 0;
            if (takes_any == any)
                code = px_listeners_add(endpoint, &into, &net->ports[i], err);
        }
    }
    return code;
}

static enum px_code open_server(struct px_net *net, const struct px_net_config *config,
                                const struct px_http_handler *handler, struct px_err *err)
{
    size_t n = config->n_loops;
    struct px_listeners *listeners = px_alloc(n, sizeof *listeners);
    net->threads = px_alloc_aligned(PX_CACHE_LINE, n, sizeof *net->threads);
    enum px_code code = PX_E_NO_MEMORY;
    if (listeners && net->threads)
        code = open_listeners(net, config, listeners, err);
    else
        px_err_set(err, code, "no memory for %zu event loops", n);
    if (code == PX_OK)
        code = init_workers(net, config, handler, listeners, err);
    for (size_t i = 0; listeners && i < n; i++)
        px_listeners_close(&listeners[i]); /* those that no worker took over */
    px_free(listeners);
    return code;
}

enum px_code px_net_create(const struct px_net_config *config,
                           const struct px_http_handler *handler, struct px_net **ret,
                           struct px_err *err)
{
    *ret = NULL;
    if (config->n_loops == 0 || config->n_loops > LOOPS_MAX)
        return px_err_set(err, PX_E_INVALID, "expected 1 to %d event loops, got %u", (int)LOOPS_MAX,
                          config->n_loops);
    struct px_net *net = px_alloc(1, sizeof *net);
    if (!net)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the HTTP server");
    init_waiting(net);
    enum px_code code = open_server(net, config, handler, err);
    if (code == PX_OK)
        *ret = net;
    else
        px_net_destroy(net);
    return code;
}

uint16_t px_net_port(const struct px_net *net, size_t endpoint)
{
    PX_ASSERT(endpoint < net->endpoints.n);
    return net->ports[endpoint];
}

size_t px_net_listeners(const struct px_net *net, int *fds, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < net->n_threads; i++) {
        const struct px_listeners *set = &net->threads[i].worker.listeners;
        for (size_t k = 0; k < set->n && n < max; k++)
            fds[n++] = set->items[k].fd;
    }
    return n;
}

static bool post(void *context, unsigned loop, struct px_loop_task *task)
{
    struct px_net *net = context;
    PX_ASSERT(loop < net->n_threads);
    return px_worker_post(&net->threads[loop].worker, task);
}

struct px_loops px_net_loops(struct px_net *net)
{
    return (struct px_loops){.context = net, .n_loops = (unsigned)net->n_threads, .post = post};
}

void px_net_change(struct px_net *net, unsigned loop, const struct px_net_config *config)
{
    PX_ASSERT(loop < net->n_threads);
    px_worker_change(&net->threads[loop].worker, config);
}

static void *run_thread(void *argument)
{
    struct worker_thread *thread = argument;
    struct px_net *net = thread->net;
    const struct px_net_config *config = &thread->worker.config;
    if (config->begins)
        config->begins(config->context, thread->worker.index);
    px_worker_run(&thread->worker);
    pthread_mutex_lock(&net->mutex);
    net->n_running--;
    pthread_cond_signal(&net->ended);
    pthread_mutex_unlock(&net->mutex);
    return NULL;
}

static int start_thread(struct worker_thread *thread, size_t index)
{
    char name[PX_THREAD_NAME_MAX];
    snprintf(name, sizeof name, "px-loop-%zu", index);
    return px_thread_start(name, run_thread, thread, &thread->id);
}

enum px_code px_net_start(struct px_net *net, struct px_err *err)
{
    PX_ASSERT(net->n_started == 0);
    net->n_running = net->n_threads;
    int rc = 0;
    while (net->n_started < net->n_threads && rc == 0) {
        rc = start_thread(&net->threads[net->n_started], net->n_started);
        net->n_started += rc == 0;
    }
    if (rc == 0)
        return PX_OK;
    pthread_mutex_lock(&net->mutex);
    net->n_running -= net->n_threads - net->n_started;
    pthread_mutex_unlock(&net->mutex);
    (void)px_net_stop(net, 0);
    return px_err_set(err, PX_E_IO, "start an event loop's thread: %s", strerror(rc));
}

static void set_phase(struct px_net *net, enum px_worker_phase phase)
{
    for (size_t i = 0; i < net->n_started; i++)
        px_worker_set_phase(&net->threads[i].worker, phase);
}

/* Until every thread has ended or `timeout_ms` have passed. */
static void wait_for_threads(struct px_net *net, unsigned timeout_ms)
{
    uint64_t until_ns = px_clock_monotonic_ns() + timeout_ms * PX_NS_PER_MS;
    struct timespec until = px_clock_timespec(until_ns);
    int rc = 0;
    pthread_mutex_lock(&net->mutex);
    while (net->n_running && rc == 0)
        rc = pthread_cond_timedwait(&net->ended, &net->mutex, &until);
    pthread_mutex_unlock(&net->mutex);
}

void px_net_announce_stop(struct px_net *net)
{
    set_phase(net, PX_WORKER_ANNOUNCING);
}

bool px_net_stop(struct px_net *net, unsigned timeout_ms)
{
    bool has_cut = false;
    set_phase(net, PX_WORKER_DRAINING);
    wait_for_threads(net, timeout_ms);
    set_phase(net, PX_WORKER_CUTTING);
    for (size_t i = 0; i < net->n_started; i++) {
        pthread_join(net->threads[i].id, NULL);
        has_cut |= net->threads[i].worker.has_cut;
    }
    net->n_started = 0;
    return !has_cut;
}

void px_net_destroy(struct px_net *net)
{
    if (!net)
        return;
    (void)px_net_stop(net, 0);
    for (size_t i = 0; i < net->n_threads; i++)
        px_worker_deinit(&net->threads[i].worker);
    for (size_t i = 0; i < net->endpoints.n; i++)
        px_listeners_forget(&net->endpoints.items[i]);
    px_free(net->threads);
    pthread_cond_destroy(&net->ended);
    pthread_mutex_destroy(&net->mutex);
    px_free(net);
}

size_t px_net_connections(const struct px_net *net)
{
    size_t n = 0;
    for (size_t i = 0; i < net->n_threads; i++)
        n += atomic_load_explicit(&net->threads[i].worker.n_connections, memory_order_relaxed);
    return n;
}
