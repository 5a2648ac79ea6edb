/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph around tree ensembles, followed node by node: what each value of the graph is in terms of rows,
 * trees and scores. A value that cannot be said so is refused, by the name of the node that makes it.
 *
 * Concepts
 * - COLUMNS   the rows: each column is a feature of the request and the steps that were done to it. Steps
 *             are later folded into thresholds (onnx_emit.c).
 * - CONSTANT  numbers of the file.
 * - TABLE     one number per leaf of a tree: what an ensemble of one tree and one target returns, and what
 *             elementwise nodes make of it. It is computed when the file is read. (An isolation forest of
 *             skl2onnx is a hundred such trees with thirty nodes behind each.)
 * - SCORES    the sum of ensembles, and what elementwise nodes make of it (steps of the transform).
 * - LABELS    the classes of a classifier; DECISION, a score compared with a constant.
 *
 * Ownership: everything but ensembles and the list of values lives in `arena`.
 */
#ifndef PX_DOMAIN_FOREST_ONNX_GRAPH_H
#define PX_DOMAIN_FOREST_ONNX_GRAPH_H

#include "domain/forest/readers/onnx/onnx_ensemble.h"
#include "shared/map.h"

enum { PX_ONNX_STEPS_MAX = 16 };

struct px_onnx_column {
    uint32_t feature;
    uint32_t n_steps;
    const struct px_step *steps;
};

enum px_onnx_kind {
    PX_ONNX_COLUMNS = 0,
    PX_ONNX_CONSTANT,
    PX_ONNX_TABLE,
    PX_ONNX_SCORES,
    PX_ONNX_LABELS,
    PX_ONNX_DECISION,
};

/* An ensemble of a sum; `values`, when there are any, take the place of its table of leaf values. */
struct px_onnx_term {
    size_t ensemble;
    const double *values;
};

struct px_onnx_scores {
    const struct px_onnx_term *terms;
    size_t n_terms, n_targets;
    const double *base; /* [n_targets], or NULL: what nodes of the graph add to the plain sum */
    bool wide;          /* float ensembles are summed in double */
    const struct px_step *steps;
    size_t n_steps;
};

struct px_onnx_value {
    enum px_onnx_kind kind;
    int type; /* enum px_onnx_type */
    size_t n; /* columns, numbers */
    const struct px_onnx_column *columns;
    const double *numbers;               /* CONSTANT, TABLE */
    size_t ensemble;                     /* TABLE, LABELS */
    const struct px_onnx_scores *scores; /* SCORES, DECISION */
    enum px_step_op compare;             /* DECISION: LESS or GREATER than `limit` */
    double limit, yes, no;               /* DECISION: and the values of both answers */
};

/* What was applied to the columns of an ensemble. */
struct px_onnx_used_ensemble {
    struct px_onnx_ensemble ensemble;
    const struct px_onnx_column *columns;
    size_t n_columns; /* 0: as many as are asked for, each a feature as it is */
    size_t in_sum;    /* the last sum that has it among its terms, counted from 1 */
};

struct px_onnx_graph {
    const struct px_onnx_model *model;
    struct px_forest_ir *ir;
    struct px_arena arena;
    struct px_map by_name;
    PX_VEC(struct px_onnx_value) values;
    PX_VEC(struct px_onnx_used_ensemble) ensembles;
    size_t n_sums;                   /* that were looked at */
    size_t n_features;               /* of all inputs; 0: the file does not say */
    const struct px_onnx_node *node; /* that is looked at */
};

void px_onnx_graph_deinit(struct px_onnx_graph *graph);

/* Follows the whole graph. */
PX_MUST_USE enum px_code px_onnx_graph_run(struct px_onnx_graph *graph, struct px_err *err);

bool px_onnx_graph_find(const struct px_onnx_graph *graph, struct px_str name,
                        struct px_onnx_value *ret);

/* PX_E_UNSUPPORTED 'the graph has a node "Gemm" (MatMul_3) that is no part of a tree ensemble'. */
PX_MUST_USE enum px_code px_onnx_refuse_node(const struct px_onnx_graph *graph, struct px_err *err);
/* The same node, and what about it is not served. */
PX_MUST_USE enum px_code px_onnx_refuse(const struct px_onnx_graph *graph, const char *what,
                                        struct px_err *err);
PX_MUST_USE enum px_code px_onnx_no_room(const struct px_onnx_graph *graph, struct px_err *err);

/* Elementwise nodes: operands in the node's order, of which `b` may be NULL. */
struct px_onnx_operation {
    enum px_step_op op;
    const struct px_onnx_value *a, *b;
};

PX_MUST_USE enum px_code px_onnx_columns_step(struct px_onnx_graph *graph,
                                              const struct px_onnx_operation *operation,
                                              struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_table_step(struct px_onnx_graph *graph,
                                            const struct px_onnx_operation *operation,
                                            struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_scores_step(struct px_onnx_graph *graph,
                                             const struct px_onnx_operation *operation,
                                             struct px_onnx_value *ret, struct px_err *err);

/* Nodes before the trees; `inputs` are the node's. */
PX_MUST_USE enum px_code px_onnx_columns_input(struct px_onnx_graph *graph,
                                               const struct px_onnx_port *port,
                                               struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_columns_cast(struct px_onnx_graph *graph,
                                              const struct px_onnx_value *from, int type,
                                              struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_columns_pick(struct px_onnx_graph *graph,
                                              const struct px_onnx_value *from,
                                              const struct px_onnx_value *indices,
                                              struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_columns_concat(struct px_onnx_graph *graph,
                                                const struct px_onnx_value *inputs, size_t n,
                                                struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_columns_scale(struct px_onnx_graph *graph,
                                               const struct px_onnx_value *from,
                                               struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_columns_impute(struct px_onnx_graph *graph,
                                                const struct px_onnx_value *from,
                                                struct px_onnx_value *ret, struct px_err *err);

/* Nodes behind the trees. */
PX_MUST_USE enum px_code px_onnx_ensemble_value(struct px_onnx_graph *graph, size_t ensemble,
                                                struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_table_cast(struct px_onnx_graph *graph,
                                            const struct px_onnx_value *from, int type,
                                            struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_table_encode(struct px_onnx_graph *graph,
                                              const struct px_onnx_value *from,
                                              struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_table_as_scores(struct px_onnx_graph *graph,
                                                 const struct px_onnx_value *table,
                                                 struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_scores_cast(struct px_onnx_graph *graph,
                                             const struct px_onnx_value *from, int type,
                                             struct px_onnx_value *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_scores_sum(struct px_onnx_graph *graph,
                                            const struct px_onnx_value *inputs, size_t n,
                                            struct px_onnx_value *ret, struct px_err *err);

/* Fills `ir` from the graph: type, trees, scores and labels (onnx_emit.c, onnx_result.c). */
PX_MUST_USE enum px_code px_onnx_emit(struct px_onnx_graph *graph,
                                      const struct px_onnx_scores *scores, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_result(struct px_onnx_graph *graph, struct px_err *err);

#endif
