/* SPDX-License-Identifier: Apache-2.0 */
/* Opens engines of the provider `remote` from settings as YAML, for tests. */
#ifndef PX_TESTS_REMOTE_FIXTURE_H
#define PX_TESTS_REMOTE_FIXTURE_H

#include "harness.h"
#include "infrastructure/engines/remote/remote.h"
#include "shared/yaml.h"

struct remote_fixture {
    struct px_arena arena;
    struct px_engine *engine;
    struct px_err err;
    struct px_tensor_specs inputs, outputs; /* declared */
};

static inline enum px_code remote_fixture_open(struct remote_fixture *f, const char *settings)
{
    const struct px_yaml *root = NULL;
    f->arena = px_arena(8 << 20);
    enum px_code code = px_yaml_parse(px_str(settings), &f->arena, &root, &f->err);
    if (code != PX_OK)
        return code;
    struct px_engine_request request = {.model_name = PX_STR("test"),
                                        .folder = PX_STR("."),
                                        .settings = root,
                                        .inputs = f->inputs,
                                        .outputs = f->outputs,
                                        .arena = &f->arena};
    return px_remote_provider.open(&request, &f->engine, &f->err);
}

static inline void remote_fixture_close(struct remote_fixture *f)
{
    px_engine_destroy(f->engine);
    px_arena_deinit(&f->arena);
    f->engine = NULL;
}

/* A member of what the engine tells of itself, as a number; -1 when it is not there. */
static inline double remote_fixture_fact(const struct remote_fixture *f, const char *key)
{
    struct px_buf text = px_buf(1 << 16);
    struct px_json_writer w = px_json_writer(&text);
    char name[64];
    f->engine->ops->describe(f->engine, &w);
    snprintf(name, sizeof name, "\"%s\":", key);
    const char *at = strstr(px_buf_cstr(&text), name);
    double value = at ? strtod(at + strlen(name), NULL) : -1;
    px_buf_deinit(&text);
    return value;
}

/* Does what the engine tells of itself contain the text? */
static inline bool remote_fixture_says(const struct remote_fixture *f, const char *part)
{
    struct px_buf text = px_buf(1 << 16);
    struct px_json_writer w = px_json_writer(&text);
    f->engine->ops->describe(f->engine, &w);
    bool found = strstr(px_buf_cstr(&text), part) != NULL;
    px_buf_deinit(&text);
    return found;
}

#endif
