/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: a load client, which sends requests to an HTTP server by an open-loop schedule and counts what comes back, or
 * sends one and waits for its reply.
 *
 * An adapter moves bytes and reads a clock; when requests are due and what their fates count for are the rules of
 * application/bench/open_loop.h, which every adapter drives. Adapters so far: infrastructure/load (epoll, threads);
 * a simulated server with a virtual clock in tests/support.
 * Threads: both functions block; `run` calls `progress` on the caller's thread.
 */
#ifndef PX_APPLICATION_PORTS_LOAD_H
#define PX_APPLICATION_PORTS_LOAD_H

#include "application/bench/open_loop.h"
#include "shared/buf.h"

enum {
    PX_LOAD_ABI = 2,
    PX_LOAD_CONNECTIONS_MAX = 16384,
    PX_LOAD_THREADS_MAX = 64,
    PX_LOAD_HOST_MAX = 256,
    PX_LOAD_REPLY_MAX = 64 << 20, /* bytes of one reply's body */
    PX_LOAD_SAMPLE_MAX = 240,     /* what is kept of the first failure */
};

struct px_load_address {
    char host[PX_LOAD_HOST_MAX]; /* a name or an address, without brackets */
    uint16_t port;
};

/* The requests of a run: all POST to one path, the bodies in turn. Borrowed. */
struct px_load_requests {
    struct px_load_address address;
    struct px_str path; /* with the query */
    const char *content_type;
    const struct px_str *bodies;
    size_t n_bodies; /* > 0 */
};

/* `elapsed_ns` of `total_ns` are over. Returning false cancels (PX_E_CANCELLED). */
struct px_load_progress {
    uint64_t elapsed_ns, total_ns;
    uint64_t completed; /* replies so far, all threads, warm-up included */
};
typedef bool px_load_progress_fn(void *context, const struct px_load_progress *progress);

struct px_load_job {
    const struct px_load_requests *requests;
    enum px_load_arrivals arrivals;
    double rate; /* requests per second, all threads together */
    uint64_t seed;
    uint64_t warmup_ns, duration_ns;
    /* Of a request from its sending, of a connect, and of waiting for a free connection. */
    uint64_t timeout_ns;
    uint64_t limit_ns;                 /* latency limit of goodput */
    unsigned n_connections, n_threads; /* threads <= connections */
    px_load_progress_fn *progress;     /* NULL = nobody watches */
    void *progress_context;
};

struct px_load_result {
    struct px_load_tally tally;
    uint64_t duration_ns; /* the measured window */
    uint64_t bytes_sent, bytes_received;
    double busy_share; /* processor time of the busiest client thread by wall time, 0..1 */
    /* How long it was ready to run but had no processor, by wall time; 0 where nobody tells. */
    double starved_share;
    char failure[PX_LOAD_SAMPLE_MAX]; /* the first failure in words; empty when none */
};

/* One request by itself. Borrowed. */
struct px_load_request {
    const char *method;       /* "GET", "POST" */
    struct px_str path;       /* with the query */
    const char *content_type; /* of the body; NULL when there is none */
    struct px_str body;
};

struct px_load_reply {
    int status;
    struct px_buf body; /* the caller's, also on failure */
};

struct px_load;

struct px_load_ops {
    uint32_t abi;
    const char *name;
    /* One exchange over a connection of its own, of at most ten seconds. PX_E_UNAVAILABLE: no connection; PX_E_TIMEOUT; PX_E_CORRUPT: no HTTP; PX_E_TOO_LARGE; PX_E_CANCELLED:
     * a signal came, and its handler ends what waits. */
    enum px_code (*fetch)(struct px_load *load, const struct px_load_address *address,
                          const struct px_load_request *request, struct px_load_reply *ret,
                          struct px_err *err);
    /* PX_E_UNAVAILABLE when not one connection can be made at the start, PX_E_INVALID when the process may
     * not have so many, PX_E_NO_MEMORY, PX_E_IO, PX_E_CANCELLED. What fails later is counted in the result. */
    enum px_code (*run)(struct px_load *load, const struct px_load_job *job,
                        struct px_load_result *ret, struct px_err *err);
    void (*destroy)(struct px_load *load);
};

struct px_load {
    const struct px_load_ops *ops;
};

PX_MUST_USE enum px_code px_load_fetch(struct px_load *load, const struct px_load_address *address,
                                       const struct px_load_request *request,
                                       struct px_load_reply *ret, struct px_err *err);
/* The same for the common request: GET `path`. */
PX_MUST_USE enum px_code px_load_get(struct px_load *load, const struct px_load_address *address,
                                     struct px_str path, struct px_load_reply *ret,
                                     struct px_err *err);
PX_MUST_USE enum px_code px_load_run(struct px_load *load, const struct px_load_job *job,
                                     struct px_load_result *ret, struct px_err *err);
void px_load_destroy(struct px_load *load); /* NULL is fine */

#endif
