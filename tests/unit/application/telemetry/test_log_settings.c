/* SPDX-License-Identifier: Apache-2.0 */
/* Log settings: changes of several threads, and what is refused. */
#include "application/telemetry/log_settings.h"

#include "harness.h"

#include <pthread.h>

static const struct px_log_setting_value on = {.type = PX_LOG_SETTING_BOOL, .boolean = true};
static const struct px_log_setting_value off = {.type = PX_LOG_SETTING_BOOL};

static void set(const char *key, const struct px_log_setting_value *value)
{
    struct px_log_change change = {0};
    PX_ASSERT(px_log_change_add(&change, px_str(key), value, NULL) == PX_OK);
    px_log_change_apply(&change);
}

/* Each thread owns one setting: nobody else may change it. */
static void *flip(void *argument)
{
    const char *key = argument;
    bool is_info = px_str_is(px_str(key), "log_info");
    struct px_log_settings settings;
    size_t n_lost = 0;
    for (int i = 0; i < 20000; i++) {
        set(key, i % 2 ? &on : &off);
        px_log_read(&settings);
        n_lost += (is_info ? settings.info : settings.warning) != (i % 2 == 1);
    }
    return n_lost ? argument : NULL;
}

PX_TEST(changes_at_the_same_time_are_not_lost)
{
    static char keys[2][16] = {"log_info", "log_warning"};
    pthread_t threads[2];
    void *failed;
    for (size_t i = 0; i < 2; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, flip, keys[i]), 0);
    for (size_t i = 0; i < 2; i++) {
        CHECK_INT(pthread_join(threads[i], &failed), 0);
        CHECK(failed == NULL);
    }
}

PX_TEST(only_what_is_given_changes)
{
    struct px_log_settings settings;
    set("log_warning", &off);
    set("log_error", &on);
    px_log_read(&settings);
    CHECK(!settings.warning && settings.error);
    CHECK_INT(settings.time, PX_LOG_TIME_ISO8601);
    set("log_warning", &on);
}

PX_TEST(what_cannot_be_set_is_refused)
{
    static const struct {
        const char *key;
        struct px_log_setting_value value;
        enum px_code code;
        const char *message;
    } rows[] = {
        {"log_info", {.type = PX_LOG_SETTING_NUMBER}, PX_E_INVALID, "log_info: expected true"},
        {"log_verbose_level",
         {.type = PX_LOG_SETTING_NUMBER, .number = 1ull << 32},
         PX_E_INVALID,
         "expected a number from 0"},
        {"log_format", {.type = PX_LOG_SETTING_BOOL}, PX_E_INVALID, "\"ISO8601\""},
        {"log_file",
         {.type = PX_LOG_SETTING_TEXT, .text = PX_STR("")},
         PX_E_UNSUPPORTED,
         "cannot be set"},
        {"log_color", {.type = PX_LOG_SETTING_BOOL}, PX_E_INVALID, "unknown log setting"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        struct px_log_change change = {0};
        struct px_err err;
        CHECK_INT(px_log_change_add(&change, px_str(rows[i].key), &rows[i].value, &err),
                  rows[i].code);
        CHECK_CONTAINS(err.message, rows[i].message);
    }
}

PX_TEST_MAIN(T(changes_at_the_same_time_are_not_lost) T(only_what_is_given_changes)
                 T(what_cannot_be_set_is_refused))
