/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML 1.1 as configuration files use it, read by libyaml into a small tree.
 *
 * Mappings, sequences and scalars; every node knows its line and column, so that a bad value can be
 * pointed at. Anchors, aliases, tags, duplicate keys and more than one document are refused by name:
 * a configuration should read the same to everybody. Nodes live in the caller's arena.
 */
#ifndef PX_SHARED_YAML_H
#define PX_SHARED_YAML_H

#include "shared/arena.h"
#include "shared/buf.h"

enum px_yaml_type { PX_YAML_SCALAR = 1, PX_YAML_SEQUENCE, PX_YAML_MAPPING };

struct px_yaml {
    enum px_yaml_type type;
    unsigned line, column;         /* 1-based */
    unsigned key_line, key_column; /* of the key, of a mapping's entry; else 0 */
    struct px_str key;             /* of a mapping's entry; {NULL, 0} elsewhere */
    struct px_str text;            /* of a scalar */
    bool quoted; /* a quoted scalar is a string even when it looks like a number */
    size_t n_children;
    const struct px_yaml *first_child; /* linked in file order */
    const struct px_yaml *next;
};

enum {
    PX_YAML_DEPTH_MAX = 32,
    PX_YAML_NODES_MAX = 1 << 20,
};

/*
 * Parses `text`; an empty document gives an empty mapping. PX_E_INVALID names line and column;
 * PX_E_TOO_LARGE when the arena is full, PX_E_NO_MEMORY.
 */
PX_MUST_USE enum px_code px_yaml_parse(struct px_str text, struct px_arena *arena,
                                       const struct px_yaml **ret_root, struct px_err *err);

/* The value of `key` in a mapping, or NULL. */
const struct px_yaml *px_yaml_get(const struct px_yaml *mapping, const char *key);

/*
 * Typed reads of a scalar; PX_E_INVALID says what was expected, what came, and the line. `node` may be
 * NULL (a missing key): that is PX_E_INVALID too. px_yaml_str takes every scalar but
 * null as it is written; a number must not be quoted.
 */
PX_MUST_USE enum px_code px_yaml_str(const struct px_yaml *node, struct px_str *ret,
                                     struct px_err *err);
PX_MUST_USE enum px_code px_yaml_i64(const struct px_yaml *node, int64_t *ret, struct px_err *err);
/* Is it an unquoted null, ~ or empty scalar? `node` may be NULL: no. */
bool px_yaml_is_null(const struct px_yaml *node);

/* PX_E_UNKNOWN_OPTION for the first key of `mapping` that is not in `known`, with the nearest match. */
PX_MUST_USE enum px_code px_yaml_only(const struct px_yaml *mapping, const struct px_str *known,
                                      size_t n_known, struct px_err *err);

/* Appends text as a scalar, in quotes where plain it would not read back as this text. One line always. */
void px_yaml_put(struct px_buf *buf, struct px_str scalar);

#endif
