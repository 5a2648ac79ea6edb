/* SPDX-License-Identifier: Apache-2.0 */
/* phoenix publish: puts a model into a repository, whole or not at all. */
#include "application/fetching/model_index.h"
#include "application/lifecycle/check.h"
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

static int write_index(struct px_cli *cli, const char *folder)
{
    struct px_err err;
    size_t n_versions;
    if (px_model_index_write(folder, &n_versions, &err) != PX_OK)
        return px_cli_fail(cli, &err);
    fprintf(cli->out, "%s/" PX_MODEL_INDEX_FILE ": %zu version%s\n", folder, n_versions,
            n_versions == 1 ? "" : "s");
    return PX_EXIT_OK;
}

/* A repository that has an index gets it anew, so that it names what was published. */
static enum px_code renew_index(const char *model_folder, struct px_err *err)
{
    char folder[PATH_MAX], index[PATH_MAX + sizeof PX_MODEL_INDEX_FILE + 1];
    size_t n_versions;
    snprintf(folder, sizeof folder, "%s", model_folder);
    const char *repository = dirname(folder);
    snprintf(index, sizeof index, "%s/" PX_MODEL_INDEX_FILE, repository);
    if (px_file_kind(index) != PX_FILE_REGULAR)
        return PX_OK;
    enum px_code code = px_model_index_write(repository, &n_versions, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "published, but the index is the old one");
}

/* As `phoenix check` opens it: what cannot be served is not put where servers look for models. */
static enum px_code check_model(struct px_cli *cli, const char *model, struct px_err *err)
{
    const struct px_package_options options = {.engines = cli->services->engines};
    struct px_package *package = NULL;
    struct px_check_report report = {0};
    if (px_cli_flag(cli, "unchecked"))
        return PX_OK;
    enum px_code code = px_package_open(model, &options, &package, err);
    if (code == PX_OK)
        code = px_check_package(package, NULL, &report, err);
    px_package_close(package);
    if (code == PX_OK || code == PX_E_NOT_FOUND)
        return code;
    (void)px_err_wrap(err, "not published: %s", model);
    return err->hint[0] ? code : px_err_hint(err, "--unchecked publishes it all the same");
}

static enum px_code publish(struct px_cli *cli, char path[PATH_MAX], struct px_err *err)
{
    char folder[PATH_MAX], copy[PATH_MAX];
    const char *model = cli->arguments[0], *target = cli->arguments[1], *version = NULL;
    if (strlen(target) >= sizeof copy)
        return px_err_set(err, PX_E_INVALID, "path of more than %d bytes", PATH_MAX - 1);
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
    enum px_code code = px_model_name_check(px_str(basename(name)), err);
    if (code == PX_OK)
        code = px_publish_check(model, folder, err);
    if (code == PX_OK)
        code = check_model(cli, model, err);
    if (code == PX_OK)
        code = px_publish(model, folder, version, path, err);
    return code == PX_OK ? renew_index(folder, err) : code;
}

static int run(struct px_cli *cli)
{
    struct px_err err;
    char path[PATH_MAX];
    bool writes_index = px_cli_flag(cli, "index");
    if (cli->n_arguments != (writes_index ? 1 : 2)) {
        px_err_set(&err, PX_E_INVALID, "expected %s",
                   writes_index ? "one folder after --index" : "MODEL and REPOSITORY/NAME");
        return px_cli_usage(cli, &err);
    }
    if (writes_index)
        return write_index(cli, cli->arguments[0]);
    if (publish(cli, path, &err) != PX_OK)
        return px_cli_fail(cli, &err);
    fprintf(cli->out, "%s\n", path);
    return PX_EXIT_OK;
}

static const struct px_option options[] = {
    {"unchecked", 0, PX_OPTION_FLAG, NULL,
     "Publish MODEL without opening it as 'phoenix check' does.", NULL},
    {"index", 0, PX_OPTION_FLAG, NULL,
     "Write the index of the repository, for servers that reach it by a URL.", NULL},
    {0},
};

const struct px_verb px_verb_publish = {
    .name = "publish",
    .summary = "Put a model into a repository, whole or not at all.",
    .arguments = "MODEL REPOSITORY/NAME[/VERSION] | --index REPOSITORY",
    .details =
        "Copies the file or package folder MODEL, writes its manifest.json, and makes it a "
        "version\n"
        "of the model NAME in one step, so that a server that polls the repository\n"
        "(phoenix serve REPOSITORY --poll SECONDS) never sees half of it. VERSION is a number;\n"
        "without one it is the next. A version that is there is replaced. Prints its folder.\n"
        "\n"
        "With --index it writes REPOSITORY/index.json instead, which says what versions there are "
        "and\n"
        "what their files are, so that any web server can serve the folder to 'phoenix serve "
        "URL'.\n"
        "From then on publishing into that repository keeps the index up to date.\n"
        "\n"
        "Examples:\n"
        "  phoenix publish model.json models/fraud\n"
        "  phoenix publish packages/fraud models/fraud/7\n"
        "  phoenix publish --index models",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 2,
    .run = run,
};
