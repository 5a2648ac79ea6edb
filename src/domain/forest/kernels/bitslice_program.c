/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program of an unbalanced tree: selections from the bottom up that compute the index of the leaf.
 *
 * The leaves below a split get consecutive codes. So most bits of a code are the same for all leaves below a
 * split and cost nothing; a bit that is 0 on the left and 1 on the right is the split's own predicate; each
 * other bit costs one selection. Which child gets the lower codes is free: the one whose end lies on the
 * rounder number, since then fewer bits change on both sides.
 *
 * Rejected: codes from the path alone (a bit per level) need as many planes as the tree is deep.
 */
#include "domain/forest/kernels/bitslice.h"

struct builder {
    const struct px_node *nodes; /* of the tree */
    const uint16_t *places;
    const uint16_t *n_leaves; /* below each node */
    struct px_slice_program *program;
    uint16_t zero, one;
    uint16_t first_slot;
    uint16_t free_slots[PX_SLICE_LEAVES_MAX * PX_SLICE_PLANES_MAX];
    size_t n_free;
};

static uint16_t take_slot(struct builder *b)
{
    if (b->n_free)
        return b->free_slots[--b->n_free];
    return (uint16_t)(b->first_slot + b->program->n_slots++);
}

static void free_slot(struct builder *b, uint16_t place)
{
    if (place >= b->first_slot)
        b->free_slots[b->n_free++] = place;
}

/* Which side's codes come first: ends on the rounder number. */
static bool left_first(uint32_t first, uint32_t n_left, uint32_t n_right)
{
    return __builtin_ctz(first + n_left) >= __builtin_ctz(first + n_right);
}

static bool merge(struct builder *b, uint32_t at, const uint16_t *left, const uint16_t *right,
                  uint16_t *ret)
{
    for (uint32_t bit = 0; bit < b->program->n_planes; bit++) {
        if (left[bit] == right[bit]) {
            ret[bit] = left[bit];
        } else if (left[bit] == b->zero && right[bit] == b->one) {
            ret[bit] = b->places[at];
        } else {
            struct px_slice_step *step = px_vec_push(&b->program->steps);
            if (!step)
                return false;
            free_slot(b, left[bit]); /* a step reads before it writes */
            free_slot(b, right[bit]);
            ret[bit] = take_slot(b);
            *step = (struct px_slice_step){b->places[at], left[bit], right[bit], ret[bit]};
        }
    }
    return true;
}

/* Computes the planes of the leaves below `at`, whose codes start at `first`. */
static bool build(struct builder *b, uint32_t at, uint32_t first, uint16_t *ret)
{
    const struct px_node *node = &b->nodes[at];
    uint16_t left[PX_SLICE_PLANES_MAX], right[PX_SLICE_PLANES_MAX];
    if (node->kind == PX_NODE_LEAF) {
        b->program->codes[node->left] = (uint8_t)first;
        for (uint32_t bit = 0; bit < b->program->n_planes; bit++)
            ret[bit] = first >> bit & 1 ? b->one : b->zero;
        return true;
    }
    uint32_t n_left = b->n_leaves[node->left], n_right = b->n_leaves[node->left + 1];
    bool in_order = left_first(first, n_left, n_right);
    return build(b, node->left, in_order ? first : first + n_right, left) &&
           build(b, node->left + 1, in_order ? first + n_left : first, right) &&
           merge(b, at, left, right, ret);
}

static void count_leaves(const struct px_node *nodes, uint32_t n_nodes, uint16_t *n_leaves)
{
    for (uint32_t i = n_nodes; i-- > 0;) { /* children lie after their parent */
        bool leaf = nodes[i].kind == PX_NODE_LEAF;
        n_leaves[i] = leaf ? 1 : (uint16_t)(n_leaves[nodes[i].left] + n_leaves[nodes[i].left + 1]);
    }
}

bool px_slice_program(const struct px_forest_ir *ir, const struct px_tree *tree,
                      const uint16_t *places, uint16_t constant_place, struct px_slice_program *ret)
{
    uint16_t n_leaves[2 * PX_SLICE_LEAVES_MAX];
    struct builder b = {
        .nodes = &ir->nodes.items[tree->first_node],
        .places = places,
        .n_leaves = n_leaves,
        .program = ret,
        .zero = constant_place,
        .one = (uint16_t)(constant_place + 1),
        .first_slot = (uint16_t)(constant_place + 2),
    };
    PX_ASSERT(tree->n_leaves <= PX_SLICE_LEAVES_MAX && tree->n_nodes < 2 * PX_SLICE_LEAVES_MAX);
    count_leaves(b.nodes, tree->n_nodes, n_leaves);
    *ret = (struct px_slice_program){0};
    ret->n_planes = (uint8_t)(tree->n_leaves > 1 ? 32 - __builtin_clz(tree->n_leaves - 1) : 0);
    return build(&b, 0, 0, ret->planes);
}
