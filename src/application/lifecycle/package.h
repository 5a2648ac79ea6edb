/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model packages: what `phoenix train` writes and every verb opens.
 *
 * A package is a folder with `model.yaml` and the files that it names, or a bare model file, whose
 * signature is then taken from the file itself. Layout of model.yaml (docs/api/package.md):
 *
 *     phoenix: 1                      # layout version
 *     name: bank
 *     model: model.ubj                # beside this file
 *     rounds: best                    # all | best (which trees of an early-stopped model count)
 *     task: binary                    # regression | binary | multiclass | ranking
 *     target: y
 *     output: predictions             # name of the output tensor
 *     labels: ["no", "yes"]           # classes in score order
 *     features:
 *       - {name: age, type: number}
 *       - {name: job, type: category, categories: [admin., technician], other: 1}
 *     golden: golden.csv              # raw rows and the scores they must get
 *     golden_scores: expected_        # what the names of their score columns begin with, if not nothing
 *     reference: reference.csv        # sample of the training rows, raw
 *     limits: auto                    # how many requests may be on their way (model_limits.h)
 *     cache: {ttl: 60s}               # keep answers for equal requests (model_cache.h)
 *     fallback: [previous_version]    # who answers when it cannot (model_fallback.h)
 *     training: {...}                 # how it was made; free form, kept as it is
 *
 * A folder without model.yaml whose file is called graph.yaml is a package as well: a graph says itself what its tensors are
 * and what it is called (domain/graph/graph.h).
 *
 * An unknown key is an error with the nearest match. Paths stay inside the folder. The path of the file
 * that a model.yaml beside it names as its model opens the package as well.
 *
 * A package holds a forest (`forest` and `signature`) or an engine of tensors (`engine`, with a signature that has no features). The
 * forest's readers see a model file first; one that they do not take goes to the first provider that knows it. A model.yaml that
 * names an engine goes there at once:
 *
 *     phoenix: 1
 *     model: churn.onnx               # a file or folder; engines of their own kind may need none
 *     engine: {name: onnxruntime, threads: 2}
 *     inputs: [{name: x, type: FP32, shape: [-1, 4]}]    # what the model does not say itself
 *     outputs: [{name: y, type: FP32}]
 *     instances: 2                    # threads for an engine that blocks
 *     queue_max: 100                  # requests that may wait for them
 *     golden: golden.json             # requests and their outputs (docs/api/package.md)
 *     warm_up: 3                      # runs before it serves (model_warm_up.h)
 *     residency: pinned               # never leaves memory to make room for others
 *     breaker: {failures: 5}          # when it is not asked any more because it fails (model_breaker.h)
 *     sequence: {states: [{input: h_in, output: h_out}]} # a model that keeps state (sequences/sequence_settings.h)
 */
#ifndef PX_APPLICATION_LIFECYCLE_PACKAGE_H
#define PX_APPLICATION_LIFECYCLE_PACKAGE_H

#include "application/lifecycle/model_breaker.h"
#include "application/lifecycle/model_cache.h"
#include "application/lifecycle/model_fallback.h"
#include "application/lifecycle/model_limits.h"
#include "application/lifecycle/model_name.h"
#include "application/lifecycle/model_warm_up.h"
#include "application/ports/engine_provider.h"
#include "domain/forest/forest.h"
#include "domain/inference/signature.h"
#include "shared/thread.h"

enum {
    PX_PACKAGE_MODEL_MAX = 1 << 30, /* bytes of a model file */
    PX_PACKAGE_YAML_MAX = 16 << 20,
    PX_PACKAGE_BEHIND_BYTES =
        64 << 10, /* a smaller model file is read too soon to be worth a thread */
};

struct px_package {
    struct px_arena arena;
    struct px_str
        name; /* from model.yaml or graph.yaml, else the file's name without extension, or the folder's of those two */
    struct px_str path;                        /* as opened */
    struct px_str model_path;                  /* of the model file */
    size_t model_size;                         /* its bytes */
    uint64_t model_hash;                       /* px_hash_content of its bytes */
    bool bare;                                 /* a model file or graph without model.yaml */
    struct px_str target;                      /* empty when unknown */
    struct px_str golden_path, reference_path; /* empty when absent */
    struct px_str golden_scores; /* before the names of scores.h in golden rows, so that no feature
                                    or target has such a name; mostly empty */
    struct px_forest *forest;    /* NULL when there is an engine */
    struct px_signature signature;
    struct px_engine *engine; /* of tensors, asynchronous; NULL when there is a forest */
    struct px_engine
        *rows_engine;     /* of a forest, see tensor_engine.h; NULL until somebody asks for it */
    const char *provider; /* its provider's name */
    struct px_model_cache cache;
    struct px_model_limits limits;
    struct px_model_breaker breaker; /* of an engine: `is_on` is decided */
    struct px_model_fallback fallback;
    struct px_model_warm_up warm_up;
    bool is_pinned; /* residency: pinned */
};

struct px_package_options {
    const struct px_forest_options
        *forest; /* `rounds` counts where model.yaml says nothing; NULL: defaults */
    const struct px_engines *engines; /* NULL: forests only */
    bool from_client;                 /* it came with a request: no engine that needs trust */
    enum px_standing standing;        /* of reading a large forest, while others answer requests */
    unsigned depth;                   /* of packages inside graphs */
    struct px_graph_opening *outer;   /* the graph that names it, while that is opened */
};

/* Opens a package folder or a bare model file. Errors name the file and the place. `options` may be NULL. */
PX_MUST_USE enum px_code px_package_open(const char *path, const struct px_package_options *options,
                                         struct px_package **ret, struct px_err *err);
/* When every run of its engine has finished. NULL is fine. */
void px_package_close(struct px_package *package);

/* What model.yaml says, without reading the model: `forest` and `engine` are NULL, and defaults of `fallback` are not prepared. */
PX_MUST_USE enum px_code px_package_open_head(const char *path, struct px_package **ret,
                                              struct px_err *err);

/* What the package at `path` is called, without reading its model file. */
PX_MUST_USE enum px_code px_package_name(const char *path, struct px_model_name *ret,
                                         struct px_err *err);

/* Does the package in the folder `path` say `residency: pinned`? Its model file is not read; false when it cannot be. */
bool px_package_is_pinned(const char *path);

/* Text of model.yaml for a package that is being written. `training` is YAML of a mapping's body or empty. */
struct px_package_description {
    struct px_str name, model_file, rounds, target, golden_file, golden_scores, reference_file;
    const struct px_signature *signature;
    struct px_str training; /* lines indented by two blanks */
};
void px_package_describe(const struct px_package_description *description, struct px_buf *yaml);

#endif
