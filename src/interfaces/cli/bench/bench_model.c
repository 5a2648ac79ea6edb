/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/bench/bench.h"
#include "interfaces/cli/stream.h"
#include "shared/file.h"

#define SECONDS_MAX    86400.0
#define DATA_BYTES_MAX ((size_t)1 << 40)

/* "1,8,64" */
static enum px_code read_batches(struct px_str text, struct px_kernel_bench_options *o,
                                 struct px_err *err)
{
    while (text.ptr) {
        struct px_str part = px_str_trim(px_str_cut(&text, ','));
        uint64_t batch = 0;
        if (o->n_batches == PX_KERNEL_BENCH_BATCHES_MAX)
            return px_err_set(err, PX_E_INVALID, "--batches takes at most %d sizes",
                              PX_KERNEL_BENCH_BATCHES_MAX);
        if (!px_str_to_u64(part, &batch) || batch < 1 || batch > PX_KERNEL_BENCH_BATCH_MAX)
            return px_err_set(err, PX_E_INVALID,
                              "--batches must be row counts from 1 to %d, such as 1,64,4096; got "
                              "'%.*s'",
                              PX_KERNEL_BENCH_BATCH_MAX, PX_STR_ARG(part));
        for (size_t i = 0; i < o->n_batches; i++) {
            if (o->batches[i] == batch)
                return px_err_set(err, PX_E_INVALID, "--batches names %zu twice", (size_t)batch);
        }
        o->batches[o->n_batches++] = (size_t)batch;
    }
    return PX_OK;
}

static enum px_code read_options(struct px_cli *cli, struct px_kernel_bench_options *o,
                                 struct px_err *err)
{
    struct px_str kernel = px_cli_text(cli, "kernel");
    o->path = cli->arguments[0];
    o->kernel = kernel.len ? kernel.ptr : NULL;
    o->seconds = px_cli_real(cli, "seconds");
    o->seed = (uint64_t)px_cli_int(cli, "seed");
    if (!(o->seconds > 0 && o->seconds <= SECONDS_MAX))
        return px_err_set(err, PX_E_INVALID, "--seconds must be above 0 and at most %.0f, got %g",
                          SECONDS_MAX, o->seconds);
    enum px_code code = px_cli_rounds(cli, &o->rounds, err);
    return code == PX_OK ? read_batches(px_cli_text(cli, "batches"), o, err) : code;
}

static bool show_progress(void *context, const char *kernel, size_t done, size_t total)
{
    struct px_progress *bar = context;
    bar->total = total;
    px_progress_update(bar, done, kernel);
    return !px_interrupts_seen();
}

static enum px_code load_data(struct px_cli *cli, struct px_kernel_bench_options *o,
                              struct px_file *file, struct px_err *err)
{
    struct px_str path = px_cli_text(cli, "data");
    if (path.len == 0)
        return PX_OK;
    enum px_code code = px_file_load(file, path.ptr, DATA_BYTES_MAX, err);
    o->data_name = path.ptr;
    o->data = file->bytes.ptr ? file->bytes : px_str("");
    return code;
}

int px_bench_model(struct px_cli *cli)
{
    struct px_kernel_bench_options options = {0};
    struct px_kernel_bench bench = {0};
    struct px_file file = {0};
    struct px_err err = {0};
    if (read_options(cli, &options, &err) != PX_OK)
        return px_cli_usage(cli, &err);
    px_interrupts_guard();
    struct px_progress bar = px_progress(cli->err, "bench", 0);
    options.progress = show_progress;
    options.progress_context = &bar;
    enum px_code code = load_data(cli, &options, &file, &err);
    if (code == PX_OK)
        code = px_kernel_bench_run(&options, &bench, &err);
    px_progress_end(&bar);
    if (code == PX_OK && px_cli_flag(cli, "json"))
        px_bench_model_print_json(cli->out, &bench);
    else if (code == PX_OK)
        px_bench_model_print_text(cli->out, &bench);
    px_kernel_bench_deinit(&bench);
    px_file_unload(&file);
    if (code == PX_OK)
        return PX_EXIT_OK;
    px_cli_fail(cli, &err);
    return code == PX_E_CANCELLED ? PX_EXIT_INTERRUPTED : PX_EXIT_FAILED;
}
