/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/example.h"

#include "shared/bits.h"

enum { EXAMPLE_BYTES_MAX = 256 << 20, EXAMPLE_SHOWN_MAX = 4096 /* elements */ };

static const char example_text[] = "text";

static size_t example_shape(const struct px_tensor_spec *spec, struct px_tensor *tensor)
{
    size_t n = 1;
    tensor->n_dims = spec->any_rank ? 1 : spec->n_dims;
    for (size_t i = 0; i < tensor->n_dims; i++) {
        int64_t length = spec->any_rank ? 1 : spec->shape[i];
        tensor->shape[i] = length == PX_DIM_ANY ? 1 : (uint64_t)length;
        if (tensor->shape[i] > EXAMPLE_BYTES_MAX || n * tensor->shape[i] > EXAMPLE_BYTES_MAX)
            return SIZE_MAX;
        n *= tensor->shape[i];
    }
    return n;
}

static void fill_texts(char *bytes, size_t n)
{
    const uint32_t length = sizeof example_text - 1;
    for (size_t i = 0; i < n; i++, bytes += sizeof length + length) {
        memcpy(bytes, &length, sizeof length);
        memcpy(bytes + sizeof length, example_text, length);
    }
}

static enum px_code example_tensor(const struct px_tensor_spec *spec, struct px_arena *arena,
                                   struct px_tensor *tensor, struct px_err *err)
{
    bool is_text = spec->type == PX_TYPE_BYTES;
    size_t size =
        is_text ? sizeof(uint32_t) + sizeof example_text - 1 : px_datatype_size(spec->type);
    size_t n = example_shape(spec, tensor);
    if (n > EXAMPLE_BYTES_MAX / size)
        return px_err_set(err, PX_E_TOO_LARGE, "an example of input '%.*s' is too large",
                          PX_STR_ARG(spec->name));
    char *bytes = px_arena_zalloc(arena, n + 1, size);
    if (!bytes)
        return px_arena_check(arena, "an example", err);
    if (is_text)
        fill_texts(bytes, n);
    tensor->name = spec->name;
    tensor->type = spec->type;
    tensor->bytes = px_str_n(bytes, n * size);
    return PX_OK;
}

enum px_code px_example_inputs(const struct px_engine *engine, struct px_arena *arena,
                               struct px_tensor **ret, size_t *ret_n, struct px_err *err)
{
    const struct px_tensor_specs *takes = &engine->takes;
    struct px_tensor *inputs = px_arena_zalloc(arena, takes->n + 1, sizeof *inputs);
    size_t n = 0;
    if (!inputs)
        return px_arena_check(arena, "an example", err);
    for (size_t i = 0; i < takes->n; i++) {
        if (takes->list[i].optional)
            continue;
        enum px_code code = example_tensor(&takes->list[i], arena, &inputs[n++], err);
        if (code != PX_OK)
            return code;
    }
    *ret = inputs;
    *ret_n = n;
    return PX_OK;
}

static void put_element(struct px_json_writer *w, enum px_datatype type)
{
    if (type == PX_TYPE_BYTES)
        px_json_put_text(w, example_text);
    else if (type == PX_TYPE_BOOL)
        px_json_put_bool(w, false);
    else
        px_json_put_u64(w, 0);
}

static void put_tensor(struct px_json_writer *w, const struct px_tensor_spec *spec)
{
    struct px_tensor tensor;
    size_t n = example_shape(spec, &tensor);
    if (n > EXAMPLE_SHOWN_MAX) { /* nobody would paste it; the shape may be known in part only */
        w->buf->failed = true;
        return;
    }
    px_json_begin_object(w);
    px_json_member_str(w, "name", spec->name);
    px_json_key(w, "shape");
    px_json_begin_array(w);
    for (size_t i = 0; i < tensor.n_dims; i++)
        px_json_put_u64(w, tensor.shape[i]);
    px_json_end_array(w);
    px_json_member_text(w, "datatype", px_datatype_name(spec->type));
    px_json_key(w, "data");
    px_json_begin_array(w);
    for (size_t i = 0; i < n; i++)
        put_element(w, spec->type);
    px_json_end_array(w);
    px_json_end_object(w);
}

/* A whole sequence in one step: nothing stays, and the request may be sent again. */
static void put_sequence(struct px_json_writer *w)
{
    px_json_key(w, "parameters");
    px_json_begin_object(w);
    px_json_member_u64(w, "sequence_id", 1);
    px_json_member_bool(w, "sequence_start", true);
    px_json_member_bool(w, "sequence_end", true);
    px_json_end_object(w);
}

void px_example_put_json(const struct px_engine *engine, struct px_buf *json)
{
    struct px_json_writer w = px_json_writer(json);
    px_json_begin_object(&w);
    px_json_key(&w, "inputs");
    px_json_begin_array(&w);
    for (size_t i = 0; i < engine->takes.n; i++) {
        if (!engine->takes.list[i].optional)
            put_tensor(&w, &engine->takes.list[i]);
    }
    px_json_end_array(&w);
    if (px_engine_has(engine, PX_ENGINE_SEQUENCES))
        put_sequence(&w);
    px_json_end_object(&w);
}
