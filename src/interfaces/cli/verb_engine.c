/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/verbs.h"
#include "shared/json.h"

enum { LIST_MAX = 1 << 20 };

static void put_members(struct px_json_writer *w, const struct px_engine_provider *provider)
{
    struct px_engine_state state;
    provider->describe(&state);
    px_json_member_text(w, "name", provider->name);
    px_json_member_text(w, "summary", provider->summary);
    px_json_member_bool(w, "available", state.available);
    px_json_member_bool(w, "installable", provider->install != NULL);
    px_json_member_text(w, "version", state.version);
    px_json_member_text(w, "place", state.place);
    px_json_member_text(w, "details", state.details);
}

static void put_json(struct px_json_writer *w, const struct px_engine_provider *provider)
{
    px_json_begin_object(w);
    put_members(w, provider);
    px_json_end_object(w);
}

/* The engine of trees has no provider: it is always there. */
static const char forest_summary[] = "tree ensembles, part of this program";
static const char *const unsaid[] = {"version", "place", "details"};

static void list_json(FILE *out, const struct px_engines *engines)
{
    struct px_buf text = px_buf(LIST_MAX);
    struct px_json_writer w = px_json_writer(&text);
    px_json_begin_array(&w);
    px_json_begin_object(&w);
    px_json_member_text(&w, "name", "forest");
    px_json_member_text(&w, "summary", forest_summary);
    px_json_member_bool(&w, "available", true);
    px_json_member_bool(&w, "installable", false);
    for (size_t i = 0; i < PX_ARRAY_LEN(unsaid); i++)
        px_json_member_text(&w, unsaid[i], "");
    px_json_end_object(&w);
    for (size_t i = 0; engines && i < engines->n; i++)
        put_json(&w, engines->list[i]);
    px_json_end_array(&w);
    fprintf(out, "%s\n", px_buf_cstr(&text));
    px_buf_deinit(&text);
}

static void print_engine(FILE *out, const struct px_engine_provider *provider)
{
    struct px_engine_state state;
    provider->describe(&state);
    fprintf(out, "%-12s %s\n", provider->name, provider->summary);
    fprintf(out, "%-12s %s%s%s\n", "", state.available ? "ready" : "not available",
            state.version[0] ? ", version " : "", state.version);
    if (state.place[0])
        fprintf(out, "%-12s %s\n", "", state.place);
    if (state.details[0])
        fprintf(out, "%-12s %s\n", "", state.details);
}

static int list(struct px_cli *cli)
{
    const struct px_engines *engines = cli->services->engines;
    if (px_cli_flag(cli, "json")) {
        list_json(cli->out, engines);
        return PX_EXIT_OK;
    }
    fprintf(cli->out, "%-12s %s\n%-12s ready\n", "forest", forest_summary, "");
    for (size_t i = 0; engines && i < engines->n; i++)
        print_engine(cli->out, engines->list[i]);
    return PX_EXIT_OK;
}

/* The provider of that name that can be installed, or NULL and an error. */
static const struct px_engine_provider *find_installable(const struct px_engines *engines,
                                                         struct px_str name, struct px_err *err)
{
    const struct px_engine_provider *provider = px_engines_find(engines, name);
    struct px_str names[64];
    size_t n = 0;
    if (provider && provider->install)
        return provider;
    if (provider) {
        px_err_set(err, PX_E_INVALID, "there is nothing to install for the engine '%s'",
                   provider->name);
        return NULL;
    }
    px_err_set(err, PX_E_NOT_FOUND, "there is no engine '%.*s'", PX_STR_ARG(name));
    for (size_t i = 0; engines && i < engines->n && n < PX_ARRAY_LEN(names); i++)
        names[n++] = px_str(engines->list[i]->name);
    if (!px_err_suggest(err, name, names, n))
        px_err_hint(err, "'phoenix engine list' says which there are");
    return NULL;
}

/* Where it was put, and whether that is what this program uses: another one may be found before it. */
static void tell_installed(struct px_cli *cli, const struct px_engine_provider *provider,
                           const char *place)
{
    struct px_engine_state state;
    provider->describe(&state);
    fprintf(cli->out, "installed %s\n", place);
    if (strcmp(state.place, place) == 0) {
        print_engine(cli->out, provider);
        return;
    }
    fprintf(cli->out, "%s", "not in use: this program ");
    if (state.place[0])
        fprintf(cli->out, "has found %s\n", state.place);
    else
        fprintf(cli->out, "does not look there\n");
    if (provider->variable)
        fprintf(cli->out, "to use it: %s=%s\n", provider->variable, place);
}

static void tell_installed_json(struct px_cli *cli, const struct px_engine_provider *provider,
                                const char *place)
{
    struct px_buf text = px_buf(LIST_MAX);
    struct px_json_writer w = px_json_writer(&text);
    px_json_begin_object(&w);
    put_members(&w, provider);
    px_json_member_text(&w, "installed", place);
    px_json_end_object(&w);
    fprintf(cli->out, "%s\n", px_buf_cstr(&text));
    px_buf_deinit(&text);
}

static int install(struct px_cli *cli)
{
    struct px_err err = {0};
    char place[PX_ENGINE_PLACE_MAX];
    if (cli->n_arguments != 2) {
        px_err_set(&err, PX_E_INVALID, "install needs a name: phoenix engine install NAME");
        return px_cli_usage(cli, &err);
    }
    const struct px_engine_provider *provider =
        find_installable(cli->services->engines, px_str(cli->arguments[1]), &err);
    if (!provider)
        return px_cli_fail(cli, &err);
    if (provider->install(px_cli_text(cli, "from").ptr, px_cli_text(cli, "into").ptr, place,
                          &err) != PX_OK)
        return px_cli_fail(cli, &err);
    if (px_cli_flag(cli, "json"))
        tell_installed_json(cli, provider, place);
    else
        tell_installed(cli, provider, place);
    return PX_EXIT_OK;
}

static int run_engine(struct px_cli *cli)
{
    static const struct px_str names[] = {PX_STR("list"), PX_STR("install")};
    struct px_str word = px_str(cli->arguments[0]);
    struct px_err err = {0};
    if (px_str_eq(word, names[0]) && cli->n_arguments == 1)
        return list(cli);
    if (px_str_eq(word, names[1]))
        return install(cli);
    px_err_set(&err, PX_E_UNKNOWN_OPTION, "expected list or install, got '%.*s'", PX_STR_ARG(word));
    if (!px_str_eq(word, names[0]))
        (void)px_err_suggest(&err, word, names, PX_ARRAY_LEN(names));
    return px_cli_usage(cli, &err);
}

static const struct px_option options[] = {
    {"from", 0, PX_OPTION_TEXT, "FILE",
     "With install: take the library from this file, as 'npm pack' writes it (.tgz), or the "
     "library itself (.so), and fetch nothing.",
     NULL},
    {"into", 0, PX_OPTION_TEXT, "FOLDER",
     "With install: put it there instead of $XDG_DATA_HOME/phoenix/engines.", NULL},
    {"json", 0, PX_OPTION_FLAG, NULL, "Print JSON.", NULL},
    {0},
};

const struct px_verb px_verb_engine = {
    .name = "engine",
    .summary = "Say which kinds of models this machine can serve, or install what one needs.",
    .arguments = "list | install NAME",
    .details =
        "Tree models are served by this program alone. Other engines may need a library, which is "
        "found at run time: list says which are ready, which version is used and where it was "
        "found, or what is missing.\n"
        "\n"
        "install fetches the library with npm, checks it against the SHA-256 that this program "
        "knows, and puts it where every 'phoenix' of this user finds it. On a machine without "
        "network: fetch it elsewhere and use --from.\n"
        "\n"
        "    phoenix engine list\n"
        "    phoenix engine install onnxruntime",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 2,
    .run = run_engine,
};
