/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/arena.h"

#include "shared/alloc.h"

enum { FIRST_BLOCK = 4096, ALIGNMENT = 16 };

struct px_arena_block {
    struct px_arena_block *older;
    size_t size;
    _Alignas(ALIGNMENT) char bytes[];
};

static void free_blocks(struct px_arena *arena)
{
    for (struct px_arena_block *block = arena->block, *older; block; block = older) {
        older = block->older;
        px_free(block);
    }
    arena->block = NULL;
    arena->at = arena->end = arena->reserved = 0;
}

void px_arena_deinit(struct px_arena *arena)
{
    free_blocks(arena);
    arena->used = 0;
    arena->failed = arena->no_memory = false;
}

static bool add_block(struct px_arena *arena, size_t need)
{
    size_t size = arena->reserved ? arena->reserved : FIRST_BLOCK; /* doubles the total */
    if (size < need)
        size = need;
    if (size > arena->max - arena->reserved)
        size = arena->max - arena->reserved;
    if (size < need)
        return false;
    struct px_arena_block *block = px_realloc(NULL, sizeof *block + size, 1);
    arena->no_memory = !block;
    if (!block)
        return false;
    *block = (struct px_arena_block){.older = arena->block, .size = size};
    arena->block = block;
    arena->reserved += size;
    arena->at = 0;
    arena->end = size;
    return true;
}

void px_arena_reset(struct px_arena *arena)
{
    arena->failed = arena->no_memory = false;
    arena->used = 0;
    if (arena->block && arena->block->older) {
        /* Several blocks: replace them by one of their joint size, so the next use fits in it. */
        size_t size = arena->reserved;
        free_blocks(arena);
        (void)add_block(arena, size); /* without memory it starts empty */
        arena->no_memory = false;
    }
    arena->at = 0;
}

void *px_arena_alloc(struct px_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (arena->failed)
        return NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > arena->max ||
        bytes > SIZE_MAX - ALIGNMENT) {
        arena->failed = true;
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (bytes == 0)
        bytes = ALIGNMENT;
    if (bytes > arena->end - arena->at && !add_block(arena, bytes)) {
        arena->failed = true;
        return NULL;
    }
    void *ptr = arena->block->bytes + arena->at;
    arena->at += bytes;
    arena->used += bytes;
    return ptr;
}

void *px_arena_zalloc(struct px_arena *arena, size_t count, size_t size)
{
    void *ptr = px_arena_alloc(arena, count, size);
    return ptr ? memset(ptr, 0, count * size) : NULL;
}

char *px_arena_cstr(struct px_arena *arena, struct px_str s)
{
    char *copy = px_arena_alloc(arena, s.len + 1, 1);
    if (!copy)
        return NULL;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

struct px_str px_arena_str(struct px_arena *arena, struct px_str s)
{
    char *copy = px_arena_cstr(arena, s);
    return copy ? px_str_n(copy, s.len) : (struct px_str){0};
}

enum px_code px_arena_check(const struct px_arena *arena, const char *what, struct px_err *err)
{
    if (!arena->failed)
        return PX_OK;
    if (arena->no_memory)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %s", what);
    return px_err_set(err, PX_E_TOO_LARGE, "%s needs more than %zu bytes of memory", what,
                      arena->max);
}
