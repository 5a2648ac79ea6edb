/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Columns of a training table: what a column holds, and how it becomes a feature.
 *
 * Concepts
 * - A profile sees every raw value of one column once and counts: missing, numbers, dates, booleans,
 *   and how often each different text occurs (up to a limit, beyond which it only knows "many").
 * - A decision says which kind of feature the column is, or why it is left out.
 * - Fitting a category keeps the frequent texts, in byte order, and puts the others into one bucket.
 *   The bucket's code is the number of kept categories; it exists only when training rows are in it.
 *
 * Ownership: a profile owns copies of the texts; a fitted feature lives in the caller's arena.
 */
#ifndef PX_DOMAIN_TRAINING_COLUMN_H
#define PX_DOMAIN_TRAINING_COLUMN_H

#include "domain/inference/signature.h"
#include "shared/vec.h"

enum {
    PX_COLUMN_DISTINCT_MAX = 1 << 14, /* different texts that a profile remembers */
    PX_COLUMN_TEXT_MAX = 1 << 22,     /* their bytes */
    PX_CATEGORIES_MAX = 254,          /* kept categories; the bucket and missing come on top */
    PX_CATEGORY_ROWS_MIN = 5,         /* a rarer text goes into the bucket */
};

/* Share of a column's values that must be numbers (or dates) for it to be one of them. */
#define PX_COLUMN_KIND_SHARE 0.99

struct px_column_value {
    struct px_str text; /* trimmed */
    uint64_t n;
};

struct px_column_profile {
    struct px_str name; /* borrowed */
    uint64_t n, n_missing, n_number, n_integer, n_boolean, n_datetime;
    bool many;                             /* more different texts than are remembered */
    PX_VEC(struct px_column_value) values; /* in order of first appearance */
    bool counting;                         /* each value is the one before plus one */
    /* private */
    double last;
    struct px_map by_text;
    struct px_arena texts;
};

void px_column_profile_init(struct px_column_profile *profile, struct px_str name);
void px_column_profile_deinit(struct px_column_profile *profile);

/* Counts one raw value. PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_column_profile_add(struct px_column_profile *profile,
                                               struct px_str text, struct px_err *err);

struct px_column_decision {
    enum px_feature_kind kind; /* 0 = left out */
    char reason[160];          /* why it is left out, or what a user should know; else empty */
    uint64_t n_bad;            /* values that are not of the kind; training takes them as missing */
};

/*
 * Decides by these rules, the first that fits:
 *  1. every value missing, or one value in every row: left out
 *  2. numbers: left out when they count the rows, or are whole, nearly all different and the column
 *     is named like an identifier ("id", "..._id"); else a number, however few values there are
 *  3. ISO 8601 dates: a datetime
 *  4. at most two spellings, both words for true or false: a boolean
 *  5. texts, more than half of them different, or none frequent: left out; else a category
 */
void px_column_decide(const struct px_column_profile *profile, struct px_column_decision *ret);

/* A fitted feature and what went into the bucket. */
struct px_column_fit {
    struct px_feature feature; /* without look-up table: px_signature_finish builds it */
    size_t n_bucket;           /* different texts in the bucket */
};

/* `decision->kind` must not be 0. PX_E_TOO_LARGE when the arena is full. */
PX_MUST_USE enum px_code px_column_fit(const struct px_column_profile *profile,
                                       const struct px_column_decision *decision,
                                       struct px_arena *arena, struct px_column_fit *ret,
                                       struct px_err *err);

#endif
