/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/grpc: how a call ends. Every gRPC failure is HTTP 200 with a grpc-status and a grpc-message in the
 * trailers, which a transport joins with the headers when there is no body.
 */
#ifndef PX_INTERFACES_GRPC_STATUS_H
#define PX_INTERFACES_GRPC_STATUS_H

#include "interfaces/grpc/grpc_impl.h"

/* The content type of every reply. */
extern const char px_grpc_content_type[];

/*
 * "grpc-status: 5\r\ngrpc-message: ...\r\n" in the exchange's arena, UTF-8 percent-encoded as the protocol says; a call
 * whose grpc-encoding is unknown is also told which ones are known.
 */
const char *px_grpc_status_fields(const struct px_grpc_call *call, const struct px_err *err);
/* The fields of success. */
extern const char px_grpc_ok_fields[];

/* Finishes a unary call with the message that was written to the exchange's body (message.h). */
void px_grpc_reply(struct px_grpc_call *call);

/* Finishes a unary call with an error. `fail` also counts it, as one that belongs to no model. */
void px_grpc_answer_error(struct px_grpc_call *call, const struct px_err *err);
void px_grpc_fail(struct px_grpc_call *call, const struct px_err *err);

/* As px_protobuf_check, for a request: PX_E_INVALID. */
PX_MUST_USE enum px_code px_grpc_check(const struct px_protobuf *p, const char *message,
                                       struct px_err *err);

/* A text field of a request, which must be UTF-8: else PX_E_INVALID naming the field. */
PX_MUST_USE enum px_code px_grpc_read_text(const struct px_protobuf_field *field, const char *name,
                                           struct px_str *ret, struct px_err *err);

/* A request of name (1) and version (2), as many are; both may be absent. */
PX_MUST_USE enum px_code px_grpc_read_name_version(struct px_str message, struct px_str *ret_name,
                                                   struct px_str *ret_version, struct px_err *err);

#endif
