/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker: one thread with its event loop, listeners and connections. Private to this folder.
 *
 * One wake-up is a row of rounds. In a round every ready connection reads and hands requests to the handler, HTTP/1
 * at most one; then the handler's wave is called once, and the responses are sent. What is still in the
 * buffers (pipelining) makes the next round. Tasks of other threads run before the first wave.
 *
 * Phases: RUNNING; ANNOUNCING (everything is served, but every response asks the client to close);
 * DRAINING (no new connections; what is in flight is answered, and who is between two requests may send
 * one more within a moment); CUTTING (everything is closed). The control thread moves the phase forward
 * and wakes the loop.
 */
#ifndef PX_INFRASTRUCTURE_NET_WORKER_H
#define PX_INFRASTRUCTURE_NET_WORKER_H

#include "infrastructure/net/coding/coding.h"
#include "infrastructure/net/exchange.h"
#include "infrastructure/net/http1/exchange.h"
#include "infrastructure/net/http1/response.h"
#include "infrastructure/net/listener.h"
#include "infrastructure/net/loop/loop.h"
#include "infrastructure/net/loop/tasks.h"
#include "infrastructure/net/server.h"

#include <stdatomic.h>

enum px_worker_phase {
    PX_WORKER_RUNNING = 0,
    PX_WORKER_ANNOUNCING,
    PX_WORKER_DRAINING,
    PX_WORKER_CUTTING,
};

/* Why a connection waits, each with its own timeout. */
enum px_wait {
    PX_WAIT_IDLE = 0,  /* for a request */
    PX_WAIT_LAST,      /* for a last request, while draining */
    PX_WAIT_HANDSHAKE, /* until the socket's layer is open */
    PX_WAIT_HEAD,      /* for the rest of a head */
    PX_WAIT_BODY,      /* for more of a body */
    PX_WAIT_WRITE,     /* until the client takes more of the response */
    PX_WAIT_LINGER,    /* until the client has read the response and closes */
    PX_WAIT_ANSWER,    /* for the handler, without an end */
    PX_WAIT_PING,      /* of HTTP/2 with open streams: for anything; then the client is asked */
    PX_WAIT_PONG,      /* for its answer */
    PX_WAITS,
};

struct px_connection;
struct px_http2_pool;

struct px_acceptor {
    struct px_loop_source source;
    struct px_worker *worker;
    const struct px_listener *listener;
};

/* A trouble that may repeat a thousand times a second is logged at most once in ten seconds. */
struct px_complaint {
    uint64_t quiet_until_ns;
    uint64_t times; /* since it was last logged */
};

struct px_worker {
    struct px_loop loop;
    struct px_net_config config;
    struct px_http_handler handler;
    unsigned index;

    struct px_listeners listeners;
    struct px_acceptor acceptors[PX_LISTENERS_MAX];
    struct px_deadline_list pauses; /* of accepting, when descriptors run out */
    struct px_deadline pause;
    struct px_complaint paused, dropped;

    struct px_deadline_list waits[PX_WAITS];
    struct px_http1_pool exchanges;
    struct px_http2_pool *http2;  /* NULL before the first HTTP/2 connection */
    struct px_connection *unused; /* connection structs */
    size_t n_lingering;
    struct px_queue round; /* to be settled after the wave */
    struct px_queue again; /* answered, with bytes of a further request */
    bool wave_due;
    struct px_net_exchange *long_first; /* exchanges that wait for their handler */
    size_t n_long;
    struct px_deadline_list ticks; /* for deadlines of long exchanges */
    struct px_deadline tick;
    struct px_task_list tasks;
    struct px_net_coding coding;
    struct px_response_date date;
    struct px_err err; /* scratch */
    bool has_cut;      /* a request was cut off in CUTTING */

    /* Written by the worker (count) or the control thread (phase), read by the other. */
    _Atomic size_t n_connections;
    _Atomic int phase;
};

/* Takes over `listeners`, also on failure. */
PX_MUST_USE enum px_code px_worker_init(struct px_worker *worker, unsigned index,
                                        const struct px_net_config *config,
                                        const struct px_http_handler *handler,
                                        struct px_listeners *listeners, struct px_err *err);
void px_worker_deinit(struct px_worker *worker); /* zeroed is fine */

/* Serves until DRAINING is done or CUTTING; the body of the worker's thread. */
void px_worker_run(struct px_worker *worker);

/* One wake-up: waits (unless `busy`) until something is ready, and serves it. A part of px_worker_run, and of tests. */
void px_worker_wake_up(struct px_worker *worker, bool busy);

/* Closes all connections and ends long exchanges; the end of px_worker_run. */
void px_worker_end(struct px_worker *worker);

/* Runs `task` on the worker's thread; false when that has ended. Threads: any. */
bool px_worker_post(struct px_worker *worker, struct px_loop_task *task);

/* See px_net_change. */
void px_worker_change(struct px_worker *worker, const struct px_net_config *config);

/* Moves the phase forward. Threads: any. */
void px_worker_set_phase(struct px_worker *worker, enum px_worker_phase phase);

static inline enum px_worker_phase px_worker_phase(const struct px_worker *worker)
{
    return (enum px_worker_phase)atomic_load_explicit(&worker->phase, memory_order_acquire);
}

#endif
