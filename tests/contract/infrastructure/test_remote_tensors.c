/* SPDX-License-Identifier: Apache-2.0 */
/* The engine port's contract, kept by a model on another server: over HTTP in binary and in JSON, over gRPC, and with hedges. */
#include "grpc_peer.h"
#include "http_peer.h"
#include "remote_fixture.h"
#include "tensor_engine_contract.h"

static struct http_peer *peers[2];
static struct grpc_peer *grpc_peers[2];
static struct remote_fixture fixture;

/* The suite destroys the engine; its arena goes with the next one. */
static struct px_engine *make(const char *more)
{
    char settings[512];
    const char *scheme = grpc_peers[0] ? "grpc" : "http";
    unsigned first = grpc_peers[0] ? grpc_peers[0]->port : peers[0]->port;
    unsigned second = grpc_peers[0] ? grpc_peers[1]->port : peers[1]->port;
    px_arena_deinit(&fixture.arena);
    fixture = (struct remote_fixture){0};
    snprintf(settings, sizeof settings,
             "{name: remote, urls: [\"%s://127.0.0.1:%u\", \"%s://127.0.0.1:%u\"], model: add%s}",
             scheme, first, scheme, second, more);
    CHECK_OK(remote_fixture_open(&fixture, settings));
    return fixture.engine;
}

static struct px_engine *make_plain(void)
{
    return make("");
}

static struct px_engine *make_hedged(void)
{
    return make(", hedge: {after_ms: 1}, connections_max: 8, balance: least_outstanding");
}

static void run_suite(bool binary, struct px_engine *(*maker)(void))
{
    const struct tensor_engine_case c = {
        .name = "remote", .make = maker, .x = "x", .y = "y", .sum = "sum"};
    for (size_t i = 0; i < 2; i++)
        peers[i] = http_peer_start(binary);
    tensor_engine_contract(&c);
    for (size_t i = 0; i < 2; i++)
        http_peer_stop(peers[i]);
    px_arena_deinit(&fixture.arena);
    fixture = (struct remote_fixture){0};
}

PX_TEST(binary_tensors)
{
    run_suite(true, make_plain);
}

PX_TEST(json)
{
    run_suite(false, make_plain);
}

PX_TEST(hedged_with_few_connections)
{
    run_suite(true, make_hedged);
}

static void run_grpc_suite(unsigned requests_max, struct px_engine *(*maker)(void))
{
    const struct tensor_engine_case c = {
        .name = "remote", .make = maker, .x = "x", .y = "y", .sum = "sum"};
    for (size_t i = 0; i < 2; i++)
        grpc_peers[i] = grpc_peer_start(requests_max);
    tensor_engine_contract(&c);
    for (size_t i = 0; i < 2; i++) {
        CHECK(atomic_load(&grpc_peers[i]->n_infer) > 0);
        grpc_peer_stop(grpc_peers[i]);
        grpc_peers[i] = NULL;
    }
    px_arena_deinit(&fixture.arena);
    fixture = (struct remote_fixture){0};
}

PX_TEST(grpc)
{
    run_grpc_suite(0, make_plain);
}

PX_TEST(grpc_hedged_with_few_connections)
{
    run_grpc_suite(0, make_hedged);
}

/* Idle connections are found dead all the time, and others are opened in their place. */
static struct px_engine *make_patient(void)
{
    return make(
        ", connections_max: 4, retries: {max: 10, budget_percent: 1000, minimum_per_s: 1000}, "
        "breaker: off, health: {interval_ms: 0}");
}

PX_TEST(grpc_of_servers_that_close_connections)
{
    run_grpc_suite(3, make_patient);
}

PX_TEST_MAIN(T(grpc) T(grpc_hedged_with_few_connections) T(grpc_of_servers_that_close_connections)
                 T(binary_tensors) T(json) T(hedged_with_few_connections))
