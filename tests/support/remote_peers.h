/* SPDX-License-Identifier: Apache-2.0 */
/* A remote engine of one or two peers that behave as a test wants, and runs of it. */
#ifndef PX_TESTS_REMOTE_PEERS_H
#define PX_TESTS_REMOTE_PEERS_H

#include "http_peer.h"
#include "remote_fixture.h"
#include "shared/clock.h"
#include "tensor_engine_contract.h"

static const struct tensor_engine_case add_case = {
    .name = "remote", .make = NULL, .x = "x", .y = "y", .sum = "sum"};

static inline void open_peers(struct remote_fixture *f, struct http_peer *a, struct http_peer *b,
                              const char *more)
{
    char settings[1024];
    *f = (struct remote_fixture){0};
    if (b)
        snprintf(settings, sizeof settings,
                 "{name: remote, urls: [\"http://127.0.0.1:%u\", \"http://127.0.0.1:%u/\"], "
                 "model: add, connect_timeout_ms: 2000%s}",
                 a->port, b->port, more);
    else
        snprintf(settings, sizeof settings,
                 "{name: remote, urls: \"http://127.0.0.1:%u\", model: add%s}", a->port, more);
    CHECK_OK(remote_fixture_open(f, settings));
}

/* Runs x + y, as a step of a sequence when it has an id; the error goes to `err`, sums are checked. */
static inline enum px_code run_once(struct px_engine *engine, uint64_t sequence,
                                    uint64_t timeout_ns, struct px_err *err)
{
    struct contract_run *r = px_xalloc(1, sizeof *r);
    contract_prepare(&add_case, r, 3, 1);
    r->wait.run.sequence.id = sequence;
    if (timeout_ns)
        r->wait.run.deadline_ns = px_clock_monotonic_ns() + timeout_ns;
    px_engine_start(engine, &r->wait.run);
    enum px_code code = waited_run_wait(&r->wait);
    CHECK_INT(atomic_load(&r->wait.n_done), 1);
    if (code == PX_OK)
        contract_check_sum(&add_case, r, 3);
    *err = r->wait.run.err;
    waited_run_deinit(&r->wait);
    px_free(r);
    return code;
}

static inline enum px_code add_once(struct px_engine *engine, uint64_t timeout_ns,
                                    struct px_err *err)
{
    return run_once(engine, 0, timeout_ns, err);
}

static inline enum px_code step_once(struct px_engine *engine, uint64_t sequence,
                                     struct px_err *err)
{
    return run_once(engine, sequence, 0, err);
}

/* ---- behaviours of a peer ---- */

static inline bool refuse_503(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    (void)peer, (void)request;
    return http_peer_reply_json(fd, 503, "{\"error\":\"busy, come back\"}");
}

static inline bool refuse_429(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    (void)peer, (void)request;
    return http_peer_reply(fd, 429, "Retry-After: 7\r\n", px_str("{\"error\":\"too fast\"}"));
}

static inline bool refuse_400(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    (void)peer, (void)request;
    return http_peer_reply_json(fd, 400, "{\"error\":\"x has the wrong shape\\u0007\"}");
}

static inline bool reset(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    (void)peer, (void)request;
    return http_peer_reset(fd);
}

/* Holds the request until the peer is stopped. */
static inline bool stall(struct http_peer *peer, int fd, struct http_peer_request *request)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    (void)request;
    while (!atomic_load(&peer->stopping) && poll(&wait, 1, 10) == 0) {
    }
    return false;
}

/* ---- health ---- */

static inline void wait_for_health(const struct remote_fixture *f, bool healthy)
{
    for (int i = 0; i < 5000; i++) {
        struct px_buf text = px_buf(1 << 16);
        struct px_json_writer w = px_json_writer(&text);
        f->engine->ops->describe(f->engine, &w);
        bool found = strstr(px_buf_cstr(&text), "\"healthy\":false") == NULL;
        px_buf_deinit(&text);
        if (found == healthy)
            return;
        usleep(2000);
    }
    CHECK(false && "the health did not change");
}

#endif
