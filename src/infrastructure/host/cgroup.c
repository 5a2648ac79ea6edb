/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/host/cgroup.h"

#include "infrastructure/host/proc.h"
#include "shared/str.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The files of one version. */
struct dialect {
    const char *usage, *stat_key;
    const char *limits[2]; /* the second may be NULL */
    const char *names[2];
};

static const struct dialect v2 = {"memory.current",
                                  "inactive_file ",
                                  {"memory.max", "memory.high"},
                                  {"cgroup memory.max", "cgroup memory.high"}};
static const struct dialect v1 = {"memory.usage_in_bytes",
                                  "total_inactive_file ",
                                  {"memory.limit_in_bytes", NULL},
                                  {"cgroup memory.limit_in_bytes", NULL}};

/* Version 1 says "no limit" with a number near 2^63. */
enum { NO_LIMIT_SHIFT = 60 };

static bool read_number(const char *folder, const char *name, uint64_t *ret)
{
    char path[PATH_MAX], text[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    struct px_str bytes = px_proc_read(path, text, sizeof text);
    return px_str_to_u64(px_str_trim(bytes), ret) && *ret >> NO_LIMIT_SHIFT == 0;
}

/* A line "key number" of memory.stat; 0 without. */
static uint64_t read_stat(const char *folder, const char *key)
{
    char path[PATH_MAX], text[8192];
    uint64_t number = 0;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    struct px_str rest = px_proc_read(path, text, sizeof text);
    while (rest.len) {
        struct px_str line = px_str_cut(&rest, '\n');
        size_t n = strlen(key);
        if (px_str_starts(line, key))
            (void)px_str_to_u64(px_str_trim(px_str_n(line.ptr + n, line.len - n)), &number);
    }
    return number;
}

/* The tighter of *best and this group. */
static void look_at(const char *folder, const struct dialect *d, struct px_cgroup_memory *best)
{
    uint64_t used, idle = 0, max;
    bool has_stat = false;
    for (size_t i = 0; i < PX_ARRAY_LEN(d->limits); i++) {
        if (!d->limits[i] || !read_number(folder, d->limits[i], &max) ||
            !read_number(folder, d->usage, &used))
            continue;
        if (!has_stat)
            idle = read_stat(folder, d->stat_key);
        has_stat = true;
        used -= idle < used ? idle : used;
        uint64_t left = max > used ? max - used : 0;
        if (!best->limit || left < (best->max > best->used ? best->max - best->used : 0))
            *best = (struct px_cgroup_memory){used, max, d->names[i]};
    }
}

/* The group and all above it, up to the mount. */
static void look_up(char *folder, size_t root_len, const struct dialect *d,
                    struct px_cgroup_memory *best)
{
    struct stat info;
    if (stat(folder, &info) != 0)
        folder[root_len] = '\0';
    for (;;) {
        look_at(folder, d, best);
        char *slash = strrchr(folder, '/');
        if (strlen(folder) <= root_len || !slash)
            return;
        *slash = '\0';
    }
}

static bool lists_memory(struct px_str controllers)
{
    while (controllers.len) {
        if (px_str_is(px_str_cut(&controllers, ','), "memory"))
            return true;
    }
    return false;
}

bool px_cgroup_memory(const char *proc, const char *root, struct px_cgroup_memory *ret)
{
    struct px_str rest = px_str(proc);
    *ret = (struct px_cgroup_memory){0};
    while (rest.len) { /* "0::/a/b" or "4:memory:/a/b" */
        char folder[PATH_MAX];
        struct px_str path = px_str_cut(&rest, '\n');
        struct px_str number = px_str_cut(&path, ':');
        struct px_str controllers = px_str_cut(&path, ':');
        bool is_v2 = px_str_is(number, "0") && controllers.len == 0;
        if (!is_v2 && !lists_memory(controllers))
            continue;
        const char *mount = is_v2 ? "" : "/memory";
        int n = snprintf(folder, sizeof folder, "%s%s", root, mount);
        if (path.len > 1 && n > 0 && (size_t)n + path.len < sizeof folder)
            snprintf(folder + n, sizeof folder - (size_t)n, "%.*s", PX_STR_ARG(path));
        look_up(folder, (size_t)n, is_v2 ? &v2 : &v1, ret);
    }
    return ret->limit != NULL;
}
