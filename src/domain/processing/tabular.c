/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/processing/tabular.h"

#include <stdio.h>

/* ---- creation ---- */

static unsigned accepted_as(enum px_datatype type)
{
    if (type == PX_TYPE_BYTES)
        return PX_TABULAR_TEXTS;
    if (type == PX_TYPE_FP16 || type == PX_TYPE_BF16)
        return PX_TABULAR_HALVES;
    return type == PX_TYPE_NONE ? 0 : PX_TABULAR_NUMBERS;
}

static enum px_code check_type(const struct px_tensor_spec *spec, unsigned accepts,
                               struct px_err *err)
{
    if (accepted_as(spec->type) & accepts)
        return PX_OK;
    const char *names = accepts & PX_TABULAR_NUMBERS ? "numbers" : "texts (BYTES)";
    px_err_set(err, PX_E_INVALID, "input: expected %s%s, got %s", names,
               accepts == (PX_TABULAR_NUMBERS | PX_TABULAR_TEXTS) ? " or texts (BYTES)" : "",
               px_datatype_name(spec->type));
    if (accepted_as(spec->type) != PX_TABULAR_TEXTS)
        return px_err_hint(err, "put the processor `cast` before it");
    return PX_E_INVALID;
}

/* [rows] or [rows, columns] with as many columns as the settings say; fills in what the spec leaves open. */
static enum px_code check_table(struct px_tensor_spec *spec, size_t *n_cols, struct px_err *err)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    if (spec->any_rank && *n_cols)
        *spec = (struct px_tensor_spec){
            .name = spec->name, .type = spec->type, .shape = {PX_DIM_ANY, PX_DIM_ANY}, .n_dims = 2};
    if (spec->any_rank || spec->n_dims == 0 || spec->n_dims > 2)
        return px_err_set(err, PX_E_INVALID, "input: expected a table, [-1,columns]; got %s",
                          px_tensor_spec_shape_text(spec, shape));
    int64_t has = spec->n_dims == 1 ? 1 : spec->shape[1];
    if (*n_cols && has != PX_DIM_ANY && (uint64_t)has != *n_cols)
        return px_err_set(err, PX_E_INVALID,
                          "input: expected %zu columns, as in the settings; got %s", *n_cols,
                          px_tensor_spec_shape_text(spec, shape));
    if (has != PX_DIM_ANY)
        *n_cols = (size_t)has;
    if (spec->n_dims == 2 && *n_cols)
        spec->shape[1] = (int64_t)*n_cols;
    return PX_OK;
}

enum px_code px_tabular_init(struct px_tabular *t, const struct px_processor_kind *kind,
                             const struct px_tabular_settings *settings,
                             const struct px_tabular_form *form, struct px_err *err)
{
    const struct px_tensor_specs *inputs = &settings->step.inputs;
    if (inputs->n != 1)
        return px_err_set(err, PX_E_INVALID, "%s: expected one input, 'input'; got %zu", kind->name,
                          inputs->n);
    if (!px_str_is(inputs->list[0].name, "input"))
        return px_err_set(err, PX_E_INVALID, "%s: expected the input 'input', got '%.*s'",
                          kind->name, PX_STR_ARG(inputs->list[0].name));
    t->takes = inputs->list[0];
    t->takes.name = px_str("input");
    t->takes.optional = false;
    t->from = t->takes.type;
    t->n_cols = form->n_cols;
    enum px_code code = check_type(&t->takes, form->accepts, err);
    if (code == PX_OK && !form->elements)
        code = check_table(&t->takes, &t->n_cols, err);
    if (code != PX_OK)
        return px_err_wrap(err, "%s", kind->name);
    t->base.kind = kind;
    t->base.takes = (struct px_tensor_specs){&t->takes, 1};
    t->base.row_wise = px_processor_has_rows(&t->takes); /* of every kind of tables */
    return PX_OK;
}

enum px_code px_tabular_give(struct px_tabular *t, const char *name, enum px_datatype type,
                             struct px_arena *arena, struct px_tensor_spec **ret,
                             struct px_err *err)
{
    size_t n = t->base.gives.n;
    struct px_tensor_spec *list = px_arena_alloc(arena, n + 1, sizeof *list);
    if (!list)
        return px_arena_check(arena, "processor", err);
    if (n)
        memcpy(list, t->base.gives.list, n * sizeof *list);
    list[n] = t->takes;
    list[n].name = px_str(name);
    list[n].type = type;
    t->base.gives = (struct px_tensor_specs){list, n + 1};
    if (ret)
        *ret = &list[n];
    return PX_OK;
}

enum px_code px_tabular_give_table(struct px_tabular *t, const char *name, enum px_datatype type,
                                   int64_t n_cols, struct px_arena *arena, struct px_err *err)
{
    struct px_tensor_spec *spec;
    enum px_code code = px_tabular_give(t, name, type, arena, &spec, err);
    if (code == PX_OK) {
        spec->n_dims = 2;
        spec->shape[1] = n_cols;
    }
    return code;
}

enum px_datatype px_tabular_float(enum px_datatype type)
{
    return type == PX_TYPE_FP32 ? PX_TYPE_FP32 : PX_TYPE_FP64;
}

/* ---- elements ---- */

/* The bytes of a tensor may lie anywhere in a request, so elements are copied out of them. */
#define READ(type, convert)                                                                        \
    do {                                                                                           \
        const char *from = tensor->bytes.ptr + first * sizeof(type);                               \
        for (size_t i = 0; i < n; i++) {                                                           \
            type x;                                                                                \
            memcpy(&x, from + i * sizeof x, sizeof x);                                             \
            to[i] = (double)convert(x);                                                            \
        }                                                                                          \
    } while (0)

void px_tabular_read(const struct px_tensor *tensor, size_t first, size_t n, double *to)
{
    if (n == 0)
        return;
    switch (tensor->type) {
    case PX_TYPE_BOOL:
    case PX_TYPE_UINT8:
        READ(uint8_t, );
        break;
    case PX_TYPE_UINT16:
        READ(uint16_t, );
        break;
    case PX_TYPE_UINT32:
        READ(uint32_t, );
        break;
    case PX_TYPE_UINT64:
        READ(uint64_t, );
        break;
    case PX_TYPE_INT8:
        READ(int8_t, );
        break;
    case PX_TYPE_INT16:
        READ(int16_t, );
        break;
    case PX_TYPE_INT32:
        READ(int32_t, );
        break;
    case PX_TYPE_INT64:
        READ(int64_t, );
        break;
    case PX_TYPE_FP16:
        READ(uint16_t, px_half_to_float);
        break;
    case PX_TYPE_BF16:
        READ(uint16_t, px_bfloat_to_float);
        break;
    case PX_TYPE_FP32:
        READ(float, );
        break;
    case PX_TYPE_FP64:
        memcpy(to, tensor->bytes.ptr + first * sizeof *to, n * sizeof *to);
        break;
    case PX_TYPE_NONE:
    case PX_TYPE_BYTES:
    case PX_TYPE_COUNT:
        PX_ASSERT(px_datatype_size(tensor->type) != 0); /* the input was checked for numbers */
        break;
    }
}

void px_tabular_write(enum px_datatype type, const double *from, size_t n, char *to)
{
    PX_ASSERT(type == PX_TYPE_FP64 || type == PX_TYPE_FP32 || type == PX_TYPE_INT64);
    for (size_t i = 0; type == PX_TYPE_FP32 && i < n; i++) {
        float x = (float)from[i];
        memcpy(to + i * sizeof x, &x, sizeof x);
    }
    for (size_t i = 0; type == PX_TYPE_INT64 && i < n; i++) {
        int64_t x = (int64_t)from[i];
        memcpy(to + i * sizeof x, &x, sizeof x);
    }
    if (type == PX_TYPE_FP64 && n)
        memcpy(to, from, n * sizeof *from);
}

enum px_code px_tabular_measure(const struct px_tabular *t, const struct px_tensor *input,
                                struct px_tabular_size *ret, struct px_err *err)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    ret->n_rows = input->n_dims ? input->shape[0] : 1;
    ret->n_cols = input->n_dims > 1 ? input->shape[1] : 1;
    if (!px_tensor_elements(input, &ret->n))
        return px_err_set(err, PX_E_TOO_LARGE, "input: %s has too many elements",
                          px_tensor_shape_text(input, shape));
    if (t->n_cols && ret->n_cols != t->n_cols)
        return px_err_set(err, PX_E_INVALID, "input: expected %zu columns, got %s", t->n_cols,
                          px_tensor_shape_text(input, shape));
    return PX_OK;
}

enum px_code px_tabular_read_texts(const struct px_tensor *tensor, size_t n, struct px_arena *arena,
                                   const struct px_str **ret, struct px_err *err)
{
    struct px_str *texts = px_arena_alloc(arena, n ? n : 1, sizeof *texts);
    struct px_str rest = tensor->bytes;
    if (!texts)
        return px_arena_check(arena, "texts of a processor", err);
    for (size_t i = 0; i < n; i++) {
        if (!px_tensor_next_text(&rest, &texts[i]))
            return px_err_set(err, PX_E_INVALID, "input: the tensor ends before element %zu", i);
    }
    *ret = texts;
    return PX_OK;
}

/* ---- outputs ---- */

static enum px_code reserve(const struct px_tensor_spec *spec, struct px_arena *arena,
                            struct px_tensor *ret, char **ret_bytes, struct px_err *err)
{
    size_t n, size = px_datatype_size(spec->type);
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    ret->name = spec->name;
    ret->type = spec->type;
    ret->bytes = (struct px_str){NULL, 0};
    *ret_bytes = NULL;
    if (!px_tensor_elements(ret, &n))
        return px_err_set(err, PX_E_TOO_LARGE, "%.*s: %s has too many elements",
                          PX_STR_ARG(spec->name), px_tensor_shape_text(ret, shape));
    if (size == 0 || n == 0)
        return PX_OK;
    *ret_bytes = px_arena_alloc(arena, n, size);
    if (!*ret_bytes)
        return px_arena_check(arena, "tensors of a processor", err);
    ret->bytes = px_str_n(*ret_bytes, n * size);
    return PX_OK;
}

enum px_code px_tabular_make(const struct px_tensor_spec *spec, const struct px_tensor *like,
                             struct px_arena *arena, struct px_tensor *ret, char **ret_bytes,
                             struct px_err *err)
{
    *ret = *like;
    return reserve(spec, arena, ret, ret_bytes, err);
}

enum px_code px_tabular_make_table(const struct px_tensor_spec *spec, size_t n_rows, size_t n_cols,
                                   struct px_arena *arena, struct px_tensor *ret, char **ret_bytes,
                                   struct px_err *err)
{
    *ret = (struct px_tensor){.shape = {n_rows, n_cols}, .n_dims = spec->n_dims == 1 ? 1 : 2};
    return reserve(spec, arena, ret, ret_bytes, err);
}

enum px_code px_tabular_set_texts(struct px_tensor *tensor, const struct px_str *texts, size_t n,
                                  struct px_arena *arena, struct px_err *err)
{
    size_t n_bytes = 0;
    for (size_t i = 0; i < n; i++)
        n_bytes += sizeof(uint32_t) + texts[i].len;
    char *to = px_arena_alloc(arena, n_bytes ? n_bytes : 1, 1);
    if (!to)
        return px_arena_check(arena, "texts of a processor", err);
    tensor->bytes = px_str_n(to, n_bytes);
    for (size_t i = 0; i < n; i++) {
        uint32_t len = (uint32_t)texts[i].len;
        memcpy(to, &len, sizeof len);
        if (len)
            memcpy(to + sizeof len, texts[i].ptr, len);
        to += sizeof len + len;
    }
    return PX_OK;
}

/* ---- element by element ---- */

enum { BLOCK = 512 }; /* elements that are doubles at a time */

static enum px_code apply_map(const struct px_processor *processor, const struct px_tensor *inputs,
                              struct px_tensor *outputs, struct px_arena *arena, struct px_err *err)
{
    const struct px_tabular_map *map = (const struct px_tabular_map *)processor;
    const struct px_tensor_spec *spec = &processor->gives.list[0];
    struct px_tabular_size size;
    double PX_UNINITIALIZED block[BLOCK];
    char *to;
    enum px_code code = px_tabular_measure(&map->table, &inputs[0], &size, err);
    if (code == PX_OK)
        code = px_tabular_make(spec, &inputs[0], arena, &outputs[0], &to, err);
    if (code != PX_OK)
        return code;
    size_t width = px_datatype_size(spec->type), n_cols = map->table.n_cols;
    for (size_t at = 0; at < size.n; at += BLOCK) {
        size_t n = size.n - at < BLOCK ? size.n - at : BLOCK;
        px_tabular_read(&inputs[0], at, n, block);
        map->map(map, block, n, n_cols ? at % n_cols : 0);
        px_tabular_write(spec->type, block, n, to + at * width);
    }
    return PX_OK;
}

enum px_code px_tabular_map_init(struct px_tabular_map *map, enum px_datatype type,
                                 struct px_arena *arena, struct px_err *err)
{
    map->table.base.apply = apply_map;
    return px_tabular_give(&map->table, "output", type, arena, NULL, err);
}
