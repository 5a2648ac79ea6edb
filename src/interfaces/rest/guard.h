/* SPDX-License-Identifier: Apache-2.0 */
/* Private to interfaces/rest: keeping pages of other origins from routes that change the server. */
#ifndef PX_INTERFACES_REST_GUARD_H
#define PX_INTERFACES_REST_GUARD_H

#include "interfaces/rest/handlers.h"

/* PX_E_FORBIDDEN for a request that a page of another origin may have sent, when the route controls something. */
PX_MUST_USE enum px_code px_guard_check(const struct px_rest *rest,
                                        const struct px_http_request *request,
                                        enum px_controls controls, struct px_err *err);

#endif
