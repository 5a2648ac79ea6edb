/* SPDX-License-Identifier: Apache-2.0 */
/* The remote engine against servers that fail in every way: what the caller is told, and what goes on. */
#include "remote_peers.h"

/* ---- behaviours of a peer ---- */

static bool refuse_500_with_html(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    (void)peer, (void)request;
    return http_peer_reply_json(fd, 500, "<html>\xff\x01 oops\n</html>");
}

static bool reset_in_the_reply(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    (void)peer, (void)request;
    http_peer_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"outputs\":[", 53);
    return false;
}

/* Breaks off inside the headers of the first reply. */
static bool cut_headers_once(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    if (atomic_load(&peer->n_infer) > 1)
        return http_peer_infer_add(peer, fd, request);
    http_peer_send(fd, "HTTP/1.1 200 OK\r\nContent-Le", 27);
    return false;
}

static bool cut_headers(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    (void)peer, (void)request;
    http_peer_send(fd, "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n", 36);
    return false;
}

static bool drip(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{";
    (void)request;
    for (size_t i = 0; !atomic_load(&peer->stopping); i++) {
        if (!http_peer_send(fd, i < sizeof text - 1 ? text + i : " ", 1))
            break;
        usleep(1000);
    }
    return false;
}

static bool flood(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    static const char block[65536];
    (void)peer, (void)request;
    http_peer_send(fd, "HTTP/1.1 200 OK\r\n\r\n", 19);
    for (int i = 0; i < 100000 && http_peer_send(fd, block, sizeof block); i++) {
    }
    return false;
}

static const char *_Atomic said; /* the body that `say` answers */
static const char *_Atomic said_headers;

static bool say(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    (void)peer, (void)request;
    return http_peer_reply(fd, 200, atomic_load(&said_headers), px_str(atomic_load(&said)));
}

static bool say_no_http(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    (void)peer, (void)request;
    http_peer_send(fd, "220 mail.example ESMTP\r\n", 24);
    return false;
}

/* Slow on the first request, quick on the next ones. */
static bool slow_once(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    if (atomic_load(&peer->n_infer) == 1)
        return stall(peer, fd, request);
    return http_peer_infer_add(peer, fd, request);
}

/* Answers the first request; the others are read, counted and left without a word, and their connection ends. */
static bool hang_up_later(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    return atomic_load(&peer->n_infer) == 1 && http_peer_infer_add(peer, fd, request);
}

/* The same, but the third request is answered again. */
static bool hang_up_once(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    return atomic_load(&peer->n_infer) != 2 && http_peer_infer_add(peer, fd, request);
}

/* Closes the connection after each answer, without a word in it. */
static bool close_after(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    http_peer_infer_add(peer, fd, request);
    return false;
}

static bool refuse_once(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    return atomic_load(&peer->n_infer) == 1 ? refuse_503(peer, fd, request)
                                            : http_peer_infer_add(peer, fd, request);
}

/* ---- tests ---- */

PX_TEST(connections_are_kept)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    open_peers(&f, peer, NULL, ", health: {interval_ms: 0}");
    for (int i = 0; i < 20; i++)
        CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    CHECK_INT(atomic_load(&peer->n_connections), 2); /* one to ask for metadata */
    CHECK(remote_fixture_fact(&f, "answered") == 20);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(a_connection_that_the_peer_closes_is_opened_again)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, close_after);
    open_peers(&f, peer, NULL, ", retries: {budget_percent: 100}");
    for (int i = 0; i < 10; i++)
        CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(a_run_that_a_kept_connection_swallows_is_sent_again_by_our_rules_alone)
{
    static const struct {
        const char *retries;
        unsigned n_sent;
        double refused;
    } cases[] = {
        {", retries: {max: 0}", 2, 0},
        {", retries: {max: 2}", 4, 0},
        {", retries: {max: 2, budget_percent: 0, minimum_per_s: 0}", 2, 1},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct remote_fixture f;
        struct px_err err;
        struct http_peer *peer = http_peer_start(true);
        atomic_store(&peer->infer, hang_up_later);
        open_peers(&f, peer, NULL, cases[i].retries);
        CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
        CHECK_INT(add_once(f.engine, 0, &err), PX_E_UNAVAILABLE);
        CHECK_INT(atomic_load(&peer->n_infer), cases[i].n_sent);
        CHECK(remote_fixture_fact(&f, "retries") == cases[i].n_sent - 2);
        CHECK(remote_fixture_fact(&f, "retries_refused") == cases[i].refused);
        CHECK_CONTAINS(err.message, "http://127.0.0.1:");
        remote_fixture_close(&f);
        http_peer_stop(peer);
    }
}

PX_TEST(a_connection_that_ends_under_a_run_costs_one_retry)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, hang_up_once);
    open_peers(&f, peer, NULL, "");
    CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    CHECK_INT(atomic_load(&peer->n_infer), 3);
    CHECK(remote_fixture_fact(&f, "retries") == 1);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(a_reply_that_ends_inside_its_headers_is_no_reply)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, cut_headers_once);
    open_peers(&f, peer, NULL, "");
    CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    CHECK(remote_fixture_fact(&f, "retries") == 1);
    atomic_store(&peer->infer, cut_headers);
    CHECK_INT(step_once(f.engine, 7, &err), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(err.message, "cut off inside its headers");
    CHECK(remote_fixture_fact(&f, "retries") == 1);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(a_step_of_a_sequence_is_never_sent_twice)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, hang_up_later);
    open_peers(&f, peer, NULL, ", retries: {max: 5}");
    CHECK_INT(step_once(f.engine, 7, &err), PX_OK);
    CHECK_INT(step_once(f.engine, 7, &err), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(err.message, "closed without a reply");
    CHECK_INT(atomic_load(&peer->n_infer), 2);
    CHECK(remote_fixture_fact(&f, "retries") == 0);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(what_cannot_have_been_computed_is_tried_elsewhere)
{
    static const http_peer_infer faults[] = {refuse_503, reset};
    for (size_t i = 0; i < PX_ARRAY_LEN(faults); i++) {
        struct remote_fixture f;
        struct px_err err;
        struct http_peer *bad = http_peer_start(true), *good = http_peer_start(true);
        atomic_store(&bad->infer, faults[i]);
        open_peers(&f, bad, good, ", retries: {budget_percent: 1000}");
        for (int k = 0; k < 20; k++)
            CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
        CHECK(remote_fixture_fact(&f, "retries") >= 1);
        CHECK(remote_fixture_fact(&f, "failures") >= 1);
        remote_fixture_close(&f);
        http_peer_stop(bad);
        http_peer_stop(good);
    }
}

PX_TEST(retries_end_and_the_last_reason_is_told)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, refuse_503);
    open_peers(&f, peer, NULL, ", retries: {max: 2}");
    CHECK_INT(add_once(f.engine, 0, &err), PX_E_UNAVAILABLE);
    CHECK_INT(atomic_load(&peer->n_infer), 3);
    CHECK_CONTAINS(err.message, "http://127.0.0.1:");
    CHECK_CONTAINS(err.message, "503: busy, come back");
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(a_single_server_is_asked_again_after_a_while)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, refuse_once);
    open_peers(&f, peer, NULL, "");
    CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    CHECK_INT(atomic_load(&peer->n_infer), 2);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(without_budget_there_are_no_retries)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, refuse_503);
    open_peers(&f, peer, NULL, ", retries: {max: 5, budget_percent: 0, minimum_per_s: 0}");
    CHECK_INT(add_once(f.engine, 0, &err), PX_E_UNAVAILABLE);
    CHECK_INT(atomic_load(&peer->n_infer), 1);
    CHECK(remote_fixture_fact(&f, "retries_refused") == 1);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(what_the_peer_says_is_passed_on_and_not_tried_again)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, refuse_400);
    open_peers(&f, peer, NULL, "");
    CHECK_INT(add_once(f.engine, 0, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "400: x has the wrong shape?");
    atomic_store(&peer->infer, refuse_500_with_html);
    CHECK_INT(add_once(f.engine, 0, &err), PX_E_INTERNAL);
    CHECK_CONTAINS(err.message, "500: <html>?? oops </html>");
    CHECK_INT(atomic_load(&peer->n_infer), 2);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(hostile_replies_are_errors)
{
    static const struct {
        const char *headers, *body, *part;
    } cases[] = {
        {"", "", "JSON"},
        {"", "garbage", "JSON line 1"},
        {"", "[]", "expected"},
        {"", "{\"outputs\":[", "JSON"},
        {"", "{}", "'sum' is missing"},
        {"", "{\"outputs\":[]}", "'sum' is missing"},
        {"",
         "{\"outputs\":[{\"name\":\"other\",\"datatype\":\"FP32\",\"shape\":[1],\"data\":[1]}]}",
         "'sum' is missing"},
        {"",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP64\",\"shape\":[1,2],\"data\":[1,2]}]}",
         "FP64"},
        {"",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[3],\"data\":[1,2,3]}]}",
         "shape"},
        {"",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[2,2],\"data\":[1,2,3]}]"
         "}",
         "shape [2,2] needs 4 values, got 3"},
        {"",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[1,2,3]}]"
         "}",
         "sum"},
        {"",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[99999999999,2],"
         "\"data\":[1,2]}]}",
         "the data is too short for shape [99999999999,2]"},
        {"",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[18446744073709551615,"
         "18446744073709551615],\"data\":[1,2]}]}",
         "too large"},
        {"",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[1,2],"
         "\"data\":[\"a\",\"b\"]}]}",
         "sum"},
        {"",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[1,-2],\"data\":[1,2]}]}",
         "JSON"},
        {"",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"WHAT\",\"shape\":[1,2],\"data\":[1,2]}]}",
         "WHAT"},
        {"",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[1,2],"
         "\"parameters\":{\"binary_data_size\":8}}]}",
         "expected 8 bytes"},
        {"Inference-Header-Content-Length: 96\r\n",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[1,2],"
         "\"parameters\":{\"binary_data_size\":4}}]}1234",
         "sum"},
        {"Inference-Header-Content-Length: 2\r\n", "{}12345678", "8 bytes follow"},
        {"Inference-Header-Content-Length: 99999\r\n", "{}", "Inference-Header-Content-Length"},
        {"Inference-Header-Content-Length: minus\r\n", "{}", "Inference-Header-Content-Length"},
        {"",
         "{\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[0,2],\"data\":[]},"
         "{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[0,2],\"data\":[]}]}",
         "twice"},
    };
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    open_peers(&f, peer, NULL, ", breaker: off");
    atomic_store(&peer->infer, say);
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        atomic_store(&said, cases[i].body);
        atomic_store(&said_headers, cases[i].headers);
        enum px_code code = add_once(f.engine, 0, &err);
        if (code != PX_E_INTERNAL)
            fprintf(stderr, "case %zu: %s\n", i, err.message);
        CHECK_INT(code, PX_E_INTERNAL);
        CHECK_CONTAINS(err.message, "http://127.0.0.1:");
        CHECK_CONTAINS(err.message, cases[i].part);
    }
    atomic_store(&peer->infer, http_peer_infer_add);
    CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(broken_replies_are_errors)
{
    static const http_peer_infer faults[] = {reset_in_the_reply, say_no_http, flood};
    static const enum px_code codes[] = {PX_E_UNAVAILABLE, PX_E_UNAVAILABLE, PX_E_INTERNAL};
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    open_peers(&f, peer, NULL, ", response_bytes_max: 1000000");
    for (size_t i = 0; i < PX_ARRAY_LEN(faults); i++) {
        atomic_store(&peer->infer, faults[i]);
        unsigned before = atomic_load(&peer->n_infer);
        CHECK_INT(add_once(f.engine, 0, &err), codes[i]);
        CHECK_INT(atomic_load(&peer->n_infer) - before, 1);
    }
    CHECK_CONTAINS(err.message, "1000000 bytes");
    atomic_store(&peer->infer, http_peer_infer_add);
    CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(deadlines_end_what_stalls_or_drips)
{
    static const http_peer_infer faults[] = {stall, drip};
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    open_peers(&f, peer, NULL, ", timeout_ms: 150");
    for (size_t i = 0; i < PX_ARRAY_LEN(faults); i++) {
        atomic_store(&peer->infer, faults[i]);
        CHECK_INT(add_once(f.engine, 50 * PX_NS_PER_MS, &err), PX_E_DEADLINE);
        CHECK_CONTAINS(err.message, "no answer within");
        CHECK_INT(add_once(f.engine, 0, &err), PX_E_DEADLINE); /* the engine's own */
    }
    atomic_store(&peer->infer, http_peer_infer_add);
    CHECK(remote_fixture_fact(&f, "late") == 4);
    CHECK(remote_fixture_fact(&f, "in_flight") == 0);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(a_cancelled_run_ends_and_its_connection_is_closed)
{
    struct remote_fixture f;
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, stall);
    open_peers(&f, peer, NULL, "");
    struct contract_run *r = px_xalloc(1, sizeof *r);
    contract_prepare(&add_case, r, 1, 0);
    px_engine_start(f.engine, &r->wait.run);
    while (atomic_load(&peer->n_infer) == 0)
        usleep(1000);
    px_engine_cancel(f.engine, &r->wait.run);
    CHECK_INT(waited_run_wait(&r->wait), PX_E_CANCELLED);
    CHECK(remote_fixture_fact(&f, "cancelled") == 1);
    waited_run_deinit(&r->wait);
    px_free(r);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(a_hedge_answers_for_one_that_hangs)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *a = http_peer_start(true), *b = http_peer_start(true);
    atomic_store(&a->infer, slow_once);
    atomic_store(&b->infer, slow_once);
    open_peers(&f, a, b, ", hedge: {after_ms: 20}");
    atomic_fetch_add(&b->n_infer, 1); /* one of them is quick, whichever is asked first */
    for (int i = 0; i < 6; i++)
        CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    CHECK(atomic_load(&a->n_infer) == 0 || remote_fixture_fact(&f, "hedges_won") >= 1);
    remote_fixture_close(&f);
    http_peer_stop(a);
    http_peer_stop(b);
}

PX_TEST(more_requests_than_connections_wait_and_more_than_allowed_are_refused)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, stall);
    open_peers(&f, peer, NULL, ", connections_max: 1, requests_max: 2, timeout_ms: 60000");
    struct contract_run *r = px_xalloc(2, sizeof *r);
    for (size_t i = 0; i < 2; i++) {
        contract_prepare(&add_case, &r[i], 1, 0);
        px_engine_start(f.engine, &r[i].wait.run);
    }
    CHECK_INT(add_once(f.engine, 0, &err), PX_E_OVERLOADED);
    CHECK_CONTAINS(err.message, "2 requests");
    for (size_t i = 0; i < 2; i++) {
        px_engine_cancel(f.engine, &r[1 - i].wait.run);
        CHECK_INT(waited_run_wait(&r[1 - i].wait), PX_E_CANCELLED);
        waited_run_deinit(&r[1 - i].wait);
    }
    CHECK(atomic_load(&peer->n_infer) <= 1);
    px_free(r);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(health_checks_see_a_peer_go_and_come)
{
    struct remote_fixture f;
    struct http_peer *peer = http_peer_start(true);
    open_peers(&f, peer, NULL, ", health: {interval_ms: 10}");
    wait_for_health(&f, true);
    atomic_store(&peer->ready, false);
    wait_for_health(&f, false);
    atomic_store(&peer->ready, true);
    wait_for_health(&f, true);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

static struct px_tensor_spec declared_inputs[] = {
    {.name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1, 2}, .n_dims = 2},
    {.name = PX_STR("y"), .type = PX_TYPE_FP32, .shape = {-1, 2}, .n_dims = 2}};
static struct px_tensor_spec declared_output = {
    .name = PX_STR("sum"), .type = PX_TYPE_FP32, .shape = {-1, 2}, .n_dims = 2};

PX_TEST(a_peer_that_wants_fewer_requests_says_so_to_the_caller)
{
    struct remote_fixture f;
    struct px_err err;
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, refuse_429);
    open_peers(&f, peer, NULL, "");
    CHECK_INT(add_once(f.engine, 0, &err), PX_E_LIMITED);
    CHECK_INT(px_code_http(err.code), 429);
    CHECK_CONTAINS(err.message, "answered 429: too fast");
    CHECK_INT(err.retry_ns, 7 * PX_NS_PER_S);
    CHECK_INT(atomic_load(&peer->n_infer), 1);
    atomic_store(&peer->infer, refuse_400);
    CHECK_INT(add_once(f.engine, 0, &err), PX_E_INVALID);
    CHECK_INT(err.retry_ns, 0);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

static void sum_metric(void *context, enum px_engine_metric metric, struct px_str peer,
                       uint64_t value)
{
    uint64_t *sums = context;
    bool of_peer = metric != PX_ENGINE_METRIC_REMOTE_RETRIES &&
                   metric != PX_ENGINE_METRIC_REMOTE_RETRIES_REFUSED &&
                   metric != PX_ENGINE_METRIC_REMOTE_HEDGES &&
                   metric != PX_ENGINE_METRIC_REMOTE_HEDGES_WON &&
                   metric != PX_ENGINE_METRIC_REMOTE_REFUSED;
    CHECK_INT(peer.len > 0, of_peer);
    sums[metric] += value;
}

PX_TEST(attempts_retries_and_failures_are_measured)
{
    struct remote_fixture f;
    struct px_err err;
    uint64_t sums[PX_ENGINE_METRIC_REMOTE_OUTSTANDING + 1] = {0};
    const struct px_engine_measures measures = {sum_metric, sums};
    struct http_peer *peer = http_peer_start(true);
    atomic_store(&peer->infer, refuse_once);
    open_peers(&f, peer, NULL, ", retries: {max: 1, minimum_per_s: 10}");
    CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    px_engine_measure(f.engine, &measures);
    CHECK_INT(sums[PX_ENGINE_METRIC_REMOTE_ATTEMPTS], 2);
    CHECK_INT(sums[PX_ENGINE_METRIC_REMOTE_FAILURES], 1);
    CHECK_INT(sums[PX_ENGINE_METRIC_REMOTE_RETRIES], 1);
    CHECK_INT(sums[PX_ENGINE_METRIC_REMOTE_HEDGES], 0);
    CHECK_INT(sums[PX_ENGINE_METRIC_REMOTE_HEALTHY], 1);
    CHECK_INT(sums[PX_ENGINE_METRIC_REMOTE_BREAKER_STATE], 0);
    CHECK_INT(sums[PX_ENGINE_METRIC_REMOTE_REFUSED], 0);
    CHECK_INT(sums[PX_ENGINE_METRIC_REMOTE_OUTSTANDING], 0);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(a_peer_that_is_down_at_load_needs_a_declared_model)
{
    struct px_err err;
    char settings[256];
    struct http_peer *peer = http_peer_start(true);
    uint16_t port = peer->port;
    http_peer_stop(peer);
    snprintf(
        settings, sizeof settings,
        "{name: remote, urls: [\"http://127.0.0.1:%u\"], model: add, health: {interval_ms: 10}}",
        port);
    struct remote_fixture f = {0};
    CHECK_INT(remote_fixture_open(&f, settings), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(f.err.message, "no peer answers");
    px_arena_deinit(&f.arena);
    f = (struct remote_fixture){.inputs = {declared_inputs, 2}, .outputs = {&declared_output, 1}};
    CHECK_OK(remote_fixture_open(&f, settings));
    CHECK_INT(add_once(f.engine, 0, &err), PX_E_UNAVAILABLE);
    peer = http_peer_start_at(true, port);
    wait_for_health(&f, true);
    CHECK_INT(add_once(f.engine, 0, &err), PX_OK);
    remote_fixture_close(&f);
    http_peer_stop(peer);
}

PX_TEST(loading_says_what_is_wrong)
{
    char settings[256];
    struct http_peer *peer = http_peer_start(true);
    struct remote_fixture f = {0};
    snprintf(settings, sizeof settings,
             "{name: remote, urls: \"http://127.0.0.1:%u\", model: nosuch}", peer->port);
    CHECK_INT(remote_fixture_open(&f, settings), PX_E_NOT_FOUND);
    CHECK_CONTAINS(f.err.message, "404: no such model, says the peer");
    px_arena_deinit(&f.arena);
    snprintf(settings, sizeof settings, "{name: remote, urls: \"http://127.0.0.1:%u\", model: add}",
             peer->port);
    struct px_tensor_spec wrong = declared_output;
    wrong.type = PX_TYPE_FP64;
    f = (struct remote_fixture){.outputs = {&wrong, 1}};
    CHECK_INT(remote_fixture_open(&f, settings), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "'sum' of FP64 is declared, the peers have FP32");
    px_arena_deinit(&f.arena);
    http_peer_stop(peer);
}

PX_TEST(memory_that_is_short_while_loading_is_an_error)
{
    char settings[256];
    struct http_peer *peer = http_peer_start(true);
    snprintf(settings, sizeof settings, "{name: remote, urls: \"http://127.0.0.1:%u\", model: add}",
             peer->port);
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; n < 200 && code != PX_OK; n++) {
        struct remote_fixture f = {0};
        px_alloc_fail_at(n);
        code = remote_fixture_open(&f, settings);
        px_alloc_fail_at(0);
        if (code == PX_OK)
            px_engine_destroy(f.engine);
        px_arena_deinit(&f.arena);
    }
    CHECK_OK(code);
    http_peer_stop(peer);
}

PX_TEST(bad_settings_name_the_key)
{
    static const char *const cases[][2] = {
        {"{name: remote, model: m}", "engine.urls"},
        {"{name: remote, urls: [], model: m}", "engine.urls"},
        {"{name: remote, urls: [\"http://h:1\", \"http://h:1/\"], model: m}", "listed twice"},
        {"{name: remote, urls: [http://h:1], model: m, timeout_ms: 1e9}", "to 86400000,"},
        {"{name: remote, urls: [ftp://h:1], model: m}", "expected a URL"},
        {"{name: remote, urls: [\"http://\"], model: m}", "expected a URL"},
        {"{name: remote, urls: [\"http://a b\"], model: m}", "expected a URL"},
        {"{name: remote, urls: [\"http://u:p@h:1\"], model: m}", "expected a URL"},
        {"{name: remote, urls: [\"grpc://h:1/base\"], model: m}", "expected a URL"},
        {"{name: remote, urls: [\"http://h:1?x=1\"], model: m}", "expected a URL"},
        {"{name: remote, urls: [grpc://h:1, http://h:1/base], model: m}", "are one port"},
        {"{name: remote, urls: [http://h:1]}", "engine.model"},
        {"{name: remote, urls: [http://h:1], model: \"\"}", "engine.model"},
        {"{name: remote, urls: [http://h:1], model: m, timeout_ms: 0}", "engine.timeout_ms"},
        {"{name: remote, urls: [http://h:1], model: m, timeout_ms: 1.5}", "whole number"},
        {"{name: remote, urls: [http://h:1], model: m, retries: {max: 11}}", "engine.retries.max"},
        {"{name: remote, urls: [http://h:1], model: m, retries: 3}", "engine.retries"},
        {"{name: remote, urls: [http://h:1], model: m, retrys: {max: 1}}", "retrys"},
        {"{name: remote, urls: [http://h:1], model: m, hedge: {percentile: 100}}",
         "engine.hedge.percentile"},
        {"{name: remote, urls: [http://h:1], model: m, balance: random}", "engine.balance"},
        {"{name: remote, urls: [http://h:1], model: m, health: {path: ready}}",
         "engine.health.path"},
        {"{name: remote, urls: [http://h:1], model: m, headers: {\"a b\": c}}", "engine.headers"},
        {"{name: remote, urls: [http://h:1], model: m, headers: {Content-Type: c}}",
         "engine.headers"},
        {"{name: remote, urls: [http://h:1], model: m, headers: {a: \"b\\r\\nc: d\"}}",
         "engine.headers"},
        {"{name: remote, urls: [https://h:1], model: m, tls: {cert: c.pem}}", "engine.tls"},
        {"{name: remote, urls: [https://h:1], model: m, tls: {ca: ../../ca.pem}}",
         "engine.tls.ca: '../../ca.pem' must be a path inside the folder"},
        {"{name: remote, urls: [http://h:1], model: m, ejection: {max_percent: 50}}",
         "engine.ejection: line 1: expected 'breaker'"},
        {"{name: remote, urls: [http://h:1], model: m, breaker: sometimes}", "engine.breaker"},
        {"{name: remote, urls: [http://h:1], model: m, breaker: {fail: 3}}", "engine.breaker"},
        {"{name: remote, urls: [http://h:1], model: m, breaker: {open: 2m, open_max: 1m}}",
         "engine.breaker"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        struct remote_fixture f = {0};
        enum px_code code = remote_fixture_open(&f, cases[i][0]);
        CHECK(code == PX_E_INVALID || code == PX_E_UNKNOWN_OPTION);
        CHECK_CONTAINS(f.err.message, cases[i][1]);
        px_arena_deinit(&f.arena);
    }
}

PX_TEST_MAIN(
    T(connections_are_kept) T(a_connection_that_the_peer_closes_is_opened_again) T(
        a_run_that_a_kept_connection_swallows_is_sent_again_by_our_rules_alone)
        T(a_connection_that_ends_under_a_run_costs_one_retry) T(
            a_reply_that_ends_inside_its_headers_is_no_reply)
            T(a_step_of_a_sequence_is_never_sent_twice) T(
                what_cannot_have_been_computed_is_tried_elsewhere)
                T(retries_end_and_the_last_reason_is_told) T(
                    a_single_server_is_asked_again_after_a_while)
                    T(without_budget_there_are_no_retries) T(
                        what_the_peer_says_is_passed_on_and_not_tried_again)
                        T(hostile_replies_are_errors) T(broken_replies_are_errors) T(
                            deadlines_end_what_stalls_or_drips)
                            T(a_cancelled_run_ends_and_its_connection_is_closed) T(
                                a_hedge_answers_for_one_that_hangs)
                                T(more_requests_than_connections_wait_and_more_than_allowed_are_refused)
                                    T(health_checks_see_a_peer_go_and_come)
                                        T(a_peer_that_wants_fewer_requests_says_so_to_the_caller)
                                            T(attempts_retries_and_failures_are_measured) T(
                                                a_peer_that_is_down_at_load_needs_a_declared_model)
                                                T(loading_says_what_is_wrong) T(
                                                    memory_that_is_short_while_loading_is_an_error)
                                                    T(bad_settings_name_the_key))
