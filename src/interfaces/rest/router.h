/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The router: from method and path to a row of routes.def and the text of its {segments}.
 *
 * A path is cut at '/', each segment is percent-decoded (so %2F is a character of a name, never a
 * separator), and compared with the patterns. On /v2 one trailing '/' is tolerated. Matching needs no memory
 * except a copy of a segment that holds an escape, which goes to the request's arena. Threads: any.
 */
#ifndef PX_INTERFACES_REST_ROUTER_H
#define PX_INTERFACES_REST_ROUTER_H

#include "application/ports/http.h"

struct px_rest_request;

enum {
    PX_ROUTE_SEGMENTS_MAX = 8,
    PX_ROUTE_ARGS_MAX = 2,
};

/* What of the server a route changes; the setting that opens it differs (guard.c). */
enum px_controls { PX_CONTROLS_NOTHING = 0, PX_CONTROLS_MODELS, PX_CONTROLS_MEMORY };

struct px_route {
    enum px_http_method method;
    const char *pattern;
    void (*handle)(struct px_rest_request *request);
    const char *summary;
    enum px_controls controls;
};

extern const struct px_route px_routes[];
extern const size_t px_n_routes;

/* Routes whose paths the configuration names: stronger than the table's, and compared as they are written. */
struct px_own_routes {
    struct px_route rows[2];
    size_t n;
};

struct px_route_match {
    const struct px_route *route;          /* NULL when only other methods fit: see `allowed` */
    const struct px_route *near;           /* the first row that fits but for its method */
    struct px_str args[PX_ROUTE_ARGS_MAX]; /* of `route`, else of `near` */
    unsigned allowed;                      /* bit m: method m has a row for this path */
};

/*
 * The row for the exchange's request. PX_E_NOT_FOUND when no pattern fits, PX_E_METHOD_NOT_ALLOWED when `allowed` says
 * which methods do, PX_E_INVALID when an escape is malformed. HEAD finds the row of GET; OPTIONS fills only `allowed`.
 */
PX_MUST_USE enum px_code px_route_find(const struct px_own_routes *own,
                                       const struct px_http_exchange *exchange,
                                       struct px_route_match *ret, struct px_err *err);

/* Replaces the %XX escapes of a part of a URL, in `arena` when there are any; PX_E_INVALID for a malformed one. */
PX_MUST_USE enum px_code px_url_decode(struct px_str *s, struct px_arena *arena,
                                       struct px_err *err);

/* "Allow: GET, HEAD, OPTIONS\r\n" in `arena`; NULL without memory. */
const char *px_route_allow_header(unsigned allowed, struct px_arena *arena);

#endif
