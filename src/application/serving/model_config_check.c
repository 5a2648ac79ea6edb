/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client thinks that a model is, field by field. Most fields only have to agree with it; those that say how its requests
 * are put together and whether answers are kept are wishes, which are read here and granted when everything agrees
 * (model_config_apply.c).
 */
#include "application/serving/model_config.h"
#include "application/serving/model_config_batching.h"

#include "shared/json.h"

#include <stdio.h>

enum { CONFIG_MEMORY_MAX = 1 << 20 };

/* One check on its way. A contradiction goes to `err` at once; what is no JSON sticks to `json`. */
struct check {
    struct px_json json;
    const struct px_model_config *config;
    struct px_model_wishes *wishes;
    struct px_err *err;
    enum px_code code;
};

static void refuse(struct check *c, enum px_code code, const char *field, struct px_str got)
{
    if (c->code == PX_OK)
        c->code =
            px_err_set(c->err, code, "field '%s': '%.*s' %s", field, PX_STR_ARG(got),
                       code == PX_E_UNSUPPORTED ? "is not supported" : "is not what the model has");
}

/* A text that must be empty or one of `a`, `b` (NULL: no second). */
static void expect_text(struct check *c, const char *field, struct px_str a, const char *b)
{
    struct px_str got = px_json_str(&c->json);
    if (got.len && !px_str_eq(got, a) && !(b && px_str_is(got, b)))
        refuse(c, PX_E_INVALID, field, got);
}

/* null, false, 0, "", [] and {} say nothing in proto3's JSON; anything else asks for something. */
static bool says_nothing(struct px_str raw)
{
    static const char *const nothing[] = {"null", "false", "0", "\"\"", "[]", "{}", "\"0\""};
    for (size_t i = 0; i < PX_ARRAY_LEN(nothing); i++) {
        if (px_str_is(raw, nothing[i]))
            return true;
    }
    return false;
}

static void expect_nothing(struct check *c, struct px_str field)
{
    char name[80];
    struct px_str raw = px_json_raw(&c->json);
    snprintf(name, sizeof name, "%.*s", PX_STR_ARG(field));
    if (!px_json_failed(&c->json) && !says_nothing(raw))
        refuse(c, PX_E_UNSUPPORTED, name, raw);
}

/* An integer, which proto3's JSON may also write as text. */
static int64_t read_integer(struct check *c)
{
    int64_t number = 0;
    if (px_json_peek(&c->json) != PX_JSON_STRING)
        return px_json_i64(&c->json);
    struct px_str text = px_json_str(&c->json);
    if (!px_str_to_i64(text, &number))
        px_json_fail(&c->json, "expected an integer, got '%.*s'", PX_STR_ARG(text));
    return number;
}

/* A smaller one would have no effect: the limit is the server's, for every model. */
static void check_batch_size(struct check *c)
{
    char text[32];
    int64_t n = read_integer(c);
    if (px_json_failed(&c->json) || n == c->config->max_batch_size)
        return;
    snprintf(text, sizeof text, "%lld", (long long)n);
    refuse(c, PX_E_INVALID, "max_batch_size", px_str(text));
    if (c->code == PX_E_INVALID)
        c->code = px_err_hint(c->err, "the model has %ld; leave the field out to keep it",
                              (long)c->config->max_batch_size);
}

/* ---- tensors ---- */

struct tensor_text {
    struct px_str name, type;
    int64_t columns; /* the product of dims; -1 when one of them is any */
    int64_t dims[PX_TENSOR_DIMS_MAX];
    size_t n_dims;
};

static void read_dims(struct check *c, struct tensor_text *t)
{
    px_json_enter_array(&c->json);
    while (px_json_next_element(&c->json)) {
        int64_t dim = read_integer(c);
        if (dim < -1 || dim > 1 << 30 || t->columns > 1 << 30)
            px_json_fail(&c->json, "expected a dimension, got %lld", (long long)dim);
        t->columns = dim == -1 || t->columns == -1 ? -1 : t->columns * dim;
        if (t->n_dims < PX_TENSOR_DIMS_MAX)
            t->dims[t->n_dims++] = dim;
        else
            px_json_fail(&c->json, "expected at most %d dimensions", PX_TENSOR_DIMS_MAX);
    }
}

/* What is any on one side agrees with everything. */
static bool dims_agree(const struct tensor_text *t, const struct px_model_tensor *tensor)
{
    if (!tensor->spec)
        return t->columns == -1 || (uint64_t)t->columns == tensor->n_columns;
    bool agree = tensor->any_rank || t->n_dims == tensor->n_dims;
    for (size_t i = 0; agree && !tensor->any_rank && i < t->n_dims; i++)
        agree = t->dims[i] == tensor->dims[i] || t->dims[i] == -1 || tensor->dims[i] == -1;
    return agree;
}

static void read_tensor(struct check *c, struct tensor_text *t)
{
    struct px_str key;
    *t = (struct tensor_text){.columns = 1};
    px_json_enter_object(&c->json);
    while (px_json_next_key(&c->json, &key)) {
        if (px_str_is(key, "name"))
            t->name = px_json_str(&c->json);
        else if (px_str_is(key, "data_type"))
            t->type = px_json_str(&c->json);
        else if (px_str_is(key, "dims"))
            read_dims(c, t);
        else if (px_str_is(key, "format"))
            expect_text(c, "format", (struct px_str)PX_STR("FORMAT_NONE"), NULL);
        else if (px_str_is(key, "optional"))
            (void)px_json_bool(&c->json);
        else
            expect_nothing(c, key);
    }
}

static void check_tensor(struct check *c, const char *field, const struct px_model_tensor *tensors,
                         size_t n)
{
    struct tensor_text t;
    read_tensor(c, &t);
    for (size_t i = 0; i < n; i++) {
        const struct px_model_tensor *tensor = &tensors[i];
        if (!px_str_eq(tensor->name, t.name))
            continue;
        if (!px_str_is(t.type, px_config_type_name(tensor->type)))
            refuse(c, PX_E_INVALID, "data_type", t.type);
        if (!dims_agree(&t, tensor))
            refuse(c, PX_E_INVALID, "dims", t.name);
        return;
    }
    if (!px_json_failed(&c->json))
        refuse(c, PX_E_INVALID, field, t.name);
}

static void check_tensors(struct check *c, const char *field, const struct px_model_tensor *tensors,
                          size_t n)
{
    px_json_enter_array(&c->json);
    while (px_json_next_element(&c->json))
        check_tensor(c, field, tensors, n);
}

/* ---- scheduling ---- */

static void check_group(struct check *c)
{
    struct px_str key;
    px_json_enter_object(&c->json);
    while (px_json_next_key(&c->json, &key)) {
        if (px_str_is(key, "name")) {
            (void)px_json_str(&c->json);
        } else if (px_str_is(key, "kind")) {
            expect_text(c, "kind", (struct px_str)PX_STR("KIND_CPU"), "KIND_AUTO");
        } else if (px_str_is(key, "count")) {
            int64_t n = read_integer(c);
            if (!px_json_failed(&c->json) && n != 1 && n != (int64_t)c->config->n_instances)
                refuse(c, PX_E_UNSUPPORTED, "count", px_str("another number of instances"));
        } else {
            expect_nothing(c, key);
        }
    }
}

static void check_groups(struct check *c)
{
    px_json_enter_array(&c->json);
    while (px_json_next_element(&c->json))
        check_group(c);
}

/* A wave keeps the order and adds no delay; priorities and queues of a size are nothing for it, nor for who computes one by one. */
static void check_no_queue(struct check *c)
{
    struct px_str key;
    bool was_good = c->code == PX_OK;
    px_json_enter_object(&c->json);
    while (px_json_next_key(&c->json, &key)) {
        if (px_str_is(key, "preserve_ordering"))
            (void)px_json_bool(&c->json);
        else
            expect_nothing(c, key);
    }
    if (!was_good || c->code == PX_OK || c->config->has_waves)
        return;
    px_err_wrap(c->err, "field 'dynamic_batching'");
    px_err_hint(c->err, "this model computes requests one by one; 'phoenix why-batch' says why, "
                        "and docs/api/batching.md what "
                        "makes it batch");
}

static void check_batching(struct check *c)
{
    if (!c->config->has_queue) {
        check_no_queue(c);
        return;
    }
    struct px_err why;
    c->wishes->has_batching = true;
    c->wishes->batching = c->config->batching;
    enum px_code code = px_config_batching_read(&c->json, &c->wishes->batching, &why);
    if (code == PX_OK || c->code != PX_OK)
        return;
    c->code = code;
    if (c->err)
        *c->err = why;
}

static void check_cache(struct check *c)
{
    struct px_str key;
    px_json_enter_object(&c->json);
    while (px_json_next_key(&c->json, &key)) {
        if (px_str_is(key, "enable")) {
            c->wishes->has_cache = true;
            c->wishes->cache = px_json_bool(&c->json);
        } else {
            expect_nothing(c, key);
        }
    }
}

static void check_field(struct check *c, struct px_str key)
{
    const struct px_model_config *config = c->config;
    if (px_str_is(key, "name"))
        expect_text(c, "name", config->name, NULL);
    else if (px_str_is(key, "platform"))
        expect_text(c, "platform", px_str(config->platform), NULL);
    else if (px_str_is(key, "backend"))
        expect_text(c, "backend", px_str(config->backend), NULL);
    else if (px_str_is(key, "max_batch_size"))
        check_batch_size(c);
    else if (px_str_is(key, "input"))
        check_tensors(c, "input", config->inputs, config->n_inputs);
    else if (px_str_is(key, "output"))
        check_tensors(c, "output", config->outputs, config->n_outputs);
    else if (px_str_is(key, "instance_group"))
        check_groups(c);
    else if (px_str_is(key, "version_policy"))
        px_json_skip(&c->json); /* what was loaded was chosen by it (version_policy.h) */
    else if (px_str_is(key, "dynamic_batching"))
        check_batching(c);
    else if (px_str_is(key, "response_cache"))
        check_cache(c);
    else
        expect_nothing(c, key);
}

static enum px_code check_all(struct check *c)
{
    struct px_str key;
    px_json_enter_object(&c->json);
    while (px_json_next_key(&c->json, &key))
        check_field(c, key);
    enum px_code code = px_json_finish(&c->json, c->code == PX_OK ? c->err : NULL);
    return c->code != PX_OK ? c->code : code;
}

enum px_code px_model_config_check(struct px_str json, const struct px_model *model,
                                   const struct px_serving_limits *limits,
                                   struct px_model_wishes *ret, struct px_err *err)
{
    struct px_model_config config;
    struct px_arena arena = px_arena(CONFIG_MEMORY_MAX + json.len * 2);
    enum px_code code = px_model_config(model, limits, &arena, &config, err);
    *ret = (struct px_model_wishes){0};
    if (code == PX_OK) {
        struct check c = {.config = &config, .wishes = ret, .err = err};
        px_json_init(&c.json, json, &arena, 0);
        code = check_all(&c);
    }
    px_arena_deinit(&arena);
    return code;
}
