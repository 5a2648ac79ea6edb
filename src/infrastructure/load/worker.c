/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * The loop sends what is due, then waits for replies, for timeouts, or for the moment when the next request
 * is due: a timerfd, because the timeout of epoll has milliseconds and a schedule of 20,000 requests a
 * second has gaps of 50 us. It sleeps rather than spins, so that on a small machine the server gets the
 * processor; how late that makes it is measured (lag) and reported. Gaps too short to sleep are spun.
 *
 * The clock is read for every send and every reply: a whole wake-up stamped with one time would hide up to
 * the length of the wake-up. Latency ends when the reply has been read and parsed.
 */
#include "infrastructure/load/worker.h"

#include "infrastructure/load/request.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    SPIN_NS = 3000,         /* shorter than a sleep */
    CONNECTS_AT_ONCE = 128, /* more would overflow the queue of some servers */
};

#define WIRE_MAX     ((size_t)1 << 30)
#define DRAIN_NS_MAX PX_NS_PER_S

void px_load_wire_deinit(struct px_load_wire *wire)
{
    px_buf_deinit(&wire->bytes);
    px_free(wire->requests);
    *wire = (struct px_load_wire){0};
}

enum px_code px_load_wire_init(struct px_load_wire *wire, const struct px_load_requests *requests,
                               struct px_err *err)
{
    size_t n = requests->n_bodies;
    *wire = (struct px_load_wire){.bytes = px_buf(WIRE_MAX), .n = n};
    wire->requests = px_alloc(n, sizeof *wire->requests);
    if (!wire->requests)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu requests", n);
    for (size_t i = 0; i < n; i++) {
        size_t begin = wire->bytes.len;
        const struct px_load_request request = {"POST", requests->path, requests->content_type,
                                                requests->bodies[i]};
        px_load_request_put(&wire->bytes, &requests->address, &request, false);
        wire->requests[i].len = wire->bytes.len - begin;
    }
    enum px_code code = px_buf_check(&wire->bytes, "the requests", err);
    const char *at = wire->bytes.ptr;
    for (size_t i = 0; code == PX_OK && i < n; i++) {
        wire->requests[i].ptr = at;
        at += wire->requests[i].len;
    }
    return code;
}

static void push(struct px_load_worker *w, struct px_load_connection *c)
{
    w->queue[(w->queue_at + w->queue_len++) % w->n_connections] = c;
}

static struct px_load_connection *pop(struct px_load_worker *w)
{
    PX_ASSERT(w->queue_len > 0);
    struct px_load_connection *c = w->queue[w->queue_at];
    w->queue_at = (w->queue_at + 1) % w->n_connections;
    w->queue_len--;
    return c;
}

static void close_connection(struct px_load_connection *c)
{
    if (c->source.fd < 0)
        return;
    px_loop_remove(&c->worker->loop, &c->source);
    close(c->source.fd);
    c->source.fd = -1;
    c->watches_output = false;
    c->state = PX_LOAD_IS_CLOSED;
}

/* Keeps the first failure in words. */
static void note_failure(struct px_load_worker *w, const char *what, struct px_str detail)
{
    if (w->failure[0])
        return;
    int n = snprintf(w->failure, sizeof w->failure, "%s%s%.*s", what, detail.len ? ": " : "",
                     PX_STR_ARG(detail));
    for (int i = 0; i < n && i < (int)sizeof w->failure - 1; i++) {
        unsigned char byte = (unsigned char)w->failure[i];
        if (byte < 0x20 || byte == 0x7F)
            w->failure[i] = ' ';
    }
}

/* The connection's request has met its fate; the connection is free again, open or not. */
static void end_attempt(struct px_load_connection *c, enum px_load_outcome outcome, int status)
{
    struct px_load_worker *w = c->worker;
    uint64_t now_ns = px_clock_monotonic_ns();
    bool replied = outcome == PX_LOAD_OK || outcome == PX_LOAD_STATUS;
    px_deadline_disarm(&c->deadline);
    /* A reply that came before the request was sent leaves the rest of the request on the connection. */
    if (replied && c->reply.keep_alive && c->out.len == 0)
        c->state = PX_LOAD_IS_IDLE;
    else
        close_connection(c);
    px_open_loop_done(&w->schedule, &c->attempt, outcome, status, now_ns);
    w->n_in_flight--;
    uint64_t n = atomic_load_explicit(&w->n_completed, memory_order_relaxed);
    atomic_store_explicit(&w->n_completed, n + 1, memory_order_relaxed);
    push(w, c);
    px_open_loop_idle(&w->schedule, now_ns);
}

static void fail_attempt(struct px_load_connection *c, enum px_load_outcome outcome,
                         const char *what, int why)
{
    note_failure(c->worker, what, why ? px_str(strerror(why)) : (struct px_str){0});
    end_attempt(c, outcome, 0);
}

static void expire(struct px_deadline *deadline)
{
    struct px_load_connection *c = PX_CONTAINER_OF(deadline, struct px_load_connection, deadline);
    if (c->state == PX_LOAD_IS_CONNECTING)
        fail_attempt(c, PX_LOAD_CONNECT, "connecting took longer than the timeout", 0);
    else
        fail_attempt(c, PX_LOAD_TIMEOUT, "no complete reply within the timeout", 0);
}

static void watch_output(struct px_load_connection *c, bool wanted)
{
    if (c->watches_output == wanted)
        return;
    c->watches_output = wanted;
    px_loop_change(&c->worker->loop, &c->source, wanted ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void send_more(struct px_load_connection *c)
{
    ssize_t n = send(c->source.fd, c->out.ptr, c->out.len, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        fail_attempt(c, PX_LOAD_CLOSED, "sending a request failed", errno);
        return;
    }
    size_t sent = n > 0 ? (size_t)n : 0;
    c->worker->bytes_sent += sent;
    c->out = px_str_n(c->out.ptr + sent, c->out.len - sent);
    watch_output(c, c->out.len > 0);
}

static void finish_connect(struct px_load_connection *c)
{
    int why = px_socket_error(c->source.fd);
    if (why) {
        fail_attempt(c, PX_LOAD_CONNECT, "connecting failed", why);
        return;
    }
    c->state = PX_LOAD_IS_BUSY;
    send_more(c);
}

static void end_reply(struct px_load_connection *c, struct px_str read)
{
    int status = c->reply.status;
    if (status >= 200 && status < 300) {
        end_attempt(c, PX_LOAD_OK, status);
        return;
    }
    char what[32];
    size_t shown = c->reply.body_len < read.len ? (size_t)c->reply.body_len : read.len;
    snprintf(what, sizeof what, "status %d", status);
    note_failure(c->worker, what, px_str_n(read.ptr + read.len - shown, shown));
    end_attempt(c, PX_LOAD_STATUS, status);
}

static void end_of_stream(struct px_load_connection *c, int why)
{
    struct px_err err = {0};
    if (why == 0 && px_reply_end(&c->reply, &err) == PX_REPLY_DONE)
        end_reply(c, (struct px_str){0});
    else
        fail_attempt(c, PX_LOAD_CLOSED, why ? "the connection failed" : err.message, why);
}

static void read_reply(struct px_load_connection *c)
{
    struct px_load_worker *w = c->worker;
    struct px_err err = {0};
    size_t used;
    ssize_t n = recv(c->source.fd, w->input, PX_LOAD_READ_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end_of_stream(c, n < 0 ? errno : 0);
        return;
    }
    w->bytes_received += (uint64_t)n;
    enum px_reply_result result = px_reply_feed(&c->reply, w->input, (size_t)n, &used, &err);
    if (result == PX_REPLY_MORE)
        return;
    if (result == PX_REPLY_DONE && used < (size_t)n)
        px_err_set(&err, PX_E_CORRUPT, "the server sent more than one reply");
    if (result == PX_REPLY_BAD || used < (size_t)n)
        fail_attempt(c, PX_LOAD_BAD_REPLY, err.message, 0);
    else
        end_reply(c, px_str_n(w->input, used));
}

static void on_ready(struct px_loop_source *source, uint32_t events)
{
    struct px_load_connection *c = PX_CONTAINER_OF(source, struct px_load_connection, source);
    switch (c->state) {
    case PX_LOAD_IS_CONNECTING:
        finish_connect(c);
        return;
    case PX_LOAD_IS_BUSY:
        if (events & ~(uint32_t)EPOLLOUT)
            read_reply(c);
        else
            send_more(c);
        return;
    case PX_LOAD_IS_IDLE: /* the server closes it; the next request connects again */
        close_connection(c);
        return;
    case PX_LOAD_IS_CLOSED:
        return;
    }
}

/* Begins to connect; false and errno when that failed at once. */
static bool begin_connect(struct px_load_connection *c)
{
    int fd = px_peer_connect(c->worker->peer);
    if (fd < 0)
        return false;
    c->source = (struct px_loop_source){fd, on_ready};
    if (px_loop_add(&c->worker->loop, &c->source, EPOLLIN | EPOLLOUT, NULL) != PX_OK) {
        close(fd);
        c->source.fd = -1;
        errno = ENOSPC;
        return false;
    }
    c->watches_output = true;
    c->state = PX_LOAD_IS_CONNECTING;
    return true;
}

static void start_attempt(struct px_load_worker *w, const struct px_load_attempt *attempt)
{
    struct px_load_connection *c = pop(w);
    c->attempt = *attempt;
    c->out = w->wire->requests[w->next_request];
    w->next_request = (w->next_request + 1) % w->wire->n;
    w->n_in_flight++;
    px_reply_begin(&c->reply, NULL, PX_LOAD_REPLY_MAX);
    px_deadline_arm(&c->deadline, &w->timeouts, attempt->sent_ns);
    if (c->state == PX_LOAD_IS_IDLE) {
        c->state = PX_LOAD_IS_BUSY;
        send_more(c);
    } else if (!begin_connect(c)) {
        fail_attempt(c, PX_LOAD_CONNECT, "connecting failed", errno);
    }
}

static void ignore_timer(struct px_loop_source *source, uint32_t events)
{
    (void)source; /* it is set anew before the next wait, which clears it */
    (void)events;
}

static void set_timer(struct px_load_worker *w, uint64_t at_ns)
{
    const struct itimerspec when = {.it_value = px_clock_timespec(at_ns)};
    if (w->timer_ns == at_ns)
        return;
    int rc = timerfd_settime(w->timer.fd, TFD_TIMER_ABSTIME, &when, NULL);
    PX_ASSERT(rc == 0);
    w->timer_ns = at_ns;
}

static void wait_for_events(struct px_load_worker *w)
{
    uint64_t next_ns = px_open_loop_next(&w->schedule);
    bool can_send = w->queue_len > 0 && next_ns != UINT64_MAX;
    bool soon = can_send && next_ns <= px_clock_monotonic_ns() + SPIN_NS;
    if (!soon)
        set_timer(w, can_send ? next_ns : 0);
    px_loop_poll(&w->loop, soon);
    px_loop_expire(&w->loop);
}

/* Processor time of this thread, and time in which it was ready to run but had no processor. */
struct thread_times {
    uint64_t wall_ns, used_ns, starved_ns;
};

static struct thread_times read_thread_times(void)
{
    struct thread_times times = {.wall_ns = px_clock_monotonic_ns()};
    struct timespec used;
    char text[128];
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0)
        times.used_ns = (uint64_t)used.tv_sec * PX_NS_PER_S + (uint64_t)used.tv_nsec;
    int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : 0;
    if (fd >= 0)
        close(fd);
    struct px_str rest = px_str_n(text, n > 0 ? (size_t)n : 0);
    (void)px_str_cut(&rest, ' '); /* "used starved slices" */
    if (!rest.ptr || !px_str_to_u64(px_str_cut(&rest, ' '), &times.starved_ns))
        times.starved_ns = 0;
    return times;
}

static void note_thread_times(struct px_load_worker *w, const struct thread_times *before)
{
    struct thread_times now = read_thread_times();
    double wall_ns = (double)(now.wall_ns - before->wall_ns);
    if (wall_ns <= 0)
        return;
    w->busy_share = (double)(now.used_ns - before->used_ns) / wall_ns;
    if (now.starved_ns > before->starved_ns)
        w->starved_share = (double)(now.starved_ns - before->starved_ns) / wall_ns;
}

void px_load_worker_run(struct px_load_worker *w)
{
    struct px_load_attempt attempt;
    struct thread_times began = read_thread_times();
    for (size_t i = 0; i < w->n_connections; i++)
        px_open_loop_idle(&w->schedule, began.wall_ns);
    while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
        uint64_t now_ns = px_clock_monotonic_ns();
        if (now_ns >= w->drain_ns)
            px_open_loop_finish(&w->schedule, now_ns);
        while (px_open_loop_take(&w->schedule, px_clock_monotonic_ns(), &attempt))
            start_attempt(w, &attempt);
        if (w->n_in_flight == 0 && px_open_loop_next(&w->schedule) == UINT64_MAX)
            break;
        wait_for_events(w);
    }
    note_thread_times(w, &began);
    atomic_store_explicit(&w->ended, true, memory_order_release);
}

void px_load_worker_stop(struct px_load_worker *w)
{
    atomic_store_explicit(&w->stop, true, memory_order_relaxed);
    px_loop_wake(&w->loop);
}

static enum px_code open_timer(struct px_load_worker *w, struct px_err *err)
{
    w->timer = (struct px_loop_source){timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
                                       ignore_timer};
    if (w->timer.fd < 0)
        return px_err_set(err, PX_E_IO, "create a timer: %s", strerror(errno));
    return px_loop_add(&w->loop, &w->timer, EPOLLIN, err);
}

enum px_code px_load_worker_init(struct px_load_worker *w, const struct px_load_wire *wire,
                                 const struct px_peer *peer, size_t n_connections,
                                 struct px_err *err)
{
    *w = (struct px_load_worker){.wire = wire, .peer = peer, .timer = {.fd = -1}};
    enum px_code code = px_loop_init(&w->loop, err);
    if (code == PX_OK)
        code = open_timer(w, err);
    if (code != PX_OK)
        return code;
    w->connections = px_alloc(n_connections, sizeof *w->connections);
    w->queue = px_alloc(n_connections, sizeof *w->queue);
    w->input = px_alloc(PX_LOAD_READ_SIZE, 1);
    if (!w->connections || !w->queue || !w->input)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu connections", n_connections);
    w->n_connections = n_connections;
    for (size_t i = 0; i < n_connections; i++) {
        w->connections[i].worker = w;
        w->connections[i].source.fd = -1;
        push(w, &w->connections[i]);
    }
    return PX_OK;
}

void px_load_worker_deinit(struct px_load_worker *w)
{
    for (size_t i = 0; i < w->n_connections; i++)
        close_connection(&w->connections[i]);
    if (w->loop.is_open && w->timer.fd >= 0)
        close(w->timer.fd);
    px_loop_deinit(&w->loop);
    px_free(w->connections);
    px_free(w->queue);
    px_free(w->input);
    *w = (struct px_load_worker){0};
}

/* Waits for a connection that has begun to connect; false when it failed. */
static bool await_connect(struct px_load_connection *c, uint64_t until_ns)
{
    if (c->state != PX_LOAD_IS_CONNECTING)
        return false;
    int why = px_socket_wait_connected(c->source.fd, until_ns);
    if (why) {
        c->worker->interrupted |= why == EINTR;
        note_failure(c->worker, "connecting failed", px_str(strerror(why)));
        close_connection(c);
        return false;
    }
    c->state = PX_LOAD_IS_IDLE;
    watch_output(c, false);
    return true;
}

size_t px_load_worker_connect(struct px_load_worker *w, uint64_t timeout_ns)
{
    uint64_t until_ns = px_clock_monotonic_ns() + timeout_ns;
    size_t n_open = 0;
    for (size_t i = 0; !w->interrupted && i < w->n_connections; i += CONNECTS_AT_ONCE) {
        size_t end =
            w->n_connections - i < CONNECTS_AT_ONCE ? w->n_connections : i + CONNECTS_AT_ONCE;
        for (size_t k = i; k < end; k++) {
            if (!begin_connect(&w->connections[k]))
                note_failure(w, "connecting failed", px_str(strerror(errno)));
        }
        for (size_t k = i; !w->interrupted && k < end; k++)
            n_open += await_connect(&w->connections[k], until_ns);
    }
    return n_open;
}

void px_load_worker_plan(struct px_load_worker *w, const struct px_open_loop_config *share,
                         uint64_t timeout_ns)
{
    uint64_t drain_ns = timeout_ns < DRAIN_NS_MAX ? timeout_ns : DRAIN_NS_MAX;
    w->drain_ns = share->end_ns + drain_ns;
    px_open_loop_init(&w->schedule, share);
    px_deadline_list_init(&w->timeouts, timeout_ns, expire);
    px_loop_add_list(&w->loop, &w->timeouts);
}
