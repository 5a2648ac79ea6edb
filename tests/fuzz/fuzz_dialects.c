/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of MLflow, SageMaker, Vertex AI and TensorFlow Serving through the whole handler. The first byte picks path,
 * body type and reply type. Whatever the body: one answer, and well-formed JSON when the answer says so.
 */
#include "../support/rest_fixture.h"

#include "fuzz.h"
#include "shared/json.h"

static void check_answer(struct rest_fixture *f)
{
    struct px_arena arena = px_arena(1 << 20);
    struct px_json json;
    PX_ASSERT(f->status == 200 || f->status == 400 || f->status == 413);
    bool is_json = px_str_is(px_str(f->exchange.content_type), "application/json");
    PX_ASSERT(is_json || f->status == 200 ||
              px_str_is(px_str(f->exchange.content_type), "application/problem+json"));
    if (is_json || f->status != 200) {
        px_json_init(&json, px_str(f->body), &arena, PX_JSON_NONFINITE);
        px_json_skip(&json);
        PX_ASSERT(px_json_finish(&json, NULL) == PX_OK);
    }
    px_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/invocations",
                                        "/v1/models/bank:classify",
                                        "/v1/models/bank:regress",
                                        "/v1/models/multi:explain",
                                        "/v1/models/bank:predict",
                                        "/vertex",
                                        "/invocations",
                                        "/invocations"};
    static const char *const types[] = {"application/json", "application/jsonlines", "text/csv",
                                        "application/json"};
    static const char *const accepts[] = {"*/*", "application/jsonlines", "text/csv",
                                          "application/json"};
    static struct rest_fixture f;
    if (!f.serving) {
        rest_set_up(&f);
        if (rest_use_settings(&f,
                              (struct px_rest_settings){.default_model = px_str("bank"),
                                                        .vertex_predict_route = px_str("/vertex")},
                              NULL) != PX_OK)
            abort();
    }
    if (size == 0)
        return 0;
    unsigned choice = data[0];
    rest_header(&f, "Content-Type", types[choice >> 3 & 3]);
    rest_header(&f, "Accept", accepts[choice >> 5 & 3]);
    if (choice & 128)
        rest_header(&f, "X-Amzn-SageMaker-Target-Model", "multi");
    rest_ask_bytes(&f, PX_HTTP_POST, paths[choice & 7], px_str_n((const char *)data + 1, size - 1));
    check_answer(&f);
    return 0;
}
