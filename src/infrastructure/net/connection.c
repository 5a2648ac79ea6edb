/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * Between wake-ups every connection is in a deadline list, or queued in worker->again, or both; a wait without an
 * end (PX_WAIT_ANSWER) is a list with a duration of years, so whoever looks for all connections finds them there.
 *
 * Closing: when the client may still be sending, close() would make the kernel answer with a reset, and a reset may
 * destroy the response before the client reads it. So the write side is shut down and a bounded amount is read and
 * dropped first (RFC 9112, 9.6).
 */
#include "infrastructure/net/connection.h"

#include "infrastructure/net/http1/connection.h"
#include "shared/alloc.h"
#include "shared/hash.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LINGER_BYTES_MAX = 1 << 20, /* read and dropped before a close */
    LINGER_READ = 1 << 16,
};

static void count_connections(struct px_worker *worker, int change)
{
    /* One writer; the control thread only reads a number. */
    size_t n = atomic_load_explicit(&worker->n_connections, memory_order_relaxed);
    atomic_store_explicit(&worker->n_connections, n + (size_t)change, memory_order_relaxed);
}

static void leave_queue(struct px_connection *connection)
{
    px_queue_remove(&connection->worker->again, &connection->in_again);
}

void px_connection_close(struct px_connection *connection)
{
    struct px_worker *worker = connection->worker;
    leave_queue(connection);
    if (connection->is_lingering)
        (void)px_socket_drop(&connection->socket, LINGER_READ); /* else the close becomes a reset */
    else
        connection->protocol->release(connection);
    px_deadline_disarm(&connection->deadline);
    px_loop_remove(&worker->loop, &connection->source);
    px_socket_close(&connection->socket);
    worker->n_lingering -= connection->is_lingering;
    count_connections(worker, -1);
    connection->next = worker->unused;
    worker->unused = connection;
}

void px_connection_end(struct px_connection *connection)
{
    if (connection->socket.layer)
        (void)px_socket_end(&connection->socket);
    px_connection_close(connection);
}

void px_connection_linger(struct px_connection *connection)
{
    leave_queue(connection);
    connection->protocol->release(connection);
    connection->is_lingering = true;
    connection->worker->n_lingering++;
    if (!px_socket_end(&connection->socket)) {
        px_connection_close(connection);
        return;
    }
    px_connection_watch(connection, EPOLLIN);
    connection->drain_left = LINGER_BYTES_MAX;
    px_connection_wait(connection, PX_WAIT_LINGER);
}

static void drop_input(struct px_connection *c)
{
    ssize_t n = px_socket_drop(&c->socket, LINGER_READ);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || (size_t)n >= c->drain_left)
        px_connection_close(c);
    else
        c->drain_left -= (size_t)n;
}

static void on_ready(struct px_loop_source *source, uint32_t events)
{
    struct px_connection *c = PX_CONTAINER_OF(source, struct px_connection, source);
    if (PX_UNLIKELY(c->is_lingering))
        drop_input(c);
    else
        c->protocol->ready(c, events);
}

void px_connection_wait_for_reader(struct px_connection *connection)
{
    connection->unacknowledged = px_socket_unacknowledged(&connection->socket);
    px_connection_wait(connection, PX_WAIT_WRITE);
}

bool px_connection_is_reading(const struct px_connection *connection)
{
    return px_socket_unacknowledged(&connection->socket) < connection->unacknowledged;
}

void px_connection_expired(struct px_deadline *deadline)
{
    struct px_connection *c = PX_CONTAINER_OF(deadline, struct px_connection, deadline);
    if (c->is_lingering)
        px_connection_close(c);
    else
        c->protocol->expired(c);
}

static struct px_connection *allocate(struct px_worker *worker)
{
    struct px_connection *c = worker->unused;
    if (!c)
        return px_alloc(1, sizeof *c);
    worker->unused = c->next;
    memset(c, 0, sizeof *c);
    return c;
}

/* By which clients that do not say who they are share a model fairly. */
static uint64_t hash_peer(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char text[INET6_ADDRSTRLEN];
    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    const void *bytes = NULL;
    if (address.ss_family == AF_INET)
        bytes = &((const struct sockaddr_in *)&address)->sin_addr;
    else if (address.ss_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)&address)->sin6_addr;
    if (!bytes || !inet_ntop(address.ss_family, bytes, text, sizeof text))
        return 0;
    return px_hash(text, strlen(text));
}

/* Everything that an accepted socket needs; false when there is no memory for it. */
static bool set_up(struct px_connection *c, struct px_tls *tls)
{
    if (tls) {
        c->socket.layer = px_tls_layer_create(tls, c->socket.fd);
        if (!c->socket.layer)
            return false;
    }
    return px_loop_add(&c->worker->loop, &c->source, EPOLLIN, NULL) == PX_OK;
}

void px_connection_open(struct px_worker *worker, int fd, struct px_tls *tls,
                        const struct px_err *refusal)
{
    struct px_connection *c = allocate(worker);
    if (!c) {
        close(fd);
        return;
    }
    c->worker = worker;
    c->protocol = &px_http1_protocol;
    c->socket = (struct px_socket){.fd = fd};
    c->peer = hash_peer(fd);
    c->source = (struct px_loop_source){fd, on_ready};
    c->interest = EPOLLIN;
    if (!set_up(c, tls)) {
        px_socket_close(&c->socket);
        c->next = worker->unused;
        worker->unused = c;
        return;
    }
    count_connections(worker, 1);
    px_http1_open(c, refusal);
}

void px_connection_queue_up(struct px_connection *connection)
{
    px_queue_add(&connection->worker->again, &connection->in_again);
}

struct px_connection *px_connection_pop(struct px_queue *queue)
{
    struct px_queue_node *node = px_queue_pop(queue);
    return node ? PX_CONTAINER_OF(node, struct px_connection, in_again) : NULL;
}
