/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of an encoder for one element type; codes_encode.h includes it once per type, hence no include
 * guard. It defines
 *     ELEMENT      float or double
 *     FABS         fabsf or fabs
 *     NAMED(name)  name with the type's suffix
 *     COUNT        how many numbers of a group, a cache line of them, are <= x
 * and everything else is the same: instruction sets differ in COUNT alone.
 *
 * Measured with AVX-512 on Zen 4 (3.7 GHz), per value: floats among 255 numbers 1.4 ns, doubles 2.4; one row
 * at a time 1.9 and 2.9. Two comparisons, two moves from mask registers, a broadcast and a test for NaN take the
 * 5.2 cycles of a float: they share two ports. Rejected: a pass over the rows per level (2.1 ns: more
 * instructions); lanes for rows with gathers from the lower level (17 cycles a gather of 16, four of them).
 */

#define GROUP (PX_CACHE_LINE / sizeof(ELEMENT))

/* Rows: the element of row i and feature j is at[i * stride + j]. */
struct NAMED(values) {
    const ELEMENT *at;
    size_t n, stride;
};

/* Place of x among the numbers of a search. NaN is 0. */
static PX_ALWAYS_INLINE size_t NAMED(rank)(const struct px_codes_search *search,
                                           const ELEMENT *keys, ELEMENT x)
{
    size_t place = COUNT(&keys[search->level[0] * GROUP], x);
    for (size_t l = 1; l < search->n_levels; l++)
        place = place * GROUP + COUNT(&keys[(search->level[l] + place) * GROUP], x);
    return place;
}

/* Place of the category in a table, the one after the last for what is in no set. See px_ir_in_set. */
static PX_ALWAYS_INLINE uint32_t NAMED(category)(const struct px_codes_search *search, ELEMENT x)
{
    bool valid = sizeof x == sizeof(float) ? x >= 0 : x > -1;
    if (!valid || x >= (ELEMENT)PX_FOREST_CATEGORY_MAX)
        return search->n_categories;
    uint32_t place = (uint32_t)(int32_t)x - search->low; /* wraps to a large number below */
    return place < search->n_categories ? place : search->n_categories;
}

static PX_ALWAYS_INLINE size_t NAMED(fix_missing)(const struct px_codes_search *search, ELEMENT x,
                                                  size_t code)
{
    return FABS(x) > (ELEMENT)search->missing_to ? code : search->missing_code;
}

/* Any column of `n` rows, whose values lie `row_stride` elements apart. */
static PX_ALWAYS_INLINE void NAMED(encode_any)(const struct px_codes_tables *tables,
                                               const struct px_codes_search *search,
                                               const struct NAMED(values) * x,
                                               uint8_t *restrict out, size_t stride)
{
    const uint16_t *map = search->map == PX_CODES_NO_MAP ? NULL : &tables->maps[search->map];
    for (size_t i = 0; i < x->n; i++) {
        ELEMENT value = x->at[search->feature + i * x->stride];
        size_t place = search->n_levels ? NAMED(rank)(search, tables->keys, value)
                                        : NAMED(category)(search, value);
        size_t code = NAMED(fix_missing)(search, value, map ? map[place] : place);
        out[i] = (uint8_t)code;
        if (search->wide)
            out[stride + i] = (uint8_t)(code >> 8);
    }
}

/* A narrow column of thresholds in `levels` levels, which lie one after the other: 1, group, group^2. */
static PX_ALWAYS_INLINE void NAMED(encode_plain)(const struct px_codes_tables *tables,
                                                 const struct px_codes_search *search,
                                                 const struct NAMED(values) * x,
                                                 uint8_t *restrict out, int levels, bool low)
{
    const ELEMENT *top = (const ELEMENT *)tables->keys + search->level[0] * GROUP;
    const ELEMENT *second = top + GROUP, *third = NULL;
    const ELEMENT *at = &x->at[search->feature];
    size_t missing_code = search->missing_code;
    if (levels == 3)
        third = (const ELEMENT *)tables->keys + search->level[2] * GROUP;
    for (size_t i = 0; i < x->n; i++, at += x->stride) {
        size_t code = COUNT(top, *at);
        if (levels >= 2)
            code = code * GROUP + COUNT(second + code * GROUP, *at);
        if (levels == 3)
            code = code * GROUP + COUNT(third + code * GROUP, *at);
        if (!low)
            code = isnan(*at) ? missing_code : code;
        out[i] = (uint8_t)code;
    }
}

static PX_ALWAYS_INLINE void NAMED(encode_kind)(const struct px_codes_tables *tables,
                                                const struct NAMED(values) * x,
                                                uint8_t *restrict out, size_t stride,
                                                enum px_codes_kind kind)
{
    const struct px_codes_search *search = &tables->searches[tables->first_of_kind[kind]];
    const struct px_codes_search *end = &tables->searches[tables->first_of_kind[kind + 1]];
    bool low = kind >= PX_CODES_ONE_LEVEL_LOW;
    int levels = (int)kind - (low ? PX_CODES_ONE_LEVEL_LOW : PX_CODES_ONE_LEVEL) + 1;
    for (; search < end; search++) {
        if (kind == PX_CODES_OTHER)
            NAMED(encode_any)(tables, search, x, &out[search->slot * stride], stride);
        else
            NAMED(encode_plain)(tables, search, x, &out[search->slot * stride], levels, low);
    }
}

static PX_ALWAYS_INLINE void NAMED(encode_kinds)(const struct px_codes_tables *tables,
                                                 const struct NAMED(values) * x,
                                                 uint8_t *restrict out, size_t stride)
{
    NAMED(encode_kind)(tables, x, out, stride, PX_CODES_OTHER);
    NAMED(encode_kind)(tables, x, out, stride, PX_CODES_ONE_LEVEL);
    NAMED(encode_kind)(tables, x, out, stride, PX_CODES_TWO_LEVELS);
    NAMED(encode_kind)(tables, x, out, stride, PX_CODES_THREE_LEVELS);
    NAMED(encode_kind)(tables, x, out, stride, PX_CODES_ONE_LEVEL_LOW);
    NAMED(encode_kind)(tables, x, out, stride, PX_CODES_TWO_LEVELS_LOW);
    NAMED(encode_kind)(tables, x, out, stride, PX_CODES_THREE_LEVELS_LOW);
}

/* The loops for one row are compiled apart: their inner loops vanish. */
static void NAMED(encode)(const struct px_codes_tables *tables, const struct px_matrix *rows,
                          size_t first, size_t n, uint8_t *restrict out, size_t stride)
{
    struct NAMED(values) x = {(const ELEMENT *)rows->data + first * rows->stride, n, rows->stride};
    if (n == 1 && stride == 1) {
        x.n = 1;
        NAMED(encode_kinds)(tables, &x, out, 1);
    } else {
        NAMED(encode_kinds)(tables, &x, out, stride);
    }
}

#undef GROUP
