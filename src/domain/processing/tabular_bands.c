/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucketise: numpy.digitize, and what KBinsDiscretizer of scikit-learn does with its inner edges. bands: the same with
 * one list of thresholds and a label for each band, for decisions.
 *
 * A value's bucket is the number of edges at or below it (closed: left, the edge belongs to the bucket above it), or below it
 * (closed: right). The comparison is made in the type of the tensor where that is FP32 for bands: a threshold that people write as 0.9 must
 * be reached by a score that is printed as 0.9. bucketise compares in double precision, as numpy does with edges that were fitted.
 * NaN comes after all edges, as numpy sorts it; bands refuse it, or give it a label of its own: no decision is made on no score.
 */
#include "domain/processing/tabular.h"
#include "domain/processing/tabular_kinds.h"

#include <math.h>

static const char *const closed_names[] = {"left", "right", NULL};

static size_t find_bucket(const struct px_tabular_numbers *edges, bool closed_right, double value)
{
    size_t low = 0, high = edges->n;
    if (isnan(value))
        return edges->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        double edge = edges->list[middle];
        if (closed_right ? edge < value : edge <= value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- bucketise ---- */

struct bucketise {
    struct px_tabular_map base;
    const struct px_tabular_numbers *edges; /* of each column, or one for all */
    bool is_one, closed_right, one_hot;
    size_t width;
};

static const struct px_tabular_numbers *edges_of(const struct bucketise *b, size_t column)
{
    return &b->edges[b->is_one ? 0 : column];
}

static void number_buckets(const struct px_tabular_map *map, double *values, size_t n,
                           size_t column)
{
    const struct bucketise *b = (const struct bucketise *)map;
    for (size_t i = 0; i < n; i++, column = px_tabular_next_column(map, column))
        values[i] = (double)find_bucket(edges_of(b, column), b->closed_right, values[i]);
}

static enum px_code apply_one_hot(const struct px_processor *processor,
                                  const struct px_tensor *inputs, struct px_tensor *outputs,
                                  struct px_arena *arena, struct px_err *err)
{
    const struct bucketise *b = (const struct bucketise *)processor;
    const struct px_tensor_spec *spec = &processor->gives.list[0];
    struct px_tabular_size size;
    size_t width = px_datatype_size(spec->type), n_cols = b->base.table.n_cols;
    const double one = 1;
    char *to;
    enum px_code code = px_tabular_measure(&b->base.table, &inputs[0], &size, err);
    if (code == PX_OK)
        code = px_tabular_make_table(spec, size.n_rows, b->width, arena, &outputs[0], &to, err);
    if (code != PX_OK || outputs[0].bytes.len == 0)
        return code;
    memset(to, 0, outputs[0].bytes.len); /* 0 of every number type */
    for (size_t i = 0; i < size.n; i++) {
        double value;
        const struct px_tabular_numbers *edges = edges_of(b, i % n_cols);
        px_tabular_read(&inputs[0], i, 1, &value);
        px_tabular_write(spec->type, &one, 1,
                         to + find_bucket(edges, b->closed_right, value) * width);
        to += (edges->n + 1) * width;
    }
    return PX_OK;
}

static bool is_nested(const struct px_yaml *node)
{
    return node->type == PX_YAML_SEQUENCE && node->first_child &&
           node->first_child->type == PX_YAML_SEQUENCE;
}

/* The edges of one column, which may be none: all values are in one bucket then. */
static enum px_code read_list(const struct px_yaml *node, struct px_arena *arena,
                              struct px_tabular_numbers *ret, struct px_err *err)
{
    if (node->type == PX_YAML_SEQUENCE && node->n_children == 0)
        return PX_OK;
    enum px_code code = px_tabular_sequence(node, true, arena, ret, err);
    for (size_t i = 0; code == PX_OK && i < ret->n; i++) {
        if (isnan(ret->list[i]))
            code = px_err_set(err, PX_E_INVALID, "line %u: an edge is NaN", node->line);
    }
    if (code == PX_OK && px_tabular_ascending(ret, false, err) != PX_OK)
        return px_err_wrap(err, "line %u", node->line);
    return code;
}

static enum px_code read_edges(const struct px_tabular_settings *settings, struct bucketise *b,
                               size_t *n_cols, struct px_err *err)
{
    enum px_code code = px_tabular_need(settings, "edges", "ascending numbers", err);
    if (code != PX_OK)
        return code;
    const struct px_yaml *node = px_tabular_node(settings, "edges");
    bool nested = is_nested(node);
    size_t n = nested ? node->n_children : 1, at = 0;
    if (n > PX_TABULAR_COLUMNS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "edges: %zu columns; at most %d", n,
                          PX_TABULAR_COLUMNS_MAX);
    struct px_tabular_numbers *edges = px_arena_zalloc(settings->step.arena, n, sizeof *edges);
    if (!edges)
        return px_arena_check(settings->step.arena, "edges", err);
    for (const struct px_yaml *list = nested ? node->first_child : node; at < n && code == PX_OK;
         list = list->next, at++)
        code = read_list(list, settings->step.arena, &edges[at], err);
    if (code != PX_OK) {
        px_err_wrap(err, "edges");
        return px_tabular_wrap(settings, "edges", err);
    }
    b->edges = edges;
    b->is_one = !nested;
    *n_cols = nested ? n : 0;
    return PX_OK;
}

static enum px_code give_one_hot(struct bucketise *b, enum px_datatype type, struct px_arena *arena,
                                 struct px_err *err)
{
    size_t n_cols = b->base.table.n_cols;
    if (n_cols == 0)
        return px_err_set(err, PX_E_INVALID,
                          "bucketise: the number of columns is not known: give edges for each");
    for (size_t i = 0; i < n_cols; i++)
        b->width += edges_of(b, i)->n + 1;
    b->base.table.base.apply = apply_one_hot;
    return px_tabular_give_table(&b->base.table, "output", type, (int64_t)b->width, arena, err);
}

static enum px_code create_buckets(const struct px_tabular_settings *settings, struct bucketise *b,
                                   struct px_err *err)
{
    static const char *const types[] = {"INT64", "FP64", "FP32", NULL};
    static const char *const outputs[] = {"ordinal", "one_hot", NULL};
    struct px_tabular_form form = {.accepts = PX_TABULAR_NUMBERS};
    enum px_datatype type = PX_TYPE_INT64;
    size_t closed = 0, output = 0;
    enum px_code code = read_edges(settings, b, &form.n_cols, err);
    if (code == PX_OK)
        code = px_tabular_choice(settings, "closed", closed_names, &closed, err);
    if (code == PX_OK)
        code = px_tabular_choice(settings, "method", outputs, &output, err);
    if (code == PX_OK)
        code = px_tabular_type(settings, types, &type, err);
    if (code == PX_OK)
        code = px_tabular_init(&b->base.table, &px_kind_bucketise, settings, &form, err);
    if (code != PX_OK)
        return code;
    b->closed_right = closed == 1;
    b->base.map = number_buckets;
    return output == 1 ? give_one_hot(b, type, settings->step.arena, err)
                       : px_tabular_map_init(&b->base, type, settings->step.arena, err);
}

static enum px_code create_bucketise(const struct px_processor_source *source,
                                     struct px_processor **ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("edges"), PX_STR("closed"), PX_STR("method"),
                                          PX_STR("type")};
    struct bucketise *b = px_arena_zalloc(source->arena, 1, sizeof *b);
    struct px_tabular_settings settings;
    if (!b)
        return px_arena_check(source->arena, "processor", err);
    *ret = &b->base.table.base;
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    return code == PX_OK ? create_buckets(&settings, b, err) : code;
}

const struct px_processor_kind px_kind_bucketise = {
    "bucketise", "numbers of the buckets between edges, as numpy.digitize", create_bucketise};

/* ---- bands ---- */

struct bands {
    struct px_tabular table;
    struct px_tabular_numbers thresholds;
    struct px_tabular_texts labels;
    struct px_str nan; /* ptr NULL: NaN is refused */
    bool closed_right;
};

static enum px_code decide(const struct bands *bands, const struct px_tensor *input, size_t at,
                           struct px_str *label, struct px_err *err)
{
    double value;
    px_tabular_read(input, at, 1, &value);
    if (isnan(value) && !bands->nan.ptr) {
        px_err_set(err, PX_E_INVALID, "bands: score %zu is NaN, and there is no band for it", at);
        return px_err_hint(err, "give it one with the setting `nan`");
    }
    *label = isnan(value)
                 ? bands->nan
                 : bands->labels.list[find_bucket(&bands->thresholds, bands->closed_right, value)];
    return PX_OK;
}

static enum px_code apply_bands(const struct px_processor *processor,
                                const struct px_tensor *inputs, struct px_tensor *outputs,
                                struct px_arena *arena, struct px_err *err)
{
    const struct bands *bands = (const struct bands *)processor;
    struct px_tabular_size size;
    char *none;
    enum px_code code = px_tabular_measure(&bands->table, &inputs[0], &size, err);
    if (code == PX_OK)
        code =
            px_tabular_make(&processor->gives.list[0], &inputs[0], arena, &outputs[0], &none, err);
    if (code != PX_OK)
        return code;
    struct px_str *labels = px_arena_alloc(arena, size.n ? size.n : 1, sizeof *labels);
    if (!labels)
        return px_arena_check(arena, "labels", err);
    for (size_t i = 0; code == PX_OK && i < size.n; i++)
        code = decide(bands, &inputs[0], i, &labels[i], err);
    return code == PX_OK ? px_tabular_set_texts(&outputs[0], labels, size.n, arena, err) : code;
}

static enum px_code read_bands(const struct px_tabular_settings *settings, struct bands *bands,
                               struct px_err *err)
{
    size_t closed = 0;
    enum px_code code = px_tabular_need(settings, "thresholds", "ascending numbers", err);
    if (code == PX_OK)
        code = px_tabular_need(settings, "labels", "one more than there are thresholds", err);
    if (code == PX_OK)
        code = px_tabular_numbers(settings, "thresholds", &bands->thresholds, err);
    if (code == PX_OK)
        code = px_tabular_texts(settings, "labels", &bands->labels, err);
    if (code == PX_OK)
        code = px_tabular_str(settings, "nan", &bands->nan, err);
    if (code == PX_OK)
        code = px_tabular_choice(settings, "closed", closed_names, &closed, err);
    bands->closed_right = closed == 1;
    if (code == PX_OK && bands->labels.n != bands->thresholds.n + 1) {
        px_err_set(err, PX_E_INVALID,
                   "labels: line %u: %zu thresholds part %zu bands, got %zu labels",
                   px_tabular_node(settings, "labels")->line, bands->thresholds.n,
                   bands->thresholds.n + 1, bands->labels.n);
        return px_tabular_wrap(settings, "labels", err);
    }
    return code;
}

/* Thresholds in the type of the scores; two that are one number there part nothing. */
static enum px_code round_thresholds(const struct px_tabular_settings *settings,
                                     struct bands *bands, struct px_err *err)
{
    struct px_arena *arena = settings->step.arena;
    double *rounded = px_arena_alloc(arena, bands->thresholds.n, sizeof *rounded);
    if (!rounded)
        return px_arena_check(arena, "thresholds", err);
    for (size_t i = 0; i < bands->thresholds.n; i++)
        rounded[i] = px_tabular_round(bands->table.from, bands->thresholds.list[i]);
    bands->thresholds.list = rounded;
    if (px_tabular_ascending(&bands->thresholds, true, err) == PX_OK)
        return PX_OK;
    px_err_wrap(err, "thresholds: line %u", px_tabular_node(settings, "thresholds")->line);
    return px_tabular_wrap(settings, "thresholds", err);
}

static enum px_code create_bands(const struct px_processor_source *source,
                                 struct px_processor **ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("thresholds"), PX_STR("labels"), PX_STR("nan"),
                                          PX_STR("closed")};
    static const struct px_tabular_form form = {.accepts = PX_TABULAR_NUMBERS, .elements = true};
    struct bands *bands = px_arena_zalloc(source->arena, 1, sizeof *bands);
    struct px_tabular_settings settings;
    if (!bands)
        return px_arena_check(source->arena, "processor", err);
    enum px_code code =
        px_tabular_settings_open(&settings, source, known, PX_ARRAY_LEN(known), err);
    if (code == PX_OK)
        code = read_bands(&settings, bands, err);
    if (code == PX_OK)
        code = px_tabular_init(&bands->table, &px_kind_bands, &settings, &form, err);
    if (code == PX_OK)
        code = round_thresholds(&settings, bands, err);
    if (code == PX_OK)
        code = px_tabular_give(&bands->table, "output", PX_TYPE_BYTES, source->arena, NULL, err);
    bands->table.base.apply = apply_bands;
    *ret = &bands->table.base;
    return code;
}

const struct px_processor_kind px_kind_bands = {
    "bands", "decisions of scores: the label of the band between two thresholds", create_bands};
