/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: an inference (interfaces/inference) that an HTTP exchange brought.
 *
 *     infer = px_rest_infer_open(request, encode);     // NULL: already answered (unknown model, ...)
 *     code = decode(infer)                             // errors go to &infer->call.err
 *     if (code != PX_OK) px_infer_fail(infer); else px_infer_submit(infer);
 *
 * `encode` runs when the scores are there and finishes the exchange; an error is answered in the form that the
 * path asks for. The object lives in the exchange's arena, and is the exchange's `state`: of other requests that is NULL.
 */
#ifndef PX_INTERFACES_REST_INFERENCE_H
#define PX_INTERFACES_REST_INFERENCE_H

#include "interfaces/inference/infer.h"
#include "interfaces/rest/handlers.h"
#include "shared/json.h"

/* The shortest number in an array is one digit and its comma. */
enum { PX_JSON_BYTES_PER_VALUE = 2 };

struct px_rest_infer {
    struct px_infer infer;
    struct px_rest *rest;
    struct px_http_exchange *exchange;
    unsigned form; /* the dialect's own: the form of the body, which the reply follows */
};

struct px_infer *px_rest_infer_open(struct px_rest_request *request,
                                    void (*encode)(struct px_infer *infer));

/*
 * The model that the path names, for who describes it. NULL: the request was answered, or it waits until the model is in memory and is
 * then handled anew.
 */
const struct px_model *px_rest_find_model(struct px_rest_request *request);

/*
 * For `encode`, of dialects whose answer is an object with room for it: members that say that it is not what was asked for, `degraded`, `fallback` and
 * `fallback_reason`. None otherwise. The headers say the same in every dialect.
 */
void px_rest_put_remarks(struct px_json_writer *w, const struct px_infer *infer);

/* For `encode`: finishes with the body written so far; one that grew past its limit becomes an error of the model's. */
void px_rest_infer_reply(struct px_infer *infer, const char *content_type);

/* The client has gone: the wave completes the request without scoring it. */
void px_rest_infer_abandon(struct px_http_exchange *exchange);

static inline struct px_rest_infer *px_rest_infer(const struct px_infer *infer)
{
    return infer->owner;
}

static inline struct px_http_exchange *px_rest_exchange(const struct px_infer *infer)
{
    return px_rest_infer(infer)->exchange;
}

/* One score in the shortest form of its own type; NaN and infinities as bare words. */
void px_put_score(struct px_json_writer *w, const struct px_matrix *scores, size_t row, size_t col);

/*
 * The interface's refusal of what it cannot read: a body in a coding that is not known (`code`), or whose text is no
 * UTF-8 by its Content-Type.
 */
PX_MUST_USE enum px_code px_check_encoding(struct px_http_exchange *exchange, enum px_code code,
                                           struct px_err *err);

#endif
