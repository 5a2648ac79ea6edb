/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a ModelInferRequest.
 *
 * Fields may come in any order, so the message is walked twice: first for the model's name, which everything else
 * needs, then for tensors and outputs. Raw contents follow the tensors that they belong to; a reader of its own walks
 * from one to the next as the tensors take them. So nothing is collected, and nothing depends on how many there are.
 */
#include "interfaces/grpc/infer.h"
#include "interfaces/grpc/stream.h"

#include "interfaces/inference/regions.h"

enum request_field {
    MODEL_NAME = 1,
    MODEL_VERSION,
    ID,
    PARAMETERS,
    INPUTS,
    OUTPUTS,
    RAW_INPUT_CONTENTS,
};

enum input_field { INPUT_NAME = 1, INPUT_DATATYPE, INPUT_SHAPE, INPUT_PARAMETERS, INPUT_CONTENTS };

enum output_field { OUTPUT_NAME = 1, OUTPUT_PARAMETERS };

struct reader {
    struct px_grpc_infer *inference;
    struct px_inputs in;
    struct px_protobuf raw; /* stands before the next raw contents */
    bool has_raw;
    size_t n_raw_taken;
    struct px_err *err;
};

static bool next_raw(struct reader *r, struct px_str *ret)
{
    struct px_protobuf_field field;
    while (px_protobuf_next(&r->raw, &field)) {
        if (field.number == RAW_INPUT_CONTENTS && field.wire == PX_PROTOBUF_BYTES) {
            *ret = field.bytes;
            r->n_raw_taken++;
            return true;
        }
    }
    return false;
}

/* ---- inputs ---- */

struct input {
    struct px_tensor tensor;
    struct px_str type_name;
    struct px_str contents; /* the last of them, or all in one */
    size_t n_contents, contents_len;
    bool has_contents;
    struct px_parameters parameters;
};

static enum px_code push_dim(struct px_tensor *tensor, uint64_t dim, struct px_err *err)
{
    if (dim > INT64_MAX)
        return px_err_set(err, PX_E_INVALID, "input '%.*s': expected dimensions >= 0, got %lld",
                          PX_STR_ARG(tensor->name), (long long)dim);
    if (tensor->n_dims == PX_TENSOR_DIMS_MAX)
        return px_err_set(err, PX_E_INVALID, "input '%.*s': expected at most %d dimensions",
                          PX_STR_ARG(tensor->name), PX_TENSOR_DIMS_MAX);
    tensor->shape[tensor->n_dims++] = dim;
    return PX_OK;
}

static enum px_code read_shape(const struct px_protobuf_field *field, struct px_tensor *tensor,
                               struct px_err *err)
{
    if (field->wire == PX_PROTOBUF_VARINT)
        return push_dim(tensor, field->value, err);
    struct px_cursor list = px_cursor(field->bytes.ptr, field->bytes.len);
    enum px_code code = PX_OK;
    while (code == PX_OK && px_cursor_left(&list)) {
        uint64_t dim = px_protobuf_varint(&list);
        if (list.failed)
            return px_err_set(err, PX_E_INVALID, "input '%.*s': the shape is cut off",
                              PX_STR_ARG(tensor->name));
        code = push_dim(tensor, dim, err);
    }
    return code;
}

static enum px_code read_input_field(const struct px_protobuf_field *field, struct input *input,
                                     struct px_err *err)
{
    switch (field->number) {
    case INPUT_NAME:
        return px_grpc_read_text(field, "name of an input", &input->tensor.name, err);
    case INPUT_DATATYPE:
        return px_grpc_read_text(field, "datatype", &input->type_name, err);
    case INPUT_SHAPE:
        return read_shape(field, &input->tensor, err);
    case INPUT_PARAMETERS:
        return px_grpc_read_parameter(field, &input->parameters, err);
    case INPUT_CONTENTS:
        input->contents = field->bytes;
        input->has_contents = true;
        input->n_contents++;
        input->contents_len += field->bytes.len;
        return PX_OK;
    default:
        return PX_OK;
    }
}

static struct px_arena *arena_of(struct px_grpc_infer *inference)
{
    return inference->slot ? &inference->slot->arena : inference->call->exchange->arena;
}

/* A message that comes in pieces is what they are one after the other: that is how protobuf merges them. */
static enum px_code join_contents(struct px_str message, struct px_arena *arena,
                                  struct input *input, struct px_err *err)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    size_t at = 0;
    char *all = px_arena_alloc(arena, input->contents_len + 1, 1);
    if (!all)
        return px_arena_check(arena, "the contents of an input", err);
    while (px_protobuf_next(&p, &field)) {
        if (field.number != INPUT_CONTENTS || field.bytes.len == 0)
            continue;
        memcpy(all + at, field.bytes.ptr, field.bytes.len);
        at += field.bytes.len;
    }
    input->contents = px_str_n(all, at);
    return PX_OK;
}

static enum px_code read_input_fields(struct px_str message, struct input *input,
                                      struct px_err *err)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field))
        code = read_input_field(&field, input, err);
    if (code == PX_OK)
        code = px_grpc_check(&p, "an input", err);
    if (code != PX_OK)
        return code;
    code = px_tensor_read_type(input->type_name, &input->tensor.type, err);
    return code == PX_OK ? code : px_err_wrap(err, "input '%.*s'", PX_STR_ARG(input->tensor.name));
}

static enum px_code add_raw(struct reader *r, struct input *input)
{
    if (input->has_contents && input->contents.len > 0)
        return px_err_set(r->err, PX_E_INVALID,
                          "contents field must not be specified when using raw_input_contents for "
                          "'%.*s'",
                          PX_STR_ARG(input->tensor.name));
    if (!next_raw(r, &input->tensor.bytes))
        return px_err_set(
            r->err, PX_E_INVALID,
            "unable to find data for input tensor '%.*s': raw_input_contents has only "
            "%zu entries",
            PX_STR_ARG(input->tensor.name), r->n_raw_taken);
    return px_inputs_add(&r->in, &input->tensor);
}

/* Such an input takes no entry of the raw contents. */
static enum px_code add_shared(struct reader *r, struct input *input)
{
    if (input->has_contents && input->contents.len > 0)
        return px_err_set(r->err, PX_E_INVALID,
                          "input '%.*s': contents and a shared memory region exclude each other",
                          PX_STR_ARG(input->tensor.name));
    enum px_code code =
        px_region_read(&r->inference->infer, &input->parameters.region, &input->tensor.bytes);
    if (code != PX_OK)
        return px_err_wrap(r->err, "input '%.*s'", PX_STR_ARG(input->tensor.name));
    return px_inputs_add(&r->in, &input->tensor);
}

static enum px_code read_input(struct reader *r, struct px_str message)
{
    struct input input = {.parameters.places = PX_PARAMETER_OF_INPUT | PX_PARAMETER_IN_GRPC};
    enum px_code code = read_input_fields(message, &input, r->err);
    if (code == PX_OK && input.n_contents > 1)
        code = join_contents(message, arena_of(r->inference), &input, r->err);
    if (code != PX_OK)
        return code;
    if (px_parameters_has(&input.parameters, PX_PARAMETER_REGION))
        return add_shared(r, &input);
    if (r->has_raw)
        return add_raw(r, &input);
    if (!input.has_contents)
        return px_err_set(r->err, PX_E_INVALID, "unable to find data for input tensor '%.*s'",
                          PX_STR_ARG(input.tensor.name));
    return px_grpc_read_contents(&r->in, &input.tensor, input.contents);
}

/* ---- outputs ---- */

static enum px_code read_output(struct reader *r, struct px_str message)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    struct px_parameters parameters = {.places = PX_PARAMETER_OF_OUTPUT | PX_PARAMETER_IN_GRPC};
    struct px_str name = PX_STR("");
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == OUTPUT_NAME)
            code = px_grpc_read_text(&field, "name of an output", &name, r->err);
        else if (field.number == OUTPUT_PARAMETERS)
            code = px_grpc_read_parameter(&field, &parameters, r->err);
    }
    if (code == PX_OK)
        code = px_grpc_check(&p, "an output", r->err);
    return code == PX_OK ? px_output_ask(&r->inference->infer, name, &parameters) : code;
}

/* ---- the request ---- */

/* What is needed before anything else can be read. */
static enum px_code read_names(struct reader *r, struct px_str message,
                               struct px_infer_request *request)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == MODEL_NAME)
            code = px_grpc_read_text(&field, "model_name", &request->model_name, r->err);
        else if (field.number == MODEL_VERSION)
            code = px_grpc_read_text(&field, "model_version", &request->version, r->err);
        else if (field.number == ID)
            code = px_grpc_read_text(&field, "id", &request->id, r->err);
        else if (field.number == RAW_INPUT_CONTENTS)
            r->has_raw = true;
    }
    return code == PX_OK ? px_grpc_check(&p, "the request", r->err) : code;
}

static enum px_code read_tensors(struct reader *r, struct px_str message)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    struct px_parameters parameters = {.places = PX_PARAMETER_OF_REQUEST | PX_PARAMETER_IN_GRPC};
    struct px_str unused;
    enum px_code code = px_inputs_begin(&r->in, &r->inference->infer);
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.wire != PX_PROTOBUF_BYTES)
            continue;
        if (field.number == INPUTS)
            code = read_input(r, field.bytes);
        else if (field.number == OUTPUTS)
            code = read_output(r, field.bytes);
        else if (field.number == PARAMETERS)
            code = px_grpc_read_parameter(&field, &parameters, r->err);
    }
    if (code == PX_OK && next_raw(r, &unused))
        code = px_err_set(r->err, PX_E_INVALID,
                          "raw_input_contents has more entries than the %zu inputs",
                          r->n_raw_taken - 1);
    if (code == PX_OK)
        px_parameters_apply(&parameters, &r->inference->infer);
    return code == PX_OK ? px_inputs_end(&r->in) : code;
}

void px_grpc_infer_start(struct px_grpc_infer *inference, struct px_str message,
                         const struct px_infer_request *base)
{
    struct px_infer *infer = &inference->infer;
    struct px_infer_request request = *base;
    PX_UNINITIALIZED struct px_err err;
    struct reader r = {.inference = inference, .raw = px_protobuf(message), .err = &err};
    request.id = (struct px_str)PX_STR("");
    enum px_code code = read_names(&r, message, &request);
    if (code != PX_OK) {
        infer->call.err = err;
        infer->id = request.id; /* echoed with an error too */
        px_grpc_count_error(inference->call, code);
        request.fail(infer);
        return;
    }
    if (px_infer_open(infer, &request) != PX_OK)
        return;
    r.err = &infer->call.err;
    code = read_tensors(&r, message);
    if (code == PX_OK)
        px_infer_submit(infer);
    else
        px_infer_fail(infer);
}
