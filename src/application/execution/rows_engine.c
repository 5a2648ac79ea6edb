/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Features are filled column by column through the signature, as every dialect does; a whole matrix is scored where it lies when it
 * is aligned. Rows are scored in pieces, so that scratch memory is bounded and a cancel is seen; a row scores the same in any batch.
 */
#include "application/execution/rows_engine.h"

#include "shared/alloc.h"
#include "shared/clock.h"

#include <math.h>
#include <stdio.h>

enum { PIECE_ROWS_MAX = 1024, LABEL_TEXT_MAX = 24, OUTPUTS_MAX = 3 };

static const char input_name[] = "input", labels_name[] = "labels", margins_name[] = "margins";

struct rows_engine {
    struct px_engine base; /* first: the port's view of this object */
    struct px_engine *rows;
    struct px_rows_model model;
    struct px_tensor_spec *takes;
    struct px_tensor_spec gives[OUTPUTS_MAX];
};

/* One run on its way. */
struct scoring {
    const struct rows_engine *self;
    struct px_run *run;
    struct px_matrix rows;
    struct px_matrix scores, margins; /* data is NULL when they are not asked for */
    void *scratch;
};

/* ---- inputs ---- */

static bool takes_text(const struct px_feature *feature)
{
    return feature->kind == PX_FEATURE_DATETIME ||
           (feature->kind == PX_FEATURE_CATEGORY && feature->n_categories > 0);
}

static enum px_datatype column_type(const struct px_feature *feature, enum px_datatype number)
{
    if (takes_text(feature))
        return PX_TYPE_BYTES;
    if (feature->kind == PX_FEATURE_BOOLEAN)
        return PX_TYPE_BOOL;
    return feature->kind == PX_FEATURE_CATEGORY ? PX_TYPE_INT64 : number;
}

/* One element of a column, as the number that the model was trained on. */
static enum px_code encode(const struct px_feature *feature, enum px_datatype type,
                           struct px_str *rest, double *ret, struct px_err *err)
{
    struct px_str text;
    float narrow;
    double wide;
    int64_t code;
    size_t size = px_datatype_size(type);
    const char *at = rest->ptr;
    if (type == PX_TYPE_BYTES) {
        if (!px_tensor_next_text(rest, &text))
            return px_err_set(err, PX_E_INVALID, "input '%.*s' ends too early",
                              PX_STR_ARG(feature->name));
        return px_feature_encode_text(feature, text, ret, err);
    }
    *rest = px_str_n(at + size, rest->len - size);
    if (type == PX_TYPE_BOOL)
        return px_feature_encode_bool(feature, *at != 0, ret, err);
    if (type == PX_TYPE_INT64) {
        memcpy(&code, at, sizeof code);
        return px_feature_encode_number(feature, (double)code, ret, err);
    }
    if (type == PX_TYPE_FP32) {
        memcpy(&narrow, at, sizeof narrow);
        wide = (double)narrow;
    } else {
        memcpy(&wide, at, sizeof wide);
    }
    return px_feature_encode_number(feature, wide, ret, err);
}

static enum px_code fill_column(struct scoring *s, size_t col, const struct px_tensor *input,
                                struct px_err *err)
{
    const struct px_feature *feature = &s->self->model.signature->features[col];
    struct px_str rest = input->bytes;
    size_t n;
    if (!px_tensor_elements(input, &n) || n != s->rows.n_rows)
        return px_err_set(err, PX_E_INVALID,
                          "input '%.*s': expected one value for each of %zu rows",
                          PX_STR_ARG(input->name), s->rows.n_rows);
    for (size_t row = 0; row < n; row++) {
        double value = (double)NAN;
        enum px_code code = encode(feature, input->type, &rest, &value, err);
        if (code != PX_OK)
            return px_err_wrap(err, "row %zu", row);
        px_matrix_set(&s->rows, row, col, value);
    }
    return PX_OK;
}

static void *aligned(struct px_arena *arena, size_t count, size_t size)
{
    char *memory = px_arena_alloc(arena, count + PX_CACHE_LINE / size + 1, size);
    size_t over = (uintptr_t)memory % PX_CACHE_LINE;
    return memory && over ? memory + (PX_CACHE_LINE - over) : memory;
}

static enum px_code fill_columns(struct scoring *s, struct px_err *err)
{
    struct px_run *run = s->run;
    s->rows.data =
        aligned(run->arena, s->rows.n_rows * s->rows.n_cols + 1, px_datatype_size(s->rows.type));
    if (!s->rows.data)
        return px_arena_check(run->arena, "the rows", err);
    for (size_t row = 0; row < s->rows.n_rows; row++) {
        for (size_t col = 0; col < s->rows.n_cols; col++)
            px_matrix_set(&s->rows, row, col, (double)NAN);
    }
    for (size_t i = 0; i < run->n_inputs; i++) {
        long col = px_signature_find(s->self->model.signature, run->inputs[i].name);
        PX_ASSERT(col >= 0);
        enum px_code code = fill_column(s, (size_t)col, &run->inputs[i], err);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

/* A whole matrix: where it lies, or a copy of it that is aligned. */
static enum px_code take_matrix(struct scoring *s, const struct px_tensor *input,
                                struct px_err *err)
{
    union {
        const char *lent;
        void *data; /* engines only read rows */
    } address = {.lent = input->bytes.ptr};
    s->rows.data = address.data;
    if (input->bytes.len == 0 || (uintptr_t)input->bytes.ptr % px_datatype_size(input->type) == 0)
        return PX_OK;
    s->rows.data = aligned(s->run->arena, input->bytes.len, 1);
    if (!s->rows.data)
        return px_arena_check(s->run->arena, "the rows", err);
    memcpy(s->rows.data, input->bytes.ptr, input->bytes.len);
    return PX_OK;
}

static enum px_code read_rows(struct scoring *s, struct px_err *err)
{
    struct px_run *run = s->run;
    const struct px_engine *rows = s->self->rows;
    const struct px_tensor *matrix = NULL;
    size_t n_rows = 0;
    if (run->n_inputs == 0)
        return px_err_set(err, PX_E_INVALID, "expected '%s', or tensors of features", input_name);
    for (size_t i = 0; i < run->n_inputs; i++) {
        if (&s->self->takes[0] == px_tensor_specs_find(&s->self->base.takes, run->inputs[i].name) &&
            s->self->takes[0].n_dims == 2)
            matrix = &run->inputs[i];
    }
    if (matrix && run->n_inputs > 1)
        return px_err_set(err, PX_E_INVALID, "expected '%s' or tensors of features, got both",
                          input_name);
    if (matrix)
        n_rows = (size_t)matrix->shape[0];
    else if (!px_tensor_elements(&run->inputs[0], &n_rows))
        return px_err_set(err, PX_E_INVALID, "too many rows");
    s->rows = (struct px_matrix){.type = rows->feature_type,
                                 .n_rows = n_rows,
                                 .n_cols = rows->n_features,
                                 .stride = rows->n_features};
    return matrix ? take_matrix(s, matrix, err) : fill_columns(s, err);
}

/* ---- scoring ---- */

static enum px_code reserve(struct scoring *s, size_t n_cols, struct px_matrix *ret,
                            struct px_err *err)
{
    enum px_datatype type = s->self->rows->score_type;
    *ret = (struct px_matrix){
        .type = type, .n_rows = s->rows.n_rows, .n_cols = n_cols, .stride = n_cols};
    ret->data = aligned(s->run->arena, s->rows.n_rows * n_cols + 1, px_datatype_size(type));
    return ret->data ? PX_OK : px_arena_check(s->run->arena, "the scores", err);
}

static struct px_matrix slice(const struct px_matrix *m, size_t first, size_t n)
{
    struct px_matrix part = *m;
    part.data = px_matrix_row(m, first);
    part.n_rows = n;
    return part;
}

static enum px_code check_wanted(const struct px_run *run, struct px_err *err)
{
    if (atomic_load_explicit(&run->cancelled, memory_order_relaxed))
        return px_err_set(err, PX_E_CANCELLED, "the request was cancelled");
    if (run->deadline_ns && px_clock_monotonic_ns() >= run->deadline_ns)
        return px_err_set(err, PX_E_DEADLINE, "the deadline passed while rows were scored");
    return PX_OK;
}

static enum px_code score_into(struct scoring *s, struct px_matrix *out, unsigned flags,
                               struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t at = 0; out->data && at < out->n_rows && code == PX_OK; at += PIECE_ROWS_MAX) {
        size_t left = out->n_rows - at, n = left < PIECE_ROWS_MAX ? left : PIECE_ROWS_MAX;
        struct px_matrix rows = slice(&s->rows, at, n), scores = slice(out, at, n);
        if (at > 0)
            code = check_wanted(s->run, err);
        if (code == PX_OK)
            code = px_engine_score(s->self->rows, &rows, &scores, s->scratch, flags, err);
    }
    return code;
}

/* ---- outputs ---- */

static bool asks_for(const struct px_run *run, struct px_str name)
{
    for (size_t i = 0; i < run->n_outputs; i++) {
        if (px_str_eq(run->outputs[i].name, name))
            return true;
    }
    return false;
}

static struct px_str label_of(const struct scoring *s, size_t row, char text[LABEL_TEXT_MAX])
{
    const struct px_signature *signature = s->self->model.signature;
    size_t number = px_decide_class(&s->self->model.decision, &s->scores, row);
    if (number < signature->n_labels)
        return signature->labels[number];
    return px_str_n(text, (size_t)snprintf(text, LABEL_TEXT_MAX, "%zu", number));
}

static enum px_code put_labels(struct scoring *s, struct px_tensor *out, struct px_err *err)
{
    char text[LABEL_TEXT_MAX];
    size_t n = 0;
    for (size_t row = 0; row < s->rows.n_rows; row++)
        n += sizeof(uint32_t) + label_of(s, row, text).len;
    char *bytes = px_arena_alloc(s->run->arena, n + 1, 1), *at = bytes;
    if (!bytes)
        return px_arena_check(s->run->arena, "the labels", err);
    for (size_t row = 0; row < s->rows.n_rows; row++) {
        struct px_str label = label_of(s, row, text);
        uint32_t length = (uint32_t)label.len;
        memcpy(at, &length, sizeof length);
        memcpy(at + sizeof length, label.ptr, label.len);
        at += sizeof length + label.len;
    }
    out->type = PX_TYPE_BYTES;
    out->n_dims = 1;
    out->shape[0] = s->rows.n_rows;
    out->bytes = px_str_n(bytes, n);
    return PX_OK;
}

static void put_matrix(const struct px_matrix *m, struct px_tensor *out)
{
    out->type = m->type;
    out->n_dims = 2;
    out->shape[0] = m->n_rows;
    out->shape[1] = m->n_cols;
    out->bytes = px_str_n(m->data, m->n_rows * m->n_cols * px_datatype_size(m->type));
}

static enum px_code put_outputs(struct scoring *s, struct px_err *err)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; i < s->run->n_outputs && code == PX_OK; i++) {
        struct px_tensor *out = &s->run->outputs[i];
        if (px_str_eq(out->name, s->self->gives[0].name))
            put_matrix(&s->scores, out);
        else if (px_str_is(out->name, labels_name))
            code = put_labels(s, out, err);
        else
            put_matrix(&s->margins, out);
    }
    return code;
}

static enum px_code compute(struct scoring *s, struct px_err *err)
{
    const struct px_engine *rows = s->self->rows;
    const struct px_run *run = s->run;
    bool wants_margins = s->self->base.gives.n > 1 && asks_for(run, px_str(margins_name)) &&
                         !px_str_is(s->self->gives[0].name, margins_name);
    bool wants_scores = run->n_outputs > wants_margins;
    enum px_code code = read_rows(s, err);
    if (code == PX_OK && wants_scores)
        code = reserve(s, rows->n_outputs, &s->scores, err);
    if (code == PX_OK && wants_margins)
        code = reserve(s, rows->n_margins, &s->margins, err);
    if (code != PX_OK)
        return code;
    size_t piece = s->rows.n_rows < PIECE_ROWS_MAX ? s->rows.n_rows : PIECE_ROWS_MAX;
    s->scratch = aligned(run->arena, px_engine_scratch_size(rows, piece) + 1, 1);
    if (!s->scratch)
        return px_arena_check(run->arena, "the scratch", err);
    code = score_into(s, &s->scores, 0, err);
    if (code == PX_OK)
        code = score_into(s, &s->margins, PX_SCORE_MARGIN, err);
    return code == PX_OK ? put_outputs(s, err) : code;
}

static void start(struct px_engine *engine, struct px_run *run)
{
    struct scoring s = {.self = (const struct rows_engine *)engine, .run = run};
    run->started_ns = px_clock_monotonic_ns();
    px_run_finish(run, compute(&s, &run->err));
}

static void destroy(struct px_engine *engine)
{
    struct rows_engine *self = (struct rows_engine *)engine;
    px_engine_destroy(self->rows);
    px_free(self->takes);
    px_free(self);
}

/* ---- making ---- */

static struct px_tensor_spec spec(struct px_str name, enum px_datatype type, size_t n_cols)
{
    struct px_tensor_spec spec = {.name = name, .type = type, .shape = {PX_DIM_ANY}, .n_dims = 1};
    if (n_cols)
        spec.shape[spec.n_dims++] = (int64_t)n_cols;
    return spec;
}

static void set_takes(struct rows_engine *self, bool has_matrix, bool has_columns)
{
    const struct px_signature *signature = self->model.signature;
    enum px_datatype number = self->rows->feature_type;
    size_t n = 0;
    if (has_matrix)
        self->takes[n++] = spec(px_str(input_name), number, signature->n_features);
    for (size_t i = 0; has_columns && i < signature->n_features; i++) {
        const struct px_feature *feature = &signature->features[i];
        self->takes[n] = spec(feature->name, column_type(feature, number), 0);
        self->takes[n++].any_rank = true;
    }
    for (size_t i = 0; i < n; i++)
        self->takes[i].optional = n > 1;
    self->base.takes = (struct px_tensor_specs){self->takes, n};
}

static void set_gives(struct rows_engine *self)
{
    struct px_str output = self->model.signature->output_name;
    const struct px_engine *rows = self->rows;
    size_t n = 0;
    self->gives[n++] = spec(output, rows->score_type, rows->n_outputs);
    if (self->model.has_labels && !px_str_is(output, labels_name))
        self->gives[n++] = spec(px_str(labels_name), PX_TYPE_BYTES, 0);
    if (px_engine_has(rows, PX_ENGINE_MARGIN) && !px_str_is(output, margins_name))
        self->gives[n++] = spec(px_str(margins_name), rows->score_type, rows->n_margins);
    self->base.gives = (struct px_tensor_specs){self->gives, n};
}

enum px_code px_rows_engine_create(struct px_engine *rows, const struct px_rows_model *model,
                                   struct px_engine **ret, struct px_err *err)
{
    static const struct px_engine_ops ops = {
        .abi = PX_ENGINE_ABI,
        .caps = PX_ENGINE_TENSORS | PX_ENGINE_ASYNC | PX_ENGINE_BATCHES,
        .name = "forest",
        .start = start,
        .destroy = destroy,
    };
    size_t n = model->signature->n_features;
    bool has_matrix = px_signature_find(model->signature, px_str(input_name)) < 0;
    bool has_columns = n + has_matrix <= PX_ENGINE_TENSORS_MAX;
    if (!has_matrix && !has_columns)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "a model of %zu features of which one is called '%s'", n, input_name);
    struct rows_engine *self = px_alloc(1, sizeof *self);
    struct px_tensor_spec *takes = px_alloc((has_columns ? n : 0) + 1, sizeof *takes);
    if (!self || !takes) {
        px_free(self);
        px_free(takes);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for an engine of tensors");
    }
    self->base.ops = &ops;
    self->rows = rows;
    self->model = *model;
    self->takes = takes;
    set_takes(self, has_matrix, has_columns);
    set_gives(self);
    *ret = &self->base;
    return PX_OK;
}
