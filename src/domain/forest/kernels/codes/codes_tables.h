/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to codes*.c and its unit test: the look-up tables behind a row's codes, and the ways to search them.
 *
 * Each column is either a search or a category table.
 * - A search ranks x among sorted numbers: rank = #{k : number[k] <= x}. The numbers lie in groups of one
 *   cache line: 16 floats or 8 doubles. Level after level, from the top, the count within a group chooses
 *   the group of the next level: 255 floats take two groups of comparisons, 255 doubles three. Groups are
 *   padded with NaN, which is <= nothing.
 * - A category table holds the class of each whole number from `low` on.
 * The rank is the code, unless the column has a map from ranks to codes (classes).
 */
#ifndef PX_DOMAIN_FOREST_CODES_TABLES_H
#define PX_DOMAIN_FOREST_CODES_TABLES_H

#include "domain/forest/kernels/codes/codes.h"

enum {
    PX_CODES_LEVELS_MAX = 6,
    PX_CODES_NUMBERS_MAX = 1 << 18, /* of one search: 6 levels hold that many */
};

#define PX_CODES_NO_MAP UINT32_MAX

/* Numbers in a group. */
static inline size_t px_codes_group(enum px_datatype type)
{
    return PX_CACHE_LINE / px_datatype_size(type);
}

struct px_codes_search {
    double missing_to; /* |x| <= this is missing, as NaN is; negative: only NaN is */
    uint32_t feature, slot;
    uint32_t missing_code;
    uint32_t map;               /* first of its codes in `maps`, or PX_CODES_NO_MAP */
    uint32_t low, n_categories; /* category table: its range; maps[map + n] is for the rest */
    uint32_t level[PX_CODES_LEVELS_MAX]; /* first group of each level in `keys`, the top first */
    uint8_t n_levels;                    /* 0: a category table */
    bool wide;
};

/* Searches lie in the order of these kinds, so that each has a loop of its own. */
enum px_codes_kind {
    PX_CODES_OTHER = 0,
    PX_CODES_ONE_LEVEL, /* plain: narrow, no map, only NaN is missing */
    PX_CODES_TWO_LEVELS,
    PX_CODES_THREE_LEVELS,
    PX_CODES_ONE_LEVEL_LOW, /* plain, and the code of a missing value is 0, as comparisons make it */
    PX_CODES_TWO_LEVELS_LOW,
    PX_CODES_THREE_LEVELS_LOW,
    PX_CODES_KINDS,
};

typedef void px_codes_encoder(const struct px_codes *codes, const struct px_matrix *rows,
                              size_t first, size_t n, uint8_t *out, size_t stride);

struct px_codes_tables {
    enum px_datatype type;
    px_codes_encoder *encode;
    struct px_codes_search *searches; /* [n_columns], by kind */
    size_t first_of_kind[PX_CODES_KINDS + 1];
    void *keys; /* of `type`, in groups */
    uint16_t *maps;
    size_t n_groups, n_maps, n_nodes;
};

/* All give the same bytes. The last two may run only where processor.h says so. */
px_codes_encoder px_codes_encode_scalar;
px_codes_encoder px_codes_encode_avx2;
px_codes_encoder px_codes_encode_avx512;

/* A split, while columns and predicates are found; sorted by column, then key. */
struct px_codes_split {
    uint64_t key;    /* threshold column: its order; class column: px_codes_class_key */
    uint32_t column; /* place of the feature among the used ones << 3 | reading */
    uint32_t node;
};

/* What grows while columns are added; `codes` has room for all columns and predicates. */
struct px_codes_draft {
    const struct px_forest_ir *ir;
    struct px_codes *codes;
    struct px_codes_search *searches; /* [n_columns] */
    size_t *first_number;             /* [n_columns + 1]: each search's share of `numbers` */
    PX_VEC(double) numbers; /* ascending within a search; NaN at its end: reached by nothing */
    PX_VEC(uint16_t) maps;
    PX_VEC(uint64_t) class_words;
};

static inline uint64_t px_codes_class_key(const struct px_node *node)
{
    return (uint64_t)node->set << 2 | (uint64_t)node->in_set_left << 1 | node->default_left;
}

/*
 * Fills in the last column of the draft, a class column, from its distinct keys, ascending: its codes,
 * search, predicates. Writes the predicate of each key.
 */
PX_MUST_USE enum px_code px_codes_add_classes(struct px_codes_draft *draft, const uint64_t *keys,
                                              size_t n_keys, uint32_t *ret_predicates,
                                              struct px_err *err);

#endif
