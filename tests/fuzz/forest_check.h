/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model file of any content must withstand: it is refused with a reason, or it is taken, and then
 * every kernel gives the walker's answer on rows around its thresholds.
 */
#ifndef PX_FUZZ_FOREST_CHECK_H
#define PX_FUZZ_FOREST_CHECK_H

#include "domain/forest/forest.h"
#include "fuzz.h"

#include <stdlib.h>

enum {
    FUZZ_SELF_TEST_ROWS = 20,
    FUZZ_WIDTH_MAX = 1 << 12, /* a few bytes may declare millions of features: allowed, but slow */
};

static inline int fuzz_forest(const uint8_t *data, size_t size, enum px_forest_rounds rounds)
{
    struct px_forest_options options = {.rounds = rounds};
    struct px_forest *forest = NULL;
    struct px_err err = {0};
    enum px_code code =
        px_forest_create(px_str_n((const char *)data, size), &options, &forest, &err);
    if (code != PX_OK) {
        if (forest || !err.message[0] || err.code != code || code == PX_E_INTERNAL)
            abort();
        return 0;
    }
    const struct px_forest_info *info = px_forest_info(forest);
    if (info->n_features <= FUZZ_WIDTH_MAX && info->n_margins <= FUZZ_WIDTH_MAX &&
        px_forest_self_test(forest, FUZZ_SELF_TEST_ROWS, size, &err) != PX_OK)
        abort();
    px_forest_destroy(forest);
    return 0;
}

#endif
