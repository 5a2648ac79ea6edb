/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open Inference request bodies through the whole handler. The first byte picks the model. Whatever the
 * body: one answer, 200 or an error of the protocol's form, and its JSON is well formed.
 */
#include "../support/rest_fixture.h"

#include "fuzz.h"
#include "shared/json.h"

static void check_answer(struct rest_fixture *f)
{
    struct px_arena arena = px_arena(1 << 20);
    struct px_json json;
    PX_ASSERT(f->status == 200 || f->status == 400 || f->status == 413 || f->status == 501);
    px_json_init(&json, px_str(f->body), &arena, PX_JSON_NONFINITE);
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/v2/models/plain/infer", "/v2/models/bank/infer",
                                        "/v2/models/multi/infer"};
    static struct rest_fixture f;
    if (!f.serving)
        rest_set_up(&f);
    if (size == 0)
        return 0;
    rest_ask_bytes(&f, PX_HTTP_POST, paths[data[0] % PX_ARRAY_LEN(paths)],
                   px_str_n((const char *)data + 1, size - 1));
    check_answer(&f);
    return 0;
}
