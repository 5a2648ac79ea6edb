/* SPDX-License-Identifier: Apache-2.0 */
/* ModelProto and GraphProto; field numbers are those of onnx.proto. */
#include "domain/forest/readers/onnx/onnx_model.h"

#include <stdio.h>

enum { PORT_NAME = 1, PORT_TYPE = 2, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2 };

void px_onnx_model_deinit(struct px_onnx_model *model)
{
    px_vec_free(&model->names);
    px_vec_free(&model->nodes);
    px_vec_free(&model->attributes);
    px_vec_free(&model->constants);
    px_vec_free(&model->inputs);
    px_vec_free(&model->outputs);
}

const char *px_onnx_type_name(int type)
{
    static const char *const names[] = {"undefined",  "float",   "uint8",  "int8",   "uint16",
                                        "int16",      "int32",   "int64",  "string", "bool",
                                        "float16",    "double",  "uint32", "uint64", "complex64",
                                        "complex128", "bfloat16"};
    return type >= 0 && (size_t)type < PX_ARRAY_LEN(names) ? names[type] : "unknown";
}

struct px_onnx_node_text px_onnx_node_text(const struct px_onnx_node *node)
{
    struct px_onnx_node_text ret;
    int op_len = node->op.len < 60 ? (int)node->op.len : 60;
    int name_len = node->name.len < 60 ? (int)node->name.len : 60;
    if (name_len)
        snprintf(ret.text, sizeof ret.text, "node \"%.*s\" (%.*s)", op_len, node->op.ptr, name_len,
                 node->name.ptr);
    else
        snprintf(ret.text, sizeof ret.text, "node \"%.*s\"", op_len, node->op.ptr);
    return ret;
}

/* The first field `number` of a message that is bytes, or an empty text. */
static struct px_str find_bytes(struct px_str message, uint32_t number)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    while (px_protobuf_next(&p, &field)) {
        if (field.number == number && field.wire == PX_PROTOBUF_BYTES)
            return field.bytes;
    }
    return (struct px_str){0};
}

static enum px_code add_name(struct px_onnx_model *model, struct px_str name, struct px_err *err)
{
    struct px_str *item = px_vec_push(&model->names);
    if (!item)
        return px_ir_no_memory(err);
    *item = name;
    return PX_OK;
}

static enum px_code add_attribute(struct px_onnx_model *model, struct px_str message,
                                  struct px_err *err)
{
    struct px_onnx_attribute *attribute = px_vec_push(&model->attributes);
    if (!attribute)
        return px_ir_no_memory(err);
    *attribute = (struct px_onnx_attribute){.name = find_bytes(message, 1), .message = message};
    return PX_OK;
}

/* Texts and attributes; inputs (field 1) and outputs (field 2) come in passes of their own. */
static enum px_code read_node_field(struct px_onnx_model *model, struct px_onnx_node *node,
                                    const struct px_protobuf_field *field, struct px_err *err)
{
    enum { NAME = 3, OP_TYPE = 4, ATTRIBUTE = 5, DOMAIN = 7 };
    if (field->number == NAME)
        node->name = field->bytes;
    else if (field->number == OP_TYPE)
        node->op = field->bytes;
    else if (field->number == DOMAIN)
        node->domain = field->bytes;
    else if (field->number == ATTRIBUTE)
        return add_attribute(model, field->bytes, err);
    return PX_OK;
}

static enum px_code add_names(struct px_onnx_model *model, struct px_str message, uint32_t number,
                              struct px_err *err)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == number)
            code = add_name(model, field.bytes, err);
    }
    return code;
}

static enum px_code read_node(struct px_onnx_model *model, struct px_str message,
                              struct px_err *err)
{
    struct px_onnx_node node = {.first_input = model->names.len,
                                .first_attribute = model->attributes.len};
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = add_names(model, message, 1, err);
    node.first_output = model->names.len;
    node.n_inputs = node.first_output - node.first_input;
    if (code == PX_OK)
        code = add_names(model, message, 2, err);
    node.n_outputs = model->names.len - node.first_output;
    while (code == PX_OK && px_protobuf_next(&p, &field))
        code = read_node_field(model, &node, &field, err);
    node.n_attributes = model->attributes.len - node.first_attribute;
    if (code == PX_OK)
        code = px_protobuf_check(&p, "a node of the graph", err);
    struct px_onnx_node *item = code == PX_OK ? px_vec_push(&model->nodes) : NULL;
    if (code == PX_OK && !item)
        return px_ir_no_memory(err);
    if (item)
        *item = node;
    return code;
}

static enum px_code read_constant(struct px_onnx_model *model, struct px_str message,
                                  struct px_err *err)
{
    struct px_onnx_constant *constant = px_vec_push(&model->constants);
    if (!constant)
        return px_ir_no_memory(err);
    *constant = (struct px_onnx_constant){.name = find_bytes(message, 8), .message = message};
    return PX_OK;
}

static void read_dim(struct px_str message, struct px_onnx_port *port)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    int64_t size = -1;
    while (px_protobuf_next(&p, &field)) {
        if (field.number == 1 && field.wire == PX_PROTOBUF_VARINT)
            size = px_protobuf_i64(&field);
    }
    if (port->n_dims < PX_ONNX_DIMS_MAX)
        port->dims[port->n_dims++] = size;
}

static void read_tensor_type(struct px_str message, struct px_onnx_port *port)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    while (px_protobuf_next(&p, &field)) {
        if (field.number == TENSOR_ELEMENT)
            port->type = (int)field.value;
        if (field.number != TENSOR_SHAPE)
            continue;
        struct px_protobuf shape = px_protobuf(field.bytes);
        while (px_protobuf_next(&shape, &field)) {
            if (field.number == 1)
                read_dim(field.bytes, port);
        }
    }
}

/* A port whose type is malformed has none, and is refused as such when it matters. */
static enum px_code read_port(struct px_str message, struct px_onnx_port *port, struct px_err *err)
{
    if (!port)
        return px_ir_no_memory(err);
    *port = (struct px_onnx_port){.name = find_bytes(message, PORT_NAME)};
    struct px_str tensor = find_bytes(find_bytes(message, PORT_TYPE), TYPE_TENSOR);
    port->tensor = tensor.ptr != NULL;
    read_tensor_type(tensor, port);
    return PX_OK;
}

static enum px_code read_graph(struct px_onnx_model *model, struct px_str message,
                               struct px_err *err)
{
    enum { NODE = 1, INITIALIZER = 5, INPUT = 11, OUTPUT = 12, SPARSE_INITIALIZER = 15 };
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == NODE)
            code = read_node(model, field.bytes, err);
        else if (field.number == INITIALIZER)
            code = read_constant(model, field.bytes, err);
        else if (field.number == INPUT)
            code = read_port(field.bytes, px_vec_push(&model->inputs), err);
        else if (field.number == OUTPUT)
            code = read_port(field.bytes, px_vec_push(&model->outputs), err);
        else if (field.number == SPARSE_INITIALIZER)
            code = px_err_set(err, PX_E_UNSUPPORTED, "the graph has sparse constants");
    }
    return code == PX_OK ? px_protobuf_check(&p, "the graph", err) : code;
}

static void read_opset(struct px_onnx_model *model, struct px_str message)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    struct px_str domain = {0};
    int64_t version = 0;
    while (px_protobuf_next(&p, &field)) {
        if (field.number == 1)
            domain = field.bytes;
        else if (field.number == 2)
            version = px_protobuf_i64(&field);
    }
    if (px_str_is(domain, "ai.onnx.ml"))
        model->ml_opset = version;
}

enum px_code px_onnx_model_read(struct px_onnx_model *model, struct px_str bytes,
                                struct px_err *err)
{
    enum { PRODUCER = 2, PRODUCER_VERSION = 3, GRAPH = 7, OPSET = 8 };
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    bool has_graph = false;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == PRODUCER)
            model->producer = field.bytes;
        else if (field.number == PRODUCER_VERSION)
            model->producer_version = field.bytes;
        else if (field.number == OPSET)
            read_opset(model, field.bytes);
        else if (field.number == GRAPH && has_graph)
            code = px_err_set(err, PX_E_CORRUPT, "the ONNX file has two graphs");
        else if (field.number == GRAPH)
            code = read_graph(model, field.bytes, err);
        has_graph = has_graph || field.number == GRAPH;
    }
    if (code == PX_OK)
        code = px_protobuf_check(&p, "the ONNX file", err);
    if (code == PX_OK && !has_graph)
        return px_err_set(err, PX_E_CORRUPT, "the ONNX file has no graph (cut off?)");
    return code;
}
