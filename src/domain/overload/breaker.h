/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Circuit breaker: is it worth asking something that has failed?
 *
 *     px_breaker_init(&breaker, &policy);
 *     verdict = px_breaker_enter(&breaker, now_ns, &ticket);  // not PX_BREAKER_REFUSED: the work is done, and
 *     px_breaker_leave(&breaker, ticket, outcome, now_ns);    // every ticket is given back once
 *
 * Concepts
 * - CLOSED: everything passes, and outcomes are counted in a sliding window: the latest so many, or those of the latest so long. The
 *   breaker trips when the window has at least `failures` failures *and* they are at least `failure_rate` of it: a rate alone trips
 *   on the first error of a quiet night, a count alone on a thousandth of a busy day. The same holds for slow ones and `slow_rate`.
 * - OPEN: everything is refused for a while, which doubles with each trip in a row up to `open_max_ns`. The row ends when the breaker
 *   has been closed again for as long as it was open before.
 * - HALF_OPEN: `probes` pass. When all of them went well it is closed; the first that does not opens it again. Probes that do not come
 *   back within the open time count as failed.
 * - An outcome says something about who computes, or nothing. Invalid input, a client that left and a queue that was full say nothing:
 *   px_breaker_judge. A deadline that passed is a failure only when there was time enough: `slow_ns`, or PX_BREAKER_PATIENCE times what good
 *   ones take. So nobody opens the breaker for others by asking with tiny deadlines.
 * - A ticket of a former state counts for nothing: what was begun before the trip says nothing about the probes.
 *
 * Pure values: no clock, no threads, no memory.
 */
#ifndef PX_DOMAIN_OVERLOAD_BREAKER_H
#define PX_DOMAIN_OVERLOAD_BREAKER_H

#include "shared/err.h"

enum {
    PX_BREAKER_CALLS_MAX = 1024, /* of a window that counts outcomes */
    PX_BREAKER_SLICES = 10,      /* in which a window of time slides */
    PX_BREAKER_PROBES_MAX = 100,
    PX_BREAKER_PATIENCE = 4,
};

struct px_breaker_policy {
    unsigned window_calls;         /* 1..PX_BREAKER_CALLS_MAX; 0: the window is of time */
    uint64_t window_ns;            /* when window_calls is 0; at least PX_BREAKER_SLICES */
    unsigned failures;             /* at least 1 */
    double failure_rate;           /* above 0, at most 1 */
    uint64_t slow_ns;              /* what takes so long is slow; 0: nothing is */
    double slow_rate;              /* as failure_rate */
    uint64_t open_ns, open_max_ns; /* 1 <= open_ns <= open_max_ns */
    unsigned probes;               /* 1..PX_BREAKER_PROBES_MAX */
};

/* Ten seconds, five failures and half of all, open for five seconds and at most a minute, three probes; nothing is slow. */
struct px_breaker_policy px_breaker_policy_default(void);

enum px_breaker_state { PX_BREAKER_CLOSED = 0, PX_BREAKER_OPEN, PX_BREAKER_HALF_OPEN };
const char *px_breaker_state_name(enum px_breaker_state state); /* "closed", "open", "half_open" */

/* Why it is not closed; of a closed one, why it last was not. */
enum px_breaker_reason {
    PX_BREAKER_NEVER = 0,
    PX_BREAKER_FAILURES,
    PX_BREAKER_SLOWNESS,
    PX_BREAKER_PROBE,  /* a probe failed, or was slow */
    PX_BREAKER_SILENCE /* probes did not come back */
};
const char *px_breaker_reason_name(enum px_breaker_reason reason); /* "none", "failures", ... */

enum px_breaker_verdict { PX_BREAKER_PASSED = 0, PX_BREAKER_PROBES, PX_BREAKER_REFUSED };

enum px_breaker_outcome {
    PX_BREAKER_UNKNOWN = 0, /* nothing can be learned from it */
    PX_BREAKER_SUCCEEDED,
    PX_BREAKER_FAILED,
    PX_BREAKER_LATE, /* its deadline passed while it was computed, or another that was asked as well was faster */
};
/* What the code of a computation says about who computed. */
enum px_breaker_outcome px_breaker_judge(enum px_code code);

struct px_breaker_ticket {
    uint64_t began_ns, era; /* era 0: no ticket */
};

struct px_breaker_counts {
    uint32_t n, failed, slow;
};

struct px_breaker {
    struct px_breaker_policy policy;
    enum px_breaker_state state;
    enum px_breaker_reason reason;
    uint64_t until_ns; /* OPEN: probes may come; HALF_OPEN: those on their way should be back */
    struct px_breaker_counts now;     /* the window, as of the last outcome */
    struct px_breaker_counts tripped; /* what opened it last: the window then, or the probes */
    uint64_t n_opened, n_refused, n_probes; /* since the beginning */

    /* private */
    uint64_t era;           /* changes with the state */
    uint64_t open_for_ns;   /* of the latest trip */
    uint64_t closed_at_ns;  /* since when it is closed */
    unsigned n_in_row;      /* trips */
    unsigned probing, good; /* HALF_OPEN: on their way, and back */
    double typical_ns;      /* what good ones take; 0: not known */
    uint64_t slice;         /* number of the latest one */
    size_t next_call;
    struct px_breaker_counts slices[PX_BREAKER_SLICES];
    unsigned char calls[PX_BREAKER_CALLS_MAX]; /* bits of what each was */
};

void px_breaker_init(struct px_breaker *breaker, const struct px_breaker_policy *policy);

/* Would something that comes now be refused? Changes nothing. */
bool px_breaker_is_open(const struct px_breaker *breaker, uint64_t now_ns);

/* `ret` is set unless it is refused. */
enum px_breaker_verdict px_breaker_enter(struct px_breaker *breaker, uint64_t now_ns,
                                         struct px_breaker_ticket *ret);

void px_breaker_leave(struct px_breaker *breaker, const struct px_breaker_ticket *ticket,
                      enum px_breaker_outcome outcome, uint64_t now_ns);

/* After what time something may pass again; 0: now. */
uint64_t px_breaker_retry_ns(const struct px_breaker *breaker, uint64_t now_ns);

/*
 * For an owner who asks px_breaker_is_open before it enters, and then does not enter: probes that did not come back in time have failed.
 * px_breaker_enter sees to that by itself.
 */
void px_breaker_advance(struct px_breaker *breaker, uint64_t now_ns);

/* Something else says that it is well again: if it is OPEN, probes may come now. */
void px_breaker_probe_now(struct px_breaker *breaker, uint64_t now_ns);

#endif
