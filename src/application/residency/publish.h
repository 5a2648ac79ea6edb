/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing: a model becomes a version of a repository at once and whole. It is copied beside its place under a name that begins with '.', which
 * servers pass over; its manifest is written, everything is synced, and then it is renamed. What a publish that was killed has left is removed by the next one
 * into the same folder.
 */
#ifndef PX_APPLICATION_RESIDENCY_PUBLISH_H
#define PX_APPLICATION_RESIDENCY_PUBLISH_H

#include "shared/err.h"

#include <limits.h>

/*
 * Is `model` what servers take for one, with no link that leads out of its folder, and `folder` (which need not be there) that of one model? Writes nothing.
 */
PX_MUST_USE enum px_code px_publish_check(const char *model, const char *folder,
                                          struct px_err *err);

/*
 * Publishes the file or package folder `model` as <folder>/<version>; without a version as the next number, which never replaces
 * anything. A version that is named and there is replaced. `ret_path` gets where it is now.
 */
PX_MUST_USE enum px_code px_publish(const char *model, const char *folder, const char *version,
                                    char ret_path[PATH_MAX], struct px_err *err);

#endif
