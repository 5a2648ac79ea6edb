/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Applies a processor of texts, for the parity tests and the benchmark of tokenizers.
 *
 *     text_tool KIND SETTINGS TEXTS OUT       OUT.NAME receives the bytes of each output; prints `NAME TYPE SHAPE`
 *     text_tool KIND SETTINGS TEXTS --time N  applies N times to batches of 64 texts, prints the processor time of each, in seconds
 *
 * SETTINGS is a YAML file; the files that it names lie beside it. TEXTS holds the elements of a BYTES tensor. The exit
 * status is 0, or 1 with a message.
 */
#include "domain/processing/processor.h"
#include "shared/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PATH_SIZE = 4096, BATCH = 64 };

static void fail(const char *what, const struct px_err *err)
{
    char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 8];
    fprintf(stderr, "%s: %s\n", what, err ? px_err_text(err, text, sizeof text) : "failed");
    exit(1);
}

static struct px_str read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fail(path, NULL);
    long size = ftell(file);
    rewind(file);
    char *bytes = px_xalloc((size_t)size + 1, 1);
    if (fread(bytes, 1, (size_t)size, file) != (size_t)size)
        fail(path, NULL);
    fclose(file);
    return px_str_n(bytes, (size_t)size);
}

static enum px_code read_beside(void *context, struct px_str name, struct px_str *ret,
                                struct px_err *err)
{
    char path[PATH_SIZE];
    const char *settings = context, *slash = strrchr(settings, '/');
    (void)err;
    snprintf(path, sizeof path, "%.*s/%.*s", slash ? (int)(slash - settings) : 1,
             slash ? settings : ".", PX_STR_ARG(name));
    *ret = read_whole(path);
    return PX_OK;
}

static size_t count_texts(struct px_str rest)
{
    struct px_str text;
    size_t n = 0;
    while (px_tensor_next_text(&rest, &text))
        n++;
    return n;
}

static struct px_processor *create(const struct px_processor_kind *kind, char *path,
                                   struct px_arena *arena)
{
    const struct px_tensor_spec input = {
        .name = px_str("input"), .type = PX_TYPE_BYTES, .shape = {PX_DIM_ANY}, .n_dims = 1};
    struct px_processor_source source = {
        .inputs = {&input, 1}, .arena = arena, .read_file = read_beside, .context = path};
    struct px_processor *processor = NULL;
    struct px_err err;
    if (px_yaml_parse(read_whole(path), arena, &source.settings, &err) != PX_OK ||
        kind->create(&source, &processor, &err) != PX_OK)
        fail(kind->name, &err);
    return processor;
}

static void apply(const struct px_processor *processor, struct px_str bytes, size_t n,
                  struct px_tensor *outputs, struct px_arena *arena)
{
    struct px_tensor input = {
        .name = px_str("input"), .type = PX_TYPE_BYTES, .shape = {n}, .n_dims = 1, .bytes = bytes};
    struct px_err err;
    if (processor->apply(processor, &input, outputs, arena, &err) != PX_OK)
        fail("apply", &err);
}

static void write_output(const struct px_tensor *tensor, const char *out)
{
    char path[PATH_SIZE], shape[PX_TENSOR_SHAPE_TEXT_MAX];
    snprintf(path, sizeof path, "%s.%.*s", out, PX_STR_ARG(tensor->name));
    FILE *file = fopen(path, "wb");
    if (!file ||
        (tensor->bytes.len && fwrite(tensor->bytes.ptr, tensor->bytes.len, 1, file) != 1) ||
        fclose(file) != 0)
        fail(path, NULL);
    printf("%.*s %s %s\n", PX_STR_ARG(tensor->name), px_datatype_name(tensor->type),
           px_tensor_shape_text(tensor, shape));
}

static double seconds_of_round(const struct px_processor *processor, struct px_str texts,
                               struct px_arena *arena)
{
    struct px_tensor outputs[PX_PROCESSOR_OUTPUTS_MAX];
    struct timespec begin, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    while (texts.len) {
        struct px_str rest = texts, text;
        size_t n = 0;
        while (n < BATCH && px_tensor_next_text(&rest, &text))
            n++;
        px_arena_reset(arena);
        apply(processor, px_str_n(texts.ptr, texts.len - rest.len), n, outputs, arena);
        texts = rest;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    return (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9;
}

int main(int argc, char **argv)
{
    struct px_err err;
    if (argc < 5)
        fail("usage: text_tool KIND SETTINGS TEXTS OUT | --time N", NULL);
    const struct px_processor_kind *kind = px_processor_kind_find(px_str(argv[1]), &err);
    if (!kind)
        fail(argv[1], &err);
    struct px_arena arena = px_arena((size_t)1 << 32), scratch = px_arena((size_t)1 << 32);
    const struct px_processor *processor = create(kind, argv[2], &arena);
    struct px_str texts = read_whole(argv[3]);
    struct px_tensor outputs[PX_PROCESSOR_OUTPUTS_MAX];
    if (strcmp(argv[4], "--time") == 0) {
        for (long round = argc > 5 ? strtol(argv[5], NULL, 10) : 1; round > 0; round--)
            printf("%.9f\n", seconds_of_round(processor, texts, &scratch));
    } else {
        apply(processor, texts, count_texts(texts), outputs, &scratch);
        for (size_t i = 0; i < processor->gives.n; i++)
            write_output(&outputs[i], argv[4]);
    }
    px_arena_deinit(&scratch);
    px_arena_deinit(&arena);
    return 0;
}
