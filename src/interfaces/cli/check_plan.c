/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/check_plan.h"

#include "application/lifecycle/plan_report.h"

static void print_label(FILE *out, const char *label)
{
    fprintf(out, "  %-11s", label);
}

/* The last of the choices from `first` on that have its kernel. */
static size_t end_of_run(const struct px_forest_info *info, size_t first)
{
    size_t last = first;
    while (last + 1 < info->n_choices &&
           strcmp(info->choices[last + 1].kernel, info->choices[first].kernel) == 0)
        last++;
    return last;
}

static int name_width(const struct px_forest_info *info)
{
    size_t width = 0;
    for (size_t i = 0; i < info->n_kernels; i++) {
        size_t n = strlen(info->kernels[i].name);
        width = n > width ? n : width;
    }
    return (int)width;
}

/* "1 to 15 rows", "16 rows and more" */
static void print_rows(FILE *out, const struct px_forest_info *info, size_t first, size_t last)
{
    char text[64];
    size_t rows = info->choices[first].rows;
    if (last + 1 == info->n_choices)
        snprintf(text, sizeof text, "%zu %s and more", rows, rows == 1 ? "row" : "rows");
    else if (info->choices[last + 1].rows - 1 == rows)
        snprintf(text, sizeof text, "%zu %s", rows, rows == 1 ? "row" : "rows");
    else
        snprintf(text, sizeof text, "%zu to %zu rows", rows, info->choices[last + 1].rows - 1);
    fprintf(out, "%-17s", text);
}

static void print_choices(FILE *out, const struct px_forest_info *info)
{
    for (size_t first = 0, last; first < info->n_choices; first = last + 1) {
        const struct px_forest_choice *from = &info->choices[first];
        char ns[PX_PLAN_NS_TEXT_MAX];
        last = end_of_run(info, first);
        print_label(out, first ? "" : "plan");
        print_rows(out, info, first, last);
        fprintf(out, "  %-*s  %s", name_width(info), from->kernel,
                px_plan_ns_text(from->ns_per_row, ns));
        if (last > first)
            fprintf(out, " to %s", px_plan_ns_text(info->choices[last].ns_per_row, ns));
        fprintf(out, " ns a row, %s\n", from->measured ? "measured" : "predicted");
    }
}

void px_check_print_plan(FILE *out, const struct px_forest_info *info)
{
    print_choices(out, info);
    for (size_t i = 0; i < info->n_kernels; i++) {
        const struct px_forest_kernel *kernel = &info->kernels[i];
        print_label(out, i ? "" : "kernels");
        fprintf(out, "%-*s  %s", name_width(info), kernel->name,
                px_kernel_state_name(kernel->state));
        fprintf(out, "%s%s\n", kernel->reason[0] ? ": " : "", kernel->reason);
    }
}
