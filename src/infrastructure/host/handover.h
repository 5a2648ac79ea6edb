/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process and its successor, which takes its listening sockets over: how the one starts the other, and what they say to
 * each other.
 *
 *   old                                   new
 *   starts the program of its own file -> (PHOENIX_HANDOVER names a descriptor)
 *   SOCKETS with descriptors ...       ->
 *   SOCKETS_END                        -> opens nothing that it was given, loads its models
 *                                      <- MODEL name/version, for each that is ready
 *                                      <- LOADED
 *   GO                                 -> serves
 *                                      <- SERVING
 *   drains and ends
 *
 * At any time: FAILED with the reason, from the new one; the old one ends it and serves on. Messages are records of a Unix
 * socket pair (SOCK_SEQPACKET): a letter and a text.
 *
 * Threads: main, in both.
 */
#ifndef PX_INFRASTRUCTURE_HOST_HANDOVER_H
#define PX_INFRASTRUCTURE_HOST_HANDOVER_H

#include "shared/err.h"
#include "shared/str.h"

#include <sys/types.h>

enum { PX_HANDOVER_TEXT_MAX = 2048 };

enum px_handover_word {
    PX_HANDOVER_NOTHING = 0, /* so far */
    PX_HANDOVER_SOCKETS = 'S',
    PX_HANDOVER_SOCKETS_END = 'E',
    PX_HANDOVER_MODEL = 'm',
    PX_HANDOVER_LOADED = 'l',
    PX_HANDOVER_GO = 'G',
    PX_HANDOVER_SERVING = 's',
    PX_HANDOVER_FAILED = 'f',
    PX_HANDOVER_GONE = 1, /* the other side has closed: its process has ended */
};

struct px_handover_message {
    enum px_handover_word word;
    char text[PX_HANDOVER_TEXT_MAX]; /* ended by a zero */
};

/* ---- the old process ---- */

struct px_successor {
    pid_t pid;
    int fd;
};

/* Notes the file of this program, so that what lies there later can be started. Early, before it may be replaced. */
void px_handover_note_program(void);
const char *px_handover_program(void); /* its path, as noted */

/* Starts the program in that file with this process's arguments and environment, and sends it the sockets, which stay open here. */
PX_MUST_USE enum px_code px_successor_start(struct px_successor *successor, const int *fds,
                                            size_t n_fds, struct px_err *err);
/* What it has said; does not wait. */
enum px_handover_word px_successor_hear(struct px_successor *successor,
                                        struct px_handover_message *message);
PX_MUST_USE bool px_successor_go(struct px_successor *successor);
/* Ends it, unless it has ended; `how` says how it did. Zeroed is fine. */
void px_successor_end(struct px_successor *successor, char *how, size_t size);
/* Lets it live. */
void px_successor_release(struct px_successor *successor);

/* ---- the new process ---- */

/* The descriptor to talk over, or -1 when nobody started this process to take over. Children do not see it. */
int px_predecessor_open(void);
/* All sockets; they are the caller's. At most `max`. */
PX_MUST_USE enum px_code px_predecessor_take(int fd, int *fds, size_t max, size_t *ret_n,
                                             struct px_err *err);
/* False when the old process has gone. */
bool px_predecessor_say(int fd, enum px_handover_word word, struct px_str text);
/* Waits for GO. PX_E_UNAVAILABLE when the old process has ended or does not want this one. */
PX_MUST_USE enum px_code px_predecessor_wait(int fd, struct px_err *err);

#endif
