/* SPDX-License-Identifier: Apache-2.0 */
/* The child process of an isolated shared library: this program, started with PX_PLUGIN_WORKER_ARGUMENT. */
#ifndef PX_INFRASTRUCTURE_ENGINES_PLUGIN_WORKER_H
#define PX_INFRASTRUCTURE_ENGINES_PLUGIN_WORKER_H

#include <stdbool.h>

#define PX_PLUGIN_WORKER_ARGUMENT "--plugin-worker"

/* Was this process started as the child? Every main() whose program opens isolated plug-ins asks first. */
bool px_plugin_is_worker(int argc, char **argv);

/* The child's main; returns an exit status. */
int px_plugin_worker_main(void);

#endif
