/* SPDX-License-Identifier: Apache-2.0 */
/* The breakers of a remote model's peers: who is left out and why, who comes back, and what is refused. */
#include "remote_peers.h"

PX_TEST(a_server_that_went_away_is_left_out_after_some_failures)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *gone = http_peer_start(true), *good = http_peer_start(true);
    open_peers(&f, gone, good, ", retries: {budget_percent: 1000}, breaker: {failures: 3}");
    http_peer_stop(gone);
    for (int k = 0; k < 60; k++)
        CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    CHECK(remote_fixture_fact(&f, "opened") == 1); /* of the first peer */
    CHECK(remote_fixture_says(&f, "\"state\":\"open\",\"reason\":\"failures\""));
    CHECK(remote_fixture_fact(&f, "retries") == 3);
    remote_fixture_close(&f);
    http_peer_stop(good);
}

static bool are_closed(const struct remote_fixture *f)
{
    return !remote_fixture_says(f, "\"state\":\"open\"") &&
           !remote_fixture_says(f, "\"state\":\"half_open\"");
}

/* Answers rightly, after a while. */
static bool dawdle(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    usleep(30000);
    return http_peer_infer_add(peer, fd, request);
}

PX_TEST(a_server_that_stalls_is_left_out_and_comes_back_when_it_answers)
{
#define BREAKER "breaker: {failures: 2, slow: 20ms, open: 50ms, probes: 1}"
    static const struct {
        http_peer_infer fault;
        const char *settings;
    } cases[] = {
        {stall, ", timeout_ms: 60, " BREAKER},        /* by the time that is over */
        {stall, ", hedge: {after_ms: 30}, " BREAKER}, /* by hedges that it loses */
        {dawdle, ", " BREAKER},                       /* by answers that are slow */
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct remote_fixture f;
        struct px_err err;
        struct http_peer *stalls = http_peer_start(true), *good = http_peer_start(true);
        open_peers(&f, stalls, good, cases[i].settings);
        atomic_store(&stalls->infer, cases[i].fault);
        for (int k = 0; k < 1000 && remote_fixture_fact(&f, "opened") < 1; k++)
            (void)add_once(f.engine, 0, &err);
        CHECK(remote_fixture_fact(&f, "opened") >= 1);
        for (int k = 0; k < 50 && !remote_fixture_says(&f, "half_open"); k++) {
            enum px_code code = add_once(f.engine, 0, &err); /* the other answers */
            CHECK(code == PX_OK || code == PX_E_DEADLINE); /* but a probe, once the time is over */
        }
        atomic_store(&stalls->infer, http_peer_infer_add);
        for (int k = 0; k < 5000 && !are_closed(&f); k++) {
            enum px_code code = add_once(f.engine, 0, &err);
            CHECK(code == PX_OK || code == PX_E_DEADLINE); /* a probe that still stalls */
            usleep(1000);
        }
        CHECK(are_closed(&f));
        CHECK(cases[i].fault == stall || remote_fixture_fact(&f, "failures") == 0);
        remote_fixture_close(&f);
        http_peer_stop(stalls);
        http_peer_stop(good);
    }
}

PX_TEST(when_all_breakers_are_open_runs_are_refused_at_once)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *a = http_peer_start(true), *b = http_peer_start(true);
    open_peers(&f, a, b, ", breaker: {failures: 2, open: 40s}, retries: {max: 0}");
    atomic_store(&a->infer, refuse_503);
    atomic_store(&b->infer, reset);
    for (int k = 0; k < 1000 && px_engine_is_able(f.engine, NULL); k++)
        CHECK_INT(add_once(f.engine, 0, &err), PX_E_UNAVAILABLE);
    CHECK_INT(atomic_load(&a->n_infer) + atomic_load(&b->n_infer), 4);
    for (int k = 0; k < 10; k++) {
        CHECK_INT(k % 2 ? step_once(f.engine, 5, &err) : add_once(f.engine, 0, &err),
                  PX_E_UNAVAILABLE);
        CHECK_CONTAINS(err.message, "the breakers of all 2 are open");
        CHECK(err.retry_ns > 30 * PX_NS_PER_S && err.retry_ns <= 40 * PX_NS_PER_S);
    }
    CHECK_INT(atomic_load(&a->n_infer) + atomic_load(&b->n_infer), 4);
    CHECK(remote_fixture_fact(&f, "refused") == 10);
    CHECK(!px_engine_is_able(f.engine, &err));
    remote_fixture_close(&f);
    http_peer_stop(a);
    http_peer_stop(b);
}

PX_TEST(a_run_that_has_tried_them_all_hears_how_it_ended)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *a = http_peer_start(true), *b = http_peer_start(true);
    open_peers(&f, a, b, ", breaker: {failures: 1, open: 40s}, retries: {max: 10}");
    atomic_store(&a->infer, refuse_503);
    atomic_store(&b->infer, refuse_503);
    CHECK_INT(add_once(f.engine, 0, &err), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(err.message, "503: busy, come back");
    CHECK_INT(atomic_load(&a->n_infer), 1);
    CHECK_INT(atomic_load(&b->n_infer), 1); /* and no third attempt, though ten are allowed */
    CHECK(remote_fixture_fact(&f, "refused") == 0);
    remote_fixture_close(&f);
    http_peer_stop(a);
    http_peer_stop(b);
}

PX_TEST(runs_that_wait_for_a_connection_are_refused_when_the_breakers_open)
{
    enum { RUNS = 6 };
    struct remote_fixture f;
    struct http_peer *peer = http_peer_start(true);
    open_peers(
        &f, peer, NULL,
        ", connections_max: 2, breaker: {failures: 1, slow: 10ms, open: 40s}, retries: {max: 0}");
    atomic_store(&peer->infer, stall);
    struct contract_run *r = px_xalloc(RUNS, sizeof *r);
    for (size_t i = 0; i < RUNS; i++) { /* two are at the peer, and one of those ends late */
        contract_prepare(&add_case, &r[i], 1, 0);
        if (i == 0)
            r[i].wait.run.deadline_ns = px_clock_monotonic_ns() + 50 * PX_NS_PER_MS;
        px_engine_start(f.engine, &r[i].wait.run);
    }
    CHECK_INT(waited_run_wait(&r[0].wait), PX_E_DEADLINE);
    for (size_t i = 2; i < RUNS; i++) {
        CHECK_INT(waited_run_wait(&r[i].wait), PX_E_UNAVAILABLE);
        CHECK(r[i].wait.run.is_open && r[i].wait.run.err.retry_ns > 0);
        CHECK_INT(r[i].wait.run.started_ns, 0);
    }
    px_engine_cancel(f.engine, &r[1].wait.run);
    CHECK_INT(waited_run_wait(&r[1].wait), PX_E_CANCELLED);
    for (size_t i = 0; i < RUNS; i++)
        waited_run_deinit(&r[i].wait);
    px_free(r);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(what_callers_do_opens_no_breaker)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    open_peers(&f, peer, NULL, ", breaker: {failures: 2}");
    static const http_peer_infer refusals[] = {refuse_400, refuse_429};
    for (size_t i = 0; i < PX_ARRAY_LEN(refusals); i++) {
        atomic_store(&peer->infer, refusals[i]);
        for (int k = 0; k < 10; k++)
            CHECK(add_once(f.engine, 0, &err) != PX_OK);
    }
    atomic_store(&peer->infer, stall);
    for (int k = 0; k < 5; k++)
        CHECK_INT(add_once(f.engine, 10 * PX_NS_PER_MS, &err), PX_E_DEADLINE);
    CHECK(remote_fixture_says(&f, "\"state\":\"closed\",\"reason\":\"none\""));
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(a_peer_whose_checks_pass_again_is_probed_before_its_time)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    open_peers(&f, peer, NULL,
               ", health: {interval_ms: 10}, retries: {max: 0}, "
               "breaker: {failures: 1, open: 1h, open_max: 1h, probes: 1}");
    atomic_store(&peer->infer, refuse_503);
    CHECK_INT(add_once(f.engine, 0, &err), PX_E_UNAVAILABLE);
    atomic_store(&peer->infer, http_peer_infer_add);
    unsigned checks = atomic_load(&peer->n_ready);
    while (atomic_load(&peer->n_ready) < checks + 5) /* those that pass all the time say nothing */
        usleep(1000);
    CHECK_INT(add_once(f.engine, 0, &err), PX_E_UNAVAILABLE);
    CHECK_INT(atomic_load(&peer->n_infer), 1);
    atomic_store(&peer->ready, false);
    wait_for_health(&f, false);
    atomic_store(&peer->ready, true);
    wait_for_health(&f, true);
    CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    CHECK(remote_fixture_says(&f, "\"state\":\"closed\""));
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST_MAIN(T(a_server_that_went_away_is_left_out_after_some_failures)
                 T(a_server_that_stalls_is_left_out_and_comes_back_when_it_answers)
                     T(when_all_breakers_are_open_runs_are_refused_at_once)
                         T(a_run_that_has_tried_them_all_hears_how_it_ended)
                             T(runs_that_wait_for_a_connection_are_refused_when_the_breakers_open)
                                 T(what_callers_do_opens_no_breaker)
                                     T(a_peer_whose_checks_pass_again_is_probed_before_its_time))
