/* SPDX-License-Identifier: Apache-2.0 */
/* From the YAML tree to steps whose references are texts: the shape of the file, its keys and its plain values. */
#include "domain/graph/combine.h"
#include "domain/graph/condition.h"

#include <inttypes.h>

/* ---- names and references ---- */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static enum px_code read_text(struct px_graph_reading *r, const struct px_yaml *node,
                              struct px_str *ret)
{
    enum px_code code = px_yaml_str(node, ret, r->err);
    if (code == PX_OK && ret->len == 0)
        code = px_err_set(r->err, PX_E_INVALID, "line %u: '%.*s' is empty", node->line,
                          PX_STR_ARG(node->key));
    return code;
}

/* Names of steps have no dots, so that `step.output` reads one way. */
static enum px_code read_step_name(struct px_graph_reading *r, const struct px_yaml *node,
                                   struct px_str *ret)
{
    enum px_code code = read_text(r, node, ret);
    bool good = code == PX_OK && ret->len <= PX_GRAPH_NAME_MAX && ret->ptr[0] != '-';
    for (size_t i = 0; good && i < ret->len; i++)
        good = is_name_byte(ret->ptr[i]);
    if (code != PX_OK || good)
        return code;
    return px_err_set(
        r->err, PX_E_INVALID,
        "line %u: the name of a step '%.*s': expected at most %d letters, digits, '_' and '-'",
        node->line, PX_STR_ARG(*ret), PX_GRAPH_NAME_MAX);
}

static enum px_code read_reference(struct px_graph_reading *r, const struct px_yaml *node,
                                   struct px_graph_reference *ret)
{
    ret->line = node->line;
    ret->source.step = PX_GRAPH_INPUT;
    if (node->type != PX_YAML_SCALAR)
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: expected an input of the graph or step.output", node->line);
    return read_text(r, node, &ret->text);
}

/* ---- inputs and outputs of the graph ---- */

static enum px_code check_list(struct px_graph_reading *r, const struct px_yaml *root,
                               const char *key, size_t max, const struct px_yaml **ret)
{
    const struct px_yaml *list = px_yaml_get(root, key);
    *ret = list;
    if (!list)
        return px_err_set(r->err, PX_E_INVALID, "the key '%s' is missing", key);
    if (list->type != PX_YAML_SEQUENCE || list->n_children == 0)
        return px_err_set(r->err, PX_E_INVALID, "line %u: '%s' must be a list that is not empty",
                          list->line, key);
    if (list->n_children > max)
        return px_err_set(r->err, PX_E_TOO_LARGE, "line %u: %zu %s, at most %zu are possible",
                          list->line, list->n_children, key, max);
    return PX_OK;
}

static enum px_code read_shape(struct px_graph_reading *r, const struct px_yaml *node,
                               struct px_tensor_spec *spec)
{
    spec->any_rank = node == NULL;
    if (!node)
        return PX_OK;
    if (node->type != PX_YAML_SEQUENCE || node->n_children > PX_TENSOR_DIMS_MAX)
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: shape must be a list of at most %d numbers, as [-1, 30]",
                          node->line, PX_TENSOR_DIMS_MAX);
    for (const struct px_yaml *dim = node->first_child; dim; dim = dim->next) {
        int64_t *value = &spec->shape[spec->n_dims++];
        enum px_code code = px_yaml_i64(dim, value, r->err);
        if (code == PX_OK && *value < PX_DIM_ANY)
            code = px_err_set(r->err, PX_E_INVALID,
                              "line %u: a dimension is a length, or -1 for any, got %" PRId64,
                              dim->line, *value);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

static enum px_code read_datatype(struct px_graph_reading *r, const struct px_yaml *entry,
                                  enum px_datatype *ret)
{
    struct px_str text;
    const struct px_yaml *node = px_yaml_get(entry, "type");
    if (!node)
        return px_err_set(r->err, PX_E_INVALID, "line %u: an input has no 'type', such as FP32",
                          entry->line);
    enum px_code code = read_text(r, node, &text);
    if (code != PX_OK)
        return code;
    *ret = px_datatype_from_name(text);
    if (*ret != PX_TYPE_NONE)
        return PX_OK;
    struct px_str names[PX_TYPE_COUNT];
    for (int i = 1; i < PX_TYPE_COUNT; i++)
        names[i - 1] = px_str(px_datatype_name((enum px_datatype)i));
    px_err_set(r->err, PX_E_INVALID, "line %u: unknown datatype '%.*s'", node->line,
               PX_STR_ARG(text));
    px_err_suggest(r->err, text, names, PX_TYPE_COUNT - 1);
    return PX_E_INVALID;
}

static enum px_code read_flag(struct px_graph_reading *r, const struct px_yaml *node, bool *ret)
{
    struct px_str text;
    enum px_code code = node ? px_yaml_str(node, &text, r->err) : PX_OK;
    if (!node || code != PX_OK)
        return code;
    *ret = px_str_is(text, "true");
    if (*ret || px_str_is(text, "false"))
        return PX_OK;
    return px_err_set(r->err, PX_E_INVALID, "line %u: '%.*s' must be true or false", node->line,
                      PX_STR_ARG(node->key));
}

static enum px_code read_input(struct px_graph_reading *r, const struct px_yaml *entry,
                               struct px_tensor_spec *spec)
{
    static const struct px_str known[] = {PX_STR("name"), PX_STR("type"), PX_STR("shape"),
                                          PX_STR("optional")};
    enum px_code code = px_yaml_only(entry, known, PX_ARRAY_LEN(known), r->err);
    if (code == PX_OK && !px_yaml_get(entry, "name"))
        code = px_err_set(r->err, PX_E_INVALID, "line %u: an input has no 'name'", entry->line);
    if (code == PX_OK)
        code = read_text(r, px_yaml_get(entry, "name"), &spec->name);
    if (code == PX_OK)
        code = read_datatype(r, entry, &spec->type);
    if (code == PX_OK)
        code = read_shape(r, px_yaml_get(entry, "shape"), spec);
    return code == PX_OK ? read_flag(r, px_yaml_get(entry, "optional"), &spec->optional) : code;
}

static enum px_code fail_twice(struct px_graph_reading *r, unsigned line, const char *what,
                               struct px_str name)
{
    return px_err_set(r->err, PX_E_INVALID, "line %u: there is already %s '%.*s'", line, what,
                      PX_STR_ARG(name));
}

static enum px_code read_inputs(struct px_graph_reading *r, const struct px_yaml *root)
{
    const struct px_yaml *list;
    enum px_code code = check_list(r, root, "inputs", PX_GRAPH_TENSORS_MAX, &list);
    if (code != PX_OK)
        return code;
    struct px_tensor_spec *specs = px_arena_zalloc(r->arena, list->n_children, sizeof *specs);
    if (!specs)
        return px_graph_fail_memory(r);
    r->graph->takes.list = specs;
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        struct px_tensor_spec *spec = &specs[r->graph->takes.n];
        code = read_input(r, node, spec);
        if (code == PX_OK && px_tensor_specs_find(&r->graph->takes, spec->name))
            code = fail_twice(r, node->line, "an input", spec->name);
        if (code != PX_OK)
            return code;
        r->graph->takes.n++;
    }
    return PX_OK;
}

static enum px_code read_output(struct px_graph_reading *r, const struct px_yaml *entry,
                                struct px_graph_output *output)
{
    static const struct px_str known[] = {PX_STR("name"), PX_STR("from")};
    enum px_code code = px_yaml_only(entry, known, PX_ARRAY_LEN(known), r->err);
    if (code == PX_OK && (!px_yaml_get(entry, "name") || !px_yaml_get(entry, "from")))
        code = px_err_set(r->err, PX_E_INVALID,
                          "line %u: an output needs 'name' and 'from', as {name: score, from: "
                          "model.predictions}",
                          entry->line);
    if (code == PX_OK)
        code = read_text(r, px_yaml_get(entry, "name"), &output->name);
    return code == PX_OK ? read_reference(r, px_yaml_get(entry, "from"), &output->from) : code;
}

static enum px_code read_outputs(struct px_graph_reading *r, const struct px_yaml *root)
{
    const struct px_yaml *list;
    enum px_code code = check_list(r, root, "outputs", PX_GRAPH_TENSORS_MAX, &list);
    if (code != PX_OK)
        return code;
    struct px_tensor_spec *specs = px_arena_zalloc(r->arena, list->n_children, sizeof *specs);
    r->graph->outputs = px_arena_zalloc(r->arena, list->n_children, sizeof *r->graph->outputs);
    if (!specs || !r->graph->outputs)
        return px_graph_fail_memory(r);
    r->graph->gives.list = specs;
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        struct px_graph_output *output = &r->graph->outputs[r->graph->gives.n];
        code = read_output(r, node, output);
        if (code == PX_OK && px_tensor_specs_find(&r->graph->gives, output->name))
            code = fail_twice(r, node->line, "an output", output->name);
        if (code != PX_OK)
            return code;
        specs[r->graph->gives.n++].name = output->name;
    }
    return PX_OK;
}

/* ---- steps ---- */

/* One of the three keys that say what a step does. */
static enum px_code read_what(struct px_graph_reading *r, const struct px_yaml *entry,
                              struct px_graph_step *step)
{
    const struct px_yaml *found = NULL;
    for (int kind = PX_GRAPH_MODEL; kind <= PX_GRAPH_COMBINE; kind++) {
        const struct px_yaml *node =
            px_yaml_get(entry, px_graph_kind_name((enum px_graph_kind)kind));
        if (node && found)
            return px_err_set(r->err, PX_E_INVALID,
                              "line %u: step '%.*s' has both '%.*s' and '%.*s', expected one",
                              node->line, PX_STR_ARG(step->name), PX_STR_ARG(found->key),
                              PX_STR_ARG(node->key));
        if (node) {
            found = node;
            step->kind = (enum px_graph_kind)kind;
        }
    }
    if (!found)
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: step '%.*s' must have 'model', 'processor' or 'combine'",
                          entry->line, PX_STR_ARG(step->name));
    enum px_code code = read_text(r, found, &step->what);
    if (code == PX_OK && step->kind == PX_GRAPH_COMBINE &&
        !px_graph_combine_kind_find(step->what, found->line, r->err))
        code = PX_E_UNKNOWN_OPTION;
    return code;
}

/* `inputs: x`, `inputs: [x, y]` (combiners) or `inputs: {name: x}`. */
static enum px_code read_links(struct px_graph_reading *r, const struct px_yaml *node,
                               struct px_graph_step *step)
{
    bool combines = step->kind == PX_GRAPH_COMBINE;
    bool fits = node && (node->type == PX_YAML_SCALAR ||
                         node->type == (combines ? PX_YAML_SEQUENCE : PX_YAML_MAPPING));
    if (!fits)
        return px_err_set(r->err, PX_E_INVALID, "line %u: step '%.*s' needs 'inputs', as %s",
                          node ? node->line : step->line, PX_STR_ARG(step->name),
                          combines ? "[first.score, second.score]" : "{name: features}");
    const struct px_yaml *first = node->type == PX_YAML_SCALAR ? node : node->first_child;
    size_t n = node->type == PX_YAML_SCALAR ? 1 : node->n_children;
    if (n == 0 || n > PX_GRAPH_TENSORS_MAX)
        return px_err_set(r->err, n ? PX_E_TOO_LARGE : PX_E_INVALID,
                          "line %u: step '%.*s': expected 1 to %d inputs, got %zu", node->line,
                          PX_STR_ARG(step->name), PX_GRAPH_TENSORS_MAX, n);
    step->inputs = px_arena_zalloc(r->arena, n, sizeof *step->inputs);
    if (!step->inputs)
        return px_graph_fail_memory(r);
    for (; step->n_inputs < n; first = first->next) {
        struct px_graph_link *link = &step->inputs[step->n_inputs++];
        link->name = node->type == PX_YAML_MAPPING ? first->key : px_str("");
        enum px_code code = read_reference(r, first, &link->from);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}

static enum px_code read_timeout(struct px_graph_reading *r, const struct px_yaml *node,
                                 struct px_graph_step *step)
{
    int64_t ms;
    enum px_code code = node ? px_yaml_i64(node, &ms, r->err) : PX_OK;
    if (!node || code != PX_OK)
        return code;
    if (ms < 1 || ms > PX_GRAPH_TIMEOUT_MS_MAX)
        return px_err_set(r->err, PX_E_INVALID, "line %u: timeout_ms must be 1 to %d, got %" PRId64,
                          node->line, PX_GRAPH_TIMEOUT_MS_MAX, ms);
    if (step->kind != PX_GRAPH_MODEL)
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: step '%.*s' is a %s: only models have a timeout", node->line,
                          PX_STR_ARG(step->name), px_graph_kind_name(step->kind));
    step->timeout_ns = (uint64_t)ms * 1000000;
    return PX_OK;
}

static enum px_code read_settings(struct px_graph_reading *r, const struct px_yaml *entry,
                                  struct px_graph_step *step)
{
    step->settings = px_yaml_get(entry, "with");
    step->outputs_node = px_yaml_get(entry, "outputs");
    if (step->settings && step->settings->type != PX_YAML_MAPPING)
        return px_err_set(r->err, PX_E_INVALID, "line %u: 'with' must be a mapping of settings",
                          step->settings->line);
    if (step->settings && step->kind == PX_GRAPH_MODEL)
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: settings of a model are in its own model.yaml, not in 'with'",
                          step->settings->line);
    if (step->outputs_node && step->outputs_node->type != PX_YAML_MAPPING)
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: 'outputs' of a step is a mapping from its names here to the "
                          "model's, as {score: predictions}",
                          step->outputs_node->line);
    step->otherwise.node = px_yaml_get(entry, "otherwise");
    step->fallback.node = px_yaml_get(entry, "fallback");
    if (step->otherwise.node && !step->when)
        return px_err_set(r->err, PX_E_INVALID,
                          "line %u: step '%.*s' has 'otherwise' but no condition 'when'",
                          step->otherwise.node->line, PX_STR_ARG(step->name));
    return read_timeout(r, px_yaml_get(entry, "timeout_ms"), step);
}

static enum px_code read_step(struct px_graph_reading *r, const struct px_yaml *entry,
                              struct px_graph_step *step)
{
    static const struct px_str known[] = {
        PX_STR("name"),    PX_STR("model"),  PX_STR("processor"), PX_STR("combine"),
        PX_STR("with"),    PX_STR("when"),   PX_STR("otherwise"), PX_STR("timeout_ms"),
        PX_STR("outputs"), PX_STR("inputs"), PX_STR("fallback")};
    enum px_code code = px_yaml_only(entry, known, PX_ARRAY_LEN(known), r->err);
    if (code == PX_OK && !px_yaml_get(entry, "name"))
        code = px_err_set(r->err, PX_E_INVALID, "line %u: a step has no 'name'", entry->line);
    if (code == PX_OK)
        code = read_step_name(r, px_yaml_get(entry, "name"), &step->name);
    step->line = entry->line;
    if (code == PX_OK)
        code = read_what(r, entry, step);
    if (code == PX_OK)
        code = read_links(r, px_yaml_get(entry, "inputs"), step);
    if (code == PX_OK && px_yaml_get(entry, "when"))
        code = px_graph_condition_parse(r, px_yaml_get(entry, "when"), &step->when);
    if (code == PX_OK)
        code = read_settings(r, entry, step);
    return code;
}

static enum px_code check_step_name(struct px_graph_reading *r, const struct px_graph_step *step)
{
    for (size_t i = 0; i < r->graph->n_steps; i++) {
        if (px_str_eq(r->graph->steps[i].name, step->name))
            return fail_twice(r, step->line, "a step", step->name);
    }
    if (px_tensor_specs_find(&r->graph->takes, step->name))
        return fail_twice(r, step->line, "an input", step->name);
    return PX_OK;
}

static enum px_code read_steps(struct px_graph_reading *r, const struct px_yaml *root)
{
    const struct px_yaml *list;
    enum px_code code = check_list(r, root, "steps", PX_GRAPH_STEPS_MAX, &list);
    if (code != PX_OK)
        return code;
    r->graph->steps = px_arena_zalloc(r->arena, list->n_children, sizeof *r->graph->steps);
    if (!r->graph->steps)
        return px_graph_fail_memory(r);
    for (const struct px_yaml *node = list->first_child; node; node = node->next) {
        struct px_graph_step *step = &r->graph->steps[r->graph->n_steps];
        code = read_step(r, node, step);
        if (code == PX_OK)
            code = check_step_name(r, step);
        if (code != PX_OK)
            return code;
        r->graph->n_steps++;
    }
    return PX_OK;
}

/* ---- exits ---- */

static enum px_code read_exit(struct px_graph_reading *r, const struct px_yaml *entry,
                              struct px_graph_exit *ret)
{
    static const struct px_str known[] = {PX_STR("when"), PX_STR("outputs")};
    enum px_code code = px_yaml_only(entry, known, PX_ARRAY_LEN(known), r->err);
    ret->line = entry->line;
    ret->outputs.node = px_yaml_get(entry, "outputs");
    if (code == PX_OK && (!px_yaml_get(entry, "when") || !ret->outputs.node ||
                          ret->outputs.node->type != PX_YAML_MAPPING))
        code = px_err_set(r->err, PX_E_INVALID,
                          "line %u: an exit needs 'when' and 'outputs', as {when: rules.blocked, "
                          "outputs: {score: 1.0}}",
                          entry->line);
    return code == PX_OK ? px_graph_condition_parse(r, px_yaml_get(entry, "when"), &ret->when)
                         : code;
}

static enum px_code read_exits(struct px_graph_reading *r, const struct px_yaml *root)
{
    const struct px_yaml *list;
    if (!px_yaml_get(root, "exits"))
        return PX_OK;
    enum px_code code = check_list(r, root, "exits", PX_GRAPH_EXITS_MAX, &list);
    if (code != PX_OK)
        return code;
    r->graph->exits = px_arena_zalloc(r->arena, list->n_children, sizeof *r->graph->exits);
    if (!r->graph->exits)
        return px_graph_fail_memory(r);
    for (const struct px_yaml *node = list->first_child; node && code == PX_OK; node = node->next)
        code = read_exit(r, node, &r->graph->exits[r->graph->n_exits++]);
    return code;
}

/* ---- the file ---- */

static enum px_code check_layout(struct px_graph_reading *r, const struct px_yaml *root)
{
    const struct px_yaml *node = px_yaml_get(root, "phoenix_graph");
    int64_t layout;
    if (!node) {
        px_err_set(r->err, PX_E_INVALID, "the key 'phoenix_graph' (layout version) is missing");
        return px_err_hint(r->err, "write 'phoenix_graph: %d' as its first line", PX_GRAPH_LAYOUT);
    }
    enum px_code code = px_yaml_i64(node, &layout, r->err);
    if (code != PX_OK || layout == PX_GRAPH_LAYOUT)
        return code;
    return px_err_set(r->err, PX_E_UNSUPPORTED,
                      "line %u: layout %" PRId64 " of a graph is not known, expected %d",
                      node->line, layout, PX_GRAPH_LAYOUT);
}

static bool is_in(struct px_str key, const struct px_str *keys, size_t n)
{
    size_t i = 0;
    while (i < n && !px_str_eq(key, keys[i]))
        i++;
    return i < n;
}

/* The first unknown key may be one of a model's package, which people look for here as well. */
static void hint_at_package(const struct px_yaml *root, const struct px_str *known, size_t n_known,
                            struct px_err *err)
{
    static const struct px_str keys[] = {PX_STR("cache"),     PX_STR("limits"), PX_STR("breaker"),
                                         PX_STR("fallback"),  PX_STR("golden"), PX_STR("labels"),
                                         PX_STR("residency"), PX_STR("warm_up")};
    const struct px_yaml *node = root->first_child;
    while (is_in(node->key, known, n_known))
        node = node->next;
    if (is_in(node->key, keys, PX_ARRAY_LEN(keys)))
        px_err_hint(err,
                    "a model.yaml beside it takes '%.*s', with phoenix: 1 and model: graph.yaml",
                    PX_STR_ARG(node->key));
}

enum px_code px_graph_read_root(struct px_graph_reading *r, const struct px_yaml *root)
{
    static const struct px_str known[] = {PX_STR("phoenix_graph"), PX_STR("name"),
                                          PX_STR("inputs"),        PX_STR("outputs"),
                                          PX_STR("steps"),         PX_STR("exits")};
    enum px_code code = px_yaml_only(root, known, PX_ARRAY_LEN(known), r->err);
    if (code == PX_E_UNKNOWN_OPTION)
        hint_at_package(root, known, PX_ARRAY_LEN(known), r->err);
    if (code == PX_OK)
        code = check_layout(r, root);
    if (code == PX_OK && px_yaml_get(root, "name"))
        code = read_text(r, px_yaml_get(root, "name"), &r->graph->name);
    if (code == PX_OK)
        code = read_inputs(r, root);
    if (code == PX_OK)
        code = read_outputs(r, root);
    if (code == PX_OK)
        code = read_steps(r, root);
    return code == PX_OK ? read_exits(r, root) : code;
}
