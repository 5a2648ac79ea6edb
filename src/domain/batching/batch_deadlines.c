/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of deadlines: a pairing heap (Fredman, Sedgewick, Sleator, Tarjan, 1986), linked through the items.
 *
 * An item points to its first child and its next sibling; `back` is the previous sibling, or for a first child its parent, so
 * that an item can be cut out wherever it is. Adding takes a moment, removing log n amortized. Chosen over an array heap because it
 * needs no memory of its own, and over a timer wheel because deadlines are exact.
 */
#include "domain/batching/batch_queue_private.h"

/* Both are roots. Of equals the first stays above. */
static struct px_batch_item *meld(struct px_batch_item *a, struct px_batch_item *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->in.late_ns < a->in.late_ns) {
        struct px_batch_item *swap = a;
        a = b;
        b = swap;
    }
    b->in.sibling = a->in.child;
    if (b->in.sibling)
        b->in.sibling->in.back = b;
    b->in.back = a;
    a->in.child = b;
    a->in.sibling = a->in.back = NULL;
    return a;
}

/* One heap of siblings: pairs from left to right, then all of these from right to left. */
static struct px_batch_item *meld_siblings(struct px_batch_item *first)
{
    struct px_batch_item *pairs = NULL, *root = NULL;
    while (first) {
        struct px_batch_item *second = first->in.sibling;
        struct px_batch_item *rest = second ? second->in.sibling : NULL;
        first->in.sibling = first->in.back = NULL;
        if (second)
            second->in.sibling = second->in.back = NULL;
        struct px_batch_item *pair = meld(first, second);
        pair->in.sibling = pairs;
        pairs = pair;
        first = rest;
    }
    while (pairs) {
        struct px_batch_item *rest = pairs->in.sibling;
        pairs->in.sibling = NULL;
        root = meld(pairs, root);
        pairs = rest;
    }
    return root;
}

void px_batch_deadlines_add(struct px_batch_queue *queue, struct px_batch_item *item)
{
    item->in.child = item->in.sibling = item->in.back = NULL;
    if (item->in.late_ns != PX_BATCH_NEVER)
        queue->soonest = meld(queue->soonest, item);
}

static void cut(struct px_batch_item *item)
{
    struct px_batch_item *back = item->in.back;
    if (back->in.child == item)
        back->in.child = item->in.sibling;
    else
        back->in.sibling = item->in.sibling;
    if (item->in.sibling)
        item->in.sibling->in.back = back;
}

void px_batch_deadlines_remove(struct px_batch_queue *queue, struct px_batch_item *item)
{
    if (item->in.late_ns == PX_BATCH_NEVER)
        return;
    struct px_batch_item *children = meld_siblings(item->in.child);
    if (queue->soonest == item) {
        queue->soonest = children;
    } else {
        cut(item);
        queue->soonest = meld(queue->soonest, children);
    }
    item->in.child = item->in.sibling = item->in.back = NULL;
}
