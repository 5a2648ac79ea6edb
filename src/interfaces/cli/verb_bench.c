/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/cli/bench.h"
#include "interfaces/cli/verbs.h"

static int run_bench(struct px_cli *cli)
{
    return px_bench_load(cli);
}

static const struct px_option options[] = {
    {"json", 0, PX_OPTION_FLAG, NULL, "Print JSON.", NULL},
    {"no-color", 0, PX_OPTION_FLAG, NULL, "Draw with ASCII characters, also at a terminal.", NULL},
    {"seed", 's', PX_OPTION_INT, "N", "The same seed makes the same rows and arrivals.", "1"},
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
    .summary = "Measure a server under load.",
    .arguments = "URL",
    .details =
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
        "    phoenix bench http://127.0.0.1:8080 --model fraud\n"
        "    phoenix bench http://127.0.0.1:8080/v1/models/fraud:predict --rate 2000 --rows 16\n"
        "    phoenix bench http://10.0.0.7:8000/v2/models/m/infer --body request.json --json",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_bench,
};
