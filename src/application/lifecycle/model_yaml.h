/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.yaml as a struct: what the file says, before it meets the model file. Private to lifecycle.
 *
 * Absent texts are {NULL, 0}. Everything lives in the arena given at parsing.
 */
#ifndef PX_APPLICATION_LIFECYCLE_MODEL_YAML_H
#define PX_APPLICATION_LIFECYCLE_MODEL_YAML_H

#include "application/execution/batching.h"
#include "application/lifecycle/model_breaker.h"
#include "application/lifecycle/model_cache.h"
#include "application/lifecycle/model_fallback.h"
#include "application/lifecycle/model_limits.h"
#include "application/lifecycle/model_warm_up.h"
#include "application/sequences/sequence_settings.h"
#include "domain/inference/signature.h"
#include "shared/yaml.h"

enum { PX_MODEL_YAML_LAYOUT = 1 }; /* the value of `phoenix:` that is understood */

struct px_model_yaml {
    struct px_str name, model, rounds, target, output, golden, golden_scores, reference;
    enum px_task task;           /* 0 when absent */
    const struct px_str *labels; /* NULL when absent */
    size_t n_labels;
    struct px_feature *features; /* NULL when absent */
    size_t n_features;
    struct px_model_cache cache;
    struct px_model_limits limits;
    struct px_model_warm_up warm_up;
    struct px_model_breaker breaker;
    struct px_model_fallback fallback; /* without rungs when absent */
    const char *
        clients_only; /* the first key that asks for something which only requests of clients get, or NULL */
    unsigned clients_only_line; /* of it */

    /* of models of tensors */
    const struct px_yaml
        *engine;               /* the mapping, `engine: NAME` as {name: NAME}; NULL when absent */
    struct px_str engine_name; /* empty when absent */
    struct px_tensor_specs inputs, outputs; /* empty when absent */
    unsigned instances, queue_max;          /* 0 when absent */
    bool is_pinned;                         /* residency: pinned */
    struct px_sequence_settings *sequence;  /* NULL when absent */
    struct px_batching *batching;           /* NULL when absent */
    const char *tensors_only; /* the first key that only models of tensors have, or NULL */
};

/* PX_E_INVALID, PX_E_UNKNOWN_OPTION (nearest key), PX_E_UNSUPPORTED (a newer layout), with the line. */
PX_MUST_USE enum px_code px_model_yaml_parse(struct px_str text, struct px_arena *arena,
                                             struct px_model_yaml *ret, struct px_err *err);

/* The part about models of tensors (model_yaml_tensors.c). */
PX_MUST_USE enum px_code px_model_yaml_read_tensors(const struct px_yaml *root,
                                                    struct px_arena *arena,
                                                    struct px_model_yaml *ret, struct px_err *err);

#endif
