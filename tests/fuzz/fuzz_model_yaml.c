/* SPDX-License-Identifier: Apache-2.0 */
/* model.yaml of a package: what parses is written again, and must read back as the same. */
#include "fuzz.h"

#include "application/lifecycle/model_yaml.h"
#include "application/lifecycle/package.h"

static void check_same(const struct px_model_yaml *a, const struct px_model_yaml *b)
{
    PX_ASSERT(px_str_eq(a->model, b->model) && px_str_eq(a->name, b->name));
    PX_ASSERT(a->n_features == b->n_features && a->n_labels == b->n_labels);
    for (size_t i = 0; i < a->n_labels; i++)
        PX_ASSERT(px_str_eq(a->labels[i], b->labels[i]));
    for (size_t i = 0; i < a->n_features; i++) {
        const struct px_feature *x = &a->features[i], *y = &b->features[i];
        PX_ASSERT(px_str_eq(x->name, y->name) && x->kind == y->kind && x->other == y->other);
        PX_ASSERT(x->n_categories == y->n_categories);
        for (size_t k = 0; k < x->n_categories; k++)
            PX_ASSERT(px_str_eq(x->categories[k], y->categories[k]));
    }
}

static void write_again(const struct px_model_yaml *yaml, struct px_arena *arena)
{
    const struct px_signature signature = {
        .features = yaml->features,
        .n_features = yaml->n_features,
        .task = yaml->task ? yaml->task : PX_TASK_REGRESSION,
        .output_name = yaml->output,
        .labels = yaml->labels,
        .n_labels = yaml->n_labels,
    };
    const struct px_package_description description = {
        .name = yaml->name,
        .model_file = yaml->model,
        .rounds = yaml->rounds,
        .target = yaml->target,
        .golden_file = yaml->golden,
        .reference_file = yaml->reference,
        .signature = &signature,
    };
    struct px_buf text = px_buf(64 << 20);
    struct px_model_yaml again;
    px_package_describe(&description, &text);
    enum px_code code = px_model_yaml_parse(px_buf_view(&text), arena, &again, NULL);
    PX_ASSERT(code == PX_OK);
    check_same(yaml, &again);
    px_buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_arena arena = px_arena(64 << 20);
    struct px_model_yaml yaml;
    struct px_err err;
    struct px_str text = px_str_n((const char *)data, size);
    if (px_model_yaml_parse(text, &arena, &yaml, &err) == PX_OK && yaml.n_features &&
        yaml.model.ptr)
        write_again(&yaml, &arena);
    px_arena_deinit(&arena);
    return 0;
}
