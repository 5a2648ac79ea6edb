/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/bench/bench.h"
#include "interfaces/cli/verbs.h"

/* Which half of the verb an option belongs to; those of neither belong to both. */
static const char *const of_models[] = {"seconds", "batches", "kernel", "data", "rounds"};
static const char *const of_urls[] = {"model",   "protocol",    "rate",         "duration",
                                      "rows",    "connections", "arrivals",     "limit-ms",
                                      "goodput", "start-rate",  "max-rate",     "timeout-ms",
                                      "threads", "body",        "content-type", "no-color"};

static enum px_code refuse_given(const struct px_cli *cli, const char *const *names, size_t n,
                                 const char *what, struct px_err *err)
{
    for (size_t i = 0; i < n; i++) {
        if (px_cli_given(cli, names[i]))
            return px_err_set(err, PX_E_INVALID, "--%s is for %s, and '%s' is none", names[i], what,
                              cli->arguments[0]);
    }
    return PX_OK;
}

static int run_bench(struct px_cli *cli)
{
    struct px_err err = {0};
    bool is_url = px_endpoint_is_url(px_str(cli->arguments[0]));
    enum px_code code =
        is_url ? refuse_given(cli, of_models, PX_ARRAY_LEN(of_models), "a model file", &err)
               : refuse_given(cli, of_urls, PX_ARRAY_LEN(of_urls), "the URL of a server", &err);
    if (code == PX_OK)
        return is_url ? px_bench_load(cli) : px_bench_model(cli);
    if (!is_url)
        (void)px_err_hint(&err, "a URL begins with http://");
    return px_cli_usage(cli, &err);
}

static const struct px_option options[] = {
    {"json", 0, PX_OPTION_FLAG, NULL, "Print JSON.", NULL},
    {"no-color", 0, PX_OPTION_FLAG, NULL, "Draw with ASCII characters, also at a terminal.", NULL},
    {"seed", 's', PX_OPTION_INT, "N", "The same seed makes the same rows and arrivals.", "1"},
    {"seconds", 0, PX_OPTION_REAL, "SECONDS",
     "MODEL: what measuring may take, all kernels and batches together.", "5"},
    {"batches", 0, PX_OPTION_TEXT, "N,N,...", "MODEL: rows per call.", "1,8,64,512,4096"},
    {"kernel", 'k', PX_OPTION_TEXT, "NAME", "MODEL: only this kernel.", NULL},
    {"data", 0, PX_OPTION_TEXT, "FILE",
     "MODEL: score the rows of a CSV file instead of rows made from the model.", NULL},
    {"rounds", 0, PX_OPTION_TEXT, "all|best",
     "MODEL: which trees of an early-stopped model count, unless the package's model.yaml says so.",
     "all"},
    {"model", 'm', PX_OPTION_TEXT, "NAME",
     "URL: the model to ask, NAME or NAME/versions/N, unless the URL names it.", NULL},
    {"protocol", 0, PX_OPTION_TEXT, "v2|v1",
     "URL: JSON to /v2/models/M/infer, or to /v1/models/M:predict. Without it the URL's path "
     "decides, and v2 where it has none.",
     NULL},
    {"rate", 'r', PX_OPTION_REAL, "R",
     "URL: one run at R requests per second. Without it the rate rises until the server no longer "
     "keeps up.",
     NULL},
    {"duration", 'd', PX_OPTION_REAL, "SECONDS",
     "URL: measured time of the run (10 unless given) or of each step of the ramp (2 unless "
     "given), after a warm-up of a fifth of it, at most 1 s.",
     NULL},
    {"connections", 'c', PX_OPTION_INT, "N", "URL: connections, each kept open.", "64"},
    {"rows", 'n', PX_OPTION_INT, "N", "URL: rows per request.", "1"},
    {"arrivals", 0, PX_OPTION_TEXT, "fixed|poisson",
     "URL: requests at even distances, or as from many independent clients.", "fixed"},
    {"limit-ms", 'l', PX_OPTION_REAL, "MS",
     "URL: the latency limit of goodput, and of p99 in the ramp.", "50"},
    {"goodput", 0, PX_OPTION_REAL, "PERCENT",
     "URL: a rate is kept up with when so many of the offered requests succeed within the limit.",
     "99"},
    {"start-rate", 0, PX_OPTION_REAL, "R", "URL: where the ramp starts.", "1000"},
    {"max-rate", 0, PX_OPTION_REAL, "R", "URL: where the ramp ends.", "1000000"},
    {"timeout-ms", 0, PX_OPTION_REAL, "MS",
     "URL: a request without a complete reply after MS has failed.", "5000"},
    {"threads", 't', PX_OPTION_INT, "N",
     "URL: threads of the client; half of the cores unless given.", NULL},
    {"body", 'b', PX_OPTION_TEXT, "FILE",
     "URL: send the contents of FILE instead of rows made from the model's metadata.", NULL},
    {"content-type", 0, PX_OPTION_TEXT, "TYPE",
     "URL: the Content-Type of --body; application/json unless given.", NULL},
    {0},
};

const struct px_verb px_verb_bench = {
    .name = "bench",
    .summary = "Time the kernels on a model, or put a server under load.",
    .arguments = "MODEL|URL",
    .details =
        "Of a model file: a table of batch size and kernel with the time of a row on one thread, "
        "the "
        "rows per second, the memory that a call touches, and which kernel the planner chose. "
        "Kernels that do not support the model are listed with the reason.\n"
        "\n"
        "Of a URL: open-loop load. Every request has a time at which it should be sent, whatever "
        "became of the ones before, and its latency counts from that time; so a server that "
        "stalls is not asked less while it stalls (coordinated omission). Without --rate the rate "
        "doubles until goodput falls short or p99 passes the limit, and the saturation point is "
        "searched between the last two rates. When the client itself cannot keep up, the report "
        "says so.\n"
        "\n"
        "Requests are random rows made from the model's metadata (GET /v2/models/NAME), or the "
        "contents of a file.\n"
        "\n"
        "    phoenix bench model.json\n"
        "    phoenix bench http://127.0.0.1:8080 --model fraud\n"
        "    phoenix bench http://127.0.0.1:8080/v1/models/fraud:predict --rate 2000 --rows 16\n"
        "    phoenix bench http://10.0.0.7:8000/v2/models/m/infer --body request.json --json",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_bench,
};
