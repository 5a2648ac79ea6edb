/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One inference request, from a dialect (REST, gRPC, ...) to px_call and back.
 *
 *     code = px_infer_open(infer, &request);       // finds the model
 *     if (code == PX_OK) code = decode(infer)      // errors go to &infer->call.err
 *     if (code == PX_OK) px_infer_submit(infer); else px_infer_fail(infer);
 *
 * Every request that was opened ends in exactly one call of the dialect's: `encode` when the scores are there, at
 * once or in the wave, or `fail` with the reason in call.err. px_infer_open that is not PX_OK has called
 * `fail` already, or `defer`: the model is known but not in memory, and once it is, `again` is called in a later wake-up of the loop.
 * The request is as it came then; the dialect forgets what it has made of it.
 *
 * Ownership: the dialect gives the memory, usually in the request's arena as part of an object of its own that
 * `owner` leads to; it must live until encode or fail. Threads: the loop named in the request.
 */
#ifndef PX_INTERFACES_INFERENCE_INFER_H
#define PX_INTERFACES_INFERENCE_INFER_H

#include "application/ports/shared_memory.h"
#include "application/serving/serving.h"

/* What a request may ask for. Scores and labels come from one scoring, margins from another. */
enum px_output {
    PX_OUTPUT_NONE = 0,
    PX_OUTPUT_SCORES,
    PX_OUTPUT_LABELS,
    PX_OUTPUT_MARGINS,
    PX_OUTPUT_TENSOR, /* of a model of tensors */
};

enum {
    PX_ROWS_OUTPUTS_MAX = 3, /* scores, labels and margins */
    PX_INFER_OUTPUTS_MAX = PX_ENGINE_TENSORS_MAX,
    PX_LABEL_TEXT_MAX = 24,
};

/* Bytes of a registered region of shared memory. */
struct px_shared_range {
    struct px_str name; /* the region's */
    uint64_t offset, size;
};

/* One output that was asked for; what is not set is the ordinary. */
struct px_infer_output {
    enum px_output kind;
    struct px_str name; /* of a model of tensors */
    uint64_t n_best; /* classification: this many best values of each row as text; 0: the values */
    unsigned form;   /* the dialect's own: how it sends this output */
    struct {
        struct px_shared_region *region; /* NULL: the output goes into the reply */
        struct px_shared_range range;
    } shared;
};

struct px_infer {
    struct px_call call;
    struct px_serving *serving;
    struct px_shared_memory *shared_memory;
    void *owner; /* the dialect's object */
    void (*encode)(struct px_infer *infer);
    void (*fail)(struct px_infer *infer);
    void (*defer)(struct px_infer *infer);
    void (*again)(struct px_infer *infer);
    struct px_str id; /* the client's name for the request, for the dialects that echo it */
    struct px_infer_output *outputs; /* in the order of the reply */
    size_t n_outputs;
    struct px_infer_output
        rows_outputs[PX_ROWS_OUTPUTS_MAX]; /* private: those of a model of rows */
    bool ending;                           /* private */
};

struct px_infer_request {
    struct px_serving *serving;
    struct px_shared_memory *shared_memory; /* NULL when the server has none */
    struct px_str model_name;
    struct px_str version; /* empty = the latest that is ready */
    struct px_str id;      /* of px_infer */
    struct px_arena *arena;
    unsigned loop;
    uint64_t received_ns; /* monotonic */
    uint64_t deadline_ns; /* monotonic, 0 = none */
    struct px_urgency urgency;
    void *owner;
    void (*encode)(struct px_infer *infer);
    void (*fail)(struct px_infer *infer);
    void (*defer)(struct px_infer *infer); /* the answer comes after the wave; NULL where any may */
    /* The model was not in memory and is now: start anew, from px_infer_open. NULL: such a request fails. */
    void (*again)(struct px_infer *infer);
};

/* Is it answered by a run of a model of tensors? */
static inline bool px_infer_has_run(const struct px_infer *infer)
{
    return px_engine_has(infer->call.model->engine, PX_ENGINE_TENSORS);
}

/* Of an answered one: the steps of an ensemble that were replaced by their fallback; empty when all is as it should be. */
static inline struct px_str px_infer_degraded(const struct px_infer *infer)
{
    return infer->call.run ? infer->call.run->degraded : (struct px_str){0};
}

/* Of an answered one: what the cache did, "hit", "miss" or "joined"; NULL of a model that has none. */
static inline const char *px_infer_cache(const struct px_infer *infer)
{
    static const char *const texts[] = {[PX_CALL_CACHE_MISS] = "miss",
                                        [PX_CALL_CACHE_HIT] = "hit",
                                        [PX_CALL_CACHE_JOINED] = "joined"};
    return infer->call.cache ? texts[infer->call.cache] : NULL;
}

/*
 * Of an answered one: who answered instead of the version that was asked for ("previous_version", "model", "cached", "default"), and why
 * ("failure", "open", "overload", "deadline"); NULL when the version itself did.
 */
static inline const char *px_infer_fallback(const struct px_infer *infer)
{
    return infer->call.fallback ? px_rung_kind_name(infer->call.fallback) : NULL;
}
static inline const char *px_infer_fallback_reason(const struct px_infer *infer)
{
    return infer->call.fallback ? px_fallback_reason_name(infer->call.fallback_reason) : NULL;
}

/* The same, when it was another model or version: whose answer it is. NULL: it was none. */
static inline const struct px_model *px_infer_stand_in(const struct px_infer *infer)
{
    enum px_rung_kind kind = infer->call.fallback;
    return kind == PX_RUNG_MODEL || kind == PX_RUNG_PREVIOUS_VERSION ? infer->call.model : NULL;
}

PX_MUST_USE enum px_code px_infer_open(struct px_infer *infer,
                                       const struct px_infer_request *request);
/* Counts call.err and hands it to `fail`. */
void px_infer_fail(struct px_infer *infer);
/* Scores what was decoded; without any output asked for the reply holds the scores. */
void px_infer_submit(struct px_infer *infer);

/*
 * Adds an output by its name on this model ("labels", "margins", the signature's own for scores); options go into
 * the newest of infer->outputs. PX_E_INVALID lists what there is; repeated ones and margins together with others
 * are refused too.
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

/*
 * The client waits for `timeout_us` microseconds from when the request came, 0: for ever. The earlier deadline counts when
 * the transport brought one too.
 */
void px_infer_limit_time(struct px_infer *infer, uint64_t timeout_us);

/* The request is a step of a sequence, for a model that keeps state. Its text lives as long as the call. */
static inline void px_infer_set_sequence(struct px_infer *infer,
                                         const struct px_sequence_step *step)
{
    if (infer->call.run)
        infer->call.run->sequence = *step;
}

/* Can the model's scores be turned into labels? */
bool px_model_has_labels(const struct px_model *model);
bool px_model_has_margins(const struct px_model *model);

/*
 * The predicted class of a row as text: its label, or its number when the model has no labels.
 * `scratch` has PX_LABEL_TEXT_MAX bytes and must live as long as the result.
 */
struct px_str px_infer_label(const struct px_infer *infer, size_t row, char *scratch);

#endif
