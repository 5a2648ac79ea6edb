/* SPDX-License-Identifier: Apache-2.0 */
/* AttributeProto and TensorProto; field numbers are those of onnx.proto. */
#include "domain/forest/readers/onnx/onnx_model.h"

#include "shared/bits.h"

#include <inttypes.h>

enum { VALUE_F = 2, VALUE_I = 3, VALUE_S = 4, VALUE_T = 5, FLOATS = 7, INTS = 8, STRINGS = 9 };

const struct px_onnx_attribute *px_onnx_find(const struct px_onnx_model *model,
                                             const struct px_onnx_node *node, const char *name)
{
    for (size_t i = 0; i < node->n_attributes; i++) {
        const struct px_onnx_attribute *a = &model->attributes.items[node->first_attribute + i];
        if (px_str_is(a->name, name))
            return a;
    }
    return NULL;
}

static enum px_code wrap(const struct px_onnx_node *node, const char *name, struct px_err *err)
{
    return px_err_wrap(err, "%s, attribute %s", px_onnx_node_text(node).text, name);
}

/* The last field `number` of an attribute; false when it is absent, PX_E_CORRUPT when malformed. */
static enum px_code find_field(const struct px_onnx_attribute *attribute, uint32_t number,
                               struct px_protobuf_field *ret, bool *ret_found, struct px_err *err)
{
    struct px_protobuf p = px_protobuf(attribute->message);
    struct px_protobuf_field field;
    *ret_found = false;
    while (px_protobuf_next(&p, &field)) {
        if (field.number == number) {
            *ret = field;
            *ret_found = true;
        }
    }
    return px_protobuf_check(&p, "the attribute", err);
}

static enum px_code get_field(const struct px_onnx_model *model, const struct px_onnx_node *node,
                              const char *name, struct px_protobuf_field *ret, struct px_err *err)
{
    const uint32_t wanted = ret->number;
    const struct px_onnx_attribute *attribute = px_onnx_find(model, node, name);
    bool found = false;
    ret->number = 0;
    if (!attribute)
        return PX_OK;
    enum px_code code = find_field(attribute, wanted, ret, &found, err);
    if (code != PX_OK)
        return wrap(node, name, err);
    if (found)
        return PX_OK;
    px_err_set(err, PX_E_CORRUPT, "has no value of the type that is expected");
    return wrap(node, name, err);
}

enum px_code px_onnx_get_int(const struct px_onnx_model *model, const struct px_onnx_node *node,
                             const char *name, int64_t *ret, struct px_err *err)
{
    struct px_protobuf_field field = {.number = VALUE_I};
    enum px_code code = get_field(model, node, name, &field, err);
    if (code == PX_OK && field.number)
        *ret = px_protobuf_i64(&field);
    return code;
}

enum px_code px_onnx_get_float(const struct px_onnx_model *model, const struct px_onnx_node *node,
                               const char *name, double *ret, struct px_err *err)
{
    struct px_protobuf_field field = {.number = VALUE_F};
    enum px_code code = get_field(model, node, name, &field, err);
    if (code == PX_OK && field.number)
        *ret = (double)px_protobuf_f32(&field);
    return code;
}

enum px_code px_onnx_get_text(const struct px_onnx_model *model, const struct px_onnx_node *node,
                              const char *name, struct px_str *ret, struct px_err *err)
{
    struct px_protobuf_field field = {.number = VALUE_S};
    enum px_code code = get_field(model, node, name, &field, err);
    if (code == PX_OK && field.number)
        *ret = field.bytes;
    return code;
}

struct list {
    struct px_ints *ints;
    struct px_doubles *doubles;
    struct px_strs *texts;
};

static enum px_code add_item(const struct px_protobuf_field *field, const struct list *list,
                             struct px_err *err)
{
    if (list->ints && field->number == INTS)
        return px_protobuf_add_ints(field, list->ints, err);
    if (list->doubles && field->number == FLOATS)
        return px_protobuf_add_floats(field, list->doubles, err);
    if (!list->texts || field->number != STRINGS)
        return PX_OK;
    struct px_str *text = px_vec_push(list->texts);
    if (!text)
        return px_ir_no_memory(err);
    *text = field->bytes;
    return PX_OK;
}

static enum px_code get_list(const struct px_onnx_model *model, const struct px_onnx_node *node,
                             const char *name, const struct list *list, struct px_err *err)
{
    const struct px_onnx_attribute *attribute = px_onnx_find(model, node, name);
    enum px_code code = PX_OK;
    if (!attribute)
        return PX_OK;
    struct px_protobuf p = px_protobuf(attribute->message);
    struct px_protobuf_field field;
    while (code == PX_OK && px_protobuf_next(&p, &field))
        code = add_item(&field, list, err);
    if (code == PX_OK)
        code = px_protobuf_check(&p, "the list", err);
    return code == PX_OK ? PX_OK : wrap(node, name, err);
}

enum px_code px_onnx_get_ints(const struct px_onnx_model *model, const struct px_onnx_node *node,
                              const char *name, struct px_ints *ret, struct px_err *err)
{
    return get_list(model, node, name, &(struct list){.ints = ret}, err);
}

enum px_code px_onnx_get_floats(const struct px_onnx_model *model, const struct px_onnx_node *node,
                                const char *name, struct px_doubles *ret, struct px_err *err)
{
    return get_list(model, node, name, &(struct list){.doubles = ret}, err);
}

enum px_code px_onnx_get_texts(const struct px_onnx_model *model, const struct px_onnx_node *node,
                               const char *name, struct px_strs *ret, struct px_err *err)
{
    return get_list(model, node, name, &(struct list){.texts = ret}, err);
}

/* A TensorProto under way: integers and raw bytes are kept until the type is known. */
struct tensor_parts {
    struct px_onnx_tensor *tensor;
    struct px_ints ints, dims;
    struct px_str raw;
    bool has_raw, external;
};

static enum px_code read_tensor_field(struct tensor_parts *parts,
                                      const struct px_protobuf_field *field, struct px_err *err)
{
    enum { DIMS = 1, TYPE = 2, F32 = 4, I32 = 5, I64 = 7, RAW = 9, F64 = 10, LOCATION = 14 };
    if (field->number == DIMS)
        return px_protobuf_add_ints(field, &parts->dims, err);
    if (field->number == F32)
        return px_protobuf_add_floats(field, &parts->tensor->values, err);
    if (field->number == F64)
        return px_protobuf_add_doubles(field, &parts->tensor->values, err);
    if (field->number == I32 || field->number == I64)
        return px_protobuf_add_ints(field, &parts->ints, err);
    if (field->number == TYPE)
        parts->tensor->type = field->value <= 64 ? (int)field->value : -1;
    else if (field->number == RAW)
        parts->raw = field->bytes;
    else if (field->number == LOCATION)
        parts->external = field->value != 0;
    parts->has_raw = parts->has_raw || field->number == RAW;
    return PX_OK;
}

static size_t element_size(int type)
{
    if (type == PX_ONNX_UINT8 || type == PX_ONNX_BOOL)
        return 1;
    if (type == PX_ONNX_FLOAT || type == PX_ONNX_INT32)
        return 4;
    return type == PX_ONNX_DOUBLE || type == PX_ONNX_INT64 ? 8 : 0;
}

static double raw_value(struct px_cursor *cursor, int type)
{
    uint64_t bits = px_cursor_le(cursor, element_size(type));
    if (type == PX_ONNX_FLOAT)
        return (double)px_f32_of_bits((uint32_t)bits);
    if (type == PX_ONNX_DOUBLE)
        return px_f64_of_bits(bits);
    if (type == PX_ONNX_INT32)
        return (double)(int32_t)(uint32_t)bits;
    return type == PX_ONNX_INT64 ? (double)(int64_t)bits : (double)bits;
}

static enum px_code take_raw(struct tensor_parts *parts, struct px_err *err)
{
    struct px_doubles *values = &parts->tensor->values;
    size_t size = element_size(parts->tensor->type);
    if (parts->raw.len % size || values->len || parts->ints.len)
        return px_err_set(err, PX_E_CORRUPT,
                          "raw_data of a tensor has %zu bytes for elements of "
                          "%zu, or the tensor has its data twice",
                          parts->raw.len, size);
    if (!px_vec_reserve(values, parts->raw.len / size))
        return px_ir_no_memory(err);
    struct px_cursor cursor = px_cursor(parts->raw.ptr, parts->raw.len);
    while (px_cursor_left(&cursor))
        values->items[values->len++] = raw_value(&cursor, parts->tensor->type);
    return PX_OK;
}

/* Can an element of this type have the value? Narrow types are written as wider integers. */
static bool fits(int type, int64_t value)
{
    if (type == PX_ONNX_UINT8)
        return value >= 0 && value <= UINT8_MAX;
    if (type == PX_ONNX_BOOL)
        return value == 0 || value == 1;
    return type == PX_ONNX_INT64 || (value >= INT32_MIN && value <= INT32_MAX);
}

/* The data in a field of numbers: whole ones for types of whole numbers, and no others. */
static enum px_code take_ints(struct tensor_parts *parts, struct px_err *err)
{
    struct px_doubles *values = &parts->tensor->values;
    int type = parts->tensor->type;
    bool real = type == PX_ONNX_FLOAT || type == PX_ONNX_DOUBLE;
    if (real ? parts->ints.len : values->len)
        return px_err_set(err, PX_E_CORRUPT, "a tensor of type %s has data of another type",
                          px_onnx_type_name(type));
    if (!px_vec_reserve(values, values->len + parts->ints.len))
        return px_ir_no_memory(err);
    for (size_t i = 0; i < parts->ints.len; i++) {
        if (!fits(type, parts->ints.items[i]))
            return px_err_set(err, PX_E_CORRUPT, "a tensor of type %s has the value %" PRId64,
                              px_onnx_type_name(type), parts->ints.items[i]);
        values->items[values->len++] = (double)parts->ints.items[i];
    }
    return PX_OK;
}

static enum px_code check_dims(struct tensor_parts *parts, struct px_err *err)
{
    struct px_onnx_tensor *tensor = parts->tensor;
    uint64_t n = 1;
    if (parts->dims.len > PX_ONNX_DIMS_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED, "a tensor has %zu dimensions", parts->dims.len);
    for (size_t i = 0; i < parts->dims.len; i++) {
        int64_t size = parts->dims.items[i];
        tensor->dims[tensor->n_dims++] = size;
        if (size < 0 || (n && (uint64_t)size > UINT64_MAX / n))
            return px_err_set(err, PX_E_CORRUPT, "a tensor has the dimension %" PRId64, size);
        n *= (uint64_t)size;
    }
    if (n != tensor->values.len)
        return px_err_set(err, PX_E_CORRUPT, "a tensor has %zu values, its shape asks for %" PRIu64,
                          tensor->values.len, n);
    return PX_OK;
}

static enum px_code finish_tensor(struct tensor_parts *parts, struct px_err *err)
{
    int type = parts->tensor->type;
    if (parts->external)
        return px_err_set(err, PX_E_UNSUPPORTED, "a tensor's data is in another file");
    if (element_size(type) == 0)
        return px_err_set(err, PX_E_UNSUPPORTED, "a tensor of type %s", px_onnx_type_name(type));
    enum px_code code = parts->has_raw ? take_raw(parts, err) : take_ints(parts, err);
    return code == PX_OK ? check_dims(parts, err) : code;
}

enum px_code px_onnx_tensor_read(struct px_str message, struct px_onnx_tensor *ret,
                                 struct px_err *err)
{
    struct tensor_parts parts = {.tensor = ret};
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    *ret = (struct px_onnx_tensor){0};
    while (code == PX_OK && px_protobuf_next(&p, &field))
        code = read_tensor_field(&parts, &field, err);
    if (code == PX_OK)
        code = px_protobuf_check(&p, "a tensor", err);
    if (code == PX_OK)
        code = finish_tensor(&parts, err);
    px_vec_free(&parts.ints);
    px_vec_free(&parts.dims);
    if (code != PX_OK)
        px_vec_free(&ret->values);
    return code;
}

enum px_code px_onnx_get_tensor(const struct px_onnx_model *model, const struct px_onnx_node *node,
                                const char *name, struct px_onnx_tensor *ret, struct px_err *err)
{
    struct px_protobuf_field field = {.number = VALUE_T};
    enum px_code code = get_field(model, node, name, &field, err);
    if (code != PX_OK || !field.number)
        return code;
    code = px_onnx_tensor_read(field.bytes, ret, err);
    return code == PX_OK ? PX_OK : wrap(node, name, err);
}
