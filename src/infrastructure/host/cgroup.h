/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory limit of the control group that the process is in: version 2, or version 1 where that counts memory.
 *
 * A group is limited by its ancestors as well; the tightest is told: the one with the least left. What counts against it is what the
 * kernel would not give back by itself, so file pages that nobody has touched for long (inactive_file) are taken off, as
 * kubelet does.
 */
#ifndef PX_INFRASTRUCTURE_HOST_CGROUP_H
#define PX_INFRASTRUCTURE_HOST_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

struct px_cgroup_memory {
    uint64_t used, max;
    const char *limit; /* "cgroup memory.max" */
};

/*
 * False when no group limits memory. `proc` is the text of /proc/self/cgroup; `root` is where the groups are mounted ("/sys/fs/cgroup").
 * Inside a container the path that the kernel tells may not be visible; the root stands for the own group then.
 */
bool px_cgroup_memory(const char *proc, const char *root, struct px_cgroup_memory *ret);

#endif
