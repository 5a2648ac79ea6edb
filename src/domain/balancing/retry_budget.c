/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/balancing/retry_budget.h"

enum { WINDOW_S = 10, TOKENS_MIN = 10 };

struct px_retry_budget px_retry_budget(double percent, double minimum_per_s, uint64_t now_ns)
{
    return (struct px_retry_budget){percent, minimum_per_s, minimum_per_s, now_ns};
}

static void put(struct px_retry_budget *self, double tokens)
{
    double most = self->minimum_per_s * WINDOW_S;
    if (most < TOKENS_MIN)
        most = TOKENS_MIN;
    self->tokens += tokens;
    if (self->tokens > most)
        self->tokens = most;
}

static void fill(struct px_retry_budget *self, uint64_t now_ns)
{
    if (now_ns <= self->filled_ns)
        return;
    put(self, self->minimum_per_s * (double)(now_ns - self->filled_ns) * 1e-9);
    self->filled_ns = now_ns;
}

void px_retry_budget_request(struct px_retry_budget *self, uint64_t now_ns)
{
    fill(self, now_ns);
    put(self, self->percent / 100);
}

bool px_retry_budget_take(struct px_retry_budget *self, uint64_t now_ns)
{
    fill(self, now_ns);
    /* Ten requests at 10 percent make one token, whatever a sum of tenths rounds to. */
    if (self->tokens < 1 - 1e-9)
        return false;
    self->tokens -= 1;
    return true;
}
