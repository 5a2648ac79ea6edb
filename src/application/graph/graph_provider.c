/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths come from a file that a stranger may have written: they stay inside the graph's folder, also after links are followed, so that a graph
 * cannot make the server read the machine's files. Graphs inside graphs are bounded by
 * the depth of the request and by their tree.
 */
#include "application/graph/graph_provider.h"

#include "application/graph/graph_engine.h"
#include "application/graph/graph_tree.h"
#include "application/lifecycle/tensor_engine.h"
#include "shared/file.h"

#include <stdlib.h>

enum { FILE_MAX = 256 << 20 }; /* a vocabulary, not a model */

/* Lives in the package's arena. */
struct sources {
    struct px_str folder;
    struct px_arena *arena;
    struct px_package_options options; /* for the packages of the steps */
};

/* ---- paths ---- */

/* Where the file lies, in the arena. */
static enum px_code locate(const struct sources *sources, struct px_str name, const char **ret,
                           struct px_err *err)
{
    char path[PATH_MAX];
    enum px_code code = px_file_resolve_inside(sources->folder, name, path, err);
    if (code != PX_OK)
        return code;
    *ret = px_arena_cstr(sources->arena, px_str(path));
    return px_arena_check(sources->arena, "the graph", err);
}

/* ---- what a graph is made of ---- */

static enum px_code open_model(void *context, struct px_str name, struct px_graph_model *ret,
                               struct px_err *err)
{
    const struct sources *sources = context;
    struct px_graph_tree_model *model = NULL;
    const char *path;
    if (sources->options.depth > PX_ENGINE_DEPTH_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "graphs are nested more than %d deep",
                          PX_ENGINE_DEPTH_MAX);
    enum px_code code = locate(sources, name, &path, err);
    if (code == PX_OK)
        code = px_graph_tree_open(sources->options.outer, path, &sources->options, &model, err);
    if (code != PX_OK)
        return code;
    code = px_package_tensor_engine(px_graph_tree_package(model), &ret->engine, err);
    if (code != PX_OK)
        px_graph_tree_close(model);
    else
        ret->owner = model;
    return code;
}

static void close_model(void *context, struct px_graph_model *model)
{
    (void)context;
    px_graph_tree_close(model->owner);
}

static enum px_code read_file(void *context, struct px_str name, struct px_str *ret,
                              struct px_err *err)
{
    const struct sources *sources = context;
    struct px_file file = {0};
    const char *path;
    enum px_code code = locate(sources, name, &path, err);
    if (code == PX_OK)
        code = px_file_load(&file, path, FILE_MAX, err);
    if (code != PX_OK)
        return code;
    *ret = px_arena_str(sources->arena, file.bytes);
    px_file_unload(&file);
    return ret->ptr ? PX_OK : px_arena_check(sources->arena, "the graph", err);
}

/* ---- the provider ---- */

/* Its key may come after a long comment. */
static bool knows_whole(const char *path)
{
    struct px_buf text = px_buf(PX_GRAPH_YAML_MAX);
    bool is_graph = px_file_kind(path) == PX_FILE_REGULAR &&
                    px_file_read(path, &text, NULL) == PX_OK &&
                    px_graph_recognise(px_buf_view(&text));
    px_buf_deinit(&text);
    return is_graph;
}

static bool knows(const char *path, struct px_str first_bytes)
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    if (strcmp(name, PX_GRAPH_FILE_NAME) == 0 || px_graph_recognise(first_bytes))
        return true;
    const char *ending = strrchr(name, '.');
    bool is_yaml = ending && (strcmp(ending, ".yaml") == 0 || strcmp(ending, ".yml") == 0);
    return is_yaml && first_bytes.len >= PX_ENGINE_SNIFF_BYTES && knows_whole(path);
}

static enum px_code check_settings(const struct px_yaml *settings, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("name")};
    bool mapping = settings && settings->type == PX_YAML_MAPPING;
    return mapping ? px_yaml_only(settings, known, PX_ARRAY_LEN(known), err) : PX_OK;
}

static enum px_code make_sources(const struct px_engine_request *request,
                                 struct px_graph_opening *opening, struct sources **ret,
                                 struct px_err *err)
{
    struct sources *sources = px_arena_zalloc(request->arena, 1, sizeof *sources);
    if (!sources || !(sources->folder = px_arena_str(request->arena, request->folder)).ptr)
        return px_arena_check(request->arena, "the graph", err);
    sources->arena = request->arena;
    sources->options = (struct px_package_options){.engines = request->engines,
                                                   .from_client = request->from_client,
                                                   .standing = request->standing,
                                                   .depth = request->depth + 1,
                                                   .outer = opening};
    *ret = sources;
    return PX_OK;
}

static enum px_code read_graph(const struct px_engine_request *request,
                               struct px_graph_opening *opening, struct px_engine **ret,
                               struct px_err *err)
{
    struct px_file file = {0};
    struct sources *sources;
    enum px_code code = make_sources(request, opening, &sources, err);
    if (code == PX_OK)
        code = px_file_load(&file, request->path.ptr, PX_GRAPH_YAML_MAX, err);
    if (code != PX_OK)
        return code;
    const struct px_graph_sources callbacks = {open_model, close_model, read_file, sources};
    code = px_graph_engine_create(file.bytes, &callbacks, request->arena, ret, err);
    px_file_unload(&file);
    sources->options.outer = NULL; /* it ends with this call, the sources with the engine */
    return code;
}

static enum px_code open_graph(const struct px_engine_request *request, struct px_engine **ret,
                               struct px_err *err)
{
    struct px_graph_opening opening;
    char path[PATH_MAX];
    enum px_code code = check_settings(request->settings, err);
    if (code != PX_OK)
        return code;
    if (!request->path.ptr)
        return px_err_set(err, PX_E_INVALID, "model: a graph needs its file, as graph.yaml");
    if (!realpath(request->path.ptr, path))
        return px_file_fail_absent(request->path.ptr, err);
    code = px_graph_tree_begin(&opening, request->outer, path, err);
    if (!opening.tree)
        return code;
    if (code == PX_OK)
        code = read_graph(request, &opening, ret, err);
    size_t n_steps = code == PX_OK ? px_graph_of_engine(*ret)->n_steps : 0;
    return px_graph_tree_end(&opening, code, n_steps, err);
}

static void describe(struct px_engine_state *ret)
{
    *ret = (struct px_engine_state){.available = true, .details = "part of this program"};
}

const struct px_engine_provider px_graph_provider = {
    .name = "graph",
    .summary = "Ensembles: models, processors and combiners connected by a graph.yaml.",
    .knows = knows,
    .open = open_graph,
    .describe = describe,
};
