/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/inference/tensor.h"

static const struct {
    const char *name;
    size_t size;
} datatypes[PX_TYPE_COUNT] = {
    [PX_TYPE_NONE] = {"NONE", 0},
#define PX_DATATYPE(name, bytes) [PX_TYPE_##name] = {#name, bytes},
#include "domain/inference/datatypes.def"
#undef PX_DATATYPE
};

const char *px_datatype_name(enum px_datatype type)
{
    PX_ASSERT(type < PX_TYPE_COUNT);
    return datatypes[type].name;
}

size_t px_datatype_size(enum px_datatype type)
{
    PX_ASSERT(type < PX_TYPE_COUNT);
    return datatypes[type].size;
}

enum px_datatype px_datatype_from_name(struct px_str name)
{
    for (int type = PX_TYPE_NONE + 1; type < PX_TYPE_COUNT; type++) {
        if (px_str_is(name, datatypes[type].name))
            return (enum px_datatype)type;
    }
    return PX_TYPE_NONE;
}
