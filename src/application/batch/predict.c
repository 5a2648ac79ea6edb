/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV through the pipeline. The block with the header is worked on while it is filled, by the caller's thread:
 * what follows can be read by anybody only when the header is bound.
 */
#include "application/batch/predict.h"

#include "application/batch/run.h"

enum {
    BLOCK_BYTES = 512 << 10,
    BLOCK_BYTES_MIN = 1 << 10,
    BLOCK_OUTPUT = 16 << 20, /* what a block may print decides how large it can be */
    JOBS_PER_THREAD = 2,
};

struct job {
    struct px_batch_job common; /* first */
    struct px_block block;
    bool worked_on;
};

struct worker {
    struct px_batch_worker common; /* first */
    struct px_rows rows;
};

struct batch {
    struct px_batch_run run;
    struct px_blocks blocks;
};

static struct batch *batch_of(void *run)
{
    return PX_CONTAINER_OF(run, struct batch, run);
}

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

static void deinit_worker(void *worker)
{
    px_rows_deinit(&((struct worker *)worker)->rows);
}

static void deinit_job(void *job)
{
    px_buf_deinit(&((struct job *)job)->block.text);
}

/* One event of the reader; false when the block is through. */
static bool work_on_row(const struct px_batch_run *run, struct worker *w, struct px_outcome *out)
{
    struct px_err why;
    struct px_scorer *scorer = &w->common.scorer;
    switch (px_rows_next(&w->rows, &scorer->chunk, scorer->chunk.n_rows, &why)) {
    case PX_ROWS_ROW:
        out->n_rows++;
        px_scorer_add(scorer, w->rows.record.line, &out->output);
        return true;
    case PX_ROWS_BAD:
        px_outcome_bad_row(out, w->rows.record.line, &why);
        return !run->sink.options->fail_on_error;
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

static void work(void *run, void *worker, void *job)
{
    struct batch *b = batch_of(run);
    struct worker *w = worker;
    struct job *j = job;
    struct px_outcome *out = &j->common.outcome;
    if (j->worked_on)
        return;
    j->worked_on = true;
    px_outcome_clear(out);
    if (!w->rows.started)
        px_rows_init_block(&w->rows, &b->run.header, b->blocks.separator);
    px_rows_read_block(&w->rows, j->block.text.ptr, j->block.text.len, &j->block.place,
                       j->block.goes_on);
    w->common.scorer.chunk.n_rows = 0;
    while (work_on_row(&b->run, w, out))
        ;
    px_scorer_flush(&w->common.scorer, &out->output);
}

static enum px_code fill(void *run, void *job, bool idle, enum px_fill *ret, struct px_err *err)
{
    struct batch *b = batch_of(run);
    struct job *j = job;
    const struct px_header *header = &b->run.header;
    bool needs_header = !header->bound && !header->options.no_header;
    enum px_code code = px_blocks_next(&b->blocks, idle, &j->block, ret, err);
    b->run.sink.progress->bytes_read = b->blocks.bytes_read;
    if (code != PX_OK)
        return code;
    j->worked_on = false;
    if (*ret == PX_FILL_END && needs_header) {
        /* An empty last block: it is for the reader to say that the header is missing. */
        px_buf_clear(&j->block.text);
        j->block.goes_on = false;
        *ret = PX_FILL_JOB;
    }
    if (*ret == PX_FILL_JOB && !header->bound)
        work(run, b->run.workers, j);
    return PX_OK;
}

static const struct px_batch_kind blocks_of_csv = {.worker_bytes = sizeof(struct worker),
                                                   .job_bytes = sizeof(struct job),
                                                   .fill = fill,
                                                   .work = work,
                                                   .deinit_worker = deinit_worker,
                                                   .deinit_job = deinit_job};

enum px_code px_batch_predict(const struct px_package *package,
                              const struct px_batch_options *options, const struct px_batch_io *io,
                              struct px_batch_progress *ret, struct px_err *err)
{
    const struct px_blocks_io input = {io->read, io->ready, io->context};
    struct batch b = {.run = {.kind = &blocks_of_csv, .sink = {.io = io, .progress = ret}}};
    enum px_code code = px_batch_run_init(&b.run, package, options, "line", err);
    if (code == PX_OK) {
        px_blocks_init(&b.blocks, &input, options->rows.separator,
                       choose_block_bytes(package, &b.run.sink.format));
        code = px_batch_run(&b.run, package, b.run.n_threads * JOBS_PER_THREAD, err);
    }
    px_batch_run_deinit(&b.run);
    px_blocks_deinit(&b.blocks);
    return code;
}
