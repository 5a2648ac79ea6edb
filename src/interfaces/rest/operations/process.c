/* SPDX-License-Identifier: Apache-2.0 */
/* /proc is memory, not a disk: reading it does not wait, so an event loop may. */
#include "interfaces/rest/operations/process.h"

#include "shared/str.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/* The second number of /proc/self/statm: resident pages. */
uint64_t px_process_resident_bytes(void)
{
    char text[128];
    uint64_t pages = 0;
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    struct px_str rest = px_str_n(text, n > 0 ? (size_t)n : 0);
    (void)px_str_cut(&rest, ' ');
    if (!px_str_to_u64(px_str_cut(&rest, ' '), &pages))
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

double px_process_cpu_seconds(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}
