/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/host/service.h"

#include "shared/str.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_SOCKET = 3 };

void px_service_notify(const char *format, ...)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') /* the abstract namespace */
        address.sun_path[0] = '\0';
    char text[PX_SERVICE_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t size = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* A manager that does not listen any more is nobody's trouble here. */
    (void)!sendto(fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT, (const void *)&address,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
    close(fd);
}

/* Is the variable that says whom a setting is for this process's number? Absent: for anybody. */
static bool is_for_this_process(const char *variable, bool or_absent)
{
    uint64_t id;
    const char *value = getenv(variable);
    if (!value)
        return or_absent;
    return px_str_to_u64(px_str(value), &id) && id == (uint64_t)getpid();
}

uint64_t px_service_watchdog_ns(void)
{
    uint64_t period_us;
    const char *value = getenv("WATCHDOG_USEC");
    if (!value || !px_str_to_u64(px_str(value), &period_us) || period_us > UINT64_MAX / 1000)
        return 0;
    return is_for_this_process("WATCHDOG_PID", true) ? period_us * 1000 : 0;
}

size_t px_service_take_sockets(int fds[PX_SERVICE_SOCKETS_MAX])
{
    uint64_t n = 0;
    const char *value = getenv("LISTEN_FDS");
    if (!value || !px_str_to_u64(px_str(value), &n) || !is_for_this_process("LISTEN_PID", false))
        n = 0;
    n = n < PX_SERVICE_SOCKETS_MAX ? n : PX_SERVICE_SOCKETS_MAX;
    for (size_t i = 0; i < n; i++) {
        fds[i] = FIRST_SOCKET + (int)i;
        (void)fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    }
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    return n;
}
