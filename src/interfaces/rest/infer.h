/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: one inference request, from its HTTP exchange to px_call and back.
 *
 *     infer = px_infer_open(request, encode);      // NULL: already answered (unknown model, ...)
 *     code = decode(infer)                         // errors go to &infer->call.err
 *     if (code != PX_OK) px_infer_fail(infer); else px_infer_submit(infer);
 *
 * `encode` runs when the scores are there, at once or in the wave, and finishes the exchange. The
 * object lives in the exchange's arena.
 */
#ifndef PX_INTERFACES_REST_INFER_H
#define PX_INTERFACES_REST_INFER_H

#include "interfaces/rest/handlers.h"
#include "shared/json.h"

/* What a request may ask for. Scores and labels come from one scoring, margins from another. */
enum px_output {
    PX_OUTPUT_NONE = 0,
    PX_OUTPUT_SCORES,
    PX_OUTPUT_LABELS,
    PX_OUTPUT_MARGINS,
};

enum {
    PX_INFER_OUTPUTS_MAX = 3,
    PX_LABEL_TEXT_MAX = 24,
    /* The shortest number in an array is one digit and its comma. */
    PX_JSON_BYTES_PER_VALUE = 2,
};

struct px_infer {
    struct px_call call;
    struct px_rest *rest;
    struct px_http_exchange *exchange;
    void (*encode)(struct px_infer *infer);
    struct px_str id;                             /* echoed by V2 */
    enum px_output outputs[PX_INFER_OUTPUTS_MAX]; /* in the order of the reply */
    size_t n_outputs;
};

struct px_infer *px_infer_open(struct px_rest_request *request,
                               void (*encode)(struct px_infer *infer));
/* Answers with call.err, and counts it. */
void px_infer_fail(struct px_infer *infer);
/* Scores what was decoded; without any output asked for the reply holds the scores. */
void px_infer_submit(struct px_infer *infer);

/*
 * Adds an output by its name on this model ("labels", "margins", the signature's own for scores).
 * PX_E_INVALID lists what there is; repeated ones and margins together with others are refused too.
 */
PX_MUST_USE enum px_code px_infer_add_output(struct px_infer *infer, struct px_str name);

/*
 * Encode one raw value as the signature says; errors go to call.err. A category that the model never saw
 * is counted in the call, so that the reply and a metric can tell.
 */
PX_MUST_USE enum px_code px_infer_encode_text(struct px_infer *infer,
                                              const struct px_feature *feature, struct px_str text,
                                              double *ret);
PX_MUST_USE enum px_code px_infer_encode_number(struct px_infer *infer,
                                                const struct px_feature *feature, double number,
                                                double *ret);

/* Can the model's scores be turned into labels? */
bool px_model_has_labels(const struct px_model *model);
bool px_model_has_margins(const struct px_model *model);

/*
 * The predicted class of a row as text: its label, or its number when the model has no labels.
 * `scratch` has PX_LABEL_TEXT_MAX bytes and must live as long as the result.
 */
struct px_str px_infer_label(const struct px_infer *infer, size_t row, char *scratch);

/* One score in the shortest form of its own type; NaN and infinities as bare words. */
void px_put_score(struct px_json_writer *w, const struct px_matrix *scores, size_t row, size_t col);

/* The interface's refusal of what it cannot read: a body in an encoding other than identity. */
PX_MUST_USE enum px_code px_check_encoding(struct px_http_exchange *exchange, enum px_code code,
                                           struct px_err *err);

#endif
