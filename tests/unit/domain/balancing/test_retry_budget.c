/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/balancing/retry_budget.h"

#include "harness.h"

#define S UINT64_C(1000000000)

static unsigned take_all(struct px_retry_budget *budget, uint64_t now_ns)
{
    unsigned n = 0;
    while (n < 1000 && px_retry_budget_take(budget, now_ns))
        n++;
    return n;
}

PX_TEST(retries_are_a_share_of_the_requests)
{
    struct px_retry_budget budget = px_retry_budget(20, 0, 0);
    CHECK_INT(take_all(&budget, 0), 0);
    for (int i = 0; i < 25; i++)
        px_retry_budget_request(&budget, 0);
    CHECK_INT(take_all(&budget, 0), 5);
}

PX_TEST(tenths_add_up)
{
    struct px_retry_budget budget = px_retry_budget(10, 0, 0);
    for (int i = 0; i < 10; i++)
        px_retry_budget_request(&budget, 0);
    CHECK_INT(take_all(&budget, 0), 1);
}

PX_TEST(a_service_with_few_requests_may_retry_too)
{
    struct px_retry_budget budget = px_retry_budget(20, 3, 0);
    CHECK_INT(take_all(&budget, 0), 3);
    CHECK_INT(take_all(&budget, S), 3);
    CHECK_INT(take_all(&budget, S + S / 4), 0);
    CHECK_INT(take_all(&budget, S + S / 4 + S / 2), 2);
}

PX_TEST(what_is_not_used_is_not_hoarded)
{
    struct px_retry_budget budget = px_retry_budget(20, 3, 0);
    CHECK_INT(take_all(&budget, 3600 * S), 30);
    for (int i = 0; i < 100000; i++)
        px_retry_budget_request(&budget, 3600 * S);
    CHECK_INT(take_all(&budget, 3600 * S), 30);
    budget = px_retry_budget(50, 0, 0);
    for (int i = 0; i < 100000; i++)
        px_retry_budget_request(&budget, 0);
    CHECK_INT(take_all(&budget, 0), 10);
}

PX_TEST(a_clock_that_steps_back_gives_nothing)
{
    struct px_retry_budget budget = px_retry_budget(0, 1, 10 * S);
    CHECK_INT(take_all(&budget, 10 * S), 1);
    CHECK_INT(take_all(&budget, 5 * S), 0);
    CHECK_INT(take_all(&budget, 11 * S), 1);
}

PX_TEST_MAIN(T(retries_are_a_share_of_the_requests) T(tenths_add_up)
                 T(a_service_with_few_requests_may_retry_too) T(what_is_not_used_is_not_hoarded)
                     T(a_clock_that_steps_back_gives_nothing))
