/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What model.yaml says under `sequence` (docs/api/sequences.md):
 *
 *     sequence:
 *       scheduler: oldest               # or direct
 *       idle_timeout_ms: 1000
 *       sequences_max: 256              # live at a time; with direct the rows of a batch
 *       backlog_max: 1000               # sequences that wait for one of them to end
 *       steps_max: 1000                 # requests that wait for their turn
 *       batch_max: 32                   # oldest: steps computed together
 *       preferred_batch_sizes: [8, 16]  # oldest
 *       max_queue_delay_us: 0
 *       memory_max: 268435456           # bytes of states
 *       states:
 *         - {input: h_in, output: h_out, type: FP32, shape: [64], initial: zeros, show: false}
 *       controls: {start: START, end: END, ready: READY, correlation_id: CORRID}
 *
 * Texts live in the arena given at reading.
 */
#ifndef PX_APPLICATION_SEQUENCES_SEQUENCE_SETTINGS_H
#define PX_APPLICATION_SEQUENCES_SEQUENCE_SETTINGS_H

#include "domain/inference/tensor.h"
#include "domain/sequences/sequences.h"
#include "shared/yaml.h"

enum {
    PX_SEQUENCE_STATES_MAX = 64,
    PX_SEQUENCE_STEPS_MAX = 1 << 16,
    PX_SEQUENCE_BATCH_MAX = 4096,
};

struct px_sequence_state {
    struct px_str input, output;       /* tensors of the model */
    enum px_datatype type;             /* PX_TYPE_NONE: as the model says */
    int64_t shape[PX_TENSOR_DIMS_MAX]; /* of one sequence: without the dimension that counts rows */
    size_t n_dims;
    bool has_shape;
    bool show;             /* callers may ask for it */
    struct px_str initial; /* a file with its bytes; empty: zeros */
};

enum px_sequence_control {
    PX_SEQUENCE_START,
    PX_SEQUENCE_END,
    PX_SEQUENCE_READY,
    PX_SEQUENCE_CORRELATION_ID,
    PX_SEQUENCE_CONTROLS
};

struct px_sequence_settings {
    struct px_sequence_rules rules;
    size_t steps_max;
    uint64_t memory_max;
    struct px_sequence_state *states;
    size_t n_states;
    struct px_str controls[PX_SEQUENCE_CONTROLS]; /* inputs of the model; empty: not wanted */
};

/* "start", "correlation_id": the key in model.yaml. */
const char *px_sequence_control_name(enum px_sequence_control control);

/* PX_E_INVALID and PX_E_UNKNOWN_OPTION name the line. */
PX_MUST_USE enum px_code px_sequence_settings_read(const struct px_yaml *node,
                                                   struct px_arena *arena,
                                                   struct px_sequence_settings *ret,
                                                   struct px_err *err);

#endif
