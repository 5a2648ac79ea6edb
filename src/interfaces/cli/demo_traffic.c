/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests carry one to MAX_ROWS rows of the file, as they stand there, with the file's header: the server
 * matches columns by name and passes over those that are no feature. The file is read again from its
 * start when it ends. A request that fails is counted, and the first failures are shown; a server that is
 * away is tried again at the same rate, so traffic goes on when it comes back.
 */
#include "interfaces/cli/demo_traffic.h"

#include "application/bench/endpoint.h"
#include "interfaces/cli/stream.h"
#include "interfaces/cli/visible.h"
#include "shared/clock.h"
#include "shared/csv.h"
#include "shared/file.h"
#include "shared/rng.h"

#include <inttypes.h>

enum {
    MAX_ROWS = 4,
    FEED = 1 << 16,
    FAILURES_SHOWN = 5,
    SAMPLE = 1 << 16,
    BODY_MAX = 16 << 20, /* of a request or a reply */
    URL_MEMORY_MAX = 1 << 16,
};

#define FILE_BYTES_MAX ((size_t)1 << 40)

struct rows {
    struct px_file file;
    struct px_csv csv;
    size_t at;             /* bytes fed */
    struct px_buf header;  /* the first line, as CSV */
    uint64_t n_since_open; /* rows since the start of the file */
};

struct traffic {
    struct px_cli *cli;
    struct px_load *load;
    struct px_endpoint endpoint;
    struct rows rows;
    struct px_rng rng;
    struct px_buf body;
    struct px_load_reply reply;
    uint64_t started_ns, n_requests, n_rows, n_failed, busy_ns;
};

static void put_record(const struct px_csv_record *record, struct px_buf *out)
{
    for (size_t i = 0; i < record->n_fields; i++) {
        if (i > 0)
            px_buf_byte(out, ',');
        px_csv_put(out, record->fields[i].text, ',');
    }
    px_buf_byte(out, '\n');
}

static void start_csv(struct rows *rows)
{
    struct px_str bytes = rows->file.bytes;
    struct px_str sample = px_str_n(bytes.ptr, bytes.len < SAMPLE ? bytes.len : SAMPLE);
    px_csv_init(&rows->csv, px_csv_guess_separator(sample));
    rows->at = 0;
    rows->n_since_open = 0;
}

/* The next record of the file; PX_E_NOT_FOUND at its end. Broken records are passed over. */
static enum px_code next_record(struct rows *rows, struct px_csv_record *ret, struct px_err *err)
{
    for (;;) {
        enum px_csv_event event = px_csv_next(&rows->csv, ret, err);
        if (event == PX_CSV_RECORD)
            return PX_OK;
        if (event == PX_CSV_END)
            return px_err_set(err, PX_E_NOT_FOUND, "the file has no rows");
        if (event == PX_CSV_BAD)
            continue;
        size_t left = rows->file.bytes.len - rows->at, n = left < FEED ? left : FEED;
        enum px_code code =
            px_csv_feed(&rows->csv, n ? rows->file.bytes.ptr + rows->at : NULL, n, err);
        if (code != PX_OK)
            return code;
        rows->at += n;
    }
}

/* Appends the next row, from the start of the file again at its end. */
static enum px_code put_row(struct rows *rows, struct px_buf *out, struct px_err *err)
{
    struct px_csv_record record;
    enum px_code code = next_record(rows, &record, err);
    if (code == PX_E_NOT_FOUND && rows->n_since_open > 0) {
        px_csv_deinit(&rows->csv);
        start_csv(rows);
        code = next_record(rows, &record, err); /* the header */
        if (code == PX_OK)
            code = next_record(rows, &record, err);
    }
    if (code != PX_OK)
        return code;
    rows->n_since_open++;
    put_record(&record, out);
    return PX_OK;
}

static enum px_code open_rows(struct rows *rows, const char *path, struct px_err *err)
{
    struct px_csv_record record;
    enum px_code code = px_file_load(&rows->file, path, FILE_BYTES_MAX, err);
    rows->header = px_buf(PX_CSV_RECORD_MAX);
    start_csv(rows);
    if (code == PX_OK)
        code = next_record(rows, &record, err);
    if (code == PX_OK)
        put_record(&record, &rows->header);
    else
        px_err_wrap(err, "%s", path);
    return code;
}

static void show_failure(struct traffic *t, const char *what)
{
    if (t->n_failed++ >= FAILURES_SHOWN)
        return;
    fprintf(t->cli->err, "request %" PRIu64 ": ", t->n_requests);
    px_print_visible(t->cli->err, px_str(what));
    fputc('\n', t->cli->err);
}

static enum px_code send_one(struct traffic *t, struct px_err *err)
{
    struct px_load_reply *reply = &t->reply;
    char what[600];
    uint64_t n_rows = 1 + px_rng_below(&t->rng, MAX_ROWS);
    px_buf_clear(&t->body);
    px_buf_str(&t->body, px_buf_view(&t->rows.header));
    for (uint64_t i = 0; i < n_rows; i++) {
        enum px_code code = put_row(&t->rows, &t->body, err);
        if (code != PX_OK)
            return code;
    }
    t->n_requests++;
    uint64_t before_ns = px_clock_monotonic_ns();
    const struct px_load_request request = {"POST", t->endpoint.path, "text/csv; header=present",
                                            px_buf_view(&t->body)};
    px_buf_clear(&reply->body);
    enum px_code code = px_load_fetch(t->load, &t->endpoint.address, &request, reply, err);
    t->busy_ns += px_clock_monotonic_ns() - before_ns;
    if (code == PX_E_CANCELLED)
        return code;
    if (code != PX_OK) {
        show_failure(t, px_err_text(err, what, sizeof what));
    } else if (reply->status != 200) {
        snprintf(what, sizeof what, "status %d: %.*s", reply->status,
                 PX_STR_ARG(px_buf_view(&reply->body)));
        show_failure(t, what);
    } else {
        t->n_rows += n_rows;
    }
    return PX_OK;
}

/* Sleeps until `due_ns`; an interrupt ends it. */
static void wait_until(uint64_t due_ns)
{
    uint64_t now_ns = px_clock_monotonic_ns();
    if (due_ns <= now_ns)
        return;
    uint64_t left_ns = due_ns - now_ns;
    const struct timespec pause = px_clock_timespec(left_ns);
    nanosleep(&pause, NULL);
}

static enum px_code run(struct traffic *t, double rate, uint64_t seconds, struct px_err *err)
{
    char note[96];
    struct px_progress bar = px_progress(t->cli->err, "traffic", seconds);
    enum px_code code = PX_OK;
    t->started_ns = px_clock_monotonic_ns();
    for (uint64_t i = 0; code == PX_OK && !px_interrupts_seen(); i++) {
        uint64_t due_ns = (uint64_t)((double)i / rate * (double)PX_NS_PER_S);
        if (seconds && due_ns >= seconds * PX_NS_PER_S)
            break;
        wait_until(t->started_ns + due_ns);
        if (px_interrupts_seen())
            break;
        code = send_one(t, err);
        snprintf(note, sizeof note, "%" PRIu64 " requests, %" PRIu64 " failed,", t->n_requests,
                 t->n_failed);
        px_progress_update(&bar, due_ns / PX_NS_PER_S, note);
    }
    px_progress_end(&bar);
    return code == PX_E_CANCELLED ? PX_OK : code;
}

static void print_summary(const struct traffic *t)
{
    double mean_ms = t->n_requests ? (double)t->busy_ns / (double)t->n_requests / 1e6 : 0;
    fprintf(t->cli->out,
            "%" PRIu64 " requests, %" PRIu64 " rows scored, %" PRIu64
            " failed, %.2f ms on average\n",
            t->n_requests, t->n_rows, t->n_failed, mean_ms);
}

static enum px_code read_options(struct traffic *t, struct px_arena *arena, struct px_err *err)
{
    static const char *const required[] = {"model", "data"};
    struct px_cli *cli = t->cli;
    for (size_t i = 0; i < PX_ARRAY_LEN(required); i++) {
        if (px_cli_text(cli, required[i]).len == 0)
            return px_err_set(err, PX_E_INVALID, "traffic needs --%s", required[i]);
    }
    if (!(px_cli_real(cli, "rate") >= 1e-6 && px_cli_real(cli, "rate") <= 1e6))
        return px_err_set(err, PX_E_INVALID, "--rate must be 0.000001 to 1000000, got %g",
                          px_cli_real(cli, "rate"));
    if (px_cli_int(cli, "seconds") < 0 || px_cli_int(cli, "seconds") > 1 << 30)
        return px_err_set(err, PX_E_INVALID, "--seconds must be 0 (no end) or more");
    const struct px_endpoint_options options = {.model = px_cli_text(cli, "model"),
                                                .protocol = PX_BENCH_V1};
    return px_endpoint_parse(&t->endpoint, px_cli_text(cli, "url"), &options, arena, err);
}

/* The exit status. */
static int send_rows(struct traffic *t)
{
    struct px_cli *cli = t->cli;
    struct px_err err = {0};
    px_interrupts_guard();
    enum px_code code = cli->services->open_load(&t->load, &err);
    if (code == PX_OK)
        code = open_rows(&t->rows, px_cli_text(cli, "data").ptr, &err);
    if (code == PX_OK)
        code = run(t, px_cli_real(cli, "rate"), (uint64_t)px_cli_int(cli, "seconds"), &err);
    if (code != PX_OK)
        return px_cli_fail(cli, &err);
    print_summary(t);
    return t->n_requests > t->n_failed ? PX_EXIT_OK : PX_EXIT_FAILED;
}

int px_demo_traffic(struct px_cli *cli)
{
    struct px_err err = {0};
    struct px_arena arena = px_arena(URL_MEMORY_MAX);
    struct traffic t = {.cli = cli,
                        .rng = px_rng((uint64_t)px_cli_int(cli, "seed")),
                        .body = px_buf(BODY_MAX),
                        .reply = {.body = px_buf(BODY_MAX)}};
    enum px_code code = read_options(&t, &arena, &err);
    int status = code == PX_OK ? send_rows(&t) : px_cli_usage(cli, &err);
    px_load_destroy(t.load);
    px_csv_deinit(&t.rows.csv);
    px_file_unload(&t.rows.file);
    px_buf_deinit(&t.rows.header);
    px_buf_deinit(&t.reply.body);
    px_buf_deinit(&t.body);
    px_arena_deinit(&arena);
    return status;
}
