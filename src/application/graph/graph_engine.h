/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph engine: runs an ensemble (domain/graph) as one asynchronous engine of tensors.
 *
 *     px_graph_engine_create(yaml, &sources, arena, &engine, err)
 *
 * Concepts
 * - Steps that are models are runs of their own engines, started as soon as their inputs are there, so that independent branches run at
 *   once. What is small is computed on the thread that brought its last input, the rest on the pool (graph_pool.h).
 * - No thread waits for a step. What happens to a run (a step ended, a timeout, a cancel) is an event; events of one run are handled one after the
 *   other by whichever thread brought the first of them (graph_run.h).
 * - A step with a timeout computes on memory of its own: when it is late, its fallback is used at once and the run goes on; what the
 *   engine still does with it is cancelled and forgotten.
 *
 * Results say which way they came: `degraded` of the run lists steps that failed and were replaced, and its trace has each step.
 *
 * Ownership: the engine closes its models. The arena outlives it. Destroy waits for steps that were late and have not ended yet; until then the engine is not idle.
 */
#ifndef PX_APPLICATION_GRAPH_GRAPH_ENGINE_H
#define PX_APPLICATION_GRAPH_GRAPH_ENGINE_H

#include "application/ports/engine_provider.h"
#include "domain/graph/graph.h"

/* A model of a graph: an engine of tensors with PX_ENGINE_ASYNC, and what belongs to it. */
struct px_graph_model {
    struct px_engine *engine;
    void *owner; /* of the sources */
};

/*
 * Where models and files of a graph come from. The context outlives the engine. Each step opens its model and closes it; the same one
 * may be given to several.
 */
struct px_graph_sources {
    enum px_code (*open)(void *context, struct px_str path, struct px_graph_model *ret,
                         struct px_err *err);
    void (*close)(void *context, struct px_graph_model *model);
    /* The bytes of a file beside the graph, in the arena: of processors. */
    enum px_code (*read_file)(void *context, struct px_str name, struct px_str *ret,
                              struct px_err *err);
    void *context;
};

PX_MUST_USE enum px_code px_graph_engine_create(struct px_str yaml,
                                                const struct px_graph_sources *sources,
                                                struct px_arena *arena, struct px_engine **ret,
                                                struct px_err *err);

/* The graph of an engine that was made here; NULL for any other. */
const struct px_graph *px_graph_of_engine(const struct px_engine *engine);
/* The engine of its step at `at` that is a model; NULL for other steps and engines. */
const struct px_engine *px_graph_step_model(const struct px_engine *engine, size_t at);

#endif
