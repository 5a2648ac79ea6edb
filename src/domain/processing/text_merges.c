/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short words, nearly all there are, keep the rank of every neighbouring pair in an array on the stack: the least is found
 * by looking at all of them, which for a dozen is faster than any structure. Long words (a line of dashes, a stranger's
 * megabyte) use a heap of pairs over a linked list, n log n. An entry of the heap is stale when its symbols have been
 * joined since; it is recognised because the pair there has another rank now.
 */
#include "domain/processing/text_merges.h"

enum { SHORT_MAX = 48, NO_RANK = UINT32_MAX & 0x7FFFFFFF };

static uint64_t pair_of(uint32_t left, uint32_t right)
{
    return (uint64_t)left << 32 | right;
}

static size_t slot_of(const struct px_text_merges *merges, uint64_t pair)
{
    size_t at = (size_t)((pair * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & merges->mask;
    while (merges->slots[at].pair != pair && merges->slots[at].pair != UINT64_MAX)
        at = (at + 1) & merges->mask;
    return at;
}

enum px_code px_text_merges_init(struct px_text_merges *merges, size_t n_max,
                                 struct px_arena *arena, struct px_err *err)
{
    size_t n_slots = 16;
    if (n_max > PX_TEXT_VOCABULARY_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "%zu merges; at most %d", n_max,
                          PX_TEXT_VOCABULARY_MAX);
    while (n_slots < n_max * 2 + 2)
        n_slots *= 2;
    *merges = (struct px_text_merges){
        .slots = px_arena_alloc(arena, n_slots, sizeof *merges->slots), .mask = n_slots - 1};
    for (size_t i = 0; merges->slots && i < n_slots; i++)
        merges->slots[i] = (struct px_text_pair_slot){UINT64_MAX, NO_RANK, 0};
    return px_arena_check(arena, "merges", err);
}

void px_text_merges_add(struct px_text_merges *merges, uint32_t left, uint32_t right, uint32_t id)
{
    uint64_t pair = pair_of(left, right);
    PX_ASSERT(merges->n * 2 < merges->mask + 1);
    merges->slots[slot_of(merges, pair)] =
        (struct px_text_pair_slot){pair, (uint32_t)merges->n++, id};
}

/* A free slot has NO_RANK. */
static const struct px_text_pair_slot *find(const struct px_text_merges *merges, uint32_t left,
                                            uint32_t right)
{
    return &merges->slots[slot_of(merges, pair_of(left, right))];
}

static size_t apply_short(const struct px_text_merges *merges, uint32_t *symbols, size_t n)
{
    uint32_t ranks[SHORT_MAX], ids[SHORT_MAX];
    for (size_t i = 0; i + 1 < n; i++) {
        const struct px_text_pair_slot *slot = find(merges, symbols[i], symbols[i + 1]);
        ranks[i] = slot->rank;
        ids[i] = slot->id;
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            best = ranks[i] < ranks[best] ? i : best;
        if (ranks[best] == NO_RANK)
            break;
        symbols[best] = ids[best];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            symbols[i] = symbols[i + 1];
            ranks[i - 1] = ranks[i];
            ids[i - 1] = ids[i];
        }
        for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++) {
            const struct px_text_pair_slot *slot = find(merges, symbols[i], symbols[i + 1]);
            ranks[i] = slot->rank;
            ids[i] = slot->id;
        }
    }
    return n;
}

/* A word as a list: `next` and `before` are places, n at the end. A joined symbol has no place. */
struct link {
    uint32_t id, next, before, alive;
};

struct candidate {
    uint32_t rank, place;
};

struct heap {
    struct candidate *items;
    size_t n;
};

static bool is_before(struct candidate a, struct candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.place < b.place;
}

static void push(struct heap *heap, struct candidate item)
{
    size_t at = heap->n++;
    for (; at > 0 && is_before(item, heap->items[(at - 1) / 2]); at = (at - 1) / 2)
        heap->items[at] = heap->items[(at - 1) / 2];
    heap->items[at] = item;
}

static struct candidate pop(struct heap *heap)
{
    struct candidate top = heap->items[0], last = heap->items[--heap->n];
    size_t at = 0;
    for (size_t child = 1; child < heap->n; child = at * 2 + 1) {
        if (child + 1 < heap->n && is_before(heap->items[child + 1], heap->items[child]))
            child++;
        if (!is_before(heap->items[child], last))
            break;
        heap->items[at] = heap->items[child];
        at = child;
    }
    heap->items[at] = last;
    return top;
}

static void push_pair(const struct px_text_merges *merges, const struct link *links, size_t n,
                      uint32_t place, struct heap *heap)
{
    uint32_t next = place < n ? links[place].next : (uint32_t)n;
    if (next >= n)
        return;
    uint32_t rank = find(merges, links[place].id, links[next].id)->rank;
    if (rank != NO_RANK)
        push(heap, (struct candidate){rank, place});
}

/* Joins the symbol at `place` with the next one. */
static void join(struct link *links, size_t n, uint32_t place, uint32_t id)
{
    uint32_t gone = links[place].next, next = links[gone].next;
    links[place].id = id;
    links[place].next = next;
    links[gone].alive = false;
    if (next < n)
        links[next].before = place;
}

static size_t apply_long(const struct px_text_merges *merges, uint32_t *symbols, size_t n,
                         struct link *links, struct heap *heap)
{
    size_t n_left = 0;
    for (uint32_t i = 0; i < n; i++)
        links[i] = (struct link){symbols[i], i + 1, i ? i - 1 : (uint32_t)n, true};
    for (uint32_t i = 0; i < n; i++)
        push_pair(merges, links, n, i, heap);
    while (heap->n) {
        struct candidate top = pop(heap);
        uint32_t next = links[top.place].next;
        if (!links[top.place].alive || next >= n)
            continue;
        const struct px_text_pair_slot *slot = find(merges, links[top.place].id, links[next].id);
        if (slot->rank != top.rank)
            continue;
        join(links, n, top.place, slot->id);
        push_pair(merges, links, n, links[top.place].before, heap);
        push_pair(merges, links, n, top.place, heap);
    }
    for (uint32_t i = 0; i < n; i = links[i].next)
        symbols[n_left++] = links[i].id;
    return n_left;
}

size_t px_text_merges_apply(const struct px_text_merges *merges, uint32_t *symbols, size_t n,
                            struct px_text_scratch *scratch, struct px_arena *arena)
{
    if (n <= SHORT_MAX)
        return apply_short(merges, symbols, n);
    /* At first a pair for each symbol, then two for each join, of which there are fewer than symbols. */
    struct link *links =
        px_text_scratch(scratch, n, sizeof(struct link) + 3 * sizeof(struct candidate), arena);
    if (!links)
        return 0;
    struct heap heap = {(struct candidate *)(links + n), 0};
    return apply_long(merges, symbols, n, links, &heap);
}
