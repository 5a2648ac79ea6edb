/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * Names and values that outlive the response (status texts, the handler's static strings, what lies in the arena) are
 * lent to the library; only the handler's own lines are copied, because their names have to become lower case. Data is
 * not copied into the library either: it asks how much may leave, and then the bytes go from the handler's buffer into
 * the loop's output behind their frame header.
 *
 * A response without a body and with trailers is one block of headers that ends the stream ("trailers-only" of gRPC).
 */
#include "infrastructure/net/http2/session.h"

#include "shared/unconst.h"

#include <stdio.h>

enum { LINES_MAX = 64 }; /* fields of a response, trailers included; a stream with more is reset */

enum { LENT = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE };

struct fields {
    nghttp2_nv rows[LINES_MAX];
    size_t n;
    bool are_too_many;
};

static void add(struct fields *fields, struct px_str name, struct px_str value, int flags)
{
    if (fields->n == LINES_MAX) {
        fields->are_too_many = true;
        return;
    }
    fields->rows[fields->n++] = (nghttp2_nv){.name = px_unconst(name.ptr),
                                             .namelen = name.len,
                                             .value = px_unconst(value.ptr ? value.ptr : ""),
                                             .valuelen = value.len,
                                             .flags = (uint8_t)flags};
}

/* Fields that speak of an HTTP/1 connection have no place here (RFC 9113, 8.2.2). */
static bool is_of_connection(struct px_str name)
{
    static const struct px_str names[] = {PX_STR("connection"), PX_STR("keep-alive"),
                                          PX_STR("transfer-encoding"), PX_STR("upgrade"),
                                          PX_STR("proxy-connection")};
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        if (px_str_eq_nocase(name, names[i]))
            return true;
    }
    return false;
}

/* "Name: value\r\n..." */
static void add_lines(struct fields *fields, const char *text)
{
    struct px_str rest = px_str(text ? text : "");
    while (rest.len) {
        struct px_str line = px_str_cut(&rest, '\n');
        struct px_str name = px_str_cut(&line, ':');
        if (name.len && !is_of_connection(name))
            add(fields, name, px_str_trim(line), NGHTTP2_NV_FLAG_NONE);
    }
}

static void add_status(struct fields *fields, int status, char text[4])
{
    static const struct px_str name = PX_STR(":status"), ok = PX_STR("200");
    if (status == 200) {
        add(fields, name, ok, LENT);
        return;
    }
    snprintf(text, 4, "%03d", status % 1000);
    add(fields, name, px_str_n(text, 3), NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

static void add_length(struct fields *fields, struct px_http2_stream *stream)
{
    static const struct px_str name = PX_STR("content-length");
    struct px_buf digits = px_buf_fixed(stream->length_text, sizeof stream->length_text);
    px_buf_u64(&digits, stream->payload.len);
    add(fields, name, px_buf_view(&digits), LENT);
}

static void add_coding(struct fields *fields, const struct px_http_exchange *http)
{
    static const struct px_str coding_name = PX_STR("content-encoding"), vary_name = PX_STR("vary"),
                               accepted = PX_STR("accept-encoding");
    if (http->coding)
        add(fields, coding_name, px_str(px_coding_name(http->coding)), LENT);
    if (http->may_compress)
        add(fields, vary_name, accepted, LENT);
}

static ssize_t offer_data(nghttp2_session *nghttp2, int32_t id, uint8_t *buf, size_t room,
                          uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct px_http2_stream *stream = source->ptr;
    (void)buf;
    (void)context;
    bool is_last;
    struct px_str ready = px_http2_stream_ready(stream, &is_last);
    if (ready.len == 0 && !is_last) {
        stream->is_paused = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t n = ready.len < room ? ready.len : room;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n < ready.len || !is_last)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream->base.http.trailers) {
        struct fields fields = {.n = 0};
        add_lines(&fields, stream->base.http.trailers);
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (fields.are_too_many || nghttp2_submit_trailer(nghttp2, id, fields.rows, fields.n) != 0)
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

/* What of the response is a block of headers: `status` is where its text lies. */
static void add_head(struct fields *fields, struct px_http2_stream *stream, char status[4])
{
    static const struct px_str type_name = PX_STR("content-type"), date_name = PX_STR("date");
    const struct px_http_exchange *http = &stream->base.http;
    const struct px_worker *worker = stream->pool->worker;
    bool is_empty = !http->streamed && stream->payload.len == 0;
    add_status(fields, http->status, status);
    add(fields, date_name, px_str_n(worker->date.text, PX_RESPONSE_DATE_LEN), LENT);
    if (http->content_type && (!is_empty || http->trailers) && px_response_has_body(http->status))
        add(fields, type_name, px_str(http->content_type), LENT);
    if (px_response_has_body(http->status))
        add_coding(fields, http);
    if (!http->streamed && !http->trailers && px_response_has_body(http->status))
        add_length(fields, stream);
    add_lines(fields, http->extra_headers);
}

static bool has_body(const struct px_http2_stream *stream)
{
    const struct px_http_exchange *http = &stream->base.http;
    bool may_have_body = px_response_has_body(http->status) && http->request.method != PX_HTTP_HEAD;
    return may_have_body && (http->streamed || stream->payload.len);
}

static int submit(struct px_http2_stream *stream)
{
    nghttp2_session *nghttp2 = stream->session->nghttp2;
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = offer_data};
    struct fields fields = {.n = 0};
    char status[4];
    add_head(&fields, stream, status);
    if (!has_body(stream))
        add_lines(&fields, stream->base.http.trailers);
    if (fields.are_too_many)
        return nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, stream->id,
                                         NGHTTP2_INTERNAL_ERROR);
    return nghttp2_submit_response(nghttp2, stream->id, fields.rows, fields.n,
                                   has_body(stream) ? &provider : NULL);
}

void px_http2_submit(struct px_http2_stream *stream)
{
    stream->is_submitted = true;
    if (submit(stream) != 0) /* without memory the session cannot go on */
        px_http2_terminate(stream->session, NGHTTP2_INTERNAL_ERROR);
    px_http2_mark_dirty(stream->session);
}
