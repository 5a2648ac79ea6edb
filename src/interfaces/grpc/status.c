/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/grpc/status.h"

#include "interfaces/grpc/message.h"

#include <stdio.h>

enum { FIELDS_MAX = 192 + 3 * (PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 4) };

const char px_grpc_content_type[] = "application/grpc";

const char px_grpc_ok_fields[] = "grpc-status: 0\r\n";
/* What can be said without memory. */
static const char no_memory_fields[] = "grpc-status: 8\r\ngrpc-message: out of memory\r\n";

static size_t percent_encode(const char *text, char *out)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 0x20 && byte <= 0x7E && byte != '%') {
            out[n++] = (char)byte;
        } else {
            out[n++] = '%';
            out[n++] = hex[byte >> 4];
            out[n++] = hex[byte & 15];
        }
    }
    return n;
}

static const char known_codings[] = "grpc-accept-encoding: identity," PX_CODINGS "\r\n";

const char *px_grpc_status_fields(const struct px_grpc_call *call, const struct px_err *err)
{
    char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 4], fields[FIELDS_MAX];
    size_t n = (size_t)snprintf(fields, sizeof fields,
                                "grpc-status: %d\r\ngrpc-message: ", px_code_grpc(err->code));
    n += percent_encode(px_err_text(err, text, sizeof text), fields + n);
    n += (size_t)snprintf(fields + n, sizeof fields - n, "\r\n%s",
                          call->head.coding_is_unknown ? known_codings : "");
    if (err->retry_ns) /* gRPC's A6: clients that retry wait so long */
        n += (size_t)snprintf(fields + n, sizeof fields - n, "grpc-retry-pushback-ms: %llu\r\n",
                              (unsigned long long)px_err_retry_ms(err));
    char *copy = px_arena_cstr(call->exchange->arena, px_str_n(fields, n));
    return copy ? copy : no_memory_fields;
}

void px_grpc_count_error(const struct px_grpc_call *call, enum px_code code)
{
    px_serving_count_error(call->grpc->settings.serving, call->exchange->loop, code);
}

void px_grpc_answer_error(struct px_grpc_call *call, const struct px_err *err)
{
    struct px_http_exchange *exchange = call->exchange;
    px_buf_clear(exchange->body);
    exchange->status = 200;
    exchange->content_type = px_grpc_content_type;
    exchange->extra_headers = NULL;
    exchange->trailers = px_grpc_status_fields(call, err);
    px_http_finish(exchange);
}

void px_grpc_fail(struct px_grpc_call *call, const struct px_err *err)
{
    px_grpc_count_error(call, err->code);
    px_grpc_answer_error(call, err);
}

void px_grpc_reply(struct px_grpc_call *call)
{
    struct px_http_exchange *exchange = call->exchange;
    struct px_err err;
    enum px_coding coding = px_grpc_compress_reply(call, exchange->body);
    if (px_buf_check(exchange->body, "the reply", &err) != PX_OK) {
        px_grpc_fail(call, &err);
        return;
    }
    exchange->status = 200;
    exchange->content_type = px_grpc_content_type;
    exchange->extra_headers = px_grpc_encoding_field(coding);
    exchange->trailers = px_grpc_ok_fields;
    px_http_finish(exchange);
}

enum px_code px_grpc_check(const struct px_protobuf *p, const char *message, struct px_err *err)
{
    enum px_code code = px_protobuf_check(p, message, err);
    if (code != PX_E_CORRUPT)
        return code;
    if (err)
        err->code = PX_E_INVALID;
    return PX_E_INVALID;
}

enum px_code px_grpc_read_text(const struct px_protobuf_field *field, const char *name,
                               struct px_str *ret, struct px_err *err)
{
    if (field->wire != PX_PROTOBUF_BYTES)
        return px_err_set(err, PX_E_INVALID, "%s: expected a text, got wire type %d", name,
                          (int)field->wire);
    if (!px_str_is_utf8(field->bytes))
        return px_err_set(err, PX_E_INVALID, "%s: the text is not UTF-8", name);
    *ret = field->bytes;
    return PX_OK;
}

enum px_code px_grpc_read_name_version(struct px_str message, struct px_str *ret_name,
                                       struct px_str *ret_version, struct px_err *err)
{
    enum { NAME = 1, VERSION };
    struct px_protobuf p = px_protobuf(message);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    *ret_name = *ret_version = (struct px_str)PX_STR("");
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == NAME)
            code = px_grpc_read_text(&field, "name", ret_name, err);
        else if (field.number == VERSION)
            code = px_grpc_read_text(&field, "version", ret_version, err);
    }
    return code == PX_OK ? px_grpc_check(&p, "the request", err) : code;
}
