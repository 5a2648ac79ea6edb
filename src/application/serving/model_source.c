/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where models come from: what one argument of `phoenix serve` names.
 *
 *   FILE            a bare model file; named after the file, version 1
 *   FOLDER          with model.yaml or graph.yaml: a package, version 1
 *   FOLDER          otherwise: a repository <model>/<version>/..., each version a package or a folder
 *                   with one model file
 *   NAME=...        the same under another name; a folder that is no package then holds <version>/...
 *   URL             a repository elsewhere: what its index says (application/fetching)
 *
 * A <model>/versions.yaml chooses among the versions (version_policy.h). Names that begin with '.' are passed over. A version that cannot be used is a place with a refusal;
 * only an argument that names nothing at all is an error.
 */
#include "application/lifecycle/package.h"
#include "application/residency/manifest.h"
#include "application/serving/serving_impl.h"

#include "shared/alloc.h"
#include "shared/file.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_TEXT_MAX = 4096, ENTRIES_MAX = 100000 };

typedef PX_VEC(char *) name_vec;

static enum px_code join(char *out, const char *folder, const char *name, struct px_err *err)
{
    if ((size_t)snprintf(out, PATH_TEXT_MAX, "%s/%s", folder, name) < PATH_TEXT_MAX)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "path of more than %d bytes: %s/%s", PATH_TEXT_MAX - 1,
                      folder, name);
}

static bool is_package(const char *folder)
{
    static const char *const names[] = {"model.yaml", "graph.yaml"};
    char path[PATH_TEXT_MAX];
    bool found = false;
    for (size_t i = 0; i < PX_ARRAY_LEN(names) && !found; i++)
        found =
            join(path, folder, names[i], NULL) == PX_OK && px_file_kind(path) == PX_FILE_REGULAR;
    return found;
}

static enum px_code no_memory(struct px_err *err)
{
    return px_err_set(err, PX_E_NO_MEMORY, "no memory for another model");
}

enum px_code px_model_places_add(struct px_model_places *places, const struct px_model_place *place,
                                 struct px_err *err)
{
    struct px_model_place *slot = px_vec_push(&places->list);
    if (!slot)
        return no_memory(err);
    *slot = (struct px_model_place){
        .name = px_arena_str(&places->arena, place->name),
        .version = px_arena_str(&places->arena, place->version),
        .path = px_arena_cstr(&places->arena, px_str(place->path)),
        .stands_alone = place->stands_alone,
        .is_remote = place->is_remote,
        .stamp = place->stamp,
        .policy = place->policy,
        .is_unchosen = place->is_unchosen,
    };
    if (place->refusal) {
        struct px_err *copy = px_arena_alloc(&places->arena, 1, sizeof *copy);
        if (copy)
            *copy = *place->refusal;
        slot->refusal = copy;
    }
    return px_arena_check(&places->arena, "the list of models", err);
}

void px_model_places_deinit(struct px_model_places *places)
{
    px_vec_free(&places->list);
    px_arena_deinit(&places->arena);
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
    if (names->len == ENTRIES_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "more than %d entries in one folder", ENTRIES_MAX);
    char **slot = px_vec_push(names);
    if (!slot)
        return no_memory(err);
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
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, PX_MANIFEST_FILE) == 0)
            continue;
        code = join(path, folder, entry->d_name, err);
        if (code == PX_OK && px_file_kind(path) == kind)
            code = keep_name(names, entry->d_name, err);
    }
    closedir(dir);
    if (code == PX_OK && names->len > 1) /* else the last may be NULL */
        qsort(names->items, names->len, sizeof *names->items, compare_names);
    return code;
}

/* The file to open in a version folder that is no package: its only one. */
static enum px_code only_file(const char *folder, char *path, struct px_err *err)
{
    name_vec files = {0};
    enum px_code code = list_folder(folder, PX_FILE_REGULAR, &files, err);
    if (code == PX_OK && files.len != 1) {
        /* Whoever put several there has to choose; nothing is missing. */
        px_err_set(err, files.len ? PX_E_INVALID : PX_E_NOT_FOUND,
                   "expected model.yaml, graph.yaml or exactly one model file in %s, got %zu files",
                   folder, files.len);
        code = px_err_hint(err, "put each model into a folder <model>/<version>/ of its own");
    } else if (code == PX_OK) {
        code = join(path, folder, files.items[0], err);
    }
    free_names(&files);
    return code;
}

enum px_code px_model_find_in_folder(const char *folder, char *path, struct px_err *err)
{
    if (!is_package(folder))
        return only_file(folder, path, err);
    snprintf(path, PATH_TEXT_MAX, "%s", folder);
    return PX_OK;
}

/* What is the same for all versions of a model. */
struct versions {
    struct px_str name;
    struct px_version_policy policy;
    const struct px_err *refusal; /* the policy cannot be read: then no version can be used */
};

static enum px_code add_version(struct px_model_places *places, const struct versions *of,
                                const char *version, const char *folder, struct px_err *err)
{
    char path[PATH_TEXT_MAX];
    struct px_err reason;
    struct px_model_name valid = px_model_name_from_text(px_str(version));
    struct px_model_place place = {.name = of->name,
                                   .version = px_str(valid.text),
                                   .path = folder,
                                   .policy = of->policy,
                                   .refusal = of->refusal};
    if (is_package(folder) || of->refusal)
        return px_model_places_add(places, &place, err);
    if (only_file(folder, path, &reason) == PX_OK)
        place.path = path;
    else
        place.refusal = &reason;
    return px_model_places_add(places, &place, err);
}

/*
 * A package or file that stands alone: version 1, and called what it calls itself unless a name is given. One that
 * cannot be read is named after its path.
 */
static enum px_code add_single(struct px_model_places *places, struct px_str name, const char *path,
                               struct px_err *err)
{
    bool is_file = px_file_kind(path) == PX_FILE_REGULAR;
    struct px_model_name own;
    if (name.len == 0 && px_package_name(path, &own, NULL) != PX_OK)
        own = px_model_name_from_path(path, is_file);
    struct px_model_place place = {
        .name = name.len ? name : px_str(own.text),
        .version = PX_STR("1"),
        .path = path,
    };
    return px_model_places_add(places, &place, err);
}

static enum px_code add_alone(struct px_model_places *places, struct px_str name, const char *path,
                              struct px_err *err)
{
    enum px_code code = add_single(places, name, path, err);
    if (code == PX_OK)
        places->list.items[places->list.len - 1].stands_alone = true;
    return code;
}

static int compare_version_names(const void *a, const void *b)
{
    return px_compare_versions(px_str(*(char *const *)a), px_str(*(char *const *)b));
}

static enum px_code add_unchosen(struct px_model_places *places, const struct versions *of,
                                 const char *version, const char *folder, struct px_err *err)
{
    struct px_model_name valid = px_model_name_from_text(px_str(version));
    struct px_model_place place = {.name = of->name,
                                   .version = px_str(valid.text),
                                   .path = folder,
                                   .policy = of->policy,
                                   .is_unchosen = true};
    return places->lists_all ? px_model_places_add(places, &place, err) : PX_OK;
}

static enum px_code add_taken(struct px_model_places *places, const struct versions *of,
                              const char *folder, const name_vec *versions, struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < versions->len; i++) {
        char path[PATH_TEXT_MAX];
        const char *version = versions->items[i];
        bool is_taken =
            px_version_policy_takes(&of->policy, px_str(version), versions->len - 1 - i);
        code = join(path, folder, version, err);
        if (code == PX_OK)
            code = is_taken ? add_version(places, of, version, path, err)
                            : add_unchosen(places, of, version, path, err);
    }
    return code;
}

/* What is asked for by name and is not there fails, instead of being passed over. */
static enum px_code add_missing(struct px_model_places *places, const struct versions *of,
                                const char *folder, const name_vec *versions, struct px_err *err)
{
    enum px_code code = PX_OK;
    for (struct px_str rest = of->policy.specific; rest.ptr && code == PX_OK;) {
        struct px_str version = px_str_cut(&rest, ',');
        struct px_err reason;
        bool is_there = version.len == 0;
        for (size_t i = 0; i < versions->len && !is_there; i++)
            is_there = px_str_is(version, versions->items[i]);
        if (is_there)
            continue;
        px_err_set(&reason, PX_E_NOT_FOUND,
                   "the version policy names it, and %s has no such folder", folder);
        struct px_model_place place = {.name = of->name,
                                       .version = version,
                                       .path = folder,
                                       .policy = of->policy,
                                       .refusal = &reason};
        code = px_model_places_add(places, &place, err);
    }
    return code;
}

/* The version folders of one model, as its policy says. */
static enum px_code add_versions(struct px_model_places *places, struct px_str name,
                                 const char *folder, struct px_err *err)
{
    name_vec versions = {0};
    struct px_err reason;
    struct versions of = {.name = name};
    if (places->policy)
        of.policy = *places->policy;
    else if (px_version_policy_read(folder, &places->arena, &of.policy, &reason) != PX_OK)
        of = (struct versions){.name = name, .refusal = &reason};
    enum px_code code = list_folder(folder, PX_FILE_FOLDER, &versions, err);
    if (versions.len > 1)
        qsort(versions.items, versions.len, sizeof *versions.items, compare_version_names);
    if (code == PX_OK)
        code = add_taken(places, &of, folder, &versions, err);
    if (code == PX_OK)
        code = add_missing(places, &of, folder, &versions, err);
    free_names(&versions);
    return code;
}

/* Every model of a repository: packages directly in it, and <model>/<version>/. */
static enum px_code add_repository(struct px_model_places *places, const char *folder,
                                   struct px_err *err)
{
    name_vec models = {0};
    enum px_code code = list_folder(folder, PX_FILE_FOLDER, &models, err);
    for (size_t i = 0; code == PX_OK && i < models.len; i++) {
        char path[PATH_TEXT_MAX];
        code = join(path, folder, models.items[i], err);
        if (code != PX_OK)
            break;
        struct px_model_name name = px_model_name_from_text(px_str(models.items[i]));
        code = is_package(path) ? add_single(places, (struct px_str){0}, path, err)
                                : add_versions(places, px_str(name.text), path, err);
    }
    free_names(&models);
    return code;
}

static enum px_code add_folder(struct px_model_places *places, struct px_str name, const char *path,
                               struct px_err *err)
{
    size_t n_before = places->list.len;
    if (is_package(path))
        return add_alone(places, name, path, err);
    enum px_code code =
        name.len ? add_versions(places, name, path, err) : add_repository(places, path, err);
    if (code != PX_OK || places->list.len > n_before)
        return code;
    px_err_set(err, PX_E_NOT_FOUND, "no model found in folder %s", path);
    return px_err_hint(
        err, "expected model.yaml or graph.yaml (a package), or <model>/<version>/ folders");
}

enum px_code px_serving_scan(struct px_serving *serving, const char *argument,
                             struct px_model_places *places, struct px_err *err)
{
    return serving->fetching && px_store_is_url(px_str(argument))
               ? px_fetching_scan(serving->fetching, argument, places, err)
               : px_model_scan(argument, places, err);
}

void px_model_place_folder(const struct px_model_place *place, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s", place->path);
    if (!place->stands_alone && px_file_kind(path) == PX_FILE_REGULAR) {
        const char *parent = dirname(path);
        memmove(path, parent, strlen(parent) + 1);
    }
}

enum px_code px_model_scan(const char *argument, struct px_model_places *places, struct px_err *err)
{
    /* NAME=PATH, unless the whole argument is a path that happens to contain '='. */
    const char *equals = strchr(argument, '=');
    struct px_str name = {0};
    const char *path = argument;
    if (equals && equals != argument && px_file_kind(argument) == PX_FILE_ABSENT) {
        name = px_str_n(argument, (size_t)(equals - argument));
        path = equals + 1;
        enum px_code code = px_model_name_check(name, err);
        if (code != PX_OK)
            return code;
    }
    switch (px_file_kind(path)) {
    case PX_FILE_REGULAR:
        return add_alone(places, name, path, err);
    case PX_FILE_FOLDER:
        return add_folder(places, name, path, err);
    case PX_FILE_ABSENT:
        if (px_store_is_url(px_str(path))) {
            px_err_set(err, PX_E_INVALID, "expected a file or folder, got a URL: %.200s", path);
            return px_err_hint(err, "phoenix serve takes URLs of repositories, without NAME=");
        }
        (void)px_file_fail_absent(path, err);
        return px_err_hint(err, "expected MODEL, NAME=MODEL, a folder or a URL");
    case PX_FILE_OTHER:
        break;
    }
    return px_err_set(err, PX_E_INVALID, "expected a file or folder, got something else: %s", path);
}
