/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/duration.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *name;
    uint64_t ns;
} units[] = {{"d", UINT64_C(86400000000000)},
             {"h", UINT64_C(3600000000000)},
             {"m", UINT64_C(60000000000)},
             {"s", UINT64_C(1000000000)},
             {"ms", UINT64_C(1000000)},
             {"us", UINT64_C(1000)},
             {"ns", 1}};

bool px_duration_parse(struct px_str text, uint64_t *ret_ns)
{
    size_t n_digits = 0;
    int64_t number;
    while (n_digits < text.len && text.ptr[n_digits] >= '0' && text.ptr[n_digits] <= '9')
        n_digits++;
    if (n_digits == 0 || !px_str_to_i64(px_str_n(text.ptr, n_digits), &number))
        return false;
    struct px_str unit = px_str_n(text.ptr + n_digits, text.len - n_digits);
    for (size_t i = 0; i < PX_ARRAY_LEN(units); i++) {
        if (px_str_is(unit, units[i].name))
            return !__builtin_mul_overflow((uint64_t)number, units[i].ns, ret_ns);
    }
    *ret_ns = 0;
    return unit.len == 0 && number == 0;
}

const char *px_duration_text(uint64_t ns, char out[PX_DURATION_TEXT_MAX])
{
    size_t i = 0;
    if (ns == 0)
        return "0ms";
    while (ns % units[i].ns != 0)
        i++;
    snprintf(out, PX_DURATION_TEXT_MAX, "%" PRIu64 "%s", ns / units[i].ns, units[i].name);
    return out;
}
