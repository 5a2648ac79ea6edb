/* SPDX-License-Identifier: Apache-2.0 */
#include "application/telemetry/metrics.h"

#include "harness.h"

PX_TEST(batch_bins_grow_by_powers_of_two)
{
    static const struct {
        size_t rows;
        unsigned bin;
    } cases[] = {{1, 0}, {2, 1}, {3, 2},     {4, 2},     {5, 3},
                 {8, 3}, {9, 4}, {4096, 12}, {4097, 13}, {1 << 20, 13}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CHECK_INT(px_batch_bin(cases[i].rows), cases[i].bin);
}

PX_TEST(every_batch_is_within_its_bin)
{
    for (size_t rows = 1; rows < 10000; rows++) {
        unsigned bin = px_batch_bin(rows);
        CHECK(rows <= px_batch_bin_max(bin));
        CHECK(bin == 0 || rows > px_batch_bin_max(bin - 1));
    }
}

PX_TEST_MAIN(T(batch_bins_grow_by_powers_of_two) T(every_batch_is_within_its_bin))
