/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vocabulary: tokens and their numbers, immutable once built.
 *
 * A flat table with linear probing, at most half full; hashes lie apart from lengths, keys and numbers, so that most probes end
 * in a table that stays in the cache. The hash is a polynomial that is continued byte by byte: the hashes of all beginnings of a word cost no
 * more than the hash of the word. It needs no seed: how far a look-up may probe is fixed by the vocabulary, not by
 * what a stranger looks up.
 *
 * Lives in the arena it was created with; keys are borrowed. Threads: any, once built.
 */
#ifndef PX_DOMAIN_PROCESSING_TEXT_VOCABULARY_H
#define PX_DOMAIN_PROCESSING_TEXT_VOCABULARY_H

#include "shared/arena.h"

enum {
    PX_TEXT_VOCABULARY_MAX = 1 << 21, /* tokens */
    PX_TEXT_TOKEN_BYTES_MAX = 1 << 16,
    PX_TEXT_ID_NONE = -1,
    PX_TEXT_HASH_FREE = 0, /* no key has it */
};

struct px_text_vocabulary_slot {
    uint32_t len; /* 0: a free slot; the empty text is never a key */
    const char *key;
    int64_t id;
};

struct px_text_vocabulary {
    uint32_t *hashes; /* of the slots, by themselves: most probes of a long word find nothing */
    struct px_text_vocabulary_slot *slots;
    size_t mask, n;
    size_t len_max;  /* of the longest key, in bytes */
    int64_t id_most; /* PX_TEXT_ID_NONE without keys */
};

/* Room for `n_max` keys. PX_E_TOO_LARGE, PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_text_vocabulary_init(struct px_text_vocabulary *vocabulary,
                                                 size_t n_max, struct px_arena *arena,
                                                 struct px_err *err);

/* Adds, or replaces the number. The empty key is passed over; PX_E_TOO_LARGE for one of more than PX_TEXT_TOKEN_BYTES_MAX. */
PX_MUST_USE enum px_code px_text_vocabulary_put(struct px_text_vocabulary *vocabulary,
                                                struct px_str key, int64_t id, struct px_err *err);

static inline uint64_t px_text_hash_byte(uint64_t state, unsigned char byte)
{
    return (state ^ byte) * UINT64_C(0x9E3779B97F4A7C15);
}

static inline uint32_t px_text_hash_end(uint64_t state)
{
    uint32_t hash = (uint32_t)(state >> 32);
    return hash == PX_TEXT_HASH_FREE ? 1 : hash;
}

/* PX_TEXT_ID_NONE when it is not there. `hash` is px_text_hash_end of all bytes from the state 0. */
static inline int64_t px_text_vocabulary_get(const struct px_text_vocabulary *vocabulary,
                                             uint32_t hash, const char *key, size_t len)
{
    for (size_t at = hash & vocabulary->mask;; at = (at + 1) & vocabulary->mask) {
        uint32_t found = vocabulary->hashes[at];
        const struct px_text_vocabulary_slot *slot = &vocabulary->slots[at];
        if (found == hash && slot->len == len && memcmp(slot->key, key, len) == 0)
            return slot->id;
        if (found == PX_TEXT_HASH_FREE)
            return PX_TEXT_ID_NONE;
    }
}

static inline int64_t px_text_vocabulary_find(const struct px_text_vocabulary *vocabulary,
                                              struct px_str key)
{
    uint64_t state = 0;
    for (size_t i = 0; i < key.len; i++)
        state = px_text_hash_byte(state, (unsigned char)key.ptr[i]);
    return px_text_vocabulary_get(vocabulary, px_text_hash_end(state), key.ptr, key.len);
}

/*
 * A file of one token a line; the number of a token is that of its line, from 0; empty lines count. CR LF is a line's end
 * too. PX_E_INVALID for a file without tokens, or with one twice: only one of its numbers could be given.
 */
PX_MUST_USE enum px_code px_text_vocabulary_read(struct px_text_vocabulary *vocabulary,
                                                 struct px_str file, struct px_arena *arena,
                                                 struct px_err *err);

#endif
