/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/golden.h"

#include "application/execution/await.h"
#include "application/tensors/json_value.h"

#include <math.h>

enum { LIST_MIN = 4 /* a power of two */ };

/* ---- reading ---- */

struct reader {
    struct px_json json;
    struct px_arena *arena;
};

static void read_shape(struct reader *r, struct px_tensor *tensor)
{
    px_json_enter_array(&r->json);
    while (px_json_next_element(&r->json)) {
        uint64_t length = px_json_u64(&r->json);
        if (tensor->n_dims == PX_TENSOR_DIMS_MAX)
            px_json_fail(&r->json, "expected at most %d dimensions", PX_TENSOR_DIMS_MAX);
        else
            tensor->shape[tensor->n_dims++] = length;
    }
}

static void read_type(struct reader *r, struct px_tensor *tensor)
{
    struct px_str name = px_json_str(&r->json);
    tensor->type = px_datatype_from_name(name);
    if (px_json_failed(&r->json))
        return;
    if (tensor->type == PX_TYPE_NONE)
        px_json_fail(&r->json, "unknown datatype '%.*s'", PX_STR_ARG(name));
}

static enum px_code read_data(struct reader *r, struct px_str data, struct px_tensor *tensor,
                              struct px_err *err)
{
    struct px_json json;
    struct px_tensor_writer writer;
    px_json_init(&json, data, r->arena, PX_JSON_NONFINITE);
    enum px_code code = px_tensor_writer_init(&writer, tensor, r->arena, data.len, err);
    if (code == PX_OK)
        code = px_json_read_elements(&json, &writer, px_json_read_element, err);
    if (code == PX_OK)
        code = px_json_finish(&json, err);
    return code == PX_OK ? px_tensor_writer_end(&writer, err) : code;
}

static enum px_code read_tensor(struct reader *r, struct px_tensor *ret, struct px_err *err)
{
    struct px_tensor t = {0};
    struct px_str key, data = {0};
    px_json_enter_object(&r->json);
    while (px_json_next_key(&r->json, &key)) {
        if (px_str_is(key, "name"))
            t.name = px_json_str(&r->json);
        else if (px_str_is(key, "datatype"))
            read_type(r, &t);
        else if (px_str_is(key, "shape"))
            read_shape(r, &t);
        else if (px_str_is(key, "data"))
            data = px_json_raw(&r->json);
        else
            px_json_fail(&r->json, "unknown key '%.*s' of a tensor", PX_STR_ARG(key));
    }
    enum px_code code = px_json_check(&r->json, err);
    if (code != PX_OK)
        return code;
    if (!t.name.ptr || !t.type || !data.ptr)
        return px_err_set(err, PX_E_INVALID,
                          "a golden tensor has 'name', 'datatype', 'shape' and 'data'");
    *ret = t;
    return read_data(r, data, ret, err);
}

/* Room for one more behind `n` elements: a list doubles, what it leaves is the arena's. NULL without memory. */
static void *grow(struct px_arena *arena, void *list, size_t n, size_t size)
{
    bool is_full = n == 0 || (n >= LIST_MIN && (n & (n - 1)) == 0);
    if (!is_full)
        return list;
    void *larger = px_arena_zalloc(arena, n ? 2 * n : LIST_MIN, size);
    if (larger && n)
        memcpy(larger, list, n * size);
    return larger;
}

static enum px_code read_tensors(struct reader *r, struct px_tensor **ret, size_t *ret_n,
                                 struct px_err *err)
{
    struct px_tensor *list = NULL;
    size_t n = 0;
    px_json_enter_array(&r->json);
    while (px_json_next_element(&r->json)) {
        if (n == PX_ENGINE_TENSORS_MAX)
            return px_err_set(err, PX_E_TOO_LARGE, "more than %d tensors", PX_ENGINE_TENSORS_MAX);
        list = grow(r->arena, list, n, sizeof *list);
        if (!list)
            return px_arena_check(r->arena, "the golden requests", err);
        enum px_code code = read_tensor(r, &list[n++], err);
        if (code != PX_OK)
            return code;
    }
    *ret = list;
    *ret_n = n;
    return PX_OK;
}

static void read_parameters(struct reader *r, struct px_sequence_step *sequence)
{
    struct px_str key;
    px_json_enter_object(&r->json);
    while (px_json_next_key(&r->json, &key)) {
        if (px_str_is(key, "sequence_id") && px_json_peek(&r->json) == PX_JSON_STRING)
            sequence->text_id = px_json_str(&r->json);
        else if (px_str_is(key, "sequence_id"))
            sequence->id = px_json_u64(&r->json);
        else if (px_str_is(key, "sequence_start"))
            sequence->start = px_json_bool(&r->json);
        else if (px_str_is(key, "sequence_end"))
            sequence->end = px_json_bool(&r->json);
        else
            px_json_fail(&r->json, "unknown parameter '%.*s'", PX_STR_ARG(key));
    }
}

/* One key of a case; false for one that is of none. */
static bool read_member(struct reader *r, struct px_str key, struct px_golden_case *c,
                        enum px_code *ret, struct px_err *err)
{
    *ret = PX_OK;
    if (px_str_is(key, "inputs"))
        *ret = read_tensors(r, &c->inputs, &c->n_inputs, err);
    else if (px_str_is(key, "outputs"))
        *ret = read_tensors(r, &c->outputs, &c->n_outputs, err);
    else if (px_str_is(key, "parameters"))
        read_parameters(r, &c->sequence);
    else
        return false;
    return true;
}

static enum px_code check_case(const struct px_golden_case *c, struct px_err *err)
{
    if (c->n_inputs > 0 && c->n_outputs > 0)
        return PX_OK;
    return px_err_set(err, PX_E_INVALID, "a golden request has 'inputs' and 'outputs'");
}

static enum px_code read_case(struct reader *r, struct px_golden_case *c, struct px_err *err)
{
    struct px_str key;
    px_json_enter_object(&r->json);
    while (px_json_next_key(&r->json, &key)) {
        enum px_code code;
        if (!read_member(r, key, c, &code, err))
            px_json_fail(&r->json, "unknown key '%.*s' of a golden request", PX_STR_ARG(key));
        if (code != PX_OK)
            return code;
    }
    enum px_code code = px_json_check(&r->json, err);
    return code == PX_OK ? check_case(c, err) : code;
}

static enum px_code read_cases(struct reader *r, struct px_golden *golden, struct px_err *err)
{
    struct px_golden_case *cases = NULL;
    size_t n = 0;
    px_json_enter_array(&r->json);
    while (px_json_next_element(&r->json)) {
        if (n == PX_GOLDEN_CASES_MAX)
            return px_err_set(err, PX_E_TOO_LARGE, "more than %d golden requests",
                              PX_GOLDEN_CASES_MAX);
        cases = grow(r->arena, cases, n, sizeof *cases);
        if (!cases)
            return px_arena_check(r->arena, "the golden requests", err);
        enum px_code code = read_case(r, &cases[n++], err);
        if (code != PX_OK)
            return px_err_wrap(err, "golden request %zu", n);
    }
    golden->cases = cases;
    golden->n_cases = n;
    return PX_OK;
}

static enum px_code read_root(struct reader *r, struct px_golden *golden,
                              struct px_golden_case *lone, struct px_err *err)
{
    struct px_str key;
    px_json_enter_object(&r->json);
    while (px_json_next_key(&r->json, &key)) {
        enum px_code code = PX_OK;
        if (px_str_is(key, "tolerance"))
            golden->tolerance = px_json_f64(&r->json);
        else if (px_str_is(key, "cases"))
            code = read_cases(r, golden, err);
        else if (!read_member(r, key, lone, &code, err))
            px_json_fail(&r->json, "unknown key '%.*s'", PX_STR_ARG(key));
        if (code != PX_OK)
            return code;
    }
    return px_json_finish(&r->json, err);
}

enum px_code px_golden_parse(struct px_str json, struct px_arena *arena, struct px_golden *ret,
                             struct px_err *err)
{
    struct reader r = {.arena = arena};
    struct px_golden_case *lone = px_arena_zalloc(arena, 1, sizeof *lone);
    *ret = (struct px_golden){0};
    if (!lone)
        return px_arena_check(arena, "the golden requests", err);
    px_json_init(&r.json, json, arena, PX_JSON_NONFINITE);
    enum px_code code = read_root(&r, ret, lone, err);
    if (code != PX_OK)
        return code;
    if (!(ret->tolerance >= 0 && ret->tolerance < 1))
        return px_err_set(err, PX_E_INVALID, "'tolerance' must be from 0 to less than 1");
    if (ret->n_cases > 0 && (lone->n_inputs || lone->n_outputs))
        return px_err_set(err, PX_E_INVALID, "expected 'cases' or one request, got both");
    if (ret->n_cases > 0)
        return PX_OK;
    ret->cases = lone;
    ret->n_cases = 1;
    return check_case(lone, err);
}

/* ---- running ---- */

enum px_code px_golden_run(struct px_engine *engine, const struct px_golden_case *c,
                           struct px_arena *arena, struct px_run *run, struct px_err *err)
{
    *run = (struct px_run){.inputs = c->inputs,
                           .n_inputs = c->n_inputs,
                           .n_outputs = c->n_outputs,
                           .arena = arena,
                           .sequence = c->sequence};
    run->outputs = px_arena_zalloc(arena, c->n_outputs + 1, sizeof *run->outputs);
    if (!run->outputs)
        return px_arena_check(arena, "a golden request", err);
    for (size_t i = 0; i < c->n_outputs; i++)
        run->outputs[i].name = c->outputs[i].name;
    enum px_code code = px_engine_check_run(engine, run, err);
    return code == PX_OK ? px_engine_await(engine, run, err) : code;
}

/* ---- comparing ---- */

static bool read_real(const struct px_tensor *tensor, size_t i, double *ret)
{
    float narrow;
    if (tensor->type == PX_TYPE_FP32) {
        memcpy(&narrow, tensor->bytes.ptr + i * sizeof narrow, sizeof narrow);
        *ret = (double)narrow;
        return true;
    }
    if (tensor->type == PX_TYPE_FP64)
        memcpy(ret, tensor->bytes.ptr + i * sizeof *ret, sizeof *ret);
    return tensor->type == PX_TYPE_FP64;
}

static void compare_reals(const struct px_tensor *expected, const struct px_tensor *got,
                          double tolerance, struct px_golden_difference *ret)
{
    size_t n = expected->bytes.len / px_datatype_size(expected->type);
    double worst = -1;
    ret->has_numbers = true;
    for (size_t i = 0; i < n; i++) {
        double a = 0, b = 0;
        if (!read_real(expected, i, &a) || !read_real(got, i, &b))
            return;
        if (a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= tolerance * (1 + fabs(a)))
            continue;
        double off = isnan(a - b) ? (double)INFINITY : fabs(a - b) / (1 + fabs(a));
        if (off <= worst)
            continue;
        worst = off;
        *ret = (struct px_golden_difference){true, true, i, a, b};
    }
}

static bool same_shape(const struct px_tensor *a, const struct px_tensor *b)
{
    return a->type == b->type && a->n_dims == b->n_dims && a->bytes.len == b->bytes.len &&
           memcmp(a->shape, b->shape, a->n_dims * sizeof *a->shape) == 0;
}

/* The first element of two tensors whose bytes differ. */
static size_t first_different(const struct px_tensor *a, const struct px_tensor *b)
{
    struct px_str x = a->bytes, y = b->bytes, p, q;
    size_t size = px_datatype_size(a->type), i = 0;
    for (; !size && px_tensor_next_text(&x, &p) && px_tensor_next_text(&y, &q); i++) {
        if (!px_str_eq(p, q))
            return i;
    }
    while (size && i < x.len && x.ptr[i] == y.ptr[i])
        i++;
    return size ? i / size : i;
}

void px_golden_compare(const struct px_tensor *expected, const struct px_tensor *got,
                       double tolerance, struct px_golden_difference *ret)
{
    *ret = (struct px_golden_difference){0};
    if (!same_shape(expected, got)) {
        ret->differs = true;
    } else if (expected->type == PX_TYPE_FP32 || expected->type == PX_TYPE_FP64) {
        compare_reals(expected, got, tolerance, ret);
    } else if (expected->bytes.len > 0 &&
               memcmp(expected->bytes.ptr, got->bytes.ptr, got->bytes.len) != 0) {
        ret->differs = true;
        ret->element = first_different(expected, got);
    }
}
