/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exchanges that last: deferred and streamed ones, their clients that leave, deadlines, and tasks on loops.
 *
 * The handler
 *     /defer         defers; a task of the test finishes it
 *     /never         defers, and finishes only when it is abandoned
 *     /inside        the same, but finishes inside of `abandon`
 *     /late          defers with a deadline of 30 ms; inside of `abandon` it answers 504
 *     /stream        streams: sends every piece back at once, and at the last one the trailers
 *     /early         streams: finishes in `handle`
 *     /upload        streams: counts the body, answers at its end
 *     /flood         streams: answers a piece with a megabyte
 *     /hold          streams: sends its head and stays silent
 *     anything else  answers at once
 */
#include "net_fixture.h"

#include <pthread.h>

static struct fixture f;
static struct client client;
static struct reply reply;

static struct px_http_exchange *_Atomic held;
static _Atomic unsigned abandons, pieces;
static _Atomic int reason;
static _Atomic uint64_t received;

#define HOST "Host: h\r\n"

static bool is_path(const struct px_http_exchange *exchange, const char *path)
{
    return px_str_is(exchange->request.path, path);
}

static void finish(struct px_http_exchange *exchange, int status, const char *text)
{
    exchange->status = status;
    exchange->content_type = "text/plain";
    px_buf_text(exchange->body, text);
    px_http_finish(exchange);
}

static void begin_stream(struct px_http_exchange *exchange)
{
    exchange->status = 200;
    exchange->content_type = "text/plain";
    if (is_path(exchange, "/early"))
        finish(exchange, 200, "early");
    if (is_path(exchange, "/hold"))
        px_http_send(exchange);
    if (is_path(exchange, "/stream"))
        exchange->trailers = "x-count: 1\r\n";
    held = exchange;
}

static void handle(void *context, struct px_http_exchange *exchange)
{
    (void)context;
    if (exchange->streamed) {
        begin_stream(exchange);
        return;
    }
    if (!is_path(exchange, "/defer") && !is_path(exchange, "/never") &&
        !is_path(exchange, "/inside") && !is_path(exchange, "/late")) {
        finish(exchange, 200, "whole");
        return;
    }
    if (is_path(exchange, "/late"))
        exchange->deadline_ns = exchange->request.received_ns + 30000000u;
    px_http_defer(exchange);
    held = exchange;
}

static void wave(void *context, unsigned loop)
{
    (void)context;
    (void)loop;
}

static bool streams(void *context, const struct px_http_request *request)
{
    (void)context;
    static const char *const paths[] = {"/stream", "/early", "/upload", "/flood", "/hold"};
    for (size_t i = 0; i < PX_ARRAY_LEN(paths); i++) {
        if (px_str_is(request->path, paths[i]))
            return true;
    }
    return false;
}

static void piece(void *context, struct px_http_exchange *exchange, struct px_str bytes,
                  bool is_last)
{
    (void)context;
    pieces++;
    received += bytes.len;
    if (is_path(exchange, "/stream")) {
        px_buf_str(exchange->body, bytes);
        px_http_send(exchange);
        if (is_last)
            px_http_finish(exchange);
    } else if (is_path(exchange, "/flood")) {
        char *to = px_buf_reserve(exchange->body, 1 << 20);
        memset(to, 'x', 1 << 20);
        exchange->body->len += 1 << 20;
        px_http_send(exchange);
        if (is_last)
            px_http_finish(exchange);
    } else if (is_last && !is_path(exchange, "/hold")) {
        px_buf_printf(exchange->body, "%llu", (unsigned long long)received);
        px_http_finish(exchange);
    }
}

static void abandon(void *context, struct px_http_exchange *exchange, enum px_http_end why)
{
    (void)context;
    reason = (int)why;
    abandons++;
    if (is_path(exchange, "/late"))
        finish(exchange, 504, "late");
    else if (is_path(exchange, "/inside") || exchange->streamed)
        px_http_finish(exchange);
}

/* Finishes what is held, on its loop. */
struct finisher {
    struct px_loop_task task;
    const char *text;
    _Atomic bool done;
};

static void run_finisher(struct px_loop_task *task)
{
    struct finisher *finisher = PX_CONTAINER_OF(task, struct finisher, task);
    finish(held, 200, finisher->text);
    finisher->done = true;
}

static void wait_held(void)
{
    for (int i = 0; i < PATIENCE_MS && !held; i++)
        poll(NULL, 0, 1);
    CHECK(held);
}

static void wait_abandons(unsigned n)
{
    for (int i = 0; i < PATIENCE_MS && abandons != n; i++)
        poll(NULL, 0, 1);
    CHECK_INT(abandons, n);
}

static bool post_finish(struct finisher *finisher, const char *text)
{
    finisher->task.run = run_finisher;
    finisher->text = text;
    finisher->done = false;
    struct px_loops loops = px_net_loops(f.net);
    return px_loops_post(&loops, held->loop, &finisher->task);
}

static void finish_held(const char *text)
{
    static struct finisher finisher;
    CHECK(post_finish(&finisher, text));
    for (int i = 0; i < PATIENCE_MS && !finisher.done; i++)
        poll(NULL, 0, 1);
    CHECK(finisher.done);
}

static void start_with(struct px_net_config config)
{
    struct px_err err;
    memset(&f, 0, sizeof f);
    held = NULL;
    abandons = pieces = 0;
    received = 0;
    reason = 0;
    f.config = config;
    f.handler = (struct px_http_handler){.context = &f,
                                         .handle = handle,
                                         .wave = wave,
                                         .refuse = fixture_refuse,
                                         .streams = streams,
                                         .piece = piece,
                                         .abandon = abandon};
    CHECK_OK(px_net_create(&f.config, &f.handler, &f.net, &err));
    CHECK_OK(px_net_start(f.net, &err));
    client_open(&client, &f);
}

static void start_one(void)
{
    start_with(fixture_config());
}

static void stop_one(void)
{
    client_close(&client);
    fixture_stop(&f);
}

PX_TEST(a_deferred_answer_comes_when_its_task_has_run)
{
    start_one();
    for (int i = 0; i < 3; i++) {
        held = NULL;
        client_send(&client, "GET /defer HTTP/1.1\r\n" HOST "\r\n");
        wait_held();
        finish_held("deferred");
        client_read(&client, &reply);
        CHECK_INT(reply.status, 200);
        CHECK_STR(px_str(reply.body), "deferred");
    }
    client_send(&client, "GET /x HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "whole");
    CHECK_INT(abandons, 0);
    stop_one();
}

PX_TEST(what_is_pipelined_behind_a_deferred_request_waits)
{
    start_one();
    client_send(&client, "GET /defer HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" HOST "\r\n");
    wait_held();
    finish_held("deferred");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "deferred");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "whole");
    stop_one();
}

PX_TEST(a_client_that_hangs_up_abandons_its_exchange_which_outlives_it)
{
    start_one();
    client_send(&client, "GET /never HTTP/1.1\r\n" HOST "\r\n");
    wait_held();
    client_close(&client);
    wait_abandons(1);
    CHECK_INT(reason, PX_HTTP_GONE);
    wait_for_connections(&f, 0);
    finish_held("nobody reads this"); /* after abandon */
    client_open(&client, &f);
    client_send(&client, "GET /x HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "whole");
    stop_one();
}

PX_TEST(a_handler_may_finish_inside_of_abandon)
{
    start_one();
    client_send(&client, "GET /inside HTTP/1.1\r\n" HOST "\r\n");
    wait_held();
    client_close(&client);
    wait_abandons(1);
    wait_for_connections(&f, 0);
    client_open(&client, &f);
    CHECK(px_net_stop(f.net, PATIENCE_MS)); /* nothing is left that it would wait for */
    stop_one();
}

PX_TEST(a_deadline_abandons_and_the_answer_is_still_sent)
{
    start_one();
    client_send(&client, "GET /late HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 504);
    CHECK_STR(px_str(reply.body), "late");
    CHECK_INT(reason, PX_HTTP_LATE);
    client_send(&client, "GET /x HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "whole");
    stop_one();
}

PX_TEST(stopping_waits_for_a_deferred_answer)
{
    start_one();
    client_send(&client, "GET /defer HTTP/1.1\r\n" HOST "\r\n");
    wait_held();
    CHECK(!px_net_stop(f.net, 50)); /* cut off: nobody finished it */
    CHECK_INT(abandons, 1);
    static struct finisher finisher;
    CHECK(!post_finish(&finisher, "too late")); /* a loop that has ended runs no tasks */
    stop_one();
}

static void count_task(struct px_loop_task *task);

struct counting {
    struct px_loop_task task;
    struct px_loops loops;
    unsigned left, ran;
    _Atomic bool done;
};

static void count_task(struct px_loop_task *task)
{
    struct counting *counting = PX_CONTAINER_OF(task, struct counting, task);
    counting->ran++;
    if (--counting->left == 0)
        counting->done = true;
    else
        CHECK(px_loops_post(&counting->loops, 0, task));
}

static void *post_many(void *argument)
{
    struct counting *counting = argument;
    for (int i = 0; i < 1000; i++) {
        counting->done = false;
        counting->left = 3;
        CHECK(px_loops_post(&counting->loops, 0, &counting->task));
        while (!counting->done)
            sched_yield();
    }
    return NULL;
}

PX_TEST(tasks_of_many_threads_each_run_once)
{
    start_one();
    static struct counting counting[4];
    pthread_t threads[4];
    for (size_t i = 0; i < PX_ARRAY_LEN(counting); i++) {
        counting[i] = (struct counting){.task.run = count_task, .loops = px_net_loops(f.net)};
        CHECK(pthread_create(&threads[i], NULL, post_many, &counting[i]) == 0);
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(counting); i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(counting[i].ran, 3000);
    }
    stop_one();
}

PX_TEST(tasks_posted_before_the_start_or_never_started_still_run)
{
    struct px_err err;
    struct px_net_config config = fixture_config();
    struct counting counting = {.task.run = count_task, .left = 1};
    f.handler = (struct px_http_handler){.handle = handle, .wave = wave, .refuse = fixture_refuse};
    CHECK_OK(px_net_create(&config, &f.handler, &f.net, &err));
    counting.loops = px_net_loops(f.net);
    CHECK(px_loops_post(&counting.loops, 0, &counting.task));
    px_net_destroy(f.net);
    CHECK_INT(counting.ran, 1);
    f.net = NULL;
}

/* Reads one chunk of a chunked body into reply.body; 0 at the last one. */
static size_t read_chunk(void)
{
    client.bytes[client.len] = '\0';
    char *end;
    while (!(end = strstr(client.bytes, "\r\n")))
        CHECK(client_receive(&client));
    size_t len = strtoul(client.bytes, NULL, 16);
    client_take(&client, (size_t)(end - client.bytes) + 2);
    if (len) {
        client_read_body(&client, &reply, len);
        while (client.len < 2)
            CHECK(client_receive(&client));
        CHECK(memcmp(client.bytes, "\r\n", 2) == 0);
        client_take(&client, 2);
    }
    return len;
}

static void read_trailers(const char *want)
{
    client.bytes[client.len] = '\0';
    while (!strstr(client.bytes, "\r\n") ||
           (client.bytes[0] != '\r' && !strstr(client.bytes, "\r\n\r\n")))
        CHECK(client_receive(&client));
    CHECK(strncmp(client.bytes, want, strlen(want)) == 0);
    client_take(&client, strlen(want));
}

PX_TEST(a_stream_answers_piece_by_piece)
{
    start_one();
    client_send(&client, "POST /stream HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    client_send(&client, "5\r\nhello\r\n");
    client_read_head(&client, &reply);
    CHECK_CONTAINS(reply.head, "Transfer-Encoding: chunked\r\n");
    CHECK_INT(read_chunk(), 5);
    CHECK_STR(px_str(reply.body), "hello");
    client_send(&client, "6\r\n world\r\n");
    CHECK_INT(read_chunk(), 6);
    CHECK_STR(px_str(reply.body), " world");
    client_send(&client, "0\r\n\r\n");
    CHECK_INT(read_chunk(), 0);
    read_trailers("x-count: 1\r\n\r\n");
    client_send(&client, "GET /x HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "whole");
    CHECK_INT(abandons, 0);
    stop_one();
}

PX_TEST(a_stream_survives_one_byte_at_a_time)
{
    static const char text[] = "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                               "5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nx: y\r\n\r\n"
                               "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody";
    start_one();
    for (size_t i = 0; i + 1 < sizeof text; i++)
        client_send_bytes(&client, text + i, 1);
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "6");
    CHECK_CONTAINS(reply.head, "Content-Length: 1\r\n"); /* finished before anything left */
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "10");
    stop_one();
}

PX_TEST(a_stream_is_not_bound_by_the_limit_of_bodies)
{
    struct px_net_config config = fixture_config();
    config.body_bytes_max = 1 << 16;
    start_with(config);
    static char block[1 << 16];
    client_send(&client, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 6553600\r\n\r\n");
    for (int i = 0; i < 100; i++)
        client_send_bytes(&client, block, sizeof block);
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "6553600");
    client_send(&client, "POST /x HTTP/1.1\r\n" HOST "Content-Length: 6553600\r\n\r\n");
    client_read(&client, &reply);
    CHECK_INT(reply.status, 413);
    stop_one();
}

PX_TEST(a_stream_that_finishes_before_its_client_closes_behind_the_answer)
{
    start_one();
    client_send(&client, "POST /early HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "early");
    CHECK_CONTAINS(reply.head, "Connection: close\r\n");
    client_expect_end(&client);
    client_close(&client);
    client_open(&client, &f);
    client_send(&client, "POST /early HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                         "GET /x HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "early");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "whole");
    stop_one();
}

PX_TEST(a_client_that_does_not_read_its_stream_is_not_read_from)
{
    start_one();
    client_send(&client, "POST /flood HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 200; i++) {
        client_send(&client, "1\r\nx\r\n");
        poll(NULL, 0, 1);
    }
    client_send(&client, "0\r\n\r\n");
    poll(NULL, 0, 50);
    CHECK(pieces < 100); /* a megabyte each: what the socket holds, and then no more is taken */
    client_read_head(&client, &reply);
    uint64_t sum = 0;
    for (size_t n; (n = read_chunk());)
        sum += n;
    CHECK(sum == (uint64_t)pieces << 20);
    read_trailers("\r\n");
    stop_one();
}

PX_TEST(a_stream_whose_client_leaves_is_abandoned)
{
    start_one();
    client_send(&client, "POST /stream HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc");
    client_read_head(&client, &reply);
    client_close(&client);
    wait_abandons(1);
    wait_for_connections(&f, 0);
    client_open(&client, &f);
    client_send(&client, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
    client_read_head(&client, &reply);
    client_close(&client); /* now while its request is complete */
    wait_abandons(2);
    wait_for_connections(&f, 0);
    client_open(&client, &f);
    stop_one();
}

PX_TEST(a_bad_chunk_in_a_stream_abandons_it)
{
    start_one();
    client_send(&client, "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    client_send(&client, "3\r\nabcX");
    wait_abandons(1);
    client_expect_end(&client);
    stop_one();
}

PX_TEST(a_head_request_for_a_stream_has_no_body)
{
    start_one();
    client_send(&client, "HEAD /upload HTTP/1.1\r\n" HOST "\r\nGET /x HTTP/1.1\r\n" HOST "\r\n");
    client_read_head(&client, &reply);
    CHECK_INT(reply.status, 200);
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "whole");
    stop_one();
}

PX_TEST(http10_is_never_streamed)
{
    start_one();
    client_send(&client, "POST /stream HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "whole");
    stop_one();
}

PX_TEST(unfinished_exchanges_at_the_end_are_freed)
{
    start_one();
    client_send(&client, "GET /never HTTP/1.1\r\n" HOST "\r\n");
    wait_held();
    fixture_stop(&f); /* the leak checker of the address sanitizer looks */
    CHECK_INT(abandons, 1);
    client_close(&client);
}

PX_TEST_MAIN(
    T(a_deferred_answer_comes_when_its_task_has_run)
        T(what_is_pipelined_behind_a_deferred_request_waits)
            T(a_client_that_hangs_up_abandons_its_exchange_which_outlives_it)
                T(a_handler_may_finish_inside_of_abandon)
                    T(a_deadline_abandons_and_the_answer_is_still_sent) T(
                        stopping_waits_for_a_deferred_answer) T(tasks_of_many_threads_each_run_once)
                        T(tasks_posted_before_the_start_or_never_started_still_run) T(
                            a_stream_answers_piece_by_piece) T(a_stream_survives_one_byte_at_a_time)
                            T(a_stream_is_not_bound_by_the_limit_of_bodies)
                                T(a_stream_that_finishes_before_its_client_closes_behind_the_answer)
                                    T(a_client_that_does_not_read_its_stream_is_not_read_from)
                                        T(a_stream_whose_client_leaves_is_abandoned)
                                            T(a_bad_chunk_in_a_stream_abandons_it)
                                                T(a_head_request_for_a_stream_has_no_body)
                                                    T(http10_is_never_streamed) T(
                                                        unfinished_exchanges_at_the_end_are_freed))
