/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server over real loopback sockets: exchanges, framing, limits, faults of clients. */
#include "net_fixture.h"

#include <pthread.h>

static struct fixture f;
static struct client client;
static struct reply reply;

#define HOST "Host: h\r\n"

static void start_one(void)
{
    fixture_start(&f, fixture_config());
    client_open(&client, &f);
}

static void stop_one(void)
{
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(answers_a_parked_request_in_the_wave)
{
    start_one();
    client_send(&client, "GET /a?b=c HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 200);
    CHECK_STR(px_str(reply.body), "1 /a b=c 0");
    CHECK_CONTAINS(reply.head, "HTTP/1.1 200 OK\r\nDate: ");
    CHECK_CONTAINS(reply.head, " GMT\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n");
    CHECK_CONTAINS(reply.head, "X-Test: yes\r\n");
    CHECK(!strstr(reply.head, "Connection:"));
    CHECK_INT(f.waves, 1);
    CHECK_INT(px_net_connections(f.net), 1);
    stop_one();
}

PX_TEST(answers_a_request_that_is_finished_at_once)
{
    start_one();
    client_send(&client, "POST /now HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "abc");
    client_send(&client, "GET /static HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "static text");
    stop_one();
}

PX_TEST(a_post_without_length_has_an_empty_body)
{
    start_one();
    client_send(&client, "POST /p HTTP/1.1\r\n" HOST "\r\nGET /g HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "3 /p  0");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /g  0");
    stop_one();
}

PX_TEST(keep_alive_requests_allocate_nothing_after_warm_up)
{
    static const char request[] = "POST /echo HTTP/1.1\r\n" HOST "User-Agent: test\r\n"
                                  "Content-Type: application/json\r\n"
                                  "Content-Length: 12\r\n\r\nabcdefghijkl";
    start_one();
    uint64_t before = 0;
    for (int i = 0; i < 1010; i++) {
        if (i == 10)
            before = px_alloc_count();
        client_send(&client, request);
        client_read(&client, &reply);
        CHECK_STR(px_str(reply.body), "abcdefghijkl");
    }
    CHECK_INT(px_alloc_count() - before, 0);
    stop_one();
}

PX_TEST(large_and_chunked_requests_allocate_nothing_after_warm_up)
{
    static char request[200000];
    int head = snprintf(request, sizeof request,
                        "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
    memset(request + head, 'y', 100000);
    start_one();
    uint64_t before = 0;
    for (int i = 0; i < 60; i++) {
        if (i == 10)
            before = px_alloc_count();
        client_send_bytes(&client, request, (size_t)head + 100000);
        client_read(&client, &reply);
        CHECK_INT(reply.body_len, 100000);
        client_send(&client, "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                             "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        client_read(&client, &reply);
        CHECK_STR(px_str(reply.body), "abcde");
    }
    CHECK_INT(px_alloc_count() - before, 0);
    stop_one();
}

PX_TEST(a_hundred_pipelined_requests_are_answered_in_order)
{
    struct px_buf all = px_buf(1 << 20);
    char expected[64];
    start_one();
    for (int i = 0; i < 100; i++)
        px_buf_printf(&all, "GET /%d HTTP/1.1\r\n" HOST "X-Pad: %0*d\r\n\r\n", i, i * 3 + 1, 0);
    client_send_bytes(&client, all.ptr, all.len);
    for (int i = 0; i < 100; i++) {
        client_read(&client, &reply);
        snprintf(expected, sizeof expected, "1 /%d  0", i);
        CHECK_STR(px_str(reply.body), expected);
    }
    px_buf_deinit(&all);
    stop_one();
}

PX_TEST(pipelining_stops_at_a_close)
{
    start_one();
    client_send(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\n"
                         "GET /2 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"
                         "GET /3 HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /1  0");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /2  0");
    CHECK_CONTAINS(reply.head, "Connection: close\r\n");
    client_expect_end(&client);
    stop_one();
}

PX_TEST(one_byte_at_a_time_is_enough)
{
    static const char request[] =
        "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
        "4;x=y\r\nabcd\r\n1\r\ne\r\n0\r\nT: v\r\n\r\n";
    start_one();
    for (size_t i = 0; i < sizeof request - 1; i++) {
        client_send_bytes(&client, request + i, 1);
        if (i % 8 == 0)
            poll(NULL, 0, 1); /* so that some bytes do travel alone */
    }
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "abcde");
    stop_one();
}

PX_TEST(says_continue_when_asked)
{
    start_one();
    client_send(&client,
                "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    client_read_head(&client, &reply);
    CHECK_INT(reply.status, 100);
    client_send(&client, "abc");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 200);
    CHECK_STR(px_str(reply.body), "abc");
    /* The body is there already: no need to ask for it. */
    client_send(&client, "POST /echo HTTP/1.1\r\n" HOST
                         "Expect: 100-continue\r\nContent-Length: 3\r\n\r\ndef");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 200);
    CHECK_STR(px_str(reply.body), "def");
    stop_one();
}

PX_TEST(head_has_a_length_and_no_body)
{
    start_one();
    client_send(&client, "HEAD /bytes?9000 HTTP/1.1\r\n" HOST "\r\n"
                         "GET /after HTTP/1.1\r\n" HOST "\r\n");
    client_read_head(&client, &reply);
    CHECK_INT(reply.status, 200);
    CHECK_INT(reply.body_len, 9000);
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /after  0");
    stop_one();
}

PX_TEST(http10_closes_unless_told_otherwise)
{
    start_one();
    client_send(&client, "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_read(&client, &reply);
    CHECK_CONTAINS(reply.head, "Connection: keep-alive\r\n");
    client_send(&client, "GET /2 HTTP/1.0\r\n\r\n");
    client_read(&client, &reply);
    CHECK_CONTAINS(reply.head, "Connection: close\r\n");
    client_expect_end(&client);
    stop_one();
}

PX_TEST(a_large_body_arrives_whole)
{
    size_t len = 6 << 20;
    char *body = px_alloc(len, 1);
    CHECK(body);
    memset(body, 'z', len);
    start_one();
    for (int i = 0; i < 2; i++) {
        client_send(&client, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 6291456\r\n\r\n");
        client_send_bytes(&client, body, len);
        client_read(&client, &reply);
        CHECK_STR(px_str(reply.body), "3 /count  6291456");
    }
    px_free(body);
    stop_one();
}

PX_TEST(a_large_chunked_body_arrives_whole)
{
    static char chunk[70000];
    size_t total = 0;
    start_one();
    client_send(&client, "POST /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 50; i++) {
        size_t len = 1 + (size_t)i * 1237;
        int head = snprintf(chunk, 32, "%zx\r\n", len);
        memset(chunk + head, 'q', len);
        memcpy(chunk + head + len, "\r\n", 2);
        client_send_bytes(&client, chunk, (size_t)head + len + 2);
        total += len;
    }
    client_send(&client, "0\r\n\r\n");
    client_read(&client, &reply);
    snprintf(chunk, sizeof chunk, "3 /count  %zu", total);
    CHECK_STR(px_str(reply.body), chunk);
    stop_one();
}

PX_TEST(a_large_response_waits_for_its_reader)
{
    start_one();
    client_send(&client, "GET /bytes?20000000 HTTP/1.1\r\n" HOST "\r\n"
                         "GET /after HTTP/1.1\r\n" HOST "\r\n");
    poll(NULL, 0, 20);
    client_read(&client, &reply);
    CHECK_INT(reply.body_len, 20000000);
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /after  0");
    stop_one();
}

PX_TEST(a_client_that_has_ended_sending_is_still_answered)
{
    start_one();
    client_send(&client, "GET /half HTTP/1.1\r\n" HOST "\r\n");
    shutdown(client.fd, SHUT_WR);
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /half  0");
    client_expect_end(&client);
    stop_one();
}

static void expect_refusal(const char *request, int status)
{
    client_open(&client, &f);
    client_send(&client, request);
    client_read(&client, &reply);
    CHECK_INT(reply.status, status);
    CHECK(reply.body_len > 0);
    CHECK_CONTAINS(reply.head, "Connection: close\r\n");
    client_expect_end(&client);
    client_close(&client);
}

PX_TEST(malformed_requests_are_answered_and_closed)
{
    static char longest[6000];
    fixture_start(&f, fixture_config());
    expect_refusal("GET / HTTP/1.1\r\n\r\n", 400);
    expect_refusal("GET / HTTP/3.0\r\n" HOST "\r\n", 505);
    expect_refusal("\x16\x03\x01", 400);
    expect_refusal("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n",
                   400);
    expect_refusal("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501);
    expect_refusal("POST / HTTP/1.1\r\n" HOST "Content-Length: 8388609\r\n\r\n", 413);
    expect_refusal("POST / HTTP/1.1\r\n" HOST "Expect: x\r\nContent-Length: 1\r\n\r\n", 417);
    snprintf(longest, sizeof longest, "GET /%05000d", 0);
    expect_refusal(longest, 414);
    snprintf(longest, sizeof longest, "GET / HTTP/1.1\r\n" HOST "A: %05000d", 0);
    expect_refusal(longest, 431);
    CHECK_INT(f.refusals, 9);
    CHECK_INT(f.waves, 0);
    fixture_stop(&f);
}

PX_TEST(a_refused_body_does_not_hide_the_answer)
{
    static char body[500000];
    start_one();
    client_send(&client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 9000000\r\n\r\n");
    client_send_bytes(&client, body, sizeof body); /* keeps sending while it is being refused */
    client_read(&client, &reply);
    CHECK_INT(reply.status, 413);
    client_expect_end(&client);
    stop_one();
}

PX_TEST(a_good_request_before_a_bad_one_is_answered)
{
    start_one();
    client_send(&client, "GET /good HTTP/1.1\r\n" HOST "\r\nBAD\r\n\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /good  0");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 400);
    client_expect_end(&client);
    stop_one();
}

PX_TEST(a_reset_in_a_body_harms_nobody)
{
    fixture_start(&f, fixture_config());
    for (int i = 0; i < 20; i++) {
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        client_open(&client, &f);
        client_send(&client, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\nabc");
        setsockopt(client.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        client_close(&client);
    }
    wait_for_connections(&f, 0);
    client_open(&client, &f);
    client_send(&client, "GET /alive HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /alive  0");
    stop_one();
}

PX_TEST(a_client_that_leaves_before_its_response_harms_nobody)
{
    fixture_start(&f, fixture_config());
    for (int i = 0; i < 20; i++) {
        client_open(&client, &f);
        client_send(&client, "GET /bytes?10000000 HTTP/1.1\r\n" HOST "\r\n");
        client_close(&client);
    }
    wait_for_connections(&f, 0);
    fixture_stop(&f);
}

/* What one thread of the crowd does. */
static void *run_crowd_member(void *argument)
{
    const char *path = argument;
    struct client *mine = calloc(1, sizeof *mine);
    struct reply *got = calloc(1, sizeof *got);
    char request[256];
    bool ok = mine && got;
    if (ok) {
        mine->fd = client_socket();
        client_connect_fd(mine->fd, px_net_port(f.net, 0));
    }
    snprintf(request, sizeof request, "POST %s HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nabcd",
             path);
    for (int i = 0; ok && i < 200; i++) {
        client_send(mine, request);
        client_read(mine, got);
        ok = got->status == 200 && strcmp(got->body, "abcd") == 0;
    }
    if (mine)
        close(mine->fd);
    free(got);
    free(mine);
    return ok ? argument : NULL;
}

PX_TEST(a_crowd_on_two_loops)
{
    enum { CROWD = 8 };
    static char echo[] = "/echo", now[] = "/now";
    struct px_net_config config = fixture_config();
    pthread_t threads[CROWD];
    config.n_loops = LOOPS;
    fixture_start(&f, config);
    for (int i = 0; i < CROWD; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, run_crowd_member, i % 2 ? now : echo), 0);
    bool ok = true;
    for (int i = 0; i < CROWD; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        ok &= result != NULL;
    }
    CHECK(ok);
    CHECK(f.waves > 0 && f.busy_calls > 0);
    fixture_stop(&f);
}

PX_TEST_MAIN(
    T(answers_a_parked_request_in_the_wave) T(answers_a_request_that_is_finished_at_once)
        T(a_post_without_length_has_an_empty_body)
            T(keep_alive_requests_allocate_nothing_after_warm_up) T(
                large_and_chunked_requests_allocate_nothing_after_warm_up)
                T(a_hundred_pipelined_requests_are_answered_in_order) T(pipelining_stops_at_a_close)
                    T(one_byte_at_a_time_is_enough) T(says_continue_when_asked)
                        T(head_has_a_length_and_no_body) T(http10_closes_unless_told_otherwise)
                            T(a_large_body_arrives_whole) T(a_large_chunked_body_arrives_whole)
                                T(a_large_response_waits_for_its_reader) T(
                                    a_client_that_has_ended_sending_is_still_answered)
                                    T(malformed_requests_are_answered_and_closed) T(
                                        a_refused_body_does_not_hide_the_answer)
                                        T(a_good_request_before_a_bad_one_is_answered) T(
                                            a_reset_in_a_body_harms_nobody)
                                            T(a_client_that_leaves_before_its_response_harms_nobody)
                                                T(a_crowd_on_two_loops))
