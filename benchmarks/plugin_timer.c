/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times calls of a plug-in from C: plugin_timer FOLDER PROVIDER SETTINGS BYTES CALLS. The model takes "in0" and gives "out0", FP32.
 * PROVIDER `socketpair` is the yardstick: the same bytes to a bare C process over a socket and back.
 * Prints a JSON object: nanoseconds of a call, least, median, 99th percentile.
 */
#include "infrastructure/engines/plugin/plugin.h"
#include "infrastructure/engines/plugin/worker.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/log.h"

#include <sys/socket.h>
#include <unistd.h>

enum { WARM_UP = 200 };

struct timer {
    struct px_arena arena, run_arena;
    struct px_engine *engine;
    int fd;
    char *bytes;
    size_t size;
};

static const struct px_tensor_spec in = {
    .name = PX_STR("in0"), .type = PX_TYPE_FP32, .n_dims = 1, .shape = {PX_DIM_ANY}};
static const struct px_tensor_spec out = {
    .name = PX_STR("out0"), .type = PX_TYPE_FP32, .n_dims = 1, .shape = {PX_DIM_ANY}};

static void fail(const char *what)
{
    fprintf(stderr, "plugin_timer: %s\n", what);
    exit(1);
}

static void move_all(int fd, char *bytes, size_t size, bool out_of)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = out_of ? write(fd, bytes + at, size - at) : read(fd, bytes + at, size - at);
        if (n <= 0)
            _exit(0);
        at += (size_t)n;
    }
}

static void start_echo(struct timer *t)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
        fail("no socket");
    if (fork() == 0) {
        close(fds[0]);
        for (;;) {
            move_all(fds[1], t->bytes, t->size, false);
            move_all(fds[1], t->bytes, t->size, true);
        }
    }
    close(fds[1]);
    t->fd = fds[0];
}

static void open_engine(struct timer *t, const char *folder, const char *provider,
                        const char *settings)
{
    struct px_err err = {0};
    const struct px_yaml *root;
    if (px_yaml_parse(px_str(settings), &t->arena, &root, &err) != PX_OK)
        fail(err.message);
    struct px_engine_request request = {.model_name = PX_STR("benchmark"),
                                        .path = PX_STR(""),
                                        .folder = px_str(folder),
                                        .settings = root,
                                        .inputs = {&in, 1},
                                        .outputs = {&out, 1},
                                        .arena = &t->arena};
    const struct px_engine_provider *p =
        strcmp(provider, "python") == 0 ? &px_python_provider : &px_plugin_provider;
    if (p->open(&request, &t->engine, &err) != PX_OK)
        fail(err.message);
}

static void call(struct timer *t)
{
    if (!t->engine) {
        move_all(t->fd, t->bytes, t->size, true);
        move_all(t->fd, t->bytes, t->size, false);
        return;
    }
    struct px_tensor input = {.name = in.name,
                              .type = PX_TYPE_FP32,
                              .shape = {t->size / sizeof(float)},
                              .n_dims = 1,
                              .bytes = px_str_n(t->bytes, t->size)};
    struct px_tensor output = {.name = out.name};
    struct px_run run = {.inputs = &input,
                         .n_inputs = 1,
                         .outputs = &output,
                         .n_outputs = 1,
                         .arena = &t->run_arena};
    if (px_engine_run(t->engine, &run, &run.err) != PX_OK)
        fail(run.err.message);
    if (output.bytes.len != t->size)
        fail("the answer has another size");
    px_run_release(&run);
    px_arena_reset(&t->run_arena);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void measure(struct timer *t, size_t n)
{
    uint64_t *ns = px_xalloc(n, sizeof *ns);
    for (size_t i = 0; i < WARM_UP; i++)
        call(t);
    for (size_t i = 0; i < n; i++) {
        uint64_t start = px_clock_monotonic_ns();
        call(t);
        ns[i] = px_clock_monotonic_ns() - start;
    }
    qsort(ns, n, sizeof *ns, compare);
    printf("{\"least\": %lu, \"median\": %lu, \"p99\": %lu}\n", ns[0], ns[n / 2], ns[n * 99 / 100]);
    px_free(ns);
}

int main(int argc, char **argv)
{
    if (px_plugin_is_worker(argc, argv))
        return px_plugin_worker_main();
    uint64_t size = 0, n = 0;
    if (argc != 6 || !px_str_to_u64(px_str(argv[4]), &size) ||
        !px_str_to_u64(px_str(argv[5]), &n) || n == 0)
        fail("usage: plugin_timer FOLDER PROVIDER SETTINGS BYTES CALLS");
    px_log_configure(PX_LOG_WARN, PX_LOG_LOGFMT);
    struct timer t = {.arena = px_arena(1 << 20), .run_arena = px_arena(1 << 20), .size = size};
    t.bytes = px_xalloc(size, 1);
    if (strcmp(argv[2], "socketpair") == 0)
        start_echo(&t);
    else
        open_engine(&t, argv[1], argv[2], argv[3]);
    measure(&t, n);
    px_engine_destroy(t.engine);
    px_free(t.bytes);
    px_arena_deinit(&t.run_arena);
    px_arena_deinit(&t.arena);
    return 0;
}
