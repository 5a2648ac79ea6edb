/* SPDX-License-Identifier: Apache-2.0 */
/* Running a graph: what runs, what does not, and what happens when a step fails, hangs or is not wanted any more. */
#include "application/graph/graph_engine.h"
#include "graph_models.h"
#include "harness.h"
#include "waited_run.h"

#define HEAD                                                                                       \
    "phoenix_graph: 1\n"                                                                           \
    "inputs: [{name: x, type: FP32, shape: [-1, 2]}]\n"

enum { ROWS_MAX = 16 };

static struct graph_model_set set;
static struct px_arena arena;
static struct px_engine *engine;
static struct px_err err;
static struct waited_run wait;
static struct px_tensor input, outputs[2];
static struct px_run_step steps[16];
static struct px_run_trace trace;

static enum px_code open_graph(const char *yaml)
{
    const struct px_graph_sources sources = {graph_model_open, graph_model_close, NULL, &set};
    px_arena_deinit(&arena);
    arena = px_arena(8 << 20);
    engine = NULL;
    return px_graph_engine_create(px_str(yaml), &sources, &arena, &engine, &err);
}

/* A run over `n` rows whose two columns are `values` and 0. */
static void prepare_run(const float *values, size_t n)
{
    static float x[ROWS_MAX][2];
    memset(x, 0, sizeof x);
    for (size_t i = 0; i < n; i++)
        x[i][0] = values[i];
    waited_run_init(&wait);
    input = (struct px_tensor){.name = px_str("x"),
                               .type = PX_TYPE_FP32,
                               .shape = {n, 2},
                               .n_dims = 2,
                               .bytes = px_str_n((const char *)x, n * sizeof x[0])};
    outputs[0] = (struct px_tensor){.name = px_str("score")};
    trace = (struct px_run_trace){steps, 0, PX_ARRAY_LEN(steps)};
    wait.run.inputs = &input;
    wait.run.n_inputs = 1;
    wait.run.outputs = outputs;
    wait.run.n_outputs = 1;
    wait.run.trace = &trace;
}

static void start_run(const float *values, size_t n)
{
    prepare_run(values, n);
    px_engine_start(engine, &wait.run);
}

/* A source that has one engine, which it hands over. */
static enum px_code open_given(void *context, struct px_str path, struct px_graph_model *ret,
                               struct px_err *unused)
{
    (void)path;
    (void)unused;
    ret->engine = context;
    return PX_OK;
}

static void close_given(void *context, struct px_graph_model *model)
{
    (void)context;
    px_engine_destroy(model->engine);
}

static float score(size_t i)
{
    float value;
    memcpy(&value, outputs[0].bytes.ptr + i * sizeof value, sizeof value);
    return value;
}

static void end_run(void)
{
    CHECK_INT(wait.n_done, 1);
    waited_run_deinit(&wait);
}

static void close_graph(void)
{
    size_t n_open = 0;
    px_engine_destroy(engine);
    for (size_t i = 0; i < set.n; i++)
        n_open += set.models[i].n_open;
    CHECK_INT(n_open, 0);
    set.n = 0;
    px_arena_deinit(&arena);
}

/* The note of a step in the trace. */
static const char *note_of(const char *name)
{
    static char text[512];
    for (size_t i = 0; i < trace.n_steps; i++) {
        if (px_str_is(steps[i].name, name)) {
            snprintf(text, sizeof text, "%d %.*s", (int)steps[i].code, (int)steps[i].note.len,
                     steps[i].note.ptr);
            return text;
        }
    }
    return "none";
}

static const char cascade[] = HEAD "outputs: [{name: score, from: deep.predictions}]\n"
                                   "steps:\n"
                                   "  - {name: quick, model: quick, inputs: x}\n"
                                   "  - {name: deep, model: deep, inputs: x, when: 0.4 <= "
                                   "quick.predictions <= 0.6, otherwise: quick}\n";

PX_TEST(the_second_model_sees_only_the_borderline_rows)
{
    static const float x[] = {0.1F, 0.5F, 0.9F, 0.45F, 0.3F};
    graph_model_add(&set, "quick", 1, GRAPH_NOW);
    struct graph_model *deep = graph_model_add(&set, "deep", 100, GRAPH_NOW);
    CHECK_OK(open_graph(cascade));
    CHECK(px_engine_has(engine, PX_ENGINE_BATCHES));
    start_run(x, 5);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_INT(deep->n_rows, 2);
    CHECK_INT(outputs[0].shape[0], 5);
    static const float want[] = {0.1F, 50, 0.9F, 45, 0.3F};
    for (size_t i = 0; i < 5; i++)
        CHECK_DOUBLE(score(i), want[i]);
    CHECK_CONTAINS(note_of("deep"), "0 2 of 5 rows");
    end_run();
    start_run(x, 1);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_INT(deep->n_runs, 1); /* no row was chosen */
    CHECK_DOUBLE(score(0), 0.1F);
    CHECK_CONTAINS(note_of("deep"), "0 skipped");
    end_run();
    close_graph();
}

PX_TEST(a_model_that_needs_all_rows_gets_them_and_only_the_chosen_ones_count)
{
    static const float x[] = {0.1F, 0.5F, 0.9F};
    graph_model_add(&set, "quick", 1, GRAPH_NOW);
    struct graph_model *deep = graph_model_add(&set, "deep", 100, GRAPH_NOW);
    deep->whole = true;
    CHECK_OK(open_graph(cascade));
    CHECK(!px_engine_has(engine, PX_ENGINE_BATCHES));
    start_run(x, 3);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_INT(deep->n_rows, 3);
    CHECK_DOUBLE(score(0), 0.1F);
    CHECK_DOUBLE(score(1), 50);
    CHECK_DOUBLE(score(2), 0.9F);
    end_run();
    close_graph();
}

PX_TEST(a_row_scores_the_same_alone_and_in_a_batch)
{
    static const float x[] = {0.1F, 0.5F, 0.9F, 0.45F, 0.3F, 0.6F, 0.4F, 0.55F};
    float alone[8];
    graph_model_add(&set, "quick", 1, GRAPH_NOW);
    graph_model_add(&set, "deep", 0.3F, GRAPH_THREAD);
    CHECK_OK(open_graph(cascade));
    for (size_t i = 0; i < 8; i++) {
        start_run(&x[i], 1);
        CHECK_OK(waited_run_wait(&wait));
        alone[i] = score(0);
        end_run();
    }
    start_run(x, 8);
    CHECK_OK(waited_run_wait(&wait));
    CHECK(memcmp(alone, outputs[0].bytes.ptr, sizeof alone) == 0);
    end_run();
    close_graph();
}

PX_TEST(processors_of_rows_make_a_graph_of_rows)
{
    static const char yaml[] = HEAD
        "outputs: [{name: score, from: sure}]\n"
        "steps:\n"
        "  - {name: scaled, processor: scale, inputs: x, with: {mean: [0.3, 0], scale: 0.7}}\n"
        "  - {name: m, model: m, inputs: scaled}\n"
        "  - {name: chance, processor: platt, inputs: m, with: {a: -1.7, b: 0.1}}\n"
        "  - {name: sure, processor: clip, inputs: chance, with: {max: 0.5}, when: \"x[0] < 0.5\", "
        "otherwise: chance}\n";
    static const float x[] = {0.1F, 0.5F, 0.9F, 0.45F, 0.3F, 0.6F, 0.4F, 0.55F};
    double alone[8]; /* Platt gives FP64 */
    graph_model_add(&set, "m", 0.3F, GRAPH_THREAD);
    CHECK_OK(open_graph(yaml));
    CHECK(px_engine_has(engine, PX_ENGINE_BATCHES));
    for (size_t i = 0; i < 8; i++) {
        start_run(&x[i], 1);
        CHECK_OK(waited_run_wait(&wait));
        memcpy(&alone[i], outputs[0].bytes.ptr, sizeof alone[i]);
        end_run();
    }
    start_run(x, 8);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_INT(outputs[0].bytes.len, sizeof alone);
    CHECK(memcmp(alone, outputs[0].bytes.ptr, sizeof alone) == 0);
    CHECK_CONTAINS(note_of("sure"), "0 4 of 8 rows");
    end_run();
    close_graph();
}

static const char branches[] =
    HEAD "outputs: [{name: score, from: blend}]\n"
         "steps:\n"
         "  - {name: a, model: a, inputs: x}\n"
         "  - {name: b, model: b, inputs: x}\n"
         "  - {name: blend, combine: weighted_mean, inputs: [a, b], with: {weights: [3, 1]}}\n";

PX_TEST(branches_run_at_the_same_time)
{
    static const float x[] = {1, 2};
    struct graph_model *a = graph_model_add(&set, "a", 1, GRAPH_HELD);
    struct graph_model *b = graph_model_add(&set, "b", 5, GRAPH_HELD);
    CHECK_OK(open_graph(branches));
    start_run(x, 2);
    graph_model_wait(a, 1);
    graph_model_wait(b, 1); /* both are under way, none has finished */
    CHECK_INT(wait.n_done, 0);
    graph_model_let_go(b);
    CHECK_INT(wait.n_done, 0);
    graph_model_let_go(a);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_DOUBLE(score(1), (3 * 2 + 10) / 4.0);
    end_run();
    close_graph();
}

PX_TEST(steps_share_the_memory_of_one_run)
{
    static const float x[] = {1, 2};
    struct graph_model *a = graph_model_add(&set, "a", 1, GRAPH_HELD);
    struct graph_model *b = graph_model_add(&set, "b", 5, GRAPH_HELD);
    CHECK_OK(open_graph(branches));
    start_run(x, 2);
    graph_model_wait(a, 1);
    graph_model_wait(b, 1);
    size_t max = wait.run.arena->max;
    CHECK(a->arena_max + b->arena_max <= max);
    CHECK(a->arena_max >= max / 4 && b->arena_max >= max / 4);
    graph_model_let_go(b);
    graph_model_let_go(a);
    CHECK_OK(waited_run_wait(&wait));
    end_run();
    close_graph();
}

PX_TEST(a_failure_names_its_step_and_calls_the_others_back)
{
    static const float x[] = {1};
    struct graph_model *a = graph_model_add(&set, "a", 1, GRAPH_HELD);
    struct graph_model *b = graph_model_add(&set, "b", 1, GRAPH_HELD);
    CHECK_OK(open_graph(branches));
    start_run(x, 1);
    atomic_store(&b->fail_with, PX_E_UNAVAILABLE);
    graph_model_let_go(b);
    CHECK_INT(waited_run_wait(&wait), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(wait.run.err.message, "step 'b': model 'b' was told to fail");
    CHECK_INT(a->n_cancels, 1);
    CHECK_INT(b->n_released, 0); /* not before the owner says so */
    end_run();
    CHECK_INT(b->n_released, 1);
    close_graph();
}

PX_TEST(a_failure_waits_for_steps_that_do_not_obey)
{
    static const float x[] = {1};
    struct graph_model *a = graph_model_add(&set, "a", 1, GRAPH_HELD);
    struct graph_model *b = graph_model_add(&set, "b", 1, GRAPH_NOW);
    a->ignores_cancel = true;
    atomic_store(&b->fail_with, PX_E_INTERNAL);
    CHECK_OK(open_graph(branches));
    start_run(x, 1);
    CHECK_INT(wait.n_done, 0); /* the memory of the run is still a's */
    graph_model_let_go(a);
    CHECK_INT(waited_run_wait(&wait), PX_E_INTERNAL);
    end_run();
    close_graph();
}

static const char fallback[] =
    HEAD "outputs: [{name: score, from: deep.predictions}]\n"
         "steps:\n"
         "  - {name: deep, model: deep, inputs: x, fallback: quick, timeout_ms: 30}\n"
         "  - {name: quick, model: quick, inputs: x}\n";

PX_TEST(a_step_in_reserve_runs_only_when_it_is_needed)
{
    static const float x[] = {1, 2};
    struct graph_model *quick = graph_model_add(&set, "quick", 1, GRAPH_NOW);
    struct graph_model *deep = graph_model_add(&set, "deep", 7, GRAPH_NOW);
    CHECK_OK(open_graph(fallback));
    start_run(x, 2);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_DOUBLE(score(1), 14);
    CHECK_INT(quick->n_runs, 0);
    CHECK_STR(wait.run.degraded, "");
    end_run();
    atomic_store(&deep->fail_with, PX_E_UNAVAILABLE);
    start_run(x, 2);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_DOUBLE(score(1), 2);
    CHECK_INT(quick->n_runs, 1);
    CHECK_STR(wait.run.degraded, "deep");
    CHECK_CONTAINS(note_of("deep"), "52 fallback: model 'deep' was told to fail");
    end_run();
    close_graph();
}

PX_TEST(a_late_step_is_replaced_and_may_end_when_the_graph_has_gone_on)
{
    static const float x[] = {1, 2};
    graph_model_add(&set, "quick", 1, GRAPH_NOW);
    struct graph_model *deep = graph_model_add(&set, "deep", 7, GRAPH_HELD);
    deep->ignores_cancel = true;
    CHECK_OK(open_graph(fallback));
    start_run(x, 2);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_DOUBLE(score(1), 2);
    CHECK_STR(wait.run.degraded, "deep");
    CHECK_CONTAINS(note_of("deep"), "longer than its 30 ms");
    CHECK_INT(deep->n_cancels, 1);
    end_run();
    CHECK(!px_engine_is_idle(engine)); /* to destroy it would wait for the step */
    graph_model_let_go(deep);          /* with the inputs long gone: it has its own */
    CHECK(px_engine_is_idle(engine));
    CHECK_INT(deep->n_released, 1);
    close_graph();
}

/* Two models in a row: `deep` fails for rows of 7 and is only asked for those above 0.4. */
static const char picky[] =
    HEAD "outputs: [{name: score, from: deep.predictions}]\n"
         "steps:\n"
         "  - {name: quick, model: quick, inputs: x}\n"
         "  - {name: deep, model: deep, inputs: x, when: quick.predictions > 0.4, otherwise: "
         "{predictions: -1}, fallback: {predictions: -2}%s}\n";

static float want_of_picky(float x)
{
    return x == 7 ? -2.0F : x > 0.4F ? x * 100 : -1.0F;
}

static void check_picky(const float *x, size_t n, size_t n_bad)
{
    start_run(x, n);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_INT(outputs[0].shape[0], n);
    for (size_t i = 0; i < n; i++) {
        CHECK_DOUBLE(score(i), want_of_picky(x[i]));
        if (wait.run.degraded_rows)
            CHECK_INT(wait.run.degraded_rows[i], x[i] == 7);
    }
    CHECK_STR(wait.run.degraded, n_bad ? "deep" : "");
    CHECK(n_bad == 0 || wait.run.degraded_rows);
    end_run();
}

static void check_all_picky(const char *extra, enum graph_model_mode mode)
{
    static const float one[] = {0.1F, 0.5F, 7, 0.9F, 0.3F, 2, 3, 4};
    static const float some[] = {7, 0.1F, 7, 0.9F, 0.2F, 2, 7, 5, 6, 8, 9, 7};
    static const float all[] = {7, 7, 7}, good[] = {1, 2, 0.1F};
    char yaml[1024];
    graph_model_add(&set, "quick", 1, GRAPH_NOW);
    struct graph_model *deep = graph_model_add(&set, "deep", 100, mode);
    deep->fails_on = 7;
    snprintf(yaml, sizeof yaml, picky, extra);
    CHECK_OK(open_graph(yaml));
    check_picky(one, 8, 1);
    CHECK_CONTAINS(note_of("deep"), "fallback: 1 of 6 rows: model 'deep' does not like row 1");
    CHECK_INT(deep->n_runs, 7); /* 6 rows, 3 and 3, 1 and 2, 1 and 1: not one run for each row */
    check_picky(some, 12, 4);
    check_picky(all, 3, 3);
    check_picky(good, 3, 0);
    for (size_t i = 0; i < 12; i++)
        check_picky(&some[i], 1, some[i] == 7);
    close_graph();
}

PX_TEST(a_row_that_fails_does_not_take_the_results_of_its_neighbours_away)
{
    check_all_picky("", GRAPH_NOW);
    check_all_picky("", GRAPH_THREAD);
    check_all_picky(", timeout_ms: 60000", GRAPH_NOW);
    check_all_picky(", timeout_ms: 60000", GRAPH_THREAD);
}

PX_TEST(a_model_that_is_broken_is_not_asked_for_every_row)
{
    static const float x[ROWS_MAX] = {1, 2, 3, 4, 5, 6, 8, 9, 1, 2, 3, 4, 5, 6, 8, 9};
    char yaml[1024];
    graph_model_add(&set, "quick", 1, GRAPH_NOW);
    struct graph_model *deep = graph_model_add(&set, "deep", 100, GRAPH_NOW);
    snprintf(yaml, sizeof yaml, picky, "");
    CHECK_OK(open_graph(yaml));
    static const struct {
        enum px_code code;
        size_t n_runs;
    } cases[] = {{PX_E_UNAVAILABLE, 1}, {PX_E_OVERLOADED, 1}, {PX_E_INTERNAL, 31}};
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        deep->fail_with = (int)cases[i].code;
        deep->n_runs = 0;
        start_run(x, ROWS_MAX);
        CHECK_OK(waited_run_wait(&wait));
        CHECK_DOUBLE(score(5), -2);
        CHECK_INT(deep->n_runs, cases[i].n_runs);
        end_run();
    }
    close_graph();
}

PX_TEST(a_late_step_without_fallback_is_a_deadline)
{
    static const float x[] = {1};
    struct graph_model *deep = graph_model_add(&set, "deep", 7, GRAPH_HELD);
    CHECK_OK(open_graph(HEAD "outputs: [{name: score, from: deep}]\n"
                             "steps: [{name: deep, model: deep, inputs: x, timeout_ms: 5}]\n"));
    start_run(x, 1);
    CHECK_INT(waited_run_wait(&wait), PX_E_DEADLINE);
    CHECK_CONTAINS(wait.run.err.message, "step 'deep': it took longer than its 5 ms");
    CHECK(deep->deadline_ns > 0);
    end_run();
    close_graph();
}

PX_TEST(a_cancel_reaches_the_steps_and_ends_the_run_once)
{
    static const float x[] = {1};
    struct graph_model *a = graph_model_add(&set, "a", 1, GRAPH_HELD);
    struct graph_model *b = graph_model_add(&set, "b", 1, GRAPH_NOW);
    CHECK_OK(open_graph(branches));
    start_run(x, 1);
    px_engine_cancel(engine, &wait.run);
    px_engine_cancel(engine, &wait.run);
    CHECK_INT(waited_run_wait(&wait), PX_E_CANCELLED);
    CHECK_INT(a->n_cancels, 1);
    CHECK_INT(b->n_cancels, 0);
    end_run();
    close_graph();
}

PX_TEST(the_deadline_of_the_run_is_that_of_its_steps)
{
    static const float x[] = {1};
    struct graph_model *a = graph_model_add(&set, "a", 1, GRAPH_HELD);
    graph_model_add(&set, "b", 1, GRAPH_NOW);
    CHECK_OK(open_graph(branches));
    start_run(x, 1);
    graph_model_let_go(a);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_INT(a->deadline_ns, 0);
    end_run();
    waited_run_init(&wait);
    wait.run.inputs = &input;
    wait.run.n_inputs = 1;
    wait.run.outputs = outputs;
    wait.run.n_outputs = 1;
    wait.run.deadline_ns = px_clock_monotonic_ns() + 3600 * PX_NS_PER_S;
    px_engine_start(engine, &wait.run);
    CHECK(a->deadline_ns == wait.run.deadline_ns);
    graph_model_let_go(a);
    CHECK_OK(waited_run_wait(&wait));
    end_run();
    close_graph();
}

PX_TEST(a_failure_after_the_deadline_takes_no_fallback)
{
    static const float x[] = {1};
    struct graph_model *quick = graph_model_add(&set, "quick", 1, GRAPH_NOW);
    struct graph_model *deep = graph_model_add(&set, "deep", 7, GRAPH_HELD);
    CHECK_OK(open_graph(HEAD "outputs: [{name: score, from: deep.predictions}]\n"
                             "steps: [{name: deep, model: deep, inputs: x, fallback: quick},\n"
                             "        {name: quick, model: quick, inputs: x}]\n"));
    atomic_store(&deep->fail_with, PX_E_UNAVAILABLE);
    prepare_run(x, 1);
    wait.run.deadline_ns = px_clock_monotonic_ns() + 20 * PX_NS_PER_MS;
    px_engine_start(engine, &wait.run);
    while (px_clock_monotonic_ns() < wait.run.deadline_ns)
        usleep(1000);
    if (deep->n_runs) /* on a very slow machine the deadline passed before the start */
        graph_model_let_go(deep);
    CHECK_INT(waited_run_wait(&wait), PX_E_DEADLINE);
    CHECK_INT(quick->n_runs, 0);
    end_run();
    close_graph();
}

PX_TEST(a_graph_inside_a_graph_tells_what_was_replaced_in_it)
{
    static const float x[] = {1};
    static struct graph_model_set inner_set;
    static struct px_arena inner_arena;
    struct px_engine *inner;
    struct graph_model *deep = graph_model_add(&inner_set, "deep", 7, GRAPH_NOW);
    const struct px_graph_sources sources = {graph_model_open, graph_model_close, NULL, &inner_set};
    graph_model_add(&inner_set, "quick", 2, GRAPH_NOW);
    inner_arena = px_arena(1 << 20);
    CHECK_OK(px_graph_engine_create(px_str(fallback), &sources, &inner_arena, &inner, &err));
    const struct px_graph_sources outer = {open_given, close_given, NULL, inner};
    px_arena_deinit(&arena);
    arena = px_arena(1 << 20);
    CHECK_OK(px_graph_engine_create(
        px_str(HEAD
               "outputs: [{name: score, from: in}]\nsteps: [{name: in, model: m, inputs: x}]\n"),
        &outer, &arena, &engine, &err));
    atomic_store(&deep->fail_with, PX_E_UNAVAILABLE);
    start_run(x, 1);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_DOUBLE(score(0), 2);
    CHECK_STR(wait.run.degraded, "in/deep");
    end_run();
    close_graph();
    inner_set.n = 0;
    px_arena_deinit(&inner_arena);
}

PX_TEST(a_column_may_be_given_with_one_dimension_or_two)
{
    static const float x[] = {1, 2};
    struct graph_model *a = graph_model_add(&set, "a", 1, GRAPH_NOW);
    a->gives_matrix = true; /* [-1,1], where b gives [-1] */
    graph_model_add(&set, "b", 3, GRAPH_NOW);
    CHECK_OK(open_graph(HEAD
                        "outputs: [{name: score, from: b.predictions}]\n"
                        "steps: [{name: a, model: a, inputs: x},\n"
                        "        {name: b, model: b, inputs: x, when: a > 1, otherwise: a}]\n"));
    start_run(x, 2);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_INT(outputs[0].n_dims, 1);
    CHECK_DOUBLE(score(0), 1);
    CHECK_DOUBLE(score(1), 6);
    end_run();
    close_graph();
}

PX_TEST(a_failing_voice_is_left_out_of_the_mean)
{
    static const float x[] = {1, 2};
    struct graph_model *a = graph_model_add(&set, "a", 1, GRAPH_NOW);
    struct graph_model *b = graph_model_add(&set, "b", 3, GRAPH_NOW);
    CHECK_OK(open_graph(HEAD "outputs: [{name: score, from: blend.output}]\n"
                             "steps:\n"
                             "  - {name: a, model: a, inputs: x, fallback: skip}\n"
                             "  - {name: b, model: b, inputs: x, fallback: skip}\n"
                             "  - {name: blend, combine: mean, inputs: [a, b], otherwise: "
                             "{output: -1}, when: 1 < 2}\n"));
    start_run(x, 2);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_DOUBLE(score(1), 4);
    end_run();
    atomic_store(&a->fail_with, PX_E_INTERNAL);
    start_run(x, 2);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_DOUBLE(score(1), 6);
    CHECK_STR(wait.run.degraded, "a");
    end_run();
    atomic_store(&b->fail_with, PX_E_INTERNAL);
    start_run(x, 2);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_DOUBLE(score(1), -1);
    CHECK_INT(outputs[0].shape[0], 2);
    CHECK_STR(wait.run.degraded, "a,b");
    end_run();
    close_graph();
}

static const char exits[] =
    HEAD "outputs: [{name: score, from: deep.predictions}]\n"
         "steps:\n"
         "  - {name: rules, model: rules, inputs: x}\n"
         "  - {name: deep, model: deep, inputs: x}\n"
         "exits:\n"
         "  - {when: rules.predictions > 10, outputs: {score: 1.0}}\n"
         "  - {when: rules.predictions > 5, outputs: {score: rules.predictions}}\n";

PX_TEST(an_exit_of_every_row_starts_nothing_more)
{
    static const float x[] = {20, 6}, mixed[] = {20, 1, 6, 3};
    graph_model_add(&set, "rules", 1, GRAPH_NOW);
    struct graph_model *deep = graph_model_add(&set, "deep", 0.5F, GRAPH_NOW);
    CHECK_OK(open_graph(exits));
    start_run(x, 2);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_INT(deep->n_runs, 0);
    CHECK_DOUBLE(score(0), 1);
    CHECK_DOUBLE(score(1), 6);
    end_run();
    start_run(mixed, 4);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_INT(deep->n_runs, 1);
    CHECK_DOUBLE(score(0), 1);
    CHECK_DOUBLE(score(1), 0.5);
    CHECK_DOUBLE(score(2), 6);
    CHECK_DOUBLE(score(3), 1.5);
    end_run();
    atomic_store(&deep->fail_with, PX_E_INTERNAL);
    start_run(x, 2);
    CHECK_OK(waited_run_wait(&wait)); /* the failure of what is not needed does not count */
    end_run();
    close_graph();
}

PX_TEST(only_what_is_asked_for_runs)
{
    static const float x[] = {1};
    graph_model_add(&set, "a", 1, GRAPH_NOW);
    struct graph_model *b = graph_model_add(&set, "b", 3, GRAPH_NOW);
    CHECK_OK(open_graph(HEAD "outputs: [{name: score, from: a}, {name: other, from: b}]\n"
                             "steps: [{name: a, model: a, inputs: x}, {name: b, model: b, inputs: "
                             "x}]\n"));
    start_run(x, 1);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_INT(b->n_runs, 0);
    end_run();
    close_graph();
}

PX_TEST(two_steps_may_be_given_the_same_model)
{
    static const float x[] = {1};
    struct graph_model *a = graph_model_add(&set, "a", 1, GRAPH_NOW);
    CHECK_OK(open_graph(HEAD "outputs: [{name: score, from: sum.output}]\n"
                             "steps: [{name: one, model: a, inputs: x}, {name: two, model: a, "
                             "inputs: x},\n"
                             "        {name: sum, combine: sum, inputs: [one, two]}]\n"));
    CHECK_INT(a->n_opened, 2);
    start_run(x, 1);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_DOUBLE(score(0), 2);
    CHECK_INT(a->n_runs, 2);
    end_run();
    close_graph();
}

PX_TEST(models_are_closed_when_the_graph_does_not_open)
{
    graph_model_add(&set, "a", 1, GRAPH_NOW);
    CHECK_INT(open_graph(HEAD "outputs: [{name: score, from: b}]\n"
                              "steps: [{name: a, model: a, inputs: x}, {name: b, model: gone, "
                              "inputs: x, when: a > 1, otherwise: a}]\n"),
              PX_E_NOT_FOUND);
    CHECK_CONTAINS(err.message, "step 'b': there is no model 'gone'");
    close_graph();
}

PX_TEST(a_condition_that_fails_on_its_values_has_a_fallback_as_well)
{
    static const float x[] = {0.5F, 0.5F};
    graph_model_add(&set, "quick", 1, GRAPH_NOW);
    struct graph_model *deep = graph_model_add(&set, "deep", 3, GRAPH_NOW);
    CHECK_OK(open_graph(HEAD
                        "outputs: [{name: score, from: deep.predictions}]\n"
                        "steps:\n"
                        "  - {name: quick, model: quick, inputs: x}\n"
                        "  - {name: deep, model: deep, inputs: x, when: quick > 0.4, otherwise: "
                        "quick, fallback: {predictions: 9}}\n"));
    atomic_store(&deep->fail_with, PX_E_INTERNAL);
    start_run(x, 2);
    CHECK_OK(waited_run_wait(&wait));
    CHECK_DOUBLE(score(0), 9);
    CHECK_DOUBLE(score(1), 9);
    end_run();
    close_graph();
}

PX_TEST(without_memory_runs_fail_and_nothing_else)
{
    static const float x[] = {0.1F, 0.5F, 0.9F};
    graph_model_add(&set, "quick", 1, GRAPH_NOW);
    graph_model_add(&set, "deep", 2, GRAPH_NOW);
    CHECK_OK(open_graph(cascade));
    for (uint64_t n = 1; n < 30; n++) {
        px_alloc_fail_at(n);
        start_run(x, 3);
        enum px_code code = waited_run_wait(&wait);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        end_run();
    }
    close_graph();
}

PX_TEST(after_warm_up_a_run_allocates_only_for_its_arena)
{
    static const float x[] = {0.1F, 0.5F, 0.9F};
    graph_model_add(&set, "quick", 1, GRAPH_NOW);
    graph_model_add(&set, "deep", 2, GRAPH_NOW);
    CHECK_OK(open_graph(cascade));
    uint64_t least = UINT64_MAX; /* a busy machine may send a step to the pool */
    for (int i = 0; i < 8; i++) {
        uint64_t before = px_alloc_count();
        start_run(x, 3);
        CHECK_OK(waited_run_wait(&wait));
        uint64_t n = px_alloc_count() - before;
        least = n < least ? n : least;
        end_run();
    }
    CHECK(least <= 1); /* the block of the owner's arena */
    close_graph();
}

/* ---- many runs at once ---- */

enum { RUNNERS = 4, RUNS_EACH = 200 };

static const char busy[] =
    HEAD "outputs: [{name: score, from: blend}]\n"
         "steps:\n"
         "  - {name: a, model: a, inputs: x, timeout_ms: 2, fallback: b}\n"
         "  - {name: b, model: b, inputs: x}\n"
         "  - {name: c, model: c, inputs: x, when: b > 0.5, otherwise: b, timeout_ms: 1000}\n"
         "  - {name: blend, combine: mean, inputs: [a, b, c]}\n";

static void *run_many(void *argument)
{
    size_t *n_good = argument;
    for (int i = 0; i < RUNS_EACH; i++) {
        float x[2][2] = {{0.25F, 0}, {0.75F, 0}};
        struct waited_run own;
        struct px_tensor in = {.name = px_str("x"),
                               .type = PX_TYPE_FP32,
                               .shape = {2, 2},
                               .n_dims = 2,
                               .bytes = px_str_n((const char *)x, sizeof x)};
        struct px_tensor out = {.name = px_str("score")};
        waited_run_init(&own);
        own.run.inputs = &in;
        own.run.n_inputs = own.run.n_outputs = 1;
        own.run.outputs = &out;
        px_engine_start(engine, &own.run);
        if (i % 5 == 4)
            px_engine_cancel(engine, &own.run);
        enum px_code code = waited_run_wait(&own);
        *n_good += own.n_done == 1 && (code == PX_OK || (i % 5 == 4 && code == PX_E_CANCELLED));
        waited_run_deinit(&own);
    }
    return NULL;
}

PX_TEST(many_runs_with_timeouts_and_cancels_each_end_once)
{
    pthread_t threads[RUNNERS];
    size_t n_good[RUNNERS] = {0};
    struct graph_model *a = graph_model_add(&set, "a", 1, GRAPH_THREAD);
    a->sleep_us = 2000; /* about its timeout */
    graph_model_add(&set, "b", 1, GRAPH_NOW);
    graph_model_add(&set, "c", 1, GRAPH_THREAD);
    CHECK_OK(open_graph(busy));
    for (size_t i = 0; i < RUNNERS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, run_many, &n_good[i]), 0);
    for (size_t i = 0; i < RUNNERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK_INT(n_good[i], RUNS_EACH);
    }
    close_graph();
}

PX_TEST_MAIN(
    T(steps_share_the_memory_of_one_run) T(the_second_model_sees_only_the_borderline_rows) T(
        a_model_that_needs_all_rows_gets_them_and_only_the_chosen_ones_count)
        T(a_row_scores_the_same_alone_and_in_a_batch) T(processors_of_rows_make_a_graph_of_rows) T(
            branches_run_at_the_same_time) T(a_failure_names_its_step_and_calls_the_others_back)
            T(a_failure_waits_for_steps_that_do_not_obey) T(
                a_step_in_reserve_runs_only_when_it_is_needed)
                T(a_late_step_is_replaced_and_may_end_when_the_graph_has_gone_on) T(
                    a_row_that_fails_does_not_take_the_results_of_its_neighbours_away)
                    T(a_model_that_is_broken_is_not_asked_for_every_row) T(
                        a_late_step_without_fallback_is_a_deadline)
                        T(a_cancel_reaches_the_steps_and_ends_the_run_once) T(
                            the_deadline_of_the_run_is_that_of_its_steps)
                            T(a_failure_after_the_deadline_takes_no_fallback) T(
                                a_graph_inside_a_graph_tells_what_was_replaced_in_it)
                                T(a_column_may_be_given_with_one_dimension_or_two) T(
                                    a_failing_voice_is_left_out_of_the_mean)
                                    T(an_exit_of_every_row_starts_nothing_more) T(
                                        only_what_is_asked_for_runs)
                                        T(two_steps_may_be_given_the_same_model) T(
                                            models_are_closed_when_the_graph_does_not_open)
                                            T(a_condition_that_fails_on_its_values_has_a_fallback_as_well)
                                                T(without_memory_runs_fail_and_nothing_else) T(
                                                    after_warm_up_a_run_allocates_only_for_its_arena)
                                                    T(many_runs_with_timeouts_and_cancels_each_end_once))
