/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/options.h"
#include "interfaces/cli/verbs.h"

/* Help inside '...' of a shell: a quote would end it, and a colon separates fields in zsh. */
static void print_plain(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (!strchr("'\"`$\\[]:", *text))
            fputc(*text, out);
    }
}

static void print_bash(FILE *out)
{
    fputs("# bash completion; in ~/.bashrc: eval \"$(phoenix completion bash)\"\n"
          "_phoenix() {\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} names=\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        names='",
          out);
    for (size_t i = 0; px_verbs[i]; i++)
        fprintf(out, "%s ", px_verbs[i]->name);
    fputs("--help --version'\n"
          "    else\n"
          "        case ${COMP_WORDS[1]} in\n",
          out);
    for (size_t i = 0; px_verbs[i]; i++) {
        fprintf(out, "        %s) names='", px_verbs[i]->name);
        size_t n = px_options_count(px_verbs[i]);
        for (size_t k = 0; k < n; k++)
            fprintf(out, "--%s ", px_verbs[i]->options[k].name);
        fputs("--help' ;;\n", out);
    }
    fputs("        esac\n"
          "        case $word in -*) ;; *) names= ;; esac\n"
          "    fi\n"
          "    COMPREPLY=($(compgen -W \"$names\" -- \"$word\"))\n"
          "}\n"
          "complete -o default -F _phoenix phoenix\n",
          out);
}

static void print_zsh_verb(FILE *out, const struct px_verb *verb)
{
    fprintf(out, "        %s) _arguments", verb->name);
    size_t n = px_options_count(verb);
    for (size_t k = 0; k < n; k++) {
        const struct px_option *row = &verb->options[k];
        fprintf(out, " \\\n            '--%s%s[", row->name, row->value ? "=" : "");
        print_plain(out, row->help);
        fputs(row->value ? "]:" : "]", out);
        if (row->value) {
            print_plain(out, row->value);
            fputs(":_files", out);
        }
        fputc('\'', out);
    }
    fputs(" \\\n            '--help[Show help]' '*:file:_files' ;;\n", out);
}

static void print_zsh(FILE *out)
{
    fputs("#compdef phoenix\n"
          "# zsh completion; in ~/.zshrc after compinit: source <(phoenix completion zsh)\n"
          "_phoenix() {\n"
          "    local -a verbs=(\n",
          out);
    for (size_t i = 0; px_verbs[i]; i++) {
        fprintf(out, "        '%s:", px_verbs[i]->name);
        print_plain(out, px_verbs[i]->summary);
        fputs("'\n", out);
    }
    fputs("    )\n"
          "    if (( CURRENT == 2 )); then\n"
          "        _describe 'verb' verbs\n"
          "        return\n"
          "    fi\n"
          "    local verb=$words[2]\n"
          "    shift words\n"
          "    (( CURRENT-- ))\n"
          "    case $verb in\n",
          out);
    for (size_t i = 0; px_verbs[i]; i++)
        print_zsh_verb(out, px_verbs[i]);
    fputs("    esac\n}\ncompdef _phoenix phoenix\n", out);
}

static void print_fish(FILE *out)
{
    fputs("# fish completion; phoenix completion fish > ~/.config/fish/completions/phoenix.fish\n",
          out);
    for (size_t i = 0; px_verbs[i]; i++) {
        const struct px_verb *verb = px_verbs[i];
        fprintf(out, "complete -c phoenix -n __fish_use_subcommand -a %s -d '", verb->name);
        print_plain(out, verb->summary);
        fputs("'\n", out);
        size_t n = px_options_count(verb);
        for (size_t k = 0; k < n; k++) {
            const struct px_option *row = &verb->options[k];
            fprintf(out, "complete -c phoenix -n '__fish_seen_subcommand_from %s' -l %s%s -d '",
                    verb->name, row->name, row->value ? " -r" : "");
            print_plain(out, row->help);
            fputs("'\n", out);
        }
    }
}

static int run_completion(struct px_cli *cli)
{
    static const struct {
        const char *name;
        void (*print)(FILE *out);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < PX_ARRAY_LEN(shells); i++) {
        if (strcmp(cli->arguments[0], shells[i].name) == 0) {
            shells[i].print(cli->out);
            return PX_EXIT_OK;
        }
    }
    struct px_err err = {0};
    px_err_set(&err, PX_E_INVALID, "unknown shell '%.*s': expected bash, zsh or fish",
               PX_STR_ARG(px_str(cli->arguments[0])));
    return px_cli_usage(cli, &err);
}

static const struct px_option options[] = {{0}};

const struct px_verb px_verb_completion = {
    .name = "completion",
    .summary = "Print a shell's completion script.",
    .arguments = "bash|zsh|fish",
    .details = "In ~/.bashrc:\n\n    eval \"$(phoenix completion bash)\"",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_completion,
};
