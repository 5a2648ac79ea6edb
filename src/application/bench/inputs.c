/* SPDX-License-Identifier: Apache-2.0 */
#include "application/bench/inputs.h"

#include "domain/inference/tensor.h"
#include "shared/json.h"
#include "shared/vec.h"

#include <math.h>

static enum px_input_kind kind_of(struct px_str datatype)
{
    if (px_str_is(datatype, "BYTES"))
        return PX_INPUT_TEXT;
    if (px_str_is(datatype, "BOOL"))
        return PX_INPUT_BOOL;
    return px_str_starts(datatype, "FP") || px_str_is(datatype, "BF16") ? PX_INPUT_NUMBER
                                                                        : PX_INPUT_WHOLE;
}

/* [-1, 3, 4]: the first is the batch's. A dimension that is open besides is 1. */
static void read_shape(struct px_json *json, struct px_input_tensor *tensor)
{
    size_t n = 0;
    tensor->width = 1;
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        int64_t size = px_json_i64(json);
        if (n++ == 0)
            continue;
        if (tensor->n_dimensions == PX_INPUTS_DIMENSIONS_MAX) {
            px_json_fail(json, "a shape has more than %d dimensions", PX_INPUTS_DIMENSIONS_MAX + 1);
            return;
        }
        size_t of_row = size > 0 ? (size_t)size : 1;
        if (of_row > PX_INPUTS_WIDTH_MAX / tensor->width) {
            px_json_fail(json, "a row has more than %d values", PX_INPUTS_WIDTH_MAX);
            return;
        }
        tensor->dimensions[tensor->n_dimensions++] = of_row;
        tensor->width *= of_row;
    }
}

static void read_tensor(struct px_json *json, struct px_input_tensor *tensor,
                        struct px_arena *arena)
{
    struct px_str key;
    *tensor = (struct px_input_tensor){.width = 1};
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "name"))
            tensor->name = px_arena_str(arena, px_json_str(json));
        else if (px_str_is(key, "datatype"))
            tensor->datatype = px_arena_str(arena, px_json_str(json));
        else if (px_str_is(key, "shape"))
            read_shape(json, tensor);
        else
            px_json_skip(json);
    }
    tensor->kind = kind_of(tensor->datatype);
    if (!px_json_failed(json) && px_datatype_from_name(tensor->datatype) == PX_TYPE_NONE)
        px_json_fail(json, "the datatype of an input is unknown");
}

/* What was read becomes an array of the arena; an empty one when memory is short. */
static void read_tensors(struct px_json *json, struct px_inputs *inputs, struct px_arena *arena)
{
    PX_VEC(struct px_input_tensor) tensors = {0};
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        if (tensors.len == PX_INPUTS_TENSORS_MAX) {
            px_json_fail(json, "more than %d inputs", PX_INPUTS_TENSORS_MAX);
            break;
        }
        struct px_input_tensor *tensor = px_vec_push(&tensors);
        if (!tensor) {
            px_json_fail(json, "no memory");
            arena->failed = arena->no_memory = true;
            break;
        }
        read_tensor(json, tensor, arena);
    }
    inputs->tensors = px_arena_alloc(arena, tensors.len, sizeof *tensors.items);
    if (inputs->tensors && tensors.len)
        memcpy(inputs->tensors, tensors.items, tensors.len * sizeof *tensors.items);
    inputs->n = inputs->tensors ? tensors.len : 0;
    px_vec_free(&tensors);
}

enum px_code px_inputs_read(struct px_inputs *inputs, struct px_str text, struct px_arena *arena,
                            struct px_err *err)
{
    struct px_json json;
    struct px_str key;
    *inputs = (struct px_inputs){0};
    px_json_init(&json, text, arena, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        if (px_str_is(key, "inputs"))
            read_tensors(&json, inputs, arena);
        else
            px_json_skip(&json);
    }
    enum px_code code = px_arena_check(arena, "the model's metadata", err);
    if (code == PX_OK)
        code = px_json_finish(&json, err);
    if (code == PX_OK && inputs->n == 0)
        code = px_err_set(err, PX_E_CORRUPT, "it lists no inputs");
    return code == PX_E_INVALID ? PX_E_CORRUPT : code;
}

/* A feature as /api/v1/models tells it. */
struct feature {
    struct px_str name, type;
    struct px_str *categories;
    size_t n_categories;
    double typical;
};

struct guide {
    struct px_arena *arena;
    struct feature *features;
    size_t n;
    size_t at; /* where the sample's next member is expected */
};

static size_t read_strings(struct px_json *json, struct px_arena *arena, struct px_str **ret)
{
    PX_VEC(struct px_str) all = {0};
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        struct px_str *one = px_vec_push(&all);
        struct px_str text = px_json_str(json);
        if (one)
            *one = px_arena_str(arena, text);
    }
    size_t n = all.len;
    *ret = px_arena_alloc(arena, n, sizeof **ret);
    if (*ret && n)
        memcpy(*ret, all.items, n * sizeof **ret);
    px_vec_free(&all);
    return *ret ? n : 0;
}

static void read_feature(struct px_json *json, struct feature *feature, struct px_arena *arena)
{
    struct px_str key;
    *feature = (struct feature){.typical = (double)NAN};
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "name"))
            feature->name = px_arena_str(arena, px_json_str(json));
        else if (px_str_is(key, "type"))
            feature->type = px_arena_str(arena, px_json_str(json));
        else if (px_str_is(key, "categories"))
            feature->n_categories = read_strings(json, arena, &feature->categories);
        else
            px_json_skip(json);
    }
}

static void read_features(struct px_json *json, struct guide *guide)
{
    PX_VEC(struct feature) all = {0};
    px_json_enter_array(json);
    while (px_json_next_element(json)) {
        struct feature *feature = px_vec_push(&all);
        if (feature)
            read_feature(json, feature, guide->arena);
        else
            px_json_skip(json);
    }
    guide->features = px_arena_alloc(guide->arena, all.len, sizeof *all.items);
    if (guide->features && all.len)
        memcpy(guide->features, all.items, all.len * sizeof *all.items);
    guide->n = guide->features ? all.len : 0;
    px_vec_free(&all);
}

static struct feature *find_feature(struct guide *guide, struct px_str name)
{
    for (size_t i = 0; i < guide->n; i++) {
        struct feature *feature = &guide->features[(guide->at + i) % guide->n];
        if (px_str_eq(feature->name, name)) {
            guide->at = (guide->at + i + 1) % guide->n;
            return feature;
        }
    }
    return NULL;
}

/* {"age": 58, "job": "technician"}: the numbers are what is wanted. */
static void read_sample(struct px_json *json, struct guide *guide)
{
    struct px_str key;
    guide->at = 0;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        struct feature *feature = find_feature(guide, key);
        if (feature && px_json_peek(json) == PX_JSON_NUMBER)
            feature->typical = px_json_f64(json);
        else
            px_json_skip(json);
    }
}

static void read_signature(struct px_json *json, struct guide *guide)
{
    struct px_str key;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "features"))
            read_features(json, guide);
        else
            px_json_skip(json);
    }
}

/* One model of the list; true when it is the wanted one in the version that answers. */
static bool read_model(struct px_json *json, struct guide *guide, struct px_str wanted)
{
    struct px_str key;
    bool is_wanted = false, is_default = false;
    *guide = (struct guide){.arena = guide->arena};
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        if (px_str_is(key, "name"))
            is_wanted = px_str_eq(px_json_str(json), wanted);
        else if (px_str_is(key, "default"))
            is_default = px_json_bool(json);
        else if (px_str_is(key, "signature"))
            read_signature(json, guide);
        else if (px_str_is(key, "sample"))
            read_sample(json, guide);
        else
            px_json_skip(json);
    }
    return is_wanted && is_default && guide->n > 0;
}

static void guide_column(struct px_input_tensor *tensor, const struct feature *feature)
{
    if (px_str_is(feature->type, "datetime") && tensor->kind == PX_INPUT_TEXT)
        tensor->kind = PX_INPUT_DATE;
    tensor->categories = feature->n_categories ? feature->categories : NULL;
    tensor->n_categories = feature->n_categories;
    if (tensor->width == 1)
        tensor->typical = &feature->typical;
}

static enum px_input_kind kind_of_feature(const struct feature *feature)
{
    if (px_str_is(feature->type, "boolean"))
        return PX_INPUT_BOOL;
    return px_str_is(feature->type, "category") ? PX_INPUT_WHOLE : PX_INPUT_NUMBER;
}

/* One tensor with a value per feature. */
static void guide_whole(struct px_input_tensor *tensor, const struct guide *guide)
{
    double *typical = px_arena_alloc(guide->arena, guide->n, sizeof *typical);
    enum px_input_kind *kinds = px_arena_alloc(guide->arena, guide->n, sizeof *kinds);
    for (size_t i = 0; typical && kinds && i < guide->n; i++) {
        typical[i] = guide->features[i].typical;
        kinds[i] = kind_of_feature(&guide->features[i]);
    }
    tensor->typical = typical;
    tensor->kinds = kinds;
}

static void apply(struct px_inputs *inputs, struct guide *guide)
{
    guide->at = 0;
    if (inputs->n == 1 && inputs->tensors[0].width == guide->n) {
        guide_whole(&inputs->tensors[0], guide);
        inputs->guided = true;
    }
    for (size_t i = 0; i < inputs->n; i++) {
        struct feature *feature = find_feature(guide, inputs->tensors[i].name);
        if (!feature)
            continue;
        guide_column(&inputs->tensors[i], feature);
        inputs->guided = true;
    }
}

void px_inputs_guide(struct px_inputs *inputs, struct px_str text, struct px_str model,
                     struct px_arena *arena)
{
    struct px_json json;
    struct px_str key;
    struct guide guide = {.arena = arena};
    bool found = false;
    px_json_init(&json, text, arena, PX_JSON_NONFINITE);
    px_json_enter_object(&json);
    while (!found && px_json_next_key(&json, &key)) {
        if (!px_str_is(key, "models")) {
            px_json_skip(&json);
            continue;
        }
        px_json_enter_array(&json);
        while (!found && px_json_next_element(&json))
            found = read_model(&json, &guide, model);
    }
    if (found && !px_json_failed(&json) && !arena->failed)
        apply(inputs, &guide);
}
