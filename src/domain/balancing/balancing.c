/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistical ejection runs when somebody asks for an endpoint after the interval has ended, so that no timer is needed:
 * without requests there is nothing to compare.
 */
#include "domain/balancing/balancing.h"

#include "shared/compiler.h"

#include <math.h>
#include <string.h>

#define MS 1000000ull

struct px_ejection_rules px_ejection_rules_default(void)
{
    return (struct px_ejection_rules){
        .consecutive_errors = 5,
        .success_rate_factor = 1.9,
        .success_rate_hosts = 5,
        .success_rate_requests = 100,
        .interval_ns = 10000 * MS,
        .base_ns = 30000 * MS,
        .max_ns = 300000 * MS,
        .ejected_max_percent = 50,
    };
}

void px_balancer_init(struct px_balancer *self, size_t n, enum px_balance balance,
                      const struct px_ejection_rules *rules, uint64_t now_ns)
{
    PX_ASSERT(n >= 1 && n <= PX_ENDPOINTS_MAX);
    memset(self, 0, sizeof *self);
    self->n = n;
    self->balance = balance;
    self->rules = *rules;
    self->interval_end_ns = now_ns + rules->interval_ns;
}

/* ---- ejection ---- */

static bool is_ejected(const struct px_endpoint *e, uint64_t now_ns)
{
    return now_ns < e->ejected_until_ns;
}

bool px_balancer_is_available(const struct px_balancer *self, size_t index, uint64_t now_ns)
{
    const struct px_endpoint *e = &self->list[index];
    return !e->unhealthy && !is_ejected(e, now_ns);
}

/* May one more be out? */
static bool may_eject(const struct px_balancer *self, uint64_t now_ns)
{
    size_t n_out = 0, allowed = self->n * self->rules.ejected_max_percent / 100;
    for (size_t i = 0; i < self->n; i++)
        n_out += is_ejected(&self->list[i], now_ns);
    if (allowed == 0)
        allowed = 1;
    return n_out < allowed && n_out + 1 < self->n;
}

static void eject(struct px_balancer *self, size_t index, uint64_t now_ns)
{
    struct px_endpoint *e = &self->list[index];
    e->errors_in_a_row = 0;
    if (is_ejected(e, now_ns) || !may_eject(self, now_ns))
        return;
    if (e->ejections_in_a_row < PX_EJECTIONS_MAX)
        e->ejections_in_a_row++;
    uint64_t time_ns = self->rules.base_ns * e->ejections_in_a_row;
    if (time_ns > self->rules.max_ns)
        time_ns = self->rules.max_ns;
    e->ejected_until_ns = now_ns + time_ns;
    e->ejected_in_interval = true;
    e->n_ejections++;
}

static bool is_counted(const struct px_balancer *self, const struct px_endpoint *e)
{
    return e->n_interval > 0 && e->n_interval >= self->rules.success_rate_requests;
}

static double success_rate(const struct px_endpoint *e)
{
    return (double)e->n_interval_ok / (double)e->n_interval;
}

static void compare_success_rates(struct px_balancer *self, uint64_t now_ns)
{
    double sum = 0, squares = 0;
    size_t n = 0;
    for (size_t i = 0; i < self->n; i++) {
        const struct px_endpoint *e = &self->list[i];
        if (!is_counted(self, e))
            continue;
        sum += success_rate(e);
        squares += success_rate(e) * success_rate(e);
        n++;
    }
    if (n < 2 || n < self->rules.success_rate_hosts)
        return;
    double mean = sum / (double)n, variance = squares / (double)n - mean * mean;
    double least = mean - self->rules.success_rate_factor * sqrt(variance > 0 ? variance : 0);
    for (size_t i = 0; i < self->n; i++) {
        const struct px_endpoint *e = &self->list[i];
        if (is_counted(self, e) && success_rate(e) < least)
            eject(self, i, now_ns);
    }
}

static void end_interval(struct px_balancer *self, uint64_t now_ns)
{
    if (now_ns < self->interval_end_ns)
        return;
    self->interval_end_ns = now_ns + self->rules.interval_ns;
    if (self->rules.success_rate_factor > 0)
        compare_success_rates(self, now_ns);
    for (size_t i = 0; i < self->n; i++) {
        struct px_endpoint *e = &self->list[i];
        if (!e->ejected_in_interval && !is_ejected(e, now_ns) && e->ejections_in_a_row > 0)
            e->ejections_in_a_row--;
        e->ejected_in_interval = false;
        e->n_interval = e->n_interval_ok = 0;
    }
}

/* ---- choosing ---- */

/*
 * The candidates as a set: available and not tried; else not tried; else available; else all. A server that is not tried but
 * thought to be down comes before one that has just failed.
 */
static uint64_t candidates(const struct px_balancer *self, uint64_t tried, uint64_t now_ns)
{
    uint64_t all = self->n == 64 ? UINT64_MAX : (UINT64_C(1) << self->n) - 1, available = 0;
    for (size_t i = 0; i < self->n; i++) {
        if (px_balancer_is_available(self, i, now_ns))
            available |= UINT64_C(1) << i;
    }
    if (available & ~tried)
        return available & ~tried;
    if (all & ~tried)
        return all & ~tried;
    return available ? available : all;
}

/* The `rank`-th member of a set that has more than that. */
static size_t member(uint64_t set, unsigned rank)
{
    for (; rank > 0; rank--)
        set &= set - 1;
    return (size_t)__builtin_ctzll(set);
}

static size_t pick_power_of_two(const struct px_balancer *self, uint64_t set, uint64_t random)
{
    unsigned n = (unsigned)__builtin_popcountll(set);
    if (n == 1)
        return member(set, 0);
    unsigned first = (unsigned)((random & UINT32_MAX) % n);
    unsigned second = (unsigned)((random >> 32) % (n - 1));
    second += second >= first;
    size_t a = member(set, first), b = member(set, second);
    return self->list[b].outstanding < self->list[a].outstanding ? b : a;
}

/* Of equals a random one: the search begins anywhere. */
static size_t pick_least(const struct px_balancer *self, uint64_t set, uint64_t random)
{
    unsigned n = (unsigned)__builtin_popcountll(set), begin = (unsigned)(random % n);
    size_t best = member(set, begin);
    for (unsigned i = 1; i < n; i++) {
        size_t at = member(set, (begin + i) % n);
        if (self->list[at].outstanding < self->list[best].outstanding)
            best = at;
    }
    return best;
}

size_t px_balancer_pick(struct px_balancer *self, uint64_t tried, uint64_t random, uint64_t now_ns)
{
    end_interval(self, now_ns);
    uint64_t set = candidates(self, tried, now_ns);
    return self->balance == PX_BALANCE_POWER_OF_TWO ? pick_power_of_two(self, set, random)
                                                    : pick_least(self, set, random);
}

/* The finaliser of splitmix64: every bit of the result depends on every bit of `x`. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

size_t px_balancer_pick_sticky(struct px_balancer *self, uint64_t tried, uint64_t key,
                               uint64_t now_ns)
{
    end_interval(self, now_ns);
    uint64_t set = candidates(self, tried, now_ns), best_score = 0;
    size_t best = member(set, 0);
    for (; set; set &= set - 1) {
        size_t at = member(set, 0);
        uint64_t score = mix(key ^ mix(at + 1));
        if (score >= best_score) {
            best_score = score;
            best = at;
        }
    }
    return best;
}

/* ---- what happened ---- */

void px_balancer_begin(struct px_balancer *self, size_t index)
{
    self->list[index].outstanding++;
    self->list[index].n_requests++;
}

void px_balancer_end(struct px_balancer *self, size_t index, enum px_endpoint_outcome outcome,
                     uint64_t now_ns)
{
    struct px_endpoint *e = &self->list[index];
    PX_ASSERT(e->outstanding > 0);
    e->outstanding--;
    if (outcome == PX_ENDPOINT_ABANDONED)
        return;
    e->n_interval++;
    if (outcome == PX_ENDPOINT_SUCCEEDED) {
        e->n_interval_ok++;
        e->errors_in_a_row = 0;
        return;
    }
    e->n_failures++;
    e->errors_in_a_row++;
    if (self->rules.consecutive_errors && e->errors_in_a_row >= self->rules.consecutive_errors)
        eject(self, index, now_ns);
}

void px_balancer_set_health(struct px_balancer *self, size_t index, bool healthy)
{
    struct px_endpoint *e = &self->list[index];
    e->unhealthy = !healthy;
    if (!healthy)
        return;
    e->ejected_until_ns = 0;
    e->errors_in_a_row = 0;
}
