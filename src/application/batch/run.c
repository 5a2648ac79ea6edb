/* SPDX-License-Identifier: Apache-2.0 */
#include "application/batch/run.h"

#include "shared/alloc.h"

enum px_code px_batch_run_init(struct px_batch_run *run, const struct px_package *package,
                               const struct px_batch_options *options, const char *place,
                               struct px_err *err)
{
    struct px_rows_options rows = options->rows;
    run->sink.options = options;
    run->n_threads = options->n_threads ? options->n_threads : 1;
    PX_ASSERT(run->n_threads <= PX_PIPELINE_THREADS_MAX);
    *run->sink.progress = (struct px_batch_progress){0};
    if (!rows.target.len)
        rows.target = package->target;
    px_header_init(&run->header, &package->signature, &rows);
    return px_sink_init(&run->sink, package, place, err);
}

static struct px_batch_worker *worker_at(const struct px_batch_run *run, size_t i)
{
    return (void *)((char *)run->workers + i * run->kind->worker_bytes);
}

static struct px_batch_job *job_at(const struct px_batch_run *run, size_t i)
{
    return (void *)((char *)run->jobs + i * run->kind->job_bytes);
}

void px_batch_run_deinit(struct px_batch_run *run)
{
    for (size_t i = 0; run->workers && i < run->n_threads; i++) {
        if (run->kind->deinit_worker)
            run->kind->deinit_worker(worker_at(run, i));
        px_scorer_deinit(&worker_at(run, i)->scorer);
    }
    for (size_t i = 0; run->jobs && i < run->n_jobs; i++) {
        if (run->kind->deinit_job)
            run->kind->deinit_job(job_at(run, i));
        px_outcome_deinit(&job_at(run, i)->outcome);
    }
    px_free(run->workers);
    px_free(run->jobs);
    px_header_deinit(&run->header);
    px_sink_deinit(&run->sink);
}

static enum px_code make_threads(struct px_batch_run *run, const struct px_package *package,
                                 struct px_err *err)
{
    run->workers = px_alloc(run->n_threads, run->kind->worker_bytes);
    run->jobs = px_alloc(run->n_jobs, run->kind->job_bytes);
    if (!run->workers || !run->jobs)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu threads", run->n_threads);
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < run->n_threads; i++)
        code = px_scorer_init(&worker_at(run, i)->scorer, package, &run->sink.format, err);
    return code;
}

static enum px_code emit(void *context, void *job, struct px_err *err)
{
    struct px_batch_run *run = context;
    return px_sink_take(&run->sink, &((struct px_batch_job *)job)->outcome, err);
}

enum px_code px_batch_run(struct px_batch_run *run, const struct px_package *package, size_t n_jobs,
                          struct px_err *err)
{
    run->n_jobs = n_jobs;
    enum px_code code = make_threads(run, package, err);
    const struct px_pipeline_ops ops = {run->kind->fill, run->kind->work, emit, run};
    const struct px_pipeline_size size = {.workers = run->workers,
                                          .jobs = run->jobs,
                                          .worker_bytes = run->kind->worker_bytes,
                                          .job_bytes = run->kind->job_bytes,
                                          .n_workers = run->n_threads,
                                          .n_jobs = run->n_jobs};
    if (code == PX_OK)
        code = px_pipeline_run(&ops, &size, err);
    return code == PX_OK ? px_sink_finish(&run->sink, err) : code;
}
