/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terms on which a request wants its answer, from the headers of HTTP or the metadata of gRPC: how urgent it is, who asks, and how
 * long the client waits.
 *
 *     Phoenix-Priority: 1               level of the model's queue, 1 first
 *     Phoenix-Criticality: sheddable    critical, default or sheddable: what is refused first when not all can be answered
 *     Phoenix-Client: shop              who asks; without it the address that the connection came from
 *     Phoenix-Timeout-Ms: 250           from when the request was read; over gRPC too, beside grpc-timeout: the shorter counts
 *     X-Request-Timeout: 250ms          the same, as other servers take it: with us, ms, s, m or h, or in seconds
 */
#ifndef PX_INTERFACES_INFERENCE_TERMS_H
#define PX_INTERFACES_INFERENCE_TERMS_H

#include "application/ports/http.h"
#include "domain/batching/urgency.h"

struct px_terms {
    struct px_urgency urgency;
    uint64_t timeout_ns; /* 0: none */
};

/* PX_E_INVALID names the header. Headers that are not about it cost a comparison of their first letter. */
PX_MUST_USE enum px_code px_terms_read(const struct px_http_request *request, struct px_terms *ret,
                                       struct px_err *err);

/* "critical", "default", "sheddable". PX_E_INVALID; `name` is whose value it is. */
PX_MUST_USE enum px_code px_criticality_read(const char *name, struct px_str text,
                                             enum px_criticality *ret, struct px_err *err);

#endif
