/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by client: beside a plain table of all clients, with thousands of random steps. */
#include "domain/overload/client_counts.h"

#include "shared/rng.h"

#include "harness.h"

enum { PLACES = 64, CLIENTS = 20, STEPS = 20000 };

static struct px_client_count places[PLACES];

PX_TEST(a_client_has_at_most_so_many)
{
    struct px_client_counts counts = {.places = places, .n_places = PLACES};
    memset(places, 0, sizeof places);
    CHECK(px_client_counts_add(&counts, 5, 2));
    CHECK(px_client_counts_add(&counts, 5, 2));
    CHECK(!px_client_counts_add(&counts, 5, 2));
    CHECK(px_client_counts_add(&counts, 6, 2));
    px_client_counts_drop(&counts, 5);
    CHECK(px_client_counts_add(&counts, 5, 2));
}

PX_TEST(nobody_in_particular_is_not_limited)
{
    struct px_client_counts counts = {.places = places, .n_places = PLACES};
    for (int i = 0; i < 1000; i++)
        CHECK(px_client_counts_add(&counts, 0, 1));
    px_client_counts_drop(&counts, 0);
}

PX_TEST(no_client_is_lost_when_others_go)
{
    struct px_client_counts counts = {.places = places, .n_places = PLACES};
    uint32_t expected[CLIENTS + 1] = {0}, total = 0;
    struct px_rng rng = px_rng(3);
    memset(places, 0, sizeof places);
    for (int step = 0; step < STEPS; step++) {
        uint64_t client = 1 + px_rng_below(&rng, CLIENTS);
        bool adds = px_rng_below(&rng, 2) && total < PLACES / 2;
        if (adds && px_client_counts_add(&counts, client * 64, 3)) {
            expected[client]++;
            total++;
        } else if (adds) {
            CHECK_INT(expected[client], 3);
        } else if (expected[client] > 0) {
            px_client_counts_drop(&counts, client * 64);
            expected[client]--;
            total--;
        }
    }
    uint32_t kept = 0;
    for (size_t i = 0; i < PLACES; i++)
        kept += places[i].n;
    CHECK_INT(kept, total);
}

PX_TEST(a_larger_table_has_every_client_still)
{
    static struct px_client_count few[4], many[PLACES];
    struct px_client_counts counts = {.places = few, .n_places = 4};
    for (uint64_t client = 1; client < 4; client++)
        CHECK(px_client_counts_add(&counts, client * 64, 2));
    CHECK_INT(counts.n_clients, 3);
    px_client_counts_move(&counts, many, PLACES);
    for (uint64_t client = 1; client < 4; client++) {
        CHECK(px_client_counts_add(&counts, client * 64, 2));
        CHECK(!px_client_counts_add(&counts, client * 64, 2));
        px_client_counts_drop(&counts, client * 64);
        px_client_counts_drop(&counts, client * 64);
    }
    CHECK_INT(counts.n_clients, 0);
}

PX_TEST_MAIN(T(a_client_has_at_most_so_many) T(nobody_in_particular_is_not_limited)
                 T(no_client_is_lost_when_others_go) T(a_larger_table_has_every_client_still))
