/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ticker: wakes, once a period, the loops on which somebody listens. For what is told to clients while it happens.
 *
 * A thread of its own keeps the time, because loops have no timers for others; it sleeps while nobody listens.
 *
 * Threads: listen and leave on the loop named; `tick` runs there as well; wake anywhere; create and destroy on the control
 * thread, destroy when the loops have stopped or never started, and before they are destroyed.
 */
#ifndef PX_APPLICATION_TELEMETRY_TICKER_H
#define PX_APPLICATION_TELEMETRY_TICKER_H

#include "application/ports/loops.h"
#include "shared/err.h"

struct px_ticker;

struct px_ticker_settings {
    const struct px_loops *loops; /* outlive the ticker */
    uint64_t period_ns;
    void (*tick)(void *context, unsigned loop);
    void *context;
};

PX_MUST_USE enum px_code px_ticker_create(const struct px_ticker_settings *settings,
                                          struct px_ticker **ret, struct px_err *err);
void px_ticker_destroy(struct px_ticker *ticker); /* NULL is fine */

/* One listener more, or less, on the loop. */
void px_ticker_listen(struct px_ticker *ticker, unsigned loop);
void px_ticker_leave(struct px_ticker *ticker, unsigned loop);

/* A tick on every loop now, whoever listens. */
void px_ticker_wake(struct px_ticker *ticker);

#endif
