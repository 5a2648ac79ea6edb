/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker of the load client: one thread with its event loop, its connections and its share of the schedule.
 * Private to this folder.
 *
 * A connection is CLOSED, CONNECTING, IDLE or BUSY. CLOSED and IDLE ones wait in a queue, first in first
 * out, so that all of them carry requests also at a low rate. A request that is due takes the first of the
 * queue; a CLOSED one is connected first, which is part of the request's latency. There is one request on a
 * connection at a time.
 */
#ifndef PX_INFRASTRUCTURE_LOAD_WORKER_H
#define PX_INFRASTRUCTURE_LOAD_WORKER_H

#include "infrastructure/load/reply.h"
#include "infrastructure/load/socket.h"
#include "infrastructure/net/loop/loop.h"

#include <stdatomic.h>

/* The bytes of the requests: head and body, in turn. Shared by the workers, which only read it. */
struct px_load_wire {
    struct px_buf bytes;
    struct px_str *requests; /* [n], parts of `bytes` */
    size_t n;
};

PX_MUST_USE enum px_code px_load_wire_init(struct px_load_wire *wire,
                                           const struct px_load_requests *requests,
                                           struct px_err *err);
void px_load_wire_deinit(struct px_load_wire *wire);

enum px_load_state {
    PX_LOAD_IS_CLOSED = 0,
    PX_LOAD_IS_CONNECTING,
    PX_LOAD_IS_IDLE,
    PX_LOAD_IS_BUSY
};

struct px_load_worker;

struct px_load_connection {
    struct px_loop_source source; /* fd -1 when CLOSED */
    struct px_load_worker *worker;
    enum px_load_state state;
    bool watches_output;
    struct px_load_attempt attempt; /* of CONNECTING and BUSY */
    struct px_deadline deadline;
    struct px_str out; /* what is still to be sent */
    struct px_reply_parser reply;
};

enum { PX_LOAD_READ_SIZE = 64 << 10 };

struct px_load_worker {
    struct px_loop loop;
    struct px_loop_source timer; /* a timerfd: when the next request is due */
    uint64_t timer_ns;           /* what it is set to, 0 = off */
    struct px_deadline_list timeouts;
    struct px_open_loop schedule;
    uint64_t drain_ns; /* from here on nothing is sent */
    const struct px_load_wire *wire;
    const struct px_peer *peer;
    size_t next_request;

    struct px_load_connection *connections;
    size_t n_connections;
    struct px_load_connection **queue; /* [n_connections], a ring */
    size_t queue_at, queue_len;
    size_t n_in_flight;

    char *input; /* PX_LOAD_READ_SIZE bytes */
    uint64_t bytes_sent, bytes_received;
    double busy_share, starved_share;
    char failure[PX_LOAD_SAMPLE_MAX];
    bool interrupted; /* a signal came while connections were opened */

    /* Read by the thread that started the run. */
    _Atomic uint64_t n_completed;
    _Atomic bool stop, ended;
};

/* Prepares a worker; its connections are CLOSED. Deinit also after a failure, and a zeroed one. */
PX_MUST_USE enum px_code px_load_worker_init(struct px_load_worker *worker,
                                             const struct px_load_wire *wire,
                                             const struct px_peer *peer, size_t n_connections,
                                             struct px_err *err);
void px_load_worker_deinit(struct px_load_worker *worker);

/* Opens the connections; how many there are. Those that fail are tried again when they are needed; a signal ends
 * the waiting. */
size_t px_load_worker_connect(struct px_load_worker *worker, uint64_t timeout_ns);

/* The share of the schedule and the timeout; before px_load_worker_run. */
void px_load_worker_plan(struct px_load_worker *worker, const struct px_open_loop_config *share,
                         uint64_t timeout_ns);

/* Sends and counts until the schedule has ended and nothing is in flight, or `stop`. */
void px_load_worker_run(struct px_load_worker *worker);

/* Ends `run` soon. Threads: any. */
void px_load_worker_stop(struct px_load_worker *worker);

#endif
