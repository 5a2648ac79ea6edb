/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of node_parallel_avx512.c that knows the element type; included once for float and once for double,
 * hence no include guard. The includer defines ELEMENT, NAMED, and PLACE, an unsigned integer of the same
 * size. Sums are made tree by tree in the forest's order.
 */

static void NAMED(start)(const struct px_forest_ir *ir, ELEMENT *margins)
{
    for (size_t k = 0; k < ir->n_margins; k++)
        margins[k] = (ELEMENT)px_ir_start(ir, k);
}

static PX_ALWAYS_INLINE void NAMED(add_values)(const struct px_node_parallel *np, size_t tree,
                                               size_t place, ELEMENT *margins)
{
    const ELEMENT *values = (const ELEMENT *)np->values + place;
    for (uint32_t k = 0; k < np->trees[tree].width; k++)
        margins[np->trees[tree].output + k] += values[k];
}

/* ---- shallow trees ---- */

static PX_ALWAYS_INLINE const char *NAMED(leaf)(const struct scratch *s, size_t block, size_t i)
{
    return s->stages->reached[block % 4][i] + sizeof(struct px_bottom) +
           s->stages->leaves[block % 2][i] * sizeof(ELEMENT);
}

static void NAMED(add_to_many)(const struct px_node_parallel *np, const struct scratch *s,
                               size_t block, size_t n, ELEMENT *margins)
{
    size_t first = block * PX_NP_BLOCK;
    for (size_t i = 0; i < n; i++) {
        const void *leaf = NAMED(leaf)(s, block, i);
        if (np->vectors)
            NAMED(add_values)(np, first + i, *(const PLACE *)leaf, margins);
        else
            margins[np->trees[first + i].output] += *(const ELEMENT *)leaf;
    }
}

/* Last stage: adds a block to its margins, or to `sum`, which it returns. */
static ELEMENT NAMED(add_block)(const struct px_node_parallel *np, const struct scratch *s,
                                size_t block, ELEMENT sum, ELEMENT *margins)
{
    size_t left = np->n_trees - block * PX_NP_BLOCK, n = left < PX_NP_BLOCK ? left : PX_NP_BLOCK;
    if (!np->one_sum)
        NAMED(add_to_many)(np, s, block, n, margins);
    for (size_t i = 0; np->one_sum && i < n; i++)
        sum += *(const ELEMENT *)(const void *)NAMED(leaf)(s, block, i);
    return sum;
}

static PX_ALWAYS_INLINE void NAMED(decide_block)(const struct px_node_parallel *np,
                                                 const struct scratch *s, struct bytes bytes,
                                                 size_t block, struct shape shape)
{
    for (size_t i = 0; i < PX_NP_BLOCK; i += 4)
        decide_bottoms(np, s, bytes, block, i, shape);
}

/*
 * Second stage of one block and last stage of another. The additions wait for each other, three cycles each;
 * between them the processor finds what it can do meanwhile, within its window of some 300 instructions.
 */
static PX_ALWAYS_INLINE ELEMENT NAMED(decide_and_add)(const struct px_node_parallel *np,
                                                      const struct scratch *s, struct bytes bytes,
                                                      size_t block, ELEMENT sum, struct shape shape)
{
    for (size_t i = 0; i < PX_NP_BLOCK; i += 4) {
        decide_bottoms(np, s, bytes, block, i, shape);
        UNROLL_4
        for (size_t t = i; t < i + 4; t++)
            sum += *(const ELEMENT *)(const void *)NAMED(leaf)(s, block - 2, t);
    }
    return sum;
}

/* Four blocks are under way at a time, one in each stage. */
static PX_ALWAYS_INLINE void NAMED(add_shallow)(const struct px_node_parallel *np,
                                                const struct scratch *s, struct bytes bytes,
                                                ELEMENT *margins, struct shape shape)
{
    ELEMENT sum = margins[0];
    size_t n_blocks = np->n_tops / PX_NP_BLOCK;
    for (size_t round = 0; round < n_blocks + 3; round++) {
        bool decides = round >= 1 && round <= n_blocks, adds = round >= 3;
        if (round < n_blocks)
            decide_tops(np, s, bytes, round, shape.registers);
        if (decides && adds && np->one_sum)
            sum = NAMED(decide_and_add)(np, s, bytes, round - 1, sum, shape);
        else if (decides)
            NAMED(decide_block)(np, s, bytes, round - 1, shape);
        if (adds && !(decides && np->one_sum))
            sum = NAMED(add_block)(np, s, round - 3, sum, margins);
        if (decides && np->n_class_columns)
            decide_classes(np, s, round - 1);
        if (round >= 2 && round - 2 < n_blocks)
            find_leaves(np, s, round - 2);
    }
    if (np->one_sum)
        margins[0] = sum;
}

static PX_ALWAYS_INLINE void NAMED(score_shallow)(const struct px_node_parallel *np,
                                                  const struct scratch *s, struct bytes bytes,
                                                  ELEMENT *margins, int registers)
{
    size_t bottom_size = PX_CACHE_LINE * sizeof(ELEMENT) / sizeof(float);
    if (np->top_depth == PX_TOP_DEPTH_MAX)
        NAMED(add_shallow)
    (np, s, bytes, margins, (struct shape){registers, PX_TOP_DEPTH_MAX, bottom_size});
    else NAMED(add_shallow)(np, s, bytes, margins,
                            (struct shape){registers, np->top_depth, bottom_size});
}

/* ---- deep trees ---- */

static PX_ALWAYS_INLINE void NAMED(score_panels)(const struct px_node_parallel *np,
                                                 const struct scratch *s, struct bytes bytes,
                                                 ELEMENT *margins, int registers)
{
    const ELEMENT *values = np->values;
    ELEMENT sum = margins[0];
    walk_panels(np, s, bytes, registers);
    if (np->one_sum) {
        for (size_t t = 0; t < np->n_trees; t++)
            sum += values[np->trees[t].first_value + s->leaves[t]];
        margins[0] = sum;
        return;
    }
    for (size_t t = 0; t < np->n_trees; t++)
        NAMED(add_values)
    (np, t, np->trees[t].first_value + (size_t)s->leaves[t] * np->trees[t].width, margins);
}

/* ---- rows ---- */

static PX_ALWAYS_INLINE void NAMED(score_row)(const struct px_node_parallel *np,
                                              const struct scratch *s, struct bytes bytes,
                                              ELEMENT *margins, int registers)
{
    if (np->panels)
        NAMED(score_panels)(np, s, bytes, margins, registers);
    else
        NAMED(score_shallow)(np, s, bytes, margins, registers);
}

static void NAMED(score)(const struct px_kernel_input *input, const struct px_node_parallel *np,
                         const struct scratch *s, const struct px_matrix *rows, ELEMENT *margins)
{
    for (size_t i = 0; i < rows->n_rows; i++, margins += input->ir->n_margins) {
        struct bytes bytes = read_row(input, np, rows, i, s);
        NAMED(start)(input->ir, margins);
        if (np->n_row_bytes <= 64)
            NAMED(score_row)(np, s, bytes, margins, 1);
        else if (np->n_row_bytes <= 128)
            NAMED(score_row)(np, s, bytes, margins, 2);
        else
            NAMED(score_row)(np, s, bytes, margins, 4);
    }
}
