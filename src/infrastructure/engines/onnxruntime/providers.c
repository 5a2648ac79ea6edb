/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Execution providers: the processors that operators run on.
 *
 * The library lists what was compiled into it; whether that works on this machine only appending shows, so its message is
 * passed on. CUDA and TensorRT have functions of their own; all others take the general one. CPU is always there and comes
 * last without being appended.
 */
#include "infrastructure/engines/onnxruntime/settings.h"

#define SUFFIX "ExecutionProvider"

struct asked {
    char name[64]; /* "CUDA", without the suffix that the library's names have */
    const char *keys[PX_ORT_PROVIDER_OPTIONS_MAX], *values[PX_ORT_PROVIDER_OPTIONS_MAX];
    size_t n;
};

static enum px_code read_name(const struct px_yaml *node, struct asked *ret, struct px_err *err)
{
    struct px_str name;
    enum px_code code = px_yaml_str(node, &name, err);
    if (code != PX_OK)
        return code;
    if (px_str_ends(name, SUFFIX))
        name.len -= strlen(SUFFIX);
    if (px_str_eq_nocase(name, px_str("TensorRT")))
        name = px_str("Tensorrt"); /* as the library spells it */
    if (name.len == 0 || name.len >= sizeof ret->name)
        return px_err_set(err, PX_E_INVALID, "line %u: '%.*s' is not the name of a provider",
                          node->line, PX_STR_ARG(name));
    memcpy(ret->name, name.ptr, name.len);
    ret->name[name.len] = '\0';
    return PX_OK;
}

static enum px_code read_options(const struct px_yaml *node, struct px_arena *arena,
                                 struct asked *ret, struct px_err *err)
{
    for (const struct px_yaml *option = node->first_child; option; option = option->next) {
        struct px_str text;
        if (px_str_is(option->key, "name"))
            continue;
        if (ret->n == PX_ORT_PROVIDER_OPTIONS_MAX)
            return px_err_set(err, PX_E_TOO_LARGE, "line %u: more than %d options", option->line,
                              PX_ORT_PROVIDER_OPTIONS_MAX);
        enum px_code code = px_yaml_str(option, &text, err);
        if (code != PX_OK)
            return code;
        ret->keys[ret->n] = px_arena_cstr(arena, option->key);
        ret->values[ret->n++] = px_arena_cstr(arena, text);
    }
    return px_arena_check(arena, "the engine's settings", err);
}

static enum px_code read_asked(const struct px_yaml *node, bool from_client, struct px_arena *arena,
                               struct asked *ret, struct px_err *err)
{
    *ret = (struct asked){0};
    if (node->type == PX_YAML_SCALAR)
        return read_name(node, ret, err);
    if (node->type != PX_YAML_MAPPING || !px_yaml_get(node, "name"))
        return px_err_set(err, PX_E_INVALID,
                          "line %u: expected a name, or a mapping with `name` and its options",
                          node->line);
    if (from_client && node->first_child->next)
        return px_ort_settings_distrust("the options of a provider", err);
    enum px_code code = read_name(px_yaml_get(node, "name"), ret, err);
    return code == PX_OK ? read_options(node, arena, ret, err) : code;
}

static bool is_compiled_in(const struct px_ort *ort, const char *name)
{
    char full[sizeof(struct asked) + sizeof SUFFIX], **names = NULL;
    int n = 0;
    bool found = false;
    snprintf(full, sizeof full, "%s" SUFFIX, name);
    px_ort_ignore(ort, ort->providers(&names, &n));
    for (int i = 0; i < n; i++)
        found |=
            px_str_eq_nocase(px_str(names[i]), px_str(full)); /* XNNPACK is listed as Xnnpack */
    if (names)
        px_ort_ignore(ort, ort->release_providers(names, n));
    return found;
}

static void *append_cuda(const struct px_ort *ort, const struct asked *asked, void *options)
{
    void *cuda = NULL;
    void *status = ort->create_cuda(&cuda);
    if (!status)
        status = ort->update_cuda(cuda, asked->keys, asked->values, asked->n);
    if (!status)
        status = ort->append_cuda(options, cuda);
    if (cuda)
        ort->release_cuda(cuda);
    return status;
}

static void *append_tensorrt(const struct px_ort *ort, const struct asked *asked, void *options)
{
    void *tensorrt = NULL;
    void *status = ort->create_tensorrt(&tensorrt);
    if (!status)
        status = ort->update_tensorrt(tensorrt, asked->keys, asked->values, asked->n);
    if (!status)
        status = ort->append_tensorrt(options, tensorrt);
    if (tensorrt)
        ort->release_tensorrt(tensorrt);
    return status;
}

static enum px_code append(const struct px_ort *ort, const struct asked *asked, void *options,
                           struct px_err *err)
{
    char known[256];
    void *status;
    if (strcmp(asked->name, "CPU") == 0 && asked->n > 0) {
        px_err_set(err, PX_E_UNKNOWN_OPTION, "the provider CPU has no options, got '%s'",
                   asked->keys[0]);
        return px_err_hint(err, "threads and memory are set beside `providers`: engine.threads, "
                                "engine.memory_arena");
    }
    if (strcmp(asked->name, "CPU") == 0)
        return PX_OK;
    if (!is_compiled_in(ort, asked->name)) {
        px_err_set(err, PX_E_UNAVAILABLE,
                   "ONNX Runtime %s has no execution provider '%s'; it has %s", ort->version,
                   asked->name, px_ort_providers(ort, known, sizeof known));
        return px_err_hint(err, "point PHOENIX_ONNXRUNTIME at a library that was built with it");
    }
    if (strcmp(asked->name, "CUDA") == 0)
        status = append_cuda(ort, asked, options);
    else if (strcmp(asked->name, "Tensorrt") == 0)
        status = append_tensorrt(ort, asked, options);
    else
        status = ort->append_provider(options, asked->name, asked->keys, asked->values, asked->n);
    enum px_code code = px_ort_check(ort, status, NULL, err);
    if (code == PX_OK)
        return PX_OK;
    px_err_wrap(err, "execution provider '%s' cannot be used", asked->name);
    return px_err_hint(err, "its own libraries have to lie beside libonnxruntime.so");
}

enum px_code px_ort_append_providers(struct px_ort_settings *settings, const struct px_ort *ort,
                                     struct px_arena *arena, void *options, struct px_err *err)
{
    struct px_buf used = px_buf_fixed(settings->used, sizeof settings->used);
    const struct px_yaml *node = settings->providers ? settings->providers->first_child : NULL;
    size_t n = 0;
    for (; node; node = node->next, n++) {
        struct asked asked;
        enum px_code code = read_asked(node, settings->from_client, arena, &asked, err);
        if (code == PX_OK && n == PX_ORT_PROVIDERS_MAX)
            code = px_err_set(err, PX_E_TOO_LARGE, "line %u: more than %d providers", node->line,
                              PX_ORT_PROVIDERS_MAX);
        if (code == PX_OK)
            code = append(ort, &asked, options, err);
        if (code != PX_OK)
            return px_err_wrap(err, "engine.providers");
        if (strcmp(asked.name, "CPU") != 0)
            px_buf_printf(&used, "%s, ", asked.name);
    }
    px_buf_text(&used, "CPU");
    return PX_OK;
}
