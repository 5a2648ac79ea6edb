/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields are those of onnx.proto3. A message is read by one function, which hands nested messages on; what it learns goes
 * into `struct reading`. Judgement comes at the end, when everything has been seen: functions that a model brings along are
 * written behind the graph that uses them.
 */
#include "domain/inference/onnx_diagnosis.h"

#include "shared/protobuf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { DOMAINS_MAX = 64, TEXT_MAX = 400, EXTERNAL_LOCATION = 1, ELEMENT_DOUBLE = 11 };

/* A kind of operator that no library has unless it was made for it. */
struct foreign {
    struct px_str domain, kind;
    size_t n; /* nodes */
};

struct reading {
    struct px_onnx_diagnosis *out;
    struct px_arena *arena;
    struct px_err *err;
    struct foreign foreign[DOMAINS_MAX];
    size_t n_foreign;
    struct px_str brought[DOMAINS_MAX]; /* domains of functions in the file */
    size_t n_brought;
    size_t n_nodes, n_outputs, n_inputs, n_of_one; /* inputs; those whose first dimension is 1 */
    struct px_str a_double, a_mapping,
        an_input;         /* names: an input of FP64, an output of mappings */
    struct px_str trains; /* an operator that behaves as in training */
    bool has_opset;
};

static enum px_code read_graph(struct reading *r, struct px_str bytes, unsigned depth);

/* ---- findings ---- */

PX_PRINTF(4, 5)
static void report(struct reading *r, bool error, const char *hint, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list arguments;
    if (r->out->n_findings == PX_ONNX_FINDINGS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    r->out->findings[r->out->n_findings++] = (struct px_onnx_finding){
        .error = error, .message = px_arena_str(r->arena, px_str(text)), .hint = px_str(hint)};
}

void px_onnx_report_missing(struct px_onnx_diagnosis *diagnosis, struct px_str file,
                            struct px_arena *arena)
{
    struct reading r = {.out = diagnosis, .arena = arena};
    report(&r, true,
           "copy it beside the model, or save one file: onnx.save_model(onnx.load(path), path, "
           "save_as_external_data=False)",
           "the weights in '%.*s' are missing: the file is not beside the model", PX_STR_ARG(file));
}

void px_onnx_report_outside(struct px_onnx_diagnosis *diagnosis, struct px_str file,
                            struct px_arena *arena)
{
    struct reading r = {.out = diagnosis, .arena = arena};
    report(&r, true, "save it again with weights in one file beside the model",
           "weights are to be read from '%.*s', outside the model's folder", PX_STR_ARG(file));
}

/* ---- weights ---- */

static void note_external(struct reading *r, struct px_str file)
{
    struct px_onnx_diagnosis *out = r->out;
    for (size_t i = 0; i < out->n_external; i++) {
        if (px_str_eq(out->external[i], file))
            return;
    }
    if (out->n_external < PX_ONNX_EXTERNAL_MAX)
        out->external[out->n_external++] = file;
    else
        out->more_external = true;
}

static enum px_code read_entry(struct reading *r, struct px_str bytes, struct px_str *ret_location)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    struct px_str key = {0}, value = {0};
    while (px_protobuf_next(&p, &field)) {
        if (field.number == 1 && field.wire == PX_PROTOBUF_BYTES)
            key = field.bytes;
        if (field.number == 2 && field.wire == PX_PROTOBUF_BYTES)
            value = field.bytes;
    }
    if (px_str_is(key, "location"))
        *ret_location = value;
    return px_protobuf_check(&p, "StringStringEntryProto", r->err);
}

static enum px_code read_tensor(struct reading *r, struct px_str bytes)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    struct px_str location = {0};
    bool external = false;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == 13 && field.wire == PX_PROTOBUF_BYTES)
            code = read_entry(r, field.bytes, &location);
        if (field.number == 14 && field.wire == PX_PROTOBUF_VARINT)
            external = field.value == EXTERNAL_LOCATION;
    }
    if (external && location.len)
        note_external(r, location);
    return code == PX_OK ? px_protobuf_check(&p, "TensorProto", r->err) : code;
}

/* A sparse tensor: its values (1) and where they are (2). */
static enum px_code read_sparse(struct reading *r, struct px_str bytes)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.wire == PX_PROTOBUF_BYTES && (field.number == 1 || field.number == 2))
            code = read_tensor(r, field.bytes);
    }
    return code == PX_OK ? px_protobuf_check(&p, "SparseTensorProto", r->err) : code;
}

/* ---- nodes ---- */

static bool is_known_domain(struct px_str domain)
{
    static const char *const known[] = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training",
                                        "ai.onnx.preview.training"};
    for (size_t i = 0; i < PX_ARRAY_LEN(known); i++) {
        if (px_str_is(domain, known[i]))
            return true;
    }
    /* ONNX Runtime's own. */
    return px_str_starts(domain, "com.microsoft") || px_str_starts(domain, "com.ms.internal") ||
           px_str_is(domain, "org.pytorch.aten");
}

static void note_operator(struct reading *r, struct px_str domain, struct px_str kind)
{
    if (is_known_domain(domain))
        return;
    for (size_t i = 0; i < r->n_foreign; i++) {
        if (px_str_eq(r->foreign[i].domain, domain)) {
            r->foreign[i].n++;
            return;
        }
    }
    if (r->n_foreign < DOMAINS_MAX)
        r->foreign[r->n_foreign++] = (struct foreign){domain, kind, 1};
}

/* Returns the attribute's integer; graphs and tensors in it are read. */
static enum px_code read_attribute(struct reading *r, struct px_str bytes, unsigned depth,
                                   struct px_str *ret_name, int64_t *ret_value)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    *ret_value = 0;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        bool nested = field.wire == PX_PROTOBUF_BYTES;
        if (nested && field.number == 1)
            *ret_name = field.bytes;
        else if (field.number == 3 && field.wire == PX_PROTOBUF_VARINT)
            *ret_value = px_protobuf_i64(&field);
        else if (nested && (field.number == 5 || field.number == 10))
            code = read_tensor(r, field.bytes);
        else if (nested && (field.number == 6 || field.number == 11))
            code = read_graph(r, field.bytes, depth + 1);
        else if (nested && (field.number == 22 || field.number == 23))
            code = read_sparse(r, field.bytes);
    }
    return code == PX_OK ? px_protobuf_check(&p, "AttributeProto", r->err) : code;
}

static enum px_code read_node(struct reading *r, struct px_str bytes, unsigned depth)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    struct px_str kind = {0}, domain = {0}, name = {0};
    bool trains = false;
    enum px_code code = PX_OK;
    if (++r->n_nodes > PX_ONNX_NODES_MAX)
        return px_err_set(r->err, PX_E_TOO_LARGE, "more than %d nodes", PX_ONNX_NODES_MAX);
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        int64_t value = 0;
        if (field.wire != PX_PROTOBUF_BYTES)
            continue;
        if (field.number == 4)
            kind = field.bytes;
        else if (field.number == 7)
            domain = field.bytes;
        else if (field.number == 5)
            code = read_attribute(r, field.bytes, depth, &name, &value);
        trains |= field.number == 5 && value == 1 && px_str_is(name, "training_mode");
    }
    note_operator(r, domain, kind);
    if (trains && r->trains.len == 0)
        r->trains = kind;
    return code == PX_OK ? px_protobuf_check(&p, "NodeProto", r->err) : code;
}

/* ---- inputs and outputs ---- */

struct value {
    struct px_str name;
    uint64_t element;  /* of a tensor; 0: it is none */
    bool mapping;      /* a mapping, or a list of them */
    bool has_dim, one; /* a first dimension; it is 1 */
};

/* The length of a dimension; 0 when it has a name or none. */
static uint64_t read_dimension(struct px_str bytes)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    uint64_t length = 0;
    while (px_protobuf_next(&p, &field)) {
        if (field.number == 1 && field.wire == PX_PROTOBUF_VARINT)
            length = field.value;
    }
    return length;
}

static void read_tensor_type(struct px_str bytes, struct value *ret)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field, dim;
    while (px_protobuf_next(&p, &field)) {
        if (field.number == 1 && field.wire == PX_PROTOBUF_VARINT)
            ret->element = field.value;
        if (field.number != 2 || field.wire != PX_PROTOBUF_BYTES)
            continue;
        struct px_protobuf shape = px_protobuf(field.bytes);
        ret->has_dim = px_protobuf_next(&shape, &dim) && dim.wire == PX_PROTOBUF_BYTES;
        ret->one = ret->has_dim && read_dimension(dim.bytes) == 1;
    }
}

/* TypeProto, of a list the type of its elements: 1 tensor, 4 list, 5 mapping. */
static void read_type(struct px_str bytes, struct value *ret, unsigned depth)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    while (depth < PX_ONNX_DEPTH_MAX && px_protobuf_next(&p, &field)) {
        if (field.wire != PX_PROTOBUF_BYTES)
            continue;
        if (field.number == 1 && depth == 0)
            read_tensor_type(field.bytes, ret);
        ret->mapping |= field.number == 5;
        struct px_protobuf list = px_protobuf(field.bytes);
        struct px_protobuf_field element;
        if (field.number == 4 && px_protobuf_next(&list, &element) &&
            element.wire == PX_PROTOBUF_BYTES)
            read_type(element.bytes, ret, depth + 1);
    }
}

static struct value read_value(struct px_str bytes)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    struct value value = {0};
    while (px_protobuf_next(&p, &field)) {
        if (field.number == 1 && field.wire == PX_PROTOBUF_BYTES)
            value.name = field.bytes;
        if (field.number == 2 && field.wire == PX_PROTOBUF_BYTES)
            read_type(field.bytes, &value, 0);
    }
    return value;
}

static void note_input(struct reading *r, struct px_str bytes)
{
    struct value value = read_value(bytes);
    r->n_inputs++;
    r->n_of_one += value.one;
    if (value.one && r->an_input.len == 0)
        r->an_input = value.name;
    if (value.element == ELEMENT_DOUBLE && r->a_double.len == 0)
        r->a_double = value.name;
}

static void note_output(struct reading *r, struct px_str bytes)
{
    struct value value = read_value(bytes);
    r->n_outputs++;
    if (value.mapping && r->a_mapping.len == 0)
        r->a_mapping = value.name;
}

/* ---- graph and model ---- */

static enum px_code read_graph(struct reading *r, struct px_str bytes, unsigned depth)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    if (depth > PX_ONNX_DEPTH_MAX)
        return px_err_set(r->err, PX_E_TOO_LARGE, "graphs are nested more than %d deep",
                          PX_ONNX_DEPTH_MAX);
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.wire != PX_PROTOBUF_BYTES)
            continue;
        if (field.number == 1)
            code = read_node(r, field.bytes, depth);
        else if (field.number == 5)
            code = read_tensor(r, field.bytes);
        else if (field.number == 15)
            code = read_sparse(r, field.bytes);
        else if (field.number == 11 && depth == 0)
            note_input(r, field.bytes);
        else if (field.number == 12 && depth == 0)
            note_output(r, field.bytes);
    }
    return code == PX_OK ? px_protobuf_check(&p, "GraphProto", r->err) : code;
}

static enum px_code read_opset(struct reading *r, struct px_str bytes)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    struct px_str domain = {0};
    int64_t version = 0;
    while (px_protobuf_next(&p, &field)) {
        if (field.number == 1 && field.wire == PX_PROTOBUF_BYTES)
            domain = field.bytes;
        if (field.number == 2 && field.wire == PX_PROTOBUF_VARINT)
            version = px_protobuf_i64(&field);
    }
    if (domain.len == 0 || px_str_is(domain, "ai.onnx")) {
        r->out->opset = version;
        r->has_opset = true;
    }
    return px_protobuf_check(&p, "OperatorSetIdProto", r->err);
}

/* A function in the file: its domain (10), nodes (7) that may be of other domains, and defaults of its attributes (11). */
static enum px_code read_function(struct reading *r, struct px_str bytes)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    struct px_str name;
    int64_t value;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.wire != PX_PROTOBUF_BYTES)
            continue;
        if (field.number == 7)
            code = read_node(r, field.bytes, 1);
        if (field.number == 11)
            code = read_attribute(r, field.bytes, 1, &name, &value);
        if (field.number == 10 && r->n_brought < DOMAINS_MAX)
            r->brought[r->n_brought++] = field.bytes;
    }
    return code == PX_OK ? px_protobuf_check(&p, "FunctionProto", r->err) : code;
}

static enum px_code read_model(struct reading *r, struct px_str bytes)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    bool has_graph = false;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        bool nested = field.wire == PX_PROTOBUF_BYTES;
        if (field.number == 1 && !nested)
            r->out->ir_version = px_protobuf_i64(&field);
        else if (nested && field.number == 7)
            code = read_graph(r, field.bytes, 0);
        else if (nested && field.number == 8)
            code = read_opset(r, field.bytes);
        else if (nested && field.number == 25)
            code = read_function(r, field.bytes);
        has_graph |= nested && field.number == 7;
    }
    if (code == PX_OK)
        code = px_protobuf_check(&p, "ModelProto", r->err);
    if (code == PX_OK && !has_graph)
        return px_err_set(r->err, PX_E_CORRUPT, "the file has no graph: it is no ONNX model");
    return code;
}

/* ---- judgement ---- */

static void judge_versions(struct reading *r, const struct px_onnx_limits *limits)
{
    const struct px_onnx_diagnosis *d = r->out;
    if (d->ir_version > limits->ir_version_max)
        report(r, true,
               "onnx.load it, set model.ir_version = 10 and save it, or install a newer "
               "ONNX Runtime",
               "the file's format is IR version %" PRId64
               "; this ONNX Runtime reads up to %" PRId64,
               d->ir_version, limits->ir_version_max);
    if (!r->has_opset)
        report(r, true, "export it again: the exporter writes opset_import",
               "the file does not say which version of ONNX's operators it uses");
    else if (d->opset < limits->opset_least)
        report(r, true,
               "export it again with opset_version=17, or convert it: "
               "onnx.version_converter.convert_version(model, 17)",
               "it uses operators of opset %" PRId64
               "; the oldest that are computed are of %" PRId64,
               d->opset, limits->opset_least);
    else if (d->opset > limits->opset_max)
        report(r, true, "export it again with opset_version=17, or install a newer ONNX Runtime",
               "it uses operators of opset %" PRId64 "; this ONNX Runtime knows up to %" PRId64,
               d->opset, limits->opset_max);
}

static bool is_brought(const struct reading *r, struct px_str domain)
{
    for (size_t i = 0; i < r->n_brought; i++) {
        if (px_str_eq(r->brought[i], domain))
            return true;
    }
    return false;
}

static void judge_operators(struct reading *r)
{
    for (size_t i = 0; i < r->n_foreign; i++) {
        const struct foreign *f = &r->foreign[i];
        if (!is_brought(r, f->domain))
            report(r, true,
                   "export it with standard operators, or with the custom ones as functions in "
                   "the file",
                   "the operator '%.*s' is of the domain '%.*s', which ONNX Runtime does not have "
                   "(%zu such nodes)",
                   PX_STR_ARG(f->kind), PX_STR_ARG(f->domain), f->n);
    }
    if (r->trains.len)
        report(r, false, "call model.eval() before the export",
               "'%.*s' behaves as in training: scores depend on the other rows or on chance",
               PX_STR_ARG(r->trains));
}

static void judge_shapes(struct reading *r)
{
    if (r->n_outputs == 0)
        report(r, true, "name the outputs when exporting", "the graph has no outputs");
    if (r->n_inputs && r->n_of_one == r->n_inputs)
        report(r, false,
               "torch.onnx.export(..., dynamic_axes={'x': {0: 'batch'}, 'y': {0: 'batch'}})",
               "the first dimension of the input '%.*s' is fixed to 1: a request can hold one row",
               PX_STR_ARG(r->an_input));
    if (r->a_mapping.len)
        report(r, false, "to_onnx(model, ..., options={'zipmap': False}) gives a plain matrix",
               "the output '%.*s' is a list of mappings, which costs time; it is served as scores "
               "and '%.*s_labels'",
               PX_STR_ARG(r->a_mapping), PX_STR_ARG(r->a_mapping));
    if (r->a_double.len)
        report(
            r, false, "export with float32 inputs (FloatTensorType) where that is exact enough",
            "the input '%.*s' is FP64: requests with FP32 are refused, and all are twice as long",
            PX_STR_ARG(r->a_double));
}

enum px_code px_onnx_diagnose(struct px_str bytes, const struct px_onnx_limits *limits,
                              struct px_arena *arena, struct px_onnx_diagnosis *ret,
                              struct px_err *err)
{
    struct reading r = {.out = ret, .arena = arena, .err = err};
    *ret = (struct px_onnx_diagnosis){0};
    enum px_code code = read_model(&r, bytes);
    if (code != PX_OK)
        return code;
    judge_versions(&r, limits);
    judge_operators(&r);
    judge_shapes(&r);
    return px_arena_check(arena, "what is to be said of the model", err);
}
