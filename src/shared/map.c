/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/map.h"

#include "shared/alloc.h"
#include "shared/hash.h"

enum { FIRST_SLOTS = 16 };

struct px_map_slot {
    struct px_str key; /* key.ptr == NULL marks a free slot */
    uint64_t hash;
    size_t value;
};

void px_map_deinit(struct px_map *map)
{
    px_free(map->slots);
    *map = (struct px_map){0};
}

/* The slot that holds `key`, or the free one where it belongs. The table is never full. */
static struct px_map_slot *find_slot(struct px_map_slot *slots, size_t mask, struct px_str key,
                                     uint64_t hash)
{
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct px_map_slot *slot = &slots[i];
        if (!slot->key.ptr || (slot->hash == hash && px_str_eq(slot->key, key)))
            return slot;
    }
}

static enum px_code resize(struct px_map *map, size_t n_slots, struct px_err *err)
{
    struct px_map_slot *slots = px_alloc(n_slots, sizeof *slots);
    if (!slots)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a map of %zu slots", n_slots);
    for (size_t i = 0; map->slots && i <= map->mask; i++) {
        struct px_map_slot *old = &map->slots[i];
        if (old->key.ptr)
            *find_slot(slots, n_slots - 1, old->key, old->hash) = *old;
    }
    px_free(map->slots);
    map->slots = slots;
    map->mask = n_slots - 1;
    return PX_OK;
}

enum px_code px_map_reserve(struct px_map *map, size_t n, struct px_err *err)
{
    size_t n_slots = map->slots ? map->mask + 1 : FIRST_SLOTS;
    if (n > SIZE_MAX / 4)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a map of %zu keys", n);
    while (n_slots / 4 * 3 < n)
        n_slots *= 2;
    if (map->slots && n_slots == map->mask + 1)
        return PX_OK;
    return resize(map, n_slots, err);
}

enum px_code px_map_put(struct px_map *map, struct px_str key, size_t value, struct px_err *err)
{
    enum px_code code = px_map_reserve(map, map->len + 1, err);
    if (code != PX_OK)
        return code;
    if (!key.ptr)
        key.ptr = "";
    uint64_t hash = px_hash(key.ptr, key.len);
    struct px_map_slot *slot = find_slot(map->slots, map->mask, key, hash);
    if (!slot->key.ptr)
        map->len++;
    *slot = (struct px_map_slot){key, hash, value};
    return PX_OK;
}

bool px_map_get(const struct px_map *map, struct px_str key, size_t *ret_value)
{
    if (map->len == 0)
        return false;
    uint64_t hash = px_hash(key.ptr, key.len);
    const struct px_map_slot *slot = find_slot(map->slots, map->mask, key, hash);
    if (!slot->key.ptr)
        return false;
    *ret_value = slot->value;
    return true;
}
