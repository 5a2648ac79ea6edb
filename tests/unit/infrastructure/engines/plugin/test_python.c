/* SPDX-License-Identifier: Apache-2.0 */
/* Python models, by the interpreters that this machine has: with numpy, and without. */
#include "plugin_fixture.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <unistd.h>

static struct plugin_fixture f;
static const char *const pythons[] = {"/usr/bin/python3", PX_TEST_PYTHON "/plain_python"};
static size_t interpreter;

static enum px_code open_file(const char *file, const char *settings)
{
    char text[512];
    snprintf(text, sizeof text, "{python: %s, file: %s, backoff_ms: 5, %s}", pythons[interpreter],
             file, settings);
    return plugin_fixture_open_in(&f, &px_python_provider, PX_TEST_PYTHON, text);
}

static enum px_code open_puppet(const char *mode)
{
    static const float values[] = {1, 2, 3};
    char settings[128];
    snprintf(settings, sizeof settings, "timeout_ms: 20000, settings: {mode: %s}", mode);
    plugin_fixture_init(&f);
    plugin_fixture_declare(&f, PX_TYPE_FP32, 1);
    enum px_code code = open_file("puppet.py", settings);
    if (code == PX_OK)
        plugin_fixture_set(&f, 0, values, sizeof values, 3);
    return code;
}

static void check_double(void)
{
    CHECK_OK(open_puppet("double"));
    CHECK_OK(plugin_fixture_run(&f, 1));
    float out[3];
    CHECK_INT(f.out[0].bytes.len, sizeof out);
    memcpy(out, f.out[0].bytes.ptr, sizeof out);
    CHECK_DOUBLE(out[2], 6);
    plugin_fixture_deinit(&f);
}

static void check_every_datatype(void)
{
    plugin_fixture_init(&f);
    for (int type = 1; type <= PX_TYPE_BYTES; type++)
        plugin_fixture_declare(&f, (enum px_datatype)type, 1);
    CHECK_OK(open_file("puppet.py", "workers: 2"));
    for (size_t i = 0; i + 1 < f.n; i++) /* small numbers of any type: exponents are zero */
        plugin_fixture_set(&f, i, "\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0",
                           2 * px_datatype_size(f.inputs[i].type), 2);
    plugin_fixture_set(&f, f.n - 1, "\3\0\0\0\377bc\0\0\0\0", 11, 2);
    CHECK_OK(plugin_fixture_run(&f, f.n));
    for (size_t i = 0; i < f.n; i++) {
        CHECK_INT(f.out[i].type, f.in[i].type);
        CHECK(px_str_eq(f.out[i].bytes, f.in[i].bytes));
    }
    plugin_fixture_deinit(&f);
}

static void check_own_specs(void)
{
    const float rows[] = {1, 2, 3, 4};
    plugin_fixture_init(&f);
    CHECK_OK(open_file("own_specs.py", "function: total"));
    CHECK_STR(f.engine->takes.list[0].name, "x");
    CHECK_INT(f.engine->takes.list[0].shape[1], 2);
    f.inputs[0] = f.engine->takes.list[0];
    f.outputs[0] = f.engine->gives.list[0];
    plugin_fixture_set(&f, 0, rows, sizeof rows, 2);
    f.in[0].n_dims = 2;
    f.in[0].shape[1] = 2;
    CHECK_OK(plugin_fixture_run(&f, 1));
    float out[2];
    memcpy(out, f.out[0].bytes.ptr, sizeof out);
    CHECK_DOUBLE(out[1], 7);
    plugin_fixture_deinit(&f);
}

static void check_failure(const char *mode, enum px_code code, const char *message)
{
    CHECK_OK(open_puppet(mode));
    CHECK_INT(plugin_fixture_run(&f, 1), code);
    CHECK_CONTAINS(f.err.message, message);
    plugin_fixture_deinit(&f);
}

static void check_refuses_large(void)
{
    static const struct {
        enum px_datatype type;
        const char *value;
    } cases[] = {{PX_TYPE_INT8, "300"},     {PX_TYPE_INT8, "-129"},   {PX_TYPE_INT32, "2147483648"},
                 {PX_TYPE_FP16, "65520.0"}, {PX_TYPE_BF16, "3.4e38"}, {PX_TYPE_FP32, "1e300"}};
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        char settings[128];
        snprintf(settings, sizeof settings, "settings: {mode: gives, value: '%s'}", cases[i].value);
        plugin_fixture_init(&f);
        plugin_fixture_declare(&f, cases[i].type, 1);
        CHECK_OK(open_file("puppet.py", settings));
        plugin_fixture_set(&f, 0, "\0\0\0\0", px_datatype_size(cases[i].type), 1);
        CHECK_INT(plugin_fixture_run(&f, 1), PX_E_INTERNAL);
        CHECK_CONTAINS(f.err.message, "output 'out0'");
        plugin_fixture_deinit(&f);
    }
}

static void check_failures(void)
{
    check_failure("fails", PX_E_INVALID, "ValueError: row 3 has no currency");
    check_failure("has_a_bug", PX_E_INTERNAL, "KeyError: 'absent'");
    check_failure("no_dict", PX_E_INTERNAL, "returned list, not a dict");
    check_failure("lacks_an_output", PX_E_INTERNAL, "its dict has no 'out0'");
    check_failure("wrong_type", PX_E_INTERNAL, "output 'out0'");
    check_failure("wrong_shape", PX_E_INTERNAL, "expected shape [-1], got [1,1]");
    check_failure("crashes", PX_E_UNAVAILABLE, "ended by signal 11");
}

static bool next_interpreter(void)
{
    while (++interpreter < PX_ARRAY_LEN(pythons)) {
        if (access(pythons[interpreter], X_OK) == 0)
            return true;
        printf("skipped: there is no %s\n", pythons[interpreter]);
    }
    return false;
}

#define WITH_EVERY_INTERPRETER(check)                                                              \
    interpreter = SIZE_MAX;                                                                        \
    while (next_interpreter())                                                                     \
    check()

PX_TEST(predict_answers)
{
    WITH_EVERY_INTERPRETER(check_double);
}
PX_TEST(every_datatype_goes_there_and_back)
{
    WITH_EVERY_INTERPRETER(check_every_datatype);
}
PX_TEST(a_file_may_declare_its_tensors)
{
    WITH_EVERY_INTERPRETER(check_own_specs);
}
PX_TEST(numbers_that_do_not_fit_are_refused)
{
    WITH_EVERY_INTERPRETER(check_refuses_large);
}
PX_TEST(failures_tell_the_reason)
{
    WITH_EVERY_INTERPRETER(check_failures);
}

static void check_open_fails(const char *file, const char *settings, enum px_code code,
                             const char *message)
{
    interpreter = 0;
    plugin_fixture_init(&f);
    plugin_fixture_declare(&f, PX_TYPE_FP32, 1);
    CHECK_INT(open_file(file, settings), code);
    CHECK_CONTAINS(f.err.message, message);
    plugin_fixture_deinit(&f);
}

PX_TEST(what_cannot_be_loaded_is_an_error)
{
    if (access(pythons[0], X_OK) != 0)
        return;
    check_open_fails("puppet.py", "function: guess", PX_E_INVALID, "has no function 'guess'");
    check_open_fails("puppet.py", "settings: {load: fails}", PX_E_INTERNAL,
                     "RuntimeError: the weights are missing");
    check_open_fails("puppet.py", "settings: {load: exits}", PX_E_UNAVAILABLE,
                     "exited with status 7");
    check_open_fails("own_specs.py", "function: total, settings: {a: b}", PX_E_INVALID,
                     "no load(settings)");
    check_open_fails("absent.py", "workers: 1", PX_E_NOT_FOUND, "absent.py'");
    check_open_fails("../puppet.c", "workers: 1", PX_E_INVALID, "inside the folder");
}

PX_TEST(a_missing_interpreter_is_named)
{
    plugin_fixture_init(&f);
    CHECK_INT(plugin_fixture_open_in(&f, &px_python_provider, PX_TEST_PYTHON,
                                     "{python: no-such-python, file: own_specs.py}"),
              PX_E_NOT_FOUND);
    CHECK_CONTAINS(f.err.message, "there is no program 'no-such-python'");
    plugin_fixture_deinit(&f);
}

PX_TEST_MAIN(T(predict_answers) T(every_datatype_goes_there_and_back)
                 T(a_file_may_declare_its_tensors) T(numbers_that_do_not_fit_are_refused)
                     T(failures_tell_the_reason) T(what_cannot_be_loaded_is_an_error)
                         T(a_missing_interpreter_is_named))
