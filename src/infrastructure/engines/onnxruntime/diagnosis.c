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

/* Files of weights lie in the model's folder: the first that does not, or is not there, is the reason. */
static enum px_code look_for_weights(const char *path, struct px_arena *arena,
                                     struct px_onnx_diagnosis *d)
{
    char file[PATH_MAX];
    const char *slash = strrchr(path, '/');
    struct px_str folder = slash ? px_str_n(path, (size_t)(slash - path) + 1) : px_str(".");
    enum px_code first = PX_OK;
    for (size_t i = 0; i < d->n_external; i++) {
        enum px_code code = px_file_resolve_inside(folder, d->external[i], file, NULL);
        if (code == PX_E_INVALID)
            px_onnx_report_outside(d, d->external[i], arena);
        else if (code != PX_OK)
            px_onnx_report_missing(d, d->external[i], arena);
        first = first == PX_OK ? code : first;
    }
    return first;
}

/* False when there is nothing to say. Texts of the result may be views of `ret_bytes`, which the caller unmaps. */
static bool diagnose(const char *path, struct px_arena *arena, struct px_onnx_diagnosis *ret,
                     struct px_str *ret_bytes)
{
    *ret_bytes = map_file(path);
    if (!ret_bytes->ptr || px_onnx_diagnose(*ret_bytes, &limits, arena, ret, NULL) != PX_OK)
        return false;
    (void)look_for_weights(path, arena, ret);
    return !arena->failed;
}

static void unmap(struct px_str bytes)
{
    if (bytes.ptr)
        munmap(px_unconst(bytes.ptr), bytes.len);
}

/* Of a file that has been read. */
static enum px_code confine(const char *path, struct px_arena *arena, struct px_onnx_diagnosis *d,
                            struct px_err *err)
{
    if (d->more_external)
        return px_err_set(err, PX_E_TOO_LARGE, "the weights are in more than %d files",
                          PX_ONNX_EXTERNAL_MAX);
    d->n_findings = 0;
    if (look_for_weights(path, arena, d) == PX_OK)
        return PX_OK;
    enum px_code code = px_arena_check(arena, "what is to be said of the model", err);
    if (code != PX_OK)
        return code;
    px_err_set(err, PX_E_CORRUPT, "%s", d->findings[0].message.ptr);
    return px_err_hint(err, "%s", d->findings[0].hint.ptr);
}

enum px_code px_ort_confine(const char *path, bool from_client, struct px_err *err)
{
    struct px_arena arena = px_arena(MEMORY_MAX);
    struct px_onnx_diagnosis *d = px_arena_alloc(&arena, 1, sizeof *d);
    struct px_str bytes = map_file(path);
    struct px_err reason = {0};
    enum px_code code = px_arena_check(&arena, "what is to be said of the model", &reason);
    if (code == PX_OK && bytes.ptr) {
        code = px_onnx_diagnose(bytes, &limits, &arena, d, &reason);
        if (code == PX_OK)
            code = confine(path, &arena, d, &reason);
        else if (!from_client)
            code =
                PX_OK; /* what it cannot read, such as the library's own format, the library judges */
    }
    unmap(bytes);
    px_arena_deinit(&arena);
    if (code != PX_OK && err)
        *err = reason;
    return code;
}

static void put_before(struct px_err *err, const char *message, const char *hint)
{
    enum px_code code = err->code;
    char said[PX_ERR_MESSAGE_MAX];
    snprintf(said, sizeof said, "%s", err->message);
    px_err_set(err, code, "%s (ONNX Runtime says: %s)", message, said);
    px_err_hint(err, "%s", hint);
}

/* What is wrong with operators by their names alone only the library knows; its words are known. */
static void explain_words(struct px_err *err)
{
    static const struct {
        const char *words, *message, *hint;
    } known[] = {
        {"No Op registered for", "it has an operator that this ONNX Runtime does not know",
         "export it again with opset_version=17 and standard operators, or install a newer ONNX "
         "Runtime"},
        {"is not a registered function/op",
         "it has an operator that this ONNX Runtime does not know",
         "export it again with opset_version=17 and standard operators, or install a newer ONNX "
         "Runtime"},
        {"Could not find an implementation for",
         "it has an operator that this ONNX Runtime does not compute for these types",
         "export it with float32 (model.float() in PyTorch) and int64, or install a newer ONNX "
         "Runtime"},
        {"is not currently registered or supported",
         "it has tensors of a type that ONNX Runtime does not compute with",
         "export it with float32; a complex number goes as two of them (torch.view_as_real)"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(known); i++) {
        if (strstr(err->message, known[i].words)) {
            put_before(err, known[i].message, known[i].hint);
            return;
        }
    }
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
    if (first)
        put_before(err, first->message.ptr, first->hint.ptr);
    else
        explain_words(err);
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

size_t px_ort_scalars(const char *path, struct px_arena *arena, struct px_str *ret, size_t max)
{
    struct px_arena mine = px_arena(MEMORY_MAX);
    struct px_onnx_diagnosis *d = px_arena_alloc(&mine, 1, sizeof *d);
    struct px_str bytes = map_file(path);
    size_t n = 0;
    if (d && bytes.ptr && px_onnx_diagnose(bytes, &limits, &mine, d, NULL) == PX_OK) {
        for (; n < d->n_scalars && n < max; n++)
            ret[n] = px_arena_str(arena, d->scalars[n]);
    }
    unmap(bytes);
    px_arena_deinit(&mine);
    return n;
}

static enum px_code fail_dimension(const struct px_onnx_diagnosis *d, struct px_str name,
                                   struct px_err *err)
{
    char memory[PX_ERR_MESSAGE_MAX / 2];
    struct px_buf list = px_buf_fixed(memory, sizeof memory);
    memory[0] = '\0';
    for (size_t i = 0; i < d->n_symbols; i++)
        px_buf_printf(&list, "%s%.*s", i ? ", " : "", PX_STR_ARG(d->symbols[i]));
    px_err_set(err, PX_E_INVALID, "the inputs have no dimension '%.*s'; %s%s", PX_STR_ARG(name),
               d->n_symbols ? "they have " : "none of theirs has a name", memory);
    px_err_suggest(err, name, d->symbols, d->n_symbols);
    return PX_E_INVALID;
}

enum px_code px_ort_check_dimensions(const char *path, const struct px_str *names, size_t n,
                                     struct px_err *err)
{
    struct px_arena arena = px_arena(MEMORY_MAX);
    struct px_onnx_diagnosis *d = px_arena_alloc(&arena, 1, sizeof *d);
    struct px_str bytes = map_file(path);
    enum px_code code = px_arena_check(&arena, "what is to be said of the model", err);
    bool read = code == PX_OK && bytes.ptr &&
                px_onnx_diagnose(bytes, &limits, &arena, d, NULL) == PX_OK && !d->more_symbols;
    for (size_t i = 0; read && code == PX_OK && i < n; i++) {
        size_t at = 0;
        while (at < d->n_symbols && !px_str_eq(d->symbols[at], names[i]))
            at++;
        if (at == d->n_symbols)
            code = fail_dimension(d, names[i], err);
    }
    unmap(bytes);
    px_arena_deinit(&arena);
    return code;
}
