/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Codes: a row as small integers that answer everything the forest asks, exactly.
 *
 * Concepts
 * - A column is one reading (reading.h) of one feature. A feature has several when its splits read special numbers
 *   differently (missing left and missing right, zero as missing, categories).
 * - A threshold column has sorted distinct thresholds t. code(x) = #{k : t[k] <= x}, so that
 *   `x < t[k]` is `code <= k`, and a split goes right when `code >= k + 1`. `x <= t` is `x < t'` with t' the
 *   next number of the type. What is missing has code 0 (goes left everywhere) or n_codes - 1 (right
 *   everywhere), as the reading says. A threshold that no number reaches (x <= infinity) still has a
 *   code, so that missing values can lie above it.
 * - A class column puts values that no split tells apart into one class: categories of sets, or the
 *   numbers of value lists. Missing has a class of its own.
 * - A predicate is one distinct question, true when the split goes right: `code >= k` of a threshold column,
 *   or `the class is one of` of a class column. Splits share predicates: 500 trees of depth 6 have 26,000
 *   splits and 7,000 predicates.
 *
 * Exactness: codes preserve every comparison, so kernels over codes give the walker's leaves. -0 and +0
 * have one code; infinities, denormals and NaN go where the walker sends them.
 *
 * Ownership: create/destroy. Threads: immutable after creation.
 */
#ifndef PX_DOMAIN_FOREST_CODES_H
#define PX_DOMAIN_FOREST_CODES_H

#include "domain/forest/kernels/reading.h"

enum {
    PX_CODES_NARROW_MAX = 256, /* codes of a column whose codes take one byte */
    PX_CODES_WIDE_MAX = 65536, /* codes of any column */
    PX_CODES_CHUNK = 16,       /* rows that are coded together */
};

struct px_code_column {
    uint32_t feature;
    uint8_t reading; /* enum px_reading */
    bool wide;       /* its codes take two byte slots: low, then high */
    uint32_t slot;   /* of the low byte */
    uint32_t n_codes;
    uint32_t first_predicate, n_predicates;
};

struct px_predicate {
    uint32_t column;
    uint32_t code;       /* threshold column: true when code >= this, 1 <= code < n_codes */
    uint32_t first_word; /* class column: bit c % 64 of class_words[first_word + c / 64] */
};

struct px_codes {
    struct px_code_column *columns; /* ascending by feature, then reading */
    size_t n_columns;
    size_t n_slots; /* bytes of one row's codes */
    /* Grouped by column; in a threshold column ascending by code. */
    struct px_predicate *predicates;
    size_t n_predicates;
    uint32_t *predicate_of; /* [ir->nodes.len]: predicate of each split; of leaves undefined */
    uint64_t *class_words;
    size_t n_class_words;
    struct px_codes_tables *tables; /* private: thresholds and class look-up */
};

/*
 * Codes of every split of the forest. PX_E_UNSUPPORTED with the reason as a clause ("feature 3 has 70000
 * thresholds, at most 65535"), PX_E_NO_MEMORY. Linear in the nodes but for sorting.
 */
PX_MUST_USE enum px_code px_codes_create(const struct px_forest_ir *ir, struct px_codes **ret,
                                         struct px_err *err);
void px_codes_destroy(struct px_codes *codes); /* NULL is fine */
size_t px_codes_bytes(const struct px_codes *codes);

static inline bool px_codes_is_class_column(const struct px_code_column *column)
{
    return column->reading >= PX_READ_SET;
}

/*
 * Codes rows [first, first + n) of `rows`, n <= PX_CODES_CHUNK. The byte of slot s and row first + i goes to
 * out[s * stride + i]; with n < PX_CODES_CHUNK the bytes from i = n on are left alone. Picks the fastest way
 * that this processor has.
 */
void px_codes_encode(const struct px_codes *codes, const struct px_matrix *rows, size_t first,
                     size_t n, uint8_t *out, size_t stride);

#endif
