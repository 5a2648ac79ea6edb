/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which versions of a model serve: all of them, the latest few, or those that are named. The file <model>/versions.yaml of a repository says it,
 *
 *     latest: 2           # or   specific: [1, 3]   or   all: true
 *
 * or a load request's ModelConfig (version_policy), for that load. Without either it is all.
 */
#ifndef PX_APPLICATION_SERVING_VERSION_POLICY_H
#define PX_APPLICATION_SERVING_VERSION_POLICY_H

#include "shared/arena.h"
#include "shared/buf.h"

#define PX_VERSION_POLICY_FILE "versions.yaml"

struct px_version_policy {
    enum { PX_VERSIONS_ALL = 0, PX_VERSIONS_LATEST, PX_VERSIONS_SPECIFIC } kind;
    uint64_t n_latest;
    struct px_str specific; /* "1,3": no version has a comma in its name */
};

/* Of the file in a model's folder; all when there is none. Errors name the file. */
PX_MUST_USE enum px_code px_version_policy_read(const char *folder, struct px_arena *arena,
                                                struct px_version_policy *ret, struct px_err *err);
/* Of a ModelConfig as JSON; `*found` says whether it has one. */
PX_MUST_USE enum px_code px_version_policy_of_config(struct px_str config, struct px_arena *arena,
                                                     struct px_version_policy *ret, bool *found,
                                                     struct px_err *err);

/* Does the policy take `version`, which `n_newer` others follow? */
bool px_version_policy_takes(const struct px_version_policy *policy, struct px_str version,
                             size_t n_newer);

#endif
