/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions of a graph: comparisons of tensors with numbers, texts and each other.
 *
 *     0.4 <= quick.predictions <= 0.6 and not rules.blocked
 *     classify.probabilities[1] >= 0.5 or country == 'DE'
 *
 * Grammar, loosest first: `or`, `and`, `not`, comparisons (< <= > >= == !=, which may be chained), operands: a
 * reference with an optional column, a number, a quoted text, true, false, parentheses. A reference to BOOL may stand alone. Numbers
 * compare in the tensor's own type (compare.h); with NaN every comparison is false but `!=`. Texts know == and != only.
 *
 * A tensor gives one value per row ([-1], [-1,1], or [-1,k] with a column), or one value at all ([], [1]).
 */
#ifndef PX_DOMAIN_GRAPH_CONDITION_H
#define PX_DOMAIN_GRAPH_CONDITION_H

#include "domain/graph/compare.h"
#include "domain/graph/graph_impl.h"

enum { PX_GRAPH_CONDITION_NODES_MAX = 128, PX_GRAPH_CONDITION_DEPTH_MAX = 16 };

enum px_graph_node_kind {
    PX_GRAPH_NODE_OR = 1,
    PX_GRAPH_NODE_AND,
    PX_GRAPH_NODE_NOT,
    PX_GRAPH_NODE_COMPARE,
    PX_GRAPH_NODE_TENSOR,
    PX_GRAPH_NODE_NUMBER,
    PX_GRAPH_NODE_TEXT,
};

struct px_graph_node {
    enum px_graph_node_kind kind;
    enum px_graph_comparison comparison;
    unsigned left, right; /* indices of nodes; `not` has only left */
    struct px_graph_reference reference;
    bool has_column;
    uint64_t column;
    bool is_text, is_rows; /* of a tensor: its type, and whether it has a value per row */
    struct px_graph_number number;
    struct px_str text;
};

struct px_graph_condition {
    struct px_str text;
    unsigned line;
    struct px_graph_node *nodes;
    size_t n_nodes;
    unsigned root;
    bool is_rows;   /* one answer per row; else one for all */
    uint64_t needs; /* steps that its tensors come from */
};

/* Parses; references are texts yet. */
PX_MUST_USE enum px_code px_graph_condition_parse(struct px_graph_reading *reading,
                                                  const struct px_yaml *node,
                                                  struct px_graph_condition **ret);
/* Checks the types once the tensors are known. */
PX_MUST_USE enum px_code px_graph_condition_check(struct px_graph_reading *reading,
                                                  struct px_graph_condition *condition);

/* The tensor of a source at run time; NULL when it is absent. */
struct px_graph_tensors {
    const struct px_tensor *(*get)(void *context, struct px_graph_source source);
    void *context;
};

/* The answers to a condition. */
struct px_graph_rows {
    uint8_t *chosen; /* one per row, 0 or 1; of a condition of the whole there is one "row" */
    size_t n, n_chosen;
};

/*
 * Evaluates. A tensor that is absent makes every answer false, also one that begins with `not`. PX_E_INVALID when tensors have different numbers of rows or a row has more
 * than one value; PX_E_TOO_LARGE, PX_E_NO_MEMORY of the arena.
 */
PX_MUST_USE enum px_code px_graph_condition_evaluate(const struct px_graph_condition *condition,
                                                     const struct px_graph_tensors *tensors,
                                                     struct px_arena *arena,
                                                     struct px_graph_rows *ret, struct px_err *err);

#endif
