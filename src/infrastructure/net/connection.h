/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: an accepted socket, its wait, and the protocol that is spoken on it. Private to this folder.
 *
 * Every connection begins as HTTP/1 and becomes HTTP/2 when its handshake has agreed on that, or, where it has agreed on
 * nothing, when its first bytes are that protocol's preface. The protocol
 * reads, answers and decides when the connection ends; this file knows how to open, wait, linger and close.
 *
 * Lingering: the last response is sent and the write side shut; what the client still sends is dropped for a while.
 *
 * Threads: the worker's.
 */
#ifndef PX_INFRASTRUCTURE_NET_CONNECTION_H
#define PX_INFRASTRUCTURE_NET_CONNECTION_H

#include "infrastructure/net/queue.h"
#include "infrastructure/net/socket.h"
#include "infrastructure/net/worker.h"

struct px_connection;
struct px_http1_exchange;
struct px_http2;

struct px_protocol {
    void (*ready)(struct px_connection *connection, uint32_t events);
    /* What was left in a buffer at the end of a round goes on. */
    void (*advance)(struct px_connection *connection);
    /* The timeout of its wait has passed. */
    void (*expired)(struct px_connection *connection);
    /* The connection ends: gives back or leaves behind what it has. */
    void (*release)(struct px_connection *connection);
};

/* What an HTTP/1 connection does. */
enum px_http1_state {
    PX_HTTP1_READING = 0,
    PX_HTTP1_WRITING,   /* the response did not fit the socket's buffer */
    PX_HTTP1_WAITING,   /* for a deferred response */
    PX_HTTP1_STREAMING, /* both at once */
};

struct px_connection {
    struct px_loop_source source;
    struct px_socket socket;
    struct px_deadline deadline;
    struct px_worker *worker;
    const struct px_protocol *protocol;
    union {
        struct px_http1_exchange *exchange; /* of HTTP/1; NULL while nothing has arrived */
        struct px_http2 *http2;
    };
    struct px_connection *next; /* in the list of unused structs */
    struct px_queue_node in_again;
    uint64_t peer;     /* of ports/http.h */
    uint32_t interest; /* what epoll watches for */
    enum px_http1_state state;
    bool is_sniffed;       /* it speaks HTTP/1 */
    bool closes;           /* after the current response */
    bool lingers;          /* and the client does not expect it */
    bool is_lingering;     /* it has come to that */
    size_t drain_left;     /* bytes that lingering still reads and drops */
    size_t unacknowledged; /* when the wait for the reader began */
};

/* Takes an accepted socket over, `tls` may be NULL. With `refusal` it is answered with that error and closed. */
void px_connection_open(struct px_worker *worker, int fd, struct px_tls *tls,
                        const struct px_err *refusal);
void px_connection_close(struct px_connection *connection);

/* The same for one that owes nothing: with a layer the client is told that this is the end, not a loss. */
void px_connection_end(struct px_connection *connection);

/* Sends the end of the stream and drops what the client still sends, for a while. The protocol has released it. */
void px_connection_linger(struct px_connection *connection);

/* Changes what epoll watches for, where that is a change. */
static inline void px_connection_watch(struct px_connection *connection, uint32_t interest)
{
    if (PX_LIKELY(connection->interest == interest))
        return;
    connection->interest = interest;
    px_loop_change(&connection->worker->loop, &connection->source, interest);
}

static inline void px_connection_wait(struct px_connection *connection, enum px_wait wait)
{
    struct px_worker *worker = connection->worker;
    px_deadline_arm(&connection->deadline, &worker->waits[wait], worker->loop.now_ns);
}

static inline bool px_connection_is_waiting(const struct px_connection *connection,
                                            enum px_wait wait)
{
    return connection->deadline.list == &connection->worker->waits[wait];
}

/* Waits until the client takes more of what the kernel holds for it; `is_reading` is true when it has taken some since. */
void px_connection_wait_for_reader(struct px_connection *connection);
bool px_connection_is_reading(const struct px_connection *connection);

void px_connection_expired(struct px_deadline *deadline);

/* Into worker->again, if it is not there: it has bytes of a further request. Lingering and closing take it out. */
void px_connection_queue_up(struct px_connection *connection);
struct px_connection *px_connection_pop(struct px_queue *queue); /* of connections */

#endif
