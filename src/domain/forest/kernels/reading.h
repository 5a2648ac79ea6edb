/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reading: how the splits of one feature take special numbers. Splits of different readings cannot share
 * one integer per row, so codes (codes.h) and keys (keys.h) make a column of each reading of a feature. The
 * rule stands here alone: if the two disagreed, kernels would send missing values different ways.
 */
#ifndef PX_DOMAIN_FOREST_READING_H
#define PX_DOMAIN_FOREST_READING_H

#include "domain/forest/ir.h"

enum px_reading {
    PX_READ_MISSING_LOW = 0, /* NaN is less than every number */
    PX_READ_MISSING_HIGH,    /* NaN is greater than every number */
    PX_READ_MISSING_AS_ZERO, /* NaN is 0 */
    PX_READ_ZERO_LOW,        /* NaN and |x| <= PX_ZERO_THRESHOLD are less than every number */
    PX_READ_ZERO_HIGH,       /* they are greater */
    PX_READ_SET,             /* classes of PX_NODE_SET */
    PX_READ_VALUES,          /* classes of PX_NODE_VALUES */
};

/* `node` is a split. */
static inline enum px_reading px_reading_of(const struct px_node *node)
{
    if (node->kind == PX_NODE_SET)
        return PX_READ_SET;
    if (node->kind == PX_NODE_VALUES)
        return PX_READ_VALUES;
    if (node->missing == PX_MISSING_AS_ZERO)
        return PX_READ_MISSING_AS_ZERO;
    if (node->missing == PX_MISSING_ZERO)
        return node->default_left ? PX_READ_ZERO_LOW : PX_READ_ZERO_HIGH;
    return node->default_left ? PX_READ_MISSING_LOW : PX_READ_MISSING_HIGH;
}

#endif
