/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The internal form of a tree ensemble: what every reader produces and every kernel consumes.
 *
 * Concepts
 * - Two element types. In an FP32 forest (XGBoost, ONNX graphs of floats) features, thresholds, leaves and
 *   sums are 32-bit; the numbers below are doubles that hold those floats exactly. In an FP64 forest
 *   (LightGBM, CatBoost, ONNX graphs of doubles) all are 64-bit.
 * - A split asks one question of one feature. Its children are neighbours: left, left + 1.
 *     LT   x <  threshold goes left          (XGBoost)
 *     LE   x <= threshold goes left          (LightGBM)
 *     SET  the category is in a set of codes; `in_set_left` says which side that is. XGBoost sends a hit
 *          right, LightGBM sends it left. Whatever is no category (negative, too large) is no hit.
 *     VALUES  x equals one of a list of numbers (ONNX's EQ, NEQ and MEMBER); `in_set_left` as above
 * - Missing values, per split:
 *     PX_MISSING_NAN       NaN takes the default side
 *     PX_MISSING_AS_ZERO   NaN is compared as 0 (LightGBM's missing type None)
 *     PX_MISSING_ZERO      NaN and |x| <= PX_ZERO_THRESHOLD take the default side (its type Zero)
 * - A leaf has a number within its tree (in file order) and `width` values: one that is added to the
 *   margin `output`, or (vector leaf) one per margin.
 * - A node's cover is how much of the training data reached it: XGBoost's sum of Hessians, LightGBM's
 *   count of rows. Only explanations need it (explain.h).
 * - margin[k] = base[k] + sum over trees, in order, of weight * leaf; each product and each sum is rounded
 *   to the element type. With `base_last` the sum starts at 0, is divided by `sum_divisor` and multiplied by
 *   `sum_factor`, and the base comes last. With `average_by` scores are computed from the margin divided by
 *   it. An aggregate of MIN or MAX takes the place of the sum; a margin that no tree reaches is then 0.
 *
 * Invariants, established by px_ir_add_tree and px_ir_finish, so that kernels check nothing: node 0 of a
 * tree is its root; children lie after their parent and inside the tree; every node has one parent;
 * features are below n_features; sets, leaves and outputs are in range; thresholds are not NaN.
 *
 * Ownership: init/deinit; everything is inside. Threads: immutable after px_ir_finish.
 */
#ifndef PX_DOMAIN_FOREST_IR_H
#define PX_DOMAIN_FOREST_IR_H

#include "domain/forest/forest.h"
#include "domain/forest/transform.h"
#include "shared/arena.h"
#include "shared/vec.h"

/* Limits on what a file may declare. */
enum {
    /*
     * Each declared feature, used or not, gets a name, a description and a place in maps of names: some hundred
     * bytes, which a file of a few bytes could ask for millions of times.
     */
    PX_FOREST_FEATURES_MAX = 1 << 20,
    PX_FOREST_OUTPUTS_MAX = 1 << 16,
    PX_FOREST_NODES_MAX = 1 << 28,
    PX_FOREST_CATEGORY_MAX = 1 << 24, /* codes are below */
};

/* LightGBM's kZeroThreshold: the float 1e-35, as a double. */
#define PX_ZERO_THRESHOLD ((double)1e-35F)

enum px_node_kind { PX_NODE_LEAF = 0, PX_NODE_LT, PX_NODE_LE, PX_NODE_SET, PX_NODE_VALUES };

#define PX_SET_NONE UINT32_MAX /* px_node.set before it has one */

enum px_missing { PX_MISSING_NAN = 0, PX_MISSING_AS_ZERO, PX_MISSING_ZERO };

struct px_node {
    double threshold; /* LT, LE */
    uint32_t feature;
    uint32_t left;    /* split: the left child within the tree; leaf: the leaf's number */
    uint32_t set;     /* SET: index into sets; VALUES: index into value_lists */
    uint32_t file_id; /* the node's number in the file, for messages and explanations */
    uint8_t kind;     /* enum px_node_kind */
    uint8_t missing;  /* enum px_missing */
    bool default_left;
    bool in_set_left;
};

/* Codes of a set: bit c % 32 of word c / 32 - low_word. */
struct px_set {
    uint32_t first_word, n_words;
    uint32_t low_word; /* the words cover codes from 32 * low_word on */
};

/* The numbers of a VALUES split, ascending: values.items[first .. first + n). */
struct px_value_list {
    uint32_t first, n;
};

/* LightGBM's linear leaf: constant + sum of coefficient * feature, unless one of them is missing. */
struct px_linear_leaf {
    double constant;
    uint32_t first_term, n_terms;
};

struct px_linear_term {
    double coefficient;
    uint32_t feature;
};

struct px_tree {
    uint32_t first_node, n_nodes;
    /* Values of leaf l start at leaf_values[first_leaf + l * width]. */
    uint32_t first_leaf, n_leaves;
    uint32_t width;        /* values per leaf: 1, or the number of margins */
    uint32_t output;       /* margin that a leaf of width 1 adds to */
    uint32_t depth;        /* splits on the longest path */
    uint32_t first_linear; /* of its leaves in linear_leaves; only when `linear` */
    double weight;         /* of dropout (dart); 1 otherwise */
    bool linear;
};

enum px_aggregate { PX_AGGREGATE_SUM = 0, PX_AGGREGATE_MIN, PX_AGGREGATE_MAX };

struct px_forest_ir {
    enum px_datatype type; /* PX_TYPE_FP32 or PX_TYPE_FP64 */
    size_t n_features, n_margins, n_outputs, n_classes;
    size_t n_rounds, best_round;
    bool score_is_probability;
    double decision_threshold;
    double average_by; /* 0: scores are computed from the plain sum */
    struct px_transform transform;
    double *base;   /* [n_margins], in the arena */
    bool base_last; /* the base is added after the trees, as XGBoost did up to 1.2 */
    /* 1 each but with base_last: ONNX's AVERAGE, CatBoost's scale. */
    double sum_divisor, sum_factor;
    enum px_aggregate aggregate; /* only with base_last other than SUM */
    size_t depth_max, n_leaves;

    PX_VEC(struct px_tree) trees;
    PX_VEC(struct px_node) nodes;
    PX_VEC(float) covers; /* per node, parallel to nodes; empty unless the file has them all */
    PX_VEC(double) leaf_values;
    PX_VEC(struct px_set) sets;
    PX_VEC(uint32_t) set_words;
    PX_VEC(struct px_value_list) value_lists;
    PX_VEC(double) values; /* of value lists */
    PX_VEC(struct px_linear_leaf) linear_leaves;
    PX_VEC(struct px_linear_term) linear_terms;
    PX_VEC(uint32_t) used_features; /* that a split or a linear leaf looks at, ascending */

    /* What the file says about itself; texts live in the arena. */
    enum px_forest_format format;
    struct px_str library_version, objective;
    struct px_str *feature_names;         /* [n_features] or NULL */
    bool names_made_up;                   /* by the library (Column_0, ...): the data had none */
    bool *categorical;                    /* [n_features] */
    struct px_category_names *categories; /* [n_features] or NULL */
    struct px_str *class_labels;          /* [n_classes] or NULL */
    PX_VEC(struct px_str) warnings;
    struct px_arena arena;
    size_t set_words_max; /* sets are the one place where a few bytes of file could ask for much */
};

struct px_category_names {
    struct px_str *names;
    size_t n;
};

/* `file_size` bounds the memory for texts. */
void px_ir_init(struct px_forest_ir *ir, enum px_forest_format format, enum px_datatype type,
                size_t file_size);
void px_ir_deinit(struct px_forest_ir *ir);

/*
 * One tree as a file has it: nodes in the file's order with children by number. Leaf `left` is the row of
 * its values. `feature` may be anything on nodes that the root does not reach.
 */
struct px_file_node {
    struct px_node node;
    int64_t left, right; /* split: children */
};

struct px_file_tree {
    const struct px_file_node *nodes;
    size_t n_nodes;
    const double *values; /* [n_rows, width] */
    size_t n_rows, width;
    const float *covers; /* [n_nodes]: training rows or their weight; NULL when the file has none */
    bool all_reached;    /* the format has no deleted nodes: each must be reached */
    bool siblings_adjacent; /* the format demands right == left + 1 */
};

/*
 * Adds a tree: walks it from the root breadth first, which drops deleted nodes, makes siblings
 * neighbours, and finds cycles, shared nodes and bad indices. The caller then sets output, weight and
 * linear. PX_E_CORRUPT, PX_E_TOO_LARGE, PX_E_NO_MEMORY; messages name the tree and the node.
 */
PX_MUST_USE enum px_code px_ir_add_tree(struct px_forest_ir *ir, const struct px_file_tree *tree,
                                        struct px_err *err);

/* Adds an empty set with room for category codes in [low, high]; both below PX_FOREST_CATEGORY_MAX. */
PX_MUST_USE enum px_code px_ir_add_set(struct px_forest_ir *ir, uint32_t low, uint32_t high,
                                       uint32_t *ret_set, struct px_err *err);
void px_ir_set_insert(struct px_forest_ir *ir, uint32_t set, uint32_t code);

/* Adds a list of numbers, none of them NaN; they are sorted and made distinct. */
PX_MUST_USE enum px_code px_ir_add_values(struct px_forest_ir *ir, const double *values, size_t n,
                                          uint32_t *ret_list, struct px_err *err);

/* Forgets trees and all that belongs to them. */
void px_ir_clear_trees(struct px_forest_ir *ir);

/* Keeps the first `n` trees. */
void px_ir_truncate(struct px_forest_ir *ir, size_t n);

/* Checks what needs the whole file (feature and output ranges), and fills the totals. */
PX_MUST_USE enum px_code px_ir_finish(struct px_forest_ir *ir, struct px_err *err);

/* Adds a line that a user should see before serving the model. */
PX_MUST_USE enum px_code px_ir_warn(struct px_forest_ir *ir, struct px_err *err, const char *format,
                                    ...) PX_PRINTF(3, 4);

PX_MUST_USE enum px_code px_ir_no_memory(struct px_err *err);

/* PX_E_TOO_LARGE when a file declares more features than PX_FOREST_FEATURES_MAX. */
PX_MUST_USE enum px_code px_ir_check_features(uint64_t n, struct px_err *err);

/* What a kernel leaves to do on its sums, [n, n_margins] of ir->type: divisor, factor and late base. */
void px_ir_finish_margins(const struct px_forest_ir *ir, void *margins, size_t n_rows);

size_t px_ir_bytes(const struct px_forest_ir *ir);

/* Where the sum of margin `k` starts: at the base, or at 0 when that comes last. */
static inline double px_ir_start(const struct px_forest_ir *ir, size_t k)
{
    return ir->base_last ? 0.0 : ir->base[k];
}

/* weight * leaf as it enters the sum: of FP32 numbers, and rounded to one, in an FP32 forest. */
static inline double px_ir_weighted(const struct px_forest_ir *ir, const struct px_tree *tree,
                                    double leaf)
{
    return ir->type == PX_TYPE_FP32 ? (double)((float)leaf * (float)tree->weight)
                                    : leaf * tree->weight;
}

/*
 * Is the category `x` (not NaN) in the set? The code is `x` without its fraction. XGBoost takes every
 * negative number for an invalid category, LightGBM rounds -0.5 toward zero first.
 */
static inline bool px_ir_in_set(const struct px_forest_ir *ir, uint32_t set, double x)
{
    const struct px_set *s = &ir->sets.items[set];
    bool valid = ir->type == PX_TYPE_FP32 ? x >= 0.0 : x > -1.0;
    if (!valid || x >= (double)PX_FOREST_CATEGORY_MAX)
        return false;
    uint32_t code = (uint32_t)(int32_t)x;
    uint32_t word = code / 32 - s->low_word; /* wraps to a large number below the range */
    return word < s->n_words && (ir->set_words.items[s->first_word + word] >> (code % 32) & 1);
}

/* Does the number `x` (not NaN) equal one of the list? */
bool px_ir_in_values(const struct px_forest_ir *ir, uint32_t list, double x);

#endif
