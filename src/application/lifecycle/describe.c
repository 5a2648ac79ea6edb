/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of model.yaml; docs/api/package.md is its specification, model_yaml.c its reader. */
#include "application/lifecycle/model_yaml.h"
#include "application/lifecycle/package.h"
#include "shared/yaml.h"

static void put_entry(struct px_buf *yaml, const char *key, struct px_str value)
{
    if (value.len == 0)
        return;
    px_buf_printf(yaml, "%s: ", key);
    px_yaml_put(yaml, value);
    px_buf_byte(yaml, '\n');
}

static void put_list(struct px_buf *yaml, const struct px_str *texts, size_t n)
{
    px_buf_byte(yaml, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            px_buf_text(yaml, ", ");
        px_yaml_put(yaml, texts[i]);
    }
    px_buf_byte(yaml, ']');
}

static void put_feature(struct px_buf *yaml, const struct px_feature *feature)
{
    px_buf_text(yaml, "  - {name: ");
    px_yaml_put(yaml, feature->name);
    px_buf_printf(yaml, ", type: %s", px_feature_kind_name(feature->kind));
    if (feature->n_categories > 0) {
        px_buf_text(yaml, ", categories: ");
        put_list(yaml, feature->categories, feature->n_categories);
    }
    if (feature->other >= 0)
        px_buf_printf(yaml, ", other: %ld", feature->other);
    px_buf_text(yaml, "}\n");
}

void px_package_describe(const struct px_package_description *d, struct px_buf *yaml)
{
    const struct px_signature *s = d->signature;
    px_buf_printf(yaml, "phoenix: %d\n", PX_MODEL_YAML_LAYOUT);
    put_entry(yaml, "name", d->name);
    put_entry(yaml, "model", d->model_file);
    put_entry(yaml, "rounds", d->rounds);
    put_entry(yaml, "task", px_str(px_task_name(s->task)));
    put_entry(yaml, "target", d->target);
    put_entry(yaml, "output", s->output_name);
    if (s->labels) {
        px_buf_text(yaml, "labels: ");
        put_list(yaml, s->labels, s->n_labels);
        px_buf_byte(yaml, '\n');
    }
    px_buf_text(yaml, "features:\n");
    for (size_t i = 0; i < s->n_features; i++)
        put_feature(yaml, &s->features[i]);
    put_entry(yaml, "golden", d->golden_file);
    put_entry(yaml, "golden_scores", d->golden_scores);
    put_entry(yaml, "reference", d->reference_file);
    if (d->training.len) {
        px_buf_text(yaml, "training:\n");
        px_buf_str(yaml, d->training);
        if (!px_str_ends(d->training, "\n"))
            px_buf_byte(yaml, '\n');
    }
}
