/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gauges of what the system lets the process have. See README.md.
 *
 * Threads: update on one, the rest anywhere. A zeroed one knows of no limit.
 */
#ifndef PX_APPLICATION_PRESSURE_PRESSURE_H
#define PX_APPLICATION_PRESSURE_PRESSURE_H

#include "shared/err.h"

#include <stdatomic.h>
#include <stdint.h>

enum {
    PX_PRESSURE_HIGH = 80, /* per cent */
    PX_PRESSURE_CRITICAL = 95,
    PX_PRESSURE_BACK = 5, /* points below a level where it is left */
};

enum px_pressure_level { PX_PRESSURE_IS_LOW = 0, PX_PRESSURE_IS_HIGH, PX_PRESSURE_IS_CRITICAL };

enum px_pressure_of { PX_PRESSURE_FILES = 0, PX_PRESSURE_MEMORY, PX_PRESSURES };

/* As measured. */
struct px_pressure_reading {
    uint64_t used, max; /* max 0: unknown or without a limit */
    const char *limit;  /* what sets it, "RLIMIT_NOFILE"; a constant */
    const char *hint;   /* how to raise it; a constant */
};

struct px_pressure_gauge {
    _Atomic uint64_t used, max;
    _Atomic int level; /* enum px_pressure_level */
    _Atomic(const char *) limit;
};

struct px_pressure {
    struct px_pressure_gauge gauges[PX_PRESSURES];
};

/* The level after a reading, given the one before. */
enum px_pressure_level px_pressure_level_of(enum px_pressure_level before, uint64_t used,
                                            uint64_t max);

/* Takes a reading over, and logs a level that it enters or leaves. */
void px_pressure_update(struct px_pressure *pressure, enum px_pressure_of of,
                        const struct px_pressure_reading *reading);

/* PX_E_OVERLOADED while memory is critical: `what` is refused, as the message says it. NULL is never critical. */
PX_MUST_USE enum px_code px_pressure_check_memory(const struct px_pressure *pressure,
                                                  const char *what, struct px_err *err);

uint64_t px_pressure_used(const struct px_pressure *pressure, enum px_pressure_of of);
uint64_t px_pressure_max(const struct px_pressure *pressure, enum px_pressure_of of);

#endif
