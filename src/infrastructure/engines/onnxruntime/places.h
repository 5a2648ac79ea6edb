/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where ONNX Runtime's library is looked for, in this order:
 *
 *   1. the file, or the folder of it, that the environment variable PHOENIX_ONNXRUNTIME names; then nowhere else
 *   2. the folder of installed engines, $XDG_DATA_HOME/phoenix/engines or ~/.local/share/phoenix/engines
 *   3. beside the program: its own folder, `engines` there, `../engines`, and `../lib/phoenix/engines`
 *   4. where the system looks for libraries
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_PLACES_H
#define PX_INFRASTRUCTURE_ENGINES_ONNXRUNTIME_PLACES_H

#include "shared/err.h"

#define PX_ONNXRUNTIME_VARIABLE "PHOENIX_ONNXRUNTIME"

/* The handle of dlopen, and the file; NULL: PX_E_UNAVAILABLE with what to do. */
void *px_ort_open_place(char *ret_place, size_t cap, struct px_err *err);

/* The folder of installed engines; false without a home. */
bool px_ort_engines_folder(char *out, size_t cap);

#endif
