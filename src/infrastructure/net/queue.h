/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to infrastructure/net: objects of one loop in a row, each at most once. A node is embedded in its object, so queueing
 * takes no memory and cannot fail.
 */
#ifndef PX_INFRASTRUCTURE_NET_QUEUE_H
#define PX_INFRASTRUCTURE_NET_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct px_queue_node {
    struct px_queue_node *next;
    bool is_queued;
};

struct px_queue {
    struct px_queue_node *first, *last;
    size_t n;
};

/* At the end, unless it is in the queue. */
static inline void px_queue_add(struct px_queue *queue, struct px_queue_node *node)
{
    if (node->is_queued)
        return;
    *node = (struct px_queue_node){.is_queued = true};
    if (queue->last)
        queue->last->next = node;
    else
        queue->first = node;
    queue->last = node;
    queue->n++;
}

/* The first, which is in the queue no longer; NULL when it is empty. */
static inline struct px_queue_node *px_queue_pop(struct px_queue *queue)
{
    struct px_queue_node *first = queue->first;
    if (!first)
        return NULL;
    queue->first = first->next;
    if (!queue->first)
        queue->last = NULL;
    queue->n--;
    first->is_queued = false;
    return first;
}

/* From anywhere in the queue, if it is there; walks to it. */
static inline void px_queue_remove(struct px_queue *queue, struct px_queue_node *node)
{
    struct px_queue_node *before = NULL;
    if (!node->is_queued)
        return;
    for (struct px_queue_node *at = queue->first; at != node; at = at->next)
        before = at;
    if (before)
        before->next = node->next;
    else
        queue->first = node->next;
    if (queue->last == node)
        queue->last = before;
    queue->n--;
    node->is_queued = false;
}

#endif
