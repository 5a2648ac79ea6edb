/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory the process has taken from its allocator, and giving back what it does not need any more. Threads: any. */
#ifndef PX_APPLICATION_RESIDENCY_MEMORY_USE_H
#define PX_APPLICATION_RESIDENCY_MEMORY_USE_H

#include <stdint.h>

/* Bytes in use, of every part of the process, libraries included. Takes microseconds. */
uint64_t px_memory_in_use(void);

/* Returns free memory to the system. May take milliseconds. */
void px_memory_give_back(void);

/*
 * Large blocks are mappings of their own from now on, so that each goes back to the system when it is freed; by itself the allocator
 * would begin to keep them. Once, in a process whose models come and go.
 */
void px_memory_prefer_mappings(void);

/* Bytes of a file, or of the files of a folder (not below it); 0 when it cannot be read. */
uint64_t px_memory_on_disk(const char *path);

#endif
