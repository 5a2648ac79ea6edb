/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/remote/values.h"

#include "application/tensors/json_value.h"
#include "shared/protobuf.h"

/* How the elements of a type are seen: as one of the kinds that JSON and protobuf tell apart; of NO_KIND they have no form there. */
enum kind { NO_KIND, TRUTH, SIGNED, UNSIGNED, SINGLE, DOUBLE, TEXT };

static enum kind kind_of(enum px_datatype type)
{
    static const unsigned char kinds[PX_TYPE_COUNT] = {
        [PX_TYPE_BOOL] = TRUTH,      [PX_TYPE_INT8] = SIGNED,     [PX_TYPE_INT16] = SIGNED,
        [PX_TYPE_INT32] = SIGNED,    [PX_TYPE_INT64] = SIGNED,    [PX_TYPE_UINT8] = UNSIGNED,
        [PX_TYPE_UINT16] = UNSIGNED, [PX_TYPE_UINT32] = UNSIGNED, [PX_TYPE_UINT64] = UNSIGNED,
        [PX_TYPE_FP32] = SINGLE,     [PX_TYPE_FP64] = DOUBLE,     [PX_TYPE_BYTES] = TEXT,
    };
    return (enum kind)kinds[type];
}

static enum px_code fail_kind(const struct px_tensor *tensor, struct px_err *err)
{
    px_err_set(err, PX_E_UNSUPPORTED, "'%.*s': %s has no form but the binary one",
               PX_STR_ARG(tensor->name), px_datatype_name(tensor->type));
    return px_err_hint(err,
                       "the peer has to know the binary tensor extension, or be asked by gRPC");
}

/* ---- writing JSON ---- */

static enum px_code put_texts(struct px_json_writer *w, const struct px_tensor *tensor,
                              struct px_err *err)
{
    struct px_str rest = tensor->bytes, text;
    while (px_tensor_next_text(&rest, &text)) {
        if (!px_str_is_utf8(text))
            return px_err_set(err, PX_E_UNSUPPORTED,
                              "'%.*s': an element is not UTF-8 and the peer takes only JSON",
                              PX_STR_ARG(tensor->name));
        px_json_put_str(w, text);
    }
    return PX_OK;
}

enum px_code px_remote_put_values(struct px_json_writer *w, const struct px_tensor *tensor,
                                  struct px_err *err)
{
    enum kind kind = kind_of(tensor->type);
    if (kind == NO_KIND)
        return fail_kind(tensor, err);
    enum px_code code = PX_OK;
    px_json_begin_array(w);
    if (kind == TEXT) {
        code = put_texts(w, tensor, err);
    } else {
        size_t size = px_datatype_size(tensor->type);
        for (size_t at = 0; at + size <= tensor->bytes.len; at += size)
            px_json_put_element(w, tensor->type, tensor->bytes.ptr + at);
    }
    px_json_end_array(w);
    return code;
}

/* ---- reading ---- */

/* Every element takes a byte of the reply at least, so a shape that asks for more than the reply has is a lie. */
static enum px_code begin(struct px_tensor_writer *writer, struct px_tensor *tensor,
                          size_t text_bytes, struct px_arena *arena, struct px_err *err)
{
    if (kind_of(tensor->type) == NO_KIND)
        return fail_kind(tensor, err);
    return px_tensor_writer_init(writer, tensor, arena, text_bytes, err);
}

/* ---- from JSON ---- */

/* Some servers write a BOOL as 0 or 1. */
static enum px_code read_truth(struct px_json *json, struct px_tensor_writer *writer,
                               struct px_err *err)
{
    if (px_json_peek(json) != PX_JSON_NUMBER)
        return px_json_read_element(json, writer, err);
    uint64_t number = px_json_u64(json);
    if (number > 1)
        px_json_fail(json, "a BOOL is true, false, 0 or 1");
    return px_json_failed(json) ? PX_OK : px_tensor_put_integer(writer, number, err);
}

/* The reader's quick way for floats writes them where they belong. */
static void read_floats(struct px_json *json, struct px_tensor_writer *writer)
{
    void *to = px_tensor_writer_values(writer);
    bool is_single = writer->tensor->type == PX_TYPE_FP32;
    px_tensor_writer_advance(writer, is_single
                                         ? px_json_f32_array(json, to, writer->n_total, true)
                                         : px_json_f64_array(json, to, writer->n_total, true));
}

enum px_code px_remote_read_values(struct px_str text, struct px_tensor *tensor,
                                   struct px_arena *arena, struct px_err *err)
{
    struct px_json json;
    struct px_tensor_writer writer;
    enum px_code code = begin(&writer, tensor, text.len, arena, err);
    enum kind kind = kind_of(tensor->type);
    if (code != PX_OK)
        return code;
    px_json_init(&json, text, arena, PX_JSON_NONFINITE);
    if (kind == SINGLE || kind == DOUBLE)
        read_floats(&json, &writer);
    else
        code = px_json_read_elements(&json, &writer,
                                     kind == TRUTH ? read_truth : px_json_read_element, err);
    if (code != PX_OK)
        return code;
    if (px_json_finish(&json, err) != PX_OK)
        return px_err_wrap(err, "'%.*s'", PX_STR_ARG(tensor->name));
    return px_tensor_writer_end(&writer, err);
}

/* ---- from protobuf ---- */

/* The field of InferTensorContents. */
static uint32_t contents_field(enum px_datatype type)
{
    bool is_wide = px_datatype_size(type) == 8;
    switch (kind_of(type)) { // clang-format off
    case TRUTH: return 1;
    case SIGNED: return is_wide ? 3 : 2;
    case UNSIGNED: return is_wide ? 5 : 4;
    case SINGLE: return 6;
    case DOUBLE: return 7;
    case TEXT: return 8;
    case NO_KIND: break;
    } // clang-format on
    return 0;
}

static enum px_code fail_field(const struct px_tensor *tensor, uint32_t number, struct px_err *err)
{
    return px_err_set(err, PX_E_INVALID, "'%.*s': field %u of its contents is not %s",
                      PX_STR_ARG(tensor->name), number, px_datatype_name(tensor->type));
}

/* A whole number that does not fit is no value of the type. */
static enum px_code put_varint(struct px_tensor_writer *writer, uint64_t value, struct px_err *err)
{
    const struct px_tensor *t = writer->tensor;
    enum kind kind = kind_of(t->type);
    bool fits = kind == SIGNED  ? px_tensor_fits_signed(t->type, (int64_t)value)
                : kind == TRUTH ? value <= 1
                                : px_tensor_fits_unsigned(t->type, value);
    return fits ? px_tensor_put_integer(writer, value, err)
                : fail_field(t, contents_field(t->type), err);
}

static enum px_code put_packed(struct px_tensor_writer *writer, struct px_str bytes,
                               struct px_err *err)
{
    enum px_datatype type = writer->tensor->type;
    bool is_real = kind_of(type) == SINGLE || kind_of(type) == DOUBLE;
    struct px_cursor cursor = px_cursor(bytes.ptr, bytes.len);
    enum px_code code = PX_OK;
    while (code == PX_OK && px_cursor_left(&cursor) > 0 && !cursor.failed) {
        uint64_t value =
            is_real ? px_cursor_le(&cursor, px_datatype_size(type)) : px_protobuf_varint(&cursor);
        if (cursor.failed)
            break;
        code = is_real ? px_tensor_put_integer(writer, value, err) : put_varint(writer, value, err);
    }
    return cursor.failed ? fail_field(writer->tensor, contents_field(type), err) : code;
}

/* One value, or a packed list of them. */
static enum px_code put_field(struct px_tensor_writer *writer,
                              const struct px_protobuf_field *field, struct px_err *err)
{
    const struct px_tensor *t = writer->tensor;
    enum kind kind = kind_of(t->type);
    if (field->number != contents_field(t->type))
        return fail_field(t, field->number, err);
    if (field->wire == PX_PROTOBUF_BYTES)
        return kind == TEXT ? px_tensor_put_text(writer, field->bytes, err)
                            : put_packed(writer, field->bytes, err);
    if (kind == SINGLE && field->wire == PX_PROTOBUF_FIXED32)
        return px_tensor_put_integer(writer, field->value, err);
    if (kind == DOUBLE && field->wire == PX_PROTOBUF_FIXED64)
        return px_tensor_put_integer(writer, field->value, err);
    bool is_whole = kind == TRUTH || kind == SIGNED || kind == UNSIGNED;
    return is_whole && field->wire == PX_PROTOBUF_VARINT ? put_varint(writer, field->value, err)
                                                         : fail_field(t, field->number, err);
}

enum px_code px_remote_read_contents(struct px_str message, struct px_tensor *tensor,
                                     struct px_arena *arena, struct px_err *err)
{
    struct px_tensor_writer writer;
    struct px_protobuf reader = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = begin(&writer, tensor, message.len, arena, err);
    while (code == PX_OK && px_protobuf_next(&reader, &field))
        code = put_field(&writer, &field, err);
    if (code == PX_OK)
        code = px_protobuf_check(&reader, "InferTensorContents", err);
    return code == PX_OK ? px_tensor_writer_end(&writer, err) : code;
}
