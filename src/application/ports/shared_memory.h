/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: regions of shared memory that clients on the same machine register, to exchange tensors through.
 *
 * Concepts
 * - A region is `size` bytes from `offset` of the system's object `key`, under a name that the client chose. The set of regions
 *   belongs to the process, whatever protocol registered them.
 * - Bytes are copied in and out. The client may change, shrink or remove the object at any moment: what is read is
 *   then any bytes or an error, never a fault of the process.
 * - A request that uses a region holds a reference. Unregistering removes the name at once; the object is closed when the last
 *   reference goes.
 *
 * An adapter fills a `const struct px_shared_memory_ops` and embeds `struct px_shared_memory` first in its own object.
 * Adapters: POSIX shared memory (infrastructure/ipc); a memory one in tests/support.
 *
 * Threads: every function may run on any thread.
 */
#ifndef PX_APPLICATION_PORTS_SHARED_MEMORY_H
#define PX_APPLICATION_PORTS_SHARED_MEMORY_H

#include "shared/err.h"

enum { PX_SHARED_MEMORY_ABI = 1 };

struct px_shared_memory;
struct px_shared_region;

struct px_shared_region_info {
    struct px_str name; /* the client's */
    struct px_str key;  /* the system's */
    uint64_t offset;    /* of the region in the object */
    uint64_t size;      /* bytes */
};

/* May stop early by returning false. What `info` points to is valid until it returns. */
typedef bool px_shared_region_visit(void *context, const struct px_shared_region_info *info);

struct px_shared_memory_ops {
    uint32_t abi; /* PX_SHARED_MEMORY_ABI */
    const char *name;

    /* May open a file of the system, never waits for another process. CONFLICT, INVALID, TOO_LARGE, NO_MEMORY. */
    enum px_code (*add)(struct px_shared_memory *memory, const struct px_shared_region_info *info,
                        struct px_err *err);
    void (*remove)(struct px_shared_memory *memory, struct px_str name); /* idempotent */
    void (*remove_all)(struct px_shared_memory *memory);
    void (*visit)(struct px_shared_memory *memory, px_shared_region_visit *visit, void *context);
    /* NULL when there is no such region. Waits for nothing. */
    struct px_shared_region *(*take)(struct px_shared_memory *memory, struct px_str name);
    void (*release)(struct px_shared_region *region);
    /* The caller has checked the range. INVALID when the object has shrunk. */
    enum px_code (*read)(struct px_shared_region *region, uint64_t offset, void *out, size_t n,
                         struct px_err *err);
    enum px_code (*write)(struct px_shared_region *region, uint64_t offset, const void *bytes,
                          size_t n, struct px_err *err);
    void (*destroy)(struct px_shared_memory *memory);
};

struct px_shared_memory {
    const struct px_shared_memory_ops *ops;
};

/* A registered region; the adapter embeds it first in its own. Fixed while it can be taken. */
struct px_shared_region {
    const struct px_shared_memory_ops *ops;
    struct px_shared_region_info info;
};

/* PX_E_CONFLICT when the name is taken. */
PX_MUST_USE enum px_code px_shared_memory_add(struct px_shared_memory *memory,
                                              const struct px_shared_region_info *info,
                                              struct px_err *err);
/* A name that is not registered is none of an error: it is gone, as was asked. */
void px_shared_memory_remove(struct px_shared_memory *memory, struct px_str name);
void px_shared_memory_remove_all(struct px_shared_memory *memory);
/* In the order of registration. */
void px_shared_memory_visit(struct px_shared_memory *memory, px_shared_region_visit *visit,
                            void *context);
void px_shared_memory_destroy(struct px_shared_memory *memory); /* NULL is fine */

/* A reference to a region, for px_shared_region_release; PX_E_NOT_FOUND. */
PX_MUST_USE enum px_code px_shared_memory_take(struct px_shared_memory *memory, struct px_str name,
                                               struct px_shared_region **ret, struct px_err *err);
void px_shared_region_release(struct px_shared_region *region); /* NULL is fine */

/* PX_E_INVALID when `n` bytes from `offset` on are not inside the region. Reads and writes check it too. */
PX_MUST_USE enum px_code px_shared_region_check(const struct px_shared_region *region,
                                                uint64_t offset, uint64_t n, struct px_err *err);

/*
 * Bytes from `offset` of the region on: as many as `out_n`, or all of `bytes`. PX_E_INVALID when they are not inside, or
 * the client has made the object smaller than it registered.
 */
PX_MUST_USE enum px_code px_shared_region_read(struct px_shared_region *region, uint64_t offset,
                                               void *out, size_t out_n, struct px_err *err);
PX_MUST_USE enum px_code px_shared_region_write(struct px_shared_region *region, uint64_t offset,
                                                struct px_str bytes, struct px_err *err);

#endif
