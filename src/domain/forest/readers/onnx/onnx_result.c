/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the outputs of the graph to scores, classes and warnings.
 *
 * ONNX Runtime is the reference for what a model returns, also where the standard says less or something else:
 * one target is not transformed but by PROBIT; two classes get two scores from one sum in four ways. Where it
 * is plainly wrong the standard's text is followed, and a warning says so: docs/architecture/forest.md has
 * the list.
 */
#include "domain/forest/readers/onnx/onnx_graph.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* Bytes that are kept of an input's name, and of the producer's name and version. */
enum { NAME_TEXT_MAX = 200, PRODUCER_TEXT_MAX = 60 };

/* What the outputs of the graph say. */
struct result {
    struct px_onnx_graph *graph;
    struct px_forest_ir *ir;
    const struct px_onnx_scores *scores;
    const struct px_onnx_ensemble *ensemble; /* the first of the scores */
    struct px_onnx_value decision;           /* kind DECISION when there is one */
};

static enum px_code take_output(struct result *r, const struct px_onnx_port *port,
                                struct px_err *err)
{
    struct px_onnx_value value;
    enum px_code code = PX_OK;
    if (!px_onnx_graph_find(r->graph, port->name, &value))
        return px_err_set(err, PX_E_CORRUPT, "no node of the graph makes its output '%.*s'",
                          PX_STR_ARG(port->name));
    if (value.kind == PX_ONNX_TABLE)
        code = px_onnx_table_as_scores(r->graph, &value, &value, err);
    if (code != PX_OK)
        return code;
    if (value.kind == PX_ONNX_COLUMNS || value.kind == PX_ONNX_CONSTANT)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "output '%.*s' of the graph is no result of a tree ensemble",
                          PX_STR_ARG(port->name));
    if (value.kind == PX_ONNX_DECISION)
        r->decision = value;
    if (value.kind != PX_ONNX_SCORES || !r->scores) {
        if (value.kind == PX_ONNX_SCORES)
            r->scores = value.scores;
        return PX_OK;
    }
    if (r->scores == value.scores)
        return PX_OK;
    return px_ir_warn(r->ir, err, "output '%.*s' of the ONNX graph is not served",
                      PX_STR_ARG(port->name));
}

/* A graph that only returns labels is served with the scores behind them. */
static enum px_code find_scores(struct result *r, struct px_err *err)
{
    const struct px_onnx_port *port;
    enum px_code code = PX_OK;
    px_vec_foreach (port, &r->graph->model->outputs) {
        code = take_output(r, port, err);
        if (code != PX_OK)
            return code;
    }
    px_vec_foreach (port, &r->graph->model->outputs) {
        struct px_onnx_value value;
        if (!r->scores && px_onnx_graph_find(r->graph, port->name, &value))
            r->scores = value.scores;
    }
    if (!r->scores)
        return px_err_set(err, PX_E_CORRUPT, "the graph has no output");
    r->ensemble = &r->graph->ensembles.items[r->scores->terms[0].ensemble].ensemble;
    return PX_OK;
}

static enum px_code check_labels(const struct result *r, struct px_err *err)
{
    const struct px_onnx_port *port;
    px_vec_foreach (port, &r->graph->model->outputs) {
        struct px_onnx_value value;
        if (!px_onnx_graph_find(r->graph, port->name, &value) || value.kind == PX_ONNX_SCORES ||
            value.kind == PX_ONNX_TABLE)
            continue;
        if (value.scores != r->scores &&
            value.scores->terms[0].ensemble != r->scores->terms[0].ensemble)
            return px_err_set(err, PX_E_UNSUPPORTED,
                              "output '%.*s' of the graph is not made of the same trees as the "
                              "scores",
                              PX_STR_ARG(port->name));
    }
    return PX_OK;
}

static enum px_code set_base(struct result *r, struct px_err *err)
{
    struct px_forest_ir *ir = r->ir;
    const struct px_onnx_scores *scores = r->scores;
    ir->base = px_arena_zalloc(&ir->arena, ir->n_margins, sizeof *ir->base);
    if (!ir->base)
        return px_ir_no_memory(err);
    for (size_t i = 0; i < scores->n_terms; i++) {
        const struct px_doubles *base =
            &r->graph->ensembles.items[scores->terms[i].ensemble].ensemble.base;
        for (size_t k = 0; !scores->terms[i].values && k < base->len; k++)
            ir->base[k] += base->items[k];
    }
    for (size_t k = 0; scores->base && k < ir->n_margins; k++)
        ir->base[k] += scores->base[k];
    for (size_t k = 0; ir->type == PX_TYPE_FP32 && k < ir->n_margins; k++)
        ir->base[k] = (double)(float)ir->base[k];
    ir->base_last = true;
    return PX_OK;
}

static void set_aggregate(struct result *r)
{
    const struct px_onnx_ensemble *e = r->ensemble;
    if (r->scores->terms[0].values) /* the aggregate of one tree */
        return;
    if (e->aggregate == PX_ONNX_AVERAGE)
        r->ir->sum_divisor = (double)e->trees.len;
    else if (e->aggregate == PX_ONNX_MIN)
        r->ir->aggregate = PX_AGGREGATE_MIN;
    else if (e->aggregate == PX_ONNX_MAX)
        r->ir->aggregate = PX_AGGREGATE_MAX;
}

static const char *post_name(enum px_onnx_post post)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    return names[post];
}

static enum px_transform_kind per_target(enum px_onnx_post post)
{
    static const enum px_transform_kind kinds[] = {
        [PX_ONNX_POST_NONE] = PX_TRANSFORM_IDENTITY,
        [PX_ONNX_POST_SOFTMAX] = PX_TRANSFORM_ONNX_SOFTMAX,
        [PX_ONNX_POST_LOGISTIC] = PX_TRANSFORM_ONNX_LOGISTIC,
        [PX_ONNX_POST_SOFTMAX_ZERO] = PX_TRANSFORM_ONNX_SOFTMAX_ZERO,
        [PX_ONNX_POST_PROBIT] = PX_TRANSFORM_ONNX_PROBIT,
    };
    return kinds[post];
}

/* Two classes whose votes are all for the first: it stands for the positive class. */
static enum px_transform_kind pair_kind(const struct px_onnx_ensemble *e)
{
    if (e->post == PX_ONNX_POST_LOGISTIC)
        return e->negative_votes ? PX_TRANSFORM_ONNX_LOGISTIC_PAIR
                                 : PX_TRANSFORM_ONNX_LOGISTIC_COMPLEMENT;
    return e->negative_votes ? PX_TRANSFORM_ONNX_NEGATION : PX_TRANSFORM_ONNX_COMPLEMENT;
}

static bool is_pair(const struct px_onnx_ensemble *e)
{
    return e->classifier && e->n_targets == 2 && e->voted[0] && !e->voted[1];
}

static enum px_code refuse_two_classes(const struct px_onnx_ensemble *e, const char *what,
                                       struct px_err *err)
{
    return px_err_set(err, PX_E_UNSUPPORTED, "%s: two classes with %s have no agreed meaning",
                      px_onnx_node_text(e->node).text, what);
}

static enum px_code check_pair(const struct px_onnx_ensemble *e, struct px_err *err)
{
    char what[64];
    if (e->base.len == 2)
        return refuse_two_classes(e, "votes for one of them and two base values", err);
    if (e->post == PX_ONNX_POST_NONE || e->post == PX_ONNX_POST_LOGISTIC)
        return PX_OK;
    snprintf(what, sizeof what, "votes for one of them and %s", post_name(e->post));
    return refuse_two_classes(e, what, err);
}

static enum px_code warn_two_classes(const struct result *r, struct px_err *err)
{
    const struct px_onnx_ensemble *e = r->ensemble;
    enum px_code code = PX_OK;
    if (is_pair(e) && e->post == PX_ONNX_POST_LOGISTIC && !e->negative_votes)
        return px_ir_warn(r->ir, err,
                          "ONNX Runtime itself labels by sum > 0.5 when no vote is negative, also "
                          "with LOGISTIC; here the label is the class of the greater probability");
    if (is_pair(e))
        return PX_OK;
    if (e->base.len == 2)
        code = px_ir_warn(r->ir, err,
                          "ONNX Runtime itself drops votes when two classes have two base values; "
                          "here each class has its own votes and base value");
    if (code == PX_OK)
        code =
            px_ir_warn(r->ir, err,
                       "ONNX Runtime itself labels two classes with votes of their own by the "
                       "sign of the second sum, as 0 or 1; here the label is that of the greater "
                       "score");
    return code;
}

static enum px_code set_two_classes(struct result *r, struct px_err *err)
{
    const struct px_onnx_ensemble *e = r->ensemble;
    enum px_code code = PX_OK;
    if (is_pair(e)) {
        r->ir->n_margins = 1;
        r->ir->transform.kind = pair_kind(e);
        code = check_pair(e, err);
    } else if (e->base.len == 1 || (e->base.len == 2 && !(e->voted[0] && e->voted[1]))) {
        code = refuse_two_classes(e, "these base values", err);
    }
    return code == PX_OK ? warn_two_classes(r, err) : code;
}

/* A forest whose leaves hold shares of 1: no row can get more than 1. */
static bool sums_to_one(const struct px_forest_ir *ir)
{
    double sum = 0.0;
    const struct px_tree *tree;
    px_vec_foreach (tree, &ir->trees) {
        double most = 0.0;
        const double *values = &ir->leaf_values.items[tree->first_leaf];
        for (size_t i = 0; i < (size_t)tree->n_leaves * tree->width; i++) {
            if (values[i] < 0.0)
                return false;
            most = fmax(most, values[i]);
        }
        sum += most;
    }
    for (size_t k = 0; k < ir->n_margins; k++) {
        if (ir->base[k] != 0.0)
            return false;
    }
    return sum <= 1.001;
}

static bool are_probabilities(const struct result *r)
{
    enum px_onnx_post post = r->ensemble->post;
    if (post == PX_ONNX_POST_NONE)
        return sums_to_one(r->ir);
    return post == PX_ONNX_POST_SOFTMAX || post == PX_ONNX_POST_LOGISTIC;
}

static enum px_code set_classes(struct result *r, struct px_err *err)
{
    struct px_forest_ir *ir = r->ir;
    const struct px_onnx_ensemble *e = r->ensemble;
    ir->n_classes = e->n_targets;
    ir->class_labels = px_arena_alloc(&ir->arena, e->n_targets, sizeof *ir->class_labels);
    if (!ir->class_labels)
        return px_ir_no_memory(err);
    memcpy(ir->class_labels, e->labels.items, e->n_targets * sizeof *ir->class_labels);
    return e->n_targets == 2 ? set_two_classes(r, err) : PX_OK;
}

static enum px_code warn_votes(const struct result *r, struct px_err *err)
{
    const struct px_onnx_ensemble *e = r->ensemble;
    enum px_code code = PX_OK;
    if (e->several_votes && e->n_targets == 1)
        code =
            px_ir_warn(r->ir, err,
                       "a leaf has several votes; ONNX Runtime itself counts the first alone when "
                       "there is one target, here all count");
    bool swapped = e->post == PX_ONNX_POST_SOFTMAX || e->post == PX_ONNX_POST_LOGISTIC;
    if (code == PX_OK && !e->float_result && e->n_targets > 1 && swapped)
        code = px_ir_warn(r->ir, err,
                          "ONNX Runtime itself mixes up SOFTMAX and LOGISTIC in TreeEnsemble (seen "
                          "up to 1.31); here post_transform means what the standard says: %s",
                          post_name(e->post));
    return code;
}

static enum px_code set_targets(struct result *r, struct px_err *err)
{
    const struct px_onnx_ensemble *e = r->ensemble;
    bool ignored =
        e->n_targets == 1 && e->post != PX_ONNX_POST_NONE && e->post != PX_ONNX_POST_PROBIT;
    if (!ignored || e->classifier)
        return PX_OK;
    r->ir->transform.kind = PX_TRANSFORM_IDENTITY;
    return px_ir_warn(r->ir, err,
                      "post_transform %s of one target is ignored, as ONNX Runtime does; the score "
                      "is the sum of the trees",
                      post_name(e->post));
}

static enum px_code set_transform(struct result *r, struct px_err *err)
{
    struct px_forest_ir *ir = r->ir;
    const struct px_onnx_ensemble *e = r->ensemble;
    bool table = r->scores->terms[0].values != NULL;
    ir->n_margins = r->scores->n_targets;
    ir->transform.kind = table ? PX_TRANSFORM_IDENTITY : per_target(e->post);
    enum px_code code = e->classifier ? set_classes(r, err) : set_targets(r, err);
    if (code == PX_OK)
        code = warn_votes(r, err);
    bool rounds = ir->type == PX_TYPE_FP64 && e->wide && e->float_result;
    if (rounds && ir->transform.kind == PX_TRANSFORM_IDENTITY)
        ir->transform.kind = PX_TRANSFORM_ONNX_ROUND;
    ir->n_outputs = px_transform_outputs(ir->transform.kind, ir->n_margins);
    return code;
}

static enum px_code set_steps(struct result *r, struct px_err *err)
{
    size_t n = r->scores->n_steps;
    if (n == 0)
        return PX_OK;
    struct px_step *steps = px_arena_alloc(&r->ir->arena, n, sizeof *steps);
    if (!steps)
        return px_ir_no_memory(err);
    memcpy(steps, r->scores->steps, n * sizeof *steps);
    r->ir->transform.steps = steps;
    r->ir->transform.n_steps = n;
    return PX_OK;
}

static double number_below(enum px_datatype type, double x)
{
    return type == PX_TYPE_FP32 ? (double)nextafterf((float)x, -INFINITY)
                                : nextafter(x, -(double)INFINITY);
}

/* A score that a node compares with a constant makes two classes. */
static enum px_code set_decision(struct result *r, struct px_err *err)
{
    struct px_forest_ir *ir = r->ir;
    const struct px_onnx_value *d = &r->decision;
    if (d->kind != PX_ONNX_DECISION)
        return PX_OK;
    if (d->scores != r->scores)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "the label of the graph is not made of its first score");
    bool less = d->compare == PX_STEP_LESS; /* yes is the class below */
    const double values[2] = {less ? d->yes : d->no, less ? d->no : d->yes};
    ir->n_classes = 2;
    ir->decision_threshold = less ? number_below(ir->type, d->limit) : d->limit;
    ir->class_labels = px_arena_alloc(&ir->arena, 2, sizeof *ir->class_labels);
    for (size_t i = 0; ir->class_labels && i < 2; i++) {
        char text[32];
        snprintf(text, sizeof text, "%.17g", values[i]);
        ir->class_labels[i] = px_arena_str(&ir->arena, px_str(text));
        if (!ir->class_labels[i].ptr)
            return px_ir_no_memory(err);
    }
    return ir->class_labels ? PX_OK : px_ir_no_memory(err);
}

/* The first bytes of a text, whole characters. */
static struct px_str cut(struct px_str text, size_t max)
{
    struct px_str start = px_str_n(text.ptr, text.len < max ? text.len : max);
    start.len = px_str_utf8_prefix(start);
    return start;
}

/* Several inputs of one column each are named columns; one input of many is not. */
static enum px_code set_names(struct result *r, struct px_err *err)
{
    struct px_forest_ir *ir = r->ir;
    const struct px_onnx_port *port;
    size_t at = 0, inputs = 0;
    struct px_onnx_value value;
    px_vec_foreach (port, &r->graph->model->inputs)
        inputs += px_onnx_graph_find(r->graph, port->name, &value) && value.kind == PX_ONNX_COLUMNS;
    if (inputs < 2)
        return PX_OK;
    ir->feature_names = px_arena_zalloc(&ir->arena, ir->n_features, sizeof(struct px_str));
    px_vec_foreach (port, &r->graph->model->inputs) {
        bool rows =
            px_onnx_graph_find(r->graph, port->name, &value) && value.kind == PX_ONNX_COLUMNS;
        if (!px_str_is_utf8(port->name))
            return px_err_set(err, PX_E_CORRUPT, "the name of an input is not valid UTF-8");
        for (size_t i = 0; rows && ir->feature_names && i < value.n; i++) {
            char name[256];
            struct px_str start = cut(port->name, NAME_TEXT_MAX);
            if (value.n == 1)
                snprintf(name, sizeof name, "%.*s", PX_STR_ARG(start));
            else
                snprintf(name, sizeof name, "%.*s_%zu", PX_STR_ARG(start), i);
            ir->feature_names[at] = px_arena_str(&ir->arena, px_str(name));
            if (!ir->feature_names[at++].ptr)
                return px_ir_no_memory(err);
        }
    }
    return ir->feature_names ? PX_OK : px_ir_no_memory(err);
}

static enum px_code set_features(struct result *r, struct px_err *err)
{
    int64_t greatest = -1;
    const struct px_onnx_used_ensemble *used;
    r->ir->n_features = r->graph->n_features;
    if (r->ir->n_features)
        return set_names(r, err);
    px_vec_foreach (used, &r->graph->ensembles)
        greatest = used->ensemble.feature_max > greatest ? used->ensemble.feature_max : greatest;
    r->ir->n_features = greatest < 0 ? 1 : (size_t)greatest + 1;
    return px_ir_warn(r->ir, err,
                      "the ONNX file does not say how many features there are; the trees ask for "
                      "%zu",
                      r->ir->n_features);
}

static enum px_code describe(struct result *r, struct px_err *err)
{
    struct px_forest_ir *ir = r->ir;
    const struct px_onnx_model *model = r->graph->model;
    char version[128], objective[96];
    struct px_str producer = cut(model->producer, PRODUCER_TEXT_MAX);
    struct px_str producer_version = cut(model->producer_version, PRODUCER_TEXT_MAX);
    snprintf(version, sizeof version, "%.*s %.*s", PX_STR_ARG(producer),
             PX_STR_ARG(producer_version));
    snprintf(objective, sizeof objective, "%.*s%s%s", (int)r->ensemble->node->op.len,
             r->ensemble->node->op.ptr, r->ensemble->post ? " " : "",
             r->ensemble->post ? post_name(r->ensemble->post) : "");
    struct px_str text = px_str_trim(px_str(version));
    ir->library_version = px_arena_str(&ir->arena, text);
    ir->objective = px_arena_str(&ir->arena, px_str(objective));
    if (!ir->library_version.ptr || !ir->objective.ptr)
        return px_ir_no_memory(err);
    ir->n_rounds = ir->trees.len;
    ir->best_round = ir->n_rounds - 1;
    return PX_OK;
}

static enum px_code finish(struct result *r, struct px_err *err)
{
    enum px_code code = set_transform(r, err);
    if (code == PX_OK)
        code = set_base(r, err);
    if (code == PX_OK)
        code = set_steps(r, err);
    if (code == PX_OK)
        code = set_decision(r, err);
    if (code == PX_OK)
        code = set_features(r, err);
    if (code == PX_OK)
        code = describe(r, err);
    if (code != PX_OK)
        return code;
    set_aggregate(r);
    r->ir->score_is_probability = r->ensemble->classifier && are_probabilities(r);
    return px_ir_finish(r->ir, err);
}

enum px_code px_onnx_result(struct px_onnx_graph *graph, struct px_err *err)
{
    struct result r = {.graph = graph, .ir = graph->ir};
    enum px_code code = find_scores(&r, err);
    if (code == PX_OK)
        code = check_labels(&r, err);
    if (code == PX_OK)
        code = px_onnx_emit(graph, r.scores, err);
    return code == PX_OK ? finish(&r, err) : code;
}
