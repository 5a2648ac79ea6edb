/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of a remote model, from the mapping `engine` of model.yaml; docs/api/remote.md explains each. */
#ifndef PX_INFRASTRUCTURE_ENGINES_REMOTE_SETTINGS_H
#define PX_INFRASTRUCTURE_ENGINES_REMOTE_SETTINGS_H

#include "application/lifecycle/model_breaker.h"
#include "domain/balancing/balancing.h"
#include "shared/yaml.h"

enum { PX_REMOTE_HEADERS_MAX = 64, PX_REMOTE_URL_MAX = 1024 };

struct px_remote_url {
    struct px_str text; /* as written, for messages */
    const char *base;   /* for libcurl: http or https, without a slash at the end */
    bool grpc, tls;
};

struct px_remote_settings {
    struct px_remote_url urls[PX_ENDPOINTS_MAX];
    size_t n_urls;
    struct px_str model, version; /* version: empty for the peer's choice */
    enum px_balance balance;
    double timeout_ms, connect_timeout_ms;
    double connections_max, requests_max, response_bytes_max;
    double retries_max, budget_percent, budget_minimum_per_s;
    double hedge_after_ms, hedge_percentile;
    double health_interval_ms;
    const char *health_path;                    /* NULL: the model's own */
    struct px_model_breaker breaker;            /* of each server */
    const char *headers[PX_REMOTE_HEADERS_MAX]; /* "name: value" */
    size_t n_headers;
    const char *ca, *cert, *key; /* files; NULL: the system's authorities, no certificate of ours */
};

/* `folder` is what files of `tls` are relative to. Texts live as long as the arena. Errors name the key. */
PX_MUST_USE enum px_code px_remote_settings_read(const struct px_yaml *yaml, struct px_str folder,
                                                 struct px_arena *arena,
                                                 struct px_remote_settings *ret,
                                                 struct px_err *err);

#endif
