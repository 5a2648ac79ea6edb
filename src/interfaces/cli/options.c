/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/options.h"

#include "shared/number.h"

size_t px_options_count(const struct px_verb *verb)
{
    size_t n = 0;
    while (verb->options && verb->options[n].name)
        n++;
    PX_ASSERT(n <= PX_CLI_OPTIONS_MAX);
    return n;
}

/* Index of the row with this name, or -1. */
static long find_name(const struct px_verb *verb, struct px_str name)
{
    size_t n = px_options_count(verb);
    for (size_t i = 0; i < n; i++) {
        if (px_str_is(name, verb->options[i].name))
            return (long)i;
    }
    return -1;
}

static long find_letter(const struct px_verb *verb, char letter)
{
    size_t n = px_options_count(verb);
    for (size_t i = 0; i < n; i++) {
        if (verb->options[i].letter == letter)
            return (long)i;
    }
    return -1;
}

static enum px_code unknown_option(const struct px_verb *verb, struct px_str word,
                                   struct px_str name, struct px_err *err)
{
    struct px_str names[PX_CLI_OPTIONS_MAX + 1];
    size_t n = px_options_count(verb);
    for (size_t i = 0; i < n; i++)
        names[i] = px_str(verb->options[i].name);
    names[n] = px_str("help");
    long nearest = px_str_nearest(name, names, n + 1);
    if (nearest < 0)
        return px_err_set(err, PX_E_UNKNOWN_OPTION, "unknown option '%.*s'", PX_STR_ARG(word));
    return px_err_set(err, PX_E_UNKNOWN_OPTION, "unknown option '%.*s' (did you mean '--%.*s'?)",
                      PX_STR_ARG(word), PX_STR_ARG(names[nearest]));
}

static enum px_code check_value(const struct px_option *row, struct px_str value,
                                struct px_err *err)
{
    int64_t whole;
    double real;
    if (row->type == PX_OPTION_INT && !px_str_to_i64(value, &whole))
        return px_err_set(err, PX_E_INVALID, "--%s must be a whole number, got '%.*s'", row->name,
                          PX_STR_ARG(value));
    if (row->type == PX_OPTION_REAL && !px_str_to_f64(value, &real))
        return px_err_set(err, PX_E_INVALID, "--%s must be a number, got '%.*s'", row->name,
                          PX_STR_ARG(value));
    return PX_OK;
}

static enum px_code set_value(struct px_cli *cli, size_t row, struct px_str value,
                              struct px_err *err)
{
    enum px_code code = check_value(&cli->verb->options[row], value, err);
    if (code != PX_OK)
        return code;
    cli->values[row] = value;
    cli->given[row] = true;
    return PX_OK;
}

/* The words that are still to be read. */
struct words {
    int n;
    char *const *at;
};

/* An option whose value, if it takes one and has none attached, is the next word. */
static enum px_code take_option(struct px_cli *cli, size_t index, struct px_str attached,
                                struct words *words, struct px_err *err)
{
    const struct px_option *row = &cli->verb->options[index];
    if (row->type == PX_OPTION_FLAG) {
        if (attached.ptr)
            return px_err_set(err, PX_E_INVALID, "--%s takes no value, got '%.*s'", row->name,
                              PX_STR_ARG(attached));
        return set_value(cli, index, px_str("true"), err);
    }
    if (attached.ptr)
        return set_value(cli, index, attached, err);
    if (words->n == 0 || strncmp(words->at[0], "--", 2) == 0) {
        px_err_set(err, PX_E_INVALID, "--%s needs a value: --%s %s", row->name, row->name,
                   row->value);
        if (words->n)
            px_err_hint(err, "a value that begins with '--' is given as --%s=VALUE", row->name);
        return PX_E_INVALID;
    }
    words->n--;
    return set_value(cli, index, px_str(*words->at++), err);
}

static enum px_code take_long(struct px_cli *cli, const char *word, struct words *words,
                              struct px_err *err)
{
    struct px_str value = px_str(word + 2);
    struct px_str name = px_str_cut(&value, '=');
    long index = find_name(cli->verb, name);
    if (index < 0)
        return unknown_option(cli->verb, px_str_n(word, name.len + 2), name, err);
    return take_option(cli, (size_t)index, value, words, err);
}

static enum px_code take_short(struct px_cli *cli, const char *word, struct words *words,
                               struct px_err *err)
{
    long index = find_letter(cli->verb, word[1]);
    if (index < 0)
        return unknown_option(cli->verb, px_str(word), px_str(word + 1), err);
    struct px_str attached = word[2] ? px_str(word + 2) : (struct px_str){0};
    return take_option(cli, (size_t)index, attached, words, err);
}

static enum px_code take_argument(struct px_cli *cli, const char *word, struct px_err *err)
{
    size_t max = cli->verb->arguments_max;
    if (max > PX_CLI_ARGUMENTS_MAX)
        max = PX_CLI_ARGUMENTS_MAX;
    if (cli->n_arguments == max) {
        px_err_set(err, PX_E_INVALID, "unexpected argument '%.*s'", PX_STR_ARG(px_str(word)));
        return max ? px_err_hint(err, "arguments are: %s", cli->verb->arguments) : PX_E_INVALID;
    }
    cli->arguments[cli->n_arguments++] = word;
    return PX_OK;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static void set_defaults(struct px_cli *cli)
{
    size_t n = px_options_count(cli->verb);
    for (size_t i = 0; i < n; i++) {
        cli->values[i] = px_str(cli->verb->options[i].def);
        cli->given[i] = false;
    }
    cli->n_arguments = 0;
}

enum px_code px_options_parse(struct px_cli *cli, int n_words, char *const *words, bool *ret_help,
                              struct px_err *err)
{
    struct words rest = {n_words, words};
    bool ended = false;
    enum px_code code = PX_OK;
    set_defaults(cli);
    *ret_help = false;
    while (rest.n > 0 && code == PX_OK) {
        const char *word = *rest.at++;
        rest.n--;
        if (ended || word[0] != '-' || word[1] == '\0') {
            code = take_argument(cli, word, err);
        } else if (is_help(word)) {
            *ret_help = true;
            return PX_OK;
        } else if (strcmp(word, "--") == 0) {
            ended = true;
        } else if (word[1] == '-') {
            code = take_long(cli, word, &rest, err);
        } else {
            code = take_short(cli, word, &rest, err);
        }
    }
    if (code == PX_OK && cli->n_arguments < cli->verb->arguments_min)
        return px_err_set(err, PX_E_INVALID, "missing argument: phoenix %s %s", cli->verb->name,
                          cli->verb->arguments);
    return code;
}

static size_t row_of(const struct px_cli *cli, const char *option)
{
    long index = find_name(cli->verb, px_str(option));
    PX_ASSERT(index >= 0);
    return (size_t)index;
}

bool px_cli_given(const struct px_cli *cli, const char *option)
{
    return cli->given[row_of(cli, option)];
}

bool px_cli_flag(const struct px_cli *cli, const char *option)
{
    size_t row = row_of(cli, option);
    PX_ASSERT(cli->verb->options[row].type == PX_OPTION_FLAG);
    return cli->given[row];
}

struct px_str px_cli_text(const struct px_cli *cli, const char *option)
{
    return cli->values[row_of(cli, option)];
}

int64_t px_cli_int(const struct px_cli *cli, const char *option)
{
    int64_t value = 0;
    bool whole = px_str_to_i64(px_cli_text(cli, option), &value);
    PX_ASSERT(whole);
    return value;
}

double px_cli_real(const struct px_cli *cli, const char *option)
{
    double value = 0;
    bool real = px_str_to_f64(px_cli_text(cli, option), &value);
    PX_ASSERT(real);
    return value;
}

enum px_code px_cli_rounds(const struct px_cli *cli, enum px_forest_rounds *ret, struct px_err *err)
{
    struct px_str text = px_cli_text(cli, "rounds");
    if (!px_str_is(text, "all") && !px_str_is(text, "best"))
        return px_err_set(err, PX_E_INVALID, "--rounds must be all or best, got '%.*s'",
                          PX_STR_ARG(text));
    *ret = px_str_is(text, "best") ? PX_ROUNDS_BEST : PX_ROUNDS_ALL;
    return PX_OK;
}
