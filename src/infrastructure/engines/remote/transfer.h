/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exchange with a peer: a handle of libcurl with what it sends, what came back, and what that means.
 *
 * Connections of gRPC. libcurl 7.88 fails when it uses a cleartext HTTP/2 connection again for a request that asks for prior knowledge,
 * and without that it would try to upgrade HTTP/1.1 on a new one. So each peer counts its open sockets: a transfer that
 * finds an idle connection asks for plain HTTP/2 and may not open a socket; when libcurl wants to, the idle
 * connection was dead, and the transfer is made again as the first of a new one (`stale`), `fresh`ly. Connections are not multiplexed, which
 * makes the count exact; newer versions of libcurl do not need this and are not disturbed by it.
 *
 * Threads: one at a time.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_REMOTE_TRANSFER_H
#define PX_INFRASTRUCTURE_ENGINES_REMOTE_TRANSFER_H

#include "infrastructure/curl/curl_library.h"
#include "infrastructure/engines/remote/settings.h"
#include "shared/buf.h"

enum { PX_REMOTE_ERROR_TEXT_MAX = 200 }; /* bytes of a peer's own message that are passed on */

/* What a peer's HTTP side takes; found out by GET /v2. */
enum px_remote_form { PX_REMOTE_FORM_UNKNOWN, PX_REMOTE_FORM_JSON, PX_REMOTE_FORM_BINARY };

struct px_remote_peer {
    const struct px_remote_url *url;
    enum px_remote_form form;
    unsigned n_sockets, n_transfers; /* open connections, and exchanges on the way */
    uint64_t doubted_ns; /* older connections are not used again; 0: none was in doubt so far */
};

struct px_remote_call;

struct px_remote_transfer {
    const struct px_curl *curl;
    const struct px_remote_settings *settings;
    struct px_remote_peer *peer;
    CURL *easy;
    struct curl_slist *headers;
    struct px_str request; /* the body; of it n_sent bytes were given to libcurl */
    size_t n_sent;

    /* what came */
    struct px_buf body;
    unsigned status;        /* of HTTP; 0: no reply began */
    unsigned retry_after_s; /* 0: it did not say */
    int grpc_status;        /* -1: none */
    bool has_head;          /* its headers came to their end */
    bool has_json_len;
    size_t json_len;
    char grpc_message[PX_REMOTE_ERROR_TEXT_MAX + 1];
    char error[CURL_ERROR_SIZE];
    bool reuses, refused; /* an idle connection was expected; a socket was refused to it */

    /* the owner's */
    struct px_remote_call *call; /* NULL of a probe */
    size_t endpoint;
    bool is_hedge;
    uint64_t started_ns;
    struct px_breaker_ticket ticket;
    struct px_remote_transfer *next;
};

/* What is sent. */
struct px_remote_exchange {
    const char *path;
    struct px_str body; /* POST; no pointer: GET */
    bool fresh;         /* on a new connection */
    bool binary;        /* of HTTP: the body begins with json_len bytes of JSON */
    size_t json_len;
    uint64_t remaining_ns; /* that the peer is told of; 0: none */
    uint64_t limit_ns;     /* after which libcurl itself gives up; 0: none */
};

struct px_remote_verdict {
    enum px_code code;
    bool may_retry;   /* no reply had begun, or the peer says that another may do it */
    bool peer_failed; /* for the balancer: the peer's fault */
    bool stale;       /* nothing of it was sent: make it again, with a new connection */
    bool dropped;     /* an idle connection took it and ended: a further attempt needs a new one */
};

/* NULL without memory. */
struct px_remote_transfer *px_remote_transfer_create(const struct px_curl *curl,
                                                     const struct px_remote_settings *settings);
void px_remote_transfer_destroy(struct px_remote_transfer *self);

/* Makes it ready to be performed; what an earlier exchange left is forgotten. `body` must live until its end. */
PX_MUST_USE enum px_code px_remote_transfer_prepare(struct px_remote_transfer *self,
                                                    struct px_remote_peer *peer,
                                                    const struct px_remote_exchange *exchange,
                                                    struct px_err *err);

/*
 * Before a transfer that is on its way is taken off: its connection ends with it. A connection over which no answer came in time may be one over which none
 * will come, and of HTTP/2 libcurl would give it to the next exchange.
 */
void px_remote_transfer_break_off(struct px_remote_transfer *self);

/* The transfer has ended, or is given up: its connection is the pool's. */
void px_remote_transfer_release(struct px_remote_transfer *self);

/*
 * It was given up because its time was over. Where nothing at all came for long, the way to the peer may have been lost without a word (a host
 * that has gone, a firewall that has forgotten): then every other idle connection is as dead, and each would cost a request its whole time.
 */
void px_remote_transfer_doubt(const struct px_remote_transfer *self, uint64_t now_ns);

/* What a performed transfer came to. PX_OK: the body is the reply, of gRPC the message without its prefix. */
struct px_remote_verdict px_remote_transfer_judge(struct px_remote_transfer *self, CURLcode result,
                                                  struct px_err *err);

/* The reply of a transfer that was judged PX_OK. */
struct px_str px_remote_transfer_reply(const struct px_remote_transfer *self);
/* Length of its JSON part. */
size_t px_remote_transfer_json_len(const struct px_remote_transfer *self);

#endif
