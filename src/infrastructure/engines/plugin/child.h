/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One child process that runs a plug-in: started, asked, listened to, ended. Private to this folder.
 *
 * The child gets three things: the memory file of the ring as descriptor 3, a pipe for what it prints, and /dev/null as its input; every
 * other descriptor is closed. It leads a process group of its own, so that Ctrl-C in a terminal does not reach it and that its own
 * children end with it. The kernel ends it when the thread that started it ends, so one lasting thread starts all.
 *
 * Threads: one at a time, but px_child_kill, which any thread may call while the process has not been reaped.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_CHILD_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_CHILD_H

#include "infrastructure/engines/plugin/ring.h"

#include <sys/types.h>

enum { PX_CHILD_LINE_MAX = 1024, PX_CHILD_REASON_MAX = 256, PX_CHILD_LINES_PER_SECOND = 100 };

struct px_child_plan {
    char *const *argv;        /* argv[0] is looked for in PATH when it has no '/' */
    struct px_str model_name; /* for the log */
    uint64_t area, memory_max;
    uint32_t spin_us;
};

struct px_child {
    pid_t pid;
    int pid_fd, out_fd;   /* -1: none */
    struct px_ring *ring; /* NULL: not started */
    char *request, *answer;
    size_t area;
    uint32_t number; /* of the newest request */
    /* what it prints */
    char line[PX_CHILD_LINE_MAX];
    size_t n_line;
    char last[2][PX_CHILD_REASON_MAX / 2]; /* the last lines, newest first */
    uint64_t lines_since_ns;
    unsigned n_lines, n_dropped; /* since then */
};

/* Starts the process; the struct is overwritten. PX_E_IO, PX_E_NO_MEMORY, PX_E_NOT_FOUND (no such program). */
PX_MUST_USE enum px_code px_child_start(const struct px_child_plan *plan, struct px_child *child,
                                        struct px_err *err);

/* The request area has been written: the child may begin. */
void px_child_ask(struct px_child *child);
/* Has it answered the newest request? */
bool px_child_has_answered(const struct px_child *child);

/* Ends the process and those that it started, at once. */
void px_child_kill(const struct px_child *child);

/* Passes on to the log what it has printed. Does not block. */
void px_child_read_output(struct px_child *child, struct px_str model_name);

/* An entry of the log that so many lines had no place in it; none for 0. */
void px_child_tell_dropped(struct px_str model_name, unsigned n_lines);

/* Has it ended? Then it is reaped with all that it started, and `reason` (PX_CHILD_REASON_MAX bytes) says how. */
bool px_child_reap(struct px_child *child, char *reason);

/* The last two lines that it printed, or "" (PX_CHILD_REASON_MAX bytes): for who runs this program, never for a client. */
void px_child_last_words(const struct px_child *child, char *words);

/* Frees what belongs to a process that has been reaped. */
void px_child_close(struct px_child *child);

#endif
