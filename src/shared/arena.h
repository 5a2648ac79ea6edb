/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arena: memory that lives and dies together, with a hard cap.
 *
 * px_arena_reset forgets everything and keeps the memory as one block that is large enough for what
 * the last use needed, so a request arena stops allocating after warm-up. An allocation past the cap
 * or without memory returns NULL and sets the sticky `failed`. Threads: one at a time.
 */
#ifndef PX_SHARED_ARENA_H
#define PX_SHARED_ARENA_H

#include "shared/err.h"
#include "shared/str.h"

struct px_arena_block;

struct px_arena {
    size_t max;  /* cap in bytes over all blocks */
    size_t used; /* bytes handed out since the last reset, padding included */
    bool failed;
    /* private */
    bool no_memory; /* why it failed */
    struct px_arena_block *block;
    size_t at, end; /* free range of the newest block */
    size_t reserved;
};

static inline struct px_arena px_arena(size_t max)
{
    return (struct px_arena){.max = max};
}

void px_arena_deinit(struct px_arena *arena);
void px_arena_reset(struct px_arena *arena);

/* `count` elements of `size` bytes, aligned for any type; not zeroed. NULL on failure. */
void *px_arena_alloc(struct px_arena *arena, size_t count, size_t size);
/* The same, zeroed. */
void *px_arena_zalloc(struct px_arena *arena, size_t count, size_t size);

/* A NUL-terminated copy; {NULL, 0} on failure. */
struct px_str px_arena_str(struct px_arena *arena, struct px_str s);
char *px_arena_cstr(struct px_arena *arena, struct px_str s);

/* PX_OK, PX_E_TOO_LARGE naming `what` and the cap, or PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_arena_check(const struct px_arena *arena, const char *what,
                                        struct px_err *err);

#endif
