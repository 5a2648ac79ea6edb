/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC server of the Open Inference Protocol on a free port, with a thread for each connection. It serves the model "add" of
 * http_peer.h, and closes each connection after `requests_max` answers, without a word, as servers do with idle ones.
 */
#ifndef PX_TESTS_GRPC_PEER_H
#define PX_TESTS_GRPC_PEER_H

#include "harness.h"
#include "shared/alloc.h"
#include "shared/protobuf.h"
#include "shared/unconst.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GRPC_PEER_CONNECTIONS = 2048 };

struct grpc_peer {
    int fd;
    uint16_t port;
    unsigned requests_max; /* of a connection; 0: any number */
    _Atomic int stopping;
    _Atomic unsigned n_infer, n_connections;
    pthread_t acceptor, threads[GRPC_PEER_CONNECTIONS];
    int fds[GRPC_PEER_CONNECTIONS];
    unsigned n_threads;
};

struct grpc_peer_connection {
    struct grpc_peer *peer;
    int fd;
    unsigned n_requests, n_streams; /* answered, and open */
    struct grpc_peer_stream *streams;
};

struct grpc_peer_stream {
    struct grpc_peer_stream *next;
    char path[128];
    struct px_buf request, reply;
    size_t sent;
};

/* ---- messages ---- */

static inline void grpc_peer_put_tensor(struct px_buf *to, uint32_t field, const char *name,
                                        int64_t n_rows)
{
    const int64_t shape[2] = {n_rows, 2};
    size_t mark = px_protobuf_begin(to, field);
    px_protobuf_put_text(to, 1, name);
    px_protobuf_put_text(to, 2, "FP32");
    px_protobuf_put_packed(to, 3, shape, 2);
    px_protobuf_end(to, mark);
}

static inline void grpc_peer_add(struct px_str request, struct px_buf *to)
{
    struct px_protobuf reader = px_protobuf(request);
    struct px_protobuf_field field;
    struct px_str raw[2] = {{NULL, 0}, {NULL, 0}};
    size_t n = 0;
    while (px_protobuf_next(&reader, &field)) {
        if (field.number == 7 && n < 2)
            raw[n++] = field.bytes;
    }
    grpc_peer_put_tensor(to, 5, "sum", (int64_t)(raw[0].len / (2 * sizeof(float))));
    px_protobuf_put_header(to, 6, raw[0].len);
    for (size_t at = 0; at < raw[0].len && at < raw[1].len; at += sizeof(float)) {
        float x, y;
        memcpy(&x, raw[0].ptr + at, sizeof x);
        memcpy(&y, raw[1].ptr + at, sizeof y);
        x += y;
        px_buf_append(to, &x, sizeof x);
    }
}

static inline void grpc_peer_answer(struct grpc_peer *peer, struct grpc_peer_stream *stream)
{
    struct px_buf *to = &stream->reply;
    struct px_str message = px_str_n(stream->request.ptr + 5, stream->request.len - 5);
    px_buf_append(to, "\0\0\0\0\0", 5);
    if (strstr(stream->path, "/ModelMetadata")) {
        grpc_peer_put_tensor(to, 4, "x", -1);
        grpc_peer_put_tensor(to, 4, "y", -1);
        grpc_peer_put_tensor(to, 5, "sum", -1);
    } else if (strstr(stream->path, "/ModelReady")) {
        px_protobuf_put_bool(to, 1, true);
    } else {
        atomic_fetch_add(&peer->n_infer, 1);
        grpc_peer_add(message, to);
    }
    for (size_t i = 0; i < 4; i++)
        to->ptr[1 + i] = (char)((to->len - 5) >> (24 - 8 * i));
}

/* ---- what nghttp2 calls ---- */

static inline nghttp2_nv grpc_peer_header(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)px_unconst(name), (uint8_t *)px_unconst(value), strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static inline ssize_t grpc_peer_send(nghttp2_session *session, const uint8_t *bytes, size_t len,
                                     int flags, void *context)
{
    struct grpc_peer_connection *c = context;
    (void)session, (void)flags;
    ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);
    return n > 0 ? n : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static inline int grpc_peer_on_begin(nghttp2_session *session, const nghttp2_frame *frame,
                                     void *context)
{
    struct grpc_peer_connection *c = context;
    struct grpc_peer_stream *stream = px_xalloc(1, sizeof *stream);
    stream->request = px_buf(1 << 22);
    stream->reply = px_buf(1 << 22);
    c->n_streams++;
    stream->next = c->streams;
    c->streams = stream;
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
}

static inline int grpc_peer_on_header(nghttp2_session *session, const nghttp2_frame *frame,
                                      const uint8_t *name, size_t name_len, const uint8_t *value,
                                      size_t value_len, uint8_t flags, void *context)
{
    struct grpc_peer_stream *stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)flags, (void)context;
    if (stream && name_len == 5 && memcmp(name, ":path", 5) == 0)
        snprintf(stream->path, sizeof stream->path, "%.*s", (int)value_len, (const char *)value);
    return 0;
}

static inline int grpc_peer_on_data(nghttp2_session *session, uint8_t flags, int32_t id,
                                    const uint8_t *bytes, size_t len, void *context)
{
    struct grpc_peer_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    (void)flags, (void)context;
    if (stream)
        px_buf_append(&stream->request, bytes, len);
    return 0;
}

static inline ssize_t grpc_peer_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t len,
                                     uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct grpc_peer_stream *stream = source->ptr;
    size_t left = stream->reply.len - stream->sent, n = left < len ? left : len;
    (void)context;
    memcpy(to, stream->reply.ptr + stream->sent, n);
    stream->sent += n;
    if (stream->sent == stream->reply.len) {
        nghttp2_nv trailer = grpc_peer_header("grpc-status", "0");
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, &trailer, 1);
    }
    return (ssize_t)n;
}

static inline int grpc_peer_on_frame(nghttp2_session *session, const nghttp2_frame *frame,
                                     void *context)
{
    struct grpc_peer_connection *c = context;
    struct grpc_peer_stream *stream =
        nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!stream || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) || stream->request.len < 5)
        return 0;
    nghttp2_nv headers[] = {grpc_peer_header(":status", "200"),
                            grpc_peer_header("content-type", "application/grpc")};
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = grpc_peer_read};
    grpc_peer_answer(c->peer, stream);
    return nghttp2_submit_response(session, frame->hd.stream_id, headers, 2, &provider);
}

static inline void grpc_peer_free_stream(struct grpc_peer_stream *stream)
{
    px_buf_deinit(&stream->request);
    px_buf_deinit(&stream->reply);
    px_free(stream);
}

static inline int grpc_peer_on_close(nghttp2_session *session, int32_t id, uint32_t error,
                                     void *context)
{
    struct grpc_peer_connection *c = context;
    struct grpc_peer_stream *stream = nghttp2_session_get_stream_user_data(session, id);
    (void)error;
    if (!stream)
        return 0;
    c->n_requests++;
    c->n_streams--;
    struct grpc_peer_stream **at = &c->streams;
    while (*at != stream)
        at = &(*at)->next;
    *at = stream->next;
    grpc_peer_free_stream(stream);
    return nghttp2_session_set_stream_user_data(session, id, NULL);
}

/* ---- the server ---- */

static inline nghttp2_session *grpc_peer_session(struct grpc_peer_connection *c)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_send_callback(callbacks, grpc_peer_send);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, grpc_peer_on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, grpc_peer_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, grpc_peer_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, grpc_peer_on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, grpc_peer_on_close);
    nghttp2_session_server_new(&session, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, NULL, 0);
    return session;
}

static inline void *grpc_peer_serve(void *context)
{
    struct grpc_peer_connection c = *(struct grpc_peer_connection *)context;
    uint8_t bytes[16384];
    px_free(context);
    nghttp2_session *session = grpc_peer_session(&c);
    while (nghttp2_session_send(session) == 0) {
        if (c.peer->requests_max && c.n_requests >= c.peer->requests_max && c.n_streams == 0)
            break;
        ssize_t n = recv(c.fd, bytes, sizeof bytes, 0);
        if (n <= 0 || nghttp2_session_mem_recv(session, bytes, (size_t)n) != n)
            break;
    }
    nghttp2_session_del(session);
    while (c.streams) { /* that the client has left open */
        struct grpc_peer_stream *stream = c.streams;
        c.streams = stream->next;
        grpc_peer_free_stream(stream);
    }
    /* What the client still sends is read: else the kernel answers it with a reset, which may destroy the last reply. */
    shutdown(c.fd, SHUT_WR);
    setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){.tv_sec = 1},
               sizeof(struct timeval));
    while (recv(c.fd, bytes, sizeof bytes, 0) > 0) {
    }
    shutdown(c.fd, SHUT_RDWR);
    return NULL;
}

static inline void *grpc_peer_accept(void *context)
{
    struct grpc_peer *peer = context;
    while (!atomic_load(&peer->stopping)) {
        struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
        if (poll(&wait, 1, 20) <= 0)
            continue;
        int fd = accept(peer->fd, NULL, NULL), on = 1;
        if (fd < 0 || peer->n_threads == GRPC_PEER_CONNECTIONS)
            break;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct grpc_peer_connection *c = px_xalloc(1, sizeof *c);
        *c = (struct grpc_peer_connection){.peer = peer, .fd = fd};
        atomic_fetch_add(&peer->n_connections, 1);
        peer->fds[peer->n_threads] = fd;
        pthread_create(&peer->threads[peer->n_threads++], NULL, grpc_peer_serve, c);
    }
    return NULL;
}

static inline struct grpc_peer *grpc_peer_start(unsigned requests_max)
{
    struct grpc_peer *peer = px_xalloc(1, sizeof *peer);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    peer->requests_max = requests_max;
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(peer->fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(peer->fd, 128) == 0);
    CHECK(getsockname(peer->fd, (struct sockaddr *)&address, &size) == 0);
    peer->port = ntohs(address.sin_port);
    CHECK_INT(pthread_create(&peer->acceptor, NULL, grpc_peer_accept, peer), 0);
    return peer;
}

static inline void grpc_peer_stop(struct grpc_peer *peer)
{
    atomic_store(&peer->stopping, 1);
    pthread_join(peer->acceptor, NULL);
    for (unsigned i = 0; i < peer->n_threads; i++) {
        shutdown(peer->fds[i], SHUT_RDWR);
        pthread_join(peer->threads[i], NULL);
        close(peer->fds[i]);
    }
    close(peer->fd);
    px_free(peer);
}

#endif
