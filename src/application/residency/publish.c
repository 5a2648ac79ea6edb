/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is copied lies in <folder>/.publish-PID until it is renamed. A publish that is killed leaves it there; the next one removes it when no process has that
 * number, or its own has, and nobody holds the folder's lock. The lock tells of publishers in other containers, whose processes are not seen here; the
 * number of those that have not taken it yet, and of those whose file system knows no locks.
 */
#include "application/residency/publish.h"

#include "application/residency/manifest.h"
#include "shared/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 16, WALK_FILES = 16 };

static enum px_code fail(struct px_err *err, const char *what, const char *path)
{
    return px_err_set(err, PX_E_IO, "%s %s: %s", what, path, strerror(errno));
}

static enum px_code join(char *out, const char *folder, const char *name, struct px_err *err)
{
    if ((size_t)snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "path of more than %d bytes: %s/%s", PATH_MAX - 1, folder,
                      name);
}

/* ---- copying ---- */

static bool copy_bytes(int from, int to)
{
    char piece[PIECE_BYTES];
    ssize_t n;
    while ((n = read(from, piece, sizeof piece)) > 0) {
        for (ssize_t done = 0, wrote; done < n; done += wrote) {
            wrote = write(to, piece + done, (size_t)(n - done));
            if (wrote < 0)
                return false;
        }
    }
    return n == 0 && fsync(to) == 0;
}

static enum px_code copy_file(const char *from, const char *to, struct px_err *err)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return fail(err, "read", from);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    enum px_code code = out >= 0 && copy_bytes(in, out) ? PX_OK : fail(err, "write", to);
    close(in);
    if (out >= 0 && close(out) != 0 && code == PX_OK)
        code = fail(err, "write", to);
    return code;
}

static enum px_code sync_folder(const char *path, struct px_err *err)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum px_code code = folder >= 0 && fsync(folder) == 0 ? PX_OK : fail(err, "sync", path);
    if (folder >= 0)
        close(folder);
    return code;
}

static enum px_code copy_folder(const char *from, const char *to, unsigned depth,
                                struct px_err *err);

static enum px_code copy_entry(const char *from, const char *to, unsigned depth, struct px_err *err)
{
    switch (px_file_kind(from)) {
    case PX_FILE_REGULAR:
        return copy_file(from, to, err);
    case PX_FILE_FOLDER:
        if (mkdir(to, 0755) != 0)
            return fail(err, "make", to);
        return copy_folder(from, to, depth + 1, err);
    case PX_FILE_ABSENT:
    case PX_FILE_OTHER:
        break;
    }
    return px_err_set(err, PX_E_INVALID, "expected a file or folder: %s", from);
}

static enum px_code copy_folder(const char *from, const char *to, unsigned depth,
                                struct px_err *err)
{
    if (depth > PX_MANIFEST_DEPTH_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "%s: folders deeper than %d", from,
                          PX_MANIFEST_DEPTH_MAX);
    DIR *dir = opendir(from);
    if (!dir)
        return fail(err, "open folder", from);
    enum px_code code = PX_OK;
    for (struct dirent *entry; code == PX_OK && (entry = readdir(dir));) {
        char source[PATH_MAX], target[PATH_MAX];
        /* What begins with '.' is in no manifest, and an old manifest would be of other files. */
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, PX_MANIFEST_FILE) == 0)
            continue;
        code = join(source, from, entry->d_name, err);
        if (code == PX_OK)
            code = join(target, to, entry->d_name, err);
        if (code == PX_OK)
            code = copy_entry(source, target, depth, err);
    }
    closedir(dir);
    return code == PX_OK ? sync_folder(to, err) : code;
}

/* ---- what is temporary ---- */

static const char temporary_prefix[] = ".publish-";

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_all(const char *path)
{
    nftw(path, remove_entry, WALK_FILES, FTW_DEPTH | FTW_PHYS);
}

/* Nobody who sees it works on it: it is of a process that has gone, or that had the number which is ours now. */
static bool is_left(const char *name)
{
    uint64_t pid;
    if (strncmp(name, temporary_prefix, sizeof temporary_prefix - 1) != 0 ||
        !px_str_to_u64(px_str(name + sizeof temporary_prefix - 1), &pid) || pid == 0 ||
        pid > INT_MAX)
        return false;
    return (pid_t)pid == getpid() || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
}

static void remove_leftover(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return;
    if (flock(folder, LOCK_EX | LOCK_NB) == 0)
        remove_all(path);
    close(folder);
}

/* What cannot be removed harms nobody: servers pass it over. */
static void remove_leftovers(const char *folder)
{
    char path[PATH_MAX];
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (is_left(entry->d_name) && join(path, folder, entry->d_name, NULL) == PX_OK)
            remove_leftover(path);
    }
    if (dir)
        closedir(dir);
}

/* Makes it, locked for as long as `ret_lock` is open (-1 where there are no locks). */
static enum px_code make_temporary(const char *folder, char path[PATH_MAX], int *ret_lock,
                                   struct px_err *err)
{
    char name[64];
    snprintf(name, sizeof name, "%s%ld", temporary_prefix, (long)getpid());
    enum px_code code = join(path, folder, name, err);
    if (code != PX_OK)
        return code;
    remove_leftovers(folder);
    if (mkdir(path, 0755) != 0)
        return fail(err, "make", path);
    *ret_lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*ret_lock >= 0)
        (void)flock(*ret_lock, LOCK_EX | LOCK_NB);
    return PX_OK;
}

/* ---- publishing ---- */

/* One more than the highest number there; 1 in an empty folder. */
static enum px_code choose_version(const char *folder, char version[24], struct px_err *err)
{
    uint64_t highest = 0, number;
    DIR *dir = opendir(folder);
    if (!dir)
        return fail(err, "open folder", folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (px_str_to_u64(px_str(entry->d_name), &number) && number > highest)
            highest = number;
    }
    closedir(dir);
    if (highest == UINT64_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "%s: no number is higher than %llu", folder,
                          (unsigned long long)highest);
    snprintf(version, 24, "%llu", (unsigned long long)highest + 1);
    return PX_OK;
}

static enum px_code fill(const char *model, const char *folder, struct px_err *err)
{
    char target[PATH_MAX], path[PATH_MAX];
    enum px_code code = PX_OK;
    if (px_file_kind(model) == PX_FILE_FOLDER) {
        code = copy_folder(model, folder, 0, err);
    } else {
        snprintf(path, sizeof path, "%s", model);
        code = join(target, folder, basename(path), err);
        if (code == PX_OK)
            code = copy_entry(model, target, 0, err);
    }
    if (code == PX_OK)
        code = px_manifest_write(folder, err);
    return code == PX_OK ? sync_folder(folder, err) : code;
}

/* A folder that is there changes places with the new one, in one step, and is then removed under the other name. */
static enum px_code move(const char *from, const char *to, struct px_err *err)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return PX_OK;
    if (errno != EEXIST)
        return fail(err, "rename to", to);
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0 ? PX_OK
                                                                         : fail(err, "replace", to);
}

/*
 * The next number, which replaces nothing: another publisher that takes it between the look and the rename makes this one look again. Each such turn is
 * another's success, so it ends.
 */
static enum px_code move_to_next(const char *from, const char *folder, char ret_path[PATH_MAX],
                                 struct px_err *err)
{
    char number[24];
    for (;;) {
        enum px_code code = choose_version(folder, number, err);
        if (code == PX_OK)
            code = join(ret_path, folder, number, err);
        if (code != PX_OK || renameat2(AT_FDCWD, from, AT_FDCWD, ret_path, RENAME_NOREPLACE) == 0)
            return code;
        if (errno != EEXIST)
            return fail(err, "rename to", ret_path);
    }
}

enum px_code px_publish(const char *model, const char *folder, const char *version,
                        char ret_path[PATH_MAX], struct px_err *err)
{
    char temporary[PATH_MAX];
    int lock = -1;
    if (px_file_kind(model) == PX_FILE_ABSENT)
        return px_file_fail_absent(model, err);
    enum px_code code = px_file_mkdirs(folder, err);
    if (code == PX_OK && version)
        code = join(ret_path, folder, version, err);
    if (code == PX_OK)
        code = make_temporary(folder, temporary, &lock, err);
    if (code != PX_OK)
        return code;
    code = fill(model, temporary, err);
    if (code == PX_OK)
        code = version ? move(temporary, ret_path, err)
                       : move_to_next(temporary, folder, ret_path, err);
    if (code == PX_OK)
        code = sync_folder(folder, err);
    remove_all(temporary); /* what is left, if anything */
    if (lock >= 0)
        close(lock);
    return code;
}
