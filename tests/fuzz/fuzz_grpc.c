/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC as a client sends it: the first byte picks the method and how it comes. A unary method gets the rest as its one
 * message, or as its body, prefixes and all; a stream gets it in pieces whose size the second byte says. Whatever it is:
 * one answer with a status, and every message of the answer is well-formed protobuf.
 */
#include "../support/grpc_fixture.h"

#include "fuzz.h"

static const char *const unary_paths[] = {
    "/inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/ServerMetadata",
    "/inference.GRPCInferenceService/ModelStatistics",
    "/grpc.health.v1.Health/Check",
    "/inference.GRPCInferenceService/ModelReady",
    "/inference.GRPCInferenceService/ModelMetadata",
    "/inference.GRPCInferenceService/ModelConfig",
    "/inference.GRPCInferenceService/SystemSharedMemoryStatus",
    "/inference.GRPCInferenceService/CudaSharedMemoryRegister",
};

static const char *const stream_paths[] = {
    "/inference.GRPCInferenceService/ModelStreamInfer",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
};

static void check_message(struct px_str message)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    while (px_protobuf_next(&p, &field))
        ;
    PX_ASSERT(px_protobuf_check(&p, "the answer", NULL) == PX_OK);
}

static void fuzz_unary(struct grpc_fixture *f, const char *path, bool framed, struct px_str rest)
{
    if (framed)
        grpc_ask(f, path, rest);
    else
        grpc_ask_raw(f, path, rest);
    PX_ASSERT(f->http_status == 200 && f->status >= 0 && f->status <= 16);
    PX_ASSERT(f->status != 13 || !framed);
    if (f->status == 0)
        check_message(f->reply);
}

static void fuzz_stream(struct grpc_fixture *f, const char *path, size_t size, struct px_str rest)
{
    struct px_str message;
    grpc_open(f, path);
    do {
        struct px_str piece = px_str_n(rest.ptr, rest.len < size ? rest.len : size);
        rest = px_str_n(rest.ptr + piece.len, rest.len - piece.len);
        grpc_send(f, piece, rest.len == 0);
    } while (rest.len > 0);
    if (!f->rest.exchange.finished) {
        f->rest.exchange.abandoned = true;
        f->handler.abandon(f->handler.context, &f->rest.exchange, PX_HTTP_LATE);
    }
    PX_ASSERT(f->rest.exchange.finished && f->status >= 0 && f->status <= 16);
    rest = px_buf_view(&f->sent);
    while (grpc_next_sent(&rest, &message))
        check_message(message);
    PX_ASSERT(rest.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct grpc_fixture f;
    if (!f.grpc)
        grpc_set_up(&f);
    if (size < 2)
        return 0;
    const char *bytes = (const char *)data;
    if (data[0] & 1)
        fuzz_stream(&f, stream_paths[(data[0] >> 1) % PX_ARRAY_LEN(stream_paths)], data[1] + 1u,
                    px_str_n(bytes + 2, size - 2));
    else
        fuzz_unary(&f, unary_paths[(data[0] >> 1) % PX_ARRAY_LEN(unary_paths)], data[1] & 1,
                   px_str_n(bytes + 2, size - 2));
    return 0;
}
