/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Predicates and trees of the bit-sliced kernels, for one type of vector; included once per instruction set,
 * hence no include guard. The includer defines VECTOR (with the operators & | ~), NAMED(name),
 * SELECT(s, right, left) and OR_AND(a, b, c), which is a | (b & c).
 */

enum { NAMED(LOW_BITS) = 4, NAMED(LOW_CODES) = 16 };

struct NAMED(low) {
    VECTOR equal[NAMED(LOW_CODES)], at_least[NAMED(LOW_CODES)];
};

/* What the lowest four bits of the codes are. */
static inline void NAMED(decode_low)(const VECTOR *planes, struct NAMED(low) * ret)
{
    VECTOR low[4] = {~planes[0] & ~planes[1], planes[0] & ~planes[1], ~planes[0] & planes[1],
                     planes[0] & planes[1]};
    VECTOR high[4] = {~planes[2] & ~planes[3], planes[2] & ~planes[3], ~planes[2] & planes[3],
                      planes[2] & planes[3]};
    VECTOR at_least = {0};
#pragma GCC unroll 16
    for (int v = NAMED(LOW_CODES) - 1; v >= 0; v--) {
        ret->equal[v] = low[v & 3] & high[v >> 2];
        at_least |= ret->equal[v];
        ret->at_least[v] = at_least;
    }
}

/* Are the bits of the codes above the lowest four equal to `value`, or greater? */
static inline void NAMED(compare_high)(const VECTOR *planes, uint32_t n_bits, uint32_t value,
                                       VECTOR *ret_equal, VECTOR *ret_greater)
{
    VECTOR equal = ~(VECTOR){0}, greater = {0};
    for (uint32_t bit = n_bits; bit-- > NAMED(LOW_BITS);) {
        if (value >> (bit - NAMED(LOW_BITS)) & 1) {
            equal &= planes[bit];
        } else {
            greater = OR_AND(greater, equal, planes[bit]);
            equal &= ~planes[bit];
        }
    }
    *ret_equal = equal;
    *ret_greater = greater;
}

/* code >= k, for the ascending k of one threshold column. */
static void NAMED(answer_thresholds)(const struct px_slice *slice,
                                     const struct px_slice_column *column, const VECTOR *planes,
                                     uint32_t n_bits, VECTOR *table)
{
    const uint32_t *predicates = &slice->group_predicates.items[column->first];
    struct NAMED(low) low PX_UNINITIALIZED;
    VECTOR equal = {0}, greater = {0};
    uint32_t high = UINT32_MAX;
    NAMED(decode_low)(planes, &low);
    for (uint32_t i = 0; i < column->n; i++) {
        uint32_t code = slice->codes->predicates[predicates[i]].code;
        if (code >> NAMED(LOW_BITS) != high) {
            high = code >> NAMED(LOW_BITS);
            NAMED(compare_high)(planes, n_bits, high, &equal, &greater);
        }
        table[i] = OR_AND(greater, equal, low.at_least[code % NAMED(LOW_CODES)]);
    }
}

/* The class is one of a set: the sixteen classes of each value of the high bits at a time. */
static VECTOR NAMED(answer_set)(const uint64_t *words, uint32_t n_codes, const VECTOR *planes,
                                uint32_t n_bits, const struct NAMED(low) * low)
{
    VECTOR answer = {0};
    for (uint32_t first = 0; first < n_codes; first += NAMED(LOW_CODES)) {
        uint32_t members = (uint32_t)(words[first / 64] >> (first % 64)) & 0xFFFF;
        VECTOR equal, greater, part = {0};
        if (!members)
            continue;
        NAMED(compare_high)(planes, n_bits, first >> NAMED(LOW_BITS), &equal, &greater);
        for (uint32_t left = members; left; left &= left - 1)
            part |= low->equal[__builtin_ctz(left)];
        answer = OR_AND(answer, equal, part);
    }
    return answer;
}

static void NAMED(answer_sets)(const struct px_slice *slice, const struct px_slice_column *column,
                               const VECTOR *planes, uint32_t n_bits, VECTOR *table)
{
    const struct px_codes *codes = slice->codes;
    const uint32_t *predicates = &slice->group_predicates.items[column->first];
    struct NAMED(low) low PX_UNINITIALIZED;
    NAMED(decode_low)(planes, &low);
    for (uint32_t i = 0; i < column->n; i++) {
        const uint64_t *words = &codes->class_words[codes->predicates[predicates[i]].first_word];
        table[i] =
            NAMED(answer_set)(words, codes->columns[column->column].n_codes, planes, n_bits, &low);
    }
}

static void NAMED(predicates)(const struct px_slice *slice, const struct px_slice_group *group,
                              const void *planes, void *table)
{
    VECTOR *out = table;
    for (uint32_t i = 0; i < group->n_columns; i++) {
        const struct px_slice_column *column = &slice->columns.items[group->first_column + i];
        const struct px_code_column *code = &slice->codes->columns[column->column];
        const VECTOR *column_planes = (const VECTOR *)planes + 8 * (size_t)code->slot;
        uint32_t n_bits = 32 - (uint32_t)__builtin_clz((code->n_codes - 1) | 1);
        if (px_codes_is_class_column(code))
            NAMED(answer_sets)(slice, column, column_planes, n_bits, out);
        else
            NAMED(answer_thresholds)(slice, column, column_planes, n_bits, out);
        out += column->n;
    }
    out[0] = (VECTOR){0};
    out[1] = ~(VECTOR){0};
}

/*
 * Of the answers of one level, the one on the path: `n` levels up, `path` has the first of the n
 * decisions that lead there. Depth first, so that few vectors are alive at a time.
 */
#define DEFINE_SELECT(n, below)                                                                    \
    static PX_UNROLLED VECTOR NAMED(select##n)(const VECTOR *table, const uint16_t *ids,           \
                                               const VECTOR *path)                                 \
    {                                                                                              \
        VECTOR left = NAMED(select##below)(table, ids, path + 1);                                  \
        VECTOR right = NAMED(select##below)(table, ids + (1 << below), path + 1);                  \
        return SELECT(path[0], right, left);                                                       \
    }

static PX_UNROLLED VECTOR NAMED(select0)(const VECTOR *table, const uint16_t *ids,
                                         const VECTOR *path)
{
    (void)path;
    return table[ids[0]];
}

DEFINE_SELECT(1, 0)
DEFINE_SELECT(2, 1)
DEFINE_SELECT(3, 2)
DEFINE_SELECT(4, 3)
DEFINE_SELECT(5, 4)
DEFINE_SELECT(6, 5)
DEFINE_SELECT(7, 6)
#undef DEFINE_SELECT

/* Decisions of a complete tree from the root on, level by level. */
static void NAMED(decide)(const VECTOR *table, const uint16_t *ids, uint32_t depth, VECTOR *path)
{
    path[0] = NAMED(select0)(table, ids, path);
    if (depth > 1)
        path[1] = NAMED(select1)(table, ids + 1, path);
    if (depth > 2)
        path[2] = NAMED(select2)(table, ids + 3, path);
    if (depth > 3)
        path[3] = NAMED(select3)(table, ids + 7, path);
    if (depth > 4)
        path[4] = NAMED(select4)(table, ids + 15, path);
    if (depth > 5)
        path[5] = NAMED(select5)(table, ids + 31, path);
    if (depth > 6)
        path[6] = NAMED(select6)(table, ids + 63, path);
    if (depth > 7)
        path[7] = NAMED(select7)(table, ids + 127, path);
}

/* The steps are read through locals: as far as the compiler knows, each store could change the layout. */
static inline void NAMED(run_steps)(const struct px_slice_step *step, uint32_t n, VECTOR *table)
{
    for (const struct px_slice_step *end = step + n; step < end; step++) {
        VECTOR right = table[step->right], left = table[step->left];
        table[step->dst] = SELECT(table[step->select], right, left);
    }
}

/* Bit planes of the leaf index of every row, lowest first; those above the tree's are zero. */
static void NAMED(index_planes)(const struct px_slice *slice, const struct px_slice_tree *tree,
                                VECTOR *table, VECTOR *planes)
{
    const uint16_t *ids = &slice->ids.items[tree->first_id];
    VECTOR path[PX_SLICE_PLANES_MAX] PX_UNINITIALIZED;
    if (tree->shape == PX_SLICE_COMPLETE) {
        uint32_t n = tree->n_planes;
        NAMED(decide)(table, ids, n, path);
#pragma GCC unroll 8
        for (uint32_t i = 0; i < PX_SLICE_PLANES_MAX; i++)
            planes[i] = i < n ? path[n - 1 - i] : (VECTOR){0};
        return;
    }
    if (tree->n_steps)
        NAMED(run_steps)(slice->steps.items + tree->first_step, tree->n_steps, table);
#pragma GCC unroll 8
    for (uint32_t i = 0; i < PX_SLICE_PLANES_MAX; i++)
        planes[i] = table[ids[i]];
}
