/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: phoenix.yaml as a typed struct, and the reference of its keys. All from config.def.
 *
 * Precedence: command-line option, then file, then default. An unknown key is an error with the nearest
 * match; a bad value says what was expected, what came and the line. Code that runs sees only the struct.
 */
#ifndef PX_APPLICATION_CONFIG_CONFIG_H
#define PX_APPLICATION_CONFIG_CONFIG_H

#include "shared/arena.h"
#include "shared/buf.h"

#define PX_CONFIG_STR  struct px_str
#define PX_CONFIG_INT  int64_t
#define PX_CONFIG_BOOL bool

/* One flat field per key: config.server_port, config.log_level, ... */
struct px_config {
#define PX_SECTION(name, help)
#define PX_KEY(section, field, type, def, min, max, unit, help) PX_CONFIG_##type section##_##field;
#include "application/config/config.def"
#undef PX_SECTION
#undef PX_KEY
};

struct px_config_key {
    const char *name; /* "server.port" */
    const char *type; /* "text", "integer", "true|false" */
    const char *def, *unit, *help;
    int64_t min, max;
};

/* Every default. */
void px_config_init(struct px_config *config);

/* Overlays a file's text; strings live in `arena`. */
PX_MUST_USE enum px_code px_config_parse(struct px_config *config, struct px_str yaml,
                                         struct px_arena *arena, struct px_err *err);

/* Sets one key ("server.port") from text, with the same checks; the text must outlive the config. */
PX_MUST_USE enum px_code px_config_set(struct px_config *config, struct px_str name,
                                       struct px_str value, struct px_err *err);

const struct px_config_key *px_config_keys(size_t *ret_n);
/* The row of a key, or NULL and an error with the nearest match. */
const struct px_config_key *px_config_find(struct px_str name, struct px_err *err);

/* The reference: as a commented phoenix.yaml with every default, and as Markdown for the docs. */
void px_config_write_yaml(struct px_buf *out);
void px_config_write_markdown(struct px_buf *out);

#endif
