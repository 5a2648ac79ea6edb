/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/host/proc.h"

#include <fcntl.h>
#include <unistd.h>

struct px_str px_proc_read(const char *path, char *memory, size_t size)
{
    size_t len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? 1 : 0;
    while (n > 0 && len + 1 < size) {
        n = read(fd, memory + len, size - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    memory[len] = '\0';
    return px_str_n(memory, len);
}
