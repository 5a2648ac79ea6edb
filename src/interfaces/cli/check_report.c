/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/check_report.h"

#include "application/batch/scores.h"
#include "application/lifecycle/plan_report.h"
#include "interfaces/cli/check_plan.h"
#include "interfaces/cli/visible.h"
#include "shared/json.h"

enum {
    FEATURES_SHOWN = 40,
    CATEGORIES_SHOWN = 4,
    NAME_COLUMN_MAX = 32,
    JSON_MAX = 256 << 20,
};

static const char *format_bytes(size_t bytes, char *out, size_t cap)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < PX_ARRAY_LEN(units); unit++)
        value /= 1024;
    snprintf(out, cap, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

static void print_label(FILE *out, const char *label)
{
    fprintf(out, "  %-11s", label);
}

/* Names and labels come from files of strangers. */
static void print_line(FILE *out, struct px_str text)
{
    px_print_visible(out, text);
    fputc('\n', out);
}

static void print_item(FILE *out, size_t number, struct px_str text)
{
    fputs(number ? ", " : "", out);
    px_print_visible(out, text);
}

static void print_model(FILE *out, const struct px_package *p)
{
    const struct px_forest_info *info = px_forest_info(p->forest);
    char size[32];
    print_line(out, p->name);
    print_label(out, "file");
    fprintf(out, "%s, %s\n", p->model_path.ptr, format_bytes(p->model_size, size, sizeof size));
    print_label(out, "format");
    fprintf(out, "%s, version ", px_forest_format_name(info->format));
    print_line(out, info->library_version);
    print_label(out, "objective");
    print_line(out, info->objective);
    print_label(out, "task");
    fputs(px_task_name(p->signature.task), out);
    if (p->target.len)
        fputs(", target ", out);
    print_line(out, p->target);
}

static void print_size(FILE *out, const struct px_package *p)
{
    const struct px_forest_info *info = px_forest_info(p->forest);
    char memory[32];
    print_label(out, "trees");
    fprintf(out, "%zu, depth %zu, %zu nodes, %zu leaves\n", info->n_trees, info->depth_max,
            info->n_nodes, info->n_leaves);
    print_label(out, "rounds");
    fprintf(out, "%zu", info->n_rounds);
    if (info->best_round + 1 != info->n_rounds)
        fprintf(out, ", the best is number %zu", info->best_round + 1);
    fputc('\n', out);
    print_label(out, "memory");
    fprintf(out, "%s\n", format_bytes(info->bytes, memory, sizeof memory));
    px_check_print_plan(out, info);
}

static void print_scores(FILE *out, const struct px_package *p)
{
    const struct px_forest_info *info = px_forest_info(p->forest);
    struct px_buf names = px_buf(JSON_MAX);
    for (size_t i = 0; i < info->n_outputs && i < FEATURES_SHOWN; i++) {
        px_buf_text(&names, i ? ", " : "");
        px_score_name(&p->signature, info->n_outputs, i, &names);
    }
    print_label(out, "scores");
    px_print_visible(out, px_buf_view(&names));
    fprintf(out, "%s, %s%s\n", info->n_outputs > FEATURES_SHOWN ? ", ..." : "",
            px_datatype_name(info->score_type),
            info->score_is_probability ? ", probabilities" : "");
    px_buf_deinit(&names);
    if (p->signature.n_labels == 0)
        return;
    print_label(out, "classes");
    for (size_t i = 0; i < p->signature.n_labels && i < FEATURES_SHOWN; i++)
        print_item(out, i, p->signature.labels[i]);
    fputs(p->signature.n_labels > FEATURES_SHOWN ? ", ...\n" : "\n", out);
}

static void print_categories(FILE *out, const struct px_feature *f)
{
    if (f->n_categories == 0) {
        fputs("  by code 0, 1, 2, ...", out);
        return;
    }
    fprintf(out, "  %zu: ", f->n_categories);
    for (size_t i = 0; i < f->n_categories && i < CATEGORIES_SHOWN; i++)
        print_item(out, i, f->categories[i]);
    if (f->n_categories > CATEGORIES_SHOWN)
        fputs(", ...", out);
    if (f->other >= 0)
        fputs("; others together", out);
}

static int name_width(const struct px_signature *s)
{
    size_t width = 4;
    for (size_t i = 0; i < s->n_features && i < FEATURES_SHOWN; i++) {
        if (s->features[i].name.len > width)
            width = s->features[i].name.len;
    }
    return (int)(width < NAME_COLUMN_MAX ? width : NAME_COLUMN_MAX);
}

static void print_features(FILE *out, const struct px_package *p)
{
    const struct px_signature *s = &p->signature;
    int width = name_width(s);
    print_label(out, "features");
    fprintf(out, "%zu%s\n", s->n_features,
            s->named ? "" : ", without names: matched by position unless columns bear these");
    for (size_t i = 0; i < s->n_features && i < FEATURES_SHOWN; i++) {
        const struct px_feature *f = &s->features[i];
        int padding = f->name.len < (size_t)width ? width - (int)f->name.len : 0;
        fprintf(out, "  %9zu  ", i);
        px_print_visible(out, f->name);
        fprintf(out, "%*s  %s", padding, "", px_feature_kind_name(f->kind));
        if (f->kind == PX_FEATURE_CATEGORY)
            print_categories(out, f);
        fputc('\n', out);
    }
    if (s->n_features > FEATURES_SHOWN)
        fprintf(out, "             and %zu more; --json lists all\n",
                s->n_features - FEATURES_SHOWN);
}

static void print_checks(FILE *out, const struct px_package *p,
                         const struct px_check_report *report)
{
    const struct px_forest_info *info = px_forest_info(p->forest);
    for (size_t i = 0; i < info->n_warnings; i++) {
        print_label(out, i ? "" : "warnings");
        px_print_visible(out, info->warnings[i]);
        fputc('\n', out);
    }
    print_label(out, "self-test");
    if (report->self_test_passed && info->self_test.n_kernels == 0)
        fputs("nothing to compare: the walker alone scores this model\n", out);
    else if (report->self_test_passed)
        fprintf(out, "passed: %zu kernel%s and the walker agree on %zu rows%s\n",
                info->self_test.n_kernels, info->self_test.n_kernels == 1 ? "" : "s",
                info->self_test.n_rows,
                info->self_test.n_untested ? "; kernels that do not serve it were not tested" : "");
    else {
        fputs("failed: ", out);
        print_line(out, px_str(report->self_test_error.message));
    }
    print_label(out, "golden");
    if (!report->has_golden)
        fputs("none\n", out);
    else if (report->golden_passed)
        fprintf(out, "passed: %zu rows score exactly as expected\n", report->golden.n_rows);
    else
        fputs("failed\n", out);
}

void px_check_print_text(FILE *out, const struct px_package *package,
                         const struct px_check_report *report, const struct px_err *failure)
{
    print_model(out, package);
    print_size(out, package);
    print_scores(out, package);
    print_features(out, package);
    print_checks(out, package, report);
    print_label(out, "verdict");
    if (failure)
        fputs("would not be served\n", out);
    else
        fprintf(out, "would be served: phoenix serve %s\n", package->path.ptr);
}

static void put_feature(struct px_json_writer *w, const struct px_feature *f)
{
    px_json_begin_object(w);
    px_json_member_str(w, "name", f->name);
    px_json_member_text(w, "type", px_feature_kind_name(f->kind));
    if (f->n_categories)
        px_json_member_strs(w, "categories", f->categories, f->n_categories);
    if (f->other >= 0)
        px_json_member_u64(w, "other", (uint64_t)f->other);
    px_json_end_object(w);
}

static void put_package(struct px_json_writer *w, const struct px_package *p)
{
    const struct px_forest_info *info = px_forest_info(p->forest);
    char hash[32];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)p->model_hash);
    px_json_member_str(w, "name", p->name);
    px_json_member_str(w, "file", p->model_path);
    px_json_member_u64(w, "file_bytes", p->model_size);
    px_json_member_text(w, "file_hash_xxh3", hash);
    px_json_member_text(w, "format", px_forest_format_name(info->format));
    px_json_member_str(w, "library_version", info->library_version);
    px_json_member_str(w, "objective", info->objective);
    px_json_member_text(w, "task", px_task_name(p->signature.task));
    if (p->target.len)
        px_json_member_str(w, "target", p->target);
    px_json_member_u64(w, "trees", info->n_trees);
    px_json_member_u64(w, "depth", info->depth_max);
    px_json_member_u64(w, "nodes", info->n_nodes);
    px_json_member_u64(w, "leaves", info->n_leaves);
    px_json_member_u64(w, "rounds", info->n_rounds);
    px_json_member_u64(w, "best_round", info->best_round);
    px_json_member_u64(w, "memory_bytes", info->bytes);
    px_json_member_text(w, "kernel_one", info->kernel_one);
    px_json_member_text(w, "kernel_many", info->kernel_many);
    px_plan_put_json(w, info);
}

static void put_interface(struct px_json_writer *w, const struct px_package *p)
{
    const struct px_forest_info *info = px_forest_info(p->forest);
    const struct px_signature *s = &p->signature;
    px_json_member_text(w, "score_type", px_datatype_name(info->score_type));
    px_json_member_u64(w, "scores_per_row", info->n_outputs);
    px_json_member_bool(w, "score_is_probability", info->score_is_probability);
    px_json_member_u64(w, "classes", info->n_classes);
    px_json_member_strs(w, "labels", s->labels, s->n_labels);
    px_json_member_bool(w, "features_named", s->named);
    px_json_key(w, "features");
    px_json_begin_array(w);
    for (size_t i = 0; i < s->n_features; i++)
        put_feature(w, &s->features[i]);
    px_json_end_array(w);
    px_json_member_strs(w, "warnings", info->warnings, info->n_warnings);
}

static void put_golden(struct px_json_writer *w, const struct px_check_report *report,
                       enum px_datatype type)
{
    const struct px_golden_report *g = &report->golden;
    const double pair[2] = {g->worst_expected, g->worst_got};
    static const char *const names[2] = {"expected", "got"};
    px_json_key(w, "golden");
    px_json_begin_object(w);
    px_json_member_bool(w, "passed", report->golden_passed);
    px_json_member_u64(w, "rows", g->n_rows);
    px_json_member_u64(w, "different", g->n_different);
    if (g->n_different) {
        px_json_key(w, "worst");
        px_json_begin_object(w);
        px_json_member_u64(w, "line", g->worst_line);
        px_json_member_text(w, "column", g->worst_column);
        for (size_t i = 0; i < 2; i++) {
            px_json_key(w, names[i]);
            if (type == PX_TYPE_FP32)
                px_json_put_f32(w, (float)pair[i], false);
            else
                px_json_put_f64(w, pair[i], false);
        }
        px_json_end_object(w);
    }
    px_json_end_object(w);
}

void px_check_put_failure(struct px_json_writer *w, const struct px_err *failure)
{
    px_json_key(w, "error");
    px_json_begin_object(w);
    px_json_member_text(w, "code", px_code_name(failure->code));
    px_json_member_text(w, "message", failure->message);
    if (failure->hint[0])
        px_json_member_text(w, "hint", failure->hint);
    px_json_end_object(w);
}

void px_check_print_json(FILE *out, const struct px_package *package,
                         const struct px_check_report *report, const struct px_err *failure)
{
    struct px_buf text = px_buf(JSON_MAX);
    struct px_json_writer w = px_json_writer(&text);
    px_json_begin_object(&w);
    px_json_member_bool(&w, "ok", failure == NULL);
    if (failure)
        px_check_put_failure(&w, failure);
    if (package) {
        put_package(&w, package);
        put_interface(&w, package);
        px_json_member_bool(&w, "self_test_passed", report->self_test_passed);
        if (report->has_golden)
            put_golden(&w, report, px_forest_info(package->forest)->score_type);
    }
    px_json_end_object(&w);
    fprintf(out, "%s\n", px_buf_cstr(&text));
    px_buf_deinit(&text);
}
