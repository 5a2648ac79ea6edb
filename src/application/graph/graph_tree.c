/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Eight files that name each other eight times are eight models but sixteen million steps: what is opened is shared, and what would run is
 * counted while it is opened, so that neither memory nor one request is without a bound.
 *
 * The reason of a refusal is kept at the outermost graph: each graph on the way out puts its path before the message, which would push
 * it over the edge.
 */
#include "application/graph/graph_tree.h"

#include "shared/alloc.h"
#include "shared/file.h"

#include <string.h>

struct px_graph_tree_model {
    struct px_graph_tree *tree;
    struct px_graph_tree_model *next;
    struct px_package *package;
    size_t n_uses, n_steps;
    char path[];
};

struct px_graph_tree {
    struct px_graph_tree_model *models;
    size_t n_models, n_refs; /* its models, and the opening of the outermost */
    struct px_err reason;
};

static void release(struct px_graph_tree *tree)
{
    if (--tree->n_refs == 0)
        px_free(tree);
}

/* Says it in `err` and to the outermost graph. */
static enum px_code refuse(struct px_graph_tree *tree, const struct px_err *why, struct px_err *err)
{
    tree->reason = *why;
    if (err)
        *err = *why;
    return why->code;
}

/* ---- openings ---- */

/* The path inside the folder of the outermost graph, where it lies there. */
static struct px_str short_name(const struct px_graph_opening *opening)
{
    const struct px_graph_opening *top = opening;
    while (top->outer)
        top = top->outer;
    const char *slash = strrchr(top->path, '/');
    size_t folder = slash ? (size_t)(slash - top->path) + 1 : 0;
    bool inside = strncmp(opening->path, top->path, folder) == 0;
    return px_str(opening->path + (inside ? folder : 0));
}

/* "a.yaml -> b.yaml -> a.yaml" */
static enum px_code refuse_circle(const struct px_graph_opening *opening,
                                  const struct px_graph_opening *same, struct px_err *err)
{
    const struct px_graph_opening *chain[PX_ENGINE_DEPTH_MAX + 2] = {opening};
    char text[PX_ERR_MESSAGE_MAX] = "";
    struct px_err why;
    size_t n = 1, len = 0;
    while (chain[n - 1] != same && n < PX_ARRAY_LEN(chain)) {
        chain[n] = chain[n - 1]->outer;
        n++;
    }
    while (n-- > 0 && len < sizeof text) {
        int written = snprintf(text + len, sizeof text - len, "%s%.*s", len ? " -> " : "",
                               PX_STR_ARG(chain[n]->name));
        len += written > 0 ? (size_t)written : 0;
    }
    px_err_set(&why, PX_E_INVALID, "graphs in a circle: %s", text);
    px_err_hint(&why, "a graph cannot be a step of itself");
    return refuse(opening->tree, &why, err);
}

static enum px_code begin_outermost(struct px_graph_opening *opening, struct px_err *err)
{
    opening->tree = px_alloc(1, sizeof *opening->tree);
    if (!opening->tree)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a graph");
    opening->tree->n_refs = 1;
    return PX_OK;
}

enum px_code px_graph_tree_begin(struct px_graph_opening *opening, struct px_graph_opening *outer,
                                 const char *path, struct px_err *err)
{
    *opening = (struct px_graph_opening){.outer = outer, .path = path};
    opening->name = short_name(opening);
    if (!outer)
        return begin_outermost(opening, err);
    opening->tree = outer->tree;
    for (const struct px_graph_opening *at = outer; at; at = at->outer) {
        if (strcmp(at->path, path) == 0)
            return refuse_circle(opening, at, err);
    }
    return PX_OK;
}

enum px_code px_graph_tree_end(struct px_graph_opening *opening, enum px_code code, size_t n_steps,
                               struct px_err *err)
{
    struct px_graph_tree *tree = opening->tree;
    if (opening->outer) {
        opening->outer->n_inner_steps = opening->n_steps + n_steps;
        return code;
    }
    if (code != PX_OK && tree->reason.code == code && err)
        *err = tree->reason;
    release(tree);
    return code;
}

/* ---- models ---- */

static struct px_graph_tree_model *find(const struct px_graph_tree *tree, const char *path)
{
    struct px_graph_tree_model *model = tree->models;
    while (model && strcmp(model->path, path) != 0)
        model = model->next;
    return model;
}

static void destroy_model(struct px_graph_tree_model *model)
{
    px_package_close(model->package); /* which may close others of the tree */
    px_free(model);
}

static enum px_code open_new(struct px_graph_opening *opening, const char *path,
                             const struct px_package_options *options,
                             struct px_graph_tree_model **ret, struct px_err *err)
{
    struct px_graph_tree *tree = opening->tree;
    struct px_err why;
    if (tree->n_models >= PX_GRAPH_TREE_MODELS_MAX) {
        px_err_set(&why, PX_E_TOO_LARGE, "a graph and those inside it have more than %d models",
                   PX_GRAPH_TREE_MODELS_MAX);
        return refuse(tree, &why, err);
    }
    size_t size = strlen(path) + 1;
    struct px_graph_tree_model *model = px_alloc(1, sizeof *model + size);
    if (!model)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a model of a graph");
    memcpy(model->path, path, size);
    tree->n_models++; /* before those that it names */
    opening->n_inner_steps = 0;
    enum px_code code = px_package_open(path, options, &model->package, err);
    if (code != PX_OK) {
        tree->n_models--;
        destroy_model(model);
        return code;
    }
    model->n_steps = opening->n_inner_steps;
    model->tree = tree;
    model->next = tree->models;
    tree->models = model;
    tree->n_refs++;
    *ret = model;
    return PX_OK;
}

enum px_code px_graph_tree_open(struct px_graph_opening *opening, const char *path,
                                const struct px_package_options *options,
                                struct px_graph_tree_model **ret, struct px_err *err)
{
    struct px_graph_tree_model *model = find(opening->tree, path);
    enum px_code code = model ? PX_OK : open_new(opening, path, options, &model, err);
    struct px_err why;
    if (code != PX_OK)
        return code;
    PX_ASSERT(model);
    model->n_uses++;
    opening->n_steps += model->n_steps;
    if (opening->n_steps > PX_GRAPH_TREE_STEPS_MAX) {
        px_graph_tree_close(model);
        px_err_set(&why, PX_E_TOO_LARGE,
                   "graph %.*s: the graphs inside it come to more than %d steps for a request",
                   PX_STR_ARG(opening->name), PX_GRAPH_TREE_STEPS_MAX);
        px_err_hint(&why, "a graph that two steps name runs twice");
        return refuse(opening->tree, &why, err);
    }
    *ret = model;
    return PX_OK;
}

struct px_package *px_graph_tree_package(const struct px_graph_tree_model *model)
{
    return model->package;
}

void px_graph_tree_close(struct px_graph_tree_model *model)
{
    struct px_graph_tree *tree = model->tree;
    if (--model->n_uses > 0)
        return;
    struct px_graph_tree_model **at = &tree->models;
    while (*at != model)
        at = &(*at)->next;
    *at = model->next;
    tree->n_models--;
    destroy_model(model);
    release(tree); /* last: what it closed may be of this tree */
}
