/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw tensors into rows, and outputs into tensors. Input: model, outputs, k of a classification; then tensors, each name,
 * datatype, number of dimensions, dimensions, size (2 bytes) and bytes. Whatever they are: a score or an error
 * with a message, and every output has the size that its shape says.
 */
#include "../support/rest_fixture.h"

#include "fuzz.h"
#include "interfaces/inference/tensor.h"

static const uint8_t *at, *end;
static int n_ended;

static unsigned next_byte(void)
{
    return at < end ? *at++ : 0;
}

static void check_output(struct px_infer *infer, const struct px_infer_output *output)
{
    struct px_tensor tensor;
    if (px_output_tensor(infer, output, &tensor) != PX_OK)
        return;
    uint64_t n = tensor.shape[0] * tensor.shape[1];
    struct px_str rest = tensor.bytes, text;
    PX_ASSERT(tensor.n_dims == 2 && tensor.shape[0] == infer->call.rows.n_rows);
    if (tensor.type != PX_TYPE_BYTES) {
        PX_ASSERT(rest.len == n * px_datatype_size(tensor.type));
        return;
    }
    for (; n > 0; n--)
        PX_ASSERT(px_tensor_next_text(&rest, &text));
    PX_ASSERT(rest.len == 0);
}

static void on_encode(struct px_infer *infer)
{
    n_ended++;
    for (size_t i = 0; i < infer->n_outputs; i++)
        check_output(infer, &infer->outputs[i]);
}

static void on_fail(struct px_infer *infer)
{
    n_ended++;
    PX_ASSERT(infer->call.err.code != PX_OK && infer->call.err.message[0]);
}

static struct px_tensor next_tensor(void)
{
    static const char *const names[] = {"x", "age", "job", "married", "since", "balance", "a", "b"};
    struct px_tensor t = {.name = px_str(names[next_byte() % PX_ARRAY_LEN(names)])};
    t.type = (enum px_datatype)(1 + next_byte() % (PX_TYPE_COUNT - 1));
    t.n_dims = next_byte() % (PX_TENSOR_DIMS_MAX + 1);
    for (size_t i = 0; i < t.n_dims; i++)
        t.shape[i] = next_byte();
    size_t size = next_byte(), left;
    size |= (size_t)next_byte() << 8;
    left = (size_t)(end - at);
    t.bytes = px_str_n((const char *)at, size < left ? size : left);
    at += t.bytes.len;
    return t;
}

static void ask_outputs(struct px_infer *infer)
{
    static const char *const names[] = {"predictions", "labels", "margins"};
    unsigned wanted = next_byte(), n_best = next_byte();
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        if (!(wanted >> i & 1u) || px_infer_add_output(infer, px_str(names[i])) != PX_OK)
            continue;
        if (i != 1)
            infer->outputs[infer->n_outputs - 1].n_best = n_best;
    }
    infer->call.err = (struct px_err){0};
}

static enum px_code add_tensors(struct px_infer *infer)
{
    struct px_inputs in;
    enum px_code code = px_inputs_begin(&in, infer);
    while (code == PX_OK && at < end) {
        const struct px_tensor tensor = next_tensor();
        code = px_inputs_add(&in, &tensor);
    }
    return code == PX_OK ? px_inputs_end(&in) : code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const models[] = {"plain", "bank", "multi"};
    static struct rest_fixture f;
    static struct px_infer infer;
    if (!f.serving)
        rest_set_up(&f);
    at = data;
    end = data + size;
    n_ended = 0;
    px_arena_reset(&f.arena);
    const struct px_infer_request request = {
        .serving = f.serving,
        .model_name = px_str(models[next_byte() % PX_ARRAY_LEN(models)]),
        .arena = &f.arena,
        .encode = on_encode,
        .fail = on_fail,
    };
    if (px_infer_open(&infer, &request) != PX_OK)
        return 0;
    ask_outputs(&infer);
    if (add_tensors(&infer) == PX_OK)
        px_infer_submit(&infer);
    else
        px_infer_fail(&infer);
    px_serving_wave(f.serving, 0);
    PX_ASSERT(n_ended == 1);
    return 0;
}
