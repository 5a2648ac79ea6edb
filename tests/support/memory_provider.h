/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider port's `memory` adapter: opens the engines of memory_tensor_engine.h.
 *
 *   a file that begins with "memory:add" or "memory:echo" is known
 *   engine: {name: memory, kind: add|echo, asynchronous: true}
 *
 * `memory_provider_last` is the engine that was opened last, for scripts; those that are opened from now on fail with
 * `memory_provider_fail_with`.
 */
#ifndef PX_TESTS_MEMORY_PROVIDER_H
#define PX_TESTS_MEMORY_PROVIDER_H

#include "application/ports/engine_provider.h"
#include "memory_tensor_engine.h"
#include "shared/file.h"

static struct memory_tensor_engine *memory_provider_last;
static _Atomic int memory_provider_fail_with; /* px_code */

static inline bool memory_provider_knows(const char *path, struct px_str first_bytes)
{
    (void)path;
    return px_str_starts(first_bytes, "memory:");
}

static inline enum px_code memory_provider_kind(const struct px_engine_request *request,
                                                struct px_str *ret, struct px_err *err)
{
    const struct px_yaml *kind = request->settings ? px_yaml_get(request->settings, "kind") : NULL;
    struct px_file file = {0};
    if (kind)
        return px_yaml_str(kind, ret, err);
    if (!request->path.ptr)
        return px_err_set(err, PX_E_INVALID, "memory: neither a file nor a kind");
    enum px_code code = px_file_load(&file, request->path.ptr, 1 << 10, err);
    if (code == PX_OK) {
        struct px_str text = file.bytes;
        px_str_cut(&text, ':');
        *ret = px_arena_str(request->arena, px_str_trim(text));
    }
    px_file_unload(&file);
    return code;
}

static inline enum px_code memory_provider_open(const struct px_engine_request *request,
                                                struct px_engine **ret, struct px_err *err)
{
    static const struct px_str known[] = {PX_STR("name"), PX_STR("kind"), PX_STR("asynchronous")};
    struct px_str kind = {0};
    bool blocking = true;
    enum px_code code = memory_provider_kind(request, &kind, err);
    if (code == PX_OK && request->settings) {
        code = px_yaml_only(request->settings, known, PX_ARRAY_LEN(known), err);
        blocking = !px_yaml_get(request->settings, "asynchronous");
    }
    if (code != PX_OK)
        return code;
    if (!px_str_is(kind, "add") && !px_str_is(kind, "echo"))
        return px_err_set(err, PX_E_CORRUPT, "memory: unknown kind '%.*s'", PX_STR_ARG(kind));
    memory_provider_last = memory_tensor_engine_try(
        px_str_is(kind, "add") ? MEMORY_TENSOR_ADD : MEMORY_TENSOR_ECHO, blocking);
    if (!memory_provider_last)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a memory engine");
    atomic_store(&memory_provider_last->fail_with, atomic_load(&memory_provider_fail_with));
    *ret = &memory_provider_last->base;
    return PX_OK;
}

static inline void memory_provider_describe(struct px_engine_state *ret)
{
    *ret = (struct px_engine_state){.available = true};
}

static const struct px_engine_provider memory_provider = {
    .name = "memory",
    .summary = "adds and echoes, for tests",
    .knows = memory_provider_knows,
    .open = memory_provider_open,
    .describe = memory_provider_describe,
};

static inline const struct px_engines *memory_engines(void)
{
    static const struct px_engine_provider *const list[] = {&memory_provider};
    static const struct px_engines engines = {list, 1};
    return &engines;
}

#endif
