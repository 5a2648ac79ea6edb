/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1 on a connection: reads requests, hands them to the handler, sends the responses. Private to net.
 *
 * States
 *     READING   --handler defers-->  WAITING  --finished-->  as below
 *     READING   --response does not fit the socket's buffer-->  WRITING  --all taken-->  READING
 *     READING   --handler streams-->  STREAMING  --both bodies have ended-->  READING
 *     any       --last response sent, the client does not expect the end-->  lingering
 * One exchange is in flight at a time; further requests wait in the input buffer, so responses are in
 * order without any bookkeeping. Threads: the worker's.
 */
#ifndef PX_INFRASTRUCTURE_NET_HTTP1_CONNECTION_H
#define PX_INFRASTRUCTURE_NET_HTTP1_CONNECTION_H

#include "infrastructure/net/connection.h"

extern const struct px_protocol px_http1_protocol;
extern const struct px_exchange_kind px_http1_kind;

/* The first wait of a connection, or its only answer. */
void px_http1_open(struct px_connection *connection, const struct px_err *refusal);

/* Private to this folder. */

/* Answers the current request, whatever its state, with `err`, and closes. */
void px_http1_refuse(struct px_connection *connection, const struct px_err *err);

/* Sends the finished response of the exchange. */
void px_http1_respond(struct px_connection *connection);

/* Sends on: what the socket did not take, or what the handler has added to a streamed response. */
void px_http1_write(struct px_connection *connection);

/* The response is with the kernel: on to the next request, or to the end. */
void px_http1_next(struct px_connection *connection);

/* Of a streamed exchange: watches and waits for what can go on. */
void px_http1_wait_streaming(struct px_connection *connection);

#endif
