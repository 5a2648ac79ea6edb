/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: how a response is finished, and the two forms of an error.
 *
 * /v2 answers {"error": "..."} whatever went wrong, because its clients read nothing else. Every other path
 * answers RFC 9457 problem details; on /v1 they carry the member `error` as well, which V1 clients read, and on
 * /invocations MLflow's `error_code` and `message`.
 */
#ifndef PX_INTERFACES_REST_REPLY_H
#define PX_INTERFACES_REST_REPLY_H

#include "interfaces/rest/handlers.h"
#include "shared/json.h"

/*
 * Adds "Name: value\r\n..." to the response's headers; static, or in the exchange's arena. Without memory for more than
 * one the earlier ones stay.
 */
void px_reply_add_header(struct px_http_exchange *exchange, const char *header);

/*
 * Finishes with the body written so far; one that grew past its limit becomes an error. The answer of an inference goes
 * through px_rest_infer_reply instead (inference.h).
 */
void px_reply_finish(struct px_rest_request *request, int status, const char *content_type);
void px_reply_json(struct px_rest_request *request, int status);
/* The same for a body that is known to be whole. */
void px_reply_whole(struct px_http_exchange *exchange, int status, const char *content_type);

/*
 * Finishes with the error in the form that the path asks for; what was written is dropped. It does not count: that is
 * px_rest_fail, or the core for an inference.
 */
void px_reply_error(struct px_http_exchange *exchange, const struct px_err *err);

#endif
