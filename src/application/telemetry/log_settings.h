/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Triton's logging extension over shared/log.h: what is logged, changed while the server runs. For every dialect.
 *
 * Names on the wire: log_info, log_warning, log_error (booleans), log_verbose_level (0: off), log_format ("default" or
 * "ISO8601": the form of the time), log_file (the standard error, which cannot be changed).
 */
#ifndef PX_APPLICATION_TELEMETRY_LOG_SETTINGS_H
#define PX_APPLICATION_TELEMETRY_LOG_SETTINGS_H

#include "shared/log.h"

/* A value as it comes and goes on the wire. */
struct px_log_setting_value {
    enum { PX_LOG_SETTING_BOOL = 1, PX_LOG_SETTING_NUMBER, PX_LOG_SETTING_TEXT } type;
    bool boolean;
    uint64_t number;
    struct px_str text;
};

enum px_log_key {
    PX_LOG_KEY_INFO = 1,
    PX_LOG_KEY_WARNING = 2,
    PX_LOG_KEY_ERROR = 4,
    PX_LOG_KEY_VERBOSE = 8,
    PX_LOG_KEY_TIME = 16,
};

/* Settings to be changed, collected first so that all change or none; begins as zeros. */
struct px_log_change {
    unsigned given; /* px_log_key */
    struct px_log_settings to;
};

/* One setting by its name. PX_E_INVALID; PX_E_UNSUPPORTED for the file. */
PX_MUST_USE enum px_code px_log_change_add(struct px_log_change *change, struct px_str key,
                                           const struct px_log_setting_value *value,
                                           struct px_err *err);

/* Changes what was given and nothing else, whatever other threads change meanwhile. */
void px_log_change_apply(const struct px_log_change *change);

/* What holds: each setting's name and its value. */
enum { PX_LOG_SHOWN = 6 };
struct px_log_shown {
    const char *key;
    struct px_log_setting_value value;
};
void px_log_settings_show(struct px_log_shown shown[PX_LOG_SHOWN]);

#endif
