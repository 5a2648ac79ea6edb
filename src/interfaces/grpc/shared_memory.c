/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions of shared memory: registered, listed and unregistered. Tensors use them by name (infer.c). There is no GPU
 * memory: its list is empty and registering it is refused.
 */
#include "interfaces/grpc/handlers.h"
#include "interfaces/grpc/message.h"
#include "interfaces/grpc/status.h"
#include "interfaces/inference/regions.h"

enum { REGIONS = 1, KEY = 1, VALUE = 2 };

enum region_field { REGION_NAME = 1, REGION_KEY, REGION_OFFSET, REGION_BYTE_SIZE };

/* Every one of these requests begins with the name. */
static enum px_code read_region(struct px_str message, struct px_shared_region_info *ret,
                                struct px_err *err)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    *ret = (struct px_shared_region_info){.name = PX_STR(""), .key = PX_STR("")};
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == REGION_NAME)
            code = px_grpc_read_text(&field, "name", &ret->name, err);
        else if (field.number == REGION_KEY)
            code = px_grpc_read_text(&field, "key", &ret->key, err);
        else if (field.number == REGION_OFFSET)
            ret->offset = field.value;
        else if (field.number == REGION_BYTE_SIZE)
            ret->size = field.value;
    }
    return code == PX_OK ? px_grpc_check(&p, "the request", err) : code;
}

static enum px_code read_name(struct px_str message, struct px_str *ret, struct px_err *err)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    *ret = (struct px_str)PX_STR("");
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == REGION_NAME)
            code = px_grpc_read_text(&field, "name", ret, err);
    }
    return code == PX_OK ? px_grpc_check(&p, "the request", err) : code;
}

/* Replies with a message that has no fields, or fails. */
static void finish(struct px_grpc_call *call, enum px_code code, const struct px_err *err)
{
    if (code != PX_OK) {
        px_grpc_fail(call, err);
        return;
    }
    px_grpc_end_message(call->exchange->body, px_grpc_begin_message(call->exchange->body));
    px_grpc_reply(call);
}

/* ---- status ---- */

static bool put_region(void *context, const struct px_shared_region_info *info)
{
    struct px_buf *buf = context;
    size_t entry = px_protobuf_begin(buf, REGIONS);
    px_protobuf_put_bytes(buf, KEY, info->name);
    size_t region = px_protobuf_begin(buf, VALUE);
    px_protobuf_put_bytes(buf, REGION_NAME, info->name);
    px_protobuf_put_bytes(buf, REGION_KEY, info->key);
    px_protobuf_put_u64(buf, REGION_OFFSET, info->offset);
    px_protobuf_put_u64(buf, REGION_BYTE_SIZE, info->size);
    px_protobuf_end(buf, region);
    px_protobuf_end(buf, entry);
    return true;
}

static void list(struct px_grpc_call *call, struct px_shared_memory *memory)
{
    struct px_buf *body = call->exchange->body;
    struct px_str only;
    struct px_err err;
    enum px_code code = read_name(call->message, &only, &err);
    size_t mark = px_grpc_begin_message(body);
    if (code == PX_OK)
        code = px_region_list(memory, only, put_region, body, &err);
    if (code != PX_OK) {
        px_grpc_fail(call, &err);
        return;
    }
    px_grpc_end_message(body, mark);
    px_grpc_reply(call);
}

void px_grpc_handle_shared_memory_status(struct px_grpc_call *call)
{
    list(call, call->grpc->settings.shared_memory);
}

void px_grpc_handle_cuda_status(struct px_grpc_call *call)
{
    list(call, NULL);
}

/* ---- register and unregister ---- */

void px_grpc_handle_shared_memory_register(struct px_grpc_call *call)
{
    struct px_shared_memory *memory = call->grpc->settings.shared_memory;
    struct px_shared_region_info info;
    struct px_err err;
    enum px_code code = px_region_check_memory(memory, &err);
    if (code == PX_OK)
        code = read_region(call->message, &info, &err);
    if (code == PX_OK)
        code = px_shared_memory_add(memory, &info, &err);
    finish(call, code, &err);
}

void px_grpc_handle_cuda_register(struct px_grpc_call *call)
{
    struct px_err err;
    (void)px_region_refuse_cuda(&err);
    px_grpc_fail(call, &err);
}

void px_grpc_handle_shared_memory_unregister(struct px_grpc_call *call)
{
    struct px_shared_memory *memory = call->grpc->settings.shared_memory;
    struct px_str name;
    struct px_err err;
    enum px_code code = read_name(call->message, &name, &err);
    if (code == PX_OK && memory && name.len)
        px_shared_memory_remove(memory, name);
    else if (code == PX_OK && memory)
        px_shared_memory_remove_all(memory);
    finish(call, code, &err);
}

/* None can be registered, so none is now. */
void px_grpc_handle_cuda_unregister(struct px_grpc_call *call)
{
    finish(call, PX_OK, NULL);
}
