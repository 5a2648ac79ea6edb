/* SPDX-License-Identifier: Apache-2.0 */
/* Opens engines of the provider `plugin` and runs them, for tests: settings as YAML, specs as one line each. */
#ifndef PX_TESTS_PLUGIN_FIXTURE_H
#define PX_TESTS_PLUGIN_FIXTURE_H

#include "harness.h"
#include "infrastructure/engines/plugin/plugin.h"

struct plugin_fixture {
    struct px_arena arena, run_arena;
    struct px_engine *engine;
    struct px_err err;
    struct px_tensor_spec inputs[16], outputs[16];
    size_t n;
    struct px_tensor in[16], out[16];
    struct px_run run;
};

static inline void plugin_fixture_init(struct plugin_fixture *f)
{
    memset(f, 0, sizeof *f);
    f->arena = px_arena(8 << 20);
    f->run_arena = px_arena(1 << 20);
}

/* Declares a tensor that goes in as "in<i>" and comes out as "out<i>". */
static inline void plugin_fixture_declare(struct plugin_fixture *f, enum px_datatype type,
                                          size_t n_dims)
{
    char name[16];
    struct px_tensor_spec spec = {.type = type, .n_dims = n_dims};
    for (size_t i = 0; i < n_dims; i++)
        spec.shape[i] = PX_DIM_ANY;
    snprintf(name, sizeof name, "in%zu", f->n);
    spec.name = px_arena_str(&f->arena, px_str(name));
    f->inputs[f->n] = spec;
    snprintf(name, sizeof name, "out%zu", f->n);
    spec.name = px_arena_str(&f->arena, px_str(name));
    f->outputs[f->n++] = spec;
}

static inline enum px_code plugin_fixture_open_in(struct plugin_fixture *f,
                                                  const struct px_engine_provider *provider,
                                                  const char *folder, const char *settings)
{
    const struct px_yaml *root = NULL;
    enum px_code code = px_yaml_parse(px_str(settings), &f->arena, &root, &f->err);
    if (code != PX_OK)
        return code;
    struct px_engine_request request = {.model_name = PX_STR("test"),
                                        .path = PX_STR(""),
                                        .folder = px_str(folder),
                                        .settings = root,
                                        .inputs = {f->inputs, f->n},
                                        .outputs = {f->outputs, f->n},
                                        .arena = &f->arena};
    return provider->open(&request, &f->engine, &f->err);
}

static inline enum px_code plugin_fixture_open(struct plugin_fixture *f, const char *settings)
{
    return plugin_fixture_open_in(f, &px_plugin_provider, PX_TEST_PLUGINS, settings);
}

/* Sets input `i`, one-dimensional. */
static inline void plugin_fixture_set(struct plugin_fixture *f, size_t i, const void *bytes,
                                      size_t n_bytes, uint64_t n_elements)
{
    f->in[i] = (struct px_tensor){.name = f->inputs[i].name,
                                  .type = f->inputs[i].type,
                                  .shape = {n_elements},
                                  .n_dims = 1,
                                  .bytes = px_str_n(bytes, n_bytes)};
    f->out[i] = (struct px_tensor){.name = f->outputs[i].name};
}

/* Makes a run of `n` tensors; plugin_fixture_go runs it. */
static inline void plugin_fixture_prepare(struct plugin_fixture *f, size_t n)
{
    size_t n_gives = f->engine->gives.n;
    px_run_release(&f->run);
    px_arena_reset(&f->run_arena);
    f->run = (struct px_run){.inputs = f->in,
                             .n_inputs = n,
                             .outputs = f->out,
                             .n_outputs = n_gives < n ? n_gives : n,
                             .arena = &f->run_arena,
                             .deadline_ns = f->run.deadline_ns};
}

static inline enum px_code plugin_fixture_go(struct plugin_fixture *f)
{
    enum px_code code = px_engine_check_run(f->engine, &f->run, &f->err);
    return code == PX_OK ? px_engine_run(f->engine, &f->run, &f->err) : code;
}

static inline enum px_code plugin_fixture_run(struct plugin_fixture *f, size_t n)
{
    plugin_fixture_prepare(f, n);
    return plugin_fixture_go(f);
}

static inline void plugin_fixture_deinit(struct plugin_fixture *f)
{
    px_run_release(&f->run);
    px_engine_destroy(f->engine);
    px_arena_deinit(&f->run_arena);
    px_arena_deinit(&f->arena);
}

#endif
