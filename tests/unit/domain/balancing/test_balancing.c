/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing endpoints and leaving them out, in virtual time. */
#include "domain/balancing/balancing.h"

#include "harness.h"
#include "shared/rng.h"

#define S UINT64_C(1000000000)

static struct px_breaker breakers[PX_ENDPOINTS_MAX]; /* of the balancer that was made last */

/* Two failures of the latest four open for ten seconds, then for twenty; what takes a second is slow; two probes. */
static const struct px_breaker_policy policy = {.window_calls = 4,
                                                .failures = 2,
                                                .failure_rate = 0.5,
                                                .slow_ns = S,
                                                .slow_rate = 0.5,
                                                .open_ns = 10 * S,
                                                .open_max_ns = 60 * S,
                                                .probes = 2};

static struct px_balancer make(size_t n, enum px_balance balance)
{
    struct px_balancer self;
    for (size_t i = 0; i < n; i++)
        px_breaker_init(&breakers[i], &policy);
    px_balancer_init(&self, n, balance, breakers);
    return self;
}

static void begin(struct px_balancer *self, size_t index)
{
    struct px_breaker_ticket ticket;
    px_balancer_begin(self, index, 0, &ticket);
}

static void ask(struct px_balancer *self, size_t index, uint64_t took_ns,
                enum px_breaker_outcome outcome, uint64_t now_ns)
{
    struct px_breaker_ticket ticket;
    px_balancer_begin(self, index, now_ns, &ticket);
    px_balancer_end(self, index, &ticket, outcome, now_ns + took_ns);
}

static void fail(struct px_balancer *self, size_t index, unsigned times, uint64_t now_ns)
{
    for (unsigned i = 0; i < times; i++)
        ask(self, index, 0, PX_BREAKER_FAILED, now_ns);
}

/* The endpoints that are picked at that time, as a set. */
static uint64_t picked(struct px_balancer *self, uint64_t tried, uint64_t now_ns)
{
    struct px_rng rng = px_rng(7);
    uint64_t seen = 0;
    for (int i = 0; i < 200; i++) {
        size_t index = px_balancer_pick(self, tried, px_rng_u64(&rng), now_ns);
        if (index == PX_ENDPOINT_NONE)
            return 0;
        seen |= UINT64_C(1) << index;
    }
    return seen;
}

PX_TEST(least_outstanding_takes_the_idlest)
{
    struct px_balancer self = make(3, PX_BALANCE_LEAST_OUTSTANDING);
    begin(&self, 0);
    begin(&self, 2);
    for (uint64_t random = 0; random < 9; random++)
        CHECK_INT(px_balancer_pick(&self, 0, random, 0), 1);
    begin(&self, 1);
    begin(&self, 1);
    for (uint64_t random = 0; random < 9; random++)
        CHECK(px_balancer_pick(&self, 0, random, 0) != 1);
}

PX_TEST(ties_are_shared)
{
    static const enum px_balance both[] = {PX_BALANCE_POWER_OF_TWO, PX_BALANCE_LEAST_OUTSTANDING};
    for (size_t b = 0; b < 2; b++) {
        struct px_balancer self = make(4, both[b]);
        struct px_rng rng = px_rng(1);
        unsigned counts[4] = {0};
        for (int i = 0; i < 4000; i++)
            counts[px_balancer_pick(&self, 0, px_rng_u64(&rng), 0)]++;
        for (size_t i = 0; i < 4; i++)
            CHECK(counts[i] > 850 && counts[i] < 1150);
    }
}

PX_TEST(power_of_two_never_takes_the_busiest_of_all)
{
    struct px_balancer self = make(5, PX_BALANCE_POWER_OF_TWO);
    struct px_rng rng = px_rng(2);
    begin(&self, 3);
    bool seen[5] = {false};
    for (int i = 0; i < 1000; i++)
        seen[px_balancer_pick(&self, 0, px_rng_u64(&rng), 0)] = true;
    CHECK(!seen[3] && seen[0] && seen[1] && seen[2] && seen[4]);
}

PX_TEST(a_retry_goes_elsewhere_while_there_is_an_elsewhere)
{
    struct px_balancer self = make(2, PX_BALANCE_POWER_OF_TWO);
    for (uint64_t random = 0; random < 20; random++) {
        CHECK_INT(px_balancer_pick(&self, 1, random, 0), 1);
        CHECK_INT(px_balancer_pick(&self, 2, random, 0), 0);
        CHECK(px_balancer_pick(&self, 3, random, 0) < 2);
    }
}

PX_TEST(sixty_four_endpoints_and_one)
{
    struct px_balancer self = make(64, PX_BALANCE_POWER_OF_TWO);
    struct px_rng rng = px_rng(3);
    uint64_t seen = 0;
    for (int i = 0; i < 5000; i++)
        seen |= UINT64_C(1) << px_balancer_pick(&self, 0, px_rng_u64(&rng), 0);
    CHECK(seen == UINT64_MAX);
    CHECK_INT(px_balancer_pick(&self, ~(UINT64_C(1) << 63), 12345, 0), 63);
    self = make(1, PX_BALANCE_POWER_OF_TWO);
    CHECK_INT(px_balancer_pick(&self, 1, UINT64_MAX, 0), 0);
}

PX_TEST(one_that_fails_is_left_out_and_probed_after_its_time)
{
    struct px_balancer self = make(3, PX_BALANCE_LEAST_OUTSTANDING);
    struct px_breaker_ticket a, b;
    fail(&self, 0, 1, 0);
    CHECK(px_balancer_is_available(&self, 0, 0));
    fail(&self, 0, 1, 0);
    CHECK(!px_balancer_is_available(&self, 0, 0));
    CHECK_INT(picked(&self, 0, 10 * S - 1), 6);
    CHECK_INT(picked(&self, 0, 10 * S), 7);
    px_balancer_begin(&self, 0, 10 * S, &a);
    px_balancer_begin(&self, 0, 10 * S, &b);
    CHECK_INT(picked(&self, 0, 10 * S), 6); /* both probes are on their way */
    px_balancer_end(&self, 0, &a, PX_BREAKER_SUCCEEDED, 10 * S);
    px_balancer_end(&self, 0, &b, PX_BREAKER_SUCCEEDED, 10 * S);
    CHECK_INT(breakers[0].state, PX_BREAKER_CLOSED);
    CHECK_INT(picked(&self, 0, 10 * S), 7);
    CHECK_INT(self.list[0].n_failures, 2);
    CHECK_INT(self.list[0].n_requests, 4);
    CHECK_INT(self.list[0].outstanding, 0);
}

PX_TEST(one_that_is_slow_is_left_out_like_one_that_fails)
{
    struct px_balancer self = make(2, PX_BALANCE_POWER_OF_TWO);
    ask(&self, 1, S, PX_BREAKER_SUCCEEDED, 0);
    ask(&self, 1, S - 1, PX_BREAKER_SUCCEEDED, 0);
    CHECK_INT(picked(&self, 0, S), 3);
    ask(&self, 1, S, PX_BREAKER_SUCCEEDED, 0);
    CHECK_INT(picked(&self, 0, S), 1);
    CHECK_INT(breakers[1].reason, PX_BREAKER_SLOWNESS);
    CHECK_INT(self.list[1].n_failures, 0);
}

PX_TEST(one_that_never_answers_is_left_out_by_what_was_broken_off)
{
    struct px_balancer self = make(2, PX_BALANCE_POWER_OF_TWO);
    for (int i = 0; i < 9; i++)
        ask(&self, 0, S / 2, PX_BREAKER_LATE, 0); /* too early to say */
    CHECK_INT(picked(&self, 0, S), 3);
    ask(&self, 0, S, PX_BREAKER_LATE, 0);
    ask(&self, 0, S, PX_BREAKER_LATE, 0);
    CHECK_INT(picked(&self, 0, S), 2);
    CHECK_INT(self.list[0].n_late, 11);
}

PX_TEST(probes_that_do_not_come_back_do_not_leave_it_out_for_ever)
{
    struct px_balancer self = make(1, PX_BALANCE_POWER_OF_TWO);
    struct px_breaker_ticket late[2], good;
    fail(&self, 0, 2, 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(px_balancer_pick(&self, 0, 0, 10 * S), 0);
        px_balancer_begin(&self, 0, 10 * S, &late[i]);
    }
    CHECK_INT(picked(&self, 0, 20 * S), 0); /* silence: open again, for twice as long */
    CHECK_INT(breakers[0].reason, PX_BREAKER_SILENCE);
    CHECK_INT(px_balancer_retry_ns(&self, 20 * S), 20 * S);
    CHECK_INT(picked(&self, 0, 40 * S), 1);
    for (int i = 0; i < 2; i++)
        px_balancer_end(&self, 0, &late[i], PX_BREAKER_FAILED, 41 * S); /* of an era that is over */
    for (int i = 0; i < 2; i++) {
        CHECK_INT(px_balancer_pick(&self, 0, 0, 42 * S), 0);
        px_balancer_begin(&self, 0, 42 * S, &good);
        px_balancer_end(&self, 0, &good, PX_BREAKER_SUCCEEDED, 42 * S);
    }
    CHECK_INT(breakers[0].state, PX_BREAKER_CLOSED);
}

PX_TEST(what_was_abandoned_is_no_error)
{
    struct px_balancer self = make(2, PX_BALANCE_LEAST_OUTSTANDING);
    for (int i = 0; i < 50; i++)
        ask(&self, 0, 5 * S, PX_BREAKER_UNKNOWN, 0);
    CHECK(px_balancer_is_available(&self, 0, 0));
    CHECK_INT(self.list[0].outstanding, 0);
    CHECK_INT(self.list[0].n_failures, 0);
}

PX_TEST(when_all_are_open_none_is_asked_until_the_first_may_be)
{
    struct px_balancer self = make(3, PX_BALANCE_POWER_OF_TWO);
    CHECK_INT(px_balancer_retry_ns(&self, 0), 0);
    fail(&self, 1, 2, 0);
    fail(&self, 0, 2, 2 * S);
    CHECK(px_balancer_passes(&self, 3 * S));
    fail(&self, 2, 2, 3 * S);
    CHECK(!px_balancer_passes(&self, 3 * S));
    CHECK_INT(picked(&self, 0, 3 * S), 0);
    CHECK(px_balancer_pick_sticky(&self, 0, 9, 3 * S) == PX_ENDPOINT_NONE);
    CHECK_INT(px_balancer_retry_ns(&self, 3 * S), 7 * S);
    CHECK_INT(picked(&self, 0, 10 * S), 2);
    CHECK(px_balancer_passes(&self, 10 * S));
}

PX_TEST(a_retry_never_goes_to_one_that_is_open)
{
    struct px_balancer self = make(3, PX_BALANCE_POWER_OF_TWO);
    fail(&self, 2, 2, 0);
    CHECK_INT(picked(&self, 1, 0), 2);
    CHECK_INT(picked(&self, 3, 0),
              3); /* again to those that were tried, rather than to the open one */
    px_balancer_set_health(&self, 1, false);
    CHECK_INT(picked(&self, 1, 0),
              2); /* one that is thought to be down before one that has just failed */
    CHECK_INT(picked(&self, 3, 0), 1);
}

PX_TEST(without_breakers_nothing_is_left_out_for_failures)
{
    struct px_balancer self;
    px_balancer_init(&self, 2, PX_BALANCE_POWER_OF_TWO, NULL);
    fail(&self, 0, 100, 0);
    fail(&self, 1, 100, 0);
    CHECK_INT(picked(&self, 0, 0), 3);
    CHECK(px_balancer_passes(&self, 0));
    CHECK_INT(px_balancer_retry_ns(&self, 0), 0);
    px_balancer_set_health(&self, 0, false);
    px_balancer_set_health(&self, 0, true);
    CHECK_INT(self.list[0].n_failures, 100);
}

PX_TEST(an_unhealthy_endpoint_gets_nothing_unless_all_are)
{
    struct px_balancer self = make(3, PX_BALANCE_POWER_OF_TWO);
    px_balancer_set_health(&self, 0, false);
    px_balancer_set_health(&self, 1, false);
    CHECK_INT(picked(&self, 0, 0), 4);
    px_balancer_set_health(&self, 2, false);
    CHECK_INT(picked(&self, 0, 0), 7);
    fail(&self, 1, 2, 0);
    CHECK_INT(picked(&self, 0, 0), 5); /* the guess is not made where it was tried */
}

PX_TEST(a_check_that_passes_again_lets_probes_come_at_once)
{
    struct px_balancer self = make(2, PX_BALANCE_POWER_OF_TWO);
    fail(&self, 0, 2, 0);
    px_balancer_set_health(&self, 0, true); /* as ever: nothing has changed */
    CHECK(!px_balancer_is_available(&self, 0, S));
    px_balancer_probe_now(&self, 0, 3 * S);
    CHECK_INT(breakers[0].state, PX_BREAKER_OPEN);
    CHECK_INT(picked(&self, 0, 3 * S), 3);
    fail(&self, 0, 1, 3 * S); /* the probe fails: open again, and for longer */
    CHECK_INT(px_breaker_retry_ns(&breakers[0], 3 * S), 20 * S);
}

PX_TEST(a_key_stays_with_its_endpoint_and_only_keys_of_a_lost_one_move)
{
    struct px_balancer self = make(5, PX_BALANCE_POWER_OF_TWO);
    size_t before[500], n_of[5] = {0};
    for (uint64_t key = 0; key < 500; key++) {
        before[key] = px_balancer_pick_sticky(&self, 0, key, 0);
        n_of[before[key]]++;
    }
    for (size_t i = 0; i < 5; i++)
        CHECK(n_of[i] > 60);
    px_balancer_set_health(&self, 3, false);
    for (uint64_t key = 0; key < 500; key++) {
        size_t now = px_balancer_pick_sticky(&self, 0, key, 0);
        CHECK(now != 3);
        CHECK(before[key] == 3 || now == before[key]);
    }
}

PX_TEST_MAIN(
    T(least_outstanding_takes_the_idlest) T(ties_are_shared)
        T(power_of_two_never_takes_the_busiest_of_all)
            T(a_retry_goes_elsewhere_while_there_is_an_elsewhere) T(sixty_four_endpoints_and_one) T(
                one_that_fails_is_left_out_and_probed_after_its_time)
                T(one_that_is_slow_is_left_out_like_one_that_fails) T(
                    one_that_never_answers_is_left_out_by_what_was_broken_off)
                    T(probes_that_do_not_come_back_do_not_leave_it_out_for_ever) T(
                        what_was_abandoned_is_no_error)
                        T(when_all_are_open_none_is_asked_until_the_first_may_be) T(
                            a_retry_never_goes_to_one_that_is_open)
                            T(without_breakers_nothing_is_left_out_for_failures) T(
                                an_unhealthy_endpoint_gets_nothing_unless_all_are)
                                T(a_check_that_passes_again_lets_probes_come_at_once) T(
                                    a_key_stays_with_its_endpoint_and_only_keys_of_a_lost_one_move))
