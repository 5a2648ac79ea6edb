/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scratch memory without locks: a row of places, each of which holds a slot or nothing.
 *
 * Taking is an atomic exchange with NULL, giving back a compare-and-swap of NULL with the slot. A thread begins at
 * a place of its own, so in the steady state it finds there the slot that it left, still in its cache, and
 * threads do not meet. Who finds every place empty makes a new slot, which is how a model warms up; who
 * finds every place full frees its slot, so a model keeps at most PX_LIBRARY_SLOTS.
 *
 * Rejected: thread-local memory (a model that is closed could not reach it, and a thread that ends would leak it),
 * a lock-free list (the head is contended, and needs care against reuse).
 */
#include "interfaces/library/model.h"

#include "shared/alloc.h"

#include <pthread.h>

/* Threads begin apart: their identities are addresses, far from each other. */
static size_t first_place(void)
{
    uint64_t identity = (uint64_t)(uintptr_t)pthread_self();
    return (size_t)((identity * UINT64_C(0x9E3779B97F4A7C15)) >> 58) % PX_LIBRARY_SLOTS;
}

static struct px_library_slot *create_slot(const phx_model *model)
{
    struct px_library_slot *slot = px_alloc(1, sizeof *slot);
    if (!slot)
        return NULL;
    size_t bytes = px_forest_scratch_size(model->forest, model->block_rows);
    slot->scratch = px_alloc_aligned(PX_CACHE_LINE, 1, bytes);
    if (slot->scratch)
        return slot;
    px_free(slot);
    return NULL;
}

void px_library_free_slot(struct px_library_slot *slot)
{
    if (!slot)
        return;
    px_free(slot->scratch);
    px_free(slot->rows);
    px_free(slot->scores);
    px_free(slot);
}

bool px_library_widen_slot(const phx_model *model, struct px_library_slot *slot)
{
    const struct px_forest_info *info = model->info;
    size_t n_scores = info->n_margins > info->n_outputs ? info->n_margins : info->n_outputs;
    if (!slot->rows)
        slot->rows =
            px_alloc(model->block_rows * info->n_features, px_datatype_size(info->feature_type));
    if (!slot->scores)
        slot->scores = px_alloc(model->block_rows * n_scores, px_datatype_size(info->score_type));
    return slot->rows && slot->scores;
}

struct px_library_slot *px_library_take_slot(const phx_model *model)
{
    size_t first = first_place();
    for (size_t i = 0; i < PX_LIBRARY_SLOTS; i++) {
        struct px_library_place *place = &model->shared->places[(first + i) % PX_LIBRARY_SLOTS];
        if (!atomic_load_explicit(&place->slot, memory_order_relaxed))
            continue;
        /* Acquires what the last user wrote into the slot. */
        struct px_library_slot *slot =
            atomic_exchange_explicit(&place->slot, NULL, memory_order_acquire);
        if (slot)
            return slot;
    }
    return create_slot(model);
}

void px_library_give_slot(const phx_model *model, struct px_library_slot *slot)
{
    size_t first = first_place();
    for (size_t i = 0; i < PX_LIBRARY_SLOTS; i++) {
        struct px_library_place *place = &model->shared->places[(first + i) % PX_LIBRARY_SLOTS];
        struct px_library_slot *empty = NULL;
        if (atomic_compare_exchange_strong_explicit(&place->slot, &empty, slot,
                                                    memory_order_release, memory_order_relaxed))
            return;
    }
    px_library_free_slot(slot);
}
