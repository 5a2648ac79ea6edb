/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/cli.h"

#include "interfaces/cli/help.h"
#include "interfaces/cli/options.h"
#include "interfaces/cli/verbs.h"
#include "interfaces/cli/visible.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void print_error(struct px_cli *cli, const struct px_err *err)
{
    fprintf(cli->err, "phoenix%s%s: ", cli->verb ? " " : "", cli->verb ? cli->verb->name : "");
    px_print_visible(cli->err, px_str(err->message));
    if (err->hint[0])
        fputs("\n  ", cli->err);
    px_print_visible(cli->err, px_str(err->hint));
    fputc('\n', cli->err);
}

int px_cli_fail(struct px_cli *cli, const struct px_err *err)
{
    print_error(cli, err);
    return PX_EXIT_FAILED;
}

int px_cli_usage(struct px_cli *cli, const struct px_err *err)
{
    print_error(cli, err);
    if (cli->verb)
        fprintf(cli->err, "  'phoenix %s --help' lists the options\n", cli->verb->name);
    else
        fputs("  'phoenix --help' lists the verbs\n", cli->err);
    return PX_EXIT_USAGE;
}

/*
 * A standard stream that the caller closed would lend its number to the next file that is opened, and a
 * message would then be written into that file. The numbers are taken first, in a mode in which using
 * them fails, so that lost results are reported as such.
 */
static void occupy_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) != -1 || errno != EBADF)
            continue;
        int taken = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        PX_ASSERT(taken < 0 || taken == fd);
    }
}

/* Results that did not reach standard output are a failure, whatever the verb thinks of its work. */
static int finish_output(struct px_cli *cli, int status)
{
    if (fflush(cli->out) == 0 && !ferror(cli->out))
        return status;
    struct px_err err = {0};
    px_err_set(&err, PX_E_IO, "writing standard output failed: %s", strerror(errno));
    print_error(cli, &err);
    return status == PX_EXIT_OK ? PX_EXIT_FAILED : status;
}

static int run_verb(struct px_cli *cli, int n_words, char *const *words)
{
    struct px_err err = {0};
    bool help;
    if (px_options_parse(cli, n_words, words, &help, &err) != PX_OK)
        return px_cli_usage(cli, &err);
    if (help) {
        px_help_verb(cli->out, cli->verb);
        return PX_EXIT_OK;
    }
    return cli->verb->run(cli);
}

/* `phoenix --help`, `-h`, `--version` and nothing at all are forms of verbs. */
static struct px_str verb_name(const char *word)
{
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return px_str("help");
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return px_str("version");
    return px_str(word);
}

int px_cli_main(int argc, char **argv, const struct px_cli_services *services)
{
    occupy_standard_streams();
    struct px_cli cli = {.services = services, .out = stdout, .err = stderr};
    struct px_err err = {0};
    if (argc < 2) {
        px_help_overview(cli.err);
        return PX_EXIT_USAGE;
    }
    const struct px_verb *verb = px_verbs_find(verb_name(argv[1]), &err);
    if (!verb)
        return px_cli_usage(&cli, &err);
    cli.verb = verb;
    return finish_output(&cli, run_verb(&cli, argc - 2, argv + 2));
}
