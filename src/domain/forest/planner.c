/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels are compiled one after the other, and what the model says is hopeless beside the others is dropped
 * at once, so that a model of millions of nodes is never held in every form. Those that can estimate their cost
 * come last, when the others' is known, and are not compiled in vain: laying a forest of two million distinct
 * questions out for the bit-sliced kernels, to see that it does not pay, was half of the time that it took
 * to open. The codes are made when the first kernel wants them and freed when no chosen one does.
 *
 * Only the reference must compile. A kernel for which memory is short is refused like one that does not fit
 * the forest, and a measurement that cannot be made leaves the model alone to decide: a server that is short of
 * memory serves slower instead of not at all.
 *
 * Rejected: planning again while serving, from the times of real batches. It would follow the traffic, but
 * the plan of a model would depend on its history, and two replicas would differ without a visible reason.
 */
#include "domain/forest/planner.h"

#include "domain/forest/choose.h"
#include "domain/forest/kernels/bitslice/bitslice.h"
#include "domain/forest/measure.h"

const struct px_kernel *const px_kernels[PX_KERNELS] = {
    &px_bitslice512_kernel, &px_bitslice256_kernel, &px_bitslice64_kernel, &px_node_parallel_kernel,
    &px_keyed_kernel,       &px_branchless_kernel,  &px_walker_kernel,
};

const char *px_kernel_state_name(enum px_kernel_state state)
{
    switch (state) {
    case PX_KERNEL_NOT_TRIED:
        return "not tried";
    case PX_KERNEL_REFUSED:
        return "refused";
    case PX_KERNEL_SLOWER:
        return "slower";
    case PX_KERNEL_CHOSEN:
        return "chosen";
    }
    return "unknown";
}

void px_plan_init_empty(struct px_plan *plan, const struct px_forest_ir *ir,
                        const struct px_kernel *const *table, size_t n_kernels)
{
    PX_ASSERT(n_kernels > 0 && n_kernels <= PX_PLAN_KERNELS_MAX);
    *plan = (struct px_plan){.input = {.ir = ir}, .table = table, .n_kernels = n_kernels};
}

/* Codes that the forest cannot have are no failure: the kernels that need them refuse. */
static enum px_code make_codes(struct px_plan *plan, struct px_err *err)
{
    if (plan->input.codes || plan->input.codes_refusal)
        return PX_OK;
    enum px_code code = px_codes_create(plan->input.ir, &plan->codes, &plan->codes_refusal);
    if (code == PX_OK) {
        plan->input.codes = plan->codes;
        return PX_OK;
    }
    if (code == PX_E_UNSUPPORTED) {
        plan->input.codes_refusal = plan->codes_refusal.message;
        return PX_OK;
    }
    if (err)
        *err = plan->codes_refusal;
    return code;
}

static void free_codes(struct px_plan *plan)
{
    px_codes_destroy(plan->codes);
    plan->codes = NULL;
    plan->input.codes = NULL;
}

enum px_code px_plan_compile(struct px_plan *plan, size_t kernel, struct px_err *err)
{
    struct px_plan_kernel *k = &plan->kernels[kernel];
    struct px_err why = {0};
    PX_ASSERT(!k->usable);
    enum px_code code = plan->table[kernel]->without_codes ? PX_OK : make_codes(plan, err);
    if (code != PX_OK)
        return code;
    code = plan->table[kernel]->compile(&plan->input, &k->compiled, &why);
    k->usable = code == PX_OK;
    k->refused = code == PX_E_UNSUPPORTED;
    if (k->refused)
        snprintf(k->reason, sizeof k->reason, "%s", why.message);
    if (k->usable || k->refused)
        return PX_OK;
    if (err)
        *err = why;
    return code;
}

void px_plan_drop(struct px_plan *plan, size_t kernel)
{
    struct px_plan_kernel *k = &plan->kernels[kernel];
    plan->table[kernel]->destroy(k->compiled);
    k->compiled = NULL;
    k->usable = false;
}

static bool has_a_class(const struct px_plan *plan, size_t kernel)
{
    for (size_t size_class = 0; size_class < PX_PLAN_CLASSES; size_class++) {
        if (px_plan_is_candidate(plan, kernel, size_class))
            return true;
    }
    return false;
}

static void drop_hopeless(struct px_plan *plan)
{
    for (size_t i = 0; i < plan->n_kernels; i++) {
        if (plan->kernels[i].usable && !has_a_class(plan, i))
            px_plan_drop(plan, i);
    }
}

static void drop_unchosen(struct px_plan *plan)
{
    bool codes_wanted = false;
    for (size_t i = 0; i < plan->n_kernels; i++) {
        if (plan->kernels[i].state != PX_KERNEL_CHOSEN && plan->kernels[i].usable)
            px_plan_drop(plan, i);
        codes_wanted |= plan->kernels[i].usable && !plan->table[i]->without_codes;
    }
    if (!codes_wanted)
        free_codes(plan);
}

static enum px_code unknown_kernel(const struct px_plan *plan, const char *name, struct px_err *err)
{
    char names[PX_ERR_HINT_MAX] = "";
    for (size_t i = 0, n = 0; i < plan->n_kernels && n < sizeof names; i++)
        n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "",
                              plan->table[i]->name);
    px_err_set(err, PX_E_INVALID, "no kernel is called '%s'", name);
    return px_err_hint(err, "kernels are: %s", names);
}

static enum px_code compile_forced(struct px_plan *plan, const char *name, struct px_err *err)
{
    size_t i = 0;
    while (i < plan->n_kernels && strcmp(plan->table[i]->name, name) != 0)
        i++;
    if (i == plan->n_kernels)
        return unknown_kernel(plan, name, err);
    enum px_code code = px_plan_compile(plan, i, err);
    if (code != PX_OK)
        return code;
    if (plan->kernels[i].refused)
        return px_err_set(err, PX_E_INVALID, "kernel '%s' does not support this model: %s", name,
                          plan->kernels[i].reason);
    px_plan_predict(plan, i);
    plan->forced = true;
    return PX_OK;
}

static void refuse_for_memory(struct px_plan *plan, size_t kernel)
{
    struct px_plan_kernel *k = &plan->kernels[kernel];
    k->refused = true;
    snprintf(k->reason, sizeof k->reason, "there is not enough memory for it");
}

/* Compiles a kernel unless its estimate says that it is in vain. */
static enum px_code try_kernel(struct px_plan *plan, size_t kernel, struct px_err *err)
{
    enum px_code code = PX_OK;
    if (plan->table[kernel]->estimate) {
        code = make_codes(plan, err);
        if (code == PX_OK && !px_plan_estimate(plan, kernel))
            return PX_OK;
    }
    if (code == PX_OK)
        code = px_plan_compile(plan, kernel, err);
    if (code == PX_OK && plan->kernels[kernel].usable)
        px_plan_predict(plan, kernel);
    return code;
}

/* Those with an estimate, or those without. */
static enum px_code compile_those(struct px_plan *plan, bool with_estimate, struct px_err *err)
{
    for (size_t i = 0; i < plan->n_kernels; i++) {
        bool optional = i + 1 < plan->n_kernels;
        if ((plan->table[i]->estimate != NULL) != with_estimate)
            continue;
        enum px_code code = try_kernel(plan, i, optional ? NULL : err);
        if (code == PX_E_NO_MEMORY && optional)
            refuse_for_memory(plan, i);
        else if (code != PX_OK)
            return code;
        drop_hopeless(plan);
    }
    return PX_OK;
}

static enum px_code compile_all(struct px_plan *plan, struct px_err *err)
{
    enum px_code code = compile_those(plan, false, err);
    return code == PX_OK ? compile_those(plan, true, err) : code;
}

enum px_code px_plan_init_with(struct px_plan *plan, const struct px_forest_ir *ir,
                               const struct px_plan_options *options, struct px_err *err)
{
    uint64_t budget_ns = options->measure_ns
                             ? options->measure_ns
                             : PX_PLAN_MEASURE_NS + PX_PLAN_MEASURE_NS_PER_NODE * ir->nodes.len;
    px_plan_init_empty(plan, ir, options->kernels ? options->kernels : px_kernels,
                       options->kernels ? options->n_kernels : PX_KERNELS);
    enum px_code code =
        options->kernel ? compile_forced(plan, options->kernel, err) : compile_all(plan, err);
    if (code != PX_OK)
        return code;
    if (options->clock_ns)
        px_plan_measure(plan, options->clock_ns, budget_ns);
    px_plan_choose(plan);
    px_plan_explain(plan);
    drop_unchosen(plan);
    return PX_OK;
}

enum px_code px_plan_init(struct px_plan *plan, const struct px_forest_ir *ir, const char *force,
                          struct px_err *err)
{
    return px_plan_init_with(plan, ir, &(struct px_plan_options){.kernel = force}, err);
}

void px_plan_deinit(struct px_plan *plan)
{
    for (size_t i = 0; i < plan->n_kernels; i++)
        px_plan_drop(plan, i);
    px_codes_destroy(plan->codes);
    *plan = (struct px_plan){0};
}

size_t px_plan_class(size_t n_rows)
{
    size_t size_class = 0;
    while (size_class + 1 < PX_PLAN_CLASSES && (size_t)2 << size_class <= n_rows)
        size_class++;
    return size_class;
}

size_t px_plan_choice(const struct px_plan *plan, size_t n_rows)
{
    return plan->choice[px_plan_class(n_rows)];
}

size_t px_plan_scratch_size(const struct px_plan *plan, size_t rows_max)
{
    size_t most = 0;
    for (size_t i = 0; i < plan->n_kernels; i++) {
        const struct px_plan_kernel *k = &plan->kernels[i];
        size_t size =
            k->usable ? plan->table[i]->scratch_size(&plan->input, k->compiled, rows_max) : 0;
        most = size > most ? size : most;
    }
    return most;
}

void px_plan_margins_by(const struct px_plan *plan, size_t kernel, const struct px_matrix *rows,
                        void *margins, void *scratch)
{
    PX_ASSERT(plan->kernels[kernel].usable);
    plan->table[kernel]->margins(&plan->input, plan->kernels[kernel].compiled, rows, margins,
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

static size_t kernel_bytes(const struct px_plan *plan, size_t kernel)
{
    const void *compiled = plan->kernels[kernel].compiled;
    return compiled ? plan->table[kernel]->bytes(compiled) : 0;
}

size_t px_plan_bytes(const struct px_plan *plan)
{
    size_t bytes = plan->codes ? px_codes_bytes(plan->codes) : 0;
    for (size_t i = 0; i < plan->n_kernels; i++)
        bytes += kernel_bytes(plan, i);
    return bytes;
}

struct px_forest_choice px_plan_describe_class(const struct px_plan *plan, size_t size_class)
{
    size_t kernel = plan->choice[size_class];
    return (struct px_forest_choice){
        .rows = (size_t)1 << size_class,
        .kernel = plan->table[kernel]->name,
        .ns_per_row = px_plan_call_ns(plan, kernel, size_class) / (double)((size_t)1 << size_class),
        .measured = px_plan_is_measured(plan, kernel),
    };
}

struct px_forest_kernel px_plan_describe_kernel(const struct px_plan *plan, size_t kernel)
{
    return (struct px_forest_kernel){
        .name = plan->table[kernel]->name,
        .state = plan->kernels[kernel].state,
        .reason = plan->kernels[kernel].reason,
        .bytes = kernel_bytes(plan, kernel),
    };
}
