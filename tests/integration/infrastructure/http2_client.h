/* SPDX-License-Identifier: Apache-2.0 */
/* A client of HTTP/2 for tests: libnghttp2's client session over a socket; and raw frames, for what it would not send. */
#ifndef PX_TESTS_HTTP2_CLIENT_H
#define PX_TESTS_HTTP2_CLIENT_H

#include "long_fixture.h"

#include <nghttp2/nghttp2.h>

enum { H2_STREAMS = 2048, H2_TEXT = 4096 };

struct h2_stream {
    int status;
    char headers[1024], trailers[512]; /* "name: value\n" */
    char body[H2_TEXT];                /* its beginning */
    size_t body_len, blocks;
    bool is_closed;
    uint32_t error;
    struct px_str out; /* what is sent as the body */
    size_t out_at;
    bool out_open; /* more may follow */
};

struct h2 {
    int fd;
    nghttp2_session *session;
    struct h2_stream streams[H2_STREAMS]; /* by id / 2 */
    bool has_goaway, is_ended;
    uint32_t goaway;
    int32_t goaway_last;
    unsigned settings_acks, pongs;
};

static inline struct h2_stream *h2_stream(struct h2 *h2, int32_t id)
{
    return &h2->streams[(id / 2) % H2_STREAMS];
}

static inline int h2_on_header(nghttp2_session *session, const nghttp2_frame *frame,
                               const uint8_t *name, size_t name_len, const uint8_t *value,
                               size_t value_len, uint8_t flags, void *context)
{
    struct h2_stream *s = h2_stream(context, frame->hd.stream_id);
    (void)session;
    (void)flags;
    bool is_trailer = frame->headers.cat == NGHTTP2_HCAT_HEADERS;
    char *text = is_trailer ? s->trailers : s->headers;
    size_t room = is_trailer ? sizeof s->trailers : sizeof s->headers, at = strlen(text);
    snprintf(text + at, room - at, "%.*s: %.*s\n", (int)name_len, (const char *)name,
             (int)value_len, (const char *)value);
    if (name_len == 7 && memcmp(name, ":status", 7) == 0)
        s->status = (int)strtol((const char *)value, NULL, 10);
    return 0;
}

static inline int h2_on_data(nghttp2_session *session, uint8_t flags, int32_t id,
                             const uint8_t *data, size_t len, void *context)
{
    struct h2_stream *s = h2_stream(context, id);
    (void)session;
    (void)flags;
    size_t room = s->body_len < H2_TEXT - 1 ? H2_TEXT - 1 - s->body_len : 0;
    memcpy(s->body + (room ? s->body_len : 0), data, len < room ? len : room);
    s->body_len += len;
    return 0;
}

static inline int h2_on_close(nghttp2_session *session, int32_t id, uint32_t error, void *context)
{
    struct h2_stream *s = h2_stream(context, id);
    (void)session;
    s->is_closed = true;
    s->error = error;
    return 0;
}

static inline int h2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct h2 *h2 = context;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        h2->has_goaway = true;
        h2->goaway = frame->goaway.error_code;
        h2->goaway_last = frame->goaway.last_stream_id;
    }
    if (frame->hd.type == NGHTTP2_HEADERS)
        h2_stream(h2, frame->hd.stream_id)->blocks++;
    h2->settings_acks += frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & 1);
    h2->pongs += frame->hd.type == NGHTTP2_PING && (frame->hd.flags & 1);
    return 0;
}

static inline ssize_t h2_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t room,
                              uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct h2_stream *s = h2_stream(context, id);
    (void)session;
    (void)source;
    size_t n = s->out.len - s->out_at < room ? s->out.len - s->out_at : room;
    if (n == 0 && s->out_open)
        return NGHTTP2_ERR_DEFERRED;
    if (n)
        memcpy(buf, s->out.ptr + s->out_at, n);
    s->out_at += n;
    if (s->out_at == s->out.len && !s->out_open)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static inline void h2_open(struct h2 *h2, const struct fixture *fixture, uint32_t window)
{
    memset(h2, 0, sizeof *h2);
    struct client socket;
    client_open(&socket, fixture);
    h2->fd = socket.fd;
    nghttp2_session_callbacks *callbacks;
    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, h2_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, h2_on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, h2_on_frame);
    CHECK(nghttp2_session_client_new(&h2->session, callbacks, h2) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_settings_entry settings = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};
    CHECK(nghttp2_submit_settings(h2->session, 0, &settings, 1) == 0);
}

static inline void h2_close(struct h2 *h2)
{
    close(h2->fd);
    nghttp2_session_del(h2->session);
}

static inline void h2_send(struct h2 *h2)
{
    const uint8_t *bytes;
    ssize_t len;
    while ((len = nghttp2_session_mem_send(h2->session, &bytes)) > 0) {
        while (len > 0) {
            ssize_t n = send(h2->fd, bytes, (size_t)len, MSG_NOSIGNAL);
            if (n < 0)
                return; /* the server has ended; what it said before is still read */
            bytes += n;
            len -= n;
        }
    }
    CHECK(len == 0);
}

/* Sends what is due and receives once; false when nothing came for `timeout_ms`. */
static inline bool h2_turn(struct h2 *h2, int timeout_ms)
{
    static uint8_t bytes[1 << 16];
    h2_send(h2);
    struct pollfd ready = {.fd = h2->fd, .events = POLLIN};
    if (h2->is_ended || poll(&ready, 1, timeout_ms) == 0)
        return false;
    ssize_t n = recv(h2->fd, bytes, sizeof bytes, 0);
    h2->is_ended = n <= 0;
    if (n > 0)
        CHECK(nghttp2_session_mem_recv(h2->session, bytes, (size_t)n) == n);
    h2_send(h2);
    return true;
}

static inline void h2_wait(struct h2 *h2, int32_t id)
{
    while (!h2_stream(h2, id)->is_closed)
        CHECK(h2_turn(h2, PATIENCE_MS));
}

static inline void h2_wait_end(struct h2 *h2)
{
    while (!h2->is_ended)
        CHECK(h2_turn(h2, PATIENCE_MS));
}

static inline nghttp2_nv h2_nv(const char *name, const char *value)
{
    nghttp2_nv nv = {.namelen = strlen(name), .valuelen = strlen(value)};
    memcpy(&nv.name, &name, sizeof name);
    memcpy(&nv.value, &value, sizeof value);
    return nv;
}

/* Begins a request; `body` must outlive it. With `open` the body goes on. */
static inline int32_t h2_request(struct h2 *h2, const char *method, const char *path,
                                 struct px_str body, bool open)
{
    nghttp2_nv fields[] = {h2_nv(":method", method), h2_nv(":scheme", "http"), h2_nv(":path", path),
                           h2_nv(":authority", "h:1"), h2_nv("x-extra", "some value")};
    nghttp2_data_provider provider = {.read_callback = h2_read};
    bool has_body = body.len || open;
    int32_t id = (int32_t)nghttp2_session_get_next_stream_id(h2->session);
    memset(h2_stream(h2, id), 0, sizeof(struct h2_stream));
    h2_stream(h2, id)->out = body;
    h2_stream(h2, id)->out_open = open;
    CHECK_INT(nghttp2_submit_request(h2->session, NULL, fields, PX_ARRAY_LEN(fields),
                                     has_body ? &provider : NULL, NULL),
              id);
    return id;
}

/* More of an open body; the last part with `open` false. */
static inline void h2_more(struct h2 *h2, int32_t id, struct px_str body, bool open)
{
    struct h2_stream *s = h2_stream(h2, id);
    CHECK(s->out_at == s->out.len);
    s->out = body;
    s->out_at = 0;
    s->out_open = open;
    (void)nghttp2_session_resume_data(h2->session, id);
}

static inline struct h2_stream *h2_get(struct h2 *h2, const char *path)
{
    int32_t id = h2_request(h2, "GET", path, (struct px_str){0}, false);
    h2_wait(h2, id);
    return h2_stream(h2, id);
}

/* Raw frames. */
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static inline size_t raw_frame(char *to, int type, int flags, int32_t id, const void *payload,
                               size_t len)
{
    const unsigned char head[9] = {
        (unsigned char)(len >> 16), (unsigned char)(len >> 8), (unsigned char)len,
        (unsigned char)type,        (unsigned char)flags,      (unsigned char)(id >> 24),
        (unsigned char)(id >> 16),  (unsigned char)(id >> 8),  (unsigned char)id};
    memcpy(to, head, sizeof head);
    if (len)
        memcpy(to + sizeof head, payload, len);
    return sizeof head + len;
}

/* A request's head: GET or POST of a path, of scheme http and authority "h". */
static inline size_t raw_head(char *to, int32_t id, int flags, bool is_post, const char *path)
{
    char block[256];
    size_t n = 0, len = strlen(path);
    block[n++] = (char)(is_post ? 0x83 : 0x82);
    block[n++] = (char)0x86;
    block[n++] = 0x01; /* :authority, not indexed */
    block[n++] = 1;
    block[n++] = 'h';
    block[n++] = 0x04; /* :path, not indexed */
    block[n++] = (char)len;
    memcpy(block + n, path, len);
    return raw_frame(to, NGHTTP2_HEADERS, flags, id, block, n + len);
}

static inline void raw_open(struct client *raw, const struct fixture *fixture)
{
    char bytes[64] = PREFACE;
    client_open(raw, fixture);
    size_t n = sizeof PREFACE - 1;
    n += raw_frame(bytes + n, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
    client_send_bytes(raw, bytes, n);
}

/* Sends without caring whether the server has closed; false when it has. */
static inline bool raw_try(struct client *raw, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(raw->fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

/* Reads one frame; its type, or -1 at the end of the stream. The payload is cut to `room`. */
static inline int raw_read(struct client *raw, unsigned char *payload, size_t room, size_t *len,
                           int *flags, int32_t *id)
{
    unsigned char head[9], byte;
    for (size_t i = 0; i < sizeof head; i++) {
        if (recv(raw->fd, head + i, 1, 0) <= 0)
            return -1;
    }
    *len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
    *flags = head[4];
    *id = (int32_t)((uint32_t)(head[5] & 0x7f) << 24 | (uint32_t)head[6] << 16 |
                    (uint32_t)head[7] << 8 | head[8]);
    for (size_t i = 0; i < *len; i++) {
        if (recv(raw->fd, &byte, 1, 0) <= 0)
            return -1;
        if (i < room)
            payload[i] = byte;
    }
    return head[3];
}

/* Reads up to a frame of `type`; false when the stream ends before. */
static inline bool raw_expect(struct client *raw, int type, unsigned char payload[32], int32_t *id)
{
    size_t len;
    int flags, got;
    while ((got = raw_read(raw, payload, 32, &len, &flags, id)) >= 0) {
        if (got == type)
            return true;
    }
    return false;
}

/* The server says goodbye with `code`, or has cut the connection. */
static inline void raw_expect_goaway(struct client *raw, uint32_t code)
{
    unsigned char payload[32] = {0};
    int32_t id;
    if (raw_expect(raw, NGHTTP2_GOAWAY, payload, &id))
        CHECK_INT(payload[7], code);
}

#endif
