/* SPDX-License-Identifier: Apache-2.0 */
/* The bit-sliced kernels: blocks of rows through the stages of bitslice.h, whatever the instruction set. */
#include "domain/forest/kernels/bitslice/bitslice.h"

#include "shared/processor.h"

/*
 * A form for large blocks and, where there is one, a form for few rows; one layout serves both. The prices
 * are cycles per element of each stage, fitted by measuring.
 */
struct px_slice_forms {
    const struct px_slice_form *wide, *narrow;
    bool byte_tables;
    double code, predicate, load, index, leaf;
};

/*
 * What an operation on a narrow vector costs, in wide ones: table entries come from nearer caches, but the
 * instructions are the same.
 */
#define NARROW_PREDICATE 0.8
#define NARROW_TREE      0.4

/* The parts of the scratch memory for one block. */
struct workspace {
    uint8_t *codes, *indexes;
    void *planes, *table, *sums;
};

static size_t round_up(size_t bytes)
{
    return (bytes + PX_CACHE_LINE - 1) & ~(size_t)(PX_CACHE_LINE - 1);
}

static struct workspace lay_out(const struct px_kernel_input *input, const struct px_slice *slice,
                                uint32_t lanes, char *scratch, size_t *ret_size)
{
    size_t codes = input->codes->n_slots * lanes; /* planes have as many bits */
    size_t table = round_up(slice->places_max * (lanes / 8));
    size_t indexes = (size_t)PX_SLICE_BATCH * lanes;
    size_t sums = input->ir->n_margins * lanes * px_datatype_size(input->ir->type);
    *ret_size = 2 * codes + table + indexes + sums;
    if (!scratch)
        return (struct workspace){0};
    return (struct workspace){
        .codes = (void *)scratch,
        .planes = scratch + codes,
        .table = scratch + 2 * codes,
        .indexes = (void *)(scratch + 2 * codes + table),
        .sums = scratch + 2 * codes + table + indexes,
    };
}

static void encode(const struct px_slice *slice, const struct px_slice_form *form,
                   const struct px_matrix *rows, uint8_t *codes)
{
    size_t n = rows->n_rows;
    if (n < form->lanes)
        memset(codes, 0, slice->codes->n_slots * form->lanes);
    for (size_t i = 0; i < n; i += PX_CODES_CHUNK) {
        size_t left = n - i < PX_CODES_CHUNK ? n - i : PX_CODES_CHUNK;
        size_t at = (size_t)form->position((uint32_t)(i / PX_CODES_CHUNK)) * PX_CODES_CHUNK;
        px_codes_encode(slice->codes, rows, i, left, codes + at, form->lanes);
    }
}

static void start_sums(const struct px_forest_ir *ir, uint32_t lanes, void *sums)
{
    for (size_t k = 0; k < ir->n_margins; k++) {
        double base = px_ir_start(ir, k);
        for (size_t i = k * lanes; i < (k + 1) * lanes; i++) {
            if (ir->type == PX_TYPE_FP32)
                ((float *)sums)[i] = (float)base;
            else
                ((double *)sums)[i] = base;
        }
    }
}

static void add_batch(const struct px_forest_ir *ir, const struct px_slice *slice,
                      const struct px_slice_form *form, const struct px_slice_batch *batch,
                      const struct workspace *w, size_t n_groups)
{
    struct px_slice_indexes indexes = {w->indexes, form->lanes, n_groups};
    for (uint32_t t = 0; t < batch->n_trees; t++)
        form->indexes(slice, &slice->trees.items[batch->first_tree + t], w->table,
                      w->indexes + (size_t)t * form->lanes);
    for (uint32_t r = 0; r < batch->n_runs; r++) {
        const struct px_slice_run *run = &slice->runs.items[batch->first_run + r];
        size_t at = (size_t)run->margin * form->lanes;
        if (ir->type == PX_TYPE_FP32)
            form->add_f32(slice, run, &indexes, (float *)w->sums + at);
        else
            form->add_f64(slice, run, &indexes, (double *)w->sums + at);
    }
}

static void store_f32(const struct px_slice_form *form, const float *sums, size_t n,
                      size_t n_margins, float *margins)
{
    for (size_t i = 0; i < n; i++) {
        size_t group = i - i % PX_SLICE_GROUP;
        margins[i * n_margins] = sums[group + form->place_f32((uint32_t)(i % PX_SLICE_GROUP))];
    }
}

static void store_f64(const struct px_slice_form *form, const double *sums, size_t n,
                      size_t n_margins, double *margins)
{
    for (size_t i = 0; i < n; i++) {
        size_t group = i - i % PX_SLICE_GROUP;
        margins[i * n_margins] = sums[group + form->place_f64((uint32_t)(i % PX_SLICE_GROUP))];
    }
}

static void store(const struct px_forest_ir *ir, const struct px_slice_form *form, const void *sums,
                  size_t n, void *margins)
{
    for (size_t k = 0; k < ir->n_margins; k++) {
        size_t at = k * form->lanes;
        if (ir->type == PX_TYPE_FP32)
            store_f32(form, (const float *)sums + at, n, ir->n_margins, (float *)margins + k);
        else
            store_f64(form, (const double *)sums + at, n, ir->n_margins, (double *)margins + k);
    }
}

/* Sums of at most form->lanes rows. */
static void score_block(const struct px_forest_ir *ir, const struct px_slice *slice,
                        const struct px_slice_form *form, const struct px_matrix *rows,
                        const struct workspace *w)
{
    size_t n_groups = (rows->n_rows + PX_SLICE_GROUP - 1) / PX_SLICE_GROUP;
    encode(slice, form, rows, w->codes);
    form->planes(w->codes, slice->codes->n_slots, w->planes);
    start_sums(ir, form->lanes, w->sums);
    for (size_t g = 0; g < slice->groups.len; g++) {
        const struct px_slice_group *group = &slice->groups.items[g];
        form->predicates(slice, group, w->planes, w->table);
        for (uint32_t b = 0; b < group->n_batches; b++)
            add_batch(ir, slice, form, &slice->batches.items[group->first_batch + b], w, n_groups);
    }
}

static const struct px_slice_form *form_for(const struct px_slice_forms *forms, size_t n)
{
    return forms->narrow && n <= forms->narrow->lanes ? forms->narrow : forms->wide;
}

static void bitslice_margins(const struct px_kernel_input *input, const void *compiled,
                             const struct px_matrix *rows, void *margins, void *scratch)
{
    const struct px_slice *slice = compiled;
    size_t margins_size = input->ir->n_margins * px_datatype_size(input->ir->type), size;
    for (size_t done = 0; done < rows->n_rows;) {
        struct px_matrix block = *rows;
        size_t left = rows->n_rows - done;
        const struct px_slice_form *form = form_for(slice->forms, left);
        struct workspace w = lay_out(input, slice, form->lanes, scratch, &size);
        block.data = px_matrix_row(rows, done);
        block.n_rows = left < form->lanes ? left : form->lanes;
        score_block(input->ir, slice, form, &block, &w);
        store(input->ir, form, w.sums, block.n_rows, (char *)margins + done * margins_size);
        done += block.n_rows;
    }
}

static size_t bitslice_scratch_size(const struct px_kernel_input *input, const void *compiled,
                                    size_t n_rows)
{
    const struct px_slice *slice = compiled;
    size_t size;
    (void)n_rows; /* a block has all its lanes */
    lay_out(input, slice, slice->forms->wide->lanes, NULL, &size);
    return size;
}

static double cycles_of(const struct px_kernel_input *input, const struct px_slice_work *work,
                        const struct px_slice_forms *f, size_t n)
{
    const struct px_slice_form *form = form_for(f, n);
    bool narrow = form != f->wide;
    size_t blocks = (n + form->lanes - 1) / form->lanes;
    size_t groups = (n + PX_SLICE_GROUP - 1) / PX_SLICE_GROUP;
    double predicates = work->predicate_operations * f->predicate;
    double trees = work->network_loads * f->load + (double)work->n_trees * f->index;
    double block =
        narrow ? NARROW_PREDICATE * predicates + NARROW_TREE * trees : predicates + trees;
    double row = (double)input->codes->n_slots * f->code;
    double leaves = (double)work->n_units * f->leaf *
                    (input->ir->type == PX_TYPE_FP32 ? 1.0 : 2.0) *
                    (f->byte_tables && work->large_tables ? 2.0 : 1.0);
    return (double)blocks * block + (double)n * row + (double)(groups * PX_SLICE_GROUP) * leaves;
}

static double bitslice_cost(const struct px_kernel_input *input, const void *compiled, size_t n)
{
    const struct px_slice *slice = compiled;
    return cycles_of(input, &slice->work, slice->forms, n);
}

static double estimate(const struct px_kernel_input *input, const struct px_slice_forms *forms,
                       size_t n)
{
    struct px_slice_work work;
    if (!px_slice_estimate(input, &work))
        return 0;
    return cycles_of(input, &work, forms, n);
}

static size_t bitslice_bytes(const void *compiled)
{
    return px_slice_bytes(compiled);
}

static void bitslice_destroy(void *compiled)
{
    px_slice_destroy(compiled);
}

static enum px_code compile(const struct px_kernel_input *input, const struct px_slice_forms *forms,
                            void **ret, struct px_err *err)
{
    struct px_slice *slice = NULL;
    enum px_code code = px_slice_compile(input, forms->byte_tables, &slice, err);
    if (code == PX_OK)
        slice->forms = forms;
    *ret = slice;
    return code;
}

static const struct px_slice_forms forms_64 = {
    .wide = &px_slice_form_64,
    .code = 12,
    .predicate = 1.5,
    .load = 2,
    .index = 90,
    .leaf = 2,
};

static enum px_code compile_64(const struct px_kernel_input *input, void **ret, struct px_err *err)
{
    return compile(input, &forms_64, ret, err);
}

static double estimate_64(const struct px_kernel_input *input, size_t n)
{
    return estimate(input, &forms_64, n);
}

#if defined(__x86_64__)
static const struct px_slice_forms forms_256 = {
    .wide = &px_slice_form_256,
    .code = 10,
    .predicate = 3,
    .load = 1.5,
    .index = 100,
    .leaf = 1.2,
};

static const struct px_slice_forms forms_512 = {
    .wide = &px_slice_form_512,
    .narrow = &px_slice_form_128,
    .byte_tables = true,
    .code = 4.5,
    .predicate = 4.7,
    .load = 2,
    .index = 60,
    .leaf = 0.25,
};
#endif

static enum px_code compile_256(const struct px_kernel_input *input, void **ret, struct px_err *err)
{
#if defined(__x86_64__)
    if (px_processor_has_avx2())
        return compile(input, &forms_256, ret, err);
#endif
    (void)input;
    (void)ret;
    return px_err_set(err, PX_E_UNSUPPORTED, "the processor has no AVX2");
}

static double estimate_256(const struct px_kernel_input *input, size_t n)
{
#if defined(__x86_64__)
    if (px_processor_has_avx2())
        return estimate(input, &forms_256, n);
#endif
    (void)input;
    (void)n;
    return 0;
}

static enum px_code compile_512(const struct px_kernel_input *input, void **ret, struct px_err *err)
{
#if defined(__x86_64__)
    if (px_processor_has_avx512())
        return compile(input, &forms_512, ret, err);
#endif
    (void)input;
    (void)ret;
    return px_err_set(err, PX_E_UNSUPPORTED,
                      "the processor has no AVX-512 with byte permutes (VBMI) and GFNI");
}

static double estimate_512(const struct px_kernel_input *input, size_t n)
{
#if defined(__x86_64__)
    if (px_processor_has_avx512())
        return estimate(input, &forms_512, n);
#endif
    (void)input;
    (void)n;
    return 0;
}

#define KERNEL(lanes)                                                                              \
    {                                                                                              \
        .name = "bitslice" #lanes, .compile = compile_##lanes, .destroy = bitslice_destroy,        \
        .bytes = bitslice_bytes, .scratch_size = bitslice_scratch_size,                            \
        .estimate = estimate_##lanes, .cost = bitslice_cost, .margins = bitslice_margins,          \
    }

const struct px_kernel px_bitslice64_kernel = KERNEL(64);
const struct px_kernel px_bitslice256_kernel = KERNEL(256);
const struct px_kernel px_bitslice512_kernel = KERNEL(512);
