/* SPDX-License-Identifier: Apache-2.0 */
#include "application/bench/bodies.h"

#include "application/bench/inputs.h"
#include "shared/alloc.h"
#include "shared/json.h"
#include "shared/rng.h"

#include <math.h>

enum { ARENA_MAX = 256 << 20, NAMES_SHOWN = 6, WHOLE_BELOW = 4 };

void px_bodies_deinit(struct px_bodies *bodies)
{
    px_buf_deinit(&bodies->text);
    px_free(bodies->bodies);
    *bodies = (struct px_bodies){0};
}

static double random_number(const struct px_input_tensor *tensor, size_t at, struct px_rng *rng)
{
    double typical = tensor->typical ? tensor->typical[at] : (double)NAN;
    double noise = px_rng_normal(rng);
    if (isnan(typical))
        return noise;
    double scale = fabs(typical) > 1 ? fabs(typical) : 1;
    return typical + noise * scale * 0.5;
}

static void put_date(struct px_json_writer *w, struct px_rng *rng)
{
    char text[32];
    snprintf(text, sizeof text, "20%02d-%02d-%02dT%02d:%02d:00Z", (int)(20 + px_rng_below(rng, 6)),
             (int)(1 + px_rng_below(rng, 12)), (int)(1 + px_rng_below(rng, 28)),
             (int)px_rng_below(rng, 24), (int)px_rng_below(rng, 60));
    px_json_put_text(w, text);
}

/* `numbers`: the tensor has a datatype of numbers, so that true is 1. */
static void put_value(struct px_json_writer *w, const struct px_input_tensor *tensor, size_t at,
                      bool numbers, struct px_rng *rng)
{
    switch (tensor->kinds ? tensor->kinds[at] : tensor->kind) {
    case PX_INPUT_NUMBER:
        px_json_put_f32(w, (float)random_number(tensor, at, rng), false);
        return;
    case PX_INPUT_WHOLE:
        px_json_put_u64(w, px_rng_below(rng, WHOLE_BELOW));
        return;
    case PX_INPUT_BOOL:
        if (numbers)
            px_json_put_u64(w, px_rng_below(rng, 2));
        else
            px_json_put_bool(w, px_rng_below(rng, 2) == 1);
        return;
    case PX_INPUT_DATE:
        put_date(w, rng);
        return;
    case PX_INPUT_TEXT:
        break;
    }
    if (tensor->n_categories)
        px_json_put_str(w, tensor->categories[px_rng_below(rng, tensor->n_categories)]);
    else
        px_json_put_text(w, "a");
}

static void put_tensor(struct px_json_writer *w, const struct px_input_tensor *tensor, size_t rows,
                       struct px_rng *rng)
{
    px_json_begin_object(w);
    px_json_member_str(w, "name", tensor->name);
    px_json_key(w, "shape");
    px_json_begin_array(w);
    px_json_put_u64(w, rows);
    for (size_t i = 0; i < tensor->n_dimensions; i++)
        px_json_put_u64(w, tensor->dimensions[i]);
    px_json_end_array(w);
    px_json_member_str(w, "datatype", tensor->datatype);
    px_json_key(w, "data");
    px_json_begin_array(w);
    for (size_t i = 0; i < rows * tensor->width && !w->buf->failed; i++)
        put_value(w, tensor, i % tensor->width, tensor->kind == PX_INPUT_NUMBER, rng);
    px_json_end_array(w);
    px_json_end_object(w);
}

static void put_v2(struct px_json_writer *w, const struct px_inputs *inputs, size_t rows,
                   struct px_rng *rng)
{
    px_json_begin_object(w);
    px_json_key(w, "inputs");
    px_json_begin_array(w);
    for (size_t i = 0; i < inputs->n; i++)
        put_tensor(w, &inputs->tensors[i], rows, rng);
    px_json_end_array(w);
    px_json_end_object(w);
}

static void put_v1(struct px_json_writer *w, const struct px_inputs *inputs, size_t rows,
                   struct px_rng *rng)
{
    px_json_begin_object(w);
    px_json_key(w, "instances");
    px_json_begin_array(w);
    for (size_t row = 0; row < rows && !w->buf->failed; row++) {
        px_json_begin_array(w);
        for (size_t i = 0; i < inputs->n; i++) {
            for (size_t k = 0; k < inputs->tensors[i].width; k++)
                put_value(w, &inputs->tensors[i], k, false, rng);
        }
        px_json_end_array(w);
    }
    px_json_end_array(w);
    px_json_end_object(w);
}

/* Points `bodies` at the parts of the text, which no longer moves. */
static enum px_code cut(struct px_bodies *bodies, const size_t *ends, size_t n, struct px_err *err)
{
    bodies->bodies = px_alloc(n, sizeof *bodies->bodies);
    if (!bodies->bodies)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu bodies", n);
    for (size_t i = 0; i < n; i++) {
        size_t begin = i ? ends[i - 1] : 0;
        bodies->bodies[i] = px_str_n(bodies->text.ptr + begin, ends[i] - begin);
    }
    bodies->n = n;
    return PX_OK;
}

static enum px_code write_bodies(struct px_bodies *bodies, const struct px_inputs *inputs,
                                 enum px_bench_protocol protocol,
                                 const struct px_bodies_options *options, struct px_err *err)
{
    size_t ends[PX_BODIES_VARIANTS], n = 0;
    struct px_rng rng = px_rng(options->seed);
    while (n < PX_BODIES_VARIANTS) {
        size_t begin = bodies->text.len;
        struct px_json_writer w = px_json_writer(&bodies->text);
        if (protocol == PX_BENCH_V1)
            put_v1(&w, inputs, options->rows, &rng);
        else
            put_v2(&w, inputs, options->rows, &rng);
        ends[n++] = bodies->text.len;
        if (bodies->text.failed || bodies->text.max - bodies->text.len < 2 * (ends[n - 1] - begin))
            break;
    }
    enum px_code code = px_buf_check(&bodies->text, "a request with so many rows", err);
    return code == PX_OK ? cut(bodies, ends, n, err) : code;
}

/* Appends "bank, fraud" to the error when the server tells which models there are. */
static void hint_models(struct px_load *load, const struct px_endpoint *endpoint,
                        struct px_arena *arena, struct px_err *err)
{
    char path[512], names[PX_ERR_HINT_MAX / 2];
    struct px_load_reply reply = {.body = px_buf(PX_BODIES_REPLY_MAX)};
    struct px_buf list = px_buf_fixed(names, sizeof names);
    struct px_json json;
    struct px_str key;
    struct px_err ignored;
    size_t n = 0;
    snprintf(path, sizeof path, "%.*s/v1/models", PX_STR_ARG(endpoint->base));
    if (px_load_get(load, &endpoint->address, px_str(path), &reply, &ignored) == PX_OK &&
        reply.status == 200) {
        px_json_init(&json, px_buf_view(&reply.body), arena, 0);
        px_json_enter_object(&json);
        if (px_json_next_key(&json, &key) && px_str_is(key, "models") &&
            px_json_enter_array(&json)) {
            for (; n < NAMES_SHOWN && px_json_next_element(&json); n++) {
                struct px_str name = px_json_str(&json);
                px_buf_printf(&list, "%s%.*s", n ? ", " : "", PX_STR_ARG(name));
            }
        }
    }
    if (n)
        (void)px_err_hint(err, "models there: %s%s", names, n == NAMES_SHOWN ? ", ..." : "");
    px_buf_deinit(&reply.body);
}

/* The metadata of the model, checked to be an answer. */
static enum px_code fetch_metadata(struct px_load *load, const struct px_endpoint *endpoint,
                                   struct px_load_reply *reply, struct px_arena *arena,
                                   struct px_err *err)
{
    enum px_code code = px_load_get(load, &endpoint->address, endpoint->metadata_path, reply, err);
    if (code != PX_OK || reply->status == 200)
        return code;
    struct px_str body = px_buf_view(&reply->body);
    px_err_set(err, reply->status == 404 ? PX_E_NOT_FOUND : PX_E_UNAVAILABLE,
               "GET %.*s: status %d: %.*s", PX_STR_ARG(endpoint->metadata_path), reply->status,
               PX_STR_ARG(body));
    (void)px_err_hint(err, "without metadata give the request with --body FILE");
    if (reply->status == 404)
        hint_models(load, endpoint, arena, err);
    return err->code;
}

static enum px_code read_inputs(struct px_inputs *inputs, struct px_load *load,
                                const struct px_endpoint *endpoint, struct px_arena *arena,
                                struct px_err *err)
{
    char path[512];
    struct px_err ignored;
    struct px_load_reply reply = {.body = px_buf(PX_BODIES_REPLY_MAX)};
    enum px_code code = fetch_metadata(load, endpoint, &reply, arena, err);
    if (code == PX_OK) {
        code = px_inputs_read(inputs, px_buf_view(&reply.body), arena, err);
        if (code != PX_OK)
            px_err_wrap(err, "GET %.*s", PX_STR_ARG(endpoint->metadata_path));
    }
    px_buf_clear(&reply.body);
    snprintf(path, sizeof path, "%.*s/api/v1/models", PX_STR_ARG(endpoint->base));
    if (code == PX_OK &&
        px_load_get(load, &endpoint->address, px_str(path), &reply, &ignored) == PX_OK &&
        reply.status == 200)
        px_inputs_guide(inputs, px_buf_view(&reply.body), endpoint->model, arena);
    px_buf_deinit(&reply.body);
    return code;
}

enum px_code px_bodies_make(struct px_bodies *bodies, struct px_load *load,
                            const struct px_endpoint *endpoint,
                            const struct px_bodies_options *options, struct px_err *err)
{
    PX_ASSERT(endpoint->protocol != PX_BENCH_RAW && options->rows > 0 && err);
    struct px_arena arena = px_arena(ARENA_MAX);
    struct px_inputs inputs = {0};
    *bodies = (struct px_bodies){.text = px_buf(PX_BODIES_BYTES_MAX)};
    enum px_code code = read_inputs(&inputs, load, endpoint, &arena, err);
    if (code == PX_OK)
        code = write_bodies(bodies, &inputs, endpoint->protocol, options, err);
    for (size_t i = 0; i < inputs.n; i++)
        bodies->n_features += inputs.tensors[i].width;
    bodies->guided = inputs.guided;
    px_arena_deinit(&arena);
    return code;
}

enum px_code px_bodies_take(struct px_bodies *bodies, struct px_str body, struct px_err *err)
{
    *bodies = (struct px_bodies){.text = px_buf(PX_BODIES_BYTES_MAX)};
    px_buf_str(&bodies->text, body);
    enum px_code code = px_buf_check(&bodies->text, "the body", err);
    return code == PX_OK ? cut(bodies, &bodies->text.len, 1, err) : code;
}
