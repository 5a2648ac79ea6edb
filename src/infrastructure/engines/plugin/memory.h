/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for the outputs of a run: small ones in the run's arena, large ones in blocks that px_run_release frees. Private to
 * this folder. Threads: the run's.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_MEMORY_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_MEMORY_H

#include "application/ports/engine_run.h"

enum {
    PX_PLUGIN_OUTPUTS_MAX = 1 << 30, /* bytes of all outputs of a run */
    PX_PLUGIN_ARENA_PART = 1 << 14,  /* outputs up to this size go to the arena */
    PX_PLUGIN_ALIGNMENT = 64,
};

/* `size` bytes, aligned to PX_PLUGIN_ALIGNMENT, that live until px_run_release; NULL when there are none. */
void *px_plugin_memory(struct px_run *run, size_t size);

/* Does [data, data + size) lie in one piece of memory that px_plugin_memory gave out? */
bool px_plugin_memory_holds(const struct px_run *run, const void *data, size_t size);

#endif
