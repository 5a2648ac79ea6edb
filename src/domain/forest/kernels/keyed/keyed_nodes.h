/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nodes of the keyed kernel: trees packed over keys, and the walks through them.
 *
 * A node is narrow (8 bytes) or, in forests with a tree of more than 65,535 nodes or with more than 8,191 columns,
 * wide (16 bytes). Siblings are neighbours; `left` is an index within the tree. A leaf looks at column 0, where
 * every key is 0, so that `key < 0` sends it "left", to itself; its key is what a walk returns.
 *
 * Ownership: init/deinit. Threads: immutable after init.
 */
#ifndef PX_DOMAIN_FOREST_KEYED_NODES_H
#define PX_DOMAIN_FOREST_KEYED_NODES_H

#include "domain/forest/kernels/keyed/keys.h"

enum { PX_WALK_LANES = 8 };

struct px_keyed_tree {
    uint32_t first_node; /* in nodes; begins a cache line */
    uint32_t depth, output, width;
    float mean_depth; /* of its leaves */
    bool windows;     /* has splits by set or value list */
    /* A leaf's key is the bits of weight * value as a float, not the leaf's number. */
    bool inlined;
    const struct px_tree *tree;
};

/* Trees that one row walks side by side. */
struct px_walk_group {
    uint32_t first[PX_WALK_LANES]; /* first nodes */
    uint32_t depth;                /* of the deepest */
    bool windows;
};

struct px_keyed_nodes {
    struct px_keys *keys;
    struct px_keyed_tree *trees;
    size_t n_trees, n_nodes;
    void *nodes;
    bool wide;
};

/* PX_E_UNSUPPORTED, PX_E_NO_MEMORY; linear in the nodes. Deinit in either case. */
PX_MUST_USE enum px_code px_keyed_nodes_init(struct px_keyed_nodes *nodes,
                                             const struct px_forest_ir *ir, struct px_err *err);
void px_keyed_nodes_deinit(struct px_keyed_nodes *nodes);
size_t px_keyed_nodes_bytes(const struct px_keyed_nodes *nodes);

/* Where the nodes of tree `t` begin, and how many cache lines they take. */
size_t px_keyed_tree_lines(const struct px_keyed_nodes *nodes, size_t t, const char **ret_at);

/* PX_WALK_LANES rows through one tree; `keys` is their chunk at the first one's lane. */
void px_keyed_walk_rows(const struct px_keyed_nodes *nodes, const struct px_keyed_tree *tree,
                        const uint32_t *keys, uint32_t *leaves);

/* One row through PX_WALK_LANES trees. */
void px_keyed_walk_trees(const struct px_keyed_nodes *nodes, const struct px_walk_group *group,
                         const uint32_t *keys, uint32_t *leaves);

#endif
