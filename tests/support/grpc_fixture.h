/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gRPC handler over the models of rest_fixture.h and `m`, two numbers in and two scores "o" out, without sockets.
 *
 *     struct grpc_fixture f;
 *     grpc_set_up(&f);
 *     grpc_ask(&f, "/inference.GRPCInferenceService/ServerLive", message);    // f.status, f.reply
 *
 *     grpc_open(&f, path); grpc_send(&f, bytes, false); ... grpc_send(&f, "", true);   // f.sent, f.status
 *     grpc_tear_down(&f);
 *
 * `status` is the grpc-status, -1 when there was none. `http_status` is HTTP's.
 */
#ifndef PX_TESTS_GRPC_FIXTURE_H
#define PX_TESTS_GRPC_FIXTURE_H

#include "interfaces/grpc/stream.h"
#include "rest_fixture.h"
#include "shared/protobuf.h"

enum { GRPC_MESSAGE_MAX = 1 << 20, GRPC_BODY_MAX = 1 << 20 };

struct grpc_fixture {
    struct rest_fixture rest; /* models, arena, buf, exchange, request headers */
    struct px_grpc *grpc;
    struct px_http_handler handler;
    struct px_coder *coders[2];
    struct px_signature two;
    struct px_buf request;
    struct px_buf sent; /* what left of a stream */
    int status, http_status;
    const char *fields;  /* headers, and trailers behind them */
    char text[8192];     /* of both */
    struct px_str reply; /* the message of a unary call's reply */
    size_t n_sends;
};

/* As the gateway does it. */
static inline void grpc_wave(void *context, unsigned loop)
{
    struct px_grpc *grpc = context;
    px_serving_wave(grpc->settings.serving, loop);
    px_grpc_streams_settle(grpc, loop);
}

static inline void grpc_set_up_with(struct grpc_fixture *f, struct px_coder *first,
                                    struct px_coder *second)
{
    static struct px_feature numbers[2] = {{.name = PX_STR("a"), .kind = PX_FEATURE_NUMBER},
                                           {.name = PX_STR("b"), .kind = PX_FEATURE_NUMBER}};
    struct px_err err;
    *f = (struct grpc_fixture){0};
    rest_set_up(&f->rest);
    f->two = (struct px_signature){.features = numbers,
                                   .n_features = 2,
                                   .named = true,
                                   .task = PX_TASK_REGRESSION,
                                   .output_name = PX_STR("o")};
    rest_finish_signature(&f->two);
    struct px_model *models[] = {rest_make_model(&f->rest, "m", "1", &f->two,
                                                 &f->rest.regression_info,
                                                 rest_engine_create(&f->rest, PX_TYPE_FP32, 2, 2))};
    f->coders[0] = first;
    f->coders[1] = second;
    const struct px_grpc_settings settings = {
        .serving = f->rest.serving,
        .coders = first ? f->coders : NULL,
        .message_bytes_max = GRPC_MESSAGE_MAX,
        .request_memory_max = REST_ARENA_MAX,
    };
    if (px_serving_publish(f->rest.serving, models, PX_ARRAY_LEN(models), &err) != PX_OK ||
        px_grpc_create(&settings, &f->grpc, &err) != PX_OK)
        abort();
    f->handler = px_grpc_handler(f->grpc);
    f->handler.wave = grpc_wave;
    f->request = px_buf(GRPC_BODY_MAX);
    f->sent = px_buf(1 << 26);
}

static inline void grpc_set_up(struct grpc_fixture *f)
{
    grpc_set_up_with(f, NULL, NULL);
}

static inline void grpc_tear_down(struct grpc_fixture *f)
{
    px_grpc_destroy(f->grpc);
    px_coder_destroy(f->coders[0]);
    px_coder_destroy(f->coders[1]);
    rest_tear_down(&f->rest);
    px_signature_deinit(&f->two);
    px_buf_deinit(&f->request);
    px_buf_deinit(&f->sent);
}

static inline void grpc_header(struct grpc_fixture *f, const char *name, const char *value)
{
    rest_header(&f->rest, name, value);
}

static inline int grpc_read_status(const char *fields)
{
    const char *at = strstr(fields, "grpc-status: ");
    return at ? (int)strtol(at + strlen("grpc-status: "), NULL, 10) : -1;
}

static inline void grpc_collect(struct grpc_fixture *f)
{
    const struct px_http_exchange *exchange = &f->rest.exchange;
    snprintf(f->text, sizeof f->text, "%s%s",
             exchange->extra_headers ? exchange->extra_headers : "",
             exchange->trailers ? exchange->trailers : "");
    f->fields = f->text;
    f->status = exchange->finished ? grpc_read_status(f->text) : -1;
    f->http_status = exchange->status;
    struct px_str body = px_buf_view(&f->rest.buf);
    f->reply = body.len >= 5 ? px_str_n(body.ptr + 5, body.len - 5) : (struct px_str){0};
}

static inline struct px_http_exchange *grpc_begin(struct grpc_fixture *f, const char *path)
{
    rest_begin(&f->rest);
    struct px_http_exchange *exchange = &f->rest.exchange;
    bool has_type = px_http_header(&exchange->request, "content-type").ptr;
    if (!has_type) {
        grpc_header(f, "content-type", "application/grpc");
        exchange->request.n_headers = f->rest.n_request_headers;
    }
    exchange->request.version = PX_HTTP_2;
    exchange->request.method = PX_HTTP_POST;
    exchange->request.path = px_str(path);
    return exchange;
}

/* A unary call whose body is given with its prefixes. */
static inline void grpc_ask_raw(struct grpc_fixture *f, const char *path, struct px_str body)
{
    struct px_http_exchange *exchange = grpc_begin(f, path);
    exchange->request.body = body;
    f->handler.handle(f->handler.context, exchange);
    f->handler.wave(f->handler.context, exchange->loop);
    f->rest.n_request_headers = 0;
    grpc_collect(f);
}

/* Appends a message with its prefix. */
static inline void grpc_frame(struct px_buf *to, struct px_str message)
{
    const char prefix[5] = {0, (char)(message.len >> 24), (char)(message.len >> 16),
                            (char)(message.len >> 8), (char)message.len};
    px_buf_append(to, prefix, sizeof prefix);
    px_buf_str(to, message);
}

static inline void grpc_ask(struct grpc_fixture *f, const char *path, struct px_str message)
{
    px_buf_clear(&f->request);
    grpc_frame(&f->request, message);
    grpc_ask_raw(f, path, px_buf_view(&f->request));
}

static inline struct grpc_fixture *grpc_of(struct px_http_exchange *exchange)
{
    return PX_CONTAINER_OF(exchange, struct grpc_fixture, rest.exchange);
}

static inline void grpc_resume(struct px_http_exchange *exchange)
{
    struct grpc_fixture *f = grpc_of(exchange);
    px_buf_str(&f->sent, px_buf_view(&f->rest.buf));
    px_buf_clear(&f->rest.buf);
    f->n_sends++;
    if (exchange->finished)
        grpc_collect(f);
}

/* A stream begins; PX_ASSERTs that its path is one. */
static inline void grpc_open(struct grpc_fixture *f, const char *path)
{
    struct px_http_exchange *exchange = grpc_begin(f, path);
    px_buf_clear(&f->sent);
    f->n_sends = 0;
    f->status = -1;
    PX_ASSERT(f->handler.streams(f->handler.context, &exchange->request));
    exchange->streamed = true;
    exchange->resume = grpc_resume;
    f->handler.handle(f->handler.context, exchange);
    f->handler.wave(f->handler.context, exchange->loop);
    f->rest.n_request_headers = 0;
}

static inline void grpc_send(struct grpc_fixture *f, struct px_str bytes, bool is_last)
{
    if (f->rest.exchange.finished)
        return;
    f->handler.piece(f->handler.context, &f->rest.exchange, bytes, is_last);
    f->handler.wave(f->handler.context, f->rest.exchange.loop);
}

static inline void grpc_send_message(struct grpc_fixture *f, struct px_str message)
{
    px_buf_clear(&f->request);
    grpc_frame(&f->request, message);
    grpc_send(f, px_buf_view(&f->request), false);
}

/* Cuts the next message off what a stream has sent. */
static inline bool grpc_next_sent(struct px_str *rest, struct px_str *ret)
{
    if (rest->len < 5)
        return false;
    const unsigned char *p = (const unsigned char *)rest->ptr;
    size_t len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    PX_ASSERT(p[0] == 0 && len <= rest->len - 5);
    *ret = px_str_n(rest->ptr + 5, len);
    *rest = px_str_n(rest->ptr + 5 + len, rest->len - 5 - len);
    return true;
}

/* A ModelInferRequest for rows of floats, raw. */
static inline void grpc_put_infer(struct px_buf *buf, const char *model, const char *id,
                                  const float *values, const int64_t shape[2])
{
    size_t n = (size_t)(shape[0] * shape[1]);
    px_protobuf_put_text(buf, 1, model);
    px_protobuf_put_text(buf, 3, id);
    size_t input = px_protobuf_begin(buf, 5);
    px_protobuf_put_text(buf, 1, "x");
    px_protobuf_put_text(buf, 2, "FP32");
    px_protobuf_put_packed(buf, 3, shape, 2);
    px_protobuf_end(buf, input);
    px_protobuf_put_bytes(buf, 7, px_str_n((const char *)values, n * sizeof *values));
}

#endif
