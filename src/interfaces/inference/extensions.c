/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/inference/extensions.h"

#include "shared/compiler.h"

const char *px_extension(size_t index, bool has_shared_memory)
{
    static const char *const names[] = {
        "classification", "parameters",           "schedule_policy",
        "statistics",     "system_shared_memory", /* last: not every server has it */
    };
    size_t n = PX_ARRAY_LEN(names) - !has_shared_memory;
    return index < n ? names[index] : NULL;
}
