/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/help.h"
#include "interfaces/cli/verbs.h"

static int run_help(struct px_cli *cli)
{
    if (px_cli_flag(cli, "markdown")) {
        px_help_markdown(cli->out);
        return PX_EXIT_OK;
    }
    if (cli->n_arguments == 0) {
        px_help_overview(cli->out);
        return PX_EXIT_OK;
    }
    struct px_err err = {0};
    const struct px_verb *verb = px_verbs_find(px_str(cli->arguments[0]), &err);
    if (!verb)
        return px_cli_usage(cli, &err);
    px_help_verb(cli->out, verb);
    return PX_EXIT_OK;
}

static const struct px_option options[] = {
    {"markdown", 0, PX_OPTION_FLAG, NULL, "Print the reference of all verbs as Markdown.", NULL},
    {0},
};

const struct px_verb px_verb_help = {
    .name = "help",
    .summary = "Explain a verb, or list them all.",
    .arguments = "[VERB]",
    .options = options,
    .arguments_max = 1,
    .run = run_help,
};
