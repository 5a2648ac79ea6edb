/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/processing/text_settings.h"

#include "domain/processing/text_unicode.h"

enum px_code px_text_settings_only(const struct px_processor_source *source,
                                   const struct px_str *known, size_t n, struct px_err *err)
{
    const struct px_yaml *settings = source->settings;
    if (!settings)
        return PX_OK;
    if (settings->type != PX_YAML_MAPPING)
        return px_err_set(err, PX_E_INVALID, "line %u: expected a mapping of settings",
                          settings->line);
    return px_yaml_only(settings, known, n, err);
}

const struct px_yaml *px_text_setting(const struct px_processor_source *source, const char *key)
{
    return source->settings ? px_yaml_get(source->settings, key) : NULL;
}

enum px_code px_text_setting_bool(const struct px_processor_source *source, const char *key,
                                  bool *value, struct px_err *err)
{
    const struct px_yaml *node = px_text_setting(source, key);
    struct px_str text;
    if (!node)
        return PX_OK;
    if (px_yaml_str(node, &text, err) != PX_OK)
        return px_err_wrap(err, "%s", key);
    bool yes = px_str_is(text, "true");
    if (!yes && !px_str_is(text, "false"))
        return px_err_set(err, PX_E_INVALID, "line %u: %s: expected true or false, got '%.*s'",
                          node->line, key, PX_STR_ARG(text));
    *value = yes;
    return PX_OK;
}

enum px_code px_text_setting_number(const struct px_processor_source *source, const char *key,
                                    struct px_text_number *number, struct px_err *err)
{
    const struct px_yaml *node = px_text_setting(source, key);
    int64_t value;
    if (!node)
        return PX_OK;
    if (px_yaml_i64(node, &value, err) != PX_OK)
        return px_err_wrap(err, "%s", key);
    if (value < 0 || (uint64_t)value < number->min || (uint64_t)value > number->max)
        return px_err_set(err, PX_E_INVALID, "line %u: %s: expected %zu to %zu, got %lld",
                          node->line, key, number->min, number->max, (long long)value);
    number->value = (size_t)value;
    return PX_OK;
}

enum px_code px_text_setting_str(const struct px_processor_source *source, const char *key,
                                 struct px_str *value, struct px_err *err)
{
    const struct px_yaml *node = px_text_setting(source, key);
    if (node && px_yaml_str(node, value, err) != PX_OK)
        return px_err_wrap(err, "%s", key);
    return PX_OK;
}

enum { CHOICES_MAX = 8 };

enum px_code px_text_setting_choice(const struct px_processor_source *source, const char *key,
                                    const char *const *names, size_t *value, struct px_err *err)
{
    const struct px_yaml *node = px_text_setting(source, key);
    struct px_str text, known[CHOICES_MAX];
    size_t n = 0;
    if (!node)
        return PX_OK;
    if (px_yaml_str(node, &text, err) != PX_OK)
        return px_err_wrap(err, "%s", key);
    for (; names[n]; n++) {
        PX_ASSERT(n < CHOICES_MAX);
        known[n] = px_str(names[n]);
        if (px_str_eq(text, known[n])) {
            *value = n;
            return PX_OK;
        }
    }
    struct px_buf list = px_buf(PX_ERR_HINT_MAX);
    for (size_t i = 0; i < n; i++)
        px_buf_printf(&list, "%s%s", i ? ", " : "", names[i]);
    px_err_set(err, PX_E_INVALID, "line %u: %s: expected one of %s; got '%.*s'", node->line, key,
               px_buf_cstr(&list), PX_STR_ARG(text));
    px_buf_deinit(&list);
    px_err_suggest(err, text, known, n);
    return PX_E_INVALID;
}

enum px_code px_text_setting_float_type(const struct px_processor_source *source,
                                        enum px_datatype *type, struct px_err *err)
{
    static const char *const names[] = {"FP64", "FP32", NULL};
    size_t choice = *type == PX_TYPE_FP32;
    enum px_code code = px_text_setting_choice(source, "type", names, &choice, err);
    *type = choice ? PX_TYPE_FP32 : PX_TYPE_FP64;
    return code;
}

enum px_code px_text_setting_file(const struct px_processor_source *source, const char *key,
                                  struct px_str *ret, struct px_err *err)
{
    struct px_str name = {NULL, 0};
    *ret = name;
    enum px_code code = px_text_setting_str(source, key, &name, err);
    if (code != PX_OK || !name.ptr)
        return code;
    if (source->read_file(source->context, name, ret, err) != PX_OK)
        return px_err_wrap(err, "%s", key);
    if (ret->len > PX_TEXT_FILE_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "%s: '%.*s' has %zu bytes; at most %d are read", key,
                          PX_STR_ARG(name), ret->len, PX_TEXT_FILE_MAX);
    if (!ret->ptr)
        *ret = px_str("");
    return PX_OK;
}

static enum px_code check_inputs(const struct px_tensor_specs *inputs, struct px_err *err)
{
    if (inputs->n != 1)
        return px_err_set(err, PX_E_INVALID, "expected one input, 'input'; got %zu", inputs->n);
    if (!px_str_is(inputs->list[0].name, "input"))
        return px_err_set(err, PX_E_INVALID, "expected the input 'input', got '%.*s'",
                          PX_STR_ARG(inputs->list[0].name));
    const struct px_tensor_spec *spec = &inputs->list[0];
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    bool list = spec->n_dims == 1, column = spec->n_dims == 2 && spec->shape[1] == 1;
    if (spec->type != PX_TYPE_BYTES || spec->any_rank || (!list && !column))
        return px_err_set(err, PX_E_INVALID,
                          "input: expected texts, BYTES of [-1] or [-1,1]; got %s of %s",
                          px_datatype_name(spec->type),
                          spec->any_rank ? "any shape" : px_tensor_spec_shape_text(spec, shape));
    return PX_OK;
}

enum px_code px_text_processor_init(struct px_processor *processor,
                                    const struct px_processor_kind *kind,
                                    const struct px_processor_source *source, size_t n_outputs,
                                    struct px_tensor_spec **ret_gives, struct px_err *err)
{
    if (check_inputs(&source->inputs, err) != PX_OK)
        return px_err_wrap(err, "%s", kind->name);
    struct px_tensor_spec *specs = px_arena_zalloc(source->arena, n_outputs + 1, sizeof *specs);
    if (!specs)
        return px_arena_check(source->arena, "processor", err);
    specs[n_outputs] = source->inputs.list[0];
    specs[n_outputs].name = px_str("input");
    for (size_t i = 0; i < n_outputs; i++) {
        specs[i].n_dims = 2;
        specs[i].shape[0] = source->inputs.list[0].shape[0];
        specs[i].shape[1] = PX_DIM_ANY;
    }
    *processor = (struct px_processor){.kind = kind,
                                       .takes = {specs + n_outputs, 1},
                                       .gives = {specs, n_outputs},
                                       .row_wise = px_processor_has_rows(&specs[n_outputs])};
    *ret_gives = specs;
    return PX_OK;
}

enum px_code px_text_take(struct px_str *rest, size_t number, struct px_arena *arena,
                          struct px_str *ret, struct px_err *err)
{
    struct px_str text;
    if (!px_tensor_next_text(rest, &text))
        return px_err_set(err, PX_E_INVALID, "text %zu: the tensor ends before it", number);
    if (text.len > PX_TEXT_BYTES_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "text %zu has %zu bytes; at most %d are processed",
                          number, text.len, PX_TEXT_BYTES_MAX);
    if (text.len == 0)
        text = px_str("");
    return px_text_well_formed(text, arena, ret, err);
}

enum px_code px_text_tensor_make(const struct px_tensor_spec *spec, size_t n_rows, size_t n_cols,
                                 struct px_arena *arena, struct px_tensor *ret, void **ret_elements,
                                 struct px_err *err)
{
    size_t row = n_cols * px_datatype_size(spec->type);
    *ret_elements = NULL;
    if (n_rows && row) {
        *ret_elements = px_arena_zalloc(arena, n_rows, row);
        if (!*ret_elements)
            return px_arena_check(arena, "tensors of text processors", err);
    }
    *ret = (struct px_tensor){.name = spec->name,
                              .type = spec->type,
                              .shape = {n_rows, n_cols},
                              .n_dims = 2,
                              .bytes = {*ret_elements, n_rows * row}};
    return PX_OK;
}

void *px_text_scratch(struct px_text_scratch *scratch, size_t count, size_t size,
                      struct px_arena *arena)
{
    size_t need;
    if (__builtin_mul_overflow(count, size, &need))
        need = SIZE_MAX;
    if (need <= scratch->bytes && scratch->memory)
        return scratch->memory;
    size_t doubled = scratch->bytes * 2;
    size_t bytes = need > doubled ? need : doubled;
    void *memory = px_arena_alloc(arena, bytes ? bytes : 1, 1);
    if (memory)
        *scratch = (struct px_text_scratch){memory, bytes};
    return memory;
}
