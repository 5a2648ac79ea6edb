/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements and rows of tensors: what conditions read, combiners compute with, and steps that run for some rows only cut out and put back.
 *
 * Results live in the given arena. A row is everything under one index of the first dimension.
 */
#ifndef PX_DOMAIN_GRAPH_VALUES_H
#define PX_DOMAIN_GRAPH_VALUES_H

#include "domain/graph/condition.h"

/* Is it a type with a numeric value (all but BYTES)? */
bool px_graph_is_number(enum px_datatype type);
/* Element `i` as a double. Integers beyond 2^53 are rounded. */
double px_graph_number(const struct px_tensor *tensor, size_t i);
/* Stores as FP32 or FP64. */
void px_graph_put_number(struct px_tensor *tensor, size_t i, double value);

/* Every element of a BYTES tensor; NULL when the arena is full. The bytes have been checked. */
struct px_str *px_graph_texts(const struct px_tensor *tensor, size_t n, struct px_arena *arena);

/* Rows of a tensor: its first dimension, 1 when it has none. */
size_t px_graph_n_rows(const struct px_tensor *tensor);
/* Elements of one row. */
size_t px_graph_row_elements(const struct px_tensor *tensor);

/* Where each row begins in the bytes, and after the last where it ends; NULL when the arena is full. */
size_t *px_graph_row_starts(const struct px_tensor *tensor, struct px_arena *arena);
/* Rows `begin` to before `end` of a tensor with dimensions, lent by it. */
struct px_tensor px_graph_slice(const struct px_tensor *tensor, const size_t *starts, size_t begin,
                                size_t end);
/* Are a row of `a` and a row of `b` of one type and shape? */
bool px_graph_same_rows(const struct px_tensor *a, const struct px_tensor *b);

/* A column [n] as [n,1], or the other way round, where the spec wants that; else the tensor stays as it is. */
void px_graph_shape_column(struct px_tensor *tensor, const struct px_tensor_spec *spec);

/* The chosen rows of `from`, whose first dimension is rows->n, else PX_E_INVALID. */
PX_MUST_USE enum px_code px_graph_gather(const struct px_tensor *from,
                                         const struct px_graph_rows *rows, struct px_arena *arena,
                                         struct px_tensor *ret, struct px_err *err);

/*
 * Rows that are chosen come from `chosen`, in order (`packed`: it has only those, else it has all), the others from `other`, which
 * has all. PX_E_INVALID when the shapes of a row or the counts differ. `ret` may be one of both.
 */
struct px_graph_merge {
    const struct px_tensor *chosen, *other;
    bool packed;
    const struct px_graph_rows *rows;
};
PX_MUST_USE enum px_code px_graph_merge_rows(const struct px_graph_merge *merge,
                                             struct px_arena *arena, struct px_tensor *ret,
                                             struct px_err *err);

/* A constant of a substitute as a tensor of `spec` with `n_rows` rows. */
PX_MUST_USE enum px_code px_graph_fill(const struct px_graph_value *value,
                                       const struct px_tensor_spec *spec, size_t n_rows,
                                       struct px_arena *arena, struct px_tensor *ret,
                                       struct px_err *err);

#endif
