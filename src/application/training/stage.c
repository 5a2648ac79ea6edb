/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Some folders cannot change places with another: a mount point, the folder that the process works in (it
 * would go on working in the one that is removed), one in a parent that may not be written, and any folder
 * on a file system without the exchange. There the files are replaced one by one. The file `last`, without
 * which the others mean nothing, is taken away first and comes last, so that a process that is killed
 * between leaves an incomplete folder at worst, and never a mixed one that would be taken for whole.
 */
#include "application/training/stage.h"

#include "shared/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_TRIED = 100 };

#define FILE_BYTES_MAX ((size_t)1 << 40)

static enum px_code fail_system(const char *verb, const char *path, struct px_err *err)
{
    return px_err_set(err, PX_E_IO, "cannot %s '%s': %s", verb, path, strerror(errno));
}

static bool join(char *out, const char *folder, const char *name)
{
    return (size_t)snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

/* The part of a path before its last '/', without it; "" for a folder in the root. */
static void parent_of(const char *path, char *out)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, PATH_MAX, "%.*s", (int)(slash - path), path);
}

/* Does the process work in the folder or below it? */
static bool holds_working_folder(const char *folder)
{
    char current[PATH_MAX];
    size_t n = strlen(folder);
    if (!getcwd(current, sizeof current))
        return false;
    return strncmp(current, folder, n) == 0 && (current[n] == '/' || current[n] == '\0');
}

static bool make_folder(const char *parent, const char *name, char *out)
{
    for (int i = 0; i < NAMES_TRIED; i++) {
        int n = snprintf(out, PATH_MAX, "%s/.%s.tmp-%ld-%d", parent, name, (long)getpid(), i);
        if (n >= PATH_MAX)
            errno = ENAMETOOLONG;
        else if (mkdir(out, 0777) == 0)
            return true;
        if (errno != EEXIST)
            break;
    }
    int saved = errno;
    out[0] = '\0';
    errno = saved;
    return false;
}

/* The wanted folder is made for a moment, because only what is there has a resolved path. */
static enum px_code resolve(struct px_stage *stage, const char *target, struct px_err *err)
{
    bool absent = px_file_kind(target) == PX_FILE_ABSENT;
    enum px_code code = px_file_mkdirs(target, err);
    if (code != PX_OK)
        return code;
    if (!realpath(target, stage->target))
        code = fail_system("follow", target, err);
    else
        stage->in_place = holds_working_folder(stage->target);
    if (absent)
        (void)rmdir(target);
    return code;
}

enum px_code px_stage_open(struct px_stage *stage, const char *target, struct px_err *err)
{
    char parent[PATH_MAX];
    struct stat old;
    *stage = (struct px_stage){0};
    enum px_code code = resolve(stage, target, err);
    if (code != PX_OK)
        return code;
    bool there = stat(stage->target, &old) == 0;
    parent_of(stage->target, parent);
    bool made = make_folder(parent, strrchr(stage->target, '/') + 1, stage->path);
    if (!made && there) {
        stage->in_place = true;
        made = make_folder(stage->target, "new", stage->path);
    }
    if (!made)
        return fail_system("create a folder beside", stage->target, err);
    if (there && chmod(stage->path, old.st_mode & 07777) != 0)
        return fail_system("set the mode of", stage->path, err);
    return PX_OK;
}

static bool is_real(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd); /* some file systems cannot; the files themselves are on disk */
    close(fd);
}

/* Moves a file across file systems as well. */
static enum px_code move_file(const char *from, const char *to, struct px_err *err)
{
    struct px_file file;
    if (rename(from, to) == 0)
        return PX_OK;
    if (errno != EXDEV)
        return fail_system("replace", to, err);
    enum px_code code = px_file_load(&file, from, FILE_BYTES_MAX, err);
    if (code != PX_OK)
        return code;
    code = px_file_write(to, file.bytes, err);
    px_file_unload(&file);
    return code;
}

static enum px_code move_named(const struct px_stage *stage, const char *name, struct px_err *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    if (!join(from, stage->path, name) || !join(to, stage->target, name))
        return px_err_set(err, PX_E_INVALID, "the path of '%s' is too long", name);
    return move_file(from, to, err);
}

static enum px_code replace_files(const struct px_stage *stage, const char *last,
                                  struct px_err *err)
{
    char old[PATH_MAX];
    DIR *dir = opendir(stage->path);
    if (!dir)
        return fail_system("list", stage->path, err);
    enum px_code code = PX_OK;
    if (join(old, stage->target, last) && unlink(old) != 0 && errno != ENOENT)
        code = fail_system("replace", old, err);
    sync_folder(stage->target);
    for (struct dirent *entry; code == PX_OK && (entry = readdir(dir));) {
        if (is_real(entry) && strcmp(entry->d_name, last) != 0)
            code = move_named(stage, entry->d_name, err);
    }
    closedir(dir);
    return code == PX_OK ? move_named(stage, last, err) : code;
}

/* After the exchange the stage is the old folder: what only it has goes into the new one. */
static enum px_code move_others(const struct px_stage *stage, struct px_err *err)
{
    DIR *dir = opendir(stage->path);
    if (!dir)
        return fail_system("list", stage->path, err);
    enum px_code code = PX_OK;
    for (struct dirent *entry; code == PX_OK && (entry = readdir(dir));) {
        char from[PATH_MAX], to[PATH_MAX];
        struct stat info;
        if (!is_real(entry))
            continue;
        if (!join(from, stage->path, entry->d_name) || !join(to, stage->target, entry->d_name))
            code = px_err_set(err, PX_E_INVALID, "the path of '%s' is too long", entry->d_name);
        else if (lstat(to, &info) != 0 && rename(from, to) != 0)
            code = fail_system("take over", from, err);
    }
    closedir(dir);
    return code;
}

/* Files that cannot be moved stay where they are: closing must not remove them. */
static enum px_code keep_others(struct px_stage *stage, struct px_err *err)
{
    enum px_code code = move_others(stage, err);
    if (code == PX_OK)
        return code;
    px_err_wrap(err, "the new folder is in place, other files of the old one are in '%s'",
                stage->path);
    stage->path[0] = '\0';
    return code;
}

/* Puts the stage at its place; *ret_exchanged says that the stage is now the old folder. */
static bool take_place(const struct px_stage *stage, bool *ret_exchanged)
{
    *ret_exchanged =
        renameat2(AT_FDCWD, stage->path, AT_FDCWD, stage->target, RENAME_EXCHANGE) == 0;
    return *ret_exchanged || (errno == ENOENT && rename(stage->path, stage->target) == 0);
}

enum px_code px_stage_commit(struct px_stage *stage, const char *last, struct px_err *err)
{
    char parent[PATH_MAX];
    bool exchanged = false;
    enum px_code code = PX_OK;
    sync_folder(stage->path);
    if (stage->in_place || !take_place(stage, &exchanged)) {
        code = px_file_mkdirs(stage->target, err);
        if (code == PX_OK)
            code = replace_files(stage, last, err);
        sync_folder(stage->target);
    }
    parent_of(stage->target, parent);
    sync_folder(parent[0] ? parent : "/");
    return exchanged ? keep_others(stage, err) : code;
}

void px_stage_close(struct px_stage *stage)
{
    DIR *dir = stage->path[0] ? opendir(stage->path) : NULL;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char path[PATH_MAX];
        if (is_real(entry) && join(path, stage->path, entry->d_name))
            (void)unlink(path);
    }
    if (dir)
        closedir(dir);
    if (stage->path[0])
        (void)rmdir(stage->path);
    stage->path[0] = '\0';
}
