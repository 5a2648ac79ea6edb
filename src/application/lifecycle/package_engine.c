/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/package_engine.h"

#include "application/execution/executor.h"
#include "application/sequences/sequence_engine.h"
#include "shared/file.h"
#include "shared/hash.h"

#include <stdio.h>

enum { PROVIDERS_MAX = 32, BATCHES_AT_A_TIME = 4 };

enum px_code px_package_find_provider(const struct px_model_yaml *yaml,
                                      const struct px_engines *engines,
                                      const struct px_engine_provider **ret, struct px_err *err)
{
    struct px_str names[PROVIDERS_MAX];
    size_t n = 0;
    *ret = px_engines_find(engines, yaml->engine_name);
    if (*ret)
        return PX_OK;
    for (; engines && n < engines->n && n < PROVIDERS_MAX; n++)
        names[n] = px_str(engines->list[n]->name);
    px_err_set(err, PX_E_UNSUPPORTED, "line %u: there is no engine '%.*s' here", yaml->engine->line,
               PX_STR_ARG(yaml->engine_name));
    if (!px_err_suggest(err, yaml->engine_name, names, n))
        px_err_hint(err, n ? "'phoenix engine list' shows the engines that there are"
                           : "only tree models can be opened here");
    return PX_E_UNSUPPORTED;
}

const struct px_engine_provider *px_package_recognise_provider(const char *path,
                                                               const struct px_engines *engines)
{
    char bytes[PX_ENGINE_SNIFF_BYTES];
    FILE *file = engines && engines->n ? fopen(path, "re") : NULL;
    if (!file)
        return NULL;
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    return px_engines_recognise(engines, path, px_str_n(bytes, n));
}

/* A forest's keys would have no effect, which somebody should know. */
static enum px_code refuse_forest_keys(const struct px_model_yaml *yaml, struct px_err *err)
{
    if (!yaml->features && !yaml->rounds.ptr)
        return PX_OK;
    px_err_set(err, PX_E_CONFLICT, "'%s' is for tree models, and this is a model of tensors",
               yaml->features ? "features" : "rounds");
    return px_err_hint(err, "describe its tensors with 'inputs' and 'outputs'");
}

/* Are two shapes possible for one tensor? */
static bool shapes_agree(const struct px_tensor_spec *a, const struct px_tensor_spec *b)
{
    if (a->any_rank || b->any_rank)
        return true;
    bool agree = a->n_dims == b->n_dims;
    for (size_t i = 0; agree && i < a->n_dims; i++)
        agree =
            a->shape[i] == b->shape[i] || a->shape[i] == PX_DIM_ANY || b->shape[i] == PX_DIM_ANY;
    return agree;
}

/* The model has the last word on its tensors; model.yaml is refused where it says something else. */
static enum px_code check_declared(const struct px_tensor_specs *declared,
                                   const struct px_tensor_specs *real, const char *what,
                                   struct px_err *err)
{
    for (size_t i = 0; i < declared->n; i++) {
        const struct px_tensor_spec *said = &declared->list[i];
        const struct px_tensor_spec *is = px_tensor_specs_find(real, said->name);
        char a[PX_TENSOR_SHAPE_TEXT_MAX], b[PX_TENSOR_SHAPE_TEXT_MAX];
        if (!is)
            return px_err_set(err, PX_E_CONFLICT,
                              "model.yaml lists %s '%.*s', which the model does not have", what,
                              PX_STR_ARG(said->name));
        if (said->type != is->type || !shapes_agree(said, is))
            return px_err_set(err, PX_E_CONFLICT,
                              "%s '%.*s' is %s of shape %s in model.yaml and %s of %s in the model",
                              what, PX_STR_ARG(said->name), px_datatype_name(said->type),
                              px_tensor_spec_shape_text(said, a), px_datatype_name(is->type),
                              px_tensor_spec_shape_text(is, b));
    }
    return PX_OK;
}

static enum px_code open_with_provider(struct px_package *p, const struct px_package_source *source,
                                       struct px_err *err)
{
    const struct px_model_yaml *yaml = source->yaml;
    const struct px_engine_request request = {
        .model_name = p->name,
        .path = p->model_path,
        .folder = source->folder,
        .settings = yaml->engine,
        .inputs = yaml->inputs,
        .outputs = yaml->outputs,
        .engines = source->options->engines,
        .from_client = source->options->from_client,
        .standing = source->options->standing,
        .depth = source->options->depth,
        .outer = source->options->outer,
        .arena = &p->arena,
    };
    if (request.from_client && source->provider->needs_trust) {
        px_err_set(err, PX_E_FORBIDDEN,
                   "engine '%s' runs code or calls other servers, which a model that comes with a "
                   "request may not",
                   source->provider->name);
        return px_err_hint(err, "put the package into a folder that the server was started with");
    }
    if (request.depth > PX_ENGINE_DEPTH_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "models are nested more than %d deep",
                          PX_ENGINE_DEPTH_MAX);
    p->provider = source->provider->name;
    if (!p->breaker.is_set) /* code of others, or other servers: they fail by no fault of ours */
        p->breaker.is_on = source->provider->needs_trust;
    enum px_code code = source->provider->open(&request, &p->engine, err);
    if (code != PX_OK)
        return code;
    PX_ASSERT(p->engine->ops->abi == PX_ENGINE_ABI && px_engine_has(p->engine, PX_ENGINE_TENSORS));
    if (p->engine->takes.n == 0) {
        px_err_set(err, PX_E_UNSUPPORTED, "the model has no inputs: no request can be made of it");
        return px_err_hint(err, "it gives the same every time; export it with what it depends on "
                                "as an input");
    }
    code = check_declared(&yaml->inputs, &p->engine->takes, "input", err);
    return code == PX_OK ? check_declared(&yaml->outputs, &p->engine->gives, "output", err) : code;
}

/* Batches of an engine that has none would be settings without an effect; the rest of the queue is every engine's. */
static enum px_code check_batching(const struct px_engine *engine,
                                   const struct px_batching *batching, struct px_err *err)
{
    bool asks = batching && (batching->limits_rows || batching->policy.n_preferred > 0 ||
                             batching->policy.delay_ns > 0);
    if (!asks || px_engine_has(engine, PX_ENGINE_BATCHES))
        return PX_OK;
    px_err_set(
        err, PX_E_CONFLICT,
        "batching: engine '%s' has not said that the first dimension of this model's tensors "
        "counts rows that do not know of each other",
        px_engine_name(engine));
    return px_err_hint(err,
                       "promise it, where it is so: engine: {name: onnxruntime, batches: true}");
}

/* An engine that blocks gets threads of its own. */
static enum px_code make_asynchronous(struct px_package *p, const struct px_model_yaml *yaml,
                                      struct px_err *err)
{
    const struct px_executor_options options = {.n_threads = yaml->instances,
                                                .queue_max = yaml->queue_max,
                                                .name = p->name.ptr,
                                                .batching = yaml->batching};
    bool has_executor = !px_engine_has(p->engine, PX_ENGINE_ASYNC);
    if (has_executor && check_batching(p->engine, yaml->batching, err) != PX_OK)
        return PX_E_CONFLICT;
    if (has_executor)
        return px_executor_engine_create(p->engine, &options, &p->engine, err);
    if (yaml->instances || yaml->queue_max || yaml->batching) {
        px_err_set(err, PX_E_INVALID, "'%s': engine '%s' does not wait for its own threads",
                   yaml->instances   ? "instances"
                   : yaml->queue_max ? "queue_max"
                                     : "batching",
                   p->provider);
        return px_err_hint(err, "remove it; such an engine has settings of its own under 'engine'");
    }
    return PX_OK;
}

/*
 * How many batches of sequences the engine may have at a time: what its threads compute, and without rows as many again to wait. One
 * without threads of its own gets few batches, so that they grow, or every step at once.
 */
static unsigned count_batches(const struct px_engine *engine, const struct px_sequence_rules *rules)
{
    struct px_executor_counts counts;
    if (!px_executor_counts(engine, &counts))
        return px_engine_has(engine, PX_ENGINE_BATCHES) ? BATCHES_AT_A_TIME
                                                        : (unsigned)rules->sequences_max;
    return px_engine_has(engine, PX_ENGINE_BATCHES) ? counts.n_threads : 2 * counts.n_threads;
}

/* A model with `sequence` keeps state. */
static enum px_code keep_sequences(struct px_package *p, const struct px_model_yaml *yaml,
                                   struct px_err *err)
{
    if (!yaml->sequence)
        return PX_OK;
    const struct px_sequence_options options = {
        .settings = yaml->sequence,
        .model_name = p->name,
        .batches_max = count_batches(p->engine, &yaml->sequence->rules),
    };
    return px_sequence_engine_create(p->engine, &options, &p->engine, err);
}

/* Files that are too large to be read for this alone have no hash. */
static enum px_code hash_model(struct px_package *p, struct px_err *err)
{
    struct px_file file = {0};
    struct px_err why = {0};
    if (p->model_size || !p->model_path.ptr || px_file_kind(p->model_path.ptr) != PX_FILE_REGULAR)
        return PX_OK;
    enum px_code code = px_file_load(&file, p->model_path.ptr, PX_PACKAGE_MODEL_MAX, &why);
    if (code == PX_E_TOO_LARGE)
        return PX_OK;
    if (code != PX_OK) {
        if (err)
            *err = why;
        return code;
    }
    p->model_size = file.bytes.len;
    p->model_hash = px_hash_content(file.bytes.ptr, file.bytes.len);
    px_file_unload(&file);
    return PX_OK;
}

static enum px_code set_signature(struct px_package *p, const struct px_model_yaml *yaml,
                                  struct px_err *err)
{
    struct px_signature *s = &p->signature;
    s->task = yaml->task ? yaml->task : PX_TASK_REGRESSION;
    s->output_name = (struct px_str)PX_STR("predictions");
    if (p->engine->gives.n > 0)
        s->output_name = p->engine->gives.list[0].name;
    if (yaml->output.ptr && !px_tensor_specs_find(&p->engine->gives, yaml->output))
        return px_err_set(err, PX_E_CONFLICT, "output: the model gives no tensor '%.*s'",
                          PX_STR_ARG(yaml->output));
    if (yaml->output.ptr)
        s->output_name = yaml->output;
    s->labels = yaml->labels;
    s->n_labels = yaml->n_labels;
    return px_signature_finish(s, err);
}

enum px_code px_package_open_engine(struct px_package *package,
                                    const struct px_package_source *source, struct px_err *err)
{
    const struct px_model_yaml *yaml = source->yaml;
    enum px_code code = refuse_forest_keys(yaml, err);
    if (code == PX_OK)
        code = hash_model(package, err);
    if (code == PX_OK)
        code = open_with_provider(package, source, err);
    if (code == PX_OK)
        code = make_asynchronous(package, yaml, err);
    if (code == PX_OK)
        code = keep_sequences(package, yaml, err);
    if (code == PX_OK)
        code = set_signature(package, yaml, err);
    package->target = yaml->target;
    return code;
}
