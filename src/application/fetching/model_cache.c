/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of the disk cache is its own and only record: nothing about it is kept elsewhere, so nothing can be wrong after a crash.
 *
 * Killed at any moment
 *   while bytes come          the partial file goes on from where it ended; its hash is taken anew from what is there
 *   before its rename         as above: it is whole, is hashed again, and renamed
 *   before the version        blobs without a version: used by the next fetch, or the first to go
 *   while links are made      a folder versions/.N..., which the next process takes away
 *   while a version goes      the same: it is renamed to such a name before the first file goes
 * A machine that loses power may leave a partial file with other bytes than were written; its hash tells.
 *
 * Who may write a partial file is said by a lock on the file itself (flock), and which versions are held by ranges of the file `lock`, one byte for each
 * version, at a place that its key gives: the kernel gives both back when a process ends, however it ends. One descriptor is enough for any number of versions.
 *
 * Rejected: a database of what is there (another thing to recover); symbolic links for hard links (a package's files must lie in its folder,
 * and a count of links is a count of uses).
 */
#include "application/fetching/model_cache_impl.h"

#include "shared/file.h"
#include "shared/log.h"
#include "shared/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WALK_FILES = 16,
    KEY_DIGITS = 15,
    BEHIND_BYTES = 1 << 20, /* less is read too soon to be worth a thread */
};

static const char *const kinds[] = {"blobs", "versions", "partial", "indexes"};

static enum px_code fail(struct px_err *err, const char *what, const char *path)
{
    int why = errno;
    px_err_set(err, PX_E_IO, "%s %s: %s", what, path, strerror(why));
    if (why == ENOSPC || why == EDQUOT)
        return px_err_hint(err, "make room on the disk, or lower repository.cache_bytes_max");
    return px_err_hint(err, "repository.cache_dir names the folder; the server must be able to "
                            "write there");
}

/* ---- paths and locks ---- */

void px_cache_path(const struct px_model_cache *cache, const char *kind, const char *name,
                   char path[PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "%s/%s/%s", cache->folder, kind, name);
    PX_ASSERT(n > 0 && n < PATH_MAX);
}

void px_cache_temporary(struct px_model_cache *cache, const char *kind, char path[PATH_MAX])
{
    char name[64];
    snprintf(name, sizeof name, ".%ld-%lu", (long)getpid(), ++cache->n_temporary);
    px_cache_path(cache, kind, name, path);
}

static void blob_path(const struct px_model_cache *cache, const struct px_manifest_file *file,
                      char path[PATH_MAX])
{
    char name[PX_SHA256_HEX];
    snprintf(name, sizeof name, "%.*s", PX_STR_ARG(file->sha256));
    px_cache_path(cache, "blobs", name, path);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void px_cache_remove_folder(const char *path)
{
    if (nftw(path, remove_entry, WALK_FILES, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        px_log(PX_LOG_WARN, "cache.files_left", PX_LOG_T("folder", path),
               PX_LOG_T("reason", strerror(errno)));
}

static bool lock_range(const struct px_model_cache *cache, off_t at, short type)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return fcntl(cache->lock, F_OFD_SETLK, &range) == 0;
}

bool px_cache_lock(const struct px_model_cache *cache, const char *key, short type)
{
    char digits[KEY_DIGITS + 1];
    snprintf(digits, sizeof digits, "%.*s", KEY_DIGITS, key);
    return lock_range(cache, 1 + (off_t)strtoll(digits, NULL, 16), type);
}

bool px_cache_lock_all(const struct px_model_cache *cache, short type)
{
    return lock_range(cache, 0, type);
}

/* ---- life ---- */

static enum px_code make_folders(struct px_model_cache *cache, struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; i < PX_ARRAY_LEN(kinds) && code == PX_OK; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", cache->folder, kinds[i]);
        code = px_file_mkdirs(path, err);
    }
    if (code != PX_OK)
        return px_err_hint(err, "repository.cache_dir names the folder of fetched models; the "
                                "server must be able to write there");
    return PX_OK;
}

static enum px_code open_lock(struct px_model_cache *cache, struct px_err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/lock", cache->folder);
    cache->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (cache->lock < 0)
        return fail(err, "open", path);
    if (px_cache_lock_all(cache, F_WRLCK))
        px_cache_sweep(cache);
    /* From a lock for one to a lock for many in one step. Where locks cannot be had, processes share without. */
    if (!px_cache_lock_all(cache, F_RDLCK))
        px_log(PX_LOG_WARN, "cache.not_locked", PX_LOG_T("file", path),
               PX_LOG_T("reason", strerror(errno)));
    return PX_OK;
}

enum px_code px_model_cache_open(const char *folder, uint64_t bytes_max,
                                 struct px_model_cache **ret, struct px_err *err)
{
    struct px_model_cache *cache = px_alloc(1, sizeof *cache);
    if (!cache)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the cache of models");
    cache->bytes_max = bytes_max;
    cache->lock = -1;
    pthread_mutex_init(&cache->mutex, NULL);
    enum px_code code = PX_OK;
    if ((size_t)snprintf(cache->folder, sizeof cache->folder, "%s", folder) >= sizeof cache->folder)
        code = px_err_set(err, PX_E_INVALID, "repository.cache_dir: a path of more than %d bytes",
                          PX_CACHE_FOLDER_MAX - 1);
    if (code == PX_OK)
        code = make_folders(cache, err);
    if (code == PX_OK)
        code = open_lock(cache, err);
    if (code != PX_OK) {
        px_model_cache_close(cache);
        return code;
    }
    (void)px_cache_count(cache);
    *ret = cache;
    return PX_OK;
}

void px_model_cache_close(struct px_model_cache *cache)
{
    if (!cache)
        return;
    PX_ASSERT(!cache->held && !cache->rooms);
    if (cache->lock >= 0)
        close(cache->lock);
    pthread_mutex_destroy(&cache->mutex);
    px_free(cache);
}

const struct px_model_cache_counts *px_model_cache_counts(const struct px_model_cache *cache)
{
    return &cache->counts;
}

uint64_t px_model_cache_bytes_max(const struct px_model_cache *cache)
{
    return cache->bytes_max;
}

/* ---- holding ---- */

/* With the mutex held. */
static struct px_cached_version *find_held(struct px_model_cache *cache, const char *key)
{
    struct px_cached_version *version = cache->held;
    while (version && strcmp(version->key, key) != 0)
        version = version->next;
    return version;
}

/* With the mutex held. */
static enum px_code hold(struct px_model_cache *cache, const char *key, const char *path,
                         struct px_cached_version **ret, struct px_err *err)
{
    struct px_cached_version *version = find_held(cache, key);
    size_t size = strlen(path) + 1;
    if (!version) {
        version = px_alloc(1, sizeof *version + size);
        if (!version)
            return px_err_set(err, PX_E_NO_MEMORY, "no memory to use a fetched model");
        version->cache = cache;
        memcpy(version->key, key, sizeof version->key);
        memcpy(version->path, path, size);
        version->next = cache->held;
        cache->held = version;
        (void)px_cache_lock(cache, key, F_RDLCK); /* without it others may have to fetch again */
    }
    version->n_holders++;
    *ret = version;
    return PX_OK;
}

struct px_cached_version *px_cached_version_retain(struct px_cached_version *version)
{
    pthread_mutex_lock(&version->cache->mutex);
    version->n_holders++;
    pthread_mutex_unlock(&version->cache->mutex);
    return version;
}

void px_cached_version_release(struct px_cached_version *version)
{
    if (!version)
        return;
    struct px_model_cache *cache = version->cache;
    pthread_mutex_lock(&cache->mutex);
    bool is_last = --version->n_holders == 0;
    if (is_last) {
        struct px_cached_version **at = &cache->held;
        while (*at != version)
            at = &(*at)->next;
        *at = version->next;
        (void)px_cache_lock(cache, version->key, F_UNLCK);
    }
    pthread_mutex_unlock(&cache->mutex);
    if (is_last)
        px_free(version);
}

const char *px_cached_version_path(const struct px_cached_version *version)
{
    return version->path;
}

/* ---- taking ---- */

static bool file_path(const char *folder, const struct px_manifest_file *file, char path[PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "%s/%.*s", folder, (int)file->path.len, file->path.ptr);
    return n > 0 && n < PATH_MAX;
}

static bool has_size(const char *path, uint64_t size)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size == size;
}

/* Out of sight first, so that nobody takes half of it. With the mutex held. */
static void remove_version(struct px_model_cache *cache, const char *folder)
{
    char gone[PATH_MAX];
    px_cache_temporary(cache, "versions", gone);
    if (rename(folder, gone) == 0)
        px_cache_remove_folder(gone);
}

bool px_cached_version_distrust(struct px_cached_version *version,
                                const struct px_version_files *files)
{
    struct px_model_cache *cache = version->cache;
    bool is_wrong = false;
    if (strcmp(version->key, files->key) != 0)
        return false; /* the index has other files meanwhile */
    for (size_t i = 0; i < files->n; i++) {
        char path[PATH_MAX], blob[PATH_MAX];
        struct px_err err;
        if (!file_path(version->path, &files->list[i], path) ||
            px_manifest_check_file(path, &files->list[i], &err) == PX_OK)
            continue;
        px_log_err(PX_LOG_WARN, "cache.damaged", &err);
        blob_path(cache, &files->list[i], blob);
        (void)unlink(blob);
        is_wrong = true;
    }
    pthread_mutex_lock(&cache->mutex);
    if (is_wrong)
        remove_version(cache, version->path);
    pthread_mutex_unlock(&cache->mutex);
    return is_wrong;
}

struct verification {
    struct px_cached_version *version;
    const struct px_version_files *files;
    bool is_wrong;
};

static void do_verify(void *argument)
{
    struct verification *v = argument;
    v->is_wrong = px_cached_version_distrust(v->version, v->files);
}

/* What lies on a disk for months is read before it is believed; much of it, behind those who answer. */
static bool is_damaged(struct px_cached_version *version, const struct px_version_files *files)
{
    struct verification v = {.version = version, .files = files};
    uint64_t bytes = 0;
    for (size_t i = 0; i < files->n; i++)
        bytes += files->list[i].size;
    px_thread_run_behind(bytes >= BEHIND_BYTES ? PX_STANDING_BEHIND : PX_STANDING_EQUAL, do_verify,
                         &v);
    return v.is_wrong;
}

enum px_code px_model_cache_take(struct px_model_cache *cache, const struct px_version_files *files,
                                 struct px_cached_version **ret, struct px_err *err)
{
    char folder[PATH_MAX];
    px_cache_path(cache, "versions", files->key, folder);
    pthread_mutex_lock(&cache->mutex);
    enum px_code code = px_file_kind(folder) == PX_FILE_FOLDER
                            ? hold(cache, files->key, folder, ret, err)
                            : px_err_set(err, PX_E_NOT_FOUND, "the version is not in the cache");
    pthread_mutex_unlock(&cache->mutex);
    if (code != PX_OK)
        return code;
    if (!is_damaged(*ret, files)) {
        (void)utimensat(AT_FDCWD, folder, NULL, 0); /* it was used now */
        return PX_OK;
    }
    px_cached_version_release(*ret);
    *ret = NULL;
    return px_err_set(err, PX_E_NOT_FOUND, "the version is damaged in the cache");
}

/* ---- fetching ---- */

bool px_model_cache_has_blob(const struct px_model_cache *cache,
                             const struct px_manifest_file *file)
{
    char path[PATH_MAX];
    blob_path(cache, file, path);
    return has_size(path, file->size);
}

enum px_code px_model_cache_enter(struct px_model_cache *cache, struct px_cache_room *room,
                                  const struct px_version_files *files, struct px_err *err)
{
    uint64_t whole = 0;
    *room = (struct px_cache_room){.files = *files};
    for (size_t i = 0; i < files->n; i++)
        whole += files->list[i].size;
    if (cache->bytes_max && whole > cache->bytes_max) {
        px_err_set(err, PX_E_TOO_LARGE, "its files have %llu bytes, the cache may have %llu",
                   (unsigned long long)whole, (unsigned long long)cache->bytes_max);
        return px_err_hint(err, "raise repository.cache_bytes_max");
    }
    pthread_mutex_lock(&cache->mutex);
    for (size_t i = 0; i < files->n; i++)
        room->left += px_model_cache_has_blob(cache, &files->list[i]) ? 0 : files->list[i].size;
    room->next = cache->rooms;
    cache->rooms = room;
    enum px_code code = px_cache_make_room(cache, err);
    if (code != PX_OK) {
        cache->rooms = room->next;
        (void)px_cache_count(cache); /* without what was refused */
    }
    pthread_mutex_unlock(&cache->mutex);
    return code;
}

void px_model_cache_leave(struct px_model_cache *cache, struct px_cache_room *room)
{
    pthread_mutex_lock(&cache->mutex);
    struct px_cache_room **at = &cache->rooms;
    while (*at != room)
        at = &(*at)->next;
    *at = room->next;
    (void)px_cache_count(cache);
    pthread_mutex_unlock(&cache->mutex);
}

/* ---- partial files ---- */

static void read_tag(struct px_partial_file *partial)
{
    char path[PATH_MAX + 8];
    ssize_t n = -1;
    snprintf(path, sizeof path, "%s.tag", partial->path);
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file >= 0) {
        n = read(file, partial->tag, sizeof partial->tag - 1);
        close(file);
    }
    partial->tag[n > 0 ? n : 0] = '\0';
}

void px_partial_file_set_tag(struct px_partial_file *partial, const char *tag)
{
    char path[PATH_MAX + 8];
    struct px_err err;
    snprintf(path, sizeof path, "%s.tag", partial->path);
    snprintf(partial->tag, sizeof partial->tag, "%s", tag);
    (void)unlink(path);
    if (tag[0] && px_file_write(path, px_str(partial->tag), &err) != PX_OK)
        px_log_err(PX_LOG_INFO, "cache.tag_not_kept", &err);
}

enum px_code px_model_cache_open_partial(struct px_model_cache *cache,
                                         const struct px_manifest_file *file,
                                         struct px_partial_file *ret, struct px_err *err)
{
    char name[PX_SHA256_HEX];
    struct stat here, there;
    snprintf(name, sizeof name, "%.*s", PX_STR_ARG(file->sha256));
    *ret = (struct px_partial_file){.fd = -1};
    px_cache_path(cache, "partial", name, ret->path);
    ret->fd = open(ret->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (ret->fd < 0)
        return fail(err, "open", ret->path);
    /* Who had it may have finished or removed it between our open and our lock. */
    if (flock(ret->fd, LOCK_EX | LOCK_NB) != 0 || fstat(ret->fd, &here) != 0 ||
        stat(ret->path, &there) != 0 || here.st_ino != there.st_ino) {
        close(ret->fd);
        return px_err_set(err, PX_E_CONFLICT, "%s is being fetched by somebody else", name);
    }
    ret->size = (uint64_t)here.st_size;
    read_tag(ret);
    return PX_OK;
}

static void forget_tag(const struct px_partial_file *partial)
{
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s.tag", partial->path);
    (void)unlink(path);
}

void px_model_cache_close_partial(struct px_partial_file *partial, bool wrong)
{
    if (wrong || partial->size == 0) {
        forget_tag(partial);
        (void)unlink(partial->path);
    }
    close(partial->fd);
}

enum px_code px_model_cache_keep_partial(struct px_model_cache *cache, struct px_cache_room *room,
                                         struct px_partial_file *partial,
                                         const struct px_manifest_file *file, struct px_err *err)
{
    char path[PATH_MAX];
    blob_path(cache, file, path);
    enum px_code code = fsync(partial->fd) == 0 ? PX_OK : fail(err, "write", partial->path);
    pthread_mutex_lock(&cache->mutex);
    if (code == PX_OK && rename(partial->path, path) != 0)
        code = fail(err, "rename to", path);
    if (code == PX_OK) /* it is counted where it is now */
        room->left -= room->left < file->size ? room->left : file->size;
    pthread_mutex_unlock(&cache->mutex);
    forget_tag(partial);
    close(partial->fd);
    return code;
}

/* ---- making a version ---- */

static enum px_code link_file(const struct px_model_cache *cache, const char *folder,
                              const struct px_manifest_file *file, struct px_err *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    blob_path(cache, file, from);
    if (!file_path(folder, file, to))
        return px_err_set(err, PX_E_INVALID, "a path of more than %d bytes", PATH_MAX - 1);
    char *slash = strrchr(to, '/');
    *slash = '\0';
    enum px_code code = px_file_mkdirs(to, err);
    *slash = '/';
    if (code != PX_OK || link(from, to) == 0)
        return code;
    if (errno == ENOENT)
        return px_err_set(err, PX_E_UNAVAILABLE, "a file left the cache before all had come");
    return fail(err, "link", to);
}

static void sync_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return;
    (void)fsync(folder); /* what a loss of power takes is fetched again */
    close(folder);
}

/* With the mutex held. */
static enum px_code make_version(struct px_model_cache *cache, const struct px_version_files *files,
                                 const char *path, struct px_err *err)
{
    char temporary[PATH_MAX];
    px_cache_temporary(cache, "versions", temporary);
    if (mkdir(temporary, 0755) != 0)
        return fail(err, "make", temporary);
    enum px_code code = PX_OK;
    for (size_t i = 0; i < files->n && code == PX_OK; i++)
        code = link_file(cache, temporary, &files->list[i], err);
    if (code == PX_OK)
        sync_folder(temporary);
    /* One that is there was made by another process meanwhile, of the same files. */
    if (code == PX_OK && rename(temporary, path) != 0 && errno != ENOTEMPTY && errno != EEXIST)
        code = fail(err, "rename to", path);
    px_cache_remove_folder(temporary);
    return code;
}

enum px_code px_model_cache_make_version(struct px_model_cache *cache,
                                         const struct px_version_files *files,
                                         struct px_cached_version **ret, struct px_err *err)
{
    char path[PATH_MAX];
    px_cache_path(cache, "versions", files->key, path);
    pthread_mutex_lock(&cache->mutex);
    enum px_code code =
        px_file_kind(path) == PX_FILE_FOLDER ? PX_OK : make_version(cache, files, path, err);
    if (code == PX_OK)
        code = hold(cache, files->key, path, ret, err);
    pthread_mutex_unlock(&cache->mutex);
    return code;
}

/* ---- indexes ---- */

static void index_path(const struct px_model_cache *cache, struct px_str name, char path[PATH_MAX])
{
    char hex[PX_SHA256_HEX];
    struct px_sha256 sha = px_sha256();
    px_sha256_add(&sha, name);
    px_sha256_end(&sha, hex);
    px_cache_path(cache, "indexes", hex, path);
}

void px_model_cache_keep_index(struct px_model_cache *cache, struct px_str name, struct px_str text)
{
    char path[PATH_MAX];
    struct px_err err;
    index_path(cache, name, path);
    if (px_file_write(path, text, &err) != PX_OK)
        px_log_err(PX_LOG_WARN, "cache.index_not_kept", &err);
}

enum px_code px_model_cache_read_index(struct px_model_cache *cache, struct px_str name,
                                       struct px_buf *text, struct px_err *err)
{
    char path[PATH_MAX];
    index_path(cache, name, path);
    return px_file_read(path, text, err);
}
