/* SPDX-License-Identifier: Apache-2.0 */
#include "upgrade.h"

#include "infrastructure/host/program.h"
#include "infrastructure/host/upgrade_call.h"
#include "shared/clock.h"

#include <stdlib.h>

enum { SERVERS_MAX = 64 };

size_t px_upgrade_list_servers(int64_t *pids, size_t max)
{
    pid_t found[SERVERS_MAX];
    size_t n = px_upgrade_call_list(found, max < SERVERS_MAX ? max : SERVERS_MAX);
    for (size_t i = 0; i < n; i++)
        pids[i] = found[i];
    return n;
}

static void announce(const struct px_upgrade_job *job, const char *text)
{
    char *program;
    long pid = strtol(text, &program, 10);
    job->announce(job->context, pid, *program == ' ' ? program + 1 : program);
}

/* Until it is known what came of it. */
static enum px_code follow(const struct px_upgrade_job *job, struct px_upgrade_call *call,
                           int64_t *ret_pid, struct px_err *err)
{
    char text[PX_UPGRADE_TEXT_MAX];
    uint64_t until_ns = px_clock_monotonic_ns() + job->timeout_ms * PX_NS_PER_MS;
    for (;;) {
        switch (px_upgrade_call_hear(call, until_ns, text)) {
        case PX_UPGRADE_STARTED:
            announce(job, text);
            break;
        case PX_UPGRADE_DONE:
            *ret_pid = strtol(text, NULL, 10);
            return PX_OK;
        case PX_UPGRADE_FAILED:
            px_err_set(err, PX_E_CONFLICT, "%s", text);
            return px_err_hint(err, "process %d serves as before; its log has the same",
                               (int)call->pid);
        case PX_UPGRADE_GONE:
            px_err_set(err, PX_E_UNAVAILABLE, "process %d has ended without a word of an upgrade",
                       (int)call->pid);
            return px_err_hint(err, "it was being stopped or replaced already: see its log");
        case PX_UPGRADE_SILENT:
        default:
            px_err_set(err, PX_E_TIMEOUT, "process %d has not said in time what came of it",
                       (int)call->pid);
            return px_err_hint(err, "it goes on with it: its log will tell; --timeout waits "
                                    "longer");
        }
    }
}

/* A program that could not take over is not left for the next start. What may still take over stays. */
static enum px_code ask(const struct px_upgrade_job *job, struct px_upgrade_call *call,
                        int64_t *ret_pid, struct px_err *err)
{
    struct px_program program = {0};
    struct px_err other;
    enum px_code code = PX_OK;
    if (job->program)
        code = px_program_of(call->pid, &program, err);
    if (code == PX_OK && job->program)
        code = px_program_install(&program, job->program, err);
    if (code != PX_OK)
        return code;
    code = px_upgrade_call_ask(call, err);
    if (code == PX_OK)
        code = follow(job, call, ret_pid, err);
    if (code == PX_OK || code == PX_E_TIMEOUT || code == PX_E_UNAVAILABLE)
        return code;
    if (px_program_restore(&program, &other) != PX_OK)
        (void)px_err_hint(err, "and %s", other.message);
    return code;
}

enum px_code px_upgrade_run(const struct px_upgrade_job *job, int64_t *ret_pid, struct px_err *err)
{
    struct px_upgrade_call call;
    enum px_code code = px_upgrade_call_open(&call, (pid_t)job->pid, err);
    if (code == PX_OK)
        code = ask(job, &call, ret_pid, err);
    px_upgrade_call_close(&call);
    return code;
}
