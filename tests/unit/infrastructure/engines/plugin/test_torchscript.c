/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plug-in for TorchScript (plugins/torchscript), when it has been built, with models that this machine's PyTorch scripts; what it
 * answers is compared with PyTorch's own answers. Without one or the other the tests say so and pass.
 */
#include "infrastructure/engines/plugin/worker.h"
#include "plugin_fixture.h"
#include "shared/file.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

static struct plugin_fixture f;
static char folder[] = "/tmp/phoenix-torchscript-XXXXXX";

static void locate(const char *file, char *path)
{
    snprintf(path, 128, "%s/%s", folder, file);
}

static struct px_file load(const char *name)
{
    char path[128];
    struct px_file file;
    locate(name, path);
    CHECK_OK(px_file_load(&file, path, 1 << 20, NULL));
    return file;
}

/* Opens folder/file with inputs and outputs declared as the caller has done. */
static enum px_code open_model(const char *file, const char *settings)
{
    char path[128];
    const struct px_yaml *root;
    locate(file, path);
    CHECK_OK(px_yaml_parse(px_str(settings), &f.arena, &root, &f.err));
    struct px_engine_request request = {
        .model_name = PX_STR("torch"),
        .path = px_str(path),
        .folder = px_str(folder),
        .settings = root,
        .inputs = {f.inputs, f.n},
        .outputs = {f.outputs, f.n + (f.outputs[1].n_dims && f.n == 1)},
        .arena = &f.arena};
    return px_torchscript_provider.open(&request, &f.engine, &f.err);
}

static void declare_mlp(void)
{
    plugin_fixture_init(&f);
    plugin_fixture_declare(&f, PX_TYPE_FP32, 2);
    f.outputs[1] = (struct px_tensor_spec){
        .name = PX_STR("class"), .type = PX_TYPE_INT64, .n_dims = 1, .shape = {PX_DIM_ANY}};
}

static void check_near(struct px_str got, struct px_str want)
{
    CHECK_INT(got.len, want.len);
    for (size_t i = 0; i < got.len; i += sizeof(float)) {
        float a, b;
        memcpy(&a, got.ptr + i, sizeof a);
        memcpy(&b, want.ptr + i, sizeof b);
        CHECK_NEAR(a, b, 1e-6);
    }
}

static void check_mlp(const char *settings)
{
    declare_mlp();
    CHECK_OK(open_model("mlp.pt", settings));
    struct px_file in = load("mlp.in0"), scores = load("mlp.out0"), classes = load("mlp.out1");
    f.in[0] = (struct px_tensor){.name = f.inputs[0].name,
                                 .type = PX_TYPE_FP32,
                                 .shape = {5, 4},
                                 .n_dims = 2,
                                 .bytes = in.bytes};
    f.out[0] =
        (struct px_tensor){.name = PX_STR("class")}; /* in another order than they are declared */
    f.out[1] = (struct px_tensor){.name = f.outputs[0].name};
    plugin_fixture_prepare(&f, 1);
    f.run.n_outputs = 2;
    CHECK_OK(plugin_fixture_go(&f));
    CHECK(px_str_eq(f.out[0].bytes, classes.bytes));
    check_near(f.out[1].bytes, scores.bytes);
    px_file_unload(&in);
    px_file_unload(&scores);
    px_file_unload(&classes);
    plugin_fixture_deinit(&f);
}

PX_TEST(answers_are_pytorchs)
{
    check_mlp("{}");
    check_mlp("{settings: {threads: 1, optimise: false}}");
}

PX_TEST(answers_are_pytorchs_in_a_process_of_its_own)
{
    check_mlp("{isolated: true}");
}

PX_TEST(a_dict_of_a_recurrent_model_is_met_by_key)
{
    plugin_fixture_init(&f);
    plugin_fixture_declare(&f, PX_TYPE_FP32, 3);
    f.inputs[0].name = (struct px_str)PX_STR("series");
    f.outputs[0].name = (struct px_str)PX_STR("last");
    f.outputs[0].n_dims = 2;
    CHECK_OK(open_model("lstm.pt", "{}"));
    struct px_file in = load("lstm.in0"), last = load("lstm.out0");
    f.in[0] = (struct px_tensor){.name = f.inputs[0].name,
                                 .type = PX_TYPE_FP32,
                                 .shape = {2, 6, 4},
                                 .n_dims = 3,
                                 .bytes = in.bytes};
    f.out[0] = (struct px_tensor){.name = f.outputs[0].name};
    CHECK_OK(plugin_fixture_run(&f, 1));
    check_near(f.out[0].bytes, last.bytes);
    f.in[0].shape[1] = 4;
    f.in[0].shape[2] = 6;
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_INTERNAL);
    CHECK(f.err.message[0]);
    px_file_unload(&in);
    px_file_unload(&last);
    plugin_fixture_deinit(&f);
}

PX_TEST(what_cannot_be_loaded_is_an_error)
{
    declare_mlp();
    CHECK_INT(open_model("mlp.in0", "{}"), PX_E_CORRUPT);
    CHECK(f.err.message[0]);
    plugin_fixture_deinit(&f);
    plugin_fixture_init(&f);
    CHECK_INT(open_model("mlp.pt", "{}"), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "list 'inputs' and 'outputs' in model.yaml");
    plugin_fixture_deinit(&f);
    declare_mlp();
    CHECK_INT(open_model("mlp.pt", "{settings: {speed: 3}}"), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "settings.speed");
    plugin_fixture_deinit(&f);
}

static bool make_models(void)
{
    static char python[] = "/usr/bin/python3", script[] = PX_TEST_PYTHON "/make_torchscript.py";
    char *argv[] = {python, script, folder, NULL};
    pid_t pid;
    int status = 1;
    return mkdtemp(folder) && posix_spawn(&pid, python, NULL, NULL, argv, environ) == 0 &&
           waitpid(pid, &status, 0) == pid && status == 0;
}

static void remove_models(void)
{
    static const char *const files[] = {"mlp.pt",  "mlp.in0",  "mlp.out0", "mlp.out1",
                                        "lstm.pt", "lstm.in0", "lstm.out0"};
    for (size_t i = 0; i < PX_ARRAY_LEN(files); i++) {
        char path[128];
        locate(files[i], path);
        unlink(path);
    }
    rmdir(folder);
}

static int run_tests(int argc, char **argv)
{
    static const struct px_test tests[] = {
        T(answers_are_pytorchs) T(answers_are_pytorchs_in_a_process_of_its_own)
            T(a_dict_of_a_recurrent_model_is_met_by_key) T(what_cannot_be_loaded_is_an_error)};
    struct px_engine_state state;
    setenv(PX_PLUGIN_PATH_VARIABLE, PX_TEST_PLUGINS "/../../plugins", 0);
    px_torchscript_provider.describe(&state);
    if (!state.available) {
        printf("skipped: %s\n", state.details);
        return 0;
    }
    int result = 0;
    if (make_models())
        result = px_test_run_all(tests, PX_ARRAY_LEN(tests), argc > 1 ? argv[1] : NULL);
    else
        printf("skipped: /usr/bin/python3 has no torch\n");
    remove_models();
    return result;
}

int main(int argc, char **argv)
{
    return px_plugin_is_worker(argc, argv) ? px_plugin_worker_main() : run_tests(argc, argv);
}
