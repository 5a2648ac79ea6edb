/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The description of the HTTP API as an OpenAPI 3.1 document, made from three tables: routes.def (paths, methods,
 * summaries), operations.def (tags, parameters, bodies, answers) and parts/components.json (schemas).
 *
 * The same binary and configuration always make the same bytes. Threads: any.
 */
#ifndef PX_INTERFACES_REST_OPENAPI_OPENAPI_H
#define PX_INTERFACES_REST_OPENAPI_OPENAPI_H

#include "interfaces/rest/router.h"
#include "shared/buf.h"

struct px_operation {
    void (*handle)(struct px_rest_request *request);
    const char *handler, *tag, *query, *request, *takes, *reply, *gives, *error;
};

/* What operations.def says about a route; NULL when it says nothing. */
const struct px_operation *px_operation_find(const struct px_route *route);

/* Appends the document of a server that also has these routes; fails as the buffer does. Routes without an operation are left out. */
void px_openapi_write(const struct px_own_routes *own, struct px_buf *out);

#endif
