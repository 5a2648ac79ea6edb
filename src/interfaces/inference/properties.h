/* SPDX-License-Identifier: Apache-2.0 */
/* Properties of a model as Open Inference's metadata lists them: texts by name, how it is scored and what may be asked for. */
#ifndef PX_INTERFACES_INFERENCE_PROPERTIES_H
#define PX_INTERFACES_INFERENCE_PROPERTIES_H

#include "application/serving/serving.h"

enum { PX_PROPERTIES_MAX = 5, PX_PROPERTY_TEXT_MAX = 128 };

struct px_property {
    const char *key;
    char value[PX_PROPERTY_TEXT_MAX];
};

/* Returns how many there are. */
size_t px_model_properties(const struct px_model *model, struct px_property ret[PX_PROPERTIES_MAX]);

#endif
