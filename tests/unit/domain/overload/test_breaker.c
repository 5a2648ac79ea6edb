/* SPDX-License-Identifier: Apache-2.0 */
/* The breaker in virtual time. */
#include "domain/overload/breaker.h"

#include "shared/rng.h"

#include "harness.h"

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

static struct px_breaker breaker;
static uint64_t now_ns;

static void set_up(const struct px_breaker_policy *policy)
{
    struct px_breaker_policy usual = px_breaker_policy_default();
    px_breaker_init(&breaker, policy ? policy : &usual);
    now_ns = 1000 * S;
}

/* One that passes, takes so long and ends so. */
static enum px_breaker_verdict ask(enum px_breaker_outcome outcome, uint64_t took_ns)
{
    struct px_breaker_ticket ticket;
    enum px_breaker_verdict verdict = px_breaker_enter(&breaker, now_ns, &ticket);
    now_ns += took_ns;
    if (verdict != PX_BREAKER_REFUSED)
        px_breaker_leave(&breaker, &ticket, outcome, now_ns);
    return verdict;
}

static void ask_often(unsigned n, enum px_breaker_outcome outcome)
{
    for (unsigned i = 0; i < n; i++)
        ask(outcome, MS);
}

static void open_it(void)
{
    ask_often(5, PX_BREAKER_FAILED);
    CHECK_INT(breaker.state, PX_BREAKER_OPEN);
}

PX_TEST(failures_in_number_and_share_open_it_and_nothing_passes_for_a_while)
{
    set_up(NULL);
    ask_often(4, PX_BREAKER_FAILED);
    CHECK_INT(breaker.state, PX_BREAKER_CLOSED);
    ask(PX_BREAKER_FAILED, MS);
    CHECK_INT(breaker.state, PX_BREAKER_OPEN);
    CHECK_INT(breaker.reason, PX_BREAKER_FAILURES);
    CHECK(breaker.tripped.failed == 5 && breaker.tripped.n == 5); /* the last one too */
    CHECK_INT(px_breaker_retry_ns(&breaker, now_ns), 5 * S);
    CHECK(px_breaker_is_open(&breaker, now_ns));
    CHECK_INT(ask(PX_BREAKER_SUCCEEDED, MS), PX_BREAKER_REFUSED);
    CHECK_INT(breaker.n_refused, 1);
    now_ns += 5 * S;
    CHECK(!px_breaker_is_open(&breaker, now_ns));
    CHECK_INT(px_breaker_retry_ns(&breaker, now_ns), 0);
}

PX_TEST(many_failures_among_many_more_successes_do_not_open_it)
{
    set_up(NULL);
    for (unsigned i = 0; i < 1000; i++) {
        ask_often(3, PX_BREAKER_SUCCEEDED);
        ask_often(2, PX_BREAKER_FAILED);
    }
    CHECK_INT(breaker.state, PX_BREAKER_CLOSED);
    CHECK(breaker.now.failed > 100);
}

PX_TEST(failures_of_long_ago_are_forgotten)
{
    set_up(NULL);
    for (unsigned i = 0; i < 100; i++) {
        ask(PX_BREAKER_FAILED, MS);
        now_ns += 3 * S; /* at most four in the window */
    }
    CHECK_INT(breaker.state, PX_BREAKER_CLOSED);
    now_ns += 3600 * S;
    ask(PX_BREAKER_SUCCEEDED, MS);
    CHECK_INT(breaker.now.n, 1);
    CHECK_INT(breaker.now.failed, 0);
}

PX_TEST(a_window_of_outcomes_holds_the_latest)
{
    struct px_breaker_policy policy = px_breaker_policy_default();
    policy.window_calls = 10;
    set_up(&policy);
    ask_often(4, PX_BREAKER_FAILED);
    now_ns += 3600 * S; /* time does not matter */
    CHECK_INT(breaker.now.failed, 4);
    ask_often(8, PX_BREAKER_SUCCEEDED);
    CHECK_INT(breaker.now.n, 10);
    CHECK_INT(breaker.now.failed, 2);
    ask_often(5, PX_BREAKER_FAILED); /* of 10 that succeeded only 5 are left */
    CHECK_INT(breaker.state, PX_BREAKER_OPEN);
}

PX_TEST(slow_answers_open_it_and_slow_probes_keep_it_open)
{
    struct px_breaker_policy policy = px_breaker_policy_default();
    policy.slow_ns = 100 * MS;
    set_up(&policy);
    ask_often(1, PX_BREAKER_SUCCEEDED);
    for (unsigned i = 0; i < 5; i++)
        ask(PX_BREAKER_SUCCEEDED, 100 * MS);
    CHECK_INT(breaker.state, PX_BREAKER_OPEN);
    CHECK_INT(breaker.reason, PX_BREAKER_SLOWNESS);
    now_ns += 5 * S;
    CHECK_INT(ask(PX_BREAKER_SUCCEEDED, 200 * MS), PX_BREAKER_PROBES);
    CHECK_INT(breaker.state, PX_BREAKER_OPEN);
    CHECK_INT(breaker.reason, PX_BREAKER_PROBE);
}

PX_TEST(only_so_many_probes_pass_and_all_must_be_good)
{
    struct px_breaker_ticket tickets[3], more;
    set_up(NULL);
    open_it();
    now_ns += 5 * S;
    for (unsigned i = 0; i < 3; i++)
        CHECK_INT(px_breaker_enter(&breaker, now_ns, &tickets[i]), PX_BREAKER_PROBES);
    CHECK_INT(breaker.state, PX_BREAKER_HALF_OPEN);
    CHECK_INT(px_breaker_enter(&breaker, now_ns, &more), PX_BREAKER_REFUSED);
    px_breaker_leave(&breaker, &tickets[0], PX_BREAKER_SUCCEEDED, now_ns);
    px_breaker_leave(&breaker, &tickets[1], PX_BREAKER_UNKNOWN, now_ns); /* its client left */
    CHECK_INT(px_breaker_enter(&breaker, now_ns, &tickets[1]), PX_BREAKER_PROBES);
    px_breaker_leave(&breaker, &tickets[1], PX_BREAKER_SUCCEEDED, now_ns);
    CHECK_INT(breaker.state, PX_BREAKER_HALF_OPEN);
    px_breaker_leave(&breaker, &tickets[2], PX_BREAKER_SUCCEEDED, now_ns);
    CHECK_INT(breaker.state, PX_BREAKER_CLOSED);
    CHECK_INT(breaker.n_probes, 4);
}

PX_TEST(probes_that_never_come_back_count_as_failed)
{
    struct px_breaker_ticket lost[3], late;
    set_up(NULL);
    open_it();
    now_ns += 5 * S;
    for (unsigned i = 0; i < 3; i++)
        CHECK_INT(px_breaker_enter(&breaker, now_ns, &lost[i]), PX_BREAKER_PROBES);
    now_ns += 5 * S;
    CHECK_INT(px_breaker_enter(&breaker, now_ns, &late), PX_BREAKER_REFUSED);
    CHECK_INT(breaker.reason, PX_BREAKER_SILENCE);
    now_ns += 10 * S; /* twice the time before */
    CHECK_INT(px_breaker_enter(&breaker, now_ns, &late), PX_BREAKER_PROBES);
    px_breaker_leave(&breaker, &lost[0], PX_BREAKER_FAILED, now_ns); /* of another era */
    CHECK_INT(breaker.state, PX_BREAKER_HALF_OPEN);
}

PX_TEST(probes_that_come_seldom_close_it_all_the_same)
{
    set_up(NULL);
    open_it();
    for (int i = 0; i < 3; i++) {
        now_ns += 60 * S;
        CHECK(!px_breaker_is_open(&breaker, now_ns));
        CHECK_INT(px_breaker_retry_ns(&breaker, now_ns), 0);
        px_breaker_advance(&breaker, now_ns);
        CHECK_INT(ask(PX_BREAKER_SUCCEEDED, MS), PX_BREAKER_PROBES);
    }
    CHECK_INT(breaker.state, PX_BREAKER_CLOSED);
    CHECK_INT(breaker.n_opened, 1);
    CHECK_INT(breaker.n_refused, 0);
}

PX_TEST(time_alone_ends_probes_that_do_not_come_back)
{
    set_up(NULL);
    open_it();
    px_breaker_advance(&breaker, now_ns + 100 * S); /* of an open one it changes nothing */
    CHECK_INT(breaker.state, PX_BREAKER_OPEN);
    now_ns += 5 * S;
    struct px_breaker_ticket ticket;
    for (int i = 0; i < 3; i++)
        CHECK_INT(px_breaker_enter(&breaker, now_ns, &ticket), PX_BREAKER_PROBES);
    px_breaker_advance(&breaker, now_ns + 5 * S - 1);
    CHECK_INT(breaker.state, PX_BREAKER_HALF_OPEN);
    px_breaker_advance(&breaker, now_ns + 5 * S);
    CHECK_INT(breaker.state, PX_BREAKER_OPEN);
    CHECK_INT(breaker.reason, PX_BREAKER_SILENCE);
    CHECK_INT(px_breaker_retry_ns(&breaker, now_ns + 5 * S), 10 * S);
}

PX_TEST(good_news_from_elsewhere_let_probes_come_and_nothing_more)
{
    set_up(NULL);
    px_breaker_probe_now(&breaker, now_ns);
    CHECK_INT(breaker.state, PX_BREAKER_CLOSED);
    open_it();
    px_breaker_probe_now(&breaker, now_ns);
    CHECK_INT(ask(PX_BREAKER_FAILED, MS), PX_BREAKER_PROBES);
    CHECK_INT(px_breaker_retry_ns(&breaker, now_ns), 10 * S); /* the row goes on */
    px_breaker_probe_now(&breaker, now_ns);
    for (int i = 0; i < 3; i++)
        CHECK_INT(ask(PX_BREAKER_SUCCEEDED, MS), PX_BREAKER_PROBES);
    CHECK_INT(breaker.state, PX_BREAKER_CLOSED);
}

PX_TEST(each_trip_in_a_row_takes_twice_as_long_up_to_the_most)
{
    static const uint64_t seconds[] = {5, 10, 20, 40, 60, 60};
    set_up(NULL);
    open_it();
    for (unsigned i = 0; i < PX_ARRAY_LEN(seconds); i++) {
        CHECK_INT(px_breaker_retry_ns(&breaker, now_ns), seconds[i] * S);
        now_ns += seconds[i] * S;
        ask(PX_BREAKER_FAILED, 0);
        CHECK_INT(breaker.n_opened, i + 2);
    }
}

static void close_it(void)
{
    now_ns += px_breaker_retry_ns(&breaker, now_ns);
    ask_often(3, PX_BREAKER_SUCCEEDED);
    CHECK_INT(breaker.state, PX_BREAKER_CLOSED);
}

PX_TEST(one_that_trips_soon_after_it_closed_goes_on_with_the_row)
{
    set_up(NULL);
    open_it();
    close_it();
    now_ns += 2 * S;
    open_it();
    CHECK_INT(px_breaker_retry_ns(&breaker, now_ns), 10 * S);
    close_it();
    now_ns += 11 * S; /* longer than it was open */
    open_it();
    CHECK_INT(px_breaker_retry_ns(&breaker, now_ns), 5 * S);
}

PX_TEST(what_was_begun_before_the_trip_says_nothing_after_it)
{
    struct px_breaker_ticket old;
    set_up(NULL);
    CHECK_INT(px_breaker_enter(&breaker, now_ns, &old), PX_BREAKER_PASSED);
    open_it();
    close_it();
    px_breaker_leave(&breaker, &old, PX_BREAKER_FAILED, now_ns);
    CHECK_INT(breaker.now.n, 0);
}

PX_TEST(tiny_deadlines_of_clients_do_not_open_it)
{
    set_up(NULL);
    for (unsigned i = 0; i < 20; i++)
        ask(PX_BREAKER_SUCCEEDED, 10 * MS);
    for (unsigned i = 0; i < 1000; i++)
        ask(PX_BREAKER_LATE, 5 * MS);
    CHECK_INT(breaker.state, PX_BREAKER_CLOSED);
    CHECK_INT(breaker.now.failed, 0);
    now_ns += 10 * S;
    for (unsigned i = 0; i < 5; i++)
        ask(PX_BREAKER_LATE, 50 * MS); /* good ones were there after 10 */
    CHECK_INT(breaker.state, PX_BREAKER_OPEN);
}

PX_TEST(codes_that_are_not_the_engine_s_fault_do_not_count)
{
    CHECK_INT(px_breaker_judge(PX_OK), PX_BREAKER_SUCCEEDED);
    CHECK_INT(px_breaker_judge(PX_E_INVALID), PX_BREAKER_UNKNOWN);
    CHECK_INT(px_breaker_judge(PX_E_CANCELLED), PX_BREAKER_UNKNOWN);
    CHECK_INT(px_breaker_judge(PX_E_OVERLOADED), PX_BREAKER_UNKNOWN);
    CHECK_INT(px_breaker_judge(PX_E_TOO_LARGE), PX_BREAKER_UNKNOWN);
    CHECK_INT(px_breaker_judge(PX_E_UNAVAILABLE), PX_BREAKER_FAILED);
    CHECK_INT(px_breaker_judge(PX_E_INTERNAL), PX_BREAKER_FAILED);
    CHECK_INT(px_breaker_judge(PX_E_DEADLINE), PX_BREAKER_LATE);
}

/* Whatever comes: probes are bounded, the window adds up, and it never stays open for longer than it says. */
PX_TEST(nothing_that_happens_breaks_its_bounds)
{
    enum { HELD = 32 };
    struct px_breaker_ticket held[HELD] = {0};
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct px_rng rng = px_rng(seed);
        struct px_breaker_policy policy = px_breaker_policy_default();
        policy.window_calls = (unsigned)(px_rng_below(&rng, 3) * 7);
        policy.slow_ns = px_rng_below(&rng, 2) * 300 * MS;
        policy.failures = 1 + (unsigned)(px_rng_below(&rng, 8));
        set_up(&policy);
        memset(held, 0, sizeof held);
        for (unsigned step = 0; step < 500; step++) {
            struct px_breaker_ticket *ticket = &held[px_rng_below(&rng, HELD)];
            now_ns += px_rng_below(&rng, (400 * MS));
            if (ticket->era)
                px_breaker_leave(&breaker, ticket, (enum px_breaker_outcome)px_rng_below(&rng, 4),
                                 now_ns);
            ticket->era = 0;
            if (px_rng_below(&rng, 2))
                (void)!px_breaker_enter(&breaker, now_ns, ticket);
            CHECK(breaker.probing + breaker.good <= policy.probes);
            CHECK(breaker.now.failed + breaker.now.slow <= breaker.now.n);
            CHECK(breaker.now.n <= 500);
            CHECK(px_breaker_retry_ns(&breaker, now_ns) <= policy.open_max_ns);
            CHECK(breaker.state == PX_BREAKER_CLOSED || breaker.now.n == 0);
        }
    }
}

PX_TEST_MAIN(
    T(failures_in_number_and_share_open_it_and_nothing_passes_for_a_while)
        T(many_failures_among_many_more_successes_do_not_open_it)
            T(failures_of_long_ago_are_forgotten) T(a_window_of_outcomes_holds_the_latest)
                T(slow_answers_open_it_and_slow_probes_keep_it_open)
                    T(only_so_many_probes_pass_and_all_must_be_good)
                        T(probes_that_never_come_back_count_as_failed)
                            T(probes_that_come_seldom_close_it_all_the_same)
                                T(time_alone_ends_probes_that_do_not_come_back) T(
                                    good_news_from_elsewhere_let_probes_come_and_nothing_more)
                                    T(each_trip_in_a_row_takes_twice_as_long_up_to_the_most) T(
                                        one_that_trips_soon_after_it_closed_goes_on_with_the_row)
                                        T(what_was_begun_before_the_trip_says_nothing_after_it)
                                            T(tiny_deadlines_of_clients_do_not_open_it) T(
                                                codes_that_are_not_the_engine_s_fault_do_not_count)
                                                T(nothing_that_happens_breaks_its_bounds))
