/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/host/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COPY_AT_ONCE = 1 << 24, SUFFIX_MAX = 32 };

/* What the kernel adds to the name of a program whose file has been replaced. */
static const char deleted[] = " (deleted)";

enum px_code px_program_of(pid_t pid, struct px_program *ret, struct px_err *err)
{
    char link[64];
    enum { DELETED_LEN = sizeof deleted - 1 };
    *ret = (struct px_program){0};
    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    ssize_t n = readlink(link, ret->path, sizeof ret->path - SUFFIX_MAX);
    if (n < 0 && errno == EACCES) {
        px_err_set(err, PX_E_FORBIDDEN, "process %d belongs to another user", (int)pid);
        return px_err_hint(err, "run this as that user, or as root");
    }
    if (n < 0 || (size_t)n == sizeof ret->path - SUFFIX_MAX)
        return px_err_set(err, PX_E_IO, "read %s: %s", link,
                          n < 0 ? strerror(errno) : "the path is too long");
    if (n > DELETED_LEN && strcmp(ret->path + n - DELETED_LEN, deleted) == 0)
        n -= DELETED_LEN;
    ret->path[n] = '\0';
    snprintf(ret->previous, sizeof ret->previous, "%.*s.previous", (int)n, ret->path);
    return PX_OK;
}

static enum px_code open_program(const char *file, int *ret_fd, mode_t *ret_mode,
                                 struct px_err *err)
{
    struct stat info;
    *ret_fd = open(file, O_RDONLY | O_CLOEXEC);
    if (*ret_fd < 0 || fstat(*ret_fd, &info) != 0)
        return px_err_set(err, errno == ENOENT ? PX_E_NOT_FOUND : PX_E_IO, "%s: %s", file,
                          strerror(errno));
    if (!S_ISREG(info.st_mode) || !(info.st_mode & S_IXUSR)) {
        px_err_set(err, PX_E_INVALID, "%s is no program: expected a file that may be executed",
                   file);
        return px_err_hint(err, "chmod +x, if it is one");
    }
    *ret_mode = info.st_mode & 0777;
    return PX_OK;
}

static bool copy_all(int from, int to)
{
    ssize_t n;
    do {
        n = sendfile(to, from, NULL, COPY_AT_ONCE);
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n == 0;
}

/* A whole copy beside the program; absent after an error. */
static enum px_code copy_beside(int from, mode_t mode, const char *path, struct px_err *err)
{
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (to < 0)
        return px_err_set(err, PX_E_IO, "create %s: %s", path, strerror(errno));
    bool is_whole = copy_all(from, to) && fchmod(to, mode) == 0 && fsync(to) == 0;
    int why = errno;
    is_whole &= close(to) == 0;
    if (is_whole)
        return PX_OK;
    unlink(path);
    return px_err_set(err, PX_E_IO, "write %s: %s", path, strerror(why));
}

/* The program gets a second name and the copy the first one. */
static enum px_code exchange(struct px_program *program, const char *copy, struct px_err *err)
{
    if (unlink(program->previous) != 0 && errno != ENOENT)
        return px_err_set(err, PX_E_IO, "remove %s: %s", program->previous, strerror(errno));
    program->has_previous = link(program->path, program->previous) == 0;
    if (!program->has_previous && errno != ENOENT)
        return px_err_set(err, PX_E_IO, "keep %s as %s: %s", program->path, program->previous,
                          strerror(errno));
    if (rename(copy, program->path) != 0)
        return px_err_set(err, PX_E_IO, "replace %s: %s", program->path, strerror(errno));
    return PX_OK;
}

enum px_code px_program_install(struct px_program *program, const char *file, struct px_err *err)
{
    int from;
    mode_t mode;
    char copy[PATH_MAX + SUFFIX_MAX];
    snprintf(copy, sizeof copy, "%s.new-%d", program->path, (int)getpid());
    enum px_code code = open_program(file, &from, &mode, err);
    if (code == PX_OK)
        code = copy_beside(from, mode, copy, err);
    if (code == PX_OK && (code = exchange(program, copy, err)) != PX_OK)
        unlink(copy);
    if (from >= 0)
        close(from);
    return code;
}

enum px_code px_program_restore(struct px_program *program, struct px_err *err)
{
    if (!program->has_previous)
        return PX_OK;
    if (rename(program->previous, program->path) != 0)
        return px_err_set(err, PX_E_IO, "put %s back: %s", program->path, strerror(errno));
    program->has_previous = false;
    return PX_OK;
}
