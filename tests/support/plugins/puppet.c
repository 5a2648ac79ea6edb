/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plug-in that does what its settings say: `mode` is one of those below. It takes and gives what model.yaml declares; unless the
 * mode says otherwise, output i is input i. `load` as mode of `create` likewise.
 */
#include <phoenix/engine.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct phx_engine {
    char mode[64];
    int cancelled;
};

static const char *setting(const phx_engine_config *config, const char *key)
{
    for (uint32_t i = 0; i < config->n_settings; i++) {
        if (strcmp(config->settings[i].key, key) == 0)
            return config->settings[i].value;
    }
    return "";
}

static void pause_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static int create(const phx_engine_config *config, phx_engine **ret, phx_error *error)
{
    const char *load = setting(config, "load");
    if (strcmp(load, "fails") == 0) {
        snprintf(error->text, error->cap, "the weights of '%s' are missing", config->model_name);
        return PHX_ENGINE_CORRUPT;
    }
    if (strcmp(load, "exits") == 0) {
        fprintf(stderr, "first line\nno licence found\n");
        _exit(7);
    }
    if (strcmp(load, "hangs") == 0)
        pause_ms(60000);
    if (strcmp(load, "is_slow") == 0)
        pause_ms(300);
    if (strcmp(load, "gives_nothing") == 0)
        return PHX_ENGINE_OK;
    if (config->log)
        config->log(config->log_context, PHX_LOG_DEBUG, "loaded");
    *ret = calloc(1, sizeof **ret);
    if (!*ret)
        return PHX_ENGINE_NO_MEMORY;
    snprintf((*ret)->mode, sizeof(*ret)->mode, "%s", setting(config, "mode"));
    return PHX_ENGINE_OK;
}

static int is(const phx_engine *engine, const char *mode)
{
    return strcmp(engine->mode, mode) == 0;
}

static int echo(phx_engine *engine, phx_run *run)
{
    for (uint32_t i = 0; i < run->n_outputs; i++) {
        const char *name = run->outputs[i].name;
        const phx_tensor *input = &run->inputs[i % run->n_inputs];
        void *data = run->alloc(run, input->size);
        if (!data)
            return PHX_ENGINE_NO_MEMORY;
        memcpy(data, input->data, input->size);
        run->outputs[i] = *input;
        run->outputs[i].name = name;
        run->outputs[i].data = data;
    }
    (void)engine;
    return PHX_ENGINE_OK;
}

/* Spoils the first output. */
static void spoil(phx_engine *engine, phx_tensor *output)
{
    static const char elsewhere[4096];
    if (is(engine, "wrong_type"))
        output->datatype = PHX_INT8;
    else if (is(engine, "no_type"))
        output->datatype = 77;
    else if (is(engine, "wrong_shape"))
        output->dims[output->n_dims++] = 3;
    else if (is(engine, "negative_shape"))
        output->dims[0] = -5;
    else if (is(engine, "huge_shape"))
        output->dims[0] = INT64_MAX;
    else if (is(engine, "many_dims"))
        output->n_dims = 4000000000u;
    else if (is(engine, "short_bytes"))
        output->size--;
    else if (is(engine, "long_bytes"))
        output->size += 1 << 20;
    else if (is(engine, "foreign_memory"))
        output->data = elsewhere;
    else if (is(engine, "nothing"))
        *output = (phx_tensor){0};
}

static int wait_for_cancel(phx_engine *engine, phx_run *run)
{
    while (!__atomic_load_n(&engine->cancelled, __ATOMIC_RELAXED) && !run->cancelled(run))
        pause_ms(1);
    snprintf(run->error.text, run->error.cap, "stopped");
    return PHX_ENGINE_CANCELLED;
}

static int fail(phx_engine *engine, phx_run *run)
{
    if (is(engine, "fails"))
        snprintf(run->error.text, run->error.cap, "row 3 has no currency");
    if (is(engine, "endless_reason"))
        memset(run->error.text, 'x', run->error.cap);
    return is(engine, "odd_code") ? 4711 : PHX_ENGINE_INVALID;
}

/* output 0 = input 0 + input 1, of FP32 */
static int add(phx_run *run)
{
    const phx_tensor *x = &run->inputs[0], *y = &run->inputs[1];
    uint64_t n = x->size / sizeof(float);
    float *sums = run->alloc(run, x->size);
    if (!sums || y->size != x->size)
        return PHX_ENGINE_NO_MEMORY;
    if (x->name[2] == '1') { /* in any order */
        y = x;
        x = &run->inputs[1];
    }
    for (uint64_t i = 0; i < n; i++)
        sums[i] = ((const float *)x->data)[i] + ((const float *)y->data)[i];
    const char *name = run->outputs[0].name;
    run->outputs[0] = *x;
    run->outputs[0].name = name;
    run->outputs[0].data = sums;
    return PHX_ENGINE_OK;
}

/* Overwrites all of the memory that is shared with the host, the words that both wait on included. */
static void scribble(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps)) {
        char *end;
        unsigned long from = strtoul(line, &end, 16), to = strtoul(end + 1, NULL, 16);
        char *memory = NULL;
        memcpy(&memory, &from, sizeof memory);
        if (strstr(line, "memfd:phoenix-plugin"))
            memset(memory, 0xff, to - from < 1 << 20 ? to - from : 1 << 20);
    }
    if (maps)
        fclose(maps);
    pause_ms(60000);
}

static int be_greedy(phx_run *run)
{
    void *memory = malloc((size_t)1 << 30);
    if (!memory)
        snprintf(run->error.text, run->error.cap, "no gigabyte left");
    free(memory);
    return memory ? PHX_ENGINE_FAILED : PHX_ENGINE_NO_MEMORY;
}

static int run(phx_engine *engine, phx_run *run)
{
    if (is(engine, "crashes")) {
        fprintf(stderr, "about to fail\n");
        signal(SIGSEGV, SIG_DFL); /* not a sanitizer's */
        raise(SIGSEGV);
    }
    if (is(engine, "exits"))
        _exit(3);
    if (is(engine, "hangs"))
        pause_ms(60000);
    if (is(engine, "is_slow"))
        pause_ms(150);
    if (is(engine, "waits"))
        return wait_for_cancel(engine, run);
    if (is(engine, "fails") || is(engine, "gives_no_reason") || is(engine, "odd_code") ||
        is(engine, "endless_reason"))
        return fail(engine, run);
    if (is(engine, "scribbles"))
        scribble();
    if (is(engine, "is_greedy"))
        return be_greedy(run);
    if (is(engine, "adds"))
        return add(run);
    int code = echo(engine, run);
    if (code == PHX_ENGINE_OK)
        spoil(engine, &run->outputs[0]);
    return code;
}

static void cancel(phx_engine *engine, phx_run *run)
{
    (void)run;
    __atomic_store_n(&engine->cancelled, 1, __ATOMIC_RELAXED);
}

static void destroy(phx_engine *engine)
{
    free(engine);
}

PHX_ENGINE_EXPORT const phx_engine_ops *phx_engine_entry(uint32_t host_abi)
{
    static const phx_engine_ops ops = {.size = sizeof ops,
                                       .abi = PHX_ENGINE_ABI,
                                       .name = "puppet",
                                       .version = "0",
                                       .create = create,
                                       .run = run,
                                       .cancel = cancel,
                                       .destroy = destroy};
    (void)host_abi;
    return &ops;
}
