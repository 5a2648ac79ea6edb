/* SPDX-License-Identifier: Apache-2.0 */
/* The table of methods, and finding a row of it. */
#include "interfaces/grpc/handlers.h"

#define PX_GRPC_SERVICE(service)
#define PX_GRPC_UNARY(service, method, handler)                                                    \
    {.path = PX_STR("/" service "/" method), .unary = px_grpc_handle_##handler},
#define PX_GRPC_STREAM(service, method, ops)                                                       \
    {.path = PX_STR("/" service "/" method), .stream = &px_grpc_##ops##_ops},
static const struct px_grpc_method methods[] = {
#include "interfaces/grpc/methods.def"
};
#undef PX_GRPC_SERVICE
#undef PX_GRPC_UNARY
#undef PX_GRPC_STREAM

#define PX_GRPC_SERVICE(service) PX_STR(service),
#define PX_GRPC_UNARY(service, method, handler)
#define PX_GRPC_STREAM(service, method, ops)
static const struct px_str services[] = {
#include "interfaces/grpc/methods.def"
};
#undef PX_GRPC_SERVICE
#undef PX_GRPC_UNARY
#undef PX_GRPC_STREAM

const struct px_grpc_method *px_grpc_find_method(struct px_str path)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(methods); i++) {
        if (px_str_eq(path, methods[i].path))
            return &methods[i];
    }
    return NULL;
}

struct px_str px_grpc_service_name(size_t index)
{
    return index < PX_ARRAY_LEN(services) ? services[index] : (struct px_str){0};
}

bool px_grpc_is_service_path(struct px_str path)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(services); i++) {
        size_t len = services[i].len;
        if (path.len > len + 1 && path.ptr[0] == '/' && path.ptr[len + 1] == '/' &&
            memcmp(path.ptr + 1, services[i].ptr, len) == 0)
            return true;
    }
    return false;
}
