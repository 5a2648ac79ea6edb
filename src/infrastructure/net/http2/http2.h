/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2, as the rest of net sees it. libnghttp2 stays behind this header.
 *
 * Threads: the worker's.
 */
#ifndef PX_INFRASTRUCTURE_NET_HTTP2_HTTP2_H
#define PX_INFRASTRUCTURE_NET_HTTP2_HTTP2_H

#include "shared/err.h"
#include "shared/str.h"

struct px_connection;
struct px_http2_pool;
struct px_worker;

enum px_http2_sniffed { PX_HTTP2_NO = 0, PX_HTTP2_YES, PX_HTTP2_MAYBE };

/* Do the first bytes of a connection begin HTTP/2's preface? MAYBE while they are a part of it. */
enum px_http2_sniffed px_http2_sniff(struct px_str bytes);

/* Turns an HTTP/1 connection that owns no exchange into HTTP/2; `bytes` have been received. Other than the preface end it. */
void px_http2_open(struct px_connection *connection, struct px_str bytes);

/* Settles what the library wants to say: sends it. */
void px_http2_flush_all(struct px_worker *worker);

/* The worker's timeouts have changed. */
void px_http2_change(struct px_worker *worker);

/* The worker drains: clients are told, and have a moment for requests that are on their way. */
void px_http2_begin_draining(struct px_worker *worker);

/* NULL when memory is short. */
struct px_http2_pool *px_http2_pool_create(struct px_worker *worker);
void px_http2_pool_destroy(struct px_http2_pool *pool); /* NULL is fine */

#endif
