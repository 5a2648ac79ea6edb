/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cells: elements as they lie in a tensor, whatever their type, for processors that compare and copy and do not compute.
 *
 * A cell is its bytes: those of a number, or those of a text. It has a key, a text that is equal for equal cells: of floats,
 * -0 and 0 are equal and so are all NaNs, and FP32 has the keys of the same numbers in FP64.
 */
#ifndef PX_DOMAIN_PROCESSING_TABULAR_CELLS_H
#define PX_DOMAIN_PROCESSING_TABULAR_CELLS_H

#include "domain/processing/tabular.h"

enum { PX_TABULAR_KEY_MAX = 8 }; /* bytes of the key of a number */

/* All cells of a tensor in order, `n` of them: bytes lent by the tensor. */
PX_MUST_USE enum px_code px_tabular_cells(const struct px_tensor *tensor, size_t n,
                                          struct px_arena *arena, const struct px_str **ret,
                                          struct px_err *err);
/* Gives an output of px_tabular_make* its cells. */
PX_MUST_USE enum px_code px_tabular_set_cells(struct px_tensor *tensor, char *bytes,
                                              const struct px_str *cells, size_t n,
                                              struct px_arena *arena, struct px_err *err);

/* The cell of `type` that a scalar of the settings says; null is NaN for floats, the empty text for texts. */
PX_MUST_USE enum px_code px_tabular_cell_of(const struct px_yaml *node, enum px_datatype type,
                                            struct px_arena *arena, struct px_str *ret,
                                            struct px_err *err);

/* `memory` has PX_TABULAR_KEY_MAX bytes and must live as long as the key. */
struct px_str px_tabular_key(struct px_str cell, enum px_datatype type, char *memory);

static inline bool px_tabular_is_float(enum px_datatype type)
{
    return type == PX_TYPE_FP32 || type == PX_TYPE_FP64;
}

/* Its text, for errors: the cell itself of BYTES, else the number, into `out` (PX_NUMBER_TEXT_MAX bytes). */
struct px_str px_tabular_cell_text(struct px_str cell, enum px_datatype type, char *out);

#endif
