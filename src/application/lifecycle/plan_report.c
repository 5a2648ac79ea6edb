/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/plan_report.h"

#include <math.h>

static void put_choice(struct px_json_writer *w, const struct px_forest_choice *choice)
{
    px_json_begin_object(w);
    px_json_member_u64(w, "rows", choice->rows);
    px_json_member_text(w, "kernel", choice->kernel);
    px_json_member_f64(w, "ns_per_row", round(choice->ns_per_row * 10) / 10);
    px_json_member_bool(w, "measured", choice->measured);
    px_json_end_object(w);
}

static void put_kernel(struct px_json_writer *w, const struct px_forest_kernel *kernel)
{
    px_json_begin_object(w);
    px_json_member_text(w, "name", kernel->name);
    px_json_member_text(w, "state", px_kernel_state_name(kernel->state));
    if (kernel->reason[0])
        px_json_member_text(w, "reason", kernel->reason);
    if (kernel->state == PX_KERNEL_CHOSEN)
        px_json_member_u64(w, "bytes", kernel->bytes);
    px_json_end_object(w);
}

static void put_self_test(struct px_json_writer *w, const struct px_forest_self_test *test)
{
    px_json_key(w, "self_test");
    px_json_begin_object(w);
    px_json_member_bool(w, "passed", test->passed);
    px_json_member_u64(w, "kernels", test->n_kernels);
    px_json_member_u64(w, "rows", test->n_rows);
    px_json_end_object(w);
}

void px_plan_put_json(struct px_json_writer *w, const struct px_forest_info *info)
{
    px_json_key(w, "plan");
    px_json_begin_object(w);
    px_json_member_bool(w, "forced", info->kernel_forced);
    px_json_key(w, "choices");
    px_json_begin_array(w);
    for (size_t i = 0; i < info->n_choices; i++)
        put_choice(w, &info->choices[i]);
    px_json_end_array(w);
    px_json_key(w, "kernels");
    px_json_begin_array(w);
    for (size_t i = 0; i < info->n_kernels; i++)
        put_kernel(w, &info->kernels[i]);
    px_json_end_array(w);
    if (info->self_test.done)
        put_self_test(w, &info->self_test);
    px_json_end_object(w);
}

const char *px_plan_ns_text(double ns, char out[PX_PLAN_NS_TEXT_MAX])
{
    int digits = ns < 9.995 ? 2 : ns < 99.95 ? 1 : 0;
    snprintf(out, PX_PLAN_NS_TEXT_MAX, "%.*f", digits, fmin(ns, 1e18));
    return out;
}
