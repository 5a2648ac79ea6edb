/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/help.h"

#include "interfaces/cli/options.h"

enum {
    WIDTH = 96,         /* columns of wrapped text */
    OPTION_COLUMN = 28, /* where the help of an option begins */
    VERB_COLUMN = 14,
};

static void print_blanks(FILE *out, size_t n)
{
    fprintf(out, "%*s", (int)n, "");
}

/*
 * Prints text from `column` on, breaking at blanks; the cursor stands at `at`. A line of the text that
 * begins with a blank is an example and stays as it is.
 */
static void print_wrapped(FILE *out, size_t at, size_t column, struct px_str text)
{
    if (at >= column && at > 0) {
        fputc('\n', out);
        at = 0;
    }
    print_blanks(out, column - at);
    at = column;
    while (text.ptr) {
        struct px_str word = px_str_cut(&text, ' ');
        if (at > column && at + 1 + word.len > WIDTH) {
            fputc('\n', out);
            print_blanks(out, column);
            at = column;
        } else if (at > column) {
            fputc(' ', out);
            at++;
        }
        fwrite(word.ptr, 1, word.len, out);
        at += word.len;
    }
    fputc('\n', out);
}

static void print_paragraphs(FILE *out, const char *text)
{
    struct px_str rest = px_str(text);
    while (rest.ptr) {
        struct px_str line = px_str_cut(&rest, '\n');
        if (line.len == 0 || line.ptr[0] == ' ')
            fprintf(out, "%.*s\n", (int)line.len, line.ptr);
        else
            print_wrapped(out, 0, 0, line);
    }
}

void px_help_overview(FILE *out)
{
    fputs("Phoenix " PX_VERSION ": real-time inference for tree models, in one binary.\n\n"
          "Usage: phoenix VERB [options] [arguments]\n\nVerbs:\n",
          out);
    for (size_t i = 0; px_verbs[i]; i++) {
        int used = fprintf(out, "  %s", px_verbs[i]->name);
        print_wrapped(out, (size_t)used, VERB_COLUMN, px_str(px_verbs[i]->summary));
    }
    fputs("\n'phoenix VERB --help' says more about one.\n", out);
}

static void format_option(const struct px_option *row, char *out, size_t cap)
{
    char letter[8] = "    ";
    if (row->letter)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(out, cap, "  %s--%s%s%s", letter, row->name, row->value ? " " : "",
             row->value ? row->value : "");
}

static void print_option(FILE *out, const struct px_option *row)
{
    char left[128], help[1024];
    format_option(row, left, sizeof left);
    fputs(left, out);
    bool show_default = row->def && row->def[0];
    snprintf(help, sizeof help, "%s%s%s%s", row->help, show_default ? " [default: " : "",
             show_default ? row->def : "", show_default ? "]" : "");
    print_wrapped(out, strlen(left), OPTION_COLUMN, px_str(help));
}

static void print_usage(FILE *out, const struct px_verb *verb)
{
    bool takes = verb->arguments && verb->arguments[0];
    fprintf(out, "phoenix %s [options]%s%s\n", verb->name, takes ? " " : "",
            takes ? verb->arguments : "");
}

static const struct px_option help_option = {
    "help", 'h', PX_OPTION_FLAG, NULL, "Show this help and exit.", NULL};

void px_help_verb(FILE *out, const struct px_verb *verb)
{
    fprintf(out, "%s\n\nUsage: ", verb->summary);
    print_usage(out, verb);
    if (verb->details) {
        fputc('\n', out);
        print_paragraphs(out, verb->details);
    }
    fputs("\nOptions:\n", out);
    size_t n = px_options_count(verb);
    for (size_t i = 0; i < n; i++)
        print_option(out, &verb->options[i]);
    print_option(out, &help_option);
}

/* A table's cell: a bar would end it. */
static void print_cell(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|')
            fputc('\\', out);
        fputc(*text, out);
    }
}

static void print_markdown_option(FILE *out, const struct px_option *row)
{
    fputs("| `", out);
    if (row->letter)
        fprintf(out, "-%c`, `", row->letter);
    fprintf(out, "--%s", row->name);
    if (row->value) {
        fputc(' ', out);
        print_cell(out, row->value);
    }
    fputs("` | ", out);
    if (row->def && row->def[0])
        fprintf(out, "`%s`", row->def);
    fputs(" | ", out);
    print_cell(out, row->help);
    fputs(" |\n", out);
}

/* Examples (indented lines) become a code block. */
static void print_markdown_details(FILE *out, const char *details)
{
    struct px_str rest = px_str(details);
    bool in_code = false, after_blank = true;
    while (rest.ptr) {
        struct px_str line = px_str_cut(&rest, '\n');
        bool example = line.len && line.ptr[0] == ' ';
        if (example && !in_code)
            fputs(after_blank ? "```sh\n" : "\n```sh\n", out);
        else if (!example && in_code)
            fputs("```\n", out);
        in_code = example;
        after_blank = line.len == 0;
        struct px_str shown = example ? px_str_trim(line) : line;
        fprintf(out, "%.*s\n", (int)shown.len, shown.ptr);
    }
    if (in_code)
        fputs("```\n", out);
}

static void print_markdown_verb(FILE *out, const struct px_verb *verb)
{
    fprintf(out, "\n## phoenix %s\n\n%s\n\n```\n", verb->name, verb->summary);
    print_usage(out, verb);
    fputs("```\n", out);
    if (verb->details) {
        fputc('\n', out);
        print_markdown_details(out, verb->details);
    }
    size_t n = px_options_count(verb);
    if (n)
        fputs("\n| option | default | meaning |\n|---|---|---|\n", out);
    for (size_t i = 0; i < n; i++)
        print_markdown_option(out, &verb->options[i]);
}

void px_help_markdown(FILE *out)
{
    fputs(
        "# The command line\n\n"
        "Results go to standard output, everything else to standard error. Every verb has "
        "`--help`.\n"
        "An unknown option is an error that names the nearest one.\n\n"
        "| exit status | meaning |\n|---|---|\n"
        "| 0 | success |\n"
        "| 1 | the work failed, or a setting or a name does not fit; the message says what, where, "
        "and how to fix it |\n"
        "| 2 | the command line was wrong: an unknown verb or option, or a value that is missing "
        "or "
        "malformed |\n"
        "| 130 | interrupted |\n\n"
        "| verb | what it does |\n|---|---|\n",
        out);
    for (size_t i = 0; px_verbs[i]; i++)
        fprintf(out, "| [%s](#phoenix-%s) | %s |\n", px_verbs[i]->name, px_verbs[i]->name,
                px_verbs[i]->summary);
    for (size_t i = 0; px_verbs[i]; i++)
        print_markdown_verb(out, px_verbs[i]);
}
