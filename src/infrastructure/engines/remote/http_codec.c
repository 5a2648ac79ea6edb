/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/remote/codec.h"
#include "infrastructure/engines/remote/values.h"

#include "application/ports/engine.h"

/* ---- requests ---- */

static void put_shape(struct px_json_writer *w, const struct px_tensor *tensor)
{
    px_json_key(w, "shape");
    px_json_begin_array(w);
    for (size_t i = 0; i < tensor->n_dims; i++)
        px_json_put_u64(w, tensor->shape[i]);
    px_json_end_array(w);
}

static enum px_code put_input(struct px_json_writer *w, const struct px_tensor *input, bool binary,
                              struct px_err *err)
{
    enum px_code code = PX_OK;
    px_json_begin_object(w);
    px_json_member_str(w, "name", input->name);
    put_shape(w, input);
    px_json_member_text(w, "datatype", px_datatype_name(input->type));
    if (binary) {
        px_json_key(w, "parameters");
        px_json_begin_object(w);
        px_json_member_u64(w, "binary_data_size", input->bytes.len);
        px_json_end_object(w);
    } else {
        px_json_key(w, "data");
        code = px_remote_put_values(w, input, err);
    }
    px_json_end_object(w);
    return code;
}

static void put_outputs(struct px_json_writer *w, const struct px_run *run, bool binary)
{
    px_json_key(w, "outputs");
    px_json_begin_array(w);
    for (size_t i = 0; i < run->n_outputs; i++) {
        px_json_begin_object(w);
        px_json_member_str(w, "name", run->outputs[i].name);
        if (binary) {
            px_json_key(w, "parameters");
            px_json_begin_object(w);
            px_json_member_bool(w, "binary_data", true);
            px_json_end_object(w);
        }
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_sequence(struct px_json_writer *w, const struct px_sequence_step *step)
{
    if (step->text_id.len)
        px_json_member_str(w, "sequence_id", step->text_id);
    else if (step->id)
        px_json_member_u64(w, "sequence_id", step->id);
    else
        return;
    px_json_member_bool(w, "sequence_start", step->start);
    px_json_member_bool(w, "sequence_end", step->end);
}

static void put_parameters(struct px_json_writer *w, const struct px_remote_ask *ask, bool binary)
{
    const struct px_sequence_step *step = &ask->run->sequence;
    if (!binary && ask->timeout_us == 0 && step->id == 0 && step->text_id.len == 0)
        return;
    px_json_key(w, "parameters");
    px_json_begin_object(w);
    if (binary)
        px_json_member_bool(w, "binary_data_output", true);
    if (ask->timeout_us)
        px_json_member_u64(w, "timeout", ask->timeout_us);
    put_sequence(w, step);
    px_json_end_object(w);
}

enum px_code px_remote_http_write(const struct px_remote_ask *ask, bool binary, struct px_buf *to,
                                  size_t *ret_json_len, struct px_err *err)
{
    const struct px_run *run = ask->run;
    struct px_json_writer w = px_json_writer(to);
    enum px_code code = PX_OK;
    px_json_begin_object(&w);
    put_parameters(&w, ask, binary);
    px_json_key(&w, "inputs");
    px_json_begin_array(&w);
    for (size_t i = 0; i < run->n_inputs && code == PX_OK; i++)
        code = put_input(&w, &run->inputs[i], binary, err);
    px_json_end_array(&w);
    put_outputs(&w, run, binary);
    px_json_end_object(&w);
    *ret_json_len = to->len;
    for (size_t i = 0; binary && i < run->n_inputs; i++)
        px_buf_str(to, run->inputs[i].bytes);
    return code == PX_OK ? px_buf_check(to, "the request to a peer", err) : code;
}

void px_remote_http_path(struct px_str model, struct px_str version, const char *suffix,
                         struct px_buf *to)
{
    const struct px_str parts[] = {model, version};
    static const char *const before[] = {"/v2/models/", "/versions/"};
    static const char digits[] = "0123456789ABCDEF";
    for (size_t p = 0; p < 2 && parts[p].len; p++) {
        px_buf_text(to, before[p]);
        for (size_t i = 0; i < parts[p].len; i++) {
            unsigned char c = (unsigned char)parts[p].ptr[i];
            bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || (c && strchr("-._~", c));
            if (!plain) {
                px_buf_byte(to, '%');
                px_buf_byte(to, digits[c >> 4]);
                c = (unsigned char)digits[c & 15];
            }
            px_buf_byte(to, (char)c);
        }
    }
    px_buf_text(to, suffix);
}

/* ---- replies ---- */

/* An output of a reply, before it is known what its data are. */
struct output {
    struct px_tensor tensor;
    struct px_str data; /* as JSON */
    uint64_t binary_size;
    bool has_data, has_binary;
};

static void read_shape(struct px_json *json, struct px_tensor *tensor)
{
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        uint64_t dim = px_json_u64(json);
        if (tensor->n_dims == PX_TENSOR_DIMS_MAX)
            px_json_fail(json, "a shape has at most %d dimensions", (int)PX_TENSOR_DIMS_MAX);
        else
            tensor->shape[tensor->n_dims++] = dim;
    }
}

static void read_type(struct px_json *json, enum px_datatype *ret)
{
    struct px_str name = px_json_str(json);
    *ret = px_datatype_from_name(name);
    if (*ret == PX_TYPE_NONE && !px_json_failed(json))
        px_json_fail(json, "the datatype '%.*s' is not known", PX_STR_ARG(name));
}

static void read_output_parameters(struct px_json *json, struct output *output)
{
    struct px_str key;
    if (px_json_null(json))
        return;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "binary_data_size")) {
            output->binary_size = px_json_u64(json);
            output->has_binary = true;
        } else {
            px_json_skip(json);
        }
    }
}

static void read_output(struct px_json *json, struct output *output)
{
    struct px_str key;
    *output = (struct output){0};
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "name")) {
            output->tensor.name = px_json_str(json);
        } else if (px_str_is(key, "datatype")) {
            read_type(json, &output->tensor.type);
        } else if (px_str_is(key, "shape") && output->tensor.n_dims == 0) {
            read_shape(json, &output->tensor);
        } else if (px_str_is(key, "parameters")) {
            read_output_parameters(json, output);
        } else if (px_str_is(key, "data")) {
            output->data = px_json_raw(json);
            output->has_data = true;
        } else {
            px_json_skip(json);
        }
    }
    if (!px_json_failed(json) && output->tensor.type == PX_TYPE_NONE)
        px_json_fail(json, "the output has no datatype");
}

/* Sets the bytes of an output from the binary part, or from its JSON. */
static enum px_code take_bytes(struct output *output, struct px_str *binary, struct px_arena *arena,
                               struct px_err *err)
{
    struct px_tensor *tensor = &output->tensor;
    if (output->has_binary) {
        if (output->binary_size > binary->len)
            return px_err_set(err, PX_E_INVALID,
                              "output '%.*s': expected %llu bytes of binary data, %zu are left",
                              PX_STR_ARG(tensor->name), (unsigned long long)output->binary_size,
                              binary->len);
        size_t size = (size_t)output->binary_size;
        tensor->bytes = px_str_n(binary->ptr, size);
        *binary = px_str_n(binary->ptr ? binary->ptr + size : NULL, binary->len - size);
        return PX_OK;
    }
    if (output->has_data)
        return px_remote_read_values(output->data, tensor, arena, err);
    return px_err_set(err, PX_E_INVALID, "output '%.*s' has no data", PX_STR_ARG(tensor->name));
}

static bool is_asked(const struct px_remote_answer *answer, struct px_str name)
{
    for (size_t i = 0; i < answer->n_outputs; i++) {
        if (px_str_eq(answer->outputs[i].name, name))
            return true;
    }
    return false;
}

/* The binary data of an output that nobody asked for are passed over; its JSON is not read again. */
static enum px_code take_output(struct output *output, struct px_str *binary,
                                const struct px_remote_answer *answer, struct px_err *err)
{
    if (!output->has_binary && !is_asked(answer, output->tensor.name))
        return PX_OK;
    enum px_code code = take_bytes(output, binary, answer->arena, err);
    return code == PX_OK ? px_remote_answer_put(answer, &output->tensor, err) : code;
}

static enum px_code read_outputs(struct px_json *json, struct px_str *binary,
                                 const struct px_remote_answer *answer, struct px_err *err)
{
    size_t n = 0;
    struct output output;
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        read_output(json, &output);
        if (px_json_failed(json))
            break;
        if (n++ == PX_ENGINE_TENSORS_MAX)
            return px_err_set(err, PX_E_TOO_LARGE, "the reply has more than %d outputs",
                              (int)PX_ENGINE_TENSORS_MAX);
        enum px_code code = take_output(&output, binary, answer, err);
        if (code != PX_OK)
            return code;
    }
    return px_json_check(json, err);
}

enum px_code px_remote_http_read(struct px_str reply, size_t json_len,
                                 const struct px_remote_answer *answer, struct px_err *err)
{
    struct px_json json;
    struct px_str key, binary;
    if (json_len > reply.len)
        return px_err_set(err, PX_E_INVALID,
                          "Inference-Header-Content-Length is %zu, the reply has %zu bytes",
                          json_len, reply.len);
    binary = px_str_n(reply.ptr ? reply.ptr + json_len : NULL, reply.len - json_len);
    px_json_init(&json, px_str_n(reply.ptr, json_len), answer->arena, PX_JSON_NONFINITE);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        enum px_code code = PX_OK;
        if (px_str_is(key, "outputs"))
            code = read_outputs(&json, &binary, answer, err);
        else
            px_json_skip(&json);
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_finish(&json, err);
    if (code == PX_OK && binary.len > 0)
        return px_err_set(err, PX_E_INVALID, "%zu bytes follow the last output", binary.len);
    return code == PX_OK ? px_remote_answer_check(answer, err) : code;
}

/* ---- metadata ---- */

/* Phoenix's own: unknown_rank. */
static bool read_unknown_rank(struct px_json *json)
{
    struct px_str key;
    bool unknown = false;
    if (px_json_peek(json) != PX_JSON_OBJECT) {
        px_json_skip(json);
        return false;
    }
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "unknown_rank") && px_json_peek(json) == PX_JSON_BOOL)
            unknown = px_json_bool(json);
        else
            px_json_skip(json);
    }
    return unknown;
}

static void read_spec(struct px_json *json, struct px_arena *arena, struct px_tensor_spec *spec)
{
    struct px_str key;
    bool has_shape = false, unknown_rank = false;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "name")) {
            spec->name = px_arena_str(arena, px_json_str(json));
        } else if (px_str_is(key, "datatype")) {
            read_type(json, &spec->type);
        } else if (px_str_is(key, "parameters")) {
            unknown_rank = read_unknown_rank(json);
        } else if (px_str_is(key, "shape") && px_json_peek(json) == PX_JSON_ARRAY) {
            has_shape = true;
            px_json_enter_array(json);
            while (px_json_next_element(json)) {
                int64_t dim = px_json_i64(json);
                if (spec->n_dims == PX_TENSOR_DIMS_MAX)
                    px_json_fail(json, "a shape has at most %d dimensions",
                                 (int)PX_TENSOR_DIMS_MAX);
                else
                    spec->shape[spec->n_dims++] = dim < 0 ? PX_DIM_ANY : dim;
            }
        } else {
            px_json_skip(json);
        }
    }
    spec->any_rank = !has_shape || unknown_rank;
    if (spec->any_rank)
        spec->n_dims = 0;
    if (!px_json_failed(json) && (spec->type == PX_TYPE_NONE || spec->name.len == 0))
        px_json_fail(json, "a tensor has a name and a datatype");
}

static void read_specs(struct px_json *json, struct px_arena *arena, struct px_tensor_specs *ret)
{
    if (px_json_null(json))
        return;
    struct px_tensor_spec *list = px_arena_zalloc(arena, PX_ENGINE_TENSORS_MAX, sizeof *list);
    size_t n = 0;
    if (!list) {
        px_json_fail(json, "there is no memory for the tensors of the model");
        return;
    }
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        if (n == PX_ENGINE_TENSORS_MAX)
            px_json_fail(json, "a model has at most %d tensors", (int)PX_ENGINE_TENSORS_MAX);
        else
            read_spec(json, arena, &list[n++]);
    }
    *ret = (struct px_tensor_specs){list, n};
}

enum px_code px_remote_http_read_metadata(struct px_str reply, struct px_arena *arena,
                                          struct px_remote_metadata *ret, struct px_err *err)
{
    struct px_json json;
    struct px_str key;
    *ret = (struct px_remote_metadata){0};
    px_json_init(&json, reply, arena, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        if (px_str_is(key, "inputs") && !ret->inputs.list)
            read_specs(&json, arena, &ret->inputs);
        else if (px_str_is(key, "outputs") && !ret->outputs.list)
            read_specs(&json, arena, &ret->outputs);
        else
            px_json_skip(&json);
    }
    enum px_code code = px_json_finish(&json, err);
    return code == PX_OK ? px_arena_check(arena, "the model's metadata", err) : code;
}

enum px_code px_remote_http_read_server(struct px_str reply, bool *ret_binary, struct px_err *err)
{
    struct px_json json;
    struct px_str key;
    *ret_binary = false;
    px_json_init(&json, reply, NULL, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        if (!px_str_is(key, "extensions") || px_json_peek(&json) != PX_JSON_ARRAY) {
            px_json_skip(&json);
            continue;
        }
        px_json_enter_array(&json);
        while (px_json_next_element(&json)) {
            if (px_str_is(px_json_raw(&json), "\"binary_tensor_data\""))
                *ret_binary = true;
        }
    }
    return px_json_finish(&json, err);
}

static struct px_str error_member(struct px_str reply, struct px_arena *arena)
{
    struct px_json json;
    struct px_str key, text = {NULL, 0};
    px_json_init(&json, reply, arena, 0);
    if (!px_json_enter_object(&json))
        return text;
    while (px_json_next_key(&json, &key)) {
        bool told =
            px_str_is(key, "error") || px_str_is(key, "detail") || px_str_is(key, "message");
        if (told && !text.ptr && px_json_peek(&json) == PX_JSON_STRING)
            text = px_json_str(&json);
        else
            px_json_skip(&json);
    }
    return px_json_failed(&json) ? (struct px_str){NULL, 0} : text;
}

void px_remote_http_read_error(struct px_str reply, char *out, size_t size)
{
    enum { ARENA_MAX = 1 << 17 };
    struct px_arena arena = px_arena(ARENA_MAX);
    struct px_buf to = px_buf_fixed(out, size);
    struct px_str text = error_member(reply, &arena);
    px_remote_put_printable(&to, px_str_trim(text.ptr ? text : reply));
    px_arena_deinit(&arena);
}
