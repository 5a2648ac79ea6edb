/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden requests of a model of tensors: requests as JSON of the Open Inference Protocol, and the outputs that they must get.
 *
 *     {"tolerance": 1e-5,
 *      "cases": [{"inputs":  [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}],
 *                 "outputs": [{"name": "y", "shape": [1, 1], "datatype": "FP32", "data": [3]}],
 *                 "parameters": {"sequence_id": 1, "sequence_start": true}}]}
 *
 * One case may stand without the list. `data` may be nested. A number agrees when |got - expected| <= tolerance * (1 + |expected|); without
 * a tolerance it must be equal. NaN equals NaN. Everything else is compared exactly.
 *
 * Ownership: what is read lives in the arena, and points into the text.
 */
#ifndef PX_APPLICATION_LIFECYCLE_GOLDEN_H
#define PX_APPLICATION_LIFECYCLE_GOLDEN_H

#include "application/ports/engine.h"

enum { PX_GOLDEN_CASES_MAX = 10000, PX_GOLDEN_BYTES_MAX = 256 << 20 };

struct px_golden_case {
    struct px_tensor *inputs, *outputs;
    size_t n_inputs, n_outputs;
    struct px_sequence_step sequence;
};

struct px_golden {
    double tolerance;
    const struct px_golden_case *cases;
    size_t n_cases;
};

/* PX_E_INVALID with the place. */
PX_MUST_USE enum px_code px_golden_parse(struct px_str json, struct px_arena *arena,
                                         struct px_golden *ret, struct px_err *err);

/*
 * Runs one case on an asynchronous engine and waits; `run` is filled, with outputs in the order of the case. The caller calls
 * px_run_release.
 */
PX_MUST_USE enum px_code px_golden_run(struct px_engine *engine, const struct px_golden_case *c,
                                       struct px_arena *arena, struct px_run *run,
                                       struct px_err *err);

/* Where two tensors differ most. Texts have no numbers. */
struct px_golden_difference {
    bool differs;
    bool has_numbers;
    size_t element;
    double expected, got;
};
void px_golden_compare(const struct px_tensor *expected, const struct px_tensor *got,
                       double tolerance, struct px_golden_difference *ret);

#endif
