/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "interfaces/cli/options.h"

static const struct px_option rows[] = {
    {"input", 'i', PX_OPTION_TEXT, "FILE", "An input.", "-"},
    {"rate", 'r', PX_OPTION_REAL, "X", "A rate.", "0.5"},
    {"count", 'c', PX_OPTION_INT, "N", "A count.", NULL},
    {"verbose", 'v', PX_OPTION_FLAG, NULL, "A flag.", NULL},
    {0},
};

static const struct px_verb verb = {
    .name = "try",
    .summary = "Try it.",
    .arguments = "A [B]",
    .options = rows,
    .arguments_min = 1,
    .arguments_max = 2,
};

static struct px_cli cli;
static struct px_err err;
static bool help;

static enum px_code parse(int n, const char *const *words)
{
    cli = (struct px_cli){.verb = &verb, .out = stdout, .err = stderr};
    err = (struct px_err){0};
    return px_options_parse(&cli, n, (char *const *)(uintptr_t)words, &help, &err);
}

#define PARSE(...)                                                                                 \
    parse((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                           \
          (const char *[]){__VA_ARGS__})

PX_TEST(defaults_hold_until_an_option_is_given)
{
    CHECK_OK(PARSE("a"));
    CHECK_STR(px_cli_text(&cli, "input"), "-");
    CHECK_DOUBLE(px_cli_real(&cli, "rate"), 0.5);
    CHECK(!px_cli_given(&cli, "input"));
    CHECK(!px_cli_given(&cli, "count"));
    CHECK(px_cli_text(&cli, "count").ptr == NULL);
    CHECK(!px_cli_flag(&cli, "verbose"));
}

PX_TEST(every_form_of_a_value_is_read)
{
    CHECK_OK(PARSE("--input", "x", "--rate=2", "-c", "-7", "-v", "a"));
    CHECK_STR(px_cli_text(&cli, "input"), "x");
    CHECK_DOUBLE(px_cli_real(&cli, "rate"), 2);
    CHECK_INT(px_cli_int(&cli, "count"), -7);
    CHECK(px_cli_flag(&cli, "verbose"));
    CHECK_OK(PARSE("-ix", "a", "--count=3"));
    CHECK_STR(px_cli_text(&cli, "input"), "x");
    CHECK_INT(px_cli_int(&cli, "count"), 3);
}

PX_TEST(an_equals_sign_may_be_part_of_the_value)
{
    CHECK_OK(PARSE("--input=a=b", "x=y"));
    CHECK_STR(px_cli_text(&cli, "input"), "a=b");
    CHECK(strcmp(cli.arguments[0], "x=y") == 0);
}

PX_TEST(the_last_of_a_repeated_option_counts)
{
    CHECK_OK(PARSE("-c1", "a", "-c2"));
    CHECK_INT(px_cli_int(&cli, "count"), 2);
}

PX_TEST(arguments_and_options_may_be_mixed)
{
    CHECK_OK(PARSE("a", "-v", "b"));
    CHECK_INT(cli.n_arguments, 2);
    CHECK(strcmp(cli.arguments[1], "b") == 0);
}

PX_TEST(two_dashes_end_the_options_and_one_is_an_argument)
{
    CHECK_OK(PARSE("-", "--", "-v"));
    CHECK_INT(cli.n_arguments, 2);
    CHECK(strcmp(cli.arguments[0], "-") == 0);
    CHECK(strcmp(cli.arguments[1], "-v") == 0);
    CHECK(!px_cli_flag(&cli, "verbose"));
}

PX_TEST(an_unknown_option_names_the_nearest)
{
    CHECK_INT(PARSE("--inptu", "x", "a"), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.message, "unknown option '--inptu' (did you mean '--input'?)");
    CHECK_INT(PARSE("--verbos=1", "a"), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.message, "'--verbos' (did you mean '--verbose'?)");
    CHECK_INT(PARSE("--hlep"), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.message, "--help");
    CHECK_INT(PARSE("--zzzzzz", "a"), PX_E_UNKNOWN_OPTION);
    CHECK(!strstr(err.message, "did you mean"));
    CHECK_INT(PARSE("-z", "a"), PX_E_UNKNOWN_OPTION);
}

PX_TEST(a_value_of_the_wrong_type_is_refused)
{
    CHECK_INT(PARSE("--count", "many", "a"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "--count must be a whole number, got 'many'");
    CHECK_INT(PARSE("--count=1.5", "a"), PX_E_INVALID);
    CHECK_INT(PARSE("--count=99999999999999999999", "a"), PX_E_INVALID);
    CHECK_INT(PARSE("--rate=fast", "a"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "--rate must be a number");
}

PX_TEST(a_forgotten_value_is_not_taken_from_the_next_option)
{
    CHECK_INT(PARSE("a", "--input"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "--input needs a value: --input FILE");
    CHECK_INT(PARSE("a", "--input", "--verbose"), PX_E_INVALID);
    CHECK_CONTAINS(err.hint, "--input=VALUE");
    CHECK_OK(PARSE("a", "--input=--verbose"));
    CHECK_STR(px_cli_text(&cli, "input"), "--verbose");
}

PX_TEST(a_flag_takes_no_value)
{
    CHECK_INT(PARSE("a", "--verbose=yes"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "--verbose takes no value");
    CHECK_INT(PARSE("a", "-vx"), PX_E_INVALID);
}

PX_TEST(arguments_are_counted)
{
    CHECK_INT(PARSE("-v"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "missing argument: phoenix try A [B]");
    CHECK_INT(PARSE("a", "b", "c"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "unexpected argument 'c'");
}

PX_TEST(help_wins_over_what_follows)
{
    CHECK_OK(PARSE("--help", "--no-such"));
    CHECK(help);
    CHECK_OK(PARSE("-v", "-h"));
    CHECK(help);
    CHECK_OK(PARSE("a", "--", "--help"));
    CHECK(!help);
}

PX_TEST_MAIN(T(defaults_hold_until_an_option_is_given) T(every_form_of_a_value_is_read)
                 T(an_equals_sign_may_be_part_of_the_value) T(the_last_of_a_repeated_option_counts)
                     T(arguments_and_options_may_be_mixed)
                         T(two_dashes_end_the_options_and_one_is_an_argument)
                             T(an_unknown_option_names_the_nearest)
                                 T(a_value_of_the_wrong_type_is_refused)
                                     T(a_forgotten_value_is_not_taken_from_the_next_option)
                                         T(a_flag_takes_no_value) T(arguments_are_counted)
                                             T(help_wins_over_what_follows))
