/* SPDX-License-Identifier: Apache-2.0 */
/* Durations as people write them in settings: "2ms", "500us", "1s". */
#ifndef PX_SHARED_DURATION_H
#define PX_SHARED_DURATION_H

#include "shared/err.h"

enum { PX_DURATION_TEXT_MAX = 24 };

/* A whole number and one of ns, us, ms, s, m, h and d; 0 needs no unit. False for anything else, and for what does not fit. */
PX_MUST_USE bool px_duration_parse(struct px_str text, uint64_t *ret_ns);

/* The shortest that px_duration_parse reads back: "2ms". Returns `out`, or a constant. */
const char *px_duration_text(uint64_t ns, char out[PX_DURATION_TEXT_MAX]);

#endif
