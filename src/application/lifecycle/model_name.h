/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of models: one rule for what a name may be, and one way to make a name out of another text. Training,
 * packages and serving all use it, so that a file has the same name whoever opens it.
 *
 * A name is a part of URLs and of metric labels: ASCII letters, digits, '.', '_' and '-', at most
 * PX_MODEL_NAME_MAX, not beginning with '.' or '-', and not "stats", which is a path of its own.
 */
#ifndef PX_APPLICATION_LIFECYCLE_MODEL_NAME_H
#define PX_APPLICATION_LIFECYCLE_MODEL_NAME_H

#include "shared/err.h"
#include "shared/str.h"

#include <stdbool.h>

enum { PX_MODEL_NAME_MAX = 128 };

struct px_model_name {
    char text[PX_MODEL_NAME_MAX + 1]; /* NUL-terminated */
};

bool px_model_name_is_valid(struct px_str name);
/* The same as an error: PX_E_INVALID says the rule. */
PX_MUST_USE enum px_code px_model_name_check(struct px_str name, struct px_err *err);

/*
 * A valid name for any text: every character that a name may not hold at its place becomes one '_', what is
 * too long is cut, and nothing becomes "model". A valid name stays as it is.
 */
struct px_model_name px_model_name_from_text(struct px_str text);

/*
 * The name for a path: its last part, without the extension for a file. "." and ".." are resolved to the
 * folder that they stand for.
 */
struct px_model_name px_model_name_from_path(const char *path, bool is_file);

#endif
