/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte-pair encoding: the numbers of a word, by the merges that were learnt.
 *
 * The word starts as its bytes; of all neighbours that a merge knows, the one learnt first is joined (the leftmost of
 * equal ones), until none is left. Immutable once built, in an arena; threads: any.
 */
#ifndef PX_DOMAIN_PROCESSING_TEXT_MERGES_H
#define PX_DOMAIN_PROCESSING_TEXT_MERGES_H

#include "domain/processing/text_tokenizer.h"

struct px_text_pair_slot {
    uint64_t pair; /* left and right number; UINT64_MAX: free */
    uint32_t rank, id;
};

struct px_text_merges {
    struct px_text_pair_slot *slots;
    size_t mask;
    uint64_t n;
};

/* Room for `n_max` merges. */
PX_MUST_USE enum px_code px_text_merges_init(struct px_text_merges *merges, size_t n_max,
                                             struct px_arena *arena, struct px_err *err);

/* The next merge: later ones come after all earlier ones. The last one of a pair counts. */
void px_text_merges_add(struct px_text_merges *merges, uint32_t left, uint32_t right, uint32_t id);

/*
 * Joins the `n` symbols of a word in place and returns how many are left. Long words take memory from the scratch; 0 when there is
 * none (`n` is above 0).
 */
size_t px_text_merges_apply(const struct px_text_merges *merges, uint32_t *symbols, size_t n,
                            struct px_text_scratch *scratch, struct px_arena *arena);

#endif
