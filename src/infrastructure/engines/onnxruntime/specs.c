/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a graph says of its inputs and outputs. The library answers a count of 0 dimensions both for a scalar and for a shape
 * that is not known, so 0 is taken as not known; then the file is asked which of them are scalars.
 */
#include "infrastructure/engines/onnxruntime/diagnosis.h"
#include "infrastructure/engines/onnxruntime/session.h"

#include "shared/unconst.h"

static const struct {
    enum px_datatype type;
    int number;
} types[] = {
    {PX_TYPE_FP32, 1},    {PX_TYPE_UINT8, 2}, {PX_TYPE_INT8, 3},  {PX_TYPE_UINT16, 4},
    {PX_TYPE_INT16, 5},   {PX_TYPE_INT32, 6}, {PX_TYPE_INT64, 7}, {PX_TYPE_BYTES, 8},
    {PX_TYPE_BOOL, 9},    {PX_TYPE_FP16, 10}, {PX_TYPE_FP64, 11}, {PX_TYPE_UINT32, 12},
    {PX_TYPE_UINT64, 13}, {PX_TYPE_BF16, 16},
};

int px_ort_type(enum px_datatype type)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(types); i++) {
        if (types[i].type == type)
            return types[i].number;
    }
    return 0;
}

enum px_datatype px_ort_datatype(int type)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(types); i++) {
        if (types[i].number == type)
            return types[i].type;
    }
    return PX_TYPE_NONE;
}

/* A spec under way, with the symbolic names of its dimensions. */
struct draft {
    struct px_tensor_spec spec;
    struct px_str symbols[PX_TENSOR_DIMS_MAX];
    enum px_ort_output_kind kind;
    bool one;
};

/* ---- of one type ---- */

static enum px_code read_dimensions(const struct px_ort *ort, const void *info,
                                    struct px_arena *arena, struct draft *draft, struct px_err *err)
{
    const char *names[PX_TENSOR_DIMS_MAX] = {0};
    struct px_tensor_spec *spec = &draft->spec;
    size_t n = 0;
    enum px_code code = px_ort_check(ort, ort->dimension_count(info, &n), NULL, err);
    if (code != PX_OK)
        return code;
    if (n > PX_TENSOR_DIMS_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED, "it has %zu dimensions; at most %d are served", n,
                          PX_TENSOR_DIMS_MAX);
    void *status = ort->dimensions(info, spec->shape, n);
    if (!status)
        status = ort->dimension_names(info, names, n);
    code = px_ort_check(ort, status, NULL, err);
    spec->n_dims = n;
    spec->any_rank = n == 0;
    for (size_t i = 0; code == PX_OK && i < n; i++) {
        if (spec->shape[i] < 0)
            spec->shape[i] = PX_DIM_ANY;
        draft->symbols[i] = px_arena_str(arena, px_str(names[i] ? names[i] : ""));
    }
    return code == PX_OK ? px_arena_check(arena, "the model's signature", err) : code;
}

/* A tensor of a type that is served, or PX_E_UNSUPPORTED. */
static enum px_code read_tensor(const struct px_ort *ort, const void *type, struct px_arena *arena,
                                struct draft *draft, struct px_err *err)
{
    const void *info = NULL;
    int element = 0;
    void *status = ort->as_tensor(type, &info);
    if (!status && info)
        status = ort->element_type(info, &element);
    enum px_code code = px_ort_check(ort, status, NULL, err);
    if (code != PX_OK)
        return code;
    draft->kind = PX_ORT_OUTPUT_TENSOR;
    draft->spec.type = px_ort_datatype(element);
    if (draft->spec.type == PX_TYPE_NONE)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "its elements are of ONNX's type %d, which the protocol has no name for",
                          element);
    return read_dimensions(ort, info, arena, draft, err);
}

static enum px_code read_mapping(const struct px_ort *ort, const void *type, struct px_arena *arena,
                                 struct draft *draft, struct px_err *err)
{
    const void *map = NULL;
    void *value = NULL;
    void *status = ort->as_map(type, &map);
    if (!status)
        status = ort->map_value(map, &value);
    enum px_code code = px_ort_check(ort, status, NULL, err);
    if (code == PX_OK)
        code = read_tensor(ort, value, arena, draft, err);
    if (value)
        ort->release_type(value);
    draft->kind = PX_ORT_OUTPUT_SCORES;
    draft->spec.any_rank = false;
    draft->spec.n_dims = 1;
    draft->spec.shape[0] = PX_DIM_ANY;
    return code;
}

/* One more dimension in front, for the elements of a list. */
static enum px_code add_dimension(struct draft *draft, struct px_err *err)
{
    struct px_tensor_spec *spec = &draft->spec;
    if (spec->any_rank)
        return PX_OK;
    if (spec->n_dims == PX_TENSOR_DIMS_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED, "it has more than %d dimensions",
                          PX_TENSOR_DIMS_MAX);
    memmove(spec->shape + 1, spec->shape, spec->n_dims * sizeof *spec->shape);
    spec->shape[0] = PX_DIM_ANY;
    spec->n_dims++;
    return PX_OK;
}

static enum px_code read_list(const struct px_ort *ort, const void *type, struct px_arena *arena,
                              struct draft *draft, struct px_err *err)
{
    const void *list = NULL;
    void *element = NULL;
    int kind = PX_ORT_UNKNOWN;
    void *status = ort->as_sequence(type, &list);
    if (!status)
        status = ort->sequence_element(list, &element);
    if (!status)
        status = ort->onnx_type(element, &kind);
    enum px_code code = px_ort_check(ort, status, NULL, err);
    if (code == PX_OK && kind == PX_ORT_MAP)
        code = read_mapping(ort, element, arena, draft, err);
    else if (code == PX_OK && kind == PX_ORT_TENSOR)
        code = read_tensor(ort, element, arena, draft, err);
    else if (code == PX_OK)
        code = px_err_set(err, PX_E_UNSUPPORTED, "it is a list of neither tensors nor mappings");
    if (code == PX_OK && kind == PX_ORT_TENSOR)
        draft->kind = PX_ORT_OUTPUT_LIST;
    draft->one = false;
    if (element)
        ort->release_type(element);
    return code == PX_OK ? add_dimension(draft, err) : code;
}

static enum px_code read_type(const struct px_ort *ort, const void *type, struct px_arena *arena,
                              struct draft *draft, struct px_err *err)
{
    static const char *const names[] = {
        "of an unknown kind", "a tensor",        "a list",  "a mapping",
        "an opaque object",   "a sparse tensor", "optional"};
    int kind = PX_ORT_UNKNOWN;
    enum px_code code = px_ort_check(ort, ort->onnx_type(type, &kind), NULL, err);
    if (code != PX_OK)
        return code;
    draft->one = kind == PX_ORT_MAP;
    if (kind == PX_ORT_TENSOR)
        return read_tensor(ort, type, arena, draft, err);
    if (kind == PX_ORT_MAP)
        return read_mapping(ort, type, arena, draft, err);
    if (kind == PX_ORT_SEQUENCE)
        return read_list(ort, type, arena, draft, err);
    return px_err_set(err, PX_E_UNSUPPORTED, "it is %s, which is not served",
                      names[(size_t)kind < PX_ARRAY_LEN(names) ? kind : PX_ORT_UNKNOWN]);
}

/* ---- of all inputs and outputs ---- */

static enum px_code read_draft(const struct px_ort_session *s, size_t i, bool input,
                               struct px_arena *arena, struct draft *ret, struct px_err *err)
{
    const struct px_ort *ort = s->ort;
    char *name = NULL;
    void *type = NULL;
    *ret = (struct draft){0};
    void *status = input ? ort->input_name(s->session, i, ort->allocator, &name)
                         : ort->output_name(s->session, i, ort->allocator, &name);
    if (!status)
        status =
            input ? ort->input_type(s->session, i, &type) : ort->output_type(s->session, i, &type);
    enum px_code code = px_ort_check(ort, status, s->path, err);
    ret->spec.name = px_arena_str(arena, px_str(name ? name : ""));
    if (name)
        px_ort_ignore(ort, ort->allocator_free(ort->allocator, name));
    if (code == PX_OK)
        code = px_arena_check(arena, "the model's signature", err);
    if (code == PX_OK)
        code = read_type(ort, type, arena, ret, err);
    if (type)
        ort->release_type(type);
    return code;
}

static enum px_code read_inputs(struct px_ort_session *s, struct px_arena *arena,
                                struct px_str **ret_symbols, struct px_err *err)
{
    size_t n = 0;
    enum px_code code = px_ort_check(s->ort, s->ort->input_count(s->session, &n), s->path, err);
    if (code != PX_OK)
        return code;
    if (n > PX_ENGINE_TENSORS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "the model has %zu inputs; at most %d are served", n,
                          PX_ENGINE_TENSORS_MAX);
    struct px_tensor_spec *list = px_arena_zalloc(arena, n + 1, sizeof *list);
    struct px_str *symbols = px_arena_zalloc(arena, n + 1, PX_TENSOR_DIMS_MAX * sizeof *symbols);
    code = px_arena_check(arena, "the model's signature", err);
    for (size_t i = 0; code == PX_OK && i < n; i++) {
        struct draft draft;
        code = read_draft(s, i, true, arena, &draft, err);
        if (code == PX_OK && draft.kind != PX_ORT_OUTPUT_TENSOR)
            code = px_err_set(err, PX_E_UNSUPPORTED, "only tensors are taken as inputs");
        if (code != PX_OK)
            return px_err_wrap(err, "input '%.*s'", PX_STR_ARG(draft.spec.name));
        list[i] = draft.spec;
        memcpy(symbols + i * PX_TENSOR_DIMS_MAX, draft.symbols, sizeof draft.symbols);
    }
    s->base.takes = (struct px_tensor_specs){list, n};
    *ret_symbols = symbols;
    return code;
}

/* Where each dimension of an output is known from. */
static void foresee(struct px_ort_session *s, const struct px_str *symbols,
                    const struct draft *draft, struct px_ort_output *output)
{
    bool known = draft->kind == PX_ORT_OUTPUT_TENSOR && draft->spec.type != PX_TYPE_BYTES &&
                 !draft->spec.any_rank;
    for (size_t d = 0; known && d < draft->spec.n_dims; d++) {
        struct px_str symbol = draft->symbols[d];
        size_t at = 0, n = s->base.takes.n * PX_TENSOR_DIMS_MAX;
        output->dimensions[d] = (struct px_ort_dimension){SIZE_MAX, 0};
        if (draft->spec.shape[d] != PX_DIM_ANY)
            continue;
        while (at < n && (symbol.len == 0 || !px_str_eq(symbols[at], symbol)))
            at++;
        output->dimensions[d] =
            (struct px_ort_dimension){at / PX_TENSOR_DIMS_MAX, at % PX_TENSOR_DIMS_MAX};
        known = at < n;
    }
    atomic_init(&output->foreseen, known);
}

struct outputs {
    struct px_tensor_spec *specs;
    struct px_ort_output *list;
    size_t n;
};

/* The labels beside the scores of mappings. */
static enum px_code add_labels(const struct draft *draft, bool texts, struct px_arena *arena,
                               struct outputs *outputs, struct px_err *err)
{
    size_t n = draft->spec.name.len;
    char *name = px_arena_alloc(arena, n + sizeof "_labels", 1);
    enum px_code code = px_arena_check(arena, "the model's signature", err);
    if (code != PX_OK)
        return code;
    memcpy(name, draft->spec.name.ptr, n);
    memcpy(name + n, "_labels", sizeof "_labels");
    outputs->specs[outputs->n] =
        (struct px_tensor_spec){.name = px_str(name),
                                .type = texts ? PX_TYPE_BYTES : PX_TYPE_INT64,
                                .shape = {PX_DIM_ANY},
                                .n_dims = 1};
    struct px_ort_output *output = &outputs->list[outputs->n++];
    *output = (struct px_ort_output){
        .kind = PX_ORT_OUTPUT_LABELS, .source = draft->spec.name.ptr, .one = draft->one};
    return PX_OK;
}

/* Are the keys of a mapping, or of the mappings of a list, texts? */
static enum px_code has_text_keys(const struct px_ort_session *s, size_t i, bool one, bool *ret,
                                  struct px_err *err)
{
    const struct px_ort *ort = s->ort;
    const void *list = NULL, *map = NULL;
    void *type = NULL, *element = NULL;
    int key = 0;
    void *status = ort->output_type(s->session, i, &type);
    if (!status && !one)
        status = ort->as_sequence(type, &list);
    if (!status && !one)
        status = ort->sequence_element(list, &element);
    if (!status)
        status = ort->as_map(one ? type : element, &map);
    if (!status)
        status = ort->map_key(map, &key);
    if (element)
        ort->release_type(element);
    if (type)
        ort->release_type(type);
    *ret = px_ort_datatype(key) == PX_TYPE_BYTES;
    return px_ort_check(ort, status, s->path, err);
}

static enum px_code add_output(struct px_ort_session *s, size_t i, const struct px_str *symbols,
                               const struct draft *draft, struct px_arena *arena,
                               struct outputs *outputs, struct px_err *err)
{
    struct px_ort_output *output = &outputs->list[outputs->n];
    outputs->specs[outputs->n++] = draft->spec;
    *output = (struct px_ort_output){
        .kind = draft->kind, .source = draft->spec.name.ptr, .one = draft->one};
    foresee(s, symbols, draft, output);
    if (draft->kind != PX_ORT_OUTPUT_SCORES)
        return PX_OK;
    bool texts;
    enum px_code code = has_text_keys(s, i, draft->one, &texts, err);
    return code == PX_OK ? add_labels(draft, texts, arena, outputs, err) : code;
}

static void note_left_out(struct px_ort_session *s, struct px_str name, struct px_arena *arena)
{
    char text[256];
    int n = snprintf(text, sizeof text, "%s%s%.*s", s->left_out.len ? s->left_out.ptr : "",
                     s->left_out.len ? ", " : "", PX_STR_ARG(name));
    if (n > 0 && (size_t)n < sizeof text)
        s->left_out = px_arena_str(arena, px_str(text));
}

static enum px_code read_outputs(struct px_ort_session *s, const struct px_str *symbols,
                                 struct px_arena *arena, struct px_err *err)
{
    size_t n = 0;
    enum px_code code = px_ort_check(s->ort, s->ort->output_count(s->session, &n), s->path, err);
    if (code != PX_OK)
        return code;
    if (n > PX_ENGINE_TENSORS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "the model has %zu outputs; at most %d are served",
                          n, PX_ENGINE_TENSORS_MAX);
    struct outputs outputs = {px_arena_zalloc(arena, 2 * n + 1, sizeof *outputs.specs),
                              px_arena_zalloc(arena, 2 * n + 1, sizeof *outputs.list), 0};
    code = px_arena_check(arena, "the model's signature", err);
    for (size_t i = 0; code == PX_OK && i < n; i++) {
        struct draft draft;
        struct px_err reason = {0};
        code = read_draft(s, i, false, arena, &draft, &reason);
        if (code == PX_OK) {
            code = add_output(s, i, symbols, &draft, arena, &outputs, err);
        } else if (code == PX_E_UNSUPPORTED) {
            note_left_out(s, draft.spec.name, arena);
            code = PX_OK;
        } else if (err) {
            *err = reason;
        }
    }
    s->outputs = outputs.list;
    s->base.gives = (struct px_tensor_specs){outputs.specs, outputs.n};
    if (code == PX_OK && outputs.n == 0)
        return px_err_set(err, PX_E_UNSUPPORTED, "the model has no output that can be served");
    return code;
}

/* ---- scalars ---- */

static bool has_any_rank(const struct px_tensor_specs *specs)
{
    for (size_t i = 0; i < specs->n; i++) {
        if (specs->list[i].any_rank)
            return true;
    }
    return false;
}

static void settle_scalar(const struct px_tensor_specs *specs, struct px_str name)
{
    const struct px_tensor_spec *found = px_tensor_specs_find(specs, name);
    struct px_tensor_spec *spec = px_unconst(found);
    if (spec && spec->any_rank)
        spec->any_rank = false;
}

static void settle_scalars(struct px_ort_session *s, const char *path, struct px_arena *arena)
{
    struct px_str names[PX_ONNX_SCALARS_MAX];
    if (!has_any_rank(&s->base.takes) && !has_any_rank(&s->base.gives))
        return;
    size_t n = px_ort_scalars(path, arena, names, PX_ARRAY_LEN(names));
    for (size_t i = 0; i < n; i++) {
        settle_scalar(&s->base.takes, names[i]);
        settle_scalar(&s->base.gives, names[i]);
    }
}

/* ---- what model.yaml declares ---- */

static bool narrows(const struct px_tensor_spec *declared, const struct px_tensor_spec *real)
{
    if (declared->type != real->type)
        return false;
    if (real->any_rank)
        return true;
    if (declared->any_rank || declared->n_dims != real->n_dims)
        return false;
    for (size_t i = 0; i < real->n_dims; i++) {
        if (real->shape[i] != PX_DIM_ANY && declared->shape[i] != real->shape[i])
            return false;
    }
    return true;
}

static enum px_code check_declared(const char *what, const struct px_tensor_specs *declared,
                                   const struct px_tensor_specs *real, struct px_err *err)
{
    for (size_t i = 0; i < declared->n; i++) {
        const struct px_tensor_spec *a = &declared->list[i];
        const struct px_tensor_spec *b = px_tensor_specs_find(real, a->name);
        char mine[PX_TENSOR_SHAPE_TEXT_MAX], theirs[PX_TENSOR_SHAPE_TEXT_MAX];
        if (!b) {
            px_err_set(err, PX_E_INVALID, "model.yaml declares %s '%.*s', which the model has not",
                       what, PX_STR_ARG(a->name));
            px_err_hint(err, "the model's are: '%.*s'%s", PX_STR_ARG(real->list[0].name),
                        real->n > 1 ? " ..." : "");
            return PX_E_INVALID;
        }
        if (!narrows(a, b))
            return px_err_set(err, PX_E_INVALID,
                              "model.yaml declares %s '%.*s' as %s %s; the model says %s %s", what,
                              PX_STR_ARG(a->name), px_datatype_name(a->type),
                              px_tensor_spec_shape_text(a, mine), px_datatype_name(b->type),
                              px_tensor_spec_shape_text(b, theirs));
    }
    return PX_OK;
}

/* Of the outputs only those that are declared remain, in that order; the inputs keep the graph's order. */
static enum px_code use_declared(struct px_ort_session *s, const struct px_engine_request *request,
                                 struct px_err *err)
{
    struct px_arena *arena = request->arena;
    size_t n = request->outputs.n;
    struct px_tensor_spec *takes = px_arena_zalloc(arena, s->base.takes.n + 1, sizeof *takes);
    struct px_ort_output *outputs = px_arena_zalloc(arena, n + 1, sizeof *outputs);
    enum px_code code = px_arena_check(arena, "the model's signature", err);
    if (code != PX_OK)
        return code;
    for (size_t i = 0; i < s->base.takes.n; i++) {
        struct px_str name = s->base.takes.list[i].name;
        const struct px_tensor_spec *declared = px_tensor_specs_find(&request->inputs, name);
        takes[i] = declared ? *declared : s->base.takes.list[i];
        takes[i].name = name;
        takes[i].optional = false; /* a graph computes nothing without */
    }
    s->base.takes.list = takes;
    for (size_t i = 0; i < n; i++) {
        const struct px_tensor_spec *real =
            px_tensor_specs_find(&s->base.gives, request->outputs.list[i].name);
        memcpy(&outputs[i], &s->outputs[real - s->base.gives.list], sizeof *outputs);
    }
    if (n) {
        s->outputs = outputs;
        s->base.gives = request->outputs;
    }
    return PX_OK;
}

enum px_code px_ort_read_specs(struct px_ort_session *session,
                               const struct px_engine_request *request, struct px_err *err)
{
    struct px_str *symbols = NULL;
    enum px_code code = read_inputs(session, request->arena, &symbols, err);
    if (code == PX_OK)
        code = read_outputs(session, symbols, request->arena, err);
    if (code == PX_OK)
        settle_scalars(session, request->path.ptr, request->arena);
    if (code == PX_OK)
        code = check_declared("input", &request->inputs, &session->base.takes, err);
    if (code == PX_OK)
        code = check_declared("output", &request->outputs, &session->base.gives, err);
    return code == PX_OK ? use_declared(session, request, err) : code;
}
