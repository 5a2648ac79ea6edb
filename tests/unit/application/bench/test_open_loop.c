/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "virtual_load.h"

#include "shared/clock.h"

static struct px_load_result result;

static const struct px_str body = PX_STR("{}");
static const struct px_load_requests requests = {.address = {"virtual", 1},
                                                 .path = PX_STR("/p"),
                                                 .content_type = "t",
                                                 .bodies = &body,
                                                 .n_bodies = 1};

static struct px_load_job job_of(double rate, double seconds)
{
    return (struct px_load_job){
        .requests = &requests,
        .rate = rate,
        .seed = 1,
        .duration_ns = (uint64_t)(seconds * (double)PX_NS_PER_S),
        .timeout_ns = 5 * PX_NS_PER_S,
        .limit_ns = 50 * PX_NS_PER_MS,
        .n_connections = 16,
        .n_threads = 1,
    };
}

static void run(struct virtual_server *server, const struct px_load_job *job)
{
    struct px_load *load = virtual_load_create(server);
    CHECK_OK(px_load_run(load, job, &result, NULL));
    px_load_destroy(load);
}

static double ms(const struct px_latencies *latencies, double quantile)
{
    return (double)px_latencies_quantile(latencies, quantile) / (double)PX_NS_PER_MS;
}

/* A server of 0.1 ms stalls once for a second in a run of ten: every tenth request suffers, half a second on average. */
PX_TEST(coordinated_omission_a_stall_of_a_second_shows_in_p99)
{
    struct virtual_server server = {.n_workers = 1,
                                    .service_ns = 100 * PX_NS_PER_US,
                                    .stall_ns = 4 * PX_NS_PER_S,
                                    .stalled_for_ns = PX_NS_PER_S,
                                    .stalls_left = 1};
    const struct px_load_job job = job_of(1000, 10);
    run(&server, &job);
    const struct px_load_tally *t = &result.tally;
    CHECK_INT(t->offered, 10000);
    CHECK_INT(t->outcomes[PX_LOAD_OK], 10000);
    CHECK_INT(t->latency.count, 10000);
    CHECK_NEAR(ms(&t->latency, 0.5), 0.1, 0.01);
    CHECK(ms(&t->latency, 0.99) > 850 && ms(&t->latency, 0.99) < 1000);
    CHECK_NEAR(ms(&t->latency, 1), 1000, 2);
    /* The 16 requests that were on a connection are all that a client which waits for replies would have seen. */
    CHECK(ms(&t->service, 0.99) < 5);
    /* A tenth of a second is caught up per second at a tenth of the capacity; goodput lacks about a second's worth. */
    CHECK(t->good > 8700 && t->good < 9100);
    CHECK(t->waited > 900);
}

PX_TEST(a_poisson_schedule_shows_the_stall_as_well)
{
    struct virtual_server server = {.n_workers = 1,
                                    .service_ns = 100 * PX_NS_PER_US,
                                    .stall_ns = PX_NS_PER_S,
                                    .stalled_for_ns = PX_NS_PER_S,
                                    .stalls_left = 1};
    struct px_load_job job = job_of(1000, 10);
    job.arrivals = PX_LOAD_POISSON;
    run(&server, &job);
    CHECK(ms(&result.tally.latency, 0.99) > 800);
    CHECK(result.tally.offered > 9600 && result.tally.offered < 10400);
}

/* 1 worker of 1 ms can do 1000/s; at 2000/s the queue grows for the whole run. */
PX_TEST(overload_is_latency_and_not_a_lower_rate)
{
    struct virtual_server server = {.n_workers = 1, .service_ns = PX_NS_PER_MS};
    const struct px_load_job job = job_of(2000, 4);
    run(&server, &job);
    CHECK_INT(result.tally.offered, 8000);
    CHECK_NEAR((double)result.tally.replies, 4000, 10);
    CHECK(ms(&result.tally.latency, 0.5) > 900);
    CHECK(result.tally.good < 300);
}

PX_TEST(requests_that_no_connection_took_are_counted_with_their_waiting)
{
    struct virtual_server server = {.n_workers = 1, .service_ns = 100 * PX_NS_PER_MS};
    struct px_load_job job = job_of(1000, 3);
    job.n_connections = 2;
    job.timeout_ns = PX_NS_PER_S;
    run(&server, &job);
    const struct px_load_tally *t = &result.tally;
    uint64_t sum = 0;
    for (size_t i = 0; i < PX_LOAD_OUTCOMES; i++)
        sum += t->outcomes[i];
    CHECK_INT(t->offered, 3000);
    CHECK_INT(sum, 3000);
    CHECK(t->outcomes[PX_LOAD_UNSENT] > 2900);
    CHECK_INT(t->latency.count, 3000);
    CHECK(ms(&t->latency, 0.5) >= 1000);
}

PX_TEST(a_timeout_stays_in_the_percentiles)
{
    struct virtual_server server = {.n_workers = 1, .service_ns = 3 * PX_NS_PER_S};
    struct px_load_job job = job_of(1, 2);
    job.timeout_ns = 2 * PX_NS_PER_S;
    run(&server, &job);
    CHECK_INT(result.tally.outcomes[PX_LOAD_TIMEOUT], 2);
    CHECK_NEAR(ms(&result.tally.latency, 0.5), 2000, 20);
    CHECK_INT(result.tally.service.count, 0);
}

PX_TEST(quick_failures_are_errors_but_no_latencies)
{
    struct virtual_server server = {.n_workers = 4, .service_ns = PX_NS_PER_MS, .fail_every = 4};
    const struct px_load_job job = job_of(1000, 2);
    run(&server, &job);
    CHECK_INT(result.tally.outcomes[PX_LOAD_STATUS], 500);
    CHECK_INT(result.tally.statuses[500 - PX_LOAD_STATUS_MIN], 500);
    CHECK_INT(result.tally.statuses[200 - PX_LOAD_STATUS_MIN], 1500);
    CHECK_INT(result.tally.latency.count, 1500);
    CHECK_INT(result.tally.good, 1500);
}

PX_TEST(the_client_s_own_lateness_is_lag)
{
    struct virtual_server server = {
        .n_workers = 16, .service_ns = PX_NS_PER_US, .client_cost_ns = 2 * PX_NS_PER_MS};
    struct px_load_job job = job_of(1000, 2);
    job.n_connections = 4096; /* so that no connection is waited for */
    run(&server, &job);
    CHECK(ms(&result.tally.lag, 0.5) > 100);
    CHECK_INT(result.tally.waited, 0);
    struct virtual_server quick = {.n_workers = 1, .service_ns = PX_NS_PER_US};
    job = job_of(1000, 2);
    run(&quick, &job);
    CHECK_INT(px_latencies_quantile(&result.tally.lag, 1), 0);
}

PX_TEST(waiting_for_a_busy_server_is_not_the_client_s_lag)
{
    struct virtual_server server = {.n_workers = 1, .service_ns = 10 * PX_NS_PER_MS};
    struct px_load_job job = job_of(1000, 1);
    job.n_connections = 1;
    run(&server, &job);
    CHECK_INT(px_latencies_quantile(&result.tally.lag, 1), 0);
    CHECK(result.tally.waited > 900);
}

PX_TEST(the_warm_up_is_not_counted)
{
    struct virtual_server server = {.n_workers = 1, .service_ns = PX_NS_PER_US};
    struct px_load_job job = job_of(1000, 1);
    job.warmup_ns = PX_NS_PER_S;
    run(&server, &job);
    CHECK_INT(result.tally.offered, 1000);
    CHECK_INT(result.tally.replies, 1000);
    CHECK_INT(result.tally.latency.count, 1000);
}

static struct px_open_loop_config config_of(double rate)
{
    return (struct px_open_loop_config){
        .rate = rate,
        .start_ns = 5000,
        .measured_ns = 5000,
        .end_ns = 5000 + 3600 * PX_NS_PER_S,
        .patience_ns = PX_NS_PER_S,
        .limit_ns = 1,
    };
}

/* Takes the next request when it is due and ends it at once; returns when that was. */
static uint64_t take_next(struct px_open_loop *loop)
{
    struct px_load_attempt attempt;
    uint64_t due_ns = px_open_loop_next(loop);
    CHECK(!px_open_loop_take(loop, due_ns - 1, &attempt));
    CHECK(px_open_loop_take(loop, due_ns, &attempt));
    CHECK_INT(attempt.intended_ns, due_ns);
    px_open_loop_done(loop, &attempt, PX_LOAD_OK, 200, due_ns);
    px_open_loop_idle(loop, due_ns);
    return due_ns;
}

PX_TEST(a_fixed_schedule_does_not_drift)
{
    static struct px_open_loop loop;
    const struct px_open_loop_config config = config_of(3000); /* a gap of 333333.33 ns */
    px_open_loop_init(&loop, &config);
    px_open_loop_idle(&loop, 0);
    for (uint64_t k = 0; k < 30000; k++) {
        uint64_t at_ns = take_next(&loop);
        CHECK_NEAR((double)at_ns, 5000 + (double)k * 1e9 / 3000, 1.01);
    }
}

PX_TEST(threads_alternate)
{
    static struct px_open_loop loops[2];
    for (int i = 0; i < 2; i++) {
        struct px_open_loop_config config = config_of(500);
        config.phase = i / 2.0;
        px_open_loop_init(&loops[i], &config);
    }
    CHECK_INT(px_open_loop_next(&loops[1]) - px_open_loop_next(&loops[0]), PX_NS_PER_MS);
}

PX_TEST(poisson_gaps_have_their_mean_and_deviation)
{
    static struct px_open_loop loop;
    struct px_open_loop_config config = config_of(1000);
    double sum = 0, squares = 0;
    uint64_t before_ns = config.start_ns;
    enum { N = 50000 };
    config.arrivals = PX_LOAD_POISSON;
    config.seed = 3;
    px_open_loop_init(&loop, &config);
    px_open_loop_idle(&loop, 0);
    for (int k = 0; k < N; k++) {
        uint64_t at_ns = take_next(&loop);
        double gap_ms = (double)(at_ns - before_ns) / (double)PX_NS_PER_MS;
        sum += gap_ms;
        squares += gap_ms * gap_ms;
        before_ns = at_ns;
    }
    CHECK_NEAR(sum / N, 1, 0.03);
    CHECK_NEAR(squares / N - sum / N * (sum / N), 1, 0.1);
}

PX_TEST(the_same_seed_gives_the_same_arrivals)
{
    static struct px_open_loop loops[2];
    struct px_open_loop_config config = config_of(1000);
    config.arrivals = PX_LOAD_POISSON;
    for (int i = 0; i < 2; i++) {
        px_open_loop_init(&loops[i], &config);
        px_open_loop_idle(&loops[i], 0);
    }
    for (int k = 0; k < 1000; k++)
        CHECK_INT(take_next(&loops[0]), take_next(&loops[1]));
}

PX_TEST(nothing_is_taken_without_a_free_connection)
{
    static struct px_open_loop loop;
    struct px_load_attempt attempt;
    const struct px_open_loop_config config = config_of(1000);
    px_open_loop_init(&loop, &config);
    CHECK(!px_open_loop_take(&loop, 5000, &attempt));
    px_open_loop_idle(&loop, 6000);
    CHECK(px_open_loop_take(&loop, 7000, &attempt));
    CHECK_INT(attempt.intended_ns, 5000);
    CHECK_INT(attempt.sent_ns, 7000);
    CHECK_INT(loop.tally.waited, 1);
    CHECK_INT(loop.tally.lag.max, 1000);
}

PX_TEST(every_outcome_has_a_name)
{
    for (int i = 0; i < PX_LOAD_OUTCOMES; i++)
        CHECK(px_load_outcome_name((enum px_load_outcome)i) != NULL);
}

PX_TEST(a_rate_next_to_nothing_has_no_requests)
{
    struct virtual_server server = {.n_workers = 1, .service_ns = 1000};
    struct px_load_job job = job_of(1e-320, 1);
    for (int i = 0; i < 2; i++) {
        job.arrivals = i ? PX_LOAD_POISSON : PX_LOAD_FIXED;
        run(&server, &job);
        CHECK_INT(result.tally.offered, 0);
    }
    job = job_of(1e-12, 1);
    run(&server, &job);
    CHECK_INT(result.tally.offered, 1); /* at the start */
}

PX_TEST_MAIN(
    T(coordinated_omission_a_stall_of_a_second_shows_in_p99)
        T(a_poisson_schedule_shows_the_stall_as_well) T(overload_is_latency_and_not_a_lower_rate)
            T(requests_that_no_connection_took_are_counted_with_their_waiting)
                T(a_timeout_stays_in_the_percentiles) T(quick_failures_are_errors_but_no_latencies)
                    T(the_client_s_own_lateness_is_lag)
                        T(waiting_for_a_busy_server_is_not_the_client_s_lag)
                            T(the_warm_up_is_not_counted) T(a_fixed_schedule_does_not_drift)
                                T(threads_alternate) T(poisson_gaps_have_their_mean_and_deviation)
                                    T(the_same_seed_gives_the_same_arrivals)
                                        T(nothing_is_taken_without_a_free_connection)
                                            T(every_outcome_has_a_name)
                                                T(a_rate_next_to_nothing_has_no_requests))
