/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * Level triggered, because it needs fewest system calls here: one recv per wake-up is enough (what is
 * left is reported again), while edge triggering must read until EAGAIN, which is a second recv per
 * request. Interest changes only when a response does not fit into the socket's buffer.
 */
#include "infrastructure/net/loop/loop.h"

#include "shared/clock.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void drain_waker(struct px_loop_source *source, uint32_t events)
{
    (void)events;
    uint64_t count;
    /* Fails only with EAGAIN, when another wake-up has taken the count already. */
    (void)!read(source->fd, &count, sizeof count);
}

enum px_code px_loop_init(struct px_loop *loop, struct px_err *err)
{
    *loop = (struct px_loop){.is_open = true, .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    loop->waker = (struct px_loop_source){eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), drain_waker};
    loop->now_ns = px_clock_monotonic_ns();
    enum px_code code = PX_OK;
    if (loop->epoll_fd < 0 || loop->waker.fd < 0)
        code = px_err_set(err, PX_E_IO, "create an event loop: %s", strerror(errno));
    else
        code = px_loop_add(loop, &loop->waker, EPOLLIN, err);
    if (code != PX_OK)
        px_loop_deinit(loop);
    return code;
}

void px_loop_deinit(struct px_loop *loop)
{
    if (!loop->is_open)
        return;
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->waker.fd >= 0)
        close(loop->waker.fd);
    *loop = (struct px_loop){0};
}

enum px_code px_loop_add(struct px_loop *loop, struct px_loop_source *source, uint32_t events,
                         struct px_err *err)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) != 0)
        return px_err_set(err, PX_E_IO, "watch a descriptor: %s", strerror(errno));
    return PX_OK;
}

void px_loop_change(struct px_loop *loop, struct px_loop_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    int rc = epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
    PX_ASSERT(rc == 0);
}

void px_loop_remove(struct px_loop *loop, struct px_loop_source *source)
{
    int rc = epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    PX_ASSERT(rc == 0);
}

void px_loop_wake(struct px_loop *loop)
{
    uint64_t one = 1;
    /* Fails only when the counter is full, and then the loop is awake already. */
    (void)!write(loop->waker.fd, &one, sizeof one);
}

/* Milliseconds until the earliest deadline, rounded up so that it has passed then; -1 for never. */
static int wait_ms(const struct px_loop *loop)
{
    uint64_t at_ns = UINT64_MAX;
    for (size_t i = 0; i < loop->n_lists; i++) {
        const struct px_deadline *first = px_deadline_first(loop->lists[i]);
        if (first && first->at_ns < at_ns)
            at_ns = first->at_ns;
    }
    if (at_ns == UINT64_MAX)
        return -1;
    /* Measured from the latest wake-up: waiting a little too long costs nothing, a clock call does. */
    uint64_t left_ns = at_ns > loop->now_ns ? at_ns - loop->now_ns : 0;
    uint64_t left_ms = (left_ns + PX_NS_PER_MS - 1) / PX_NS_PER_MS;
    return left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
}

void px_loop_poll(struct px_loop *loop, bool busy)
{
    int timeout_ms = busy ? 0 : wait_ms(loop);
    int n = epoll_wait(loop->epoll_fd, loop->events, PX_LOOP_EVENTS_MAX, timeout_ms);
    PX_ASSERT(n >= 0 || errno == EINTR);
    loop->now_ns = px_clock_monotonic_ns();
    for (int i = 0; i < n; i++) {
        struct px_loop_source *source = loop->events[i].data.ptr;
        source->ready(source, loop->events[i].events);
    }
}

void px_loop_expire(struct px_loop *loop)
{
    for (size_t i = 0; i < loop->n_lists; i++) {
        struct px_deadline_list *list = loop->lists[i];
        struct px_deadline *first;
        while ((first = px_deadline_first(list)) && first->at_ns <= loop->now_ns) {
            px_deadline_disarm(first);
            list->expired(first);
        }
    }
}

void px_deadline_list_init(struct px_deadline_list *list, uint64_t after_ns,
                           void (*expired)(struct px_deadline *deadline))
{
    *list = (struct px_deadline_list){.after_ns = after_ns, .expired = expired};
    list->ends.next = list->ends.previous = &list->ends;
}

/* All are shifted by the same, so the list stays sorted. */
void px_deadline_list_change(struct px_deadline_list *list, uint64_t after_ns)
{
    for (struct px_deadline *d = list->ends.next; d != &list->ends; d = d->next)
        d->at_ns = d->at_ns - list->after_ns + after_ns;
    list->after_ns = after_ns;
}

void px_loop_add_list(struct px_loop *loop, struct px_deadline_list *list)
{
    PX_ASSERT(loop->n_lists < PX_LOOP_LISTS_MAX);
    loop->lists[loop->n_lists++] = list;
}

void px_deadline_arm(struct px_deadline *deadline, struct px_deadline_list *list, uint64_t now_ns)
{
    px_deadline_disarm(deadline);
    struct px_deadline *last = list->ends.previous;
    deadline->at_ns = now_ns + list->after_ns;
    PX_ASSERT(last == &list->ends || last->at_ns <= deadline->at_ns);
    deadline->list = list;
    deadline->previous = last;
    deadline->next = &list->ends;
    last->next = list->ends.previous = deadline;
}

void px_deadline_disarm(struct px_deadline *deadline)
{
    if (!deadline->list)
        return;
    deadline->previous->next = deadline->next;
    deadline->next->previous = deadline->previous;
    deadline->list = NULL;
}

struct px_deadline *px_deadline_first(const struct px_deadline_list *list)
{
    return list->ends.next == &list->ends ? NULL : list->ends.next;
}
