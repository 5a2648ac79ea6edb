/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing: a model becomes a version of a repository at once and whole. It is copied beside its place under a name that begins with '.', which
 * servers pass over; its manifest is written, everything is synced, and then it is renamed.
 */
#ifndef PX_APPLICATION_RESIDENCY_PUBLISH_H
#define PX_APPLICATION_RESIDENCY_PUBLISH_H

#include "shared/err.h"

#include <limits.h>

/*
 * Publishes the file or package folder `model` as <folder>/<version>; without a version as the next number, which never replaces
 * anything. A version that is named and there is replaced. `ret_path` gets where it is now.
 */
PX_MUST_USE enum px_code px_publish(const char *model, const char *folder, const char *version,
                                    char ret_path[PATH_MAX], struct px_err *err);

#endif
