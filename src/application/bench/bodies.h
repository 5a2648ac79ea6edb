/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies of inference requests, made from what the server says about its model.
 *
 * `GET /v2/models/M` gives the input tensors of any Open Inference server. A Phoenix server also tells the
 * categories and a typical value of each feature (`GET /api/v1/models`), so that random rows look like the
 * model's data; without that, numbers are drawn from a normal distribution. The same seed gives the same
 * bodies.
 */
#ifndef PX_APPLICATION_BENCH_BODIES_H
#define PX_APPLICATION_BENCH_BODIES_H

#include "application/bench/endpoint.h"

enum {
    PX_BODIES_VARIANTS = 64,        /* different bodies, sent in turn */
    PX_BODIES_BYTES_MAX = 64 << 20, /* of all of them; large ones have fewer variants */
    PX_BODIES_ROWS_MAX = 1 << 20,   /* rows of one request */
    PX_BODIES_REPLY_MAX = 64 << 20, /* bytes of metadata */
};

struct px_bodies {
    struct px_buf text;
    struct px_str *bodies; /* [n] */
    size_t n;
    size_t n_features; /* values of a row */
    bool guided;       /* the server told categories and typical values */
};

struct px_bodies_options {
    size_t rows; /* per request */
    uint64_t seed;
};

/*
 * Asks the server and makes bodies for the endpoint's protocol (V2 or V1). PX_E_NOT_FOUND: no such model,
 * with the names that there are; PX_E_UNAVAILABLE; PX_E_CORRUPT: what came is no metadata.
 */
PX_MUST_USE enum px_code px_bodies_make(struct px_bodies *bodies, struct px_load *load,
                                        const struct px_endpoint *endpoint,
                                        const struct px_bodies_options *options,
                                        struct px_err *err);

/* One body, the caller's bytes; they are copied. */
PX_MUST_USE enum px_code px_bodies_take(struct px_bodies *bodies, struct px_str body,
                                        struct px_err *err);

void px_bodies_deinit(struct px_bodies *bodies); /* zeroed is fine */

#endif
