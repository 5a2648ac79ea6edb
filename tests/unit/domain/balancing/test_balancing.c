/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing and ejecting endpoints, in virtual time. */
#include "domain/balancing/balancing.h"

#include "harness.h"
#include "shared/rng.h"

#define S UINT64_C(1000000000)

static struct px_balancer make(size_t n, enum px_balance balance)
{
    struct px_balancer self;
    struct px_ejection_rules rules = px_ejection_rules_default();
    px_balancer_init(&self, n, balance, &rules, 0);
    return self;
}

static void fail(struct px_balancer *self, size_t index, unsigned times, uint64_t now_ns)
{
    for (unsigned i = 0; i < times; i++) {
        px_balancer_begin(self, index);
        px_balancer_end(self, index, PX_ENDPOINT_FAILED, now_ns);
    }
}

static void succeed(struct px_balancer *self, size_t index, unsigned times, uint64_t now_ns)
{
    for (unsigned i = 0; i < times; i++) {
        px_balancer_begin(self, index);
        px_balancer_end(self, index, PX_ENDPOINT_SUCCEEDED, now_ns);
    }
}

PX_TEST(least_outstanding_takes_the_idlest)
{
    struct px_balancer self = make(3, PX_BALANCE_LEAST_OUTSTANDING);
    px_balancer_begin(&self, 0);
    px_balancer_begin(&self, 2);
    for (uint64_t random = 0; random < 9; random++)
        CHECK_INT(px_balancer_pick(&self, 0, random, 0), 1);
    px_balancer_begin(&self, 1);
    px_balancer_begin(&self, 1);
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
    px_balancer_begin(&self, 3);
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

PX_TEST(errors_in_a_row_eject_and_a_success_between_them_does_not)
{
    struct px_balancer self = make(3, PX_BALANCE_LEAST_OUTSTANDING);
    fail(&self, 0, 4, 0);
    succeed(&self, 0, 1, 0);
    fail(&self, 0, 4, 0);
    CHECK(px_balancer_is_available(&self, 0, 0));
    fail(&self, 0, 1, 0);
    CHECK(!px_balancer_is_available(&self, 0, 0));
    CHECK(!px_balancer_is_available(&self, 0, 30 * S - 1));
    CHECK(px_balancer_is_available(&self, 0, 30 * S));
    CHECK_INT(self.list[0].n_ejections, 1);
    CHECK_INT(self.list[0].n_failures, 9);
}

PX_TEST(what_was_abandoned_is_no_error)
{
    struct px_balancer self = make(2, PX_BALANCE_LEAST_OUTSTANDING);
    for (int i = 0; i < 50; i++) {
        px_balancer_begin(&self, 0);
        px_balancer_end(&self, 0, PX_ENDPOINT_ABANDONED, 0);
    }
    CHECK(px_balancer_is_available(&self, 0, 0));
    CHECK_INT(self.list[0].outstanding, 0);
    CHECK_INT(self.list[0].n_interval, 0);
}

PX_TEST(each_ejection_in_a_row_is_longer_up_to_the_cap)
{
    struct px_balancer self = make(2, PX_BALANCE_LEAST_OUTSTANDING);
    uint64_t now = 0;
    for (unsigned i = 1; i <= 15; i++) {
        fail(&self, 0, 5, now);
        uint64_t time = (i < 10 ? i : 10) * 30 * S;
        CHECK_INT(self.list[0].ejected_until_ns - now, time);
        now += time;
    }
}

PX_TEST(quiet_intervals_make_the_next_ejection_shorter)
{
    struct px_balancer self = make(2, PX_BALANCE_LEAST_OUTSTANDING);
    fail(&self, 0, 5, 0);
    fail(&self, 0, 5, 30 * S);
    CHECK_INT(self.list[0].ejections_in_a_row, 2);
    uint64_t now = 90 * S;              /* 30 + 2 * 30 */
    px_balancer_pick(&self, 0, 0, now); /* ends the interval of the ejection itself */
    for (int i = 1; i < 4; i++)
        px_balancer_pick(&self, 0, 0, now + (uint64_t)i * 10 * S);
    CHECK_INT(self.list[0].ejections_in_a_row, 0);
    fail(&self, 0, 5, now + 40 * S);
    CHECK_INT(self.list[0].ejected_until_ns, now + 70 * S);
}

PX_TEST(one_endpoint_always_stays)
{
    struct px_balancer self = make(2, PX_BALANCE_LEAST_OUTSTANDING);
    self.rules.ejected_max_percent = 100;
    fail(&self, 0, 5, 0);
    fail(&self, 1, 50, 0);
    CHECK(!px_balancer_is_available(&self, 0, 0));
    CHECK(px_balancer_is_available(&self, 1, 0));
    self = make(1, PX_BALANCE_LEAST_OUTSTANDING);
    fail(&self, 0, 50, 0);
    CHECK(px_balancer_is_available(&self, 0, 0));
}

PX_TEST(no_more_are_ejected_than_the_percentage)
{
    struct px_balancer self = make(10, PX_BALANCE_LEAST_OUTSTANDING);
    self.rules.ejected_max_percent = 30;
    for (size_t i = 0; i < 10; i++)
        fail(&self, i, 5, 0);
    size_t n_out = 0;
    for (size_t i = 0; i < 10; i++)
        n_out += !px_balancer_is_available(&self, i, 0);
    CHECK_INT(n_out, 3);
    self = make(10, PX_BALANCE_LEAST_OUTSTANDING);
    self.rules.ejected_max_percent = 0;
    fail(&self, 4, 5, 0);
    CHECK(!px_balancer_is_available(&self, 4, 0)); /* one may be out whatever the percentage says */
}

PX_TEST(a_low_success_rate_is_ejected_at_the_end_of_the_interval)
{
    struct px_balancer self = make(6, PX_BALANCE_POWER_OF_TWO);
    for (size_t i = 0; i < 6; i++) {
        for (int k = 0; k < 40; k++) {
            succeed(&self, i, 3, S); /* never 5 errors in a row */
            fail(&self, i, i == 2 ? 4 : 0, S);
        }
    }
    px_balancer_pick(&self, 0, 0, 9 * S);
    CHECK(px_balancer_is_available(&self, 2, 9 * S));
    px_balancer_pick(&self, 0, 0, 10 * S);
    for (size_t i = 0; i < 6; i++)
        CHECK(px_balancer_is_available(&self, i, 10 * S) == (i != 2));
}

PX_TEST(few_requests_say_nothing_about_a_rate)
{
    struct px_balancer self = make(6, PX_BALANCE_POWER_OF_TWO);
    for (size_t i = 0; i < 6; i++) {
        for (int k = 0; k < 10; k++) {
            succeed(&self, i, 1, S);
            fail(&self, i, i == 2 ? 4 : 0, S);
        }
    }
    px_balancer_pick(&self, 0, 0, 10 * S);
    CHECK(px_balancer_is_available(&self, 2, 10 * S));
}

PX_TEST(all_that_fail_alike_stay)
{
    struct px_balancer self = make(6, PX_BALANCE_POWER_OF_TWO);
    for (size_t i = 0; i < 6; i++) {
        for (int k = 0; k < 60; k++) {
            succeed(&self, i, 1, S);
            fail(&self, i, 1, S);
        }
    }
    px_balancer_pick(&self, 0, 0, 10 * S);
    for (size_t i = 0; i < 6; i++)
        CHECK(px_balancer_is_available(&self, i, 10 * S));
}

PX_TEST(an_unhealthy_endpoint_gets_nothing_unless_all_are)
{
    struct px_balancer self = make(3, PX_BALANCE_POWER_OF_TWO);
    px_balancer_set_health(&self, 0, false);
    px_balancer_set_health(&self, 1, false);
    for (uint64_t random = 0; random < 50; random++)
        CHECK_INT(px_balancer_pick(&self, 0, random, 0), 2);
    px_balancer_set_health(&self, 2, false);
    unsigned seen = 0;
    for (uint64_t random = 0; random < 50; random++)
        seen |= 1u << px_balancer_pick(&self, 0, random | (random << 32), 0);
    CHECK_INT(seen, 7);
}

PX_TEST(a_passed_check_ends_the_ejection)
{
    struct px_balancer self = make(2, PX_BALANCE_POWER_OF_TWO);
    fail(&self, 0, 5, 0);
    CHECK(!px_balancer_is_available(&self, 0, S));
    px_balancer_set_health(&self, 0, true);
    CHECK(px_balancer_is_available(&self, 0, S));
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
                errors_in_a_row_eject_and_a_success_between_them_does_not)
                T(what_was_abandoned_is_no_error) T(each_ejection_in_a_row_is_longer_up_to_the_cap)
                    T(quiet_intervals_make_the_next_ejection_shorter) T(one_endpoint_always_stays)
                        T(no_more_are_ejected_than_the_percentage) T(
                            a_low_success_rate_is_ejected_at_the_end_of_the_interval)
                            T(few_requests_say_nothing_about_a_rate) T(all_that_fail_alike_stay) T(
                                an_unhealthy_endpoint_gets_nothing_unless_all_are)
                                T(a_passed_check_ends_the_ejection) T(
                                    a_key_stays_with_its_endpoint_and_only_keys_of_a_lost_one_move))
