/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/kernels/walk_cost.h"

/* Nodes up to the first size stay in the second cache level; of the second size most steps leave it. */
#define NEAR_BYTES (1 << 20)
#define FAR_BYTES  (8 << 20)

/* Nodes are in breadth-first order: a level has twice as many nodes as the one above has splits. */
double px_walk_mean_depth(const struct px_forest_ir *ir, const struct px_tree *tree)
{
    const struct px_node *nodes = &ir->nodes.items[tree->first_node];
    double depth = 0, sum = 0;
    uint32_t level = 1, splits = 0;
    for (uint32_t i = 0; i < tree->n_nodes; i++) {
        if (nodes[i].kind == PX_NODE_LEAF)
            sum += depth;
        else
            splits++;
        if (--level == 0) {
            level = 2 * splits;
            splits = 0;
            depth++;
        }
    }
    return sum / tree->n_leaves;
}

double px_walk_distance(size_t node_bytes)
{
    double beyond = (double)node_bytes - NEAR_BYTES;
    if (beyond <= 0)
        return 0;
    return beyond < FAR_BYTES - NEAR_BYTES ? beyond / (FAR_BYTES - NEAR_BYTES) : 1;
}
