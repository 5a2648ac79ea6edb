/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/bench/bench.h"
#include "interfaces/cli/bench/plot.h"
#include "interfaces/cli/machine.h"
#include "shared/clock.h"
#include "shared/cores.h"
#include "shared/json.h"

#include <limits.h>
#include <math.h>

enum {
    JSON_MAX = 16 << 20,
    SPECTRUM_COLUMNS = 60,
    SPECTRUM_NINES_MAX = 5,
    PLOT_ROWS = 8,
    STEP_COLUMNS = 8, /* of a step in the plot of rates, the gap included */
    TICKS_MAX = 16,
};

static double to_us(double ns)
{
    return ns / (double)PX_NS_PER_US;
}

static const char *duration(double ns, char out[PX_DURATION_TEXT])
{
    return px_format_duration(ns, out);
}

static void print_setup(FILE *out, const struct px_bench_load *b)
{
    const struct px_load_job *job = &b->job;
    char limit[PX_DURATION_TEXT], processor[128];
    fprintf(out, "%s port %u, POST %.*s\n", b->endpoint.address.host,
            (unsigned)b->endpoint.address.port, PX_STR_ARG(b->endpoint.path));
    fprintf(out, "  %zu row%s and %zu bytes per request, %zu different; ", b->rows,
            b->rows == 1 ? "" : "s", b->bodies.bodies[0].len, b->bodies.n);
    fprintf(out, "%u connection%s, %u thread%s, %s schedule, %.3g s per run\n", job->n_connections,
            job->n_connections == 1 ? "" : "s", job->n_threads, job->n_threads == 1 ? "" : "s",
            job->arrivals == PX_LOAD_POISSON ? "Poisson" : "fixed",
            (double)job->duration_ns / (double)PX_NS_PER_S);
    fprintf(out, "  latency counts from when a request should have been sent; limit %s\n",
            duration((double)job->limit_ns, limit));
    fprintf(out, "  phoenix %s, %s, on %u cores of %s\n\n", PX_VERSION, px_machine_compiler(),
            px_cores(UINT_MAX), px_machine_processor(processor, sizeof processor));
}

static void print_table(FILE *out, const struct px_ramp *ramp)
{
    fprintf(out, "%12s %12s %12s %9s %9s %9s %9s %9s %9s  %s\n", "offered/s", "achieved/s",
            "goodput/s", "p50", "p90", "p99", "p99.9", "p99.99", "max", "verdict");
    for (size_t i = 0; i < ramp->n_steps; i++) {
        const struct px_load_summary *s = &ramp->steps[i];
        const double ns[] = {s->p50_ns, s->p90_ns, s->p99_ns, s->p999_ns, s->p9999_ns, s->max_ns};
        const double rates[] = {s->offered, s->achieved, s->goodput};
        char text[32];
        for (size_t k = 0; k < PX_ARRAY_LEN(rates); k++)
            fprintf(out, "%s%12s", k ? " " : "", px_format_count(rates[k], text));
        for (size_t k = 0; k < PX_ARRAY_LEN(ns); k++)
            fprintf(out, " %9s", duration(ns[k], text));
        fprintf(out, "  %s\n", px_load_verdict_name(s->verdict));
    }
    fputc('\n', out);
}

/* Errors by kind over all steps, the statuses of the shown run, and the first failure. */
static void print_errors(FILE *out, const struct px_bench_load *b)
{
    uint64_t outcomes[PX_LOAD_OUTCOMES] = {0}, n = 0;
    for (size_t i = 0; i < b->ramp.n_steps; i++) {
        for (size_t k = 0; k < PX_LOAD_OUTCOMES; k++)
            outcomes[k] += b->ramp.steps[i].outcomes[k];
    }
    for (size_t k = PX_LOAD_OK + 1; k < PX_LOAD_OUTCOMES; k++)
        n += outcomes[k];
    fprintf(out, "errors      %llu", (unsigned long long)n);
    for (size_t k = PX_LOAD_OK + 1; k < PX_LOAD_OUTCOMES; k++) {
        if (outcomes[k])
            fprintf(out, ", %llu %s", (unsigned long long)outcomes[k],
                    px_load_outcome_name((enum px_load_outcome)k));
    }
    fputc('\n', out);
    if (b->ramp.best_result->failure[0])
        fprintf(out, "            first: %s\n", b->ramp.best_result->failure);
}

static const struct px_load_summary *shown_step(const struct px_ramp *ramp)
{
    return &ramp->steps[ramp->best >= 0 ? (size_t)ramp->best : ramp->n_steps - 1];
}

/* How late the client itself was, and what a client that waits for replies would have reported. */
static void print_client(FILE *out, const struct px_bench_load *b)
{
    const struct px_load_summary *s = shown_step(&b->ramp);
    char p50[PX_DURATION_TEXT], p99[PX_DURATION_TEXT], max[PX_DURATION_TEXT];
    fprintf(out, "client      lag p50 %s, p99 %s, max %s\n", duration(s->lag_p50_ns, p50),
            duration(s->lag_p99_ns, p99), duration(s->lag_max_ns, max));
    fprintf(out,
            "            its busiest thread used %.0f %% of a core and waited %.0f %% for one\n",
            100 * s->busy_share, 100 * s->starved_share);
    if (s->waited_share > 0.01)
        fprintf(out,
                "            %.0f %% of the requests found every connection busy: that waiting "
                "is in their latency\n",
                100 * s->waited_share);
    if (s->p99_ns > 2 * s->service_p99_ns && s->service_p99_ns > 0)
        fprintf(out,
                "            a client that waits for replies would have reported a p99 of %s\n",
                duration(s->service_p99_ns, p99));
}

/* The replies that were good were too few, or all replies together: then a queue grows, long or not. */
static void print_behind(FILE *out, const struct px_bench_load *b, const struct px_load_summary *s)
{
    char replies[32], due[32], limit[PX_DURATION_TEXT];
    if (s->goodput < b->search.goodput_min * s->offered)
        fprintf(out, "%s/s were answered within %s", px_format_count(s->goodput, replies),
                duration((double)b->job.limit_ns, limit));
    else
        fprintf(out, "%s replies/s came to %s requests/s, so that a queue grows",
                px_format_count(s->achieved, replies), px_format_count(s->offered, due));
}

/* Why a step did not pass, as a clause. */
static void print_verdict(FILE *out, const struct px_bench_load *b, const struct px_load_summary *s)
{
    char rate[32], limit[PX_DURATION_TEXT], lag[PX_DURATION_TEXT];
    duration((double)b->job.limit_ns, limit);
    fprintf(out, "at %s/s ", px_format_count(s->rate, rate));
    switch (s->verdict) {
    case PX_LOAD_PASS:
        fputs("all was well", out);
        break;
    case PX_LOAD_SLOW:
        fprintf(out, "p99 was %s, over the limit of %s", duration(s->p99_ns, lag), limit);
        break;
    case PX_LOAD_BEHIND:
        print_behind(out, b, s);
        break;
    case PX_LOAD_FAILING:
        fprintf(out, "%.1f %% of the requests failed",
                100 * (double)s->n_errors / (double)(s->n_offered ? s->n_offered : 1));
        break;
    case PX_LOAD_CLIENT_LIMITED:
        fprintf(out,
                "the client itself was the limit: lag p99 %s, busy or waiting for a core "
                "%.0f %% of the time",
                duration(s->lag_p99_ns, lag), 100 * (s->busy_share + s->starved_share));
        break;
    }
}

static void print_saturation(FILE *out, const struct px_bench_load *b)
{
    const struct px_ramp *ramp = &b->ramp;
    char rate[32], rows[32];
    if (ramp->best >= 0) {
        double best = ramp->steps[ramp->best].rate;
        fprintf(out, "saturation  %s requests/s", px_format_count(best, rate));
        if (b->rows > 1)
            fprintf(out, ", %s rows/s", px_format_count(best * (double)b->rows, rows));
        fputs(ramp->failed < 0 ? ": the highest rate that was asked for" : "; ", out);
    } else {
        fputs("saturation  below every rate that was tried; ", out);
    }
    if (ramp->failed >= 0)
        print_verdict(out, b, &ramp->steps[ramp->failed]);
    fputc('\n', out);
    if (ramp->failed >= 0 && ramp->steps[ramp->failed].verdict == PX_LOAD_CLIENT_LIMITED)
        fputs("            the server may do better: use --threads, or another machine for the "
              "client\n",
              out);
    fprintf(out, "peak        %s replies/s, whatever their latency\n",
            px_format_count(ramp->peak, rate));
}

/* Latency against percentile; each nine has the same width. */
static void draw_spectrum(FILE *out, const struct px_bench_load *b)
{
    static const char *const names[] = {"0", "90", "99", "99.9", "99.99", "99.999"};
    const struct px_latencies *latency = &b->ramp.best_result->tally.latency;
    double values[SPECTRUM_COLUMNS], nines = log10((double)latency->count + 1);
    struct px_plot_tick ticks[SPECTRUM_NINES_MAX + 1];
    size_t n_ticks = 0;
    char rate[32];
    nines = nines < SPECTRUM_NINES_MAX ? nines : SPECTRUM_NINES_MAX;
    nines = nines > 1 ? nines : 1;
    for (size_t i = 0; i < SPECTRUM_COLUMNS; i++) {
        double at = (double)i / (SPECTRUM_COLUMNS - 1) * nines;
        values[i] = (double)px_latencies_quantile(latency, 1 - pow(10, -at));
    }
    for (; n_ticks <= SPECTRUM_NINES_MAX && (double)n_ticks <= nines; n_ticks++)
        ticks[n_ticks] = (struct px_plot_tick){
            (size_t)((double)n_ticks / nines * (SPECTRUM_COLUMNS - 1)), names[n_ticks]};
    const struct px_plot plot = {values, values,  SPECTRUM_COLUMNS, PLOT_ROWS,
                                 ticks,  n_ticks, b->unicode};
    fprintf(out, "\nlatency by percentile at %s requests/s\n",
            px_format_count(shown_step(&b->ramp)->offered, rate));
    px_plot_draw(out, &plot);
}

/* The steps in the order of their rates. */
static size_t sort_steps(const struct px_ramp *ramp, const struct px_load_summary **out)
{
    size_t n = 0;
    for (size_t i = 0; i < ramp->n_steps; i++) {
        size_t at = n++;
        for (; at > 0 && out[at - 1]->rate > ramp->steps[i].rate; at--)
            out[at] = out[at - 1];
        out[at] = &ramp->steps[i];
    }
    return n;
}

static void format_short(double rate, char *out, size_t cap)
{
    if (rate >= 999500)
        snprintf(out, cap, "%.3gM", rate / 1e6);
    else if (rate >= 999.5)
        snprintf(out, cap, "%.3gk", rate / 1e3);
    else
        snprintf(out, cap, "%.3g", rate);
}

/* Latency against rate: solid up to p50, shaded up to p99. */
static void draw_rates(FILE *out, const struct px_bench_load *b)
{
    const struct px_load_summary *steps[PX_RAMP_STEPS_MAX];
    double low[PX_PLOT_COLUMNS_MAX] = {0}, high[PX_PLOT_COLUMNS_MAX] = {0};
    struct px_plot_tick ticks[TICKS_MAX];
    char names[TICKS_MAX][16];
    size_t n = sort_steps(&b->ramp, steps), first = n > TICKS_MAX ? n - TICKS_MAX : 0;
    n -= first;
    for (size_t i = 0; i < n; i++) {
        const struct px_load_summary *s = steps[first + i];
        format_short(s->rate, names[i], sizeof names[i]);
        ticks[i] = (struct px_plot_tick){i * STEP_COLUMNS, names[i]};
        for (size_t k = 0; k + 2 < STEP_COLUMNS; k++) {
            low[i * STEP_COLUMNS + k] = s->p50_ns;
            high[i * STEP_COLUMNS + k] = s->p99_ns;
        }
    }
    const struct px_plot plot = {low, high, n * STEP_COLUMNS, PLOT_ROWS, ticks, n, b->unicode};
    fprintf(out, "\nlatency by offered rate: p50 %s, p99 %s\n", b->unicode ? "\u2588" : "#",
            b->unicode ? "\u2591" : ":");
    px_plot_draw(out, &plot);
}

void px_bench_load_print_text(FILE *out, const struct px_bench_load *b)
{
    print_setup(out, b);
    print_table(out, &b->ramp);
    if (b->is_ramp)
        print_saturation(out, b);
    else if (b->ramp.failed >= 0) {
        fputs("verdict     ", out);
        print_verdict(out, b, &b->ramp.steps[0]);
        fputc('\n', out);
    }
    print_errors(out, b);
    print_client(out, b);
    if (b->ramp.best_result->tally.latency.count)
        draw_spectrum(out, b);
    if (b->is_ramp && b->ramp.n_steps > 1)
        draw_rates(out, b);
}

static void put_latency(struct px_json_writer *w, const struct px_load_summary *s)
{
    px_json_key(w, "latency_us");
    px_json_begin_object(w);
    px_json_member_f64(w, "mean", to_us(s->mean_ns));
    px_json_member_f64(w, "p50", to_us(s->p50_ns));
    px_json_member_f64(w, "p90", to_us(s->p90_ns));
    px_json_member_f64(w, "p99", to_us(s->p99_ns));
    px_json_member_f64(w, "p99_9", to_us(s->p999_ns));
    px_json_member_f64(w, "p99_99", to_us(s->p9999_ns));
    px_json_member_f64(w, "max", to_us(s->max_ns));
    px_json_end_object(w);
}

static void put_client(struct px_json_writer *w, const struct px_load_summary *s)
{
    px_json_key(w, "client");
    px_json_begin_object(w);
    px_json_member_f64(w, "lag_p50_us", to_us(s->lag_p50_ns));
    px_json_member_f64(w, "lag_p99_us", to_us(s->lag_p99_ns));
    px_json_member_f64(w, "lag_max_us", to_us(s->lag_max_ns));
    px_json_member_f64(w, "busy_share", s->busy_share);
    px_json_member_f64(w, "starved_share", s->starved_share);
    px_json_member_f64(w, "waited_share", s->waited_share);
    px_json_end_object(w);
}

static void put_step(struct px_json_writer *w, const struct px_load_summary *s)
{
    px_json_begin_object(w);
    px_json_member_f64(w, "rate", s->rate);
    px_json_member_f64(w, "offered_per_s", s->offered);
    px_json_member_f64(w, "achieved_per_s", s->achieved);
    px_json_member_f64(w, "goodput_per_s", s->goodput);
    px_json_member_u64(w, "requests", s->n_offered);
    px_json_member_u64(w, "errors", s->n_errors);
    px_json_key(w, "errors_by_kind");
    px_json_begin_object(w);
    for (size_t k = PX_LOAD_OK + 1; k < PX_LOAD_OUTCOMES; k++)
        px_json_member_u64(w, px_load_outcome_name((enum px_load_outcome)k), s->outcomes[k]);
    px_json_end_object(w);
    put_latency(w, s);
    px_json_member_f64(w, "service_p99_us", to_us(s->service_p99_ns));
    put_client(w, s);
    px_json_member_text(w, "verdict", px_load_verdict_name(s->verdict));
    px_json_end_object(w);
}

static void put_target(struct px_json_writer *w, const struct px_bench_load *b)
{
    px_json_key(w, "target");
    px_json_begin_object(w);
    px_json_member_str(w, "url", b->url);
    px_json_member_text(w, "host", b->endpoint.address.host);
    px_json_member_u64(w, "port", b->endpoint.address.port);
    px_json_member_str(w, "path", b->endpoint.path);
    px_json_member_text(w, "protocol", px_bench_protocol_name(b->endpoint.protocol));
    px_json_member_str(w, "model", b->endpoint.model);
    px_json_member_u64(w, "rows_per_request", b->rows);
    px_json_member_u64(w, "body_bytes", b->bodies.bodies[0].len);
    px_json_member_u64(w, "bodies", b->bodies.n);
    px_json_end_object(w);
}

static void put_settings(struct px_json_writer *w, const struct px_bench_load *b)
{
    const struct px_load_job *job = &b->job;
    px_json_key(w, "settings");
    px_json_begin_object(w);
    px_json_member_bool(w, "ramp", b->is_ramp);
    px_json_member_text(w, "arrivals", job->arrivals == PX_LOAD_POISSON ? "poisson" : "fixed");
    px_json_member_u64(w, "connections", job->n_connections);
    px_json_member_u64(w, "threads", job->n_threads);
    px_json_member_f64(w, "duration_s", (double)job->duration_ns / (double)PX_NS_PER_S);
    px_json_member_f64(w, "warmup_s", (double)job->warmup_ns / (double)PX_NS_PER_S);
    px_json_member_f64(w, "timeout_ms", (double)job->timeout_ns / (double)PX_NS_PER_MS);
    px_json_member_f64(w, "limit_ms", (double)job->limit_ns / (double)PX_NS_PER_MS);
    px_json_member_f64(w, "goodput_min", b->search.goodput_min);
    px_json_end_object(w);
}

static void put_saturation(struct px_json_writer *w, const struct px_bench_load *b)
{
    const struct px_ramp *ramp = &b->ramp;
    double best = ramp->best >= 0 ? ramp->steps[ramp->best].rate : 0;
    px_json_key(w, "saturation");
    if (!b->is_ramp) {
        px_json_put_null(w);
        return;
    }
    px_json_begin_object(w);
    px_json_member_bool(w, "found", ramp->best >= 0 && ramp->failed >= 0);
    px_json_member_f64(w, "requests_per_s", best);
    px_json_member_f64(w, "rows_per_s", best * (double)b->rows);
    px_json_member_f64(w, "peak_per_s", ramp->peak);
    px_json_member_text(w, "stopped_by",
                        ramp->failed >= 0 ? px_load_verdict_name(ramp->steps[ramp->failed].verdict)
                                          : "max_rate");
    px_json_end_object(w);
}

static void put_statuses(struct px_json_writer *w, const struct px_load_tally *tally)
{
    char status[8];
    px_json_key(w, "statuses");
    px_json_begin_object(w);
    for (size_t i = 0; i < PX_ARRAY_LEN(tally->statuses); i++) {
        if (!tally->statuses[i])
            continue;
        snprintf(status, sizeof status, "%zu", i + PX_LOAD_STATUS_MIN);
        px_json_member_u64(w, status, tally->statuses[i]);
    }
    px_json_end_object(w);
}

/* The run that the plot of percentiles shows. */
static void put_shown(struct px_json_writer *w, const struct px_bench_load *b)
{
    const struct px_load_result *r = b->ramp.best_result;
    px_json_key(w, "shown");
    px_json_begin_object(w);
    px_json_member_f64(w, "rate", shown_step(&b->ramp)->rate);
    px_json_member_u64(w, "bytes_sent", r->bytes_sent);
    px_json_member_u64(w, "bytes_received", r->bytes_received);
    put_statuses(w, &r->tally);
    if (r->failure[0])
        px_json_member_text(w, "first_failure", r->failure);
    px_json_end_object(w);
}

void px_bench_load_print_json(FILE *out, const struct px_bench_load *b)
{
    struct px_buf text = px_buf(JSON_MAX);
    struct px_json_writer w = px_json_writer(&text);
    px_json_begin_object(&w);
    px_json_member_text(&w, "kind", "load");
    put_target(&w, b);
    put_settings(&w, b);
    px_json_key(&w, "steps");
    px_json_begin_array(&w);
    for (size_t i = 0; i < b->ramp.n_steps; i++)
        put_step(&w, &b->ramp.steps[i]);
    px_json_end_array(&w);
    put_saturation(&w, b);
    put_shown(&w, b);
    px_machine_put(&w);
    px_json_end_object(&w);
    fprintf(out, "%s\n", px_buf_cstr(&text));
    px_buf_deinit(&text);
}
