/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/http_client.h"

#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 16 };

static enum px_code bad_url(struct px_str url, struct px_err *err)
{
    return px_err_set(err, PX_E_INVALID, "expected a URL like http://127.0.0.1:8080, got '%.*s'",
                      PX_STR_ARG(url));
}

static bool copy_text(char *out, size_t cap, struct px_str text)
{
    if (text.len >= cap || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

enum px_code px_http_client_init(struct px_http_client *client, struct px_str url,
                                 struct px_err *err)
{
    static const char scheme[] = "http://";
    *client = (struct px_http_client){.fd = -1, .in = px_buf(PX_HTTP_CLIENT_BODY_MAX)};
    if (!px_str_starts(url, scheme))
        return bad_url(url, err);
    struct px_str rest = px_str_n(url.ptr + strlen(scheme), url.len - strlen(scheme));
    size_t slash = px_str_find(rest, '/');
    struct px_str base = px_str_n(rest.ptr + slash, rest.len - slash);
    struct px_str port = px_str_n(rest.ptr, slash), host = px_str_cut(&port, ':');
    uint64_t number = 80;
    while (base.len && base.ptr[base.len - 1] == '/')
        base.len--;
    if (host.len == 0 || (port.ptr && !px_str_to_u64(port, &number)) || number > UINT16_MAX ||
        !copy_text(client->host, sizeof client->host, host) ||
        !copy_text(client->base, sizeof client->base, base))
        return bad_url(url, err);
    snprintf(client->port, sizeof client->port, "%u", (unsigned)number);
    return PX_OK;
}

static void disconnect(struct px_http_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

void px_http_client_deinit(struct px_http_client *client)
{
    disconnect(client);
    px_buf_deinit(&client->in);
}

static int connect_to(const struct addrinfo *address)
{
    const struct timeval limit = {.tv_sec = PX_HTTP_CLIENT_TIMEOUT_MS / 1000};
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static enum px_code connect_client(struct px_http_client *client, struct px_err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses;
    if (client->fd >= 0)
        return PX_OK;
    int failed = getaddrinfo(client->host, client->port, &hints, &addresses);
    if (failed)
        return px_err_set(err, PX_E_UNAVAILABLE, "%s: %s", client->host, gai_strerror(failed));
    for (const struct addrinfo *a = addresses; a && client->fd < 0; a = a->ai_next)
        client->fd = connect_to(a);
    int why = errno;
    freeaddrinfo(addresses);
    if (client->fd >= 0)
        return PX_OK;
    px_err_set(err, PX_E_UNAVAILABLE, "cannot connect to %s:%s: %s", client->host, client->port,
               strerror(why));
    return px_err_hint(err, "is 'phoenix serve' running there?");
}

static enum px_code io_failed(struct px_http_client *client, const char *what, struct px_err *err)
{
    int why = errno;
    disconnect(client);
    if (why == EINTR)
        return px_err_set(err, PX_E_CANCELLED, "interrupted");
    if (why == EAGAIN)
        return px_err_set(err, PX_E_TIMEOUT, "%s %s:%s: no answer within %d ms", what, client->host,
                          client->port, PX_HTTP_CLIENT_TIMEOUT_MS);
    return px_err_set(err, PX_E_IO, "%s %s:%s: %s", what, client->host, client->port,
                      strerror(why));
}

static enum px_code send_all(struct px_http_client *client, struct px_str bytes, struct px_err *err)
{
    while (bytes.len > 0) {
        ssize_t n = send(client->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n < 0)
            return io_failed(client, "send to", err);
        bytes = px_str_n(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return PX_OK;
}

/* Reads more; *ret_ended at the end of the connection. */
static enum px_code receive(struct px_http_client *client, bool *ret_ended, struct px_err *err)
{
    char *to = px_buf_reserve(&client->in, READ_SIZE);
    if (!to)
        return px_buf_check(&client->in, "the response", err);
    ssize_t n = recv(client->fd, to, READ_SIZE, 0);
    if (n < 0)
        return io_failed(client, "receive from", err);
    client->in.len += (size_t)n;
    *ret_ended = n == 0;
    return PX_OK;
}

/* The value of a header of the response's head, or {NULL, 0}. */
static struct px_str header_of(struct px_str head, const char *name)
{
    while (head.ptr) {
        struct px_str value = px_str_cut(&head, '\n'), key = px_str_cut(&value, ':');
        if (px_str_eq_nocase(key, px_str(name)))
            return px_str_trim(value);
    }
    return (struct px_str){0};
}

/* What the head says about the rest. */
struct head {
    size_t len; /* with the empty line */
    int status;
    bool has_length, closes;
    uint64_t length;
};

static enum px_code parse_head(struct px_str head, struct head *ret, struct px_err *err)
{
    struct px_str rest = head, status_line = px_str_cut(&rest, '\n');
    struct px_str version = px_str_cut(&status_line, ' '), code = px_str_cut(&status_line, ' ');
    struct px_str length = header_of(rest, "content-length");
    struct px_str connection = header_of(rest, "connection");
    uint64_t status = 0;
    if (!px_str_starts(version, "HTTP/1.") || !px_str_to_u64(px_str_trim(code), &status) ||
        header_of(rest, "transfer-encoding").ptr ||
        (length.ptr && !px_str_to_u64(length, &ret->length)))
        return px_err_set(err, PX_E_CORRUPT, "the response is not one that this client reads");
    ret->status = (int)status;
    ret->has_length = length.ptr != NULL;
    ret->closes = px_str_eq_nocase(connection, px_str("close"));
    return PX_OK;
}

static enum px_code read_head(struct px_http_client *client, struct head *ret, struct px_err *err)
{
    bool ended = false;
    for (;;) {
        const char *end = memmem(px_buf_cstr(&client->in), client->in.len, "\r\n\r\n", 4);
        if (end) {
            ret->len = (size_t)(end - client->in.ptr) + 4;
            return parse_head(px_str_n(client->in.ptr, ret->len), ret, err);
        }
        if (ended)
            return px_err_set(err, PX_E_IO, "%s:%s closed the connection without an answer",
                              client->host, client->port);
        enum px_code code = receive(client, &ended, err);
        if (code != PX_OK)
            return code;
    }
}

static enum px_code read_reply(struct px_http_client *client, struct px_http_client_reply *ret,
                               struct px_err *err)
{
    struct head head = {0};
    bool ended = false;
    enum px_code code = read_head(client, &head, err);
    while (code == PX_OK && !ended &&
           !(head.has_length && client->in.len >= head.len + head.length))
        code = receive(client, &ended, err);
    if (code != PX_OK)
        return code;
    if (head.has_length && client->in.len < head.len + head.length)
        return px_err_set(err, PX_E_IO, "the response ended early");
    size_t length = head.has_length ? (size_t)head.length : client->in.len - head.len;
    *ret = (struct px_http_client_reply){head.status, px_str_n(client->in.ptr + head.len, length)};
    if (head.closes || ended)
        disconnect(client);
    return PX_OK;
}

static void put_request(const struct px_http_client *client,
                        const struct px_http_client_request *request, struct px_buf *out)
{
    px_buf_printf(out,
                  "POST %s%.*s HTTP/1.1\r\nHost: %s:%s\r\nContent-Type: %s\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  client->base, (int)request->path.len, request->path.ptr, client->host,
                  client->port, request->content_type, request->body.len);
    px_buf_str(out, request->body);
}

static enum px_code exchange(struct px_http_client *client, struct px_str request,
                             struct px_http_client_reply *ret, struct px_err *err)
{
    px_buf_clear(&client->in);
    enum px_code code = connect_client(client, err);
    if (code == PX_OK)
        code = send_all(client, request, err);
    if (code == PX_OK)
        code = read_reply(client, ret, err);
    if (code != PX_OK)
        disconnect(client);
    return code;
}

enum px_code px_http_client_post(struct px_http_client *client,
                                 const struct px_http_client_request *request,
                                 struct px_http_client_reply *ret, struct px_err *err)
{
    struct px_buf out = px_buf(PX_HTTP_CLIENT_BODY_MAX);
    bool kept = client->fd >= 0;
    put_request(client, request, &out);
    enum px_code code = px_buf_check(&out, "the request", err);
    if (code == PX_OK)
        code = exchange(client, px_buf_view(&out), ret, err);
    /* A kept connection that the server closed meanwhile says nothing about the server. */
    if (code == PX_E_IO && kept && client->in.len == 0)
        code = exchange(client, px_buf_view(&out), ret, err);
    px_buf_deinit(&out);
    return code;
}
