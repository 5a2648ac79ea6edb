/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Triton's shared memory extensions: regions are registered, listed and unregistered here; tensors use them by name
 * (inputs.c, infer.c). There is no GPU memory: its list is empty and registering it is refused.
 */
#include "interfaces/inference/regions.h"
#include "interfaces/rest/handlers.h"
#include "interfaces/rest/reply.h"

static void reply_empty(struct px_rest_request *request)
{
    px_reply_finish(request, 200, NULL);
}

/* ---- status ---- */

static bool put_region(void *context, const struct px_shared_region_info *info)
{
    struct px_json_writer *w = context;
    px_json_begin_object(w);
    px_json_member_str(w, "name", info->name);
    px_json_member_str(w, "key", info->key);
    px_json_member_u64(w, "offset", info->offset);
    px_json_member_u64(w, "byte_size", info->size);
    px_json_end_object(w);
    return true;
}

static void reply_list(struct px_rest_request *request, struct px_shared_memory *memory)
{
    struct px_json_writer w = px_json_writer(request->exchange->body);
    struct px_err err;
    px_json_begin_array(&w);
    enum px_code code = px_region_list(memory, request->args[0], put_region, &w, &err);
    px_json_end_array(&w);
    if (code == PX_OK)
        px_reply_json(request, 200);
    else
        px_rest_fail(request, &err);
}

void px_handle_v2_shared_status(struct px_rest_request *request)
{
    reply_list(request, request->rest->settings.shared_memory);
}

void px_handle_v2_cuda_status(struct px_rest_request *request)
{
    reply_list(request, NULL);
}

/* ---- register ---- */

enum { SEEN_KEY = 1, SEEN_OFFSET = 2, SEEN_SIZE = 4 };

static unsigned read_member(struct px_json *json, struct px_str key,
                            struct px_shared_region_info *info)
{
    if (px_str_is(key, "key")) {
        info->key = px_json_str(json);
        return SEEN_KEY;
    }
    if (px_str_is(key, "offset")) {
        info->offset = px_json_u64(json);
        return SEEN_OFFSET;
    }
    if (px_str_is(key, "byte_size")) {
        info->size = px_json_u64(json);
        return SEEN_SIZE;
    }
    px_json_skip(json);
    return 0;
}

static enum px_code read_region(struct px_rest_request *request, struct px_shared_region_info *info,
                                struct px_err *err)
{
    struct px_http_exchange *exchange = request->exchange;
    struct px_json json;
    struct px_str key;
    unsigned seen = 0;
    px_json_init(&json, exchange->request.body, exchange->arena, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        unsigned bit = read_member(&json, key, info);
        if (seen & bit)
            px_json_fail(&json, "member '%.*s' is repeated", PX_STR_ARG(key));
        seen |= bit;
    }
    enum px_code code = px_json_finish(&json, err);
    if (code == PX_OK && (seen & (SEEN_KEY | SEEN_SIZE)) != (SEEN_KEY | SEEN_SIZE))
        code = px_err_set(err, PX_E_INVALID, "a shared memory region needs 'key' and 'byte_size'");
    return code;
}

void px_handle_v2_shared_register(struct px_rest_request *request)
{
    struct px_shared_memory *memory = request->rest->settings.shared_memory;
    struct px_shared_region_info info = {.name = request->args[0]};
    struct px_err err;
    enum px_code code = px_region_check_memory(memory, &err);
    if (code == PX_OK)
        code = read_region(request, &info, &err);
    if (code == PX_OK)
        code = px_shared_memory_add(memory, &info, &err);
    if (code == PX_OK)
        reply_empty(request);
    else
        px_rest_fail(request, &err);
}

void px_handle_v2_cuda_register(struct px_rest_request *request)
{
    struct px_err err;
    (void)px_region_refuse_cuda(&err);
    px_rest_fail(request, &err);
}

/* ---- unregister ---- */

void px_handle_v2_shared_unregister(struct px_rest_request *request)
{
    struct px_shared_memory *memory = request->rest->settings.shared_memory;
    struct px_str name = request->args[0];
    if (memory && name.len)
        px_shared_memory_remove(memory, name);
    else if (memory)
        px_shared_memory_remove_all(memory);
    reply_empty(request);
}

void px_handle_v2_cuda_unregister(struct px_rest_request *request)
{
    reply_empty(request); /* none can be registered, so none is now */
}
