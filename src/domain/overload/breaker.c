/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window is a ring of the latest outcomes, or a ring of slices of time whose sum is kept; either way an outcome costs a few additions.
 *
 * Invariants
 * 1. `now` is the sum of the window. It is empty unless the breaker is CLOSED.
 * 2. probing + good <= probes: more never pass while it is HALF_OPEN.
 * 3. Probes that are on their way have to be back `open_for_ns` after the first of them went. When none is, time does nothing: who is asked
 *    once an hour is not left out for being asked so seldom.
 * 4. Every change of state begins an era, and only tickets of the present one count.
 *
 * Rejected: time-outs by timers (the state changes when somebody comes: nobody has to wake up for a breaker), and forgetting the trips
 * in a row as soon as it closes (what fails under load and works when probed would be asked again and again after the shortest time).
 */
#include "domain/overload/breaker.h"

#include <string.h>

enum { CALL_KNOWN = 1, CALL_FAILED = 2, CALL_SLOW = 4 };

#define SECOND_NS UINT64_C(1000000000)

static const double typical_gain = 0.1;

struct px_breaker_policy px_breaker_policy_default(void)
{
    return (struct px_breaker_policy){
        .window_ns = 10 * SECOND_NS,
        .failures = 5,
        .failure_rate = 0.5,
        .slow_rate = 0.8,
        .open_ns = 5 * SECOND_NS,
        .open_max_ns = 60 * SECOND_NS,
        .probes = 3,
    };
}

const char *px_breaker_state_name(enum px_breaker_state state)
{
    static const char *const names[] = {"closed", "open", "half_open"};
    return names[state];
}

const char *px_breaker_reason_name(enum px_breaker_reason reason)
{
    static const char *const names[] = {"none", "failures", "slowness", "probe", "silence"};
    return names[reason];
}

enum px_breaker_outcome px_breaker_judge(enum px_code code)
{
    static const enum px_code failures[] = {
        PX_E_UNAVAILABLE, PX_E_INTERNAL,  PX_E_IO, PX_E_NO_MEMORY, PX_E_CORRUPT, /* no answer */
        PX_E_NOT_FOUND,   PX_E_FORBIDDEN, /* a server that has lost the model, or knows us no more */
    };
    if (code == PX_OK)
        return PX_BREAKER_SUCCEEDED;
    if (code == PX_E_DEADLINE || code == PX_E_TIMEOUT)
        return PX_BREAKER_LATE;
    for (size_t i = 0; i < PX_ARRAY_LEN(failures); i++) {
        if (code == failures[i])
            return PX_BREAKER_FAILED;
    }
    return PX_BREAKER_UNKNOWN;
}

void px_breaker_init(struct px_breaker *breaker, const struct px_breaker_policy *policy)
{
    PX_ASSERT(policy->failures > 0 && policy->probes > 0 && policy->open_ns > 0);
    PX_ASSERT(policy->window_calls <= PX_BREAKER_CALLS_MAX);
    PX_ASSERT(policy->window_calls > 0 || policy->window_ns >= PX_BREAKER_SLICES);
    memset(breaker, 0, sizeof *breaker);
    breaker->policy = *policy;
    breaker->era = 1;
}

/* ---- the window ---- */

static void empty_window(struct px_breaker *b)
{
    memset(&b->now, 0, sizeof b->now);
    memset(b->slices, 0, sizeof b->slices);
    memset(b->calls, 0, b->policy.window_calls);
    b->next_call = 0;
}

static void subtract(struct px_breaker_counts *from, const struct px_breaker_counts *counts)
{
    from->n -= counts->n;
    from->failed -= counts->failed;
    from->slow -= counts->slow;
}

static void add(struct px_breaker_counts *to, unsigned call)
{
    to->n += (call & CALL_KNOWN) != 0;
    to->failed += (call & CALL_FAILED) != 0;
    to->slow += (call & CALL_SLOW) != 0;
}

static void slide(struct px_breaker *b, uint64_t now_ns)
{
    uint64_t slice = now_ns / (b->policy.window_ns / PX_BREAKER_SLICES);
    uint64_t n_past = slice > b->slice ? slice - b->slice : 0;
    for (uint64_t i = 1; i <= n_past && i <= PX_BREAKER_SLICES; i++) {
        struct px_breaker_counts *old = &b->slices[(b->slice + i) % PX_BREAKER_SLICES];
        subtract(&b->now, old);
        memset(old, 0, sizeof *old);
    }
    b->slice += n_past;
}

static void count(struct px_breaker *b, unsigned call, uint64_t now_ns)
{
    if (b->policy.window_calls) {
        struct px_breaker_counts old = {0};
        add(&old, b->calls[b->next_call]);
        subtract(&b->now, &old);
        b->calls[b->next_call] = (unsigned char)call;
        b->next_call = (b->next_call + 1) % b->policy.window_calls;
    } else {
        slide(b, now_ns);
        add(&b->slices[b->slice % PX_BREAKER_SLICES], call);
    }
    add(&b->now, call);
}

/* ---- states ---- */

static void enter_state(struct px_breaker *b, enum px_breaker_state state)
{
    b->state = state;
    b->era++;
    b->probing = b->good = 0;
    empty_window(b);
}

static void trip(struct px_breaker *b, enum px_breaker_reason reason, uint64_t now_ns)
{
    const struct px_breaker_policy *policy = &b->policy;
    bool is_of_row = b->state == PX_BREAKER_HALF_OPEN || now_ns - b->closed_at_ns < b->open_for_ns;
    b->n_in_row = is_of_row ? b->n_in_row + 1 : 1;
    bool doubles = b->n_in_row > 1 && b->open_for_ns <= policy->open_max_ns / 2;
    if (b->n_in_row == 1)
        b->open_for_ns = policy->open_ns;
    else
        b->open_for_ns = doubles ? 2 * b->open_for_ns : policy->open_max_ns;
    b->reason = reason;
    b->tripped = b->now;
    b->until_ns = now_ns + b->open_for_ns;
    b->n_opened++;
    enter_state(b, PX_BREAKER_OPEN);
}

static void close_again(struct px_breaker *b, uint64_t now_ns)
{
    b->closed_at_ns = now_ns;
    enter_state(b, PX_BREAKER_CLOSED);
}

bool px_breaker_is_open(const struct px_breaker *b, uint64_t now_ns)
{
    if (b->state == PX_BREAKER_CLOSED)
        return false;
    bool is_early = now_ns < b->until_ns;
    if (b->state == PX_BREAKER_OPEN)
        return is_early;
    return b->probing + b->good >= b->policy.probes || (b->probing > 0 && !is_early);
}

void px_breaker_advance(struct px_breaker *b, uint64_t now_ns)
{
    if (b->state == PX_BREAKER_HALF_OPEN && b->probing > 0 && now_ns >= b->until_ns)
        trip(b, PX_BREAKER_SILENCE, now_ns);
}

void px_breaker_probe_now(struct px_breaker *b, uint64_t now_ns)
{
    if (b->state == PX_BREAKER_OPEN && now_ns < b->until_ns)
        b->until_ns = now_ns;
}

enum px_breaker_verdict px_breaker_enter(struct px_breaker *b, uint64_t now_ns,
                                         struct px_breaker_ticket *ret)
{
    px_breaker_advance(b, now_ns);
    if (b->state == PX_BREAKER_OPEN && now_ns >= b->until_ns)
        enter_state(b, PX_BREAKER_HALF_OPEN);
    if (px_breaker_is_open(b, now_ns)) {
        b->n_refused++;
        return PX_BREAKER_REFUSED;
    }
    *ret = (struct px_breaker_ticket){now_ns, b->era};
    if (b->state == PX_BREAKER_CLOSED)
        return PX_BREAKER_PASSED;
    if (b->probing == 0)
        b->until_ns = now_ns + b->open_for_ns;
    b->probing++;
    b->n_probes++;
    return PX_BREAKER_PROBES;
}

/* ---- outcomes ---- */

/* Was there time enough before the deadline? */
static bool is_late_enough(const struct px_breaker *b, uint64_t took_ns)
{
    if (b->policy.slow_ns)
        return took_ns >= b->policy.slow_ns;
    return (double)took_ns >=
           (b->typical_ns > 0 ? PX_BREAKER_PATIENCE * b->typical_ns : (double)SECOND_NS);
}

/* The bits of CALL_*; 0: nothing is learned. */
static unsigned what_it_says(struct px_breaker *b, enum px_breaker_outcome outcome,
                             uint64_t took_ns)
{
    bool is_slow = b->policy.slow_ns && took_ns >= b->policy.slow_ns;
    if (outcome == PX_BREAKER_FAILED)
        return CALL_KNOWN | CALL_FAILED;
    if (outcome == PX_BREAKER_LATE)
        return is_late_enough(b, took_ns) ? CALL_KNOWN | CALL_FAILED : 0;
    if (outcome != PX_BREAKER_SUCCEEDED)
        return 0;
    b->typical_ns = b->typical_ns > 0
                        ? b->typical_ns + typical_gain * ((double)took_ns - b->typical_ns)
                        : (double)took_ns;
    return is_slow ? CALL_KNOWN | CALL_SLOW : CALL_KNOWN;
}

static bool is_too_many(const struct px_breaker *b, uint32_t n, double rate)
{
    return n >= b->policy.failures && (double)n >= rate * (double)b->now.n;
}

static void end_probe(struct px_breaker *b, unsigned call, uint64_t now_ns)
{
    unsigned good = b->good;
    b->probing--;
    if (call & (CALL_FAILED | CALL_SLOW)) {
        trip(b, PX_BREAKER_PROBE, now_ns);
        b->tripped.n = good;
        add(&b->tripped, call);
        return;
    }
    b->good += call != 0;
    if (b->good == b->policy.probes)
        close_again(b, now_ns);
}

void px_breaker_leave(struct px_breaker *b, const struct px_breaker_ticket *ticket,
                      enum px_breaker_outcome outcome, uint64_t now_ns)
{
    if (ticket->era != b->era)
        return;
    uint64_t took_ns = now_ns > ticket->began_ns ? now_ns - ticket->began_ns : 0;
    unsigned call = what_it_says(b, outcome, took_ns);
    if (b->state == PX_BREAKER_HALF_OPEN) {
        end_probe(b, call, now_ns);
        return;
    }
    if (!call)
        return;
    count(b, call, now_ns);
    if ((call & CALL_FAILED) && is_too_many(b, b->now.failed, b->policy.failure_rate))
        trip(b, PX_BREAKER_FAILURES, now_ns);
    else if ((call & CALL_SLOW) && is_too_many(b, b->now.slow, b->policy.slow_rate))
        trip(b, PX_BREAKER_SLOWNESS, now_ns);
}

uint64_t px_breaker_retry_ns(const struct px_breaker *b, uint64_t now_ns)
{
    return px_breaker_is_open(b, now_ns) && now_ns < b->until_ns ? b->until_ns - now_ns : 0;
}
