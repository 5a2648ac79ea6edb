/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/training/split.h"

#include "shared/alloc.h"
#include "shared/rng.h"

#include <math.h>

/* How many of `n` rows go to the validation and test parts; at least one row stays for training. */
static void part_sizes(size_t n, const struct px_split_options *options, size_t *ret_valid,
                       size_t *ret_test)
{
    PX_ASSERT(options->valid_fraction >= 0 && options->test_fraction >= 0);
    PX_ASSERT(options->valid_fraction + options->test_fraction < 1);
    *ret_test = (size_t)llround((double)n * options->test_fraction);
    *ret_valid = (size_t)llround((double)n * options->valid_fraction);
    while (*ret_valid + *ret_test >= n && *ret_valid > 0)
        --*ret_valid;
    while (*ret_valid + *ret_test >= n && *ret_test > 0)
        --*ret_test;
}

static void shuffle(size_t *items, size_t n, struct px_rng *rng)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = px_rng_below(rng, i), item = items[i - 1];
        items[i - 1] = items[j];
        items[j] = item;
    }
}

/* Splits the rows of one class: the last of the shuffled rows measure. */
static void split_group(size_t *rows, size_t n, const struct px_split_options *options,
                        struct px_rng *rng, uint8_t *ret_parts)
{
    size_t n_valid, n_test;
    part_sizes(n, options, &n_valid, &n_test);
    shuffle(rows, n, rng);
    for (size_t i = 0; i < n; i++)
        ret_parts[rows[i]] = i < n - n_valid - n_test ? PX_PART_TRAIN
                             : i < n - n_test         ? PX_PART_VALID
                                                      : PX_PART_TEST;
}

enum px_code px_split_random(const float *classes, size_t n_classes, size_t n,
                             const struct px_split_options *options, uint8_t *ret_parts,
                             struct px_err *err)
{
    struct px_rng rng = px_rng(options->seed);
    size_t *rows = px_alloc(n + 1, sizeof *rows);
    if (!rows)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to split %zu rows", n);
    for (size_t class_index = 0; class_index < (classes ? n_classes : 1); class_index++) {
        size_t n_rows = 0;
        for (size_t i = 0; i < n; i++) {
            if (!classes || classes[i] == (float)class_index)
                rows[n_rows++] = i;
        }
        split_group(rows, n_rows, options, &rng, ret_parts);
    }
    px_free(rows);
    return PX_OK;
}

struct timed_row {
    double time;
    size_t row;
};

static int by_time(const void *left, const void *right)
{
    const struct timed_row *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

enum px_code px_split_time(const double *times, size_t n, const struct px_split_options *options,
                           uint8_t *ret_parts, struct px_err *err)
{
    size_t n_valid, n_test;
    struct timed_row *rows = px_alloc(n + 1, sizeof *rows);
    if (!rows)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to split %zu rows", n);
    for (size_t i = 0; i < n; i++) {
        double time = times ? times[i] : (double)i;
        rows[i] = (struct timed_row){isnan(time) ? -HUGE_VAL : time, i};
    }
    if (times)
        qsort(rows, n, sizeof *rows, by_time);
    part_sizes(n, options, &n_valid, &n_test);
    for (size_t i = 0; i < n; i++)
        ret_parts[rows[i].row] = i < n - n_valid - n_test ? PX_PART_TRAIN
                                 : i < n - n_test         ? PX_PART_VALID
                                                          : PX_PART_TEST;
    px_free(rows);
    return PX_OK;
}
