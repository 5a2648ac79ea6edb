/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the outside speaks to: REST and gRPC with what they need, behind one handler for the transport. Part of the
 * composition root.
 */
#ifndef PX_FACES_H
#define PX_FACES_H

#include "application/config/config.h"
#include "interfaces/gateway/gateway.h"
#include "interfaces/grpc/grpc.h"
#include "interfaces/rest/rest.h"

/* The handler of `gateway` is the transport's; it must not outlive this. */
struct px_faces {
    struct px_rest *rest;
    struct px_grpc *grpc;
    struct px_gateway gateway;
    struct px_coder **coders; /* one for each loop, for its messages of gRPC and bodies of HTTP */
    unsigned n_loops;
    struct px_loops loops; /* of the transport, lent to what wakes them */
};

/* What both are made of; it must outlive them, `config` for its texts. */
struct px_faces_lent {
    const struct px_config *config;
    struct px_serving *serving;
    struct px_shared_memory *shared_memory; /* NULL: the server has none */
    struct px_live_config *live_config;
    const struct px_pressure *pressure;
    bool models_may_come; /* clients may load models */
    /* As the settings of the same names (rest.h). */
    bool models_need_local_host, memory_needs_local_host;
};

/* Can the configuration be served? Looks at no model, so `serving` may be NULL. */
PX_MUST_USE enum px_code px_faces_check(const struct px_faces_lent *lent, struct px_err *err);

/* On failure px_faces_deinit is still to be called. */
PX_MUST_USE enum px_code px_faces_init(struct px_faces *faces, const struct px_faces_lent *lent,
                                       struct px_err *err);
/* A zeroed one is fine. */
void px_faces_deinit(struct px_faces *faces);

/* Other settings, where the running interfaces take them over; see px_rest_change. The check is made on a loop. */
PX_MUST_USE enum px_code px_faces_check_change(const struct px_faces *faces,
                                               const struct px_faces_lent *lent,
                                               struct px_err *err);
void px_faces_change(struct px_faces *faces, const struct px_faces_lent *lent);

/* Lends the transport's loops, before they start. */
void px_faces_use_loops(struct px_faces *faces, struct px_loops loops);

#endif
