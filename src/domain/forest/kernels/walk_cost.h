/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels that walk node by node cost, as far as it depends on the forest alone. For the planner. */
#ifndef PX_DOMAIN_FOREST_WALK_COST_H
#define PX_DOMAIN_FOREST_WALK_COST_H

#include "domain/forest/ir.h"

/* Mean depth of the tree's leaves. Linear in its nodes. */
double px_walk_mean_depth(const struct px_forest_ir *ir, const struct px_tree *tree);

/*
 * How much of the nodes' memory is out of reach of the first two cache levels, 0 to 1: multiplies the cycles that
 * a line from farther away costs.
 */
double px_walk_distance(size_t node_bytes);

#endif
