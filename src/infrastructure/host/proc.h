/* SPDX-License-Identifier: Apache-2.0 */
/* Private to this folder: small files that the kernel makes up when they are read. */
#ifndef PX_INFRASTRUCTURE_HOST_PROC_H
#define PX_INFRASTRUCTURE_HOST_PROC_H

#include "shared/str.h"

/* The text of a file, as much as fits, ended by a zero; empty when it cannot be read. */
struct px_str px_proc_read(const char *path, char *memory, size_t size);

#endif
