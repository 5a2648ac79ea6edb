/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two clients may change settings at the same time on different loops. A change is therefore applied to what holds at that
 * moment, under a mutex: only what it gives is written, and neither client's settings are lost to the other's.
 */
#include "application/telemetry/log_settings.h"

#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of who changes settings */

static enum px_code expected(struct px_err *err, struct px_str key, const char *what)
{
    return px_err_set(err, PX_E_INVALID, "%.*s: expected %s", PX_STR_ARG(key), what);
}

static enum px_code add_flag(bool *flag, struct px_str key,
                             const struct px_log_setting_value *value, struct px_err *err)
{
    if (value->type != PX_LOG_SETTING_BOOL)
        return expected(err, key, "true or false");
    *flag = value->boolean;
    return PX_OK;
}

static enum px_code add_level(struct px_log_settings *to, struct px_str key,
                              const struct px_log_setting_value *value, struct px_err *err)
{
    if (value->type != PX_LOG_SETTING_NUMBER || value->number > UINT32_MAX)
        return expected(err, key, "a number from 0");
    to->verbose_level = (uint32_t)value->number;
    return PX_OK;
}

static enum px_code add_format(struct px_log_settings *to, struct px_str key,
                               const struct px_log_setting_value *value, struct px_err *err)
{
    bool is_text = value->type == PX_LOG_SETTING_TEXT;
    if (is_text && px_str_is(value->text, "ISO8601"))
        to->time = PX_LOG_TIME_ISO8601;
    else if (is_text && px_str_is(value->text, "default"))
        to->time = PX_LOG_TIME_DEFAULT;
    else
        return expected(err, key, "\"default\" or \"ISO8601\"");
    return PX_OK;
}

/* 0 for what cannot be changed. */
static unsigned key_of(struct px_str name)
{
    static const struct {
        const char *name;
        enum px_log_key key;
    } keys[] = {{"log_info", PX_LOG_KEY_INFO},
                {"log_warning", PX_LOG_KEY_WARNING},
                {"log_error", PX_LOG_KEY_ERROR},
                {"log_verbose_level", PX_LOG_KEY_VERBOSE},
                {"log_format", PX_LOG_KEY_TIME}};
    for (size_t i = 0; i < PX_ARRAY_LEN(keys); i++) {
        if (px_str_is(name, keys[i].name))
            return keys[i].key;
    }
    return 0;
}

static enum px_code refuse_key(struct px_str key, struct px_err *err)
{
    if (!px_str_is(key, "log_file"))
        return px_err_set(err, PX_E_INVALID, "unknown log setting '%.*s'", PX_STR_ARG(key));
    px_err_set(err, PX_E_UNSUPPORTED, "log_file cannot be set while the server runs");
    return px_err_hint(err, "the log is the standard error of the server");
}

enum px_code px_log_change_add(struct px_log_change *change, struct px_str key,
                               const struct px_log_setting_value *value, struct px_err *err)
{
    unsigned which = key_of(key);
    change->given |= which;
    switch (which) { // clang-format off
    case PX_LOG_KEY_INFO: return add_flag(&change->to.info, key, value, err);
    case PX_LOG_KEY_WARNING: return add_flag(&change->to.warning, key, value, err);
    case PX_LOG_KEY_ERROR: return add_flag(&change->to.error, key, value, err);
    case PX_LOG_KEY_VERBOSE: return add_level(&change->to, key, value, err);
    case PX_LOG_KEY_TIME: return add_format(&change->to, key, value, err);
    default: return refuse_key(key, err);
    } // clang-format on
}

void px_log_change_apply(const struct px_log_change *change)
{
    struct px_log_settings settings;
    pthread_mutex_lock(&mutex);
    px_log_read(&settings);
    if (change->given & PX_LOG_KEY_INFO)
        settings.info = change->to.info;
    if (change->given & PX_LOG_KEY_WARNING)
        settings.warning = change->to.warning;
    if (change->given & PX_LOG_KEY_ERROR)
        settings.error = change->to.error;
    if (change->given & PX_LOG_KEY_VERBOSE)
        settings.verbose_level = change->to.verbose_level;
    if (change->given & PX_LOG_KEY_TIME)
        settings.time = change->to.time;
    px_log_update(&settings);
    pthread_mutex_unlock(&mutex);
}

static struct px_log_shown show_flag(const char *key, bool value)
{
    return (struct px_log_shown){key, {.type = PX_LOG_SETTING_BOOL, .boolean = value}};
}

static struct px_log_shown show_text(const char *key, const char *value)
{
    return (struct px_log_shown){key, {.type = PX_LOG_SETTING_TEXT, .text = px_str(value)}};
}

void px_log_settings_show(struct px_log_shown shown[PX_LOG_SHOWN])
{
    struct px_log_settings settings;
    px_log_read(&settings);
    shown[0] = show_text("log_file", "");
    shown[1] = show_flag("log_info", settings.info);
    shown[2] = show_flag("log_warning", settings.warning);
    shown[3] = show_flag("log_error", settings.error);
    shown[4] = (struct px_log_shown){
        "log_verbose_level", {.type = PX_LOG_SETTING_NUMBER, .number = settings.verbose_level}};
    shown[5] =
        show_text("log_format", settings.time == PX_LOG_TIME_ISO8601 ? "ISO8601" : "default");
}
