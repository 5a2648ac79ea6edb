/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of ONNX Runtime's C API that serving needs, found at run time. Private to this folder.
 *
 * Its interface is one exported function, OrtGetApiBase, and a table of function pointers to which versions only append. So the
 * functions are found by their number in that table, and the project builds without the library's header. The table of version
 * PX_ORT_API_LEAST is asked for; every later library has it.
 *
 * Handles are opaque pointers. A function that can fail returns a status: NULL, or an object for px_ort_check.
 *
 * Threads: all functions of the library may be called from any thread.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_LIBRARY_H
#define PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_LIBRARY_H

#include "shared/err.h"

#include <stdint.h>

enum { PX_ORT_API_LEAST = 17, PX_ORT_VERSION_MAX = 64, PX_ORT_PLACE_MAX = 1024 };

/* Numbers of the C API. */
enum px_ort_onnx_type {
    PX_ORT_UNKNOWN = 0,
    PX_ORT_TENSOR,
    PX_ORT_SEQUENCE,
    PX_ORT_MAP,
    PX_ORT_OPAQUE,
    PX_ORT_SPARSE,
    PX_ORT_OPTIONAL,
};

typedef void px_ort_log(void *context, int severity, const char *category, const char *id,
                        const char *place, const char *message);

struct px_ort {
    char version[PX_ORT_VERSION_MAX]; /* "1.28.2" */
    char place[PX_ORT_PLACE_MAX];     /* the file */
    void *env;
    void *cpu_memory; /* the description of memory of this process */
    void *allocator;  /* for texts that the library returns */

    int (*error_code)(const void *status);
    const char *(*error_message)(const void *status);
    void (*release_status)(void *status);
    void *(*create_env)(px_ort_log *log, void *context, int level, const char *id, void **ret);
    void *(*providers)(char ***ret, int *ret_n);
    void *(*release_providers)(char **list, int n);

    void *(*create_options)(void **ret);
    void (*release_options)(void *options);
    void *(*set_execution_mode)(void *options, int mode);
    void *(*set_optimization)(void *options, int level);
    void *(*enable_profile)(void *options, const char *prefix);
    void *(*disable_memory_pattern)(void *options);
    void *(*disable_arena)(void *options);
    void *(*set_log_severity)(void *options, int severity);
    void *(*set_threads)(void *options, int n);
    void *(*set_inter_op_threads)(void *options, int n);
    void *(*set_dimension)(void *options, const char *name, int64_t value);
    void *(*set_config)(void *options, const char *key, const char *value);
    void *(*set_deterministic)(void *options, bool on);
    void *(*append_provider)(void *options, const char *name, const char *const *keys,
                             const char *const *values, size_t n);
    void *(*create_cuda)(void **ret);
    void *(*update_cuda)(void *cuda, const char *const *keys, const char *const *values, size_t n);
    void (*release_cuda)(void *cuda);
    void *(*append_cuda)(void *options, const void *cuda);
    void *(*create_tensorrt)(void **ret);
    void *(*update_tensorrt)(void *tensorrt, const char *const *keys, const char *const *values,
                             size_t n);
    void (*release_tensorrt)(void *tensorrt);
    void *(*append_tensorrt)(void *options, const void *tensorrt);

    void *(*create_session)(const void *env, const char *path, const void *options, void **ret);
    void (*release_session)(void *session);
    void *(*end_profile)(void *session, void *allocator, char **ret);
    void *(*input_count)(const void *session, size_t *ret);
    void *(*output_count)(const void *session, size_t *ret);
    void *(*input_name)(const void *session, size_t i, void *allocator, char **ret);
    void *(*output_name)(const void *session, size_t i, void *allocator, char **ret);
    void *(*input_type)(const void *session, size_t i, void **ret);
    void *(*output_type)(const void *session, size_t i, void **ret);
    void (*release_type)(void *type);
    void *(*onnx_type)(const void *type, int *ret);
    void *(*as_tensor)(const void *type, const void **ret);
    void *(*as_sequence)(const void *type, const void **ret);
    void *(*as_map)(const void *type, const void **ret);
    void *(*sequence_element)(const void *sequence, void **ret);
    void *(*map_key)(const void *map, int *ret);
    void *(*map_value)(const void *map, void **ret);
    void *(*element_type)(const void *tensor_info, int *ret);
    void *(*dimension_count)(const void *tensor_info, size_t *ret);
    void *(*dimensions)(const void *tensor_info, int64_t *ret, size_t n);
    void *(*dimension_names)(const void *tensor_info, const char **ret, size_t n);

    void *(*create_memory_info)(int allocator_type, int memory_type, void **ret);
    void *(*default_allocator)(void **ret);
    void *(*allocator_free)(void *allocator, void *memory);
    void *(*borrow_tensor)(const void *memory_info, void *data, size_t n_bytes,
                           const int64_t *shape, size_t n_dims, int type, void **ret);
    void *(*create_tensor)(void *allocator, const int64_t *shape, size_t n_dims, int type,
                           void **ret);
    void (*release_value)(void *value);
    void *(*value_type)(const void *value, int *ret);
    void *(*tensor_info)(const void *value, void **ret);
    void (*release_tensor_info)(void *info);
    void *(*element_count)(const void *tensor_info, size_t *ret);
    void *(*tensor_data)(void *value, void **ret);
    void *(*text_buffer)(void *value, size_t i, size_t len, char **ret);
    void *(*texts_length)(const void *value, size_t *ret);
    void *(*texts)(const void *value, void *buffer, size_t size, size_t *offsets, size_t n);
    void *(*value_count)(const void *value, size_t *ret);
    void *(*value_at)(const void *value, int i, void *allocator, void **ret);

    void *(*run)(void *session, const void *options, const char *const *input_names,
                 const void *const *inputs, size_t n_inputs, const char *const *output_names,
                 size_t n_outputs, void **outputs);
    void *(*create_run_options)(void **ret);
    void (*release_run_options)(void *options);
    void *(*set_run_severity)(void *options, int severity);
    void *(*set_terminate)(void *options);
    void *(*unset_terminate)(void *options);
};

/*
 * The library, opened at the first call and never closed; a failure is tried anew the next time. PX_E_UNAVAILABLE says
 * where it was looked for and how to get it.
 */
PX_MUST_USE enum px_code px_ort_open(const struct px_ort **ret, struct px_err *err);

/*
 * PX_OK for NULL; else takes the status, whose text becomes the message. `hidden` is the path of the model: texts keep only
 * the file's own name of it (messages go to clients), and lose the places in the library's sources.
 */
PX_MUST_USE enum px_code px_ort_check(const struct px_ort *ort, void *status, const char *hidden,
                                      struct px_err *err);

/* Frees a status that nobody wants to know of. */
void px_ort_ignore(const struct px_ort *ort, void *status);

/* "CPUExecutionProvider, XnnpackExecutionProvider": what was compiled in. Returns `out`. */
const char *px_ort_providers(const struct px_ort *ort, char *out, size_t cap);

#endif
