/* SPDX-License-Identifier: Apache-2.0 */
#include "application/residency/manifest.h"

#include "shared/file.h"
#include "shared/hash.h"
#include "shared/json.h"
#include "shared/sha256.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 16 };

static enum px_code join(char *out, const char *folder, const char *name, struct px_err *err)
{
    if ((size_t)snprintf(out, PATH_MAX, "%s/%s", folder, name) < PATH_MAX)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "path of more than %d bytes: %s/%s", PATH_MAX - 1, folder,
                      name);
}

static enum px_code hash_file(const char *path, uint64_t *ret_size, char hex[PX_SHA256_HEX],
                              struct px_err *err)
{
    char piece[PIECE_BYTES];
    struct px_sha256 sha = px_sha256();
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;
    if (file >= 0) {
        while ((n = read(file, piece, sizeof piece)) > 0)
            px_sha256_add(&sha, px_str_n(piece, (size_t)n));
    }
    int why = errno;
    if (file >= 0)
        close(file);
    if (n < 0)
        return px_err_set(err, PX_E_IO, "read %s: %s", path, strerror(why));
    *ret_size = sha.n_bytes;
    px_sha256_end(&sha, hex);
    return PX_OK;
}

/* ---- checking ---- */

static void refuse_key(struct px_json *json, struct px_str key, const struct px_str *known,
                       size_t n_known)
{
    struct px_err err;
    px_err_set(&err, PX_E_INVALID, "unknown key '%.*s'", PX_STR_ARG(key));
    if (px_err_suggest(&err, key, known, n_known))
        px_json_fail(json, "%s, %s", err.message, err.hint);
    else
        px_json_fail(json, "%s, expected \"%.*s\"%s", err.message, PX_STR_ARG(known[0]),
                     n_known > 1 ? ", \"size\" or \"sha256\"" : "");
}

static void read_file(struct px_json *json, bool may_say_more, struct px_manifest_file *ret)
{
    static const struct px_str known[] = {PX_STR("path"), PX_STR("size"), PX_STR("sha256")};
    struct px_str key;
    *ret = (struct px_manifest_file){0};
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "path"))
            ret->path = px_json_str(json);
        else if (px_str_is(key, "sha256"))
            ret->sha256 = px_json_str(json);
        else if (px_str_is(key, "size"))
            ret->size = px_json_u64(json);
        else if (may_say_more)
            px_json_skip(json);
        else
            refuse_key(json, key, known, PX_ARRAY_LEN(known));
    }
    if (!ret->path.len)
        px_json_fail(json, "expected a file as {\"path\", \"size\", \"sha256\"}");
    else if (ret->sha256.len != PX_SHA256_HEX - 1)
        px_json_fail(json, "expected a sha256 of 64 hex digits, got %zu characters",
                     ret->sha256.len);
}

void px_manifest_read_file(struct px_json *json, struct px_manifest_file *ret)
{
    read_file(json, true, ret);
}

static enum px_code check_size(const char *path, uint64_t size, const struct px_manifest_file *file,
                               struct px_err *err)
{
    if (size == file->size)
        return PX_OK;
    return px_err_set(err, PX_E_CORRUPT, "%s has %llu bytes, the manifest says %llu", path,
                      (unsigned long long)size, (unsigned long long)file->size);
}

enum px_code px_manifest_check_file(const char *path, const struct px_manifest_file *file,
                                    struct px_err *err)
{
    char hex[PX_SHA256_HEX];
    uint64_t size;
    enum px_code code = hash_file(path, &size, hex, err);
    if (code == PX_OK)
        code = check_size(path, size, file, err);
    if (code == PX_OK && !px_str_is(file->sha256, hex))
        code = px_err_set(err, PX_E_CORRUPT, "%s is another file than the manifest says", path);
    return code;
}

/* What is done with each file that a manifest names; `path` is where it is. */
struct visit {
    void *context;
    enum px_code (*file)(void *context, const char *path, const struct px_manifest_file *file,
                         struct px_err *err);
};

static enum px_code check_entry(void *context, const char *path,
                                const struct px_manifest_file *file, struct px_err *err)
{
    struct stat st;
    (void)context;
    /* Most of what is half copied is told by its size, for less than hashing it costs at every look. */
    enum px_code code =
        stat(path, &st) == 0 ? check_size(path, (uint64_t)st.st_size, file, err) : PX_OK;
    return code == PX_OK ? px_manifest_check_file(path, file, err) : code;
}

static enum px_code visit_files(const char *folder, struct px_json *json, const struct visit *visit,
                                struct px_err *err)
{
    enum px_code code = PX_OK;
    size_t n = 0;
    px_json_enter_array(json);
    while (code == PX_OK && px_json_next_element(json)) {
        char path[PATH_MAX];
        struct px_manifest_file file;
        read_file(json, false, &file);
        if (++n > PX_MANIFEST_FILES_MAX)
            px_json_fail(json, "more than %d files", PX_MANIFEST_FILES_MAX);
        if (px_json_failed(json))
            break;
        code = px_file_resolve_inside(px_str(folder), file.path, path, err);
        if (code == PX_OK)
            code = visit->file(visit->context, path, &file, err);
    }
    if (code == PX_OK && n == 0 && !px_json_failed(json))
        code = px_err_set(err, PX_E_CORRUPT, "it names no file");
    return code;
}

static enum px_code visit_text(const char *folder, struct px_str text, const struct visit *visit,
                               struct px_err *err)
{
    static const struct px_str known = PX_STR("files");
    struct px_arena arena = px_arena(PX_MANIFEST_BYTES_MAX);
    struct px_json json;
    struct px_str key;
    bool has_files = false;
    enum px_code code = PX_OK;
    px_json_init(&json, text, &arena, 0);
    px_json_enter_object(&json);
    while (code == PX_OK && px_json_next_key(&json, &key)) {
        if (px_str_is(key, "files")) {
            has_files = true;
            code = visit_files(folder, &json, visit, err);
        } else {
            refuse_key(&json, key, &known, 1);
        }
    }
    if (code == PX_OK)
        code = px_json_finish(&json, err);
    if (code == PX_OK && !has_files)
        code = px_err_set(err, PX_E_INVALID, "expected \"files\"");
    px_arena_deinit(&arena);
    return code;
}

static enum px_code visit_manifest(const char *folder, const struct visit *visit,
                                   struct px_err *err)
{
    char path[PATH_MAX];
    struct px_file file = {0};
    if (px_file_kind(folder) == PX_FILE_REGULAR)
        return px_err_set(err, PX_E_NOT_FOUND, "%s is a file, and has no manifest", folder);
    enum px_code code = join(path, folder, PX_MANIFEST_FILE, err);
    if (code == PX_OK)
        code = px_file_load(&file, path, PX_MANIFEST_BYTES_MAX, err);
    if (code != PX_OK)
        return code;
    code = visit_text(folder, file.bytes, visit, err);
    px_file_unload(&file);
    if (code == PX_E_NOT_FOUND)
        return px_err_set(err, PX_E_CORRUPT, "%s names a file that is not there", path);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "%s", path);
}

enum px_code px_manifest_check(const char *folder, struct px_err *err)
{
    const struct visit visit = {.file = check_entry};
    return visit_manifest(folder, &visit, err);
}

/* ---- walking ---- */

/* Every file below a folder, in no order; `name` is its path from there. */
struct walk {
    void *context;
    enum px_code (*file)(void *context, const char *path, const char *name, const struct stat *st,
                         struct px_err *err);
};

static enum px_code walk_folder(const struct walk *walk, const char *folder, const char *prefix,
                                unsigned depth, struct px_err *err);

static enum px_code walk_entry(const struct walk *walk, const char *path, const char *name,
                               unsigned depth, struct px_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return PX_OK; /* gone meanwhile, or a link that leads nowhere */
    if (S_ISREG(st.st_mode))
        return walk->file(walk->context, path, name, &st, err);
    if (!S_ISDIR(st.st_mode))
        return PX_OK;
    if (depth == PX_MANIFEST_DEPTH_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "%s: folders deeper than %d", path,
                          PX_MANIFEST_DEPTH_MAX);
    return walk_folder(walk, path, name, depth + 1, err);
}

static enum px_code walk_folder(const struct walk *walk, const char *folder, const char *prefix,
                                unsigned depth, struct px_err *err)
{
    DIR *dir = opendir(folder);
    enum px_code code = PX_OK;
    if (!dir)
        return px_err_set(err, PX_E_IO, "open folder %s: %s", folder, strerror(errno));
    for (struct dirent *entry; code == PX_OK && (entry = readdir(dir));) {
        char path[PATH_MAX], name[PATH_MAX];
        if (entry->d_name[0] == '.' || (!prefix[0] && strcmp(entry->d_name, PX_MANIFEST_FILE) == 0))
            continue;
        code = join(path, folder, entry->d_name, err);
        if (code == PX_OK && prefix[0])
            code = join(name, prefix, entry->d_name, err);
        else
            snprintf(name, sizeof name, "%s", entry->d_name);
        if (code == PX_OK)
            code = walk_entry(walk, path, name, depth, err);
    }
    closedir(dir);
    return code;
}

/* ---- writing ---- */

static void put_entry(struct px_json_writer *w, struct px_str path, uint64_t size,
                      struct px_str sha256)
{
    px_json_begin_object(w);
    px_json_member_str(w, "path", path);
    px_json_member_u64(w, "size", size);
    px_json_member_str(w, "sha256", sha256);
    px_json_end_object(w);
}

static enum px_code put_file(void *context, const char *path, const char *name,
                             const struct stat *st, struct px_err *err)
{
    char hex[PX_SHA256_HEX];
    uint64_t size;
    (void)st;
    enum px_code code = hash_file(path, &size, hex, err);
    if (code == PX_OK)
        put_entry(context, px_str(name), size, px_str(hex));
    return code;
}

static enum px_code put_known(void *context, const char *path, const struct px_manifest_file *file,
                              struct px_err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return px_err_set(err, PX_E_IO, "look at %s: %s", path, strerror(errno));
    put_entry(context, file->path, file->size, file->sha256);
    return check_size(path, (uint64_t)st.st_size, file, err);
}

static enum px_code put_found(const char *folder, struct px_json_writer *w, struct px_err *err)
{
    const struct walk walk = {.context = w, .file = put_file};
    return walk_folder(&walk, folder, "", 0, err);
}

enum px_code px_manifest_put_files(const char *folder, struct px_json_writer *w, struct px_err *err)
{
    const struct visit visit = {.context = w, .file = put_known};
    px_json_key(w, "files");
    px_json_begin_array(w);
    enum px_code code = visit_manifest(folder, &visit, err);
    if (code == PX_E_NOT_FOUND)
        code = put_found(folder, w, err);
    px_json_end_array(w);
    return code;
}

enum px_code px_manifest_write(const char *folder, struct px_err *err)
{
    char path[PATH_MAX];
    struct px_buf text = px_buf(PX_MANIFEST_BYTES_MAX);
    struct px_json_writer w = px_json_writer(&text);
    px_json_begin_object(&w);
    px_json_key(&w, "files");
    px_json_begin_array(&w);
    enum px_code code = put_found(folder, &w, err);
    px_json_end_array(&w);
    px_json_end_object(&w);
    if (code == PX_OK)
        code = px_buf_check(&text, "the manifest", err);
    if (code == PX_OK)
        code = join(path, folder, PX_MANIFEST_FILE, err);
    if (code == PX_OK)
        code = px_file_write(path, px_buf_view(&text), err);
    px_buf_deinit(&text);
    return code;
}

/* ---- stamps ---- */

static uint64_t stamp_of(const char *name, const struct stat *st)
{
    const uint64_t seen[] = {(uint64_t)st->st_size,        (uint64_t)st->st_ino,
                             (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
                             (uint64_t)st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec};
    uint64_t hash = px_hash_content(name, strlen(name));
    return hash ^ px_hash_content(seen, sizeof seen) * 0x9e3779b97f4a7c15u;
}

static enum px_code add_stamp(void *context, const char *path, const char *name,
                              const struct stat *st, struct px_err *err)
{
    uint64_t *sum = context;
    (void)path;
    (void)err;
    *sum += stamp_of(name, st); /* in whatever order they come */
    return PX_OK;
}

/* Of the manifest what it says, too: then new bytes are noticed even where times and numbers of files are kept or coarse. */
static uint64_t stamp_of_manifest(const char *folder)
{
    char path[PATH_MAX];
    struct stat st;
    struct px_file file = {0};
    if (join(path, folder, PX_MANIFEST_FILE, NULL) != PX_OK || stat(path, &st) != 0)
        return 0;
    uint64_t stamp = stamp_of(PX_MANIFEST_FILE, &st);
    if (px_file_load(&file, path, PX_MANIFEST_BYTES_MAX, NULL) == PX_OK)
        stamp += px_hash_content(file.bytes.ptr, file.bytes.len);
    px_file_unload(&file);
    return stamp;
}

uint64_t px_manifest_stamp(const char *path)
{
    uint64_t sum = 0;
    struct stat st;
    const struct walk walk = {.context = &sum, .file = add_stamp};
    if (stat(path, &st) != 0)
        return 0;
    if (!S_ISDIR(st.st_mode))
        return stamp_of("", &st) | 1;
    if (walk_folder(&walk, path, "", 0, NULL) != PX_OK)
        return 1;
    return (sum + stamp_of_manifest(path)) | 1;
}
