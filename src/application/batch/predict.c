/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV through the pipeline. The block with the header is worked on while it is filled, by the caller's thread:
 * what follows can be read by anybody only when the header is bound.
 */
#include "application/batch/predict.h"

#include "application/batch/outcome.h"
#include "shared/alloc.h"

enum {
    BLOCK_BYTES = 512 << 10,
    BLOCK_BYTES_MIN = 1 << 10,
    BLOCK_OUTPUT = 16 << 20, /* what a block may print decides how large it can be */
    JOBS_PER_THREAD = 2,
};

struct job {
    struct px_block block;
    struct px_outcome outcome;
    bool worked_on;
};

struct worker {
    struct px_rows rows;
    struct px_scorer scorer;
};

struct batch {
    struct px_sink sink;
    struct px_header header;
    struct px_blocks blocks;
    struct worker *workers; /* [n_threads] */
    struct job *jobs;       /* [n_jobs] */
    size_t n_threads, n_jobs;
};

/* The size of a block: less where rows are short and there are many scores, to bound the output. */
static size_t choose_block_bytes(const struct px_package *package, const struct px_format *format)
{
    size_t n_features = px_forest_info(package->forest)->n_features;
    size_t rows = BLOCK_OUTPUT / px_format_row_max(format) + 1;
    size_t bytes; /* a row has a byte per feature at least */
    if (__builtin_mul_overflow(rows, n_features + 1, &bytes) || bytes > BLOCK_BYTES)
        bytes = BLOCK_BYTES;
    return bytes < BLOCK_BYTES_MIN ? BLOCK_BYTES_MIN : bytes;
}

static enum px_code create(struct batch *b, const struct px_package *package, struct px_err *err)
{
    b->n_jobs = b->n_threads * JOBS_PER_THREAD;
    b->workers = px_alloc(b->n_threads, sizeof *b->workers);
    b->jobs = px_alloc(b->n_jobs, sizeof *b->jobs);
    enum px_code code = PX_OK;
    if (!b->workers || !b->jobs)
        code = px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu threads", b->n_threads);
    for (size_t i = 0; code == PX_OK && i < b->n_threads; i++) {
        code = px_scorer_init(&b->workers[i].scorer, package, &b->sink.format, err);
    }
    return code;
}

static void destroy(struct batch *b)
{
    for (size_t i = 0; b->workers && i < b->n_threads; i++) {
        px_rows_deinit(&b->workers[i].rows);
        px_scorer_deinit(&b->workers[i].scorer);
    }
    for (size_t i = 0; b->jobs && i < b->n_jobs; i++) {
        px_buf_deinit(&b->jobs[i].block.text);
        px_outcome_deinit(&b->jobs[i].outcome);
    }
    px_free(b->workers);
    px_free(b->jobs);
    px_blocks_deinit(&b->blocks);
    px_header_deinit(&b->header);
    px_sink_deinit(&b->sink);
}

/* One event of the reader; false when the block is through. */
static bool work_on_row(const struct batch *b, struct worker *w, struct px_outcome *out)
{
    struct px_err why;
    struct px_scorer *scorer = &w->scorer;
    switch (px_rows_next(&w->rows, &scorer->chunk, scorer->chunk.n_rows, &why)) {
    case PX_ROWS_ROW:
        out->n_rows++;
        px_scorer_add(scorer, w->rows.record.line, &out->output);
        return true;
    case PX_ROWS_BAD:
        px_outcome_bad_row(out, w->rows.record.line, &why);
        return !b->sink.options->fail_on_error;
    case PX_ROWS_FAILED:
        px_outcome_fail(out, &why);
        return false;
    case PX_ROWS_MORE: /* not in blocks */
    case PX_ROWS_NONE:
    case PX_ROWS_END:
        break;
    }
    return false;
}

static void work(void *context, void *worker, void *job)
{
    struct batch *b = context;
    struct worker *w = worker;
    struct job *j = job;
    if (j->worked_on)
        return;
    j->worked_on = true;
    px_outcome_clear(&j->outcome);
    if (!w->rows.started)
        px_rows_init_block(&w->rows, &b->header, b->blocks.separator);
    px_rows_read_block(&w->rows, j->block.text.ptr, j->block.text.len, &j->block.place,
                       j->block.goes_on);
    w->scorer.chunk.n_rows = 0;
    while (work_on_row(b, w, &j->outcome))
        ;
    px_scorer_flush(&w->scorer, &j->outcome.output);
}

static enum px_code fill(void *context, void *job, bool idle, enum px_fill *ret, struct px_err *err)
{
    struct batch *b = context;
    struct job *j = job;
    bool needs_header = !b->header.bound && !b->header.options.no_header;
    enum px_code code = px_blocks_next(&b->blocks, idle, &j->block, ret, err);
    b->sink.progress->bytes_read = b->blocks.bytes_read;
    if (code != PX_OK)
        return code;
    j->worked_on = false;
    if (*ret == PX_FILL_END && needs_header) {
        /* An empty last block: it is for the reader to say that the header is missing. */
        px_buf_clear(&j->block.text);
        j->block.goes_on = false;
        *ret = PX_FILL_JOB;
    }
    if (*ret == PX_FILL_JOB && !b->header.bound)
        work(b, &b->workers[0], j);
    return PX_OK;
}

static enum px_code emit(void *context, void *job, struct px_err *err)
{
    struct batch *b = context;
    return px_sink_take(&b->sink, &((struct job *)job)->outcome, err);
}

static enum px_code run(struct batch *b, struct px_err *err)
{
    const struct px_pipeline_ops ops = {fill, work, emit, b};
    const struct px_pipeline_size size = {.workers = b->workers,
                                          .jobs = b->jobs,
                                          .worker_bytes = sizeof *b->workers,
                                          .job_bytes = sizeof *b->jobs,
                                          .n_workers = b->n_threads,
                                          .n_jobs = b->n_jobs};
    enum px_code code = px_pipeline_run(&ops, &size, err);
    return code == PX_OK ? px_sink_finish(&b->sink, err) : code;
}

enum px_code px_batch_predict(const struct px_package *package,
                              const struct px_batch_options *options, const struct px_batch_io *io,
                              struct px_batch_progress *ret, struct px_err *err)
{
    const struct px_blocks_io input = {io->read, io->ready, io->context};
    struct px_rows_options rows = options->rows;
    struct batch b = {
        .sink = {.options = options, .io = io, .progress = ret},
        .n_threads = options->n_threads ? options->n_threads : 1,
    };
    PX_ASSERT(b.n_threads <= PX_PIPELINE_THREADS_MAX);
    *ret = (struct px_batch_progress){0};
    if (!rows.target.len)
        rows.target = package->target;
    px_header_init(&b.header, &package->signature, &rows);
    enum px_code code = px_sink_init(&b.sink, package, "line", err);
    if (code == PX_OK) {
        px_blocks_init(&b.blocks, &input, rows.separator,
                       choose_block_bytes(package, &b.sink.format));
        code = create(&b, package, err);
    }
    if (code == PX_OK)
        code = run(&b, err);
    destroy(&b);
    return code;
}
