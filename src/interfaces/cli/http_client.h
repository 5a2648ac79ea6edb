/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small blocking HTTP/1.1 client for verbs that talk to a running server: one connection that is
 * kept alive and opened again when the server closed it. http:// only, bodies with a Content-Length or
 * until the connection ends; anything else is an error. Threads: one at a time.
 */
#ifndef PX_INTERFACES_CLI_HTTP_CLIENT_H
#define PX_INTERFACES_CLI_HTTP_CLIENT_H

#include "shared/buf.h"

enum {
    PX_HTTP_CLIENT_TIMEOUT_MS = 10000,
    PX_HTTP_CLIENT_BODY_MAX = 16 << 20, /* of a request or a response, head included */
    PX_HTTP_CLIENT_HOST_MAX = 256,
};

struct px_http_client {
    char host[PX_HTTP_CLIENT_HOST_MAX], port[8];
    char base[PX_HTTP_CLIENT_HOST_MAX]; /* path before every request's path, without a final '/' */
    /* private */
    int fd; /* -1 = closed */
    struct px_buf in;
};

struct px_http_client_request {
    struct px_str path;
    const char *content_type;
    struct px_str body;
};

struct px_http_client_reply {
    int status;
    struct px_str body; /* valid until the next request */
};

/* Takes "http://HOST[:PORT][/BASE]"; connects with the first request. PX_E_INVALID. */
PX_MUST_USE enum px_code px_http_client_init(struct px_http_client *client, struct px_str url,
                                             struct px_err *err);
void px_http_client_deinit(struct px_http_client *client);

/* POSTs a body. PX_E_UNAVAILABLE when there is no connection, PX_E_IO, PX_E_TIMEOUT, PX_E_CORRUPT. */
PX_MUST_USE enum px_code px_http_client_post(struct px_http_client *client,
                                             const struct px_http_client_request *request,
                                             struct px_http_client_reply *ret, struct px_err *err);

#endif
