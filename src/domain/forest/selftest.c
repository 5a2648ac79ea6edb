/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each row follows one random path of one random tree: at every split its feature gets the threshold, one
 * of its neighbours, or a special value, and the walk goes on to a random child. So deep nodes are
 * tested on their own thresholds, which rows of independent features hardly reach. Other features get a
 * special or a random value if some tree uses them, else 0: a few bytes of file can declare millions.
 */
#include "domain/forest/selftest.h"

#include <float.h>
#include <math.h>

/* Rows per block: batches, and the odd rest at the end; fewer when rows are wide. */
enum { BLOCK_ROWS_MAX = 64, BLOCK_BYTES = 8 << 20 };

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

static double value_for(const struct px_forest_ir *ir, struct px_rng *rng,
                        const struct px_node *node)
{
    if (px_rng_below(rng, 5) == 0)
        return special_value(rng);
    if (node->kind == PX_NODE_SET)
        return category_value(ir, rng, node->set);
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

/* Writes the features that are in use; the others must be 0 already. */
static void fill_used(const struct px_forest_ir *ir, struct px_rng *rng, struct px_matrix *rows)
{
    const uint32_t *feature;
    for (size_t i = 0; i < rows->n_rows; i++) {
        px_vec_foreach (feature, &ir->used_features)
            px_matrix_set(rows, i, *feature,
                          px_rng_below(rng, 3) ? px_rng_normal(rng) : special_value(rng));
        for (int paths = 0; paths < 4; paths++)
            follow_path(ir, rng, rows, i);
    }
}

void px_selftest_rows(const struct px_forest_ir *ir, struct px_rng *rng, struct px_matrix *rows)
{
    for (size_t i = 0; i < rows->n_rows; i++)
        memset(px_matrix_row(rows, i), 0, rows->n_cols * px_datatype_size(rows->type));
    fill_used(ir, rng, rows);
}

struct bench {
    const struct px_forest_ir *ir;
    struct px_matrix rows;
    size_t block; /* most rows at a time */
    void *want, *got;
    struct px_plan plan; /* of every kernel that supports the forest */
    void *scratch;
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

static enum px_code compare(const struct bench *bench, size_t kernel, size_t first_row,
                            const char *batch, struct px_err *err)
{
    size_t n = bench->rows.n_rows * bench->ir->n_margins;
    for (size_t i = 0; i < n; i++) {
        if (!same_margin(bench->ir, bench->want, bench->got, i))
            return px_err_set(err, PX_E_INTERNAL,
                              "self-test: kernel '%s' (%s) differs from the walker in row %zu, "
                              "margin %zu",
                              px_kernels[kernel]->name, batch, first_row + i / bench->ir->n_margins,
                              i % bench->ir->n_margins);
    }
    return PX_OK;
}

static void score_one_by_one(const struct bench *bench, size_t kernel)
{
    size_t size = bench->ir->n_margins * px_datatype_size(bench->ir->type);
    for (size_t i = 0; i < bench->rows.n_rows; i++) {
        struct px_matrix row = bench->rows;
        row.data = px_matrix_row(&bench->rows, i);
        row.n_rows = 1;
        px_plan_margins_by(&bench->plan, kernel, &row, (char *)bench->got + i * size,
                           bench->scratch);
    }
}

static enum px_code test_block(const struct bench *bench, size_t first_row, struct px_err *err)
{
    enum px_code code = PX_OK;
    px_plan_margins_by(&bench->plan, PX_KERNELS - 1, &bench->rows, bench->want, NULL);
    for (size_t k = 0; code == PX_OK && k < PX_KERNELS; k++) {
        if (!bench->plan.kernels[k].usable)
            continue;
        px_plan_margins_by(&bench->plan, k, &bench->rows, bench->got, bench->scratch);
        code = compare(bench, k, first_row, "batch", err);
        if (code != PX_OK)
            return code;
        score_one_by_one(bench, k);
        code = compare(bench, k, first_row, "one row", err);
    }
    return code;
}

static size_t block_rows(size_t bytes_per_row)
{
    size_t rows = BLOCK_BYTES / bytes_per_row;
    if (rows == 0)
        return 1;
    return rows < BLOCK_ROWS_MAX ? rows : BLOCK_ROWS_MAX;
}

static enum px_code init_bench(struct bench *bench, const struct px_forest_ir *ir,
                               struct px_err *err)
{
    size_t size = px_datatype_size(ir->type);
    enum px_code code = PX_OK;
    *bench = (struct bench){.ir = ir};
    bench->rows =
        (struct px_matrix){.type = ir->type, .n_cols = ir->n_features, .stride = ir->n_features};
    bench->block = block_rows((ir->n_features + 2 * ir->n_margins) * size);
    bench->rows.data = px_alloc(bench->block * ir->n_features, size);
    bench->want = px_alloc(bench->block * ir->n_margins, size);
    bench->got = px_alloc(bench->block * ir->n_margins, size);
    if (!bench->rows.data || !bench->want || !bench->got)
        return px_ir_no_memory(err);
    code = px_plan_init(&bench->plan, ir, NULL, err);
    if (code != PX_OK)
        return code;
    size_t scratch = px_plan_scratch_size(&bench->plan, bench->block);
    bench->scratch = px_alloc_aligned(PX_CACHE_LINE, scratch + 1, 1);
    return bench->scratch ? PX_OK : px_ir_no_memory(err);
}

static void deinit_bench(struct bench *bench)
{
    px_plan_deinit(&bench->plan);
    px_free(bench->scratch);
    px_free(bench->rows.data);
    px_free(bench->want);
    px_free(bench->got);
}

enum px_code px_selftest_run(const struct px_forest_ir *ir, size_t n_rows, uint64_t seed,
                             struct px_err *err)
{
    struct bench bench;
    struct px_rng rng = px_rng(seed);
    enum px_code code = init_bench(&bench, ir, err);
    for (size_t done = 0; code == PX_OK && done < n_rows; done += bench.block) {
        size_t left = n_rows - done;
        bench.rows.n_rows = left < bench.block ? left : bench.block;
        fill_used(ir, &rng, &bench.rows);
        code = test_block(&bench, done, err);
    }
    deinit_bench(&bench);
    return code;
}
