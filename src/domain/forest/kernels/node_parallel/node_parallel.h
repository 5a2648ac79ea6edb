/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node-parallel kernel: one row, many splits an instruction. For single rows and small batches, where nothing
 * can be shared between rows.
 *
 * Concepts
 * - The row's bytes: the codes of its threshold columns, up to 256 of them, held in vector registers. A wide
 *   column takes several bytes: byte j is its code less 255 j, clamped to 0..255, which answers the
 *   thresholds 255 j + 1 ... 255 j + 255. A class column has no byte.
 * - A heap is a subtree of a fixed depth, its splits at places 1 ... 2^depth - 1, the children of place i at
 *   2 i and 2 i + 1. Of each split there are two bytes: which byte of the row, and the least value that goes
 *   right. One permutation fetches the row's bytes of all places, one comparison decides all splits: the
 *   decisions, one bit per place. Both places below a leaf have that leaf again, so that each walk through
 *   a heap has the same number of steps.
 * - Form SHALLOW, for trees of depth up to 6. Each tree has a top, a heap of its first 0 to 3 levels, and
 *   2^levels bottoms, heaps of three levels with their eight leaves beside them in one cache line. A row
 *   touches 16 bytes of tops and one line of bottoms per tree. Eight decisions are a byte, and a table of
 *   128 bytes turns seven of them into the place that the walk reaches.
 * - Form PANELS, for deeper trees: heaps of depth 4. A panel is one cache line: 16 bytes which, 16 bytes least,
 *   16 exits. An exit is a leaf's number, or (its top bit set) how many panels further on the walk goes.
 * - Splits on classes compare with a byte that is always 0. Their decisions come from class masks: for each class
 *   of each class column, the bits of all places that this class sends right.
 *
 * Private to node_parallel*.c.
 */
#ifndef PX_DOMAIN_FOREST_NODE_PARALLEL_H
#define PX_DOMAIN_FOREST_NODE_PARALLEL_H

#include "domain/forest/kernels/kernel.h"

enum {
    PX_NP_BYTES_MAX = 256, /* of the row */
    PX_NP_BLOCK = 32,      /* trees of form SHALLOW that are decided together */
    PX_NP_LANES = 16,      /* panels that are walked together */
    PX_TOP_DEPTH_MAX = 3,
    PX_BOTTOM_DEPTH = 3,
    PX_SMALL_PLACES = 8, /* of a top or bottom */
    PX_PANEL_DEPTH = 4,
    PX_PANEL_PLACES = 16,
};

/* The tops of eight trees: bytes 8 t ... 8 t + 6 are places 1 ... 7 of tree t. */
struct px_tops {
    uint8_t which[8 * PX_SMALL_PLACES];
    uint8_t least[8 * PX_SMALL_PLACES];
};

/* Byte p - 1 is place p. After these 16 bytes come eight leaves of the forest's type. */
struct px_bottom {
    uint8_t which[PX_SMALL_PLACES];
    uint8_t least[PX_SMALL_PLACES];
};

/* Byte p is place p. */
struct px_panel {
    uint8_t which[PX_PANEL_PLACES];
    uint8_t least[PX_PANEL_PLACES];
    uint16_t exits[PX_PANEL_PLACES];
};

#define PX_PANEL_FURTHER UINT16_C(0x8000)

/* A byte of the row: the code at `slot`, less `minus`, clamped. */
struct px_np_byte {
    uint32_t slot, minus;
    bool wide;
};

/* Masks of class c: top_masks[first_top + c * tops + tree], masks[first + c * units + unit]. */
struct px_np_class_column {
    uint32_t slot;
    bool wide;
    size_t first_top, first;
};

struct px_np_tree {
    size_t first_value; /* of leaf 0; each leaf has `width` */
    uint32_t output, width;
};

struct px_node_parallel {
    /* By decisions at places 1 ... 7 (bits 0 ... 6): the place that the walk reaches, from the left. */
    _Alignas(PX_CACHE_LINE) uint8_t bottom_of[128];
    uint8_t leaf_of[128];
    bool panels;
    bool as_coded; /* the row's bytes are its codes */
    bool one_sum;  /* all leaves are added to margin 0 */
    bool vectors;  /* some leaf has several values: bottoms hold where they are in `values` */
    uint32_t top_depth;
    size_t n_trees, n_tops; /* n_tops: trees, in whole blocks */
    size_t n_units;         /* bottoms or panels */
    size_t bytes;
    double visits; /* panels that a row visits, when each split is a toss of a coin */

    struct px_np_byte *row_bytes;
    size_t n_row_bytes;
    struct px_np_class_column *class_columns;
    size_t n_class_columns;
    uint8_t *top_masks; /* SHALLOW */
    void *masks;        /* uint8_t of bottoms, uint16_t of panels */

    struct px_tops *tops; /* SHALLOW: [n_tops / 8] */
    char *bottoms;        /* SHALLOW: of bottom_size each; those of tree t from t << top_depth on */
    size_t bottom_size;
    struct px_panel *panel;   /* PANELS: [n_units] */
    uint32_t *roots;          /* PANELS: of each tree; room for PX_NP_LANES more */
    struct px_np_tree *trees; /* [n_trees] */
    void *values;             /* PANELS, vectors: weight * leaf, of the forest's type */
};

/*
 * Packs for any processor what the kernel's compile packs where there is AVX-512; `ret` is for the kernel's own
 * destroy and bytes. PX_E_UNSUPPORTED with the reason, PX_E_NO_MEMORY.
 */
PX_MUST_USE enum px_code px_node_parallel_pack(const struct px_kernel_input *input, void **ret,
                                               struct px_err *err);

/* The kernel's loops: with AVX-512, and their twin in plain C. */
size_t px_node_parallel_scratch_size(const struct px_kernel_input *input, const void *compiled,
                                     size_t n_rows);
void px_node_parallel_margins(const struct px_kernel_input *input, const void *compiled,
                              const struct px_matrix *rows, void *margins, void *scratch);
size_t px_node_parallel_scalar_scratch_size(const struct px_kernel_input *input,
                                            const void *compiled, size_t n_rows);
void px_node_parallel_scalar_margins(const struct px_kernel_input *input, const void *compiled,
                                     const struct px_matrix *rows, void *margins, void *scratch);

#endif
