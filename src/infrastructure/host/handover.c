/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * The program is started by its path, not by /proc/self/exe: that is the file that runs, the new version is another one. posix_spawn
 * does what fork and exec would, without a copy of a process that has threads. Descriptors go over a socket and not by inheritance, so
 * every one of them can stay closed-on-exec for all other children.
 */
#include "infrastructure/host/handover.h"

#include "shared/alloc.h"
#include "shared/file.h"
#include "shared/vec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIABLE "PHOENIX_HANDOVER"

enum {
    CHILD_FD = 3,
    FDS_PER_MESSAGE = 64, /* the kernel takes 253 */
    ARGUMENTS_MAX = 1 << 20,
    HOW_MAX = 64,
};

static char program[PATH_MAX];

void px_handover_note_program(void)
{
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
}

const char *px_handover_program(void)
{
    return program;
}

/* ---- messages ---- */

/* A record of a word, a text and descriptors. */
static bool send_message(int fd, enum px_handover_word word, struct px_str text, const int *fds,
                         size_t n_fds)
{
    char letter = (char)word;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FDS_PER_MESSAGE * sizeof(int))];
    } control = {0};
    struct iovec parts[] = {{&letter, 1}, {.iov_len = text.len}};
    memcpy(&parts[1].iov_base, &text.ptr, sizeof text.ptr); /* sendmsg only reads it */
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (n_fds) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
    }
    ssize_t n;
    do {
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0;
}

/* `flags` as for recv. */
static enum px_handover_word hear(int fd, struct px_handover_message *message, int flags)
{
    char bytes[PX_HANDOVER_TEXT_MAX];
    ssize_t n;
    /* ECONNRESET: it closed without having read all. That comes once, and before what it said last. */
    do {
        n = recv(fd, bytes, sizeof bytes, flags);
    } while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    *message = (struct px_handover_message){.word = PX_HANDOVER_NOTHING};
    if (n == 0 || (n < 0 && errno != EAGAIN))
        message->word = PX_HANDOVER_GONE;
    if (n > 0) {
        message->word = (enum px_handover_word)(unsigned char)bytes[0];
        memcpy(message->text, bytes + 1, (size_t)n - 1);
    }
    return message->word;
}

/* ---- starting ---- */

typedef PX_VEC(char *) text_list;

/* The arguments of this process, from the text of /proc/self/cmdline: each ended by a zero. */
static bool list_arguments(struct px_buf *cmdline, text_list *ret)
{
    px_buf_byte(cmdline, '\0'); /* what is cut off in the middle ends as well */
    char *at = cmdline->ptr, *end = cmdline->ptr + cmdline->len - 1;
    for (; at < end; at += strlen(at) + 1) {
        char **slot = px_vec_push(ret);
        if (!slot)
            return false;
        *slot = at;
    }
    char **last = px_vec_push(ret);
    return last && !(*last = NULL);
}

static bool is_own_variable(const char *entry)
{
    static const char *const own[] = {VARIABLE, "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID",
                                      "LISTEN_FDNAMES"};
    for (size_t i = 0; i < PX_ARRAY_LEN(own); i++) {
        size_t len = strlen(own[i]);
        if (strncmp(entry, own[i], len) == 0 && entry[len] == '=')
            return true;
    }
    return false;
}

/* What concerns this process alone is left out. */
static bool list_environment(char *handover, text_list *ret)
{
    for (char **entry = environ; *entry; entry++) {
        char **slot = is_own_variable(*entry) ? NULL : px_vec_push(ret);
        if (slot)
            *slot = *entry;
        else if (!is_own_variable(*entry))
            return false;
    }
    char **own = px_vec_push(ret);
    if (own)
        *own = handover;
    char **last = px_vec_push(ret);
    return own && last && !(*last = NULL);
}

static int spawn(struct px_successor *successor, int child_fd, char **arguments, char **environment)
{
    sigset_t none, defaults;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, child_fd, CHILD_FD);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn(&successor->pid, program, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return rc;
}

static enum px_code start_program(struct px_successor *successor, int child_fd, struct px_err *err)
{
    char handover[] = VARIABLE "=3";
    struct px_buf cmdline = px_buf(ARGUMENTS_MAX);
    text_list arguments = {0}, environment = {0};
    enum px_code code = px_file_read("/proc/self/cmdline", &cmdline, err);
    if (code == PX_OK &&
        (!list_arguments(&cmdline, &arguments) || !list_environment(handover, &environment)))
        code = px_err_set(err, PX_E_NO_MEMORY, "no memory for another process");
    int rc = code == PX_OK ? spawn(successor, child_fd, arguments.items, environment.items) : 0;
    if (rc != 0) {
        successor->pid = 0; /* posix_spawn may leave anything there */
        code = px_err_set(err, PX_E_IO, "start %s: %s", program, strerror(rc));
    }
    px_vec_free(&arguments);
    px_vec_free(&environment);
    px_buf_deinit(&cmdline);
    return code;
}

static bool send_sockets(int fd, const int *fds, size_t n_fds)
{
    const struct px_str nothing = {0};
    for (size_t i = 0; i < n_fds; i += FDS_PER_MESSAGE) {
        size_t n = n_fds - i < FDS_PER_MESSAGE ? n_fds - i : FDS_PER_MESSAGE;
        if (!send_message(fd, PX_HANDOVER_SOCKETS, nothing, fds + i, n))
            return false;
    }
    return send_message(fd, PX_HANDOVER_SOCKETS_END, nothing, NULL, 0);
}

enum px_code px_successor_start(struct px_successor *successor, const int *fds, size_t n_fds,
                                struct px_err *err)
{
    int pair[2];
    *successor = (struct px_successor){.fd = -1};
    if (getpid() == 1) {
        px_err_set(err, PX_E_UNSUPPORTED, "process 1 of a container ends the container with it");
        return px_err_hint(err, "replace the container, or run Phoenix under an init process");
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return px_err_set(err, PX_E_IO, "make a socket pair: %s", strerror(errno));
    enum px_code code = start_program(successor, pair[1], err);
    close(pair[1]);
    successor->fd = pair[0];
    if (code == PX_OK && send_sockets(pair[0], fds, n_fds))
        return PX_OK;
    char how[HOW_MAX] = "";
    px_successor_end(successor, how, sizeof how);
    return code == PX_OK
               ? px_err_set(err, PX_E_IO, "hand the sockets over to %s: it %s", program, how)
               : code;
}

enum px_handover_word px_successor_hear(struct px_successor *successor,
                                        struct px_handover_message *message)
{
    return hear(successor->fd, message, MSG_DONTWAIT);
}

bool px_successor_go(struct px_successor *successor)
{
    return send_message(successor->fd, PX_HANDOVER_GO, (struct px_str){0}, NULL, 0);
}

static void describe_end(int status, char *how, size_t size)
{
    if (!size)
        return;
    if (WIFSIGNALED(status))
        snprintf(how, size, "ended by signal %d", WTERMSIG(status));
    else
        snprintf(how, size, "ended with status %d", WEXITSTATUS(status));
}

void px_successor_end(struct px_successor *successor, char *how, size_t size)
{
    int status = 0;
    if (successor->pid > 0 && waitpid(successor->pid, &status, WNOHANG) == 0) {
        kill(successor->pid, SIGKILL); /* it serves nobody yet */
        while (waitpid(successor->pid, &status, 0) < 0 && errno == EINTR)
            continue;
    }
    if (successor->pid > 0)
        describe_end(status, how, size);
    px_successor_release(successor);
}

void px_successor_release(struct px_successor *successor)
{
    if (successor->pid > 0 || successor->fd > 0)
        close(successor->fd);
    *successor = (struct px_successor){.fd = -1};
}

/* ---- the new process ---- */

int px_predecessor_open(void)
{
    uint64_t number;
    int type = 0;
    socklen_t len = sizeof type;
    const char *value = getenv(VARIABLE);
    if (!value || !px_str_to_u64(px_str(value), &number) || number > INT_MAX)
        return -1;
    unsetenv(VARIABLE);
    int fd = (int)number;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET)
        return -1;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

/* One message with its descriptors; those that do not fit are closed. */
static ssize_t receive(int fd, char *letter, int *fds, size_t *n_fds)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(FDS_PER_MESSAGE * sizeof(int))];
    } control;
    struct iovec part = {letter, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t n;
    do {
        n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    *n_fds = 0;
    const struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        *n_fds = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(header), *n_fds * sizeof(int));
    }
    return n;
}

enum px_code px_predecessor_take(int fd, int *fds, size_t max, size_t *ret_n, struct px_err *err)
{
    char letter = 0;
    int some[FDS_PER_MESSAGE];
    size_t n_some;
    *ret_n = 0;
    while (receive(fd, &letter, some, &n_some) > 0) {
        for (size_t i = 0; i < n_some; i++) {
            if (*ret_n < max)
                fds[(*ret_n)++] = some[i];
            else
                close(some[i]);
        }
        if (letter == PX_HANDOVER_SOCKETS_END)
            return PX_OK;
    }
    return px_err_set(err, PX_E_UNAVAILABLE, "the process that hands over has ended");
}

bool px_predecessor_say(int fd, enum px_handover_word word, struct px_str text)
{
    if (text.len > PX_HANDOVER_TEXT_MAX - 2)
        text.len = PX_HANDOVER_TEXT_MAX - 2;
    return send_message(fd, word, text, NULL, 0);
}

enum px_code px_predecessor_wait(int fd, struct px_err *err)
{
    struct px_handover_message message;
    if (hear(fd, &message, 0) == PX_HANDOVER_GO)
        return PX_OK;
    return px_err_set(err, PX_E_UNAVAILABLE, "the process that hands over does not want this one");
}
