/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/onnxruntime/install.h"

#include "application/ports/engine_provider.h"
#include "infrastructure/engines/onnxruntime/places.h"
#include "shared/file.h"
#include "shared/sha256.h"
#include "shared/unconst.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

struct package {
    const char *name, *file, *version, *sha256;
};

// clang-format off
#define PX_ORT_PACKAGE(name, file, version, sha256) {name, file, version, sha256}
static const struct package package =
#include "infrastructure/engines/onnxruntime/package.def"
;
// clang-format on
#undef PX_ORT_PACKAGE

enum { LIBRARY_MAX = 512 << 20 };

/* ---- child processes ---- */

/* Runs a program of the search path in a folder, with its output where this program's errors go. */
static enum px_code run_program(const char *const *words, const char *folder, struct px_err *err)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = 0;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, folder);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    int failed = posix_spawnp(&pid, words[0], &actions, NULL, px_unconst(words), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed)
        return px_err_set(err, PX_E_UNAVAILABLE, "cannot start %s: %s", words[0], strerror(failed));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return PX_OK;
    return px_err_set(err, PX_E_UNAVAILABLE, "%s failed (exit status %d)", words[0],
                      WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static enum px_code fetch(const char *folder, struct px_err *err)
{
    const char *const words[] = {"npm", "pack", "--silent", "--prefer-offline", package.name, NULL};
    if (run_program(words, folder, err) == PX_OK)
        return PX_OK;
    px_err_wrap(err, "cannot fetch %s", package.name);
    return px_err_hint(err,
                       "npm has to be installed and to reach a registry; or fetch the package "
                       "elsewhere with 'npm pack %s' and give the file with --from",
                       package.name);
}

/* The .tgz that npm wrote. */
static bool find_archive(const char *folder, char *out, size_t cap)
{
    DIR *dir = opendir(folder);
    bool found = false;
    struct dirent *entry;
    while (dir && !found && (entry = readdir(dir))) {
        int n = snprintf(out, cap, "%s/%s", folder, entry->d_name);
        found = px_str_ends(px_str(entry->d_name), ".tgz") && n > 0 && (size_t)n < cap;
    }
    if (dir)
        closedir(dir);
    return found;
}

static enum px_code unpack(const char *archive, const char *folder, struct px_err *err)
{
    char member[PATH_MAX], whole[PATH_MAX];
    snprintf(member, sizeof member, "package/%s", package.file);
    if (!realpath(archive, whole)) /* tar runs in another folder */
        return px_err_set(err, PX_E_NOT_FOUND, "%s: %s", archive, strerror(errno));
    const char *const words[] = {"tar", "xzf", whole, "--strip-components=1", member, NULL};
    if (run_program(words, folder, err) == PX_OK)
        return PX_OK;
    px_err_wrap(err, "cannot unpack %s", archive);
    return px_err_hint(err, "expected the package %s as npm packs it", package.name);
}

/* ---- files ---- */

static enum px_code check_sum(struct px_str bytes, const char *path, struct px_err *err)
{
    char text[PX_SHA256_HEX];
    struct px_sha256 sha = px_sha256();
    px_sha256_add(&sha, bytes);
    px_sha256_end(&sha, text);
    if (strcmp(text, package.sha256) == 0)
        return PX_OK;
    px_err_set(err, PX_E_CORRUPT, "%s is not ONNX Runtime %s of %s: expected SHA-256 %s, got %s",
               path, package.version, package.name, package.sha256, text);
    return px_err_hint(err, "to use another build, point " PX_ONNXRUNTIME_VARIABLE " at it");
}

/* Puts a checked copy of the library at its place. */
static enum px_code place_library(const char *library, const char *folder, struct px_err *err)
{
    char place[PATH_MAX];
    struct px_file file = {0};
    int n = snprintf(place, sizeof place, "%s/libonnxruntime.so", folder);
    enum px_code code = px_file_load(&file, library, LIBRARY_MAX, err);
    if (code == PX_OK && (n < 0 || (size_t)n >= sizeof place))
        code = px_err_set(err, PX_E_INVALID, "the folder's path is too long");
    if (code == PX_OK)
        code = check_sum(file.bytes, library, err);
    if (code == PX_OK)
        code = px_file_write(place, file.bytes, err);
    px_file_unload(&file);
    return code;
}

static void remove_work(const char *folder)
{
    char path[PATH_MAX];
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir && (entry = readdir(dir))) {
        int n = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.' && n > 0 && (size_t)n < sizeof path)
            unlink(path);
    }
    if (dir)
        closedir(dir);
    rmdir(folder);
}

/* ---- the whole ---- */

static enum px_code install_archive(const char *archive, const char *work, const char *folder,
                                    struct px_err *err)
{
    char library[PATH_MAX];
    enum px_code code = unpack(archive, work, err);
    int n = snprintf(library, sizeof library, "%s/%s", work, package.file);
    PX_ASSERT(n > 0); /* a path too long is cut, and not found */
    return code == PX_OK ? place_library(library, folder, err) : code;
}

static enum px_code install_from(const char *from, const char *work, const char *folder,
                                 struct px_err *err)
{
    char archive[PATH_MAX];
    if (from && !px_str_ends(px_str(from), ".tgz") && !px_str_ends(px_str(from), ".tar.gz"))
        return place_library(from, folder, err);
    if (from)
        return install_archive(from, work, folder, err);
    enum px_code code = fetch(work, err);
    if (code == PX_OK && !find_archive(work, archive, sizeof archive))
        code = px_err_set(err, PX_E_UNAVAILABLE, "npm left no package behind");
    return code == PX_OK ? install_archive(archive, work, folder, err) : code;
}

enum px_code px_ort_install(const char *from, const char *into, char *place, struct px_err *err)
{
    char folder[PATH_MAX], work[PATH_MAX];
    if (!into && !px_ort_engines_folder(folder, sizeof folder))
        return px_err_set(err, PX_E_UNAVAILABLE,
                          "neither XDG_DATA_HOME nor HOME says where engines are installed");
    if (into)
        snprintf(folder, sizeof folder, "%s", into);
    enum px_code code = px_file_mkdirs(folder, err);
    if (code != PX_OK)
        return code;
    int n = snprintf(work, sizeof work, "%s/install-XXXXXX", folder);
    if (n < 0 || (size_t)n >= sizeof work || !mkdtemp(work))
        return px_err_set(err, PX_E_IO, "cannot make a folder in %s: %s", folder, strerror(errno));
    code = install_from(from, work, folder, err);
    remove_work(work);
    if (code == PX_OK && !realpath(folder, work))
        code = px_err_set(err, PX_E_IO, "cannot find %s again: %s", folder, strerror(errno));
    if (code == PX_OK)
        snprintf(place, PX_ENGINE_PLACE_MAX, "%s/libonnxruntime.so", work);
    return code;
}
