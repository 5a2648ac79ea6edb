/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/bench/bench.h"

#include "application/lifecycle/plan_report.h"
#include "interfaces/cli/bench/plot.h"
#include "interfaces/cli/machine.h"

enum { JSON_MAX = 16 << 20 };

#define WORTH_TELLING 1.1 /* a kernel that is this much faster than the planner's choice */

static const char *format_bytes(size_t bytes, char *out, size_t cap)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit + 1 < PX_ARRAY_LEN(units); unit++)
        value /= 1024;
    snprintf(out, cap, unit && value < 99.5 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

static double rows_per_s(const struct px_kernel_cell *cell)
{
    return cell->median_ns > 0 ? 1e9 / cell->median_ns : 0;
}

static void print_setup(FILE *out, const struct px_kernel_bench *b)
{
    const struct px_package *p = b->package;
    const struct px_forest_info *info = px_forest_info(p->forest);
    char processor[128], count[32];
    fprintf(out, "%.*s: %s, %.*s, %zu trees of depth %zu, ", PX_STR_ARG(p->name),
            px_forest_format_name(info->format), PX_STR_ARG(info->objective), info->n_trees,
            info->depth_max);
    fprintf(out, "%s nodes, %zu features\n", px_format_count((double)info->n_nodes, count),
            info->n_features);
    fprintf(out, "  phoenix %s, %s, one thread on %s\n", PX_VERSION, px_machine_compiler(),
            px_machine_processor(processor, sizeof processor));
    if (b->options.data.ptr)
        fprintf(out, "  %zu rows of %s; ", b->n_data_rows, b->options.data_name);
    else
        fprintf(out, "  %zu rows on and around the model's own thresholds; ", b->n_pool_rows);
    fputs("ns per row, margins: the objective's transform is not in it\n\n", out);
}

static void print_plan(FILE *out, const struct px_kernel_bench *b, size_t batch)
{
    const struct px_forest_choice *choice = px_kernel_bench_choice(b, batch);
    char ns[32];
    fputs(px_forest_info(b->package->forest)->kernel_forced ? "  forced" : "  chosen", out);
    if (choice->ns_per_row > 0)
        fprintf(out, ", %s at %zu row%s %s", px_format_count(choice->ns_per_row, ns), choice->rows,
                choice->rows == 1 ? "" : "s", choice->measured ? "at load" : "predicted");
}

static void print_cell(FILE *out, const struct px_kernel_bench *b,
                       const struct px_kernel_line *line, size_t batch)
{
    const struct px_kernel_cell *cell = &line->cells[batch];
    const double ns[] = {cell->median_ns, cell->min_ns, cell->p90_ns};
    char text[32];
    fprintf(out, "%8zu  %-18s", b->options.batches[batch], line->name);
    for (size_t i = 0; i < PX_ARRAY_LEN(ns); i++)
        fprintf(out, " %10s", px_format_count(ns[i], text));
    fprintf(out, " %13s", px_format_count(rows_per_s(cell), text));
    fprintf(out, " %10s", format_bytes(cell->touched, text, sizeof text));
    if (cell->chosen)
        print_plan(out, b, b->options.batches[batch]);
    fputc('\n', out);
}

/* The line with the least time of a batch, or NULL: the least repetition, which noise cannot lower. */
static const struct px_kernel_line *fastest(const struct px_kernel_bench *b, size_t batch)
{
    const struct px_kernel_line *best = NULL;
    for (size_t i = 0; i < b->n_lines; i++) {
        const struct px_kernel_line *line = &b->lines[i];
        if (line->usable && (!best || line->cells[batch].min_ns < best->cells[batch].min_ns))
            best = line;
    }
    return best;
}

static const struct px_kernel_line *chosen(const struct px_kernel_bench *b, size_t batch)
{
    for (size_t i = 0; i < b->n_lines; i++) {
        if (b->lines[i].usable && b->lines[i].cells[batch].chosen)
            return &b->lines[i];
    }
    return NULL;
}

/* Where the planner would have done better with another kernel, by these figures. */
static void print_findings(FILE *out, const struct px_kernel_bench *b)
{
    bool had_choice = !px_forest_info(b->package->forest)->kernel_forced;
    for (size_t i = 0; had_choice && i < b->options.n_batches; i++) {
        const struct px_kernel_line *best = fastest(b, i), *plan = chosen(b, i);
        if (!plan || plan == best)
            continue;
        double gain = plan->cells[i].min_ns / best->cells[i].min_ns;
        if (gain >= WORTH_TELLING)
            fprintf(out, "at %zu row%s %s was %.2f times as fast as the planner's choice, %s\n",
                    b->options.batches[i], b->options.batches[i] == 1 ? "" : "s", best->name, gain,
                    plan->name);
    }
}

void px_bench_model_print_text(FILE *out, const struct px_kernel_bench *b)
{
    print_setup(out, b);
    fprintf(out, "%8s  %-18s %10s %10s %10s %13s %10s  %s\n", "batch", "kernel", "median", "least",
            "p90", "rows/s", "touched", "planner");
    for (size_t batch = 0; batch < b->options.n_batches; batch++) {
        for (size_t i = 0; i < b->n_lines; i++) {
            if (b->lines[i].usable)
                print_cell(out, b, &b->lines[i], batch);
        }
        fputc('\n', out);
    }
    print_findings(out, b);
    for (size_t i = 0; i < b->n_lines; i++) {
        if (!b->lines[i].usable)
            fprintf(out, "%s does not score this model: %s\n", b->lines[i].name,
                    b->lines[i].reason);
    }
}

static void put_model(struct px_json_writer *w, const struct px_kernel_bench *b)
{
    const struct px_package *p = b->package;
    const struct px_forest_info *info = px_forest_info(p->forest);
    px_json_key(w, "model");
    px_json_begin_object(w);
    px_json_member_str(w, "name", p->name);
    px_json_member_str(w, "file", p->model_path);
    px_json_member_text(w, "format", px_forest_format_name(info->format));
    px_json_member_str(w, "objective", info->objective);
    px_json_member_u64(w, "features", info->n_features);
    px_json_member_u64(w, "trees", info->n_trees);
    px_json_member_u64(w, "depth", info->depth_max);
    px_json_member_u64(w, "nodes", info->n_nodes);
    px_json_member_u64(w, "leaves", info->n_leaves);
    px_json_end_object(w);
}

static void put_rows(struct px_json_writer *w, const struct px_kernel_bench *b)
{
    px_json_key(w, "rows");
    px_json_begin_object(w);
    px_json_member_text(w, "source", b->options.data.ptr ? b->options.data_name : "probe");
    px_json_member_u64(w, "count", b->options.data.ptr ? b->n_data_rows : b->n_pool_rows);
    px_json_end_object(w);
}

static void put_cell(struct px_json_writer *w, const struct px_kernel_bench *b,
                     const struct px_kernel_line *line, size_t batch)
{
    const struct px_kernel_cell *cell = &line->cells[batch];
    px_json_begin_object(w);
    px_json_member_u64(w, "batch", b->options.batches[batch]);
    px_json_member_text(w, "kernel", line->name);
    px_json_key(w, "ns_per_row");
    px_json_begin_object(w);
    px_json_member_f64(w, "median", cell->median_ns);
    px_json_member_f64(w, "min", cell->min_ns);
    px_json_member_f64(w, "p90", cell->p90_ns);
    px_json_end_object(w);
    px_json_member_f64(w, "rows_per_s", rows_per_s(cell));
    px_json_member_u64(w, "bytes_touched", cell->touched);
    px_json_member_u64(w, "repetitions", cell->n_repetitions);
    px_json_member_u64(w, "calls_per_repetition", cell->n_calls);
    px_json_member_bool(w, "chosen", cell->chosen);
    px_json_end_object(w);
}

static void put_results(struct px_json_writer *w, const struct px_kernel_bench *b)
{
    px_json_key(w, "results");
    px_json_begin_array(w);
    for (size_t batch = 0; batch < b->options.n_batches; batch++) {
        for (size_t i = 0; i < b->n_lines; i++) {
            if (b->lines[i].usable)
                put_cell(w, b, &b->lines[i], batch);
        }
    }
    px_json_end_array(w);
}

static void put_refused(struct px_json_writer *w, const struct px_kernel_bench *b)
{
    px_json_key(w, "refused");
    px_json_begin_array(w);
    for (size_t i = 0; i < b->n_lines; i++) {
        if (b->lines[i].usable)
            continue;
        px_json_begin_object(w);
        px_json_member_text(w, "kernel", b->lines[i].name);
        px_json_member_text(w, "reason", b->lines[i].reason);
        px_json_end_object(w);
    }
    px_json_end_array(w);
}

void px_bench_model_print_json(FILE *out, const struct px_kernel_bench *b)
{
    struct px_buf text = px_buf(JSON_MAX);
    struct px_json_writer w = px_json_writer(&text);
    px_json_begin_object(&w);
    px_json_member_text(&w, "kind", "kernels");
    put_model(&w, b);
    put_rows(&w, b);
    put_results(&w, b);
    px_plan_put_json(&w, px_forest_info(b->package->forest));
    put_refused(&w, b);
    px_machine_put(&w);
    px_json_end_object(&w);
    fprintf(out, "%s\n", px_buf_cstr(&text));
    px_buf_deinit(&text);
}
