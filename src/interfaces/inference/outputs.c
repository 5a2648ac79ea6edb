/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outputs as tensors: scores as they lie, labels and classifications as BYTES.
 *
 * Texts are written twice, once to nowhere: their sizes depend on the scores, and one exact allocation
 * in the arena is cheaper to reason about than a buffer that grows.
 */
#include "interfaces/inference/regions.h"
#include "interfaces/inference/tensor.h"

#include <math.h>
#include <stdio.h>

/* Elements of a BYTES tensor: only counted while `at` is NULL. */
struct texts {
    char *at;
    size_t n_bytes;
};

static void put_text(struct texts *texts, struct px_str head, struct px_str tail)
{
    uint32_t len = (uint32_t)(head.len + tail.len);
    if (texts->at) {
        char *to = texts->at + texts->n_bytes;
        memcpy(to, &len, sizeof len);
        memcpy(to + sizeof len, head.ptr, head.len);
        if (tail.len)
            memcpy(to + sizeof len + head.len, tail.ptr, tail.len);
    }
    texts->n_bytes += sizeof len + len;
}

typedef void write_texts(const struct px_infer *infer, const struct px_infer_output *output,
                         struct texts *texts, uint32_t *order);

static void write_labels(const struct px_infer *infer, const struct px_infer_output *output,
                         struct texts *texts, uint32_t *order)
{
    (void)output, (void)order;
    for (size_t row = 0; row < infer->call.scores.n_rows; row++) {
        char scratch[PX_LABEL_TEXT_MAX];
        struct px_str label = px_infer_label(infer, row, scratch);
        put_text(texts, label, (struct px_str){0});
    }
}

/* ---- classification ---- */

static bool is_better(double a, double b)
{
    return a > b || (isnan(b) && !isnan(a));
}

/* The `n_best` best columns of a row come first in `order`, best first; a tie keeps the columns' order. */
static void rank_row(const struct px_matrix *scores, size_t row, size_t n_best, uint32_t *order)
{
    for (size_t col = 0; col < scores->n_cols; col++) {
        double score = px_matrix_get(scores, row, col);
        size_t kept = col < n_best ? col : n_best;
        size_t at = kept;
        while (at > 0 && is_better(score, px_matrix_get(scores, row, order[at - 1])))
            at--;
        if (at == n_best)
            continue;
        size_t n_moved = (kept < n_best ? kept : n_best - 1) - at;
        memmove(order + at + 1, order + at, n_moved * sizeof *order);
        order[at] = (uint32_t)col;
    }
}

enum { CLASS_TEXT_MAX = 400 }; /* the greatest double has 309 digits */

static void write_class(const struct px_infer *infer, size_t row, size_t col, struct texts *texts)
{
    const struct px_matrix *scores = &infer->call.scores;
    const struct px_signature *signature = infer->call.model->signature;
    bool has_label = signature->n_labels == scores->n_cols;
    char text[CLASS_TEXT_MAX];
    int n = snprintf(text, sizeof text, "%f:%zu%s", px_matrix_get(scores, row, col), col,
                     has_label ? ":" : "");
    put_text(texts, px_str_n(text, (size_t)n),
             has_label ? signature->labels[col] : (struct px_str){0});
}

static void write_classes(const struct px_infer *infer, const struct px_infer_output *output,
                          struct texts *texts, uint32_t *order)
{
    const struct px_matrix *scores = &infer->call.scores;
    for (size_t row = 0; row < scores->n_rows; row++) {
        rank_row(scores, row, output->n_best, order);
        for (size_t i = 0; i < output->n_best; i++)
            write_class(infer, row, order[i], texts);
    }
}

/* ---- tensors ---- */

static enum px_code make_texts(struct px_infer *infer, const struct px_infer_output *output,
                               write_texts *write, struct px_tensor *ret)
{
    struct px_arena *arena = infer->call.arena;
    struct texts texts = {0};
    uint32_t *order = px_arena_alloc(arena, output->n_best + 1, sizeof *order);
    if (order) {
        write(infer, output, &texts, order);
        texts.at = px_arena_alloc(arena, texts.n_bytes, 1);
    }
    if (!texts.at)
        return px_arena_check(arena, "the answer", &infer->call.err);
    texts.n_bytes = 0;
    write(infer, output, &texts, order);
    ret->type = PX_TYPE_BYTES;
    ret->bytes = px_str_n(texts.at, texts.n_bytes);
    return PX_OK;
}

static struct px_str output_name(const struct px_infer *infer, enum px_output kind)
{
    static const struct px_str labels = PX_STR("labels"), margins = PX_STR("margins");
    if (kind == PX_OUTPUT_LABELS)
        return labels;
    return kind == PX_OUTPUT_MARGINS ? margins : infer->call.model->signature->output_name;
}

/* Of a run: as the engine gave it, or the best of its rows as text. */
static enum px_code run_output(struct px_infer *infer, const struct px_infer_output *output,
                               struct px_tensor *ret)
{
    *ret = infer->call.run->outputs[output - infer->outputs];
    if (output->n_best == 0)
        return PX_OK;
    bool is_matrix = ret->n_dims == 2 && ret->shape[1] > 0 &&
                     (ret->type == PX_TYPE_FP32 || ret->type == PX_TYPE_FP64);
    if (!is_matrix)
        return px_err_set(&infer->call.err, PX_E_INVALID,
                          "output '%.*s': classification is for [rows, classes] of FP32 or FP64",
                          PX_STR_ARG(ret->name));
    struct px_infer_output wanted = *output;
    infer->call.scores = px_tensor_matrix(ret);
    wanted.n_best = output->n_best < ret->shape[1] ? output->n_best : ret->shape[1];
    ret->shape[1] = wanted.n_best;
    return make_texts(infer, &wanted, write_classes, ret);
}

enum px_code px_output_tensor(struct px_infer *infer, const struct px_infer_output *output,
                              struct px_tensor *ret)
{
    if (output->kind == PX_OUTPUT_TENSOR)
        return run_output(infer, output, ret);
    const struct px_matrix *scores = &infer->call.scores;
    struct px_infer_output wanted = *output;
    *ret = (struct px_tensor){
        .name = output_name(infer, output->kind),
        .type = scores->type,
        .shape = {scores->n_rows, scores->n_cols},
        .n_dims = 2,
    };
    if (output->kind == PX_OUTPUT_LABELS) {
        ret->shape[1] = 1;
        return make_texts(infer, &wanted, write_labels, ret);
    }
    if (output->n_best) {
        wanted.n_best = output->n_best < scores->n_cols ? output->n_best : scores->n_cols;
        ret->shape[1] = wanted.n_best;
        return make_texts(infer, &wanted, write_classes, ret);
    }
    size_t n = scores->n_rows * scores->n_cols;
    ret->bytes = px_str_n(scores->data, n * px_datatype_size(scores->type));
    return PX_OK;
}

/* ---- those of a request ---- */

static enum px_code aim(struct px_infer *infer, struct px_str name,
                        const struct px_parameters *parameters)
{
    struct px_err *err = &infer->call.err;
    struct px_infer_output *output = &infer->outputs[infer->n_outputs - 1];
    if (parameters->n_best)
        return px_err_set(err, PX_E_INVALID,
                          "output '%.*s': a classification cannot go to shared memory",
                          PX_STR_ARG(name));
    enum px_code code = px_region_take(infer, &parameters->region, &output->shared.region);
    output->shared.range = parameters->region;
    return code == PX_OK ? code : px_err_wrap(err, "output '%.*s'", PX_STR_ARG(name));
}

enum px_code px_output_ask(struct px_infer *infer, struct px_str name,
                           const struct px_parameters *parameters)
{
    enum px_code code = px_infer_add_output(infer, name);
    if (code != PX_OK)
        return code;
    struct px_infer_output *output = &infer->outputs[infer->n_outputs - 1];
    output->n_best = parameters->n_best;
    if (output->n_best && output->kind == PX_OUTPUT_LABELS)
        return px_err_set(&infer->call.err, PX_E_INVALID,
                          "output 'labels': classification is for scores, not for text");
    bool is_shared = px_parameters_has(parameters, PX_PARAMETER_REGION);
    return is_shared ? aim(infer, name, parameters) : PX_OK;
}

enum px_code px_output_tensors(struct px_infer *infer, struct px_tensor *tensors)
{
    enum px_code code = PX_OK;
    for (size_t i = 0; code == PX_OK && i < infer->n_outputs; i++) {
        const struct px_infer_output *output = &infer->outputs[i];
        code = px_output_tensor(infer, output, &tensors[i]);
        if (code == PX_OK && output->shared.region)
            code = px_region_write(infer, output, &tensors[i]);
    }
    return code;
}
