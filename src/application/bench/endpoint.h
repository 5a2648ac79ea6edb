/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a load run talks to: a server's URL and a model, or the full URL of an inference path.
 *
 *     http://127.0.0.1:8080                            with the name of a model (and maybe "NAME/versions/2")
 *     http://host:8080/v2/models/fraud/infer           V2, also with /versions/N
 *     http://host:8080/v1/models/fraud:predict         V1
 *     http://host:8080/anything                        any POST, when the caller brings the body
 */
#ifndef PX_APPLICATION_BENCH_ENDPOINT_H
#define PX_APPLICATION_BENCH_ENDPOINT_H

#include "application/ports/load.h"
#include "shared/arena.h"

enum px_bench_protocol { PX_BENCH_RAW = 0, PX_BENCH_V2, PX_BENCH_V1 };

struct px_endpoint {
    struct px_load_address address;
    enum px_bench_protocol protocol;
    struct px_str path;          /* of the requests */
    struct px_str metadata_path; /* "/v2/models/fraud"; empty with PX_BENCH_RAW */
    struct px_str base;          /* before all paths, without a final '/', mostly empty */
    struct px_str model;         /* its name; empty with PX_BENCH_RAW */
};

struct px_endpoint_options {
    struct px_str model;             /* empty when the URL names it */
    enum px_bench_protocol protocol; /* of a URL without a path; PX_BENCH_RAW = not said: V2 */
    bool has_body;                   /* the caller brings the body: any path will do */
};

/* Does the text begin like a URL ("http://", "https://")? */
bool px_endpoint_is_url(struct px_str text);

/* Texts are in the arena. PX_E_INVALID says what was expected; PX_E_UNSUPPORTED for https. */
PX_MUST_USE enum px_code px_endpoint_parse(struct px_endpoint *endpoint, struct px_str url,
                                           const struct px_endpoint_options *options,
                                           struct px_arena *arena, struct px_err *err);

const char *px_bench_protocol_name(enum px_bench_protocol protocol); /* "v2", "v1", "raw" */

#endif
