/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider "graph": opens a graph.yaml, which it knows by its first key, and the models that it names.
 *
 * Models and files are named by paths inside the folder of the graph. A model is anything that a package may be: a bare file, a package
 * folder, another graph.
 */
#ifndef PX_APPLICATION_GRAPH_GRAPH_PROVIDER_H
#define PX_APPLICATION_GRAPH_GRAPH_PROVIDER_H

#include "application/ports/engine_provider.h"

extern const struct px_engine_provider px_graph_provider;

#endif
