/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model's signature: the features it takes, in order, how raw values become numbers, and the labels
 * of what it returns.
 *
 * Concepts
 * - A feature is a NUMBER, a CATEGORY (text or number, coded by position in its list), a BOOLEAN or a
 *   DATETIME (ISO 8601, seconds since 1970-01-01 UTC; no zone means UTC).
 * - Encoding turns one raw value into the number that the model was trained on. Training, files and
 *   every protocol encode through the functions here, so a value cannot mean two things.
 * - Missing (null, an absent or empty field, NaN) is NaN. A category that the model never saw is
 *   `unseen`: the code of the "other" bucket when training made one, else NaN.
 * - A model file without names has features f0, f1, ...; `named` is false and columns match by position.
 *
 * Ownership: everything lives in the arena given at construction. Immutable after
 * px_signature_finish; then any thread may read it.
 */
#ifndef PX_DOMAIN_INFERENCE_SIGNATURE_H
#define PX_DOMAIN_INFERENCE_SIGNATURE_H

#include "domain/inference/tensor.h"
#include "shared/arena.h"
#include "shared/map.h"

enum px_feature_kind {
    PX_FEATURE_NUMBER = 1,
    PX_FEATURE_CATEGORY,
    PX_FEATURE_BOOLEAN,
    PX_FEATURE_DATETIME,
};

enum px_task { PX_TASK_REGRESSION = 1, PX_TASK_BINARY, PX_TASK_MULTICLASS, PX_TASK_RANKING };

struct px_feature {
    struct px_str name;
    enum px_feature_kind kind;
    const struct px_str *categories; /* code = position; empty for a coded category without names */
    size_t n_categories;
    long other;            /* code of the bucket for unseen categories, -1 = none (missing) */
    struct px_map by_name; /* category -> code, built by px_signature_finish */
};

struct px_signature {
    struct px_feature *features;
    size_t n_features;
    bool named; /* false: the names are f0, f1, ... or others that a library made up */
    enum px_task task;
    struct px_str output_name;   /* "predictions" unless the package says otherwise */
    const struct px_str *labels; /* of classes, in the order of the scores; NULL when unknown */
    size_t n_labels;
    /* made by px_signature_finish */
    bool all_numbers; /* every feature is a NUMBER, so a number is its own code */
    /* private */
    struct px_map by_name; /* feature -> index */
};

/* Builds the look-up tables; PX_E_INVALID on duplicate feature or category names. */
PX_MUST_USE enum px_code px_signature_finish(struct px_signature *signature, struct px_err *err);
void px_signature_deinit(struct px_signature *signature); /* the maps; the rest is the arena's */

/* Index of a feature, or -1. Where the names are made up, f<index> is another name of each feature. */
long px_signature_find(const struct px_signature *signature, struct px_str name);

/* PX_E_INVALID "unknown feature 'agee' (did you mean 'age'?)". */
enum px_code px_signature_unknown(const struct px_signature *signature, struct px_str name,
                                  struct px_err *err);

const char *px_feature_kind_name(enum px_feature_kind kind);        /* "number" ... */
enum px_feature_kind px_feature_kind_from_name(struct px_str name); /* 0 when unknown */
const char *px_task_name(enum px_task task);                        /* "regression" ... */
enum px_task px_task_from_name(struct px_str name);                 /* 0 when unknown */

/* Does it come as text: a named category, or a date? One array of numbers cannot hold such a feature. */
bool px_feature_takes_text(const struct px_feature *feature);

/*
 * Encode one raw value. Text is what a CSV field or a JSON string holds; a number is a JSON number. The
 * result is in `ret`. PX_E_INVALID names the feature, what was expected and what came.
 */
PX_MUST_USE enum px_code px_feature_encode_text(const struct px_feature *feature,
                                                struct px_str text, double *ret,
                                                struct px_err *err);
PX_MUST_USE enum px_code px_feature_encode_number(const struct px_feature *feature, double number,
                                                  double *ret, struct px_err *err);
PX_MUST_USE enum px_code px_feature_encode_bool(const struct px_feature *feature, bool value,
                                                double *ret, struct px_err *err);

/*
 * Was a value that encoded to `code` a category that the model never saw? Such a value scores as `other` or
 * as missing, which somebody should know.
 */
bool px_feature_is_unseen_text(const struct px_feature *feature, struct px_str text, double code);
bool px_feature_is_unseen_number(const struct px_feature *feature, double number, double code);

/* Does `text` stand for a missing value: empty, NA, NaN, null, None, ? (case ignored, trimmed). */
bool px_is_missing_text(struct px_str text);

/* Seconds since 1970-01-01 UTC of an ISO 8601 date or date-time; false when it is not one. */
bool px_parse_datetime(struct px_str text, double *ret_seconds);

/* The name of column `index` (from 0) by its header: trimmed, and "column_N" (from 1) when empty. */
struct px_str px_column_name(struct px_str header, size_t index, struct px_arena *arena);

/*
 * Columns of a table bound to features: for each column the feature index, or -1 for a column that the
 * model does not use.
 */
struct px_column_binding {
    long *feature_of; /* [n_columns] */
    size_t n_columns;
};

/*
 * Binds column names to features. Every feature needs a column unless `allow_absent` (then it is
 * missing); columns that are no feature are ignored. PX_E_INVALID names the first absent feature and the nearest column.
 */
PX_MUST_USE enum px_code px_signature_bind(const struct px_signature *signature,
                                           const struct px_str *columns, size_t n_columns,
                                           bool allow_absent, struct px_arena *arena,
                                           struct px_column_binding *ret, struct px_err *err);

#endif
