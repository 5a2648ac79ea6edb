/* SPDX-License-Identifier: Apache-2.0 */
#include "application/graph/graph_cost.h"

#include <stdatomic.h>

enum { ROW_UNITS = 64, GUESS_NS_PER_UNIT = 16 };

/* Both fade with every run; their ratio is what a unit takes. One word, so that it is read and written at once. */
struct sums {
    float ns, units;
};
_Static_assert(sizeof(struct sums) == sizeof(uint64_t), "sums are one word");

static struct sums load(const struct px_graph_cost *cost)
{
    uint64_t word = atomic_load_explicit(&cost->sums, memory_order_relaxed);
    struct sums sums;
    memcpy(&sums, &word, sizeof sums);
    return sums;
}

size_t px_graph_cost_units(const struct px_tensor *inputs, size_t n_inputs)
{
    size_t units = ROW_UNITS;
    for (size_t i = 0; i < n_inputs; i++)
        units += inputs[i].bytes.len;
    if (n_inputs && inputs[0].n_dims)
        units += ROW_UNITS * (size_t)inputs[0].shape[0];
    return units;
}

bool px_graph_cost_is_known(const struct px_graph_cost *cost)
{
    return atomic_load_explicit(&cost->sums, memory_order_relaxed) != 0;
}

uint64_t px_graph_cost_expect_ns(const struct px_graph_cost *cost, size_t units)
{
    struct sums sums = load(cost);
    float each = sums.units > 0 ? sums.ns / sums.units : GUESS_NS_PER_UNIT;
    return (uint64_t)(each * (float)units);
}

void px_graph_cost_note(struct px_graph_cost *cost, size_t units, uint64_t took_ns)
{
    struct sums sums = load(cost);
    uint64_t word;
    sums.ns += (float)took_ns - sums.ns / 8;
    sums.units += (float)units - sums.units / 8;
    memcpy(&word, &sums, sizeof word);
    atomic_store_explicit(&cost->sums, word, memory_order_relaxed);
}
