/* SPDX-License-Identifier: Apache-2.0 */
/* The engine port's contract for tensors, kept by plug-ins in this process, in processes of their own, and in Python. */
#include "application/execution/executor.h"
#include "infrastructure/engines/plugin/worker.h"
#include "shared/alloc.h"

#include "plugin_fixture.h"
#include "tensor_engine_contract.h"

#include <unistd.h>

/* The suite destroys the engines; what they live in is kept until the end. */
static struct plugin_fixture fixtures[256];
static size_t n_fixtures;

static struct px_engine *make(const struct px_engine_provider *provider, const char *folder,
                              const char *settings)
{
    CHECK(n_fixtures < PX_ARRAY_LEN(fixtures));
    struct plugin_fixture *f = &fixtures[n_fixtures++];
    struct px_engine *engine = NULL;
    plugin_fixture_init(f);
    plugin_fixture_declare(f, PX_TYPE_FP32, 2);
    plugin_fixture_declare(f, PX_TYPE_FP32, 2);
    f->inputs[0].shape[1] = f->inputs[1].shape[1] = f->outputs[0].shape[1] = 2;
    CHECK_OK(plugin_fixture_open_in(f, provider, folder, settings));
    CHECK_OK(px_executor_engine_create(f->engine, &(struct px_executor_options){.n_threads = 2},
                                       &engine, NULL));
    return engine;
}

static struct px_engine *make_in_process(void)
{
    return make(&px_plugin_provider, PX_TEST_PLUGINS,
                "{library: puppet.so, settings: {mode: adds}}");
}

static struct px_engine *make_isolated(void)
{
    return make(&px_plugin_provider, PX_TEST_PLUGINS,
                "{library: puppet.so, isolated: true, workers: 2, settings: {mode: adds}}");
}

static struct px_engine *make_python(void)
{
    return make(&px_python_provider, PX_TEST_PYTHON,
                "{python: /usr/bin/python3, file: puppet.py, workers: 2, settings: {mode: adds}}");
}

PX_TEST(a_library_keeps_the_contract)
{
    static const struct tensor_engine_case mine = {
        .name = "plugin", .make = make_in_process, .x = "in0", .y = "in1", .sum = "out0"};
    tensor_engine_contract(&mine);
}

PX_TEST(an_isolated_library_keeps_the_contract)
{
    static const struct tensor_engine_case mine = {
        .name = "isolated", .make = make_isolated, .x = "in0", .y = "in1", .sum = "out0"};
    tensor_engine_contract(&mine);
}

PX_TEST(a_python_model_keeps_the_contract)
{
    static const struct tensor_engine_case mine = {
        .name = "python", .make = make_python, .x = "in0", .y = "in1", .sum = "out0"};
    if (access("/usr/lib/python3/dist-packages/numpy", R_OK) != 0)
        printf("skipped: /usr/bin/python3 has no numpy\n");
    else
        tensor_engine_contract(&mine);
}

static int run_tests(int argc, char **argv)
{
    static const struct px_test tests[] = {T(a_library_keeps_the_contract) T(
        an_isolated_library_keeps_the_contract) T(a_python_model_keeps_the_contract)};
    int status = px_test_run_all(tests, PX_ARRAY_LEN(tests), argc > 1 ? argv[1] : NULL);
    for (size_t i = 0; i < n_fixtures; i++) {
        fixtures[i].engine = NULL; /* the suite's */
        plugin_fixture_deinit(&fixtures[i]);
    }
    return status;
}

int main(int argc, char **argv)
{
    return px_plugin_is_worker(argc, argv) ? px_plugin_worker_main() : run_tests(argc, argv);
}
