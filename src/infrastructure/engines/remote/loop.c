/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/remote/engine.h"

#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/thread.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_MAX = 64, SLEEP_MAX_MS = 60000 };

/* ---- what libcurl calls ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct px_remote *self = context;
    struct epoll_event event = {.data.fd = fd};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(self->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        self->curl->multi_assign(self->multi, fd, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        event.events |= EPOLLOUT;
    int op = known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(self->epoll_fd, op, fd, &event) != 0)
        epoll_ctl(self->epoll_fd, known ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
    self->curl->multi_assign(self->multi, fd, self);
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    struct px_remote *self = context;
    (void)multi;
    self->curl_due_ns =
        timeout_ms < 0 ? 0 : px_clock_monotonic_ns() + (uint64_t)timeout_ms * PX_NS_PER_MS;
    return 0;
}

/* ---- transfers ---- */

struct px_remote_transfer *px_remote_take_transfer(struct px_remote *self)
{
    struct px_remote_transfer *transfer = self->spare;
    if (!transfer)
        return px_remote_transfer_create(self->curl, &self->settings);
    self->spare = transfer->next;
    transfer->next = NULL;
    return transfer;
}

void px_remote_give_transfer(struct px_remote *self, struct px_remote_transfer *transfer)
{
    enum { BODY_KEPT_MAX = 1 << 16 };
    if (transfer->body.len > BODY_KEPT_MAX)
        px_buf_deinit(&transfer->body);
    transfer->call = NULL;
    transfer->next = self->spare;
    self->spare = transfer;
}

enum px_code px_remote_send(struct px_remote *self, struct px_remote_transfer *transfer,
                            struct px_err *err)
{
    if (self->curl->multi_add(self->multi, transfer->easy) != CURLM_OK) {
        px_remote_transfer_release(transfer);
        return px_err_set(err, PX_E_NO_MEMORY, "there is no memory for a request to a peer");
    }
    self->n_transfers++;
    return PX_OK;
}

void px_remote_take_off(struct px_remote *self, struct px_remote_transfer *transfer)
{
    self->curl->multi_remove(self->multi, transfer->easy);
    px_remote_transfer_release(transfer);
    self->n_transfers--;
}

/* ---- the loop ---- */

void px_remote_loop_due(struct px_remote *self, uint64_t at_ns)
{
    if (at_ns && at_ns < self->due_ns)
        self->due_ns = at_ns;
}

void px_remote_loop_wake(struct px_remote *self)
{
    uint64_t one = 1;
    while (write(self->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

/* Takes what others have left; false when the engine ends. */
static bool take_inbox(struct px_remote *self)
{
    pthread_mutex_lock(&self->lock);
    struct px_remote_call *call = self->inbox.first;
    bool cancelled = self->look_for_cancelled, stopping = self->stopping;
    self->inbox = (struct px_remote_calls){0};
    self->look_for_cancelled = false;
    pthread_mutex_unlock(&self->lock);
    uint64_t now_ns = px_clock_monotonic_ns();
    while (call) {
        struct px_remote_call *next = call->next;
        px_remote_call_begin(self, call, now_ns);
        call = next;
    }
    if (cancelled)
        px_remote_calls_sweep(self, true, now_ns);
    return !stopping;
}

static void take_ended(struct px_remote *self)
{
    CURLMsg *message;
    int left;
    while ((message = self->curl->multi_read(self->multi, &left)) != NULL) {
        char *context = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result;
        self->curl->get(message->easy_handle, CURLINFO_PRIVATE, &context);
        struct px_remote_transfer *transfer = (void *)context;
        px_remote_take_off(self, transfer);
        if (transfer->call)
            px_remote_call_on_end(self, transfer, result, px_clock_monotonic_ns());
        else
            px_remote_probe_on_end(self, transfer, result, px_clock_monotonic_ns());
    }
}

static void act(struct px_remote *self, const struct epoll_event *event)
{
    int running, flags = 0;
    if (event->data.fd == self->wake_fd) {
        uint64_t count;
        while (read(self->wake_fd, &count, sizeof count) < 0 && errno == EINTR) {
        }
        return;
    }
    if (event->events & (EPOLLIN | EPOLLHUP))
        flags |= CURL_CSELECT_IN;
    if (event->events & EPOLLOUT)
        flags |= CURL_CSELECT_OUT;
    if (event->events & EPOLLERR)
        flags |= CURL_CSELECT_ERR;
    self->curl->multi_act(self->multi, event->data.fd, flags, &running);
}

/* Everything that is due without waiting for a socket; what is done may make more due. */
static void settle(struct px_remote *self)
{
    int running;
    uint64_t now_ns = px_clock_monotonic_ns();
    if (now_ns >= self->due_ns) {
        px_remote_calls_sweep(self, false, now_ns);
        px_remote_probes_sweep(self, now_ns);
    }
    if (self->curl_due_ns && now_ns >= self->curl_due_ns) {
        self->curl_due_ns = 0;
        self->curl->multi_act(self->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    take_ended(self); /* which makes room, and calls that are to be tried again */
    px_remote_calls_pump(self, px_clock_monotonic_ns());
}

static int sleep_ms(const struct px_remote *self)
{
    uint64_t due_ns = self->due_ns, now_ns = px_clock_monotonic_ns();
    if (self->curl_due_ns && self->curl_due_ns < due_ns)
        due_ns = self->curl_due_ns;
    if (due_ns <= now_ns)
        return 0;
    uint64_t ms = (due_ns - now_ns + PX_NS_PER_MS - 1) / PX_NS_PER_MS;
    return ms < SLEEP_MAX_MS ? (int)ms : SLEEP_MAX_MS;
}

static void *run_loop(void *context)
{
    struct px_remote *self = context;
    struct epoll_event events[EVENTS_MAX];
    while (take_inbox(self)) {
        settle(self);
        int n = epoll_wait(self->epoll_fd, events, EVENTS_MAX, sleep_ms(self));
        for (int i = 0; i < n; i++)
            act(self, &events[i]);
    }
    px_remote_probes_end(self);
    PX_ASSERT(!self->waiting.first && !self->flying.first); /* every run has finished */
    return NULL;
}

/* ---- start and stop ---- */

static enum px_code open_multi(struct px_remote *self, struct px_err *err)
{
    const struct px_curl *curl = self->curl;
    long kept = (long)self->settings.connections_max + (long)self->settings.n_urls;
    self->multi = curl->multi_init();
    if (!self->multi)
        return px_err_set(err, PX_E_NO_MEMORY, "there is no memory for connections");
    curl->multi_set(self->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl->multi_set(self->multi, CURLMOPT_SOCKETDATA, (void *)self);
    curl->multi_set(self->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl->multi_set(self->multi, CURLMOPT_TIMERDATA, (void *)self);
    curl->multi_set(self->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    curl->multi_set(self->multi, CURLMOPT_MAXCONNECTS, kept);
    return PX_OK;
}

enum px_code px_remote_loop_start(struct px_remote *self, struct px_err *err)
{
    struct epoll_event wake = {.events = EPOLLIN};
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    wake.data.fd = self->wake_fd;
    if (self->wake_fd < 0 || self->epoll_fd < 0 ||
        epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->wake_fd, &wake) != 0)
        return px_err_set(err, PX_E_UNAVAILABLE, "no descriptors for a remote model: %s",
                          strerror(errno));
    enum px_code code = open_multi(self, err);
    if (code != PX_OK)
        return code;
    int failure = px_thread_start("px-remote", run_loop, self, &self->thread);
    self->has_thread = failure == 0;
    if (failure)
        return px_err_set(err, PX_E_UNAVAILABLE, "no thread for a remote model: %s",
                          strerror(failure));
    return PX_OK;
}

void px_remote_loop_stop(struct px_remote *self)
{
    if (self->has_thread) {
        pthread_mutex_lock(&self->lock);
        self->stopping = true;
        pthread_mutex_unlock(&self->lock);
        px_remote_loop_wake(self);
        pthread_join(self->thread, NULL);
    }
    while (self->spare) {
        struct px_remote_transfer *next = self->spare->next;
        px_remote_transfer_destroy(self->spare);
        self->spare = next;
    }
    if (self->multi)
        self->curl->multi_cleanup(self->multi);
    if (self->epoll_fd >= 0)
        close(self->epoll_fd);
    if (self->wake_fd >= 0)
        close(self->wake_fd);
}
