/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content codings of HTTP bodies (RFC 9110, 8.4 and 12.5.3): requests are decoded before the handler sees them, responses are
 * encoded after it has finished, when it allows that and the client asks for it.
 *
 * A request whose codings are not all known is left as it is, with their names in request.coding, for the handler to
 * refuse. A response that would not become smaller is left as it is as well.
 *
 * Threads: one `px_net_coding` per loop.
 */
#ifndef PX_INFRASTRUCTURE_NET_CODING_H
#define PX_INFRASTRUCTURE_NET_CODING_H

#include "application/ports/coding.h"
#include "application/ports/http.h"

enum {
    PX_NET_CODINGS_MAX = 2,       /* of one request, on top of each other */
    PX_NET_CODING_BYTES_MIN = 256 /* a smaller response is not worth it */
};

struct px_net_coding {
    struct px_coder *coder; /* NULL: no coding is known */
    struct px_buf scratch;
};

/* The coder is lent, and used on this loop only. */
struct px_net_coding px_net_coding(struct px_coder *coder, size_t body_bytes_max);
void px_net_coding_deinit(struct px_net_coding *coding);

/*
 * Decodes a request's body, into `arena`, which takes from *room, the bytes that the loop can spare. PX_E_TOO_LARGE when the
 * body becomes larger than body_bytes_max, PX_E_OVERLOADED when it is *room that does not suffice, PX_E_INVALID when it is
 * not what its coding says, PX_E_NO_MEMORY.
 */
PX_MUST_USE enum px_code px_net_decode_request(struct px_net_coding *coding,
                                               struct px_http_request *request,
                                               struct px_arena *arena, size_t *room,
                                               struct px_err *err);

/* Encodes a finished response and notes the coding in it. Short memory leaves it as it is. */
void px_net_encode_response(struct px_net_coding *coding, struct px_http_exchange *exchange);

/*
 * What an Accept-Encoding header asks for: the highest weight, the first of equals. "*" stands for the first of gzip, deflate and
 * zstd that the header does not name.
 */
enum px_coding px_net_choose_coding(struct px_str accepted);

#endif
