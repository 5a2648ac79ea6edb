/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of an open-loop load run: when each request should be sent, and what its fate counts for. No
 * I/O and no clock; the adapters of application/ports/load.h drive it with real time, tests with a virtual
 * one.
 *
 * Concepts
 * - The schedule is made before the run and never waits for the server: request k has an intended time,
 *   whatever became of request k-1. With a fixed schedule they are evenly spaced; with a Poisson one the
 *   gaps are exponential, as from many independent clients.
 * - Coordinated omission (Tene): a closed-loop client sends its next request when the last reply has come,
 *   so a server that stalls is asked nothing, and the requests that would have suffered are missing from
 *   the percentiles. Here the latency of a request counts from its intended time. When every connection is
 *   busy, due requests wait in the schedule, and that waiting is part of their latency.
 * - Requests lost to slowness stay in the percentiles with the time they had waited: those that timed out,
 *   and those that were never sent because no connection became free (UNSENT). Failures that came fast (a
 *   status that is not 2xx, a reset) are counted as errors but are no latencies: they would make a failing
 *   server look fast.
 * - Lag is the client's own lateness: from the moment when a request was due and a connection was free
 *   until it was sent. A large lag says that the client, not the server, is the limit.
 *
 * One thread owns a px_open_loop: it calls `idle` when a connection becomes free, `take` to get a request
 * that is due (which uses up a free connection), `done` with its fate, `finish` at the end.
 */
#ifndef PX_APPLICATION_BENCH_OPEN_LOOP_H
#define PX_APPLICATION_BENCH_OPEN_LOOP_H

#include "application/bench/latencies.h"
#include "shared/rng.h"

#include <stdbool.h>
#include <stddef.h>

enum px_load_arrivals { PX_LOAD_FIXED = 0, PX_LOAD_POISSON };

/* What became of a request. */
enum px_load_outcome {
    PX_LOAD_OK = 0,    /* a 2xx status */
    PX_LOAD_STATUS,    /* another status */
    PX_LOAD_CONNECT,   /* no connection: refused, unreachable */
    PX_LOAD_CLOSED,    /* reset or closed before the reply was complete */
    PX_LOAD_TIMEOUT,   /* no complete reply in time */
    PX_LOAD_BAD_REPLY, /* bytes that are no HTTP reply, or one over the limits */
    PX_LOAD_UNSENT,    /* due, but no connection was free until it was given up */
    PX_LOAD_OUTCOMES,
};

const char *px_load_outcome_name(enum px_load_outcome outcome); /* "ok", "status", "connect" ... */

enum { PX_LOAD_STATUS_MIN = 100, PX_LOAD_STATUS_MAX = 599 };

/* What a run counted, of requests whose intended time lies in its measured window. */
struct px_load_tally {
    struct px_latencies latency; /* from the intended time */
    /* Of replies, from the time of sending: what a closed-loop client would report. */
    struct px_latencies service;
    struct px_latencies lag; /* the client's own lateness */
    uint64_t outcomes[PX_LOAD_OUTCOMES];
    uint64_t statuses[PX_LOAD_STATUS_MAX - PX_LOAD_STATUS_MIN + 1];
    uint64_t offered; /* intended in the window */
    /* Complete 2xx replies that came within the window, whenever they were intended. */
    uint64_t replies;
    uint64_t good;   /* 2xx within the latency limit */
    uint64_t waited; /* found every connection busy when they were due */
};

void px_load_tally_merge(struct px_load_tally *into, const struct px_load_tally *from);

struct px_open_loop_config {
    enum px_load_arrivals arrivals;
    double rate; /* requests per second of this loop */
    /* By which part of a gap, 0 to 1, a fixed schedule is shifted, so that threads alternate. */
    double phase;
    uint64_t seed;        /* of a Poisson schedule */
    uint64_t start_ns;    /* the first request is due about now */
    uint64_t measured_ns; /* the measured window begins; what was intended before is warm-up */
    uint64_t end_ns;      /* no request is intended from here on */
    uint64_t patience_ns; /* a due request that waited so long is UNSENT */
    uint64_t limit_ns;    /* latency limit of goodput */
};

struct px_open_loop {
    struct px_open_loop_config config;
    struct px_load_tally tally;
    /* private */
    struct px_rng rng;
    uint64_t n_taken;       /* of a fixed schedule: the next one's number */
    double offset_ns;       /* of a Poisson schedule: the next one's distance from the start */
    uint64_t next_ns;       /* when the next request is due; UINT64_MAX at the end */
    size_t n_idle;          /* free connections */
    uint64_t idle_since_ns; /* since when at least one is free */
};

/* One request on its way. */
struct px_load_attempt {
    uint64_t intended_ns, sent_ns;
};

void px_open_loop_init(struct px_open_loop *loop, const struct px_open_loop_config *config);

/* When the next request is due; UINT64_MAX when there is none any more. */
static inline uint64_t px_open_loop_next(const struct px_open_loop *loop)
{
    return loop->next_ns;
}

/* A connection became free (at the start, and after each `done` whose connection can be used again). */
void px_open_loop_idle(struct px_open_loop *loop, uint64_t now_ns);

/* Takes the next request if it is due and a connection is free; the caller sends it at once. Requests that
 * waited longer than patience are counted UNSENT on the way. */
bool px_open_loop_take(struct px_open_loop *loop, uint64_t now_ns, struct px_load_attempt *ret);

/* The fate of a request, decided at now_ns; `status` of OK and STATUS. */
void px_open_loop_done(struct px_open_loop *loop, const struct px_load_attempt *attempt,
                       enum px_load_outcome outcome, int status, uint64_t now_ns);

/* Nothing will be sent any more: what is still due is UNSENT. */
void px_open_loop_finish(struct px_open_loop *loop, uint64_t now_ns);

#endif
