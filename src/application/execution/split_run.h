/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split run: the answer of a run whose rows were computed in several batches, put together from pieces.
 *
 * A piece is a copy of a batch's outputs for some rows. Pieces may be made on several threads at a time; the list belongs to who joins it.
 */
#ifndef PX_APPLICATION_EXECUTION_SPLIT_RUN_H
#define PX_APPLICATION_EXECUTION_SPLIT_RUN_H

#include "application/ports/engine.h"

struct px_split_piece {
    struct px_split_piece *next;
    size_t first_row, n_outputs;
    struct px_tensor *outputs;
};

/* NULL without memory. */
struct px_split_piece *px_split_piece_create(const struct px_tensor *outputs, size_t n,
                                             size_t first_row);
void px_split_pieces_free(struct px_split_piece *list);

/* Adds a piece where its rows belong. */
void px_split_pieces_insert(struct px_split_piece **list, struct px_split_piece *piece);

/* All pieces as the outputs of the run. PX_E_CONFLICT when they do not fit together, PX_E_NO_MEMORY; the error is in `run->err`. */
PX_MUST_USE enum px_code px_split_pieces_join(const struct px_split_piece *list,
                                              struct px_run *run);

#endif
