/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is decided once, when a sequence engine is made: which tensors of the model are states and controls, how many bytes
 * a sequence keeps, with which states it begins, and which tensors callers see.
 *
 * Threads: px_sequence_plan before the engine has any; the plan does not change afterwards, so that checks need no lock.
 */
#ifndef PX_APPLICATION_SEQUENCES_SEQUENCE_PLAN_H
#define PX_APPLICATION_SEQUENCES_SEQUENCE_PLAN_H

#include "application/sequences/sequence_impl.h"

/*
 * Binds states and controls to the model's tensors, and reads initial states. PX_E_CONFLICT and PX_E_INVALID for what the model does
 * not have or has otherwise, PX_E_TOO_LARGE for more states than memory is allowed; errors of files.
 */
PX_MUST_USE enum px_code px_sequence_plan(struct px_sequencer *self, struct px_err *err);

/* Can the run be a step: one row, and an id that the model can take? PX_E_INVALID says why not. */
PX_MUST_USE enum px_code px_sequence_check_step(const struct px_sequencer *self,
                                                const struct px_run *run, struct px_err *err);

#endif
