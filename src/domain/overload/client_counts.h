/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many requests each client has on their way: for a limit that no client may go over, whatever room there is for others.
 *
 * A table of clients (hashes of who asks) that have any. Whoever admits requests sees to it that it is never full, by giving it more
 * places. Pure: the memory is the caller's. One thread at a time.
 */
#ifndef PX_DOMAIN_OVERLOAD_CLIENT_COUNTS_H
#define PX_DOMAIN_OVERLOAD_CLIENT_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct px_client_count {
    uint64_t client;
    uint32_t n; /* 0: the place is free */
};

struct px_client_counts {
    struct px_client_count *places; /* [n_places], zeroed at first */
    size_t n_places;                /* a power of two */
    size_t n_clients;               /* that have any; always fewer than places */
};

/* `places`, zeroed and more of them, instead of the present ones, which are the caller's again. */
void px_client_counts_move(struct px_client_counts *counts, struct px_client_count *places,
                           size_t n_places);

/* One more of that client, unless it has `max` already. Client 0, nobody in particular, is never limited. */
bool px_client_counts_add(struct px_client_counts *counts, uint64_t client, uint32_t max);
/* One less, of one that was added. */
void px_client_counts_drop(struct px_client_counts *counts, uint64_t client);

#endif
