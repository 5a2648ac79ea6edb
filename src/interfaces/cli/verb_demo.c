/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/training/simulator.h"
#include "interfaces/cli/demo_traffic.h"
#include "interfaces/cli/stream.h"
#include "interfaces/cli/verbs.h"

enum { CHUNK = 1 << 16, LINE_MAX_BYTES = 512, ROWS_MAX = 1000000000 };

static enum px_code write_rows(struct px_cli *cli, struct px_output *output, int64_t n_rows,
                               struct px_err *err)
{
    struct px_simulator simulator = px_simulator((uint64_t)px_cli_int(cli, "seed"));
    struct px_progress bar = px_progress(cli->err, "simulate", (uint64_t)n_rows);
    struct px_buf csv = px_buf(CHUNK + LINE_MAX_BYTES);
    struct px_payment payment;
    enum px_code code = PX_OK;
    px_payment_header(&csv);
    for (int64_t row = 0; code == PX_OK && row < n_rows; row++) {
        px_simulator_next(&simulator, &payment);
        px_payment_put(&payment, &csv);
        if (csv.len < CHUNK && row + 1 < n_rows)
            continue;
        code = px_buf_check(&csv, "the rows", err);
        if (code == PX_OK)
            code = px_output_write(output, px_buf_view(&csv), err);
        if (code == PX_OK && px_interrupts_seen())
            code = px_err_set(err, PX_E_CANCELLED, "interrupted");
        px_buf_clear(&csv);
        px_progress_update(&bar, (uint64_t)row, "");
    }
    px_progress_end(&bar);
    px_buf_deinit(&csv);
    return code;
}

static int make_data(struct px_cli *cli)
{
    struct px_err err = {0};
    struct px_output output;
    int64_t n_rows = px_cli_int(cli, "rows");
    if (n_rows < 1 || n_rows > ROWS_MAX) {
        px_err_set(&err, PX_E_INVALID, "--rows must be 1 to %d, got %lld", ROWS_MAX,
                   (long long)n_rows);
        return px_cli_usage(cli, &err);
    }
    px_interrupts_guard();
    enum px_code code = px_output_open(&output, px_cli_text(cli, "out").ptr, &err);
    if (code == PX_OK) {
        code = write_rows(cli, &output, n_rows, &err);
        if (code == PX_OK)
            code = px_output_commit(&output, &err);
        px_output_close(&output);
    }
    if (code == PX_OK)
        return PX_EXIT_OK;
    px_cli_fail(cli, &err);
    return code == PX_E_CANCELLED ? PX_EXIT_INTERRUPTED : PX_EXIT_FAILED;
}

static int run_demo(struct px_cli *cli)
{
    static const struct px_str whats[] = {PX_STR("data"), PX_STR("traffic")};
    struct px_str what = px_str(cli->arguments[0]);
    struct px_err err = {0};
    if (px_str_eq(what, whats[0]))
        return make_data(cli);
    if (px_str_eq(what, whats[1]))
        return px_demo_traffic(cli);
    px_err_set(&err, PX_E_INVALID, "expected data or traffic, got '%.*s'", PX_STR_ARG(what));
    (void)px_err_suggest(&err, what, whats, PX_ARRAY_LEN(whats));
    return px_cli_usage(cli, &err);
}

static const struct px_option options[] = {
    {"rows", 'n', PX_OPTION_INT, "N", "data: how many payments.", "10000"},
    {"seed", 's', PX_OPTION_INT, "N", "The same seed gives the same payments.", "1"},
    {"out", 'o', PX_OPTION_TEXT, "FILE", "data: where they go as CSV; - is standard output.", "-"},
    {"url", 'u', PX_OPTION_TEXT, "URL", "traffic: the server.", "http://127.0.0.1:8080"},
    {"model", 'm', PX_OPTION_TEXT, "NAME", "traffic: the model to ask.", NULL},
    {"data", 'd', PX_OPTION_TEXT, "FILE", "traffic: the rows to send, as CSV with a header.", NULL},
    {"rate", 'r', PX_OPTION_REAL, "R", "traffic: requests per second.", "10"},
    {"seconds", 0, PX_OPTION_INT, "N", "traffic: for how long; 0 = until Ctrl-C.", "60"},
    {0},
};

const struct px_verb px_verb_demo = {
    .name = "demo",
    .summary = "Make demonstration data, or send a trickle of requests.",
    .arguments = "data|traffic",
    .details = "'data' simulates card payments with a few per cent of fraud: amounts, merchant "
               "categories, countries, habits, missing values, and fraud patterns that are "
               "interactions. The target column is is_fraud. Nothing describes real people.\n"
               "\n"
               "'traffic' sends rows of a file to a running server, one to four per request, and "
               "says how many failed.\n"
               "\n"
               "    phoenix demo data --rows 100000 --out payments.csv\n"
               "    phoenix train --data payments.csv --target is_fraud --out fraud\n"
               "    phoenix demo traffic --model fraud --data payments.csv --rate 20",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_demo,
};
