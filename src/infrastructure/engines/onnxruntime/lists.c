/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists and mappings as tensors.
 *
 * A classifier's mapping has the labels as keys and the scores as values, both tensors of one dimension, the keys sorted. Every
 * row of a list has the same keys; where a graph does otherwise the rows are no matrix, and that is an error.
 * Elements are values of their own: they are copied into the run's arena and released here.
 */
#include "infrastructure/engines/onnxruntime/session.h"

static enum px_code take_element(const struct px_ort *ort, const void *value, size_t i, void **ret,
                                 struct px_err *err)
{
    return px_ort_check(ort, ort->value_at(value, (int)i, ort->allocator, ret), NULL, err);
}

/* A tensor inside a list or mapping, with bytes of the arena's. */
static enum px_code copy_element(const struct px_ort *ort, const void *value, size_t i,
                                 struct px_arena *arena, struct px_tensor *ret, struct px_err *err)
{
    void *element = NULL;
    enum px_code code = take_element(ort, value, i, &element, err);
    if (code == PX_OK)
        code = px_ort_read_tensor(ort, element, arena, ret, err);
    if (code == PX_OK && ret->type != PX_TYPE_BYTES) {
        char *copy = px_arena_alloc(arena, ret->bytes.len + 1, 1);
        code = px_arena_check(arena, "the request's memory", err);
        if (code == PX_OK && ret->bytes.len)
            memcpy(copy, ret->bytes.ptr, ret->bytes.len);
        ret->bytes.ptr = copy;
    }
    if (element)
        ort->release_value(element);
    return code;
}

/* The parts of a tensor of `n` equal ones: they lie one behind the other in a growing piece of the arena. */
struct stack {
    struct px_tensor first;
    char *bytes;
    size_t n, len, cap;
};

static enum px_code push(struct stack *stack, const struct px_tensor *part, struct px_arena *arena,
                         struct px_err *err)
{
    size_t need = stack->len + part->bytes.len;
    if (need > stack->cap) {
        size_t cap = need > SIZE_MAX / 2 ? need : 2 * need;
        char *grown = px_arena_alloc(arena, cap, 1);
        if (!grown)
            return px_arena_check(arena, "the request's memory", err);
        if (stack->len)
            memcpy(grown, stack->bytes, stack->len);
        stack->bytes = grown;
        stack->cap = cap;
    }
    if (part->bytes.len)
        memcpy(stack->bytes + stack->len, part->bytes.ptr, part->bytes.len);
    stack->len = need;
    stack->n++;
    return PX_OK;
}

static bool same_shape(const struct px_tensor *a, const struct px_tensor *b)
{
    return a->type == b->type && a->n_dims == b->n_dims &&
           memcmp(a->shape, b->shape, a->n_dims * sizeof *a->shape) == 0;
}

/* The tensor of `stack` with its count in front. */
static enum px_code finish(const struct stack *stack, struct px_tensor *ret, struct px_err *err)
{
    if (stack->first.n_dims == PX_TENSOR_DIMS_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED, "it has more than %d dimensions",
                          PX_TENSOR_DIMS_MAX);
    *ret = stack->first;
    memmove(ret->shape + 1, ret->shape, ret->n_dims * sizeof *ret->shape);
    ret->shape[0] = stack->n;
    ret->n_dims++;
    ret->bytes = px_str_n(stack->bytes, stack->len);
    return PX_OK;
}

static enum px_code read_list(const struct px_ort *ort, void *value, struct px_arena *arena,
                              struct px_tensor *ret, struct px_err *err)
{
    struct stack stack = {0};
    size_t n = 0;
    enum px_code code = px_ort_check(ort, ort->value_count(value, &n), NULL, err);
    for (size_t i = 0; code == PX_OK && i < n; i++) {
        struct px_tensor part = {0};
        char a[PX_TENSOR_SHAPE_TEXT_MAX], b[PX_TENSOR_SHAPE_TEXT_MAX];
        code = copy_element(ort, value, i, arena, &part, err);
        if (code == PX_OK && i == 0)
            stack.first = part;
        if (code == PX_OK && !same_shape(&part, &stack.first))
            code =
                px_err_set(err, PX_E_UNSUPPORTED,
                           "a list whose tensors differ in shape, %s and %s, is no tensor",
                           px_tensor_shape_text(&stack.first, a), px_tensor_shape_text(&part, b));
        if (code == PX_OK)
            code = push(&stack, &part, arena, err);
    }
    return code == PX_OK ? finish(&stack, ret, err) : code;
}

/* Keys and values of one mapping. */
static enum px_code read_mapping(const struct px_ort *ort, const void *map, struct px_arena *arena,
                                 struct px_tensor *keys, struct px_tensor *values,
                                 struct px_err *err)
{
    enum px_code code = copy_element(ort, map, 0, arena, keys, err);
    return code == PX_OK ? copy_element(ort, map, 1, arena, values, err) : code;
}

static enum px_code read_row(const struct px_ort *ort, const void *list, size_t i,
                             struct px_arena *arena, struct px_tensor *keys,
                             struct px_tensor *values, struct px_err *err)
{
    void *map = NULL;
    enum px_code code = take_element(ort, list, i, &map, err);
    if (code == PX_OK)
        code = read_mapping(ort, map, arena, keys, values, err);
    if (map)
        ort->release_value(map);
    return code;
}

/* Labels and scores of a list of mappings. */
static enum px_code read_rows(const struct px_ort *ort, const void *list, bool labels,
                              struct px_arena *arena, struct px_tensor *ret, struct px_err *err)
{
    struct stack stack = {0};
    struct px_tensor labels_of_first = {0};
    size_t n = 0;
    enum px_code code = px_ort_check(ort, ort->value_count(list, &n), NULL, err);
    for (size_t i = 0; code == PX_OK && i < (labels && n ? 1 : n); i++) {
        struct px_tensor keys = {0}, values = {0};
        code = read_row(ort, list, i, arena, &keys, &values, err);
        if (code == PX_OK && i == 0) {
            labels_of_first = keys;
            stack.first = values;
        }
        if (code == PX_OK && !px_str_eq(keys.bytes, labels_of_first.bytes))
            code = px_err_set(err, PX_E_UNSUPPORTED, "row %zu has other labels than row 0", i);
        if (code == PX_OK)
            code = push(&stack, &values, arena, err);
    }
    if (code == PX_OK && labels)
        *ret = labels_of_first;
    return code == PX_OK && !labels ? finish(&stack, ret, err) : code;
}

static enum px_code read_mappings(const struct px_ort *ort, const struct px_ort_output *output,
                                  void *value, struct px_arena *arena, struct px_tensor *ret,
                                  struct px_err *err)
{
    bool labels = output->kind == PX_ORT_OUTPUT_LABELS;
    struct px_tensor keys = {0}, values = {0};
    if (!output->one)
        return read_rows(ort, value, labels, arena, ret, err);
    enum px_code code = read_mapping(ort, value, arena, &keys, &values, err);
    *ret = labels ? keys : values;
    return code;
}

/* A list without elements says nothing of its type and shape: the spec does, with 0 for what is not fixed. */
static void make_empty(const struct px_tensor_spec *spec, struct px_tensor *ret)
{
    *ret = (struct px_tensor){.type = spec->type, .n_dims = spec->any_rank ? 1 : spec->n_dims};
    for (size_t i = 0; !spec->any_rank && i < spec->n_dims; i++)
        ret->shape[i] = spec->shape[i] == PX_DIM_ANY ? 0 : (uint64_t)spec->shape[i];
}

enum px_code px_ort_read_output(const struct px_ort *ort, const struct px_ort_output *output,
                                const struct px_tensor_spec *spec, void *value,
                                struct px_arena *arena, struct px_tensor *ret, struct px_err *err)
{
    struct px_tensor read = {0};
    enum px_code code;
    if (!value)
        return px_err_set(err, PX_E_UNSUPPORTED, "the model gave no value");
    if (output->kind == PX_ORT_OUTPUT_TENSOR)
        code = px_ort_read_tensor(ort, value, arena, &read, err);
    else if (output->kind == PX_ORT_OUTPUT_LIST)
        code = read_list(ort, value, arena, &read, err);
    else
        code = read_mappings(ort, output, value, arena, &read, err);
    if (code == PX_OK && read.type == PX_TYPE_NONE)
        make_empty(spec, &read);
    read.name = ret->name;
    if (code == PX_OK)
        *ret = read;
    return code;
}
