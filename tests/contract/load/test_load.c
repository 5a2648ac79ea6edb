/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of the load port, run against every adapter: the one with a virtual clock, and the epoll client
 * against Phoenix's own HTTP server on the loopback. Nothing here depends on how fast the machine is.
 */
#include "harness.h"
#include "virtual_load.h"

#include "infrastructure/load/client.h"
#include "infrastructure/net/server.h"
#include "shared/clock.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the server does, both kinds of it; its loop reads this while a run goes on. */
static _Atomic unsigned fail_every;
static _Atomic uint64_t service_ns;
static _Atomic unsigned n_handled;

static void behave(unsigned fails, uint64_t serves_ns)
{
    fail_every = fails;
    service_ns = serves_ns;
}

static void handle(void *context, struct px_http_exchange *exchange)
{
    (void)context;
    if (service_ns)
        usleep((useconds_t)(service_ns / PX_NS_PER_US));
    bool echoes = px_str_is(exchange->request.path, "/echo");
    bool known = echoes || px_str_is(exchange->request.path, "/page");
    bool post = exchange->request.method == PX_HTTP_POST;
    unsigned n = post ? ++n_handled : 1;
    bool fails = post && fail_every && n % fail_every == 0;
    exchange->status = fails ? 500 : known ? 200 : 404;
    exchange->content_type = "text/plain";
    px_buf_text(exchange->body, known && !echoes ? "the page" : "");
    if (echoes)
        px_buf_str(exchange->body, exchange->request.body);
    px_http_finish(exchange);
}

static void refuse(void *context, struct px_http_exchange *exchange, const struct px_err *err)
{
    (void)context;
    exchange->status = px_code_http(err->code);
}

static void end_wave(void *context, unsigned loop)
{
    (void)context;
    (void)loop;
}

static struct px_net *start_server(void)
{
    const struct px_net_config config = {
        .endpoints = {.items = {{.host = "127.0.0.1"}}, .n = 1},
        .n_loops = 1,
        .header_bytes_max = 1 << 14,
        .body_bytes_max = 1 << 20,
        .arena_bytes_max = 1 << 16,
        .connections_max = 1000,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 10000,
        .idle_timeout_ms = 60000,
        .write_timeout_ms = 10000,
    };
    const struct px_http_handler handler = {.handle = handle, .wave = end_wave, .refuse = refuse};
    struct px_net *net;
    CHECK_OK(px_net_create(&config, &handler, &net, NULL));
    CHECK_OK(px_net_start(net, NULL));
    return net;
}

/* A port of the loopback on which nothing listens: bound, never listening. */
static int bind_dead_port(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(fd, (struct sockaddr *)&address, len) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

struct suite {
    struct px_load *load;
    struct px_load_address address, dead;
};

static struct suite current;
static struct virtual_server simulated;
static const struct virtual_page pages[] = {{"/page", 200, "the page"}, {"/echo", 200, NULL}, {0}};

static const struct px_str bodies[2] = {PX_STR("{\"a\":1}"), PX_STR("{\"a\":22}")};
static struct px_load_requests requests;
static struct px_load_result result;

static struct px_load_job job_of(double rate)
{
    requests = (struct px_load_requests){
        .address = current.address,
        .path = px_str("/page"),
        .content_type = "application/json",
        .bodies = bodies,
        .n_bodies = 2,
    };
    return (struct px_load_job){
        .requests = &requests,
        .rate = rate,
        .seed = 1,
        .warmup_ns = 50 * PX_NS_PER_MS,
        .duration_ns = 400 * PX_NS_PER_MS,
        .timeout_ns = 60 * PX_NS_PER_S,
        .limit_ns = 60 * PX_NS_PER_S,
        .n_connections = 8,
        .n_threads = 1,
    };
}

static void run(const struct px_load_job *job)
{
    simulated.fail_every = fail_every;
    simulated.service_ns = service_ns ? service_ns : 1000;
    simulated.n_requests = 0;
    n_handled = 0;
    CHECK_OK(px_load_run(current.load, job, &result, NULL));
}

static uint64_t sum_of_outcomes(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < PX_LOAD_OUTCOMES; i++)
        sum += result.tally.outcomes[i];
    return sum;
}

static void check_every_request_has_one_fate(void)
{
    behave(0, 0);
    const struct px_load_job job = job_of(500);
    run(&job);
    CHECK_INT(result.tally.offered, 200);
    CHECK_INT(sum_of_outcomes(), 200);
    CHECK_INT(result.tally.outcomes[PX_LOAD_OK], 200);
    CHECK_INT(result.tally.statuses[200 - PX_LOAD_STATUS_MIN], 200);
    CHECK_INT(result.tally.good, 200);
    CHECK_INT(result.tally.latency.count, 200);
    CHECK_INT(result.tally.lag.count, 200);
    CHECK_INT(result.duration_ns, job.duration_ns);
    CHECK(result.failure[0] == '\0');
}

static void check_poisson(void)
{
    behave(0, 0);
    struct px_load_job job = job_of(500);
    job.arrivals = PX_LOAD_POISSON;
    run(&job);
    CHECK(result.tally.offered > 100 && result.tally.offered < 300);
    CHECK_INT(sum_of_outcomes(), result.tally.offered);
}

static void check_statuses_are_counted(void)
{
    behave(4, 0);
    const struct px_load_job job = job_of(500);
    run(&job);
    const struct px_load_tally *t = &result.tally;
    CHECK_INT(sum_of_outcomes(), 200);
    CHECK_NEAR((double)t->outcomes[PX_LOAD_STATUS], 50, 2);
    CHECK_INT(t->statuses[500 - PX_LOAD_STATUS_MIN], t->outcomes[PX_LOAD_STATUS]);
    CHECK_INT(t->latency.count, t->outcomes[PX_LOAD_OK]);
}

/* One loop that takes 200 ms per request can answer two of 40 in the window. */
static void check_a_slow_server_loses_no_request(void)
{
    behave(0, 200 * PX_NS_PER_MS);
    struct px_load_job job = job_of(100);
    job.warmup_ns = 0;
    job.timeout_ns = 300 * PX_NS_PER_MS;
    job.limit_ns = 100 * PX_NS_PER_MS;
    run(&job);
    CHECK_INT(result.tally.offered, 40);
    CHECK_INT(sum_of_outcomes(), 40);
    CHECK(result.tally.outcomes[PX_LOAD_TIMEOUT] > 0);
    CHECK(result.tally.outcomes[PX_LOAD_UNSENT] > 0);
    CHECK_INT(result.tally.good, 0);
    CHECK_INT(result.tally.latency.count, 40);
}

static bool cancel(void *context, const struct px_load_progress *progress)
{
    (void)context;
    CHECK(progress->total_ns == 450 * PX_NS_PER_MS);
    return false;
}

static void check_cancel(void)
{
    behave(0, 0);
    struct px_load_job job = job_of(100);
    job.progress = cancel;
    CHECK_INT(px_load_run(current.load, &job, &result, NULL), PX_E_CANCELLED);
}

static void check_fetch(void)
{
    struct px_load_reply reply = {.body = px_buf(100)};
    behave(0, 0);
    CHECK_OK(px_load_get(current.load, &current.address, px_str("/page"), &reply, NULL));
    CHECK_INT(reply.status, 200);
    CHECK_STR(px_buf_view(&reply.body), "the page");
    px_buf_clear(&reply.body);
    CHECK_OK(px_load_get(current.load, &current.address, px_str("/none"), &reply, NULL));
    CHECK_INT(reply.status, 404);
    px_buf_clear(&reply.body);
    const struct px_load_request post = {"POST", px_str("/echo"), "text/csv", px_str("a,b\n")};
    CHECK_OK(px_load_fetch(current.load, &current.address, &post, &reply, NULL));
    CHECK_INT(reply.status, 200);
    CHECK_STR(px_buf_view(&reply.body), "a,b\n");
    px_buf_deinit(&reply.body);
}

static void check_nobody_there(void)
{
    struct px_load_reply reply = {.body = px_buf(100)};
    struct px_err err = {0};
    struct px_load_job job = job_of(100);
    requests.address = current.dead;
    simulated.refuses = true;
    CHECK_INT(px_load_run(current.load, &job, &result, &err), PX_E_UNAVAILABLE);
    CHECK(err.message[0] != '\0');
    CHECK_INT(px_load_get(current.load, &current.dead, px_str("/page"), &reply, &err),
              PX_E_UNAVAILABLE);
    simulated.refuses = false;
    px_buf_deinit(&reply.body);
}

static void check_contract(void)
{
    check_every_request_has_one_fate();
    check_poisson();
    check_statuses_are_counted();
    check_a_slow_server_loses_no_request();
    check_cancel();
    check_fetch();
    check_nobody_there();
}

PX_TEST(the_virtual_client_keeps_the_contract)
{
    simulated = (struct virtual_server){.n_workers = 1, .pages = pages};
    current = (struct suite){.load = virtual_load_create(&simulated)};
    check_contract();
    px_load_destroy(current.load);
}

static void use_server(struct px_net *net, int *ret_dead)
{
    current =
        (struct suite){.address = {"127.0.0.1", px_net_port(net, 0)}, .dead = {"127.0.0.1", 0}};
    *ret_dead = bind_dead_port(&current.dead.port);
    CHECK_OK(px_load_client_create(&current.load, NULL));
}

PX_TEST(the_epoll_client_keeps_the_contract)
{
    struct px_net *net = start_server();
    int dead;
    use_server(net, &dead);
    check_contract();
    close(dead);
    px_load_destroy(current.load);
    px_net_stop(net, 1000);
    px_net_destroy(net);
}

PX_TEST(several_threads_share_the_schedule)
{
    struct px_net *net = start_server();
    int dead;
    use_server(net, &dead);
    behave(0, 0);
    struct px_load_job job = job_of(600);
    job.n_threads = 3;
    run(&job);
    CHECK_INT(result.tally.offered, 240);
    CHECK_INT(result.tally.outcomes[PX_LOAD_OK], 240);
    CHECK(result.bytes_sent > 240 * 100 && result.bytes_received > 240 * 50);
    close(dead);
    px_load_destroy(current.load);
    px_net_stop(net, 1000);
    px_net_destroy(net);
}

PX_TEST(a_body_that_is_larger_than_the_socket_s_buffer_is_sent_whole)
{
    struct px_net *net = start_server();
    int dead;
    use_server(net, &dead);
    behave(0, 0);
    static char large[900000];
    memset(large, ' ', sizeof large);
    const struct px_str body = {large, sizeof large};
    struct px_load_job job = job_of(50);
    requests.bodies = &body;
    requests.n_bodies = 1;
    run(&job);
    CHECK_INT(result.tally.offered, 20);
    CHECK_INT(result.tally.outcomes[PX_LOAD_OK], 20);
    CHECK(result.bytes_sent > 20 * sizeof large);
    close(dead);
    px_load_destroy(current.load);
    px_net_stop(net, 1000);
    px_net_destroy(net);
}

PX_TEST(no_memory_is_an_error_whenever_it_comes)
{
    struct px_net *net = start_server();
    int dead;
    use_server(net, &dead);
    behave(0, 0);
    enum px_code code = PX_E_NO_MEMORY;
    struct px_load_job job = job_of(100);
    job.duration_ns = 20 * PX_NS_PER_MS;
    job.warmup_ns = 0;
    for (uint64_t n = 1; code != PX_OK && n < 40; n++) {
        px_alloc_fail_at(n);
        code = px_load_run(current.load, &job, &result, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
    }
    CHECK_OK(code);
    close(dead);
    px_load_destroy(current.load);
    px_net_stop(net, 1000);
    px_net_destroy(net);
}

PX_TEST_MAIN(T(the_virtual_client_keeps_the_contract) T(the_epoll_client_keeps_the_contract)
                 T(several_threads_share_the_schedule)
                     T(a_body_that_is_larger_than_the_socket_s_buffer_is_sent_whole)
                         T(no_memory_is_an_error_whenever_it_comes))
