/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per node, in the order of the graph; every node that others use owns a lane at the left, from its own line to its last use.
 *
 *     ●        features  input FP32 [-1,30]
 *     ├─●      quick     model models/quick.json -> predictions FP32 [-1]
 *     └─┼─●    deep      model models/deep.onnx -> predictions FP32 [-1]
 *       └─┴─●  score     output FP32 [-1]
 *
 * A node opens its lane to the right of all lanes that it uses, so that lines always go from left to right. What a line means beyond
 * being an edge (a condition, a fallback) is said in the text below the node.
 */
#include "domain/graph/condition.h"
#include "domain/inference/tensor_json.h"

#include "shared/json.h"

enum {
    NODES_MAX = PX_GRAPH_TENSORS_MAX * 2 + PX_GRAPH_STEPS_MAX + PX_GRAPH_EXITS_MAX,
    LANES_MAX = NODES_MAX,
};

/* Inputs first, then steps in their order, then exits, then outputs. */
struct drawing {
    const struct px_graph *graph;
    size_t n_nodes;
    bool uses[NODES_MAX][NODES_MAX]; /* [node][what it uses] */
    size_t last_use[NODES_MAX];
    size_t place[PX_GRAPH_STEPS_MAX]; /* of a step in the order */
    int lanes[LANES_MAX];             /* the node whose lane it is, -1: free */
    size_t n_lanes;
    int name_width;
};

static size_t node_of_source(const struct drawing *d, struct px_graph_source source)
{
    return source.step == PX_GRAPH_INPUT ? source.tensor
                                         : d->graph->takes.n + d->place[source.step];
}

static void use(struct drawing *d, size_t node, struct px_graph_source source)
{
    size_t from = node_of_source(d, source);
    d->uses[node][from] = true;
    d->last_use[from] = node > d->last_use[from] ? node : d->last_use[from];
}

static void use_condition(struct drawing *d, size_t node,
                          const struct px_graph_condition *condition)
{
    for (size_t i = 0; condition && i < condition->n_nodes; i++) {
        if (condition->nodes[i].kind == PX_GRAPH_NODE_TENSOR)
            use(d, node, condition->nodes[i].reference.source);
    }
}

static void use_substitute(struct drawing *d, size_t node, const struct px_graph_substitute *s,
                           size_t n)
{
    for (size_t i = 0; s->kind == PX_GRAPH_VALUES && i < n; i++) {
        if (s->values[i].from.text.len)
            use(d, node, s->values[i].from.source);
    }
}

static void collect_edges(struct drawing *d)
{
    const struct px_graph *graph = d->graph;
    size_t node = graph->takes.n;
    for (size_t i = 0; i < graph->n_steps; i++)
        d->place[graph->order[i]] = i;
    for (size_t i = 0; i < graph->n_steps; i++, node++) {
        const struct px_graph_step *step = &graph->steps[graph->order[i]];
        for (size_t k = 0; k < step->n_inputs; k++)
            use(d, node, step->inputs[k].from.source);
        use_condition(d, node, step->when);
        use_substitute(d, node, &step->otherwise, step->gives.n);
        use_substitute(d, node, &step->fallback, step->gives.n);
    }
    for (size_t i = 0; i < graph->n_exits; i++, node++) {
        use_condition(d, node, graph->exits[i].when);
        use_substitute(d, node, &graph->exits[i].outputs, graph->gives.n);
    }
    for (size_t i = 0; i < graph->gives.n; i++, node++)
        use(d, node, graph->outputs[i].from.source);
    d->n_nodes = node;
}

/* ---- lanes ---- */

static bool uses_lane(const struct drawing *d, size_t node, size_t lane)
{
    return d->lanes[lane] >= 0 && d->uses[node][d->lanes[lane]];
}

/* Right of every lane that the node uses. */
static size_t choose_lane(const struct drawing *d, size_t node)
{
    size_t lane = 0;
    for (size_t i = 0; i < d->n_lanes; i++)
        lane = uses_lane(d, node, i) ? i + 1 : lane;
    while (lane < d->n_lanes && d->lanes[lane] >= 0)
        lane++;
    return lane;
}

static const char *lane_sign(const struct drawing *d, size_t node, size_t lane, bool passing)
{
    bool active = lane < d->n_lanes && d->lanes[lane] >= 0;
    if (!active)
        return passing ? "─" : " ";
    bool ends = d->last_use[d->lanes[lane]] == node;
    if (!uses_lane(d, node, lane))
        return passing ? "┼" : "│";
    if (passing)
        return ends ? "┴" : "┼";
    return ends ? "└" : "├";
}

/* Lanes of one line; `width` columns in all. */
static void put_lanes(struct drawing *d, size_t node, size_t width, struct px_buf *out)
{
    size_t own = choose_lane(d, node);
    bool passing = false;
    for (size_t lane = 0; lane < width; lane++) {
        bool used = lane < d->n_lanes && uses_lane(d, node, lane);
        px_buf_text(out, lane == own ? "●" : lane_sign(d, node, lane, passing && lane < own));
        passing |= used;
        px_buf_text(out, passing && lane < own ? "─" : " ");
    }
    for (size_t lane = 0; lane < d->n_lanes; lane++) {
        if (uses_lane(d, node, lane) && d->last_use[d->lanes[lane]] == node)
            d->lanes[lane] = -1;
    }
    if (own == d->n_lanes)
        d->n_lanes++;
    d->lanes[own] = d->last_use[node] > node ? (int)node : -1;
}

/* Lanes that go on below a node, for its further lines. */
static void put_lanes_between(const struct drawing *d, size_t width, struct px_buf *out)
{
    for (size_t lane = 0; lane < width; lane++)
        px_buf_text(out, lane < d->n_lanes && d->lanes[lane] >= 0 ? "│ " : "  ");
}

/* ---- texts ---- */

static void put_spec(struct px_buf *out, const struct px_tensor_spec *spec)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    px_buf_printf(out, "%s %s", px_datatype_name(spec->type),
                  px_tensor_spec_shape_text(spec, shape));
}

static void put_name(const struct drawing *d, struct px_str name, struct px_buf *out)
{
    int padding = d->name_width - (int)name.len;
    px_buf_byte(out, ' ');
    px_buf_str(out, name);
    px_buf_printf(out, "%*s  ", padding > 0 ? padding : 0, "");
}

static void put_constant(const struct px_yaml *node, struct px_buf *out)
{
    if (node->type == PX_YAML_SCALAR) {
        px_buf_str(out, node->text);
        return;
    }
    px_buf_byte(out, '[');
    for (const struct px_yaml *child = node->first_child; child; child = child->next) {
        px_buf_str(out, child->text);
        px_buf_text(out, child->next ? ", " : "");
    }
    px_buf_byte(out, ']');
}

static void put_substitute(const struct px_graph *graph, const struct px_graph_substitute *s,
                           const struct px_tensor_specs *specs, struct px_buf *out)
{
    if (s->kind == PX_GRAPH_SKIP) {
        px_buf_text(out, "skip");
        return;
    }
    if (s->step != PX_GRAPH_INPUT) {
        px_buf_str(out, graph->steps[s->step].name);
        return;
    }
    size_t n_shown = 0;
    for (size_t i = 0; i < specs->n; i++) {
        if (!s->values[i].constant && !s->values[i].from.text.len)
            continue;
        px_buf_text(out, n_shown++ ? ", " : "");
        px_buf_str(out, specs->list[i].name);
        px_buf_text(out, " = ");
        if (s->values[i].constant)
            put_constant(s->values[i].node, out);
        else
            px_buf_str(out, s->values[i].from.text);
    }
}

static void put_indent(const struct drawing *d, size_t width, struct px_buf *out)
{
    put_lanes_between(d, width, out);
    px_buf_printf(out, "%*s", d->name_width + 5, "");
}

/* Conditions and ways down, each on a line of its own. */
static void put_step_notes(const struct drawing *d, const struct px_graph_step *step, size_t width,
                           struct px_buf *out)
{
    if (step->when) {
        put_indent(d, width, out);
        px_buf_text(out, "when ");
        px_buf_str(out, step->when->text);
        px_buf_text(out, step->when->is_rows ? " (per row)" : "");
        px_buf_text(out, step->otherwise.kind ? ", otherwise " : "");
        if (step->otherwise.kind)
            put_substitute(d->graph, &step->otherwise, &step->gives, out);
        px_buf_byte(out, '\n');
    }
    if (!step->timeout_ns && !step->fallback.kind)
        return;
    put_indent(d, width, out);
    if (step->timeout_ns)
        px_buf_printf(out, "at most %u ms%s", (unsigned)(step->timeout_ns / 1000000),
                      step->fallback.kind ? ", " : "");
    if (step->fallback.kind) {
        px_buf_text(out, "if it fails ");
        put_substitute(d->graph, &step->fallback, &step->gives, out);
    }
    px_buf_byte(out, '\n');
}

static void put_step(struct drawing *d, const struct px_graph_step *step, struct px_buf *out)
{
    put_name(d, step->name, out);
    px_buf_printf(out, "%s ", px_graph_kind_name(step->kind));
    px_buf_str(out, step->what);
    px_buf_text(out, " -> ");
    size_t n_shown = 0;
    for (size_t i = 0; i < step->gives.n; i++) {
        if (!(step->used >> i & 1))
            continue;
        px_buf_text(out, n_shown++ ? ", " : "");
        px_buf_str(out, step->gives.list[i].name);
        px_buf_byte(out, ' ');
        put_spec(out, &step->gives.list[i]);
    }
    px_buf_byte(out, '\n');
}

static void put_exit(struct drawing *d, const struct px_graph_exit *exit, struct px_buf *out)
{
    put_name(d, px_str("(exit)"), out);
    px_buf_text(out, "when ");
    px_buf_str(out, exit->when->text);
    px_buf_text(out, exit->when->is_rows ? " (per row): " : ": ");
    put_substitute(d->graph, &exit->outputs, &d->graph->gives, out);
    px_buf_byte(out, '\n');
}

static void put_node(struct drawing *d, size_t node, size_t width, struct px_buf *out)
{
    const struct px_graph *graph = d->graph;
    put_lanes(d, node, width, out);
    if (node < graph->takes.n) {
        put_name(d, graph->takes.list[node].name, out);
        px_buf_text(out, graph->takes.list[node].optional ? "optional input " : "input ");
        put_spec(out, &graph->takes.list[node]);
        px_buf_text(out, graph->inputs_read >> node & 1 ? "\n" : ", which nothing reads\n");
        return;
    }
    node -= graph->takes.n;
    if (node < graph->n_steps) {
        put_step(d, &graph->steps[graph->order[node]], out);
        put_step_notes(d, &graph->steps[graph->order[node]], width, out);
        return;
    }
    node -= graph->n_steps;
    if (node < graph->n_exits) {
        put_exit(d, &graph->exits[node], out);
        return;
    }
    node -= graph->n_exits;
    put_name(d, graph->gives.list[node].name, out);
    px_buf_text(out, "output ");
    put_spec(out, &graph->gives.list[node]);
    px_buf_text(out, " = ");
    px_buf_str(out, graph->outputs[node].from.text);
    px_buf_byte(out, '\n');
}

/* How many lanes there will be at once: a rehearsal. */
static size_t count_lanes(struct drawing *d)
{
    struct px_buf nothing = px_buf(0);
    for (size_t node = 0; node < d->n_nodes; node++)
        put_lanes(d, node, 0, &nothing);
    size_t n = d->n_lanes;
    d->n_lanes = 0;
    return n;
}

static int longest_name(const struct px_graph *graph)
{
    size_t longest = graph->n_exits ? 6 : 1;
    for (size_t i = 0; i < graph->n_steps; i++)
        longest = graph->steps[i].name.len > longest ? graph->steps[i].name.len : longest;
    for (size_t i = 0; i < graph->takes.n; i++)
        longest = graph->takes.list[i].name.len > longest ? graph->takes.list[i].name.len : longest;
    for (size_t i = 0; i < graph->gives.n; i++)
        longest = graph->gives.list[i].name.len > longest ? graph->gives.list[i].name.len : longest;
    return (int)(longest < 32 ? longest : 32);
}

void px_graph_draw(const struct px_graph *graph, struct px_buf *out)
{
    struct drawing d = {.graph = graph, .name_width = longest_name(graph)};
    collect_edges(&d);
    size_t width = count_lanes(&d);
    for (size_t node = 0; node < d.n_nodes; node++)
        put_node(&d, node, width, out);
}

/* ---- JSON ---- */

static void put_substitute_json(struct px_json_writer *w, const char *key,
                                const struct px_graph *graph, const struct px_graph_substitute *s,
                                const struct px_tensor_specs *specs)
{
    struct px_buf text = px_buf(64 << 10);
    if (!s->kind)
        return;
    put_substitute(graph, s, specs, &text);
    px_json_member_str(w, key, px_buf_view(&text));
    px_buf_deinit(&text);
}

static void put_step_json(struct px_json_writer *w, const struct px_graph *graph, size_t at,
                          const struct px_graph_step_notes *notes)
{
    const struct px_graph_step *step = &graph->steps[at];
    px_json_begin_object(w);
    px_json_member_str(w, "name", step->name);
    px_json_member_str(w, px_graph_kind_name(step->kind), step->what);
    px_json_key(w, "inputs");
    px_json_begin_object(w);
    for (size_t i = 0; i < step->n_inputs; i++) {
        char number[24];
        snprintf(number, sizeof number, "%zu", i);
        px_json_key_str(w, step->inputs[i].name.len ? step->inputs[i].name : px_str(number));
        px_json_put_str(w, step->inputs[i].from.text);
    }
    px_json_end_object(w);
    px_tensor_specs_put_json(&step->gives, "outputs", w);
    if (step->when) {
        px_json_member_str(w, "when", step->when->text);
        px_json_member_bool(w, "per_row", step->when->is_rows);
    }
    put_substitute_json(w, "otherwise", graph, &step->otherwise, &step->gives);
    if (step->timeout_ns)
        px_json_member_u64(w, "timeout_ms", step->timeout_ns / 1000000);
    put_substitute_json(w, "fallback", graph, &step->fallback, &step->gives);
    if (notes)
        notes->put(notes->context, at, w);
    px_json_end_object(w);
}

void px_graph_put_json(const struct px_graph *graph, const struct px_graph_step_notes *notes,
                       struct px_json_writer *json)
{
    px_tensor_specs_put_json(&graph->takes, "inputs", json);
    px_json_key(json, "steps");
    px_json_begin_array(json);
    for (size_t i = 0; i < graph->n_steps; i++)
        put_step_json(json, graph, graph->order[i], notes);
    px_json_end_array(json);
    px_json_key(json, "exits");
    px_json_begin_array(json);
    for (size_t i = 0; i < graph->n_exits; i++) {
        px_json_begin_object(json);
        px_json_member_str(json, "when", graph->exits[i].when->text);
        put_substitute_json(json, "outputs", graph, &graph->exits[i].outputs, &graph->gives);
        px_json_end_object(json);
    }
    px_json_end_array(json);
    px_tensor_specs_put_json(&graph->gives, "outputs", json);
}
