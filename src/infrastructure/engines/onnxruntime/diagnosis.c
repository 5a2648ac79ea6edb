/* SPDX-License-Identifier: Apache-2.0 */
/* The file is mapped, so that gigabytes of weights, which nobody looks at here, stay on the disk. */
#include "infrastructure/engines/onnxruntime/diagnosis.h"

#include "shared/file.h"
#include "shared/unconst.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MEMORY_MAX = 1 << 20 };

/* What ONNX Runtime 1.28 reads. A newer one may read more: errors count only for what it has refused. */
static const struct px_onnx_limits limits = {
    .ir_version_max = 13, .opset_least = 7, .opset_max = 26};

static struct px_str map_file(const char *path)
{
    struct px_str bytes = {0};
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        void *memory = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (memory != MAP_FAILED)
            bytes = px_str_n(memory, (size_t)info.st_size);
    }
    if (fd >= 0)
        close(fd);
    return bytes;
}

/* Files of weights lie in the model's folder. */
static void look_for_weights(const char *path, struct px_arena *arena, struct px_onnx_diagnosis *d)
{
    char file[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash - path) + 1 : 0;
    for (size_t i = 0; i < d->n_external; i++) {
        struct px_str name = d->external[i];
        int n = snprintf(file, sizeof file, "%.*s%.*s", folder, path, (int)name.len, name.ptr);
        if (n > 0 && (size_t)n < sizeof file && px_file_kind(file) == PX_FILE_ABSENT)
            px_onnx_report_missing(d, name, arena);
    }
}

/* False when there is nothing to say. Texts of the result may be views of `ret_bytes`, which the caller unmaps. */
static bool diagnose(const char *path, struct px_arena *arena, struct px_onnx_diagnosis *ret,
                     struct px_str *ret_bytes)
{
    *ret_bytes = map_file(path);
    if (!ret_bytes->ptr || px_onnx_diagnose(*ret_bytes, &limits, arena, ret, NULL) != PX_OK)
        return false;
    look_for_weights(path, arena, ret);
    return !arena->failed;
}

static void unmap(struct px_str bytes)
{
    if (bytes.ptr)
        munmap(px_unconst(bytes.ptr), bytes.len);
}

void px_ort_explain(const char *path, struct px_err *err)
{
    struct px_arena arena = px_arena(MEMORY_MAX);
    struct px_onnx_diagnosis *d = px_arena_alloc(&arena, 1, sizeof *d);
    struct px_str bytes = {0};
    const struct px_onnx_finding *first = NULL;
    bool found = d && diagnose(path, &arena, d, &bytes);
    for (size_t i = found ? d->n_findings : 0; i-- > 0;) {
        if (d->findings[i].error)
            first = &d->findings[i];
    }
    if (first) {
        enum px_code code = err->code;
        char said[PX_ERR_MESSAGE_MAX];
        snprintf(said, sizeof said, "%s", err->message);
        px_err_set(err, code, "%s (ONNX Runtime says: %s)", first->message.ptr, said);
        px_err_hint(err, "%s", first->hint.ptr);
    }
    unmap(bytes);
    px_arena_deinit(&arena);
}

size_t px_ort_warn(const char *path, struct px_arena *arena, struct px_str *ret, size_t max)
{
    struct px_arena mine = px_arena(MEMORY_MAX);
    struct px_onnx_diagnosis *d = px_arena_alloc(&mine, 1, sizeof *d);
    struct px_str bytes = {0};
    size_t n = 0;
    bool found = d && diagnose(path, &mine, d, &bytes);
    for (size_t i = 0; found && i < d->n_findings && n < max; i++) {
        char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX];
        if (d->findings[i].error)
            continue;
        snprintf(text, sizeof text, "%s: %s", d->findings[i].message.ptr, d->findings[i].hint.ptr);
        ret[n] = px_arena_str(arena, px_str(text));
        n += ret[n].ptr != NULL;
    }
    unmap(bytes);
    px_arena_deinit(&mine);
    return n;
}
