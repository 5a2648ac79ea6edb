/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One class is measured in rounds: in each, every candidate scores enough batches to be timed, one after
 * the other, so that a disturbance hits all of them alike; the least of the rounds counts. The first round
 * warms caches and branch predictors and counts for nothing, unless a round takes long. Successive batches are different rows: on
 * the same row again and again a branching kernel would look better than it is, because the processor
 * remembers the way.
 */
#include "domain/forest/measure.h"

#include "domain/forest/choose.h"
#include "domain/forest/selftest.h"

#include <math.h>

enum {
    ROUNDS = 4,
    SAMPLE_CYCLES = 150000,   /* predicted, of what is timed at once; at least one batch */
    ROW_VALUES_MAX = 20000,   /* random values that are made; more rows repeat them */
    ROWS_BYTES_MAX = 8 << 20, /* of rows and margins */
    ROWS_SEED = 20240301,
};

#define LONG_ROUND_NS 2e6 /* so long that warming up beforehand makes no difference */

static const uint8_t measured_classes[] = {0, 2, 4, 6, 9};

struct bench {
    struct px_plan *plan;
    uint64_t (*clock_ns)(void);
    uint64_t deadline_ns;
    struct px_matrix rows;
    void *margins, *scratch;
};

static size_t calls_in_sample(const struct bench *bench, size_t kernel, size_t size_class)
{
    double calls = (double)SAMPLE_CYCLES / bench->plan->kernels[kernel].cycles[size_class];
    size_t most = bench->rows.n_rows >> size_class;
    if (calls < 1.0)
        return 1;
    return calls < (double)most ? (size_t)calls : most;
}

/* Nanoseconds of one call. */
static double sample(const struct bench *bench, size_t kernel, size_t size_class)
{
    struct px_matrix batch = bench->rows;
    size_t calls = calls_in_sample(bench, kernel, size_class);
    batch.n_rows = (size_t)1 << size_class;
    uint64_t begin = bench->clock_ns();
    for (size_t i = 0; i < calls; i++) {
        batch.data = px_matrix_row(&bench->rows, i << size_class);
        px_plan_margins_by(bench->plan, kernel, &batch, bench->margins, bench->scratch);
    }
    uint64_t end = bench->clock_ns();
    return end > begin ? (double)(end - begin) / (double)calls : 0;
}

/* Is the kernel worth measuring, also by what smaller batches have shown? */
static bool is_worth_it(const struct bench *bench, size_t kernel, size_t size_class)
{
    double least = INFINITY;
    if (!px_plan_is_candidate(bench->plan, kernel, size_class))
        return false;
    for (size_t i = 0; i < bench->plan->n_kernels; i++) {
        if (px_plan_is_candidate(bench->plan, i, size_class))
            least = fmin(least, px_plan_call_ns(bench->plan, i, size_class));
    }
    return px_plan_call_ns(bench->plan, kernel, size_class) <= PX_PLAN_HOPELESS * least;
}

/* Nanoseconds that a round of the kernels in `set` will take, as far as one knows. */
static double round_ns(const struct bench *bench, uint32_t set, size_t size_class)
{
    double ns = 0;
    for (size_t i = 0; i < bench->plan->n_kernels; i++) {
        if (set >> i & 1)
            ns += px_plan_call_ns(bench->plan, i, size_class) *
                  (double)calls_in_sample(bench, i, size_class);
    }
    return ns;
}

static bool fits(const struct bench *bench, double ns)
{
    return (double)bench->clock_ns() + ns < (double)bench->deadline_ns;
}

static void measure_class(const struct bench *bench, size_t size_class)
{
    uint32_t set = 0; /* decided before the first round: all in it make the same rounds */
    for (size_t i = 0; i < bench->plan->n_kernels; i++)
        set |= (uint32_t)is_worth_it(bench, i, size_class) << i;
    double expected_ns = round_ns(bench, set, size_class);
    int first_counted = expected_ns < LONG_ROUND_NS ? 1 : 0;
    for (int round = 0; round < ROUNDS && fits(bench, expected_ns); round++) {
        for (size_t i = 0; i < bench->plan->n_kernels; i++) {
            if (!(set >> i & 1))
                continue;
            double *least = &bench->plan->kernels[i].call_ns[size_class];
            double ns = sample(bench, i, size_class);
            if (round >= first_counted && (*least <= 0 || ns < *least))
                *least = ns;
        }
        expected_ns = fmax(expected_ns, round_ns(bench, set, size_class));
    }
}

static bool make_rows(struct bench *bench, size_t n_rows)
{
    const struct px_forest_ir *ir = bench->plan->input.ir;
    size_t size = px_datatype_size(ir->type),
           distinct = ROW_VALUES_MAX / (ir->used_features.len + 1);
    struct px_rng rng = px_rng(ROWS_SEED);
    bench->rows = (struct px_matrix){.type = ir->type,
                                     .data = px_alloc(n_rows * ir->n_features, size),
                                     .n_rows = n_rows,
                                     .n_cols = ir->n_features,
                                     .stride = ir->n_features};
    bench->margins = px_alloc(n_rows * ir->n_margins, size);
    bench->scratch =
        px_alloc_aligned(PX_CACHE_LINE, px_plan_scratch_size(bench->plan, n_rows) + 1, 1);
    if (!bench->rows.data || !bench->margins || !bench->scratch)
        return false;
    px_selftest_rows_repeated(ir, &rng, &bench->rows, distinct > 0 ? distinct : 1);
    return true;
}

static void free_rows(struct bench *bench)
{
    px_free(bench->rows.data);
    px_free(bench->margins);
    px_free(bench->scratch);
}

void px_plan_measure(struct px_plan *plan, uint64_t (*clock_ns)(void), uint64_t budget_ns)
{
    const struct px_forest_ir *ir = plan->input.ir;
    size_t row_bytes = (ir->n_features + ir->n_margins) * px_datatype_size(ir->type);
    size_t n_rows = ROWS_BYTES_MAX / row_bytes;
    struct bench bench = {.plan = plan, .clock_ns = clock_ns};
    bench.deadline_ns = clock_ns() + budget_ns;
    n_rows = n_rows < PX_PLAN_ROWS_MAX ? n_rows : PX_PLAN_ROWS_MAX;
    bool made = n_rows > 0 && make_rows(&bench, n_rows);
    for (size_t i = 0; made && i < PX_ARRAY_LEN(measured_classes); i++) {
        if ((size_t)1 << measured_classes[i] <= n_rows)
            measure_class(&bench, measured_classes[i]);
    }
    free_rows(&bench);
}
