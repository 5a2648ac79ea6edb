/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: phoenix.yaml as a typed struct, and the reference of its keys. All from config.def.
 *
 * Precedence: command-line option, then environment, then file, then default (application/config/sources.h). An unknown key is an error with the nearest
 * match; a bad value says what was expected, what came and the line. Code that runs sees only the struct.
 */
#ifndef PX_APPLICATION_CONFIG_CONFIG_H
#define PX_APPLICATION_CONFIG_CONFIG_H

#include "shared/arena.h"
#include "shared/buf.h"

#define PX_CONFIG_STR  struct px_str
#define PX_CONFIG_INT  int64_t
#define PX_CONFIG_BOOL bool

/* Where a value came from; the later one is the stronger. */
enum px_config_origin {
    PX_CONFIG_DEFAULT = 0,
    PX_CONFIG_FILE,
    PX_CONFIG_ENVIRONMENT,
    PX_CONFIG_OPTION, /* of the command line */
};
const char *px_config_origin_name(enum px_config_origin origin); /* "default", "file", ... */

/* The keys by number, in file order. */
enum {
#define PX_SECTION(name, help)
#define PX_KEY(section, field, type, def, min, max, unit, help) PX_CONFIG_AT_##section##_##field,
#define PX_LIVE_KEY                                             PX_KEY
#include "application/config/config.def"
#undef PX_SECTION
#undef PX_KEY
#undef PX_LIVE_KEY
    PX_CONFIG_KEYS
};

/* One flat field per key: config.server_port, config.log_level, ... */
struct px_config {
#define PX_SECTION(name, help)
#define PX_KEY(section, field, type, def, min, max, unit, help) PX_CONFIG_##type section##_##field;
#define PX_LIVE_KEY                                             PX_KEY
#include "application/config/config.def"
#undef PX_SECTION
#undef PX_KEY
#undef PX_LIVE_KEY
    unsigned char origins[PX_CONFIG_KEYS]; /* enum px_config_origin */
};

struct px_config_key {
    const char *name; /* "server.port" */
    const char *type; /* "text", "integer", "true|false" */
    const char *def, *unit, *help;
    int64_t min, max;
    bool is_live; /* a running server takes a new value over */
};

/* Every default. */
void px_config_init(struct px_config *config);

/* Overlays a file's text; strings live in `arena`. */
PX_MUST_USE enum px_code px_config_parse(struct px_config *config, struct px_str yaml,
                                         struct px_arena *arena, struct px_err *err);

/* Sets one key ("server.port") from text, with the same checks; the text must outlive the config. */
PX_MUST_USE enum px_code px_config_set(struct px_config *config, enum px_config_origin origin,
                                       struct px_str name, struct px_str value, struct px_err *err);

/* What a key holds, as text; "(hidden)" for a secret that is set. */
void px_config_write_value(const struct px_config *config, size_t key, struct px_buf *out);
/* Do both hold the same there? */
bool px_config_is_same(const struct px_config *a, const struct px_config *b, size_t key);

const struct px_config_key *px_config_keys(size_t *ret_n);
/* The row of a key, or NULL and an error with the nearest match. */
const struct px_config_key *px_config_find(struct px_str name, struct px_err *err);

/* The reference: as a commented phoenix.yaml with every default, and as Markdown for the docs. */
void px_config_write_yaml(struct px_buf *out);
void px_config_write_markdown(struct px_buf *out);

#endif
