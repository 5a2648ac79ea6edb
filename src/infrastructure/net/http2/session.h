/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 on a connection: a session of libnghttp2, its streams, and what leaves. Private to net.
 *
 * Concepts
 * - The library frames, compresses headers, keeps windows and judges the protocol; it does no I/O. What the socket
 *   brings is fed to it, and what it wants to send is collected in one buffer per loop and leaves in few calls.
 * - Streams are exchanges (stream.h). All requests that one wake-up brings, of all sessions, are one wave.
 * - A session that has something to say is in the pool's list of dirty ones; it is flushed when the round is settled.
 * - Reading and writing memory is the loop's. A session keeps only what the socket did not take, so an idle one costs what
 *   the library needs.
 *
 * Threads: the worker's.
 */
#ifndef PX_INFRASTRUCTURE_NET_HTTP2_SESSION_H
#define PX_INFRASTRUCTURE_NET_HTTP2_SESSION_H

#include "infrastructure/net/connection.h"
#include "infrastructure/net/http2/memory.h"
#include "infrastructure/net/http2/stream.h"

#include <nghttp2/nghttp2.h>

enum px_http2_drain {
    PX_HTTP2_SERVING = 0,
    PX_HTTP2_NOTICED, /* the client knows that the connection will end; what it still sends is served */
    PX_HTTP2_LEAVING, /* new streams are not taken any more */
};

struct px_http2 {
    struct px_connection *connection;
    struct px_http2_pool *pool;
    nghttp2_session *nghttp2;
    struct px_http2 *previous, *next; /* sessions of the worker */
    struct px_http2 *next_dirty;
    struct px_http2_stream *streams; /* open ones */
    struct px_http2_stream *heading; /* whose headers are being received */
    size_t n_streams;
    struct px_buf rest; /* framed, and not taken by the socket */
    size_t rest_sent;
    uint64_t read_ns;
    unsigned idle_frames; /* frames that carried no work, since one that did */
    unsigned resets;      /* streams that ended without an answer, less those forgiven */
    uint64_t forgiven_ns; /* until when resets have been forgiven */
    enum px_http2_drain drain;
    enum px_wait wait; /* what the connection waits for */
    bool is_dirty;
    bool is_ending;  /* its GOAWAY is queued */
    bool is_broken;  /* the library has given up: it ends as soon as what is queued has left */
    bool is_heading; /* between the begin and the end of headers */
};

/* What the sessions of a worker share. */
struct px_http2_pool {
    struct px_worker *worker;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    struct px_http2_memory memory;
    nghttp2_mem calls;
    struct px_http2 *sessions;
    struct px_http2 *dirty;
    struct px_deadline_list body_waits, write_waits; /* of streams */
    char *input;                                     /* [PX_HTTP2_INPUT] */
    struct px_buf output;
    struct px_http2_stream *unused;
    size_t n_unused, kept_bytes;
    size_t n_left_behind;
    size_t input_max, header_max; /* limits of one request */
};

enum {
    PX_HTTP2_INPUT = 1 << 16,  /* bytes of one recv */
    PX_HTTP2_OUTPUT = 1 << 16, /* that are collected for one send */
};

/* Into the list of sessions that are flushed at the end of the round. */
void px_http2_mark_dirty(struct px_http2 *session);

/* Hands the response's head to the library. */
void px_http2_submit(struct px_http2_stream *stream);

/* Private to this folder: the library's callbacks. */
PX_MUST_USE bool px_http2_install_callbacks(struct px_http2_pool *pool);

/* The session has misbehaved: it is told so and ends. */
void px_http2_terminate(struct px_http2 *session, uint32_t error_code);

#endif
