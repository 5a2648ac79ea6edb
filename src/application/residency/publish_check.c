/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What publish refuses before it writes anything: what servers would not take for a model, or not where it would come to lie.
 *
 * A repository and a model's folder are told apart by what is in them: a model's folder has folders whose names are numbers. One that has none and others
 * instead, or an index, or a folder with versions in it, is a repository whose model was not named.
 */
#include "application/fetching/model_index.h"
#include "application/residency/manifest.h"
#include "application/residency/publish.h"
#include "application/serving/serving_impl.h"

#include "shared/file.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>

static bool join(char *out, const char *folder, const char *name)
{
    return (size_t)snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

static bool is_number(const char *name)
{
    uint64_t number;
    return px_str_to_u64(px_str(name), &number);
}

/* The next folder in `dir`, which is that of `folder`; NULL after the last. */
static const char *next_folder(DIR *dir, const char *folder, char path[PATH_MAX])
{
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] != '.' && join(path, folder, entry->d_name) &&
            px_file_kind(path) == PX_FILE_FOLDER)
            return entry->d_name;
    }
    return NULL;
}

/* ---- what is published ---- */

/* What there is to publish at most `depth` folders below, into `path`. */
static bool find_version(const char *folder, unsigned depth, char path[PATH_MAX])
{
    char below[PATH_MAX];
    bool found = false;
    DIR *dir = opendir(folder);
    while (dir && !found && next_folder(dir, folder, below))
        found = px_model_find_in_folder(below, path, NULL) == PX_OK ||
                (depth > 1 && find_version(below, depth - 1, path));
    if (dir)
        closedir(dir);
    return found;
}

static enum px_code check_is_package(const char *model, struct px_err *err)
{
    char path[PATH_MAX];
    enum px_code code = px_model_find_in_folder(model, path, err);
    if (code == PX_OK)
        return PX_OK;
    (void)px_err_wrap(err, "%s is no package", model);
    if (find_version(model, 2, path))
        return px_err_hint(err, "publish one model at a time, such as %.150s", path);
    return px_err_hint(err, "publish a model file, or a folder with model.yaml and what it names");
}

static enum px_code check_links(const char *model, const char *prefix, unsigned depth,
                                struct px_err *err);

/* `name` from `model` on. Copying follows links, so this does. */
static enum px_code check_entry(const char *model, const char *name, unsigned depth,
                                struct px_err *err)
{
    char path[PATH_MAX], target[PATH_MAX];
    if (!join(path, model, name) || depth > PX_MANIFEST_DEPTH_MAX)
        return PX_OK; /* copying says what is wrong */
    if (px_file_resolve_inside(px_str(model), px_str(name), target, NULL) == PX_OK)
        return px_file_kind(path) == PX_FILE_FOLDER ? check_links(model, name, depth + 1, err)
                                                    : PX_OK;
    px_err_set(err, PX_E_INVALID,
               "expected files and folders of the package, got a link that leads nowhere or out "
               "of it: %s",
               path);
    return px_err_hint(err, "put what it leads to into the package in its place (cp -L)");
}

static enum px_code check_links(const char *model, const char *prefix, unsigned depth,
                                struct px_err *err)
{
    char folder[PATH_MAX], name[PATH_MAX];
    if (!join(folder, model, prefix))
        return PX_OK;
    DIR *dir = opendir(folder);
    if (!dir)
        return px_err_set(err, PX_E_IO, "open folder %s: %s", folder, strerror(errno));
    enum px_code code = PX_OK;
    for (struct dirent *entry; code == PX_OK && (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        if (prefix[0] ? join(name, prefix, entry->d_name)
                      : snprintf(name, sizeof name, "%s", entry->d_name) > 0)
            code = check_entry(model, name, depth, err);
    }
    closedir(dir);
    return code;
}

/* ---- where it goes ---- */

static bool has_versions(const char *folder)
{
    char path[PATH_MAX];
    bool found = false;
    DIR *dir = opendir(folder);
    for (const char *name; dir && !found && (name = next_folder(dir, folder, path));)
        found = is_number(name);
    if (dir)
        closedir(dir);
    return found;
}

/* A model that lies in the folder as in a repository, into `name`. */
static bool find_model(const char *folder, char name[NAME_MAX + 1])
{
    char path[PATH_MAX];
    bool has_numbers = false, is_sure = false;
    DIR *dir = opendir(folder);
    name[0] = '\0';
    for (const char *found; dir && !is_sure && (found = next_folder(dir, folder, path));) {
        if (is_number(found)) {
            has_numbers = true;
            continue;
        }
        is_sure = has_versions(path);
        snprintf(name, NAME_MAX + 1, "%s", found);
    }
    if (dir)
        closedir(dir);
    return is_sure || (name[0] && !has_numbers);
}

static enum px_code check_target(const char *model, const char *folder, struct px_err *err)
{
    char name[NAME_MAX + 1], path[PATH_MAX];
    if (find_model(folder, name))
        px_err_set(err, PX_E_INVALID,
                   "expected the folder of one model, REPOSITORY/NAME, got a repository: %s holds "
                   "the model '%s'",
                   folder, name);
    else if (join(path, folder, PX_MODEL_INDEX_FILE) && px_file_kind(path) == PX_FILE_REGULAR)
        px_err_set(err, PX_E_INVALID,
                   "expected the folder of one model, REPOSITORY/NAME, got a repository: %s holds "
                   "%s",
                   folder, PX_MODEL_INDEX_FILE);
    else
        return PX_OK;
    snprintf(path, sizeof path, "%s", model);
    const char *own = basename(path);
    own = is_number(own) ? "NAME" : own;
    return px_err_hint(err, "name the model, too: %.100s/%.*s", folder, (int)strcspn(own, "."),
                       own);
}

enum px_code px_publish_check(const char *model, const char *folder, struct px_err *err)
{
    enum px_code code = PX_OK;
    if (px_file_kind(model) == PX_FILE_FOLDER) {
        code = check_is_package(model, err);
        if (code == PX_OK)
            code = check_links(model, "", 0, err);
    }
    return code == PX_OK ? check_target(model, folder, err) : code;
}
