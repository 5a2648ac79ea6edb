/* SPDX-License-Identifier: Apache-2.0 */
#include "application/ports/shared_memory.h"

enum px_code px_shared_memory_add(struct px_shared_memory *memory,
                                  const struct px_shared_region_info *info, struct px_err *err)
{
    PX_ASSERT(memory->ops->abi == PX_SHARED_MEMORY_ABI);
    if (info->name.len == 0)
        return px_err_set(err, PX_E_INVALID, "a shared memory region needs a name");
    if (info->size == 0 || info->offset > UINT64_MAX / 2 || info->size > UINT64_MAX / 2)
        return px_err_set(err, PX_E_INVALID,
                          "shared memory region '%.*s': expected a size above 0 and an offset that "
                          "a file can have, got %llu bytes at %llu",
                          PX_STR_ARG(info->name), (unsigned long long)info->size,
                          (unsigned long long)info->offset);
    return memory->ops->add(memory, info, err);
}

void px_shared_memory_remove(struct px_shared_memory *memory, struct px_str name)
{
    memory->ops->remove(memory, name);
}

void px_shared_memory_remove_all(struct px_shared_memory *memory)
{
    memory->ops->remove_all(memory);
}

void px_shared_memory_visit(struct px_shared_memory *memory, px_shared_region_visit *visit,
                            void *context)
{
    memory->ops->visit(memory, visit, context);
}

void px_shared_memory_destroy(struct px_shared_memory *memory)
{
    if (memory)
        memory->ops->destroy(memory);
}

enum px_code px_shared_memory_take(struct px_shared_memory *memory, struct px_str name,
                                   struct px_shared_region **ret, struct px_err *err)
{
    *ret = memory->ops->take(memory, name);
    if (*ret)
        return PX_OK;
    return px_err_set(err, PX_E_NOT_FOUND, "shared memory region '%.*s' is not registered",
                      PX_STR_ARG(name));
}

void px_shared_region_release(struct px_shared_region *region)
{
    if (region)
        region->ops->release(region);
}

enum px_code px_shared_region_check(const struct px_shared_region *region, uint64_t offset,
                                    uint64_t n, struct px_err *err)
{
    uint64_t size = region->info.size;
    if (offset <= size && n <= size - offset)
        return PX_OK;
    return px_err_set(
        err, PX_E_INVALID,
        "%llu bytes at offset %llu are not inside shared memory region '%.*s' of %llu "
        "bytes",
        (unsigned long long)n, (unsigned long long)offset, PX_STR_ARG(region->info.name),
        (unsigned long long)size);
}

enum px_code px_shared_region_read(struct px_shared_region *region, uint64_t offset, void *out,
                                   size_t out_n, struct px_err *err)
{
    enum px_code code = px_shared_region_check(region, offset, out_n, err);
    return code == PX_OK ? region->ops->read(region, offset, out, out_n, err) : code;
}

enum px_code px_shared_region_write(struct px_shared_region *region, uint64_t offset,
                                    struct px_str bytes, struct px_err *err)
{
    enum px_code code = px_shared_region_check(region, offset, bytes.len, err);
    return code == PX_OK ? region->ops->write(region, offset, bytes.ptr, bytes.len, err) : code;
}
