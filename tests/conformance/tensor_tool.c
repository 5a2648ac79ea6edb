/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs models of tensors for Python tests: a dialogue of lines and bytes on standard input and output.
 *
 *     open PATH                               ok N-INPUTS N-OUTPUTS, then a line "NAME DATATYPE" for each
 *     run N, then N tensors                   ok N-OUTPUTS, then as many tensors
 *     a tensor: NAME DATATYPE DIMS N-BYTES    its dimensions with commas between ("-" for none); then its bytes
 *
 * What fails is answered with "error CODE MESSAGE". The program ends with its input.
 */
#include "infrastructure/engines/onnxruntime/onnxruntime.h"
#include "shared/alloc.h"

#include <inttypes.h>

enum { LINE_MAX_BYTES = 4096, TENSORS_MAX = 64, MEMORY_MAX = 1 << 30 };

struct tool {
    struct px_arena model_arena, run_arena;
    struct px_engine *engine;
};

static void print_error(const struct px_err *err)
{
    printf("error %s %s\n", px_code_name(err->code), err->message);
}

static void print_specs(const struct px_tensor_specs *specs)
{
    for (size_t i = 0; i < specs->n; i++)
        printf("%.*s %s\n", (int)specs->list[i].name.len, specs->list[i].name.ptr,
               px_datatype_name(specs->list[i].type));
}

static void close_model(struct tool *tool)
{
    px_engine_destroy(tool->engine);
    tool->engine = NULL;
    px_arena_reset(&tool->model_arena);
}

static void open_model(struct tool *tool, const char *path)
{
    struct px_err err = {0};
    const struct px_engine_request request = {
        .model_name = px_str("model"), .path = px_str(path), .arena = &tool->model_arena};
    close_model(tool);
    if (px_onnxruntime_provider.open(&request, &tool->engine, &err) != PX_OK) {
        print_error(&err);
        return;
    }
    printf("ok %zu %zu\n", tool->engine->takes.n, tool->engine->gives.n);
    print_specs(&tool->engine->takes);
    print_specs(&tool->engine->gives);
}

static void read_shape(struct px_str text, struct px_tensor *ret)
{
    while (text.ptr && !px_str_is(text, "-") && ret->n_dims < PX_TENSOR_DIMS_MAX) {
        struct px_str dim = px_str_cut(&text, ',');
        if (px_str_to_u64(dim, &ret->shape[ret->n_dims]))
            ret->n_dims++;
    }
}

static bool read_tensor(struct px_arena *arena, struct px_tensor *ret)
{
    char line[LINE_MAX_BYTES];
    uint64_t n_bytes;
    if (!fgets(line, sizeof line, stdin))
        return false;
    struct px_str rest = px_arena_str(arena, px_str_trim(px_str(line)));
    *ret = (struct px_tensor){.name = px_str_cut(&rest, ' ')};
    ret->type = px_datatype_from_name(px_str_cut(&rest, ' '));
    read_shape(px_str_cut(&rest, ' '), ret);
    if (!px_str_to_u64(rest, &n_bytes) || n_bytes > MEMORY_MAX)
        return false;
    char *bytes = px_arena_alloc(arena, n_bytes + 1, 1);
    if (!bytes || fread(bytes, 1, n_bytes, stdin) != n_bytes)
        return false;
    ret->bytes = px_str_n(bytes, n_bytes);
    return true;
}

static void print_tensor(const struct px_tensor *tensor)
{
    printf("%.*s %s ", (int)tensor->name.len, tensor->name.ptr, px_datatype_name(tensor->type));
    for (size_t i = 0; i < tensor->n_dims; i++)
        printf("%s%" PRIu64, i ? "," : "", tensor->shape[i]);
    printf("%s %zu\n", tensor->n_dims ? "" : "-", tensor->bytes.len);
    if (tensor->bytes.len)
        fwrite(tensor->bytes.ptr, 1, tensor->bytes.len, stdout);
}

static bool run_model(struct tool *tool, size_t n)
{
    struct px_tensor inputs[TENSORS_MAX], outputs[TENSORS_MAX];
    struct px_run run = {.inputs = inputs, .outputs = outputs, .arena = &tool->run_arena};
    struct px_err err = {0};
    px_arena_reset(&tool->run_arena);
    if (n > TENSORS_MAX || !tool->engine || tool->engine->gives.n > TENSORS_MAX)
        return false;
    for (run.n_inputs = 0; run.n_inputs < n; run.n_inputs++) {
        if (!read_tensor(&tool->run_arena, &inputs[run.n_inputs]))
            return false;
    }
    for (; run.n_outputs < tool->engine->gives.n; run.n_outputs++)
        outputs[run.n_outputs] =
            (struct px_tensor){.name = tool->engine->gives.list[run.n_outputs].name};
    enum px_code code = px_engine_check_run(tool->engine, &run, &err);
    if (code == PX_OK)
        code = px_engine_run(tool->engine, &run, &err);
    if (code == PX_OK)
        printf("ok %zu\n", run.n_outputs);
    else
        print_error(&err);
    for (size_t i = 0; code == PX_OK && i < run.n_outputs; i++)
        print_tensor(&outputs[i]);
    px_run_release(&run);
    return true;
}

int main(void)
{
    struct tool tool = {.model_arena = px_arena(MEMORY_MAX), .run_arena = px_arena(MEMORY_MAX)};
    char line[LINE_MAX_BYTES];
    bool going = true;
    while (going && fgets(line, sizeof line, stdin)) {
        struct px_str rest = px_str_trim(px_str(line));
        struct px_str word = px_str_cut(&rest, ' ');
        uint64_t n = 0;
        line[strcspn(line, "\n")] = '\0';
        if (px_str_is(word, "open"))
            open_model(&tool, rest.ptr);
        else
            going = px_str_is(word, "run") && px_str_to_u64(rest, &n) && run_model(&tool, n);
        fflush(stdout);
    }
    close_model(&tool);
    px_arena_deinit(&tool.model_arena);
    px_arena_deinit(&tool.run_arena);
    return going ? 0 : 1;
}
