/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cache of answers to equal requests, for all models of the process, with a computation of each at a time.
 *
 * Concepts
 * - A *space* is one version of one model in the cache: its answers, their time to live, its counts. They go with it.
 * - A *request* is bytes, in pieces, that say all that changes the answer: equal bytes mean an equal answer. The first piece tells
 *   where the others end. It is found by a hash of 128 bits that differs between processes, and compared in full.
 * - An *entry* is a request with the answer to it, or with the promise of one. It is counted by reference: what it holds may be read
 *   without a lock until px_cache_release.
 * - The *leader* of an entry computes the answer. It ends that with px_cache_give or px_cache_fail. Others that ask the same meanwhile
 *   *wait*, and are woken with the answer. When the leader fails, one of them leads; when that fails by no wish of its client, each computes for itself.
 *
 * What is kept is bounded by bytes_max in all, requests included; the least recently used answers go first. The table is cut into
 * shards with a mutex each. An answer that takes more than a quarter of a shard is handed to who waits, but not kept.
 *
 * Threads: px_cache_ask, _give, _fail, _leave and _release on any; spaces are opened and closed by one at a time, a space is closed when nobody uses it any more.
 */
#ifndef PX_APPLICATION_CACHE_CACHE_H
#define PX_APPLICATION_CACHE_CACHE_H

#include "application/control/timers.h"
#include "domain/caching/answers.h"
#include "domain/inference/tensor.h"
#include "shared/hash.h"

#include <stdatomic.h>

struct px_cache;
struct px_cache_entry;

struct px_cache_request {
    const struct px_str *pieces;
    size_t n_pieces;
};

struct px_cache_settings {
    size_t bytes_max; /* at least PX_CACHE_BYTES_MIN */
    /* NULL: the ordinary one. Tests give others. */
    struct px_hash128 (*hash)(const struct px_cache_request *request);
};
enum { PX_CACHE_BYTES_MIN = 65536 };

/* Since the space was opened, but for `bytes` and `entries`, which are now. */
struct px_cache_counts {
    _Atomic uint64_t entries, bytes;
    _Atomic uint64_t evictions;  /* for room */
    _Atomic uint64_t expired;    /* found too late */
    _Atomic uint64_t unkept;     /* too large, degraded, or no memory */
    _Atomic uint64_t collisions; /* another request had the same hash */
};

struct px_cache_space;

struct px_cache_space_settings {
    uint64_t ttl_ns; /* 0: until the version goes, or room is needed */
    bool waits;      /* calls that wait may have deadlines */
    bool
        keeps_stale; /* an answer whose time has passed stays until there is a new one: see px_cache_look */
};

struct px_cache_answer {
    const struct px_tensor *outputs;
    size_t n_outputs;
    struct px_str degraded; /* as px_run.degraded; such an answer is not kept */
};

enum px_cache_verdict {
    PX_CACHE_PASS = 1,  /* compute, and tell nobody */
    PX_CACHE_HIT,       /* the entry has the answer */
    PX_CACHE_LEAD,      /* compute; the entry is to be given the answer */
    PX_CACHE_WAIT,      /* `wake` will be called */
    PX_CACHE_LATE,      /* of a waiter: its deadline has passed */
    PX_CACHE_CANCELLED, /* of a waiter: px_cache_leave */
};

/* One who asks; its memory lives until px_cache_settle. */
struct px_cache_wait {
    /* asked */
    unsigned group;       /* only a leader of the same group is waited for */
    uint64_t deadline_ns; /* monotonic, 0 = none */
    /* Once after PX_CACHE_WAIT, on any thread, perhaps before px_cache_ask has returned; `verdict` says what is to be done now. */
    void (*wake)(struct px_cache_wait *wait);

    /* answered */
    enum px_cache_verdict verdict;
    struct px_cache_entry *entry; /* of HIT and LEAD: a reference, to be released or ended */

    /* private */
    void *shard; /* of the entry that is waited for */
    struct px_answer_waiter waiter;
    struct px_timer timer;
};

PX_MUST_USE enum px_code px_cache_create(const struct px_cache_settings *settings,
                                         struct px_cache **ret, struct px_err *err);
void px_cache_destroy(struct px_cache *cache); /* when its spaces are closed; NULL is fine */

PX_MUST_USE enum px_code px_cache_open(struct px_cache *cache,
                                       const struct px_cache_space_settings *settings,
                                       struct px_cache_space **ret, struct px_err *err);
/* Forgets its answers. Nobody leads or waits in it; answers that are still being read live until they are released. NULL is fine. */
void px_cache_close(struct px_cache_space *space);
const struct px_cache_counts *px_cache_counts(const struct px_cache_space *space);

/* PASS, HIT, LEAD or WAIT, in `wait->verdict` too unless it is WAIT, which whoever wakes it may have changed already. */
enum px_cache_verdict px_cache_ask(struct px_cache_space *space,
                                   const struct px_cache_request *request,
                                   struct px_cache_wait *wait, uint64_t now_ns);

/*
 * For who cannot compute: the kept answer, as a reference to be released, or NULL. With 0 as `now_ns` also one whose time has passed: as
 * long as nobody has asked for it since, or, with `keeps_stale`, as long as nobody has found a new one and there is room.
 */
struct px_cache_entry *px_cache_look(struct px_cache_space *space,
                                     const struct px_cache_request *request, uint64_t now_ns);

/* The answer of a hit; valid until the entry is released. */
const struct px_cache_answer *px_cache_answer(const struct px_cache_entry *entry);
void px_cache_release(struct px_cache_entry *entry);

/* The leader is done: it copies the answer, wakes who waits, and lets go of the entry. */
void px_cache_give(struct px_cache_entry *entry, const struct px_cache_answer *answer,
                   uint64_t now_ns);
/* The leader has no answer. `left`: its client did not want one any more; it says nothing about the model. */
void px_cache_fail(struct px_cache_entry *entry, bool left);

/* One who waits wants no answer: it is woken with PX_CACHE_CANCELLED, within this call, unless something else came first. */
void px_cache_leave(struct px_cache_wait *wait);
/* After `wake`, before the memory of the wait goes: nothing of the cache looks at it any more. */
void px_cache_settle(struct px_cache_wait *wait);

#endif
