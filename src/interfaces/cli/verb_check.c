/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/check.h"
#include "interfaces/cli/check_report.h"
#include "interfaces/cli/check_tensors_report.h"
#include "interfaces/cli/verbs.h"

static void print(struct px_cli *cli, const struct px_package *package,
                  const struct px_check_report *report, const struct px_err *failure)
{
    bool json = px_cli_flag(cli, "json");
    bool has_tensors = package && package->engine;
    if (json && has_tensors)
        px_check_tensors_json(cli->out, package, report, failure);
    else if (json)
        px_check_print_json(cli->out, package, report, failure);
    else if (has_tensors)
        px_check_tensors_text(cli->out, package, report, failure);
    else if (package)
        px_check_print_text(cli->out, package, report, failure);
    fflush(cli->out);
}

static int run_check(struct px_cli *cli)
{
    struct px_err err = {0};
    struct px_forest_options forest = {0};
    const struct px_package_options opening = {.forest = &forest,
                                               .engines = cli->services->engines};
    struct px_package *package = NULL;
    struct px_check_report report = {0};
    if (px_cli_rounds(cli, &forest.rounds, &err) != PX_OK)
        return px_cli_usage(cli, &err);
    enum px_code code = px_package_open(cli->arguments[0], &opening, &package, &err);
    if (code == PX_OK)
        code = px_check_package(package, px_cli_text(cli, "golden").ptr, &report, &err);
    if (code == PX_OK)
        code = px_check_answers(package, &report, &err);
    print(cli, package, &report, code == PX_OK ? NULL : &err);
    px_package_close(package);
    return code == PX_OK ? PX_EXIT_OK : px_cli_fail(cli, &err);
}

static const struct px_option options[] = {
    {"golden", 'g', PX_OPTION_TEXT, "FILE",
     "Compare scores with these rows instead of the package's own: a CSV of feature columns and "
     "'score' (or 'score_<class>') columns. Every score must be equal, not just near. Of a model "
     "of "
     "tensors: requests and their outputs as JSON.",
     NULL},
    {"rounds", 0, PX_OPTION_TEXT, "all|best",
     "Which trees of an early-stopped model count, unless the package's model.yaml says so.",
     "all"},
    {"json", 0, PX_OPTION_FLAG, NULL, "Print JSON.", NULL},
    {0},
};

const struct px_verb px_verb_check = {
    .name = "check",
    .summary = "Say what is in a model and whether it would be served.",
    .arguments = "MODEL",
    .details =
        "MODEL is a package folder or a bare model file. The file is read with every check that "
        "serving makes, the kernels are compared with the reference walker on rows around the "
        "model's "
        "own thresholds, and golden rows are scored and compared.\n"
        "\n"
        "A model of tensors is run once, on zeros, unless it has golden requests or 'warm_up: 0'.\n"
        "\n"
        "The exit status is 0 when 'phoenix serve' would serve it and it answers, 1 when not; then "
        "the message says what to fix.\n"
        "\n"
        "    phoenix check model.json --golden rows_with_scores.csv",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_check,
};
