/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nghttp2 can do at most here: one epoll per process, a server session per connection, each request answered with a
 * body of fixed size. The peer of benchmarks of HTTP/2. Build: cc -O2 http2_echo.c -lnghttp2; run:
 * http2_echo PORT BYTES PROCESSES
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static size_t body_len;
static char body[1 << 20];

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *buf, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *context)
{
    (void)s, (void)id, (void)source, (void)context;
    size_t n = body_len < room ? body_len : room;
    memcpy(buf, body, n);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *context)
{
    (void)context;
    int ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (!ends || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    nghttp2_nv fields[] = {{(uint8_t *)":status", (uint8_t *)"200", 7, 3, 0},
                           {(uint8_t *)"content-type", (uint8_t *)"application/json", 12, 16, 0}};
    nghttp2_data_provider provider = {.read_callback = read_body};
    return nghttp2_submit_response(s, frame->hd.stream_id, fields, 2, &provider);
}

static void serve(nghttp2_session *s, int fd)
{
    static uint8_t in[1 << 16], out[1 << 17];
    ssize_t n = recv(fd, in, sizeof in, 0);
    if (n <= 0 || nghttp2_session_mem_recv(s, in, (size_t)n) < 0) {
        nghttp2_session_del(s);
        close(fd);
        return;
    }
    size_t len = 0;
    const uint8_t *bytes;
    while (len < 1 << 16 && (n = nghttp2_session_mem_send(s, &bytes)) > 0) {
        memcpy(out + len, bytes, (size_t)n);
        len += (size_t)n;
    }
    if (len)
        (void)!send(fd, out, len, MSG_NOSIGNAL);
}

int main(int argc, char **argv)
{
    static nghttp2_session *sessions[4096];
    int one = 1, port = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 9091;
    body_len = argc > 2 ? strtoul(argv[2], NULL, 10) : 100;
    for (long left = argc > 3 ? strtol(argv[3], NULL, 10) : 1; left > 1 && fork() != 0; left--)
        ;
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)port)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 512))
        return 1;
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int n = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                serve(sessions[fd], fd);
                continue;
            }
            fd = accept(listener, NULL, NULL);
            nghttp2_settings_entry setting = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 256};
            nghttp2_session_server_new(&sessions[fd], callbacks, NULL);
            nghttp2_submit_settings(sessions[fd], 0, &setting, 1);
            event = (struct epoll_event){.events = EPOLLIN, .data.fd = fd};
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        }
    }
}
