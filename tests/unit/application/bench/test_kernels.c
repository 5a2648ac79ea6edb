/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel table is complete and plausible whatever the machine; no time is asserted. */
#include "harness.h"
#include "tiny_model.h"

#include "application/bench/kernels.h"
#include "shared/alloc.h"
#include "shared/file.h"

#include <unistd.h>

static char path[] = "/tmp/px_kernels_XXXXXX";
static struct px_kernel_bench bench;
static struct px_err err;

static void write_model(void)
{
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    close(fd);
    CHECK_OK(px_file_write(path, px_str(tiny_model), NULL));
}

static struct px_kernel_bench_options options_of(const char *kernel)
{
    return (struct px_kernel_bench_options){
        .path = path,
        .kernel = kernel,
        .batches = {1, 7, 300},
        .n_batches = 3,
        .seconds = 0.02,
        .seed = 1,
    };
}

static enum px_code run(const struct px_kernel_bench_options *options)
{
    err = (struct px_err){0};
    return px_kernel_bench_run(options, &bench, &err);
}

PX_TEST(every_kernel_has_its_cells_or_a_reason)
{
    write_model();
    const struct px_kernel_bench_options options = options_of(NULL);
    CHECK_OK(run(&options));
    CHECK_INT(bench.n_lines, px_forest_info(bench.package->forest)->n_kernels);
    CHECK_INT(bench.n_pool_rows, 4096);
    size_t n_measured = 0, n_chosen[3] = {0};
    for (size_t i = 0; i < bench.n_lines; i++) {
        const struct px_kernel_line *line = &bench.lines[i];
        if (!line->usable) {
            CHECK(line->reason[0] != '\0');
            continue;
        }
        n_measured++;
        for (size_t k = 0; k < 3; k++) {
            const struct px_kernel_cell *cell = &line->cells[k];
            CHECK(cell->n_repetitions >= 3 && cell->n_calls >= 1);
            CHECK(cell->min_ns > 0 && cell->min_ns <= cell->median_ns);
            CHECK(cell->median_ns <= cell->p90_ns);
            CHECK(cell->touched > options.batches[k] * (2 + 1) * sizeof(double));
            n_chosen[k] += cell->chosen;
        }
    }
    CHECK(n_measured >= 2);
    for (size_t k = 0; k < 3; k++)
        CHECK_INT(n_chosen[k], 1);
    px_kernel_bench_deinit(&bench);
}

PX_TEST(a_kernel_that_the_environment_forces_does_not_hide_the_others)
{
    const struct px_kernel_bench_options options = options_of(NULL);
    CHECK(setenv("PHOENIX_KERNEL", "walker", 1) == 0);
    enum px_code code = run(&options);
    unsetenv("PHOENIX_KERNEL");
    CHECK_OK(code);
    size_t n_usable = 0;
    for (size_t i = 0; i < bench.n_lines; i++) {
        n_usable += bench.lines[i].usable;
        CHECK(bench.lines[i].usable || bench.lines[i].reason[0]);
        CHECK(!bench.lines[i].cells[0].chosen || strcmp(bench.lines[i].name, "walker") == 0);
    }
    CHECK(n_usable >= 2);
    px_kernel_bench_deinit(&bench);
}

PX_TEST(one_kernel_can_be_asked_for)
{
    const struct px_kernel_bench_options options = options_of("walker");
    CHECK_OK(run(&options));
    CHECK_INT(bench.n_lines, 1);
    CHECK(strcmp(bench.lines[0].name, "walker") == 0);
    px_kernel_bench_deinit(&bench);
    const struct px_kernel_bench_options wrong = options_of("wolker");
    CHECK_INT(run(&wrong), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "walker");
    CHECK_CONTAINS(err.hint, "walker");
    px_kernel_bench_deinit(&bench);
}

PX_TEST(data_is_repeated_and_its_faults_are_told)
{
    struct px_kernel_bench_options options = options_of("walker");
    options.data_name = "rows.csv";
    options.data = px_str("amount,other,age\n0.1,x,20\n0.9,y,40\n");
    CHECK_OK(run(&options));
    CHECK_INT(bench.n_data_rows, 2);
    CHECK_INT(bench.n_pool_rows, 4096);
    px_kernel_bench_deinit(&bench);
    static const char *const wrong[] = {"", "age,amount\n", "age\n1\n", "age,amount\n1,x\n"};
    for (size_t i = 0; i < PX_ARRAY_LEN(wrong); i++) {
        options.data = px_str(wrong[i]);
        CHECK_INT(run(&options), PX_E_INVALID);
        CHECK_CONTAINS(err.message, "rows.csv");
        px_kernel_bench_deinit(&bench);
    }
}

static bool stop(void *context, const char *kernel, size_t done, size_t total)
{
    (void)context;
    CHECK(kernel != NULL && done < total);
    return done < 2;
}

PX_TEST(it_can_be_interrupted)
{
    struct px_kernel_bench_options options = options_of(NULL);
    options.progress = stop;
    CHECK_INT(run(&options), PX_E_CANCELLED);
    px_kernel_bench_deinit(&bench);
}

PX_TEST(batches_beyond_memory_are_refused)
{
    struct px_kernel_bench_options options = options_of(NULL);
    options.batches[0] = (size_t)1 << 40;
    CHECK_INT(run(&options), PX_E_TOO_LARGE);
    px_kernel_bench_deinit(&bench);
}

PX_TEST(a_model_that_is_not_there_is_an_error)
{
    struct px_kernel_bench_options options = options_of(NULL);
    options.path = "/nowhere/model.json";
    CHECK(run(&options) != PX_OK);
    CHECK_CONTAINS(err.message, "/nowhere/model.json");
    px_kernel_bench_deinit(&bench);
}

PX_TEST(no_memory_is_an_error_whenever_it_comes)
{
    struct px_kernel_bench_options options = options_of("walker");
    enum px_code code = PX_E_NO_MEMORY;
    options.seconds = 0.0001;
    for (uint64_t n = 1; code != PX_OK && n < 500; n++) {
        px_alloc_fail_at(n);
        code = run(&options);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        px_kernel_bench_deinit(&bench);
    }
    CHECK_OK(code);
}

PX_TEST(the_model_is_removed)
{
    CHECK(unlink(path) == 0);
}

PX_TEST_MAIN(T(every_kernel_has_its_cells_or_a_reason)
                 T(a_kernel_that_the_environment_forces_does_not_hide_the_others)
                     T(one_kernel_can_be_asked_for) T(data_is_repeated_and_its_faults_are_told)
                         T(it_can_be_interrupted) T(batches_beyond_memory_are_refused)
                             T(a_model_that_is_not_there_is_an_error)
                                 T(no_memory_is_an_error_whenever_it_comes) T(the_model_is_removed))
