/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator is asked rather than the system: the resident size of the process also moves with pages that are touched late or given
 * back late, which would blame one model for another's.
 */
#include "application/residency/memory_use.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>

enum { MAPPING_MIN = 256 << 10 };

uint64_t px_memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return (uint64_t)info.uordblks + (uint64_t)info.hblkhd;
}

void px_memory_give_back(void)
{
    malloc_trim(0);
}

void px_memory_prefer_mappings(void)
{
    mallopt(M_MMAP_THRESHOLD, MAPPING_MIN); /* setting it also stops it from growing */
}

static uint64_t regular_bytes(int folder, const char *name)
{
    struct stat st;
    return fstatat(folder, name, &st, 0) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

uint64_t px_memory_on_disk(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return regular_bytes(AT_FDCWD, path);
    uint64_t sum = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        sum += regular_bytes(dirfd(dir), entry->d_name);
    closedir(dir);
    return sum;
}
