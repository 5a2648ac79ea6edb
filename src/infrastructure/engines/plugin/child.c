/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/plugin/child.h"

#include "shared/clock.h"
#include "shared/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Linux 5.17; older ones take the same file without it. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

static enum px_code failed(const char *what, int number, struct px_err *err)
{
    return px_err_set(err, PX_E_IO, "cannot start the plug-in's process: %s: %s", what,
                      strerror(number));
}

/* A memory file that cannot shrink: a child that cut it short would end the host with SIGBUS. */
static int make_file(size_t size)
{
    int fd = memfd_create("phoenix-plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0)
        fd = memfd_create("phoenix-plugin", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)size) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    close(fd);
    return -1;
}

static enum px_code map_ring(const struct px_child_plan *plan, struct px_child *child, int *ret_fd,
                             struct px_err *err)
{
    size_t size = PX_RING_HEAD + 2 * (size_t)plan->area;
    int fd = make_file(size);
    if (fd < 0)
        return failed("a memory file", errno, err);
    struct px_ring *ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ring == MAP_FAILED) {
        close(fd);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to share with the plug-in's process");
    }
    ring->magic = PX_RING_MAGIC;
    ring->version = PX_RING_VERSION;
    ring->area = plan->area;
    ring->memory_max = plan->memory_max;
    ring->parent = (uint32_t)getpid();
    ring->spin_us = plan->spin_us;
    child->ring = ring;
    child->area = plan->area;
    child->request = (char *)ring + PX_RING_HEAD;
    child->answer = child->request + plan->area;
    *ret_fd = fd;
    return PX_OK;
}

static int spawn_with(posix_spawn_file_actions_t *actions, const struct px_child_plan *plan,
                      int ring_fd, int out_fd, pid_t *ret)
{
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(actions, out_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(actions, out_fd, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(actions, ring_fd, PX_RING_FD);
    posix_spawn_file_actions_addclosefrom_np(actions, PX_RING_FD + 1);
    int number = posix_spawnp(ret, plan->argv[0], actions, &attributes, plan->argv, environ);
    posix_spawnattr_destroy(&attributes);
    return number;
}

/* Moves a descriptor above those of the child, so that no dup2 there overwrites the source of the next. */
static int move_up(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, PX_RING_FD + 1);
    close(fd);
    return moved;
}

static enum px_code spawn(const struct px_child_plan *plan, struct px_child *child, int ring_fd,
                          struct px_err *err)
{
    int pipe_fds[2];
    posix_spawn_file_actions_t actions;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return failed("a pipe", errno, err);
    int out = move_up(pipe_fds[1]);
    int number = posix_spawn_file_actions_init(&actions);
    if (number == 0) {
        number = out < 0 ? EMFILE : spawn_with(&actions, plan, ring_fd, out, &child->pid);
        posix_spawn_file_actions_destroy(&actions);
    }
    if (out >= 0)
        close(out);
    if (number != 0) {
        close(pipe_fds[0]);
        child->pid = 0;
        return number == ENOENT
                   ? px_err_set(err, PX_E_NOT_FOUND, "there is no program '%s'", plan->argv[0])
                   : failed(plan->argv[0], number, err);
    }
    child->out_fd = pipe_fds[0];
    (void)fcntl(child->out_fd, F_SETFL, O_NONBLOCK);
    child->pid_fd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    return PX_OK;
}

enum px_code px_child_start(const struct px_child_plan *plan, struct px_child *child,
                            struct px_err *err)
{
    int ring_fd = -1;
    *child = (struct px_child){.pid_fd = -1, .out_fd = -1};
    enum px_code code = map_ring(plan, child, &ring_fd, err);
    if (code != PX_OK)
        return code;
    ring_fd = move_up(ring_fd);
    code = ring_fd < 0 ? failed("a descriptor", errno, err) : spawn(plan, child, ring_fd, err);
    if (ring_fd >= 0)
        close(ring_fd);
    if (code != PX_OK)
        px_child_close(child);
    return code;
}

void px_child_ask(struct px_child *child)
{
    px_ring_post(&child->ring->asked, &child->ring->asked_sleeper, ++child->number);
}

bool px_child_has_answered(const struct px_child *child)
{
    return atomic_load_explicit(&child->ring->answered, memory_order_acquire) == child->number;
}

void px_child_kill(const struct px_child *child)
{
    if (child->pid > 0) {
        kill(-child->pid, SIGKILL);
        kill(child->pid, SIGKILL); /* before it has its group */
    }
}

/* ---- what it prints ---- */

/* A line may begin with its level, as "<3>" (sd-daemon(3)). */
static enum px_log_level take_level(struct px_str *line)
{
    if (line->len < 3 || line->ptr[0] != '<' || line->ptr[2] != '>')
        return PX_LOG_INFO;
    char digit = line->ptr[1];
    if (digit < '0' || digit > '7')
        return PX_LOG_INFO;
    *line = px_str_n(line->ptr + 3, line->len - 3);
    return digit <= '3'   ? PX_LOG_ERROR
           : digit == '4' ? PX_LOG_WARN
           : digit == '7' ? PX_LOG_DEBUG
                          : PX_LOG_INFO;
}

void px_child_tell_dropped(struct px_str model_name, unsigned n_lines)
{
    if (n_lines)
        px_log(PX_LOG_WARN, "plugin.output_dropped", PX_LOG_S("model", model_name),
               PX_LOG_U("lines", n_lines));
}

/* Begins another second of lines when this one is over. What was dropped is told then, also when no further line comes. */
static void turn_second(struct px_child *child, struct px_str model_name)
{
    uint64_t now = px_clock_monotonic_ns();
    if (now - child->lines_since_ns < PX_NS_PER_S)
        return;
    px_child_tell_dropped(model_name, child->n_dropped);
    child->lines_since_ns = now;
    child->n_lines = child->n_dropped = 0;
}

/* May another line be logged in this second? */
static bool admit_line(struct px_child *child, struct px_str model_name)
{
    turn_second(child, model_name);
    if (child->n_lines++ < PX_CHILD_LINES_PER_SECOND)
        return true;
    child->n_dropped++;
    return false;
}

static void end_line(struct px_child *child, struct px_str model_name)
{
    struct px_str line = px_str_trim(px_str_n(child->line, child->n_line));
    enum px_log_level level = take_level(&line);
    child->n_line = 0;
    if (line.len == 0)
        return;
    memcpy(child->last[1], child->last[0], sizeof child->last[1]);
    snprintf(child->last[0], sizeof child->last[0], "%.*s", (int)line.len, line.ptr);
    if (admit_line(child, model_name))
        px_log(level, "plugin.output", PX_LOG_S("model", model_name),
               PX_LOG_I("process", child->pid), PX_LOG_S("text", line));
}

void px_child_read_output(struct px_child *child, struct px_str model_name)
{
    char bytes[4096];
    turn_second(child, model_name);
    for (int turn = 0; turn < 16 && child->out_fd >= 0; turn++) {
        ssize_t n = read(child->out_fd, bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            close(child->out_fd);
            child->out_fd = -1;
            end_line(child, model_name);
            return;
        }
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] == '\n' || child->n_line == sizeof child->line)
                end_line(child, model_name);
            if (bytes[i] != '\n')
                child->line[child->n_line++] = bytes[i];
        }
    }
}

/* ---- its end ---- */

/*
 * What the process started and left behind is ended while the process is still there as a zombie: its number, which is that of the
 * group too, belongs to nobody else until then.
 */
bool px_child_reap(struct px_child *child, char *reason)
{
    siginfo_t info = {0};
    id_t pid = (id_t)child->pid;
    if (waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
        return false;
    kill(-child->pid, SIGKILL);
    while (waitid(P_PID, pid, &info, WEXITED) != 0 && errno == EINTR)
        continue;
    if (info.si_code == CLD_EXITED)
        snprintf(reason, PX_CHILD_REASON_MAX, "exited with status %d", info.si_status);
    else
        snprintf(reason, PX_CHILD_REASON_MAX, "ended by signal %d (%s)", info.si_status,
                 sigdescr_np(info.si_status));
    child->pid = 0;
    return true;
}

void px_child_last_words(const struct px_child *child, char *words)
{
    snprintf(words, PX_CHILD_REASON_MAX, "%s%s%s", child->last[1], child->last[1][0] ? " / " : "",
             child->last[0]);
}

void px_child_close(struct px_child *child)
{
    if (child->ring)
        munmap(child->ring, PX_RING_HEAD + 2 * child->area);
    if (child->pid_fd >= 0)
        close(child->pid_fd);
    if (child->out_fd >= 0)
        close(child->out_fd);
    *child = (struct px_child){.pid_fd = -1, .out_fd = -1};
}
