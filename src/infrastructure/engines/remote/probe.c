/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Active checks: each peer is asked whether it is ready, and one of which it is not known yet whether it takes binary tensors is
 * asked that. Two failures in a row make a peer unhealthy, one success healthy.
 */
#include "infrastructure/engines/remote/engine.h"

#include "infrastructure/engines/remote/codec.h"
#include "infrastructure/engines/remote/discovery.h"
#include "shared/clock.h"

enum { FAILURES_UNHEALTHY = 2, DEFAULT_INTERVAL_MS = 5000, LIMIT_MIN_MS = 1000 };

static uint64_t interval_ns(const struct px_remote *self)
{
    uint64_t ms = (uint64_t)self->settings.health_interval_ms;
    return (ms ? ms : DEFAULT_INTERVAL_MS) * PX_NS_PER_MS;
}

static bool is_wanted(const struct px_remote *self, size_t index)
{
    return self->settings.health_interval_ms > 0 ||
           (!self->peers[index].url->grpc && self->peers[index].form == PX_REMOTE_FORM_UNKNOWN);
}

/* Peers are not all asked at the same moment. */
void px_remote_probes_init(struct px_remote *self, uint64_t answered, uint64_t now_ns)
{
    for (size_t i = 0; i < self->settings.n_urls; i++) {
        bool known = answered & (UINT64_C(1) << i);
        uint64_t wait_ns = known ? interval_ns(self) : interval_ns(self) / 4;
        self->probes[i].at_ns = now_ns + wait_ns / 2 + px_rng_below(&self->rng, wait_ns / 2 + 1);
        if (!known) {
            self->probes[i].failures = FAILURES_UNHEALTHY;
            px_balancer_set_health(&self->balancer, i, false);
        }
    }
    self->due_ns = now_ns;
}

static enum px_code start(struct px_remote *self, size_t index, struct px_err *err)
{
    struct px_remote_probe *probe = &self->probes[index];
    struct px_remote_peer *peer = &self->peers[index];
    struct px_remote_transfer *transfer = px_remote_take_transfer(self);
    if (!transfer)
        return px_err_set(err, PX_E_NO_MEMORY, "there is no memory for a health check");
    probe->asks_server = !peer->url->grpc && peer->form == PX_REMOTE_FORM_UNKNOWN;
    uint64_t limit_ms = (uint64_t)self->settings.connect_timeout_ms;
    struct px_remote_exchange exchange = {
        .path = px_buf_cstr(&self->ready_path),
        .fresh = probe->fresh,
        .limit_ns = (limit_ms > LIMIT_MIN_MS ? limit_ms : LIMIT_MIN_MS) * PX_NS_PER_MS,
    };
    if (probe->asks_server) {
        exchange.path = "/v2";
    } else if (peer->url->grpc) {
        exchange.path = PX_REMOTE_GRPC_METHOD("ModelReady");
        exchange.body = px_buf_view(&self->ready_body);
    }
    transfer->call = NULL;
    transfer->endpoint = index;
    enum px_code code = px_remote_transfer_prepare(transfer, peer, &exchange, err);
    if (code == PX_OK)
        code = px_remote_send(self, transfer, err);
    if (code == PX_OK)
        probe->transfer = transfer;
    else
        px_remote_give_transfer(self, transfer);
    return code;
}

void px_remote_probes_sweep(struct px_remote *self, uint64_t now_ns)
{
    for (size_t i = 0; i < self->settings.n_urls; i++) {
        struct px_remote_probe *probe = &self->probes[i];
        if (probe->transfer || !is_wanted(self, i))
            continue;
        if (now_ns >= probe->at_ns) {
            struct px_err err;
            probe->at_ns = now_ns + interval_ns(self);
            if (start(self, i, &err) == PX_OK)
                continue;
        }
        px_remote_loop_due(self, probe->at_ns);
    }
}

/* Does the reply say that the peer is well? Sets what the peer takes when that was asked. */
static bool is_good(struct px_remote *self, struct px_remote_transfer *transfer, CURLcode result)
{
    struct px_err err = {0};
    struct px_remote_probe *probe = &self->probes[transfer->endpoint];
    bool good = px_remote_transfer_judge(transfer, result, &err).code == PX_OK;
    struct px_str reply = good ? px_remote_transfer_reply(transfer) : (struct px_str){NULL, 0};
    if (good && transfer->peer->url->grpc)
        return px_remote_grpc_read_ready(reply, &good, &err) == PX_OK && good;
    if (good && probe->asks_server) {
        bool binary = false;
        good = px_remote_http_read_server(reply, &binary, &err) == PX_OK;
        transfer->peer->form = good && binary ? PX_REMOTE_FORM_BINARY : PX_REMOTE_FORM_JSON;
    } else if (probe->asks_server && transfer->status != 0) {
        transfer->peer->form = PX_REMOTE_FORM_JSON; /* it is there, and has no such page */
    }
    return good;
}

void px_remote_probe_on_end(struct px_remote *self, struct px_remote_transfer *transfer,
                            CURLcode result, uint64_t now_ns)
{
    size_t index = transfer->endpoint;
    struct px_remote_probe *probe = &self->probes[index];
    bool stale = transfer->refused, asked_server = probe->asks_server;
    bool good = !stale && is_good(self, transfer, result);
    if (result == CURLE_OPERATION_TIMEDOUT)
        px_remote_transfer_doubt(transfer, now_ns);
    px_remote_give_transfer(self, transfer);
    probe->transfer = NULL;
    probe->fresh = !good; /* what failed may have been the connection */
    /* A dead idle connection says nothing; that the server is there says nothing about its model yet. */
    bool soon = stale || (good && asked_server && self->settings.health_interval_ms > 0);
    probe->at_ns = soon ? now_ns : now_ns + interval_ns(self);
    px_remote_loop_due(self, probe->at_ns);
    if (soon)
        return;
    bool is_back = good && probe->failures > 0;
    probe->failures = good ? 0 : probe->failures + 1;
    pthread_mutex_lock(&self->lock);
    self->counts.probes++;
    self->counts.probes_failed += !good;
    if (good || probe->failures >= FAILURES_UNHEALTHY)
        px_balancer_set_health(&self->balancer, index, good);
    if (is_back)
        px_balancer_probe_now(&self->balancer, index, now_ns);
    pthread_mutex_unlock(&self->lock);
}

void px_remote_probes_end(struct px_remote *self)
{
    for (size_t i = 0; i < self->settings.n_urls; i++) {
        struct px_remote_transfer *transfer = self->probes[i].transfer;
        if (!transfer)
            continue;
        px_remote_take_off(self, transfer);
        px_remote_give_transfer(self, transfer);
        self->probes[i].transfer = NULL;
    }
}
