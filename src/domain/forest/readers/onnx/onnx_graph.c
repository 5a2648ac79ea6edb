/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes are followed in the order of the file, which the standard wants to be an order in which every input is
 * known. A node is looked up by its operator; what is not in the table is refused by name.
 */
#include "domain/forest/readers/onnx/onnx_graph.h"

#include <inttypes.h>
#include <math.h>

enum { NODE_INPUTS_MAX = 1 << 16 };

void px_onnx_graph_deinit(struct px_onnx_graph *graph)
{
    struct px_onnx_used_ensemble *used;
    px_vec_foreach (used, &graph->ensembles)
        px_onnx_ensemble_deinit(&used->ensemble);
    px_vec_free(&graph->ensembles);
    px_vec_free(&graph->values);
    px_map_deinit(&graph->by_name);
    px_arena_deinit(&graph->arena);
}

static enum px_code hint(struct px_err *err)
{
    return px_err_hint(err, "served are graphs of tree ensembles as skl2onnx and onnxmltools write "
                            "them for forests and boosted trees");
}

enum px_code px_onnx_refuse_node(const struct px_onnx_graph *graph, struct px_err *err)
{
    px_err_set(err, PX_E_UNSUPPORTED, "the graph has a %s that is no part of a tree ensemble",
               px_onnx_node_text(graph->node).text);
    return hint(err);
}

enum px_code px_onnx_refuse(const struct px_onnx_graph *graph, const char *what, struct px_err *err)
{
    px_err_set(err, PX_E_UNSUPPORTED, "the graph has a %s that %s",
               px_onnx_node_text(graph->node).text, what);
    return hint(err);
}

enum px_code px_onnx_no_room(const struct px_onnx_graph *graph, struct px_err *err)
{
    enum px_code code = px_arena_check(&graph->arena, "what the ONNX graph computes", err);
    return code == PX_OK ? px_ir_no_memory(err) : code;
}

bool px_onnx_graph_find(const struct px_onnx_graph *graph, struct px_str name,
                        struct px_onnx_value *ret)
{
    size_t at;
    if (!px_map_get(&graph->by_name, name, &at))
        return false;
    *ret = graph->values.items[at];
    return true;
}

static enum px_code define(struct px_onnx_graph *graph, struct px_str name,
                           const struct px_onnx_value *value, struct px_err *err)
{
    size_t at;
    if (px_map_get(&graph->by_name, name, &at))
        return px_err_set(err, PX_E_CORRUPT, "the graph has two values with the name '%.*s'",
                          PX_STR_ARG(name));
    struct px_onnx_value *item = px_vec_push(&graph->values);
    if (!item)
        return px_ir_no_memory(err);
    *item = *value;
    return px_map_put(&graph->by_name, name, graph->values.len - 1, err);
}

static enum px_code define_constant(struct px_onnx_graph *graph, struct px_str name,
                                    struct px_onnx_tensor *tensor, struct px_err *err)
{
    double *numbers = px_arena_alloc(&graph->arena, tensor->values.len + 1, sizeof *numbers);
    if (!numbers)
        return px_onnx_no_room(graph, err);
    if (tensor->values.len)
        memcpy(numbers, tensor->values.items, tensor->values.len * sizeof *numbers);
    const struct px_onnx_value value = {.kind = PX_ONNX_CONSTANT,
                                        .type = tensor->type,
                                        .n = tensor->values.len,
                                        .numbers = numbers};
    return define(graph, name, &value, err);
}

static enum px_code define_constants(struct px_onnx_graph *graph, struct px_err *err)
{
    const struct px_onnx_constant *constant;
    px_vec_foreach (constant, &graph->model->constants) {
        struct px_onnx_tensor tensor = {0};
        enum px_code code = px_onnx_tensor_read(constant->message, &tensor, err);
        if (code != PX_OK)
            return px_err_wrap(err, "constant '%.*s' of the graph", PX_STR_ARG(constant->name));
        code = define_constant(graph, constant->name, &tensor, err);
        px_vec_free(&tensor.values);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

/* Old files name their constants among the inputs. */
static enum px_code define_inputs(struct px_onnx_graph *graph, struct px_err *err)
{
    const struct px_onnx_port *port;
    size_t known = graph->values.len, open = 0, n = 0;
    px_vec_foreach (port, &graph->model->inputs) {
        struct px_onnx_value value = {0};
        size_t at;
        if (px_map_get(&graph->by_name, port->name, &at) && at < known)
            continue;
        enum px_code code = px_onnx_columns_input(graph, port, &value, err);
        if (code == PX_OK)
            code = define(graph, port->name, &value, err);
        if (code != PX_OK)
            return code;
        n++;
        open += value.n == 0;
    }
    if (open && n > 1)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "the graph has %zu inputs, and the number of features of one is not in "
                          "the file",
                          n);
    return PX_OK;
}

/* A node under way. */
struct visit {
    struct px_onnx_graph *graph;
    const struct px_onnx_node *node;
    const struct px_onnx_value *in; /* [node->n_inputs] */
    struct px_onnx_value out;
};

static const struct px_onnx_value *input(const struct visit *visit, size_t i)
{
    return i < visit->node->n_inputs ? &visit->in[i] : NULL;
}

static enum px_code run_operation(struct visit *visit, const struct px_onnx_operation *operation,
                                  struct px_err *err)
{
    const struct px_onnx_value *a = operation->a, *b = operation->b;
    enum px_onnx_kind kind = a->kind == PX_ONNX_CONSTANT && b ? b->kind : a->kind;
    if (kind == PX_ONNX_COLUMNS)
        return px_onnx_columns_step(visit->graph, operation, &visit->out, err);
    if (kind == PX_ONNX_TABLE)
        return px_onnx_table_step(visit->graph, operation, &visit->out, err);
    if (kind == PX_ONNX_SCORES)
        return px_onnx_scores_step(visit->graph, operation, &visit->out, err);
    return px_onnx_refuse_node(visit->graph, err);
}

/* label = no + (yes - no) * answer, as Mul and Add of whole numbers on a decision. */
static enum px_code compute_decision(struct visit *visit, enum px_step_op op, struct px_err *err)
{
    const struct px_onnx_value *decision = input(visit, 0), *constant = input(visit, 1);
    if (decision->kind == PX_ONNX_CONSTANT) {
        decision = input(visit, 1);
        constant = input(visit, 0);
    }
    bool known = op == PX_STEP_ADD || op == PX_STEP_MUL;
    if (!known || constant->kind != PX_ONNX_CONSTANT || constant->n != 1 ||
        constant->type != decision->type || decision->type != PX_ONNX_INT64)
        return px_onnx_refuse_node(visit->graph, err);
    visit->out = *decision;
    visit->out.yes = px_step_compute(op, false, decision->yes, constant->numbers[0]);
    visit->out.no = px_step_compute(op, false, decision->no, constant->numbers[0]);
    return PX_OK;
}

/* Trees of several ensembles, when not all operands are functions of one tree. */
static bool are_different_sums(const struct visit *visit)
{
    const struct px_onnx_value *first = input(visit, 0);
    bool tables = true, scores = false;
    for (size_t i = 0; i < visit->node->n_inputs; i++) {
        const struct px_onnx_value *in = &visit->in[i];
        if (in->kind != PX_ONNX_TABLE && in->kind != PX_ONNX_SCORES)
            return false;
        tables = tables && in->kind == PX_ONNX_TABLE && in->ensemble == first->ensemble;
        scores = scores || in->kind == PX_ONNX_SCORES;
    }
    return scores || !tables;
}

static enum px_code run_sum(struct visit *visit, struct px_err *err)
{
    size_t n = visit->node->n_inputs;
    struct px_onnx_value *inputs = px_arena_alloc(&visit->graph->arena, n, sizeof *inputs);
    enum px_code code = inputs ? PX_OK : px_onnx_no_room(visit->graph, err);
    for (size_t i = 0; code == PX_OK && i < n; i++) {
        inputs[i] = visit->in[i];
        if (inputs[i].kind == PX_ONNX_TABLE)
            code = px_onnx_table_as_scores(visit->graph, &visit->in[i], &inputs[i], err);
    }
    return code == PX_OK ? px_onnx_scores_sum(visit->graph, inputs, n, &visit->out, err) : code;
}

static enum px_code run_binary(struct visit *visit, enum px_step_op op, struct px_err *err)
{
    const struct px_onnx_value *a = input(visit, 0), *b = input(visit, 1);
    if (visit->node->n_inputs != 2)
        return px_onnx_refuse_node(visit->graph, err);
    if (a->kind == PX_ONNX_DECISION || b->kind == PX_ONNX_DECISION)
        return compute_decision(visit, op, err);
    if (op == PX_STEP_ADD && are_different_sums(visit))
        return run_sum(visit, err);
    return run_operation(visit, &(struct px_onnx_operation){op, a, b}, err);
}

static enum px_code run_add_all(struct visit *visit, struct px_err *err)
{
    if (visit->node->n_inputs == 2)
        return run_binary(visit, PX_STEP_ADD, err);
    if (visit->node->n_inputs == 0 || !are_different_sums(visit))
        return px_onnx_refuse_node(visit->graph, err);
    return run_sum(visit, err);
}

static enum px_code run_unary(struct visit *visit, enum px_step_op op, struct px_err *err)
{
    if (visit->node->n_inputs != 1)
        return px_onnx_refuse_node(visit->graph, err);
    return run_operation(visit, &(struct px_onnx_operation){op, input(visit, 0), NULL}, err);
}

/* The same value under another name or shape. */
static enum px_code run_same(struct visit *visit, struct px_err *err)
{
    if (visit->node->n_inputs == 0 || input(visit, 0)->kind == PX_ONNX_CONSTANT)
        return px_onnx_refuse_node(visit->graph, err);
    visit->out = *input(visit, 0);
    return PX_OK;
}

static size_t width(const struct px_onnx_value *value)
{
    if (value->kind == PX_ONNX_COLUMNS)
        return value->n;
    return value->kind == PX_ONNX_SCORES ? value->scores->n_targets : 1;
}

/* Rows must stay rows: [-1, n], [0, n] and, for one column, [-1]. */
static enum px_code run_reshape(struct visit *visit, struct px_err *err)
{
    const struct px_onnx_value *value = input(visit, 0), *shape = input(visit, 1);
    if (visit->node->n_inputs != 2 || shape->kind != PX_ONNX_CONSTANT || shape->n < 1 ||
        shape->n > 2 || shape->numbers[0] > 0)
        return px_onnx_refuse(visit->graph, "changes the shape of the rows", err);
    double n = shape->n == 2 ? shape->numbers[1] : 1.0;
    bool same = n == (double)width(value) || (n == -1.0 && shape->numbers[0] == 0.0);
    if (!same)
        return px_onnx_refuse(visit->graph, "changes the shape of the rows", err);
    return run_same(visit, err);
}

static enum px_code run_flatten(struct visit *visit, struct px_err *err)
{
    int64_t axis = 1;
    enum px_code code = px_onnx_get_int(visit->graph->model, visit->node, "axis", &axis, err);
    if (code == PX_OK && axis != 1)
        code = px_onnx_refuse(visit->graph, "changes the shape of the rows", err);
    return code == PX_OK ? run_same(visit, err) : code;
}

static enum px_code cast_answer(struct visit *visit, int type, struct px_err *err)
{
    const struct px_onnx_value *from = input(visit, 0);
    if (type != PX_ONNX_INT64 && !(from->kind == PX_ONNX_LABELS && type == PX_ONNX_STRING))
        return px_onnx_refuse_node(visit->graph, err);
    visit->out = *from;
    visit->out.type = type;
    return PX_OK;
}

static enum px_code run_cast(struct visit *visit, struct px_err *err)
{
    struct px_onnx_graph *graph = visit->graph;
    const struct px_onnx_value *from = input(visit, 0);
    int64_t to = 0;
    enum px_code code = px_onnx_get_int(graph->model, visit->node, "to", &to, err);
    if (code != PX_OK)
        return code;
    if (visit->node->n_inputs != 1 || to < 1 || to > PX_ONNX_DOUBLE)
        return px_onnx_refuse_node(graph, err);
    if (from->kind == PX_ONNX_COLUMNS)
        return px_onnx_columns_cast(graph, from, (int)to, &visit->out, err);
    if (from->kind == PX_ONNX_TABLE)
        return px_onnx_table_cast(graph, from, (int)to, &visit->out, err);
    if (from->kind == PX_ONNX_SCORES)
        return px_onnx_scores_cast(graph, from, (int)to, &visit->out, err);
    if (from->kind == PX_ONNX_LABELS || from->kind == PX_ONNX_DECISION)
        return cast_answer(visit, (int)to, err);
    return px_onnx_refuse_node(graph, err);
}

/* Gather along the columns, and ArrayFeatureExtractor. */
static enum px_code run_pick(struct visit *visit, struct px_err *err)
{
    int64_t axis = px_str_is(visit->node->op, "Gather") ? 0 : 1;
    enum px_code code = px_onnx_get_int(visit->graph->model, visit->node, "axis", &axis, err);
    if (code != PX_OK)
        return code;
    const struct px_onnx_value *from = input(visit, 0), *indices = input(visit, 1);
    bool fits = visit->node->n_inputs == 2 && from->kind == PX_ONNX_COLUMNS &&
                indices->kind == PX_ONNX_CONSTANT && (axis == 1 || axis == -1);
    if (!fits)
        return px_onnx_refuse_node(visit->graph, err);
    return px_onnx_columns_pick(visit->graph, from, indices, &visit->out, err);
}

static enum px_code run_concat(struct visit *visit, struct px_err *err)
{
    int64_t axis = 0;
    enum px_code code = px_onnx_get_int(visit->graph->model, visit->node, "axis", &axis, err);
    if (code != PX_OK)
        return code;
    bool fits = visit->node->n_inputs > 0 && input(visit, 0)->kind == PX_ONNX_COLUMNS &&
                (axis == 1 || axis == -1);
    if (!fits)
        return px_onnx_refuse_node(visit->graph, err);
    return px_onnx_columns_concat(visit->graph, visit->in, visit->node->n_inputs, &visit->out, err);
}

static enum px_code run_scaler(struct visit *visit, struct px_err *err)
{
    if (visit->node->n_inputs != 1 || input(visit, 0)->kind != PX_ONNX_COLUMNS)
        return px_onnx_refuse_node(visit->graph, err);
    return px_onnx_columns_scale(visit->graph, input(visit, 0), &visit->out, err);
}

static enum px_code run_imputer(struct visit *visit, struct px_err *err)
{
    if (visit->node->n_inputs != 1 || input(visit, 0)->kind != PX_ONNX_COLUMNS)
        return px_onnx_refuse_node(visit->graph, err);
    return px_onnx_columns_impute(visit->graph, input(visit, 0), &visit->out, err);
}

static enum px_code run_encoder(struct visit *visit, struct px_err *err)
{
    if (visit->node->n_inputs != 1 || input(visit, 0)->kind != PX_ONNX_TABLE)
        return px_onnx_refuse_node(visit->graph, err);
    return px_onnx_table_encode(visit->graph, input(visit, 0), &visit->out, err);
}

/* A sequence of maps from label to probability: the same numbers in another dress. */
static enum px_code run_zipmap(struct visit *visit, struct px_err *err)
{
    if (visit->node->n_inputs != 1 || input(visit, 0)->kind != PX_ONNX_SCORES)
        return px_onnx_refuse_node(visit->graph, err);
    return run_same(visit, err);
}

static enum px_code run_constant(struct visit *visit, struct px_err *err)
{
    struct px_onnx_graph *graph = visit->graph;
    struct px_onnx_tensor tensor = {0};
    enum px_code code = px_onnx_get_tensor(graph->model, visit->node, "value", &tensor, err);
    if (code == PX_OK && (!tensor.type || visit->node->n_outputs != 1))
        code = px_onnx_refuse_node(graph, err);
    if (code == PX_OK)
        code = define_constant(graph, graph->model->names.items[visit->node->first_output], &tensor,
                               err);
    px_vec_free(&tensor.values);
    return code;
}

static enum px_code check_features(const struct visit *visit,
                                   const struct px_onnx_used_ensemble *used, struct px_err *err)
{
    int64_t feature = used->ensemble.feature_max;
    if (used->n_columns && feature >= (int64_t)used->n_columns)
        return px_err_set(err, PX_E_CORRUPT,
                          "%s: splits on feature %" PRId64 ", but its input has %zu",
                          px_onnx_node_text(visit->node).text, feature, used->n_columns);
    return PX_OK;
}

/* Names the outputs itself: a classifier's first one is the label. */
static enum px_code define_results(const struct visit *visit, size_t number, struct px_err *err)
{
    struct px_onnx_graph *graph = visit->graph;
    const struct px_str *names = &graph->model->names.items[visit->node->first_output];
    struct px_onnx_value value = {0};
    size_t scores_at = graph->ensembles.items[number].ensemble.classifier ? 1 : 0;
    enum px_code code = px_onnx_ensemble_value(graph, number, &value, err);
    if (code == PX_OK && scores_at && visit->node->n_outputs) {
        const struct px_onnx_value label = {.kind = PX_ONNX_LABELS,
                                            .type = PX_ONNX_INT64,
                                            .ensemble = number,
                                            .scores = value.scores};
        if (names[0].len)
            code = define(graph, names[0], &label, err);
    }
    if (code == PX_OK && scores_at < visit->node->n_outputs && names[scores_at].len)
        code = define(graph, names[scores_at], &value, err);
    return code;
}

static enum px_code run_ensemble(struct visit *visit, struct px_err *err)
{
    struct px_onnx_graph *graph = visit->graph;
    const struct px_onnx_value *rows = input(visit, 0);
    if (visit->node->n_inputs != 1 || rows->kind != PX_ONNX_COLUMNS || rows->type == PX_ONNX_BOOL)
        return px_onnx_refuse(graph, "does not read the rows of the request", err);
    struct px_onnx_used_ensemble *used = px_vec_push(&graph->ensembles);
    if (!used)
        return px_ir_no_memory(err);
    *used = (struct px_onnx_used_ensemble){.columns = rows->columns, .n_columns = rows->n};
    enum px_code code = px_onnx_ensemble_read(
        graph->model, visit->node, rows->type == PX_ONNX_DOUBLE, graph->ir, &used->ensemble, err);
    if (code == PX_OK)
        code = check_features(visit, used, err);
    return code == PX_OK ? define_results(visit, graph->ensembles.len - 1, err) : code;
}

/* What a node does: a function of its own, or an elementwise operation of one or two operands. */
struct op_row {
    const char *name;
    enum px_code (*run)(struct visit *visit, struct px_err *err);
    enum px_code (*apply)(struct visit *visit, enum px_step_op op, struct px_err *err);
    enum px_step_op op;
    bool defines; /* `run` defines the outputs itself */
};

static const struct op_row core_operators[] = {
    {.name = "Add", .apply = run_binary, .op = PX_STEP_ADD},
    {.name = "Sub", .apply = run_binary, .op = PX_STEP_SUB},
    {.name = "Mul", .apply = run_binary, .op = PX_STEP_MUL},
    {.name = "Div", .apply = run_binary, .op = PX_STEP_DIV},
    {.name = "Pow", .apply = run_binary, .op = PX_STEP_POW},
    {.name = "Max", .apply = run_binary, .op = PX_STEP_MAX},
    {.name = "Min", .apply = run_binary, .op = PX_STEP_MIN},
    {.name = "Equal", .apply = run_binary, .op = PX_STEP_EQUAL},
    {.name = "Greater", .apply = run_binary, .op = PX_STEP_GREATER},
    {.name = "Less", .apply = run_binary, .op = PX_STEP_LESS},
    {.name = "Neg", .apply = run_unary, .op = PX_STEP_NEG},
    {.name = "Exp", .apply = run_unary, .op = PX_STEP_EXP},
    {.name = "Log", .apply = run_unary, .op = PX_STEP_LOG},
    {.name = "Sum", .run = run_add_all},
    {.name = "Cast", .run = run_cast},
    {.name = "Concat", .run = run_concat},
    {.name = "Constant", .run = run_constant, .defines = true},
    {.name = "Flatten", .run = run_flatten},
    {.name = "Gather", .run = run_pick},
    {.name = "Identity", .run = run_same},
    {.name = "Reshape", .run = run_reshape},
};

static const struct op_row ml_operators[] = {
    {.name = "ArrayFeatureExtractor", .run = run_pick},
    {.name = "Imputer", .run = run_imputer},
    {.name = "LabelEncoder", .run = run_encoder},
    {.name = "Scaler", .run = run_scaler},
    {.name = "TreeEnsemble", .run = run_ensemble, .defines = true},
    {.name = "TreeEnsembleClassifier", .run = run_ensemble, .defines = true},
    {.name = "TreeEnsembleRegressor", .run = run_ensemble, .defines = true},
    {.name = "ZipMap", .run = run_zipmap},
};

static const struct op_row *find_operator(const struct px_onnx_node *node)
{
    bool ml = px_str_is(node->domain, "ai.onnx.ml");
    const struct op_row *operators = ml ? ml_operators : core_operators;
    size_t n = ml ? PX_ARRAY_LEN(ml_operators) : PX_ARRAY_LEN(core_operators);
    if (!ml && node->domain.len && !px_str_is(node->domain, "ai.onnx"))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (px_str_is(node->op, operators[i].name))
            return &operators[i];
    }
    return NULL;
}

static enum px_code find_inputs(const struct visit *visit, struct px_onnx_value *in,
                                struct px_err *err)
{
    for (size_t i = 0; i < visit->node->n_inputs; i++) {
        struct px_str name = visit->graph->model->names.items[visit->node->first_input + i];
        if (px_onnx_graph_find(visit->graph, name, &in[i]))
            continue;
        return px_err_set(err, PX_E_CORRUPT,
                          "the graph has a %s whose input '%.*s' no node before it makes",
                          px_onnx_node_text(visit->node).text, PX_STR_ARG(name));
    }
    return PX_OK;
}

static enum px_code run_node(struct px_onnx_graph *graph, const struct px_onnx_node *node,
                             struct px_err *err)
{
    const struct op_row *found = find_operator(node);
    graph->node = node;
    if (!found || node->n_inputs > NODE_INPUTS_MAX)
        return px_onnx_refuse_node(graph, err);
    struct px_onnx_value *in = px_arena_zalloc(&graph->arena, node->n_inputs + 1, sizeof *in);
    if (!in)
        return px_onnx_no_room(graph, err);
    struct visit visit = {.graph = graph, .node = node, .in = in};
    enum px_code code = find_inputs(&visit, in, err);
    if (code == PX_OK)
        code = found->run ? found->run(&visit, err) : found->apply(&visit, found->op, err);
    if (code != PX_OK || found->defines)
        return code;
    if (node->n_outputs != 1)
        return px_onnx_refuse_node(graph, err);
    return define(graph, graph->model->names.items[node->first_output], &visit.out, err);
}

enum px_code px_onnx_graph_run(struct px_onnx_graph *graph, struct px_err *err)
{
    enum px_code code = define_constants(graph, err);
    if (code == PX_OK)
        code = define_inputs(graph, err);
    for (size_t i = 0; code == PX_OK && i < graph->model->nodes.len; i++)
        code = run_node(graph, &graph->model->nodes.items[i], err);
    return code;
}
