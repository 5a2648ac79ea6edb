/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file: open its partial file (one writer at a time, also among processes), hash what is there, read the rest, compare, rename.
 *
 * A file whose hash is wrong begins anew once, if some of it was there before: the store may have another file now than the one that the first
 * part was of. One that came whole and is wrong is refused: the index and the files do not fit.
 */
#include "application/fetching/fetch.h"

#include "shared/clock.h"
#include "shared/log.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { FETCH_ATTEMPTS_MAX = 5, PIECE_BYTES = 1 << 16, PROGRESS_BYTES = 1 << 16 };

static const uint64_t first_pause_ns = 200 * PX_NS_PER_MS, last_pause_ns = 5 * PX_NS_PER_S,
                      tick_ns = 50 * PX_NS_PER_MS;

/* A file on its way. */
struct incoming {
    const struct px_fetch_job *job;
    const struct px_manifest_file *file;
    struct px_partial_file partial;
    struct px_sha256 sha; /* of what the partial file holds */
    uint64_t n_old;       /* of it, what was there before */
    struct px_err failed; /* why we would take no more; code PX_OK: we would */
};

static bool is_stopping(const struct px_fetch_job *job)
{
    /* A flag of its own: nothing else is published by it. */
    return atomic_load_explicit(job->stopping, memory_order_relaxed);
}

static void count(_Atomic uint64_t *cell, uint64_t n)
{
    atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
}

static enum px_code fail_stopping(struct px_err *err)
{
    return px_err_set(err, PX_E_CANCELLED, "the server is stopping");
}

/* False when the server stops. */
static bool pause_for(const struct px_fetch_job *job, uint64_t ns)
{
    for (uint64_t slept_ns = 0; slept_ns < ns && !is_stopping(job); slept_ns += tick_ns) {
        const struct timespec tick = px_clock_timespec(tick_ns);
        (void)nanosleep(&tick, NULL);
    }
    return !is_stopping(job);
}

/* ---- the partial file ---- */

static enum px_code fail_file(struct incoming *in, struct px_err *err, const char *what)
{
    int why = errno;
    px_err_set(err, PX_E_IO, "%s %s: %s", what, in->partial.path, strerror(why));
    if (why == ENOSPC || why == EDQUOT)
        return px_err_hint(err, "make room on the disk, or lower repository.cache_bytes_max");
    return err ? err->code : PX_E_IO;
}

static enum px_code begin_anew(struct incoming *in, struct px_err *err)
{
    in->sha = px_sha256();
    in->n_old = 0;
    in->partial.size = 0;
    if (ftruncate(in->partial.fd, 0) != 0 || lseek(in->partial.fd, 0, SEEK_SET) < 0)
        return fail_file(in, err, "empty");
    return PX_OK;
}

static enum px_code hash_what_is_there(struct incoming *in, struct px_err *err)
{
    char piece[PIECE_BYTES];
    ssize_t n;
    if (in->partial.size > in->file->size)
        return begin_anew(in, err);
    in->sha = px_sha256();
    while ((n = read(in->partial.fd, piece, sizeof piece)) > 0 && !is_stopping(in->job))
        px_sha256_add(&in->sha, px_str_n(piece, (size_t)n));
    if (n < 0)
        return fail_file(in, err, "read");
    in->n_old = in->partial.size;
    count(&in->job->counts->resumed_bytes, in->n_old);
    return is_stopping(in->job) ? fail_stopping(err) : PX_OK;
}

/* ---- what the store calls ---- */

static bool begin(void *context, const struct px_store_object *object)
{
    struct incoming *in = context;
    if (object->offset != in->partial.size) {
        PX_ASSERT(object->offset == 0);
        if (begin_anew(in, &in->failed) != PX_OK)
            return false;
    }
    if (strcmp(object->tag, in->partial.tag) != 0)
        px_partial_file_set_tag(&in->partial, object->tag);
    return true;
}

static bool take(void *context, struct px_str bytes)
{
    struct incoming *in = context;
    if (bytes.len > in->file->size - in->partial.size) {
        px_err_set(&in->failed, PX_E_CORRUPT, "it has more bytes than the index says: %llu",
                   (unsigned long long)in->file->size);
        return false;
    }
    count(&in->job->counts->bytes, bytes.len);
    px_sha256_add(&in->sha, bytes);
    for (struct px_str rest = bytes; rest.len > 0;) {
        ssize_t n = write(in->partial.fd, rest.ptr, rest.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            (void)fail_file(in, &in->failed, "write");
            return false;
        }
        rest = px_str_n(rest.ptr + n, rest.len - (size_t)n);
    }
    in->partial.size += bytes.len;
    return true;
}

static bool goes_on(void *context)
{
    const struct incoming *in = context;
    return !is_stopping(in->job);
}

/* ---- one file ---- */

static enum px_code read_rest(struct incoming *in, struct px_str path, struct px_err *err)
{
    const struct px_store_read read = {
        .path = path,
        .offset = in->partial.size,
        .tag = in->partial.tag[0] ? in->partial.tag : NULL,
        .bytes_max = in->file->size,
        .begin = begin,
        .take = take,
        .goes_on = goes_on,
        .context = in,
    };
    bool is_same;
    in->failed.code = PX_OK;
    if (in->partial.size == in->file->size && in->file->size > 0)
        return PX_OK;
    enum px_code code = px_model_store_read(in->job->store, &read, &is_same, err);
    if (in->failed.code) {
        *err = in->failed;
        return err->code;
    }
    if (code == PX_E_TOO_LARGE)
        return px_err_set(err, PX_E_CORRUPT, "it has more bytes than the index says: %llu",
                          (unsigned long long)in->file->size);
    if (code == PX_OK && in->partial.size < in->file->size)
        code = px_err_set(err, PX_E_CORRUPT, "it has %llu bytes, the index says %llu",
                          (unsigned long long)in->partial.size, (unsigned long long)in->file->size);
    return code;
}

static enum px_code check_content(const struct incoming *in, struct px_err *err)
{
    char hex[PX_SHA256_HEX];
    struct px_sha256 sha = in->sha;
    px_sha256_end(&sha, hex);
    if (px_str_is(in->file->sha256, hex))
        return PX_OK;
    px_err_set(err, PX_E_CORRUPT, "its SHA-256 is %.12s..., the index says %.12s...", hex,
               in->file->sha256.ptr);
    return px_err_hint(err, "write the index again (phoenix publish --index) after the files have "
                            "changed");
}

static bool may_be_better(enum px_code code)
{
    return code == PX_E_UNAVAILABLE || code == PX_E_DEADLINE || code == PX_E_LIMITED ||
           code == PX_E_TIMEOUT;
}

/* Reads until the file is whole and right, or cannot be had. */
static enum px_code bring(struct incoming *in, struct px_str path, struct px_err *err)
{
    uint64_t pause_ns = first_pause_ns;
    bool has_begun_anew = false;
    for (unsigned attempt = 1;;) {
        uint64_t before = in->partial.size;
        enum px_code code = read_rest(in, path, err);
        if (code == PX_OK)
            code = check_content(in, err);
        if (code == PX_E_CORRUPT && in->n_old > 0 && !has_begun_anew) {
            has_begun_anew = true;
            px_log_err(PX_LOG_INFO, "fetch.begins_anew", err);
            if (begin_anew(in, err) != PX_OK)
                return err->code;
            px_partial_file_set_tag(&in->partial, "");
            continue;
        }
        if (!may_be_better(code))
            return code;
        if (in->partial.size > before + PROGRESS_BYTES) {
            attempt = 1;
            pause_ns = first_pause_ns;
        } else if (++attempt > FETCH_ATTEMPTS_MAX) {
            return code;
        }
        count(&in->job->counts->retries, 1);
        in->n_old = in->partial.size; /* its bytes may be of another answer than those to come */
        if (!pause_for(in->job, pause_ns))
            return fail_stopping(err);
        pause_ns = 2 * pause_ns < last_pause_ns ? 2 * pause_ns : last_pause_ns;
    }
}

static enum px_code open_incoming(struct incoming *in, struct px_err *err)
{
    enum px_code code;
    while ((code = px_model_cache_open_partial(in->job->cache, in->file, &in->partial, err)) ==
           PX_E_CONFLICT) {
        if (!pause_for(in->job, tick_ns))
            return fail_stopping(err);
        if (px_model_cache_has_blob(in->job->cache, in->file))
            return PX_E_CONFLICT; /* somebody else has brought it */
    }
    return code;
}

static enum px_code fetch_file(const struct px_fetch_job *job, struct px_cache_room *room,
                               const struct px_manifest_file *file, struct px_err *err)
{
    struct incoming in = {.job = job, .file = file};
    struct px_buf path = px_buf(2 * PX_STORE_PATH_MAX + 2);
    if (px_model_cache_has_blob(job->cache, file))
        return PX_OK;
    px_buf_printf(&path, "%.*s/%.*s", (int)job->folder.len, job->folder.ptr, (int)file->path.len,
                  file->path.ptr);
    enum px_code code = px_buf_check(&path, "the path of a file", err);
    if (code == PX_OK)
        code = open_incoming(&in, err);
    if (code != PX_OK) {
        px_buf_deinit(&path);
        return code == PX_E_CONFLICT ? PX_OK : code;
    }
    code = hash_what_is_there(&in, err);
    if (code == PX_OK)
        code = bring(&in, px_buf_view(&path), err);
    if (code == PX_OK)
        code = px_model_cache_keep_partial(job->cache, room, &in.partial, file, err);
    else
        px_model_cache_close_partial(&in.partial, code == PX_E_CORRUPT);
    px_buf_deinit(&path);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "%.*s", PX_STR_ARG(file->path));
}

/* ---- a version ---- */

static enum px_code fetch_files(const struct px_fetch_job *job, struct px_cached_version **ret,
                                struct px_err *err)
{
    struct px_cache_room room;
    enum px_code code = px_model_cache_enter(job->cache, &room, &job->files, err);
    if (code != PX_OK)
        return code;
    for (size_t i = 0; i < job->files.n && code == PX_OK; i++)
        code = fetch_file(job, &room, &job->files.list[i], err);
    if (code == PX_OK)
        code = px_model_cache_make_version(job->cache, &job->files, ret, err);
    px_model_cache_leave(job->cache, &room);
    return code;
}

enum px_code px_fetch_version(const struct px_fetch_job *job, struct px_cached_version **ret,
                              struct px_err *err)
{
    struct px_err own = {0};
    uint64_t started_ns = px_clock_monotonic_ns();
    enum px_code code = fetch_files(job, ret, err ? err : &own);
    count(code == PX_OK ? &job->counts->fetches : &job->counts->failed, 1);
    count(&job->counts->ns, px_clock_monotonic_ns() - started_ns);
    return code;
}
