/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies a processor to one tensor, for tests/golden/test_tabular.py:
 *
 *     tabular_tool KIND SETTINGS TYPE SHAPE INPUT OUT    (SHAPE: 4x3; INPUT: the tensor's bytes)
 *
 * SETTINGS is YAML, files that it names are beside it. The processor is created for any number of rows. Each output is written to
 * OUT.NAME and listed as "NAME TYPE SHAPE"; what is refused is written to stderr, with exit status 1.
 */
#include "domain/processing/processor.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATH_SIZE = 4096 };

PX_NORETURN static void fail(const char *what, const struct px_err *err)
{
    char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX];
    fprintf(stderr, "%s: %s\n", what, err ? px_err_text(err, text, sizeof text) : "failed");
    exit(1);
}

static struct px_str read_whole(const char *path, struct px_arena *arena)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fail(path, NULL);
    long size = ftell(file);
    rewind(file);
    char *bytes = px_arena_alloc(arena, (size_t)size + 1, 1);
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size)
        fail(path, NULL);
    fclose(file);
    return px_str_n(bytes, (size_t)size);
}

struct beside {
    const char *settings;
    struct px_arena *arena;
};

static enum px_code read_beside(void *context, struct px_str name, struct px_str *ret,
                                struct px_err *err)
{
    char path[PATH_SIZE];
    const struct beside *beside = context;
    const char *settings = beside->settings, *slash = strrchr(settings, '/');
    (void)err;
    snprintf(path, sizeof path, "%.*s/%.*s", slash ? (int)(slash - settings) : 1,
             slash ? settings : ".", PX_STR_ARG(name));
    *ret = read_whole(path, beside->arena);
    return PX_OK;
}

static struct px_tensor read_tensor(char **argv, struct px_arena *arena)
{
    struct px_tensor tensor = {.name = px_str("input"),
                               .type = px_datatype_from_name(px_str(argv[3])),
                               .bytes = read_whole(argv[5], arena)};
    struct px_str shape = px_str(argv[4]);
    struct px_err err;
    while (shape.ptr) {
        if (tensor.n_dims == PX_TENSOR_DIMS_MAX ||
            !px_str_to_u64(px_str_cut(&shape, 'x'), &tensor.shape[tensor.n_dims++]))
            fail(argv[4], NULL);
    }
    if (px_tensor_check_bytes(&tensor, &err) != PX_OK)
        fail("input", &err);
    return tensor;
}

static struct px_processor *create(const struct px_processor_kind *kind, const char *path,
                                   const struct px_tensor *tensor, struct px_arena *arena)
{
    struct px_tensor_spec input = {
        .name = tensor->name, .type = tensor->type, .n_dims = tensor->n_dims};
    struct beside beside = {path, arena};
    struct px_processor_source source = {
        .inputs = {&input, 1}, .arena = arena, .read_file = read_beside, .context = &beside};
    struct px_processor *processor;
    struct px_err err;
    for (size_t i = 0; i < tensor->n_dims; i++)
        input.shape[i] = i ? (int64_t)tensor->shape[i] : PX_DIM_ANY;
    if (px_yaml_parse(read_whole(path, arena), arena, &source.settings, &err) != PX_OK ||
        kind->create(&source, &processor, &err) != PX_OK)
        fail(kind->name, &err);
    return processor;
}

static void write_output(const struct px_tensor *tensor, const struct px_tensor_spec *spec,
                         const char *out)
{
    char path[PATH_SIZE], shape[PX_TENSOR_SHAPE_TEXT_MAX];
    struct px_err err;
    if (px_tensor_check_spec(tensor, spec, &err) != PX_OK ||
        px_tensor_check_bytes(tensor, &err) != PX_OK)
        fail("output", &err);
    snprintf(path, sizeof path, "%s.%.*s", out, PX_STR_ARG(tensor->name));
    FILE *file = fopen(path, "wb");
    if (!file ||
        (tensor->bytes.len && fwrite(tensor->bytes.ptr, tensor->bytes.len, 1, file) != 1) ||
        fclose(file) != 0)
        fail(path, NULL);
    printf("%.*s %s %s\n", PX_STR_ARG(tensor->name), px_datatype_name(tensor->type),
           px_tensor_shape_text(tensor, shape));
}

int main(int argc, char **argv)
{
    struct px_err err;
    if (argc != 7)
        fail("usage: tabular_tool KIND SETTINGS TYPE SHAPE INPUT OUT", NULL);
    const struct px_processor_kind *kind = px_processor_kind_find(px_str(argv[1]), &err);
    if (!kind)
        fail(argv[1], &err);
    struct px_arena arena = px_arena((size_t)1 << 30), scratch = px_arena((size_t)1 << 30);
    const struct px_tensor input = read_tensor(argv, &arena);
    const struct px_processor *processor = create(kind, argv[2], &input, &arena);
    struct px_tensor outputs[PX_PROCESSOR_OUTPUTS_MAX];
    if (processor->apply(processor, &input, outputs, &scratch, &err) != PX_OK)
        fail("apply", &err);
    for (size_t i = 0; i < processor->gives.n; i++)
        write_output(&outputs[i], &processor->gives.list[i], argv[6]);
    px_arena_deinit(&scratch);
    px_arena_deinit(&arena);
    return 0;
}
