/* SPDX-License-Identifier: Apache-2.0 */
/* What children.c (the thread that looks after workers) and children_run.c (the callers) share. Private to these two. */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_CHILDREN_STATE_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_CHILDREN_STATE_H

#include "infrastructure/engines/plugin/children.h"
#include "shared/rng.h"

/*
 *              start          READY            run             answer
 *     DOWN ----------> STARTING ------> IDLE ----------> BUSY ---------> IDLE
 *      ^                   |             |              /   |
 *      |  the process has ended          |   given up  v    | killed by its caller
 *      +-------------------+-------------+------- ABANDONED |
 *      +---------------------------------------------- DYING
 *
 * BUSY belongs to its caller, every other state to the looking-after thread, which also reaps in BUSY and then sets `dead`.
 */
enum px_worker_state {
    PX_WORKER_DOWN = 1,
    PX_WORKER_STARTING,
    PX_WORKER_IDLE,
    PX_WORKER_BUSY,
    PX_WORKER_ABANDONED,
    PX_WORKER_DYING,
};

struct px_worker {
    struct px_child child;
    enum px_worker_state state;
    _Atomic bool dead;                 /* reaped */
    struct px_ring_patience patience;  /* of callers */
    uint64_t started_ns;               /* the process */
    uint64_t since_ns;                 /* the newest request */
    uint64_t retry_at_ns;              /* of DOWN */
    unsigned failures;                 /* in a row */
    bool buried;                       /* and that has not been logged */
    unsigned n_dropped;                /* of its lines, that no log entry tells of yet */
    char reason[PX_CHILD_REASON_MAX];  /* why it was ended, or how it ended: callers are told */
    char printed[PX_CHILD_REASON_MAX]; /* its last words: callers are not */
};

struct px_children {
    const struct px_children_options *options;
    struct px_arena *arena;
    struct px_children_model model;
    struct px_child_plan plan;
    pthread_t thread;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    int wake_fd;
    bool stopping, loaded; /* loaded: the first worker was ready once */
    enum px_code load_code;
    struct px_err load_err; /* why the first one was not */
    uint64_t restarts;
    struct px_rng rng;
    size_t n_workers;
    struct px_worker workers[];
};

/* With the lock held: the process is gone; when it is started again is decided. */
void px_children_bury(struct px_children *children, struct px_worker *worker);
/* With the lock held: ends the process, for this reason. */
void px_children_kill(struct px_worker *worker, enum px_worker_state state, const char *reason);
/* Makes the thread look at once. */
void px_children_poke(const struct px_children *children);

#endif
