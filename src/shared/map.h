/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash map from text to a number (usually an index into an array of the caller's).
 *
 * Open addressing with linear probing, keys hashed with a per-process seed so that a stranger cannot
 * choose colliding names. Keys are borrowed: their bytes must outlive the map. Look-ups allocate
 * nothing and may run on any number of threads while nobody writes.
 */
#ifndef PX_SHARED_MAP_H
#define PX_SHARED_MAP_H

#include "shared/err.h"
#include "shared/str.h"

struct px_map_slot;

struct px_map {
    size_t len;
    /* private */
    struct px_map_slot *slots;
    size_t mask;
};

void px_map_deinit(struct px_map *map);

/* Room for `n` keys in all without further allocation. */
PX_MUST_USE enum px_code px_map_reserve(struct px_map *map, size_t n, struct px_err *err);

/* Adds or replaces. PX_E_NO_MEMORY when short. */
PX_MUST_USE enum px_code px_map_put(struct px_map *map, struct px_str key, size_t value,
                                    struct px_err *err);

/* True and the value when the key is there. */
bool px_map_get(const struct px_map *map, struct px_str key, size_t *ret_value);

#endif
