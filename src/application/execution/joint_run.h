/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joint run: rows of several runs as one run of an engine whose rows do not know of each other (PX_ENGINE_BATCHES).
 *
 *     px_joint_run_gather(&joint, engine, parts, n_parts)      // inputs behind one another, in the joint run's arena
 *     px_engine_run(engine, &joint.run, &joint.run.err)
 *     px_joint_run_begin_scatter(&joint)                       // are the outputs of that many rows?
 *     px_joint_run_scatter(&joint, parts[i].n_rows, slices)    // in the order of the parts: slices of the outputs
 *     px_joint_run_clear(&joint)                               // the slices are gone; memory stays for the next
 *
 * Concepts
 * - Rows are joined and cut along the first dimension. An element of BYTES carries its length, so that joining is the same there,
 *   and cutting walks the elements.
 * - A shape is a number that runs share whose rows may be joined: the same inputs with the same types and dimensions after the
 *   first, and the same outputs. It is a hash, so gathering compares again and refuses what only seems to fit.
 * - One part alone is not copied: its rows lie behind one another where the run has them.
 *
 * Memory: an arena of at most PX_JOINT_BYTES_MAX, kept from one joint run to the next. Threads: one at a time; runs that are
 * gathered are only read.
 */
#ifndef PX_APPLICATION_EXECUTION_JOINT_RUN_H
#define PX_APPLICATION_EXECUTION_JOINT_RUN_H

#include "application/ports/engine.h"

#define PX_JOINT_BYTES_MAX ((size_t)256 << 20)

/* Rows [first_row, first_row + n_rows) of a run. */
struct px_joint_part {
    const struct px_run *run;
    size_t first_row, n_rows;
};

struct px_joint_run {
    struct px_run run; /* what the engine is given */
    struct px_arena arena;
    size_t n_rows;
    struct px_str *rest; /* [n_outputs] what was not cut off yet */
};

void px_joint_run_init(struct px_joint_run *joint);
void px_joint_run_deinit(struct px_joint_run *joint);

/* 0: rows of this run are joined with no other's. */
uint64_t px_joint_run_shape(const struct px_engine *engine, const struct px_run *run);

/* PX_E_CONFLICT when the parts do not fit together, PX_E_TOO_LARGE, PX_E_NO_MEMORY; the error is in `joint->run.err`. */
PX_MUST_USE enum px_code px_joint_run_gather(struct px_joint_run *joint,
                                             const struct px_engine *engine,
                                             const struct px_joint_part *parts, size_t n_parts);

/* PX_E_INTERNAL when the engine's outputs do not have the rows that it was given. */
PX_MUST_USE enum px_code px_joint_run_begin_scatter(struct px_joint_run *joint);

/* The outputs of the next rows, which lie in the joint run's memory; `slices` has run.n_outputs elements. */
void px_joint_run_scatter(struct px_joint_run *joint, size_t n_rows, struct px_tensor *slices);

void px_joint_run_clear(struct px_joint_run *joint);

/* Memory for a run's outputs that lives as long as they do: of its arena, or of the heap where the arena has not enough. NULL: none. */
char *px_joint_run_memory(struct px_run *run, size_t n);

/*
 * Copies tensors into the outputs of a run, by name. PX_E_NO_MEMORY is in `run->err`.
 */
PX_MUST_USE enum px_code px_joint_run_give(struct px_run *run, const struct px_tensor *tensors,
                                           size_t n);

#endif
