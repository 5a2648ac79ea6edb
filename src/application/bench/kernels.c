/* SPDX-License-Identifier: Apache-2.0 */
#include "application/bench/kernels.h"

#include "application/batch/rows.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <stdlib.h>

enum {
    REPETITION_NS = 200000,
    REPETITIONS_MIN = 3,
    REPETITIONS_MAX = 1000,
    CALLS_MAX = 1 << 20,
    POOL_ROWS_MIN = 4096, /* so that small batches meet many rows */
    POOL_BYTES_WANTED = 64 << 20,
    FEED = 1 << 16,
};

/* The rows and the room for what they give. */
struct pool {
    struct px_matrix rows;
    void *margins, *scratch;
};

struct bench {
    struct px_kernel_bench *ret;
    struct pool pool;
    size_t batch_max;
    double cell_seconds;
    size_t n_cells, n_done;
};

static size_t largest_batch(const struct px_kernel_bench_options *o)
{
    size_t most = 1;
    for (size_t i = 0; i < o->n_batches; i++)
        most = o->batches[i] > most ? o->batches[i] : most;
    return most;
}

/* As many rows as POOL_ROWS_MIN where they are small, and at least the largest batch. */
static enum px_code make_pool(struct bench *b, struct px_err *err)
{
    const struct px_forest_info *info = px_forest_info(b->ret->package->forest);
    size_t row_bytes = info->n_features * px_datatype_size(info->feature_type);
    size_t n = POOL_BYTES_WANTED / (row_bytes ? row_bytes : 1);
    n = n < POOL_ROWS_MIN ? n : POOL_ROWS_MIN;
    n = n < b->batch_max ? b->batch_max : n;
    if (row_bytes && n > PX_KERNEL_BENCH_POOL_MAX / row_bytes)
        return px_err_set(err, PX_E_TOO_LARGE,
                          "%zu rows of %zu features need more than %zu bytes: ask for smaller "
                          "batches",
                          n, info->n_features, PX_KERNEL_BENCH_POOL_MAX);
    b->pool.rows = (struct px_matrix){
        .type = info->feature_type,
        .n_rows = n,
        .n_cols = info->n_features,
        .stride = info->n_features,
    };
    b->pool.rows.data = px_alloc_aligned(PX_CACHE_LINE, n * info->n_features + 1,
                                         px_datatype_size(info->feature_type));
    b->pool.margins =
        px_alloc_aligned(PX_CACHE_LINE, b->batch_max * info->n_margins + 1, sizeof(double));
    b->ret->n_pool_rows = n;
    if (!b->pool.rows.data || !b->pool.margins)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu rows", n);
    return PX_OK;
}

static void free_pool(struct pool *pool)
{
    px_free(pool->rows.data);
    px_free(pool->margins);
    px_free(pool->scratch);
}

/* The next row of the CSV; false at its end. */
static enum px_code read_row(struct bench *b, struct px_rows *rows, size_t *at, bool *ret_more,
                             struct px_err *err)
{
    struct px_str data = b->ret->options.data;
    for (;;) {
        switch (px_rows_next(rows, &b->pool.rows, b->ret->n_data_rows, err)) {
        case PX_ROWS_ROW:
            b->ret->n_data_rows++;
            return PX_OK;
        case PX_ROWS_NONE:
        case PX_ROWS_END:
            *ret_more = false;
            return PX_OK;
        case PX_ROWS_BAD:
        case PX_ROWS_FAILED:
            return px_err_wrap(err, "%s", b->ret->options.data_name);
        case PX_ROWS_MORE:
            break;
        }
        size_t left = data.len - *at, n = left < FEED ? left : FEED;
        enum px_code code = px_rows_feed(rows, n ? data.ptr + *at : NULL, n, err);
        if (code != PX_OK)
            return code;
        *at += n;
    }
}

/* Fills the pool from the CSV, from its start again at its end. */
static enum px_code read_data(struct bench *b, struct px_err *err)
{
    const struct px_package *package = b->ret->package;
    const struct px_rows_options options = {.target = package->target};
    struct px_matrix *m = &b->pool.rows;
    struct px_rows rows;
    size_t at = 0;
    bool more = true;
    enum px_code code = PX_OK;
    px_rows_init(&rows, &package->signature, &options);
    while (code == PX_OK && more && b->ret->n_data_rows < m->n_rows)
        code = read_row(b, &rows, &at, &more, err);
    px_rows_deinit(&rows);
    if (code == PX_OK && b->ret->n_data_rows == 0)
        code = px_err_set(err, PX_E_INVALID, "%s has no rows", b->ret->options.data_name);
    size_t row_bytes = m->stride * px_datatype_size(m->type);
    for (size_t i = b->ret->n_data_rows; code == PX_OK && i < m->n_rows; i++)
        memcpy(px_matrix_row(m, i), px_matrix_row(m, i % b->ret->n_data_rows), row_bytes);
    return code;
}

static enum px_code fill_pool(struct bench *b, struct px_err *err)
{
    if (b->ret->options.data.ptr)
        return read_data(b, err);
    px_forest_probe_rows(b->ret->package->forest, b->ret->options.seed, &b->pool.rows);
    return PX_OK;
}

/* Times `n_calls` calls that walk through the pool from *at on; nanoseconds. */
static uint64_t time_calls(const struct px_forest *forest, const struct pool *pool, size_t batch,
                           size_t n_calls, size_t *at)
{
    struct px_matrix piece = pool->rows;
    uint64_t begin_ns = px_clock_thread_ns();
    piece.n_rows = batch;
    for (size_t i = 0; i < n_calls; i++) {
        if (*at + batch > pool->rows.n_rows)
            *at = 0;
        piece.data = px_matrix_row(&pool->rows, *at);
        px_forest_predict(forest, &piece, pool->margins, pool->scratch, PX_FOREST_MARGIN);
        *at += batch;
    }
    return px_clock_thread_ns() - begin_ns;
}

/* How many calls make a repetition, from the time of a few; warms up on the way. */
static size_t calibrate(const struct px_forest *forest, const struct pool *pool, size_t batch,
                        size_t *at)
{
    size_t n_calls = 1;
    uint64_t ns = time_calls(forest, pool, batch, 1, at);
    if (ns >= REPETITION_NS)
        return 1;
    for (; n_calls < CALLS_MAX; n_calls *= 2) {
        ns = time_calls(forest, pool, batch, n_calls, at);
        if (ns >= REPETITION_NS / 2)
            break;
    }
    size_t wanted = (size_t)((double)REPETITION_NS * (double)n_calls / (double)(ns ? ns : 1));
    return wanted ? wanted : 1;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The nearest rank. */
static double quantile(const double *sorted, size_t n, double share)
{
    size_t rank = (size_t)(share * (double)n + 0.999999);
    return sorted[rank > 0 ? rank - 1 : 0];
}

static void measure(const struct bench *b, const struct px_forest *forest, size_t batch,
                    struct px_kernel_cell *cell)
{
    double values[REPETITIONS_MAX];
    size_t at = 0, n = 0;
    uint64_t end_ns = px_clock_monotonic_ns() + (uint64_t)(b->cell_seconds * (double)PX_NS_PER_S);
    cell->n_calls = calibrate(forest, &b->pool, batch, &at);
    do {
        uint64_t ns = time_calls(forest, &b->pool, batch, cell->n_calls, &at);
        values[n++] = (double)ns / (double)cell->n_calls / (double)batch;
    } while (n < REPETITIONS_MAX && (n < REPETITIONS_MIN || px_clock_monotonic_ns() < end_ns));
    qsort(values, n, sizeof values[0], compare);
    cell->n_repetitions = n;
    cell->min_ns = values[0];
    cell->median_ns = quantile(values, n, 0.5);
    cell->p90_ns = quantile(values, n, 0.9);
}

static size_t bytes_of_form(const struct px_forest *forest, const char *kernel)
{
    const struct px_forest_info *info = px_forest_info(forest);
    for (size_t i = 0; i < info->n_kernels; i++) {
        if (strcmp(info->kernels[i].name, kernel) == 0 && info->kernels[i].bytes)
            return info->kernels[i].bytes;
    }
    return info->bytes; /* it walks the model itself */
}

const struct px_forest_choice *px_kernel_bench_choice(const struct px_kernel_bench *bench,
                                                      size_t batch)
{
    const struct px_forest_info *info = px_forest_info(bench->package->forest);
    size_t i = info->n_choices;
    while (i-- > 1) {
        if (info->choices[i].rows <= batch)
            return &info->choices[i];
    }
    return &info->choices[0];
}

/* All batches of one kernel, whose forest is open. */
static enum px_code measure_line(struct bench *b, const struct px_forest *forest,
                                 struct px_kernel_line *line, struct px_err *err)
{
    const struct px_kernel_bench_options *o = &b->ret->options;
    const struct px_forest_info *info = px_forest_info(forest);
    size_t feature = px_datatype_size(info->feature_type);
    size_t margin = px_datatype_size(info->score_type), form = bytes_of_form(forest, line->name);
    b->pool.scratch = px_alloc_aligned(
        PX_CACHE_LINE, px_forest_scratch_size(forest, b->batch_max) + PX_CACHE_LINE, 1);
    if (!b->pool.scratch)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the scratch of '%s'", line->name);
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < o->n_batches; i++) {
        struct px_kernel_cell *cell = &line->cells[i];
        size_t batch = o->batches[i];
        if (o->progress && !o->progress(o->progress_context, line->name, b->n_done++, b->n_cells))
            code = px_err_set(err, PX_E_CANCELLED, "interrupted");
        else
            measure(b, forest, batch, cell);
        cell->touched = form + px_forest_scratch_size(forest, batch) +
                        batch * (info->n_features * feature + info->n_margins * margin);
        cell->chosen = strcmp(px_kernel_bench_choice(b->ret, batch)->kernel, line->name) == 0;
    }
    px_free(b->pool.scratch);
    b->pool.scratch = NULL;
    return code;
}

static void note_refusal(struct px_kernel_line *line, const char *reason)
{
    line->usable = false;
    snprintf(line->reason, sizeof line->reason, "%s", reason);
}

static enum px_code run_line(struct bench *b, struct px_kernel_line *line, struct px_err *err)
{
    const struct px_kernel_bench_options *o = &b->ret->options;
    const struct px_forest_options forced = {.rounds = o->rounds, .kernel = line->name};
    struct px_package *package = NULL;
    struct px_err refusal = {0};
    if (!line->usable)
        return PX_OK;
    enum px_code code = px_package_open(o->path, &(struct px_package_options){.forest = &forced},
                                        &package, &refusal);
    if (code == PX_OK) {
        code = measure_line(b, package->forest, line, err);
    } else if (code == PX_E_INVALID && !o->kernel) {
        /* Nobody had asked it before, because another kernel was forced by the environment. */
        note_refusal(line, refusal.message);
        code = PX_OK;
    } else if (err) {
        *err = refusal;
    }
    px_package_close(package);
    return code;
}

static enum px_code unknown_kernel(const struct px_kernel_bench *bench, struct px_err *err)
{
    const struct px_forest_info *info = px_forest_info(bench->package->forest);
    struct px_str names[PX_KERNEL_BENCH_KERNELS_MAX];
    struct px_buf list = px_buf(PX_ERR_MESSAGE_MAX);
    for (size_t i = 0; i < info->n_kernels && i < PX_KERNEL_BENCH_KERNELS_MAX; i++) {
        names[i] = px_str(info->kernels[i].name);
        px_buf_printf(&list, "%s%s", i ? ", " : "", info->kernels[i].name);
    }
    px_err_set(err, PX_E_INVALID, "no kernel is called '%s': there are %s", bench->options.kernel,
               px_buf_cstr(&list));
    (void)px_err_suggest(err, px_str(bench->options.kernel), names, info->n_kernels);
    px_buf_deinit(&list);
    return PX_E_INVALID;
}

/* A line for each kernel that is wanted, with the reason of those that refuse the model. */
static enum px_code list_lines(struct bench *b, struct px_err *err)
{
    struct px_kernel_bench *ret = b->ret;
    const struct px_forest_info *info = px_forest_info(ret->package->forest);
    const char *only = ret->options.kernel;
    size_t n_usable = 0;
    for (size_t i = 0; i < info->n_kernels && ret->n_lines < PX_KERNEL_BENCH_KERNELS_MAX; i++) {
        const struct px_forest_kernel *kernel = &info->kernels[i];
        if (only && strcmp(kernel->name, only) != 0)
            continue;
        struct px_kernel_line *line = &ret->lines[ret->n_lines++];
        *line = (struct px_kernel_line){.name = kernel->name, .usable = true};
        if (kernel->state == PX_KERNEL_REFUSED)
            note_refusal(line, kernel->reason);
        n_usable += line->usable;
    }
    if (ret->n_lines == 0)
        return unknown_kernel(ret, err);
    if (n_usable == 0)
        return px_err_set(err, PX_E_INVALID, "kernel '%s' does not support this model: %s", only,
                          ret->lines[0].reason);
    b->n_cells = n_usable * ret->options.n_batches;
    b->cell_seconds = ret->options.seconds / (double)b->n_cells;
    return PX_OK;
}

enum px_code px_kernel_bench_run(const struct px_kernel_bench_options *options,
                                 struct px_kernel_bench *ret, struct px_err *err)
{
    PX_ASSERT(options->n_batches > 0 && options->n_batches <= PX_KERNEL_BENCH_BATCHES_MAX);
    const struct px_forest_options planned = {.rounds =
                                                  options->rounds}; /* measured as serve does */
    struct bench b = {.ret = ret, .batch_max = largest_batch(options)};
    *ret = (struct px_kernel_bench){.options = *options};
    enum px_code code = px_package_open(
        options->path, &(struct px_package_options){.forest = &planned}, &ret->package, err);
    if (code == PX_OK)
        code = list_lines(&b, err);
    if (code == PX_OK)
        code = make_pool(&b, err);
    if (code == PX_OK)
        code = fill_pool(&b, err);
    for (size_t i = 0; code == PX_OK && i < ret->n_lines; i++)
        code = run_line(&b, &ret->lines[i], err);
    free_pool(&b.pool);
    return code;
}

void px_kernel_bench_deinit(struct px_kernel_bench *bench)
{
    px_package_close(bench->package);
    bench->package = NULL;
}
