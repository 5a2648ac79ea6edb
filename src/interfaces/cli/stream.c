/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void note_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void px_interrupts_guard(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    /* No SA_RESTART: reads must end. A second signal ends the process whatever it waits for. */
    struct sigaction action = {.sa_handler = note_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < PX_ARRAY_LEN(signals); i++)
        sigaction(signals[i], &action, NULL);
}

bool px_interrupts_seen(void)
{
    return interrupted != 0;
}

static bool is_standard(const char *path)
{
    return strcmp(path, "-") == 0;
}

enum px_code px_input_open(struct px_input *input, const char *path, struct px_err *err)
{
    struct stat info;
    *input = (struct px_input){.fd = STDIN_FILENO, .name = "standard input"};
    if (!is_standard(path)) {
        input->name = path;
        input->fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (input->fd < 0)
        return px_err_set(err, errno == ENOENT ? PX_E_NOT_FOUND : PX_E_IO, "cannot open '%s': %s",
                          path, strerror(errno));
    if (fstat(input->fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        px_input_close(input);
        return px_err_set(err, PX_E_INVALID, "'%s' is a folder, expected a file", path);
    }
    if (fstat(input->fd, &info) == 0 && S_ISREG(info.st_mode))
        input->size = (uint64_t)info.st_size;
    return PX_OK;
}

/* A regular file ends where it ended when it was opened, or later: what was cut off is lost in silence. */
static enum px_code check_end(const struct px_input *input, struct px_err *err)
{
    off_t at = lseek(input->fd, 0, SEEK_CUR);
    if (at < 0 || (uint64_t)at >= input->size)
        return PX_OK;
    return px_err_set(err, PX_E_IO,
                      "%s became shorter while it was read: %" PRIu64 " of its %" PRIu64
                      " bytes came",
                      input->name, (uint64_t)at, input->size);
}

enum px_code px_input_read(struct px_input *input, char *out, size_t cap, size_t *ret_n,
                           struct px_err *err)
{
    ssize_t n;
    do {
        n = read(input->fd, out, cap);
        /* Also when something was read: the signal may have come just before the call. */
        if (px_interrupts_seen())
            return px_err_set(err, PX_E_CANCELLED, "interrupted");
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return px_err_set(err, PX_E_IO, "cannot read %s: %s", input->name, strerror(errno));
    *ret_n = (size_t)n;
    return n == 0 ? check_end(input, err) : PX_OK;
}

bool px_input_is(const struct px_input *input, const char *path)
{
    struct stat in, at;
    return fstat(input->fd, &in) == 0 && stat(path, &at) == 0 && S_ISREG(at.st_mode) &&
           in.st_dev == at.st_dev && in.st_ino == at.st_ino;
}

void px_input_close(struct px_input *input)
{
    if (input->fd > STDERR_FILENO)
        close(input->fd);
    input->fd = -1;
}

/* mkstemp makes the file private; a result has the permissions that any new file would get. */
static void use_default_mode(int fd)
{
    mode_t mask = umask(0);
    umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
}

enum px_code px_output_open(struct px_output *output, const char *path, struct px_err *err)
{
    struct stat info;
    *output = (struct px_output){.fd = STDOUT_FILENO, .name = "standard output", .standard = true};
    if (is_standard(path))
        return PX_OK;
    output->name = path;
    output->standard = false;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        output->fd = open(path, O_WRONLY | O_CLOEXEC);
    } else {
        int n = snprintf(output->temporary, sizeof output->temporary, "%s.XXXXXX", path);
        if ((size_t)n >= sizeof output->temporary)
            return px_err_set(err, PX_E_INVALID, "the path of the output is too long");
        output->fd = mkostemp(output->temporary, O_CLOEXEC);
        if (output->fd >= 0)
            use_default_mode(output->fd);
    }
    if (output->fd >= 0)
        return PX_OK;
    output->temporary[0] = '\0';
    return px_err_set(err, PX_E_IO, "cannot create '%s': %s", path, strerror(errno));
}

enum px_code px_output_write(struct px_output *output, struct px_str bytes, struct px_err *err)
{
    while (bytes.len) {
        ssize_t n = write(output->fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR && !px_interrupts_seen())
            continue;
        if (n < 0 && errno == EINTR)
            return px_err_set(err, PX_E_CANCELLED, "interrupted");
        if (n < 0)
            return px_err_set(err, PX_E_IO, "cannot write %s: %s", output->name, strerror(errno));
        bytes = px_str_n(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return PX_OK;
}

enum px_code px_output_commit(struct px_output *output, struct px_err *err)
{
    if (!output->temporary[0])
        return PX_OK;
    if (fsync(output->fd) != 0)
        return px_err_set(err, PX_E_IO, "cannot write %s: %s", output->name, strerror(errno));
    if (rename(output->temporary, output->name) != 0)
        return px_err_set(err, PX_E_IO, "cannot rename to '%s': %s", output->name, strerror(errno));
    output->temporary[0] = '\0';
    return PX_OK;
}

void px_output_close(struct px_output *output)
{
    if (output->temporary[0])
        unlink(output->temporary);
    if (!output->standard && output->fd >= 0)
        close(output->fd);
    output->fd = -1;
}
