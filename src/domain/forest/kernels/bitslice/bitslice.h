/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bit-sliced kernels: one bit per row, every split of every tree for hundreds of rows at a time.
 *
 * Problem. A walk costs several instructions per row and level, and waits for memory at each. But all rows ask
 * the same questions, most of them many times over: trees share their predicates (codes.h).
 *
 * Approach. A block of rows, one per bit of a vector:
 *   codes       each row's values as small integers                                  codes.h
 *   planes      bit b of a code slot, of all rows, is one vector
 *   predicates  each distinct question answered for all rows: a table of vectors      _network.h
 *   trees       a tree is a multiplexer network over the table. Level by level, what the path says so far
 *               selects one answer of the next level; out come the bits of the leaf's index
 *   indexes     these bit planes, transposed to one byte per row
 *   leaves      looked up by index and added, tree by tree in the forest's order
 *
 * Shapes of trees
 *   DIRECT      each level asks one question (oblivious trees, stumps, single leaves): its answers are the
 *               index, no network is needed
 *   COMPLETE    up to eight levels, short paths filled up; 2^depth - 1 - depth selections, unrolled
 *   PROGRAM     unbalanced trees of up to 256 leaves: leaves are numbered so that many index bits are
 *               constant below a split, and a list of selections computes the others from the bottom up
 *               (bitslice_program.h); a batch's small trees share a list, which the first of them has
 *
 * Trees are put in order of the margin that they add to (the order within each margin is kept, so sums have
 * the library's bits), then cut into groups whose predicates fit the second cache level, and those into
 * batches whose leaf indexes and tables fit the first.
 *
 * Exactness: codes preserve every comparison; a network selects exactly one leaf; each sum is made in the
 * forest's order and type. Rows beyond the end of a batch are computed from zeros and never stored.
 *
 * Rejected: the index as a sum of leaf counts (bit-sliced additions cost more than the selections they
 * save); masks of leaves per false node (QuickScorer: work for half of all nodes, and not free to use).
 */
#ifndef PX_DOMAIN_FOREST_BITSLICE_H
#define PX_DOMAIN_FOREST_BITSLICE_H

#include "domain/forest/kernels/kernel.h"

enum {
    PX_SLICE_PLANES_MAX = 8, /* bits of a leaf's index */
    PX_SLICE_LEAVES_MAX = 1 << PX_SLICE_PLANES_MAX,
    PX_SLICE_BATCH = 16, /* trees whose indexes are held at a time */
    PX_SLICE_GROUP = 64, /* rows whose leaves are added at a time */
};

/*
 * For the functions that inline into one network of 255 selections. Not under a sanitizer: its checks of each
 * load would make that take minutes to compile, and calls are checked just as well.
 */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PX_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(PX_SANITIZED)
#define PX_UNROLLED __attribute__((noinline))
#else
#define PX_UNROLLED PX_ALWAYS_INLINE
#endif

enum px_slice_shape { PX_SLICE_DIRECT = 0, PX_SLICE_COMPLETE, PX_SLICE_PROGRAM };

/* dst = select ? right : left; all are places in a group's table. */
struct px_slice_step {
    uint16_t select, left, right, dst;
};

struct px_slice_tree {
    uint8_t shape;
    uint8_t n_planes; /* bits of its index */
    /* COMPLETE: its questions by level; else PX_SLICE_PLANES_MAX planes, lowest first. */
    uint32_t first_id;
    uint32_t first_step, n_steps; /* PROGRAM; none when an earlier tree of the batch has run them */
};

/* A leaf table to be added to one margin. */
struct px_slice_unit {
    uint32_t tree;  /* place in its batch */
    uint32_t table; /* offset in tables, in bytes */
};

/* Units of one batch that add to the same margin. */
struct px_slice_run {
    uint32_t margin, first_unit, n_units;
};

struct px_slice_batch {
    uint32_t first_tree, n_trees, first_run, n_runs;
};

struct px_slice_column {
    uint32_t column; /* in the codes */
    /* Its predicates in group_predicates; the n-th has that place in the table. */
    uint32_t first, n;
};

struct px_slice_group {
    uint32_t first_column, n_columns;
    uint32_t first_predicate, n_predicates; /* in group_predicates */
    uint32_t first_batch, n_batches;
};

/* What a block of rows takes, for the cost. */
struct px_slice_work {
    double predicate_operations; /* of vectors, that answer all predicates */
    double network_loads;        /* table entries that all trees read */
    size_t n_trees, n_units;
    bool large_tables; /* leaf tables have more than 64 entries */
};

struct px_slice_forms; /* which instruction set scores how many rows; bitslice.c */

struct px_slice {
    const struct px_codes *codes;
    const struct px_slice_forms *forms;
    PX_VEC(struct px_slice_tree) trees; /* in the order of scoring */
    PX_VEC(uint16_t) ids;               /* places in the group's table */
    PX_VEC(struct px_slice_step) steps;
    PX_VEC(struct px_slice_unit) units;
    PX_VEC(struct px_slice_run) runs;
    PX_VEC(struct px_slice_batch) batches;
    PX_VEC(struct px_slice_column) columns;
    PX_VEC(uint32_t) group_predicates; /* of the codes, ascending within each group */
    PX_VEC(struct px_slice_group) groups;
    uint8_t *tables; /* of leaves */
    size_t tables_size;
    struct px_slice_work work;
    uint32_t leaf_slots; /* entries of every leaf table: 64, 128 or 256 */
    /* The most places of a group's table: predicates, two constants and the slots of programs. */
    uint32_t places_max;
};

/* Leaf indexes of a batch: the byte of a row in the batch's tree t is bytes[t * stride + row]. */
struct px_slice_indexes {
    const uint8_t *bytes;
    size_t stride;
    size_t n_groups; /* groups of PX_SLICE_GROUP rows that count */
};

/*
 * How one instruction set does it. `lanes` rows make a block. Row i of a block has its bit where
 * `position` says, in steps of PX_CODES_CHUNK rows.
 */
struct px_slice_form {
    uint32_t lanes;
    uint32_t (*position)(uint32_t chunk);
    void (*planes)(const uint8_t *codes, size_t n_slots, void *planes);
    void (*predicates)(const struct px_slice *slice, const struct px_slice_group *group,
                       const void *planes, void *table);
    /* Leaf index of each row, one byte, in the order of rows. */
    void (*indexes)(const struct px_slice *slice, const struct px_slice_tree *tree, void *table,
                    uint8_t *indexes);
    /* Adds the leaves of a run; `sums` in the form's order. */
    void (*add_f32)(const struct px_slice *slice, const struct px_slice_run *run,
                    const struct px_slice_indexes *indexes, float *sums);
    void (*add_f64)(const struct px_slice *slice, const struct px_slice_run *run,
                    const struct px_slice_indexes *indexes, double *sums);
    /* Where the sum of row i of a group of PX_SLICE_GROUP rows stands. */
    uint32_t (*place_f32)(uint32_t row);
    uint32_t (*place_f64)(uint32_t row);
};

/*
 * Lays the forest out. `byte_tables`: leaf tables as one table per byte of the value, for byte permutes. A
 * refusal is PX_E_UNSUPPORTED with the reason; PX_E_NO_MEMORY.
 */
PX_MUST_USE enum px_code px_slice_compile(const struct px_kernel_input *input, bool byte_tables,
                                          struct px_slice **ret, struct px_err *err);
void px_slice_destroy(struct px_slice *slice);

/*
 * About the work of what px_slice_compile would make, rather less than more, without making it. False when it
 * would refuse.
 */
bool px_slice_estimate(const struct px_kernel_input *input, struct px_slice_work *ret);

size_t px_slice_bytes(const struct px_slice *slice);

extern const struct px_slice_form px_slice_form_64;
#if defined(__x86_64__)
extern const struct px_slice_form px_slice_form_256; /* AVX2 */
extern const struct px_slice_form px_slice_form_128; /* AVX-512 on short vectors, for few rows */
extern const struct px_slice_form px_slice_form_512;
#endif

extern const struct px_kernel px_bitslice64_kernel;
extern const struct px_kernel px_bitslice256_kernel;
extern const struct px_kernel px_bitslice512_kernel;

#endif
