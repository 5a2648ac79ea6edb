/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance of a plug-in in this process, in the words of its ABI: for the engine that calls it directly, and for the child process
 * that calls it for others. Private to this folder.
 *
 * Threads: `run` any, one at a time where the plug-in asks for that; create and destroy one.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_INSTANCE_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_INSTANCE_H

#include "application/ports/engine.h"
#include "infrastructure/engines/plugin/library.h"
#include "shared/arena.h"

#include <pthread.h>

enum { PX_PLUGIN_NAME_MAX = 512, PX_PLUGIN_ERROR_MAX = 256 };

/* What an instance is made of; texts end with NUL. */
struct px_plugin_load {
    const char *model_name, *path, *folder;
    const phx_setting *settings;
    size_t n_settings;
    struct px_tensor_specs takes, gives; /* as model.yaml declares them */
    void (*log)(void *context, int level, const char *text);
    void *log_context;
};

struct px_plugin_instance {
    const phx_engine_ops *ops;
    phx_engine *engine;
    struct px_tensor_specs takes, gives; /* names end with NUL */
    pthread_mutex_t one_at_a_time;
};

/* `arena` holds the specs and outlives the instance. */
PX_MUST_USE enum px_code px_plugin_instance_create(const struct px_plugin_library *library,
                                                   const struct px_plugin_load *load,
                                                   struct px_arena *arena,
                                                   struct px_plugin_instance *ret,
                                                   struct px_err *err);
void px_plugin_instance_destroy(struct px_plugin_instance *instance); /* a zeroed one is fine */

/* Calls the plug-in. What it returned becomes an error with its text; the outputs are not looked at. */
PX_MUST_USE enum px_code px_plugin_instance_run(struct px_plugin_instance *instance, phx_run *run,
                                                struct px_err *err);

/* The code that a plug-in's number stands for; PX_E_INTERNAL for numbers that it may not return. */
enum px_code px_plugin_code(int code);

/* Specs of a plug-in as the host's, checked and copied. PX_E_INVALID names the tensor. */
PX_MUST_USE enum px_code px_plugin_specs_take(const phx_tensor_spec *list, size_t n,
                                              const char *what, struct px_arena *arena,
                                              struct px_tensor_specs *ret, struct px_err *err);

/* The other direction; NULL without memory. */
const phx_tensor_spec *px_plugin_specs_give(const struct px_tensor_specs *specs,
                                            struct px_arena *arena);

/* The shape of an output as a tensor's; false when a dimension is negative or there are too many. */
bool px_plugin_shape_take(uint32_t n_dims, const int64_t *dims, struct px_tensor *ret);

#endif
