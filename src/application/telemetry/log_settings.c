/* SPDX-License-Identifier: Apache-2.0 */
#include "application/telemetry/log_settings.h"

static enum px_code expected(struct px_err *err, struct px_str key, const char *what)
{
    return px_err_set(err, PX_E_INVALID, "%.*s: expected %s", PX_STR_ARG(key), what);
}

static bool *flag_of(struct px_log_settings *settings, struct px_str key)
{
    if (px_str_is(key, "log_info"))
        return &settings->info;
    if (px_str_is(key, "log_warning"))
        return &settings->warning;
    return px_str_is(key, "log_error") ? &settings->error : NULL;
}

static enum px_code set_format(struct px_log_settings *settings, struct px_str key,
                               const struct px_log_value_given *value, struct px_err *err)
{
    bool is_text = value->type == PX_LOG_GIVEN_TEXT;
    if (is_text && px_str_is(value->text, "ISO8601"))
        settings->time = PX_LOG_TIME_ISO8601;
    else if (is_text && px_str_is(value->text, "default"))
        settings->time = PX_LOG_TIME_DEFAULT;
    else
        return expected(err, key, "\"default\" or \"ISO8601\"");
    return PX_OK;
}

enum px_code px_log_settings_set(struct px_log_settings *settings, struct px_str key,
                                 const struct px_log_value_given *value, struct px_err *err)
{
    bool *flag = flag_of(settings, key);
    if (flag) {
        if (value->type != PX_LOG_GIVEN_BOOL)
            return expected(err, key, "true or false");
        *flag = value->boolean;
        return PX_OK;
    }
    if (px_str_is(key, "log_verbose_level")) {
        if (value->type != PX_LOG_GIVEN_NUMBER || value->number > UINT32_MAX)
            return expected(err, key, "a number from 0");
        settings->verbose_level = (uint32_t)value->number;
        return PX_OK;
    }
    if (px_str_is(key, "log_format"))
        return set_format(settings, key, value, err);
    if (px_str_is(key, "log_file")) {
        px_err_set(err, PX_E_UNSUPPORTED, "log_file cannot be set while the server runs");
        return px_err_hint(err, "the log is the standard error of the server");
    }
    return px_err_set(err, PX_E_INVALID, "unknown log setting '%.*s'", PX_STR_ARG(key));
}

const char *px_log_time_name(enum px_log_time time)
{
    return time == PX_LOG_TIME_ISO8601 ? "ISO8601" : "default";
}
