/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models that a graph and the graphs inside it are made of: each file or folder is opened once, whoever names it and however its path is
 * spelt, and their number is bounded, as is that of the steps that one run may come to.
 *
 * Concepts
 * - A tree belongs to the outermost graph. It is made when that is opened, and goes with the last of its models.
 * - An opening is a graph while it is being read, on the stack of whoever reads it; `outer` is the graph that named it.
 * - Steps count as often as they run: those of a graph that two steps name count twice.
 *
 * Threads: one at a time, as packages are opened and closed.
 */
#ifndef PX_APPLICATION_GRAPH_GRAPH_TREE_H
#define PX_APPLICATION_GRAPH_GRAPH_TREE_H

#include "application/lifecycle/package.h"

enum {
    PX_GRAPH_TREE_MODELS_MAX = 256,
    PX_GRAPH_TREE_STEPS_MAX = 4096,
};

struct px_graph_tree;
struct px_graph_tree_model;

struct px_graph_opening {
    struct px_graph_opening *outer; /* NULL: the outermost */
    struct px_graph_tree *tree;
    const char *path;     /* of its file, links resolved */
    struct px_str name;   /* its path in the folder of the outermost */
    size_t n_steps;       /* of the graphs that it names */
    size_t n_inner_steps; /* of the one that was opened last */
};

/* Begins a graph; `outer` is NULL for one of its own. PX_E_INVALID when it is inside itself; PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_graph_tree_begin(struct px_graph_opening *opening,
                                             struct px_graph_opening *outer, const char *path,
                                             struct px_err *err);
/*
 * Ends what was begun, with what came of it and the steps that the graph has. Of the outermost graph `err` then says why, if the tree
 * refused something, without the path through the graphs on the way.
 */
PX_MUST_USE enum px_code px_graph_tree_end(struct px_graph_opening *opening, enum px_code code,
                                           size_t n_steps, struct px_err *err);

/* The model at `path` (links resolved), opened or found. PX_E_TOO_LARGE beyond the limits; else what opening it says. */
PX_MUST_USE enum px_code px_graph_tree_open(struct px_graph_opening *opening, const char *path,
                                            const struct px_package_options *options,
                                            struct px_graph_tree_model **ret, struct px_err *err);
struct px_package *px_graph_tree_package(const struct px_graph_tree_model *model);
/* Once for each time that it was opened. */
void px_graph_tree_close(struct px_graph_tree_model *model);

#endif
