/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field numbers are those of the Open Inference Protocol's inference.GRPCInferenceService. Requests have raw contents; replies are read in
 * both forms, since servers in Python answer with typed fields.
 */
#include "infrastructure/engines/remote/codec.h"
#include "infrastructure/engines/remote/values.h"

#include "application/ports/engine.h"
#include "shared/protobuf.h"

enum { PREFIX_BYTES = 5 };

/* ---- requests ---- */

static size_t begin_message(struct px_buf *to)
{
    static const char prefix[PREFIX_BYTES] = {0};
    size_t mark = to->len;
    px_buf_append(to, prefix, sizeof prefix);
    return mark;
}

static void end_message(struct px_buf *to, size_t mark)
{
    if (to->failed)
        return;
    size_t len = to->len - mark - PREFIX_BYTES;
    for (size_t i = 0; i < 4; i++)
        to->ptr[mark + 1 + i] = (char)(len >> (24 - 8 * i));
}

/* An entry of map<string, InferParameter>; which field of the choice the value has is the caller's to write. */
static size_t begin_parameter(struct px_buf *to, const char *name, size_t *ret_value)
{
    size_t entry = px_protobuf_begin(to, 4);
    px_protobuf_put_text(to, 1, name);
    *ret_value = px_protobuf_begin(to, 2);
    return entry;
}

static void end_parameter(struct px_buf *to, size_t entry, size_t value)
{
    px_protobuf_end(to, value);
    px_protobuf_end(to, entry);
}

static void put_number(struct px_buf *to, const char *name, int64_t number)
{
    size_t value, entry = begin_parameter(to, name, &value);
    px_protobuf_put_i64(to, 2, number);
    end_parameter(to, entry, value);
}

/* Servers older than uint64_param know int64_param alone: what fits that goes as that. */
static void put_id(struct px_buf *to, const char *name, uint64_t id)
{
    size_t value, entry = begin_parameter(to, name, &value);
    px_protobuf_put_u64(to, id <= INT64_MAX ? 2 : 5, id);
    end_parameter(to, entry, value);
}

static void put_truth(struct px_buf *to, const char *name, bool truth)
{
    size_t value, entry = begin_parameter(to, name, &value);
    px_protobuf_put_bool(to, 1, truth);
    end_parameter(to, entry, value);
}

static void put_sequence(struct px_buf *to, const struct px_sequence_step *step)
{
    if (step->text_id.len) {
        size_t value, entry = begin_parameter(to, "sequence_id", &value);
        px_protobuf_put_bytes(to, 3, step->text_id);
        end_parameter(to, entry, value);
    } else if (step->id) {
        put_id(to, "sequence_id", step->id);
    } else {
        return;
    }
    put_truth(to, "sequence_start", step->start);
    put_truth(to, "sequence_end", step->end);
}

static void put_input(struct px_buf *to, const struct px_tensor *input)
{
    int64_t shape[PX_TENSOR_DIMS_MAX];
    for (size_t i = 0; i < input->n_dims; i++)
        shape[i] = (int64_t)input->shape[i];
    size_t mark = px_protobuf_begin(to, 5);
    px_protobuf_put_bytes(to, 1, input->name);
    px_protobuf_put_text(to, 2, px_datatype_name(input->type));
    px_protobuf_put_packed(to, 3, shape, input->n_dims);
    px_protobuf_end(to, mark);
}

enum px_code px_remote_grpc_write(const struct px_remote_ask *ask, struct px_buf *to,
                                  struct px_err *err)
{
    const struct px_run *run = ask->run;
    size_t message = begin_message(to);
    px_protobuf_put_bytes(to, 1, ask->model);
    if (ask->version.len)
        px_protobuf_put_bytes(to, 2, ask->version);
    if (ask->timeout_us && ask->timeout_us <= INT64_MAX)
        put_number(to, "timeout", (int64_t)ask->timeout_us);
    put_sequence(to, &run->sequence);
    for (size_t i = 0; i < run->n_inputs; i++)
        put_input(to, &run->inputs[i]);
    for (size_t i = 0; i < run->n_outputs; i++) {
        size_t mark = px_protobuf_begin(to, 6);
        px_protobuf_put_bytes(to, 1, run->outputs[i].name);
        px_protobuf_end(to, mark);
    }
    for (size_t i = 0; i < run->n_inputs; i++) {
        px_protobuf_put_header(to, 7, run->inputs[i].bytes.len);
        px_buf_str(to, run->inputs[i].bytes);
    }
    end_message(to, message);
    return px_buf_check(to, "the request to a peer", err);
}

void px_remote_grpc_write_model(struct px_str model, struct px_str version, struct px_buf *to)
{
    size_t message = begin_message(to);
    px_protobuf_put_bytes(to, 1, model);
    if (version.len)
        px_protobuf_put_bytes(to, 2, version);
    end_message(to, message);
}

/* ---- replies ---- */

enum px_code px_remote_grpc_message(struct px_str body, struct px_str *ret, struct px_err *err)
{
    struct px_cursor cursor = px_cursor(body.ptr, body.len);
    uint8_t compressed = px_cursor_u8(&cursor);
    uint64_t len = px_cursor_be(&cursor, 4);
    if (cursor.failed)
        return px_err_set(err, PX_E_INVALID, "expected a message, got %zu bytes", body.len);
    if (compressed)
        return px_err_set(err, PX_E_INVALID, "the message is compressed, which was not offered");
    if (len != px_cursor_left(&cursor))
        return px_err_set(err, PX_E_INVALID, "expected one message of %llu bytes, got %zu bytes",
                          (unsigned long long)len, px_cursor_left(&cursor));
    *ret = px_str_n((const char *)cursor.at, (size_t)len);
    return PX_OK;
}

/* Appends the dimensions of a field `shape`, packed or not; false when there are too many or it is no such field. */
static bool read_shape(const struct px_protobuf_field *field, int64_t *shape, size_t *n)
{
    struct px_cursor cursor = px_cursor(field->bytes.ptr, field->bytes.len);
    bool packed = field->wire == PX_PROTOBUF_BYTES;
    if (!packed && field->wire != PX_PROTOBUF_VARINT)
        return false;
    while (!packed || px_cursor_left(&cursor) > 0) {
        int64_t dim = packed ? (int64_t)px_protobuf_varint(&cursor) : px_protobuf_i64(field);
        if (cursor.failed || *n == PX_TENSOR_DIMS_MAX)
            return false;
        shape[(*n)++] = dim;
        if (!packed)
            break;
    }
    return true;
}

/* What InferOutputTensor and TensorMetadata have in common. */
struct described {
    struct px_str name, type_name, contents;
    int64_t shape[PX_TENSOR_DIMS_MAX];
    size_t n_dims;
    bool has_contents;
    bool told_rank, unknown_rank; /* by the parameter unknown_rank */
};

/* Reads unknown_rank from an entry of a map of parameters, when it is that. */
static void read_unknown_rank(struct px_str entry, struct described *ret)
{
    struct px_protobuf reader = px_protobuf(entry), choice = px_protobuf((struct px_str){NULL, 0});
    struct px_protobuf_field field;
    struct px_str key = {NULL, 0};
    while (px_protobuf_next(&reader, &field)) {
        if (field.wire == PX_PROTOBUF_BYTES && field.number == 1)
            key = field.bytes;
        if (field.wire == PX_PROTOBUF_BYTES && field.number == 2)
            choice = px_protobuf(field.bytes);
    }
    if (!px_str_is(key, "unknown_rank"))
        return;
    while (px_protobuf_next(&choice, &field)) {
        ret->told_rank = field.number == 1 && field.wire == PX_PROTOBUF_VARINT;
        ret->unknown_rank = ret->told_rank && field.value != 0;
    }
}

static enum px_code read_described(struct px_str message, struct described *ret, struct px_err *err)
{
    struct px_protobuf reader = px_protobuf(message);
    struct px_protobuf_field field;
    *ret = (struct described){0};
    while (px_protobuf_next(&reader, &field)) {
        bool bytes = field.wire == PX_PROTOBUF_BYTES;
        if (field.number == 1 && bytes) {
            ret->name = field.bytes;
        } else if (field.number == 2 && bytes) {
            ret->type_name = field.bytes;
        } else if (field.number == 3 && !read_shape(&field, ret->shape, &ret->n_dims)) {
            return px_err_set(err, PX_E_INVALID,
                              "'%.*s': the shape has more than %d dimensions, "
                              "or is none",
                              PX_STR_ARG(ret->name), (int)PX_TENSOR_DIMS_MAX);
        } else if (field.number == 4 && bytes) {
            read_unknown_rank(field.bytes, ret);
        } else if (field.number == 5 && bytes) {
            ret->contents = field.bytes;
            ret->has_contents = true;
        }
    }
    return px_protobuf_check(&reader, "a tensor", err);
}

static enum px_code read_type(const struct described *described, enum px_datatype *ret,
                              struct px_err *err)
{
    *ret = px_datatype_from_name(described->type_name);
    if (*ret == PX_TYPE_NONE)
        return px_err_set(err, PX_E_INVALID, "'%.*s': the datatype '%.*s' is not known",
                          PX_STR_ARG(described->name), PX_STR_ARG(described->type_name));
    return PX_OK;
}

/* The raw contents of a reply, in the order of its outputs. */
struct raw {
    struct px_protobuf reader; /* of the reply */
    bool any;
};

static struct raw raw_contents(struct px_str message)
{
    struct raw raw = {px_protobuf(message), false};
    struct px_protobuf probe = raw.reader;
    struct px_protobuf_field field;
    while (px_protobuf_next(&probe, &field))
        raw.any |= field.number == 6 && field.wire == PX_PROTOBUF_BYTES;
    return raw;
}

static bool next_raw(struct raw *raw, struct px_str *ret)
{
    struct px_protobuf_field field;
    while (px_protobuf_next(&raw->reader, &field)) {
        if (field.number == 6 && field.wire == PX_PROTOBUF_BYTES) {
            *ret = field.bytes;
            return true;
        }
    }
    return false;
}

static enum px_code take_output(struct px_str message, struct raw *raw,
                                const struct px_remote_answer *answer, struct px_err *err)
{
    struct described described;
    struct px_tensor tensor = {0};
    enum px_code code = read_described(message, &described, err);
    if (code == PX_OK)
        code = read_type(&described, &tensor.type, err);
    if (code != PX_OK)
        return code;
    tensor.name = described.name;
    tensor.n_dims = described.n_dims;
    for (size_t i = 0; i < tensor.n_dims; i++) {
        if (described.shape[i] < 0)
            return px_err_set(err, PX_E_INVALID, "'%.*s': a dimension is negative",
                              PX_STR_ARG(tensor.name));
        tensor.shape[i] = (uint64_t)described.shape[i];
    }
    if (raw->any && !next_raw(raw, &tensor.bytes))
        return px_err_set(err, PX_E_INVALID, "output '%.*s' has no raw contents",
                          PX_STR_ARG(tensor.name));
    if (!raw->any)
        code = px_remote_read_contents(described.contents, &tensor, answer->arena, err);
    return code == PX_OK ? px_remote_answer_put(answer, &tensor, err) : code;
}

enum px_code px_remote_grpc_read(struct px_str message, const struct px_remote_answer *answer,
                                 struct px_err *err)
{
    struct px_protobuf reader = px_protobuf(message);
    struct px_protobuf_field field;
    struct raw raw = raw_contents(message);
    size_t n = 0;
    while (px_protobuf_next(&reader, &field)) {
        if (field.number != 5 || field.wire != PX_PROTOBUF_BYTES)
            continue;
        if (n++ == PX_ENGINE_TENSORS_MAX)
            return px_err_set(err, PX_E_TOO_LARGE, "the reply has more than %d outputs",
                              (int)PX_ENGINE_TENSORS_MAX);
        enum px_code code = take_output(field.bytes, &raw, answer, err);
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_protobuf_check(&reader, "ModelInferResponse", err);
    return code == PX_OK ? px_remote_answer_check(answer, err) : code;
}

/* ---- metadata, readiness, errors ---- */

/* An empty shape may be a scalar's, and may be that of a server that does not know: then the server will judge what it gets. */
static enum px_code read_spec(struct px_str message, struct px_arena *arena,
                              struct px_tensor_spec *ret, struct px_err *err)
{
    struct described described;
    enum px_code code = read_described(message, &described, err);
    if (code == PX_OK)
        code = read_type(&described, &ret->type, err);
    if (code != PX_OK)
        return code;
    ret->name = px_arena_str(arena, described.name);
    ret->n_dims = described.unknown_rank ? 0 : described.n_dims;
    ret->any_rank = described.told_rank ? described.unknown_rank : ret->n_dims == 0;
    for (size_t i = 0; i < ret->n_dims; i++)
        ret->shape[i] = described.shape[i] < 0 ? PX_DIM_ANY : described.shape[i];
    return px_arena_check(arena, "the model's metadata", err);
}

enum px_code px_remote_grpc_read_metadata(struct px_str message, struct px_arena *arena,
                                          struct px_remote_metadata *ret, struct px_err *err)
{
    struct px_protobuf reader = px_protobuf(message);
    struct px_protobuf_field field;
    struct px_tensor_spec *lists[2];
    size_t n[2] = {0};
    *ret = (struct px_remote_metadata){0};
    for (size_t i = 0; i < 2; i++)
        lists[i] = px_arena_zalloc(arena, PX_ENGINE_TENSORS_MAX, sizeof *lists[i]);
    enum px_code code = px_arena_check(arena, "the model's metadata", err);
    while (code == PX_OK && px_protobuf_next(&reader, &field)) {
        if ((field.number != 4 && field.number != 5) || field.wire != PX_PROTOBUF_BYTES)
            continue;
        size_t which = field.number - 4;
        if (n[which] == PX_ENGINE_TENSORS_MAX)
            return px_err_set(err, PX_E_TOO_LARGE, "a model has at most %d tensors",
                              (int)PX_ENGINE_TENSORS_MAX);
        code = read_spec(field.bytes, arena, &lists[which][n[which]++], err);
    }
    if (code != PX_OK)
        return code;
    ret->inputs = (struct px_tensor_specs){lists[0], n[0]};
    ret->outputs = (struct px_tensor_specs){lists[1], n[1]};
    return px_protobuf_check(&reader, "ModelMetadataResponse", err);
}

enum px_code px_remote_grpc_read_ready(struct px_str message, bool *ret, struct px_err *err)
{
    struct px_protobuf reader = px_protobuf(message);
    struct px_protobuf_field field;
    *ret = false;
    while (px_protobuf_next(&reader, &field)) {
        if (field.number == 1 && field.wire == PX_PROTOBUF_VARINT)
            *ret = field.value != 0;
    }
    return px_protobuf_check(&reader, "ModelReadyResponse", err);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void px_remote_grpc_read_error(struct px_str header, char *out, size_t size)
{
    char decoded[1024];
    size_t n = 0;
    struct px_buf to = px_buf_fixed(out, size);
    for (size_t i = 0; i < header.len && n < sizeof decoded; i++) {
        bool escape = header.ptr[i] == '%' && i + 2 < header.len;
        int high = escape ? hex_digit(header.ptr[i + 1]) : -1;
        int low = escape ? hex_digit(header.ptr[i + 2]) : -1;
        decoded[n++] = header.ptr[i];
        if (high < 0 || low < 0)
            continue;
        decoded[n - 1] = (char)(high * 16 + low);
        i += 2;
    }
    px_remote_put_printable(&to, px_str_n(decoded, n));
}
