/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequences: makes an engine that keeps state between the steps of a sequence out of one that keeps none.
 *
 *     px_sequence_engine_create(inner, &(struct px_sequence_options){.settings = &settings}, &engine, err)
 *
 * Concepts
 * - A step is a run with a sequence id. The engine gives the model the states that the sequence's last step left, and keeps those
 *   that come out. What the caller sees are the model's other tensors.
 * - A step with `start` begins with the initial states, whatever there was before; one with `end` is the last. A step of a sequence that
 *   is not there, without `start`, is PX_E_INVALID. A sequence without steps for the idle timeout is gone.
 * - Steps of one sequence are computed one after the other, in the order of their starts. Where the inner engine has PX_ENGINE_BATCHES, steps
 *   of different sequences are computed in one run of it (domain/sequences says which); a step is one row.
 * - A step that fails, is late or cancelled has not happened: the states are those before it. Steps that wait behind it
 *   fail too, up to the next `start`, because they would meet states that their callers did not mean. A `start` that fails has begun
 *   nothing, and ends what was there before it for the same reason.
 * - A model that keeps states of its own knows the sequence by the id of the run: it is given one step in a run. So is one without states and
 *   controls, because nothing else could tell it.
 * - States are held in memory for at most `sequences_max` sequences, which is checked against `memory_max` when the engine is made.
 *   They are lost with the engine.
 *
 * Ownership: owns the inner engine, which is asynchronous, once it has been created. Texts of the settings outlive it. Threads: as the
 * port says; one thread of its own starts batches and watches over time.
 */
#ifndef PX_APPLICATION_SEQUENCES_SEQUENCE_ENGINE_H
#define PX_APPLICATION_SEQUENCES_SEQUENCE_ENGINE_H

#include "application/ports/engine.h"
#include "application/sequences/sequence_settings.h"

struct px_sequence_options {
    const struct px_sequence_settings *settings; /* copied */
    struct px_str model_name;                    /* for messages; outlives the engine */
    unsigned batches_max;                        /* of the inner engine at a time; 0: 1 */
};

/* PX_E_CONFLICT for states and controls that the model does not have, PX_E_TOO_LARGE for states over `memory_max`. */
PX_MUST_USE enum px_code px_sequence_engine_create(struct px_engine *inner,
                                                   const struct px_sequence_options *options,
                                                   struct px_engine **ret, struct px_err *err);

struct px_sequence_counts {
    size_t live, backlog, steps; /* sequences, sequences without a place, waiting steps; now */
    size_t state_bytes;          /* of one sequence */
    uint64_t started, ended, timed_out; /* sequences, so far; one that began again has not ended */
    uint64_t batches, computed, failed; /* runs of the inner engine, and steps */
};

/* What an engine that this function's neighbour made keeps; NULL and false for another. Any thread. */
const struct px_sequence_settings *px_sequence_engine_settings(const struct px_engine *engine);
const struct px_engine *px_sequence_engine_inner(const struct px_engine *engine);
bool px_sequence_engine_counts(const struct px_engine *engine, struct px_sequence_counts *ret);

#endif
