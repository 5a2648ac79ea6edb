/* SPDX-License-Identifier: Apache-2.0 */
#include "application/parallel/share.h"
#include "harness.h"

static size_t chunk_of(double ns_per_row, size_t n_rows, unsigned n_threads, size_t chunk_max)
{
    const struct px_forest_choice choices[2] = {{.rows = 1, .ns_per_row = 1e9},
                                                {.rows = 512, .ns_per_row = ns_per_row}};
    const struct px_forest_info info = {.choices = choices, .n_choices = 2};
    return px_share_chunk(&info, n_rows, n_threads, chunk_max);
}

PX_TEST(little_work_is_done_alone)
{
    CHECK_INT(chunk_of(100, 1, 8, 4096), 0);
    CHECK_INT(chunk_of(100, 1999, 8, 4096), 0);
    CHECK_INT(chunk_of(10, 8191, 8, 4096), 0);
    CHECK_INT(chunk_of(1e6, 1, 8, 4096), 0); /* one row cannot be shared */
}

PX_TEST(enough_work_is_shared)
{
    CHECK(chunk_of(100, 2000, 8, 4096) > 0);
    CHECK(chunk_of(10, 8192, 8, 4096) > 0);
    CHECK_INT(chunk_of(1e6, 128, 8, 4096), 64); /* a slow forest: few rows are enough */
    CHECK_INT(chunk_of(100, 100000, 1, 4096), 0);
}

PX_TEST(chunks_are_neither_too_small_nor_too_large)
{
    CHECK_INT(chunk_of(100, 100000, 2, 512), 512);
    CHECK_INT(chunk_of(1, 100000, 2, 500), 448);       /* a multiple of 64 */
    CHECK_INT(chunk_of(100, 4096, 64, 4096), 256);     /* 25 us of work, rounded up */
    CHECK_INT(chunk_of(100, 40960, 2, 1 << 20), 5120); /* four for each thread */
    CHECK_INT(chunk_of(0, 8192, 2, 4096), 4096);       /* the planner does not know */
    CHECK_INT(chunk_of(1e9, 10000, 16, 4096), 192);
}

PX_TEST(fewer_rows_than_pieces_are_shared_all_the_same)
{
    CHECK_INT(chunk_of(1e5, 200, 64, 4096), 64);
    CHECK_INT(chunk_of(1e5, 65, 256, 64), 64);
}

struct need {
    size_t fixed, per_row;
};

static size_t bytes_of(const void *context, size_t rows)
{
    const struct need *need = context;
    return need->fixed + rows * need->per_row;
}

static size_t rows_that_fit(size_t fixed, size_t per_row)
{
    const struct need need = {fixed, per_row};
    const struct px_share_room room = {bytes_of, &need, 1 << 20, 64};
    return px_share_rows_that_fit(&room, 4096);
}

PX_TEST(rows_are_halved_until_they_fit)
{
    CHECK_INT(rows_that_fit(0, 100), 4096);
    CHECK_INT(rows_that_fit(0, 1024), 1024);
    CHECK_INT(rows_that_fit(1000, 1024), 512);
    CHECK_INT(rows_that_fit(0, 1 << 20), 64);
}

PX_TEST(rows_are_not_halved_where_it_saves_little)
{
    CHECK_INT(rows_that_fit(8 << 20, 0), 4096);
    CHECK_INT(rows_that_fit(8 << 20, 16), 4096);
    CHECK_INT(rows_that_fit(8 << 20, 8 << 10), 512);
}

PX_TEST_MAIN(T(little_work_is_done_alone) T(enough_work_is_shared)
                 T(chunks_are_neither_too_small_nor_too_large)
                     T(fewer_rows_than_pieces_are_shared_all_the_same)
                         T(rows_are_halved_until_they_fit)
                             T(rows_are_not_halved_where_it_saves_little))
