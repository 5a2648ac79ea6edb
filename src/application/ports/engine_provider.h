/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port: what opens models for a kind of engine (ONNX Runtime, a remote server, a plug-in, a graph ...).
 *
 * A provider is a constant table; the composition root (main.c, the library, a test) lists those that this program has in a
 * `struct px_engines`, and packages are opened through that list: by the name that model.yaml says, else by the first provider that
 * knows the file by its content. The forest engine is not in the list: lifecycle/package.h asks it first.
 *
 *     engine:                 # of model.yaml; a scalar `engine: NAME` is the same as {name: NAME}
 *       name: onnxruntime
 *       threads: 2            # the rest is the provider's: an unknown key is an error with the nearest match
 *
 * Threads: all of it on any thread but the loops; providers with state of their own guard it.
 */
#ifndef PX_APPLICATION_PORTS_ENGINE_PROVIDER_H
#define PX_APPLICATION_PORTS_ENGINE_PROVIDER_H

#include "application/ports/engine.h"
#include "shared/thread.h"
#include "shared/yaml.h"

struct px_engines;
struct px_graph_opening; /* graph/graph_tree.h */

/* What is to be opened. Texts and settings live as long as `arena`, which outlives the engine. */
struct px_engine_request {
    struct px_str model_name; /* for messages */
    struct px_str path;   /* the model file or folder; empty where there is none (a remote model) */
    struct px_str folder; /* that files named in the settings lie in */
    const struct px_yaml *settings; /* the mapping `engine`; NULL for a bare file */
    struct px_tensor_specs inputs,
        outputs;                      /* as model.yaml declares them; empty when it does not */
    const struct px_engines *engines; /* for engines made of others */
    bool from_client;                 /* the model came with a request; see needs_trust */
    enum px_standing standing;        /* see struct px_package_options */
    unsigned depth;                   /* of such nesting; PX_ENGINE_DEPTH_MAX bounds it */
    struct px_graph_opening *outer;   /* the graph that names it; mostly NULL */
    struct px_arena *arena;           /* for what lives as long as the engine */
};

enum { PX_ENGINE_DEPTH_MAX = 8, PX_ENGINE_SNIFF_BYTES = 4096, PX_ENGINE_PLACE_MAX = 4096 };

/* Is this engine usable on this machine? */
struct px_engine_state {
    bool available;
    char version[64];  /* of the library behind it; empty when there is none */
    char place[256];   /* where that library was found; empty when it is part of this program */
    char details[256]; /* "execution providers: CPU", or what is missing and how to get it */
};

struct px_engine_provider {
    const char *name;    /* "onnxruntime": the value of engine.name */
    const char *summary; /* one line for `phoenix engine list` */
    /*
     * Its models run code of their own or reach other servers: they come from who runs this program, never with a request of a
     * client that may load models.
     */
    bool needs_trust;
    /* Does this provider know the file by its name or its first bytes? NULL: only by its name in model.yaml. */
    bool (*knows)(const char *path, struct px_str first_bytes);
    /*
     * Opens a model. The engine takes tensors; it may block (`run`), the caller gives it threads. Errors name the file or the key
     * of the settings.
     */
    enum px_code (*open)(const struct px_engine_request *request, struct px_engine **ret,
                         struct px_err *err);
    void (*describe)(struct px_engine_state *ret);
    /*
     * Installs the library behind this engine, from a file or (`from` NULL) from where it is published, into a folder or
     * (`into` NULL) the user's own; `place` (PX_ENGINE_PLACE_MAX bytes) gets where it lies now. NULL: there is nothing to install.
     */
    enum px_code (*install)(const char *from, const char *into, char *place, struct px_err *err);
    /* The environment variable that points at another library; NULL: there is none. */
    const char *variable;
};

struct px_engines {
    const struct px_engine_provider *const *list;
    size_t n;
};

/* NULL when there is none of that name. `engines` may be NULL. */
const struct px_engine_provider *px_engines_find(const struct px_engines *engines,
                                                 struct px_str name);
/* The first that knows the file, NULL when none does. */
const struct px_engine_provider *px_engines_recognise(const struct px_engines *engines,
                                                      const char *path, struct px_str first_bytes);

#endif
