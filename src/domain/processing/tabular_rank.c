/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arg_max and top_k: the best columns of each row.
 *
 * Of equals the earlier column comes first. arg_max takes a NaN for the highest, as numpy.argmax does; top_k puts NaN last, as
 * numpy.argsort does: there it is one of many and must not push a score out.
 */
#include "domain/processing/tabular_cells.h"
#include "domain/processing/tabular_kinds.h"

#include <math.h>

struct rank {
    struct px_tabular table;
    struct px_tabular_texts labels; /* n = 0: there are none */
    const int64_t *numbers;         /* the labels as numbers, of arg_max with type INT64 */
    size_t k;                       /* of top_k */
};

/* One row of scores and its best columns. */
struct ranking {
    const struct rank *rank;
    struct px_tabular_size size;
    double *scores;
    size_t *best;
};

static enum px_code start(struct ranking *ranking, const struct px_tensor *input,
                          struct px_arena *arena, struct px_err *err)
{
    const struct rank *rank = ranking->rank;
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    enum px_code code = px_tabular_measure(&rank->table, input, &ranking->size, err);
    if (code != PX_OK)
        return code;
    if (ranking->size.n_rows && ranking->size.n_cols < rank->k)
        return px_err_set(err, PX_E_INVALID, "input: expected at least %zu columns, got %s",
                          rank->k, px_tensor_shape_text(input, shape));
    size_t n = ranking->size.n_cols > rank->k ? ranking->size.n_cols : rank->k;
    ranking->scores = px_arena_alloc(arena, n + 1, sizeof *ranking->scores);
    ranking->best = px_arena_alloc(arena, rank->k + 1, sizeof *ranking->best);
    if (!ranking->scores || !ranking->best)
        return px_arena_check(arena, "ranks", err);
    return PX_OK;
}

static size_t find_highest(const double *scores, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n && !isnan(scores[best]); i++) {
        if (scores[i] > scores[best] || isnan(scores[i]))
            best = i;
    }
    return best;
}

/* ---- arg_max ---- */

static enum px_code apply_arg_max(const struct px_processor *processor,
                                  const struct px_tensor *inputs, struct px_tensor *outputs,
                                  struct px_arena *arena, struct px_err *err)
{
    struct ranking ranking = {.rank = (const struct rank *)processor};
    const struct rank *rank = ranking.rank;
    const struct px_tensor_spec *spec = &processor->gives.list[0];
    char *to;
    enum px_code code = start(&ranking, &inputs[0], arena, err);
    if (code == PX_OK)
        code = px_tabular_make_table(spec, ranking.size.n_rows, 1, arena, &outputs[0], &to, err);
    if (code != PX_OK)
        return code;
    size_t n_rows = ranking.size.n_rows, n_cols = ranking.size.n_cols;
    bool texts = spec->type == PX_TYPE_BYTES;
    struct px_str *labels = px_arena_alloc(arena, texts ? n_rows + 1 : 1, sizeof *labels);
    if (!labels)
        return px_arena_check(arena, "labels", err);
    for (size_t row = 0; row < n_rows; row++) {
        px_tabular_read(&inputs[0], row * n_cols, n_cols, ranking.scores);
        size_t best = find_highest(ranking.scores, n_cols);
        if (texts) {
            labels[row] = rank->labels.list[best];
            continue;
        }
        int64_t number = rank->numbers ? rank->numbers[best] : (int64_t)best;
        memcpy(to + row * sizeof number, &number, sizeof number);
    }
    return texts ? px_tabular_set_texts(&outputs[0], labels, n_rows, arena, err) : PX_OK;
}

static enum px_code read_labels(const struct px_tabular_settings *settings, struct rank *rank,
                                struct px_tabular_form *form, struct px_err *err)
{
    enum px_code code = px_tabular_texts(settings, "labels", &rank->labels, err);
    if (code == PX_OK && rank->labels.n > PX_TABULAR_COLUMNS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "labels: %zu of them; at most %d", rank->labels.n,
                          PX_TABULAR_COLUMNS_MAX);
    form->n_cols = rank->labels.n;
    return code;
}

/* labels: [3, 5, 7] with type INT64: classes that are numbers. */
static enum px_code read_label_numbers(const struct px_tabular_settings *settings,
                                       struct rank *rank, struct px_err *err)
{
    int64_t *numbers = px_arena_alloc(settings->step.arena, rank->labels.n, sizeof *numbers);
    if (!numbers)
        return px_arena_check(settings->step.arena, "labels", err);
    const struct px_yaml *at = px_tabular_node(settings, "labels")->first_child;
    for (size_t i = 0; i < rank->labels.n; i++, at = at->next) {
        if (px_yaml_i64(at, &numbers[i], err) != PX_OK) {
            px_err_wrap(err, "labels");
            return px_tabular_wrap(settings, "labels", err);
        }
    }
    rank->numbers = numbers;
    return PX_OK;
}

static enum px_code create_arg_max(const struct px_processor_source *source,
                                   struct px_processor **ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("labels"), PX_STR("type")};
    static const char *const types[] = {"BYTES", "INT64", NULL};
    struct rank *rank = px_arena_zalloc(source->arena, 1, sizeof *rank);
    struct px_tabular_settings settings;
    struct px_tabular_form form = {.accepts = PX_TABULAR_NUMBERS};
    struct px_tensor_spec *spec;
    if (!rank)
        return px_arena_check(source->arena, "processor", err);
    rank->k = 1;
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_labels(&settings, rank, &form, err);
    enum px_datatype type = rank->labels.n ? PX_TYPE_BYTES : PX_TYPE_INT64;
    if (code == PX_OK)
        code = px_tabular_type(&settings, types, &type, err);
    if (code == PX_OK && type == PX_TYPE_BYTES)
        code = px_tabular_need(&settings, "labels", "the names of the columns", err);
    if (code == PX_OK && type == PX_TYPE_INT64 && rank->labels.n)
        code = read_label_numbers(&settings, rank, err);
    if (code == PX_OK)
        code = px_tabular_init(&rank->table, &px_kind_arg_max, &settings, &form, err);
    if (code == PX_OK)
        code = px_tabular_give(&rank->table, "output", type, source->arena, &spec, err);
    if (code == PX_OK)
        spec->n_dims = 1;
    rank->table.base.apply = apply_arg_max;
    *ret = &rank->table.base;
    return code;
}

const struct px_processor_kind px_kind_arg_max = {
    "arg_max", "the column with the highest score of each row, or its label", create_arg_max};

/* ---- top_k ---- */

static bool is_before(double a, double b)
{
    return a > b || (isnan(b) && !isnan(a));
}

/* The k best columns, by insertion: k is small, and most scores stop at the first comparison. */
static void find_best(const struct ranking *ranking)
{
    const double *scores = ranking->scores;
    size_t *best = ranking->best, n = 0, k = ranking->rank->k;
    for (size_t i = 0; i < ranking->size.n_cols; i++) {
        if (n == k && !is_before(scores[i], scores[best[n - 1]]))
            continue;
        size_t at = n < k ? n++ : n - 1;
        for (; at > 0 && is_before(scores[i], scores[best[at - 1]]); at--)
            best[at] = best[at - 1];
        best[at] = i;
    }
}

struct answer {
    char *values, *indices;
    struct px_str *labels;
};

static void put_row(const struct ranking *ranking, const struct px_tensor *input, size_t row,
                    struct answer *answer)
{
    const struct rank *rank = ranking->rank;
    size_t size = px_datatype_size(input->type);
    const char *cells = input->bytes.ptr + row * ranking->size.n_cols * size;
    for (size_t i = 0; i < rank->k; i++) {
        size_t to = row * rank->k + i, column = ranking->best[i];
        int64_t index = (int64_t)column;
        memcpy(answer->values + to * size, cells + column * size, size);
        memcpy(answer->indices + to * sizeof index, &index, sizeof index);
        if (answer->labels)
            answer->labels[to] = rank->labels.list[column];
    }
}

static enum px_code make_answer(const struct ranking *ranking, struct px_tensor *outputs,
                                struct px_arena *arena, struct answer *answer, struct px_err *err)
{
    const struct rank *rank = ranking->rank;
    const struct px_tensor_spec *gives = rank->table.base.gives.list;
    size_t n_rows = ranking->size.n_rows;
    char *none;
    enum px_code code =
        px_tabular_make_table(&gives[0], n_rows, rank->k, arena, &outputs[0], &answer->values, err);
    if (code == PX_OK)
        code = px_tabular_make_table(&gives[1], n_rows, rank->k, arena, &outputs[1],
                                     &answer->indices, err);
    if (code != PX_OK || rank->labels.n == 0)
        return code;
    code = px_tabular_make_table(&gives[2], n_rows, rank->k, arena, &outputs[2], &none, err);
    if (code != PX_OK)
        return code;
    answer->labels = px_arena_alloc(arena, n_rows * rank->k + 1, sizeof *answer->labels);
    return answer->labels ? PX_OK : px_arena_check(arena, "labels", err);
}

static enum px_code apply_top_k(const struct px_processor *processor,
                                const struct px_tensor *inputs, struct px_tensor *outputs,
                                struct px_arena *arena, struct px_err *err)
{
    struct ranking ranking = {.rank = (const struct rank *)processor};
    struct answer answer = {NULL, NULL, NULL};
    enum px_code code = start(&ranking, &inputs[0], arena, err);
    if (code == PX_OK)
        code = make_answer(&ranking, outputs, arena, &answer, err);
    if (code != PX_OK)
        return code;
    size_t n_rows = ranking.size.n_rows, n_cols = ranking.size.n_cols;
    for (size_t row = 0; row < n_rows; row++) {
        px_tabular_read(&inputs[0], row * n_cols, n_cols, ranking.scores);
        find_best(&ranking);
        put_row(&ranking, &inputs[0], row, &answer);
    }
    if (!answer.labels)
        return PX_OK;
    return px_tabular_set_texts(&outputs[2], answer.labels, n_rows * ranking.rank->k, arena, err);
}

static enum px_code read_k(const struct px_tabular_settings *settings, struct rank *rank,
                           struct px_err *err)
{
    int64_t k = 0;
    enum px_code code = px_tabular_need(settings, "k", "how many columns", err);
    if (code != PX_OK)
        return code;
    const struct px_yaml *node = px_tabular_node(settings, "k");
    code = px_yaml_i64(node, &k, err);
    if (code == PX_OK && (k < 1 || k > PX_TABULAR_COLUMNS_MAX))
        code = px_err_set(err, PX_E_INVALID, "line %u: expected 1 to %d, got %lld", node->line,
                          PX_TABULAR_COLUMNS_MAX, (long long)k);
    rank->k = (size_t)k;
    if (code == PX_OK)
        return PX_OK;
    px_err_wrap(err, "k");
    return px_tabular_wrap(settings, "k", err);
}

static enum px_code give_top_k(struct rank *rank, struct px_arena *arena, struct px_err *err)
{
    int64_t k = (int64_t)rank->k;
    if (rank->table.n_cols && rank->k > rank->table.n_cols)
        return px_err_set(err, PX_E_INVALID, "top_k: the input has %zu columns, k is %zu",
                          rank->table.n_cols, rank->k);
    enum px_code code =
        px_tabular_give_table(&rank->table, "values", rank->table.from, k, arena, err);
    if (code == PX_OK)
        code = px_tabular_give_table(&rank->table, "indices", PX_TYPE_INT64, k, arena, err);
    if (code == PX_OK && rank->labels.n)
        code = px_tabular_give_table(&rank->table, "labels", PX_TYPE_BYTES, k, arena, err);
    return code;
}

static enum px_code create_top_k(const struct px_processor_source *source,
                                 struct px_processor **ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("k"), PX_STR("labels")};
    struct rank *rank = px_arena_zalloc(source->arena, 1, sizeof *rank);
    struct px_tabular_settings settings;
    struct px_tabular_form form = {.accepts = PX_TABULAR_NUMBERS};
    if (!rank)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_k(&settings, rank, err);
    if (code == PX_OK)
        code = read_labels(&settings, rank, &form, err);
    if (code == PX_OK)
        code = px_tabular_init(&rank->table, &px_kind_top_k, &settings, &form, err);
    if (code == PX_OK)
        code = give_top_k(rank, source->arena, err);
    rank->table.base.apply = apply_top_k;
    *ret = &rank->table.base;
    return code;
}

const struct px_processor_kind px_kind_top_k = {
    "top_k", "the k highest scores of each row, their columns and labels", create_top_k};
