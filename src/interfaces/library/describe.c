/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of a model as JSON, for phx_model_info; docs/api/library.md lists the members. */
#include "interfaces/library/model.h"

#include "application/lifecycle/plan_report.h"
#include "shared/json.h"

static void put_features(struct px_json_writer *w, const struct px_signature *signature)
{
    px_json_key(w, "features");
    px_json_begin_array(w);
    for (size_t i = 0; i < signature->n_features; i++) {
        const struct px_feature *feature = &signature->features[i];
        px_json_begin_object(w);
        px_json_member_str(w, "name", feature->name);
        px_json_member_text(w, "type", px_feature_kind_name(feature->kind));
        if (feature->n_categories)
            px_json_member_strs(w, "categories", feature->categories, feature->n_categories);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

static void put_sizes(struct px_json_writer *w, const struct px_forest_info *info)
{
    px_json_member_u64(w, "trees", info->n_trees);
    px_json_member_u64(w, "nodes", info->n_nodes);
    px_json_member_u64(w, "leaves", info->n_leaves);
    px_json_member_u64(w, "depth", info->depth_max);
    px_json_member_u64(w, "bytes", info->bytes);
}

void px_library_describe(const phx_model *model, struct px_buf *json)
{
    const struct px_package *package = model->package;
    const struct px_signature *signature = &package->signature;
    const struct px_forest_info *info = model->info;
    struct px_json_writer w = px_json_writer(json);
    px_json_begin_object(&w);
    px_json_member_str(&w, "name", package->name);
    px_json_member_text(&w, "format", px_forest_format_name(info->format));
    px_json_member_str(&w, "library_version", info->library_version);
    px_json_member_str(&w, "objective", info->objective);
    px_json_member_text(&w, "task", px_task_name(signature->task));
    px_json_member_text(&w, "feature_type", px_datatype_name(info->feature_type));
    px_json_member_text(&w, "score_type", px_datatype_name(info->score_type));
    put_features(&w, signature);
    px_json_member_u64(&w, "outputs", info->n_outputs);
    px_json_member_u64(&w, "margins", info->n_margins);
    px_json_member_u64(&w, "classes", info->n_classes);
    if (signature->labels)
        px_json_member_strs(&w, "labels", signature->labels, signature->n_labels);
    px_json_member_bool(&w, "score_is_probability", info->score_is_probability);
    put_sizes(&w, info);
    px_plan_put_json(&w, info);
    px_json_member_strs(&w, "warnings", info->warnings, info->n_warnings);
    px_json_end_object(&w);
}
