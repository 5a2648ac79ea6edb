/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors from JSON that does not say their shapes, and back, for models of tensors: in the dialects that send rows, and in
 * `phoenix predict`.
 *
 *   instances   an array with an element per row: nested arrays when the model has one input, {input: nested arrays} else
 *   inputs      all rows at once, in the same two forms
 *
 * JSON does not say a tensor's shape before its values, so a value is walked twice: first its nesting, which is its
 * shape, then its values: every list must be as long as the first of its level, and every value as deep, so that nothing ragged is
 * shaped anew. The model's specs have the last word. Rows of one value may leave a last dimension of 1 out, all of them or none.
 */
#ifndef PX_APPLICATION_TENSORS_JSON_TENSORS_H
#define PX_APPLICATION_TENSORS_JSON_TENSORS_H

#include "shared/json.h"

#include "domain/inference/tensor.h"

struct px_json_tensors {
    const struct px_tensor_specs *takes;
    struct px_arena *arena;   /* of the tensors; texts without escapes are copied too */
    struct px_tensor *inputs; /* read so far, [n_inputs]; made by the readers */
    size_t n_inputs;
    size_t *depths; /* private: levels of lists in the JSON of each input, [n_inputs] */
};

/* `text` is the JSON array or value. PX_E_INVALID says which instance and input, what was expected and what came. */
PX_MUST_USE enum px_code px_json_read_instances(struct px_json_tensors *to, struct px_str text,
                                                struct px_err *err);
PX_MUST_USE enum px_code px_json_read_inputs(struct px_json_tensors *to, struct px_str text,
                                             struct px_err *err);

/*
 * Could the output be JSON? PX_E_INVALID when a text of it is not UTF-8, which JSON has no form for. Asked before anything is written: the writers
 * below would put U+FFFD in its place.
 */
PX_MUST_USE enum px_code px_json_check_output(const struct px_tensor *output, struct px_err *err);

/*
 * Outputs as a value per row: nested arrays, or {output: nested arrays} when there are several. Outputs without common rows
 * have none.
 */
struct px_json_rows_of_tensors {
    const struct px_tensor *outputs;
    size_t n_outputs, n_rows;
    struct px_str *left; /* bytes not yet written */
};
/* False: an output has no rows, or not as many as the others; write columns then. `left` has room for n_outputs. */
PX_MUST_USE bool px_json_rows_begin(struct px_json_rows_of_tensors *rows,
                                    const struct px_tensor *outputs, size_t n_outputs,
                                    struct px_str *left);
/* Writes the next row. */
void px_json_rows_put(struct px_json_rows_of_tensors *rows, struct px_json_writer *w);

/* Outputs as they are: nested arrays, or an object of them when there are several. */
void px_json_put_columns(struct px_json_writer *w, const struct px_tensor *outputs,
                         size_t n_outputs);

#endif
