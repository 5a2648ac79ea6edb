/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fallback:` of model.yaml: who answers when this version cannot, rung by rung (docs/api/fallback.md).
 *
 *     fallback:
 *       - previous_version                                  # the next lower version that is READY
 *       - {model: bank-small, on: [failure, open, overload]} # another model, or MODEL/VERSION, that takes and gives the same
 *       - cached                                            # a kept answer to the same request, even when its time has passed
 *       - {default: {score: 0.5, label: ["unknown"]}}       # for each row
 *
 * `on` are the reasons for which a rung is taken; without it failure and open:
 *     failure   the version could not be loaded, or computing failed by no fault of the request
 *     open      its breaker is open
 *     overload  it has no place for another request
 *     deadline  it would not be in time
 */
#ifndef PX_APPLICATION_LIFECYCLE_MODEL_FALLBACK_H
#define PX_APPLICATION_LIFECYCLE_MODEL_FALLBACK_H

#include "application/ports/engine.h"
#include "shared/yaml.h"

enum px_rung_kind {
    PX_RUNG_PREVIOUS_VERSION = 1,
    PX_RUNG_MODEL,
    PX_RUNG_CACHED,
    PX_RUNG_DEFAULT,
};
const char *px_rung_kind_name(enum px_rung_kind kind); /* "previous_version", ... */

enum px_fallback_reason {
    PX_FALLBACK_FAILURE = 0,
    PX_FALLBACK_OPEN,
    PX_FALLBACK_OVERLOAD,
    PX_FALLBACK_DEADLINE,
    PX_FALLBACK_REASONS,
};
const char *px_fallback_reason_name(enum px_fallback_reason reason); /* "failure", ... */

enum { PX_RUNGS_MAX = 8, PX_RUNG_VALUES_MAX = 65536 };

/* One output of a rung `default`. */
struct px_rung_output {
    struct px_str name;
    const struct px_str *values; /* as written, row-major */
    size_t n_values;
    bool is_scalar;         /* one value for the whole row */
    unsigned line;          /* in model.yaml */
    struct px_tensor whole; /* of one row, after px_model_fallback_prepare */
};

struct px_rung {
    enum px_rung_kind kind;
    unsigned reasons;               /* bits 1 << enum px_fallback_reason */
    struct px_str model, version;   /* of PX_RUNG_MODEL; version empty: the latest that is ready */
    struct px_rung_output *outputs; /* of PX_RUNG_DEFAULT */
    size_t n_outputs;
};

struct px_model_fallback {
    struct px_rung *rungs;
    size_t n_rungs;
};

/* PX_E_INVALID, PX_E_UNKNOWN_OPTION, with the line. The rungs live in the arena. */
PX_MUST_USE enum px_code px_model_fallback_read(const struct px_yaml *node, struct px_arena *arena,
                                                struct px_model_fallback *ret, struct px_err *err);

/*
 * Makes the values of defaults tensors, as the engine's outputs say: one for each output, or PX_E_INVALID. An engine of rows (NULL) takes
 * only rungs that are other models.
 */
PX_MUST_USE enum px_code px_model_fallback_prepare(struct px_model_fallback *fallback,
                                                   const struct px_engine *engine,
                                                   struct px_arena *arena, struct px_err *err);

/* The default values of the run's outputs for its rows, in the run's arena. */
PX_MUST_USE enum px_code px_rung_answer(const struct px_rung *rung, const struct px_engine *engine,
                                        struct px_run *run, struct px_err *err);

#endif
