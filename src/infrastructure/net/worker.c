/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * Per request the worker makes three system calls at most (epoll_wait, recv, send), and under load one
 * epoll_wait serves many. Rounds are bounded so that a client that pipelines without end cannot keep
 * the others waiting: after ROUNDS_MAX the loop polls, without waiting, for everybody again.
 *
 * Running out of descriptors (EMFILE) would make a level-triggered listener ready for ever. The worker
 * stops watching its listeners for a moment instead; clients wait in the kernel's queue.
 */
#include "infrastructure/net/http1/connection.h"
#include "infrastructure/net/http2/http2.h"

#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/log.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_MAX = 64, /* per listener and wake-up */
    DRAIN_ACCEPTS_MAX = 4096,
    ROUNDS_MAX = 16,  /* per wake-up */
    REFUSED_MAX = 64, /* connections over the limit that are answered; more are dropped */
    ACCEPT_PAUSE_MS = 100,
    QUIET_S = 10, /* between two complaints about the same */
    LINGER_MS = 2000,
    PONG_MS = 20000,
    INPUT_BODIES_MAX = 4, /* largest bodies that may be in memory together, per loop */
    INPUT_BYTES_MIN = 64 << 20,
};

static void watch_listeners(struct px_worker *worker, bool on)
{
    for (size_t i = 0; i < worker->listeners.n; i++)
        px_loop_change(&worker->loop, &worker->acceptors[i].source, on ? EPOLLIN : 0);
}

static void resume_accepting(struct px_deadline *deadline)
{
    watch_listeners(PX_CONTAINER_OF(deadline, struct px_worker, pause), true);
}

static void complain(const struct px_worker *worker, struct px_complaint *complaint,
                     const char *event, const char *reason)
{
    uint64_t now_ns = worker->loop.now_ns;
    complaint->times++;
    if (now_ns < complaint->quiet_until_ns)
        return;
    px_log(PX_LOG_WARN, event, PX_LOG_U("loop", worker->index), PX_LOG_T("reason", reason),
           PX_LOG_U("times", complaint->times));
    *complaint = (struct px_complaint){.quiet_until_ns = now_ns + QUIET_S * PX_NS_PER_S};
}

static void pause_accepting(struct px_worker *worker, int error)
{
    complain(worker, &worker->paused, "net.accept_paused", strerror(error));
    watch_listeners(worker, false);
    px_deadline_arm(&worker->pause, &worker->pauses, worker->loop.now_ns);
}

/* Errors of accept that say something about this process and not about one client. */
static bool is_out_of_resources(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Over the limit a few get an answer, unless that would take a handshake. */
static void welcome(struct px_worker *worker, int fd, struct px_tls *tls)
{
    size_t n = atomic_load_explicit(&worker->n_connections, memory_order_relaxed);
    unsigned max = worker->config.connections_max;
    if (n < max) {
        px_connection_open(worker, fd, tls, NULL);
    } else if (n < (size_t)max + REFUSED_MAX && !tls) {
        struct px_err *err = &worker->err;
        px_err_set(err, PX_E_OVERLOADED, "more than %u connections per event loop", max);
        px_err_hint(err, "reuse connections, or raise server.connections_max");
        px_connection_open(worker, fd, NULL, err);
    } else {
        complain(worker, &worker->dropped, "net.connection_dropped",
                 "more connections than server.connections_max");
        close(fd);
    }
}

/* Accepts one connection; false when there is none or no means to hold it. */
static bool accept_one(struct px_worker *worker, const struct px_listener *listener)
{
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        welcome(worker, fd, listener->tls);
        return true;
    }
    if (is_out_of_resources(errno)) {
        pause_accepting(worker, errno);
        return false;
    }
    return errno != EAGAIN; /* anything else concerns a client that has gone again */
}

static void accept_some(struct px_loop_source *source, uint32_t events)
{
    const struct px_acceptor *acceptor = PX_CONTAINER_OF(source, struct px_acceptor, source);
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        if (!accept_one(acceptor->worker, acceptor->listener))
            return;
    }
}

/* Settling may close a connection, whose handler may finish other exchanges: until nothing is left. */
static void settle_all(struct px_worker *worker)
{
    struct px_net_exchange *x;
    do {
        while ((x = px_exchange_pop(&worker->round)))
            px_exchange_settle(x);
        px_http2_flush_all(worker);
    } while (worker->round.first);
}

/* The end of a round: the handler finishes what it parked, and the responses go out. */
static void finish_round(struct px_worker *worker)
{
    if (worker->wave_due) {
        worker->wave_due = false;
        worker->handler.wave(worker->handler.context, worker->index);
    }
    settle_all(worker);
}

/* Each connection that is queued by now, once; they stay in the queue until it is their turn, as closing takes them out. */
static void advance_queued(struct px_worker *worker)
{
    struct px_connection *c;
    for (size_t left = worker->again.n; left && (c = px_connection_pop(&worker->again)); left--)
        c->protocol->advance(c);
}

static void serve_rounds(struct px_worker *worker)
{
    finish_round(worker);
    for (int i = 1; i < ROUNDS_MAX && worker->again.first; i++) {
        advance_queued(worker);
        finish_round(worker);
    }
}

static void stop_accepting(struct px_worker *worker)
{
    px_deadline_disarm(&worker->pause);
    for (size_t i = 0; i < worker->listeners.n; i++)
        px_loop_remove(&worker->loop, &worker->acceptors[i].source);
    px_listeners_close(&worker->listeners);
}

/* Who waits for `wait` has a moment left. */
static void wait_for_last(struct px_worker *worker, enum px_wait wait)
{
    struct px_deadline *first;
    while ((first = px_deadline_first(&worker->waits[wait])))
        px_deadline_arm(first, &worker->waits[PX_WAIT_LAST], worker->loop.now_ns);
}

/* Is somebody who waits for `wait` owed an answer? */
static bool is_owed(enum px_wait wait)
{
    return wait != PX_WAIT_IDLE && wait != PX_WAIT_LAST && wait != PX_WAIT_HANDSHAKE &&
           wait != PX_WAIT_LINGER;
}

/*
 * Takes in what clients have sent by now and closes the listeners. Who is between two requests gets a
 * moment: a busy client is just about to send, and closing under its request would lose it.
 */
static void begin_draining(struct px_worker *worker)
{
    for (size_t i = 0; i < worker->listeners.n; i++) {
        for (int k = 0; k < DRAIN_ACCEPTS_MAX; k++) {
            if (!accept_one(worker, &worker->listeners.items[i]))
                break;
        }
    }
    stop_accepting(worker);
    wait_for_last(worker, PX_WAIT_IDLE);
    wait_for_last(worker, PX_WAIT_HANDSHAKE);
    px_http2_begin_draining(worker);
    settle_all(worker);
}

static void close_all(struct px_worker *worker)
{
    struct px_connection *c;
    while ((c = px_connection_pop(&worker->again))) {
        worker->has_cut = true;
        px_connection_close(c);
    }
    for (enum px_wait wait = 0; wait < PX_WAITS; wait++) {
        struct px_deadline *first;
        while ((first = px_deadline_first(&worker->waits[wait]))) {
            worker->has_cut |= is_owed(wait);
            px_connection_close(PX_CONTAINER_OF(first, struct px_connection, deadline));
        }
    }
}

static bool is_drained(const struct px_worker *worker)
{
    return worker->listeners.n == 0 &&
           atomic_load_explicit(&worker->n_connections, memory_order_relaxed) ==
               worker->n_lingering &&
           worker->n_long == 0;
}

void px_worker_wake_up(struct px_worker *worker, bool busy)
{
    px_loop_poll(&worker->loop, busy || worker->again.first != NULL);
    px_response_update_date(&worker->date, worker->loop.now_ns);
    worker->wave_due |= px_task_list_run(&worker->tasks);
    serve_rounds(worker);
    px_loop_expire(&worker->loop);
    settle_all(worker); /* what handlers have finished because its time was over */
    if (worker->handler.loop_busy)
        worker->handler.loop_busy(worker->handler.context, worker->index,
                                  px_clock_monotonic_ns() - worker->loop.now_ns);
}

void px_worker_run(struct px_worker *worker)
{
    for (;;) {
        enum px_worker_phase phase = px_worker_phase(worker);
        if (phase == PX_WORKER_DRAINING && worker->listeners.n)
            begin_draining(worker);
        if (phase == PX_WORKER_CUTTING || is_drained(worker))
            break;
        px_worker_wake_up(worker, false);
    }
    px_worker_end(worker);
}

void px_worker_end(struct px_worker *worker)
{
    close_all(worker);
    worker->has_cut |= worker->n_long > 0;
    px_task_list_close(&worker->tasks);
    finish_round(worker); /* handlers finish what they were told to abandon */
}

bool px_worker_post(struct px_worker *worker, struct px_loop_task *task)
{
    enum px_task_posting posting = px_task_list_post(&worker->tasks, task);
    if (posting == PX_TASK_POSTED_FIRST)
        px_loop_wake(&worker->loop);
    return posting != PX_TASK_REFUSED;
}

void px_worker_set_phase(struct px_worker *worker, enum px_worker_phase phase)
{
    atomic_store_explicit(&worker->phase, phase, memory_order_release); /* see px_worker_phase */
    px_loop_wake(&worker->loop);
}

static void on_tick(struct px_deadline *deadline)
{
    px_exchange_tick(PX_CONTAINER_OF(deadline, struct px_worker, tick));
}

static uint64_t wait_ns(const struct px_net_config *config, enum px_wait wait)
{
    const unsigned timeouts_ms[PX_WAITS] = {
        [PX_WAIT_IDLE] = config->idle_timeout_ms,
        [PX_WAIT_LAST] = config->last_timeout_ms ? config->last_timeout_ms : PX_NET_LAST_MS,
        [PX_WAIT_HANDSHAKE] = config->header_timeout_ms,
        [PX_WAIT_HEAD] = config->header_timeout_ms,
        [PX_WAIT_BODY] = config->body_timeout_ms,
        [PX_WAIT_WRITE] = config->write_timeout_ms,
        [PX_WAIT_LINGER] = LINGER_MS,
        [PX_WAIT_ANSWER] = UINT_MAX,
        [PX_WAIT_PING] = config->idle_timeout_ms,
        [PX_WAIT_PONG] = PONG_MS,
    };
    return timeouts_ms[wait] * PX_NS_PER_MS;
}

void px_worker_change(struct px_worker *worker, const struct px_net_config *config)
{
    struct px_net_config *own = &worker->config;
    own->connections_max = config->connections_max;
    own->streams_max = config->streams_max;
    own->header_timeout_ms = config->header_timeout_ms;
    own->body_timeout_ms = config->body_timeout_ms;
    own->idle_timeout_ms = config->idle_timeout_ms;
    own->write_timeout_ms = config->write_timeout_ms;
    own->last_timeout_ms = config->last_timeout_ms;
    for (enum px_wait wait = 0; wait < PX_WAITS; wait++)
        px_deadline_list_change(&worker->waits[wait], wait_ns(own, wait));
    px_http2_change(worker);
}

static void init_waits(struct px_worker *worker)
{
    for (enum px_wait wait = 0; wait < PX_WAITS; wait++) {
        px_deadline_list_init(&worker->waits[wait], wait_ns(&worker->config, wait),
                              px_connection_expired);
        px_loop_add_list(&worker->loop, &worker->waits[wait]);
    }
    px_deadline_list_init(&worker->pauses, ACCEPT_PAUSE_MS * PX_NS_PER_MS, resume_accepting);
    px_loop_add_list(&worker->loop, &worker->pauses);
    px_deadline_list_init(&worker->ticks, PX_EXCHANGE_TICK_MS * PX_NS_PER_MS, on_tick);
    px_loop_add_list(&worker->loop, &worker->ticks);
}

static struct px_http1_pool make_pool(struct px_worker *worker)
{
    const struct px_net_config *config = &worker->config;
    size_t input_max = config->body_bytes_max * INPUT_BODIES_MAX;
    return (struct px_http1_pool){
        .worker = worker,
        .kind = &px_http1_kind,
        .stops_at_head = worker->handler.streams != NULL,
        .limits = {config->header_bytes_max, config->body_bytes_max},
        .arena_bytes_max = config->arena_bytes_max,
        .input_bytes_max = input_max > INPUT_BYTES_MIN ? input_max : INPUT_BYTES_MIN,
    };
}

enum px_code px_worker_init(struct px_worker *worker, unsigned index,
                            const struct px_net_config *config,
                            const struct px_http_handler *handler, struct px_listeners *listeners,
                            struct px_err *err)
{
    *worker = (struct px_worker){.index = index, .config = *config, .handler = *handler};
    worker->listeners = *listeners;
    *listeners = (struct px_listeners){0};
    enum px_code code = px_loop_init(&worker->loop, err);
    if (code != PX_OK)
        return code;
    init_waits(worker);
    worker->exchanges = make_pool(worker);
    worker->coding =
        px_net_coding(config->coders ? config->coders[index] : NULL, config->body_bytes_max);
    px_response_update_date(&worker->date, worker->loop.now_ns);
    for (size_t i = 0; i < worker->listeners.n && code == PX_OK; i++) {
        struct px_acceptor *acceptor = &worker->acceptors[i];
        acceptor->source = (struct px_loop_source){worker->listeners.items[i].fd, accept_some};
        acceptor->worker = worker;
        acceptor->listener = &worker->listeners.items[i];
        code = px_loop_add(&worker->loop, &acceptor->source, EPOLLIN, err);
    }
    return code;
}

void px_worker_deinit(struct px_worker *worker)
{
    px_task_list_close(&worker->tasks); /* of a worker that never ran */
    for (struct px_net_exchange *x = worker->long_first, *next; x; x = next) {
        next = x->long_next;
        x->kind->destroy(x);
    }
    worker->long_first = NULL;
    for (struct px_connection *c = worker->unused, *next; c; c = next) {
        next = c->next;
        px_free(c);
    }
    worker->unused = NULL;
    px_http1_pool_deinit(&worker->exchanges);
    px_http2_pool_destroy(worker->http2);
    px_net_coding_deinit(&worker->coding);
    px_listeners_close(&worker->listeners);
    px_loop_deinit(&worker->loop);
}
