/* SPDX-License-Identifier: Apache-2.0 */
/* The engine port's contract, kept by a model on another server: in binary and in JSON, alone and with hedges. */
#include "http_peer.h"
#include "remote_fixture.h"
#include "tensor_engine_contract.h"

static struct http_peer *peers[2];
static struct remote_fixture fixture;

/* The suite destroys the engine; its arena goes with the next one. */
static struct px_engine *make(const char *more)
{
    char settings[512];
    px_arena_deinit(&fixture.arena);
    fixture = (struct remote_fixture){0};
    snprintf(
        settings, sizeof settings,
        "{name: remote, urls: [\"http://127.0.0.1:%u\", \"http://127.0.0.1:%u\"], model: add%s}",
        peers[0]->port, peers[1]->port, more);
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
    const struct tensor_engine_case c = {"remote", maker, "x", "y", "sum"};
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

PX_TEST_MAIN(T(binary_tensors) T(json) T(hedged_with_few_connections))
