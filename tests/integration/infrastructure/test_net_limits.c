/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server's limits: timeouts, connections, descriptors, memory, ports; and its graceful end. */
#include "net_fixture.h"

#include <pthread.h>

static struct fixture f;
static struct client client, other;
static struct reply reply;

#define HOST "Host: h\r\n"

PX_TEST(a_slow_head_is_timed_out_with_an_answer)
{
    struct px_net_config config = fixture_config();
    config.header_timeout_ms = 50;
    fixture_start(&f, config);
    client_open(&client, &f);
    client_send(&client, "GET / HTTP/1.1\r\nHo");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 408);
    CHECK_CONTAINS(reply.body, "head of the request");
    client_expect_end(&client);
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(a_head_that_drips_is_timed_out_all_the_same)
{
    struct px_net_config config = fixture_config();
    config.header_timeout_ms = 50;
    fixture_start(&f, config);
    client_open(&client, &f);
    client_send(&client, "GET / HTTP/1.1\r\nA: ");
    /* Progress does not extend the time for a head. The loop ends when the server has closed. */
    for (int i = 0; i < 3000 && send(client.fd, "a", 1, MSG_NOSIGNAL) == 1; i++) {
        struct pollfd readable = {.fd = client.fd, .events = POLLIN};
        if (poll(&readable, 1, 5) > 0)
            break;
    }
    client_read(&client, &reply);
    CHECK_INT(reply.status, 408);
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(a_stalled_body_is_timed_out_with_an_answer)
{
    struct px_net_config config = fixture_config();
    config.body_timeout_ms = 50;
    fixture_start(&f, config);
    client_open(&client, &f);
    client_send(&client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nabc");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 408);
    CHECK_CONTAINS(reply.body, "body of the request");
    client_expect_end(&client);
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(a_body_that_drips_is_timed_out_all_the_same)
{
    struct px_net_config config = fixture_config();
    config.body_timeout_ms = 300;
    fixture_start(&f, config);
    client_open(&client, &f);
    client_send(&client, "POST / HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
    /* About 100 bytes a second, without a pause that is too long. Ends when the server answers. */
    for (int i = 0; i < 2000 && send(client.fd, "a", 1, MSG_NOSIGNAL) == 1; i++) {
        struct pollfd readable = {.fd = client.fd, .events = POLLIN};
        if (poll(&readable, 1, 10) > 0)
            break;
    }
    client_read(&client, &reply);
    CHECK_INT(reply.status, 408);
    CHECK_CONTAINS(reply.body, "more slowly than 1024 bytes per second");
    client_expect_end(&client);
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(a_body_may_take_longer_than_its_timeout_while_it_comes)
{
    enum { PARTS = 12, PART = 4096 };
    static char part[PART];
    struct px_net_config config = fixture_config();
    config.body_timeout_ms = 1000;
    fixture_start(&f, config);
    client_open(&client, &f);
    client_send(&client, "POST /slow HTTP/1.1\r\n" HOST "Content-Length: 49152\r\n\r\n");
    memset(part, 'a', sizeof part);
    for (int i = 0; i < PARTS; i++) {
        poll(NULL, 0, 100);
        client_send_bytes(&client, part, PART);
    }
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "3 /slow  49152");
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(an_idle_connection_is_closed_in_silence)
{
    struct px_net_config config = fixture_config();
    config.idle_timeout_ms = 50;
    fixture_start(&f, config);
    client_open(&client, &f); /* never sends */
    client_open(&other, &f);
    client_send(&other, "GET / HTTP/1.1\r\n" HOST "\r\n");
    client_read(&other, &reply);
    client_expect_end(&client);
    client_expect_end(&other);
    CHECK_INT(f.refusals, 0);
    client_close(&client);
    client_close(&other);
    fixture_stop(&f);
}

PX_TEST(a_client_that_does_not_read_is_closed)
{
    struct px_net_config config = fixture_config();
    config.write_timeout_ms = 50;
    fixture_start(&f, config);
    client_open(&client, &f);
    client_send(&client, "GET /bytes?50000000 HTTP/1.1\r\n" HOST "\r\n");
    wait_for_connections(&f, 1);
    wait_for_connections(&f, 0);
    client_close(&client);
    fixture_stop(&f);
}

/* The kernel says "writable" only when much of its buffer is free, which here takes longer than the timeout. */
PX_TEST(a_client_that_reads_slowly_but_steadily_gets_everything)
{
    enum { BYTES = 6000000, STEP = 20000 };
    struct px_net_config config = fixture_config();
    static char taken[STEP];
    size_t total = 0;
    ssize_t n = 1;
    config.write_timeout_ms = 250;
    fixture_start(&f, config);
    client_open(&client, &f);
    client_send(&client, "GET /bytes?6000000 HTTP/1.1\r\n" HOST "\r\n");
    while (total < BYTES && n > 0) {
        poll(NULL, 0, 10);
        n = recv(client.fd, taken, sizeof taken, 0);
        total += n > 0 ? (size_t)n : 0;
    }
    CHECK(total >= BYTES);
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(connections_over_the_limit_are_answered_503)
{
    struct px_net_config config = fixture_config();
    config.connections_max = 1;
    fixture_start(&f, config);
    client_open(&client, &f);
    client_send(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 200);
    client_open(&other, &f);
    client_send(&other, "GET /2 HTTP/1.1\r\n" HOST "\r\n");
    client_read(&other, &reply);
    CHECK_INT(reply.status, 503);
    CHECK_CONTAINS(reply.body, "more than 1 connections");
    client_expect_end(&other);
    client_close(&other);
    client_send(&client, "GET /3 HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /3  0");
    client_close(&client);
    wait_for_connections(&f, 0);
    client_open(&client, &f);
    client_send(&client, "GET /4 HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 200);
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(running_out_of_descriptors_only_delays_accepting)
{
    struct rlimit before, tight;
    fixture_start(&f, fixture_config());
    client.fd = client_socket();
    client.len = 0;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    tight = before;
    tight.rlim_cur = (rlim_t)client.fd + 1; /* the next descriptor is one too many */
    CHECK(setrlimit(RLIMIT_NOFILE, &tight) == 0);
    client_connect_fd(client.fd, px_net_port(f.net, 0));
    client_send(&client, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    uint64_t busy_calls = f.busy_calls;
    poll(NULL, 0, 50);
    uint64_t wake_ups = f.busy_calls - busy_calls;
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_INT(px_net_connections(f.net), 0);
    CHECK(wake_ups < 20); /* it does not spin */
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /late  0");
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(a_response_that_does_not_fit_its_memory_is_an_error)
{
    fixture_start(&f, fixture_config());
    client_open(&client, &f);
    client_send(&client, "GET /bytes?2000000000 HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 503);
    CHECK_CONTAINS(reply.body, "no memory for the response");
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(a_port_that_is_taken_is_an_error)
{
    struct px_net_config config = fixture_config();
    struct px_net *second = NULL;
    struct px_err err;
    fixture_start(&f, config);
    config.endpoints.items[0].port = px_net_port(f.net, 0);
    CHECK_INT(px_net_create(&config, &f.handler, &second, &err), PX_E_IO);
    CHECK(second == NULL);
    CHECK_CONTAINS(err.message, "listen on 127.0.0.1 port");
    CHECK_CONTAINS(err.hint, "another program");
    fixture_stop(&f);
    CHECK_OK(px_net_create(&config, &f.handler, &second, &err)); /* free again at once */
    px_net_destroy(second);
}

PX_TEST(bad_addresses_are_errors)
{
    struct px_net_config config = fixture_config();
    struct px_net *net = NULL;
    struct px_err err;
    config.endpoints.items[0].host = "203.0.113.7"; /* TEST-NET-3: of no interface */
    CHECK_INT(px_net_create(&config, &f.handler, &net, &err), PX_E_IO);
    CHECK_CONTAINS(err.hint, "no interface");
    config.endpoints.items[0].host = "not an address";
    CHECK_INT(px_net_create(&config, &f.handler, &net, &err), PX_E_IO);
    CHECK_CONTAINS(err.hint, "127.0.0.1");
    config.n_loops = 0;
    CHECK_INT(px_net_create(&config, &f.handler, &net, &err), PX_E_INVALID);
    CHECK(net == NULL);
}

PX_TEST(listens_on_names_and_every_interface)
{
    static const char *const hosts[] = {"localhost", "0.0.0.0", "::"};
    for (size_t i = 0; i < PX_ARRAY_LEN(hosts); i++) {
        struct px_net_config config = fixture_config();
        struct px_err err;
        struct px_net *probe = NULL;
        config.endpoints.items[0].host = hosts[i];
        config.n_loops = LOOPS;
        if (px_net_create(&config, &f.handler, &probe, &err) != PX_OK)
            continue; /* a machine without IPv6 */
        px_net_destroy(probe);
        fixture_start(&f, config);
        client_open(&client, &f);
        client_send(&client, "GET / HTTP/1.1\r\n" HOST "\r\n");
        client_read(&client, &reply);
        CHECK_INT(reply.status, 200);
        client_close(&client);
        fixture_stop(&f);
    }
}

PX_TEST(no_failed_allocation_in_create_leaks_or_crashes)
{
    struct px_net_config config = fixture_config();
    config.n_loops = LOOPS;
    fixture_start(&f, config); /* fills f.handler */
    fixture_stop(&f);
    for (uint64_t n = 1;; n++) {
        struct px_net *net = NULL;
        struct px_err err;
        px_alloc_fail_at(n);
        enum px_code code = px_net_create(&config, &f.handler, &net, &err);
        px_alloc_fail_at(0);
        px_net_destroy(net);
        if (code == PX_OK)
            break;
        CHECK_INT(code, PX_E_NO_MEMORY);
        CHECK(net == NULL);
    }
}

PX_TEST(stop_closes_idle_connections_and_cuts_nothing)
{
    fixture_start(&f, fixture_config());
    client_open(&client, &f);
    client_send(&client, "GET / HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    client_open(&other, &f);
    wait_for_connections(&f, 2);
    CHECK(px_net_stop(f.net, PATIENCE_MS));
    client_expect_end(&client);
    client_expect_end(&other);
    CHECK_INT(px_net_connections(f.net), 0);
    client_close(&client);
    client_close(&other);
    fixture_stop(&f);
}

PX_TEST(an_announced_stop_asks_clients_to_leave_and_serves_on)
{
    fixture_start(&f, fixture_config());
    client_open(&client, &f);
    wait_for_connections(&f, 1);
    px_net_announce_stop(f.net);
    client_send(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 200);
    CHECK_CONTAINS(reply.head, "Connection: close\r\n");
    client_expect_end(&client);
    client_open(&other, &f); /* new ones are still taken */
    client_send(&other, "GET /2 HTTP/1.1\r\n" HOST "\r\n");
    client_read(&other, &reply);
    CHECK_INT(reply.status, 200);
    client_close(&client);
    client_close(&other);
    fixture_stop(&f);
}

static void *stop_server(void *ret_clean)
{
    *(bool *)ret_clean = px_net_stop(f.net, PATIENCE_MS);
    return NULL;
}

static bool refuses_connections(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(px_net_port(f.net, 0))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int rc = connect(fd, (struct sockaddr *)&address, sizeof address);
    close(fd);
    return rc != 0;
}

PX_TEST(a_client_between_two_requests_may_send_a_last_one)
{
    pthread_t thread;
    bool clean = false;
    fixture_start(&f, fixture_config());
    client_open(&client, &f);
    client_send(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_INT(pthread_create(&thread, NULL, stop_server, &clean), 0);
    while (!refuses_connections())
        poll(NULL, 0, 1);
    client_send(&client, "GET /2 HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 200);
    CHECK_CONTAINS(reply.head, "Connection: close\r\n");
    client_expect_end(&client);
    pthread_join(thread, NULL);
    CHECK(clean);
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(stop_answers_what_has_been_sent)
{
    fixture_start(&f, fixture_config());
    client_open(&client, &f);
    wait_for_connections(&f, 1);
    client_send(&client, "GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n");
    CHECK(px_net_stop(f.net, PATIENCE_MS));
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /1  0");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "1 /2  0");
    client_expect_end(&client);
    client_close(&client);
    fixture_stop(&f);
}

static void *finish_request_later(void *argument)
{
    (void)argument;
    while (!refuses_connections()) /* until the server is draining */
        poll(NULL, 0, 1);
    client_send(&client, "lo");
    return NULL;
}

PX_TEST(stop_waits_for_requests_that_have_begun)
{
    pthread_t thread;
    fixture_start(&f, fixture_config());
    client_open(&client, &f);
    client_send(&client,
                "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    client_read_head(&client, &reply);
    CHECK_INT(reply.status, 100);
    client_send(&client, "hel");
    CHECK_INT(pthread_create(&thread, NULL, finish_request_later, NULL), 0);
    CHECK(px_net_stop(f.net, PATIENCE_MS));
    pthread_join(thread, NULL);
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "hello");
    CHECK_CONTAINS(reply.head, "Connection: close\r\n");
    client_expect_end(&client);
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(stop_says_when_it_cut_something)
{
    fixture_start(&f, fixture_config());
    client_open(&client, &f);
    client_send(&client,
                "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    client_read_head(&client, &reply);
    CHECK(!px_net_stop(f.net, 10));
    client_expect_end(&client);
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(stop_before_start_and_twice_is_fine)
{
    struct px_net_config config = fixture_config();
    struct px_net *net = NULL;
    struct px_err err;
    CHECK_OK(px_net_create(&config, &f.handler, &net, &err));
    CHECK(px_net_stop(net, 0));
    CHECK_OK(px_net_start(net, &err));
    CHECK(px_net_stop(net, PATIENCE_MS));
    CHECK(px_net_stop(net, 0));
    px_net_destroy(net);
    px_net_destroy(NULL);
}

PX_TEST_MAIN(
    T(a_slow_head_is_timed_out_with_an_answer) T(a_head_that_drips_is_timed_out_all_the_same)
        T(a_stalled_body_is_timed_out_with_an_answer) T(a_body_that_drips_is_timed_out_all_the_same)
            T(a_body_may_take_longer_than_its_timeout_while_it_comes)
                T(an_idle_connection_is_closed_in_silence) T(a_client_that_does_not_read_is_closed)
                    T(a_client_that_reads_slowly_but_steadily_gets_everything)
                        T(connections_over_the_limit_are_answered_503)
                            T(running_out_of_descriptors_only_delays_accepting)
                                T(a_response_that_does_not_fit_its_memory_is_an_error) T(
                                    a_port_that_is_taken_is_an_error) T(bad_addresses_are_errors)
                                    T(listens_on_names_and_every_interface)
                                        T(no_failed_allocation_in_create_leaks_or_crashes) T(
                                            stop_closes_idle_connections_and_cuts_nothing)
                                            T(an_announced_stop_asks_clients_to_leave_and_serves_on)
                                                T(a_client_between_two_requests_may_send_a_last_one)
                                                    T(stop_answers_what_has_been_sent) T(
                                                        stop_waits_for_requests_that_have_begun)
                                                        T(stop_says_when_it_cut_something)
                                                            T(stop_before_start_and_twice_is_fine))
