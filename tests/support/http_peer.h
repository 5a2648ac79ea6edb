/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of the Open Inference Protocol over HTTP on a free port, with a thread for each connection. It serves a model
 * "add" (x + y = sum, FP32 [-1,2]) and does to requests for scores whatever a test wants:
 *
 *     struct http_peer *peer = http_peer_start(true);      // speaks binary tensors
 *     atomic_store(&peer->infer, my_behaviour);            // from now on
 *     http_peer_stop(peer);
 */
#ifndef PX_TESTS_HTTP_PEER_H
#define PX_TESTS_HTTP_PEER_H

#include "harness.h"
#include "shared/alloc.h"
#include "shared/json.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HTTP_PEER_CONNECTIONS = 512, HTTP_PEER_HEAD_MAX = 16384 };

struct http_peer_request {
    char head[HTTP_PEER_HEAD_MAX];
    struct px_buf body;
    size_t json_len;
    bool binary;
};

struct http_peer;
/* Answers a request for scores on `fd`; false: the connection is to be closed. */
typedef bool (*http_peer_infer)(struct http_peer *peer, int fd, struct http_peer_request *request);

struct http_peer {
    int fd;
    uint16_t port;
    bool binary;
    _Atomic(http_peer_infer) infer;
    _Atomic bool ready;
    _Atomic int stopping;
    _Atomic unsigned n_infer, n_ready, n_connections;
    pthread_t acceptor, threads[HTTP_PEER_CONNECTIONS];
    int fds[HTTP_PEER_CONNECTIONS];
    unsigned n_threads;
};

struct http_peer_connection {
    struct http_peer *peer;
    int fd;
};

static inline bool http_peer_send(int fd, const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = send(fd, at, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static inline bool http_peer_reply(int fd, int status, const char *headers, struct px_str body)
{
    char head[512];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\n%sContent-Length: %zu\r\n\r\n", status,
                     headers, body.len);
    return http_peer_send(fd, head, (size_t)n) && http_peer_send(fd, body.ptr, body.len);
}

static inline bool http_peer_reply_json(int fd, int status, const char *json)
{
    return http_peer_reply(fd, status, "Content-Type: application/json\r\n", px_str(json));
}

/* Breaks the connection with a reset instead of an end. */
static inline bool http_peer_reset(int fd)
{
    struct linger linger = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    return false;
}

/* ---- the model "add" ---- */

struct http_peer_add {
    float values[2][4096];
    size_t n[2], binary_bytes[2];
};

static inline void http_peer_read_input(struct px_json *json, struct http_peer_add *add)
{
    struct px_str key;
    size_t which = 0;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "name")) {
            which = px_str_is(px_json_str(json), "y");
        } else if (px_str_is(key, "data")) {
            add->n[which] = px_json_f32_array(json, add->values[which], 4096, true);
        } else if (px_str_is(key, "parameters")) {
            px_json_enter_object(json);
            while (px_json_next_key(json, &key))
                add->binary_bytes[which] = (size_t)px_json_u64(json);
        } else {
            px_json_skip(json);
        }
    }
}

static inline void http_peer_read_add(struct http_peer_request *request, struct http_peer_add *add)
{
    struct px_json json;
    struct px_str key;
    px_json_init(&json, px_str_n(request->body.ptr, request->json_len), NULL, PX_JSON_NONFINITE);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        if (!px_str_is(key, "inputs")) {
            px_json_skip(&json);
            continue;
        }
        px_json_enter_array(&json);
        while (px_json_next_element(&json))
            http_peer_read_input(&json, add);
    }
    const char *at = request->body.ptr + request->json_len;
    for (size_t i = 0; i < 2 && request->binary; i++) {
        add->n[i] = add->binary_bytes[i] / sizeof(float);
        memcpy(add->values[i], at, add->binary_bytes[i]);
        at += add->binary_bytes[i];
    }
}

static inline bool http_peer_infer_add(struct http_peer *peer, int fd,
                                       struct http_peer_request *request)
{
    struct http_peer_add *add = px_xalloc(1, sizeof *add);
    struct px_buf body = px_buf(1 << 20);
    struct px_json_writer w = px_json_writer(&body);
    char headers[128] = "";
    (void)peer;
    http_peer_read_add(request, add);
    for (size_t i = 0; i < add->n[0]; i++)
        add->values[0][i] += add->values[1][i];
    px_buf_printf(&body,
                  "{\"model_name\":\"add\",\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\","
                  "\"shape\":[%zu,2],",
                  add->n[0] / 2);
    if (request->binary) {
        px_buf_printf(&body, "\"parameters\":{\"binary_data_size\":%zu}}]}",
                      add->n[0] * sizeof(float));
        snprintf(headers, sizeof headers, "Inference-Header-Content-Length: %zu\r\n", body.len);
        px_buf_append(&body, add->values[0], add->n[0] * sizeof(float));
    } else {
        px_json_key(&w, "data");
        px_json_begin_array(&w);
        for (size_t i = 0; i < add->n[0]; i++)
            px_json_put_f32(&w, add->values[0][i], true);
        px_json_end_array(&w);
        px_buf_text(&body, "}]}");
    }
    bool good = http_peer_reply(fd, 200, headers, px_buf_view(&body));
    px_buf_deinit(&body);
    px_free(add);
    return good;
}

/* ---- the server ---- */

static inline bool http_peer_answer(struct http_peer *peer, int fd,
                                    struct http_peer_request *request)
{
    struct px_str line = px_str(request->head);
    if (px_str_starts(line, "POST")) {
        atomic_fetch_add(&peer->n_infer, 1);
        return atomic_load(&peer->infer)(peer, fd, request);
    }
    if (px_str_starts(line, "GET /v2 "))
        return http_peer_reply_json(fd, 200,
                                    peer->binary
                                        ? "{\"name\":\"p\",\"extensions\":[\"binary_tensor_data\"]}"
                                        : "{\"name\":\"p\",\"extensions\":[]}");
    if (px_str_starts(line, "GET /v2/models/add/ready ")) {
        atomic_fetch_add(&peer->n_ready, 1);
        return http_peer_reply_json(fd, atomic_load(&peer->ready) ? 200 : 503, "{}");
    }
    if (px_str_starts(line, "GET /v2/models/add "))
        return http_peer_reply_json(
            fd, 200,
            "{\"name\":\"add\",\"versions\":[\"1\"],\"platform\":\"x\",\"inputs\":["
            "{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,2]},"
            "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[-1,2]}],"
            "\"outputs\":[{\"name\":\"sum\",\"datatype\":\"FP32\",\"shape\":[-1,2]}]}");
    return http_peer_reply_json(fd, 404, "{\"error\":\"no such model, says the peer\"}");
}

static inline size_t http_peer_header(const char *head, const char *name, size_t otherwise)
{
    const char *at = strcasestr(head, name);
    return at ? (size_t)strtoull(at + strlen(name), NULL, 10) : otherwise;
}

/* One request into `request`; false at the end of the connection. */
static inline bool http_peer_receive(int fd, struct http_peer_request *request)
{
    const char *end = NULL;
    while (!end) {
        ssize_t n = recv(fd, request->head, sizeof request->head - 1, MSG_PEEK);
        if (n <= 0 || n == sizeof request->head - 1)
            return false;
        request->head[n] = '\0';
        end = strstr(request->head, "\r\n\r\n");
    }
    size_t head_len = (size_t)(end - request->head) + 4;
    if (recv(fd, request->head, head_len, MSG_WAITALL) != (ssize_t)head_len)
        return false;
    request->head[head_len] = '\0';
    size_t len = http_peer_header(request->head, "\r\nContent-Length:", 0);
    px_buf_clear(&request->body);
    char *to = px_buf_reserve(&request->body, len + 1);
    while (request->body.len < len) {
        ssize_t got = recv(fd, to + request->body.len, len - request->body.len, 0);
        if (got <= 0)
            return false;
        request->body.len += (size_t)got;
    }
    request->json_len =
        http_peer_header(request->head, "\r\nInference-Header-Content-Length:", SIZE_MAX);
    request->binary = request->json_len != SIZE_MAX;
    if (!request->binary)
        request->json_len = len;
    return true;
}

static inline void *http_peer_serve(void *context)
{
    struct http_peer_connection connection = *(struct http_peer_connection *)context;
    struct http_peer_request *request = px_xalloc(1, sizeof *request);
    px_free(context);
    request->body = px_buf(64 << 20);
    while (http_peer_receive(connection.fd, request) &&
           http_peer_answer(connection.peer, connection.fd, request)) {
    }
    px_buf_deinit(&request->body);
    px_free(request);
    shutdown(connection.fd, SHUT_RDWR);
    return NULL;
}

static inline void *http_peer_accept(void *context)
{
    struct http_peer *peer = context;
    while (!atomic_load(&peer->stopping)) {
        struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
        if (poll(&wait, 1, 20) <= 0)
            continue;
        int fd = accept(peer->fd, NULL, NULL);
        if (fd < 0 || peer->n_threads == HTTP_PEER_CONNECTIONS)
            break;
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct http_peer_connection *connection = px_xalloc(1, sizeof *connection);
        *connection = (struct http_peer_connection){peer, fd};
        atomic_fetch_add(&peer->n_connections, 1);
        peer->fds[peer->n_threads] = fd;
        pthread_create(&peer->threads[peer->n_threads++], NULL, http_peer_serve, connection);
    }
    return NULL;
}

static inline struct http_peer *http_peer_start_at(bool binary, uint16_t port)
{
    struct http_peer *peer = px_xalloc(1, sizeof *peer);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    int on = 1;
    peer->binary = binary;
    atomic_store(&peer->infer, http_peer_infer_add);
    atomic_store(&peer->ready, true);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(peer->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    CHECK(bind(peer->fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(peer->fd, 128) == 0);
    CHECK(getsockname(peer->fd, (struct sockaddr *)&address, &size) == 0);
    peer->port = ntohs(address.sin_port);
    CHECK_INT(pthread_create(&peer->acceptor, NULL, http_peer_accept, peer), 0);
    return peer;
}

static inline struct http_peer *http_peer_start(bool binary)
{
    return http_peer_start_at(binary, 0);
}

static inline void http_peer_stop(struct http_peer *peer)
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
