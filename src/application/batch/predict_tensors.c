/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines are collected into the text of a JSON array, which is read, run and printed. Each has been walked by itself before: one
 * that is half a value, or two, would make rows of its neighbours. When the array fails its lines are tried one by one, so that one
 * bad line costs only itself; which line was bad is then known as well.
 */
#include "application/batch/predict_tensors.h"

#include "application/execution/await.h"
#include "application/tensors/json_tensors.h"

enum { READ_BYTES = 1 << 16, RUN_BYTES_MAX = 4 << 20, RUN_MEMORY_MAX = 1 << 30 };

/* Where a line lies in the text. */
struct line {
    struct px_str text;
    uint64_t number;
};

struct work {
    struct px_engine *engine;
    const struct px_batch_options *options;
    const struct px_batch_io *io;
    struct px_batch_progress *done;
    struct px_buf input, array, output;
    struct px_arena arena;
    struct line lines[PX_LINES_ROWS_MAX];
    size_t n_lines, n_bytes;
    uint64_t line_number;
};

/* ---- one run ---- */

static enum px_code begin_run(struct work *w, struct px_run *run, struct px_err *err)
{
    struct px_json_tensors tensors = {.takes = &w->engine->takes, .arena = &w->arena};
    enum px_code code = px_json_read_instances(&tensors, px_buf_view(&w->array), err);
    *run =
        (struct px_run){.inputs = tensors.inputs, .n_inputs = tensors.n_inputs, .arena = &w->arena};
    if (code == PX_OK)
        code = px_run_ask_all(run, w->engine, err);
    return code != PX_OK ? code : px_engine_check_run(w->engine, run, err);
}

/* Did a step of an ensemble fail for row `i`? */
static bool is_degraded(const struct px_run *run, size_t i)
{
    return run->degraded.len && (!run->degraded_rows || run->degraded_rows[i]);
}

static void put_line(struct work *w, const struct line *line, const struct px_run *run,
                     struct px_json_rows_of_tensors *rows, bool degraded)
{
    struct px_json_writer json = px_json_writer(&w->output);
    px_json_begin_object(&json);
    px_json_member_u64(&json, "line", line->number);
    px_json_key(&json, "prediction");
    if (rows)
        px_json_rows_put(rows, &json);
    else
        px_json_put_columns(&json, run->outputs, run->n_outputs);
    if (degraded)
        px_json_member_str(&json, "degraded", run->degraded);
    px_json_end_object(&json);
    px_buf_byte(&w->output, '\n');
}

/* Outputs without a row for each line belong to a line that is alone. */
static enum px_code put_answers(struct work *w, const struct line *lines, size_t n,
                                const struct px_run *run, struct px_err *err)
{
    PX_UNINITIALIZED struct px_str left[PX_ENGINE_TENSORS_MAX];
    struct px_json_rows_of_tensors rows;
    for (size_t i = 0; i < run->n_outputs; i++) {
        if (px_json_check_output(&run->outputs[i], err) != PX_OK)
            return px_err_hint(err, "serve the model and ask for binary data");
    }
    bool has_rows =
        px_json_rows_begin(&rows, run->outputs, run->n_outputs, left) && rows.n_rows == n;
    if (!has_rows && n > 1)
        return px_err_set(err, PX_E_INVALID, "the model gave no answer for each of %zu rows", n);
    for (size_t i = 0; i < n; i++) {
        bool degraded = is_degraded(run, i);
        put_line(w, &lines[i], run, has_rows ? &rows : NULL, degraded);
        w->done->rows_degraded += degraded;
    }
    w->done->rows_scored += n;
    return px_buf_check(&w->output, "the output", err);
}

static enum px_code run_lines(struct work *w, const struct line *lines, size_t n,
                              struct px_err *err)
{
    struct px_run run;
    px_arena_reset(&w->arena);
    px_buf_clear(&w->array);
    for (size_t i = 0; i < n; i++) {
        px_buf_byte(&w->array, i ? ',' : '[');
        px_buf_str(&w->array, lines[i].text);
    }
    px_buf_byte(&w->array, ']');
    enum px_code code = px_buf_check(&w->array, "the rows of a run", err);
    if (code == PX_OK)
        code = begin_run(w, &run, err);
    if (code != PX_OK)
        return code;
    code = px_engine_await(w->engine, &run, err);
    if (code == PX_OK)
        code = put_answers(w, lines, n, &run, err);
    px_run_release(&run);
    return code;
}

/* ---- lines ---- */

static enum px_code tell_bad(struct work *w, const struct line *line, const struct px_err *why,
                             struct px_err *err)
{
    w->done->rows_bad++;
    if (w->options->fail_on_error) {
        px_err_set(err, PX_E_INVALID, "line %llu: %s", (unsigned long long)line->number,
                   why->message);
        return PX_E_INVALID;
    }
    if (w->io->bad_row && w->done->rows_bad <= PX_BATCH_BAD_ROWS_TOLD)
        w->io->bad_row(w->io->context, line->number, why);
    return PX_OK;
}

/* Is it the row's fault, and not that of memory or of the engine's peer? */
static bool is_of_the_row(enum px_code code)
{
    return code == PX_E_INVALID || code == PX_E_TOO_LARGE || code == PX_E_UNSUPPORTED;
}

static enum px_code run_one_by_one(struct work *w, struct px_err *err)
{
    for (size_t i = 0; i < w->n_lines; i++) {
        struct px_err why = {0};
        enum px_code code = run_lines(w, &w->lines[i], 1, &why);
        if (code == PX_OK)
            continue;
        if (!is_of_the_row(code)) {
            *err = why;
            return code;
        }
        code = tell_bad(w, &w->lines[i], &why, err);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

static enum px_code write_output(struct work *w, struct px_err *err)
{
    enum px_code code = PX_OK;
    if (w->output.len)
        code = w->io->write(w->io->context, px_buf_view(&w->output), err);
    px_buf_clear(&w->output);
    return code;
}

static enum px_code flush(struct work *w, struct px_err *err)
{
    struct px_err why = {0};
    size_t mark = w->output.len;
    if (w->n_lines == 0)
        return PX_OK;
    enum px_code code = run_lines(w, w->lines, w->n_lines, &why);
    if (is_of_the_row(code)) {
        w->output.len = mark;
        code = run_one_by_one(w, err);
    } else if (code != PX_OK) {
        *err = why;
    }
    w->n_lines = w->n_bytes = 0;
    if (w->io->progress)
        w->io->progress(w->io->context, w->done);
    return code == PX_OK ? write_output(w, err) : code;
}

/* A line that is not one value by itself would change what its neighbours in the array are. */
static enum px_code check_line(struct px_str text, struct px_err *why)
{
    struct px_json json;
    px_json_init(&json, text, NULL, PX_JSON_NONFINITE);
    px_json_skip(&json);
    return px_json_finish(&json, why);
}

/* The lines before it are run first, so that what is told comes in the order of the lines. */
static enum px_code refuse_line(struct work *w, const struct line *line, const struct px_err *why,
                                struct px_err *err)
{
    enum px_code code = flush(w, err);
    return code == PX_OK ? tell_bad(w, line, why, err) : code;
}

static enum px_code take_line(struct work *w, struct px_str text, struct px_err *err)
{
    w->line_number++;
    text = px_str_trim(text);
    if (text.len == 0)
        return PX_OK;
    struct px_err why;
    const struct line line = {text, w->line_number};
    if (check_line(text, &why) != PX_OK)
        return refuse_line(w, &line, &why, err);
    w->lines[w->n_lines++] = line;
    w->n_bytes += text.len;
    size_t lines_max = px_engine_has(w->engine, PX_ENGINE_BATCHES) ? PX_LINES_ROWS_MAX : 1;
    bool is_full = w->n_lines == lines_max || w->n_bytes >= RUN_BYTES_MAX;
    return is_full ? flush(w, err) : PX_OK;
}

/* Every whole line of the input, the last one also without its end; what is left stays. */
static enum px_code take_lines(struct work *w, bool is_last, struct px_err *err)
{
    struct px_str rest = px_buf_view(&w->input);
    enum px_code code = PX_OK;
    while (code == PX_OK && rest.len) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        if (!end && !is_last)
            break;
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
        code = take_line(w, px_str_n(rest.ptr, len), err);
        len += end != NULL;
        rest = px_str_n(rest.ptr + len, rest.len - len);
    }
    if (code == PX_OK) /* the lines point into the input, which is about to move */
        code = flush(w, err);
    memmove(w->input.ptr, rest.ptr, rest.len);
    w->input.len = rest.len;
    return code;
}

static enum px_code read_lines(struct work *w, struct px_err *err)
{
    for (;;) {
        size_t n = 0;
        char *to = px_buf_reserve(&w->input, READ_BYTES);
        if (!to)
            return px_err_set(err, PX_E_TOO_LARGE, "line %llu is longer than %d bytes",
                              (unsigned long long)w->line_number + 1, (int)PX_LINE_BYTES_MAX);
        enum px_code code = w->io->read(w->io->context, to, READ_BYTES, &n, err);
        if (code != PX_OK)
            return code;
        w->input.len += n;
        w->done->bytes_read += n;
        code = take_lines(w, n == 0, err);
        if (code != PX_OK || n == 0)
            return code;
    }
}

static enum px_code check_package(const struct px_package *package,
                                  const struct px_batch_options *options, struct px_err *err)
{
    if (options->margin)
        return px_err_set(err, PX_E_UNSUPPORTED, "engine '%s' has no margins",
                          px_engine_name(package->engine));
    if (!px_engine_has(package->engine, PX_ENGINE_SEQUENCES))
        return PX_OK;
    px_err_set(err, PX_E_UNSUPPORTED,
               "model '%.*s' keeps state between the requests of a sequence, and a row of a file "
               "belongs to none",
               PX_STR_ARG(package->name));
    return px_err_hint(err, "serve it and send each step with its sequence_id");
}

enum px_code px_batch_predict_tensors(const struct px_package *package,
                                      const struct px_batch_options *options,
                                      const struct px_batch_io *io, struct px_batch_progress *ret,
                                      struct px_err *err)
{
    *ret = (struct px_batch_progress){0};
    enum px_code code = check_package(package, options, err);
    if (code != PX_OK)
        return code;
    struct work w = {
        .engine = package->engine,
        .options = options,
        .io = io,
        .done = ret,
        .input = px_buf(PX_LINE_BYTES_MAX + READ_BYTES),
        .array = px_buf(PX_LINE_BYTES_MAX + RUN_BYTES_MAX),
        .output = px_buf(RUN_MEMORY_MAX),
        .arena = px_arena(RUN_MEMORY_MAX),
    };
    code = read_lines(&w, err);
    px_buf_deinit(&w.input);
    px_buf_deinit(&w.array);
    px_buf_deinit(&w.output);
    px_arena_deinit(&w.arena);
    return code;
}
