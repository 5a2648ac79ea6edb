/* SPDX-License-Identifier: Apache-2.0 */
/* A plausible row, made from the model alone: an example for people, not data. */
#ifndef PX_DOMAIN_FOREST_TYPICAL_H
#define PX_DOMAIN_FOREST_TYPICAL_H

#include "domain/forest/ir.h"

/* Fills the one row: each feature with the first threshold (or category) that a tree asks about. */
void px_typical_row(const struct px_forest_ir *ir, struct px_matrix *row);

#endif
