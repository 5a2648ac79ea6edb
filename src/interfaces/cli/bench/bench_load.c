/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/bench/bench.h"
#include "interfaces/cli/bench/plot.h"
#include "interfaces/cli/machine.h"
#include "interfaces/cli/stream.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "shared/cores.h"
#include "shared/file.h"

#include <unistd.h>

enum { URL_MEMORY_MAX = 64 << 10, REFINEMENTS = 4, NOTE_MAX = 96 };

#define FIXED_SECONDS 10.0 /* of a run at one rate */
#define STEP_SECONDS  2.0  /* of a step of the ramp */
#define WARMUP_SHARE  0.2
#define RATE_MAX      1e7
#define POSITIVE_MIN  0.001 /* of rates, times and shares */
#define SECONDS_MAX   86400.0

/* What the progress functions need. */
struct session {
    struct px_cli *cli;
    struct px_bench_load *bench;
    struct px_load_requests requests;
    struct px_arena arena;
    struct px_progress bar;
    double rate; /* of the run in progress */
};

static bool show_progress(void *context, const struct px_load_progress *progress)
{
    struct session *s = context;
    char note[NOTE_MAX], rate[32];
    snprintf(note, sizeof note, "%s requests/s, %llu replies,", px_format_count(s->rate, rate),
             (unsigned long long)progress->completed);
    s->bar.total = progress->total_ns;
    px_progress_update(&s->bar, progress->elapsed_ns, note);
    return !px_interrupts_seen();
}

static bool begin_step(void *context, const struct px_ramp *ramp, double rate)
{
    struct session *s = context;
    (void)ramp;
    s->rate = rate;
    return !px_interrupts_seen();
}

/* An option that is a real number in [POSITIVE_MIN, max]; `fallback` when it is not given and has no default. */
static enum px_code read_positive(struct px_cli *cli, const char *option, double max, double *ret,
                                  struct px_err *err)
{
    if (px_cli_text(cli, option).len == 0)
        return PX_OK;
    *ret = px_cli_real(cli, option);
    if (*ret >= POSITIVE_MIN && *ret <= max)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "--%s must be %g to %.0f, got %.*s", option, POSITIVE_MIN,
                      max, PX_STR_ARG(px_cli_text(cli, option)));
}

static enum px_code read_count(struct px_cli *cli, const char *option, int64_t max, int64_t *ret,
                               struct px_err *err)
{
    if (px_cli_text(cli, option).len == 0)
        return PX_OK;
    *ret = px_cli_int(cli, option);
    if (*ret >= 1 && *ret <= max)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "--%s must be 1 to %lld, got %lld", option, (long long)max,
                      (long long)*ret);
}

static uint64_t to_ns(double seconds)
{
    return (uint64_t)(seconds * (double)PX_NS_PER_S);
}

static enum px_code read_times(struct px_cli *cli, struct px_bench_load *b, struct px_err *err)
{
    double seconds = b->is_ramp ? STEP_SECONDS : FIXED_SECONDS, timeout_ms = 0, limit_ms = 0;
    enum px_code code = read_positive(cli, "duration", SECONDS_MAX, &seconds, err);
    if (code == PX_OK)
        code = read_positive(cli, "timeout-ms", SECONDS_MAX * 1e3, &timeout_ms, err);
    if (code == PX_OK)
        code = read_positive(cli, "limit-ms", SECONDS_MAX * 1e3, &limit_ms, err);
    if (code != PX_OK)
        return code;
    double warmup = seconds * WARMUP_SHARE;
    b->job.duration_ns = to_ns(seconds);
    b->job.warmup_ns = to_ns(warmup < 1 ? warmup : 1);
    b->job.timeout_ns = to_ns(timeout_ms / 1e3);
    b->job.limit_ns = to_ns(limit_ms / 1e3);
    if (b->job.limit_ns > b->job.timeout_ns)
        return px_err_set(err, PX_E_INVALID, "--limit-ms is longer than --timeout-ms");
    return PX_OK;
}

static enum px_code read_rates(struct px_cli *cli, struct px_bench_load *b, struct px_err *err)
{
    double percent = 0;
    b->search.refinements = REFINEMENTS;
    b->is_ramp = !px_cli_given(cli, "rate");
    enum px_code code = read_positive(cli, "rate", RATE_MAX, &b->job.rate, err);
    if (code == PX_OK)
        code = read_positive(cli, "start-rate", RATE_MAX, &b->search.rate_min, err);
    if (code == PX_OK)
        code = read_positive(cli, "max-rate", RATE_MAX, &b->search.rate_max, err);
    if (code == PX_OK)
        code = read_positive(cli, "goodput", 100, &percent, err);
    if (code != PX_OK)
        return code;
    b->search.goodput_min = percent / 100;
    if (!b->is_ramp && (px_cli_given(cli, "start-rate") || px_cli_given(cli, "max-rate")))
        return px_err_set(err, PX_E_INVALID,
                          "--rate is one run at one rate; --start-rate and --max-rate are for the "
                          "ramp, which runs without --rate");
    if (b->is_ramp && b->search.rate_min > b->search.rate_max)
        return px_err_set(err, PX_E_INVALID, "--start-rate is above --max-rate");
    return PX_OK;
}

/* Half of the cores, so that a server on the same machine has the others. */
static int64_t default_threads(int64_t n_connections)
{
    int64_t half = px_cores(2 * PX_LOAD_THREADS_MAX) / 2;
    half = half < 1 ? 1 : half < PX_LOAD_THREADS_MAX ? half : PX_LOAD_THREADS_MAX;
    return half < n_connections ? half : n_connections;
}

static enum px_code read_shape(struct px_cli *cli, struct px_bench_load *b, struct px_err *err)
{
    int64_t connections = 0, rows = 1, threads = 0;
    struct px_str arrivals = px_cli_text(cli, "arrivals");
    enum px_code code = read_count(cli, "connections", PX_LOAD_CONNECTIONS_MAX, &connections, err);
    if (code == PX_OK)
        code = read_count(cli, "rows", PX_BODIES_ROWS_MAX, &rows, err);
    if (code == PX_OK)
        code = read_count(cli, "threads", PX_LOAD_THREADS_MAX, &threads, err);
    if (code != PX_OK)
        return code;
    threads = threads ? threads : default_threads(connections);
    if (threads > connections)
        return px_err_set(err, PX_E_INVALID, "--threads %lld needs as many --connections, got %lld",
                          (long long)threads, (long long)connections);
    if (!px_str_is(arrivals, "fixed") && !px_str_is(arrivals, "poisson"))
        return px_err_set(err, PX_E_INVALID, "--arrivals must be fixed or poisson, got '%.*s'",
                          PX_STR_ARG(arrivals));
    b->job.arrivals = px_str_is(arrivals, "poisson") ? PX_LOAD_POISSON : PX_LOAD_FIXED;
    b->job.n_connections = (unsigned)connections;
    b->job.n_threads = (unsigned)threads;
    b->job.seed = (uint64_t)px_cli_int(cli, "seed");
    b->rows = (size_t)rows;
    return PX_OK;
}

static enum px_code read_protocol(struct px_cli *cli, enum px_bench_protocol *ret,
                                  struct px_err *err)
{
    struct px_str text = px_cli_text(cli, "protocol");
    if (text.len && !px_str_is(text, "v1") && !px_str_is(text, "v2"))
        return px_err_set(err, PX_E_INVALID, "--protocol must be v2 or v1, got '%.*s'",
                          PX_STR_ARG(text));
    *ret = text.len == 0 ? PX_BENCH_RAW : px_str_is(text, "v1") ? PX_BENCH_V1 : PX_BENCH_V2;
    return PX_OK;
}

static enum px_code read_endpoint(struct session *s, struct px_err *err)
{
    struct px_cli *cli = s->cli;
    struct px_endpoint_options options = {
        .model = px_cli_text(cli, "model"),
        .has_body = px_cli_given(cli, "body"),
    };
    s->bench->url = px_str(cli->arguments[0]);
    enum px_code code = read_protocol(cli, &options.protocol, err);
    if (code == PX_OK)
        code = px_endpoint_parse(&s->bench->endpoint, s->bench->url, &options, &s->arena, err);
    if (code == PX_OK && px_cli_given(cli, "content-type") && !options.has_body)
        code = px_err_set(err, PX_E_INVALID, "--content-type is for --body FILE");
    return code;
}

static enum px_code read_options(struct session *s, struct px_err *err)
{
    enum px_code code = read_endpoint(s, err);
    if (code == PX_OK)
        code = read_rates(s->cli, s->bench, err);
    if (code == PX_OK)
        code = read_times(s->cli, s->bench, err);
    if (code == PX_OK)
        code = read_shape(s->cli, s->bench, err);
    return code;
}

static enum px_code read_body(struct px_bodies *bodies, const char *path, struct px_err *err)
{
    struct px_buf body = px_buf(PX_BODIES_BYTES_MAX);
    enum px_code code = px_file_read(path, &body, err);
    if (code == PX_OK)
        code = px_bodies_take(bodies, px_buf_view(&body), err);
    px_buf_deinit(&body);
    return code;
}

static enum px_code make_requests(struct session *s, struct px_load *load, struct px_err *err)
{
    struct px_bench_load *b = s->bench;
    struct px_str file = px_cli_text(s->cli, "body"), type = px_cli_text(s->cli, "content-type");
    const struct px_bodies_options options = {.rows = b->rows, .seed = b->job.seed};
    enum px_code code = file.len ? read_body(&b->bodies, file.ptr, err)
                                 : px_bodies_make(&b->bodies, load, &b->endpoint, &options, err);
    s->requests = (struct px_load_requests){
        .address = b->endpoint.address,
        .path = b->endpoint.path,
        .content_type = type.len ? type.ptr : "application/json",
        .bodies = b->bodies.bodies,
        .n_bodies = b->bodies.n,
    };
    return code;
}

static enum px_code run(struct session *s, struct px_load *load, struct px_err *err)
{
    struct px_bench_load *b = s->bench;
    b->job.requests = &s->requests;
    b->job.progress = show_progress;
    b->job.progress_context = s;
    s->rate = b->job.rate;
    s->bar = px_progress(s->cli->err, "bench", 0);
    enum px_code code = b->is_ramp
                            ? px_ramp_run(load, &b->job, &b->search, begin_step, &b->ramp, err)
                            : px_ramp_once(load, &b->job, b->search.goodput_min, &b->ramp, err);
    px_progress_end(&s->bar);
    return code;
}

static bool any_reply(const struct px_ramp *ramp)
{
    for (size_t i = 0; i < ramp->n_steps; i++) {
        if (ramp->steps[i].outcomes[PX_LOAD_OK])
            return true;
    }
    return false;
}

/* The report, also of a ramp that was interrupted; the exit status. */
static int report(struct session *s, enum px_code code, struct px_err *err)
{
    struct px_bench_load *b = s->bench;
    struct px_cli *cli = s->cli;
    if (b->ramp.n_steps && px_cli_flag(cli, "json"))
        px_bench_load_print_json(cli->out, b);
    else if (b->ramp.n_steps)
        px_bench_load_print_text(cli->out, b);
    fflush(cli->out);
    if (code == PX_OK && !any_reply(&b->ramp))
        code = px_err_set(err, PX_E_UNAVAILABLE, "no request succeeded: %s",
                          b->ramp.best_result->failure);
    if (code == PX_OK)
        return PX_EXIT_OK;
    px_cli_fail(cli, err);
    return code == PX_E_CANCELLED ? PX_EXIT_INTERRUPTED : PX_EXIT_FAILED;
}

int px_bench_load(struct px_cli *cli)
{
    struct px_bench_load bench = {0};
    struct session s = {.cli = cli, .bench = &bench, .arena = px_arena(URL_MEMORY_MAX)};
    struct px_err err = {0};
    struct px_load *load = NULL;
    enum px_code code = read_options(&s, &err);
    if (code != PX_OK) {
        px_arena_deinit(&s.arena);
        return px_cli_usage(cli, &err);
    }
    bench.unicode = isatty(fileno(cli->out)) == 1 && !px_cli_flag(cli, "no-color");
    px_interrupts_guard();
    code = cli->services->open_load(&load, &err);
    if (code == PX_OK)
        code = make_requests(&s, load, &err);
    if (code == PX_OK)
        code = run(&s, load, &err);
    int status = report(&s, code, &err);
    px_load_destroy(load);
    px_ramp_deinit(&bench.ramp);
    px_bodies_deinit(&bench.bodies);
    px_arena_deinit(&s.arena);
    return status;
}
