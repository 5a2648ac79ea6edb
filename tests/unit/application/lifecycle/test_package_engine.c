/* SPDX-License-Identifier: Apache-2.0 */
/* Packages that a provider's engine opens: which of them does, what model.yaml may say, and what is refused. */
#include "harness.h"

#include "application/execution/executor.h"
#include "application/lifecycle/package.h"
#include "memory_provider.h"
#include "tiny_model.h"

static char folder[] = "/tmp/px_package_engine_XXXXXX";
static struct px_err err;

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    CHECK_OK(px_file_write(path_of(name), px_str(text), &err));
}

static struct px_package *open_at(const char *path, const struct px_engines *engines)
{
    struct px_package *package = NULL;
    const struct px_package_options options = {.engines = engines};
    err = (struct px_err){0};
    return px_package_open(path, &options, &package, &err) == PX_OK ? package : NULL;
}

static struct px_package *open_yaml(const char *yaml)
{
    put("model.yaml", yaml);
    return open_at(folder, memory_engines());
}

static void check_refused(const char *yaml, const char *part)
{
    CHECK(open_yaml(yaml) == NULL);
    CHECK_CONTAINS(err.message, part);
}

PX_TEST(a_folder_is_made)
{
    CHECK(mkdtemp(folder));
    put("m.bin", "memory:add\n");
    put("bare.bin", "memory:echo\n");
    put("broken.bin", "memory:nonsense\n");
    put("tree.txt", tiny_model);
}

PX_TEST(a_bare_file_goes_to_the_provider_that_knows_it)
{
    struct px_package *p = open_at(path_of("bare.bin"), memory_engines());
    CHECK(p && p->bare && !p->forest);
    CHECK(px_engine_has(p->engine, PX_ENGINE_ASYNC));
    CHECK_STR(px_str(p->provider), "memory");
    CHECK_STR(p->name, "bare");
    CHECK_INT(p->signature.n_features, 0);
    CHECK_STR(p->signature.output_name, "text");
    CHECK_INT(p->model_size, strlen("memory:echo\n"));
    CHECK(p->model_hash != 0);
    CHECK_INT(p->warm_up.runs, PX_WARM_UP_RUNS_DEFAULT);
    px_package_close(p);
}

PX_TEST(a_tree_model_stays_with_the_forest)
{
    struct px_package *p = open_at(path_of("tree.txt"), memory_engines());
    CHECK(p && p->forest && !p->engine);
    px_package_close(p);
}

PX_TEST(without_providers_the_forest_says_what_is_wrong)
{
    CHECK(open_at(path_of("bare.bin"), NULL) == NULL);
    CHECK(err.message[0]);
    struct px_err with_none = err;
    put("other.bin", "something else");
    CHECK(open_at(path_of("other.bin"), memory_engines()) == NULL);
    CHECK_INT(err.code, with_none.code);
    CHECK(open_at(path_of("broken.bin"), memory_engines()) == NULL);
    CHECK_CONTAINS(err.message, "nonsense");
    CHECK_CONTAINS(err.message, "broken.bin");
}

PX_TEST(an_engine_may_need_no_file)
{
    struct px_package *p = open_yaml("phoenix: 1\nname: sums\nengine: {name: memory, kind: add}\n"
                                     "instances: 3\nqueue_max: 5\nwarm_up: 0\nlabels: [a, b]\n");
    struct px_executor_counts counts;
    CHECK(p && p->engine && !p->model_path.ptr);
    CHECK(px_executor_counts(p->engine, &counts));
    CHECK_STR(p->name, "sums");
    CHECK_INT(p->warm_up.runs, 0);
    CHECK_INT(p->signature.n_labels, 2);
    px_package_close(p);
}

PX_TEST(an_asynchronous_engine_gets_no_threads)
{
    struct px_executor_counts counts;
    struct px_package *p =
        open_yaml("phoenix: 1\nmodel: m.bin\nengine: {name: memory, asynchronous: true}\n");
    CHECK(p && !px_executor_counts(p->engine, &counts));
    px_package_close(p);
    check_refused("phoenix: 1\nmodel: m.bin\ninstances: 2\n"
                  "engine: {name: memory, asynchronous: true}\n",
                  "'instances'");
}

PX_TEST(a_scalar_is_the_name_of_the_engine)
{
    struct px_package *p = open_yaml("phoenix: 1\nmodel: m.bin\nengine: memory\n");
    CHECK(p && p->engine);
    px_package_close(p);
    p = open_yaml("phoenix: 1\nmodel: m.bin\n"); /* known by its content */
    CHECK(p && p->engine && !p->bare);
    px_package_close(p);
}

PX_TEST(declared_tensors_must_be_those_of_the_model)
{
    struct px_package *p = open_yaml(
        "phoenix: 1\nmodel: m.bin\nengine: memory\n"
        "inputs: [{name: x, type: FP32, shape: [-1, 2]}, {name: z, type: FP32, optional: true}]\n"
        "outputs: [{name: sum, type: FP32, shape: [7, 2]}]\noutput: sum\n");
    CHECK(p);
    px_package_close(p);
    check_refused("phoenix: 1\nmodel: m.bin\nengine: memory\ninputs: [{name: q, type: FP32}]\n",
                  "'q'");
    check_refused("phoenix: 1\nmodel: m.bin\nengine: memory\ninputs: [{name: x, type: INT8}]\n",
                  "INT8");
    check_refused("phoenix: 1\nmodel: m.bin\nengine: memory\n"
                  "outputs: [{name: sum, type: FP32, shape: [-1, 3]}]\n",
                  "[-1,3]");
    check_refused("phoenix: 1\nmodel: m.bin\nengine: memory\noutput: total\n", "'total'");
}

PX_TEST(what_is_wrong_in_model_yaml_is_said_with_its_line)
{
    check_refused("phoenix: 1\nengine: [memory]\n", "line 2");
    check_refused("phoenix: 1\nengine: {kind: add}\n", "'name'");
    check_refused("phoenix: 1\nengine: memmory\n", "memmory");
    CHECK_CONTAINS(err.hint, "memory");
    check_refused("phoenix: 1\nengine: {name: memory, kindd: add}\nmodel: m.bin\n", "kindd");
    check_refused("phoenix: 1\nengine: memory\nmodel: m.bin\ninputs: 3\n", "line 4");
    check_refused("phoenix: 1\nengine: memory\ninputs: [3]\n", "mapping");
    check_refused("phoenix: 1\nengine: memory\ninputs: [{type: FP32}]\n", "no name");
    check_refused("phoenix: 1\nengine: memory\ninputs: [{name: x}]\n", "'type'");
    check_refused("phoenix: 1\nengine: memory\ninputs: [{name: x, type: FP23}]\n", "FP23");
    check_refused("phoenix: 1\nengine: memory\ninputs: [{name: x, type: FP32, shape: [-2]}]\n",
                  "-2");
    check_refused("phoenix: 1\nengine: memory\ninputs: [{name: x, type: FP32, shape: 4}]\n",
                  "'shape'");
    check_refused("phoenix: 1\nengine: memory\ninputs: [{name: x, type: FP32, optional: maybe}]\n",
                  "'optional'");
    check_refused("phoenix: 1\nengine: memory\ninputs: [{name: x, type: FP32, rank: 2}]\n", "rank");
    check_refused("phoenix: 1\nengine: memory\n"
                  "inputs: [{name: x, type: FP32}, {name: x, type: FP32}]\n",
                  "twice");
    check_refused("phoenix: 1\nengine: memory\ninstances: 0\n", "'instances'");
    check_refused("phoenix: 1\nengine: memory\nqueue_max: 1000000\n", "'queue_max'");
    check_refused("phoenix: 1\nengine: memory\nwarm_up: -1\n", "'warm_up'");
    check_refused("phoenix: 1\nname: nothing\n", "'model'");
}

PX_TEST(keys_of_the_other_kind_of_model_are_refused)
{
    check_refused("phoenix: 1\nmodel: m.bin\nfeatures: [{name: a}]\n", "features");
    check_refused("phoenix: 1\nmodel: m.bin\nrounds: best\n", "rounds");
    check_refused("phoenix: 1\nmodel: tree.txt\ninputs: [{name: x, type: FP32}]\n", "inputs");
    check_refused("phoenix: 1\nmodel: tree.txt\ninstances: 2\n", "instances");
}

PX_TEST(only_an_engine_may_have_a_folder_as_its_model)
{
    CHECK_OK(px_file_mkdirs(path_of("sub"), &err));
    struct px_package *p = open_yaml("phoenix: 1\nmodel: sub\nengine: {name: memory, kind: add}\n");
    CHECK(p);
    CHECK(p->model_size == 0 && p->model_hash == 0);
    px_package_close(p);
    check_refused("phoenix: 1\nmodel: sub\n", "no file");
    check_refused("phoenix: 1\nmodel: ../x\nengine: memory\n", "inside");
}

PX_TEST(nesting_has_an_end)
{
    struct px_package *package = NULL;
    const struct px_package_options options = {.engines = memory_engines(),
                                               .depth = PX_ENGINE_DEPTH_MAX + 1};
    CHECK_INT(px_package_open(path_of("bare.bin"), &options, &package, &err), PX_E_TOO_LARGE);
}

PX_TEST(no_failing_allocation_crashes)
{
    static const char yaml[] = "phoenix: 1\nmodel: m.bin\nengine: {name: memory}\n"
                               "inputs: [{name: x, type: FP32, shape: [-1, 2]}]\n"
                               "labels: [a, b]\n";
    put("model.yaml", yaml);
    for (uint64_t n = 1; n < 2000; n++) {
        px_alloc_fail_at(n);
        struct px_package *p = open_at(folder, memory_engines());
        px_alloc_fail_at(0);
        if (p) {
            px_package_close(p);
            return;
        }
        CHECK(err.code != PX_OK && err.message[0]);
    }
    CHECK(false);
}

PX_TEST(the_folder_is_removed)
{
    char command[300];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    CHECK_INT(system(command), 0);
}

PX_TEST_MAIN(
    T(a_folder_is_made) T(a_bare_file_goes_to_the_provider_that_knows_it)
        T(a_tree_model_stays_with_the_forest) T(without_providers_the_forest_says_what_is_wrong)
            T(an_engine_may_need_no_file) T(an_asynchronous_engine_gets_no_threads)
                T(a_scalar_is_the_name_of_the_engine) T(declared_tensors_must_be_those_of_the_model)
                    T(what_is_wrong_in_model_yaml_is_said_with_its_line)
                        T(keys_of_the_other_kind_of_model_are_refused)
                            T(only_an_engine_may_have_a_folder_as_its_model) T(nesting_has_an_end)
                                T(no_failing_allocation_crashes) T(the_folder_is_removed))
