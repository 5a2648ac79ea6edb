/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a server's settings come from: a file, and values that are stronger than it. Kept as long as the server runs, so
 * that reading them again gives what starting again would give.
 *
 * Ownership: the texts are borrowed; a file's are copied into the arena that is given. Threads: any, one at a time.
 */
#ifndef PX_APPLICATION_CONFIG_SOURCES_H
#define PX_APPLICATION_CONFIG_SOURCES_H

#include "application/config/config.h"

enum {
    PX_CONFIG_FILE_MAX = 1 << 20,
    PX_CONFIG_MEMORY_MAX = 4 << 20, /* of the texts of a file */
    PX_CONFIG_OVERRIDES_MAX = 32,
};

/* One value that does not come from the file. */
struct px_config_override {
    enum px_config_origin origin;
    const char *key;
    struct px_str value;
    const char *said_by; /* "--port", "AIP_HTTP_PORT": what an error blames */
};

struct px_config_sources {
    const char *path;                                             /* NULL: no file */
    struct px_config_override overrides[PX_CONFIG_OVERRIDES_MAX]; /* the last of a key holds */
    size_t n_overrides;
};

void px_config_sources_add(struct px_config_sources *sources, struct px_config_override override);

/*
 * Defaults, then the file, then the overrides; server.threads 0 becomes the number of cores. Texts live in `arena`, or
 * where the overrides have them. An error names the file or who said the value.
 */
PX_MUST_USE enum px_code px_config_read(const struct px_config_sources *sources,
                                        struct px_config *config, struct px_arena *arena,
                                        struct px_err *err);

#endif
