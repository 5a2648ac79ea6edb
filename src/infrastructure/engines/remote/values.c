/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/remote/values.h"

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

static uint64_t load(const char *at, size_t size)
{
    uint64_t bits = 0;
    memcpy(&bits, at, size); /* little-endian, as tensors are */
    return bits;
}

/* The integer of `size` bytes with its sign. */
static int64_t extend(uint64_t bits, size_t size)
{
    unsigned shift = 64 - 8 * (unsigned)size;
    return (int64_t)(bits << shift) >> shift;
}

static void put_number(struct px_json_writer *w, enum kind kind, const char *at, size_t size)
{
    float single;
    double real;
    switch (kind) {
    case TRUTH:
        px_json_put_bool(w, *at != 0);
        break;
    case SIGNED:
        px_json_put_i64(w, extend(load(at, size), size));
        break;
    case UNSIGNED:
        px_json_put_u64(w, load(at, size));
        break;
    case SINGLE:
        memcpy(&single, at, sizeof single);
        px_json_put_f32(w, single, true);
        break;
    case DOUBLE:
        memcpy(&real, at, sizeof real);
        px_json_put_f64(w, real, true);
        break;
    case TEXT:
    case NO_KIND:
        break;
    }
}

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
            put_number(w, kind, tensor->bytes.ptr + at, size);
    }
    px_json_end_array(w);
    return code;
}

/* ---- reading ---- */

/* Elements as they come, into memory that was made for `n` of them; texts into `room` bytes. */
struct sink {
    struct px_tensor *tensor;
    enum kind kind;
    size_t size, n, n_max;
    char *to;
    size_t len, room;
};

static enum px_code fail_count(const struct sink *sink, struct px_err *err)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    return px_err_set(err, PX_E_INVALID, "'%.*s': expected %zu values for the shape %s, got %s%zu",
                      PX_STR_ARG(sink->tensor->name), sink->n_max,
                      px_tensor_shape_text(sink->tensor, shape),
                      sink->n > sink->n_max ? "more, " : "", sink->n);
}

static enum px_code sink_init(struct sink *sink, struct px_tensor *tensor, size_t text_bytes,
                              struct px_arena *arena, struct px_err *err)
{
    *sink = (struct sink){.tensor = tensor, .kind = kind_of(tensor->type)};
    sink->size = px_datatype_size(tensor->type);
    if (sink->kind == NO_KIND)
        return fail_kind(tensor, err);
    if (!px_tensor_elements(tensor, &sink->n_max))
        return px_err_set(err, PX_E_TOO_LARGE, "'%.*s': the shape is too large",
                          PX_STR_ARG(tensor->name));
    if (sink->kind != TEXT && __builtin_mul_overflow(sink->n_max, sink->size, &sink->room))
        sink->room = SIZE_MAX;
    /* Every element takes a byte of the reply at least, so a shape that asks for more than the reply has is a lie. */
    if (sink->n_max > text_bytes)
        return px_err_set(err, PX_E_INVALID,
                          "'%.*s': the shape needs %zu values, the data has less",
                          PX_STR_ARG(tensor->name), sink->n_max);
    if (sink->kind == TEXT)
        sink->room = text_bytes + sink->n_max * sizeof(uint32_t);
    sink->to = px_arena_alloc(arena, sink->room ? sink->room : 1, 1);
    return sink->to ? PX_OK : px_arena_check(arena, "the reply", err);
}

static enum px_code sink_finish(const struct sink *sink, struct px_err *err)
{
    if (sink->n != sink->n_max)
        return fail_count(sink, err);
    sink->tensor->bytes = px_str_n(sink->to, sink->len);
    return PX_OK;
}

/* More elements than there is room for are counted and dropped: the end says so. */
static void sink_bits(struct sink *sink, const void *bits, size_t size)
{
    if (sink->n++ >= sink->n_max)
        return;
    memcpy(sink->to + sink->len, bits, size);
    sink->len += size;
}

static void sink_text(struct sink *sink, struct px_str text)
{
    uint32_t len = (uint32_t)text.len;
    if (sink->n++ >= sink->n_max || sink->room - sink->len < sizeof len + text.len)
        return;
    memcpy(sink->to + sink->len, &len, sizeof len);
    if (text.len)
        memcpy(sink->to + sink->len + sizeof len, text.ptr, text.len);
    sink->len += sizeof len + text.len;
}

static bool fits_signed(int64_t value, size_t size)
{
    return extend((uint64_t)value, size) == value;
}

static bool fits_unsigned(uint64_t value, size_t size)
{
    return size == 8 || value >> (8 * size) == 0;
}

/* ---- from JSON ---- */

static bool read_truth(struct px_json *json)
{
    if (px_json_peek(json) != PX_JSON_NUMBER)
        return px_json_bool(json);
    uint64_t number = px_json_u64(json);
    if (number > 1)
        px_json_fail(json, "a BOOL is true, false, 0 or 1");
    return number == 1;
}

static void read_element(struct px_json *json, struct sink *sink)
{
    int64_t number;
    uint64_t natural;
    bool truth;
    struct px_str text;
    switch (sink->kind) {
    case TRUTH:
        truth = read_truth(json);
        sink_bits(sink, &truth, 1);
        break;
    case SIGNED:
        number = px_json_i64(json);
        if (!fits_signed(number, sink->size))
            px_json_fail(json, "%lld does not fit %s", (long long)number,
                         px_datatype_name(sink->tensor->type));
        sink_bits(sink, &number, sink->size);
        break;
    case UNSIGNED:
        natural = px_json_u64(json);
        if (!fits_unsigned(natural, sink->size))
            px_json_fail(json, "%llu does not fit %s", (unsigned long long)natural,
                         px_datatype_name(sink->tensor->type));
        sink_bits(sink, &natural, sink->size);
        break;
    case TEXT:
        text = px_json_str(json);
        sink_text(sink, text);
        break;
    case SINGLE:
    case DOUBLE:
    case NO_KIND:
        break;
    }
}

/* Any nesting, row-major: the shape says what it means. */
static void read_nested(struct px_json *json, struct sink *sink)
{
    size_t depth = px_json_enter_array(json) ? 1 : 0;
    while (depth > 0) {
        if (!px_json_next_element(json))
            depth--;
        else if (px_json_peek(json) == PX_JSON_ARRAY)
            depth += px_json_enter_array(json);
        else
            read_element(json, sink);
    }
}

/* The reader's quick way for floats writes them where they belong. */
static void read_floats(struct px_json *json, struct sink *sink)
{
    if (sink->kind == SINGLE)
        sink->n = px_json_f32_array(json, (float *)(void *)sink->to, sink->n_max, true);
    else
        sink->n = px_json_f64_array(json, (double *)(void *)sink->to, sink->n_max, true);
    sink->len = sink->n * sink->size;
}

enum px_code px_remote_read_values(struct px_str text, struct px_tensor *tensor,
                                   struct px_arena *arena, struct px_err *err)
{
    struct px_json json;
    struct sink sink;
    enum px_code code = sink_init(&sink, tensor, text.len, arena, err);
    if (code != PX_OK)
        return code;
    px_json_init(&json, text, arena, PX_JSON_NONFINITE);
    if (sink.kind == SINGLE || sink.kind == DOUBLE)
        read_floats(&json, &sink);
    else
        read_nested(&json, &sink);
    if (px_json_finish(&json, err) != PX_OK)
        return px_err_wrap(err, "'%.*s'", PX_STR_ARG(tensor->name));
    return sink_finish(&sink, err);
}

/* ---- from protobuf ---- */

/* Fields of InferTensorContents. */
static uint32_t contents_field(const struct sink *sink)
{
    switch (sink->kind) {
    case TRUTH:
        return 1;
    case SIGNED:
        return sink->size == 8 ? 3 : 2;
    case UNSIGNED:
        return sink->size == 8 ? 5 : 4;
    case SINGLE:
        return 6;
    case DOUBLE:
        return 7;
    case TEXT:
        return 8;
    case NO_KIND:
        break;
    }
    return 0;
}

static bool add_varint(struct sink *sink, uint64_t value)
{
    bool fits = sink->kind == SIGNED  ? fits_signed((int64_t)value, sink->size)
                : sink->kind == TRUTH ? value <= 1
                                      : fits_unsigned(value, sink->size);
    sink_bits(sink, &value, sink->size);
    return fits;
}

/* One number, or a packed list of them. */
static bool add_numbers(struct sink *sink, const struct px_protobuf_field *field)
{
    bool real = sink->kind == SINGLE || sink->kind == DOUBLE;
    if (field->wire != PX_PROTOBUF_BYTES) {
        enum px_protobuf_wire want = !real                  ? PX_PROTOBUF_VARINT
                                     : sink->kind == SINGLE ? PX_PROTOBUF_FIXED32
                                                            : PX_PROTOBUF_FIXED64;
        if (field->wire != want)
            return false;
        if (!real)
            return add_varint(sink, field->value);
        sink_bits(sink, &field->value, sink->size);
        return true;
    }
    if (real && field->bytes.len % sink->size != 0)
        return false;
    struct px_cursor cursor = px_cursor(field->bytes.ptr, field->bytes.len);
    while (px_cursor_left(&cursor) > 0 && !cursor.failed) {
        if (real)
            sink_bits(sink, px_cursor_take(&cursor, sink->size), sink->size);
        else if (!add_varint(sink, px_protobuf_varint(&cursor)))
            return false;
    }
    return !cursor.failed;
}

enum px_code px_remote_read_contents(struct px_str message, struct px_tensor *tensor,
                                     struct px_arena *arena, struct px_err *err)
{
    struct sink sink;
    enum px_code code = sink_init(&sink, tensor, message.len, arena, err);
    struct px_protobuf reader = px_protobuf(message);
    struct px_protobuf_field field;
    while (code == PX_OK && px_protobuf_next(&reader, &field)) {
        bool good = field.number == contents_field(&sink);
        if (good && sink.kind == TEXT && field.wire == PX_PROTOBUF_BYTES)
            sink_text(&sink, field.bytes);
        else
            good = good && sink.kind != TEXT && add_numbers(&sink, &field);
        if (!good)
            code =
                px_err_set(err, PX_E_INVALID, "'%.*s': field %u of its contents is not %s",
                           PX_STR_ARG(tensor->name), field.number, px_datatype_name(tensor->type));
    }
    if (code == PX_OK)
        code = px_protobuf_check(&reader, "InferTensorContents", err);
    return code == PX_OK ? sink_finish(&sink, err) : code;
}
