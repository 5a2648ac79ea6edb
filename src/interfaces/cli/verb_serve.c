/* SPDX-License-Identifier: Apache-2.0 */
/* phoenix serve: loads models and answers requests until it is told to stop. */
#include "application/cache/cache.h"
#include "application/config/apply_log.h"
#include "application/fetching/fetching.h"
#include "application/parallel/pool.h"
#include "application/residency/memory_use.h"
#include "application/serving/serving.h"
#include "interfaces/cli/verbs.h"

#include "shared/clock.h"
#include "shared/cores.h"
#include "shared/log.h"

#include <errno.h>

enum { SAMPLE_SHOWN_MAX = 1200 };

/* Options that stand for a configuration key. */
static const struct {
    const char *option, *key, *shown;
} overrides[] = {
    {"host", "server.host", "--host"},
    {"port", "server.port", "--port"},
    {"listen", "server.listen", "--listen"},
    {"threads", "server.threads", "--threads"},
    {"poll", "serving.poll_s", "--poll"},
    {"drain-delay-ms", "server.drain_delay_ms", "--drain-delay-ms"},
    {"log-level", "log.level", "--log-level"},
    {"log-format", "log.format", "--log-format"},
};

/* Variables that stand for a key, as Vertex AI sets them; stronger than the file, weaker than options. */
static void add_environment(struct px_config_sources *sources)
{
    static const struct {
        const char *variable, *key;
    } variables[] = {
        {"AIP_HTTP_PORT", "server.port"},
        {"AIP_PREDICT_ROUTE", "vertex.predict_route"},
        {"AIP_HEALTH_ROUTE", "vertex.health_route"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(variables); i++) {
        const char *value = getenv(variables[i].variable);
        if (value && value[0])
            px_config_sources_add(
                sources, (struct px_config_override){PX_CONFIG_ENVIRONMENT, variables[i].key,
                                                     px_str(value), variables[i].variable});
    }
}

/* What is stronger than the file, the weaker first. */
static enum px_code find_sources(struct px_cli *cli, struct px_config_sources *sources,
                                 struct px_arena *arena, struct px_err *err)
{
    *sources = (struct px_config_sources){0};
    if (px_cli_given(cli, "config")) {
        sources->path = px_arena_cstr(arena, px_cli_text(cli, "config"));
        if (!sources->path)
            return px_arena_check(arena, "the path", err);
    }
    add_environment(sources);
    for (size_t i = 0; i < PX_ARRAY_LEN(overrides); i++) {
        if (px_cli_given(cli, overrides[i].option))
            px_config_sources_add(sources,
                                  (struct px_config_override){PX_CONFIG_OPTION, overrides[i].key,
                                                              px_cli_text(cli, overrides[i].option),
                                                              overrides[i].shown});
    }
    return PX_OK;
}

static struct px_residency_settings residency_settings(const struct px_config *config)
{
    bool on_demand = px_str_is(config->serving_load_models, "demand");
    return (struct px_residency_settings){
        .on_demand = on_demand,
        .preload_ns = on_demand ? (uint64_t)config->serving_preload_s * PX_NS_PER_S : 0,
        .memory_max = (uint64_t)config->serving_memory_max,
        .load_wait_ns = (uint64_t)config->serving_load_wait_ms * PX_NS_PER_MS,
        .resident_min_ns = (uint64_t)config->serving_resident_min_s * PX_NS_PER_S,
        .poll_ns = (uint64_t)config->serving_poll_s * PX_NS_PER_S,
    };
}

/* Texts of the configuration end with NUL. */
static enum px_code set_fetching(struct px_cli *cli, const struct px_config *config,
                                 struct px_serving *serving, struct px_err *err)
{
    const struct px_fetching_settings settings = {
        .stores = cli->services->stores,
        .cache_dir = config->repository_cache_dir.ptr,
        .cache_bytes_max = (uint64_t)config->repository_cache_bytes_max,
        .store = {.token_file =
                      config->repository_token_file.len ? config->repository_token_file.ptr : NULL,
                  .ca_file =
                      config->repository_ca_file.len ? config->repository_ca_file.ptr : NULL},
    };
    return px_serving_set_fetching(serving, &settings, err);
}

static enum px_code load_models(struct px_cli *cli, const struct px_config *config,
                                struct px_serving **ret, struct px_err *err)
{
    size_t cache_bytes = (size_t)config->cache_bytes_max;
    px_memory_prefer_mappings();
    const struct px_serving_limits limits = {
        .request_rows_max = (size_t)config->serving_request_rows_max,
        .batch_rows_max = (size_t)config->serving_batch_rows_max,
        .wave_bytes_max = (size_t)config->serving_request_memory_max,
        .batch_threads = config->serving_batch_threads ? (unsigned)config->serving_batch_threads
                                                       : px_cores(PX_POOL_THREADS_MAX),
        .cache_bytes_max =
            cache_bytes && cache_bytes < PX_CACHE_BYTES_MIN ? PX_CACHE_BYTES_MIN : cache_bytes,
    };
    enum px_code code = px_serving_create((unsigned)config->server_threads, &limits, ret, err);
    if (code == PX_OK) {
        struct px_residency_settings residency = residency_settings(config);
        residency.read_memory = cli->services->read_memory;
        px_serving_set_engines(*ret, cli->services->engines);
        px_serving_set_residency(*ret, &residency);
        code = set_fetching(cli, config, *ret, err);
    }
    for (size_t i = 0; code == PX_OK && i < cli->n_arguments; i++)
        code = px_serving_add(*ret, cli->arguments[i], err);
    return code;
}

/*
 * A server whose only model was named by the only argument has nothing to do without it; of several, or of a
 * folder's, one that fails leaves the others.
 */
static enum px_code refuse_lone_failure(struct px_serving *serving, struct px_err *err)
{
    const struct px_model_set *set = px_serving_models(serving);
    const struct px_model *model = set->n_models == 1 ? set->models[0] : NULL;
    if (!model || model->state != PX_MODEL_FAILED || !model->stands_alone)
        return PX_OK;
    *err = model->reason;
    return err->code;
}

static void print_model(FILE *out, const struct px_model *model)
{
    char reason[512];
    if (model->state == PX_MODEL_REGISTERED)
        return; /* there may be thousands */
    if (model->state == PX_MODEL_FAILED) {
        fprintf(out, "  %-20.*s %-8.*s FAILED   %s\n", PX_STR_ARG(model->name),
                PX_STR_ARG(model->version), px_err_text(&model->reason, reason, sizeof reason));
        return;
    }
    if (!model->forest) {
        fprintf(out, "  %-20.*s %-8.*s ready    %s, %zu inputs, %zu outputs\n",
                PX_STR_ARG(model->name), PX_STR_ARG(model->version), px_engine_name(model->engine),
                model->engine->takes.n, model->engine->gives.n);
        return;
    }
    fprintf(out, "  %-20.*s %-8.*s ready    %s, %zu trees, %zu features, %s\n",
            PX_STR_ARG(model->name), PX_STR_ARG(model->version),
            px_task_name(model->signature->task), model->forest->n_trees, model->forest->n_features,
            px_forest_format_name(model->forest->format));
}

/* What announce needs to know. */
struct announcement {
    FILE *out;
    struct px_serving *serving;
};

/* Text inside a single-quoted shell word. */
static void print_quoted(FILE *out, struct px_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'')
            fputs("'\\''", out);
        else
            fputc(text.ptr[i], out);
    }
}

/* How curl reaches a URL as the server gives it. */
static void print_target(FILE *out, const char *url)
{
    if (strncmp(url, "unix:", 5) == 0)
        fprintf(out, "--unix-socket %s http://localhost", url + 5);
    else
        fprintf(out, "%s", url);
}

static void print_curl(FILE *out, const struct px_model *model, const char *url)
{
    /* A model's name needs no quoting (application/lifecycle/model_name.h), a sample may. */
    fprintf(out, "\nTry it:\n  curl -s ");
    print_target(out, url);
    if (!model->forest) {
        fprintf(out, "/v2/models/%.*s/infer -d '", PX_STR_ARG(model->name));
        print_quoted(out, model->sample_json);
        fputs("'\n", out);
        return;
    }
    fprintf(out, "/v1/models/%.*s:predict -d '{\"instances\":[", PX_STR_ARG(model->name));
    print_quoted(out, model->sample_json);
    fputs("]}'\n", out);
}

/* "2 models, 3 versions", of what is ready; versions only where they say more. Those of a model follow each other. */
static void print_counts(FILE *out, const struct px_model_set *set)
{
    size_t n_models = 0, n_versions = 0;
    struct px_str last = {0};
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *model = set->models[i];
        if (model->state != PX_MODEL_READY)
            continue;
        n_versions++;
        n_models += !px_str_eq(model->name, last);
        last = model->name;
    }
    fprintf(out, "%zu model%s", n_models, n_models == 1 ? "" : "s");
    if (n_versions != n_models)
        fprintf(out, ", %zu versions", n_versions);
}

static void print_summary(const struct announcement *a, const char *urls[], size_t n_urls)
{
    const struct px_model_set *set = px_serving_models(a->serving);
    size_t n_registered = 0;
    for (size_t i = 0; i < set->n_models; i++)
        n_registered += set->models[i]->state == PX_MODEL_REGISTERED;
    fputs("Phoenix " PX_VERSION " serves ", a->out);
    print_counts(a->out, set);
    if (n_registered)
        fprintf(a->out, " and knows %zu more that are loaded when asked for,", n_registered);
    fputs(" on ", a->out);
    for (size_t i = 0; i < n_urls; i++)
        fprintf(a->out, "%s%s", i ? ", " : "", urls[i]);
    fputc('\n', a->out);
    for (size_t i = 0; i < set->n_models; i++)
        print_model(a->out, set->models[i]);
}

static void announce(void *context, const char *urls[], size_t n_urls)
{
    const struct announcement *a = context;
    const struct px_model_set *set = px_serving_models(a->serving);
    print_summary(a, urls, n_urls);
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *model = set->models[i];
        if (model->sample_json.len > 0 && model->sample_json.len <= SAMPLE_SHOWN_MAX) {
            print_curl(a->out, model, urls[0]);
            break;
        }
    }
    if (strncmp(urls[0], "unix:", 5) != 0)
        fprintf(a->out, "\nDashboard %s/   metrics %s/metrics   stop with Ctrl-C\n", urls[0],
                urls[0]);
    if (fflush(a->out) != 0) { /* a daemon's output may go nowhere; the log has the URLs */
        px_log(PX_LOG_WARN, "server.banner_lost", PX_LOG_T("reason", strerror(errno)));
        clearerr(a->out);
    }
}

static int run(struct px_cli *cli)
{
    struct px_err err;
    struct px_config config;
    struct px_config_sources sources;
    struct px_serving *serving = NULL;
    struct px_arena arena = px_arena(PX_CONFIG_MEMORY_MAX);
    if (cli->services->serve_begins)
        cli->services->serve_begins();
    enum px_code code = find_sources(cli, &sources, &arena, &err);
    if (code == PX_OK)
        code = px_config_read(&sources, &config, &arena, &err);
    if (code == PX_OK) /* loading may take long, for nothing if the settings are wrong */
        code = cli->services->check_config(&config, &err);
    if (code == PX_OK) {
        px_config_apply_log(&config);
        code = load_models(cli, &config, &serving, &err);
    }
    if (code == PX_OK)
        code = refuse_lone_failure(serving, &err);
    if (code == PX_OK) {
        struct announcement announcement = {cli->out, serving};
        const struct px_serve_job job = {&sources, &config, serving, announce, &announcement};
        code = cli->services->serve(&job, &err);
    }
    if (code != PX_OK && cli->services->serve_failed)
        cli->services->serve_failed(&err);
    px_serving_destroy(serving);
    px_arena_deinit(&arena);
    return code == PX_OK ? PX_EXIT_OK : px_cli_fail(cli, &err);
}

static const struct px_option options[] = {
    {"port", 'p', PX_OPTION_TEXT, "N", "TCP port (default 8080); 0 takes any free one", NULL},
    {"host", 0, PX_OPTION_TEXT, "ADDRESS", "address to listen on (default 127.0.0.1)", NULL},
    {"listen", 0, PX_OPTION_TEXT, "LIST",
     "listen there instead: HOST:PORT, https://HOST:PORT, unix:/PATH, ...", NULL},
    {"threads", 't', PX_OPTION_TEXT, "N", "event loops (default: one per CPU core)", NULL},
    {"config", 'c', PX_OPTION_TEXT, "FILE", "read settings from a phoenix.yaml", NULL},
    {"poll", 0, PX_OPTION_TEXT, "SECONDS",
     "look at the folders of models as often, and load what has changed (default: never)", NULL},
    {"drain-delay-ms", 0, PX_OPTION_TEXT, "MS",
     "after SIGTERM: go on serving this long with /readyz at 503 (default 5000)", NULL},
    {"log-level", 0, PX_OPTION_TEXT, "LEVEL", "debug, info, warn or error (default info)", NULL},
    {"log-format", 0, PX_OPTION_TEXT, "FORM", "logfmt or json (default logfmt)", NULL},
    {0},
};

const struct px_verb px_verb_serve = {
    .name = "serve",
    .summary = "Answer predictions over HTTP.",
    .arguments = "MODEL | NAME=MODEL... | DIR | URL",
    .details =
        "MODEL is a package folder (model.yaml or graph.yaml) or a bare model file: XGBoost JSON\n"
        "or UBJSON, LightGBM text, CatBoost JSON, ONNX. DIR holds models as\n"
        "<model>/<version>/file. URL (https://HOST/PATH/ or http://) is a DIR with an index, as\n"
        "'phoenix publish --index DIR' writes it, behind any web server: its models are fetched\n"
        "when they are asked for. A model that cannot be loaded is listed as failed with its\n"
        "reason, and the others serve; a single MODEL that cannot be loaded ends the server with\n"
        "its reason.\n"
        "\n"
        "Examples:\n"
        "  phoenix serve model.json\n"
        "  phoenix serve fraud=models/fraud churn=churn.txt --port 9000\n"
        "  phoenix serve models/ --config phoenix.yaml\n"
        "  phoenix serve https://models.example.com/production/ --poll 30",
    .options = options,
    .arguments_min = 1,
    .arguments_max = PX_CLI_ARGUMENTS_MAX,
    .run = run,
};
