/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/training/split.h"

#include "harness.h"

#include "shared/alloc.h"

enum { N = 1000 };

static const struct px_split_options options = {0.1, 0.2, 7};

static void count(const uint8_t *parts, const float *classes, float class, size_t *ret)
{
    ret[0] = ret[1] = ret[2] = 0;
    for (size_t i = 0; i < N; i++) {
        CHECK(parts[i] < PX_PARTS);
        if (!classes || classes[i] == class)
            ret[parts[i]]++;
    }
}

PX_TEST(random_split_has_the_sizes_asked_for)
{
    uint8_t parts[N], again[N], other[N];
    size_t n[PX_PARTS];
    struct px_split_options another = options;
    another.seed = 8;
    CHECK_OK(px_split_random(NULL, 0, N, &options, parts, NULL));
    CHECK_OK(px_split_random(NULL, 0, N, &options, again, NULL));
    CHECK_OK(px_split_random(NULL, 0, N, &another, other, NULL));
    count(parts, NULL, 0, n);
    CHECK_INT(n[PX_PART_TRAIN], 700);
    CHECK_INT(n[PX_PART_VALID], 100);
    CHECK_INT(n[PX_PART_TEST], 200);
    CHECK(memcmp(parts, again, N) == 0);
    CHECK(memcmp(parts, other, N) != 0);
}

PX_TEST(random_split_is_stratified)
{
    float classes[N];
    uint8_t parts[N];
    size_t n[PX_PARTS];
    for (size_t i = 0; i < N; i++)
        classes[i] = (float)(i % 50 == 0);
    CHECK_OK(px_split_random(classes, 2, N, &options, parts, NULL));
    count(parts, classes, 1, n);
    CHECK_INT(n[PX_PART_TRAIN], 14);
    CHECK_INT(n[PX_PART_VALID], 2);
    CHECK_INT(n[PX_PART_TEST], 4);
}

PX_TEST(a_lonely_row_trains)
{
    float classes[3] = {0, 1, 1};
    uint8_t parts[3];
    const struct px_split_options halves = {0.45, 0.5, 1};
    CHECK_OK(px_split_random(classes, 2, 3, &halves, parts, NULL));
    CHECK_INT(parts[0], PX_PART_TRAIN);
    CHECK(parts[1] == PX_PART_TRAIN || parts[2] == PX_PART_TRAIN);
}

PX_TEST(time_split_follows_the_times)
{
    double times[N];
    uint8_t parts[N];
    for (size_t i = 0; i < N; i++)
        times[i] = (double)(N - i);
    times[0] = (double)NAN; /* missing: oldest */
    CHECK_OK(px_split_time(times, N, &options, parts, NULL));
    CHECK_INT(parts[N - 1], PX_PART_TRAIN);
    CHECK_INT(parts[0], PX_PART_TRAIN);
    CHECK_INT(parts[1], PX_PART_TEST);
    CHECK_INT(parts[200], PX_PART_TEST);
    CHECK_INT(parts[201], PX_PART_VALID);
    CHECK_INT(parts[300], PX_PART_VALID);
    CHECK_INT(parts[301], PX_PART_TRAIN);
}

PX_TEST(time_split_without_times_is_file_order)
{
    uint8_t parts[N];
    CHECK_OK(px_split_time(NULL, N, &options, parts, NULL));
    CHECK_INT(parts[699], PX_PART_TRAIN);
    CHECK_INT(parts[700], PX_PART_VALID);
    CHECK_INT(parts[799], PX_PART_VALID);
    CHECK_INT(parts[800], PX_PART_TEST);
}

PX_TEST(no_memory_is_an_error)
{
    uint8_t parts[N];
    px_alloc_fail_at(1);
    enum px_code random = px_split_random(NULL, 0, N, &options, parts, NULL);
    px_alloc_fail_at(1);
    enum px_code time = px_split_time(NULL, N, &options, parts, NULL);
    px_alloc_fail_at(0);
    CHECK_INT(random, PX_E_NO_MEMORY);
    CHECK_INT(time, PX_E_NO_MEMORY);
}

PX_TEST_MAIN(T(random_split_has_the_sizes_asked_for) T(random_split_is_stratified)
                 T(a_lonely_row_trains) T(time_split_follows_the_times)
                     T(time_split_without_times_is_file_order) T(no_memory_is_an_error))
