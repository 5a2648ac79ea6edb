/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks a remote model from a script: remote_tool SETTINGS, the mapping `engine` as YAML. It prints what the model takes and gives,
 * then answers each run that it reads from standard input, and ends with what the engine tells of itself.
 *
 *     > in x FP32 2,4 <hex>        an input
 *     > out y                      an output that is wanted
 *     > run 500                    with 500 ms of time (0: any)
 *     < y FP32 2,1 <hex>           each output, then an empty line; or
 *     < error UNAVAILABLE <text>   and an empty line
 */
#include "remote_fixture.h"
#include "waited_run.h"

#include "shared/alloc.h"
#include "shared/clock.h"

enum { LINE_MAX_BYTES = 1 << 22, TENSORS_MAX = 16 };

struct session {
    struct remote_fixture f;
    struct px_arena arena;
    struct px_tensor inputs[TENSORS_MAX], outputs[TENSORS_MAX];
    size_t n_inputs, n_outputs;
};

static void print_specs(const char *what, const struct px_tensor_specs *specs)
{
    char shape[PX_TENSOR_SHAPE_TEXT_MAX];
    for (size_t i = 0; i < specs->n; i++)
        printf("%s %.*s %s %s\n", what, PX_STR_ARG(specs->list[i].name),
               px_datatype_name(specs->list[i].type),
               px_tensor_spec_shape_text(&specs->list[i], shape));
}

static struct px_str from_hex(struct px_str hex, struct px_arena *arena)
{
    char *bytes = px_arena_alloc(arena, hex.len / 2 + 1, 1);
    for (size_t i = 0; i + 1 < hex.len; i += 2) {
        char pair[3] = {hex.ptr[i], hex.ptr[i + 1], '\0'};
        bytes[i / 2] = (char)strtoul(pair, NULL, 16);
    }
    return px_str_n(bytes, hex.len / 2);
}

static void add_input(struct session *s, struct px_str rest)
{
    struct px_tensor *t = &s->inputs[s->n_inputs++];
    *t = (struct px_tensor){.name = px_str_cut(&rest, ' ')};
    t->type = px_datatype_from_name(px_str_cut(&rest, ' '));
    struct px_str shape = px_str_cut(&rest, ' ');
    while (shape.len > 0)
        CHECK(px_str_to_u64(px_str_cut(&shape, ','), &t->shape[t->n_dims++]));
    t->bytes = from_hex(rest, &s->arena);
}

static void print_outputs(const struct px_run *run)
{
    for (size_t i = 0; i < run->n_outputs; i++) {
        const struct px_tensor *t = &run->outputs[i];
        printf("%.*s %s ", PX_STR_ARG(t->name), px_datatype_name(t->type));
        for (size_t d = 0; d < t->n_dims; d++)
            printf("%s%llu", d ? "," : "", (unsigned long long)t->shape[d]);
        printf(" ");
        for (size_t b = 0; b < t->bytes.len; b++)
            printf("%02x", (unsigned char)t->bytes.ptr[b]);
        printf("\n");
    }
}

static void run_once(struct session *s, struct px_str timeout)
{
    struct waited_run *wait = px_xalloc(1, sizeof *wait);
    uint64_t ms = 0;
    CHECK(px_str_to_u64(timeout, &ms));
    waited_run_init(wait);
    wait->run.inputs = s->inputs;
    wait->run.n_inputs = s->n_inputs;
    wait->run.outputs = s->outputs;
    wait->run.n_outputs = s->n_outputs;
    wait->run.deadline_ns = ms ? px_clock_monotonic_ns() + ms * PX_NS_PER_MS : 0;
    enum px_code code = px_engine_check_run(s->f.engine, &wait->run, &wait->run.err);
    if (code == PX_OK) {
        px_engine_start(s->f.engine, &wait->run);
        code = waited_run_wait(wait);
    }
    if (code == PX_OK)
        print_outputs(&wait->run);
    else
        printf("error %s %s\n", px_code_name(code), wait->run.err.message);
    printf("\n");
    fflush(stdout);
    waited_run_deinit(wait);
    px_free(wait);
    s->n_inputs = s->n_outputs = 0;
}

static void serve(struct session *s)
{
    char *line = px_xalloc(LINE_MAX_BYTES, 1);
    while (fgets(line, LINE_MAX_BYTES, stdin)) {
        struct px_str rest = px_arena_str(&s->arena, px_str_trim(px_str(line)));
        struct px_str verb = px_str_cut(&rest, ' ');
        if (px_str_is(verb, "in"))
            add_input(s, rest);
        else if (px_str_is(verb, "out"))
            s->outputs[s->n_outputs++] = (struct px_tensor){.name = rest};
        else
            run_once(s, rest);
    }
    px_free(line);
}

int main(int argc, char **argv)
{
    static struct session s;
    if (argc != 2)
        return 2;
    s.arena = px_arena(256 << 20);
    enum px_code code = remote_fixture_open(&s.f, argv[1]);
    if (code != PX_OK) {
        printf("error %s %s\n\n", px_code_name(code), s.f.err.message);
        return 1;
    }
    print_specs("takes", &s.f.engine->takes);
    print_specs("gives", &s.f.engine->gives);
    printf("\n");
    fflush(stdout);
    serve(&s);
    struct px_buf facts = px_buf(1 << 16);
    struct px_json_writer w = px_json_writer(&facts);
    px_json_begin_object(&w);
    s.f.engine->ops->describe(s.f.engine, &w);
    px_json_end_object(&w);
    printf("%s\n", px_buf_cstr(&facts));
    px_buf_deinit(&facts);
    remote_fixture_close(&s.f);
    px_arena_deinit(&s.arena);
    return 0;
}
