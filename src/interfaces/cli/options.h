/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option parsing: words of a command line against a verb's table.
 *
 * Forms: --name VALUE, --name=VALUE, --flag, -n VALUE, -nVALUE. Options and arguments may be mixed; `--`
 * ends the options; `-` alone is an argument. A value in a word of its own must not begin with `--`,
 * because that is nearly always a forgotten value (--name=--x says it on purpose). The last of a
 * repeated option counts. Every verb has --help and -h without a row for them.
 */
#ifndef PX_INTERFACES_CLI_OPTIONS_H
#define PX_INTERFACES_CLI_OPTIONS_H

#include "interfaces/cli/cli.h"

/*
 * Fills values, given and arguments of `cli` from the words after the verb. On `--help` parsing ends at
 * once with *ret_help set. PX_E_UNKNOWN_OPTION names the nearest option, PX_E_INVALID what a value must be.
 */
PX_MUST_USE enum px_code px_options_parse(struct px_cli *cli, int n_words, char *const *words,
                                          bool *ret_help, struct px_err *err);

/* Rows of a verb's table; 0 when it has none. */
size_t px_options_count(const struct px_verb *verb);

#endif
