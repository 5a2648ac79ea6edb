/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A preloaded counter of heap allocations, the libc's own included.
 *
 *     MALLOC_COUNT_FILE=/tmp/count LD_PRELOAD=build/libmalloc_count.so build/phoenix serve ...
 *
 * The file then begins with a 64-bit count of malloc, calloc, realloc and aligned allocations, which a test
 * reads while the program runs.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static _Atomic uint64_t private_count;
static _Atomic uint64_t *count = &private_count;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *ptr, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

#define EXPORTED __attribute__((visibility("default")))

EXPORTED void *malloc(size_t size);
EXPORTED void *calloc(size_t n, size_t size);
EXPORTED void *realloc(void *ptr, size_t size);
EXPORTED void *aligned_alloc(size_t alignment, size_t size);
EXPORTED int posix_memalign(void **ret, size_t alignment, size_t size);

__attribute__((constructor)) static void map_count(void)
{
    const char *path = getenv("MALLOC_COUNT_FILE");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    if (ftruncate(fd, sizeof(uint64_t)) == 0) {
        void *map = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED)
            count = map;
    }
    close(fd);
}

static void add_one(void)
{
    atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

void *malloc(size_t size)
{
    add_one();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    add_one();
    return __libc_calloc(n, size);
}

void *realloc(void *ptr, size_t size)
{
    add_one();
    return __libc_realloc(ptr, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    add_one();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
    add_one();
    *ret = __libc_memalign(alignment, size);
    return *ret ? 0 : 12; /* ENOMEM */
}
