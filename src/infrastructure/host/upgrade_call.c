/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/host/upgrade_call.h"

#include "infrastructure/host/proc.h"
#include "shared/clock.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum { PROC_TEXT_MAX = 8192 };

struct address {
    struct sockaddr_un un;
    socklen_t len;
};

/* Of the mailbox of a process; the first byte, a zero, makes it abstract. */
static struct address mailbox_of(pid_t pid)
{
    struct address address = {.un = {.sun_family = AF_UNIX}};
    int n = snprintf(address.un.sun_path + 1, sizeof address.un.sun_path - 1, "phoenix-upgrade-%d",
                     (int)pid);
    address.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
    return address;
}

/* ---- the process that serves ---- */

void px_upgrade_call_tell(pid_t caller, enum px_upgrade_news news, const char *text)
{
    char record[PX_UPGRADE_TEXT_MAX];
    if (caller <= 0)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    const struct address to = mailbox_of(caller);
    int n = snprintf(record, sizeof record, "%c%s", (char)news, text);
    size_t len = n < (int)sizeof record ? (size_t)n : sizeof record - 1;
    /* A caller that has no mailbox, or has left, is nobody's trouble here. */
    (void)!sendto(fd, record, len, MSG_NOSIGNAL | MSG_DONTWAIT, (const void *)&to.un, to.len);
    close(fd);
}

/* ---- finding ---- */

/* One that has the signal blocked: in a process that serves all have, but for the one that waits for it just now. */
static bool blocks_signal(pid_t pid, const char *thread)
{
    char path[PATH_MAX], text[PROC_TEXT_MAX];
    snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)pid, thread);
    struct px_str rest = px_proc_read(path, text, sizeof text);
    while (rest.len) {
        struct px_str line = px_str_cut(&rest, '\n');
        if (px_str_starts(line, "SigBlk:"))
            return strtoull(line.ptr + strlen("SigBlk:"), NULL, 16) >> (SIGUSR2 - 1) & 1;
    }
    return false;
}

/* A signal that nobody takes would end the process. */
static bool takes_signal(pid_t pid)
{
    char path[64];
    bool takes = false;
    const struct dirent *entry;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    while (folder && !takes && (entry = readdir(folder)))
        takes = blocks_signal(pid, entry->d_name);
    if (folder)
        closedir(folder);
    return takes;
}

/* "PROGRAM serve ..."; `name` is the program's, without its folder. */
static bool is_server(pid_t pid, struct px_str *ret_name, char text[PROC_TEXT_MAX])
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    struct px_str words = px_proc_read(path, text, PROC_TEXT_MAX);
    struct px_str program = px_str_cut(&words, '\0');
    const char *slash = memrchr(program.ptr, '/', program.len);
    size_t folder = slash ? (size_t)(slash - program.ptr) + 1 : 0;
    *ret_name = px_str_n(program.ptr + folder, program.len - folder);
    return px_str_is(px_str_cut(&words, '\0'), "serve") && takes_signal(pid);
}

size_t px_upgrade_call_list(pid_t *pids, size_t max)
{
    size_t n = 0;
    struct px_str name;
    char text[PROC_TEXT_MAX];
    const struct dirent *entry;
    DIR *folder = opendir("/proc");
    while (folder && n < max && (entry = readdir(folder))) {
        uint64_t number;
        if (!px_str_to_u64(px_str(entry->d_name), &number) || number > INT_MAX)
            continue;
        if (is_server((pid_t)number, &name, text) && px_str_starts(name, "phoenix"))
            pids[n++] = (pid_t)number;
    }
    if (folder)
        closedir(folder);
    return n;
}

/* ---- asking ---- */

static enum px_code open_mailbox(struct px_upgrade_call *call, struct px_err *err)
{
    int on = 1;
    const struct address address = mailbox_of(getpid());
    call->mailbox = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (call->mailbox < 0 ||
        setsockopt(call->mailbox, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        bind(call->mailbox, (const void *)&address.un, address.len) != 0)
        return px_err_set(err, PX_E_IO, "open a socket for what process %d says: %s",
                          (int)call->pid, strerror(errno));
    return PX_OK;
}

enum px_code px_upgrade_call_open(struct px_upgrade_call *call, pid_t pid, struct px_err *err)
{
    struct px_str name;
    char text[PROC_TEXT_MAX];
    *call = (struct px_upgrade_call){.pid = pid, .process = -1, .mailbox = -1};
    call->process = (int)syscall(SYS_pidfd_open, pid, 0);
    if (call->process < 0)
        return px_err_set(err, errno == ESRCH || errno == EINVAL ? PX_E_NOT_FOUND : PX_E_IO,
                          "process %d: %s", (int)pid, strerror(errno));
    if (!is_server(pid, &name, text)) {
        px_err_set(err, PX_E_INVALID, "process %d is no phoenix that serves", (int)pid);
        return px_err_hint(err, "--pid is the number of a 'phoenix serve'; pgrep -af 'phoenix "
                                "serve' lists them");
    }
    return open_mailbox(call, err);
}

enum px_code px_upgrade_call_ask(struct px_upgrade_call *call, struct px_err *err)
{
    if (syscall(SYS_pidfd_send_signal, call->process, SIGUSR2, NULL, 0) == 0)
        return PX_OK;
    if (errno != EPERM)
        return px_err_set(err, errno == ESRCH ? PX_E_NOT_FOUND : PX_E_IO, "signal process %d: %s",
                          (int)call->pid, strerror(errno));
    px_err_set(err, PX_E_FORBIDDEN, "process %d belongs to another user", (int)call->pid);
    return px_err_hint(err, "run this as that user, or as root");
}

/* Whose process wrote a record, or 0. */
static pid_t read_sender(struct msghdr *message)
{
    struct ucred sender = {0};
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS)
            memcpy(&sender, CMSG_DATA(part), sizeof sender);
    }
    return sender.pid;
}

/* One record of the process that was asked; SILENT when there is none. */
static enum px_upgrade_news receive(const struct px_upgrade_call *call, char *text)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    char letter = 0;
    struct iovec parts[] = {{&letter, 1}, {text, PX_UPGRADE_TEXT_MAX - 1}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t n = recvmsg(call->mailbox, &message, MSG_DONTWAIT);
    text[n > 0 ? n - 1 : 0] = '\0';
    return n > 0 && read_sender(&message) == call->pid ? (enum px_upgrade_news)letter
                                                       : PX_UPGRADE_SILENT;
}

enum px_upgrade_news px_upgrade_call_hear(struct px_upgrade_call *call, uint64_t until_ns,
                                          char *text)
{
    for (;;) {
        struct pollfd ready[] = {{.fd = call->mailbox, .events = POLLIN},
                                 {.fd = call->process, .events = POLLIN}};
        uint64_t now_ns = px_clock_monotonic_ns();
        uint64_t left_ms = now_ns < until_ns ? (until_ns - now_ns) / PX_NS_PER_MS + 1 : 0;
        int n = poll(ready, PX_ARRAY_LEN(ready), left_ms < INT_MAX ? (int)left_ms : INT_MAX);
        enum px_upgrade_news news =
            n > 0 && ready[0].revents ? receive(call, text) : PX_UPGRADE_SILENT;
        if (news != PX_UPGRADE_SILENT || left_ms == 0)
            return news;
        if (n > 0 && !ready[0].revents && ready[1].revents)
            return PX_UPGRADE_GONE;
    }
}

void px_upgrade_call_close(struct px_upgrade_call *call)
{
    if (call->process >= 0)
        close(call->process);
    if (call->mailbox >= 0)
        close(call->mailbox);
}
