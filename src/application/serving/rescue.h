/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model version has against its own failure: a breaker, shared by the loops, and the ladder of those who answer instead.
 *
 * Threads: any. The breaker is behind a mutex (docs/locks.md) that is held for some additions; a version that has neither breaker nor ladder
 * has no px_rescue, and costs a branch.
 */
#ifndef PX_APPLICATION_SERVING_RESCUE_H
#define PX_APPLICATION_SERVING_RESCUE_H

#include "application/lifecycle/package.h"

#include <stdatomic.h>

struct px_rescue;

/*
 * `*ret` is NULL when there is nothing to do. The package outlives it; `names` are the model's, for the log. `owned`: the package is only a head
 * (px_package_open_head) and is closed with it.
 */
struct px_rescue_settings {
    struct px_package *package;
    struct px_str name, version;
    bool owned;
};
PX_MUST_USE enum px_code px_rescue_create(const struct px_rescue_settings *settings,
                                          struct px_rescue **ret, struct px_err *err);
void px_rescue_destroy(struct px_rescue *rescue); /* NULL is fine */

/* ---- the breaker ---- */

bool px_rescue_has_breaker(const struct px_rescue *rescue);
/* PX_OK and a ticket, or PX_E_UNAVAILABLE with the time after which trying again is worth it. */
PX_MUST_USE enum px_code px_rescue_enter(struct px_rescue *rescue, uint64_t now_ns,
                                         struct px_breaker_ticket *ret, struct px_err *err);
/* Gives the ticket back: how computing ended, and when it began (0: nobody knows). */
void px_rescue_leave(struct px_rescue *rescue, struct px_breaker_ticket *ticket, enum px_code code,
                     uint64_t started_ns);
struct px_rescue_report {
    enum px_breaker_state state;
    enum px_breaker_reason reason;
    uint64_t retry_ns;                        /* until something passes; 0: now */
    struct px_breaker_counts window, tripped; /* `tripped`: the window that opened it last */
    uint64_t n_opened, n_refused, n_probes;
    struct px_breaker_policy policy;
};
void px_rescue_report(struct px_rescue *rescue, struct px_rescue_report *ret);

/* ---- the ladder ---- */

const struct px_model_fallback *px_rescue_ladder(const struct px_rescue *rescue);
/* The rung has answered, or could not be used; the first of those since the version was loaded is logged. */
void px_rescue_count(struct px_rescue *rescue, size_t rung, enum px_fallback_reason reason);
uint64_t px_rescue_counted(const struct px_rescue *rescue, size_t rung,
                           enum px_fallback_reason reason);
void px_rescue_skip(struct px_rescue *rescue, size_t rung, const struct px_err *why);

#endif
