/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory without a system: every region is bytes of this process. One thread only.
 *
 *     struct memory_shared m;
 *     struct px_shared_memory *memory = memory_shared_init(&m);
 *     memory_shared_object(&m, "/key", bytes, size);     // what a client would have made; may shrink later
 *     m.fail_io = true;                                  // the next reads and writes fail
 */
#ifndef PX_TESTS_MEMORY_SHARED_H
#define PX_TESTS_MEMORY_SHARED_H

#include "application/ports/shared_memory.h"

enum { MEMORY_SHARED_MAX = 4 };

struct memory_object {
    const char *key;
    char *bytes;
    size_t size;
};

struct memory_region {
    struct px_shared_region base; /* first */
    struct memory_object *object;
    unsigned n_refs; /* the table's own included */
    bool listed;
    char name[64];
    bool *fail_io;
};

struct memory_shared {
    struct px_shared_memory base; /* first */
    struct memory_object objects[MEMORY_SHARED_MAX];
    struct memory_region regions[MEMORY_SHARED_MAX];
    size_t n_objects;
    bool fail_io;
};

static inline struct memory_region *memory_find(struct px_shared_memory *memory, struct px_str name)
{
    struct memory_shared *self = (struct memory_shared *)memory;
    for (size_t i = 0; i < MEMORY_SHARED_MAX; i++) {
        if (self->regions[i].listed && px_str_is(name, self->regions[i].name))
            return &self->regions[i];
    }
    return NULL;
}

static inline enum px_code memory_add(struct px_shared_memory *memory,
                                      const struct px_shared_region_info *info, struct px_err *err)
{
    struct memory_shared *self = (struct memory_shared *)memory;
    struct memory_object *object = NULL;
    if (memory_find(memory, info->name))
        return px_err_set(err, PX_E_CONFLICT, "shared memory region '%.*s' is registered already",
                          PX_STR_ARG(info->name));
    for (size_t i = 0; i < self->n_objects; i++) {
        if (px_str_is(info->key, self->objects[i].key))
            object = &self->objects[i];
    }
    if (!object || info->offset + info->size > object->size)
        return px_err_set(err, PX_E_INVALID, "no such object, or it is smaller");
    for (size_t i = 0; i < MEMORY_SHARED_MAX; i++) {
        struct memory_region *region = &self->regions[i];
        if (region->n_refs)
            continue;
        *region = (struct memory_region){
            .object = object, .n_refs = 1, .listed = true, .fail_io = &self->fail_io};
        memcpy(region->name, info->name.ptr, info->name.len);
        region->base.ops = memory->ops;
        region->base.info = *info;
        region->base.info.name = px_str_n(region->name, info->name.len);
        region->base.info.key = px_str(object->key);
        return PX_OK;
    }
    return px_err_set(err, PX_E_TOO_LARGE, "too many regions");
}

static inline void memory_release(struct px_shared_region *region)
{
    ((struct memory_region *)region)->n_refs--;
}

static inline void memory_remove(struct px_shared_memory *memory, struct px_str name)
{
    struct memory_region *region = memory_find(memory, name);
    if (!region)
        return;
    region->listed = false;
    region->n_refs--;
}

static inline void memory_remove_all(struct px_shared_memory *memory)
{
    struct memory_shared *self = (struct memory_shared *)memory;
    for (size_t i = 0; i < MEMORY_SHARED_MAX; i++) {
        if (self->regions[i].listed)
            memory_remove(memory, self->regions[i].base.info.name);
    }
}

static inline void memory_visit(struct px_shared_memory *memory, px_shared_region_visit *visit,
                                void *context)
{
    struct memory_shared *self = (struct memory_shared *)memory;
    for (size_t i = 0; i < MEMORY_SHARED_MAX; i++) {
        if (self->regions[i].listed && !visit(context, &self->regions[i].base.info))
            return;
    }
}

static inline struct px_shared_region *memory_take(struct px_shared_memory *memory,
                                                   struct px_str name)
{
    struct memory_region *region = memory_find(memory, name);
    if (!region)
        return NULL;
    region->n_refs++;
    return &region->base;
}

static inline char *memory_range(struct memory_region *region, uint64_t offset, size_t n,
                                 struct px_err *err)
{
    uint64_t at = region->base.info.offset + offset;
    if (!*region->fail_io && at + n <= region->object->size)
        return region->object->bytes + at;
    px_err_set(err, PX_E_INVALID, "shared memory region '%s': the object is smaller now",
               region->name);
    return NULL;
}

static inline enum px_code memory_read(struct px_shared_region *region, uint64_t offset, void *out,
                                       size_t n, struct px_err *err)
{
    const char *from = memory_range((struct memory_region *)region, offset, n, err);
    if (!from)
        return PX_E_INVALID;
    memcpy(out, from, n);
    return PX_OK;
}

static inline enum px_code memory_write(struct px_shared_region *region, uint64_t offset,
                                        const void *bytes, size_t n, struct px_err *err)
{
    char *to = memory_range((struct memory_region *)region, offset, n, err);
    if (!to)
        return PX_E_INVALID;
    memcpy(to, bytes, n);
    return PX_OK;
}

static inline void memory_destroy(struct px_shared_memory *memory)
{
    (void)memory;
}

static inline struct px_shared_memory *memory_shared_init(struct memory_shared *self)
{
    static const struct px_shared_memory_ops ops = {
        .abi = PX_SHARED_MEMORY_ABI,
        .name = "memory",
        .add = memory_add,
        .remove = memory_remove,
        .remove_all = memory_remove_all,
        .visit = memory_visit,
        .take = memory_take,
        .release = memory_release,
        .read = memory_read,
        .write = memory_write,
        .destroy = memory_destroy,
    };
    *self = (struct memory_shared){.base.ops = &ops};
    return &self->base;
}

static inline struct memory_object *memory_shared_object(struct memory_shared *self,
                                                         const char *key, char *bytes, size_t size)
{
    struct memory_object *object = &self->objects[self->n_objects++];
    *object = (struct memory_object){key, bytes, size};
    return object;
}

#endif
