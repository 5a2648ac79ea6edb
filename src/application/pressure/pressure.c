/* SPDX-License-Identifier: Apache-2.0 */
#include "application/pressure/pressure.h"

#include "shared/log.h"

#include <inttypes.h>

/* Each number is one of its own: nothing else is published by it. */
#define GET(cell)        atomic_load_explicit(&(cell), memory_order_relaxed)
#define SET(cell, value) atomic_store_explicit(&(cell), value, memory_order_relaxed)

static const char *const events[PX_PRESSURES][3] = {
    {"process.files_low", "process.files_high", "process.files_critical"},
    {"process.memory_low", "process.memory_high", "process.memory_critical"},
};

static double percent_of(uint64_t used, uint64_t max)
{
    return 100.0 * (double)used / (double)max;
}

enum px_pressure_level px_pressure_level_of(enum px_pressure_level before, uint64_t used,
                                            uint64_t max)
{
    static const int begins[] = {0, PX_PRESSURE_HIGH, PX_PRESSURE_CRITICAL};
    if (max == 0)
        return PX_PRESSURE_IS_LOW;
    double percent = percent_of(used, max);
    enum px_pressure_level level = PX_PRESSURE_IS_CRITICAL;
    while (level > PX_PRESSURE_IS_LOW &&
           percent < begins[level] - (level <= before ? PX_PRESSURE_BACK : 0))
        level--;
    return level;
}

static void tell(enum px_pressure_of of, enum px_pressure_level level,
                 const struct px_pressure_reading *reading)
{
    static const enum px_log_level levels[] = {PX_LOG_INFO, PX_LOG_WARN, PX_LOG_ERROR};
    if (level == PX_PRESSURE_IS_LOW)
        px_log(PX_LOG_INFO, events[of][level], PX_LOG_U("used", reading->used),
               PX_LOG_U("max", reading->max), PX_LOG_T("limit", reading->limit));
    else
        px_log(levels[level], events[of][level], PX_LOG_U("used", reading->used),
               PX_LOG_U("max", reading->max), PX_LOG_T("limit", reading->limit),
               PX_LOG_T("hint", reading->hint));
}

void px_pressure_update(struct px_pressure *pressure, enum px_pressure_of of,
                        const struct px_pressure_reading *reading)
{
    struct px_pressure_gauge *gauge = &pressure->gauges[of];
    enum px_pressure_level before = (enum px_pressure_level)GET(gauge->level);
    enum px_pressure_level level = px_pressure_level_of(before, reading->used, reading->max);
    SET(gauge->used, reading->used);
    SET(gauge->max, reading->max);
    SET(gauge->limit, reading->limit);
    SET(gauge->level, (int)level);
    if (level != before)
        tell(of, level, reading);
}

enum px_code px_pressure_check_memory(const struct px_pressure *pressure, const char *what,
                                      struct px_err *err)
{
    if (!pressure || GET(pressure->gauges[PX_PRESSURE_MEMORY].level) != PX_PRESSURE_IS_CRITICAL)
        return PX_OK;
    const struct px_pressure_gauge *gauge = &pressure->gauges[PX_PRESSURE_MEMORY];
    px_err_set(err, PX_E_OVERLOADED,
               "%s is refused: %" PRIu64 " of %" PRIu64 " bytes of memory are used (%s)", what,
               GET(gauge->used), GET(gauge->max), GET(gauge->limit));
    return px_err_hint(err, "unload a model, or give the process more memory");
}

uint64_t px_pressure_used(const struct px_pressure *pressure, enum px_pressure_of of)
{
    return GET(pressure->gauges[of].used);
}

uint64_t px_pressure_max(const struct px_pressure *pressure, enum px_pressure_of of)
{
    return GET(pressure->gauges[of].max);
}
