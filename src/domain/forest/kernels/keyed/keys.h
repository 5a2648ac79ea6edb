/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys: a row as 32-bit integers, so that every split is one comparison of integers.
 *
 * Concepts
 * - A column is one reading of one feature (reading.h); a feature has several when its splits treat missing
 *   values differently. Only features that splits look at have columns. Column 0 is 0 for every row.
 * - In a threshold column a split goes right when `split's key < row's key`. Of a float the key is its bits,
 *   rearranged so that keys are ordered as the numbers are; -0 and +0 have one key. Of a double it is the
 *   number of the column's distinct thresholds that send it right. What is missing has key 0 (left of
 *   everything), the greatest key (right of everything) or that of 0, as the column says.
 * - In a class column the key is a category's code, or the place of the number among all that value lists
 *   name. What is neither is PX_KEY_OUTSIDE; NaN is PX_KEY_NAN.
 * - A window is what a set or list says for such keys, as 32-bit words: low, n, n words that start at key
 *   32 * low, a word for keys outside of them, a word for NaN. A one sends right.
 * - PX_KEY_LANES rows make a chunk: [n_columns][PX_KEY_LANES] keys.
 *
 * Unlike codes (codes.h), keys of floats need no search, and no number of thresholds is too large.
 *
 * Ownership: create/destroy. Threads: immutable after creation.
 */
#ifndef PX_DOMAIN_FOREST_KEYS_H
#define PX_DOMAIN_FOREST_KEYS_H

#include "domain/forest/kernels/reading.h"

enum {
    PX_KEY_LANES = 16,
    PX_KEY_OUTSIDE = PX_FOREST_CATEGORY_MAX,
    PX_KEY_WINDOW_WORDS_MAX =
        1 << 26, /* 256 MB; sets share theirs, so only hostile files need more */
};

#define PX_KEY_NAN UINT32_C(0x80000000) /* in a class column */

struct px_key_column {
    uint32_t feature;
    uint32_t first_rank, n_ranks; /* doubles: its distinct thresholds, in ranks */
    uint8_t reading;              /* enum px_reading; column 0 has none */
};

struct px_keys {
    const struct px_forest_ir *ir;
    struct px_key_column *columns; /* ascending by feature, then reading, from 1 on */
    size_t n_columns;
    uint64_t *ranks; /* doubles: thresholds of all columns as ordered 64-bit keys, ascending */
    size_t n_ranks;
    double *values; /* that value lists name, ascending and distinct */
    size_t n_values;
    PX_VEC(uint32_t) words; /* windows; the first one, at 0, is empty and sends nothing right */
    uint32_t *set_windows;  /* [4 * set + variant]: place in words, 0 for none; private */
    uint32_t *list_windows; /* the same for value lists; private */
    uint32_t *first_column; /* [used_features]; private */
    uint8_t *readings;      /* [used_features]: bit r: has reading r; private */
};

/* PX_E_UNSUPPORTED with the reason as a clause, PX_E_NO_MEMORY. Linear in the nodes but for sorting. */
PX_MUST_USE enum px_code px_keys_create(const struct px_forest_ir *ir, struct px_keys **ret,
                                        struct px_err *err);
void px_keys_destroy(struct px_keys *keys); /* NULL is fine */
size_t px_keys_bytes(const struct px_keys *keys);

/* The column that a split looks at. */
uint32_t px_keys_column(const struct px_keys *keys, const struct px_node *node);

/* The window of a SET or VALUES split. */
uint32_t px_keys_window(const struct px_keys *keys, const struct px_node *node);

/* The keys of the LT and LE splits among `n` nodes in their columns; those of others are left alone. */
void px_keys_splits(const struct px_keys *keys, const struct px_node *nodes, size_t n,
                    uint32_t *ret);

/* Keys of rows [first, first + n), n <= PX_KEY_LANES, as one chunk; keys of lanes from n on are 0. */
void px_keys_encode(const struct px_keys *keys, const struct px_matrix *rows, size_t first,
                    size_t n, uint32_t *chunk);

#endif
