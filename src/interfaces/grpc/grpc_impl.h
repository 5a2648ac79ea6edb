/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/grpc: the room's own objects.
 *
 * A call is one RPC: an exchange, its method and what its head said. Of a unary call it lives in the exchange's arena,
 * of a streamed one it is the first part of the stream (stream.h).
 */
#ifndef PX_INTERFACES_GRPC_GRPC_IMPL_H
#define PX_INTERFACES_GRPC_GRPC_IMPL_H

#include "interfaces/grpc/grpc.h"
#include "interfaces/grpc/head.h"
#include "shared/protobuf.h"

#include <stdatomic.h>

struct px_grpc_call;
struct px_grpc_stream;
struct px_grpc_slot;
struct px_infer;
struct px_repository_request;

/* What a streamed method does; NULL where it does nothing. */
struct px_grpc_stream_ops {
    /* One message is there, slot->message. Answers now or in the wave, with px_grpc_slot_done. */
    void (*message)(struct px_grpc_stream *stream, struct px_grpc_slot *slot);
    /* Nobody waits for the answer of a parked slot any more; it is done in the wave nevertheless. */
    void (*cancel)(struct px_grpc_slot *slot);
    /* For streams that watch (px_grpc_stream_watch): after the next wave, then whenever readiness has changed. */
    void (*look)(struct px_grpc_stream *stream, bool is_ready);
    bool takes_one;       /* exactly one message, as of a unary call */
    bool outlives_client; /* goes on after the client's last message */
};

/* A row of methods.def: `unary` or `stream` is set. */
struct px_grpc_method {
    struct px_str path; /* "/package.Service/Method" */
    void (*unary)(struct px_grpc_call *call);
    const struct px_grpc_stream_ops *stream;
};

/* NULL when there is none; `path` as HTTP/2 brings it. */
const struct px_grpc_method *px_grpc_find_method(struct px_str path);
/* Does the path name one of our services, known method or not? */
bool px_grpc_is_service_path(struct px_str path);
/* "inference.GRPCInferenceService", ...; {NULL, 0} after the last. */
struct px_str px_grpc_service_name(size_t index);

struct px_grpc_call {
    struct px_grpc *grpc;
    struct px_http_exchange *exchange;
    const struct px_grpc_method *method;
    struct px_grpc_head head;
    uint64_t deadline_ns;                    /* monotonic, 0 = none */
    struct px_str message;                   /* of a unary call: the one, decompressed */
    struct px_infer *infer;                  /* parked in the wave, of a unary call */
    struct px_repository_request *waits_for; /* deferred until this is done */
    struct px_grpc_stream *stream;           /* NULL for a unary call */
};

/* One loop's part. */
struct px_grpc_loop {
    struct px_loop_task task; /* wakes the loop for its watchers, and to close its streams */
    struct px_grpc *grpc;
    _Atomic bool is_posted;
    struct px_grpc_stream *streams;  /* all that are open */
    struct px_grpc_stream *watchers; /* of them, the newest first */
    bool was_ready;                  /* as watchers were told last */
    struct px_grpc_stream *dirty;    /* with something to send or to end */
    struct px_grpc_slot *free_slots;
    size_t n_free_slots;
    size_t n_parked_slots; /* whose answers wait for the wave */
    size_t slot_bytes;     /* of messages that are being read or parked, at most slot_bytes_max */
    size_t slot_bytes_max;
    struct px_buf scratch; /* compressed messages on their way in or out */
} __attribute__((aligned(PX_CACHE_LINE)));

struct px_grpc {
    struct px_grpc_settings settings;
    const struct px_loops *loops;  /* NULL until lent */
    struct px_grpc_loop *per_loop; /* [n_loops] */
    unsigned n_loops;
    _Atomic bool is_closing; /* open streams end */
};

static inline struct px_grpc_loop *px_grpc_loop_of(const struct px_grpc_call *call)
{
    return &call->grpc->per_loop[call->exchange->loop];
}

static inline struct px_coder *px_grpc_coder(const struct px_grpc *grpc, unsigned loop)
{
    return grpc->settings.coders ? grpc->settings.coders[loop] : NULL;
}

/* Ends a call that waits for the repository; what was asked for goes on. */
void px_grpc_repository_abandon(struct px_grpc_call *call, enum px_http_end why);

/* Counts an error that concerns no model. */
void px_grpc_count_error(const struct px_grpc_call *call, enum px_code code);

#endif
