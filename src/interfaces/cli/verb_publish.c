/* SPDX-License-Identifier: Apache-2.0 */
/* phoenix publish: puts a model into a repository, whole or not at all. */
#include "application/lifecycle/model_name.h"
#include "application/residency/publish.h"
#include "interfaces/cli/verbs.h"
#include "shared/file.h"

#include <libgen.h>

/* REPOSITORY/NAME/VERSION when the last part is a number, else REPOSITORY/NAME. */
static bool names_version(const char *target, const char *last)
{
    uint64_t number;
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", target);
    return px_str_to_u64(px_str(last), &number) &&
           px_model_name_is_valid(px_str(basename(dirname(parent))));
}

static int run(struct px_cli *cli)
{
    struct px_err err;
    char folder[PATH_MAX], copy[PATH_MAX], path[PATH_MAX];
    const char *model = cli->arguments[0], *target = cli->arguments[1], *version = NULL;
    if (strlen(target) >= sizeof copy) {
        px_err_set(&err, PX_E_INVALID, "path of more than %d bytes", PATH_MAX - 1);
        return px_cli_fail(cli, &err);
    }
    snprintf(copy, sizeof copy, "%s", target);
    snprintf(folder, sizeof folder, "%s", target);
    const char *last = basename(copy);
    if (names_version(target, last)) {
        version = last;
        const char *parent = dirname(folder);
        memmove(folder, parent, strlen(parent) + 1);
    }
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%s", folder);
    enum px_code code = px_model_name_check(px_str(basename(name)), &err);
    if (code == PX_OK)
        code = px_publish(model, folder, version, path, &err);
    if (code != PX_OK)
        return px_cli_fail(cli, &err);
    fprintf(cli->out, "%s\n", path);
    return PX_EXIT_OK;
}

static const struct px_option options[] = {{0}};

const struct px_verb px_verb_publish = {
    .name = "publish",
    .summary = "Put a model into a repository, whole or not at all.",
    .arguments = "MODEL REPOSITORY/NAME[/VERSION]",
    .details =
        "Copies the file or package folder MODEL, writes its manifest.json, and makes it a "
        "version\n"
        "of the model NAME in one step, so that a server that polls the repository\n"
        "(phoenix serve REPOSITORY --poll SECONDS) never sees half of it. VERSION is a number;\n"
        "without one it is the next. A version that is there is replaced. Prints its folder.\n"
        "\n"
        "Examples:\n"
        "  phoenix publish model.json models/fraud\n"
        "  phoenix publish packages/fraud models/fraud/7",
    .options = options,
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run,
};
