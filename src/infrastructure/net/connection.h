/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection: reads requests, hands them to the handler, sends the responses. Private to this folder.
 *
 * States
 *     READING  --response does not fit the socket's buffer-->  WRITING  --all taken-->  READING
 *     READING, WRITING  --last response sent, the client does not expect the end-->  LINGERING
 * One exchange is in flight at a time; further requests wait in the input buffer, so responses are in
 * order without any bookkeeping. Threads: the worker's.
 */
#ifndef PX_INFRASTRUCTURE_NET_CONNECTION_H
#define PX_INFRASTRUCTURE_NET_CONNECTION_H

#include "infrastructure/net/worker.h"

enum px_connection_state {
    PX_CONNECTION_READING = 1,
    PX_CONNECTION_WRITING,
    PX_CONNECTION_LINGERING
};

struct px_connection {
    struct px_loop_source source;
    struct px_deadline deadline;
    struct px_worker *worker;
    struct px_net_exchange *exchange; /* NULL while nothing has arrived */
    struct px_connection *next;       /* in a queue or in the list of unused structs */
    enum px_connection_state state;
    bool is_queued;        /* in worker->again */
    bool closes;           /* after the current response */
    bool lingers;          /* and the client does not expect it */
    size_t drain_left;     /* bytes that LINGERING still reads and drops */
    size_t unacknowledged; /* when the wait for the reader began */
};

/* Takes an accepted socket over. With `refusal` it is answered with that error and closed. */
void px_connection_open(struct px_worker *worker, int fd, const struct px_err *refusal);
void px_connection_close(struct px_connection *connection);

/* Reads what has arrived and hands a complete request to the handler. */
void px_connection_read(struct px_connection *connection);

/* Parses on in what has been read, and hands a complete request to the handler. */
void px_connection_advance(struct px_connection *connection);

/* Sends the finished response of the exchange. */
void px_connection_respond(struct px_connection *connection);

/* The timeout of its wait has passed. */
void px_connection_expired(struct px_deadline *deadline);

void px_connection_queue_push(struct px_connection_queue *queue, struct px_connection *connection);
struct px_connection *px_connection_queue_pop(struct px_connection_queue *queue);

#endif
