/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that came with a load request, as a folder of versions like any other.
 *
 * The folder is made by mkdtemp, so only this user can read it and its name cannot be guessed; paths inside it were
 * checked when the parameters were read. It lives as long as the load: a loaded model needs the names of its files no more, and what it has mapped of them outlives
 * the folder.
 */
#include "application/serving/repository_impl.h"

#include "shared/file.h"
#include "shared/log.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_TEXT_MAX = 4096, FOLDERS_OPEN_MAX = 16 };

static enum px_code make_folder(struct px_model_folder *folder, struct px_err *err)
{
    const char *temporary = getenv("TMPDIR");
    const char *parent = temporary && temporary[0] == '/' ? temporary : "/tmp";
    int n = snprintf(folder->path, sizeof folder->path, "%s/phoenix-load-XXXXXX", parent);
    bool fits = n > 0 && (size_t)n < sizeof folder->path;
    if (fits && mkdtemp(folder->path))
        return PX_OK;
    folder->path[0] = '\0';
    return px_err_set(err, PX_E_IO, "make a folder for the model's files in %s: %s", parent,
                      fits ? strerror(errno) : "the path is too long");
}

static enum px_code write_file(const struct px_model_folder *folder,
                               const struct px_repository_file *file, struct px_err *err)
{
    char path[PATH_TEXT_MAX];
    int n =
        snprintf(path, sizeof path, "%s/%s/%s", folder->path, file->version.ptr, file->path.ptr);
    if (n < 0 || (size_t)n >= sizeof path)
        return px_err_set(err, PX_E_INVALID, "the path of a file has more than %d bytes",
                          PATH_TEXT_MAX - 1);
    char *name = strrchr(path, '/');
    *name = '\0';
    enum px_code code = px_file_mkdirs(path, err);
    *name = '/';
    return code == PX_OK ? px_file_write(path, file->bytes, err) : code;
}

enum px_code px_model_folder_write(const struct px_repository_request *request,
                                   struct px_model_folder *ret, struct px_err *err)
{
    enum px_code code = make_folder(ret, err);
    for (size_t i = 0; code == PX_OK && i < request->n_files; i++)
        code = write_file(ret, &request->files[i], err);
    return code;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void px_model_folder_remove(const struct px_model_folder *folder)
{
    if (folder->path[0] && nftw(folder->path, remove_entry, FOLDERS_OPEN_MAX, FTW_DEPTH | FTW_PHYS))
        px_log(PX_LOG_WARN, "model.files_left", PX_LOG_T("folder", folder->path),
               PX_LOG_T("reason", strerror(errno)));
}
