/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that libnghttp2 asks for: freed blocks are kept by size and lent again, so that after warm-up a request
 * allocates nothing. Large blocks, which belong to sessions and not to requests, are not kept.
 *
 * Ownership: blocks are the library's until it frees them; px_http2_memory_deinit frees what is kept. Threads: the worker's.
 */
#ifndef PX_INFRASTRUCTURE_NET_HTTP2_MEMORY_H
#define PX_INFRASTRUCTURE_NET_HTTP2_MEMORY_H

#include <nghttp2/nghttp2.h>

enum {
    PX_HTTP2_BLOCK_CLASSES = 6, /* 64, 128, ... 2048 bytes */
    PX_HTTP2_BLOCKS_KEPT_MAX = 4 << 20,
};

struct px_http2_block;

struct px_http2_memory {
    struct px_http2_block *unused[PX_HTTP2_BLOCK_CLASSES];
    size_t kept_bytes;
};

/* What the library is given; `memory` must stay where it is. */
nghttp2_mem px_http2_memory_calls(struct px_http2_memory *memory);
void px_http2_memory_deinit(struct px_http2_memory *memory);

#endif
