/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The remote engine from inside: one thread per engine with an epoll loop that drives libcurl's multi interface. It owns the
 * calls, the transfers, the probes and the connections; others reach it by the inbox and by a wake-up.
 *
 * A thread of its own for each model: its connections, budget and statistics end with it, and a peer's huge reply delays no other
 * model. The price is a thread that mostly sleeps.
 *
 * Life of a call: inbox -> waiting (for a connection) -> flying (one transfer, or two when it is hedged; or none, until a retry is due)
 * -> the run is finished and the call freed. Its request is encoded once for each form that a peer wants.
 *
 * Locks: `lock` guards the inbox, the balancer with its breakers and the numbers that describe() reads. Everything else is the thread's.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_REMOTE_ENGINE_H
#define PX_INFRASTRUCTURE_ENGINES_REMOTE_ENGINE_H

#include "application/ports/engine.h"
#include "domain/balancing/balancing.h"
#include "domain/balancing/hedging.h"
#include "domain/balancing/retry_budget.h"
#include "infrastructure/engines/remote/transfer.h"
#include "shared/rng.h"

#include <pthread.h>

/* The forms of a request that are kept until the call ends. */
enum px_remote_body {
    PX_REMOTE_BODY_JSON,
    PX_REMOTE_BODY_BINARY,
    PX_REMOTE_BODY_GRPC,
    PX_REMOTE_BODIES
};

struct px_remote_request {
    struct px_buf bytes; /* empty until somebody needs it */
    size_t json_len;
};

struct px_remote_call {
    struct px_run *run;
    struct px_remote_request requests[PX_REMOTE_BODIES];
    struct px_remote_transfer *transfers[2]; /* on the way */
    unsigned n_transfers;
    unsigned n_attempts; /* begun, without hedges */
    bool hedged;
    bool fresh;     /* the next attempt needs a new connection */
    uint64_t tried; /* endpoints, as bits */
    uint64_t began_ns, deadline_ns;
    uint64_t retry_at_ns, hedge_at_ns; /* 0: none */
    enum px_code last;                 /* how the latest attempt ended; the run has the reason */
    struct px_remote_call *prev, *next;
};

struct px_remote_calls {
    struct px_remote_call *first, *last;
};

/* The active check of a peer. */
struct px_remote_probe {
    struct px_remote_transfer *transfer; /* NULL: none on the way */
    uint64_t at_ns;
    unsigned failures; /* in a row */
    bool asks_server;  /* this one finds out what the peer takes */
    bool fresh;        /* the next one needs a new connection */
};

/* Counted by the thread under the lock. */
struct px_remote_counts {
    uint64_t requests, answered, failed, cancelled, late, refused;
    uint64_t retries, retries_refused, hedges, hedges_won;
    uint64_t probes, probes_failed;
};

struct px_remote {
    struct px_engine base;
    const struct px_curl *curl;
    struct px_remote_settings settings;
    struct px_str name; /* the model's here, for the log */
    struct px_buf infer_path, ready_path, ready_body;
    struct px_breaker
        *breakers; /* of the peers; NULL: none. Only the thread changes them, under the lock */
    uint64_t told_era[PX_ENDPOINTS_MAX]; /* of the breaker whose state was logged */

    pthread_mutex_t lock;
    struct px_remote_calls inbox;
    size_t n_calls;
    bool stopping, look_for_cancelled;
    struct px_balancer balancer;
    struct px_remote_counts counts;
    uint64_t hedge_delay_ns; /* for describe() */

    pthread_t thread;
    bool has_thread;
    int wake_fd, epoll_fd;
    CURLM *multi;
    uint64_t curl_due_ns; /* when libcurl wants to be called; 0: never */
    uint64_t due_ns;      /* when a call or a probe may need something; UINT64_MAX: never */
    struct px_remote_calls waiting, flying;
    struct px_remote_transfer *spare;
    size_t n_transfers;
    struct px_remote_peer peers[PX_ENDPOINTS_MAX];
    struct px_remote_probe probes[PX_ENDPOINTS_MAX];
    struct px_retry_budget budget;
    struct px_hedging hedging;
    struct px_rng rng;
};

/* ---- loop.c ---- */

/* The epoll loop, with its descriptors and the thread. */
PX_MUST_USE enum px_code px_remote_loop_start(struct px_remote *self, struct px_err *err);
void px_remote_loop_stop(struct px_remote *self); /* and joins */
void px_remote_loop_wake(struct px_remote *self);
/* Something is to be done then at the latest. */
void px_remote_loop_due(struct px_remote *self, uint64_t at_ns);

/* A transfer, new or used, and back again. NULL without memory. */
struct px_remote_transfer *px_remote_take_transfer(struct px_remote *self);
void px_remote_give_transfer(struct px_remote *self, struct px_remote_transfer *transfer);
/* Puts a prepared transfer on its way; takes one off, whether it has ended or not. */
PX_MUST_USE enum px_code px_remote_send(struct px_remote *self, struct px_remote_transfer *transfer,
                                        struct px_err *err);
void px_remote_take_off(struct px_remote *self, struct px_remote_transfer *transfer);

/* ---- peers.c ---- */

/* The breakers, when the settings want them. */
PX_MUST_USE enum px_code px_remote_peers_init(struct px_remote *self, struct px_err *err);
/* PX_ENDPOINT_NONE: all breakers are open. A sticky run's key is its sequence's. */
size_t px_remote_peers_pick(struct px_remote *self, const struct px_remote_call *call,
                            uint64_t now_ns);
/* Would it find one? */
bool px_remote_peers_pass(struct px_remote *self, uint64_t now_ns);
/* A transfer is on its way to its endpoint; it has ended. */
void px_remote_peers_begin(struct px_remote *self, struct px_remote_transfer *transfer,
                           uint64_t now_ns);
void px_remote_peers_end(struct px_remote *self, const struct px_remote_transfer *transfer,
                         enum px_breaker_outcome outcome, uint64_t now_ns);
/* Why nobody is asked, and when it is worth asking again. */
enum px_code px_remote_peers_refuse(struct px_remote *self, uint64_t now_ns, struct px_err *err);
bool px_remote_is_of_sequence(const struct px_run *run);

void px_remote_peers_describe(struct px_remote *self, struct px_json_writer *json);
void px_remote_peers_measure(struct px_remote *self, const struct px_engine_measures *to);

/* ---- call.c ---- */

void px_remote_call_list_add(struct px_remote_calls *list, struct px_remote_call *call);
/* A call has come from the inbox. */
void px_remote_call_begin(struct px_remote *self, struct px_remote_call *call, uint64_t now_ns);
/* Starts what waits while there are connections. */
void px_remote_calls_pump(struct px_remote *self, uint64_t now_ns);
/* A transfer of a call has ended. */
void px_remote_call_on_end(struct px_remote *self, struct px_remote_transfer *transfer,
                           CURLcode result, uint64_t now_ns);
/* Ends calls that are late or cancelled, starts retries and hedges that are due, and says what is due next. */
void px_remote_calls_sweep(struct px_remote *self, bool cancelled, uint64_t now_ns);

/* ---- probe.c ---- */

void px_remote_probes_init(struct px_remote *self, uint64_t answered, uint64_t now_ns);
void px_remote_probes_sweep(struct px_remote *self, uint64_t now_ns);
void px_remote_probe_on_end(struct px_remote *self, struct px_remote_transfer *transfer,
                            CURLcode result, uint64_t now_ns);
/* Takes off those on the way. */
void px_remote_probes_end(struct px_remote *self);

#endif
