/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing, one place after the other; what is taken out is closed up, so that no marks of the deleted pile up. */
#include "domain/overload/client_counts.h"

static size_t home(const struct px_client_counts *counts, uint64_t client)
{
    uint64_t mixed = client * 0x9E3779B97F4A7C15u;
    return (size_t)(mixed >> 32) & (counts->n_places - 1);
}

static size_t after(const struct px_client_counts *counts, size_t at)
{
    return (at + 1) & (counts->n_places - 1);
}

/* Where the client is, or would be put. */
static size_t find(const struct px_client_counts *counts, uint64_t client)
{
    size_t at = home(counts, client);
    while (counts->places[at].n > 0 && counts->places[at].client != client)
        at = after(counts, at);
    return at;
}

void px_client_counts_move(struct px_client_counts *counts, struct px_client_count *places,
                           size_t n_places)
{
    const struct px_client_counts old = *counts;
    counts->places = places;
    counts->n_places = n_places;
    for (size_t i = 0; i < old.n_places; i++) {
        if (old.places[i].n > 0)
            places[find(counts, old.places[i].client)] = old.places[i];
    }
}

bool px_client_counts_add(struct px_client_counts *counts, uint64_t client, uint32_t max)
{
    if (client == 0)
        return true;
    struct px_client_count *place = &counts->places[find(counts, client)];
    if (place->n >= max)
        return false;
    counts->n_clients += place->n == 0;
    place->client = client;
    place->n++;
    return true;
}

/* Moves what follows up to the first free place, where it belongs before the hole or into it. */
static void close_up(struct px_client_counts *counts, size_t hole)
{
    size_t mask = counts->n_places - 1;
    for (size_t at = after(counts, hole); counts->places[at].n > 0; at = after(counts, at)) {
        size_t from_home = (at - home(counts, counts->places[at].client)) & mask;
        if (from_home < ((at - hole) & mask))
            continue;
        counts->places[hole] = counts->places[at];
        counts->places[at].n = 0;
        hole = at;
    }
}

void px_client_counts_drop(struct px_client_counts *counts, uint64_t client)
{
    if (client == 0)
        return;
    size_t at = find(counts, client);
    if (counts->places[at].n == 0 || --counts->places[at].n > 0)
        return;
    counts->n_clients--;
    close_up(counts, at);
}
