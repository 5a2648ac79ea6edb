/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rules engine as a plug-in for Phoenix, in one page: per row an amount and an age, out a decision and its score.
 *
 *     score = amount / limit, halved for customers of at least `trusted_age` years
 *     BLOCK from `block` on, REVIEW from `review` on, else APPROVE
 */
#include <phoenix/engine.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct phx_engine {
    double limit, trusted_age, review, block;
};

static int create(const phx_engine_config *config, phx_engine **ret, phx_error *error)
{
    phx_engine rules = {.limit = 1000, .trusted_age = 60, .review = 0.5, .block = 1};
    const struct {
        const char *key;
        double *value;
    } known[] = {{"limit", &rules.limit},
                 {"trusted_age", &rules.trusted_age},
                 {"review", &rules.review},
                 {"block", &rules.block}};
    for (uint32_t i = 0; i < config->n_settings; i++) {
        const phx_setting *s = &config->settings[i];
        char *end = NULL;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (strcmp(s->key, known[k].key) == 0)
                *known[k].value = strtod(s->value, &end);
        if (!end || *end || end == s->value) {
            snprintf(error->text, error->cap, "%s: '%s' is not a rule with a number", s->key,
                     s->value);
            return PHX_ENGINE_INVALID;
        }
    }
    *ret = malloc(sizeof rules);
    return *ret ? (memcpy(*ret, &rules, sizeof rules), PHX_ENGINE_OK) : PHX_ENGINE_NO_MEMORY;
}

static void specs(const phx_engine *rules, phx_specs *ret)
{
    static const phx_tensor_spec in[] = {
        {.name = "amount", .datatype = PHX_FP64, .n_dims = 1, .dims = {-1}},
        {.name = "age", .datatype = PHX_FP64, .n_dims = 1, .dims = {-1}}};
    static const phx_tensor_spec out[] = {
        {.name = "score", .datatype = PHX_FP64, .n_dims = 1, .dims = {-1}},
        {.name = "decision", .datatype = PHX_BYTES, .n_dims = 1, .dims = {-1}}};
    (void)rules;
    *ret = (phx_specs){in, out, 2, 2};
}

static double score_row(const phx_engine *rules, double amount, double age)
{
    double score = amount / rules->limit;
    return age >= rules->trusted_age ? score / 2 : score;
}

/* The bytes of a text with its length before it; how many they are. */
static size_t put_decision(const phx_engine *rules, double score, char *to)
{
    const char *text = score >= rules->block    ? "BLOCK"
                       : score >= rules->review ? "REVIEW"
                                                : "APPROVE";
    uint32_t len = (uint32_t)strlen(text);
    memcpy(to, &len, sizeof len);
    memcpy(to + sizeof len, text, len);
    return sizeof len + len;
}

static int run(phx_engine *rules, phx_run *run)
{
    const phx_tensor *amount = &run->inputs[0], *age = &run->inputs[1];
    if (strcmp(amount->name, "age") == 0)
        amount = &run->inputs[1], age = &run->inputs[0];
    uint64_t n = (uint64_t)amount->dims[0];
    if (age->dims[0] != amount->dims[0]) {
        snprintf(run->error.text, run->error.cap, "amount has %lld rows, age has %lld",
                 (long long)amount->dims[0], (long long)age->dims[0]);
        return PHX_ENGINE_INVALID;
    }
    for (uint32_t i = 0; i < run->n_outputs; i++) {
        phx_tensor *out = &run->outputs[i];
        int texts = strcmp(out->name, "decision") == 0;
        char *data = run->alloc(run, n * (texts ? 4 + sizeof "APPROVE" : sizeof(double)));
        if (!data)
            return PHX_ENGINE_NO_MEMORY;
        size_t size = 0;
        for (uint64_t row = 0; row < n; row++) {
            double score = score_row(rules, ((const double *)amount->data)[row],
                                     ((const double *)age->data)[row]);
            if (!texts)
                memcpy(data + size, &score, sizeof score);
            size += texts ? put_decision(rules, score, data + size) : sizeof score;
        }
        out->datatype = texts ? PHX_BYTES : PHX_FP64;
        out->n_dims = 1;
        out->dims[0] = (int64_t)n;
        out->data = data;
        out->size = size;
    }
    return PHX_ENGINE_OK;
}

static void destroy(phx_engine *rules)
{
    free(rules);
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
