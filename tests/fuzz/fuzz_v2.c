/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open Inference request bodies through the whole handler. The first byte picks the model; with 0x40 in it the next two
 * say how much of the rest is JSON, and binary tensors follow. Region "r" of shared memory has 64 bytes.
 * Whatever the body: one answer, 200 or an error of the protocol's form, whose JSON is well formed, with as many
 * bytes behind it as the header says there are.
 */
#include "../support/memory_shared.h"
#include "../support/rest_fixture.h"

#include "fuzz.h"
#include "shared/json.h"

/* The JSON of the answer: all of it, or what its header says. */
static struct px_str json_of(const struct rest_fixture *f)
{
    static const char name[] = "Inference-Header-Content-Length: ";
    struct px_str body = px_buf_view(&f->buf), rest = px_str(f->headers);
    uint64_t n = 0;
    if (!px_str_starts(rest, name))
        return body;
    rest = px_str_n(rest.ptr + sizeof name - 1, rest.len - (sizeof name - 1));
    PX_ASSERT(f->status == 200 && px_str_to_u64(px_str_cut(&rest, '\r'), &n) && n < body.len);
    return px_str_n(body.ptr, (size_t)n);
}

static void check_answer(struct rest_fixture *f)
{
    struct px_arena arena = px_arena(1 << 20);
    struct px_json json;
    PX_ASSERT(f->status == 200 || f->status == 400 || f->status == 404 || f->status == 413 ||
              f->status == 501 || f->status == 504);
    px_json_init(&json, json_of(f), &arena, PX_JSON_NONFINITE);
    if (f->status == 200) {
        px_json_skip(&json);
    } else {
        struct px_str key;
        PX_ASSERT(px_json_enter_object(&json) && px_json_next_key(&json, &key));
        PX_ASSERT(px_str_is(key, "error"));
        (void)px_json_str(&json);
        PX_ASSERT(!px_json_next_key(&json, &key));
    }
    PX_ASSERT(px_json_finish(&json, NULL) == PX_OK);
    px_arena_deinit(&arena);
}

static void set_up(struct rest_fixture *f)
{
    static struct memory_shared memory;
    static char object[64];
    const struct px_shared_region_info region = {px_str("r"), px_str("/object"), 0, sizeof object};
    rest_set_up(f);
    const struct px_rest_settings settings = {.shared_memory = memory_shared_init(&memory)};
    PX_ASSERT(rest_use_settings(f, settings, NULL) == PX_OK);
    memory_shared_object(&memory, "/object", object, sizeof object);
    PX_ASSERT(px_shared_memory_add(&memory.base, &region, NULL) == PX_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/v2/models/plain/infer", "/v2/models/bank/infer",
                                        "/v2/models/multi/infer"};
    static struct rest_fixture f;
    char length[24];
    if (!f.serving)
        set_up(&f);
    if (size == 0)
        return 0;
    const char *path = paths[(data[0] & 0x3F) % PX_ARRAY_LEN(paths)];
    struct px_str body = px_str_n((const char *)data + 1, size - 1);
    if ((data[0] & 0x40) && body.len >= 2) {
        snprintf(length, sizeof length, "%u", data[1] | (unsigned)data[2] << 8);
        rest_header(&f, "Inference-Header-Content-Length", length);
        body = px_str_n(body.ptr + 2, body.len - 2);
    }
    rest_ask_bytes(&f, PX_HTTP_POST, path, body);
    check_answer(&f);
    return 0;
}
