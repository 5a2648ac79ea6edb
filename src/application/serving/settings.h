/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Triton's trace and log settings of a server, read and changed while it runs. For every dialect.
 *
 * A change is collected as a whole before anything of it holds (px_trace_change_add, px_log_change_add). Who may not load
 * models may not change these either: a stranger would silence the log, or have other clients' tensors written to a file.
 *
 * Threads: a loop.
 */
#ifndef PX_APPLICATION_SERVING_SETTINGS_H
#define PX_APPLICATION_SERVING_SETTINGS_H

#include "application/serving/serving.h"
#include "application/telemetry/log_settings.h"

/* What holds for a model, which must be known, or globally when it is empty. PX_E_UNAVAILABLE when nothing is traced. */
PX_MUST_USE enum px_code px_serving_show_trace(struct px_serving *serving, struct px_str model,
                                               struct px_trace_shown shown[PX_TRACE_SHOWN],
                                               struct px_err *err);

/* Changes it first; an empty change is allowed to everybody. */
PX_MUST_USE enum px_code px_serving_change_trace(struct px_serving *serving, struct px_str model,
                                                 const struct px_trace_change *change,
                                                 struct px_trace_shown shown[PX_TRACE_SHOWN],
                                                 struct px_err *err);

PX_MUST_USE enum px_code px_serving_change_log(struct px_serving *serving,
                                               const struct px_log_change *change,
                                               struct px_err *err);

#endif
