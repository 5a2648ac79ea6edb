/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking for a version that the library does not have makes it print a line, so the version is read from its text first.
 * Slots are numbers of the table of version 17, which has 276.
 *
 * There is one environment in a process, whatever is asked for, so it is made here and lives for ever, as the library does:
 * its threads and thread-local objects do not survive dlclose.
 */
#include "infrastructure/engines/onnxruntime/library.h"

#include "infrastructure/engines/onnxruntime/places.h"
#include "shared/file.h"
#include "shared/log.h"

#include <dlfcn.h>
#include <pthread.h>

struct slot {
    size_t number; /* in the library's table */
    size_t offset; /* of the function pointer in struct px_ort */
};

#define SLOT(number, member)                                                                       \
    {                                                                                              \
        number, offsetof(struct px_ort, member)                                                    \
    }

// clang-format off
static const struct slot slots[] = {
    SLOT(1, error_code), SLOT(2, error_message), SLOT(93, release_status), SLOT(4, create_env),
    SLOT(125, providers), SLOT(126, release_providers),
    SLOT(10, create_options), SLOT(100, release_options), SLOT(13, set_execution_mode),
    SLOT(23, set_optimization), SLOT(14, enable_profile), SLOT(17, disable_memory_pattern),
    SLOT(19, disable_arena), SLOT(22, set_log_severity), SLOT(24, set_threads),
    SLOT(25, set_inter_op_threads), SLOT(124, set_dimension), SLOT(130, set_config),
    SLOT(273, set_deterministic), SLOT(216, append_provider),
    SLOT(205, create_cuda), SLOT(206, update_cuda), SLOT(208, release_cuda), SLOT(204, append_cuda),
    SLOT(171, create_tensorrt), SLOT(172, update_tensorrt), SLOT(174, release_tensorrt),
    SLOT(170, append_tensorrt),
    SLOT(7, create_session), SLOT(95, release_session), SLOT(110, end_profile),
    SLOT(30, input_count), SLOT(31, output_count), SLOT(36, input_name), SLOT(37, output_name),
    SLOT(33, input_type), SLOT(34, output_type), SLOT(98, release_type), SLOT(56, onnx_type),
    SLOT(55, as_tensor), SLOT(104, as_sequence), SLOT(103, as_map), SLOT(107, sequence_element),
    SLOT(105, map_key), SLOT(106, map_value), SLOT(60, element_type), SLOT(61, dimension_count),
    SLOT(62, dimensions), SLOT(63, dimension_names),
    SLOT(69, create_memory_info), SLOT(78, default_allocator), SLOT(76, allocator_free),
    SLOT(49, borrow_tensor), SLOT(48, create_tensor), SLOT(96, release_value), SLOT(67, value_type),
    SLOT(65, tensor_info), SLOT(99, release_tensor_info), SLOT(64, element_count),
    SLOT(51, tensor_data), SLOT(252, text_buffer), SLOT(53, texts_length), SLOT(54, texts),
    SLOT(81, value_count), SLOT(80, value_at),
    SLOT(9, run), SLOT(39, create_run_options), SLOT(97, release_run_options),
    SLOT(41, set_run_severity), SLOT(46, set_terminate), SLOT(47, unset_terminate),
};
// clang-format on

enum { LOG_ERRORS = 3 /* severity */, ALLOCATOR_DEVICE = 0, MEMORY_DEFAULT = 0 };

struct api_base {
    void *const *(*api)(uint32_t version);
    const char *(*version)(void);
};

static void log_message(void *context, int severity, const char *category, const char *id,
                        const char *place, const char *message)
{
    (void)context, (void)id, (void)place;
    px_log(severity > LOG_ERRORS ? PX_LOG_ERROR : PX_LOG_WARN, "onnxruntime.message",
           PX_LOG_T("category", category), PX_LOG_T("message", message));
}

/* ---- opening ---- */

static enum px_code fill_table(struct px_ort *ort, void *handle, struct px_err *err)
{
    const struct api_base *(*entry)(void) = NULL;
    void *symbol = dlsym(handle, "OrtGetApiBase");
    if (!symbol)
        return px_err_set(err, PX_E_UNAVAILABLE, "%s is not ONNX Runtime: it has no OrtGetApiBase",
                          ort->place);
    memcpy(&entry, &symbol, sizeof entry);
    const struct api_base *base = entry();
    snprintf(ort->version, sizeof ort->version, "%s", base->version());
    long minor = strncmp(ort->version, "1.", 2) == 0 ? strtol(ort->version + 2, NULL, 10) : 0;
    void *const *table = minor >= PX_ORT_API_LEAST ? base->api(PX_ORT_API_LEAST) : NULL;
    if (!table) {
        px_err_set(err, PX_E_UNAVAILABLE, "%s is ONNX Runtime %s: 1.%d or newer is needed",
                   ort->place, ort->version, PX_ORT_API_LEAST);
        return px_err_hint(err, "install the one that is known to work: phoenix engine install "
                                "onnxruntime");
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(slots); i++)
        memcpy((char *)ort + slots[i].offset, &table[slots[i].number], sizeof(void *));
    return PX_OK;
}

static enum px_code make_environment(struct px_ort *ort, struct px_err *err)
{
    void *status = ort->create_env(log_message, NULL, LOG_ERRORS, "phoenix", &ort->env);
    if (!status)
        status = ort->create_memory_info(ALLOCATOR_DEVICE, MEMORY_DEFAULT, &ort->cpu_memory);
    if (!status)
        status = ort->default_allocator(&ort->allocator);
    enum px_code code = px_ort_check(ort, status, NULL, err);
    return code == PX_OK ? PX_OK : px_err_wrap(err, "cannot start ONNX Runtime");
}

static enum px_code open_library(struct px_ort *ort, struct px_err *err)
{
    void *handle = px_ort_open_place(ort->place, sizeof ort->place, err);
    if (!handle)
        return PX_E_UNAVAILABLE;
    enum px_code code = fill_table(ort, handle, err);
    if (code == PX_OK)
        code = make_environment(ort, err);
    else
        dlclose(handle); /* nothing of it ran but the version's text */
    return code;
}

enum px_code px_ort_open(const struct px_ort **ret, struct px_err *err)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct px_ort library;
    static bool opened;
    enum px_code code = PX_OK;
    pthread_mutex_lock(&lock);
    if (!opened) {
        memset(&library, 0, sizeof library);
        code = open_library(&library, err);
        opened = code == PX_OK;
    }
    pthread_mutex_unlock(&lock);
    if (code == PX_OK)
        *ret = &library;
    return code;
}

/* ---- errors ---- */

static enum px_code map_code(int code, const char *message)
{
    static const enum px_code codes[] = {
        [1] = PX_E_INTERNAL,    [2] = PX_E_INVALID,    [3] = PX_E_NOT_FOUND, [4] = PX_E_NOT_FOUND,
        [5] = PX_E_INTERNAL,    [6] = PX_E_INTERNAL,   [7] = PX_E_CORRUPT,   [8] = PX_E_INTERNAL,
        [9] = PX_E_UNSUPPORTED, [10] = PX_E_CORRUPT,   [11] = PX_E_INTERNAL, [12] = PX_E_CANCELLED,
        [13] = PX_E_INTERNAL,   [14] = PX_E_NOT_FOUND,
    };
    if (strstr(message, "allocate memory") || strstr(message, "bad allocation"))
        return PX_E_NO_MEMORY;
    if (strstr(message, "terminate flag"))
        return PX_E_CANCELLED;
    /* An operator that refuses its inputs: the graph is fixed, so the request's data do not suit it. */
    if (strstr(message, "Non-zero status code returned while running"))
        return PX_E_INVALID;
    return code > 0 && (size_t)code < PX_ARRAY_LEN(codes) ? codes[code] : PX_E_INTERNAL;
}

/* Bytes of a C++ signature of the library's at `at`, as "void onnxruntime::F(int) const "; 0: there is none. */
static size_t signature_length(const char *at)
{
    size_t n = strcspn(at, "(\n");
    if (at[n] != '(' || !memmem(at, n, "onnxruntime::", 13))
        return 0;
    for (size_t depth = 0; at[n]; n++) {
        depth += at[n] == '(';
        if (at[n] == ')' && --depth == 0)
            break;
    }
    n += at[n] == ')';
    n += strncmp(at + n, " const", 6) == 0 ? 6 : 0;
    return n + strspn(at + n, " ");
}

/* Length of what is to be left out at `at`: the folder of `hidden`, or a place in the library's sources; 0: nothing. */
static size_t secret_length(const char *at, const char *hidden)
{
    const char *slash = hidden ? strrchr(hidden, '/') : NULL;
    size_t folder = slash ? (size_t)(slash - hidden) + 1 : 0;
    if (folder && strncmp(at, hidden, folder) == 0)
        return folder;
    if (*at != '/')
        return 0;
    size_t word = strcspn(at, " \t\r\n\"'");
    if (!memmem(at, word, "/onnxruntime/", 13) && !memmem(at, word, "/onnx/", 6))
        return 0;
    word += strspn(at + word, " ");
    return word + signature_length(at + word);
}

static void copy_open(struct px_buf *out, const char *text, const char *hidden)
{
    for (const char *at = text; *at;) {
        size_t secret = secret_length(at, hidden);
        if (secret == 0)
            px_buf_byte(out, *at == '\n' ? ' ' : *at);
        at += secret ? secret : 1;
    }
}

enum px_code px_ort_check(const struct px_ort *ort, void *status, const char *hidden,
                          struct px_err *err)
{
    char memory[PX_ERR_MESSAGE_MAX];
    if (!status)
        return PX_OK;
    struct px_buf text = px_buf_fixed(memory, sizeof memory);
    const char *message = ort->error_message(status);
    enum px_code code = map_code(ort->error_code(status), message);
    copy_open(&text, message, hidden);
    ort->release_status(status);
    return px_err_set(err, code, "%s", memory);
}

void px_ort_ignore(const struct px_ort *ort, void *status)
{
    if (status)
        ort->release_status(status);
}

const char *px_ort_providers(const struct px_ort *ort, char *out, size_t cap)
{
    struct px_buf text = px_buf_fixed(out, cap);
    char **names = NULL;
    int n = 0;
    px_ort_ignore(ort, ort->providers(&names, &n));
    for (int i = 0; i < n; i++)
        px_buf_printf(&text, "%s%s", i ? ", " : "", names[i]);
    if (names)
        px_ort_ignore(ort, ort->release_providers(names, n));
    return out;
}
