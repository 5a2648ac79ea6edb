/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of this room: the stages of reading a graph, in their order. */
#ifndef PX_DOMAIN_GRAPH_GRAPH_IMPL_H
#define PX_DOMAIN_GRAPH_GRAPH_IMPL_H

#include "domain/graph/graph.h"

/* What every stage works on. */
struct px_graph_reading {
    struct px_graph *graph;
    struct px_arena *arena;
    const struct px_graph_resolver *resolver;
    struct px_err *err;
};

/* 1: the YAML tree becomes steps with references that are texts. */
PX_MUST_USE enum px_code px_graph_read_root(struct px_graph_reading *reading,
                                            const struct px_yaml *root);
/* 2: references find their steps; cycles and steps that nothing wants are refused; `order` is filled. */
PX_MUST_USE enum px_code px_graph_link(struct px_graph_reading *reading);
/* 3: in that order, types and shapes of everything. */
PX_MUST_USE enum px_code px_graph_check_types(struct px_graph_reading *reading);

/* Finds the tensor of a reference whose step is known and typed; PX_E_INVALID with the nearest name. */
PX_MUST_USE enum px_code px_graph_find_tensor(struct px_graph_reading *reading,
                                              struct px_graph_reference *reference);
/* What a substitute stands in for. */
struct px_graph_replaced {
    const struct px_tensor_specs *specs;
    uint64_t used; /* those that need a value */
    struct px_str owner;
};
/* Checks a substitute against the specs that it stands in for, and makes the bytes of its constants. */
PX_MUST_USE enum px_code px_graph_check_substitute(struct px_graph_reading *reading,
                                                   struct px_graph_substitute *substitute,
                                                   const struct px_graph_replaced *replaced);
/* May a tensor of `from` be given where `to` is expected? -1 fits every length, and a column [-1] fits [-1,1]. */
bool px_graph_shapes_fit(const struct px_tensor_spec *from, const struct px_tensor_spec *to);

/* Memory or the error of the arena. */
#define px_graph_fail_memory(reading) px_arena_check((reading)->arena, "the graph", (reading)->err)

static inline uint64_t px_graph_bit(int step)
{
    return step < 0 ? 0 : UINT64_C(1) << step;
}

#endif
