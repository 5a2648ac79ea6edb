/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin_fixture.h"
#include "shared/alloc.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static struct plugin_fixture f;

static void open_rules(const char *settings)
{
    plugin_fixture_init(&f);
    CHECK_OK(plugin_fixture_open(&f, settings));
}

static void ask_rules(const double *amounts, const double *ages, uint64_t n)
{
    f.inputs[0] = f.engine->takes.list[0];
    f.inputs[1] = f.engine->takes.list[1];
    f.outputs[0] = f.engine->gives.list[0];
    plugin_fixture_set(&f, 0, amounts, n * sizeof *amounts, n);
    plugin_fixture_set(&f, 1, ages, n * sizeof *ages, n);
}

PX_TEST(the_example_decides_by_its_settings)
{
    open_rules("{library: rules.so, settings: {limit: 100, block: 2}}");
    const double amounts[] = {10, 60, 300, 300}, ages[] = {30, 30, 30, 70};
    ask_rules(amounts, ages, 4);
    CHECK_OK(plugin_fixture_run(&f, 2));
    struct px_str rest = f.out[0].bytes, text;
    const char *expected[] = {"APPROVE", "REVIEW", "BLOCK", "REVIEW"};
    for (size_t i = 0; i < 4; i++) {
        CHECK(px_tensor_next_text(&rest, &text));
        CHECK_STR(text, expected[i]);
    }
    CHECK(px_engine_has(f.engine, PX_ENGINE_BATCHES));
    plugin_fixture_deinit(&f);
}

PX_TEST(the_example_refuses_rows_that_do_not_match)
{
    open_rules("{library: rules.so}");
    const double values[] = {1, 2, 3};
    ask_rules(values, values, 3);
    f.in[1].shape[0] = 2;
    f.in[1].bytes.len = 16;
    CHECK_INT(plugin_fixture_run(&f, 2), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "has 3 rows");
    plugin_fixture_deinit(&f);
}

static void check_open_fails(const char *settings, enum px_code code, const char *message)
{
    plugin_fixture_init(&f);
    plugin_fixture_declare(&f, PX_TYPE_FP32, 1);
    CHECK_INT(plugin_fixture_open(&f, settings), code);
    CHECK_CONTAINS(f.err.message, message);
    CHECK(!f.engine);
    plugin_fixture_deinit(&f);
}

PX_TEST(wrong_settings_are_named)
{
    check_open_fails("{library: rules.so, settings: {limt: 3}}", PX_E_INVALID, "limt");
    check_open_fails("{library: rules.so, settings: {limit: much}}", PX_E_INVALID, "'much'");
    check_open_fails("{library: rules.so, setings: {}}", PX_E_UNKNOWN_OPTION, "setings");
    check_open_fails("{library: rules.so, settings: [1]}", PX_E_INVALID, "must be a mapping");
    check_open_fails("{settings: {}}", PX_E_INVALID, "engine.library is missing");
}

PX_TEST(libraries_that_are_no_plugins_are_refused)
{
    check_open_fails("{library: no_entry.so}", PX_E_INVALID, "no phx_engine_entry");
    check_open_fails("{library: refuses.so}", PX_E_INVALID, "does not work with ABI 1");
    check_open_fails("{library: newer_abi.so}", PX_E_INVALID, "expected a plug-in of ABI 1, got 2");
    check_open_fails("{library: short_table.so}", PX_E_INVALID, "expected a table of at least");
    check_open_fails("{library: no_run.so}", PX_E_INVALID, "has no 'run'");
    check_open_fails("{library: absent.so}", PX_E_NOT_FOUND, "absent.so");
}

PX_TEST(a_library_outside_the_package_is_refused)
{
    check_open_fails("{library: ../plugins/rules.so}", PX_E_INVALID, "inside the folder");
    check_open_fails("{library: " PX_TEST_PLUGINS "/rules.so}", PX_E_INVALID, "inside the folder");
    char folder[] = "/tmp/phoenix-plugin-XXXXXX", link[64];
    CHECK(mkdtemp(folder));
    snprintf(link, sizeof link, "%s/rules.so", folder);
    CHECK(symlink(PX_TEST_PLUGINS "/rules.so", link) == 0);
    plugin_fixture_init(&f);
    enum px_code code =
        plugin_fixture_open_in(&f, &px_plugin_provider, folder, "{library: rules.so}");
    unlink(link);
    rmdir(folder);
    CHECK_INT(code, PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "links to a file outside");
    plugin_fixture_deinit(&f);
}

PX_TEST(an_installed_plugin_is_found_by_its_name)
{
    setenv(PX_PLUGIN_PATH_VARIABLE, "/nowhere:" PX_TEST_PLUGINS, 1);
    plugin_fixture_init(&f);
    CHECK_OK(plugin_fixture_open_in(&f, &px_plugin_provider, "/tmp", "{library: rules}"));
    unsetenv(PX_PLUGIN_PATH_VARIABLE);
    plugin_fixture_deinit(&f);
}

PX_TEST(a_relative_folder_of_plugins_is_told)
{
    setenv(PX_PLUGIN_PATH_VARIABLE, "/nowhere:here/plugins", 1);
    check_open_fails("{library: nosuch}", PX_E_NOT_FOUND, "there is no 'nosuch'");
    CHECK_CONTAINS(f.err.hint, "'here/plugins' in PHOENIX_PLUGIN_PATH was not looked in");
    unsetenv(PX_PLUGIN_PATH_VARIABLE);
    check_open_fails("{library: nosuch}", PX_E_NOT_FOUND, "there is no 'nosuch'");
    CHECK_CONTAINS(f.err.hint, "put it beside model.yaml");
}

PX_TEST(loading_failures_tell_the_reason)
{
    check_open_fails("{library: puppet.so, settings: {load: fails}}", PX_E_CORRUPT,
                     "the weights of 'test' are missing");
    check_open_fails("{library: puppet.so, settings: {load: gives_nothing}}", PX_E_INTERNAL,
                     "made no instance");
}

PX_TEST(a_plugin_without_specs_needs_them_declared)
{
    plugin_fixture_init(&f);
    CHECK_INT(plugin_fixture_open(&f, "{library: puppet.so}"), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "does not say what its inputs are");
    CHECK_CONTAINS(f.err.hint, "model.yaml");
    plugin_fixture_deinit(&f);
}

static enum px_code run_mode(const char *mode)
{
    char settings[128];
    const float values[] = {1, 2, 3};
    snprintf(settings, sizeof settings, "{library: puppet.so, settings: {mode: %s}}", mode);
    plugin_fixture_init(&f);
    plugin_fixture_declare(&f, PX_TYPE_FP32, 1);
    CHECK_OK(plugin_fixture_open(&f, settings));
    plugin_fixture_set(&f, 0, values, sizeof values, 3);
    enum px_code code = plugin_fixture_run(&f, 1);
    plugin_fixture_deinit(&f);
    return code;
}

PX_TEST(wrong_answers_are_errors)
{
    static const char *const modes[] = {
        "wrong_type", "no_type",     "wrong_shape", "negative_shape", "huge_shape",
        "many_dims",  "short_bytes", "long_bytes",  "foreign_memory", "nothing"};
    for (size_t i = 0; i < PX_ARRAY_LEN(modes); i++) {
        CHECK_INT(run_mode(modes[i]), PX_E_INTERNAL);
        CHECK_CONTAINS(f.err.message, "the plug-in 'puppet' answered wrongly: ");
    }
}

PX_TEST(failures_of_a_run_tell_the_reason)
{
    CHECK_INT(run_mode("fails"), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "row 3 has no currency");
    CHECK_INT(run_mode("gives_no_reason"), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "gave no reason (code 10)");
    CHECK_INT(run_mode("odd_code"), PX_E_INTERNAL);
    CHECK_INT(run_mode("endless_reason"), PX_E_INVALID);
}

PX_TEST(every_datatype_goes_in_and_out)
{
    plugin_fixture_init(&f);
    char bytes[64] = {0};
    for (size_t i = 1; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 37);
    for (int type = 1; type < PX_TYPE_BYTES; type++)
        plugin_fixture_declare(&f, (enum px_datatype)type, 1);
    plugin_fixture_declare(&f, PX_TYPE_BYTES, 1);
    CHECK_OK(plugin_fixture_open(&f, "{library: puppet.so}"));
    for (size_t i = 0; i + 1 < f.n; i++) {
        size_t size = px_datatype_size(f.inputs[i].type);
        plugin_fixture_set(&f, i, bytes + 1, 5 * size, 5); /* not aligned */
    }
    plugin_fixture_set(&f, f.n - 1, "\3\0\0\0abc\0\0\0\0", 11, 2);
    CHECK_OK(plugin_fixture_run(&f, f.n));
    for (size_t i = 0; i < f.n; i++) {
        CHECK_INT(f.out[i].type, f.in[i].type);
        CHECK(px_str_eq(f.out[i].bytes, f.in[i].bytes));
    }
    plugin_fixture_deinit(&f);
}

PX_TEST(large_tensors_pass_the_arena_by)
{
    plugin_fixture_init(&f);
    plugin_fixture_declare(&f, PX_TYPE_UINT8, 1);
    CHECK_OK(plugin_fixture_open(&f, "{library: puppet.so}"));
    size_t size = 64 << 20;
    char *bytes = px_alloc(size, 1);
    CHECK(bytes);
    memset(bytes, 7, size);
    plugin_fixture_set(&f, 0, bytes, size, size);
    CHECK_OK(plugin_fixture_run(&f, 1));
    CHECK(px_str_eq(f.out[0].bytes, f.in[0].bytes));
    CHECK(f.run_arena.used < 1 << 16);
    px_free(bytes);
    plugin_fixture_deinit(&f);
}

PX_TEST(no_allocation_failure_of_opening_crashes)
{
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; n < 200 && code != PX_OK; n++) {
        plugin_fixture_init(&f);
        plugin_fixture_declare(&f, PX_TYPE_FP32, 1);
        px_alloc_fail_at(n);
        code = plugin_fixture_open(&f, "{library: puppet.so}");
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        plugin_fixture_deinit(&f);
    }
    CHECK_OK(code);
}

PX_TEST(no_allocation_failure_of_a_run_crashes)
{
    static const float values[20000];
    enum px_code code = PX_E_NO_MEMORY;
    plugin_fixture_init(&f);
    plugin_fixture_declare(&f, PX_TYPE_FP32, 1);
    CHECK_OK(plugin_fixture_open(&f, "{library: puppet.so}"));
    plugin_fixture_set(&f, 0, values, sizeof values, PX_ARRAY_LEN(values));
    for (uint64_t n = 1; n < 50 && code != PX_OK; n++) {
        px_run_release(&f.run);
        px_arena_deinit(&f.run_arena);
        px_alloc_fail_at(n);
        code = plugin_fixture_run(&f, 1);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
    }
    CHECK_OK(code);
    plugin_fixture_deinit(&f);
}

static void *cancel_soon(void *engine)
{
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    px_engine_cancel(engine, &f.run);
    return NULL;
}

PX_TEST(a_cancelled_run_ends)
{
    const float value = 1;
    pthread_t thread;
    plugin_fixture_init(&f);
    plugin_fixture_declare(&f, PX_TYPE_FP32, 1);
    CHECK_OK(plugin_fixture_open(&f, "{library: puppet.so, settings: {mode: waits}}"));
    plugin_fixture_set(&f, 0, &value, sizeof value, 1);
    plugin_fixture_prepare(&f, 1);
    CHECK(pthread_create(&thread, NULL, cancel_soon, f.engine) == 0);
    enum px_code code = plugin_fixture_go(&f);
    pthread_join(thread, NULL);
    CHECK_INT(code, PX_E_CANCELLED);
    plugin_fixture_deinit(&f);
}

PX_TEST(facts_are_described)
{
    char text[512];
    struct px_buf buf = px_buf_fixed(text, sizeof text);
    struct px_json_writer json = px_json_writer(&buf);
    open_rules("{library: rules.so}");
    px_json_begin_object(&json);
    f.engine->ops->describe(f.engine, &json);
    px_json_end_object(&json);
    CHECK_CONTAINS(text, "\"plugin\":\"rules\",\"version\":\"1.0\"");
    plugin_fixture_deinit(&f);
    struct px_engine_state state;
    px_plugin_provider.describe(&state);
    CHECK(state.available);
}

PX_TEST_MAIN(
    T(the_example_decides_by_its_settings) T(the_example_refuses_rows_that_do_not_match)
        T(wrong_settings_are_named) T(libraries_that_are_no_plugins_are_refused)
            T(a_library_outside_the_package_is_refused) T(an_installed_plugin_is_found_by_its_name)
                T(a_relative_folder_of_plugins_is_told) T(loading_failures_tell_the_reason)
                    T(a_plugin_without_specs_needs_them_declared) T(wrong_answers_are_errors)
                        T(failures_of_a_run_tell_the_reason) T(every_datatype_goes_in_and_out)
                            T(large_tensors_pass_the_arena_by)
                                T(no_allocation_failure_of_opening_crashes)
                                    T(no_allocation_failure_of_a_run_crashes)
                                        T(a_cancelled_run_ends) T(facts_are_described))
