/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/planner.h"

const struct px_kernel *const px_kernels[PX_KERNELS] = {&px_branchless_kernel, &px_walker_kernel};

static enum px_code find_kernel(const char *name, size_t *ret, struct px_err *err)
{
    for (size_t i = 0; i < PX_KERNELS; i++) {
        *ret = i;
        if (strcmp(px_kernels[i]->name, name) == 0)
            return PX_OK;
    }
    return px_err_set(err, PX_E_INVALID, "no kernel is called '%s'", name);
}

static enum px_code compile(struct px_plan *plan, size_t i, struct px_err *err)
{
    struct px_plan_kernel *kernel = &plan->kernels[i];
    enum px_code code = px_kernels[i]->compile(&plan->input, &kernel->compiled, &kernel->refusal);
    kernel->usable = code == PX_OK;
    if (code == PX_OK || code == PX_E_UNSUPPORTED)
        return PX_OK;
    if (err)
        *err = kernel->refusal;
    return code;
}

static void choose(struct px_plan *plan, size_t kernel)
{
    for (size_t class = 0; class < PX_PLAN_CLASSES; class ++)
        plan->choice[class] = (uint8_t)kernel;
}

static enum px_code plan_forced(struct px_plan *plan, const char *force, struct px_err *err)
{
    size_t i;
    enum px_code code = find_kernel(force, &i, err);
    if (code == PX_OK)
        code = compile(plan, i, err);
    if (code != PX_OK)
        return code;
    if (!plan->kernels[i].usable)
        return px_err_set(err, PX_E_INVALID, "kernel '%s' does not support this model: %s", force,
                          plan->kernels[i].refusal.message);
    choose(plan, i);
    return PX_OK;
}

static enum px_code plan_all(struct px_plan *plan, struct px_err *err)
{
    enum px_code code = PX_OK;
    size_t best = 0;
    for (size_t i = 0; code == PX_OK && i < PX_KERNELS; i++)
        code = compile(plan, i, err);
    while (code == PX_OK && !plan->kernels[best].usable) /* the walker supports all */
        best++;
    choose(plan, best);
    return code;
}

/* A forest without codes is planned without the kernels that need them. */
static enum px_code make_codes(struct px_plan *plan, struct px_err *err)
{
    enum px_code code = px_codes_create(plan->input.ir, &plan->codes, &plan->codes_error);
    plan->input.codes = plan->codes;
    plan->input.codes_refusal = plan->codes_error.message;
    if (code == PX_OK || code == PX_E_UNSUPPORTED)
        return PX_OK;
    if (err)
        *err = plan->codes_error;
    return code;
}

enum px_code px_plan_init(struct px_plan *plan, const struct px_forest_ir *ir, const char *force,
                          struct px_err *err)
{
    *plan = (struct px_plan){.input = {.ir = ir}};
    enum px_code code = make_codes(plan, err);
    if (code != PX_OK)
        return code;
    return force ? plan_forced(plan, force, err) : plan_all(plan, err);
}

void px_plan_deinit(struct px_plan *plan)
{
    for (size_t i = 0; i < PX_KERNELS; i++)
        px_kernels[i]->destroy(plan->kernels[i].compiled);
    px_codes_destroy(plan->codes);
    *plan = (struct px_plan){0};
}

size_t px_plan_choice(const struct px_plan *plan, size_t n_rows)
{
    size_t class = 0;
    while (class + 1 < PX_PLAN_CLASSES && (size_t)2 << class <= n_rows)
        class ++;
    return plan->choice[class];
}

size_t px_plan_scratch_size(const struct px_plan *plan, size_t rows_max)
{
    size_t most = 0;
    for (size_t i = 0; i < PX_KERNELS; i++) {
        const struct px_plan_kernel *kernel = &plan->kernels[i];
        size_t size = kernel->usable
                          ? px_kernels[i]->scratch_size(&plan->input, kernel->compiled, rows_max)
                          : 0;
        most = size > most ? size : most;
    }
    return most;
}

void px_plan_margins_by(const struct px_plan *plan, size_t kernel, const struct px_matrix *rows,
                        void *margins, void *scratch)
{
    PX_ASSERT(plan->kernels[kernel].usable);
    px_kernels[kernel]->margins(&plan->input, plan->kernels[kernel].compiled, rows, margins,
                                scratch);
    px_ir_finish_margins(plan->input.ir, margins, rows->n_rows);
}

void px_plan_margins(const struct px_plan *plan, const struct px_matrix *rows, void *margins,
                     void *scratch)
{
    size_t margins_size = plan->input.ir->n_margins * px_datatype_size(rows->type);
    for (size_t done = 0; done < rows->n_rows;) {
        struct px_matrix piece = *rows;
        size_t left = rows->n_rows - done;
        piece.data = px_matrix_row(rows, done);
        piece.n_rows = left < PX_PLAN_ROWS_MAX ? left : left - left % PX_PLAN_ROWS_MAX;
        px_plan_margins_by(plan, px_plan_choice(plan, piece.n_rows), &piece,
                           (char *)margins + done * margins_size, scratch);
        done += piece.n_rows;
    }
}

size_t px_plan_bytes(const struct px_plan *plan)
{
    size_t bytes = plan->codes ? px_codes_bytes(plan->codes) : 0;
    for (size_t i = 0; i < PX_KERNELS; i++)
        bytes += plan->kernels[i].compiled ? px_kernels[i]->bytes(plan->kernels[i].compiled) : 0;
    return bytes;
}
