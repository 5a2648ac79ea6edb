/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One model in ONNX Runtime, as an engine of tensors that computes on the calling thread. Private to this folder.
 *
 * Words
 * - A source is an output of the graph. Most are tensors and are given as they are. Classifiers of scikit-learn give a list of
 *   mappings (operator ZipMap) from labels to scores: it becomes two tensors, `NAME` [n, classes] with the scores and
 *   `NAME_labels` [classes] with the labels, in the library's order. One mapping is the same without the n. A list of
 *   tensors of one shape becomes one tensor with the list as its first dimension.
 * - Outputs of other types (sparse, optional, 8-bit floats, complex) are not offered; inputs of other types than tensors
 *   make the model one that is not served.
 *
 * Threads: any number of runs at once; the library's sessions allow it.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_SESSION_H
#define PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_SESSION_H

#include "application/ports/engine_provider.h"
#include "infrastructure/engines/onnxruntime/diagnosis.h"
#include "infrastructure/engines/onnxruntime/settings.h"

#include <pthread.h>

enum px_ort_output_kind {
    PX_ORT_OUTPUT_TENSOR = 1, /* as it is */
    PX_ORT_OUTPUT_LIST,       /* a list of tensors, stacked */
    PX_ORT_OUTPUT_SCORES,     /* of a mapping, or a list of them */
    PX_ORT_OUTPUT_LABELS,
};

/* Where an output's dimension is known from before the run: a dimension of an input of the same symbolic name. */
struct px_ort_dimension {
    size_t input, dimension; /* of takes.list; SIZE_MAX: not known */
};

struct px_ort_output {
    enum px_ort_output_kind kind;
    const char *source; /* name in the graph */
    bool one;           /* a mapping that is not in a list */
    /* Could the memory of this output be allocated before the run? Cleared when a graph turns out to lie about a shape. */
    _Atomic bool foreseen;
    struct px_ort_dimension dimensions[PX_TENSOR_DIMS_MAX];
};

/* A run that is under way, or waits in the list of those that may be used again. */
struct px_ort_ticket {
    void *options;
    struct px_run *run;
    struct px_ort_ticket *next;
};

struct px_ort_session {
    struct px_engine base;
    const struct px_ort *ort;
    void *session;
    const char *path; /* of the model, hidden from messages */
    struct px_ort_settings settings;
    struct px_ort_output *outputs; /* beside base.gives.list */
    struct px_str left_out;        /* outputs that are not offered, for people */
    struct px_str warnings[PX_ORT_WARNINGS_MAX];
    size_t n_warnings;
    pthread_mutex_t lock; /* over the tickets */
    struct px_ort_ticket *active, *idle;
};

/* A datatype as the library numbers it, and back; 0 and PX_TYPE_NONE for those of one side only. */
int px_ort_type(enum px_datatype type);
enum px_datatype px_ort_datatype(int type);

/* Fills takes, gives and outputs from the graph, then narrows them by what model.yaml declares. */
PX_MUST_USE enum px_code px_ort_read_specs(struct px_ort_session *session,
                                           const struct px_engine_request *request,
                                           struct px_err *err);

/* Opens the model of a request. */
PX_MUST_USE enum px_code px_ort_session_open(const struct px_engine_request *request,
                                             struct px_engine **ret, struct px_err *err);

/* The slots `run` and `cancel` of the engine. */
enum px_code px_ort_run(struct px_engine *engine, struct px_run *run, struct px_err *err);
void px_ort_cancel(struct px_engine *engine, struct px_run *run);

/* Makes the library's value of an input, over its bytes where that is possible. `arena` is the run's. */
PX_MUST_USE enum px_code px_ort_make_input(const struct px_ort *ort, const struct px_tensor *tensor,
                                           struct px_arena *arena, void **ret, struct px_err *err);

/*
 * Fills an output, all but its name, from the value of its source, which lives until the run is released. The bytes are the
 * value's where it is a tensor of numbers, else in the arena.
 */
PX_MUST_USE enum px_code px_ort_read_output(const struct px_ort *ort,
                                            const struct px_ort_output *output,
                                            const struct px_tensor_spec *spec, void *value,
                                            struct px_arena *arena, struct px_tensor *ret,
                                            struct px_err *err);

/* The same for a value that is a tensor. */
PX_MUST_USE enum px_code px_ort_read_tensor(const struct px_ort *ort, void *value,
                                            struct px_arena *arena, struct px_tensor *ret,
                                            struct px_err *err);

#endif
