/* SPDX-License-Identifier: Apache-2.0 */
/* What is expected of a model: by the hour, after a burst, after silence, when clocks jump. */
#include "domain/residency/forecast.h"
#include "shared/rng.h"

#include "harness.h"

#include <math.h>

#define MINUTE UINT64_C(60000000000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* A Sunday in 2026, midnight UTC. */
static const uint64_t midnight = UINT64_C(20000) * DAY;

/* Looks every five minutes until `until_ns`; `uses` in the first look after `at` past each midnight. */
static uint64_t live(struct px_forecast *f, uint64_t now_ns, uint64_t until_ns, uint64_t at,
                     uint64_t uses)
{
    for (; now_ns < until_ns; now_ns += 5 * MINUTE) {
        bool is_time = now_ns % DAY >= at && now_ns % DAY < at + 5 * MINUTE;
        px_forecast_note(f, is_time ? uses : 0, now_ns);
    }
    return now_ns;
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-3 * fmax(1, fabs(b));
}

PX_TEST(nothing_is_expected_of_a_model_that_nobody_knows)
{
    struct px_forecast f = {0};
    CHECK(px_forecast_uses(&f, midnight, HOUR) == 0);
    px_forecast_note(&f, 0, midnight);
    CHECK(px_forecast_uses(&f, midnight + HOUR, HOUR) == 0);
    CHECK(sizeof f <= 128);
}

PX_TEST(a_model_that_is_used_daily_at_nine_is_expected_before_nine)
{
    struct px_forecast f = {0};
    uint64_t now_ns = live(&f, midnight, midnight + 3 * DAY, 9 * HOUR + 20 * MINUTE, 30);
    CHECK(px_forecast_uses(&f, now_ns + 8 * HOUR + 45 * MINUTE, 10 * MINUTE) < 0.1);
    CHECK(is_near(px_forecast_uses(&f, now_ns + 8 * HOUR + 55 * MINUTE, 10 * MINUTE), 2.5));
    CHECK(is_near(px_forecast_uses(&f, now_ns + 8 * HOUR, 3 * HOUR), 30));
    CHECK(px_forecast_uses(&f, now_ns + 11 * HOUR, 10 * MINUTE) < 0.1);
}

PX_TEST(one_day_is_enough_to_be_expected)
{
    struct px_forecast f = {0};
    uint64_t now_ns = live(&f, midnight, midnight + DAY, 9 * HOUR, 6);
    CHECK(is_near(px_forecast_uses(&f, now_ns + 9 * HOUR, HOUR), 6));
}

/* One that comes once in its hour is not given up when that hour begins without it. */
PX_TEST(silence_within_the_usual_hour_is_not_held_against_a_model)
{
    struct px_forecast f = {0};
    uint64_t now_ns = live(&f, midnight, midnight + 2 * DAY, 9 * HOUR + 50 * MINUTE, 1);
    now_ns = live(&f, now_ns, now_ns + 9 * HOUR + 30 * MINUTE, DAY, 0);
    CHECK(is_near(px_forecast_uses(&f, now_ns, 10 * MINUTE), 1.0 / 6));
}

PX_TEST(a_burst_lifts_what_is_expected_and_silence_lets_it_fade)
{
    struct px_forecast f = {0};
    px_forecast_note(&f, 0, midnight);
    px_forecast_note(&f, 600, midnight + MINUTE);
    double after = px_forecast_uses(&f, midnight + MINUTE, 10 * MINUTE);
    CHECK(after > 300 && after < 600);
    double later = px_forecast_uses(&f, midnight + 11 * MINUTE, 10 * MINUTE);
    CHECK(is_near(later, after * exp(-1)));
    for (uint64_t minute = 2; minute <= 11; minute++)
        px_forecast_note(&f, 0, midnight + minute * MINUTE);
    CHECK(is_near(px_forecast_uses(&f, midnight + 11 * MINUTE, 10 * MINUTE), later));
    CHECK(px_forecast_uses(&f, midnight + 3 * HOUR, 10 * MINUTE) < 0.01);
}

PX_TEST(how_often_one_looks_does_not_matter)
{
    struct px_forecast seldom = {0}, often = {0};
    px_forecast_note(&seldom, 0, midnight);
    px_forecast_note(&often, 0, midnight);
    for (uint64_t i = 1; i <= 2400; i++)
        px_forecast_note(&often, 1, midnight + i * MINUTE / 40);
    for (uint64_t i = 1; i <= 3; i++)
        px_forecast_note(&seldom, 800, midnight + i * 20 * MINUTE);
    CHECK(is_near(px_forecast_uses(&often, midnight + HOUR, MINUTE),
                  px_forecast_uses(&seldom, midnight + HOUR, MINUTE)));
}

PX_TEST(a_rhythm_that_ends_is_forgotten_within_days)
{
    struct px_forecast f = {0};
    uint64_t now_ns = live(&f, midnight, midnight + 10 * DAY, 9 * HOUR, 100);
    CHECK(is_near(px_forecast_uses(&f, now_ns + 9 * HOUR, HOUR), 100));
    now_ns = live(&f, now_ns, now_ns + 3 * DAY, DAY, 0);
    double left = px_forecast_uses(&f, now_ns + 9 * HOUR, HOUR);
    CHECK(left > 20 && left < 50);
    now_ns = live(&f, now_ns, now_ns + 20 * DAY, DAY, 0);
    CHECK(px_forecast_uses(&f, now_ns + 9 * HOUR, HOUR) < 1);
}

PX_TEST(a_clock_that_jumps_costs_no_more_than_the_hour_under_way)
{
    struct px_forecast f = {0};
    uint64_t now_ns = live(&f, midnight, midnight + 3 * DAY, 9 * HOUR, 60);
    px_forecast_note(&f, 0, now_ns + 3650 * DAY); /* and back again */
    px_forecast_note(&f, 0, now_ns);
    CHECK(is_near(px_forecast_uses(&f, now_ns + 8 * HOUR + 30 * MINUTE, HOUR), 30));
    px_forecast_note(&f, 0, MINUTE);
    px_forecast_note(&f, 5, 0);
    px_forecast_note(&f, 5, UINT64_MAX);
    double uses = px_forecast_uses(&f, now_ns + 9 * HOUR, HOUR);
    CHECK(isfinite(uses) && uses > 50);
    CHECK(isfinite(px_forecast_uses(&f, 0, UINT64_MAX)));
    CHECK(isfinite(px_forecast_uses(&f, UINT64_MAX, HOUR)));
}

/* A step back by seconds, as of a clock that is corrected, loses nothing. */
PX_TEST(a_clock_that_is_set_back_a_little_loses_nothing)
{
    struct px_forecast f = {0};
    px_forecast_note(&f, 0, midnight + 10 * MINUTE);
    px_forecast_note(&f, 40, midnight + 20 * MINUTE);
    px_forecast_note(&f, 20, midnight + 19 * MINUTE);
    px_forecast_note(&f, 0, midnight + HOUR + MINUTE);
    CHECK(is_near(px_forecast_uses(&f, midnight + DAY, HOUR), 60));
}

PX_TEST(hours_in_which_nobody_looked_say_nothing)
{
    struct px_forecast f = {0};
    uint64_t now_ns = live(&f, midnight, midnight + 4 * DAY, 9 * HOUR, 60);
    for (int night = 0; night < 10; night++) { /* asleep from one to twelve */
        now_ns = live(&f, now_ns, now_ns + HOUR, DAY, 0) + 11 * HOUR;
        now_ns = live(&f, now_ns, now_ns + 12 * HOUR, DAY, 0);
    }
    CHECK(is_near(px_forecast_uses(&f, now_ns + 9 * HOUR, HOUR), 60));
}

PX_TEST(whatever_is_noted_what_is_expected_is_a_number)
{
    struct px_rng rng = px_rng(7);
    struct px_forecast f = {0};
    uint64_t now_ns = midnight;
    for (int i = 0; i < 100000; i++) {
        uint64_t n = px_rng_u64(&rng) >> (px_rng_u64(&rng) % 64);
        if (px_rng_u64(&rng) % 8 == 0)
            now_ns = px_rng_u64(&rng);
        else
            now_ns += px_rng_u64(&rng) % HOUR;
        px_forecast_note(&f, n, now_ns);
        double uses = px_forecast_uses(&f, now_ns + px_rng_u64(&rng) % DAY, px_rng_u64(&rng) % DAY);
        CHECK(uses >= 0 && isfinite(uses));
    }
}

PX_TEST_MAIN(T(nothing_is_expected_of_a_model_that_nobody_knows) T(
    a_model_that_is_used_daily_at_nine_is_expected_before_nine) T(one_day_is_enough_to_be_expected)
                 T(silence_within_the_usual_hour_is_not_held_against_a_model)
                     T(a_burst_lifts_what_is_expected_and_silence_lets_it_fade)
                         T(how_often_one_looks_does_not_matter)
                             T(a_rhythm_that_ends_is_forgotten_within_days)
                                 T(a_clock_that_jumps_costs_no_more_than_the_hour_under_way)
                                     T(a_clock_that_is_set_back_a_little_loses_nothing)
                                         T(hours_in_which_nobody_looked_say_nothing)
                                             T(whatever_is_noted_what_is_expected_is_a_number))
