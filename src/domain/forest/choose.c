/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model is believed within PX_PLAN_HOPELESS: what it puts farther from its favourite is out, unless both
 * were measured, at this or other batch sizes, and the favourite is the slower one even so.
 *
 * A class that was measured has its time. Between two measured classes of a kernel its error (nanoseconds
 * per predicted cycle) is interpolated geometrically, outside of them the nearest holds. A kernel that was
 * not measured at all is believed to err as the worst of those that were: what is known goes before what is
 * hoped.
 *
 * The favourite keeps a class unless another candidate is faster by SWITCH_GAIN: two kernels that are equal
 * within the noise should not change places from one start to the next.
 */
#include "domain/forest/choose.h"

#include <math.h>

#define NOMINAL_NS_PER_CYCLE (1.0 / 3.0) /* when nothing was measured */
#define SWITCH_GAIN          1.05
#define CYCLES_MIN           1.0

void px_plan_predict(struct px_plan *plan, size_t kernel)
{
    struct px_plan_kernel *k = &plan->kernels[kernel];
    PX_ASSERT(k->usable);
    for (size_t size_class = 0; size_class < PX_PLAN_CLASSES; size_class++) {
        double cycles =
            plan->table[kernel]->cost(&plan->input, k->compiled, (size_t)1 << size_class);
        k->cycles[size_class] = cycles > CYCLES_MIN ? cycles : CYCLES_MIN;
    }
}

/* The kernel of the least predicted cost, the first of equals; n_kernels when none is usable. */
static size_t favourite(const struct px_plan *plan, size_t size_class)
{
    size_t best = plan->n_kernels;
    for (size_t i = 0; i < plan->n_kernels; i++) {
        if (!plan->kernels[i].usable)
            continue;
        if (best == plan->n_kernels ||
            plan->kernels[i].cycles[size_class] < plan->kernels[best].cycles[size_class])
            best = i;
    }
    return best;
}

bool px_plan_estimate(struct px_plan *plan, size_t kernel)
{
    struct px_plan_kernel *k = &plan->kernels[kernel];
    double most =
        plan->input.ir->nodes.len > PX_PLAN_LARGE_NODES ? PX_PLAN_HOPELESS_LARGE : PX_PLAN_HOPELESS;
    bool has_a_chance = false;
    for (size_t size_class = 0; size_class < PX_PLAN_CLASSES; size_class++) {
        double cycles = plan->table[kernel]->estimate(&plan->input, (size_t)1 << size_class);
        size_t best = favourite(plan, size_class);
        if (cycles <= 0)
            return true; /* compiling says why not */
        k->cycles[size_class] = cycles;
        has_a_chance |= cycles <= most * plan->kernels[best].cycles[size_class];
    }
    return has_a_chance;
}

/* Measured nanoseconds per predicted cycle; 0 when the class was not measured. */
static double measured_rate(const struct px_plan_kernel *k, size_t size_class)
{
    return k->call_ns[size_class] > 0 ? k->call_ns[size_class] / k->cycles[size_class] : 0;
}

/* The same, from the nearest measured classes; 0 when there are none. */
static double rate(const struct px_plan_kernel *k, size_t size_class)
{
    size_t below = size_class, above = size_class;
    while (below > 0 && measured_rate(k, below) <= 0)
        below--;
    while (above + 1 < PX_PLAN_CLASSES && measured_rate(k, above) <= 0)
        above++;
    double low = measured_rate(k, below), high = measured_rate(k, above);
    if (low <= 0 || high <= 0 || below == above)
        return low > high ? low : high;
    return low * pow(high / low, (double)(size_class - below) / (double)(above - below));
}

/* The worst error of a measured kernel in this class; the nominal processor when there is none. */
static double worst_rate(const struct px_plan *plan, size_t size_class)
{
    double worst = 0;
    for (size_t i = 0; i < plan->n_kernels; i++)
        worst = fmax(worst, rate(&plan->kernels[i], size_class));
    return worst > 0 ? worst : NOMINAL_NS_PER_CYCLE;
}

double px_plan_call_ns(const struct px_plan *plan, size_t kernel, size_t size_class)
{
    double ns_per_cycle = rate(&plan->kernels[kernel], size_class);
    if (ns_per_cycle <= 0)
        ns_per_cycle = worst_rate(plan, size_class);
    return ns_per_cycle * plan->kernels[kernel].cycles[size_class];
}

bool px_plan_is_candidate(const struct px_plan *plan, size_t kernel, size_t size_class)
{
    const struct px_plan_kernel *k = &plan->kernels[kernel];
    size_t best = favourite(plan, size_class);
    if (!k->usable)
        return false;
    if (k->cycles[size_class] <= PX_PLAN_HOPELESS * plan->kernels[best].cycles[size_class])
        return true;
    return rate(k, size_class) > 0 && rate(&plan->kernels[best], size_class) > 0 &&
           px_plan_call_ns(plan, kernel, size_class) < px_plan_call_ns(plan, best, size_class);
}

bool px_plan_is_measured(const struct px_plan *plan, size_t kernel)
{
    return rate(&plan->kernels[kernel], 0) > 0;
}

static size_t choose_class(const struct px_plan *plan, size_t size_class)
{
    size_t first = favourite(plan, size_class), best = first;
    for (size_t i = 0; i < plan->n_kernels; i++) {
        if (px_plan_is_candidate(plan, i, size_class) &&
            px_plan_call_ns(plan, i, size_class) < px_plan_call_ns(plan, best, size_class))
            best = i;
    }
    bool gains = px_plan_call_ns(plan, best, size_class) * SWITCH_GAIN <=
                 px_plan_call_ns(plan, first, size_class);
    return gains ? best : first;
}

void px_plan_choose(struct px_plan *plan)
{
    for (size_t size_class = 0; size_class < PX_PLAN_CLASSES; size_class++) {
        size_t kernel = choose_class(plan, size_class);
        PX_ASSERT(kernel < plan->n_kernels);
        plan->choice[size_class] = (uint8_t)kernel;
    }
}

static bool is_chosen(const struct px_plan *plan, size_t kernel)
{
    for (size_t size_class = 0; size_class < PX_PLAN_CLASSES; size_class++) {
        if (plan->choice[size_class] == kernel)
            return true;
    }
    return false;
}

/* Where the kernel came nearest to being chosen, and by how much it was not. */
static void explain_slower(struct px_plan *plan, size_t kernel)
{
    struct px_plan_kernel *k = &plan->kernels[kernel];
    size_t nearest = 0;
    double least = INFINITY;
    for (size_t size_class = 0; size_class < PX_PLAN_CLASSES; size_class++) {
        double times = px_plan_call_ns(plan, kernel, size_class) /
                       px_plan_call_ns(plan, plan->choice[size_class], size_class);
        if (times < least) {
            least = times;
            nearest = size_class;
        }
    }
    const char *source = px_plan_is_measured(plan, kernel) ? "measured" : "predicted";
    const char *better = plan->table[plan->choice[nearest]]->name;
    if (least < SWITCH_GAIN)
        snprintf(k->reason, sizeof k->reason,
                 "no faster than %s beyond the noise (%s, batches of %d)", better, source,
                 1 << nearest);
    else
        snprintf(k->reason, sizeof k->reason,
                 "takes at least %.2f times as long as %s (%s, batches of %d)", least, better,
                 source, 1 << nearest);
}

void px_plan_explain(struct px_plan *plan)
{
    for (size_t i = 0; i < plan->n_kernels; i++) {
        struct px_plan_kernel *k = &plan->kernels[i];
        if (k->refused) {
            k->state = PX_KERNEL_REFUSED;
        } else if (is_chosen(plan, i)) {
            k->state = PX_KERNEL_CHOSEN;
        } else if (k->cycles[0] > 0) {
            k->state = PX_KERNEL_SLOWER;
            explain_slower(plan, i);
        } else {
            k->state = PX_KERNEL_NOT_TRIED;
            snprintf(k->reason, sizeof k->reason, "%s is forced",
                     plan->table[plan->choice[0]]->name);
        }
    }
}
