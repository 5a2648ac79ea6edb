/* SPDX-License-Identifier: Apache-2.0 */
#include "application/batch/scorer.h"

#include "application/batch/scores.h"
#include "shared/alloc.h"
#include "shared/csv.h"
#include "shared/json.h"
#include "shared/number.h"

enum {
    CHUNK_ROWS_MAX = 4096,
    CHUNK_BYTES = 256 << 10, /* of encoded features: half of a usual second-level cache */
    CHUNK_ROWS_MIN = 64,     /* wide models: kernels score this many rows at once */
    NAMES_MAX = 256 << 20,
    JSON_ROW_EXTRA = 64, /* braces, the place and its name */
};

enum px_code px_format_init(struct px_format *format, const struct px_package *package,
                            struct px_err *err)
{
    const struct px_forest_info *info = px_forest_info(package->forest);
    size_t n = format->margin ? info->n_margins : info->n_outputs;
    struct px_str *names = px_alloc(n, sizeof *names);
    size_t *ends = px_alloc(n, sizeof *ends);
    format->text = px_buf(NAMES_MAX);
    format->names = names;
    format->n_scores = n;
    format->type = info->score_type;
    for (size_t i = 0; names && ends && i < n; i++) {
        if (format->margin)
            px_margin_name(&package->signature, n, i, &format->text);
        else
            px_score_name(&package->signature, n, i, &format->text);
        ends[i] = format->text.len;
    }
    for (size_t i = 0, at = 0; names && ends && i < n; at = ends[i++])
        names[i] = px_str_n(format->text.ptr + at, ends[i] - at);
    bool complete = names && ends;
    px_free(ends);
    if (!complete)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu score names", n);
    return px_buf_check(&format->text, "the names of the scores", err);
}

void px_format_deinit(struct px_format *format)
{
    px_free(format->names);
    px_buf_deinit(&format->text);
}

void px_format_header(const struct px_format *format, struct px_buf *out)
{
    if (format->json)
        return;
    for (size_t i = 0; i < format->n_scores; i++) {
        if (i > 0)
            px_buf_byte(out, ',');
        px_csv_put(out, format->names[i], ',');
    }
    px_buf_byte(out, '\n');
}

size_t px_format_row_max(const struct px_format *format)
{
    size_t numbers = format->n_scores * (PX_NUMBER_TEXT_MAX + 1);
    if (!format->json)
        return numbers;
    /* A byte of a name is at most six in JSON; each name has quotes, a colon and a comma. */
    return numbers + JSON_ROW_EXTRA + format->text.len * 6 + format->n_scores * 4;
}

enum px_code px_scorer_init(struct px_scorer *scorer, const struct px_package *package,
                            const struct px_format *format, struct px_err *err)
{
    const struct px_forest_info *info = px_forest_info(package->forest);
    size_t row_bytes = info->n_features * px_datatype_size(info->feature_type);
    size_t rows = CHUNK_BYTES / (row_bytes + 1);
    rows = rows > CHUNK_ROWS_MAX ? CHUNK_ROWS_MAX : rows < CHUNK_ROWS_MIN ? CHUNK_ROWS_MIN : rows;
    *scorer = (struct px_scorer){
        .chunk = {.type = info->feature_type,
                  .data = px_alloc(rows, row_bytes + 1),
                  .n_cols = info->n_features,
                  .stride = info->n_features},
        .chunk_rows = rows,
        .places = px_alloc(rows, sizeof *scorer->places),
        .package = package,
        .format = format,
        .scores = px_alloc(rows * format->n_scores, px_datatype_size(format->type)),
        .scratch =
            px_alloc_aligned(PX_CACHE_LINE, px_forest_scratch_size(package->forest, rows) + 1, 1),
    };
    if (scorer->chunk.data && scorer->places && scorer->scores && scorer->scratch)
        return PX_OK;
    return px_err_set(err, PX_E_NO_MEMORY, "no memory for a chunk of %zu rows", rows);
}

void px_scorer_deinit(struct px_scorer *scorer)
{
    px_free(scorer->chunk.data);
    px_free(scorer->places);
    px_free(scorer->scores);
    px_free(scorer->scratch);
}

static void print_csv_row(const struct px_scorer *s, size_t row, struct px_buf *out)
{
    size_t n = s->format->n_scores;
    for (size_t i = 0; i < n; i++) {
        px_score_print(s->format->type, s->scores, row * n + i, out);
        px_buf_byte(out, i + 1 < n ? ',' : '\n');
    }
}

static void print_json_row(const struct px_scorer *s, size_t row, struct px_buf *out)
{
    struct px_json_writer w = px_json_writer(out);
    px_json_begin_object(&w);
    px_json_member_u64(&w, s->format->place, s->places[row]);
    for (size_t i = 0; i < s->format->n_scores; i++) {
        size_t at = row * s->format->n_scores + i;
        px_json_key_str(&w, s->format->names[i]);
        if (s->format->type == PX_TYPE_FP32)
            px_json_put_f32(&w, ((const float *)s->scores)[at], false);
        else
            px_json_put_f64(&w, ((const double *)s->scores)[at], false);
    }
    px_json_end_object(&w);
    px_buf_byte(out, '\n');
}

void px_scorer_flush(struct px_scorer *scorer, struct px_buf *out)
{
    size_t n = scorer->chunk.n_rows;
    if (n == 0)
        return;
    px_forest_predict(scorer->package->forest, &scorer->chunk, scorer->scores, scorer->scratch,
                      scorer->format->margin ? PX_FOREST_MARGIN : 0);
    for (size_t row = 0; row < n; row++) {
        if (scorer->format->json)
            print_json_row(scorer, row, out);
        else
            print_csv_row(scorer, row, out);
    }
    scorer->chunk.n_rows = 0;
}
