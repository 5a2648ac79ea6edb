/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load client without sockets, threads or a clock: it drives the rules of application/bench/open_loop.h against a
 * simulated server in virtual time, so that a run of minutes takes milliseconds and always ends the same.
 *
 * The server has `n_workers` that take `service_ns` per request, first come first served. During [stall_ns, stall_ns +
 * stalled_for_ns) after the start of the measured window nothing happens in it. fetch() answers from `pages`.
 */
#ifndef PX_TESTS_VIRTUAL_LOAD_H
#define PX_TESTS_VIRTUAL_LOAD_H

#include "application/ports/load.h"
#include "shared/alloc.h"

struct virtual_page {
    const char *path;
    int status;
    const char *body; /* NULL: the request's own */
};

struct virtual_server {
    unsigned n_workers;
    uint64_t service_ns;
    uint64_t stall_ns, stalled_for_ns;
    unsigned stalls_left;             /* runs that have the stall; it is counted down */
    unsigned fail_every;              /* every n-th request gets a 500; 0 = none */
    uint64_t client_cost_ns;          /* what the client needs for one send */
    const struct virtual_page *pages; /* ended by a row without a path */
    bool refuses;                     /* nothing listens */
    unsigned n_runs, n_requests;
};

enum { VIRTUAL_CONNECTIONS_MAX = 4096, VIRTUAL_WORKERS_MAX = 64 };

struct virtual_request {
    bool used;
    struct px_load_attempt attempt;
    uint64_t done_ns;
    enum px_load_outcome outcome;
};

struct virtual_run {
    struct virtual_server *server;
    const struct px_load_job *job;
    struct px_open_loop loop;
    uint64_t worker_free_ns[VIRTUAL_WORKERS_MAX];
    uint64_t stall_begin_ns, stall_end_ns;
    struct virtual_request requests[VIRTUAL_CONNECTIONS_MAX];
    size_t n_in_flight;
    uint64_t n_sent;
};

struct virtual_load {
    struct px_load base; /* first */
    struct virtual_server *server;
};

/* When the server has worked on a request that it gets at now_ns. */
static inline uint64_t virtual_serve(struct virtual_run *run, uint64_t now_ns)
{
    uint64_t *worker = &run->worker_free_ns[0];
    for (unsigned i = 1; i < run->server->n_workers; i++) {
        if (run->worker_free_ns[i] < *worker)
            worker = &run->worker_free_ns[i];
    }
    uint64_t begin_ns = *worker > now_ns ? *worker : now_ns;
    if (begin_ns >= run->stall_begin_ns && begin_ns < run->stall_end_ns)
        begin_ns = run->stall_end_ns;
    uint64_t end_ns = begin_ns + run->server->service_ns;
    if (begin_ns < run->stall_begin_ns && end_ns > run->stall_begin_ns)
        end_ns += run->stall_end_ns - run->stall_begin_ns;
    *worker = end_ns;
    return end_ns;
}

static inline void virtual_send(struct virtual_run *run, const struct px_load_attempt *attempt)
{
    struct virtual_request *request = run->requests;
    struct virtual_server *server = run->server;
    while (request->used)
        request++;
    bool fails = server->fail_every && ++server->n_requests % server->fail_every == 0;
    *request = (struct virtual_request){true, *attempt, virtual_serve(run, attempt->sent_ns),
                                        fails ? PX_LOAD_STATUS : PX_LOAD_OK};
    if (request->done_ns - attempt->sent_ns > run->job->timeout_ns) {
        request->done_ns = attempt->sent_ns + run->job->timeout_ns;
        request->outcome = PX_LOAD_TIMEOUT;
    }
    run->n_in_flight++;
    run->n_sent++;
}

static inline struct virtual_request *virtual_next_reply(struct virtual_run *run)
{
    struct virtual_request *next = NULL;
    size_t left = run->n_in_flight;
    for (struct virtual_request *r = run->requests; left > 0; r++) {
        left -= r->used;
        if (r->used && (!next || r->done_ns < next->done_ns))
            next = r;
    }
    return next;
}

static inline void virtual_loop(struct virtual_run *run, uint64_t drain_ns)
{
    uint64_t now_ns = run->loop.config.start_ns;
    struct px_load_attempt attempt;
    for (;;) {
        if (now_ns >= drain_ns)
            px_open_loop_finish(&run->loop, now_ns);
        while (px_open_loop_take(&run->loop, now_ns, &attempt)) {
            virtual_send(run, &attempt);
            now_ns += run->server->client_cost_ns;
        }
        struct virtual_request *reply = virtual_next_reply(run);
        uint64_t due_ns = px_open_loop_next(&run->loop);
        if (!reply && due_ns == UINT64_MAX)
            return;
        bool busy = run->n_in_flight == run->job->n_connections;
        if (!reply || (!busy && due_ns < reply->done_ns)) {
            now_ns = due_ns > now_ns ? due_ns : now_ns;
            continue;
        }
        now_ns = reply->done_ns > now_ns ? reply->done_ns : now_ns;
        reply->used = false;
        run->n_in_flight--;
        int status = reply->outcome == PX_LOAD_OK ? 200 : 500;
        px_open_loop_done(&run->loop, &reply->attempt, reply->outcome, status, now_ns);
        px_open_loop_idle(&run->loop, now_ns);
    }
}

static inline enum px_code virtual_load_run(struct px_load *load, const struct px_load_job *job,
                                            struct px_load_result *ret, struct px_err *err)
{
    struct virtual_server *server = ((struct virtual_load *)load)->server;
    memset(ret, 0, sizeof *ret);
    if (server->refuses)
        return px_err_set(err, PX_E_UNAVAILABLE, "nothing listens");
    PX_ASSERT(job->n_connections <= VIRTUAL_CONNECTIONS_MAX);
    struct px_load_progress progress = {0, job->warmup_ns + job->duration_ns, 0};
    if (job->progress && !job->progress(job->progress_context, &progress))
        return px_err_set(err, PX_E_CANCELLED, "interrupted");
    struct virtual_run *run = px_xalloc(1, sizeof *run);
    const struct px_open_loop_config config = {
        .arrivals = job->arrivals,
        .rate = job->rate,
        .seed = job->seed,
        .start_ns = 1000,
        .measured_ns = 1000 + job->warmup_ns,
        .end_ns = 1000 + job->warmup_ns + job->duration_ns,
        .patience_ns = job->timeout_ns,
        .limit_ns = job->limit_ns,
    };
    run->server = server;
    run->job = job;
    if (server->stalls_left) {
        server->stalls_left--;
        run->stall_begin_ns = config.measured_ns + server->stall_ns;
        run->stall_end_ns = run->stall_begin_ns + server->stalled_for_ns;
    }
    px_open_loop_init(&run->loop, &config);
    for (unsigned i = 0; i < job->n_connections; i++)
        px_open_loop_idle(&run->loop, config.start_ns);
    virtual_loop(run, config.end_ns + job->timeout_ns);
    ret->tally = run->loop.tally;
    ret->duration_ns = job->duration_ns;
    ret->busy_share = (double)run->n_sent * (double)server->client_cost_ns /
                      (double)(config.end_ns - config.start_ns);
    server->n_runs++;
    px_free(run);
    return PX_OK;
}

static inline enum px_code virtual_load_fetch(struct px_load *load,
                                              const struct px_load_address *address,
                                              const struct px_load_request *request,
                                              struct px_load_reply *ret, struct px_err *err)
{
    const struct virtual_server *server = ((struct virtual_load *)load)->server;
    (void)address;
    if (server->refuses)
        return px_err_set(err, PX_E_UNAVAILABLE, "nothing listens");
    ret->status = 404;
    for (const struct virtual_page *page = server->pages; page && page->path; page++) {
        if (!px_str_is(request->path, page->path))
            continue;
        ret->status = page->status;
        px_buf_str(&ret->body, page->body ? px_str(page->body) : request->body);
    }
    return px_buf_check(&ret->body, "the reply", err);
}

static inline void virtual_load_destroy(struct px_load *load)
{
    px_free(load);
}

/* `server` is borrowed and may be changed between runs. */
static inline struct px_load *virtual_load_create(struct virtual_server *server)
{
    static const struct px_load_ops ops = {
        .abi = PX_LOAD_ABI,
        .name = "virtual",
        .fetch = virtual_load_fetch,
        .run = virtual_load_run,
        .destroy = virtual_load_destroy,
    };
    struct virtual_load *load = px_xalloc(1, sizeof *load);
    load->base.ops = &ops;
    load->server = server;
    return &load->base;
}

#endif
