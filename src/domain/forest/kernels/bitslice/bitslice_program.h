/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of unbalanced trees: lists of selections that compute the bits of leaf indexes from the bottom up.
 *
 * A program is for one tree or several small ones, whose steps are mixed: a step should not need what a step just
 * before it stored. Use: init, add each tree, schedule, deinit.
 */
#ifndef PX_DOMAIN_FOREST_BITSLICE_PROGRAM_H
#define PX_DOMAIN_FOREST_BITSLICE_PROGRAM_H

#include "domain/forest/kernels/bitslice/bitslice.h"

/* Where a vector is: a place in the group's table, or PX_PROGRAM_DRAFT + the step that computes it. */
typedef uint32_t px_program_value;

enum { PX_PROGRAM_DRAFT = 1 << 16 };

struct px_program_draft {
    px_program_value left, right;
    uint16_t select;   /* place of the predicate */
    uint16_t level;    /* 1 + the higher level of its operands; places have 0 */
    uint32_t last_use; /* position in the schedule */
};

struct px_slice_program {
    /* Of the all-false vector; the all-true one and the slots are behind it. */
    uint16_t constant_place;
    uint16_t n_slots;
    PX_VEC(struct px_program_draft) drafts;
    PX_VEC(px_program_value) results;   /* planes of the trees added, lowest bit first */
    PX_VEC(struct px_slice_step) steps; /* after scheduling */
};

void px_slice_program_init(struct px_slice_program *program, uint16_t constant_place);
void px_slice_program_deinit(struct px_slice_program *program);

/*
 * Adds a tree of at most PX_SLICE_LEAVES_MAX leaves. `places` [tree->n_nodes] are those of its predicates. Its
 * px_slice_program_planes values are appended to the results; `leaf_at` [PX_SLICE_LEAVES_MAX] gets the leaf of
 * each index. False when memory is short.
 */
PX_MUST_USE bool px_slice_program_add(struct px_slice_program *program,
                                      const struct px_forest_ir *ir, const struct px_tree *tree,
                                      const uint16_t *places, uint8_t *leaf_at);

/* Bits of a tree's index. */
uint32_t px_slice_program_planes(const struct px_tree *tree);

/* Orders the steps and gives them slots; the results become places. False when memory is short. */
PX_MUST_USE bool px_slice_program_schedule(struct px_slice_program *program);

#endif
