/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much a model will be used soon: from how much it was used just now, and at this time of earlier days.
 *
 *     px_forecast_note(&forecast, n_uses, now_ns);             // regularly, also when there were none
 *     px_forecast_uses(&forecast, now_ns, span_ns);            // that are expected within `span_ns` from now
 *
 * Concepts
 * - *Recent rate*: uses per second, an exponentially weighted mean (Roberts 1959, "Control chart tests based on geometric moving averages") with
 *   the time constant PX_FORECAST_RECENT_NS; the weight of a look is its length: w = 1 - exp(-dt / tau), so that the mean does not depend on how
 *   often one looks.
 * - *Profile*: for each hour of the day the uses in it, a mean over days: of the days seen while they are few, then
 *   p += (uses - p) / PX_FORECAST_DAYS, which forgets half in two and a half days. Hours are those of UTC: nothing has to be known about time zones, and
 *   where clocks change twice a year the profile follows within days. Days of the week are not told apart.
 * - *Expected uses* in [t, t + n]: the damped persistence of weather forecasts, a first-order autoregression around what is usual. What is usual at that time, and besides it what is now more than usual, fading:
 *
 *       integral of p over [t, t + n]  +  max(0, rate(t) - p(t)) * tau * (1 - exp(-n / tau))
 *
 *   A rate below the usual is not held against a model: one that is asked once between nine and ten is expected until ten.
 *
 * Looks that are more than PX_FORECAST_GAP_HOURS apart, or in an earlier hour than the one before, are a clock that was set or a process that slept. Nothing
 * is learned of such hours: that nobody looked does not mean that nobody asked.
 *
 * A plain value, without pointers and clocks: it may be copied. Zeroed it knows nothing. Time is that of the wall, in nanoseconds since 1970.
 */
#ifndef PX_DOMAIN_RESIDENCY_FORECAST_H
#define PX_DOMAIN_RESIDENCY_FORECAST_H

#include <stdint.h>

enum { PX_FORECAST_HOURS = 24, PX_FORECAST_DAYS = 4, PX_FORECAST_GAP_HOURS = 2 };

#define PX_FORECAST_RECENT_NS UINT64_C(600000000000) /* 10 minutes */

struct px_forecast {
    uint64_t looked_ns;             /* 0: never */
    uint32_t n_hours;               /* that have passed under looks, up to PX_FORECAST_DAYS days */
    float rate;                     /* recent, per second */
    float uses;                     /* in the hour under way */
    float usual[PX_FORECAST_HOURS]; /* uses in that hour of a day */
};

_Static_assert(sizeof(struct px_forecast) <= 128, "ten thousand models have one each");

/* A look: `n_uses` since the one before, or of a new forecast since somebody began to count. They are taken to be of the hour of `now_ns`. */
void px_forecast_note(struct px_forecast *forecast, uint64_t n_uses, uint64_t now_ns);

/* Never negative. Of more than a day that of a day is told. */
double px_forecast_uses(const struct px_forecast *forecast, uint64_t now_ns, uint64_t span_ns);

#endif
