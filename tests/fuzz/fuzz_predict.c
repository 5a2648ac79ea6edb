/* SPDX-License-Identifier: Apache-2.0 */
/*
 * V1 bodies, JSON and CSV, through the whole handler. The bits of the first byte pick model, body type,
 * header parameter, output and reply type. Whatever the body: one answer, and well-formed JSON unless CSV was
 * asked for.
 */
#include "../support/rest_fixture.h"

#include "fuzz.h"
#include "shared/json.h"

static void check_answer(struct rest_fixture *f)
{
    struct px_arena arena = px_arena(1 << 20);
    struct px_json json;
    PX_ASSERT(f->status == 200 || f->status == 400 || f->status == 413);
    if (px_str_starts(px_str(f->exchange.content_type), "text/csv")) {
        PX_ASSERT(f->status == 200);
        return;
    }
    px_json_init(&json, px_str(f->body), &arena, PX_JSON_NONFINITE);
    px_json_skip(&json);
    PX_ASSERT(px_json_finish(&json, NULL) == PX_OK);
    px_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/v1/models/bank:predict", "/v1/models/plain:predict"};
    static const char *const types[] = {"application/json", "text/csv", "text/csv;header=present",
                                        "text/csv; header=absent"};
    static struct rest_fixture f;
    if (!f.serving)
        rest_set_up(&f);
    if (size == 0)
        return 0;
    unsigned choice = data[0];
    rest_header(&f, "Content-Type", types[choice >> 1 & 3]);
    if (choice & 8)
        rest_header(&f, "Accept", "text/csv");
    if (choice & 16)
        f.query = choice & 32 ? "output=margins" : "output=labels";
    rest_ask_bytes(&f, PX_HTTP_POST, paths[choice & 1], px_str_n((const char *)data + 1, size - 1));
    check_answer(&f);
    return 0;
}
