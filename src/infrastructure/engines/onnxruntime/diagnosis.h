/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a model's file (domain/inference/onnx_diagnosis.h), as the engine tells it. Private to this folder. */
#ifndef PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_DIAGNOSIS_H
#define PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_DIAGNOSIS_H

#include "domain/inference/onnx_diagnosis.h"

enum { PX_ORT_WARNINGS_MAX = 8 };

/*
 * Do the weights lie in files of the model's folder, links resolved? PX_E_CORRUPT names the first that does not. Asked before the library
 * opens any of them. A file that cannot be read is the library's to judge, unless it came with a request of a client.
 */
PX_MUST_USE enum px_code px_ort_confine(const char *path, bool from_client, struct px_err *err);

/*
 * The model at `path` could not be opened, and `err` says why in the library's words: puts the first thing that an export should have
 * done otherwise before them. Leaves `err` as it is when nothing is found.
 */
void px_ort_explain(const char *path, struct px_err *err);

/* Warnings about a model that was opened, "what: how to do it better", at most `max`; returns their number. Texts are in `arena`. */
size_t px_ort_warn(const char *path, struct px_arena *arena, struct px_str *ret, size_t max);

/*
 * Which inputs and outputs does the file say to be scalars? The library tells of them as of tensors whose shape it does not know. At most
 * `max` names, in `arena`; returns their number.
 */
size_t px_ort_scalars(const char *path, struct px_arena *arena, struct px_str *ret, size_t max);

/*
 * Are these the names of dimensions of inputs? The library passes over a name that it does not find. PX_E_INVALID names the first that is none,
 * and those that there are. A file that cannot be read is the library's to judge.
 */
PX_MUST_USE enum px_code px_ort_check_dimensions(const char *path, const struct px_str *names,
                                                 size_t n, struct px_err *err);

#endif
