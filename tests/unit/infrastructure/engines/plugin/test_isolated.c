/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries in processes of their own: what happens to the caller, and to the process, when something goes wrong there. */
#include "infrastructure/engines/plugin/worker.h"
#include "plugin_fixture.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct plugin_fixture f;
static const float values[] = {1, 2, 3};

/* An engine of the puppet with one input and output of FP32; `more` are further settings of the engine. */
static enum px_code open_puppet(const char *settings, const char *more)
{
    char text[512];
    snprintf(text, sizeof text,
             "{library: puppet.so, isolated: true, backoff_ms: 5, backoff_max_ms: 50%s%s, "
             "settings: {%s}}",
             *more ? ", " : "", more, settings);
    plugin_fixture_init(&f);
    plugin_fixture_declare(&f, PX_TYPE_FP32, 1);
    enum px_code code = plugin_fixture_open(&f, text);
    if (code == PX_OK)
        plugin_fixture_set(&f, 0, values, sizeof values, 3);
    return code;
}

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

PX_TEST(a_run_goes_there_and_back)
{
    CHECK_OK(open_puppet("", ""));
    for (int i = 0; i < 1000; i++) {
        CHECK_OK(plugin_fixture_run(&f, 1));
        CHECK(px_str_eq(f.out[0].bytes, f.in[0].bytes));
    }
    plugin_fixture_deinit(&f);
}

PX_TEST(the_example_runs_isolated)
{
    const double amounts[] = {10, 900}, ages[] = {30, 30};
    plugin_fixture_init(&f);
    CHECK_OK(plugin_fixture_open(&f, "{library: rules.so, isolated: true}"));
    CHECK(px_engine_has(f.engine, PX_ENGINE_BATCHES));
    for (size_t i = 0; i < 2; i++)
        f.inputs[i] = f.engine->takes.list[i];
    f.outputs[0] = f.engine->gives.list[0];
    plugin_fixture_set(&f, 0, amounts, sizeof amounts, 2);
    plugin_fixture_set(&f, 1, ages, sizeof ages, 2);
    CHECK_OK(plugin_fixture_run(&f, 2));
    struct px_str rest = f.out[0].bytes, text;
    CHECK(px_tensor_next_text(&rest, &text));
    CHECK_STR(text, "APPROVE");
    f.in[1].shape[0] = 1;
    f.in[1].bytes.len = 8;
    CHECK_INT(plugin_fixture_run(&f, 2), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "input 'amount' has 2 rows, input 'age' has 1");
    plugin_fixture_deinit(&f);
}

PX_TEST(every_datatype_goes_there_and_back)
{
    plugin_fixture_init(&f);
    char bytes[64] = {0};
    for (size_t i = 1; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 37);
    for (int type = 1; type <= PX_TYPE_BYTES; type++)
        plugin_fixture_declare(&f, (enum px_datatype)type, 1);
    CHECK_OK(plugin_fixture_open(&f, "{library: puppet.so, isolated: true}"));
    for (size_t i = 0; i + 1 < f.n; i++)
        plugin_fixture_set(&f, i, bytes + 1, 5 * px_datatype_size(f.inputs[i].type), 5);
    plugin_fixture_set(&f, f.n - 1, "\3\0\0\0abc\0\0\0\0", 11, 2);
    CHECK_OK(plugin_fixture_run(&f, f.n));
    for (size_t i = 0; i < f.n; i++) {
        CHECK_INT(f.out[i].type, f.in[i].type);
        CHECK(px_str_eq(f.out[i].bytes, f.in[i].bytes));
    }
    plugin_fixture_deinit(&f);
}

PX_TEST(tensors_that_do_not_fit_are_an_error_with_the_setting)
{
    CHECK_OK(open_puppet("", "transfer_mb: 1"));
    size_t size = 2 << 20;
    char *bytes = px_alloc(size, 1);
    CHECK(bytes);
    plugin_fixture_set(&f, 0, bytes, size, size / 4);
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_TOO_LARGE);
    CHECK_CONTAINS(f.err.hint, "transfer_mb");
    plugin_fixture_set(&f, 0, bytes, 512 << 10, 128 << 10);
    CHECK_OK(plugin_fixture_run(&f, 1));
    px_free(bytes);
    plugin_fixture_deinit(&f);
}

PX_TEST(large_tensors_go_there_and_back)
{
    CHECK_OK(open_puppet("", ""));
    size_t size = 48 << 20;
    char *bytes = px_alloc(size, 1);
    CHECK(bytes);
    memset(bytes, 9, size);
    plugin_fixture_set(&f, 0, bytes, size, size / 4);
    CHECK_OK(plugin_fixture_run(&f, 1));
    CHECK(px_str_eq(f.out[0].bytes, f.in[0].bytes));
    px_free(bytes);
    plugin_fixture_deinit(&f);
}

PX_TEST(loading_failures_tell_the_reason)
{
    CHECK_INT(open_puppet("load: fails", ""), PX_E_CORRUPT);
    CHECK_CONTAINS(f.err.message, "the weights of 'test' are missing");
    plugin_fixture_deinit(&f);
    CHECK_INT(open_puppet("load: exits", ""), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(f.err.message, "exited with status 7");
    CHECK(!strstr(f.err.message, "no licence"));
    plugin_fixture_deinit(&f);
    CHECK_INT(open_puppet("load: hangs", "start_timeout_ms: 100"), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(f.err.message, "not ready within 100 ms");
    plugin_fixture_deinit(&f);
    plugin_fixture_init(&f);
    CHECK_INT(plugin_fixture_open(&f, "{library: newer_abi.so, isolated: true}"), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "expected a plug-in of ABI 1, got 2");
    plugin_fixture_deinit(&f);
}

PX_TEST(a_slow_start_is_waited_for)
{
    CHECK_OK(open_puppet("load: is_slow", "start_timeout_ms: 30000"));
    CHECK_OK(plugin_fixture_run(&f, 1));
    plugin_fixture_deinit(&f);
}

static const char *description(void)
{
    static char text[1024];
    struct px_buf buf = px_buf_fixed(text, sizeof text);
    struct px_json_writer json = px_json_writer(&buf);
    px_json_begin_object(&json);
    f.engine->ops->describe(f.engine, &json);
    px_json_end_object(&json);
    return text;
}

/* How many times the processes have been started again. */
static unsigned restarts(void)
{
    unsigned n = 0;
    const char *at = strstr(description(), "\"restarts\":");
    CHECK(at);
    for (at += strlen("\"restarts\":"); *at >= '0' && *at <= '9'; at++)
        n = n * 10 + (unsigned)(*at - '0');
    return n;
}

PX_TEST(a_crash_is_an_error_with_its_reason)
{
    CHECK_OK(open_puppet("mode: crashes", ""));
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(f.err.message, "ended by signal");
    CHECK(!strstr(f.err.message, "about to fail")); /* what it prints is for the log */
    while (!strstr(description(), "about to fail")) /* once it is buried */
        pause_ms(1);
    plugin_fixture_deinit(&f);
    CHECK_OK(open_puppet("mode: exits", ""));
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(f.err.message, "exited with status 3");
    plugin_fixture_deinit(&f);
}

PX_TEST(while_it_is_down_callers_are_told_so)
{
    plugin_fixture_init(&f);
    plugin_fixture_declare(&f, PX_TYPE_FP32, 1);
    CHECK_OK(plugin_fixture_open(&f, "{library: puppet.so, isolated: true, backoff_ms: 60000, "
                                     "backoff_max_ms: 60000, settings: {mode: exits}}"));
    plugin_fixture_set(&f, 0, values, sizeof values, 3);
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_UNAVAILABLE);
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(f.err.message, "the model's process is down: exited with status 3");
    CHECK_CONTAINS(f.err.hint, "started again in ");
    plugin_fixture_deinit(&f);
}

PX_TEST(it_is_started_again_and_again)
{
    CHECK_OK(open_puppet("mode: exits", ""));
    for (int i = 0; i < 2000 && restarts() < 3; i++) {
        CHECK_INT(plugin_fixture_run(&f, 1), PX_E_UNAVAILABLE);
        pause_ms(5);
    }
    CHECK(restarts() >= 3);
    plugin_fixture_deinit(&f);
}

PX_TEST(a_hang_costs_the_process_not_the_server)
{
    CHECK_OK(open_puppet("mode: hangs", "timeout_ms: 50"));
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_DEADLINE);
    CHECK_CONTAINS(f.err.message, "did not answer within 50 ms (engine.timeout_ms of model.yaml)");
    for (int i = 0; i < 2000 && restarts() == 0; i++)
        pause_ms(5);
    CHECK(restarts() > 0);
    plugin_fixture_deinit(&f);
}

PX_TEST(a_deadline_does_not_cost_the_process)
{
    CHECK_OK(open_puppet("mode: is_slow", ""));
    f.run.deadline_ns = px_clock_monotonic_ns() + 20 * PX_NS_PER_MS;
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_DEADLINE);
    f.run.deadline_ns = 0;
    CHECK_OK(plugin_fixture_run(&f, 1));
    CHECK_INT(restarts(), 0);
    plugin_fixture_deinit(&f);
}

PX_TEST(an_abandoned_run_that_never_ends_is_ended)
{
    CHECK_OK(open_puppet("mode: hangs", "timeout_ms: 60"));
    f.run.deadline_ns = px_clock_monotonic_ns() + 10 * PX_NS_PER_MS;
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_DEADLINE);
    f.run.deadline_ns = 0;
    for (int i = 0; i < 2000 && restarts() == 0; i++)
        pause_ms(5);
    CHECK(restarts() > 0);
    plugin_fixture_deinit(&f);
}

static void *cancel_soon(void *engine)
{
    pause_ms(20);
    px_engine_cancel(engine, &f.run);
    return NULL;
}

PX_TEST(a_cancelled_run_ends_and_the_plugin_hears_of_it)
{
    pthread_t thread;
    CHECK_OK(open_puppet("mode: waits", ""));
    plugin_fixture_prepare(&f, 1);
    CHECK(pthread_create(&thread, NULL, cancel_soon, f.engine) == 0);
    enum px_code code = plugin_fixture_go(&f);
    pthread_join(thread, NULL);
    CHECK_INT(code, PX_E_CANCELLED);
    f.run.deadline_ns = px_clock_monotonic_ns() + 50 * PX_NS_PER_MS;
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_DEADLINE); /* it was free again */
    CHECK_INT(restarts(), 0);
    plugin_fixture_deinit(&f);
}

PX_TEST(wrong_answers_are_errors)
{
    static const char *const modes[] = {"wrong_type",     "wrong_shape", "negative_shape",
                                        "huge_shape",     "short_bytes", "long_bytes",
                                        "foreign_memory", "nothing"};
    for (size_t i = 0; i < PX_ARRAY_LEN(modes); i++) {
        char settings[64];
        snprintf(settings, sizeof settings, "mode: %s", modes[i]);
        CHECK_OK(open_puppet(settings, ""));
        CHECK_INT(plugin_fixture_run(&f, 1), PX_E_INTERNAL);
        CHECK_CONTAINS(f.err.message, "plug-in 'puppet'");
        plugin_fixture_deinit(&f);
    }
}

PX_TEST(garbage_ends_the_process)
{
    static const char *const modes[] = {"no_type", "many_dims"};
    for (size_t i = 0; i < PX_ARRAY_LEN(modes); i++) {
        char settings[64];
        snprintf(settings, sizeof settings, "mode: %s", modes[i]);
        CHECK_OK(open_puppet(settings, ""));
        CHECK_INT(plugin_fixture_run(&f, 1), PX_E_UNAVAILABLE);
        CHECK_CONTAINS(f.err.message, "garbage");
        for (int n = 0; n < 2000 && restarts() == 0; n++)
            pause_ms(5);
        CHECK(restarts() > 0);
        plugin_fixture_deinit(&f);
    }
}

PX_TEST(a_process_that_scribbles_over_the_shared_memory_is_ended)
{
    CHECK_OK(open_puppet("mode: scribbles", "transfer_mb: 1"));
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(f.err.message, "the model's process was ended: its message is garbage");
    plugin_fixture_deinit(&f);
}

PX_TEST(memory_is_limited)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    printf("skipped: the sanitizers need more address space than a limit leaves\n");
#else
    CHECK_OK(open_puppet("mode: is_greedy", "memory_mb: 500"));
    CHECK_INT(plugin_fixture_run(&f, 1), PX_E_NO_MEMORY);
    CHECK_CONTAINS(f.err.message, "no gigabyte left");
    plugin_fixture_deinit(&f);
#endif
}

/* The process that the only other thread of this one has started. */
static pid_t find_worker(void)
{
    char path[300];
    int pid = 0;
    struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");
    while (tasks && pid == 0 && (entry = readdir(tasks))) {
        snprintf(path, sizeof path, "/proc/self/task/%s/children", entry->d_name);
        FILE *children = fopen(path, "r");
        if (children && fscanf(children, "%d", &pid) != 1)
            pid = 0;
        if (children)
            fclose(children);
    }
    if (tasks)
        closedir(tasks);
    return pid;
}

static bool is_alive(pid_t pid)
{
    char path[64], state = 'Z';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%*d %*s %c", &state) != 1)
        state = 'Z';
    if (file)
        fclose(file);
    return state != 'Z';
}

PX_TEST(a_server_that_is_killed_leaves_no_process_behind)
{
    int fds[2];
    pid_t worker = 0;
    CHECK(pipe(fds) == 0);
    pid_t server = fork();
    CHECK(server >= 0);
    if (server == 0) {
        bool good = open_puppet("", "") == PX_OK;
        worker = good ? find_worker() : 0;
        good = write(fds[1], &worker, sizeof worker) == sizeof worker;
        raise(SIGKILL);
    }
    CHECK(read(fds[0], &worker, sizeof worker) == sizeof worker);
    close(fds[0]);
    close(fds[1]);
    CHECK(waitpid(server, NULL, 0) == server && worker > 0);
    for (int i = 0; i < 2000 && is_alive(worker); i++)
        pause_ms(5);
    CHECK(!is_alive(worker));
}

PX_TEST(settings_are_checked)
{
    CHECK_INT(open_puppet("", "workers: 0"), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message,
                   "engine.workers: line 1: 'workers' must be a whole number, 1 to 64, got '0'");
    plugin_fixture_deinit(&f);
    plugin_fixture_init(&f);
    CHECK_INT(plugin_fixture_open(&f, "{library: puppet.so, timeout_ms: 5}"), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "for a plug-in with 'isolated: true'");
    plugin_fixture_deinit(&f);
    plugin_fixture_init(&f);
    CHECK_INT(plugin_fixture_open(&f, "{library: puppet.so, isolated: maybe}"), PX_E_INVALID);
    CHECK_CONTAINS(f.err.message, "must be on or off");
    plugin_fixture_deinit(&f);
}

/* Runs of a thread of its own, whose answers must be its own. */
static void *run_many(void *argument)
{
    size_t *n_wrong = argument;
    struct px_arena arena = px_arena(1 << 20);
    for (uint32_t i = 0; i < 300; i++) {
        float mine[4] = {(float)i, (float)(uintptr_t)argument, 3, 4};
        struct px_tensor in = f.in[0], out = {.name = f.outputs[0].name};
        in.shape[0] = 4;
        in.bytes = px_str_n((const char *)mine, sizeof mine);
        struct px_run run = {.inputs = &in, .n_inputs = 1, .outputs = &out, .n_outputs = 1};
        run.arena = &arena;
        enum px_code code = px_engine_run(f.engine, &run, &run.err);
        *n_wrong += code != PX_OK || !px_str_eq(in.bytes, out.bytes);
        px_run_release(&run);
        px_arena_reset(&arena);
    }
    px_arena_deinit(&arena);
    return NULL;
}

PX_TEST(many_threads_share_the_workers)
{
    pthread_t threads[4];
    size_t n_wrong[4] = {0};
    CHECK_OK(open_puppet("", "workers: 2"));
    for (size_t i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, run_many, &n_wrong[i]) == 0);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(n_wrong[i], 0);
    }
    plugin_fixture_deinit(&f);
}

static size_t count_fds(void)
{
    size_t n = 0;
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

PX_TEST(nothing_is_left_behind)
{
    size_t before = count_fds();
    for (int i = 0; i < 3; i++) {
        CHECK_OK(open_puppet("mode: exits", "workers: 2"));
        CHECK_INT(plugin_fixture_run(&f, 1), PX_E_UNAVAILABLE);
        plugin_fixture_deinit(&f);
    }
    CHECK_INT(count_fds(), before);
}

static int run_tests(int argc, char **argv)
{
    static const struct px_test tests[] = {
        T(a_run_goes_there_and_back) T(the_example_runs_isolated)
            T(every_datatype_goes_there_and_back)
                T(tensors_that_do_not_fit_are_an_error_with_the_setting)
                    T(large_tensors_go_there_and_back) T(loading_failures_tell_the_reason)
                        T(a_slow_start_is_waited_for) T(a_crash_is_an_error_with_its_reason) T(
                            while_it_is_down_callers_are_told_so) T(it_is_started_again_and_again)
                            T(a_hang_costs_the_process_not_the_server)
                                T(a_deadline_does_not_cost_the_process) T(
                                    an_abandoned_run_that_never_ends_is_ended)
                                    T(a_cancelled_run_ends_and_the_plugin_hears_of_it) T(
                                        wrong_answers_are_errors) T(garbage_ends_the_process)
                                        T(a_process_that_scribbles_over_the_shared_memory_is_ended)
                                            T(memory_is_limited)
                                                T(a_server_that_is_killed_leaves_no_process_behind)
                                                    T(settings_are_checked)
                                                        T(many_threads_share_the_workers)
                                                            T(nothing_is_left_behind)};
    return px_test_run_all(tests, PX_ARRAY_LEN(tests), argc > 1 ? argv[1] : NULL);
}

int main(int argc, char **argv)
{
    return px_plugin_is_worker(argc, argv) ? px_plugin_worker_main() : run_tests(argc, argv);
}
