/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each row follows four random paths, each of a random tree: at every split its feature gets the threshold
 * (of a value list one of its numbers), one of its neighbours, or a special value, and the walk goes on to a
 * random child. So deep nodes are tested on their own thresholds, which rows of independent features hardly
 * reach. Other features get a special or a random value if some tree uses them, else 0: a few bytes of file
 * can declare a million.
 *
 * The comparison. The walker scores each row, every other kernel scores them in batches of many sizes, and
 * some of them one by one. Rows that fit into one block, which is nearly always, are made and walked once;
 * wide ones are made and walked again for each kernel, which costs the features in use and not those declared.
 * Kernels that the plan has dropped are compiled again, one at a time, unless the forest is large: then it
 * would take longer than all else, and say nothing about the kernels that serve. What limits the work is
 * counted in rows, values and predicted cycles, never in time: the same model always gets the same test.
 * Where the limits allow fewer different rows than are to be scored, rows repeat, so that large batches are
 * tested on large models too.
 */
#include "domain/forest/selftest.h"

#include <float.h>
#include <math.h>

enum {
    BLOCK_ROWS_MAX = 1024, /* that are made and kept at a time; fewer when rows are wide */
    BLOCK_BYTES = 8 << 20,
    ROW_VALUES_MAX = 1 << 20, /* random values that are made; more rows repeat them */
    SINGLE_ROWS = 64,         /* that are scored one by one as well */
};

#define DROPPED_NODES_MAX PX_PLAN_LARGE_NODES /* of a forest whose dropped kernels are tested */

/* Predicted cycles, so that the test of a huge model ends soon and tests the same rows everywhere. */
#define WALKER_CYCLES_MAX  1e8
#define KERNEL_CYCLES_MAX  1e8
#define DROPPED_CYCLES_MAX 1e7 /* of a kernel that will not serve this model */

/* Batch sizes, one after the other: around the widths of vectors, blocks and words, and odd rests. */
static const uint16_t batch_sizes[] = {1, 7, 64, 511, 2, 33, 128, 17, 512, 3, 255, 65, 9};

static double special_value(struct px_rng *rng)
{
    static const double values[] = {
        0.0,
        -0.0,
        (double)INFINITY,
        -(double)INFINITY,
        (double)NAN,
        1e-35,
        -1e-35,
        1e-36,
        -1e-36,
        1e-40,
        -1e-40,
        1.0,
        -1.0,
        -0.5,
        0.5,
        3.7,
        2147483648.0,
        -2147483649.0,
        16777216.0,
        1e300,
        -1e300,
        FLT_MIN,
        -FLT_MIN,
        FLT_MAX,
        DBL_MIN,
        5e-324,
        31.0,
        32.0,
    };
    return values[px_rng_below(rng, PX_ARRAY_LEN(values))];
}

/* `value` or one of its neighbours in the element type. */
static double neighbour(const struct px_forest_ir *ir, struct px_rng *rng, double value)
{
    uint64_t pick = px_rng_below(rng, 3);
    double toward = pick == 1 ? (double)INFINITY : -(double)INFINITY;
    if (pick == 0)
        return value;
    return ir->type == PX_TYPE_FP32 ? (double)nextafterf((float)value, (float)toward)
                                    : nextafter(value, toward);
}

static double category_value(const struct px_forest_ir *ir, struct px_rng *rng, uint32_t set)
{
    const struct px_set *s = &ir->sets.items[set];
    uint64_t code = (uint64_t)s->low_word * 32 + px_rng_below(rng, (uint64_t)s->n_words * 32 + 34);
    double fraction = px_rng_below(rng, 4) == 0 ? 0.7 : 0.0;
    return (double)code - 1.0 + fraction;
}

/* A number of the list, a neighbour of one, or what lies halfway to the next number of the list. */
static double listed_value(const struct px_forest_ir *ir, struct px_rng *rng, uint32_t list)
{
    const struct px_value_list *l = &ir->value_lists.items[list];
    const double *values = &ir->values.items[l->first];
    uint64_t pick = l->n ? px_rng_below(rng, l->n) : 0;
    if (l->n == 0)
        return px_rng_normal(rng);
    if (pick + 1 < l->n && px_rng_below(rng, 4) == 0)
        return values[pick] / 2 + values[pick + 1] / 2;
    return neighbour(ir, rng, values[pick]);
}

static double value_for(const struct px_forest_ir *ir, struct px_rng *rng,
                        const struct px_node *node)
{
    if (px_rng_below(rng, 5) == 0)
        return special_value(rng);
    if (node->kind == PX_NODE_SET)
        return category_value(ir, rng, node->set);
    if (node->kind == PX_NODE_VALUES)
        return listed_value(ir, rng, node->set);
    if (px_rng_below(rng, 4) == 0)
        return neighbour(ir, rng, node->threshold) + px_rng_normal(rng);
    return neighbour(ir, rng, node->threshold);
}

static void follow_path(const struct px_forest_ir *ir, struct px_rng *rng, struct px_matrix *rows,
                        size_t row)
{
    const struct px_tree *tree = &ir->trees.items[px_rng_below(rng, ir->trees.len)];
    const struct px_node *nodes = &ir->nodes.items[tree->first_node], *node = nodes;
    while (node->kind != PX_NODE_LEAF) {
        px_matrix_set(rows, row, node->feature, value_for(ir, rng, node));
        node = &nodes[node->left + px_rng_below(rng, 2)];
    }
}

/* Writes a row's features that are in use. */
static void fill_row(const struct px_forest_ir *ir, struct px_rng *rng, struct px_matrix *rows,
                     size_t row)
{
    const uint32_t *feature;
    px_vec_foreach (feature, &ir->used_features)
        px_matrix_set(rows, row, *feature,
                      px_rng_below(rng, 3) ? px_rng_normal(rng) : special_value(rng));
    for (int paths = 0; paths < 4; paths++)
        follow_path(ir, rng, rows, row);
}

/* Writes them as in another row. */
static void repeat_row(const struct px_forest_ir *ir, struct px_matrix *rows, size_t row,
                       size_t other)
{
    const uint32_t *feature;
    px_vec_foreach (feature, &ir->used_features)
        px_matrix_set(rows, row, *feature, px_matrix_get(rows, other, *feature));
}

/* Writes the features that are in use, nothing else: rows may be wider than all work on them. */
static void fill_used(const struct px_forest_ir *ir, struct px_rng *rng, struct px_matrix *rows,
                      size_t n_distinct)
{
    for (size_t i = 0; i < rows->n_rows; i++) {
        if (i < n_distinct)
            fill_row(ir, rng, rows, i);
        else
            repeat_row(ir, rows, i, i - n_distinct);
    }
}

void px_selftest_rows_repeated(const struct px_forest_ir *ir, struct px_rng *rng,
                               struct px_matrix *rows, size_t n_distinct)
{
    for (size_t i = 0; i < rows->n_rows; i++)
        memset(px_matrix_row(rows, i), 0, rows->n_cols * px_datatype_size(rows->type));
    fill_used(ir, rng, rows, n_distinct);
}

void px_selftest_rows(const struct px_forest_ir *ir, struct px_rng *rng, struct px_matrix *rows)
{
    px_selftest_rows_repeated(ir, rng, rows, rows->n_rows);
}

struct trial {
    const struct px_plan *plan;
    const struct px_forest_ir *ir;
    uint64_t seed;
    struct px_matrix rows; /* one block; features that no tree uses stay 0 */
    size_t block_rows, n_blocks, n_distinct;
    void *want, *got;
    struct px_plan spare; /* for kernels that the plan has dropped */
    struct px_rng rng;
    size_t made;      /* the block that `rows` and `want` hold, plus one */
    size_t n_kernels; /* tested so far */
    size_t n_untested;
    /* The fewest in batches, of kernels that serve and of dropped ones. */
    size_t n_rows, n_rows_dropped;
    bool serves; /* some tested kernel does */
};

/* Any NaN equals any NaN: the sign of inf - inf is the processor's choice, not the library's. */
static bool same_margin(const struct px_forest_ir *ir, const void *a, const void *b, size_t i)
{
    if (ir->type == PX_TYPE_FP32) {
        float x = ((const float *)a)[i], y = ((const float *)b)[i];
        return memcmp(&x, &y, sizeof x) == 0 || (isnan(x) && isnan(y));
    }
    double x = ((const double *)a)[i], y = ((const double *)b)[i];
    return memcmp(&x, &y, sizeof x) == 0 || (isnan(x) && isnan(y));
}

/* Part of a block, and how it is cut into batches. */
struct pass {
    const struct px_plan *plan; /* in which the kernel is usable */
    size_t kernel;
    size_t block;
    size_t n_rows;
    bool one_by_one;
};

static enum px_code compare(const struct trial *trial, const struct pass *pass, size_t first,
                            size_t n_rows, struct px_err *err)
{
    size_t n_margins = trial->ir->n_margins;
    for (size_t i = first * n_margins; i < (first + n_rows) * n_margins; i++) {
        if (!same_margin(trial->ir, trial->want, trial->got, i))
            return px_err_set(err, PX_E_INTERNAL,
                              "self-test: kernel '%s' differs from the walker in row %zu (%zu of a "
                              "batch of %zu), margin %zu",
                              pass->plan->table[pass->kernel]->name,
                              pass->block * trial->block_rows + i / n_margins,
                              i / n_margins - first, n_rows, i % n_margins);
    }
    return PX_OK;
}

/* Scores and compares the pass's rows, from the first on, as long as the work is within its limit. */
static enum px_code run_pass(const struct trial *trial, const struct pass *pass, void *scratch,
                             size_t *n_done, struct px_err *err)
{
    const struct px_kernel *kernel = pass->plan->table[pass->kernel];
    size_t margins_size = trial->ir->n_margins * px_datatype_size(trial->ir->type), turn = 0;
    double cycles = 0,
           cycles_max = pass->plan == trial->plan ? KERNEL_CYCLES_MAX : DROPPED_CYCLES_MAX;
    for (size_t first = 0, n; first < pass->n_rows && cycles < cycles_max; first += n) {
        size_t left = pass->n_rows - first;
        n = pass->one_by_one ? 1 : batch_sizes[(pass->block + turn++) % PX_ARRAY_LEN(batch_sizes)];
        n = n < left ? n : left;
        struct px_matrix batch = trial->rows;
        batch.data = px_matrix_row(&trial->rows, first);
        batch.n_rows = n;
        px_plan_margins_by(pass->plan, pass->kernel, &batch,
                           (char *)trial->got + first * margins_size, scratch);
        enum px_code code = compare(trial, pass, first, n, err);
        if (code != PX_OK)
            return code;
        cycles += kernel->cost(&pass->plan->input, pass->plan->kernels[pass->kernel].compiled, n);
        *n_done += n;
    }
    return PX_OK;
}

/* Makes a block and the walker's margins of it, unless it is there. Blocks are made in order. */
static void make_block(struct trial *trial, size_t block)
{
    if (trial->made == block + 1)
        return;
    if (block == 0)
        trial->rng = px_rng(trial->seed);
    size_t n_rows = trial->rows.n_rows, n_margins = trial->ir->n_margins;
    size_t distinct = trial->n_distinct < n_rows ? trial->n_distinct : n_rows;
    size_t row_bytes = n_margins * px_datatype_size(trial->ir->type);
    struct px_matrix first = trial->rows;
    fill_used(trial->ir, &trial->rng, &trial->rows, distinct);
    first.n_rows = distinct;
    px_walker_kernel.margins(&trial->plan->input, NULL, &first, trial->want, NULL);
    px_ir_finish_margins(trial->ir, trial->want, distinct);
    for (size_t i = distinct; i < n_rows; i++)
        memcpy((char *)trial->want + i * row_bytes,
               (char *)trial->want + (i - distinct) * row_bytes, row_bytes);
    trial->made = block + 1;
}

static enum px_code test_kernel(struct trial *trial, const struct px_plan *plan, size_t kernel,
                                struct px_err *err)
{
    size_t n_batched = 0, n_single = 0;
    struct pass pass = {.plan = plan, .kernel = kernel, .n_rows = trial->rows.n_rows};
    size_t size = plan->table[kernel]->scratch_size(&plan->input, plan->kernels[kernel].compiled,
                                                    trial->rows.n_rows);
    void *scratch = px_alloc_aligned(PX_CACHE_LINE, size + 1, 1);
    enum px_code code = scratch ? PX_OK : px_ir_no_memory(err);
    for (; code == PX_OK && pass.block < trial->n_blocks; pass.block++) {
        make_block(trial, pass.block);
        code = run_pass(trial, &pass, scratch, &n_batched, err);
    }
    if (code == PX_OK) { /* rows of the last block */
        pass.block--;
        pass.one_by_one = true;
        pass.n_rows = pass.n_rows < SINGLE_ROWS ? pass.n_rows : SINGLE_ROWS;
        code = run_pass(trial, &pass, scratch, &n_single, err);
    }
    if (code == PX_OK) {
        bool serves = plan == trial->plan;
        size_t *fewest = serves ? &trial->n_rows : &trial->n_rows_dropped;
        trial->n_kernels++;
        trial->serves |= serves;
        *fewest = n_batched < *fewest ? n_batched : *fewest;
    }
    px_free(scratch);
    return code;
}

/*
 * Tests a kernel of the plan, compiled again if it was dropped; nothing when it refuses, when the forest is too
 * large, or when there is not the memory to compile again what will not serve.
 */
static enum px_code test_one(struct trial *trial, size_t kernel, struct px_err *err)
{
    const struct px_plan_kernel *planned = &trial->plan->kernels[kernel];
    if (planned->refused || (trial->plan->forced && !planned->usable))
        return PX_OK;
    if (planned->usable)
        return test_kernel(trial, trial->plan, kernel, err);
    size_t before = trial->n_kernels;
    enum px_code code = PX_OK;
    if (trial->ir->nodes.len <= DROPPED_NODES_MAX)
        code = px_plan_compile(&trial->spare, kernel, NULL);
    if (code == PX_OK && trial->spare.kernels[kernel].usable)
        code = test_kernel(trial, &trial->spare, kernel, err);
    trial->n_untested += trial->n_kernels == before;
    px_plan_drop(&trial->spare, kernel);
    return code == PX_E_NO_MEMORY ? PX_OK : code;
}

static size_t at_least_one(double n)
{
    return n < 1.0 ? 1 : (size_t)n;
}

static enum px_code init_trial(struct trial *trial, const struct px_plan *plan, size_t n_rows,
                               struct px_err *err)
{
    const struct px_forest_ir *ir = plan->input.ir;
    size_t size = px_datatype_size(ir->type);
    size_t fit = BLOCK_BYTES / ((ir->n_features + 2 * ir->n_margins) * size + 1);
    double by_walker = WALKER_CYCLES_MAX / px_walker_kernel.cost(&plan->input, NULL, 1);
    double by_values = ROW_VALUES_MAX / (double)(ir->used_features.len + 1);
    fit = fit < BLOCK_ROWS_MAX ? fit : BLOCK_ROWS_MAX;
    trial->plan = plan;
    trial->ir = ir;
    trial->block_rows = fit > n_rows ? n_rows : fit ? fit : 1;
    trial->n_blocks = (n_rows + trial->block_rows - 1) / trial->block_rows;
    trial->n_rows = trial->n_rows_dropped = trial->n_blocks * trial->block_rows;
    trial->n_distinct = at_least_one(fmin(by_walker, by_values) / (double)trial->n_blocks);
    trial->rows = (struct px_matrix){.type = ir->type,
                                     .data = px_alloc(trial->block_rows * ir->n_features, size),
                                     .n_rows = trial->block_rows,
                                     .n_cols = ir->n_features,
                                     .stride = ir->n_features};
    trial->want = px_alloc(trial->block_rows * ir->n_margins, size);
    trial->got = px_alloc(trial->block_rows * ir->n_margins, size);
    px_plan_init_empty(&trial->spare, ir, plan->table, plan->n_kernels);
    trial->spare.input = plan->input; /* shares the codes, when there are any */
    return trial->rows.data && trial->want && trial->got ? PX_OK : px_ir_no_memory(err);
}

static void deinit_trial(struct trial *trial)
{
    px_plan_deinit(&trial->spare);
    px_free(trial->rows.data);
    px_free(trial->want);
    px_free(trial->got);
}

enum px_code px_selftest_plan(const struct px_plan *plan, size_t n_rows, uint64_t seed,
                              struct px_forest_self_test *ret, struct px_err *err)
{
    struct trial trial = {.seed = seed};
    enum px_code code = init_trial(&trial, plan, n_rows > 0 ? n_rows : 1, err);
    for (size_t i = 0; code == PX_OK && i < plan->n_kernels; i++) {
        if (plan->table[i] != &px_walker_kernel)
            code = test_one(&trial, i, err);
    }
    size_t fewest = trial.serves ? trial.n_rows : trial.n_rows_dropped;
    *ret = (struct px_forest_self_test){.done = code == PX_OK || code == PX_E_INTERNAL,
                                        .passed = code == PX_OK,
                                        .n_kernels = trial.n_kernels,
                                        .n_untested = trial.n_untested,
                                        .n_rows = trial.n_kernels ? fewest : 0};
    deinit_trial(&trial);
    return code;
}
