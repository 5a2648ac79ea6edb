/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking a serving process to let another one take over (handover.h), and hearing what came of it: how `phoenix upgrade` talks to
 * it.
 *
 *   caller                                 the process that serves
 *   opens a mailbox that its number names
 *   SIGUSR2                             -> starts a program; the signal tells who asked
 *                                       <- STARTED "PID PROGRAM"
 *                                       <- DONE "PID", or FAILED with the reason
 *
 * The mailbox is a datagram socket in the abstract namespace, so nothing is left in a file system, and who sends the signal with
 * kill(1) has none: what is said to it is lost. News count only from the process that was asked; the kernel says who wrote them.
 *
 * Threads: main, in both.
 */
#ifndef PX_INFRASTRUCTURE_HOST_UPGRADE_CALL_H
#define PX_INFRASTRUCTURE_HOST_UPGRADE_CALL_H

#include "shared/err.h"

#include <sys/types.h>

enum { PX_UPGRADE_TEXT_MAX = 4096 };

enum px_upgrade_news {
    PX_UPGRADE_SILENT = 0,    /* nothing in time */
    PX_UPGRADE_STARTED = 's', /* the text is the new process's number and its program */
    PX_UPGRADE_DONE = 'd',    /* the new process serves */
    PX_UPGRADE_FAILED = 'f',  /* the text is why; the process that was asked serves on */
    PX_UPGRADE_GONE = 1,      /* the process that was asked has ended, and said nothing more */
};

/* ---- the process that serves ---- */

/* Tells whoever asked; never waits. 0: nobody did. */
void px_upgrade_call_tell(pid_t caller, enum px_upgrade_news news, const char *text);

/* ---- the caller ---- */

struct px_upgrade_call {
    pid_t pid;
    int process; /* stands for the process, whoever gets its number later */
    int mailbox;
};

/* Numbers of the processes that serve on this machine; at most `max`. */
size_t px_upgrade_call_list(pid_t *pids, size_t max);

/*
 * Chooses the process. PX_E_NOT_FOUND; PX_E_INVALID when it does not serve: the signal would end it. To be closed in any case.
 */
PX_MUST_USE enum px_code px_upgrade_call_open(struct px_upgrade_call *call, pid_t pid,
                                              struct px_err *err);
/* PX_E_FORBIDDEN when it belongs to somebody else. */
PX_MUST_USE enum px_code px_upgrade_call_ask(struct px_upgrade_call *call, struct px_err *err);
/* The next news, waited for until `until_ns`; `text` has PX_UPGRADE_TEXT_MAX bytes. */
enum px_upgrade_news px_upgrade_call_hear(struct px_upgrade_call *call, uint64_t until_ns,
                                          char *text);
void px_upgrade_call_close(struct px_upgrade_call *call);

#endif
