/* SPDX-License-Identifier: Apache-2.0 */
/* What the settings say about the log, put into effect. */
#ifndef PX_APPLICATION_CONFIG_APPLY_LOG_H
#define PX_APPLICATION_CONFIG_APPLY_LOG_H

#include "application/config/config.h"

/* log.level and log.format; replaces what clients have set over /v2/logging. Threads: any. */
void px_config_apply_log(const struct px_config *config);

#endif
