/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole files are read, not mapped: a mapping of a file that another process cuts short ends this process
 * with SIGBUS at the next touch, and one that is written meanwhile shows a mix of old and new. The price is
 * the copy, and memory that the system cannot take back until px_file_unload.
 */
#include "shared/file.h"

#include "shared/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the system said about `verb` on `path`. */
static enum px_code fail_errno(struct px_err *err, const char *verb, const char *path)
{
    int number = errno;
    bool absent = number == ENOENT || number == ENOTDIR;
    return px_err_set(err, absent ? PX_E_NOT_FOUND : PX_E_IO, "cannot %s '%s': %s", verb, path,
                      strerror(number));
}

static void close_quietly(int fd)
{
    int saved = errno;
    close(fd);
    errno = saved;
}

/* ---- whole files in memory ---- */

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static enum px_code fail_changed(struct px_err *err, const char *path)
{
    px_err_set(err, PX_E_IO, "'%s' changed while it was read", path);
    return px_err_hint(err, "try again; whoever writes it should write a new file beside it and "
                            "rename that");
}

/*
 * One call copies as much as it is asked for before the kernel lets another thread have the core, unless it is built to be preempted there: asked for
 * 200 MB at once, threads that share the core were woken up to milliseconds late, at the lowest priority of the reader too.
 */
enum { LOAD_CHUNK = 256 * 1024 };

/* Exactly `size` bytes, and then the look that tells whether they belong together. */
static enum px_code fill(char *to, int fd, const char *path, const struct stat *before,
                         struct px_err *err)
{
    struct stat after;
    size_t size = (size_t)before->st_size, at = 0;
    while (at < size) {
        ssize_t n = read(fd, to + at, size - at < LOAD_CHUNK ? size - at : LOAD_CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(err, "read", path);
        if (n == 0)
            return fail_changed(err, path);
        at += (size_t)n;
    }
    if (fstat(fd, &after) != 0)
        return fail_errno(err, "look at", path);
    bool same = after.st_size == before->st_size && same_time(after.st_mtim, before->st_mtim);
    return same ? PX_OK : fail_changed(err, path);
}

static enum px_code load_open(struct px_file *file, int fd, const char *path, size_t max,
                              struct px_err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return fail_errno(err, "look at", path);
    if (!S_ISREG(info.st_mode))
        return px_err_set(err, PX_E_INVALID, "expected a file, got %s '%s'",
                          S_ISDIR(info.st_mode) ? "the folder" : "a device or pipe at", path);
    size_t size = (size_t)info.st_size;
    if (size > max)
        return px_err_set(err, PX_E_TOO_LARGE, "'%s' has %zu bytes; the limit is %zu", path, size,
                          max);
    *file = (struct px_file){.bytes = {"", 0}};
    if (size == 0)
        return PX_OK;
    char *bytes = px_realloc(NULL, size, 1); /* every byte is written: no need for zeros */
    if (!bytes)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the %zu bytes of '%s'", size, path);
    enum px_code code = fill(bytes, fd, path, &info, err);
    if (code == PX_OK)
        file->bytes = px_str_n(bytes, size);
    else
        px_free(bytes);
    return code;
}

enum px_code px_file_load(struct px_file *file, const char *path, size_t max, struct px_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(err, "open", path);
    enum px_code code = load_open(file, fd, path, max, err);
    close_quietly(fd);
    return code;
}

void px_file_unload(struct px_file *file)
{
    union {
        const char *bytes;
        void *address;
    } start = {file->bytes.ptr}; /* px_free wants the const cast away */
    if (file->bytes.len)
        px_free(start.address);
    *file = (struct px_file){0};
}

/* ---- reading ---- */

enum { READ_CHUNK = 64 * 1024 };

static enum px_code read_open(int fd, const char *path, struct px_buf *buf, struct px_err *err)
{
    for (;;) {
        /* One byte is asked for even when the buffer is full, to tell a full buffer from a long file. */
        size_t room = buf->max - buf->len;
        char extra;
        char *to = room ? px_buf_reserve(buf, room < READ_CHUNK ? room : READ_CHUNK) : &extra;
        if (!to)
            return px_err_set(err, PX_E_NO_MEMORY, "no memory to read '%s'", path);
        size_t wanted = room == 0 ? 1 : room < READ_CHUNK ? room : READ_CHUNK;
        ssize_t n = read(fd, to, wanted);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_errno(err, "read", path);
        if (n == 0)
            break;
        if (room == 0)
            return px_err_set(err, PX_E_TOO_LARGE, "'%s' is longer than %zu bytes", path, buf->max);
        buf->len += (size_t)n;
    }
    px_buf_append(buf, "", 0); /* the NUL after the contents */
    return PX_OK;
}

enum px_code px_file_read(const char *path, struct px_buf *buf, struct px_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "open", path);
    enum px_code code = read_open(fd, path, buf, err);
    close_quietly(fd);
    return code;
}

/* ---- writing ---- */

static bool write_all(int fd, struct px_str bytes)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes = px_str_n(bytes.ptr + n, bytes.len - (size_t)n);
    }
    return true;
}

/* Length of the folder part of `path`, without the last slash unless it is the root. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return 0;
    return slash == path ? 1 : (size_t)(slash - path);
}

/* Makes a rename in the folder of `path` durable. Some file systems cannot sync folders: fine. */
static enum px_code sync_folder(const char *path, struct px_err *err)
{
    char folder[PATH_MAX];
    size_t len = folder_length(path);
    snprintf(folder, sizeof folder, "%.*s", len ? (int)len : 1, len ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "open", folder);
    bool synced = fsync(fd) == 0 || errno == EINVAL;
    close_quietly(fd);
    return synced ? PX_OK : fail_errno(err, "sync", folder);
}

/* Opens a fresh file beside `path`; its name goes to `temporary`. */
static int open_temporary(const char *path, char temporary[PATH_MAX])
{
    static _Atomic unsigned serial;
    for (int attempt = 0; attempt < 100; attempt++) {
        unsigned n = atomic_fetch_add_explicit(&serial, 1, memory_order_relaxed);
        int len = snprintf(temporary, PATH_MAX, "%s.tmp-%ld-%u", path, (long)getpid(), n);
        if (len >= PATH_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

enum px_code px_file_write(const char *path, struct px_str bytes, struct px_err *err)
{
    char temporary[PATH_MAX];
    int fd = open_temporary(path, temporary);
    if (fd < 0)
        return fail_errno(err, "create", path);
    bool written = write_all(fd, bytes) && fsync(fd) == 0;
    if (written)
        written = close(fd) == 0;
    else
        close_quietly(fd);
    if (!written || rename(temporary, path) != 0) {
        enum px_code code = fail_errno(err, "write", path);
        unlink(temporary);
        return code;
    }
    return sync_folder(path, err);
}

/* ---- folders ---- */

static enum px_code make_folder(const char *path, struct px_err *err)
{
    if (mkdir(path, 0777) == 0)
        return PX_OK;
    int number = errno; /* EROFS and EACCES also come for folders that are there */
    if (px_file_kind(path) == PX_FILE_FOLDER)
        return PX_OK;
    errno = number;
    return fail_errno(err, "create the folder", path);
}

enum px_code px_file_mkdirs(const char *path, struct px_err *err)
{
    char partial[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof partial)
        return px_err_set(err, PX_E_INVALID, "expected a folder of 1 to %zu bytes, got %zu",
                          sizeof partial - 1, len);
    memcpy(partial, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (partial[i] != '/' || partial[i - 1] == '/')
            continue;
        partial[i] = '\0';
        enum px_code code = make_folder(partial, err);
        if (code != PX_OK)
            return code;
        partial[i] = '/';
    }
    return make_folder(path, err);
}

enum px_file_kind px_file_kind(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return PX_FILE_ABSENT;
    if (S_ISREG(info.st_mode))
        return PX_FILE_REGULAR;
    return S_ISDIR(info.st_mode) ? PX_FILE_FOLDER : PX_FILE_OTHER;
}

uint64_t px_file_size(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0;
}

enum px_code px_file_fail_absent(const char *path, struct px_err *err)
{
    struct stat info;
    int number = stat(path, &info) == 0 ? ENOENT : errno; /* 0: it came meanwhile */
    if (number == ENOENT || number == ENOTDIR)
        return px_err_set(err, PX_E_NOT_FOUND, "there is no file or folder '%s'", path);
    return px_err_set(err, PX_E_IO, "cannot open '%s': %s", path, strerror(number));
}

/* ---- paths that a file names ---- */

static bool is_plain_relative(struct px_str path)
{
    if (path.len == 0 || path.ptr[0] == '/' || memchr(path.ptr, '\0', path.len))
        return false;
    while (path.ptr) {
        if (px_str_is(px_str_cut(&path, '/'), ".."))
            return false;
    }
    return true;
}

/* Both resolved. */
static bool lies_below(const char *folder, const char *path)
{
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || n == 1);
}

enum px_code px_file_resolve_inside(struct px_str folder, struct px_str name, char *path,
                                    struct px_err *err)
{
    char joined[PATH_MAX], outer[PATH_MAX];
    if (!is_plain_relative(name))
        return px_err_set(err, PX_E_INVALID, "'%.*s' must be a path inside the folder '%.*s'",
                          PX_STR_ARG(name), PX_STR_ARG(folder));
    if (folder.len >= PATH_MAX || name.len >= PATH_MAX - folder.len - 1)
        return px_err_set(err, PX_E_INVALID, "the path '%.*s' has more than %d bytes",
                          PX_STR_ARG(name), PATH_MAX - 1);
    snprintf(joined, sizeof joined, "%.*s", PX_STR_ARG(folder));
    if (!realpath(joined, outer))
        return px_file_fail_absent(joined, err);
    snprintf(joined, sizeof joined, "%.*s/%.*s", PX_STR_ARG(folder), PX_STR_ARG(name));
    if (!realpath(joined, path))
        return px_file_fail_absent(joined, err);
    if (lies_below(outer, path))
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "'%.*s' links to a file outside the folder '%.*s'",
                      PX_STR_ARG(name), PX_STR_ARG(folder));
}

bool px_file_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}
