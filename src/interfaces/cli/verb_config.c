/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/verbs.h"
#include "shared/file.h"
#include "shared/json.h"

#include <inttypes.h>

enum {
    CONFIG_FILE_MAX = 1 << 20,
    CONFIG_MEMORY_MAX = 64 << 20,
    REFERENCE_MAX = 1 << 20,
};

static void explain_text(FILE *out, const struct px_config_key *key)
{
    fprintf(out, "%s\n  %s\n  type     %s, in %s\n  default  %s\n", key->name, key->help, key->type,
            key->unit, key->def);
    if (strcmp(key->type, "integer") == 0)
        fprintf(out, "  range    %" PRId64 " to %" PRId64 "\n", key->min, key->max);
    fprintf(out, "  changes  %s\n",
            key->is_live ? "while the server runs" : "when the server is started again");
}

static void put_key_json(struct px_json_writer *w, const struct px_config_key *key)
{
    const struct {
        const char *name, *value;
    } texts[] = {{"name", key->name},
                 {"type", key->type},
                 {"unit", key->unit},
                 {"default", key->def},
                 {"help", key->help}};
    px_json_begin_object(w);
    for (size_t i = 0; i < PX_ARRAY_LEN(texts); i++) {
        px_json_key(w, texts[i].name);
        px_json_put_text(w, texts[i].value);
    }
    if (strcmp(key->type, "integer") == 0) {
        px_json_key(w, "min");
        px_json_put_i64(w, key->min);
        px_json_key(w, "max");
        px_json_put_i64(w, key->max);
    }
    px_json_key(w, "live");
    px_json_put_bool(w, key->is_live);
    px_json_end_object(w);
}

static void print_keys_json(FILE *out, const struct px_config_key *keys, size_t n)
{
    struct px_buf text = px_buf(REFERENCE_MAX);
    struct px_json_writer w = px_json_writer(&text);
    px_json_begin_array(&w);
    for (size_t i = 0; i < n; i++)
        put_key_json(&w, &keys[i]);
    px_json_end_array(&w);
    fprintf(out, "%s\n", px_buf_cstr(&text));
    px_buf_deinit(&text);
}

static int explain(struct px_cli *cli)
{
    struct px_err err = {0};
    size_t n;
    const struct px_config_key *keys = px_config_keys(&n);
    if (cli->n_arguments == 2) {
        keys = px_config_find(px_str(cli->arguments[1]), &err);
        n = 1;
    }
    if (!keys)
        return px_cli_fail(cli, &err);
    if (px_cli_flag(cli, "json")) {
        print_keys_json(cli->out, keys, n);
        return PX_EXIT_OK;
    }
    for (size_t i = 0; i < n; i++)
        explain_text(cli->out, &keys[i]);
    return PX_EXIT_OK;
}

static int print_reference(struct px_cli *cli, void (*write)(struct px_buf *out))
{
    struct px_buf text = px_buf(REFERENCE_MAX);
    struct px_err err = {0};
    write(&text);
    enum px_code code = px_buf_check(&text, "the reference", &err);
    if (code == PX_OK)
        fputs(px_buf_cstr(&text), cli->out);
    px_buf_deinit(&text);
    return code == PX_OK ? PX_EXIT_OK : px_cli_fail(cli, &err);
}

static int defaults(struct px_cli *cli)
{
    return print_reference(cli, px_config_write_yaml);
}

static int reference(struct px_cli *cli)
{
    return print_reference(cli, px_config_write_markdown);
}

static int check(struct px_cli *cli)
{
    struct px_err err = {0};
    if (cli->n_arguments != 2) {
        px_err_set(&err, PX_E_INVALID, "check needs a file: phoenix config check FILE");
        return px_cli_usage(cli, &err);
    }
    const char *path = cli->arguments[1];
    struct px_buf text = px_buf(CONFIG_FILE_MAX);
    struct px_arena arena = px_arena(CONFIG_MEMORY_MAX);
    struct px_config config;
    px_config_init(&config);
    enum px_code code = px_file_read(path, &text, &err);
    if (code == PX_OK) {
        code = px_config_parse(&config, px_buf_view(&text), &arena, &err);
        if (code == PX_OK)
            code = cli->services->check_config(&config, &err);
        if (code != PX_OK)
            px_err_wrap(&err, "%s", path);
    }
    px_arena_deinit(&arena);
    px_buf_deinit(&text);
    if (code != PX_OK)
        return px_cli_fail(cli, &err);
    fprintf(cli->out, "%s: ok\n", path);
    return PX_EXIT_OK;
}

static int run_config(struct px_cli *cli)
{
    static const struct {
        const char *name;
        int (*run)(struct px_cli *cli);
        size_t arguments_max;
    } actions[] = {{"explain", explain, 2},
                   {"defaults", defaults, 1},
                   {"check", check, 2},
                   {"reference", reference, 1}};
    struct px_str names[PX_ARRAY_LEN(actions)];
    struct px_str word = px_str(cli->arguments[0]);
    for (size_t i = 0; i < PX_ARRAY_LEN(actions); i++) {
        names[i] = px_str(actions[i].name);
        if (px_str_eq(word, names[i]) && cli->n_arguments <= actions[i].arguments_max)
            return actions[i].run(cli);
    }
    struct px_err err = {0};
    long nearest = px_str_nearest(word, names, PX_ARRAY_LEN(names));
    px_err_set(&err, PX_E_UNKNOWN_OPTION,
               "expected explain, defaults, check or reference, got '%.*s'", PX_STR_ARG(word));
    if (nearest >= 0 && !px_str_eq(word, names[nearest]))
        px_err_hint(&err, "did you mean '%s'?", names[nearest].ptr);
    return px_cli_usage(cli, &err);
}

static const struct px_option options[] = {
    {"json", 0, PX_OPTION_FLAG, NULL, "With explain: print JSON.", NULL},
    {0},
};

const struct px_verb px_verb_config = {
    .name = "config",
    .summary = "Explain settings, print their defaults, or check a phoenix.yaml.",
    .arguments = "explain [KEY] | defaults | check FILE | reference",
    .details =
        "explain says what a setting does, its unit, range and default; without KEY it goes "
        "through all of them. defaults prints a commented phoenix.yaml to start from. check "
        "says whether phoenix serve takes a file, and what is wrong with it; names of models are "
        "looked up at the start only. reference prints the settings as "
        "Markdown.\n\n"
        "    phoenix config explain server.port\n"
        "    phoenix config defaults > phoenix.yaml\n"
        "    phoenix config check phoenix.yaml",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 2,
    .run = run_config,
};
