/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a CatBoost JSON file says, as its parts are read. Private to the CatBoost reader.
 *
 * Concepts
 * - A bin is one question that a split can ask: float feature > border, category == value, or target
 *   statistic of a category > border. Splits name a bin by its number, `split_index`, which the file does
 *   not spell out: bins are counted over the float features' borders, then the one-hot values, then the
 *   borders of target statistics, each in the order of features_info.
 * - A target statistic (CTR) is a number that the library learned per category: counts of labels in a
 *   table, by a hash of the category's hash.
 * - Categories are hashes in the file; `cat_features_hash` gives their names. Rows carry codes: positions
 *   in the list of the feature's categories.
 *
 * Ownership: texts live in the ir's arena or in the file's bytes, which outlive the reading; the vectors
 * are freed by the reader.
 */
#ifndef PX_DOMAIN_FOREST_CATBOOST_FILE_H
#define PX_DOMAIN_FOREST_CATBOOST_FILE_H

#include "domain/forest/ir.h"
#include "domain/forest/readers/doc.h"
#include "shared/map.h"

/* A run of borders (or of one-hot values) in `borders`. */
struct px_catboost_run {
    size_t first, n;
};

struct px_catboost_float {
    int64_t index; /* among the float features */
    int64_t flat;  /* among all: the column */
    struct px_str name;
    bool nan_above; /* NaN counts as more than any border */
    struct px_catboost_run borders;
};

struct px_catboost_category {
    int64_t index, flat;
    struct px_str name;
    struct px_catboost_run values; /* hashes that one-hot splits ask for */
    const uint32_t *codes;         /* [n_codes]: code -> name, ascending; in the arena */
    size_t n_codes;
    bool has_table; /* a target statistic lists its categories */
};

enum px_catboost_ctr_type {
    PX_CATBOOST_BORDERS,
    PX_CATBOOST_BUCKETS,
    PX_CATBOOST_MEAN,    /* BinarizedTargetMeanValue, FloatTargetMeanValue */
    PX_CATBOOST_COUNTER, /* Counter, FeatureFreq */
};

struct px_catboost_ctr {
    enum px_catboost_ctr_type type;
    struct px_str identifier; /* the key of its table in ctr_data */
    int64_t feature, other;   /* indexes of its first two categorical features; -1: none */
    bool combined;            /* of more than one category */
    float prior_numerator, prior_denominator, shift, scale;
    int64_t target_border;
    struct px_catboost_run borders;
    struct px_catboost_category *category;
    struct px_catboost_table *table;
    struct px_catboost_value *values; /* [n_codes] of the feature, ascending; in the arena */
    float unknown;                    /* the statistic of categories that the table does not have */
};

/* The statistic of a code. NaN is less than all others: it is above no border. */
struct px_catboost_value {
    float value;
    uint32_t code;
};

/* A table of ctr_data: `hash_stride` elements per category, the first is the hash. */
struct px_catboost_table {
    int64_t stride, denominator;
    uint64_t *hashes; /* [n], in the arena */
    double *counts;   /* [n, stride - 1], in the arena */
    size_t n;
    const struct px_catboost_category *category; /* whose categories it lists, once that is known */
};

/* A name that a feature's categories have. */
struct px_catboost_claim {
    uint32_t category; /* position among the categorical features */
    uint32_t name;
};

enum px_catboost_question { PX_CATBOOST_FLOAT, PX_CATBOOST_ONE_HOT, PX_CATBOOST_CTR };

struct px_catboost_bin {
    enum px_catboost_question question;
    bool made;      /* `node` is filled */
    uint32_t owner; /* index into floats, categories or ctrs */
    double border;  /* or the hash that is asked for */
    struct px_node node;
};

/* A name of cat_features_hash. */
struct px_catboost_name {
    uint32_t hash;
    struct px_str text;
};

struct px_catboost_file {
    struct px_forest_ir *ir;
    struct px_err *err;
    enum px_code code; /* sticky: a finding that is no matter of syntax */
    struct px_doc doc;

    bool has_features, has_trees, has_ctr_data, trees_read, oblivious;
    size_t codes_max;                    /* of a feature */
    uint64_t ctr_work;                   /* elements of tables that may still be looked at */
    struct px_doc trees_at, ctr_data_at; /* where they stand, when they came too early */

    struct px_str loss, version;
    bool has_classes; /* class_params stands in the file */
    struct px_strs class_names;
    double scale;
    struct px_doubles bias;

    struct px_doubles borders; /* of all features */
    PX_VEC(struct px_catboost_float) floats;
    PX_VEC(struct px_catboost_category) categories;
    PX_VEC(struct px_catboost_ctr) ctrs;
    PX_VEC(struct px_catboost_name) names; /* ascending by hash once the features are read */
    PX_VEC(struct px_catboost_table) tables;
    struct px_map table_of; /* identifier -> position in tables */
    PX_VEC(struct px_catboost_claim) claims;
    PX_VEC(struct px_catboost_bin) bins;

    /* one tree's arrays, reused */
    PX_VEC(uint32_t) splits;
    struct px_doubles values;
    size_t width; /* values per leaf; 0 before the first tree */
    PX_VEC(struct px_file_node) nodes;
};

/* Nothing went wrong so far. */
static inline bool px_catboost_going(const struct px_catboost_file *file)
{
    return file->code == PX_OK && !px_doc_failed(&file->doc);
}

void px_catboost_no_memory(struct px_catboost_file *file);

/* The finite number or the whole number next in the document. */
double px_catboost_number(struct px_catboost_file *file);

/* Reads features_info, and lays out the bins. */
void px_catboost_read_features(struct px_catboost_file *file);
/* Names, categorical flags and categories of the columns; after the features and ctr_data. */
void px_catboost_describe_columns(struct px_catboost_file *file);

/* Reads ctr_data. */
void px_catboost_read_tables(struct px_catboost_file *file);
/* Gives each category of each feature its code; after the features and ctr_data. */
void px_catboost_assign_codes(struct px_catboost_file *file);
/* Fills the node of a one-hot or CTR bin. */
void px_catboost_make_set(struct px_catboost_file *file, struct px_catboost_bin *bin);

/*
 * The largest double that rounds to a float of at most `border`: x <= this is (float)x <= border for every
 * double x.
 */
double px_catboost_threshold(float border);

/* Reads `oblivious_trees` or `trees` into the ir. */
void px_catboost_read_trees(struct px_catboost_file *file);

/* The loss function's transform, classes and labels; n_margins is known. */
PX_MUST_USE enum px_code px_catboost_take_loss(struct px_catboost_file *file, struct px_err *err);

#endif
