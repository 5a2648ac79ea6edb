/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a ModelInferRequest.
 *
 * Fields may come in any order, so the message is walked twice: first for the model's name, which everything else
 * needs, then for tensors and outputs. Raw contents follow the tensors that they belong to; a reader of its own walks
 * from one to the next as the tensors take them. So nothing is collected, and nothing depends on how many there are.
 */
#include "interfaces/grpc/infer.h"

#include "interfaces/inference/shared.h"

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
    struct px_str contents;
    bool has_contents;
    struct px_shared_range range;
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

/* Where a tensor lies in shared memory; `name` is NULL when it does not. */
static enum px_code read_range(const struct px_grpc_parameter *parameter,
                               struct px_shared_range *ret, struct px_err *err)
{
    if (px_str_is(parameter->key, "shared_memory_region"))
        return px_grpc_parameter_text(parameter, &ret->name, err);
    if (px_str_is(parameter->key, "shared_memory_offset"))
        return px_grpc_parameter_u64(parameter, &ret->offset, err);
    if (px_str_is(parameter->key, "shared_memory_byte_size"))
        return px_grpc_parameter_u64(parameter, &ret->size, err);
    return PX_OK;
}

static enum px_code read_input_parameter(const struct px_protobuf_field *field,
                                         struct px_shared_range *ret, struct px_err *err)
{
    struct px_grpc_parameter parameter;
    enum px_code code = px_grpc_read_parameter(field, &parameter, err);
    return code == PX_OK ? read_range(&parameter, ret, err) : code;
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
        return read_input_parameter(field, &input->range, err);
    case INPUT_CONTENTS:
        input->contents = field->bytes;
        input->has_contents = true;
        return PX_OK;
    default:
        return PX_OK;
    }
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
    enum px_code code = px_shared_read(&r->inference->infer, &input->range, &input->tensor.bytes);
    if (code != PX_OK)
        return px_err_wrap(r->err, "input '%.*s'", PX_STR_ARG(input->tensor.name));
    return px_inputs_add(&r->in, &input->tensor);
}

static enum px_code read_input(struct reader *r, struct px_str message)
{
    struct input input = {0};
    enum px_code code = read_input_fields(message, &input, r->err);
    if (code != PX_OK)
        return code;
    if (input.range.name.ptr)
        return add_shared(r, &input);
    if (r->has_raw)
        return add_raw(r, &input);
    if (!input.has_contents)
        return px_err_set(r->err, PX_E_INVALID, "unable to find data for input tensor '%.*s'",
                          PX_STR_ARG(input.tensor.name));
    return px_grpc_read_contents(&r->in, &input.tensor, input.contents);
}

/* ---- outputs and parameters ---- */

struct output {
    struct px_str name;
    uint64_t n_best;
    struct px_shared_range range;
};

static enum px_code read_output_parameter(const struct px_protobuf_field *field,
                                          struct output *output, struct px_err *err)
{
    struct px_grpc_parameter parameter;
    enum px_code code = px_grpc_read_parameter(field, &parameter, err);
    if (code != PX_OK)
        return code;
    if (!px_str_is(parameter.key, "classification"))
        return read_range(&parameter, &output->range, err);
    code = px_grpc_parameter_u64(&parameter, &output->n_best, err);
    if (code == PX_OK && output->n_best == 0)
        code =
            px_err_set(err, PX_E_INVALID, "parameter 'classification': expected a number above 0");
    return code;
}

static enum px_code read_output(struct reader *r, struct px_str message)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    struct output output = {.name = PX_STR("")};
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == OUTPUT_NAME)
            code = px_grpc_read_text(&field, "name of an output", &output.name, r->err);
        else if (field.number == OUTPUT_PARAMETERS)
            code = read_output_parameter(&field, &output, r->err);
    }
    if (code == PX_OK)
        code = px_grpc_check(&p, "an output", r->err);
    if (code != PX_OK)
        return code;
    const struct px_output_request request = {
        .name = output.name,
        .n_best = output.n_best,
        .range = output.range.name.ptr ? &output.range : NULL,
    };
    return px_output_ask(&r->inference->infer, &request);
}

/* Microseconds that the client is ready to wait, from Triton's schedule policy; 0 means for ever. */
static enum px_code read_timeout(struct reader *r, const struct px_grpc_parameter *parameter)
{
    uint64_t timeout_us;
    enum px_code code = px_grpc_parameter_u64(parameter, &timeout_us, r->err);
    if (code == PX_OK)
        px_infer_limit_time(&r->inference->infer, timeout_us);
    return code;
}

static enum px_code refuse(const struct reader *r, struct px_str key, const char *reason)
{
    return px_err_set(r->err, PX_E_UNSUPPORTED, "parameter '%.*s': %s", PX_STR_ARG(key), reason);
}

/* The members of a sequence have no effect: models that keep no state answer them as any other request. */
static enum px_code read_request_parameter(struct reader *r, const struct px_protobuf_field *field)
{
    struct px_grpc_parameter parameter;
    uint64_t number;
    enum px_code code = px_grpc_read_parameter(field, &parameter, r->err);
    if (code != PX_OK)
        return code;
    if (px_str_is(parameter.key, "timeout"))
        return read_timeout(r, &parameter);
    if (px_str_is(parameter.key, "priority")) /* waves have no queue to jump */
        return px_grpc_parameter_u64(&parameter, &number, r->err);
    if (px_str_is(parameter.key, "headers"))
        return refuse(r, parameter.key, "the name is reserved");
    if (px_str_is(parameter.key, "triton_enable_empty_final_response"))
        return PX_OK; /* every request has exactly one response here, which is its final one */
    if (px_str_starts(parameter.key, "triton_"))
        return px_err_set(r->err, PX_E_INVALID,
                          "parameter '%.*s': names that start with 'triton_' are reserved",
                          PX_STR_ARG(parameter.key));
    return PX_OK;
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
            code = px_grpc_read_text(&field, "id", &r->inference->id, r->err);
        else if (field.number == RAW_INPUT_CONTENTS)
            r->has_raw = true;
    }
    return code == PX_OK ? px_grpc_check(&p, "the request", r->err) : code;
}

static enum px_code read_tensors(struct reader *r, struct px_str message)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
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
            code = read_request_parameter(r, &field);
    }
    if (code == PX_OK && next_raw(r, &unused))
        code = px_err_set(r->err, PX_E_INVALID,
                          "raw_input_contents has more entries than the %zu inputs",
                          r->n_raw_taken - 1);
    return code == PX_OK ? px_inputs_end(&r->in) : code;
}

void px_grpc_infer_start(struct px_grpc_infer *inference, struct px_str message,
                         const struct px_infer_request *base)
{
    struct px_infer *infer = &inference->infer;
    struct px_infer_request request = *base;
    PX_UNINITIALIZED struct px_err err;
    struct reader r = {.inference = inference, .raw = px_protobuf(message), .err = &err};
    inference->id = (struct px_str)PX_STR("");
    enum px_code code = read_names(&r, message, &request);
    if (code != PX_OK) {
        infer->call.err = err;
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
