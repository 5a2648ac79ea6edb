/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything numeric goes through doubles, element by element. A vote counts with the quadratic method: there are few inputs, and labels of any
 * type compare as bytes.
 */
#include "domain/graph/combine.h"

#include "domain/graph/values.h"
#include "shared/number.h"

#include <math.h>

static const struct px_str kind_names[] = {
    PX_STR("concat"),        PX_STR("first"),        PX_STR("max"), PX_STR("mean"),
    PX_STR("median"),        PX_STR("min"),          PX_STR("sum"), PX_STR("vote"),
    PX_STR("weighted_mean"), PX_STR("weighted_vote")};

enum px_graph_combine_kind px_graph_combine_kind_find(struct px_str name, unsigned line,
                                                      struct px_err *err)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(kind_names); i++) {
        if (px_str_eq(kind_names[i], name))
            return (enum px_graph_combine_kind)(i + 1);
    }
    px_err_set(err, PX_E_UNKNOWN_OPTION, "line %u: unknown combiner '%.*s'", line,
               PX_STR_ARG(name));
    if (!px_err_suggest(err, name, kind_names, PX_ARRAY_LEN(kind_names)))
        px_err_hint(err, "combiners: concat, first, max, mean, median, min, sum, vote, "
                         "weighted_mean, weighted_vote");
    return 0;
}

/* ---- creating ---- */

static bool is_vote(enum px_graph_combine_kind kind)
{
    return kind == PX_GRAPH_VOTE || kind == PX_GRAPH_WEIGHTED_VOTE;
}

static bool has_weights(enum px_graph_combine_kind kind)
{
    return kind == PX_GRAPH_WEIGHTED_MEAN || kind == PX_GRAPH_WEIGHTED_VOTE;
}

static enum px_code read_weights(struct px_graph_reading *r, const struct px_graph_step *step,
                                 const struct px_yaml *node, const double **ret)
{
    double total = 0, *weights;
    if (!node || node->type != PX_YAML_SEQUENCE || node->n_children != step->n_inputs)
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: step '%.*s' needs with: {weights: [...]}, one for each of its "
                          "%zu inputs",
                          node ? node->line : step->line, PX_STR_ARG(step->name), step->n_inputs);
    weights = px_arena_zalloc(r->arena, step->n_inputs, sizeof *weights);
    if (!weights)
        return px_graph_fail_memory(r);
    *ret = weights;
    for (const struct px_yaml *entry = node->first_child; entry; entry = entry->next) {
        if (entry->type != PX_YAML_SCALAR || !px_str_to_f64(entry->text, weights) ||
            !(*weights >= 0) || isinf(*weights))
            return px_err_set(r->err, PX_E_INVALID,
                              "line %u: a weight is a number from 0 on, got '%.*s'", entry->line,
                              PX_STR_ARG(entry->text));
        total += *weights++;
    }
    if (total > 0)
        return PX_OK;
    return px_err_set(r->err, PX_E_INVALID, "line %u: the weights of step '%.*s' are all 0",
                      node->line, PX_STR_ARG(step->name));
}

static enum px_code read_type(struct px_graph_reading *r, const struct px_graph_step *step,
                              enum px_datatype *ret)
{
    struct px_str text;
    const struct px_yaml *node = px_yaml_get(step->settings, "type");
    enum px_code code = node ? px_yaml_str(node, &text, r->err) : PX_OK;
    if (!node || code != PX_OK)
        return code;
    *ret = px_datatype_from_name(text);
    if (*ret == PX_TYPE_FP32 || *ret == PX_TYPE_FP64)
        return PX_OK;
    return px_err_set(r->err, PX_E_INVALID, "line %u: type must be FP32 or FP64, got '%.*s'",
                      node->line, PX_STR_ARG(text));
}

static enum px_code read_settings(struct px_graph_reading *r, const struct px_graph_step *step,
                                  struct px_graph_combiner *combiner)
{
    static const struct px_str known[] = {PX_STR("weights"), PX_STR("type")};
    const struct px_yaml *settings = step->settings;
    enum px_code code =
        settings ? px_yaml_only(settings, known, PX_ARRAY_LEN(known), r->err) : PX_OK;
    const struct px_yaml *weights = settings ? px_yaml_get(settings, "weights") : NULL;
    bool typed = settings && px_yaml_get(settings, "type");
    if (code != PX_OK)
        return code;
    if (weights && !has_weights(combiner->kind))
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: '%.*s' takes no weights; weighted_%.*s does", weights->line,
                          PX_STR_ARG(step->what),
                          PX_STR_ARG(is_vote(combiner->kind) ? px_str("vote") : px_str("mean")));
    if (has_weights(combiner->kind))
        code = read_weights(r, step, weights, &combiner->weights);
    if (code == PX_OK && typed && (is_vote(combiner->kind) || combiner->kind == PX_GRAPH_FIRST))
        return px_err_set(r->err, PX_E_INVALID, "line %u: '%.*s' keeps the type of its inputs",
                          settings->line, PX_STR_ARG(step->what));
    return code == PX_OK && typed ? read_type(r, step, &combiner->type) : code;
}

/* Numbers that a float does not hold exactly are combined as doubles. */
static bool is_wide(enum px_datatype type)
{
    return type == PX_TYPE_FP64 || type == PX_TYPE_INT32 || type == PX_TYPE_INT64 ||
           type == PX_TYPE_UINT32 || type == PX_TYPE_UINT64;
}

static enum px_code choose_type(struct px_graph_reading *r, const struct px_graph_step *step,
                                const struct px_tensor_specs *inputs,
                                struct px_graph_combiner *combiner)
{
    bool keeps = is_vote(combiner->kind) || combiner->kind == PX_GRAPH_FIRST;
    enum px_datatype type = keeps ? inputs->list[0].type : PX_TYPE_FP32;
    for (size_t i = 0; i < inputs->n; i++) {
        enum px_datatype got = inputs->list[i].type;
        if (keeps ? got != type : !px_graph_is_number(got))
            return px_err_set(r->err, PX_E_INVALID,
                              "line %u: step '%.*s': '%.*s' combines %s, but '%.*s' is %s",
                              step->line, PX_STR_ARG(step->name), PX_STR_ARG(step->what),
                              keeps ? px_datatype_name(type) : "numbers",
                              PX_STR_ARG(step->inputs[i].from.text), px_datatype_name(got));
        if (!keeps && is_wide(got))
            type = PX_TYPE_FP64;
    }
    if (is_vote(combiner->kind) && (type == PX_TYPE_FP32 || type == PX_TYPE_FP64))
        return px_err_set(
            r->err, PX_E_INVALID,
            "line %u: step '%.*s': a vote is over labels (integers, BOOL, BYTES), but "
            "'%.*s' is %s",
            step->line, PX_STR_ARG(step->name), PX_STR_ARG(step->inputs[0].from.text),
            px_datatype_name(type));
    if (!combiner->type)
        combiner->type = type;
    return PX_OK;
}

static enum px_code fail_shape(struct px_graph_reading *r, const struct px_graph_step *step,
                               const struct px_tensor_specs *inputs, size_t i)
{
    char first[PX_TENSOR_SHAPE_TEXT_MAX], other[PX_TENSOR_SHAPE_TEXT_MAX];
    return px_err_set(r->err, PX_E_INVALID,
                      "line %u: step '%.*s': '%.*s' has the shape %s and cannot be combined with "
                      "'%.*s' of shape %s",
                      step->line, PX_STR_ARG(step->name), PX_STR_ARG(step->inputs[i].from.text),
                      px_tensor_spec_shape_text(&inputs->list[i], other),
                      PX_STR_ARG(step->inputs[0].from.text),
                      px_tensor_spec_shape_text(&inputs->list[0], first));
}

static enum px_code shape_elements(struct px_graph_reading *r, const struct px_graph_step *step,
                                   const struct px_tensor_specs *inputs,
                                   struct px_tensor_spec *gives)
{
    *gives = inputs->list[0];
    for (size_t i = 1; i < inputs->n; i++) {
        const struct px_tensor_spec *spec = &inputs->list[i];
        if (!px_graph_shapes_fit(spec, gives))
            return fail_shape(r, step, inputs, i);
        gives->any_rank |= spec->any_rank;
        for (size_t k = 0; !gives->any_rank && k < gives->n_dims && k < spec->n_dims; k++) {
            if (gives->shape[k] == PX_DIM_ANY)
                gives->shape[k] = spec->shape[k];
        }
    }
    return PX_OK;
}

/* The last dimensions add up, the others are equal. */
static enum px_code shape_concat(struct px_graph_reading *r, const struct px_graph_step *step,
                                 const struct px_tensor_specs *inputs, struct px_tensor_spec *gives)
{
    int64_t width = 0;
    *gives = inputs->list[0];
    for (size_t i = 0; i < inputs->n; i++) {
        struct px_tensor_spec spec = inputs->list[i];
        if (spec.any_rank || spec.n_dims == 0)
            return fail_shape(r, step, inputs, i);
        if (spec.n_dims == 1)
            spec.shape[spec.n_dims++] = 1;
        int64_t last = spec.shape[spec.n_dims - 1];
        width = width == PX_DIM_ANY || last == PX_DIM_ANY ? PX_DIM_ANY : width + last;
        if (width > 1 << 30)
            return fail_shape(r, step, inputs, i);
        if (i == 0)
            *gives = spec;
        spec.shape[spec.n_dims - 1] = gives->shape[gives->n_dims - 1];
        if (!px_graph_shapes_fit(&spec, gives))
            return fail_shape(r, step, inputs, i);
    }
    gives->shape[gives->n_dims - 1] = width;
    return PX_OK;
}

enum px_code px_graph_combiner_create(struct px_graph_reading *r, const struct px_graph_step *step,
                                      const struct px_tensor_specs *inputs,
                                      const struct px_graph_combiner **ret)
{
    struct px_graph_combiner *combiner = px_arena_zalloc(r->arena, 1, sizeof *combiner);
    if (!combiner)
        return px_graph_fail_memory(r);
    combiner->kind = px_graph_combine_kind_find(step->what, step->line, r->err);
    enum px_code code = read_settings(r, step, combiner);
    if (code == PX_OK)
        code = choose_type(r, step, inputs, combiner);
    if (code == PX_OK)
        code = combiner->kind == PX_GRAPH_CONCAT
                   ? shape_concat(r, step, inputs, &combiner->gives)
                   : shape_elements(r, step, inputs, &combiner->gives);
    combiner->gives.name = px_str("output");
    combiner->gives.type = combiner->type;
    combiner->gives.optional = false;
    *ret = combiner;
    return code;
}

/* ---- applying ---- */

/* The inputs that are there, with their weights. */
struct present {
    const struct px_tensor *tensors[PX_GRAPH_TENSORS_MAX];
    double weights[PX_GRAPH_TENSORS_MAX];
    size_t n, n_elements;
};

static void collect(const struct px_graph_combiner *combiner, const struct px_tensor *const *inputs,
                    size_t n_inputs, struct present *p)
{
    for (size_t i = 0; i < n_inputs; i++) {
        if (!inputs[i])
            continue;
        p->weights[p->n] = combiner->weights ? combiner->weights[i] : 1;
        p->tensors[p->n++] = inputs[i];
    }
    PX_ASSERT(p->n > 0);
}

static enum px_code fail_run_shape(const struct px_tensor *first, const struct px_tensor *other,
                                   struct px_err *err)
{
    char a[PX_TENSOR_SHAPE_TEXT_MAX], b[PX_TENSOR_SHAPE_TEXT_MAX];
    return px_err_set(err, PX_E_INVALID,
                      "tensors of shapes %s ('%.*s') and %s ('%.*s') cannot be combined",
                      px_tensor_shape_text(first, a), PX_STR_ARG(first->name),
                      px_tensor_shape_text(other, b), PX_STR_ARG(other->name));
}

/* All of the same number of rows and elements; [n] and [n,1] may meet. */
static enum px_code check_elements(struct present *p, struct px_err *err)
{
    size_t n;
    bool fits = px_tensor_elements(p->tensors[0], &p->n_elements);
    for (size_t i = 1; i < p->n && fits; i++) {
        const struct px_tensor *a = p->tensors[0], *b = p->tensors[i];
        bool same = px_tensor_elements(b, &n) && n == p->n_elements &&
                    px_graph_n_rows(a) == px_graph_n_rows(b);
        for (size_t k = 1; a->n_dims == b->n_dims && k < a->n_dims; k++)
            same &= a->shape[k] == b->shape[k];
        if (!same)
            return fail_run_shape(a, b, err);
    }
    return PX_OK;
}

static enum px_code fail_memory(struct px_arena *arena, struct px_err *err)
{
    return px_arena_check(arena, "the tensors of a graph", err);
}

/* Room for `n` elements of the combiner's type. */
static enum px_code make_room(const struct px_graph_combiner *combiner, size_t n,
                              struct px_arena *arena, struct px_tensor *ret, struct px_err *err)
{
    size_t size = px_datatype_size(combiner->type);
    char *bytes = px_arena_alloc(arena, n + 1, size);
    if (!bytes)
        return fail_memory(arena, err);
    ret->name = combiner->gives.name;
    ret->type = combiner->type;
    ret->bytes = px_str_n(bytes, n * size);
    return PX_OK;
}

static double median_of(double *values, size_t n)
{
    for (size_t i = 1; i < n; i++) { /* few values: sorted by insertion */
        double value = values[i];
        size_t at = i;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* NaN in any input makes the result NaN. */
static double combine_numbers(enum px_graph_combine_kind kind, const struct present *p,
                              double *values)
{
    double sum = 0, weight = 0, least = values[0], most = values[0];
    for (size_t i = 0; i < p->n; i++) {
        sum += values[i] * p->weights[i];
        weight += p->weights[i];
        least = values[i] < least ? values[i] : least;
        most = values[i] > most ? values[i] : most;
    }
    if (isnan(sum))
        return sum;
    switch (kind) {
    case PX_GRAPH_MIN:
        return least;
    case PX_GRAPH_MAX:
        return most;
    case PX_GRAPH_SUM:
        return sum;
    case PX_GRAPH_MEDIAN:
        return median_of(values, p->n);
    case PX_GRAPH_MEAN:
    case PX_GRAPH_WEIGHTED_MEAN:
    case PX_GRAPH_CONCAT:
    case PX_GRAPH_FIRST:
    case PX_GRAPH_VOTE:
    case PX_GRAPH_WEIGHTED_VOTE:
    default:
        return sum / weight;
    }
}

static enum px_code combine_elements(const struct px_graph_combiner *combiner, struct present *p,
                                     struct px_arena *arena, struct px_tensor *ret,
                                     struct px_err *err)
{
    double values[PX_GRAPH_TENSORS_MAX];
    enum px_code code = make_room(combiner, p->n_elements, arena, ret, err);
    for (size_t at = 0; code == PX_OK && at < p->n_elements; at++) {
        for (size_t i = 0; i < p->n; i++)
            values[i] = px_graph_number(p->tensors[i], at);
        px_graph_put_number(ret, at, combine_numbers(combiner->kind, p, values));
    }
    return code;
}

/* Which of the labels has the most weight; of equals the one that came first. */
static size_t count_votes(const struct present *p, const struct px_str *labels)
{
    size_t best = 0;
    double most = -1;
    for (size_t i = 0; i < p->n; i++) {
        double weight = 0;
        for (size_t k = 0; k < p->n; k++)
            weight += px_str_eq(labels[i], labels[k]) ? p->weights[k] : 0;
        if (weight > most) {
            most = weight;
            best = i;
        }
    }
    return best;
}

static struct px_str label_of(const struct px_tensor *tensor, const struct px_str *texts, size_t at)
{
    size_t size = px_datatype_size(tensor->type);
    return texts ? texts[at] : px_str_n(tensor->bytes.ptr + at * size, size);
}

/* A label as it lies in a tensor: of texts with its length before it. */
static size_t put_label(char *out, struct px_str label, bool text)
{
    uint32_t len = (uint32_t)label.len;
    size_t at = text ? sizeof len : 0;
    if (text)
        memcpy(out, &len, sizeof len);
    if (label.len)
        memcpy(out + at, label.ptr, label.len);
    return at + label.len;
}

static enum px_code combine_votes(const struct px_graph_combiner *combiner, const struct present *p,
                                  struct px_arena *arena, struct px_tensor *ret, struct px_err *err)
{
    struct px_str *texts[PX_GRAPH_TENSORS_MAX] = {NULL}, labels[PX_GRAPH_TENSORS_MAX];
    bool is_text = combiner->type == PX_TYPE_BYTES;
    size_t bytes_max = 1, at = 0;
    for (size_t i = 0; i < p->n; i++) {
        bytes_max += p->tensors[i]->bytes.len;
        texts[i] = is_text ? px_graph_texts(p->tensors[i], p->n_elements, arena) : NULL;
        if (is_text && !texts[i])
            return fail_memory(arena, err);
    }
    char *out = px_arena_alloc(arena, bytes_max, 1);
    if (!out)
        return fail_memory(arena, err);
    for (size_t element = 0; element < p->n_elements; element++) {
        for (size_t i = 0; i < p->n; i++)
            labels[i] = label_of(p->tensors[i], texts[i], element);
        at += put_label(out + at, labels[count_votes(p, labels)], is_text);
    }
    ret->name = combiner->gives.name;
    ret->type = combiner->type;
    ret->bytes = px_str_n(out, at);
    return PX_OK;
}

/* Elements of the last dimension, and how many such pieces there are. */
static size_t last_of(const struct px_tensor *tensor)
{
    return tensor->n_dims > 1 ? (size_t)tensor->shape[tensor->n_dims - 1] : 1;
}

static bool same_but_last(const struct px_tensor *a, const struct px_tensor *b)
{
    size_t n = a->n_dims > 1 ? a->n_dims - 1 : a->n_dims;
    if ((b->n_dims > 1 ? b->n_dims - 1 : b->n_dims) != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (a->shape[i] != b->shape[i])
            return false;
    }
    return true;
}

static enum px_code combine_concat(const struct px_graph_combiner *combiner, struct present *p,
                                   struct px_arena *arena, struct px_tensor *ret,
                                   struct px_err *err)
{
    size_t width = 0, total = 0, to = 0;
    for (size_t i = 0; i < p->n; i++) {
        size_t n;
        if (!same_but_last(p->tensors[0], p->tensors[i]) || !px_tensor_elements(p->tensors[i], &n))
            return fail_run_shape(p->tensors[0], p->tensors[i], err);
        width += last_of(p->tensors[i]);
        total += n;
    }
    enum px_code code = make_room(combiner, total, arena, ret, err);
    if (code != PX_OK)
        return code;
    for (size_t piece = 0; to < total; piece++) {
        for (size_t i = 0; i < p->n; i++) {
            size_t last = last_of(p->tensors[i]);
            for (size_t k = 0; k < last; k++)
                px_graph_put_number(ret, to++, px_graph_number(p->tensors[i], piece * last + k));
        }
    }
    ret->n_dims = p->tensors[0]->n_dims > 1 ? p->tensors[0]->n_dims : 2;
    ret->shape[ret->n_dims - 1] = width;
    return PX_OK;
}

enum px_code px_graph_combine(const struct px_graph_combiner *combiner,
                              const struct px_tensor *const *inputs, size_t n_inputs,
                              struct px_arena *arena, struct px_tensor *ret, struct px_err *err)
{
    struct present PX_UNINITIALIZED p;
    p.n = 0;
    collect(combiner, inputs, n_inputs, &p);
    *ret = *p.tensors[0];
    ret->name = combiner->gives.name;
    if (combiner->kind == PX_GRAPH_FIRST)
        return PX_OK;
    if (combiner->kind == PX_GRAPH_CONCAT)
        return combine_concat(combiner, &p, arena, ret, err);
    enum px_code code = check_elements(&p, err);
    if (code != PX_OK)
        return code;
    return is_vote(combiner->kind) ? combine_votes(combiner, &p, arena, ret, err)
                                   : combine_elements(combiner, &p, arena, ret, err);
}
