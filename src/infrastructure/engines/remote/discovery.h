/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the peers say of the model when it is loaded: each is asked once, in turn, on the calling thread. Those that do not answer are
 * left for the health checks.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_REMOTE_DISCOVERY_H
#define PX_INFRASTRUCTURE_ENGINES_REMOTE_DISCOVERY_H

#include "infrastructure/engines/remote/codec.h"
#include "infrastructure/engines/remote/transfer.h"

struct px_remote_discovery {
    const struct px_curl *curl;
    const struct px_remote_settings *settings;
    struct px_remote_peer *peers; /* as many as the settings have URLs; their `form` is set */
    struct px_arena *arena;
};

/*
 * Sets `ret` to what the peers agree on, and in `ret_answered` the bits of those that answered. PX_E_INVALID when two disagree; the error
 * of the first peer when one knows the model not or answers nonsense. PX_E_UNAVAILABLE when none answers: `ret` is empty then.
 */
PX_MUST_USE enum px_code px_remote_discover(const struct px_remote_discovery *self,
                                            struct px_remote_metadata *ret, uint64_t *ret_answered,
                                            struct px_err *err);

/* The path of a gRPC method: "/inference.GRPCInferenceService/" method. */
#define PX_REMOTE_GRPC_METHOD(method) "/inference.GRPCInferenceService/" method

#endif
