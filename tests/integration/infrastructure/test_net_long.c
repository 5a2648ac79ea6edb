/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges that last over HTTP/1: deferred and streamed ones, their clients that leave, deadlines, and tasks on loops. */
#include "infrastructure/coding/coder.h"
#include "long_fixture.h"

#include <pthread.h>

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

/* Sends a gzip of `n` zeros to `path`. */
static void send_zipped(struct client *to, const char *path, size_t n)
{
    struct px_coder *coder = NULL;
    struct px_buf zeros = px_buf(n), packed = px_buf(n);
    char head[200];
    CHECK_OK(px_coder_create(&coder, NULL));
    CHECK(px_buf_reserve(&zeros, n));
    memset(zeros.ptr, 0, n);
    zeros.len = n;
    CHECK_OK(px_coder_encode(coder, PX_CODING_GZIP, px_buf_view(&zeros), &packed, NULL));
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
             path, packed.len);
    client_send(to, head);
    client_send_bytes(to, packed.ptr, packed.len);
    px_buf_deinit(&zeros);
    px_buf_deinit(&packed);
    px_coder_destroy(coder);
}

PX_TEST(bodies_that_are_decoded_have_a_limit_together)
{
    enum { HELD = 8, BYTES = 8000000 }; /* 64 MiB of them fit */
    static struct client holders[HELD];
    struct px_coder *coder = NULL;
    struct px_net_config config = fixture_config();
    CHECK_OK(px_coder_create(&coder, NULL));
    CHECK_INT(config.n_loops, 1);
    config.coders = &coder;
    config.arena_bytes_max = 16 << 20;
    start_with(config);
    for (int i = 0; i < HELD; i++) {
        held = NULL;
        client_open(&holders[i], &f);
        send_zipped(&holders[i], "/inside", BYTES);
        wait_held();
    }
    send_zipped(&client, "/x", BYTES);
    client_read(&client, &reply);
    CHECK_INT(reply.status, 503);
    send_zipped(&client, "/x", 10000); /* a small one is never turned away */
    client_read(&client, &reply);
    CHECK_INT(reply.status, 200);
    for (int i = 0; i < HELD; i++)
        client_close(&holders[i]);
    wait_abandons(HELD);
    for (int i = 0; i < 20; i++) { /* each gives back what it took */
        send_zipped(&client, "/x", BYTES);
        client_read(&client, &reply);
        CHECK_INT(reply.status, 200);
    }
    stop_one();
    px_coder_destroy(coder);
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
    T(a_deferred_answer_comes_when_its_task_has_run) T(
        what_is_pipelined_behind_a_deferred_request_waits)
        T(a_client_that_hangs_up_abandons_its_exchange_which_outlives_it) T(
            bodies_that_are_decoded_have_a_limit_together) T(a_handler_may_finish_inside_of_abandon)
            T(a_deadline_abandons_and_the_answer_is_still_sent)
                T(stopping_waits_for_a_deferred_answer) T(tasks_of_many_threads_each_run_once)
                    T(tasks_posted_before_the_start_or_never_started_still_run)
                        T(a_stream_answers_piece_by_piece) T(a_stream_survives_one_byte_at_a_time)
                            T(a_stream_is_not_bound_by_the_limit_of_bodies)
                                T(a_stream_that_finishes_before_its_client_closes_behind_the_answer)
                                    T(a_client_that_does_not_read_its_stream_is_not_read_from)
                                        T(a_stream_whose_client_leaves_is_abandoned)
                                            T(a_bad_chunk_in_a_stream_abandons_it)
                                                T(a_head_request_for_a_stream_has_no_body)
                                                    T(http10_is_never_streamed) T(
                                                        unfinished_exchanges_at_the_end_are_freed))
