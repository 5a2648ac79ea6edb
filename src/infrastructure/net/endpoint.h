/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a server listens, as text and as values. No I/O.
 *
 *     127.0.0.1:8080   http://[::]:80   https://0.0.0.0:8443   unix:/run/phoenix.sock
 *
 * A list has commas or blanks between its endpoints. Port 0 takes any free one. A host without a scheme means http.
 */
#ifndef PX_INFRASTRUCTURE_NET_ENDPOINT_H
#define PX_INFRASTRUCTURE_NET_ENDPOINT_H

#include "shared/arena.h"
#include "shared/err.h"

enum { PX_ENDPOINTS_MAX = 16 };

struct px_endpoint {
    const char *host; /* NULL for a Unix socket */
    const char *path; /* of a Unix socket, else NULL */
    uint16_t port;
    bool tls;
};

struct px_endpoints {
    struct px_endpoint items[PX_ENDPOINTS_MAX];
    size_t n;
};

/*
 * PX_E_INVALID says which part and what was expected. One address twice is an error, however it is written and whatever the
 * scheme; port 0 is another one each time. Names are not resolved: see px_listeners_add. Strings go to `arena`. An
 * empty list is an error.
 */
PX_MUST_USE enum px_code px_endpoints_parse(struct px_str text, struct px_arena *arena,
                                            struct px_endpoints *ret, struct px_err *err);

#endif
