/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the caller's arrays to the forest and back.
 *
 * Rows of the forest's own type are scored where they lie, whatever their stride, and scores of its own type
 * are written where they belong, so the common call copies nothing. Otherwise blocks of rows are converted into
 * the slot's memory, which stays in the cache.
 *
 * With PHX_PARALLEL a large batch is cut into chunks that the pool's participants score, each with a slot of its
 * own. A row's score depends on that row only, so it does not matter who scores it or in which chunk.
 *
 * Each piece of work stands under the default arithmetic on its own, because helpers have their own registers.
 */
#include "interfaces/library/model.h"

#include "application/parallel/share.h"
#include "interfaces/library/exact.h"
#include "shared/alloc.h"
#include "shared/cores.h"
#include "shared/unconst.h"

/* A call: what was asked, with the arrays as matrices. */
struct request {
    const phx_model *model;
    struct px_matrix rows, out; /* of the caller's type */
    unsigned forest_flags;
    size_t chunk_rows;
    _Atomic bool no_memory;
};

/* ---- conversion ---- */

/* One row of values, from any type to any. */
static void copy_row(const struct px_matrix *from, size_t from_row, struct px_matrix *to,
                     size_t to_row)
{
    const void *source = px_matrix_row(from, from_row);
    void *target = px_matrix_row(to, to_row);
    if (from->type == to->type) {
        memcpy(target, source, to->n_cols * px_datatype_size(to->type));
    } else if (to->type == PX_TYPE_FP32) {
        for (size_t i = 0; i < to->n_cols; i++)
            ((float *)target)[i] = (float)((const double *)source)[i];
    } else {
        for (size_t i = 0; i < to->n_cols; i++)
            ((double *)target)[i] = (double)((const float *)source)[i];
    }
}

/* ---- scoring ---- */

/* Rows [first, first + n), which are of the forest's type, into the caller's array. */
static void score_in_place(const struct request *r, struct px_library_slot *slot, size_t first,
                           size_t n)
{
    struct px_matrix rows = r->rows;
    rows.data = px_matrix_row(&r->rows, first);
    rows.n_rows = n;
    px_forest_predict(r->model->forest, &rows, px_matrix_row(&r->out, first), slot->scratch,
                      r->forest_flags);
}

/* The same for another type: at most block_rows rows, through the slot's memory. */
static void score_converted(struct request *r, struct px_library_slot *slot, size_t first, size_t n)
{
    const struct px_forest_info *info = r->model->info;
    size_t n_features = r->rows.n_cols, n_scores = r->out.n_cols;
    struct px_matrix rows = {info->feature_type, slot->rows, n, n_features, n_features};
    struct px_matrix scores = {info->score_type, slot->scores, n, n_scores, n_scores};
    for (size_t i = 0; i < n; i++)
        copy_row(&r->rows, first + i, &rows, i);
    px_forest_predict(r->model->forest, &rows, scores.data, slot->scratch, r->forest_flags);
    for (size_t i = 0; i < n; i++)
        copy_row(&scores, i, &r->out, first + i);
}

static bool score_rows(struct request *r, size_t first, size_t n)
{
    const phx_model *model = r->model;
    struct px_library_slot *slot = px_library_take_slot(model);
    if (PX_UNLIKELY(!slot))
        return false;
    bool converts =
        r->rows.type != model->info->feature_type || r->out.type != model->info->score_type;
    bool ready = !converts || px_library_widen_slot(model, slot);
    uint64_t modes = px_exact_begin();
    for (size_t at = 0; ready && at < n; at += model->block_rows) {
        size_t left = n - at, n_block = left < model->block_rows ? left : model->block_rows;
        if (converts)
            score_converted(r, slot, first + at, n_block);
        else
            score_in_place(r, slot, first + at, n_block);
    }
    px_exact_end(modes);
    px_library_give_slot(model, slot);
    return ready;
}

/* ---- several threads ---- */

static void score_chunk(void *context, size_t chunk, unsigned who)
{
    struct request *r = context;
    size_t first = chunk * r->chunk_rows, left = r->rows.n_rows - first;
    (void)who;
    if (!score_rows(r, first, left < r->chunk_rows ? left : r->chunk_rows))
        atomic_store_explicit(&r->no_memory, true, memory_order_relaxed);
}

/* Makes a slot for each participant, so that a helper that comes late finds one. */
static void reserve_slots(const phx_model *model, unsigned n)
{
    struct px_library_slot *slots[PX_LIBRARY_SLOTS];
    size_t n_taken = 0;
    while (n_taken < n && n_taken < PX_LIBRARY_SLOTS) {
        slots[n_taken] = px_library_take_slot(model);
        if (!slots[n_taken])
            break; /* who needs it will ask again */
        n_taken++;
    }
    while (n_taken > 0)
        px_library_give_slot(model, slots[--n_taken]);
}

/*
 * The model's pool; NULL while another call makes it, and for good once the system gave no threads: asking again
 * with every call would cost more than the helpers bring.
 */
static struct px_pool *find_pool(const phx_model *model)
{
    struct px_library_shared *shared = model->shared;
    struct px_pool *pool = atomic_load_explicit(&shared->pool, memory_order_acquire);
    if (pool || atomic_exchange_explicit(&shared->pool_asked_for, true, memory_order_relaxed))
        return pool;
    if (px_pool_create(shared->n_threads, &pool, NULL) != PX_OK)
        return NULL;
    reserve_slots(model, px_pool_threads(pool));
    atomic_store_explicit(&shared->pool, pool, memory_order_release);
    return pool;
}

/* Threads of the pool that there would be. */
static unsigned count_threads(const phx_model *model)
{
    return model->shared->n_threads ? model->shared->n_threads : px_cores(PX_POOL_THREADS_MAX);
}

static size_t count_chunk_rows(const struct request *r, unsigned n_threads)
{
    return px_share_chunk(r->model->info, r->rows.n_rows, n_threads, PX_LIBRARY_BLOCK_ROWS_MAX);
}

static int score_in_parallel(struct request *r)
{
    size_t n_rows = r->rows.n_rows;
    bool pays = count_chunk_rows(r, count_threads(r->model)) > 0; /* worth starting threads */
    struct px_pool *pool = pays ? find_pool(r->model) : NULL;
    r->chunk_rows = count_chunk_rows(r, px_pool_threads(pool));
    if (r->chunk_rows == 0)
        return score_rows(r, 0, n_rows) ? PHX_OK : PHX_NO_MEMORY;
    px_pool_run(pool, &(struct px_pool_job){
                          .work = score_chunk,
                          .context = r,
                          .n_chunks = (n_rows - 1) / r->chunk_rows + 1,
                      });
    /* Published, like the scores, by the end of the run. */
    return atomic_load_explicit(&r->no_memory, memory_order_relaxed) ? PHX_NO_MEMORY : PHX_OK;
}

/* ---- the calls ---- */

/* Is there an array for the matrix's rows? Lengths that do not fit the address space are not. */
static bool is_array(const struct px_matrix *m)
{
    size_t bytes;
    return m->data && !__builtin_mul_overflow(m->n_rows, m->stride, &bytes) &&
           !__builtin_mul_overflow(bytes, px_datatype_size(m->type), &bytes) &&
           bytes <= PTRDIFF_MAX;
}

/* Types, rows, and where the scores go are set; the model's part and the checks are added. */
static int predict(struct request *r, unsigned flags)
{
    if (!r->model || (flags & ~(unsigned)(PHX_MARGIN | PHX_PARALLEL)))
        return PHX_INVALID;
    const struct px_forest_info *info = r->model->info;
    size_t n_rows = r->rows.n_rows;
    if (n_rows == 0)
        return PHX_OK;
    r->rows.n_cols = info->n_features;
    r->out.n_cols = r->out.stride = flags & PHX_MARGIN ? info->n_margins : info->n_outputs;
    r->forest_flags = flags & PHX_MARGIN ? PX_FOREST_MARGIN : 0;
    if (r->rows.stride < info->n_features || !is_array(&r->rows) || !is_array(&r->out))
        return PHX_INVALID;
    if (flags & PHX_PARALLEL)
        return score_in_parallel(r);
    return score_rows(r, 0, n_rows) ? PHX_OK : PHX_NO_MEMORY;
}

int phx_model_predict_f32(const phx_model *model, const float *rows, size_t n_rows, size_t stride,
                          float *out, unsigned flags)
{
    struct request request = {
        .model = model,
        .rows = {PX_TYPE_FP32, px_unconst(rows), n_rows, 0, stride},
        .out = {PX_TYPE_FP32, out, n_rows, 0, 0},
    };
    return predict(&request, flags);
}

int phx_model_predict_f64(const phx_model *model, const double *rows, size_t n_rows, size_t stride,
                          double *out, unsigned flags)
{
    struct request request = {
        .model = model,
        .rows = {PX_TYPE_FP64, px_unconst(rows), n_rows, 0, stride},
        .out = {PX_TYPE_FP64, out, n_rows, 0, 0},
    };
    return predict(&request, flags);
}
