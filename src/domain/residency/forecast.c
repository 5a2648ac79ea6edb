/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything is a sum or a mean of what was counted, so that nothing that a clock does can make it negative or infinite; a clock that jumps costs at most
 * the hour under way.
 *
 * Rejected: the negative excess, which damped persistence has as well. It would take a model that is asked once in its hour for gone as soon as
 * that hour begins. Half hours: twice the memory, and twice the days until a bucket means something. Seasonal exponential smoothing with a trend
 * (Holt-Winters): a trend that is extrapolated loads what will not be asked for.
 */
#include "domain/residency/forecast.h"

#include <math.h>
#include <stdbool.h>

static const uint64_t hour_ns = UINT64_C(3600000000000);
static const double ns_per_s = 1e9;

static unsigned hour_of_day(uint64_t now_ns)
{
    return (unsigned)(now_ns / hour_ns % PX_FORECAST_HOURS);
}

/* How much is left of something recent after that time. */
static double fading(double ns)
{
    return exp(-ns / (double)PX_FORECAST_RECENT_NS);
}

static double rate_at(const struct px_forecast *f, uint64_t now_ns)
{
    return now_ns > f->looked_ns ? (double)f->rate * fading((double)(now_ns - f->looked_ns))
                                 : (double)f->rate;
}

/* The hour under way has passed. */
static void close_hour(struct px_forecast *f, unsigned hour)
{
    uint32_t n_days = f->n_hours / PX_FORECAST_HOURS + 1;
    float *usual = &f->usual[hour];
    *usual += (f->uses - *usual) / (float)(n_days < PX_FORECAST_DAYS ? n_days : PX_FORECAST_DAYS);
    f->uses = 0;
    if (n_days < PX_FORECAST_DAYS)
        f->n_hours++;
}

static void pass_hours(struct px_forecast *f, uint64_t now_ns)
{
    uint64_t before = f->looked_ns / hour_ns, now = now_ns / hour_ns;
    if (f->looked_ns == 0 || now < before || now - before > PX_FORECAST_GAP_HOURS)
        f->uses = now == before ? f->uses : 0;
    else
        for (; before < now; before++)
            close_hour(f, (unsigned)(before % PX_FORECAST_HOURS));
}

void px_forecast_note(struct px_forecast *f, uint64_t n_uses, uint64_t now_ns)
{
    bool follows = f->looked_ns != 0 && now_ns > f->looked_ns;
    double dt_ns = follows ? (double)(now_ns - f->looked_ns) : 0;
    /* What one use adds: (1 - exp(-dt / tau)) / dt, which comes to 1 / tau for short looks, and for those of unknown length. */
    double weight = dt_ns > 0 ? -expm1(-dt_ns / (double)PX_FORECAST_RECENT_NS) / dt_ns
                              : 1 / (double)PX_FORECAST_RECENT_NS;
    pass_hours(f, now_ns);
    f->rate = (float)(rate_at(f, now_ns) + (double)n_uses * weight * ns_per_s);
    f->uses += (float)n_uses;
    f->looked_ns = now_ns;
}

/* What is usual from `now_ns` on. */
static double usual_uses(const struct px_forecast *f, uint64_t now_ns, uint64_t span_ns)
{
    double sum = 0;
    while (span_ns > 0) {
        uint64_t left_ns = hour_ns - now_ns % hour_ns,
                 part_ns = left_ns < span_ns ? left_ns : span_ns;
        sum += (double)f->usual[hour_of_day(now_ns)] * (double)part_ns / (double)hour_ns;
        now_ns += part_ns;
        span_ns -= part_ns;
    }
    return sum;
}

double px_forecast_uses(const struct px_forecast *f, uint64_t now_ns, uint64_t span_ns)
{
    const uint64_t day_ns = PX_FORECAST_HOURS * hour_ns;
    uint64_t known_ns = span_ns < day_ns ? span_ns : day_ns;
    double usual_rate = (double)f->usual[hour_of_day(now_ns)] * ns_per_s / (double)hour_ns;
    double excess = fmax(0, rate_at(f, now_ns) - usual_rate);
    double lasts_s = (double)PX_FORECAST_RECENT_NS * (1 - fading((double)known_ns)) / ns_per_s;
    return usual_uses(f, now_ns, known_ns) + excess * lasts_s;
}
