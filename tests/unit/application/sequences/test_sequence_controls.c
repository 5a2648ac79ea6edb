/* SPDX-License-Identifier: Apache-2.0 */
/* What a model is told of its sequences: controls of every type, empty rows of direct batches, texts, and bad answers. */
#include "application/sequences/sequence_engine.h"

#include "application/execution/executor.h"
#include "harness.h"
#include "shared/alloc.h"
#include "shared/clock.h"
#include "waited_run.h"

/*
 * A model that tells what it was told: word is its input `text`, and seen is [start, end, ready, id] of the row. The state counts
 * steps. `bad` answers have a row too few.
 */
struct teller {
    struct px_engine base; /* first */
    bool bad, bad_state;
    size_t n_rows; /* of the last run */
};

enum { ROWS_MAX = 16, SEEN = 4 };

static struct teller *teller;
static struct px_engine *engine;

static struct px_str input(const struct px_run *run, const char *name)
{
    for (size_t i = 0; i < run->n_inputs; i++) {
        if (px_str_is(run->inputs[i].name, name))
            return run->inputs[i].bytes;
    }
    PX_ASSERT(false);
    return (struct px_str){0};
}

static void set_output(struct px_run *run, const char *name, enum px_datatype type, size_t n_rows,
                       size_t n_columns, struct px_str bytes)
{
    for (size_t i = 0; i < run->n_outputs; i++) {
        struct px_tensor *to = &run->outputs[i];
        if (px_str_is(to->name, name))
            *to = (struct px_tensor){.name = to->name,
                                     .type = type,
                                     .shape = {n_rows, n_columns},
                                     .n_dims = 2,
                                     .bytes = bytes};
    }
}

static enum px_code tell(struct px_engine *base, struct px_run *run, struct px_err *err)
{
    struct teller *self = (struct teller *)base;
    struct px_str counts = input(run, "count_in"), text = input(run, "text");
    size_t n = counts.len / sizeof(int64_t), given = self->bad ? n - 1 : n;
    float *seen = px_arena_zalloc(run->arena, n * SEEN, sizeof *seen);
    int64_t *next = px_arena_zalloc(run->arena, n, sizeof *next);
    if (!seen || !next)
        return px_arena_check(run->arena, "the answer", err);
    self->n_rows = n;
    for (size_t i = 0; i < n; i++) {
        int32_t end;
        uint64_t id;
        memcpy(&end, input(run, "end").ptr + i * sizeof end, sizeof end);
        memcpy(&seen[i * SEEN + 2], input(run, "ready").ptr + i * sizeof(float), sizeof(float));
        memcpy(&id, input(run, "id").ptr + i * sizeof id, sizeof id);
        memcpy(&next[i], counts.ptr + i * sizeof *next, sizeof *next);
        seen[i * SEEN] = input(run, "start").ptr[i];
        seen[i * SEEN + 1] = (float)end;
        seen[i * SEEN + 3] = (float)id;
        next[i]++;
    }
    set_output(run, "seen", PX_TYPE_FP32, given, SEEN,
               px_str_n((const char *)seen, given * SEEN * sizeof *seen));
    set_output(run, "word", PX_TYPE_BYTES, n, 1, text);
    set_output(run, "count", self->bad_state ? PX_TYPE_UINT64 : PX_TYPE_INT64, n, 1,
               px_str_n((const char *)next, n * sizeof *next));
    return PX_OK;
}

static void destroy(struct px_engine *base)
{
    px_free(base);
}

#define SPEC(tensor, datatype, columns)                                                            \
    {                                                                                              \
        .name = PX_STR(tensor), .type = datatype, .shape = {-1, columns}, .n_dims = 2              \
    }

static struct px_engine *make(void)
{
    static const struct px_engine_ops ops = {.abi = PX_ENGINE_ABI,
                                             .caps = PX_ENGINE_TENSORS | PX_ENGINE_BATCHES,
                                             .name = "teller",
                                             .run = tell,
                                             .destroy = destroy};
    static const struct px_tensor_spec takes[] = {SPEC("text", PX_TYPE_BYTES, 1),
                                                  SPEC("count_in", PX_TYPE_INT64, 1),
                                                  SPEC("start", PX_TYPE_BOOL, 1),
                                                  SPEC("end", PX_TYPE_INT32, 1),
                                                  SPEC("ready", PX_TYPE_FP32, -1),
                                                  SPEC("id", PX_TYPE_UINT64, 1)},
                                       gives[] = {SPEC("seen", PX_TYPE_FP32, SEEN),
                                                  SPEC("word", PX_TYPE_BYTES, 1),
                                                  SPEC("count", PX_TYPE_INT64, 1)};
    struct px_engine *inner = NULL;
    teller = px_xalloc(1, sizeof *teller);
    teller->base = (struct px_engine){.ops = &ops, .takes = {takes, 6}, .gives = {gives, 3}};
    CHECK_OK(px_executor_engine_create(&teller->base, &(struct px_executor_options){.n_threads = 1},
                                       &inner, NULL));
    return inner;
}

static void set_up(enum px_sequence_scheduler scheduler)
{
    static struct px_sequence_state state = {
        .input = PX_STR("count_in"), .output = PX_STR("count"), .show = true};
    const struct px_sequence_settings settings = {
        .rules = {.scheduler = scheduler,
                  .sequences_max = ROWS_MAX,
                  .batch_max = ROWS_MAX,
                  .delay_ns = 0,
                  .idle_timeout_ns = 60 * PX_NS_PER_S},
        .steps_max = 100,
        .memory_max = 1 << 20,
        .states = &state,
        .n_states = 1,
        .controls = {PX_STR("start"), PX_STR("end"), PX_STR("ready"), PX_STR("id")},
    };
    const struct px_sequence_options options = {.settings = &settings};
    CHECK_OK(px_sequence_engine_create(make(), &options, &engine, NULL));
}

struct asked {
    struct waited_run wait;
    struct px_tensor text, outputs[3];
    char bytes[64];
};

static void ask(struct asked *a, uint64_t id, bool start, bool end, const char *text)
{
    uint32_t len = (uint32_t)strlen(text);
    waited_run_init(&a->wait);
    memcpy(a->bytes, &len, sizeof len);
    memcpy(a->bytes + sizeof len, text, len);
    a->text = (struct px_tensor){.name = PX_STR("text"),
                                 .type = PX_TYPE_BYTES,
                                 .shape = {1, 1},
                                 .n_dims = 2,
                                 .bytes = px_str_n(a->bytes, sizeof len + len)};
    a->outputs[0] = (struct px_tensor){.name = PX_STR("seen")};
    a->outputs[1] = (struct px_tensor){.name = PX_STR("word")};
    a->outputs[2] = (struct px_tensor){.name = PX_STR("count")};
    a->wait.run.inputs = &a->text;
    a->wait.run.n_inputs = 1;
    a->wait.run.outputs = a->outputs;
    a->wait.run.n_outputs = 3;
    a->wait.run.sequence = (struct px_sequence_step){.id = id, .start = start, .end = end};
    CHECK_OK(px_engine_check_run(engine, &a->wait.run, NULL));
    px_engine_start(engine, &a->wait.run);
}

static void check(struct asked *a, const char *text, int64_t count)
{
    const struct px_sequence_step *step = &a->wait.run.sequence;
    float seen[SEEN];
    int64_t counted;
    CHECK_INT(waited_run_wait(&a->wait), PX_OK);
    memcpy(seen, a->outputs[0].bytes.ptr, sizeof seen);
    CHECK(seen[0] == (float)step->start && seen[1] == (float)step->end && seen[2] == 1);
    CHECK_DOUBLE(seen[3], (double)step->id);
    CHECK_INT(a->outputs[1].bytes.len, sizeof(uint32_t) + strlen(text));
    CHECK(memcmp(a->outputs[1].bytes.ptr + sizeof(uint32_t), text, strlen(text)) == 0);
    memcpy(&counted, a->outputs[2].bytes.ptr, sizeof counted);
    CHECK_INT(counted, count);
    waited_run_deinit(&a->wait);
}

PX_TEST(controls_say_where_a_step_is_in_its_sequence)
{
    struct asked *a = px_xalloc(1, sizeof *a);
    set_up(PX_SEQUENCE_OLDEST);
    CHECK(engine->takes.n == 1 && engine->gives.n == 3);
    ask(a, 7, true, false, "one");
    check(a, "one", 1);
    ask(a, 7, false, false, "");
    check(a, "", 2);
    ask(a, 7, false, true, "three");
    check(a, "three", 3);
    px_engine_destroy(engine);
    px_free(a);
}

PX_TEST(rows_without_a_step_are_empty_and_not_ready)
{
    struct asked *a = px_xalloc(3, sizeof *a);
    static const char *const texts[] = {"first", "", "third"};
    set_up(PX_SEQUENCE_DIRECT);
    for (size_t i = 0; i < 3; i++) {
        ask(&a[i], 10 + i, true, false, texts[i]);
        check(&a[i], texts[i], 1);
    }
    ask(&a[2], 12, false, false, "alone"); /* in the third row */
    check(&a[2], "alone", 2);
    CHECK_INT(teller->n_rows, 3);
    ask(&a[0], 10, false, false, "alone");
    check(&a[0], "alone", 2);
    CHECK_INT(teller->n_rows, 1);
    px_engine_destroy(engine);
    px_free(a);
}

PX_TEST(a_model_that_answers_other_rows_or_states_is_an_error)
{
    struct asked *a = px_xalloc(1, sizeof *a);
    set_up(PX_SEQUENCE_OLDEST);
    teller->bad = true;
    ask(a, 7, true, false, "one");
    CHECK_INT(waited_run_wait(&a->wait), PX_E_INTERNAL);
    CHECK_CONTAINS(a->wait.run.err.message, "was given 1 rows and returned 'seen' of shape [0,4]");
    waited_run_deinit(&a->wait);
    teller->bad = false;
    teller->bad_state = true;
    ask(a, 7, true, false, "one");
    CHECK_INT(waited_run_wait(&a->wait), PX_E_INTERNAL);
    CHECK_CONTAINS(a->wait.run.err.message, "returned the state 'count' as UINT64 of shape [1,1]");
    waited_run_deinit(&a->wait);
    px_engine_destroy(engine);
    px_free(a);
}

PX_TEST(an_id_that_the_model_cannot_take_is_refused)
{
    struct asked *a = px_xalloc(1, sizeof *a);
    set_up(PX_SEQUENCE_OLDEST);
    ask(a, UINT64_MAX, true, true, "large");
    CHECK_INT(waited_run_wait(&a->wait), PX_OK);
    a->wait.run.sequence.text_id = (struct px_str)PX_STR("abc");
    px_engine_start(engine, &a->wait.run);
    CHECK_INT(waited_run_wait(&a->wait), PX_E_INVALID);
    CHECK_CONTAINS(a->wait.run.err.message, "sequence ids of this model are numbers");
    waited_run_deinit(&a->wait);
    px_engine_destroy(engine);
    px_free(a);
}

PX_TEST_MAIN(T(controls_say_where_a_step_is_in_its_sequence)
                 T(rows_without_a_step_are_empty_and_not_ready)
                     T(a_model_that_answers_other_rows_or_states_is_an_error)
                         T(an_id_that_the_model_cannot_take_is_refused))
