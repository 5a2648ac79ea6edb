/* SPDX-License-Identifier: Apache-2.0 */
#include "application/config/apply_log.h"

#include "shared/log.h"

void px_config_apply_log(const struct px_config *config)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    enum px_log_level level = PX_LOG_INFO;
    for (size_t i = 0; i < PX_ARRAY_LEN(levels); i++) {
        if (px_str_is(config->log_level, levels[i]))
            level = (enum px_log_level)(PX_LOG_DEBUG + (int)i);
    }
    bool json = px_str_is(config->log_format, "json");
    px_log_configure(level, json ? PX_LOG_JSON : PX_LOG_LOGFMT);
}
