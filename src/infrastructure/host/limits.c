/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/host/limits.h"

#include "infrastructure/host/cgroup.h"
#include "infrastructure/host/proc.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel's default for one process (fs.nr_open). A larger table costs programs that walk over it, for nothing. */
enum { FILES_USEFUL = 1 << 20 };

#define FILES_HINT                                                                                 \
    "raise the limit (ulimit -n, LimitNOFILE= in systemd, --ulimit nofile= in Docker), or lower "  \
    "server.connections_max"
#define MEMORY_HINT "unload models, or give the process more memory"

uint64_t px_limits_raise_files(uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    uint64_t useful = wanted > FILES_USEFUL ? wanted : FILES_USEFUL;
    rlim_t next = limit.rlim_max < useful ? limit.rlim_max : (rlim_t)useful;
    if (next > limit.rlim_cur) {
        struct rlimit raised = {.rlim_cur = next, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur;
}

/* Linux 6.2 tells the number as the size of the folder; before that it has to be walked through. */
static uint64_t count_files(void)
{
    struct stat info;
    uint64_t n = 0;
    if (stat("/proc/self/fd", &info) == 0 && info.st_size > 0)
        return (uint64_t)info.st_size;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder))
        n++;
    if (folder)
        closedir(folder);
    return n > 3 ? n - 3 : 0; /* ".", "..", and the folder itself */
}

struct px_pressure_reading px_limits_files(void)
{
    struct rlimit limit;
    struct px_pressure_reading reading = {
        .used = count_files(), .limit = "RLIMIT_NOFILE", .hint = FILES_HINT};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        reading.max = limit.rlim_cur;
    return reading;
}

/* ---- memory ---- */

/* Of two readings that of which more is used. */
static struct px_pressure_reading tighter(struct px_pressure_reading a,
                                          struct px_pressure_reading b)
{
    if (a.max == 0 || b.max == 0)
        return a.max ? a : b;
    return (double)a.used / (double)a.max >= (double)b.used / (double)b.max ? a : b;
}

/* The n-th number of /proc/self/statm, in bytes. */
static uint64_t read_statm(unsigned n)
{
    char text[128];
    uint64_t pages = 0;
    struct px_str rest = px_proc_read("/proc/self/statm", text, sizeof text);
    for (unsigned i = 0; i < n; i++)
        (void)px_str_cut(&rest, ' ');
    (void)px_str_to_u64(px_str_cut(&rest, ' '), &pages);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static struct px_pressure_reading of_address_space(void)
{
    struct rlimit limit;
    struct px_pressure_reading reading = {.limit = "RLIMIT_AS", .hint = MEMORY_HINT};
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return reading;
    reading.used = read_statm(0);
    reading.max = limit.rlim_cur;
    return reading;
}

static struct px_pressure_reading of_cgroup(void)
{
    char proc[4096];
    struct px_cgroup_memory memory;
    struct px_pressure_reading reading = {.hint = MEMORY_HINT};
    (void)px_proc_read("/proc/self/cgroup", proc, sizeof proc);
    if (px_cgroup_memory(proc, "/sys/fs/cgroup", &memory))
        reading = (struct px_pressure_reading){memory.used, memory.max, memory.limit, MEMORY_HINT};
    return reading;
}

/* "MemTotal:  24000000 kB" */
static uint64_t read_meminfo(struct px_str text, const char *key)
{
    uint64_t kib = 0;
    while (text.len) {
        struct px_str line = px_str_cut(&text, '\n');
        if (!px_str_starts(line, key))
            continue;
        struct px_str number =
            px_str_trim(px_str_n(line.ptr + strlen(key), line.len - strlen(key)));
        (void)px_str_to_u64(px_str_cut(&number, ' '), &kib);
    }
    return kib << 10;
}

static struct px_pressure_reading of_machine(void)
{
    char text[8192];
    struct px_str info = px_proc_read("/proc/meminfo", text, sizeof text);
    uint64_t total = read_meminfo(info, "MemTotal:");
    uint64_t available = read_meminfo(info, "MemAvailable:");
    return (struct px_pressure_reading){.used = total > available ? total - available : 0,
                                        .max = total,
                                        .limit = "memory of the machine",
                                        .hint = MEMORY_HINT};
}

struct px_pressure_reading px_limits_memory(void)
{
    return tighter(tighter(of_cgroup(), of_address_space()), of_machine());
}
