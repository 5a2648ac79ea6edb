/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Structured logs: one line per event on standard error, as logfmt or JSON.
 *
 *     px_log(PX_LOG_INFO, "model.loaded", PX_LOG_S("model", name), PX_LOG_U("trees", n));
 *
 * An event has a dotted name and key/value pairs; the text is never built by hand. A line is built on
 * the stack and written with one write(2), so lines of threads do not mix. A text that is too long ends
 * with "…"; pairs that do not fit the line are left out, and the line ends with cut=true. Domain code
 * does not log. Threads: any; px_log_configure may be called at any time.
 */
#ifndef PX_SHARED_LOG_H
#define PX_SHARED_LOG_H

#include "shared/err.h"
#include "shared/str.h"

enum px_log_level { PX_LOG_DEBUG = 1, PX_LOG_INFO, PX_LOG_WARN, PX_LOG_ERROR };
enum px_log_format { PX_LOG_LOGFMT = 1, PX_LOG_JSON };

enum {
    PX_LOG_LINE_MAX = 4096, /* bytes, with the line end */
    PX_LOG_TEXT_MAX = 1024, /* bytes of one text */
};

/* Until this is called: INFO and above, as logfmt. */
void px_log_configure(enum px_log_level least, enum px_log_format format);

/*
 * What is logged, level by level, and how times are written: ISO 8601 in UTC, or month, day and time of day as
 * "1231 23:59:59.123456". Changes act at once, one setting after the other.
 */
enum px_log_time { PX_LOG_TIME_ISO8601 = 1, PX_LOG_TIME_DEFAULT };
struct px_log_settings {
    bool info, warning, error;
    uint32_t verbose_level; /* 0: no debug events */
    enum px_log_time time;
};
void px_log_read(struct px_log_settings *ret);
void px_log_update(const struct px_log_settings *settings);

/* One value; made by the macros below. */
struct px_log_value {
    enum { PX_LOG_VALUE_STR = 1, PX_LOG_VALUE_I64, PX_LOG_VALUE_U64, PX_LOG_VALUE_F64 } type;
    union {
        struct px_str str;
        int64_t i64;
        uint64_t u64;
        double f64;
    };
};

struct px_log_pair {
    const char *key;
    struct px_log_value value;
};

#define PX_LOG_S(k, v) ((struct px_log_pair){k, {.type = PX_LOG_VALUE_STR, .str = (v)}})
#define PX_LOG_T(k, v) ((struct px_log_pair){k, {.type = PX_LOG_VALUE_STR, .str = px_str(v)}})
#define PX_LOG_I(k, v) ((struct px_log_pair){k, {.type = PX_LOG_VALUE_I64, .i64 = (v)}})
#define PX_LOG_U(k, v) ((struct px_log_pair){k, {.type = PX_LOG_VALUE_U64, .u64 = (v)}})
#define PX_LOG_F(k, v) ((struct px_log_pair){k, {.type = PX_LOG_VALUE_F64, .f64 = (v)}})

/* px_log(level, "event.name", pair, pair, ...) */
#define px_log(level, event, ...)                                                                  \
    px_log_write(level, event, (const struct px_log_pair[]){__VA_ARGS__},                          \
                 sizeof((const struct px_log_pair[]){__VA_ARGS__}) / sizeof(struct px_log_pair))

void px_log_write(enum px_log_level level, const char *event, const struct px_log_pair *pairs,
                  size_t n);

/* An error as an event: its code, message, hint and place. */
void px_log_err(enum px_log_level level, const char *event, const struct px_err *err);

#endif
