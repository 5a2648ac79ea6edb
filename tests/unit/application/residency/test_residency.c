/* SPDX-License-Identifier: Apache-2.0 */
/* Calls for models that are registered only: who waits, who is let go, what is loaded first, who leaves memory. */
#include "residency_fixture.h"

enum { ASKS = 300 };

PX_TEST(calls_that_wait_for_one_model_share_its_load)
{
    struct px_call a = call_for("m1"), b = call_for("m1");
    set_up(patient);
    CHECK_INT(find("m1")->state, PX_MODEL_REGISTERED);
    CHECK_INT(find("probe")->state, PX_MODEL_READY);
    CHECK_OK(px_call_await_model(serving, &a, loaded));
    CHECK_OK(px_call_await_model(serving, &b, loaded));
    run_until_loaded(2);
    wait_for_loader();
    CHECK_OK(a.code);
    CHECK_INT(find("m1")->state, PX_MODEL_READY);
    CHECK(find("m1")->bytes > 0);
    CHECK_INT(atomic_load(&px_residency_counts(serving)->loads), 1);
    CHECK_INT(atomic_load(&px_residency_counts(serving)->misses), 2);
    tear_down();
}

PX_TEST(a_model_that_is_wanted_is_loaded_though_nobody_waits)
{
    struct px_call call = call_for("m2");
    set_up(patient);
    hold_the_loader();
    CHECK_OK(px_call_await_model(serving, &call, loaded));
    for (int i = 0; i < 100; i++) /* of one load */
        px_residency_want(serving, find("m1"));
    sem_post(&loader_may_go);
    run_until_loaded(1);
    while (find("m1")->state != PX_MODEL_READY)
        wait_for_loader();
    wait_for_loader();
    CHECK(find("m2")->ready_ns < find("m1")->ready_ns); /* who waits goes first */
    CHECK_INT(atomic_load(&px_residency_counts(serving)->loads), 2);
    CHECK_INT(atomic_load(&px_residency_counts(serving)->misses), 1);
    px_residency_want(serving, find("m1"));
    wait_for_loader();
    wait_for_loader();
    CHECK_INT(atomic_load(&px_residency_counts(serving)->loads), 2);
    tear_down();
}

PX_TEST(without_memory_nothing_is_wanted)
{
    set_up(patient);
    px_alloc_fail_at(1);
    px_residency_want(serving, find("m1"));
    px_alloc_fail_at(0);
    wait_for_loader();
    wait_for_loader();
    CHECK_INT(find("m1")->state, PX_MODEL_REGISTERED);
    px_residency_want(serving, find("m1"));
    while (find("m1")->state != PX_MODEL_READY)
        wait_for_loader();
    tear_down();
}

PX_TEST(an_open_call_is_told_that_its_model_is_absent_and_not_counted)
{
    struct px_arena arena = px_arena(1 << 16);
    set_up(patient);
    struct px_call call = {.model_name = px_str("m2"), .arena = &arena, .done = loaded};
    CHECK_INT(px_call_open(serving, &call), PX_E_UNAVAILABLE);
    CHECK(call.is_absent);
    CHECK_INT(px_serving_loop_metrics(serving, 0)->errors[PX_E_UNAVAILABLE], 0);
    CHECK(px_serving_find(serving, px_str("m2"), px_str(""), NULL) == NULL);
    px_arena_deinit(&arena);
    tear_down();
}

PX_TEST(a_model_that_more_calls_wait_for_is_loaded_first)
{
    struct px_call calls[4] = {call_for("m1"), call_for("m2"), call_for("m2"), call_for("m2")};
    set_up(patient);
    hold_the_loader();
    for (size_t i = 0; i < PX_ARRAY_LEN(calls); i++)
        CHECK_OK(px_call_await_model(serving, &calls[i], loaded));
    sem_post(&loader_may_go);
    run_until_loaded(4);
    wait_for_loader();
    CHECK(find("m2")->ready_ns < find("m1")->ready_ns);
    tear_down();
}

PX_TEST(a_call_waits_no_longer_than_its_deadline_and_the_load_goes_on)
{
    struct px_call call = call_for("m1"), later;
    set_up(patient);
    hold_the_loader();
    call.deadline_ns = px_clock_monotonic_ns() + PX_NS_PER_S / 4;
    CHECK_OK(px_call_await_model(serving, &call, loaded));
    run_until_loaded(1);
    CHECK_INT(call.code, PX_E_DEADLINE);
    sem_post(&loader_may_go);
    later = call_for("m1");
    CHECK_OK(px_call_await_model(serving, &later, loaded));
    run_until_loaded(2);
    CHECK_OK(later.code);
    tear_down();
}

PX_TEST(a_call_that_has_waited_long_enough_is_refused_when_it_comes_again)
{
    struct px_call call = call_for("m1");
    set_up((struct px_residency_settings){.load_wait_ns = PX_NS_PER_MS});
    hold_the_loader();
    call.received_ns = px_clock_monotonic_ns() + PX_NS_PER_S / 2; /* so that it surely waits */
    CHECK_OK(px_call_await_model(serving, &call, loaded));
    run_until_loaded(1);
    CHECK_OK(call.code); /* it may look again */
    CHECK_INT(px_call_await_model(serving, &call, loaded), PX_E_UNAVAILABLE);
    CHECK(strstr(call.err.message, "is being loaded") != NULL);
    CHECK_INT(atomic_load(&px_residency_counts(serving)->refused), 1);
    tear_down();
}

PX_TEST(a_cancelled_call_is_let_go_once)
{
    struct px_call call = call_for("m1"), other = call_for("m1");
    set_up(patient);
    hold_the_loader();
    CHECK_OK(px_call_await_model(serving, &call, loaded));
    CHECK_OK(px_call_await_model(serving, &other, loaded));
    px_call_cancel(&call);
    px_call_cancel(&call);
    run_until_loaded(1);
    CHECK_INT(call.code, PX_E_CANCELLED);
    sem_post(&loader_may_go);
    run_until_loaded(2);
    CHECK_OK(other.code);
    CHECK_INT(n_loaded, 2);
    tear_down();
}

PX_TEST(calls_that_wait_are_forgotten_when_the_server_stops)
{
    struct px_call call = call_for("m1");
    set_up(patient);
    hold_the_loader();
    CHECK_OK(px_call_await_model(serving, &call, loaded));
    for (unsigned i = 0; i < LOOPS; i++)
        manual_loops_stop(&loops,
                          i); /* before the loader, which tear_down lets go, could post it back */
    tear_down();
    CHECK_INT(n_loaded, 0);
}

PX_TEST(unknown_models_are_not_waited_for)
{
    struct px_call call = call_for("nobody");
    set_up(patient);
    CHECK_INT(px_call_await_model(serving, &call, loaded), PX_E_NOT_FOUND);
    tear_down();
}

PX_TEST(the_one_that_was_not_used_for_the_longest_time_leaves)
{
    struct px_residency_settings settings = patient;
    settings.memory_max = 1 << 30;
    set_up(settings);
    bring("m1");
    pretend_size("m1");
    bring("m2");
    pretend_size("m2");
    find("probe")->bytes = 0;
    find("probe")->is_pinned = true;
    atomic_store(&find("m1")->lanes[2].used_ns, px_clock_monotonic_ns());
    bring("m3");
    CHECK_INT(find("m1")->state, PX_MODEL_READY);
    CHECK_INT(find("m2")->state, PX_MODEL_REGISTERED);
    CHECK_INT(find("m2")->bytes, 1 << 29); /* as it was measured */
    CHECK_INT(find("probe")->state, PX_MODEL_READY);
    CHECK_INT(atomic_load(&px_residency_counts(serving)->evictions), 1);
    tear_down();
}

PX_TEST(nobody_leaves_before_its_time)
{
    struct px_residency_settings settings = {.memory_max = 1 << 30,
                                             .load_wait_ns = PX_NS_PER_S / 2,
                                             .resident_min_ns = 3600 * PX_NS_PER_S};
    set_up(settings);
    bring("m1");
    pretend_size("m1");
    bring("m2");
    pretend_size("m2");
    struct px_call call = call_for("m3");
    CHECK_OK(px_call_await_model(serving, &call, loaded));
    run_until_loaded(3);
    wait_for_loader();
    CHECK_INT(px_call_await_model(serving, &call, loaded), PX_E_UNAVAILABLE);
    CHECK(strstr(call.err.message, "finds no room") != NULL);
    CHECK_INT(find("m1")->state, PX_MODEL_READY);
    CHECK(atomic_load(&px_residency_counts(serving)->no_room) > 0);
    tear_down();
}

PX_TEST(who_finds_only_pinned_models_is_told_at_once)
{
    struct px_residency_settings settings = patient;
    settings.memory_max = 1 << 30;
    set_up(settings);
    find("probe")->bytes = 1 << 30;
    find("probe")->is_pinned = true;
    struct px_call calls[] = {call_for("m1"), call_for("m1")};
    for (size_t i = 0; i < PX_ARRAY_LEN(calls); i++)
        CHECK_OK(px_call_await_model(serving, &calls[i], loaded));
    run_until_loaded(2);
    for (size_t i = 0; i < PX_ARRAY_LEN(calls); i++) {
        CHECK_INT(px_call_await_model(serving, &calls[i], loaded), PX_E_UNAVAILABLE);
        CHECK(strstr(calls[i].err.message, "finds no room") != NULL);
        CHECK(strstr(calls[i].err.hint, "ask again") == NULL);
    }
    wait_for_loader();
    CHECK_INT(find("m1")->state, PX_MODEL_REGISTERED);
    tear_down();
}

/* ---- many at once ---- */

struct asking {
    unsigned loop;
    size_t n_good;
    bool is_answered;
    struct px_call call;
    struct px_arena arena;
};

static struct asking askers[LOOPS];
static _Atomic unsigned n_finished;

static void scored(struct px_call *call)
{
    struct asking *asking = call->owner;
    asking->n_good += call->code == PX_OK && px_matrix_get(&call->scores, 0, 0) == 11.0;
    asking->is_answered = true;
}

static void ask(struct asking *asking, struct px_str name);

static void ask_again(struct px_call *call)
{
    struct asking *asking = call->owner;
    if (call->code == PX_OK)
        ask(asking, call->model_name);
    else
        asking->is_answered = true;
}

static void ask(struct asking *asking, struct px_str name)
{
    struct px_call *call = &asking->call;
    *call = (struct px_call){.model_name = name,
                             .loop = asking->loop,
                             .received_ns = px_clock_monotonic_ns(),
                             .arena = &asking->arena,
                             .done = scored,
                             .owner = asking};
    enum px_code code = px_call_open(serving, call);
    if (call->is_absent) {
        if (px_call_await_model(serving, call, ask_again) != PX_OK)
            asking->is_answered = true;
        return;
    }
    struct px_matrix *rows = code == PX_OK ? px_call_rows(serving, call, 1) : NULL;
    if (rows) {
        px_matrix_set(rows, 0, 0, 20);
        px_matrix_set(rows, 0, 1, 0.1);
    }
    if (!rows || px_call_submit(serving, call) != PX_OK)
        asking->is_answered = true;
}

static void *serve(void *argument)
{
    struct asking *asking = argument;
    char name[] = "m0";
    asking->arena = px_arena(1 << 16);
    for (unsigned i = 0; i < ASKS; i++) {
        name[1] = (char)('0' + (i * (asking->loop + 1)) % MODELS);
        asking->is_answered = false;
        px_arena_reset(&asking->arena);
        ask(asking, px_str(name));
        while (!asking->is_answered) {
            manual_loops_run(&loops, asking->loop);
            px_serving_wave(serving, asking->loop);
            usleep(20);
        }
    }
    atomic_fetch_add(&n_finished, 1);
    while (atomic_load(&n_finished) < LOOPS) { /* loads of the others wait for every loop */
        manual_loops_run(&loops, asking->loop);
        usleep(50);
    }
    manual_loops_stop(&loops, asking->loop);
    px_arena_deinit(&asking->arena);
    return NULL;
}

static void answer_all_under_load(struct px_residency_settings settings)
{
    pthread_t threads[LOOPS];
    set_up(patient);
    settings.memory_max = find("probe")->bytes * 7 / 2;
    tear_down();
    set_up(settings);
    for (unsigned i = 0; i < LOOPS; i++) {
        askers[i] = (struct asking){.loop = i};
        CHECK_INT(pthread_create(&threads[i], NULL, serve, &askers[i]), 0);
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(askers[i].n_good, ASKS);
    }
    CHECK(atomic_load(&px_residency_counts(serving)->evictions) > 0);
    tear_down();
}

PX_TEST(models_come_and_go_under_load_and_every_call_is_answered)
{
    answer_all_under_load(patient);
}

PX_TEST(models_are_preloaded_under_load_and_every_call_is_answered)
{
    struct px_residency_settings settings = patient;
    settings.preload_ns = PX_NS_PER_MS;
    atomic_store(&n_finished, 0);
    answer_all_under_load(settings);
}

PX_TEST_MAIN(
    T(who_finds_only_pinned_models_is_told_at_once) T(calls_that_wait_for_one_model_share_its_load)
        T(a_model_that_is_wanted_is_loaded_though_nobody_waits) T(without_memory_nothing_is_wanted)
            T(an_open_call_is_told_that_its_model_is_absent_and_not_counted)
                T(a_model_that_more_calls_wait_for_is_loaded_first)
                    T(a_call_waits_no_longer_than_its_deadline_and_the_load_goes_on)
                        T(a_call_that_has_waited_long_enough_is_refused_when_it_comes_again) T(
                            a_cancelled_call_is_let_go_once)
                            T(calls_that_wait_are_forgotten_when_the_server_stops) T(
                                unknown_models_are_not_waited_for)
                                T(the_one_that_was_not_used_for_the_longest_time_leaves) T(
                                    nobody_leaves_before_its_time)
                                    T(models_come_and_go_under_load_and_every_call_is_answered) T(
                                        models_are_preloaded_under_load_and_every_call_is_answered))
