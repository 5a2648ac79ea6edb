/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of entries, each one allocation: the tensors, then their names and bytes. A loop copies into an entry without the mutex and takes it, if nobody
 * holds it, to put the entry in its place. So the mutex is held for moments, by the loader as well, which copies one entry at a time.
 *
 * Entries have numbers, which never come again: who reads while others note goes on behind what it has read, and ends at what was the newest when it
 * began.
 *
 * Rejected: a ring for each loop. Nothing would be shared, but a server of many loops would keep many times as much of its clients' data, or hardly a request
 * in each; and at ten entries a second there is nothing to be gained.
 */
#include "application/serving/recorder.h"

#include "application/ports/engine.h"
#include "shared/alloc.h"

#include <pthread.h>
#include <stdatomic.h>

struct entry {
    size_t size; /* of names and bytes, as charged */
    size_t n_tensors;
    struct px_tensor tensors[];
};

struct px_recorder {
    _Atomic unsigned n_owners;
    _Atomic bool is_full;
    pthread_mutex_t mutex;
    struct entry *ring[PX_RECORDED_MAX]; /* number % PX_RECORDED_MAX */
    uint64_t first, end;                 /* numbers */
    size_t n_bytes;
};

enum px_code px_recorder_create(struct px_recorder **ret, struct px_err *err)
{
    struct px_recorder *recorder = px_alloc(1, sizeof *recorder);
    if (!recorder)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to record requests");
    pthread_mutex_init(&recorder->mutex, NULL);
    recorder->n_owners = 1;
    *ret = recorder;
    return PX_OK;
}

struct px_recorder *px_recorder_share(struct px_recorder *recorder)
{
    atomic_fetch_add_explicit(&recorder->n_owners, 1, memory_order_relaxed);
    return recorder;
}

static void drop_oldest(struct px_recorder *recorder)
{
    struct entry **oldest = &recorder->ring[recorder->first++ % PX_RECORDED_MAX];
    recorder->n_bytes -= (*oldest)->size;
    px_free(*oldest);
    *oldest = NULL;
}

void px_recorder_release(struct px_recorder *recorder)
{
    /* Whatever the others did with it comes before the end. */
    if (!recorder || atomic_fetch_sub_explicit(&recorder->n_owners, 1, memory_order_acq_rel) > 1)
        return;
    while (recorder->first < recorder->end)
        drop_oldest(recorder);
    pthread_mutex_destroy(&recorder->mutex);
    px_free(recorder);
}

/* ---- noting ---- */

bool px_recorder_is_due(struct px_recorder *recorder, uint64_t *at_ns, uint64_t now_ns)
{
    bool is_full = atomic_load_explicit(&recorder->is_full, memory_order_relaxed);
    if (is_full && now_ns < *at_ns)
        return false;
    *at_ns = now_ns + PX_RECORD_PAUSE_NS;
    return true;
}

static struct entry *make_entry(const struct px_tensor *tensors, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        if (tensors[i].bytes.len > PX_RECORDED_BYTES_MAX || size > PX_RECORDED_BYTES_MAX)
            return NULL;
        size += tensors[i].name.len + tensors[i].bytes.len;
    }
    if (n > PX_ENGINE_TENSORS_MAX || size > PX_RECORDED_BYTES_MAX)
        return NULL;
    struct entry *entry = px_alloc(1, sizeof *entry + n * sizeof *entry->tensors + size);
    if (!entry)
        return NULL;
    char *at = (char *)&entry->tensors[n];
    entry->size = size;
    entry->n_tensors = n;
    for (size_t i = 0; i < n; i++) {
        struct px_tensor *tensor = &entry->tensors[i];
        *tensor = tensors[i];
        tensor->name.ptr = at;
        if (tensor->name.len)
            memcpy(at, tensors[i].name.ptr, tensor->name.len);
        at += tensor->name.len;
        tensor->bytes.ptr = at;
        if (tensor->bytes.len)
            memcpy(at, tensors[i].bytes.ptr, tensor->bytes.len);
        at += tensor->bytes.len;
    }
    return entry;
}

static void put_entry(struct px_recorder *recorder, struct entry *entry)
{
    while (recorder->first < recorder->end &&
           (recorder->end - recorder->first == PX_RECORDED_MAX ||
            recorder->n_bytes + entry->size > PX_RECORDED_BYTES_MAX))
        drop_oldest(recorder);
    recorder->ring[recorder->end++ % PX_RECORDED_MAX] = entry;
    recorder->n_bytes += entry->size;
    if (recorder->end - recorder->first == PX_RECORDED_MAX || recorder->first > 0)
        atomic_store_explicit(&recorder->is_full, true, memory_order_relaxed);
}

void px_recorder_note_inputs(struct px_recorder *recorder, const struct px_tensor *inputs, size_t n)
{
    struct entry *entry = make_entry(inputs, n);
    if (!entry)
        return;
    if (pthread_mutex_trylock(&recorder->mutex) != 0) {
        px_free(entry);
        return;
    }
    put_entry(recorder, entry);
    pthread_mutex_unlock(&recorder->mutex);
}

void px_recorder_note_rows(struct px_recorder *recorder, const struct px_matrix *rows)
{
    size_t row_bytes = rows->n_cols * px_datatype_size(rows->type);
    size_t n = row_bytes ? PX_RECORDED_ROWS_BYTES_MAX / row_bytes : 0;
    n = n == 0 ? 1 : n; /* of a wide model at least one */
    if (rows->n_rows == 0 || rows->stride != rows->n_cols)
        return;
    n = rows->n_rows < n ? rows->n_rows : n;
    const struct px_tensor tensor = {.type = rows->type,
                                     .shape = {n, rows->n_cols},
                                     .n_dims = 2,
                                     .bytes = px_str_n(rows->data, n * row_bytes)};
    px_recorder_note_inputs(recorder, &tensor, 1);
}

/* ---- reading ---- */

struct px_recorder_reader px_recorder_read(struct px_recorder *recorder)
{
    pthread_mutex_lock(&recorder->mutex);
    struct px_recorder_reader reader = {recorder, recorder->first, recorder->end};
    pthread_mutex_unlock(&recorder->mutex);
    return reader;
}

/* Aligned for whatever an element is. */
static bool copy_entry(const struct entry *entry, struct px_arena *arena,
                       const struct px_tensor **ret)
{
    struct px_tensor *tensors = px_arena_zalloc(arena, entry->n_tensors + 1, sizeof *tensors);
    for (size_t i = 0; i < entry->n_tensors && tensors; i++) {
        const struct px_tensor *from = &entry->tensors[i];
        char *bytes = px_arena_alloc(arena, from->bytes.len + 1, 1);
        tensors[i] = *from;
        tensors[i].name = px_arena_str(arena, from->name);
        tensors[i].bytes.ptr = bytes;
        if (bytes && from->bytes.len)
            memcpy(bytes, from->bytes.ptr, from->bytes.len);
    }
    *ret = tensors;
    return !arena->failed;
}

bool px_recorder_next(struct px_recorder_reader *reader, struct px_arena *arena,
                      const struct px_tensor **ret, size_t *ret_n)
{
    struct px_recorder *recorder = reader->recorder;
    bool is_there = false;
    pthread_mutex_lock(&recorder->mutex);
    if (reader->at < recorder->first)
        reader->at = recorder->first;
    if (reader->at < reader->end) {
        const struct entry *entry = recorder->ring[reader->at++ % PX_RECORDED_MAX];
        *ret_n = entry->n_tensors;
        is_there = copy_entry(entry, arena, ret);
    }
    pthread_mutex_unlock(&recorder->mutex);
    return is_there;
}
