/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processors of tables: whatever their settings and the tensor are, they are refused, or give tensors that fit what they said.
 * The first line of the input is "KIND TYPE COLUMNS" (no COLUMNS: [rows]; "-": any number); then the settings up to a line "---"; then the
 * bytes of the tensor, which are also the file that the settings may name.
 */
#include "fuzz.h"

#include "domain/processing/processor.h"

enum { ROWS_MAX = 64 };

static enum px_code read_file(void *context, struct px_str name, struct px_str *ret,
                              struct px_err *err)
{
    (void)name, (void)err;
    *ret = *(const struct px_str *)context;
    return PX_OK;
}

static struct px_str cut_settings(struct px_str *rest)
{
    const char *mark = rest->len ? memmem(rest->ptr, rest->len, "\n---\n", 5) : NULL;
    struct px_str settings = *rest;
    if (!mark) {
        *rest = px_str("");
        return settings;
    }
    settings.len = (size_t)(mark - settings.ptr);
    *rest = px_str_n(mark + 5, rest->len - settings.len - 5);
    return settings;
}

/* As many whole rows as the bytes make. */
static bool make_tensor(struct px_tensor *tensor, struct px_str bytes)
{
    size_t size = px_datatype_size(tensor->type), n = 0;
    uint64_t columns = tensor->n_dims == 1 ? 1 : tensor->shape[1];
    struct px_str rest = bytes, text;
    while (size == 0 && n < ROWS_MAX * columns && px_tensor_next_text(&rest, &text))
        n++;
    n = size ? bytes.len / size : n;
    tensor->shape[0] = columns ? n / columns : ROWS_MAX;
    tensor->bytes = bytes;
    if (size)
        tensor->bytes.len = (size_t)(tensor->shape[0] * columns) * size;
    else
        tensor->bytes.len = bytes.len - rest.len;
    return px_tensor_check_bytes(tensor, NULL) == PX_OK;
}

static void check_apply(const struct px_processor *processor, const struct px_tensor *input)
{
    struct px_tensor outputs[PX_PROCESSOR_OUTPUTS_MAX];
    struct px_arena arena = px_arena(16 << 20);
    struct px_err err = {.code = PX_OK};
    enum px_code code = px_tensor_check_spec(input, &processor->takes.list[0], NULL);
    PX_ASSERT(processor->gives.n > 0 && processor->gives.n <= PX_PROCESSOR_OUTPUTS_MAX);
    if (code == PX_OK)
        code = processor->apply(processor, input, outputs, &arena, &err);
    for (size_t i = 0; code == PX_OK && i < processor->gives.n; i++) {
        PX_ASSERT(px_tensor_check_spec(&outputs[i], &processor->gives.list[i], &err) == PX_OK);
        PX_ASSERT(px_tensor_check_bytes(&outputs[i], &err) == PX_OK);
        PX_ASSERT(outputs[i].n_dims == 0 || outputs[i].shape[0] == input->shape[0]);
    }
    px_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_str rest = px_str_n((const char *)data, size);
    struct px_str head = px_str_cut(&rest, '\n'), kind_name = px_str_cut(&head, ' ');
    struct px_tensor tensor = {.name = px_str("input"),
                               .type = px_datatype_from_name(px_str_cut(&head, ' '))};
    const struct px_processor_kind *kind = px_processor_kind_find(kind_name, NULL);
    if (!kind || strncmp(kind->name, "token", 5) == 0 || tensor.type == PX_TYPE_NONE)
        return 0;
    struct px_tensor_spec spec = {
        .name = tensor.name, .type = tensor.type, .shape = {PX_DIM_ANY, PX_DIM_ANY}, .n_dims = 1};
    tensor.n_dims = 1;
    if (head.len) {
        tensor.n_dims = spec.n_dims = 2;
        if (px_str_to_u64(head, &tensor.shape[1]) && tensor.shape[1] < 1 << 16)
            spec.shape[1] = (int64_t)tensor.shape[1];
        else
            tensor.shape[1] = 3;
    }
    struct px_arena arena = px_arena(16 << 20);
    struct px_str settings = cut_settings(&rest);
    struct px_processor_source source = {
        .inputs = {&spec, 1}, .arena = &arena, .read_file = read_file, .context = &rest};
    struct px_processor *processor;
    struct px_err err;
    if (px_yaml_parse(settings, &arena, &source.settings, &err) == PX_OK &&
        kind->create(&source, &processor, &err) == PX_OK && make_tensor(&tensor, rest))
        check_apply(processor, &tensor);
    px_arena_deinit(&arena);
    return 0;
}
