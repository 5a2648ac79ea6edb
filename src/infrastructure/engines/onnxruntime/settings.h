/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What model.yaml says under `engine` about a session of ONNX Runtime. Private to this folder.
 *
 *     engine:
 *       name: onnxruntime
 *       threads: 1                    # of one operator; 1 computes on the caller's thread, 0 lets the library choose
 *       inter_op_threads: 1           # branches at once, with execution_mode: parallel
 *       execution_mode: sequential    # or parallel
 *       graph_optimization: all       # off | basic | extended | layout | all
 *       providers: [{name: CUDA, device_id: 0}, CPU]      # first choice first; CPU is always the last
 *       deterministic: false          # the same bits from every run, where an operator offers a choice
 *       memory_arena: true            # keep memory between runs
 *       memory_pattern: true          # plan memory by the shapes of earlier runs
 *       spinning: false               # threads that wait burn processor time
 *       batches: false                # promise: rows of the first dimension do not know of each other
 *       free_dimensions: {batch: 1}   # fixes named dimensions
 *       profile: /tmp/resnet          # writes a trace of every operator, at the end, to a file of that beginning
 *       config: {session.x: "1"}      # settings of ONNX Runtime's own, as they are
 *
 * A model that came with a request of a client has no `profile`, no `config` and no options of providers: these write files, and
 * name libraries that are loaded.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_SETTINGS_H
#define PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_SETTINGS_H

#include "application/ports/engine_provider.h"
#include "infrastructure/engines/onnxruntime/library.h"
#include "shared/yaml.h"

enum {
    PX_ORT_THREADS_MAX = 256,
    PX_ORT_PROVIDERS_MAX = 16,
    PX_ORT_PROVIDER_OPTIONS_MAX = 64,
    PX_ORT_DIMENSIONS_MAX = 64,
};

struct px_ort_settings {
    int64_t threads, inter_op_threads;
    int64_t execution_mode, graph_optimization; /* the library's numbers */
    bool deterministic, memory_arena, memory_pattern, spinning, batches;
    bool from_client;    /* see px_ort_settings_distrust */
    const char *profile; /* NULL: none */
    const struct px_yaml *providers, *free_dimensions, *config;
    char used
        [128]; /* the providers in use, for people: "CUDA, CPU"; px_ort_settings_apply fills it */
};

/*
 * Reads the request's mapping; NULL and a scalar (the bare name) give the defaults. Texts are in the request's arena. PX_E_FORBIDDEN: a
 * model that came with a request asks for what may write files or load code.
 */
PX_MUST_USE enum px_code px_ort_settings_read(const struct px_engine_request *request,
                                              struct px_ort_settings *ret, struct px_err *err);

/* PX_E_FORBIDDEN: `what` is for the packages of who runs this program. */
enum px_code px_ort_settings_distrust(const char *what, struct px_err *err);

/*
 * What the library would pass over in silence: `free_dimensions` that name no dimension of the model at `path`, a `profile` in a folder that is
 * not there, and keys of `config` that cannot be its own. PX_E_INVALID, PX_E_NOT_FOUND, PX_E_UNKNOWN_OPTION.
 */
PX_MUST_USE enum px_code px_ort_settings_check(const struct px_ort_settings *settings,
                                               const char *path, struct px_err *err);

/* Makes the library's options of them; the caller releases them. */
PX_MUST_USE enum px_code px_ort_settings_apply(struct px_ort_settings *settings,
                                               const struct px_ort *ort, struct px_arena *arena,
                                               void **ret_options, struct px_err *err);

/* Appends the execution providers to the options. */
PX_MUST_USE enum px_code px_ort_append_providers(struct px_ort_settings *settings,
                                                 const struct px_ort *ort, struct px_arena *arena,
                                                 void *options, struct px_err *err);

#endif
