/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/load/client.h"

#include "infrastructure/load/request.h"
#include "infrastructure/load/worker.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    FETCH_TIMEOUT_S = 10,
    WATCH_MS = 50,
    HEAD_START_MS = 5,
    DESCRIPTORS_BESIDES = 32, /* of the rest of the process */
    PER_THREAD = 4,           /* epoll, waker, timer, and a file that is read at the ends */
};

/* One run: its workers and their threads. */
struct run {
    const struct px_load_job *job;
    struct px_load_wire wire;
    struct px_peer peer;
    struct px_load_worker *workers;
    pthread_t *threads;
    unsigned n_started;
    bool cancelled;
};

static void *run_thread(void *worker)
{
    px_load_worker_run(worker);
    return NULL;
}

static enum px_code make_workers(struct run *run, struct px_err *err)
{
    unsigned n = run->job->n_threads, connections = run->job->n_connections;
    enum px_code code = PX_OK;
    size_t n_open = 0;
    run->workers = px_alloc(n, sizeof *run->workers);
    run->threads = px_alloc(n, sizeof *run->threads);
    if (!run->workers || !run->threads)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %u threads", n);
    for (unsigned i = 0; code == PX_OK && i < n; i++) {
        size_t share = connections / n + (i < connections % n);
        code = px_load_worker_init(&run->workers[i], &run->wire, &run->peer, share, err);
        if (code == PX_OK)
            n_open += px_load_worker_connect(&run->workers[i], run->job->timeout_ns);
        if (code == PX_OK && run->workers[i].interrupted)
            code = px_err_set(err, PX_E_CANCELLED, "interrupted");
    }
    if (code == PX_OK && n_open == 0)
        code = px_err_set(err, PX_E_UNAVAILABLE, "none of %u connections could be opened: %s",
                          connections, run->workers[0].failure);
    return code;
}

static void plan_workers(struct run *run)
{
    const struct px_load_job *job = run->job;
    uint64_t start_ns = px_clock_monotonic_ns() + HEAD_START_MS * PX_NS_PER_MS;
    for (unsigned i = 0; i < job->n_threads; i++) {
        const struct px_open_loop_config share = {
            .arrivals = job->arrivals,
            .rate = job->rate / job->n_threads,
            .phase = (double)i / job->n_threads,
            .seed = job->seed + i,
            .start_ns = start_ns,
            .measured_ns = start_ns + job->warmup_ns,
            .end_ns = start_ns + job->warmup_ns + job->duration_ns,
            .patience_ns = job->timeout_ns,
            .limit_ns = job->limit_ns,
        };
        px_load_worker_plan(&run->workers[i], &share, job->timeout_ns);
    }
}

static void stop_workers(struct run *run)
{
    for (unsigned i = 0; i < run->n_started; i++)
        px_load_worker_stop(&run->workers[i]);
}

static bool workers_ended(const struct run *run, uint64_t *ret_completed)
{
    bool ended = true;
    *ret_completed = 0;
    for (unsigned i = 0; i < run->n_started; i++) {
        const struct px_load_worker *w = &run->workers[i];
        *ret_completed += atomic_load_explicit(&w->n_completed, memory_order_relaxed);
        ended = ended && atomic_load_explicit(&w->ended, memory_order_acquire);
    }
    return ended;
}

/* Tells the watcher how it goes until all workers have ended. */
static void watch(struct run *run)
{
    const struct px_load_job *job = run->job;
    const struct timespec pause = {.tv_nsec = WATCH_MS * (long)PX_NS_PER_MS};
    uint64_t began_ns = px_clock_monotonic_ns(), completed;
    while (!workers_ended(run, &completed)) {
        struct px_load_progress progress = {
            .elapsed_ns = px_clock_monotonic_ns() - began_ns,
            .total_ns = job->warmup_ns + job->duration_ns,
            .completed = completed,
        };
        if (!run->cancelled && job->progress && !job->progress(job->progress_context, &progress)) {
            run->cancelled = true;
            stop_workers(run);
        }
        nanosleep(&pause, NULL);
    }
}

static enum px_code start_threads(struct run *run, struct px_err *err)
{
    for (unsigned i = 0; i < run->job->n_threads; i++) {
        int why = pthread_create(&run->threads[i], NULL, run_thread, &run->workers[i]);
        if (why) {
            stop_workers(run);
            return px_err_set(err, PX_E_IO, "start a thread: %s", strerror(why));
        }
        run->n_started++;
    }
    return PX_OK;
}

static void collect(const struct run *run, struct px_load_result *ret)
{
    ret->duration_ns = run->job->duration_ns;
    for (unsigned i = 0; i < run->n_started; i++) {
        const struct px_load_worker *w = &run->workers[i];
        px_load_tally_merge(&ret->tally, &w->schedule.tally);
        ret->bytes_sent += w->bytes_sent;
        ret->bytes_received += w->bytes_received;
        if (w->busy_share + w->starved_share > ret->busy_share + ret->starved_share) {
            ret->busy_share = w->busy_share;
            ret->starved_share = w->starved_share;
        }
        if (!ret->failure[0])
            memcpy(ret->failure, w->failure, sizeof ret->failure);
    }
}

static enum px_code run_workers(struct run *run, struct px_load_result *ret, struct px_err *err)
{
    plan_workers(run);
    enum px_code code = start_threads(run, err);
    watch(run);
    for (unsigned i = 0; i < run->n_started; i++)
        pthread_join(run->threads[i], NULL);
    collect(run, ret);
    if (code == PX_OK && run->cancelled)
        code = px_err_set(err, PX_E_CANCELLED, "interrupted");
    return code;
}

/* Each connection is a descriptor: raises the limit as far as the system lets this process. */
static enum px_code allow_descriptors(const struct px_load_job *job, struct px_err *err)
{
    struct rlimit limit;
    rlim_t needed = (rlim_t)job->n_connections + PER_THREAD * job->n_threads + DESCRIPTORS_BESIDES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return PX_OK;
    limit.rlim_cur = limit.rlim_max < needed ? limit.rlim_max : needed;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= needed)
        return PX_OK;
    px_err_set(err, PX_E_INVALID,
               "%u connections need %llu descriptors, this process may open %llu",
               job->n_connections, (unsigned long long)needed, (unsigned long long)limit.rlim_cur);
    return px_err_hint(err, "use fewer connections, or raise 'ulimit -Hn'");
}

static enum px_code client_run(struct px_load *load, const struct px_load_job *job,
                               struct px_load_result *ret, struct px_err *err)
{
    (void)load;
    struct run run = {.job = job};
    memset(ret, 0, sizeof *ret);
    enum px_code code = allow_descriptors(job, err);
    if (code == PX_OK)
        code = px_load_wire_init(&run.wire, job->requests, err);
    if (code == PX_OK)
        code = px_peer_find(&run.peer, &job->requests->address, job->timeout_ns, err);
    if (code == PX_OK)
        code = make_workers(&run, err);
    if (code == PX_OK)
        code = run_workers(&run, ret, err);
    for (unsigned i = 0; run.workers && i < job->n_threads; i++)
        px_load_worker_deinit(&run.workers[i]);
    px_free(run.workers);
    px_free(run.threads);
    px_load_wire_deinit(&run.wire);
    return code;
}

static enum px_code fetch_failed(const char *what, int why, struct px_err *err)
{
    if (why == ETIMEDOUT)
        return px_err_set(err, PX_E_TIMEOUT, "%s: no answer within %d s", what, FETCH_TIMEOUT_S);
    if (why == EINTR)
        return px_err_set(err, PX_E_CANCELLED, "interrupted");
    return px_err_set(err, PX_E_IO, "%s: %s", what, strerror(why));
}

static enum px_code send_all(int fd, struct px_str bytes, uint64_t until_ns, struct px_err *err)
{
    while (bytes.len) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return fetch_failed("send the request", errno, err);
        size_t sent = n > 0 ? (size_t)n : 0;
        bytes = px_str_n(bytes.ptr + sent, bytes.len - sent);
        int why = bytes.len ? px_socket_wait(fd, POLLOUT, until_ns) : 0;
        if (why)
            return fetch_failed("send the request", why, err);
    }
    return PX_OK;
}

static enum px_code receive_reply(int fd, struct px_reply_parser *parser, char *input,
                                  uint64_t until_ns, struct px_err *err)
{
    for (;;) {
        size_t used;
        ssize_t n = recv(fd, input, PX_LOAD_READ_SIZE, 0);
        enum px_reply_result result = PX_REPLY_MORE;
        if (n > 0)
            result = px_reply_feed(parser, input, (size_t)n, &used, err);
        else if (n == 0)
            result = px_reply_end(parser, err);
        else if (errno != EAGAIN && errno != EINTR)
            return fetch_failed("read the reply", errno, err);
        if (result == PX_REPLY_BAD)
            return PX_E_CORRUPT;
        if (result == PX_REPLY_DONE)
            return PX_OK;
        int why = n < 0 ? px_socket_wait(fd, POLLIN, until_ns) : 0;
        if (why)
            return fetch_failed("read the reply", why, err);
    }
}

/* Over a connected socket. */
static enum px_code exchange(int fd, struct px_str request, struct px_load_reply *ret,
                             uint64_t until_ns, struct px_err *err)
{
    struct px_reply_parser *parser = px_alloc(1, sizeof *parser);
    char *input = px_alloc(PX_LOAD_READ_SIZE, 1);
    enum px_code code = PX_E_NO_MEMORY;
    if (parser && input) {
        px_reply_begin(parser, &ret->body, ret->body.max);
        code = send_all(fd, request, until_ns, err);
        if (code == PX_OK)
            code = receive_reply(fd, parser, input, until_ns, err);
        ret->status = parser->status;
    } else {
        px_err_set(err, code, "no memory for a request");
    }
    px_free(parser);
    px_free(input);
    return code;
}

static enum px_code client_fetch(struct px_load *load, const struct px_load_address *address,
                                 const struct px_load_request *request, struct px_load_reply *ret,
                                 struct px_err *err)
{
    (void)load;
    struct px_peer peer;
    struct px_buf bytes = px_buf(PX_LOAD_REQUEST_HEAD_MAX + request->body.len);
    uint64_t timeout_ns = FETCH_TIMEOUT_S * PX_NS_PER_S;
    uint64_t until_ns = px_clock_monotonic_ns() + timeout_ns;
    int fd = -1;
    px_load_request_put(&bytes, address, request, true);
    enum px_code code = px_buf_check(&bytes, "the request", err);
    if (code == PX_OK)
        code = px_peer_open(&peer, address, timeout_ns, &fd, err);
    if (code == PX_OK)
        code = exchange(fd, px_buf_view(&bytes), ret, until_ns, err);
    if (fd >= 0)
        close(fd);
    px_buf_deinit(&bytes);
    return code;
}

static void client_destroy(struct px_load *load)
{
    px_free(load);
}

enum px_code px_load_client_create(struct px_load **ret, struct px_err *err)
{
    static const struct px_load_ops ops = {
        .abi = PX_LOAD_ABI,
        .name = "epoll",
        .fetch = client_fetch,
        .run = client_run,
        .destroy = client_destroy,
    };
    struct px_load *load = px_alloc(1, sizeof *load);
    if (!load)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the load client");
    load->ops = &ops;
    *ret = load;
    return PX_OK;
}
