/* SPDX-License-Identifier: Apache-2.0 */
/* A rules engine as a plug-in for Phoenix: amounts and ages go in, decisions come out, by the rules that model.yaml sets. */
#include <phoenix/engine.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT, TRUSTED_AGE, REVIEW, BLOCK, N_RULES };
static const char *const names[] = {"limit", "trusted_age", "review", "block"};

struct phx_engine {
    double rules[N_RULES];
};

static int create(const phx_engine_config *config, phx_engine **ret, phx_error *error)
{
    phx_engine *engine = malloc(sizeof *engine);
    if (!engine)
        return PHX_ENGINE_NO_MEMORY;
    *engine = (phx_engine){{1000, 60, 0.5, 1}};
    for (uint32_t i = 0; i < config->n_settings; i++) {
        const char *key = config->settings[i].key, *value = config->settings[i].value;
        char *end = NULL;
        for (int rule = 0; rule < N_RULES; rule++)
            if (strcmp(key, names[rule]) == 0)
                engine->rules[rule] = strtod(value, &end);
        if (!end || *end || end == value) {
            snprintf(error->text, error->cap, "%s: '%s' is not a rule with a number", key, value);
            free(engine);
            return PHX_ENGINE_INVALID;
        }
    }
    *ret = engine;
    return PHX_ENGINE_OK;
}

static void specs(const phx_engine *engine, phx_specs *ret)
{
    static const phx_tensor_spec in[] = {
        {.name = "amount", .datatype = PHX_FP64, .n_dims = 1, .dims = {-1}},
        {.name = "age", .datatype = PHX_FP64, .n_dims = 1, .dims = {-1}}};
    static const phx_tensor_spec out[] = {
        {.name = "decision", .datatype = PHX_BYTES, .n_dims = 1, .dims = {-1}}};
    (void)engine;
    *ret = (phx_specs){in, out, 2, 1};
}

static int run(phx_engine *engine, phx_run *run)
{
    const double *rules = engine->rules;
    int swapped = strcmp(run->inputs[0].name, "age") == 0; /* as the caller sent them */
    const double *amount = run->inputs[swapped].data, *age = run->inputs[!swapped].data;
    phx_tensor *out = &run->outputs[0];
    int64_t n = run->inputs[0].dims[0]; /* of both: Phoenix has checked it */
    char *to = run->alloc(run, (uint64_t)n * (4 + sizeof "APPROVE") + 1);
    if (!to)
        return PHX_ENGINE_NO_MEMORY;
    *out = (phx_tensor){
        .name = out->name, .datatype = PHX_BYTES, .n_dims = 1, .dims = {n}, .data = to};
    for (int64_t row = 0; row < n; row++) {
        double score = amount[row] / rules[LIMIT] / (age[row] >= rules[TRUSTED_AGE] ? 2 : 1);
        const char *text = score >= rules[BLOCK]    ? "BLOCK"
                           : score >= rules[REVIEW] ? "REVIEW"
                                                    : "APPROVE";
        uint32_t len = (uint32_t)strlen(text); /* stands before the bytes of a text */
        memcpy(to + out->size, &len, 4);
        memcpy(to + out->size + 4, text, len);
        out->size += 4 + len;
    }
    return PHX_ENGINE_OK;
}

static void destroy(phx_engine *engine)
{
    free(engine);
}

PHX_ENGINE_EXPORT const phx_engine_ops *phx_engine_entry(uint32_t host_abi)
{
    static const phx_engine_ops ops = {.size = sizeof ops,
                                       .abi = PHX_ENGINE_ABI,
                                       .flags = PHX_ENGINE_BATCHES,
                                       .name = "rules",
                                       .version = "1.0",
                                       .create = create,
                                       .specs = specs,
                                       .run = run,
                                       .destroy = destroy};
    return host_abi >= PHX_ENGINE_ABI ? &ops : NULL;
}
