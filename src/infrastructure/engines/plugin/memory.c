/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every piece begins with a header and is in the run's list, whether it lies in the arena or not, so that one walk frees the
 * blocks and one walk finds out whether an output lies in memory that is really there.
 */
#include "infrastructure/engines/plugin/memory.h"

#include "shared/alloc.h"

struct piece {
    struct piece *next;
    char *data; /* aligned; behind the header */
    size_t size;
    bool in_arena;
};

static void free_pieces(struct px_run *run)
{
    struct piece *next;
    for (struct piece *piece = run->held; piece; piece = next) {
        next = piece->next;
        if (!piece->in_arena)
            px_free(piece);
    }
}

static size_t size_so_far(const struct px_run *run)
{
    size_t size = 0;
    for (const struct piece *piece = run->held; piece; piece = piece->next)
        size += piece->size;
    return size;
}

static bool fits_arena(const struct px_arena *arena, size_t bytes)
{
    return bytes <= PX_PLUGIN_ARENA_PART && !arena->failed && arena->used + bytes < arena->max / 2;
}

void *px_plugin_memory(struct px_run *run, size_t size)
{
    if (size > PX_PLUGIN_OUTPUTS_MAX || size_so_far(run) + size > PX_PLUGIN_OUTPUTS_MAX)
        return NULL;
    size_t bytes = sizeof(struct piece) + PX_PLUGIN_ALIGNMENT + size;
    bool in_arena = fits_arena(run->arena, bytes);
    struct piece *piece =
        in_arena ? px_arena_alloc(run->arena, bytes, 1) : px_realloc(NULL, bytes, 1);
    if (!piece)
        return NULL;
    uintptr_t data = (uintptr_t)(piece + 1) + PX_PLUGIN_ALIGNMENT - 1;
    size_t before = (data & ~(uintptr_t)(PX_PLUGIN_ALIGNMENT - 1)) - (uintptr_t)piece;
    *piece = (struct piece){run->held, (char *)piece + before, size, in_arena};
    run->held = piece;
    run->release = free_pieces;
    return piece->data;
}

bool px_plugin_memory_holds(const struct px_run *run, const void *data, size_t size)
{
    uintptr_t at = (uintptr_t)data;
    for (const struct piece *piece = run->held; piece; piece = piece->next) {
        uintptr_t from = (uintptr_t)piece->data;
        if (at >= from && at - from <= piece->size && size <= piece->size - (at - from))
            return true;
    }
    return false;
}
