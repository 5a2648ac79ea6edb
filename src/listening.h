/* SPDX-License-Identifier: Apache-2.0 */
/* Where the configuration says that the server listens, and the certificate that it shows there. */
#ifndef PX_LISTENING_H
#define PX_LISTENING_H

#include "application/config/config.h"
#include "infrastructure/net/endpoint.h"
#include "infrastructure/net/server.h"
#include "infrastructure/net/tls/tls.h"

enum { PX_LISTENING_URL_MAX = 300 };

struct px_listening {
    struct px_endpoints endpoints;
    struct px_tls *tls; /* NULL when no endpoint asks for it */
    struct px_arena arena;
    char urls[PX_ENDPOINTS_MAX][PX_LISTENING_URL_MAX];
};

/* A zeroed one may be deinited. */
PX_MUST_USE enum px_code px_listening_init(struct px_listening *listening,
                                           const struct px_config *config, struct px_err *err);
void px_listening_deinit(struct px_listening *listening);

/* What would stop the server from listening, as far as it can be told without binding; resolves the names of hosts. */
PX_MUST_USE enum px_code px_listening_check(const struct px_listening *listening,
                                            struct px_err *err);

/* Can only this machine reach every endpoint: loopback addresses and Unix sockets? A name other than localhost says no. */
bool px_listening_is_local(const struct px_listening *listening);

/* Reads certificate and keys again when their files have changed, or anyhow with `force`; logs how it went. */
void px_listening_refresh(struct px_listening *listening, bool force);

/* Fills the URLs, with the ports that the server has got; hosts that mean every address become one that can be pasted. */
void px_listening_describe(struct px_listening *listening, const struct px_net *net);

#endif
