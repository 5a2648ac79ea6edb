/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a request in HTTP/1.1. */
#ifndef PX_INFRASTRUCTURE_LOAD_REQUEST_H
#define PX_INFRASTRUCTURE_LOAD_REQUEST_H

#include "application/ports/load.h"

enum { PX_LOAD_REQUEST_HEAD_MAX = 16 << 10 };

/* Appends head and body. `last` asks the server to close the connection after its reply. */
void px_load_request_put(struct px_buf *out, const struct px_load_address *address,
                         const struct px_load_request *request, bool last);

#endif
