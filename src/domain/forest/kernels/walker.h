/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference walker: one row, one tree, one node at a time, straight from the internal form. It is the
 * definition of what a forest means and the oracle of every other kernel.
 */
#ifndef PX_DOMAIN_FOREST_WALKER_H
#define PX_DOMAIN_FOREST_WALKER_H

#include "domain/forest/ir.h"

#include <math.h>

static inline bool px_walker_is_missing(const struct px_node *node, double x)
{
    if (isnan(x))
        return node->missing != PX_MISSING_AS_ZERO;
    return node->missing == PX_MISSING_ZERO && fabs(x) <= PX_ZERO_THRESHOLD;
}

/* The answer of one split; every kernel's nodes must agree with it. */
static inline bool px_walker_goes_left(const struct px_forest_ir *ir, const struct px_node *node,
                                       double x)
{
    if (node->kind == PX_NODE_SET)
        return isnan(x) ? node->default_left : px_ir_in_set(ir, node->set, x) == node->in_set_left;
    if (node->kind == PX_NODE_VALUES)
        return isnan(x) ? node->default_left
                        : px_ir_in_values(ir, node->set, x) == node->in_set_left;
    if (px_walker_is_missing(node, x))
        return node->default_left;
    if (isnan(x))
        x = 0.0;
    return node->kind == PX_NODE_LT ? x < node->threshold : x <= node->threshold;
}

/* The number of the leaf that `row` (elements of ir->type) reaches. */
uint32_t px_walker_leaf(const struct px_forest_ir *ir, const struct px_tree *tree, const void *row);

#endif
