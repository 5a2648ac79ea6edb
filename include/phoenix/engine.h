/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plug-in engines: what a shared library has to offer so that Phoenix serves models with it.
 *
 * A plug-in is a shared library that exports one function:
 *
 *     PHX_ENGINE_EXPORT const phx_engine_ops *phx_engine_entry(uint32_t host_abi)
 *     {
 *         static const phx_engine_ops ops = {.size = sizeof ops, .abi = PHX_ENGINE_ABI, .name = "rules", .create = ... };
 *         return host_abi >= PHX_ENGINE_ABI ? &ops : NULL;
 *     }
 *
 * and a model that uses it says so in its model.yaml:
 *
 *     engine: {name: plugin, library: rules.so, settings: {limit: 1000}}
 *
 * examples/plugins/rules is a whole one; docs/api/plugins.md tells how to build, place and isolate plug-ins.
 *
 * Concepts
 * - An instance is one model, made by `create` from settings (and mostly a file), used by many runs, ended by `destroy`.
 * - Tensors and their specs are those of phoenix/tensor.h. An input is aligned for its datatype, BYTES excepted.
 *
 * Memory. What the host hands over lives until the function returns, and what the instance says of itself (`specs`) until
 * `destroy`. Outputs are written to memory from `run->alloc`, which the host frees.
 *
 * Threads. `run` is called by any number of threads at once, unless the flag PHX_ENGINE_ONE_AT_A_TIME is set; a run stays on
 * its thread. `cancel` comes from another thread while the run goes on. `destroy` comes when no run is left.
 *
 * Trust. The host checks outputs: names, datatypes, shapes, sizes. It cannot guard against a library that crashes, hangs or writes to
 * memory that is not its own; `isolated: true` gives the plug-in a process of its own for that. Do not throw C++
 * exceptions out of these functions, change signal handlers, or exit the process.
 *
 * Versions. All structs of the host and of the plug-in begin with their size. Later hosts append members and functions and keep the ABI
 * number; read a member only if the size covers it (PHX_ENGINE_HAS). The number changes when something is no longer compatible.
 */
#ifndef PHOENIX_ENGINE_H
#define PHOENIX_ENGINE_H

#include <phoenix/tensor.h>
#include <stddef.h>
#include <stdint.h>

#define PHX_ENGINE_ABI 1u

#if defined(__GNUC__)
#define PHX_ENGINE_EXPORT __attribute__((visibility("default")))
#else
#define PHX_ENGINE_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Does the struct at `object`, which begins with its size, have `member`? */
#define PHX_ENGINE_HAS(object, type, member)                                                       \
    ((object)->size >= offsetof(type, member) + sizeof(((const type *)0)->member))

/* What `create` and `run` return. Others count as PHX_ENGINE_FAILED. The numbers are Phoenix's error codes (docs/api/errors.md). */
enum phx_engine_code {
    PHX_ENGINE_OK = 0,
    PHX_ENGINE_INVALID = 10,     /* the caller's input is wrong */
    PHX_ENGINE_UNSUPPORTED = 15, /* the model needs what this plug-in lacks */
    PHX_ENGINE_DEADLINE = 51,
    PHX_ENGINE_UNAVAILABLE = 52, /* the same may succeed later */
    PHX_ENGINE_CANCELLED = 53,
    PHX_ENGINE_CORRUPT = 70, /* the model's file is damaged */
    PHX_ENGINE_NO_MEMORY = 72,
    PHX_ENGINE_FAILED = 73
};

/* Where a function that fails says why, in one line: `text` has `cap` bytes and is empty beforehand. */
typedef struct phx_error {
    char *text;
    size_t cap;
} phx_error;

enum phx_log_level { PHX_LOG_DEBUG = 1, PHX_LOG_INFO, PHX_LOG_WARN, PHX_LOG_ERROR };

/* One entry of `settings`; of a nested one the key is "outer.inner", of an element of a list "list.0". */
typedef struct phx_setting {
    const char *key, *value;
} phx_setting;

/* What `create` is given. */
typedef struct phx_engine_config {
    uint32_t size; /* of this struct, as the host was compiled */
    uint32_t n_settings;
    const char *model_name; /* for messages */
    const char *path;       /* the model's file; "" where there is none */
    const char *folder;     /* the package's, where files that settings name lie */
    const phx_setting *settings;
    phx_specs declared; /* by model.yaml; none when it does not */
    /* A line for the log. Any thread, and as long as the instance lives. */
    void (*log)(void *log_context, int level, const char *text);
    void *log_context;
} phx_engine_config;

enum phx_run_flags { PHX_RUN_SEQUENCE_START = 1, PHX_RUN_SEQUENCE_END = 2 };

/* One run: what is asked, and where the answer goes. */
typedef struct phx_run {
    uint32_t size;  /* of this struct, as the host was compiled */
    uint32_t flags; /* phx_run_flags */
    const phx_tensor *inputs;
    phx_tensor *outputs; /* names are set, and asked for; `run` fills in the rest */
    uint32_t n_inputs, n_outputs;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */
    uint64_t sequence;    /* id of a sequence; 0 when sequence_text has it, or there is none */
    const char *sequence_text;
    phx_error error;
    /* Memory for an output, aligned to 64 bytes, freed by the host; NULL when there is none. On the run's thread. */
    void *(*alloc)(struct phx_run *run, uint64_t size);
    /* Does nobody wait for this run any more? Long computations ask now and then. Any thread. */
    int (*cancelled)(const struct phx_run *run);
    void *host; /* the host's */
} phx_run;

typedef struct phx_engine phx_engine; /* an instance; the plug-in defines the struct */

enum phx_engine_flags {
    PHX_ENGINE_ONE_AT_A_TIME = 1, /* `run` is not called by two threads at once */
    PHX_ENGINE_BATCHES =
        2, /* the first dimension of every tensor counts rows that do not know of each other */
    PHX_ENGINE_SEQUENCES = 4 /* keeps state between the runs of a sequence */
};

typedef struct phx_engine_ops {
    uint32_t size;       /* sizeof(phx_engine_ops), as the plug-in was compiled */
    uint32_t abi;        /* PHX_ENGINE_ABI */
    uint32_t flags;      /* phx_engine_flags */
    uint32_t reserved;   /* 0 */
    const char *name;    /* of the plug-in */
    const char *version; /* for people; may be NULL */

    /* Makes an instance. On failure `*ret` is not touched and `error` says why. */
    int (*create)(const phx_engine_config *config, phx_engine **ret, phx_error *error);
    /* What the model takes and gives; `*ret` is zeroed beforehand and, where it stays empty, model.yaml's declaration counts. NULL: always. */
    void (*specs)(const phx_engine *engine, phx_specs *ret);
    /* Computes. The inputs have been checked against the specs; every output is one of the specs'. */
    int (*run)(phx_engine *engine, phx_run *run);
    /* Nobody waits for this run any more; it may be ending just now. Returns soon. May be NULL. Not called in an isolated
     * process, whose one thread is inside `run`: there `cancelled` tells. */
    void (*cancel)(phx_engine *engine, phx_run *run);
    void (*destroy)(phx_engine *engine);
} phx_engine_ops;

/* The one exported function. NULL when the plug-in cannot work with a host of that ABI. */
PHX_ENGINE_EXPORT const phx_engine_ops *phx_engine_entry(uint32_t host_abi);

#ifdef __cplusplus
}
#endif

#endif
