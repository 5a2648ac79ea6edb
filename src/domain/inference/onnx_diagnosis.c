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

enum {
    DOMAINS_MAX = 64,
    NAMES_MAX = 256,
    TEXT_MAX = 400,
    EXTERNAL_LOCATION = 1,
    ELEMENT_BOOL = 9,
    ELEMENT_DOUBLE = 11,
};

/* A kind of operator that no library has unless it was made for it. */
struct foreign {
    struct px_str domain, kind;
    size_t n; /* nodes */
};

/* Names of values. Those beyond the limit are forgotten: a warning less. */
struct names {
    struct px_str list[NAMES_MAX];
    size_t n;
};

/* First dimensions that are fixed, of the inputs or of the outputs. */
struct fixed {
    struct px_str name; /* of the first */
    uint64_t length;    /* its */
    size_t n;           /* tensors with that length, and */
    size_t n_matrices;  /* those of them that have further dimensions */
    struct names names; /* theirs */
};

struct reading {
    struct px_onnx_diagnosis *out;
    struct px_arena *arena;
    struct px_err *err;
    struct foreign foreign[DOMAINS_MAX];
    size_t n_foreign;
    struct px_str brought[DOMAINS_MAX]; /* domains of functions in the file */
    size_t n_brought;
    size_t n_nodes, n_outputs, n_inputs;
    struct fixed fixed_inputs, fixed_outputs;
    struct px_str a_double, a_mapping; /* names: an input of FP64, an output of mappings */
    struct px_str trains;              /* an operator that behaves as in training */
    struct names truths, switches;     /* constants that are true; the training_mode of dropouts */
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

static void add_name(struct names *names, struct px_str name)
{
    if (names->n < NAMES_MAX && name.len)
        names->list[names->n++] = name;
}

static bool has_name(const struct names *names, struct px_str name)
{
    for (size_t i = 0; i < names->n; i++) {
        if (px_str_eq(names->list[i], name))
            return true;
    }
    return false;
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

struct tensor {
    struct px_str name;
    bool is_true; /* one element, of BOOL, that is true */
};

static enum px_code read_tensor(struct reading *r, struct px_str bytes, struct tensor *ret)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    struct px_str location = {0};
    uint64_t element = 0;
    bool external = false, is_one = false;
    enum px_code code = PX_OK;
    *ret = (struct tensor){0};
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.number == 2 && field.wire == PX_PROTOBUF_VARINT)
            element = field.value;
        if (field.number == 8 && field.wire == PX_PROTOBUF_BYTES)
            ret->name = field.bytes;
        /* int32_data, packed or not, and raw_data */
        if ((field.number == 5 || field.number == 9) && field.wire == PX_PROTOBUF_BYTES)
            is_one = field.bytes.len == 1 && field.bytes.ptr[0] == 1;
        else if (field.number == 5)
            is_one = field.value == 1;
        if (field.number == 13 && field.wire == PX_PROTOBUF_BYTES)
            code = read_entry(r, field.bytes, &location);
        if (field.number == 14 && field.wire == PX_PROTOBUF_VARINT)
            external = field.value == EXTERNAL_LOCATION;
    }
    if (external && location.len)
        note_external(r, location);
    ret->is_true = is_one && element == ELEMENT_BOOL;
    return code == PX_OK ? px_protobuf_check(&p, "TensorProto", r->err) : code;
}

/* A sparse tensor: its values (1) and where they are (2). */
static enum px_code read_sparse(struct reading *r, struct px_str bytes)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    struct tensor ignored;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.wire == PX_PROTOBUF_BYTES && (field.number == 1 || field.number == 2))
            code = read_tensor(r, field.bytes, &ignored);
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
    return px_str_starts(domain, "com.microsoft") || px_str_starts(domain, "com.ms.internal");
}

/* One of PyTorch's own operators, which its exporter leaves in the file when it is told to fall through or back. */
static bool is_pytorch(struct px_str domain, struct px_str kind)
{
    return px_str_is(domain, "org.pytorch.aten") || px_str_is(domain, "aten") ||
           px_str_is(domain, "prim") || px_str_starts(kind, "aten::") ||
           px_str_starts(kind, "prim::");
}

static void note_operator(struct reading *r, struct px_str domain, struct px_str kind)
{
    if (is_known_domain(domain) && !is_pytorch(domain, kind))
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

struct attribute {
    struct px_str name;
    int64_t value;
    struct tensor tensor;
};

/* Graphs and tensors in it are read. */
static enum px_code read_attribute(struct reading *r, struct px_str bytes, unsigned depth,
                                   struct attribute *ret)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    enum px_code code = PX_OK;
    *ret = (struct attribute){0};
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        bool nested = field.wire == PX_PROTOBUF_BYTES;
        if (nested && field.number == 1)
            ret->name = field.bytes;
        else if (field.number == 3 && field.wire == PX_PROTOBUF_VARINT)
            ret->value = px_protobuf_i64(&field);
        else if (nested && (field.number == 5 || field.number == 10))
            code = read_tensor(r, field.bytes, &ret->tensor);
        else if (nested && (field.number == 6 || field.number == 11))
            code = read_graph(r, field.bytes, depth + 1);
        else if (nested && (field.number == 22 || field.number == 23))
            code = read_sparse(r, field.bytes);
    }
    return code == PX_OK ? px_protobuf_check(&p, "AttributeProto", r->err) : code;
}

/* A node, as far as it matters here. */
struct node {
    struct px_str kind, domain, output, training_mode; /* the first output; the third input */
    size_t n_inputs;
    bool trains, is_true; /* by its attributes: in training; a constant */
};

static void note_node(struct reading *r, const struct node *node)
{
    note_operator(r, node->domain, node->kind);
    if (node->trains && r->trains.len == 0)
        r->trains = node->kind;
    if (node->is_true && px_str_is(node->kind, "Constant"))
        add_name(&r->truths, node->output);
    if (px_str_is(node->kind, "Dropout"))
        add_name(&r->switches, node->training_mode);
}

static enum px_code read_node(struct reading *r, struct px_str bytes, unsigned depth)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    struct attribute attribute;
    struct node node = {0};
    enum px_code code = PX_OK;
    if (++r->n_nodes > PX_ONNX_NODES_MAX)
        return px_err_set(r->err, PX_E_TOO_LARGE, "more than %d nodes", PX_ONNX_NODES_MAX);
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.wire != PX_PROTOBUF_BYTES)
            continue;
        if (field.number == 1 && ++node.n_inputs == 3)
            node.training_mode = field.bytes;
        else if (field.number == 2 && node.output.len == 0)
            node.output = field.bytes;
        else if (field.number == 4)
            node.kind = field.bytes;
        else if (field.number == 7)
            node.domain = field.bytes;
        if (field.number != 5)
            continue;
        code = read_attribute(r, field.bytes, depth, &attribute);
        node.trains |= attribute.value == 1 && px_str_is(attribute.name, "training_mode");
        node.is_true |= attribute.tensor.is_true;
    }
    note_node(r, &node);
    return code == PX_OK ? px_protobuf_check(&p, "NodeProto", r->err) : code;
}

/* ---- inputs and outputs ---- */

struct value {
    struct px_str name;
    uint64_t element; /* of a tensor; 0: it is none */
    bool mapping;     /* a mapping, or a list of them */
    bool has_shape;   /* the shape may be that of a scalar */
    size_t n_dims;
    uint64_t first;                  /* dimension; 0: it may be anything */
    struct px_onnx_diagnosis *names; /* where names of dimensions are noted; NULL: nowhere */
};

static void note_symbol(struct px_onnx_diagnosis *out, struct px_str name)
{
    for (size_t i = 0; i < out->n_symbols; i++) {
        if (px_str_eq(out->symbols[i], name))
            return;
    }
    if (out->n_symbols < PX_ONNX_SYMBOLS_MAX)
        out->symbols[out->n_symbols++] = name;
    else
        out->more_symbols = true;
}

/* The length of a dimension; 0 when it has a name or none. A name is noted in `names`, which may be NULL. */
static uint64_t read_dimension(struct px_str bytes, struct px_onnx_diagnosis *names)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    uint64_t length = 0;
    while (px_protobuf_next(&p, &field)) {
        if (field.number == 1 && field.wire == PX_PROTOBUF_VARINT)
            length = field.value;
        if (names && field.number == 2 && field.wire == PX_PROTOBUF_BYTES && field.bytes.len > 0)
            note_symbol(names, field.bytes);
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
        ret->has_shape = true;
        while (px_protobuf_next(&shape, &dim)) {
            bool is_first = ret->n_dims++ == 0;
            uint64_t length =
                dim.wire == PX_PROTOBUF_BYTES ? read_dimension(dim.bytes, ret->names) : 0;
            if (is_first)
                ret->first = length;
        }
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

static struct value read_value(struct px_str bytes, struct px_onnx_diagnosis *names)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    struct value value = {.names = names};
    while (px_protobuf_next(&p, &field)) {
        if (field.number == 1 && field.wire == PX_PROTOBUF_BYTES)
            value.name = field.bytes;
        if (field.number == 2 && field.wire == PX_PROTOBUF_BYTES)
            read_type(field.bytes, &value, 0);
    }
    return value;
}

static void note_shape(struct reading *r, const struct value *value, struct fixed *fixed)
{
    struct px_onnx_diagnosis *out = r->out;
    bool is_scalar = value->element && value->has_shape && value->n_dims == 0;
    if (is_scalar && out->n_scalars < PX_ONNX_SCALARS_MAX)
        out->scalars[out->n_scalars++] = value->name;
    if (value->first == 0)
        return;
    if (fixed->n == 0)
        *fixed = (struct fixed){.name = value->name, .length = value->first};
    fixed->n += value->first == fixed->length;
    if (value->first == fixed->length)
        add_name(&fixed->names, value->name);
    fixed->n_matrices += value->first == fixed->length && value->n_dims > 1;
}

static void note_input(struct reading *r, struct px_str bytes)
{
    struct value value = read_value(bytes, r->out);
    r->n_inputs++;
    note_shape(r, &value, &r->fixed_inputs);
    if (value.element == ELEMENT_DOUBLE && r->a_double.len == 0)
        r->a_double = value.name;
}

static void note_output(struct reading *r, struct px_str bytes)
{
    struct value value = read_value(bytes, NULL);
    r->n_outputs++;
    note_shape(r, &value, &r->fixed_outputs);
    if (value.mapping && r->a_mapping.len == 0)
        r->a_mapping = value.name;
}

/* ---- graph and model ---- */

static enum px_code read_graph(struct reading *r, struct px_str bytes, unsigned depth)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    struct tensor tensor = {0};
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
            code = read_tensor(r, field.bytes, &tensor);
        else if (field.number == 15)
            code = read_sparse(r, field.bytes);
        else if (field.number == 11 && depth == 0)
            note_input(r, field.bytes);
        else if (field.number == 12 && depth == 0)
            note_output(r, field.bytes);
        if (field.number == 5 && tensor.is_true)
            add_name(&r->truths, tensor.name);
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
    struct attribute ignored;
    enum px_code code = PX_OK;
    while (code == PX_OK && px_protobuf_next(&p, &field)) {
        if (field.wire != PX_PROTOBUF_BYTES)
            continue;
        if (field.number == 7)
            code = read_node(r, field.bytes, 1);
        if (field.number == 11)
            code = read_attribute(r, field.bytes, 1, &ignored);
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

static void judge_foreign(struct reading *r, const struct foreign *f)
{
    if (is_brought(r, f->domain))
        return;
    if (is_pytorch(f->domain, f->kind))
        report(r, true,
               "leave operator_export_type at ONNX, with opset_version=17 or newer; what ONNX has "
               "no operator for can be served as TorchScript: torch.jit.script(model).save(path)",
               "the operator '%.*s' is PyTorch's own, which the exporter fell back to (%zu such "
               "nodes)",
               PX_STR_ARG(f->kind), f->n);
    else
        report(r, true,
               "export it with standard operators, or with the custom ones as functions in "
               "the file",
               "the operator '%.*s' is of the domain '%.*s', which ONNX Runtime does not have "
               "(%zu such nodes)",
               PX_STR_ARG(f->kind), PX_STR_ARG(f->domain), f->n);
}

static void judge_operators(struct reading *r)
{
    for (size_t i = 0; i < r->n_foreign; i++)
        judge_foreign(r, &r->foreign[i]);
    for (size_t i = 0; i < r->switches.n && r->trains.len == 0; i++) {
        if (has_name(&r->truths, r->switches.list[i]))
            r->trains = px_str("Dropout");
    }
    if (r->trains.len)
        report(r, false, "call model.eval() before the export",
               "'%.*s' behaves as in training: scores depend on the other rows or on chance",
               PX_STR_ARG(r->trains));
}

static void put_names(struct px_buf *out, const struct names *names, const char *after)
{
    for (size_t i = 0; i < names->n; i++)
        px_buf_printf(out, "%s'%.*s'%s", i ? ", " : "", PX_STR_ARG(names->list[i]), after);
}

/* How to export without it, in the arena. Of a file with very many tensors, without their names. */
static const char *free_rows(struct reading *r)
{
    char memory[TEXT_MAX];
    struct px_buf out = px_buf_fixed(memory, sizeof memory);
    const struct names *in = &r->fixed_inputs.names, *of = &r->fixed_outputs.names;
    px_buf_text(&out, "torch.onnx.export(..., input_names=[");
    put_names(&out, in, "");
    px_buf_text(&out, "], output_names=[");
    put_names(&out, of, "");
    px_buf_text(&out, "], dynamic_axes={");
    put_names(&out, in, ": {0: 'batch'}");
    px_buf_text(&out, of->n ? ", " : "");
    put_names(&out, of, ": {0: 'batch'}");
    px_buf_text(&out, "})");
    const char *text = out.failed ? NULL : px_arena_cstr(r->arena, px_buf_view(&out));
    return text ? text
                : "torch.onnx.export(..., dynamic_axes={NAME: {0: 'batch'}, ...}) for each tensor";
}

/* A first dimension that is fixed counts rows where it is 1 of all inputs, or the same of all inputs and outputs, which are matrices. */
static void judge_rows(struct reading *r)
{
    const struct fixed *in = &r->fixed_inputs, *out = &r->fixed_outputs;
    if (r->n_inputs == 0 || in->n != r->n_inputs)
        return;
    if (in->length == 1)
        report(r, false, free_rows(r),
               "the first dimension of the input '%.*s' is fixed to 1: a request can hold one row",
               PX_STR_ARG(in->name));
    else if (in->n_matrices == r->n_inputs && out->n == r->n_outputs && out->length == in->length)
        report(r, false, free_rows(r),
               "the first dimension of the input '%.*s' is fixed to %" PRIu64
               ": a request has to hold exactly %" PRIu64 " rows",
               PX_STR_ARG(in->name), in->length, in->length);
}

static void judge_shapes(struct reading *r)
{
    if (r->n_outputs == 0)
        report(r, true, "name the outputs when exporting", "the graph has no outputs");
    judge_rows(r);
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
