/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference walker: one row, one tree, one node at a time, straight from the internal form. It is the
 * definition of what a forest means and the oracle of every other kernel.
 */
#ifndef PX_DOMAIN_FOREST_WALKER_H
#define PX_DOMAIN_FOREST_WALKER_H

#include "domain/forest/ir.h"

/* The number of the leaf that `row` (elements of ir->type) reaches. */
uint32_t px_walker_leaf(const struct px_forest_ir *ir, const struct px_tree *tree, const void *row);

#endif
