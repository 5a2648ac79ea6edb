/* SPDX-License-Identifier: Apache-2.0 */
/*
 * V1 CSV bodies and replies.
 *
 * Header or not: `Content-Type: text/csv; header=present|absent` (RFC 4180) decides. Without it the first
 * record is a header when one of its fields names a feature, or when none of them is a number; else it is a
 * row. With a header columns are matched by name and every feature needs one, because a
 * misspelt column would silently be missing; columns that are no feature are passed over. Without a header
 * the fields are the features in order.
 */
#include "application/batch/scores.h"
#include "interfaces/rest/v1/v1.h"

#include "interfaces/rest/reply.h"
#include "shared/number.h"

enum { CHUNK = 1 << 16 };

enum header { HEADER_GUESS, HEADER_PRESENT, HEADER_ABSENT };

struct table {
    struct px_infer *infer;
    const struct px_signature *signature;
    struct px_csv *csv;
    struct px_str left; /* of the body, not yet fed */
    enum header header;
    bool started;
    bool by_name;
    struct px_column_binding binding; /* when by_name */
    struct px_row_growth growth;
    size_t used; /* bytes of the records so far */
    struct px_err *err;
};

static enum px_code read_header_parameter(struct table *t, const struct px_http_request *request)
{
    struct px_str value = px_media_parameter(px_http_header(request, "Content-Type"), "header");
    t->header = !value.ptr ? HEADER_GUESS : HEADER_ABSENT;
    if (!value.ptr || px_str_eq_nocase(value, (struct px_str)PX_STR("absent")))
        return PX_OK;
    t->header = HEADER_PRESENT;
    if (px_str_eq_nocase(value, (struct px_str)PX_STR("present")))
        return PX_OK;
    return px_err_set(t->err, PX_E_INVALID,
                      "Content-Type: expected header=present or header=absent, got '%.*s'",
                      PX_STR_ARG(value));
}

static bool looks_like_header(const struct table *t, const struct px_csv_record *record)
{
    bool any_number = false;
    double number;
    for (size_t i = 0; i < record->n_fields; i++) {
        struct px_str text = px_str_trim(record->fields[i].text);
        if (px_signature_find(t->signature, text) >= 0)
            return true;
        any_number = any_number || px_str_to_f64(text, &number);
    }
    return !any_number;
}

static enum px_code bind_header(struct table *t, const struct px_csv_record *record)
{
    struct px_arena *arena = t->infer->call.arena;
    struct px_str *names = px_arena_alloc(arena, record->n_fields + 1, sizeof *names);
    if (!names)
        return px_arena_check(arena, "the header", t->err);
    for (size_t i = 0; i < record->n_fields; i++)
        names[i] = px_column_name(record->fields[i].text, i, arena);
    if (arena->failed)
        return px_arena_check(arena, "the header", t->err);
    t->by_name = true;
    enum px_code code =
        px_signature_bind(t->signature, names, record->n_fields, false, arena, &t->binding, t->err);
    if (code != PX_OK)
        px_err_wrap(t->err, "CSV header");
    return code;
}

static enum px_code read_field(struct table *t, const struct px_csv_field *field, long feature,
                               size_t row)
{
    double value;
    enum px_code code =
        px_infer_encode_text(t->infer, &t->signature->features[feature], field->text, &value);
    if (code == PX_OK)
        px_matrix_set(&t->infer->call.rows, row, (size_t)feature, value);
    return code;
}

static enum px_code read_fields(struct table *t, const struct px_csv_record *record, size_t row)
{
    size_t wanted = t->by_name ? t->binding.n_columns : t->signature->n_features;
    if (record->n_fields != wanted)
        return px_err_set(t->err, PX_E_INVALID, "expected %zu fields, got %zu", wanted,
                          record->n_fields);
    for (size_t i = 0; i < record->n_fields; i++) {
        long feature = t->by_name ? t->binding.feature_of[i] : (long)i;
        enum px_code code = feature < 0 ? PX_OK : read_field(t, &record->fields[i], feature, row);
        if (code != PX_OK)
            return code;
        t->used += record->fields[i].text.len + 1;
    }
    return PX_OK;
}

static enum px_code read_record(struct table *t, const struct px_csv_record *record)
{
    size_t row, body_len = px_rest_exchange(t->infer)->request.body.len;
    bool first = !t->started;
    t->started = true;
    t->csv->empty_lines = record->n_fields == 1; /* an empty line is then a row, not nothing */
    if (first && (t->header == HEADER_PRESENT ||
                  (t->header == HEADER_GUESS && looks_like_header(t, record))))
        return bind_header(t, record);
    size_t left = t->used < body_len ? body_len - t->used : 0;
    enum px_code code = px_rows_add(&t->growth, t->used, left, &row);
    if (code == PX_OK)
        code = read_fields(t, record, row);
    if (code == PX_OK)
        return PX_OK;
    px_err_wrap(t->err, "CSV line %llu", (unsigned long long)record->line);
    if (first && !t->err->hint[0])
        px_err_hint(t->err,
                    "the first line names no feature of the model, so it was read as a row");
    return code;
}

static enum px_code feed(struct table *t)
{
    size_t n = t->left.len < CHUNK ? t->left.len : CHUNK;
    const char *bytes = t->left.ptr;
    t->left = px_str_n(bytes + n, t->left.len - n);
    return px_csv_feed(t->csv, bytes, n, t->err);
}

/* A header alone is a table without rows; nothing at all is a body that got lost, as for pandas in MLflow's server. */
static enum px_code end_table(struct table *t)
{
    if (t->started)
        return px_rows_end(&t->growth);
    px_err_set(t->err, PX_E_INVALID, "expected CSV with a header or rows, got an empty body");
    return px_err_hint(t->err, "a header alone is a table without rows");
}

static enum px_code read_table(struct table *t)
{
    struct px_csv_record record;
    for (;;) {
        enum px_code code = PX_OK;
        switch (px_csv_next(t->csv, &record, t->err)) {
        case PX_CSV_RECORD:
            code = read_record(t, &record);
            break;
        case PX_CSV_MORE:
            code = feed(t);
            break;
        case PX_CSV_BAD:
            code = px_err_wrap(t->err, "CSV line %llu", (unsigned long long)record.line);
            break;
        case PX_CSV_END:
            return end_table(t);
        }
        if (code != PX_OK)
            return code;
    }
}

/* A table in another encoding would have names that no category has, and be scored as if they were unseen. */
static enum px_code check_text(struct px_str body, struct px_err *err)
{
    size_t end = px_str_utf8_prefix(body), line = 1, column = 1;
    if (PX_LIKELY(end == body.len))
        return PX_OK;
    for (size_t i = 0; i < end; i++) {
        bool continues = ((unsigned char)body.ptr[i] & 0xC0) == 0x80;
        line += body.ptr[i] == '\n';
        column = body.ptr[i] == '\n' ? 1 : column + !continues;
    }
    px_err_set(err, PX_E_INVALID, "CSV line %zu, column %zu: expected UTF-8, got the byte 0x%02X",
               line, column, (unsigned char)body.ptr[end]);
    return px_err_hint(err, "save the table as UTF-8");
}

enum px_code px_read_csv(struct px_infer *infer)
{
    if (px_infer_has_run(infer))
        return px_refuse_tables(infer, "CSV");
    const struct px_http_request *request = &px_rest_exchange(infer)->request;
    struct table t = {
        .infer = infer,
        .signature = infer->call.model->signature,
        .csv = &px_rest_infer(infer)->rest->loops[infer->call.loop].csv,
        .left = request->body.len ? request->body : px_str(""),
        .growth.infer = infer,
        .err = &infer->call.err,
    };
    enum px_code code = read_header_parameter(&t, request);
    if (code == PX_OK)
        code = check_text(t.left, t.err);
    if (code != PX_OK)
        return code;
    px_csv_reset(t.csv, ',');
    t.csv->empty_lines = t.header == HEADER_ABSENT && t.signature->n_features == 1;
    return read_table(&t);
}

/* ---- the reply: one column `score`, or one per class or output ---- */

static void put_column_name(struct px_buf *out, const struct px_infer *infer, size_t col)
{
    const struct px_signature *signature = infer->call.model->signature;
    size_t n_cols = infer->call.scores.n_cols;
    struct px_buf *name = &px_rest_infer(infer)->rest->loops[infer->call.loop].name;
    px_buf_clear(name);
    if (infer->outputs[0].kind == PX_OUTPUT_MARGINS)
        px_margin_name(signature, n_cols, col, name);
    else
        px_score_name(signature, n_cols, col, name);
    px_csv_put(out, px_buf_view(name), ',');
    out->failed |= name->failed; /* no half of a name: the transport answers for a failed body */
}

static void put_header(struct px_buf *out, const struct px_infer *infer)
{
    if (infer->outputs[0].kind == PX_OUTPUT_LABELS) {
        px_buf_text(out, "label\n");
        return;
    }
    for (size_t col = 0; col < infer->call.scores.n_cols; col++) {
        if (col)
            px_buf_byte(out, ',');
        put_column_name(out, infer, col);
    }
    px_buf_byte(out, '\n');
}

void px_put_csv_row(struct px_buf *out, const struct px_infer *infer, size_t row)
{
    const struct px_matrix *scores = &infer->call.scores;
    char scratch[PX_LABEL_TEXT_MAX], number[PX_NUMBER_TEXT_MAX];
    if (infer->outputs[0].kind == PX_OUTPUT_LABELS)
        px_csv_put(out, px_infer_label(infer, row, scratch), ',');
    for (size_t col = 0; infer->outputs[0].kind != PX_OUTPUT_LABELS && col < scores->n_cols;
         col++) {
        double value = px_matrix_get(scores, row, col);
        size_t n = scores->type == PX_TYPE_FP32 ? px_number_print_f32((float)value, number)
                                                : px_number_print_f64(value, number);
        if (col)
            px_buf_byte(out, ',');
        px_buf_append(out, number, n);
    }
    px_buf_byte(out, '\n');
}

void px_v1_reply_csv(struct px_infer *infer)
{
    struct px_buf *out = px_rest_exchange(infer)->body;
    put_header(out, infer);
    for (size_t row = 0; row < infer->call.scores.n_rows; row++)
        px_put_csv_row(out, infer, row);
    px_rest_infer_reply(infer, "text/csv; charset=utf-8");
}
