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

/* Settings to be changed, collected first so that all change or none; start from px_log_read. */
struct px_log_value_given {
    enum { PX_LOG_GIVEN_BOOL = 1, PX_LOG_GIVEN_NUMBER, PX_LOG_GIVEN_TEXT } type;
    bool boolean;
    uint64_t number;
    struct px_str text;
};

/* PX_E_INVALID; PX_E_UNSUPPORTED for the file. */
PX_MUST_USE enum px_code px_log_settings_set(struct px_log_settings *settings, struct px_str key,
                                             const struct px_log_value_given *value,
                                             struct px_err *err);

const char *px_log_time_name(enum px_log_time time); /* "default", "ISO8601" */

#endif
