/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree ensembles: model files in, exact scores out. The face of src/domain/forest.
 *
 * Concepts
 * - A forest is read from bytes (XGBoost JSON or UBJSON, LightGBM text, CatBoost JSON, ONNX; the format is
 *   detected by content) into one internal form (ir.h), checked so that kernels need no checks, and compiled
 *   for the kernels that can score it.
 * - A margin is the sum of the leaves and the base score; a score is the margin after the objective's
 *   transform. Both are what the training library's CPU predictor returns, bit for bit: 32-bit sums in
 *   tree order for XGBoost, 64-bit ones for LightGBM and CatBoost, for ONNX those that the graph declares.
 * - The planner picks a kernel per batch size; the reference walker scores anything and is the oracle.
 *
 * Ownership: create/destroy on the heap; no pointer into the file's bytes is kept. Threads: a forest is
 * immutable after creation; any number of threads may predict, each with its own scratch.
 */
#ifndef PX_DOMAIN_FOREST_FOREST_H
#define PX_DOMAIN_FOREST_FOREST_H

#include "domain/inference/tensor.h"
#include "shared/buf.h"

struct px_forest;

enum px_forest_format {
    PX_FOREST_UNKNOWN = 0,
    PX_FOREST_XGBOOST_JSON,
    PX_FOREST_XGBOOST_UBJSON,
    PX_FOREST_LIGHTGBM_TEXT,
    PX_FOREST_CATBOOST_JSON,
    PX_FOREST_ONNX,
};

const char *px_forest_format_name(enum px_forest_format format); /* "xgboost-json" ... */

/* The format by content; on PX_FOREST_UNKNOWN `err` (may be NULL) says what the bytes look like and
 * what to do (old XGBoost binary, pickle, binary CatBoost, PMML, LightGBM dump...). */
enum px_forest_format px_forest_detect(struct px_str bytes, struct px_err *err);

/* Which trees of an early-stopped XGBoost model count (its own predict() uses all). */
enum px_forest_rounds { PX_ROUNDS_ALL = 0, PX_ROUNDS_BEST };

struct px_forest_options {
    enum px_forest_rounds rounds;
    /* NULL: the planner picks; else the name of the one to be used for all batches. */
    const char *kernel;
    /*
     * A clock in nanoseconds that never goes back, for the planner to measure kernels with. NULL: the cost
     * model decides alone, and the same file always gets the same plan.
     */
    uint64_t (*clock_ns)(void);
    uint64_t measure_ns; /* what measuring may take; 0: 10 ms and 100 ns a node */
    /*
     * Called when the bytes are read, before the kernels are compiled: they are not looked at again, so the
     * caller may free them then, for a lower peak. NULL: nobody is told. Not called when reading fails.
     */
    void (*bytes_read)(void *context);
    void *bytes_context;
};

/*
 * Reads, checks and compiles a model. PX_E_CORRUPT (place and reason), PX_E_UNSUPPORTED (what, by
 * name), PX_E_TOO_LARGE, PX_E_NO_MEMORY. `options` may be NULL.
 */
PX_MUST_USE enum px_code px_forest_create(struct px_str bytes,
                                          const struct px_forest_options *options,
                                          struct px_forest **ret, struct px_err *err);
void px_forest_destroy(struct px_forest *forest);

/* What became of a kernel in the plan of a model. */
enum px_kernel_state {
    PX_KERNEL_NOT_TRIED = 0, /* another one was forced */
    PX_KERNEL_REFUSED,       /* not for this model or this processor */
    PX_KERNEL_SLOWER,        /* at every batch size */
    PX_KERNEL_CHOSEN,
};

const char *px_kernel_state_name(enum px_kernel_state state); /* "not tried", "refused" ... */

struct px_forest_kernel {
    const char *name;
    enum px_kernel_state state;
    const char *reason; /* why it is not chosen: a clause; empty when it is */
    size_t bytes;       /* of its form of the model, when chosen */
};

/* The plan for batches of `rows` rows and more, up to the next choice. */
struct px_forest_choice {
    size_t rows;
    const char *kernel;
    double ns_per_row; /* at exactly `rows` rows, without the objective's transform */
    bool measured;     /* false: predicted, for a nominal processor */
};

struct px_forest_self_test {
    bool done, passed;
    size_t n_kernels;  /* compared with the walker; 0 when no other kernel supports the forest */
    size_t n_untested; /* that support it but do not serve it, and were not compiled for the test */
    /* That each chosen one scored in batches of many sizes; when the walker alone is chosen, each of the others. */
    size_t n_rows;
};

struct px_forest_info {
    enum px_forest_format format;
    struct px_str library_version; /* "1.7.4"; "v4" for LightGBM */
    struct px_str objective;       /* "binary:logistic" */
    enum px_datatype feature_type; /* PX_TYPE_FP32 or PX_TYPE_FP64: the element type of rows */
    enum px_datatype score_type;   /* of scores and margins: feature_type */
    size_t n_features;
    const struct px_str *feature_names; /* [n_features], or NULL when the file has none */
    /* The library made the names up because the data had none: LightGBM's Column_0, Column_1, ... */
    bool names_made_up;
    const bool *categorical;   /* [n_features]: declared so, or tested for codes */
    size_t n_outputs;          /* scores per row after the transform (1 for multi:softmax) */
    size_t n_margins;          /* margins per row */
    size_t n_classes;          /* 2 for binary, K for multi-class, 0 otherwise */
    bool score_is_probability; /* each score is a class probability */
    /*
     * Where a single score is cut into two classes: a score above it is class 1. 0.5 for a probability and
     * for any other estimate of a label of 0 or 1 (binary:logistic, reg:logistic, reg:squarederror,
     * LightGBM's binary and cross_entropy), 0 for margins and for binary:hinge, ln 2 for
     * cross_entropy_lambda. Says nothing when there are several scores, or more than two classes.
     */
    double decision_threshold;
    size_t n_trees, n_nodes, n_leaves, depth_max;
    size_t n_rounds, best_round; /* best_round == n_rounds - 1 unless the file says otherwise */
    size_t bytes;                /* memory of the compiled model */
    const char *kernel_one, *kernel_many;   /* the planner's choice for one row and for batches */
    bool kernel_forced;                     /* it had no choice */
    const struct px_forest_choice *choices; /* ascending by rows, the first for 1 */
    size_t n_choices;
    const struct px_forest_kernel *kernels; /* every kernel there is */
    size_t n_kernels;
    struct px_forest_self_test self_test; /* the last one */
    const struct px_str *warnings;        /* what a user should know before serving it */
    size_t n_warnings;
    const struct px_str *class_labels; /* [n_classes] or NULL, where the file has them */
};

const struct px_forest_info *px_forest_info(const struct px_forest *forest);

/* Categories that the file itself names for a feature (pandas_categorical, cats); NULL when none. */
const struct px_str *px_forest_categories(const struct px_forest *forest, size_t feature,
                                          size_t *ret_n);

/* Bytes of scratch that predicting at most `rows_max` rows at a time needs; aligned to a cache line. */
size_t px_forest_scratch_size(const struct px_forest *forest, size_t rows_max);

enum px_forest_flags { PX_FOREST_MARGIN = 1 };

/*
 * Scores `rows` ([n, n_features] of feature_type) into `out` ([n, n_outputs], or [n, n_margins] with
 * PX_FOREST_MARGIN, of score_type, dense). No allocation, no failure: the shapes are asserted.
 * `scratch` has px_forest_scratch_size(forest, n) bytes.
 */
void px_forest_predict(const struct px_forest *forest, const struct px_matrix *rows, void *out,
                       void *scratch, unsigned flags);

/* The leaf (0-based number within its tree, in file order) that each tree reaches: out [n, n_trees].
 * For tests and explanations; walks the reference form. */
void px_forest_leaves(const struct px_forest *forest, const struct px_matrix *rows, uint32_t *out);

/*
 * What each feature contributed to the margins (explain.h): out [n, n_margins, n_features + 1], the last number of
 * each being the expected margin; they sum to the margin. `scratch` has px_forest_explain_scratch_size bytes, aligned
 * as doubles. The refusal is a clause that says why a forest has no contributions, NULL when it has.
 * One row costs about px_forest_explain_steps steps of some nanoseconds.
 */
const char *px_forest_explain_refusal(const struct px_forest *forest);
size_t px_forest_explain_scratch_size(const struct px_forest *forest);
double px_forest_explain_steps(const struct px_forest *forest);
void px_forest_explain(const struct px_forest *forest, const struct px_matrix *rows, double *out,
                       void *scratch);

/*
 * Rows made from the model alone. `probe` fills any number of seeded rows that sit on and around the
 * thresholds, special numbers among them: for warming up and testing. `typical` fills one row with a
 * plausible value per feature: an example for people. Features that no tree uses are 0 in both.
 * `rows` is [n, n_features] of feature_type.
 */
void px_forest_probe_rows(const struct px_forest *forest, uint64_t seed, struct px_matrix *rows);
void px_forest_typical_row(const struct px_forest *forest, struct px_matrix *row);

/*
 * Compares every kernel that supports the model (a forced one alone) with the reference walker on `n_rows`
 * seeded rows that sit on and around the model's own thresholds; on fewer where that would take long.
 * PX_E_INTERNAL names the kernel and the row that differ. The result is kept in the info: not while other
 * threads use the forest.
 */
PX_MUST_USE enum px_code px_forest_self_test(struct px_forest *forest, size_t n_rows, uint64_t seed,
                                             struct px_err *err);

#endif
