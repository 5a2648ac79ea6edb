/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event loop: sources that epoll watches, and deadlines.
 *
 * Concepts
 * - A source is a file descriptor with a callback, embedded in what owns it. Watching is level
 *   triggered: a source that leaves bytes unread is called again.
 * - A deadline list holds deadlines of one duration. Since time only grows, appending keeps it sorted,
 *   so arming, re-arming and disarming are a few pointer writes and the next expiry is the first
 *   element. A server has a handful of durations, so it needs no timer wheel.
 *
 * Ownership: the loop borrows sources and lists; remove a source before its descriptor is closed.
 * Threads: everything on the loop's own thread, except px_loop_wake.
 */
#ifndef PX_INFRASTRUCTURE_NET_LOOP_LOOP_H
#define PX_INFRASTRUCTURE_NET_LOOP_LOOP_H

#include "shared/err.h"

#include <stdint.h>
#include <sys/epoll.h>

enum {
    PX_LOOP_EVENTS_MAX = 256, /* sources called in one wake-up */
    PX_LOOP_LISTS_MAX = 16,
};

struct px_loop_source {
    int fd;
    void (*ready)(struct px_loop_source *source, uint32_t events);
};

struct px_deadline_list;

struct px_deadline {
    uint64_t at_ns;
    struct px_deadline_list *list; /* NULL when not armed */
    struct px_deadline *previous, *next;
};

struct px_deadline_list {
    uint64_t after_ns;
    /* Called by px_loop_expire; the deadline has been disarmed. */
    void (*expired)(struct px_deadline *deadline);
    struct px_deadline ends; /* next = first, previous = last */
};

struct px_loop {
    uint64_t now_ns; /* monotonic, at the latest wake-up */
    /* private */
    bool is_open; /* the descriptors below are the loop's; 0 is one like any other */
    int epoll_fd;
    struct px_loop_source waker; /* an eventfd */
    struct px_deadline_list *lists[PX_LOOP_LISTS_MAX];
    size_t n_lists;
    struct epoll_event events[PX_LOOP_EVENTS_MAX];
};

PX_MUST_USE enum px_code px_loop_init(struct px_loop *loop, struct px_err *err);
void px_loop_deinit(struct px_loop *loop); /* a zeroed loop is fine */

/* `events` as for epoll (EPOLLIN, EPOLLOUT). Errno in the message when the kernel refuses. */
PX_MUST_USE enum px_code px_loop_add(struct px_loop *loop, struct px_loop_source *source,
                                     uint32_t events, struct px_err *err);
void px_loop_change(struct px_loop *loop, struct px_loop_source *source, uint32_t events);
void px_loop_remove(struct px_loop *loop, struct px_loop_source *source);

/* Makes a waiting (or the next) px_loop_poll return. Threads: any. */
void px_loop_wake(struct px_loop *loop);

/* Waits until a source is ready, a deadline has passed or the loop is woken; calls the sources. With
 * `busy` it does not wait. */
void px_loop_poll(struct px_loop *loop, bool busy);

/* Calls back for every deadline that has passed at now_ns. */
void px_loop_expire(struct px_loop *loop);

void px_deadline_list_init(struct px_deadline_list *list, uint64_t after_ns,
                           void (*expired)(struct px_deadline *deadline));
/* Another duration, for what is armed too: as if it had been so when it was. */
void px_deadline_list_change(struct px_deadline_list *list, uint64_t after_ns);
/* The loop respects the list from now on; at most PX_LOOP_LISTS_MAX. */
void px_loop_add_list(struct px_loop *loop, struct px_deadline_list *list);

/* Arms `deadline` for now_ns + the list's duration, whether it was armed before or not. */
void px_deadline_arm(struct px_deadline *deadline, struct px_deadline_list *list, uint64_t now_ns);
void px_deadline_disarm(struct px_deadline *deadline); /* not armed is fine */

/* The one that expires first, or NULL. */
struct px_deadline *px_deadline_first(const struct px_deadline_list *list);

#endif
