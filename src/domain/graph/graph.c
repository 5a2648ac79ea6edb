/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a graph goes in stages (graph_impl.h), each over the whole file, so that every message can name what it is about: a reference is
 * looked up only when all names are known, a type only when everything before it has one.
 */
#include "domain/graph/graph_impl.h"

const char *px_graph_kind_name(enum px_graph_kind kind)
{
    static const char *const names[] = {"", "model", "processor", "combine"};
    return names[kind];
}

const struct px_tensor_spec *px_graph_spec(const struct px_graph *graph,
                                           struct px_graph_source source)
{
    const struct px_tensor_specs *specs =
        source.step == PX_GRAPH_INPUT ? &graph->takes : &graph->steps[source.step].gives;
    PX_ASSERT(source.tensor < specs->n);
    return &specs->list[source.tensor];
}

enum px_code px_graph_read(struct px_str yaml, const struct px_graph_resolver *resolver,
                           struct px_arena *arena, struct px_graph **ret, struct px_err *err)
{
    const struct px_yaml *root;
    struct px_graph *graph = px_arena_zalloc(arena, 1, sizeof *graph);
    struct px_graph_reading reading = {graph, arena, resolver, err};
    if (!graph)
        return px_graph_fail_memory(&reading);
    if (yaml.len > PX_GRAPH_YAML_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "a graph has at most %d bytes, got %zu",
                          PX_GRAPH_YAML_MAX, yaml.len);
    enum px_code code = px_yaml_parse(yaml, arena, &root, err);
    if (code == PX_OK)
        code = px_graph_read_root(&reading, root);
    if (code == PX_OK)
        code = px_graph_link(&reading);
    if (code == PX_OK)
        code = px_graph_check_types(&reading);
    if (code == PX_OK)
        *ret = graph;
    return code;
}

/* `phoenix_graph:`, with or without quotes. */
static bool is_layout_key(struct px_str line)
{
    static const struct px_str key = PX_STR("phoenix_graph");
    bool quoted = line.len && (line.ptr[0] == '"' || line.ptr[0] == '\'');
    struct px_str rest = px_str_n(line.ptr + quoted, line.len - quoted);
    if (!px_str_starts(rest, "phoenix_graph"))
        return false;
    rest = px_str_n(rest.ptr + key.len, rest.len - key.len);
    if (quoted && (rest.len == 0 || rest.ptr[0] != line.ptr[0]))
        return false;
    rest = px_str_trim(px_str_n(rest.ptr + quoted, rest.len - quoted));
    return rest.len && rest.ptr[0] == ':';
}

/* The keys of a mapping in braces: which of them are at the top does not matter to tell whose file it is. */
static bool recognise_json(struct px_str text)
{
    for (size_t i = 1; i < text.len; i++) {
        if (text.ptr[i] == '"' && is_layout_key(px_str_n(text.ptr + i, text.len - i)))
            return true;
    }
    return false;
}

bool px_graph_recognise(struct px_str first_bytes)
{
    struct px_str rest = first_bytes, text = px_str_trim(first_bytes);
    if (text.len && text.ptr[0] == '{')
        return recognise_json(text);
    while (rest.ptr && rest.len) {
        if (is_layout_key(px_str_cut(&rest, '\n')))
            return true;
    }
    return false;
}

struct px_str px_graph_own_name(struct px_str yaml, struct px_arena *arena)
{
    const struct px_yaml *root;
    struct px_str name = PX_STR("");
    if (yaml.len > PX_GRAPH_YAML_MAX || px_yaml_parse(yaml, arena, &root, NULL) != PX_OK)
        return name;
    const struct px_yaml *node = root->type == PX_YAML_MAPPING ? px_yaml_get(root, "name") : NULL;
    return node && px_yaml_str(node, &name, NULL) == PX_OK ? name : (struct px_str)PX_STR("");
}

/* One value per row, written as [-1] or [-1,1]. */
static bool is_column(const struct px_tensor_spec *spec)
{
    return (spec->n_dims == 1 || (spec->n_dims == 2 && spec->shape[1] == 1)) && !spec->any_rank;
}

bool px_graph_shapes_fit(const struct px_tensor_spec *from, const struct px_tensor_spec *to)
{
    if (from->any_rank || to->any_rank)
        return true;
    bool columns = is_column(from) && is_column(to);
    if (from->n_dims != to->n_dims && !columns)
        return false;
    for (size_t i = 0; i < from->n_dims && i < to->n_dims; i++) {
        if (from->shape[i] != to->shape[i] && from->shape[i] != PX_DIM_ANY &&
            to->shape[i] != PX_DIM_ANY)
            return false;
    }
    return true;
}
