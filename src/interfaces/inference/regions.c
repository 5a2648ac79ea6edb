/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/inference/regions.h"

enum px_code px_region_check_memory(const struct px_shared_memory *memory, struct px_err *err)
{
    if (memory)
        return PX_OK;
    px_err_set(err, PX_E_UNSUPPORTED, "shared memory is disabled on this server");
    return px_err_hint(err, "send the tensors in the request, or set server.shared_memory: on");
}

struct listing {
    struct px_str only;
    px_shared_region_visit *visit;
    void *context;
    bool found;
};

static bool visit_region(void *context, const struct px_shared_region_info *info)
{
    struct listing *listing = context;
    if (listing->only.len && !px_str_eq(listing->only, info->name))
        return true;
    listing->found = true;
    return listing->visit(listing->context, info);
}

enum px_code px_region_list(struct px_shared_memory *memory, struct px_str only,
                            px_shared_region_visit *visit, void *context, struct px_err *err)
{
    struct listing listing = {.only = only, .visit = visit, .context = context};
    if (memory)
        px_shared_memory_visit(memory, visit_region, &listing);
    if (only.len == 0 || listing.found)
        return PX_OK;
    return px_err_set(err, PX_E_NOT_FOUND, "shared memory region '%.*s' is not registered",
                      PX_STR_ARG(only));
}

enum px_code px_region_refuse_cuda(struct px_err *err)
{
    px_err_set(err, PX_E_UNAVAILABLE,
               "CUDA shared memory is unavailable: this server scores on the CPU");
    return px_err_hint(err, "use system shared memory, or send the tensors as bytes");
}

enum px_code px_region_take(struct px_infer *infer, const struct px_shared_range *range,
                            struct px_shared_region **ret)
{
    struct px_err *err = &infer->call.err;
    enum px_code code = px_region_check_memory(infer->shared_memory, err);
    if (code == PX_OK && range->name.len == 0)
        code = px_err_set(err, PX_E_INVALID, "expected the name of a shared memory region");
    return code == PX_OK ? px_shared_memory_take(infer->shared_memory, range->name, ret, err)
                         : code;
}

/* A request of a few bytes may name a large range: what it takes is charged like rows. NULL: the error is set. */
static char *allocate(struct px_infer *infer, size_t size)
{
    struct px_call *call = &infer->call;
    if (!px_call_charge_bytes(infer->serving, call, size))
        return NULL;
    char *bytes = px_arena_alloc(call->arena, size, 1);
    return px_arena_check(call->arena, "the request", &call->err) == PX_OK ? bytes : NULL;
}

enum px_code px_region_read(struct px_infer *infer, const struct px_shared_range *range,
                            struct px_str *ret)
{
    struct px_call *call = &infer->call;
    struct px_shared_region *region;
    enum px_code code = px_region_take(infer, range, &region);
    if (code != PX_OK)
        return code;
    code = px_shared_region_check(region, range->offset, range->size, &call->err);
    char *bytes = code == PX_OK ? allocate(infer, range->size) : NULL;
    if (bytes)
        code = px_shared_region_read(region, range->offset, bytes, range->size, &call->err);
    px_shared_region_release(region);
    *ret = px_str_n(bytes, range->size);
    return bytes ? code : call->err.code;
}

enum px_code px_region_write(struct px_infer *infer, const struct px_infer_output *output,
                             const struct px_tensor *tensor)
{
    const struct px_shared_range *range = &output->shared.range;
    if (tensor->bytes.len > range->size)
        return px_err_set(&infer->call.err, PX_E_INVALID,
                          "output '%.*s' has %zu bytes, more than the %llu that the request gives "
                          "it in shared memory region '%.*s'",
                          PX_STR_ARG(tensor->name), tensor->bytes.len,
                          (unsigned long long)range->size, PX_STR_ARG(range->name));
    return px_shared_region_write(output->shared.region, range->offset, tensor->bytes,
                                  &infer->call.err);
}
