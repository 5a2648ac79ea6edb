/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs, one per file verb_NAME.c. A new one is declared here and listed in verbs.c. */
#ifndef PX_INTERFACES_CLI_VERBS_H
#define PX_INTERFACES_CLI_VERBS_H

#include "interfaces/cli/cli.h"

extern const struct px_verb px_verb_bench;
extern const struct px_verb px_verb_check;
extern const struct px_verb px_verb_completion;
extern const struct px_verb px_verb_config;
extern const struct px_verb px_verb_demo;
extern const struct px_verb px_verb_engine;
extern const struct px_verb px_verb_help;
extern const struct px_verb px_verb_predict;
extern const struct px_verb px_verb_serve;
extern const struct px_verb px_verb_publish;
extern const struct px_verb px_verb_train;
extern const struct px_verb px_verb_upgrade;
extern const struct px_verb px_verb_version;
extern const struct px_verb px_verb_why_batch;

/* The verb of this name, or NULL and an error with the nearest match. */
const struct px_verb *px_verbs_find(struct px_str name, struct px_err *err);

#endif
