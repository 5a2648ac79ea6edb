/* SPDX-License-Identifier: Apache-2.0 */
/* Private to interfaces/grpc: what the head of a request says about the call. Metadata that is nobody's is read over. */
#ifndef PX_INTERFACES_GRPC_HEAD_H
#define PX_INTERFACES_GRPC_HEAD_H

#include "application/ports/coding.h"
#include "application/ports/http.h"
#include "domain/batching/urgency.h"

struct px_grpc_head {
    bool has_timeout;
    uint64_t timeout_ns;
    enum px_coding coding;     /* of messages that are marked as compressed */
    bool coding_is_unknown;    /* it has a name that we do not know */
    unsigned accepted;         /* bit c: replies may be compressed with coding c */
    struct px_urgency urgency; /* of its requests, from metadata phoenix-priority and its like */
    bool errors_end_stream;    /* metadata triton_grpc_error: the first error ends a stream */
};

/* PX_E_INVALID when grpc-timeout, or what interfaces/inference/terms.h reads, is malformed. */
PX_MUST_USE enum px_code px_grpc_read_head(const struct px_http_request *request,
                                           struct px_grpc_head *ret, struct px_err *err);

/* application/grpc, application/grpc+proto, either with parameters. */
bool px_grpc_is_content_type(struct px_str value);

/* "1500m" and the like: 1 to 8 digits and one of H M S m u n; UINT64_MAX when it does not fit. */
bool px_grpc_parse_timeout(struct px_str text, uint64_t *ret_ns);

#endif
