/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/inference/properties.h"

#include "application/lifecycle/plan_report.h"
#include "interfaces/inference/infer.h"

#include <stdio.h>

static const char *optional_outputs(const struct px_model *model)
{
    bool labels = px_model_has_labels(model), margins = px_model_has_margins(model);
    if (labels)
        return margins ? "labels,margins" : "labels";
    return margins ? "margins" : "";
}

static void put(struct px_property *property, const char *key, const char *value)
{
    property->key = key;
    snprintf(property->value, sizeof property->value, "%s", value);
}

/* "bitslice512, 99 ns per row in batches of 512" */
static void put_choice(struct px_property *property, const char *key,
                       const struct px_forest_choice *choice)
{
    char ns[PX_PLAN_NS_TEXT_MAX];
    property->key = key;
    snprintf(property->value, sizeof property->value, "%s, %s ns per row in batches of %zu",
             choice->kernel, px_plan_ns_text(choice->ns_per_row, ns), choice->rows);
}

size_t px_model_properties(const struct px_model *model, struct px_property ret[PX_PROPERTIES_MAX])
{
    const struct px_forest_info *forest = model->forest;
    size_t n = 0;
    if (!forest)
        return n;
    put(&ret[n++], "task", px_task_name(model->signature->task));
    put(&ret[n++], "optional_outputs", optional_outputs(model));
    if (forest->n_choices > 0) {
        put_choice(&ret[n++], "kernel_one", &forest->choices[0]);
        put_choice(&ret[n++], "kernel_many", &forest->choices[forest->n_choices - 1]);
    }
    if (forest->self_test.done)
        put(&ret[n++], "self_test", forest->self_test.passed ? "passed" : "failed");
    return n;
}
