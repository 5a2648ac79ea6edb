/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakers need no timer: what time alone does to them (probes that did not come back) is done when somebody asks for an endpoint.
 *
 * Rejected: ejection by a share of the endpoints and by comparison of their success rates, as Envoy has it beside its circuit breakers. Two
 * mechanisms that leave the same server out have to be explained, tuned and watched twice; a rate of failures is what a breaker sees,
 * and a fault that all share is better refused at once, where a fallback can answer, than tried by every request.
 */
#include "domain/balancing/balancing.h"

#include "shared/compiler.h"

#include <string.h>

void px_balancer_init(struct px_balancer *self, size_t n, enum px_balance balance,
                      struct px_breaker *breakers)
{
    PX_ASSERT(n >= 1 && n <= PX_ENDPOINTS_MAX);
    memset(self, 0, sizeof *self);
    self->n = n;
    self->balance = balance;
    self->breakers = breakers;
}

/* ---- who may be asked ---- */

static bool is_open(const struct px_balancer *self, size_t index, uint64_t now_ns)
{
    return self->breakers && px_breaker_is_open(&self->breakers[index], now_ns);
}

bool px_balancer_is_available(const struct px_balancer *self, size_t index, uint64_t now_ns)
{
    return !self->list[index].unhealthy && !is_open(self, index, now_ns);
}

bool px_balancer_passes(const struct px_balancer *self, uint64_t now_ns)
{
    for (size_t i = 0; i < self->n; i++) {
        if (!is_open(self, i, now_ns))
            return true;
    }
    return false;
}

uint64_t px_balancer_retry_ns(const struct px_balancer *self, uint64_t now_ns)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < self->n; i++) {
        uint64_t ns = self->breakers ? px_breaker_retry_ns(&self->breakers[i], now_ns) : 0;
        least = ns < least ? ns : least;
    }
    return least;
}

/* ---- choosing ---- */

/*
 * The candidates as a set: of those whose breaker lets them the healthy ones that are not tried; else those that are not tried; else
 * the healthy ones; else all of them. A server that is not tried but thought to be down comes before one that has just failed.
 */
static uint64_t candidates(struct px_balancer *self, uint64_t tried, uint64_t now_ns)
{
    uint64_t passing = 0, healthy = 0;
    for (size_t i = 0; i < self->n; i++) {
        if (self->breakers)
            px_breaker_advance(&self->breakers[i], now_ns);
        passing |= (uint64_t)!is_open(self, i, now_ns) << i;
        healthy |= (uint64_t)!self->list[i].unhealthy << i;
    }
    const uint64_t sets[] = {passing & healthy & ~tried, passing & ~tried, passing & healthy};
    for (size_t i = 0; i < PX_ARRAY_LEN(sets); i++) {
        if (sets[i])
            return sets[i];
    }
    return passing;
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
    uint64_t set = candidates(self, tried, now_ns);
    if (!set)
        return PX_ENDPOINT_NONE;
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
    uint64_t set = candidates(self, tried, now_ns), best_score = 0;
    size_t best = PX_ENDPOINT_NONE;
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

void px_balancer_begin(struct px_balancer *self, size_t index, uint64_t now_ns,
                       struct px_breaker_ticket *ret)
{
    *ret = (struct px_breaker_ticket){.began_ns = now_ns};
    self->list[index].outstanding++;
    self->list[index].n_requests++;
    if (self->breakers)
        (void)px_breaker_enter(&self->breakers[index], now_ns, ret);
}

void px_balancer_end(struct px_balancer *self, size_t index, const struct px_breaker_ticket *ticket,
                     enum px_breaker_outcome outcome, uint64_t now_ns)
{
    struct px_endpoint *e = &self->list[index];
    PX_ASSERT(e->outstanding > 0);
    e->outstanding--;
    e->n_failures += outcome == PX_BREAKER_FAILED;
    e->n_late += outcome == PX_BREAKER_LATE;
    if (self->breakers)
        px_breaker_leave(&self->breakers[index], ticket, outcome, now_ns);
}

void px_balancer_set_health(struct px_balancer *self, size_t index, bool healthy)
{
    self->list[index].unhealthy = !healthy;
}

void px_balancer_probe_now(struct px_balancer *self, size_t index, uint64_t now_ns)
{
    if (self->breakers)
        px_breaker_probe_now(&self->breakers[index], now_ns);
}
