/* SPDX-License-Identifier: Apache-2.0 */
/* Growing lists that readers fill; shared/vec.h handles them. */
#ifndef PX_DOMAIN_FOREST_LISTS_H
#define PX_DOMAIN_FOREST_LISTS_H

#include "shared/str.h"
#include "shared/vec.h"

struct px_floats {
    float *items;
    size_t len, cap;
};

struct px_doubles {
    double *items;
    size_t len, cap;
};

struct px_ints {
    int64_t *items;
    size_t len, cap;
};

struct px_strs {
    struct px_str *items;
    size_t len, cap;
};

#endif
