/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "virtual_load.h"

#include "application/bench/ramp.h"
#include "shared/clock.h"

static const struct px_str body = PX_STR("{}");
static const struct px_load_requests requests = {.address = {"virtual", 1},
                                                 .path = PX_STR("/p"),
                                                 .content_type = "t",
                                                 .bodies = &body,
                                                 .n_bodies = 1};

static const struct px_load_job job = {
    .requests = &requests,
    .seed = 1,
    .warmup_ns = PX_NS_PER_S / 5,
    .duration_ns = PX_NS_PER_S,
    .timeout_ns = PX_NS_PER_S,
    .limit_ns = 20 * PX_NS_PER_MS,
    .n_connections = 64,
    .n_threads = 1,
};

static const struct px_ramp_options search = {
    .rate_min = 500, .rate_max = 200000, .goodput_min = 0.99, .refinements = 6};

static struct px_ramp ramp;

static enum px_code run(struct virtual_server *server, const struct px_ramp_options *options)
{
    struct px_load *load = virtual_load_create(server);
    enum px_code code = px_ramp_run(load, &job, options, NULL, &ramp, NULL);
    px_load_destroy(load);
    return code;
}

static double best_rate(void)
{
    return ramp.best < 0 ? 0 : ramp.steps[ramp.best].rate;
}

PX_TEST(the_saturation_point_is_the_capacity)
{
    /* 2 workers of 100 us: 20,000 requests a second. */
    struct virtual_server server = {.n_workers = 2, .service_ns = 100 * PX_NS_PER_US};
    CHECK_OK(run(&server, &search));
    CHECK(best_rate() > 19500 && best_rate() < 20300);
    CHECK(ramp.failed >= 0 && ramp.steps[ramp.failed].rate < 21500);
    CHECK(ramp.steps[ramp.failed].verdict == PX_LOAD_BEHIND ||
          ramp.steps[ramp.failed].verdict == PX_LOAD_SLOW);
    CHECK_NEAR(ramp.peak, 20000, 300);
    CHECK_INT(ramp.best_result->tally.outcomes[PX_LOAD_OK], ramp.steps[ramp.best].n_offered);
    px_ramp_deinit(&ramp);
}

PX_TEST(a_ramp_that_starts_too_high_goes_down)
{
    struct virtual_server server = {.n_workers = 1, .service_ns = PX_NS_PER_MS};
    struct px_ramp_options high = search;
    high.rate_min = 50000;
    CHECK_OK(run(&server, &high));
    CHECK(best_rate() > 960 && best_rate() < 1020);
    px_ramp_deinit(&ramp);
}

PX_TEST(a_server_that_keeps_up_ends_at_the_highest_rate)
{
    struct virtual_server server = {.n_workers = 4, .service_ns = PX_NS_PER_US};
    struct px_ramp_options low = search;
    low.rate_max = 3000;
    CHECK_OK(run(&server, &low));
    CHECK_DOUBLE(best_rate(), 3000.0);
    CHECK_INT(ramp.failed, -1);
    CHECK_INT(ramp.n_steps, 4); /* 500, 1000, 2000, 3000 */
    px_ramp_deinit(&ramp);
}

PX_TEST(one_hiccup_is_not_saturation)
{
    struct virtual_server server = {.n_workers = 4,
                                    .service_ns = 10 * PX_NS_PER_US,
                                    .stall_ns = PX_NS_PER_S / 2,
                                    .stalled_for_ns = PX_NS_PER_S / 12,
                                    .stalls_left = 1};
    struct px_ramp_options low = search;
    low.rate_max = 2000;
    CHECK_OK(run(&server, &low));
    CHECK_INT(ramp.failed, -1);
    CHECK_INT(server.n_runs, 4); /* the first one twice */
    px_ramp_deinit(&ramp);
}

PX_TEST(a_server_that_fails_is_told_from_a_slow_one)
{
    struct virtual_server server = {
        .n_workers = 4, .service_ns = 10 * PX_NS_PER_US, .fail_every = 10};
    CHECK_OK(run(&server, &search));
    CHECK_INT(ramp.best, -1);
    CHECK_INT(ramp.steps[ramp.failed].verdict, PX_LOAD_FAILING);
    CHECK_NEAR((double)ramp.steps[0].n_errors, 50, 1);
    CHECK(ramp.best_result->tally.offered > 0);
    px_ramp_deinit(&ramp);
}

PX_TEST(a_client_that_is_the_limit_is_named)
{
    struct virtual_server server = {
        .n_workers = 64, .service_ns = PX_NS_PER_US, .client_cost_ns = 100 * PX_NS_PER_US};
    CHECK_OK(run(&server, &search));
    CHECK_INT(ramp.steps[ramp.failed].verdict, PX_LOAD_CLIENT_LIMITED);
    px_ramp_deinit(&ramp);
}

PX_TEST(a_latency_over_the_limit_is_slow_although_every_request_is_answered)
{
    struct virtual_server server = {.n_workers = 64, .service_ns = 30 * PX_NS_PER_MS};
    struct px_ramp_options lenient = search;
    lenient.goodput_min = 0;
    CHECK_OK(run(&server, &lenient));
    CHECK_INT(ramp.best, -1);
    CHECK_INT(ramp.steps[0].verdict, PX_LOAD_SLOW);
    px_ramp_deinit(&ramp);
}

PX_TEST(one_rate_is_one_step)
{
    struct virtual_server server = {.n_workers = 1, .service_ns = PX_NS_PER_US};
    struct px_load *load = virtual_load_create(&server);
    struct px_load_job one = job;
    one.rate = 1000;
    CHECK_OK(px_ramp_once(load, &one, 0.99, &ramp, NULL));
    CHECK_INT(ramp.n_steps, 1);
    CHECK_INT(ramp.best, 0);
    CHECK_NEAR(ramp.steps[0].achieved, 1000, 1);
    CHECK_NEAR(ramp.steps[0].goodput, 1000, 1);
    px_load_destroy(load);
    px_ramp_deinit(&ramp);
}

PX_TEST(nothing_that_listens_is_an_error)
{
    struct virtual_server server = {.refuses = true};
    CHECK_INT(run(&server, &search), PX_E_UNAVAILABLE);
    CHECK_INT(ramp.n_steps, 0);
    px_ramp_deinit(&ramp);
}

static bool stop_at_third(void *context, const struct px_ramp *so_far, double rate)
{
    (void)context;
    (void)rate;
    return so_far->n_steps < 3;
}

PX_TEST(an_interrupt_keeps_the_steps_so_far)
{
    struct virtual_server server = {.n_workers = 4, .service_ns = PX_NS_PER_US};
    struct px_load *load = virtual_load_create(&server);
    CHECK_INT(px_ramp_run(load, &job, &search, stop_at_third, &ramp, NULL), PX_E_CANCELLED);
    CHECK_INT(ramp.n_steps, 3);
    px_load_destroy(load);
    px_ramp_deinit(&ramp);
}

/* The server stalls for longer when the step is repeated, and the search is stopped after that. */
static bool stall_longer(void *context, const struct px_ramp *so_far, double rate)
{
    struct virtual_server *server = context;
    (void)rate;
    if (server->n_runs == 1) {
        server->stalls_left = 1;
        server->stalled_for_ns = PX_NS_PER_S / 8;
    }
    return so_far->n_steps == 0;
}

PX_TEST(the_distribution_is_of_the_run_in_the_table)
{
    struct virtual_server server = {.n_workers = 4,
                                    .service_ns = 10 * PX_NS_PER_US,
                                    .stall_ns = PX_NS_PER_S / 2,
                                    .stalled_for_ns = PX_NS_PER_S / 12,
                                    .stalls_left = 1};
    struct px_load *load = virtual_load_create(&server);
    struct px_load_job watched = job;
    watched.progress_context = &server;
    CHECK_INT(px_ramp_run(load, &watched, &search, stall_longer, &ramp, NULL), PX_E_CANCELLED);
    CHECK_INT(server.n_runs, 2);
    CHECK_INT(ramp.n_steps, 1);
    CHECK_INT(ramp.best, -1);
    CHECK_NEAR(ramp.steps[0].max_ns, (double)PX_NS_PER_S / 12, (double)PX_NS_PER_S / 100);
    CHECK_DOUBLE((double)ramp.best_result->tally.latency.max, ramp.steps[0].max_ns);
    px_load_destroy(load);
    px_ramp_deinit(&ramp);
}

PX_TEST(no_memory_is_an_error_whenever_it_comes)
{
    for (uint64_t n = 1; n <= 3; n++) {
        struct virtual_server server = {.n_workers = 4, .service_ns = PX_NS_PER_US};
        struct px_load *load = virtual_load_create(&server);
        px_alloc_fail_at(n);
        CHECK_INT(px_ramp_run(load, &job, &search, NULL, &ramp, NULL), PX_E_NO_MEMORY);
        px_alloc_fail_at(0);
        px_ramp_deinit(&ramp);
        px_load_destroy(load);
    }
}

PX_TEST_MAIN(T(the_saturation_point_is_the_capacity) T(a_ramp_that_starts_too_high_goes_down)
                 T(a_server_that_keeps_up_ends_at_the_highest_rate) T(one_hiccup_is_not_saturation)
                     T(a_server_that_fails_is_told_from_a_slow_one)
                         T(a_client_that_is_the_limit_is_named)
                             T(a_latency_over_the_limit_is_slow_although_every_request_is_answered)
                                 T(one_rate_is_one_step) T(nothing_that_listens_is_an_error)
                                     T(an_interrupt_keeps_the_steps_so_far)
                                         T(the_distribution_is_of_the_run_in_the_table)
                                             T(no_memory_is_an_error_whenever_it_comes))
