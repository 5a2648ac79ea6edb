/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * What the library calls while it is fed or asked for output. Nothing here sends, closes or frees a session; a stream is
 * given back at most.
 *
 * Floods. The library bounds continuations, acknowledgements that the client does not read, settings in a frame, and resets
 * by the client. Two more bounds are kept here. Resets of any origin that cost a request its answer: a client may also
 * provoke ours, by frames that break its own streams. And frames that carry no work (all but HEADERS and DATA with a byte in
 * it): after IDLE_FRAMES_MAX of them without a byte of data either way or a request in between the
 * session ends. Both end with GOAWAY ENHANCE_YOUR_CALM.
 */
#include "infrastructure/net/http2/session.h"

#include "shared/clock.h"

enum {
    IDLE_FRAMES_MAX = 10000,
    RESETS_MAX = 1000,      /* at once */
    RESETS_PER_SECOND = 50, /* and in the long run */
};

static struct px_str bytes_of(const uint8_t *bytes, size_t len)
{
    const char *text;
    memcpy(&text, &bytes, sizeof text);
    return px_str_n(text, len);
}

static bool begins_request(const nghttp2_frame *frame)
{
    return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

static int on_begin_headers(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context)
{
    struct px_http2 *session = context;
    session->is_heading = true;
    session->heading = NULL;
    if (!begins_request(frame))
        return 0;
    session->idle_frames = 0;
    struct px_http2_stream *stream = px_http2_stream_take(session->pool);
    if (!stream)
        return nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM) == 0
                   ? 0
                   : NGHTTP2_ERR_CALLBACK_FAILURE;
    stream->id = frame->hd.stream_id;
    stream->session = session;
    stream->previous = NULL;
    stream->next = session->streams;
    if (session->streams)
        session->streams->previous = stream;
    session->streams = stream;
    session->n_streams++;
    session->heading = stream;
    nghttp2_session_set_stream_user_data(nghttp2, stream->id, stream);
    return 0;
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *context)
{
    struct px_http2 *session = context;
    (void)nghttp2;
    (void)frame;
    (void)flags;
    if (session->heading) /* trailers are passed over */
        px_http2_stream_add_header(session->heading, bytes_of(name, name_len),
                                   bytes_of(value, value_len));
    return 0;
}

static int on_data_chunk(nghttp2_session *nghttp2, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *context)
{
    struct px_http2 *session = context;
    struct px_http2_stream *stream = nghttp2_session_get_stream_user_data(nghttp2, id);
    (void)flags;
    if (len)
        session->idle_frames = 0;
    if (!stream)
        return nghttp2_session_consume_connection(nghttp2, len);
    size_t n = px_http2_stream_add_body(stream, bytes_of(data, len));
    return n ? nghttp2_session_consume(nghttp2, id, n) : 0;
}

/* Every frame passes here, also those that the library then ignores. */
static int on_begin_frame(nghttp2_session *nghttp2, const nghttp2_frame_hd *head, void *context)
{
    struct px_http2 *session = context;
    (void)nghttp2;
    bool works = head->type == NGHTTP2_HEADERS || (head->type == NGHTTP2_DATA && head->length);
    if (!works && ++session->idle_frames > IDLE_FRAMES_MAX)
        px_http2_terminate(session, NGHTTP2_ENHANCE_YOUR_CALM);
    /* After its end is decided, nothing of it is looked at any more. */
    return session->is_ending ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void on_headers_end(struct px_http2 *session, const nghttp2_frame *frame)
{
    struct px_http2_stream *stream = session->heading;
    session->is_heading = false;
    session->heading = NULL;
    bool is_last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (stream)
        px_http2_stream_end_head(stream, !is_last);
    else
        stream = nghttp2_session_get_stream_user_data(session->nghttp2, frame->hd.stream_id);
    if (stream && stream->has_head && is_last)
        px_http2_stream_end_request(stream);
}

static int on_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context)
{
    struct px_http2 *session = context;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        on_headers_end(session, frame);
    } else if (frame->hd.type == NGHTTP2_DATA) {
        struct px_http2_stream *stream =
            nghttp2_session_get_stream_user_data(nghttp2, frame->hd.stream_id);
        if (stream && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            px_http2_stream_end_request(stream);
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, int error,
                            void *context)
{
    struct px_http2 *session = context;
    (void)nghttp2;
    (void)error;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        session->is_heading = false;
        session->heading = NULL;
    }
    return 0;
}

static void count_reset(struct px_http2 *session)
{
    const uint64_t each_ns = PX_NS_PER_S / RESETS_PER_SECOND;
    uint64_t now_ns = session->pool->worker->loop.now_ns;
    uint64_t forgiven = (now_ns - session->forgiven_ns) / each_ns;
    session->forgiven_ns += forgiven * each_ns;
    session->resets -= forgiven < session->resets ? (unsigned)forgiven : session->resets;
    if (++session->resets > RESETS_MAX)
        px_http2_terminate(session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static int on_stream_close(nghttp2_session *nghttp2, int32_t id, uint32_t error_code, void *context)
{
    struct px_http2 *session = context;
    struct px_http2_stream *stream = nghttp2_session_get_stream_user_data(nghttp2, id);
    if (!stream)
        return 0;
    if (session->heading == stream)
        session->heading = NULL;
    if (error_code != NGHTTP2_NO_ERROR)
        count_reset(session);
    px_http2_stream_detach(stream);
    return 0;
}

/* The response has left before the request was complete: the rest of that is not wanted. */
static int on_frame_sent(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context)
{
    (void)context;
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS))
        return 0;
    const struct px_http2_stream *stream =
        nghttp2_session_get_stream_user_data(nghttp2, frame->hd.stream_id);
    if (!stream || stream->has_request)
        return 0;
    return nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                     NGHTTP2_NO_ERROR) == 0
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Frames the bytes that offer_data has promised: straight into the loop's output. */
static int send_data(nghttp2_session *nghttp2, nghttp2_frame *frame, const uint8_t *head,
                     size_t len, nghttp2_data_source *source, void *context)
{
    enum { HEAD_LEN = 9 };
    struct px_http2 *session = context;
    struct px_http2_stream *stream = source->ptr;
    struct px_buf *output = &session->pool->output;
    bool is_last;
    PX_ASSERT(frame->data.padlen == 0); /* nothing here asks for padding */
    if (output->len >= PX_HTTP2_OUTPUT)
        return NGHTTP2_ERR_WOULDBLOCK;
    px_buf_append(output, head, HEAD_LEN);
    px_buf_append(output, px_http2_stream_ready(stream, &is_last).ptr, len);
    session->idle_frames = 0;
    size_t n = px_http2_stream_sent(stream, len);
    if (n && nghttp2_session_consume(nghttp2, stream->id, n) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return output->failed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

bool px_http2_install_callbacks(struct px_http2_pool *pool)
{
    if (nghttp2_session_callbacks_new(&pool->callbacks) != 0)
        return false;
    nghttp2_session_callbacks *callbacks = pool->callbacks;
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    return true;
}
