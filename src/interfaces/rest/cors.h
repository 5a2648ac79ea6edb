/* SPDX-License-Identifier: Apache-2.0 */
/* Private to interfaces/rest: what pages of other origins may do. */
#ifndef PX_INTERFACES_REST_CORS_H
#define PX_INTERFACES_REST_CORS_H

#include "interfaces/rest/handlers.h"

/*
 * Cross-origin requests. `begin` gives a response the headers that its origin may have; call it before anything
 * else is added. `preflight` adds what the answer to OPTIONS needs. Both do nothing without server.cors_origins.
 */
void px_cors_begin(const struct px_rest *rest, struct px_http_exchange *exchange);
void px_cors_preflight(const struct px_rest *rest, struct px_http_exchange *exchange,
                       unsigned allowed);
/* Does server.cors_origins list this origin itself? "*" lists none. */
bool px_cors_lists(const struct px_rest_settings *settings, struct px_str origin);
PX_MUST_USE enum px_code px_cors_check(const struct px_rest_settings *settings, struct px_err *err);

#endif
