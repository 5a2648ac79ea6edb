/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of the encoders for one element type; included once per type and instruction set, hence no
 * include guard. The includer defines
 *     ELEMENT      float or double
 *     NAMED(name)  name with the type's suffix
 *     COUNT        how many of PX_CODES_GROUP numbers, aligned to a cache line, are <= x
 * and everything else is the same: instruction sets differ in COUNT alone.
 */

/* Place of x among the numbers of a search. NaN is 0. */
static ALWAYS_INLINE uint32_t NAMED(rank)(const struct px_codes_search *search, const ELEMENT *keys,
                                          ELEMENT x)
{
    uint32_t place = COUNT(&keys[(size_t)search->level[0] * PX_CODES_GROUP], x);
    for (uint8_t l = 1; l < search->n_levels; l++)
        place = place * PX_CODES_GROUP +
                COUNT(&keys[((size_t)search->level[l] + place) * PX_CODES_GROUP], x);
    return place;
}

/* Place of the category in a table, the one after the last for what is in no set. See px_ir_in_set. */
static ALWAYS_INLINE uint32_t NAMED(category)(const struct px_codes_search *search, ELEMENT x)
{
    bool valid = sizeof x == sizeof(float) ? x >= 0 : x > -1;
    if (!valid || x >= (ELEMENT)PX_FOREST_CATEGORY_MAX)
        return search->n_categories;
    uint32_t place = (uint32_t)(int32_t)x - search->low; /* wraps to a large number below */
    return place < search->n_categories ? place : search->n_categories;
}

static ALWAYS_INLINE uint32_t NAMED(fix_missing)(const struct px_codes_search *search, ELEMENT x,
                                                 uint32_t code)
{
    ELEMENT size = x < 0 ? -x : x;
    return size > (ELEMENT)search->missing_to ? code : search->missing_code;
}

static ALWAYS_INLINE void NAMED(put)(const struct px_codes_search *search, uint32_t code,
                                     uint8_t *restrict out, size_t stride)
{
    out[0] = (uint8_t)code;
    if (search->wide)
        out[stride] = (uint8_t)(code >> 8);
}

/* One column of `n` rows, whose values lie `row_stride` elements apart. */
static ALWAYS_INLINE void NAMED(encode_column)(const struct px_codes_tables *tables,
                                               const struct px_codes_search *search,
                                               const ELEMENT *restrict x, size_t row_stride,
                                               size_t n, uint8_t *restrict out, size_t stride)
{
    const uint16_t *map = search->map == PX_CODES_NO_MAP ? NULL : &tables->maps[search->map];
    for (size_t i = 0; i < n; i++, x += row_stride) {
        uint32_t place =
            search->n_levels ? NAMED(rank)(search, tables->keys, *x) : NAMED(category)(search, *x);
        uint32_t code = NAMED(fix_missing)(search, *x, map ? map[place] : place);
        NAMED(put)(search, code, &out[i], stride);
    }
}

static void NAMED(encode)(const struct px_codes *codes, const struct px_matrix *rows, size_t first,
                          size_t n, uint8_t *restrict out, size_t stride)
{
    const struct px_codes_tables *tables = codes->tables;
    const ELEMENT *x = (const ELEMENT *)rows->data + first * rows->stride;
    for (size_t c = 0; c < codes->n_columns; c++) {
        const struct px_codes_search *search = &tables->searches[c];
        NAMED(encode_column)
        (tables, search, &x[search->feature], rows->stride, n, &out[search->slot * stride], stride);
    }
}
