/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc_fixture.h"
#include "harness.h"
#include "interfaces/gateway/gateway.h"

static struct grpc_fixture f;
static struct px_gateway gateway;

static void set_up(void)
{
    grpc_set_up(&f);
    gateway = (struct px_gateway){.serving = f.rest.serving,
                                  .rest = px_rest_handler(f.rest.rest),
                                  .grpc = px_grpc_handler(f.grpc)};
    f.handler = f.rest.handler = px_gateway_handler(&gateway);
}

PX_TEST(grpc_and_rest_share_a_port)
{
    set_up();
    grpc_ask(&f, "/grpc.health.v1.Health/Check", px_str(""));
    CHECK_INT(f.status, 0);
    rest_ask(&f.rest, PX_HTTP_GET, "/v2/health/live", "");
    CHECK_INT(f.rest.status, 200);
    CHECK_CONTAINS(f.rest.body, "live");
    grpc_tear_down(&f);
}

PX_TEST(rest_over_http2_stays_rest)
{
    set_up();
    rest_begin(&f.rest);
    f.rest.exchange.request.version = PX_HTTP_2;
    f.rest.exchange.request.method = PX_HTTP_GET;
    f.rest.exchange.request.path = px_str("/v2");
    CHECK(!f.handler.streams(f.handler.context, &f.rest.exchange.request));
    f.handler.handle(f.handler.context, &f.rest.exchange);
    CHECK_INT(f.rest.exchange.status, 200);
    f.handler.abandon(f.handler.context, &f.rest.exchange, PX_HTTP_GONE);
    grpc_tear_down(&f);
}

PX_TEST(grpc_over_http1_is_no_grpc)
{
    set_up();
    grpc_begin(&f, "/inference.GRPCInferenceService/ServerLive");
    f.rest.exchange.request.version = PX_HTTP_1_1;
    f.handler.handle(f.handler.context, &f.rest.exchange);
    CHECK_INT(f.rest.exchange.status, 404);
    grpc_tear_down(&f);
}

PX_TEST(both_are_scored_in_one_wave)
{
    static const float values[] = {1, 2};
    struct px_buf message = px_buf(1 << 10);
    set_up();
    grpc_put_infer(&message, "m", "", values, (const int64_t[]){1, 2});
    grpc_ask(&f, "/inference.GRPCInferenceService/ModelInfer", px_buf_view(&message));
    CHECK_INT(f.status, 0);
    rest_ask(&f.rest, PX_HTTP_POST, "/v1/models/m:predict", "{\"instances\":[[1,2]]}");
    CHECK_INT(f.rest.status, 200);
    px_buf_deinit(&message);
    grpc_tear_down(&f);
}

PX_TEST(refusals_go_to_who_is_asked)
{
    struct px_err err;
    set_up();
    px_err_set(&err, PX_E_TOO_LARGE, "too large");
    grpc_begin(&f, "/inference.GRPCInferenceService/ModelInfer");
    f.handler.refuse(f.handler.context, &f.rest.exchange, &err);
    grpc_collect(&f);
    CHECK_INT(f.status, 8);
    rest_begin(&f.rest);
    f.rest.exchange.request.path = px_str("/v2/models/m/infer");
    f.handler.refuse(f.handler.context, &f.rest.exchange, &err);
    CHECK_INT(f.rest.exchange.status, 413);
    grpc_tear_down(&f);
}

PX_TEST_MAIN(T(grpc_and_rest_share_a_port) T(rest_over_http2_stays_rest)
                 T(grpc_over_http1_is_no_grpc) T(both_are_scored_in_one_wave)
                     T(refusals_go_to_who_is_asked))
