/* SPDX-License-Identifier: Apache-2.0 */
/* Private to interfaces/grpc: the handlers of methods.def. */
#ifndef PX_INTERFACES_GRPC_HANDLERS_H
#define PX_INTERFACES_GRPC_HANDLERS_H

#include "interfaces/grpc/grpc_impl.h"

#define PX_GRPC_SERVICE(service)
#define PX_GRPC_UNARY(service, method, handler)                                                    \
    void px_grpc_handle_##handler(struct px_grpc_call *call);
#define PX_GRPC_STREAM(service, method, ops)
#include "interfaces/grpc/methods.def"
#undef PX_GRPC_SERVICE
#undef PX_GRPC_UNARY
#undef PX_GRPC_STREAM

extern const struct px_grpc_stream_ops px_grpc_infer_stream_ops;
extern const struct px_grpc_stream_ops px_grpc_health_watch_ops;
extern const struct px_grpc_stream_ops px_grpc_reflection_ops;

#endif
