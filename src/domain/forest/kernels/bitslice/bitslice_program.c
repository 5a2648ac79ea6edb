/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codes. The leaves below a split get consecutive codes. So most bits of a code are the same for all leaves below
 * a split and cost nothing; a bit that is 0 on the left and 1 on the right is the split's own predicate; each
 * other bit costs one selection. Which child gets the lower codes is free: the one whose end lies on the
 * rounder number, since then fewer bits change on both sides.
 *
 * Order. A step that loads what its predecessor stored makes the processor suspect every load of the loop: each
 * step then waits for the one before, 12 cycles instead of 4. So steps are ordered by level, the distance
 * from the bottom, over all trees of the program; small trees share one for that reason.
 *
 * Rejected: codes from the path alone (a bit per level) need as many planes as the tree is deep.
 */
#include "domain/forest/kernels/bitslice/bitslice_program.h"

struct builder {
    struct px_slice_program *program;
    const struct px_node *nodes; /* of the tree */
    const uint16_t *places;
    uint16_t n_leaves[2 * PX_SLICE_LEAVES_MAX]; /* below each node */
    uint32_t n_planes;
    uint8_t *leaf_at;
};

void px_slice_program_init(struct px_slice_program *program, uint16_t constant_place)
{
    *program = (struct px_slice_program){.constant_place = constant_place};
}

void px_slice_program_deinit(struct px_slice_program *program)
{
    px_vec_free(&program->drafts);
    px_vec_free(&program->results);
    px_vec_free(&program->steps);
}

uint32_t px_slice_program_planes(const struct px_tree *tree)
{
    return tree->n_leaves > 1 ? 32 - (uint32_t)__builtin_clz(tree->n_leaves - 1) : 0;
}

static px_program_value constant(const struct px_slice_program *program, bool bit)
{
    return (px_program_value)program->constant_place + bit;
}

static uint16_t level_of(const struct px_slice_program *program, px_program_value value)
{
    return value < PX_PROGRAM_DRAFT ? 0 : program->drafts.items[value - PX_PROGRAM_DRAFT].level;
}

/* The value of `select ? right : left`, by a step only where it takes one. */
static bool merge_bit(struct px_slice_program *program, uint16_t select, px_program_value left,
                      px_program_value right, px_program_value *ret)
{
    *ret = left;
    if (left == right)
        return true;
    *ret = select;
    if (left == constant(program, false) && right == constant(program, true))
        return true;
    uint16_t a = level_of(program, left), b = level_of(program, right);
    struct px_program_draft *draft = px_vec_push(&program->drafts);
    if (!draft)
        return false;
    *draft = (struct px_program_draft){
        .left = left, .right = right, .select = select, .level = (uint16_t)((a > b ? a : b) + 1)};
    *ret = PX_PROGRAM_DRAFT + (px_program_value)(program->drafts.len - 1);
    return true;
}

/* Which side's codes come first: the one that ends on the rounder number. */
static bool left_first(uint32_t first, uint32_t n_left, uint32_t n_right)
{
    return __builtin_ctz(first + n_left) >= __builtin_ctz(first + n_right);
}

/* Computes the planes of the leaves below `at`, whose codes start at `first`. */
static bool build(struct builder *b, uint32_t at, uint32_t first, px_program_value *ret)
{
    const struct px_node *node = &b->nodes[at];
    px_program_value left[PX_SLICE_PLANES_MAX], right[PX_SLICE_PLANES_MAX];
    if (node->kind == PX_NODE_LEAF) {
        b->leaf_at[first] = (uint8_t)node->left;
        for (uint32_t bit = 0; bit < b->n_planes; bit++)
            ret[bit] = constant(b->program, first >> bit & 1);
        return true;
    }
    uint32_t n_left = b->n_leaves[node->left], n_right = b->n_leaves[node->left + 1];
    bool in_order = left_first(first, n_left, n_right);
    bool done = build(b, node->left, in_order ? first : first + n_right, left) &&
                build(b, node->left + 1, in_order ? first + n_left : first, right);
    for (uint32_t bit = 0; done && bit < b->n_planes; bit++)
        done = merge_bit(b->program, b->places[at], left[bit], right[bit], &ret[bit]);
    return done;
}

static void count_leaves(const struct px_node *nodes, uint32_t n_nodes, uint16_t *n_leaves)
{
    for (uint32_t i = n_nodes; i-- > 0;) { /* children lie after their parent */
        bool leaf = nodes[i].kind == PX_NODE_LEAF;
        n_leaves[i] = leaf ? 1 : (uint16_t)(n_leaves[nodes[i].left] + n_leaves[nodes[i].left + 1]);
    }
}

bool px_slice_program_add(struct px_slice_program *program, const struct px_forest_ir *ir,
                          const struct px_tree *tree, const uint16_t *places, uint8_t *leaf_at)
{
    PX_ASSERT(tree->n_leaves <= PX_SLICE_LEAVES_MAX && tree->n_nodes < 2 * PX_SLICE_LEAVES_MAX);
    struct builder b = {.program = program,
                        .nodes = &ir->nodes.items[tree->first_node],
                        .places = places,
                        .n_planes = px_slice_program_planes(tree),
                        .leaf_at = leaf_at};
    px_program_value planes[PX_SLICE_PLANES_MAX];
    count_leaves(b.nodes, tree->n_nodes, b.n_leaves);
    if (!build(&b, 0, 0, planes) ||
        !px_vec_reserve(&program->results, program->results.len + b.n_planes))
        return false;
    for (uint32_t bit = 0; bit < b.n_planes; bit++)
        program->results.items[program->results.len++] = planes[bit];
    return true;
}

/* The drafts by level, in `order`: a counting sort. */
static void order_drafts(const struct px_slice_program *program, uint32_t *first, uint32_t n_levels,
                         uint32_t *order)
{
    for (size_t i = 0; i < program->drafts.len; i++)
        first[program->drafts.items[i].level + 1]++;
    for (uint32_t level = 1; level <= n_levels; level++)
        first[level] += first[level - 1];
    for (size_t i = 0; i < program->drafts.len; i++)
        order[first[program->drafts.items[i].level]++] = (uint32_t)i;
}

static void use(struct px_slice_program *program, px_program_value value, uint32_t position)
{
    if (value >= PX_PROGRAM_DRAFT)
        program->drafts.items[value - PX_PROGRAM_DRAFT].last_use = position;
}

static void find_last_uses(struct px_slice_program *program, const uint32_t *order)
{
    for (uint32_t i = 0; i < program->drafts.len; i++) {
        const struct px_program_draft *draft = &program->drafts.items[order[i]];
        use(program, draft->left, i);
        use(program, draft->right, i);
    }
    for (size_t i = 0; i < program->results.len; i++)
        use(program, program->results.items[i], UINT32_MAX); /* read after the last step */
}

/* Slots that are free, and the slot of each draft. */
struct slots {
    uint16_t *of, *free;
    size_t n_free;
};

static uint16_t place_of(const struct slots *slots, px_program_value value)
{
    return value < PX_PROGRAM_DRAFT ? (uint16_t)value : slots->of[value - PX_PROGRAM_DRAFT];
}

static void release(const struct px_slice_program *program, struct slots *slots,
                    px_program_value value, uint32_t position)
{
    if (value >= PX_PROGRAM_DRAFT &&
        program->drafts.items[value - PX_PROGRAM_DRAFT].last_use == position)
        slots->free[slots->n_free++] = slots->of[value - PX_PROGRAM_DRAFT];
}

/* A step reads before it writes, so it may write where it read. */
static void emit(struct px_slice_program *program, struct slots *slots, const uint32_t *order)
{
    uint16_t first_slot = (uint16_t)(program->constant_place + 2);
    for (uint32_t i = 0; i < program->drafts.len; i++) {
        const struct px_program_draft *draft = &program->drafts.items[order[i]];
        struct px_slice_step *step = &program->steps.items[program->steps.len++];
        step->select = draft->select;
        step->left = place_of(slots, draft->left);
        step->right = place_of(slots, draft->right);
        release(program, slots, draft->left, i);
        release(program, slots, draft->right, i);
        step->dst = slots->n_free ? slots->free[--slots->n_free]
                                  : (uint16_t)(first_slot + program->n_slots++);
        slots->of[order[i]] = step->dst;
    }
    for (size_t i = 0; i < program->results.len; i++)
        program->results.items[i] = place_of(slots, program->results.items[i]);
}

bool px_slice_program_schedule(struct px_slice_program *program)
{
    size_t n = program->drafts.len;
    uint32_t n_levels = 0;
    for (size_t i = 0; i < n; i++)
        n_levels = program->drafts.items[i].level >= n_levels ? program->drafts.items[i].level + 1u
                                                              : n_levels;
    uint32_t *first = px_alloc(n_levels + 2, sizeof *first),
             *order = px_alloc(n + 1, sizeof *order);
    struct slots slots = {px_alloc(n + 1, sizeof *slots.of), px_alloc(n + 1, sizeof *slots.free),
                          0};
    bool done = first && order && slots.of && slots.free && px_vec_reserve(&program->steps, n);
    if (done) {
        order_drafts(program, first, n_levels, order);
        find_last_uses(program, order);
        emit(program, &slots, order);
    }
    px_free(first);
    px_free(order);
    px_free(slots.of);
    px_free(slots.free);
    return done;
}
