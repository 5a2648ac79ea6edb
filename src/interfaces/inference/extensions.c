/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/inference/extensions.h"

#include "shared/compiler.h"

const char *px_extension(size_t index, bool has_shared_memory)
{
    static const char *const names[] = {
        "binary_tensor_data",   "classification",   "logging",
        "model_configuration",  "model_repository", "model_repository(unload_dependents)",
        "parameters",           "schedule_policy",  "sequence",
        "sequence(string_id)",  "statistics",       "trace",
        "system_shared_memory", /* last: not every server has it */
    };
    size_t n = PX_ARRAY_LEN(names) - !has_shared_memory;
    return index < n ? names[index] : NULL;
}
