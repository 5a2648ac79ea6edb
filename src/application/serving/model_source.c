/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where models come from: what one argument of `phoenix serve` names.
 *
 *   FILE            a bare model file; named after the file, version 1
 *   FOLDER          with model.yaml: a package, version 1
 *   FOLDER          otherwise: a repository <model>/<version>/..., each version a package or a folder
 *                   with one model file
 *   NAME=...        the same under another name; a folder without model.yaml then holds <version>/...
 *
 * Names that begin with '.' are passed over. A version that cannot be loaded becomes a FAILED model;
 * only an argument that names nothing at all is an error.
 */
#include "application/lifecycle/model_name.h"
#include "application/serving/serving_impl.h"

#include "shared/alloc.h"
#include "shared/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_TEXT_MAX = 4096, ENTRIES_MAX = 10000 };

typedef PX_VEC(struct px_model *) model_vec;
typedef PX_VEC(char *) name_vec;

/* What is being collected for one argument. */
struct collector {
    struct px_serving *serving;
    model_vec models;
};

static enum px_code join(char *out, const char *folder, const char *name, struct px_err *err)
{
    if ((size_t)snprintf(out, PATH_TEXT_MAX, "%s/%s", folder, name) < PATH_TEXT_MAX)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "path of more than %d bytes: %s/%s", PATH_TEXT_MAX - 1,
                      folder, name);
}

static bool has_model_yaml(const char *folder)
{
    char path[PATH_TEXT_MAX];
    return join(path, folder, "model.yaml", NULL) == PX_OK && px_file_kind(path) == PX_FILE_REGULAR;
}

static enum px_code no_memory(struct px_err *err)
{
    return px_err_set(err, PX_E_NO_MEMORY, "no memory for another model");
}

static enum px_code load_one(struct collector *c, const struct px_model_source *source,
                             struct px_err *err)
{
    struct px_model *model = px_model_load(c->serving, source);
    struct px_model **slot = model ? px_vec_push(&c->models) : NULL;
    if (!slot) {
        px_model_unload(model);
        return no_memory(err);
    }
    *slot = model;
    return PX_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(name_vec *names)
{
    for (size_t i = 0; i < names->len; i++)
        px_free(names->items[i]);
    px_vec_free(names);
}

static enum px_code keep_name(name_vec *names, const char *name, struct px_err *err)
{
    size_t size = strlen(name) + 1;
    char **slot = names->len < ENTRIES_MAX ? px_vec_push(names) : NULL;
    if (!slot)
        return px_err_set(err, PX_E_TOO_LARGE, "more than %d entries in one folder", ENTRIES_MAX);
    *slot = px_alloc(size, 1);
    if (!*slot)
        return no_memory(err);
    memcpy(*slot, name, size);
    return PX_OK;
}

/* The entries of a folder that are of `kind`, sorted, without those that begin with '.'. */
static enum px_code list_folder(const char *folder, enum px_file_kind kind, name_vec *names,
                                struct px_err *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return px_err_set(err, PX_E_IO, "open folder %s: %s", folder, strerror(errno));
    enum px_code code = PX_OK;
    for (struct dirent *entry; code == PX_OK && (entry = readdir(dir));) {
        char path[PATH_TEXT_MAX];
        if (entry->d_name[0] == '.')
            continue;
        code = join(path, folder, entry->d_name, err);
        if (code == PX_OK && px_file_kind(path) == kind)
            code = keep_name(names, entry->d_name, err);
    }
    closedir(dir);
    if (names->len > 1)
        qsort(names->items, names->len, sizeof *names->items, compare_names);
    return code;
}

/* The file to open in a version folder that is no package: its only one. */
static enum px_code only_file(const char *folder, char *path, struct px_err *err)
{
    name_vec files = {0};
    enum px_code code = list_folder(folder, PX_FILE_REGULAR, &files, err);
    if (code == PX_OK && files.len != 1) {
        px_err_set(err, PX_E_NOT_FOUND,
                   "expected model.yaml or exactly one model file in %s, got %zu files", folder,
                   files.len);
        code = px_err_hint(err, "put each model into a folder <model>/<version>/ of its own");
    } else if (code == PX_OK) {
        code = join(path, folder, files.items[0], err);
    }
    free_names(&files);
    return code;
}

/* A folder that cannot be used becomes a FAILED version with the reason why. */
static enum px_code load_version(struct collector *c, struct px_str name, const char *version,
                                 const char *folder, struct px_err *err)
{
    char path[PATH_TEXT_MAX];
    struct px_err reason;
    struct px_model_name valid = px_model_name_from_text(px_str(version));
    struct px_model_source source = {.name = name, .version = px_str(valid.text), .path = folder};
    if (has_model_yaml(folder))
        return load_one(c, &source, err);
    if (only_file(folder, path, &reason) == PX_OK)
        source.path = path;
    else
        source.refusal = &reason;
    return load_one(c, &source, err);
}

/* A package or file that stands alone: version 1, and named after its path unless a name is given. */
static enum px_code load_single(struct collector *c, struct px_str name, const char *path,
                                struct px_err *err)
{
    bool is_file = px_file_kind(path) == PX_FILE_REGULAR;
    struct px_model_name fallback = px_model_name_from_path(path, is_file);
    struct px_model_source source = {
        .name = name.len ? name : px_str(fallback.text),
        .name_is_default = name.len == 0,
        .version = PX_STR("1"),
        .path = path,
    };
    return load_one(c, &source, err);
}

/* Every version folder of one model. */
static enum px_code load_versions(struct collector *c, struct px_str name, const char *folder,
                                  struct px_err *err)
{
    name_vec versions = {0};
    enum px_code code = list_folder(folder, PX_FILE_FOLDER, &versions, err);
    for (size_t i = 0; code == PX_OK && i < versions.len; i++) {
        char path[PATH_TEXT_MAX];
        code = join(path, folder, versions.items[i], err);
        if (code == PX_OK)
            code = load_version(c, name, versions.items[i], path, err);
    }
    free_names(&versions);
    return code;
}

/* Every model of a repository: packages directly in it, and <model>/<version>/. */
static enum px_code load_repository(struct collector *c, const char *folder, struct px_err *err)
{
    name_vec models = {0};
    enum px_code code = list_folder(folder, PX_FILE_FOLDER, &models, err);
    for (size_t i = 0; code == PX_OK && i < models.len; i++) {
        char path[PATH_TEXT_MAX];
        code = join(path, folder, models.items[i], err);
        if (code != PX_OK)
            break;
        struct px_model_name name = px_model_name_from_text(px_str(models.items[i]));
        code = has_model_yaml(path) ? load_single(c, (struct px_str){0}, path, err)
                                    : load_versions(c, px_str(name.text), path, err);
    }
    free_names(&models);
    return code;
}

static enum px_code load_folder(struct collector *c, struct px_str name, const char *path,
                                struct px_err *err)
{
    if (has_model_yaml(path))
        return load_single(c, name, path, err);
    enum px_code code =
        name.len ? load_versions(c, name, path, err) : load_repository(c, path, err);
    if (code != PX_OK || c->models.len > 0)
        return code;
    px_err_set(err, PX_E_NOT_FOUND, "no model found in folder %s", path);
    return px_err_hint(err, "expected model.yaml (a package), or <model>/<version>/ folders");
}

static enum px_code load_argument(struct collector *c, const char *argument, struct px_err *err)
{
    /* NAME=PATH, unless the whole argument is a path that happens to contain '='. */
    const char *equals = strchr(argument, '=');
    struct px_str name = {0};
    const char *path = argument;
    if (equals && equals != argument && px_file_kind(argument) == PX_FILE_ABSENT) {
        name = px_str_n(argument, (size_t)(equals - argument));
        path = equals + 1;
        if (!px_model_name_is_valid(name))
            return px_err_set(
                err, PX_E_INVALID,
                "model name '%.*s': expected at most %d letters, digits, '.', '_' and '-'",
                PX_STR_ARG(name), PX_MODEL_NAME_MAX);
    }
    switch (px_file_kind(path)) {
    case PX_FILE_REGULAR:
        return load_single(c, name, path, err);
    case PX_FILE_FOLDER:
        return load_folder(c, name, path, err);
    case PX_FILE_ABSENT:
        (void)px_file_fail_absent(path, err);
        return px_err_hint(err, "expected MODEL, NAME=MODEL or a folder");
    case PX_FILE_OTHER:
        break;
    }
    return px_err_set(err, PX_E_INVALID, "expected a file or folder, got something else: %s", path);
}

enum px_code px_serving_add(struct px_serving *serving, const char *argument, struct px_err *err)
{
    struct collector collector = {.serving = serving};
    enum px_code code = load_argument(&collector, argument, err);
    if (code == PX_OK) {
        code = px_serving_publish(serving, collector.models.items, collector.models.len, err);
    } else {
        for (size_t i = 0; i < collector.models.len; i++)
            px_model_unload(collector.models.items[i]);
    }
    px_vec_free(&collector.models);
    return code;
}
