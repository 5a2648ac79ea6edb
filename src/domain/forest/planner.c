/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/planner.h"

const struct px_kernel *const px_kernels[PX_KERNELS] = {&px_branchless_kernel, &px_walker_kernel};

static size_t index_of(const struct px_kernel *kernel)
{
    size_t i = 0;
    while (px_kernels[i] != kernel)
        i++;
    return i;
}

static const struct px_kernel *find_kernel(const char *name)
{
    for (size_t i = 0; i < PX_KERNELS; i++) {
        if (strcmp(px_kernels[i]->name, name) == 0)
            return px_kernels[i];
    }
    return NULL;
}

static enum px_code pick_forced(struct px_plan *plan, const struct px_forest_ir *ir,
                                const char *force, struct px_err *err)
{
    const struct px_kernel *kernel = find_kernel(force);
    if (!kernel)
        return px_err_set(err, PX_E_INVALID, "no kernel is called '%s'", force);
    if (!kernel->supports(ir))
        return px_err_set(err, PX_E_INVALID, "kernel '%s' does not support this model", force);
    plan->one = plan->many = kernel;
    return PX_OK;
}

static void pick(struct px_plan *plan, const struct px_forest_ir *ir)
{
    size_t i = 0;
    while (!px_kernels[i]->supports(ir)) /* the walker supports all */
        i++;
    plan->one = plan->many = px_kernels[i];
}

enum px_code px_plan_init(struct px_plan *plan, const struct px_forest_ir *ir, const char *force,
                          struct px_err *err)
{
    enum px_code code = PX_OK;
    *plan = (struct px_plan){0};
    if (force)
        code = pick_forced(plan, ir, force, err);
    else
        pick(plan, ir);
    for (size_t i = 0; code == PX_OK && i < PX_KERNELS; i++) {
        if (px_kernels[i] == plan->one || px_kernels[i] == plan->many)
            code = px_kernels[i]->compile(ir, &plan->compiled[i], err);
    }
    return code;
}

void px_plan_deinit(struct px_plan *plan)
{
    for (size_t i = 0; i < PX_KERNELS; i++)
        px_kernels[i]->destroy(plan->compiled[i]);
    *plan = (struct px_plan){0};
}

void px_plan_margins(const struct px_plan *plan, const struct px_forest_ir *ir,
                     const struct px_matrix *rows, void *margins)
{
    const struct px_kernel *kernel = rows->n_rows == 1 ? plan->one : plan->many;
    kernel->margins(ir, plan->compiled[index_of(kernel)], rows, margins);
}

size_t px_plan_bytes(const struct px_plan *plan)
{
    size_t bytes = 0;
    for (size_t i = 0; i < PX_KERNELS; i++)
        bytes += plan->compiled[i] ? px_kernels[i]->bytes(plan->compiled[i]) : 0;
    return bytes;
}
