/* SPDX-License-Identifier: Apache-2.0 */
/* Help texts, made from the verbs' tables: for a terminal, and as Markdown for docs/api/cli.md. */
#ifndef PX_INTERFACES_CLI_HELP_H
#define PX_INTERFACES_CLI_HELP_H

#include "interfaces/cli/cli.h"

void px_help_overview(FILE *out);
void px_help_verb(FILE *out, const struct px_verb *verb);
void px_help_markdown(FILE *out);

#endif
