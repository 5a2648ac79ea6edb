/* SPDX-License-Identifier: Apache-2.0 */
/* What will be used soon comes into memory before it is asked for; who leaves for it, and who does not. */
#include "residency_fixture.h"
#include "shared/alloc.h"

/* Looks happen when a test says so. */
static const struct px_residency_settings watchful = {.load_wait_ns = 3600 * PX_NS_PER_S,
                                                      .preload_ns = 3600 * PX_NS_PER_S};
static bool has_brought;
static uint64_t fail_at, n_allocations;

static void look(struct px_control_job *job)
{
    (void)job;
    uint64_t before = px_alloc_count();
    px_alloc_fail_at(fail_at);
    has_brought = px_residency_preload_next(px_repository_of(serving));
    px_alloc_fail_at(0);
    n_allocations = px_alloc_count() - before;
    sem_post(&loader_is_idle);
}

static bool look_once(void)
{
    static struct px_control_job job = {.run = look, .drop = look};
    CHECK_OK(px_control_give(px_repository_of(serving)->loader, &job, NULL));
    while (sem_wait(&loader_is_idle) != 0) {
    }
    return has_brought;
}

/* As if every hour of many days had been so. */
static void pretend_rhythm(const char *name, float uses_an_hour)
{
    struct px_forecast *forecast = &find(name)->usage.forecast;
    forecast->n_hours = PX_FORECAST_DAYS * PX_FORECAST_HOURS;
    forecast->rate = 0;
    for (int hour = 0; hour < PX_FORECAST_HOURS; hour++)
        forecast->usual[hour] = uses_an_hour;
}

/* Room for two of m0 ... m5, and for `probe`, which stays. */
static void set_up_tight(struct px_residency_settings settings)
{
    settings.memory_max = 1 << 30;
    set_up(settings);
    find("probe")->bytes = 0;
    find("probe")->is_pinned = true;
}

static void put_into_memory(const char *name, float uses_an_hour)
{
    bring(name);
    pretend_size(name);
    pretend_rhythm(name, uses_an_hour);
}

static void use(const char *name)
{
    atomic_fetch_add(&find(name)->metrics[1].requests, 1);
    atomic_store(&find(name)->lanes[1].used_ns, px_clock_monotonic_ns());
}

static uint64_t count_of(const _Atomic uint64_t *count)
{
    return atomic_load(count);
}

PX_TEST(what_will_be_used_comes_most_wanted_first_and_nothing_else)
{
    set_up(watchful);
    CHECK(!look_once());
    pretend_rhythm("m2", 30);
    pretend_rhythm("m4", 60);
    CHECK(look_once());
    CHECK_INT(find("m4")->state, PX_MODEL_READY);
    CHECK_INT(find("m2")->state, PX_MODEL_REGISTERED);
    CHECK(look_once());
    CHECK_INT(find("m2")->state, PX_MODEL_READY);
    CHECK(!look_once());
    CHECK_INT(find("m1")->state, PX_MODEL_REGISTERED);
    CHECK_INT(count_of(&px_residency_counts(serving)->preloads), 2);
    CHECK_INT(count_of(&px_residency_counts(serving)->misses), 0);
    tear_down();
}

PX_TEST(nobody_leaves_for_one_of_which_less_than_twice_as_much_is_expected)
{
    set_up_tight(watchful);
    put_into_memory("m1", 100);
    put_into_memory("m2", 40);
    pretend_rhythm("m3", 79);
    find("m3")->bytes = 1 << 29;
    CHECK(!look_once());
    CHECK_INT(find("m2")->state, PX_MODEL_READY);
    pretend_rhythm("m3", 81);
    CHECK(look_once());
    CHECK_INT(find("m3")->state, PX_MODEL_READY);
    CHECK_INT(find("m2")->state, PX_MODEL_REGISTERED);
    CHECK_INT(find("m1")->state, PX_MODEL_READY);
    CHECK(!look_once()); /* and m2 does not come back for it */
    tear_down();
}

PX_TEST(a_large_model_has_to_be_worth_all_that_leave_for_it)
{
    set_up_tight(watchful);
    put_into_memory("m1", 60);
    put_into_memory("m2", 60);
    find("m3")->bytes = 1 << 30;
    pretend_rhythm("m3", 200);
    CHECK(!look_once());
    pretend_rhythm("m3", 250);
    find("m3")->bytes = 1 << 30;
    CHECK(look_once());
    CHECK_INT(find("m3")->state, PX_MODEL_READY);
    CHECK_INT(find("m1")->state, PX_MODEL_REGISTERED);
    CHECK_INT(find("m2")->state, PX_MODEL_REGISTERED);
    tear_down();
}

PX_TEST(what_is_pinned_or_has_just_come_does_not_leave_for_what_is_expected)
{
    struct px_residency_settings settings = watchful;
    set_up_tight(settings);
    put_into_memory("m1", 0);
    put_into_memory("m2", 0);
    find("m1")->is_pinned = find("m2")->is_pinned = true;
    find("m3")->bytes = 1 << 29;
    pretend_rhythm("m3", 1000);
    CHECK(!look_once());
    find("m1")->is_pinned = find("m2")->is_pinned = false;
    settings.memory_max = 1 << 30;
    settings.resident_min_ns = 3600 * PX_NS_PER_S;
    px_serving_set_residency(serving, &settings);
    CHECK(!look_once());
    CHECK_INT(find("m3")->state, PX_MODEL_REGISTERED);
    CHECK_INT(count_of(&px_residency_counts(serving)->evictions), 0);
    tear_down();
}

/* It took a byte when it was last here; now it takes as much as `probe`, and half of that is free. */
PX_TEST(a_model_that_turns_out_too_large_is_not_kept_and_its_size_is_remembered)
{
    struct px_residency_settings settings = watchful;
    set_up(settings);
    find("probe")->is_pinned = true;
    settings.memory_max = find("probe")->bytes * 3 / 2;
    px_serving_set_residency(serving, &settings);
    pretend_rhythm("m1", 50);
    find("m1")->bytes = 1;
    CHECK(look_once());
    CHECK_INT(find("m1")->state, PX_MODEL_REGISTERED);
    CHECK(find("m1")->bytes > settings.memory_max - find("probe")->bytes);
    CHECK(px_residency_expected_uses(serving, find("m1")) > 1);
    CHECK_INT(count_of(&px_residency_counts(serving)->preloads), 0);
    CHECK(!look_once());
    tear_down();
}

PX_TEST(for_a_request_the_least_recently_used_leaves_whatever_is_expected)
{
    set_up_tight(watchful);
    put_into_memory("m1", 100);
    put_into_memory("m2", 2);
    atomic_store(&find("m2")->lanes[2].used_ns, px_clock_monotonic_ns());
    bring("m3");
    CHECK_INT(find("m1")->state, PX_MODEL_REGISTERED);
    CHECK_INT(find("m2")->state, PX_MODEL_READY);
    pretend_size("m3");
    CHECK(look_once()); /* and comes back for one of the others */
    CHECK_INT(find("m1")->state, PX_MODEL_READY);
    tear_down();
}

PX_TEST(of_those_that_nobody_expects_the_least_recently_used_leaves)
{
    set_up_tight(watchful);
    put_into_memory("m1", 0);
    put_into_memory("m2", 0);
    pretend_rhythm("m1", 0.001F);
    atomic_store(&find("m2")->lanes[2].used_ns, px_clock_monotonic_ns());
    find("m3")->bytes = 1 << 29;
    pretend_rhythm("m3", 10);
    CHECK(look_once());
    CHECK_INT(find("m1")->state, PX_MODEL_REGISTERED);
    CHECK_INT(find("m2")->state, PX_MODEL_READY);
    tear_down();
}

PX_TEST(what_is_known_of_a_model_outlives_its_stay_in_memory)
{
    set_up_tight(watchful);
    bring("m1");
    pretend_size("m1");
    for (int i = 0; i < 50; i++)
        use("m1"); /* the first is what it was brought for */
    find("m2")->bytes = 1 << 30;
    bring("m2"); /* needs everything */
    CHECK_INT(find("m1")->state, PX_MODEL_REGISTERED);
    pretend_size("m2");
    double uses = px_residency_expected_uses(serving, find("m1"));
    CHECK(uses > 20 && uses < 50);
    CHECK(look_once());
    CHECK_INT(find("m1")->state, PX_MODEL_READY);
    tear_down();
}

PX_TEST(a_request_that_brought_its_model_is_counted_once)
{
    set_up(watchful);
    bring("m1");
    CHECK(find("m1")->usage.forecast.uses == 1);
    look_once();
    use("m1");
    look_once();
    CHECK(find("m1")->usage.forecast.uses <= 1); /* 0 when an hour has just begun */
    use("m1");
    look_once();
    CHECK(find("m1")->usage.forecast.uses <= 2);
    CHECK(find("m1")->usage.n_seen == 2);
    tear_down();
}

PX_TEST(preloads_that_were_used_and_that_were_not_are_told_apart)
{
    const struct px_residency_counts *counts;
    set_up_tight(watchful);
    counts = px_residency_counts(serving);
    pretend_rhythm("m1", 50);
    pretend_rhythm("m2", 40);
    CHECK(look_once());
    CHECK(look_once());
    pretend_size("m1");
    pretend_size("m2");
    use("m1");
    look_once();
    CHECK_INT(count_of(&counts->preload_hits), 1);
    CHECK_INT(count_of(&counts->preload_unused), 0);
    bring("m3");
    CHECK_INT(find("m2")->state, PX_MODEL_REGISTERED);
    CHECK_INT(count_of(&counts->preload_unused), 1);
    use("m1");
    look_once();
    CHECK_INT(count_of(&counts->preload_hits), 1);
    tear_down();
}

PX_TEST(a_preload_that_fails_says_why_and_is_left_to_requests)
{
    char path[128];
    set_up(watchful);
    snprintf(path, sizeof path, "%s/m1/1/model.txt", root);
    CHECK_OK(px_file_write(path, px_str("tree\n"), NULL));
    pretend_rhythm("m1", 50);
    CHECK(look_once());
    CHECK_INT(px_serving_find_failed(serving, px_str("m1"), px_str("1")) != NULL, true);
    CHECK_INT(count_of(&px_residency_counts(serving)->failed_preloads), 1);
    CHECK(!look_once());
    tear_down();
}

PX_TEST(looks_come_by_themselves_and_bring_several)
{
    struct px_residency_settings settings = watchful;
    settings.preload_ns = 2 * PX_NS_PER_MS;
    set_up(settings);
    hold_the_loader();
    for (char name[] = "m1"; name[1] <= '4'; name[1]++)
        pretend_rhythm(name, 50);
    sem_post(&loader_may_go);
    while (count_of(&px_residency_counts(serving)->preloads) < 4) {
        manual_loops_run(&loops, 0);
        usleep(200);
    }
    tear_down();
}

PX_TEST(without_memory_a_look_leaves_models_that_can_be_asked_for)
{
    uint64_t n_last = 1;
    for (uint64_t n = 0; n <= n_last; n += n < 8 ? 1 : 7) {
        set_up_tight(watchful);
        put_into_memory("m2", 0);
        put_into_memory("m3", 0);
        pretend_rhythm("m1", 50);
        find("m1")->bytes = 1 << 29;
        fail_at = n;
        bool has = look_once(), is_there = find("m1") != NULL; /* else it has failed to load */
        n_last = n ? n_last : n_allocations;
        fail_at = 0;
        CHECK(has || (is_there && find("m1")->state == PX_MODEL_REGISTERED));
        CHECK(n > 0 || find("m1")->state == PX_MODEL_READY);
        if (is_there && find("m1")->state == PX_MODEL_REGISTERED) {
            CHECK(look_once());
            CHECK_INT(find("m1")->state, PX_MODEL_READY);
        }
        tear_down();
    }
    CHECK(n_last > 10);
}

PX_TEST_MAIN(
    T(what_will_be_used_comes_most_wanted_first_and_nothing_else)
        T(nobody_leaves_for_one_of_which_less_than_twice_as_much_is_expected)
            T(a_large_model_has_to_be_worth_all_that_leave_for_it)
                T(what_is_pinned_or_has_just_come_does_not_leave_for_what_is_expected)
                    T(a_model_that_turns_out_too_large_is_not_kept_and_its_size_is_remembered)
                        T(for_a_request_the_least_recently_used_leaves_whatever_is_expected) T(
                            of_those_that_nobody_expects_the_least_recently_used_leaves)
                            T(what_is_known_of_a_model_outlives_its_stay_in_memory) T(
                                a_request_that_brought_its_model_is_counted_once)
                                T(preloads_that_were_used_and_that_were_not_are_told_apart) T(
                                    a_preload_that_fails_says_why_and_is_left_to_requests)
                                    T(looks_come_by_themselves_and_bring_several) T(
                                        without_memory_a_look_leaves_models_that_can_be_asked_for))
