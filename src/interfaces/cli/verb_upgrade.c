/* SPDX-License-Identifier: Apache-2.0 */
/* phoenix upgrade: a new process takes over from one that serves, and no request fails. */
#include "interfaces/cli/verbs.h"

enum { SERVERS_SHOWN = 8, PID_MAX = 1 << 22, TIMEOUT_S_MAX = 86400 };

/* The only process that serves. */
static enum px_code find_server(const struct px_cli *cli, int64_t *ret_pid, struct px_err *err)
{
    char text[160];
    int64_t pids[SERVERS_SHOWN] = {0};
    struct px_buf list = px_buf_fixed(text, sizeof text);
    size_t n = cli->services->list_servers(pids, SERVERS_SHOWN);
    *ret_pid = pids[0];
    if (n == 1)
        return PX_OK;
    if (n == 0) {
        px_err_set(err, PX_E_NOT_FOUND, "no process on this machine is a 'phoenix serve'");
        return px_err_hint(err, "give --pid N, if its program has another name");
    }
    for (size_t i = 0; i < n; i++)
        px_buf_printf(&list, "%s%lld", i ? ", " : "", (long long)pids[i]);
    px_err_set(err, PX_E_INVALID, "%zu%s processes serve: which one?", n,
               n == SERVERS_SHOWN ? " or more" : "");
    return px_err_hint(err, "give --pid N: %s", px_buf_cstr(&list));
}

static enum px_code choose(const struct px_cli *cli, int64_t *ret_pid, struct px_err *err)
{
    if (!px_cli_given(cli, "pid"))
        return find_server(cli, ret_pid, err);
    *ret_pid = px_cli_int(cli, "pid");
    if (*ret_pid < 1 || *ret_pid > PID_MAX)
        return px_err_set(err, PX_E_INVALID, "--pid %lld: expected 1 to %d", (long long)*ret_pid,
                          PID_MAX);
    return PX_OK;
}

static void tell_started(void *context, int64_t pid, const char *program)
{
    const struct px_cli *cli = context;
    fprintf(cli->err, "process %lld is loading its models: %s\n", (long long)pid, program);
    fflush(cli->err);
}

static int run(struct px_cli *cli)
{
    struct px_err err;
    struct px_upgrade_job job = {.announce = tell_started, .context = cli};
    int64_t pid, timeout_s = px_cli_int(cli, "timeout");
    if (timeout_s < 1 || timeout_s > TIMEOUT_S_MAX) {
        px_err_set(&err, PX_E_INVALID, "--timeout %lld: expected 1 to %d seconds",
                   (long long)timeout_s, TIMEOUT_S_MAX);
        return px_cli_usage(cli, &err);
    }
    job.timeout_ms = (uint64_t)timeout_s * 1000;
    job.program = px_cli_text(cli, "program").ptr;
    if (choose(cli, &job.pid, &err) != PX_OK)
        return err.code == PX_E_INVALID ? px_cli_usage(cli, &err) : px_cli_fail(cli, &err);
    if (cli->services->upgrade(&job, &pid, &err) != PX_OK)
        return px_cli_fail(cli, &err);
    fprintf(cli->out, "process %lld serves; process %lld answers what it has begun, and ends\n",
            (long long)pid, (long long)job.pid);
    return PX_EXIT_OK;
}

static const struct px_option options[] = {
    {"pid", 'p', PX_OPTION_INT, "N", "process that serves, if there is more than one", NULL},
    {"program", 0, PX_OPTION_TEXT, "FILE",
     "put this in the place of its program first; the one before stays as PATH.previous", NULL},
    {"timeout", 0, PX_OPTION_INT, "SECONDS", "how long to wait for what comes of it", "600"},
    {0},
};

const struct px_verb px_verb_upgrade = {
    .name = "upgrade",
    .summary = "Have a new process take over from one that serves; no request fails.",
    .arguments = "",
    .details =
        "Asks a 'phoenix serve' of this machine (signal SIGUSR2) to start the program that lies "
        "at\n"
        "its path now, with its own arguments, and to hand its sockets over once all of its "
        "models\n"
        "are ready there. Waits, and says which process serves; or why the old one goes on "
        "serving.\n"
        "A program of --program that could not take over is taken away again.\n"
        "\n"
        "Exit status: 0 the new process serves, 1 it does not, 2 the command line was wrong.\n"
        "\n"
        "Examples:\n"
        "  phoenix upgrade\n"
        "  phoenix upgrade --pid 4242 --program ./phoenix-new",
    .options = options,
    .run = run,
};
