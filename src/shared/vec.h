/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A typed vector by macro: struct { T *items; size_t len, cap; }.
 *
 *     PX_VEC(struct px_tree) trees = {0};
 *     struct px_tree *tree = px_vec_push(&trees);      // NULL when memory is short; not zeroed
 *     px_vec_free(&trees);
 *
 * The element's address is valid until the next push. A zeroed vector is empty.
 */
#ifndef PX_SHARED_VEC_H
#define PX_SHARED_VEC_H

#include "shared/alloc.h"

#include <stdbool.h>
#include <string.h>

#define PX_VEC(type)                                                                               \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t len, cap;                                                                           \
    }

/* Room for `n` elements in all; false when memory is short. */
#define px_vec_reserve(vec, n) px_vec_grow(&(vec)->items, &(vec)->cap, (n), sizeof *(vec)->items)

/* Adds one element at the end and returns its address, or NULL. */
#define px_vec_push(vec) (px_vec_reserve(vec, (vec)->len + 1) ? &(vec)->items[(vec)->len++] : NULL)

#define px_vec_foreach(item, vec)                                                                  \
    for ((item) = (vec)->items; (item) && (item) < (vec)->items + (vec)->len; (item)++)

#define px_vec_free(vec)                                                                           \
    do {                                                                                           \
        px_free((vec)->items);                                                                     \
        (vec)->items = NULL;                                                                       \
        (vec)->len = (vec)->cap = 0;                                                               \
    } while (0)

/* `items` points to a T *. It is copied as bytes: to access it as a void * would break aliasing. */
static inline bool px_vec_grow(void *items, size_t *cap, size_t need, size_t size)
{
    if (PX_LIKELY(need <= *cap))
        return true;
    size_t wanted = *cap ? *cap * 2 : 8;
    if (wanted < need)
        wanted = need;
    void *old;
    memcpy(&old, items, sizeof old);
    void *grown = px_realloc(old, wanted, size);
    if (!grown)
        return false;
    memcpy(items, &grown, sizeof grown);
    *cap = wanted;
    return true;
}

#endif
