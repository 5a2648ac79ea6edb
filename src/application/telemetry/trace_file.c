/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of traces: from the loops' rings to files of JSON arrays, in the form that Triton's tools read.
 *
 *   {"id":1,"model_name":"m","model_version":1},
 *   {"id":1,"timestamps":[{"name":"REQUEST_START","ns":...}, ...]},
 *   {"id":2,"model_name":"step","model_version":1,"parent_id":1,"note":"fallback: why"},        the steps of a model that has some
 *   {"id":1,"activity":"TENSOR_QUEUE_INPUT","tensor":{"name":"input","data":"1,2","shape":"1,2","dtype":"FP32"}}
 *
 * Files. FILE holds what is traced with a log_frequency of 0, FILE.0, FILE.1, ... the rest; a change of the setting changes
 * between them. FILE begins anew with the server, and is continued after that.
 *
 * Each write replaces the closing bracket, so a file is whole JSON after it. What could not be written as a whole is taken
 * back, dropped and counted, and the next trace is tried again. The log is told once until one succeeds.
 */
#include "application/telemetry/trace_impl.h"

#include "shared/json.h"
#include "shared/log.h"
#include "shared/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { TRACE_TEXT_MAX = 1 << 16 };

static const char *const point_names[PX_TRACE_POINTS] = {
    [PX_TRACE_RECEIVED] = "HTTP_RECV_END",
    [PX_TRACE_STARTED] = "REQUEST_START",
    [PX_TRACE_QUEUED] = "QUEUE_START",
    [PX_TRACE_COMPUTE_STARTED] = "COMPUTE_START",
    [PX_TRACE_INPUT_ENDED] = "COMPUTE_INPUT_END",
    [PX_TRACE_OUTPUT_STARTED] = "COMPUTE_OUTPUT_START",
    [PX_TRACE_COMPUTE_ENDED] = "COMPUTE_END",
    [PX_TRACE_ENDED] = "REQUEST_END",
};

/* An empty array is "[" and this. */
static const char closing[] = "\n]\n";
enum { CLOSING_LEN = sizeof closing - 1 };

/* ---- text ---- */

static void put_head(struct px_json_writer *w, const struct px_trace_record *record)
{
    uint64_t number;
    struct px_str version = px_str(record->version);
    px_json_begin_object(w);
    px_json_member_u64(w, "id", record->id);
    px_json_member_text(w, "model_name", record->model);
    if (px_str_to_u64(version, &number))
        px_json_member_u64(w, "model_version", number);
    else
        px_json_member_str(w, "model_version", version);
    px_json_end_object(w);
}

static void put_time(struct px_json_writer *w, const char *name, uint64_t ns)
{
    px_json_begin_object(w);
    px_json_member_text(w, "name", name);
    px_json_member_u64(w, "ns", ns);
    px_json_end_object(w);
}

static void put_times(struct px_json_writer *w, const struct px_trace_record *record)
{
    px_json_begin_object(w);
    px_json_member_u64(w, "id", record->id);
    px_json_key(w, "timestamps");
    px_json_begin_array(w);
    for (size_t i = 0; i < PX_TRACE_POINTS; i++) {
        if (!record->at_ns[i])
            continue;
        put_time(w, point_names[i], record->at_ns[i]);
    }
    px_json_end_array(w);
    px_json_end_object(w);
}

static void put_step(struct px_json_writer *w, const struct px_trace_record *record, size_t i)
{
    const struct px_trace_step *step = &record->steps[i];
    px_json_begin_object(w);
    px_json_member_u64(w, "id", record->first_step_id + i);
    px_json_member_text(w, "model_name", step->name);
    px_json_member_u64(w, "model_version", 1);
    px_json_member_u64(w, "parent_id", record->id);
    if (step->note[0])
        px_json_member_text(w, "note", step->note);
    px_json_end_object(w);
    px_json_begin_object(w);
    px_json_member_u64(w, "id", record->first_step_id + i);
    px_json_key(w, "timestamps");
    px_json_begin_array(w);
    put_time(w, "COMPUTE_START", step->start_ns);
    put_time(w, "COMPUTE_END", step->end_ns);
    px_json_end_array(w);
    px_json_end_object(w);
}

static void put_tensor(struct px_json_writer *w, uint64_t id, const char *activity,
                       const struct px_trace_text *text)
{
    if (text->type == PX_TYPE_NONE)
        return;
    px_json_begin_object(w);
    px_json_member_u64(w, "id", id);
    px_json_member_text(w, "activity", activity);
    px_json_key(w, "tensor");
    px_json_begin_object(w);
    px_json_member_text(w, "name", text->name);
    px_json_member_text(w, "data", text->values);
    px_json_member_text(w, "shape", text->shape);
    px_json_member_text(w, "dtype", px_datatype_name(text->type));
    px_json_end_object(w);
    px_json_end_object(w);
}

static void put_record(struct px_buf *out, const struct px_trace_record *record)
{
    struct px_json_writer w = px_json_writer(out);
    put_head(&w, record);
    put_times(&w, record);
    put_tensor(&w, record->id, "TENSOR_QUEUE_INPUT", &record->input);
    put_tensor(&w, record->id, "TENSOR_BACKEND_OUTPUT", &record->output);
    for (size_t i = 0; i < record->n_steps; i++)
        put_step(&w, record, i);
}

/* ---- files ---- */

static void complain(struct px_trace_file *file, const char *reason)
{
    if (!file->has_complained)
        px_log(PX_LOG_ERROR, "trace.unwritable", PX_LOG_T("file", file->path),
               PX_LOG_T("reason", reason), PX_LOG_T("hint", "traces are dropped"));
    file->has_complained = true;
}

static bool write_at(int fd, const char *bytes, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t written = pwrite(fd, bytes, n, at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        n -= (size_t)written;
        at += written;
    }
    return true;
}

/* Where the array of a file ends that was written before; 0 when it is no such file. */
static off_t find_closing(int fd)
{
    char end[CLOSING_LEN];
    off_t len = lseek(fd, 0, SEEK_END);
    bool is_closed = len > CLOSING_LEN &&
                     pread(fd, end, CLOSING_LEN, len - CLOSING_LEN) == CLOSING_LEN &&
                     memcmp(end, closing, CLOSING_LEN) == 0;
    return is_closed ? len - CLOSING_LEN : 0;
}

/* Goes on with the file, or begins an empty array in it. */
static bool open_file(struct px_trace_file *file, bool anew)
{
    file->fd = open(file->path, O_RDWR | O_CREAT | O_CLOEXEC | (anew ? O_TRUNC : 0), 0600);
    if (file->fd < 0)
        return false;
    file->n_kept = find_closing(file->fd);
    if (file->n_kept > 0)
        return true;
    file->n_kept = 1;
    if ((anew || ftruncate(file->fd, 0) == 0) && write_at(file->fd, "[\n]\n", 1 + CLOSING_LEN, 0))
        return true;
    int reason = errno;
    close(file->fd);
    file->fd = -1;
    errno = reason;
    return false;
}

static void close_file(struct px_trace_file *file)
{
    if (file->fd >= 0 && close(file->fd) != 0)
        complain(file, strerror(errno));
    file->fd = -1;
}

static bool open_numbered(struct px_trace *trace, uint64_t n_max)
{
    struct px_trace_file *file = &trace->file;
    bool anew = file->n_numbered == 0 || file->n_in_newest >= n_max;
    uint64_t number = anew ? file->n_numbered : file->n_numbered - 1;
    snprintf(file->path, sizeof file->path, "%s.%llu", trace->path, (unsigned long long)number);
    file->is_numbered = true;
    if (!open_file(file, anew))
        return false;
    file->n_numbered = number + 1;
    if (anew)
        file->n_in_newest = 0;
    return true;
}

static bool open_only(struct px_trace *trace, bool anew)
{
    struct px_trace_file *file = &trace->file;
    snprintf(file->path, sizeof file->path, "%s", trace->path);
    file->is_numbered = false;
    return open_file(file, anew);
}

/* The file for the next record: the one that is open, unless the record's frequency asks for another. */
static bool prepare_file(struct px_trace *trace, const struct px_trace_record *record)
{
    struct px_trace_file *file = &trace->file;
    bool numbered = record->log_frequency > 0;
    bool is_full = numbered && file->n_in_newest >= record->log_frequency;
    if (file->fd >= 0 && file->is_numbered == numbered && !is_full)
        return true;
    close_file(file);
    return numbered ? open_numbered(trace, record->log_frequency) : open_only(trace, false);
}

/* On failure the array ends where it ended before; if not even that can be written, the next record mends it. */
static bool append(struct px_trace_file *file, const struct px_buf *text)
{
    if (write_at(file->fd, text->ptr, text->len, file->n_kept)) {
        file->n_kept += (off_t)text->len - CLOSING_LEN;
        return true;
    }
    int reason = errno;
    if (ftruncate(file->fd, file->n_kept) == 0)
        (void)write_at(file->fd, closing, CLOSING_LEN, file->n_kept);
    errno = reason;
    return false;
}

static bool put_in_file(struct px_trace *trace, const struct px_trace_record *record)
{
    struct px_trace_file *file = &trace->file;
    struct px_buf text = px_buf(TRACE_TEXT_MAX);
    errno = 0;
    bool written = prepare_file(trace, record);
    if (written) {
        px_buf_text(&text, file->n_kept > 1 ? ",\n" : "\n");
        put_record(&text, record);
        px_buf_text(&text, closing);
        written = !text.failed && append(file, &text);
    }
    if (!written)
        complain(file, text.failed ? "no memory for a trace" : strerror(errno));
    px_buf_deinit(&text);
    return written;
}

static void write_record(struct px_trace *trace, const struct px_trace_record *record)
{
    if (!put_in_file(trace, record)) {
        atomic_fetch_add_explicit(&trace->dropped, 1, memory_order_relaxed);
        return;
    }
    trace->file.n_in_newest += trace->file.is_numbered;
    trace->file.has_complained = false;
}

static void drain(struct px_trace *trace)
{
    for (unsigned i = 0; i < trace->n_loops; i++) {
        struct px_trace_ring *ring = &trace->rings[i];
        uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        /* Pairs with the release in px_trace_commit. */
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
        for (; tail < head; tail++) {
            write_record(trace, &ring->records[tail % TRACE_RING_RECORDS]);
            atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
        }
    }
}

static void *write_traces(void *argument)
{
    struct px_trace *trace = argument;
    while (!atomic_load_explicit(&trace->stopping, memory_order_acquire)) {
        if (sem_wait(&trace->committed) == 0)
            drain(trace);
    }
    drain(trace);
    close_file(&trace->file);
    return NULL;
}

enum px_code px_trace_file_start(struct px_trace *trace, struct px_err *err)
{
    /* An empty array at once: whoever started the server sees that the file can be written. */
    if (!open_only(trace, true))
        return px_err_set(err, PX_E_IO, "trace.file: write %s: %s", trace->path, strerror(errno));
    int rc = px_thread_start("px-trace", write_traces, trace, &trace->writer);
    trace->has_writer = rc == 0;
    if (rc != 0) {
        close_file(&trace->file);
        return px_err_set(err, PX_E_IO, "start the thread that writes traces: %s", strerror(rc));
    }
    return PX_OK;
}

void px_trace_file_stop(struct px_trace *trace)
{
    if (!trace->has_writer)
        return;
    atomic_store_explicit(&trace->stopping, true, memory_order_release);
    sem_post(&trace->committed);
    pthread_join(trace->writer, NULL);
    trace->has_writer = false;
}
