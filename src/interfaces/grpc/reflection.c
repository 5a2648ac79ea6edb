/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reflection: which services there are, and how their messages are made.
 *
 * The answer to everything is in the descriptor set that the build made of proto/ (cmake/proto.cmake): each file of it
 * is a serialized FileDescriptorProto, sent as it is. Nothing is indexed: a request walks some 30 kB, and such requests
 * are few. v1 and v1alpha have the same messages.
 */
#include "interfaces/grpc/handlers.h"
#include "interfaces/grpc/status.h"
#include "interfaces/grpc/stream.h"

extern const unsigned char px_proto_descriptors[], px_proto_descriptors_end[];

enum { SET_FILE = 1 };

enum file_field {
    FILE_NAME = 1,
    FILE_PACKAGE,
    FILE_DEPENDENCY,
    FILE_MESSAGE,
    FILE_ENUM,
    FILE_SERVICE
};

/* In descriptors of messages, enums and services alike. */
enum { NAME = 1, MEMBER = 2, NESTED_MESSAGE = 3, NESTED_ENUM = 4 };

enum request_field {
    REQUEST_HOST = 1,
    FILE_BY_FILENAME = 3,
    FILE_CONTAINING_SYMBOL,
    FILE_CONTAINING_EXTENSION,
    ALL_EXTENSION_NUMBERS_OF_TYPE,
    LIST_SERVICES,
};

enum response_field {
    VALID_HOST = 1,
    ORIGINAL_REQUEST,
    FILE_DESCRIPTOR_RESPONSE = 4,
    ALL_EXTENSION_NUMBERS_RESPONSE,
    LIST_SERVICES_RESPONSE,
    ERROR_RESPONSE,
};

enum { FILES_MAX = 16 };

/* ---- descriptors ---- */

static bool next_file(struct px_protobuf *set, struct px_str *ret)
{
    struct px_protobuf_field field;
    while (px_protobuf_next(set, &field)) {
        if (field.number == SET_FILE) {
            *ret = field.bytes;
            return true;
        }
    }
    return false;
}

static struct px_protobuf descriptors(void)
{
    return px_protobuf(px_str_n((const char *)px_proto_descriptors,
                                (size_t)(px_proto_descriptors_end - px_proto_descriptors)));
}

/* The first field `number` of a message. */
static struct px_str member(struct px_str message, uint32_t number)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    while (px_protobuf_next(&p, &field)) {
        if (field.number == number && field.wire == PX_PROTOBUF_BYTES)
            return field.bytes;
    }
    return (struct px_str)PX_STR("");
}

/* The rest of `symbol` behind "name" and a dot; {NULL, 0} when it does not begin with them. */
static struct px_str behind(struct px_str symbol, struct px_str name)
{
    if (name.len == 0)
        return symbol;
    if (symbol.len < name.len || memcmp(symbol.ptr, name.ptr, name.len) != 0)
        return (struct px_str){0};
    if (symbol.len == name.len)
        return (struct px_str)PX_STR("");
    return symbol.ptr[name.len] == '.'
               ? px_str_n(symbol.ptr + name.len + 1, symbol.len - name.len - 1)
               : (struct px_str){0};
}

/*
 * Does a descriptor define `symbol`: itself, or a field, method, value, nested message or enum of it? Of a message
 * NESTED_MESSAGE and NESTED_ENUM are definitions; other descriptors have no fields of these numbers that are messages
 * with a name. The depth is that of our own files.
 */
static bool defines(struct px_str descriptor, struct px_str symbol)
{
    struct px_str rest = behind(symbol, member(descriptor, NAME));
    if (!rest.ptr)
        return false;
    if (rest.len == 0)
        return true;
    struct px_protobuf p = px_protobuf(descriptor);
    struct px_protobuf_field field;
    while (px_protobuf_next(&p, &field)) {
        if (field.wire != PX_PROTOBUF_BYTES)
            continue;
        if (field.number == MEMBER && px_str_eq(member(field.bytes, NAME), rest))
            return true;
        if ((field.number == NESTED_MESSAGE || field.number == NESTED_ENUM) &&
            defines(field.bytes, rest))
            return true;
    }
    return false;
}

static bool file_defines(struct px_str file, struct px_str symbol)
{
    struct px_str rest = behind(symbol, member(file, FILE_PACKAGE));
    struct px_protobuf p = px_protobuf(file);
    struct px_protobuf_field field;
    if (!rest.ptr || rest.len == 0)
        return false;
    while (px_protobuf_next(&p, &field)) {
        if (field.number >= FILE_MESSAGE && field.number <= FILE_SERVICE &&
            defines(field.bytes, rest))
            return true;
    }
    return false;
}

/* ---- answers ---- */

static bool find_file(struct px_str wanted, bool by_symbol, struct px_str *ret)
{
    struct px_protobuf set = descriptors();
    while (next_file(&set, ret)) {
        if (by_symbol ? file_defines(*ret, wanted) : px_str_eq(member(*ret, FILE_NAME), wanted))
            return true;
    }
    return false;
}

struct file_list {
    struct px_str files[FILES_MAX];
    size_t n;
};

static void add_file(struct file_list *list, struct px_str file)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->files[i].ptr == file.ptr)
            return;
    }
    if (list->n < FILES_MAX)
        list->files[list->n++] = file;
}

/* The file, then what it imports, then what that imports. */
static void put_files(struct px_buf *buf, struct px_str file)
{
    struct file_list list = {.files = {file}, .n = 1};
    for (size_t i = 0; i < list.n; i++) {
        struct px_protobuf p = px_protobuf(list.files[i]);
        struct px_protobuf_field field;
        struct px_str imported;
        while (px_protobuf_next(&p, &field)) {
            if (field.number == FILE_DEPENDENCY && find_file(field.bytes, false, &imported))
                add_file(&list, imported);
        }
    }
    size_t response = px_protobuf_begin(buf, FILE_DESCRIPTOR_RESPONSE);
    for (size_t i = 0; i < list.n; i++)
        px_protobuf_put_bytes(buf, 1, list.files[i]);
    px_protobuf_end(buf, response);
}

static void put_services(struct px_buf *buf)
{
    size_t response = px_protobuf_begin(buf, LIST_SERVICES_RESPONSE);
    for (size_t i = 0; px_grpc_service_name(i).ptr; i++) {
        size_t service = px_protobuf_begin(buf, 1);
        px_protobuf_put_bytes(buf, 1, px_grpc_service_name(i));
        px_protobuf_end(buf, service);
    }
    px_protobuf_end(buf, response);
}

static void put_error(struct px_buf *buf, enum px_code code, const char *text)
{
    size_t response = px_protobuf_begin(buf, ERROR_RESPONSE);
    px_protobuf_put_u64(buf, 1, (uint64_t)px_code_grpc(code));
    px_protobuf_put_text(buf, 2, text);
    px_protobuf_end(buf, response);
}

/* None of our messages is extended. */
static void put_extension_numbers(struct px_buf *buf, struct px_str type)
{
    struct px_str file;
    if (!find_file(type, true, &file)) {
        put_error(buf, PX_E_NOT_FOUND, "no such type");
        return;
    }
    size_t response = px_protobuf_begin(buf, ALL_EXTENSION_NUMBERS_RESPONSE);
    px_protobuf_put_bytes(buf, 1, type);
    px_protobuf_end(buf, response);
}

static void put_answer(struct px_buf *buf, const struct px_protobuf_field *question)
{
    struct px_str file;
    if (question->number == LIST_SERVICES)
        put_services(buf);
    else if (question->number == ALL_EXTENSION_NUMBERS_OF_TYPE)
        put_extension_numbers(buf, question->bytes);
    else if (question->number == FILE_CONTAINING_EXTENSION)
        put_error(buf, PX_E_NOT_FOUND, "no message is extended");
    else if (question->number == 0)
        put_error(buf, PX_E_INVALID, "the request asks for nothing");
    else if (find_file(question->bytes, question->number == FILE_CONTAINING_SYMBOL, &file))
        put_files(buf, file);
    else
        put_error(buf, PX_E_NOT_FOUND,
                  question->number == FILE_BY_FILENAME ? "no such file" : "no such symbol");
}

static enum px_code read_request(struct px_str message, struct px_str *ret_host,
                                 struct px_protobuf_field *ret_question, struct px_err *err)
{
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    *ret_host = (struct px_str)PX_STR("");
    *ret_question = (struct px_protobuf_field){.bytes = PX_STR("")};
    while (px_protobuf_next(&p, &field)) {
        if (field.number == REQUEST_HOST)
            *ret_host = field.bytes;
        else if (field.number >= FILE_BY_FILENAME && field.number <= LIST_SERVICES)
            *ret_question = field;
    }
    return px_grpc_check(&p, "the request", err);
}

static void answer(struct px_grpc_stream *stream, struct px_grpc_slot *slot)
{
    struct px_protobuf_field question;
    struct px_str host;
    struct px_err err;
    (void)stream;
    if (read_request(slot->message, &host, &question, &err) != PX_OK) {
        px_grpc_slot_fail(slot, &err);
        return;
    }
    struct px_buf *buf = px_grpc_slot_begin(slot);
    px_protobuf_put_bytes(buf, VALID_HOST, host);
    px_protobuf_put_bytes(buf, ORIGINAL_REQUEST, slot->message);
    put_answer(buf, &question);
    px_grpc_slot_done(slot);
}

const struct px_grpc_stream_ops px_grpc_reflection_ops = {.message = answer};
