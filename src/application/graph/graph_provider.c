/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths come from a file that a stranger may have written: they stay inside the graph's folder, also after links are followed, so that a graph
 * cannot make the server read the machine's files. Graphs inside graphs are bounded by the depth of the request.
 */
#include "application/graph/graph_provider.h"

#include "application/graph/graph_engine.h"
#include "application/lifecycle/tensor_engine.h"
#include "shared/file.h"

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
    struct px_package *package = NULL;
    const char *path;
    if (sources->options.depth > PX_ENGINE_DEPTH_MAX) {
        px_err_set(err, PX_E_TOO_LARGE, "graphs are nested too deeply");
        return px_err_hint(err, "at most %d deep are possible; does a graph name itself?",
                           PX_ENGINE_DEPTH_MAX);
    }
    enum px_code code = locate(sources, name, &path, err);
    if (code == PX_OK)
        code = px_package_open(path, &sources->options, &package, err);
    if (code == PX_OK)
        code = px_package_tensor_engine(package, &ret->engine, err);
    if (code != PX_OK)
        px_package_close(package);
    else
        ret->owner = package;
    return code;
}

static void close_model(void *context, struct px_graph_model *model)
{
    (void)context;
    px_package_close(model->owner);
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

static bool knows(const char *path, struct px_str first_bytes)
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    return strcmp(name, PX_GRAPH_FILE_NAME) == 0 || px_graph_recognise(first_bytes);
}

static enum px_code check_settings(const struct px_yaml *settings, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("name")};
    bool mapping = settings && settings->type == PX_YAML_MAPPING;
    return mapping ? px_yaml_only(settings, known, PX_ARRAY_LEN(known), err) : PX_OK;
}

static enum px_code open_graph(const struct px_engine_request *request, struct px_engine **ret,
                               struct px_err *err)
{
    struct px_file file = {0};
    struct sources *sources = px_arena_zalloc(request->arena, 1, sizeof *sources);
    enum px_code code = check_settings(request->settings, err);
    if (code != PX_OK)
        return code;
    if (!request->path.ptr)
        return px_err_set(err, PX_E_INVALID, "model: a graph needs its file, as graph.yaml");
    if (!sources || !(sources->folder = px_arena_str(request->arena, request->folder)).ptr)
        return px_arena_check(request->arena, "the graph", err);
    sources->arena = request->arena;
    sources->options = (struct px_package_options){.engines = request->engines,
                                                   .from_client = request->from_client,
                                                   .depth = request->depth + 1};
    const struct px_graph_sources callbacks = {open_model, close_model, read_file, sources};
    code = px_file_load(&file, request->path.ptr, PX_GRAPH_YAML_MAX, err);
    if (code != PX_OK)
        return code;
    code = px_graph_engine_create(file.bytes, &callbacks, request->arena, ret, err);
    px_file_unload(&file);
    return code;
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
