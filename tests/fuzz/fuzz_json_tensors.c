/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows in JSON into tensors, and those back into JSON. Input: which model (1 byte), instances or inputs (1 byte), then the text.
 * Whatever it is: tensors with the bytes that their shapes say, of the model's types, or an error with a message; and what was
 * read is written as JSON that is read again.
 */
#include "application/tensors/json_tensors.h"

#include "fuzz.h"

static const struct px_tensor_spec matrix[] = {
    {.name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1, 3}, .n_dims = 2},
};
static const struct px_tensor_spec mixed[] = {
    {.name = PX_STR("text"), .type = PX_TYPE_BYTES, .shape = {-1}, .n_dims = 1},
    {.name = PX_STR("ids"), .type = PX_TYPE_INT64, .shape = {-1, -1}, .n_dims = 2},
    {.name = PX_STR("half"), .type = PX_TYPE_FP16, .any_rank = true, .optional = true},
    {.name = PX_STR("flag"), .type = PX_TYPE_BOOL, .shape = {-1, 1}, .n_dims = 2},
    {.name = PX_STR("small"), .type = PX_TYPE_UINT8, .shape = {-1, 1}, .n_dims = 2},
};
static const struct px_tensor_specs models[] = {
    {matrix, 1}, {mixed, 5}, {mixed, 1}, {mixed + 2, 1}};

static void write_again(const struct px_json_tensors *read, struct px_arena *arena)
{
    struct px_buf text = px_buf(16 << 20);
    struct px_json_writer w = px_json_writer(&text);
    struct px_str left[8];
    struct px_json_rows_of_tensors rows;
    px_json_begin_array(&w);
    px_json_put_columns(&w, read->inputs, read->n_inputs);
    if (px_json_rows_begin(&rows, read->inputs, read->n_inputs, left)) {
        for (size_t i = 0; i < rows.n_rows; i++)
            px_json_rows_put(&rows, &w);
    }
    px_json_end_array(&w);
    struct px_json json;
    struct px_err err;
    px_json_init(&json, px_buf_view(&text), arena, PX_JSON_NONFINITE);
    px_json_skip(&json);
    PX_ASSERT(text.failed || px_json_finish(&json, &err) == PX_OK);
    px_buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct px_tensor_specs *takes = &models[data[0] % PX_ARRAY_LEN(models)];
    struct px_arena arena = px_arena(8 << 20);
    struct px_json_tensors to = {.takes = takes, .arena = &arena};
    struct px_err err = {0};
    struct px_str text = px_str_n((const char *)data + 2, size - 2);
    enum px_code code = data[1] % 2 ? px_json_read_inputs(&to, text, &err)
                                    : px_json_read_instances(&to, text, &err);
    PX_ASSERT(code == PX_OK || (err.code == code && err.message[0]));
    for (size_t i = 0; code == PX_OK && i < to.n_inputs; i++) {
        const struct px_tensor_spec *spec = px_tensor_specs_find(takes, to.inputs[i].name);
        PX_ASSERT(spec && px_tensor_check_spec(&to.inputs[i], spec, &err) == PX_OK);
        PX_ASSERT(px_tensor_check_bytes(&to.inputs[i], &err) == PX_OK);
    }
    if (code == PX_OK)
        write_again(&to, &arena);
    px_arena_deinit(&arena);
    return 0;
}
