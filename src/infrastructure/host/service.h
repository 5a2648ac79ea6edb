/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service manager (systemd), without its library: notifications are datagrams to the socket that NOTIFY_SOCKET
 * names (sd_notify(3)), the watchdog's period stands in WATCHDOG_USEC (sd_watchdog_enabled(3)), and sockets that were opened for
 * the service are passed from descriptor 3 on (sd_listen_fds(3)).
 *
 * Without a manager everything here does nothing. Threads: any.
 */
#ifndef PX_INFRASTRUCTURE_HOST_SERVICE_H
#define PX_INFRASTRUCTURE_HOST_SERVICE_H

#include "shared/compiler.h"

#include <stddef.h>
#include <stdint.h>

enum { PX_SERVICE_TEXT_MAX = 1024, PX_SERVICE_SOCKETS_MAX = 256 };

/* Sends "READY=1\nSTATUS=..." and the like; what does not fit is cut. */
void px_service_notify(const char *format, ...) PX_PRINTF(1, 2);

/* How often the manager wants to hear WATCHDOG=1, ns; 0: it does not, or not from this process. */
uint64_t px_service_watchdog_ns(void);

/* The sockets that the manager passed to this process, and forgets: a second call and child processes see none. */
size_t px_service_take_sockets(int fds[PX_SERVICE_SOCKETS_MAX]);

#endif
