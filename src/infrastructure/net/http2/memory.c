/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/net/http2/memory.h"

#include "shared/alloc.h"

#include <stdint.h>
#include <string.h>

enum { SMALLEST = 64, LARGE = PX_HTTP2_BLOCK_CLASSES };

struct px_http2_block {
    union {
        struct px_http2_block *next; /* while it is unused */
        size_t size;                 /* while it is lent: room behind this head */
    };
    uint32_t size_class; /* LARGE = not kept */
    _Alignas(16) char bytes[];
};

static struct px_http2_block *block_of(void *bytes)
{
    return PX_CONTAINER_OF(bytes, struct px_http2_block, bytes);
}

static uint32_t class_of(size_t size)
{
    if (size <= SMALLEST)
        return 0;
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(size - 1);
    return bits - 6 < LARGE ? bits - 6 : LARGE;
}

static void *get(size_t size, void *context)
{
    struct px_http2_memory *memory = context;
    uint32_t size_class = class_of(size);
    size_t room = size_class == LARGE ? size : (size_t)SMALLEST << size_class;
    struct px_http2_block *block = size_class == LARGE ? NULL : memory->unused[size_class];
    if (block) {
        memory->unused[size_class] = block->next;
        memory->kept_bytes -= room;
    } else {
        block = room < SIZE_MAX / 2 ? px_alloc(1, sizeof *block + room) : NULL;
    }
    if (!block)
        return NULL;
    block->size_class = size_class;
    block->size = room;
    return block->bytes;
}

static void put(void *bytes, void *context)
{
    struct px_http2_memory *memory = context;
    if (!bytes)
        return;
    struct px_http2_block *block = block_of(bytes);
    uint32_t size_class = block->size_class;
    if (size_class == LARGE || memory->kept_bytes + block->size > PX_HTTP2_BLOCKS_KEPT_MAX) {
        px_free(block);
        return;
    }
    memory->kept_bytes += block->size;
    block->next = memory->unused[size_class];
    memory->unused[size_class] = block;
}

static void *get_zeroed(size_t n, size_t size, void *context)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes))
        return NULL;
    void *ret = get(bytes, context);
    if (ret)
        memset(ret, 0, bytes);
    return ret;
}

static void *resize(void *bytes, size_t size, void *context)
{
    if (bytes && size <= block_of(bytes)->size)
        return bytes;
    void *ret = get(size, context);
    if (!ret || !bytes)
        return ret;
    memcpy(ret, bytes, block_of(bytes)->size);
    put(bytes, context);
    return ret;
}

nghttp2_mem px_http2_memory_calls(struct px_http2_memory *memory)
{
    return (nghttp2_mem){.mem_user_data = memory,
                         .malloc = get,
                         .free = put,
                         .calloc = get_zeroed,
                         .realloc = resize};
}

void px_http2_memory_deinit(struct px_http2_memory *memory)
{
    for (size_t i = 0; i < PX_HTTP2_BLOCK_CLASSES; i++) {
        for (struct px_http2_block *block = memory->unused[i], *next; block; block = next) {
            next = block->next;
            px_free(block);
        }
    }
    *memory = (struct px_http2_memory){0};
}
