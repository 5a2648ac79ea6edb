/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer of traces: from the loops' rings to files of JSON arrays, in the form that Triton's tools read.
 *
 *   {"id":1,"model_name":"m","model_version":1},
 *   {"id":1,"timestamps":[{"name":"REQUEST_START","ns":...}, ...]},
 *   {"id":1,"activity":"TENSOR_QUEUE_INPUT","tensor":{"name":"input","data":"1,2","shape":"1,2","dtype":"FP32"}}
 *
 * Each write replaces the closing bracket, so a file is whole JSON after it. A file that cannot be written is told in the
 * log once, and the traces are dropped and counted.
 */
#include "application/telemetry/trace_impl.h"

#include "shared/json.h"
#include "shared/log.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

static const char closing[] = "\n]\n";

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

static void put_times(struct px_json_writer *w, const struct px_trace_record *record)
{
    px_json_begin_object(w);
    px_json_member_u64(w, "id", record->id);
    px_json_key(w, "timestamps");
    px_json_begin_array(w);
    for (size_t i = 0; i < PX_TRACE_POINTS; i++) {
        if (!record->at_ns[i])
            continue;
        px_json_begin_object(w);
        px_json_member_text(w, "name", point_names[i]);
        px_json_member_u64(w, "ns", record->at_ns[i]);
        px_json_end_object(w);
    }
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
}

/* ---- files ---- */

static FILE *open_private(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (fd >= 0 && !file)
        close(fd);
    return file;
}

static void complain(const struct px_trace *trace)
{
    px_log(PX_LOG_ERROR, "trace.unwritable", PX_LOG_T("file", trace->path),
           PX_LOG_T("reason", strerror(errno)), PX_LOG_T("hint", "traces are dropped"));
}

static void close_file(struct px_trace *trace)
{
    if (trace->file && fclose(trace->file) != 0)
        complain(trace);
    trace->file = NULL;
}

/* The file for the next record: the one that is open, unless the record's frequency says that it is full. */
static bool prepare_file(struct px_trace *trace, const struct px_trace_record *record)
{
    char path[TRACE_PATH_MAX + 24];
    bool numbered = record->log_frequency > 0;
    if (trace->file && !(numbered && trace->n_in_file >= record->log_frequency))
        return true;
    close_file(trace);
    if (numbered)
        snprintf(path, sizeof path, "%s.%llu", trace->path, (unsigned long long)trace->n_files++);
    else
        snprintf(path, sizeof path, "%s", trace->path);
    trace->n_in_file = 0;
    trace->file = open_private(path);
    return trace->file != NULL;
}

static bool append(struct px_trace *trace, const struct px_buf *text)
{
    FILE *file = trace->file;
    bool first = trace->n_in_file == 0;
    return (first || fseek(file, -(long)(sizeof closing - 1), SEEK_END) == 0) &&
           fputs(first ? "[\n" : ",\n", file) >= 0 &&
           fwrite(text->ptr, 1, text->len, file) == text->len && fputs(closing, file) >= 0 &&
           fflush(file) == 0;
}

static void write_record(struct px_trace *trace, const struct px_trace_record *record)
{
    struct px_buf text = px_buf(TRACE_TEXT_MAX);
    put_record(&text, record);
    bool written = !text.failed && prepare_file(trace, record) && append(trace, &text);
    if (written) {
        trace->n_in_file++;
    } else if (atomic_fetch_add_explicit(&trace->dropped, 1, memory_order_relaxed) == 0) {
        complain(trace);
    }
    px_buf_deinit(&text);
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
    close_file(trace);
    return NULL;
}

/* An empty array at once: whoever started the server sees that the file can be written. */
static enum px_code try_file(struct px_trace *trace, struct px_err *err)
{
    FILE *file = open_private(trace->path);
    bool written = file && fputs("[]\n", file) >= 0;
    if (file)
        written = fclose(file) == 0 && written;
    return written
               ? PX_OK
               : px_err_set(err, PX_E_IO, "trace.file: write %s: %s", trace->path, strerror(errno));
}

enum px_code px_trace_file_start(struct px_trace *trace, struct px_err *err)
{
    enum px_code code = try_file(trace, err);
    if (code != PX_OK)
        return code;
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    int rc = pthread_create(&trace->writer, NULL, write_traces, trace);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    trace->has_writer = rc == 0;
    if (rc != 0)
        return px_err_set(err, PX_E_IO, "start the thread that writes traces: %s", strerror(rc));
    pthread_setname_np(trace->writer, "px-trace");
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
