/* SPDX-License-Identifier: Apache-2.0 */
/* Private to interfaces/library: the model behind the handle, and the scratch memory that calls borrow. */
#ifndef PX_INTERFACES_LIBRARY_MODEL_H
#define PX_INTERFACES_LIBRARY_MODEL_H

#include "application/lifecycle/package.h"
#include "application/parallel/pool.h"

#include <phoenix/phoenix.h>
#include <stdatomic.h>

enum {
    PX_LIBRARY_SLOTS = 64,
    PX_LIBRARY_BLOCK_ROWS_MAX = 4096,
    PX_LIBRARY_BLOCK_ROWS_MIN = 64,
    PX_LIBRARY_SLOT_BYTES_MAX =
        8 << 20, /* where fewer rows need less, see px_share_rows_that_fit */
};

/* What one call needs besides its arguments, for `block_rows` rows at a time. */
struct px_library_slot {
    void *scratch; /* of the forest */
    void *rows;   /* [block_rows, n_features] of the forest's type; NULL until rows are converted */
    void *scores; /* [block_rows, outputs or margins] likewise */
};

struct px_library_place {
    _Alignas(PX_CACHE_LINE) _Atomic(struct px_library_slot *) slot; /* NULL: empty, or lent */
};

/* The part of a model that calls change. */
struct px_library_shared {
    struct px_library_place places[PX_LIBRARY_SLOTS];
    _Alignas(PX_CACHE_LINE) _Atomic(struct px_pool *) pool; /* NULL until a call wants it */
    _Atomic bool pool_asked_for; /* a call makes it, has made it, or was refused threads */
    unsigned n_threads;          /* 0: one per core */
};

struct phx_model {
    struct px_package *package;
    const struct px_forest *forest;
    const struct px_forest_info *info;
    size_t block_rows;
    struct px_library_shared *shared;
    const char **feature_names; /* [n_features], NUL-terminated */
    struct px_arena arena;      /* what feature_names and their texts live in */
    struct px_buf json;         /* phx_model_info */
};

/*
 * Lends a slot, which must be given back. NULL only when a new one is needed and memory is short. Lock-free: at
 * most one exchange per place.
 */
struct px_library_slot *px_library_take_slot(const phx_model *model);
void px_library_give_slot(const phx_model *model, struct px_library_slot *slot);
void px_library_free_slot(struct px_library_slot *slot); /* NULL is fine */

/* Makes the two buffers of a slot that conversions need; false when memory is short. */
bool px_library_widen_slot(const phx_model *model, struct px_library_slot *slot);

/* The facts of phx_model_info. */
void px_library_describe(const phx_model *model, struct px_buf *json);

#endif
