/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Combiners: the steps of a graph that make one tensor, `output`, out of several of the same meaning.
 *
 *   mean, median, min, max, sum   element by element; FP32, or FP64 when an input is FP64 or an integer of 32 bits or more
 *   weighted_mean                 with: {weights: [2, 1, 1]}, in the order of the inputs
 *   vote, weighted_vote           the label that most inputs (the most weight) name; of equals the one that an earlier input names
 *   concat                        along the last dimension; [-1] counts as [-1,1]. The input of a meta-model (stacking)
 *   first                         the first input that is not absent
 *
 * `with: {type: FP32}` chooses the type of means and of concat. Absent inputs are left out, and their weights with them; concat
 * needs all of them. Sums are made in double in the order of the inputs, so that results do not depend on who finished first.
 */
#ifndef PX_DOMAIN_GRAPH_COMBINE_H
#define PX_DOMAIN_GRAPH_COMBINE_H

#include "domain/graph/graph_impl.h"

enum px_graph_combine_kind {
    PX_GRAPH_CONCAT = 1,
    PX_GRAPH_FIRST,
    PX_GRAPH_MAX,
    PX_GRAPH_MEAN,
    PX_GRAPH_MEDIAN,
    PX_GRAPH_MIN,
    PX_GRAPH_SUM,
    PX_GRAPH_VOTE,
    PX_GRAPH_WEIGHTED_MEAN,
    PX_GRAPH_WEIGHTED_VOTE,
};

struct px_graph_combiner {
    enum px_graph_combine_kind kind;
    enum px_datatype type;
    const double *weights; /* one per input, NULL without */
    struct px_tensor_spec gives;
};

/* Makes the combiner of a step from its settings and the specs of its inputs. */
PX_MUST_USE enum px_code px_graph_combiner_create(struct px_graph_reading *reading,
                                                  const struct px_graph_step *step,
                                                  const struct px_tensor_specs *inputs,
                                                  const struct px_graph_combiner **ret);

/* `inputs`: an absent one is NULL; one at least is there. */
PX_MUST_USE enum px_code px_graph_combine(const struct px_graph_combiner *combiner,
                                          const struct px_tensor *const *inputs, size_t n_inputs,
                                          struct px_arena *arena, struct px_tensor *ret,
                                          struct px_err *err);

/* "concat, first, ..."; and is this one of them? 0 when not, with the nearest match in `err`. */
enum px_graph_combine_kind px_graph_combine_kind_find(struct px_str name, unsigned line,
                                                      struct px_err *err);

#endif
