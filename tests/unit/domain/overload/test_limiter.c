/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limiter before a simulated engine, in virtual time: requests come as a Poisson stream, `servers` compute one (or a
 * batch) each, first come first served.
 */
#include "domain/overload/limiter.h"

#include "shared/rng.h"

#include "harness.h"

enum { MS = 1000000, QUEUE_MAX = 4096, TOOK_MAX = 1 << 18, SERVERS_MAX = 64 };

struct request {
    uint64_t began_ns;
    enum px_criticality criticality;
};

struct server {
    uint64_t free_ns, started_ns; /* free_ns 0: idle */
    size_t n;
    struct request batch[64];
};

struct simulation {
    struct px_limiter limiter;
    struct px_rng rng;
    uint64_t now_ns, next_arrival_ns;
    unsigned n_servers;
    size_t rows_max;
    double fixed_ns, one_ns; /* of a batch */
    bool tells;              /* engines say when they began */
    double rate;             /* requests per second */
    double shares[3];        /* of kinds of criticality: default, critical, sheddable */
    struct server servers[SERVERS_MAX];
    struct request queue[QUEUE_MAX];
    size_t first, n_queued;
    size_t offered[3], refused[3], n_done;
    double took_ns[TOOK_MAX];
    unsigned limit_least, limit_most;
};

static struct simulation sim;

static void set_up(unsigned n_servers, double service_ns, double load)
{
    sim = (struct simulation){.n_servers = n_servers,
                              .rows_max = 1,
                              .one_ns = service_ns,
                              .tells = true,
                              .shares = {1, 0, 0},
                              .rate = load * n_servers * 1e9 / service_ns};
    const struct px_limiter_policy policy = {.adapts = true,
                                             .min = 1,
                                             .max = 1000,
                                             .start = 16,
                                             .window_ns = 100 * MS,
                                             .window_samples = 16,
                                             .buffer = 0.25,
                                             .turns = 1};
    px_limiter_init(&sim.limiter, &policy, 0);
    sim.rng = px_rng(7);
}

/* Engines that do not say when they began: the limit starts low. */
static void forget_to_tell(void)
{
    sim.tells = false;
    sim.limiter.limit = 3;
}

static double uniform(void)
{
    return px_rng_unit(&sim.rng);
}

static void begin_figures(void)
{
    memset(sim.offered, 0, sizeof sim.offered);
    memset(sim.refused, 0, sizeof sim.refused);
    sim.n_done = 0;
    sim.limit_least = UINT32_MAX;
    sim.limit_most = 0;
}

static void serve(struct server *server)
{
    if (sim.n_queued == 0 || server->free_ns)
        return;
    server->n = 0;
    while (sim.n_queued > 0 && server->n < sim.rows_max) {
        server->batch[server->n++] = sim.queue[sim.first];
        sim.first = (sim.first + 1) % QUEUE_MAX;
        sim.n_queued--;
    }
    double jitter = 0.8 + 0.4 * uniform();
    server->started_ns = sim.now_ns;
    server->free_ns =
        sim.now_ns + (uint64_t)(jitter * (sim.fixed_ns + sim.one_ns * (double)server->n)) + 1;
}

static void finish(struct server *server)
{
    for (size_t i = 0; i < server->n; i++) {
        struct px_limiter_sample sample = {server->batch[i].began_ns, sim.now_ns,
                                           sim.tells ? sim.now_ns - server->started_ns : 0};
        px_limiter_leave(&sim.limiter, &sample, sim.now_ns);
        if (sim.n_done < TOOK_MAX)
            sim.took_ns[sim.n_done++] = (double)(sim.now_ns - sample.began_ns);
    }
    server->free_ns = 0;
    unsigned limit = (unsigned)sim.limiter.limit;
    sim.limit_least = limit < sim.limit_least ? limit : sim.limit_least;
    sim.limit_most = limit > sim.limit_most ? limit : sim.limit_most;
}

static enum px_criticality draw_kind(void)
{
    double x = uniform();
    if (x < sim.shares[0])
        return PX_CRITICALITY_DEFAULT;
    return x < sim.shares[0] + sim.shares[1] ? PX_CRITICALITY_CRITICAL : PX_CRITICALITY_SHEDDABLE;
}

static void arrive(void)
{
    enum px_criticality kind = draw_kind();
    sim.offered[kind]++;
    if (px_limiter_enter(&sim.limiter, kind) == PX_LIMITER_ADMITTED)
        sim.queue[(sim.first + sim.n_queued++) % QUEUE_MAX] = (struct request){sim.now_ns, kind};
    else
        sim.refused[kind]++;
    sim.next_arrival_ns = sim.now_ns + 1 + (uint64_t)(-log(1 - uniform()) * 1e9 / sim.rate);
}

static void run_for(uint64_t ns)
{
    uint64_t until_ns = sim.now_ns + ns;
    while (sim.now_ns < until_ns) {
        struct server *next = NULL;
        for (unsigned i = 0; i < sim.n_servers; i++) {
            struct server *server = &sim.servers[i];
            if (server->free_ns && (!next || server->free_ns < next->free_ns))
                next = server;
        }
        if (next && next->free_ns <= sim.next_arrival_ns) {
            sim.now_ns = next->free_ns;
            finish(next);
        } else {
            next = NULL;
            sim.now_ns = sim.next_arrival_ns > sim.now_ns ? sim.next_arrival_ns : sim.now_ns;
            arrive();
        }
        for (unsigned i = 0; i < sim.n_servers; i++)
            serve(&sim.servers[i]);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double p)
{
    qsort(sim.took_ns, sim.n_done, sizeof *sim.took_ns, compare);
    return sim.took_ns[(size_t)(p * (double)(sim.n_done - 1))];
}

/* Requests per second that were answered, as a share of what the servers can do. */
static double goodput(uint64_t ns)
{
    double per_batch = sim.fixed_ns + sim.one_ns * (double)sim.rows_max;
    double most = (double)sim.n_servers * (double)sim.rows_max * 1e9 / per_batch;
    return (double)sim.n_done / ((double)ns * 1e-9) / most;
}

PX_TEST(twice_the_load_keeps_the_goodput_and_the_latency)
{
    static const unsigned servers[] = {1, 2, 4, 16, 64};
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        for (int tells = 0; tells < 2; tells++) {
            set_up(servers[i], 5 * MS, 2);
            if (!tells)
                forget_to_tell();
            run_for(10000ull * MS);
            begin_figures();
            run_for(20000ull * MS);
            CHECK(goodput(20000ull * MS) > 0.95);
            CHECK(percentile(0.99) < (tells ? 4.5 : 8) * 5 * MS);
            CHECK(sim.limit_most <= 2 * servers[i] + 8);
        }
    }
}

PX_TEST(ten_times_the_load_is_as_good_as_twice)
{
    set_up(4, 5 * MS, 10);
    run_for(5000ull * MS);
    begin_figures();
    run_for(10000ull * MS);
    CHECK(goodput(10000ull * MS) > 0.95);
    CHECK(percentile(0.99) < 4 * 5 * MS);
}

PX_TEST(what_fits_is_not_refused)
{
    set_up(4, 5 * MS, 0.6);
    run_for(5000ull * MS);
    begin_figures();
    run_for(10000ull * MS);
    CHECK((double)sim.refused[0] < 0.005 * (double)sim.offered[0]);
}

PX_TEST(batches_are_left_room_to_grow)
{
    set_up(1, 0.2 * MS, 0);
    sim.rows_max = 16;
    sim.fixed_ns = 5 * MS;
    sim.limiter.policy.turns = 2;
    sim.rate = 2 * 16 / 8.2e-3;
    run_for(5000ull * MS);
    begin_figures();
    run_for(10000ull * MS);
    CHECK(goodput(10000ull * MS) > 0.95);
    CHECK(percentile(0.99) < 4 * 8.2 * MS);
}

/* Four times as slow: as many on their way as before, whether engines tell when they begin or not. */
PX_TEST(a_model_that_becomes_slower_is_not_starved)
{
    for (int tells = 0; tells < 2; tells++) {
        set_up(4, 5 * MS, 2);
        if (!tells)
            forget_to_tell();
        run_for(10000ull * MS);
        sim.one_ns = 20 * MS;
        run_for(60000ull * MS);
        begin_figures();
        run_for(60000ull * MS);
        CHECK(sim.limit_least >= 1);
        CHECK(goodput(60000ull * MS) > (tells ? 0.95 : 0.6));
        sim.one_ns = 5 * MS;
        run_for(60000ull * MS);
        begin_figures();
        run_for(10000ull * MS);
        CHECK(goodput(10000ull * MS) > 0.95);
    }
}

PX_TEST(a_stall_is_recovered_from)
{
    set_up(4, 5 * MS, 2);
    run_for(5000ull * MS);
    for (unsigned i = 0; i < sim.n_servers; i++) {
        if (sim.servers[i].free_ns)
            sim.servers[i].free_ns += 3000ull * MS;
    }
    run_for(4000ull * MS);
    begin_figures();
    run_for(10000ull * MS);
    CHECK(goodput(10000ull * MS) > 0.95);
    CHECK(sim.limit_least >= 1);
}

PX_TEST(the_less_critical_are_refused_first)
{
    set_up(8, 5 * MS, 2);
    sim.shares[0] = 0.3;
    sim.shares[1] = 0.3;
    sim.shares[2] = 0.4;
    run_for(5000ull * MS);
    begin_figures();
    run_for(20000ull * MS);
    double refused[3];
    for (int i = 0; i < 3; i++)
        refused[i] = (double)sim.refused[i] / (double)sim.offered[i];
    CHECK(refused[PX_CRITICALITY_CRITICAL] < 0.05);
    CHECK(refused[PX_CRITICALITY_SHEDDABLE] > 0.8);
    CHECK(refused[PX_CRITICALITY_DEFAULT] < 0.6 * refused[PX_CRITICALITY_SHEDDABLE]);
    CHECK(goodput(20000ull * MS) > 0.95);
}

PX_TEST(a_quiet_night_does_not_raise_the_limit)
{
    set_up(2, 5 * MS, 0.1);
    run_for(100000ull * MS);
    CHECK(sim.limiter.limit <= 32);
}

/* ---- by hand ---- */

static void set_fixed(unsigned n)
{
    const struct px_limiter_policy policy = {
        .min = n, .max = n, .start = n, .window_ns = 1, .window_samples = 1};
    px_limiter_init(&sim.limiter, &policy, 0);
}

PX_TEST(a_fixed_limit_stays_and_keeps_an_eighth_for_the_critical)
{
    set_fixed(16);
    for (int i = 0; i < 12; i++)
        CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_SHEDDABLE), PX_LIMITER_ADMITTED);
    CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_SHEDDABLE), PX_LIMITER_SHEDDING);
    for (int i = 0; i < 2; i++)
        CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_DEFAULT), PX_LIMITER_ADMITTED);
    CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_DEFAULT), PX_LIMITER_FULL);
    for (int i = 0; i < 2; i++)
        CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_CRITICAL), PX_LIMITER_ADMITTED);
    CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_CRITICAL), PX_LIMITER_FULL);
    px_limiter_leave(&sim.limiter, &(struct px_limiter_sample){1, 100, 0}, 100);
    CHECK_INT(px_limiter_share(&sim.limiter, PX_CRITICALITY_CRITICAL), 16);
}

PX_TEST(a_small_limit_keeps_one_place_for_the_critical)
{
    for (unsigned n = 2; n < 8; n++) {
        set_fixed(n);
        for (unsigned i = 1; i < n; i++)
            CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_DEFAULT), PX_LIMITER_ADMITTED);
        CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_DEFAULT), PX_LIMITER_FULL);
        CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_SHEDDABLE), PX_LIMITER_SHEDDING);
        CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_CRITICAL), PX_LIMITER_ADMITTED);
        CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_CRITICAL), PX_LIMITER_FULL);
    }
}

PX_TEST(one_of_any_kind_may_always_come)
{
    set_fixed(1);
    CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_SHEDDABLE), PX_LIMITER_ADMITTED);
    CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_CRITICAL), PX_LIMITER_FULL);
}

PX_TEST(requests_that_began_before_the_window_do_not_count)
{
    set_up(1, 5 * MS, 1);
    CHECK_INT(px_limiter_enter(&sim.limiter, PX_CRITICALITY_DEFAULT), PX_LIMITER_ADMITTED);
    sim.limiter.opened_ns = 50;
    px_limiter_leave(&sim.limiter, &(struct px_limiter_sample){49, 90, 0}, 90);
    CHECK_INT(sim.limiter.n_samples, 0);
    CHECK_INT(sim.limiter.in_flight, 0);
}

PX_TEST(who_is_refused_is_told_to_come_when_there_may_be_room)
{
    set_up(2, 5 * MS, 4);
    CHECK_INT(px_limiter_retry_ns(&sim.limiter), 0);
    run_for(5000ull * MS);
    uint64_t retry_ns = px_limiter_retry_ns(&sim.limiter);
    CHECK(retry_ns > 20 * MS && retry_ns < 200 * MS);
}

PX_TEST_MAIN(
    T(twice_the_load_keeps_the_goodput_and_the_latency) T(ten_times_the_load_is_as_good_as_twice)
        T(what_fits_is_not_refused) T(batches_are_left_room_to_grow)
            T(a_model_that_becomes_slower_is_not_starved) T(a_stall_is_recovered_from)
                T(the_less_critical_are_refused_first) T(a_quiet_night_does_not_raise_the_limit)
                    T(a_fixed_limit_stays_and_keeps_an_eighth_for_the_critical)
                        T(a_small_limit_keeps_one_place_for_the_critical)
                            T(one_of_any_kind_may_always_come)
                                T(requests_that_began_before_the_window_do_not_count)
                                    T(who_is_refused_is_told_to_come_when_there_may_be_room))
