/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing an index: what `phoenix serve FOLDER` would find, as a file. What a version's manifest says is believed when the sizes are right, so that
 * a large repository is not read anew for each version that is published; who fetches checks every byte.
 */
#include "application/fetching/model_index.h"

#include "application/ports/model_store.h"
#include "application/serving/serving_impl.h"
#include "shared/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/* Where a version lies below the repository; its folder when it is one file. */
static enum px_code find_folder(const char *repository, const struct px_model_place *place,
                                char path[PATH_MAX], const char **ret_below, struct px_err *err)
{
    size_t n = strlen(repository);
    snprintf(path, PATH_MAX, "%s", place->path);
    if (px_file_kind(path) == PX_FILE_REGULAR) {
        const char *parent = dirname(path);
        memmove(path, parent, strlen(parent) + 1);
    }
    PX_ASSERT(strncmp(path, repository, n) == 0);
    for (*ret_below = path + n; **ret_below == '/';)
        (*ret_below)++;
    if (px_store_path_is_valid(px_str(*ret_below)))
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "%s cannot be named in an index", path);
    return px_err_hint(err, "use names without backslashes and control characters");
}

static enum px_code put_version(const char *repository, const struct px_model_place *place,
                                struct px_json_writer *w, struct px_err *err)
{
    char path[PATH_MAX];
    const char *below;
    if (place->refusal) {
        *err = *place->refusal;
        return px_err_wrap(err, "model '%.*s' version %.*s", PX_STR_ARG(place->name),
                           PX_STR_ARG(place->version));
    }
    enum px_code code = find_folder(repository, place, path, &below, err);
    if (code != PX_OK)
        return code;
    px_json_begin_object(w);
    px_json_member_str(w, "version", place->version);
    px_json_member_text(w, "folder", below);
    code = px_manifest_put_files(path, w, err);
    px_json_end_object(w);
    return code;
}

/* Versions of a model follow each other. */
static enum px_code put_places(const char *folder, const struct px_model_places *places,
                               struct px_json_writer *w, struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; i < places->list.len && code == PX_OK; i++) {
        const struct px_model_place *place = &places->list.items[i];
        bool is_first = i == 0 || !px_str_eq(places->list.items[i - 1].name, place->name);
        if (is_first && i > 0) {
            px_json_end_array(w);
            px_json_end_object(w);
        }
        if (is_first) {
            px_json_begin_object(w);
            px_json_member_str(w, "name", place->name);
            px_json_key(w, "versions");
            px_json_begin_array(w);
        }
        code = put_version(folder, place, w, err);
    }
    if (places->list.len > 0) {
        px_json_end_array(w);
        px_json_end_object(w);
    }
    return code;
}

static enum px_code put_index(const char *folder, const struct px_model_places *places,
                              struct px_buf *text, struct px_err *err)
{
    struct px_json_writer w = px_json_writer(text);
    px_json_begin_object(&w);
    px_json_member_u64(&w, "phoenix_models", 1);
    px_json_key(&w, "models");
    px_json_begin_array(&w);
    enum px_code code = put_places(folder, places, &w, err);
    px_json_end_array(&w);
    px_json_end_object(&w);
    px_buf_byte(text, '\n');
    return code == PX_OK ? px_buf_check(text, "the index", err) : code;
}

/* What is written must be readable: names and paths are checked by who reads. */
static enum px_code check_text(struct px_buf *text, struct px_err *err)
{
    struct px_model_index index;
    struct px_buf copy = px_buf(PX_MODEL_INDEX_BYTES_MAX);
    px_buf_str(&copy, px_buf_view(text));
    enum px_code code = px_buf_check(&copy, "the index", err);
    if (code == PX_OK) {
        code = px_model_index_parse(&copy, &index, err);
        px_model_index_deinit(&index);
    }
    px_buf_deinit(&copy);
    return code;
}

static enum px_code write_locked(const char *folder, size_t *ret_n_versions, struct px_err *err)
{
    char path[PATH_MAX];
    struct px_buf text = px_buf(PX_MODEL_INDEX_BYTES_MAX);
    struct px_model_places places = px_model_places();
    enum px_code code = px_model_scan(folder, &places, err);
    if (code == PX_OK && places.list.len == 1 && places.list.items[0].stands_alone) {
        px_err_set(err, PX_E_INVALID, "%s is one model, no folder of models", folder);
        code = px_err_hint(err, "publish it into a folder: phoenix publish %s REPOSITORY/NAME",
                           folder);
    }
    if (code == PX_OK)
        code = put_index(folder, &places, &text, err);
    if (code == PX_OK)
        code = check_text(&text, err);
    if (code == PX_OK &&
        (size_t)snprintf(path, sizeof path, "%s/" PX_MODEL_INDEX_FILE, folder) >= sizeof path)
        code = px_err_set(err, PX_E_INVALID, "a path of more than %d bytes", PATH_MAX - 1);
    if (code == PX_OK)
        code = px_file_write(path, px_buf_view(&text), err);
    *ret_n_versions = places.list.len;
    px_model_places_deinit(&places);
    px_buf_deinit(&text);
    return code;
}

enum px_code px_model_index_write(const char *folder, size_t *ret_n_versions, struct px_err *err)
{
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return px_err_set(err, errno == ENOENT ? PX_E_NOT_FOUND : PX_E_IO, "open folder %s: %s",
                          folder, strerror(errno));
    while (flock(lock, LOCK_EX) != 0 && errno == EINTR) {
    }
    enum px_code code = write_locked(folder, ret_n_versions, err);
    close(lock);
    return code;
}
