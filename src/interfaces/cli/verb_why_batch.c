/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why the latest batches of a running server's model were formed, from GET
 * /api/v1/models/MODEL/batches.
 */
#include "application/bench/endpoint.h"
#include "interfaces/cli/bench/plot.h"
#include "interfaces/cli/stream.h"
#include "interfaces/cli/verbs.h"
#include "interfaces/cli/visible.h"
#include "shared/json.h"

enum { MEMORY_MAX = 8 << 20, REPLY_MAX = 1 << 20, NAMES_SHOWN = 8, NAMES_MAX = 200 };

struct asking {
    struct px_cli *cli;
    struct px_load *load;
    struct px_arena arena;
    struct px_str url;
    struct px_endpoint endpoint;
    struct px_load_reply reply;
};

/* ---- asking ---- */

/* What the server says is wrong: "detail" of its problem, or all that it sent; and its hint, if any. */
static struct px_str read_problem(struct asking *a, struct px_str *hint)
{
    struct px_str body = px_buf_view(&a->reply.body), key, detail = {0};
    struct px_json json;
    px_json_init(&json, body, &a->arena, 0);
    if (px_json_peek(&json) != PX_JSON_OBJECT)
        return body;
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        if (px_str_is(key, "detail"))
            detail = px_json_str(&json);
        else if (px_str_is(key, "hint"))
            *hint = px_json_str(&json);
        else
            px_json_skip(&json);
    }
    return px_json_failed(&json) || !detail.len ? body : detail;
}

static enum px_code get(struct asking *a, struct px_str path, struct px_err *err)
{
    px_buf_clear(&a->reply.body);
    enum px_code code = px_load_get(a->load, &a->endpoint.address, path, &a->reply, err);
    if (code != PX_OK || a->reply.status == 200)
        return code;
    struct px_str hint = {0}, problem = read_problem(a, &hint);
    code = px_err_set(err, a->reply.status == 404 ? PX_E_NOT_FOUND : PX_E_UNAVAILABLE,
                      "GET %.*s: status %d: %.*s", PX_STR_ARG(path), a->reply.status,
                      PX_STR_ARG(problem));
    return hint.len ? px_err_hint(err, "%.*s", PX_STR_ARG(hint)) : code;
}

/* Names of the server's models, the first of them in `*ret`. */
static size_t list_models(struct asking *a, struct px_str *ret, struct px_buf *names)
{
    struct px_json json;
    struct px_str key;
    size_t n = 0;
    px_json_init(&json, px_buf_view(&a->reply.body), &a->arena, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        if (!px_str_is(key, "models")) {
            px_json_skip(&json);
            continue;
        }
        px_json_enter_array(&json);
        for (; px_json_next_element(&json); n++) {
            struct px_str name = px_json_str(&json);
            if (n == 0)
                *ret = px_arena_str(&a->arena, name);
            if (n < NAMES_SHOWN)
                px_buf_printf(names, "%s%.*s", n ? ", " : "", PX_STR_ARG(name));
        }
    }
    return px_json_failed(&json) ? 0 : n;
}

/* A server with one model needs no --model. */
static enum px_code choose_model(struct asking *a, struct px_str *ret, struct px_err *err)
{
    char text[NAMES_MAX], path[512];
    struct px_buf names = px_buf_fixed(text, sizeof text);
    const struct px_endpoint_options any = {.has_body = true};
    enum px_code code = px_endpoint_parse(&a->endpoint, a->url, &any, &a->arena, err);
    if (code != PX_OK)
        return code;
    struct px_str base = a->endpoint.path;
    while (base.len && base.ptr[base.len - 1] == '/')
        base.len--;
    snprintf(path, sizeof path, "%.*s/v1/models", PX_STR_ARG(base));
    code = get(a, px_str(path), err);
    if (code != PX_OK)
        return code;
    size_t n = list_models(a, ret, &names);
    if (n == 1)
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "the server has %zu models: which one?", n);
    return n ? px_err_hint(err, "give --model NAME: %s%s", px_buf_cstr(&names),
                           n > NAMES_SHOWN ? ", ..." : "")
             : err->code;
}

/* "/v2/models/NAME/versions/N" is where the endpoint has the model; its batches
 * are told elsewhere. */
static struct px_str batches_path(struct asking *a)
{
    static const char prefix[] = "/v2/models/";
    struct px_str base = a->endpoint.base, model = a->endpoint.metadata_path;
    size_t skipped = base.len + strlen(prefix);
    char text[2048];
    struct px_buf path = px_buf_fixed(text, sizeof text);
    px_buf_str(&path, base);
    px_buf_text(&path, "/api/v1/models/");
    px_buf_str(&path, px_str_n(model.ptr + skipped, model.len - skipped));
    px_buf_text(&path, "/batches");
    return path.failed ? (struct px_str){0} : px_arena_str(&a->arena, px_buf_view(&path));
}

static bool names_model(const struct asking *a)
{
    return px_str_find(a->url, '?') == a->url.len &&
           memmem(a->url.ptr, a->url.len, "/models/", strlen("/models/")) != NULL;
}

static enum px_code ask(struct asking *a, struct px_err *err)
{
    struct px_endpoint_options options = {.model = px_cli_text(a->cli, "model")};
    enum px_code code = PX_OK;
    if (options.model.len == 0 && !names_model(a))
        code = choose_model(a, &options.model, err);
    if (code == PX_OK)
        code = px_endpoint_parse(&a->endpoint, a->url, &options, &a->arena, err);
    if (code != PX_OK)
        return code;
    struct px_str path = batches_path(a);
    if (!path.ptr)
        return px_err_set(err, PX_E_INVALID, "the name of the model is too long");
    return get(a, path, err);
}

/* ---- telling ---- */

struct batch {
    double age_ms, rows, requests, waited_us, took_us, predicted_us;
    struct px_str reason, error;
    bool in_place, retried;
};

struct told {
    struct px_str model, version, form, why;
    struct px_str settings;
    double fixed_us, row_us, observations, queued, running, refused, late, retried;
    bool has_cost;
};

/* Numbers by name; whatever else there is, is passed over. */
struct number {
    const char *name;
    double *to;
};

static bool read_number(struct px_json *json, struct px_str key, const struct number *numbers,
                        size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (px_str_is(key, numbers[i].name)) {
            *numbers[i].to = px_json_f64(json);
            return true;
        }
    }
    return false;
}

static void read_cost(struct px_json *json, struct told *t)
{
    const struct number numbers[] = {
        {"fixed_us", &t->fixed_us}, {"row_us", &t->row_us}, {"observations", &t->observations}};
    struct px_str key;
    t->has_cost = true;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (!read_number(json, key, numbers, PX_ARRAY_LEN(numbers)))
            px_json_skip(json);
    }
}

static void read_batch(struct px_json *json, struct batch *b)
{
    const struct number numbers[] = {
        {"age_ms", &b->age_ms},     {"rows", &b->rows},
        {"requests", &b->requests}, {"oldest_wait_us", &b->waited_us},
        {"took_us", &b->took_us},   {"predicted_us", &b->predicted_us}};
    struct px_str key;
    *b = (struct batch){0};
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "reason"))
            b->reason = px_json_str(json);
        else if (px_str_is(key, "error"))
            b->error = px_json_str(json);
        else if (px_str_is(key, "in_place"))
            b->in_place = px_json_bool(json);
        else if (px_str_is(key, "retried"))
            b->retried = px_json_bool(json);
        else if (!read_number(json, key, numbers, PX_ARRAY_LEN(numbers)))
            px_json_skip(json);
    }
}

static void print_us(FILE *out, int width, double us)
{
    char text[PX_DURATION_TEXT];
    fprintf(out, "%*s", width, px_format_duration(us * 1e3, text));
}

static void print_batch(FILE *out, const struct batch *b)
{
    print_us(out, 10, b->age_ms * 1e3);
    fprintf(out, " %6.0f %9.0f  ", b->rows, b->requests);
    px_print_visible(out, b->reason);
    fprintf(out, "%*s", b->reason.len < 9 ? (int)(9 - b->reason.len) : 0, "");
    print_us(out, 10, b->waited_us);
    print_us(out, 10, b->took_us);
    if (b->predicted_us > 0)
        print_us(out, 10, b->predicted_us);
    else
        fprintf(out, "%10s", "-");
    if (b->in_place)
        fputs("  computed in place", out);
    if (b->retried)
        fputs("  retried one by one", out);
    if (b->error.len) {
        fputs("  ", out);
        px_print_visible(out, b->error);
    }
    fputc('\n', out);
}

static void print_batches(FILE *out, struct px_json *json)
{
    struct batch batch;
    size_t n = 0;
    px_json_enter_array(json);
    for (; px_json_next_element(json); n++) {
        if (n == 0)
            fprintf(out, "\n%10s %6s %9s  %-9s%10s%10s%10s\n", "age", "rows", "requests", "reason",
                    "waited", "took", "predicted");
        read_batch(json, &batch);
        if (!px_json_failed(json))
            print_batch(out, &batch);
    }
    if (n == 0 && !px_json_failed(json))
        fputs("\nno batch was formed yet\n", out);
}

static void print_head(FILE *out, const struct told *t)
{
    fputs(t->version.len ? "" : "\nstep ", out);
    px_print_visible(out, t->model);
    if (t->version.len) {
        fputs(" version ", out);
        px_print_visible(out, t->version);
    }
    fputs(", ", out);
    px_print_visible(out, t->form);
    fputs(": ", out);
    px_print_visible(out, t->why);
    fputc('\n', out);
    if (t->settings.len) {
        fputs("  settings   ", out);
        px_print_json(out, t->settings);
        fputc('\n', out);
        fprintf(out,
                "  now        %.0f waiting, %.0f being computed; %.0f refused, %.0f "
                "late, %.0f retried "
                "so far\n",
                t->queued, t->running, t->refused, t->late, t->retried);
    }
    if (t->has_cost)
        fprintf(out, "  cost line  %.2f us + %.2f us a row, of %.0f batches\n", t->fixed_us,
                t->row_us, t->observations);
}

static bool read_text(struct px_json *json, struct px_str key, struct told *t)
{
    const struct {
        const char *name;
        struct px_str *to;
    } texts[] = {
        {"name", &t->model}, {"version", &t->version}, {"form", &t->form}, {"why", &t->why}};
    for (size_t i = 0; i < PX_ARRAY_LEN(texts); i++) {
        if (px_str_is(key, texts[i].name)) {
            *texts[i].to = px_json_str(json);
            return true;
        }
    }
    return false;
}

static void tell_queue(FILE *out, struct px_json *json);

static void tell_steps(FILE *out, struct px_json *json)
{
    px_json_enter_array(json);
    while (px_json_next_element(json) && px_json_peek(json) == PX_JSON_OBJECT)
        tell_queue(out, json);
}

/* A model's queue, or one of a graph's. Batches and steps come last: what is before them heads them. */
static void tell_queue(FILE *out, struct px_json *json)
{
    struct told t = {0};
    const struct number numbers[] = {{"queued", &t.queued},
                                     {"running", &t.running},
                                     {"refused", &t.refused},
                                     {"late", &t.late},
                                     {"retried", &t.retried}};
    struct px_str key;
    bool headed = false;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        bool is_last = px_str_is(key, "batches") || px_str_is(key, "steps");
        if (is_last && !headed)
            print_head(out, &t);
        headed = headed || is_last;
        if (px_str_is(key, "batches"))
            print_batches(out, json);
        else if (is_last)
            tell_steps(out, json); /* as deep as px_json allows */
        else if (px_str_is(key, "cost"))
            read_cost(json, &t);
        else if (px_str_is(key, "settings"))
            t.settings = px_json_raw(json);
        else if (!read_text(json, key, &t) &&
                 !read_number(json, key, numbers, PX_ARRAY_LEN(numbers)))
            px_json_skip(json);
    }
    if (!headed && !px_json_failed(json))
        print_head(out, &t);
}

static enum px_code tell(struct asking *a, struct px_err *err)
{
    struct px_json json;
    px_json_init(&json, px_buf_view(&a->reply.body), &a->arena, 0);
    tell_queue(a->cli->out, &json);
    enum px_code code = px_json_finish(&json, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "the server's answer");
}

static enum px_code run(struct asking *a, struct px_err *err)
{
    struct px_cli *cli = a->cli;
    struct px_str given = px_str(cli->arguments[0]);
    char url[2048];
    bool has_scheme = memmem(given.ptr, given.len, "://", 3) != NULL;
    if (given.len > sizeof url - 16)
        return px_err_set(err, PX_E_INVALID, "the URL is too long");
    snprintf(url, sizeof url, "%s%.*s", has_scheme ? "" : "http://", PX_STR_ARG(given));
    a->url = px_str(url);
    enum px_code code = cli->services->open_load(&a->load, err);
    if (code == PX_OK)
        code = ask(a, err);
    if (code != PX_OK || !px_cli_flag(cli, "json"))
        return code == PX_OK ? tell(a, err) : code;
    struct px_str body = px_buf_view(&a->reply.body);
    fwrite(body.ptr, 1, body.len, cli->out);
    fputc('\n', cli->out);
    return PX_OK;
}

static int run_why_batch(struct px_cli *cli)
{
    struct px_err err = {0};
    struct asking a = {
        .cli = cli, .arena = px_arena(MEMORY_MAX), .reply = {.body = px_buf(REPLY_MAX)}};
    px_interrupts_guard();
    enum px_code code = run(&a, &err);
    px_load_destroy(a.load);
    px_buf_deinit(&a.reply.body);
    px_arena_deinit(&a.arena);
    return code == PX_OK ? PX_EXIT_OK : px_cli_fail(cli, &err);
}

static const struct px_option options[] = {
    {"model", 0, PX_OPTION_TEXT, "NAME",
     "The model, or NAME/versions/N; not needed when the URL names it or the "
     "server has only one.",
     NULL},
    {"json", 0, PX_OPTION_FLAG, NULL, "Print the server's JSON.", NULL},
    {0},
};

const struct px_verb px_verb_why_batch = {
    .name = "why-batch",
    .summary = "Say why a running server put requests together as it did.",
    .arguments = "URL|HOST:PORT",
    .details = "The latest batches of a model, the newest first: rows, "
               "requests, the reason why each was "
               "formed when it was, how long its oldest request had waited, "
               "how long it took, and how "
               "long it was expected to take. Above them how the model is "
               "batched and why, its settings, "
               "and the cost line that is fitted to what batches take: a fixed "
               "part and a part for each "
               "row.\n"
               "\n"
               "docs/api/batching.md lists the reasons.\n"
               "\n"
               "    phoenix why-batch http://127.0.0.1:8080 --model mlp\n"
               "    phoenix why-batch 127.0.0.1:8080/v2/models/mlp/versions/2\n"
               "    phoenix why-batch 127.0.0.1:8080 --json",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_why_batch,
};
