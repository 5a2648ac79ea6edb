/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a step is expected to take on the thread that starts it: so much for each unit of its inputs, as its last runs took.
 *
 * Units are bytes and rows of the inputs. The mean is weighted by units, so that large runs, which matter, say what a unit takes, and it
 * follows within some runs. Of engines that only pass a run on, starting is measured, which is all that they do here.
 *
 * Unlike domain/batching/cost_line.h, which fits a line and needs a lock, it is one word and one ratio: it is asked at every step.
 *
 * Threads: any, without locks. A note that meets another may be lost; nothing is ever half a note.
 */
#ifndef PX_APPLICATION_GRAPH_GRAPH_COST_H
#define PX_APPLICATION_GRAPH_GRAPH_COST_H

#include "domain/inference/tensor.h"

/* Zeroed: nothing is known, and a guess stands in that is more than most take. */
struct px_graph_cost {
    _Atomic uint64_t sums;
};

size_t px_graph_cost_units(const struct px_tensor *inputs, size_t n_inputs);
uint64_t px_graph_cost_expect_ns(const struct px_graph_cost *cost, size_t units);
bool px_graph_cost_is_known(const struct px_graph_cost *cost);
void px_graph_cost_note(struct px_graph_cost *cost, size_t units, uint64_t took_ns);

#endif
