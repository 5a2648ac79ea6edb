/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a graph is said when it is loaded, with the line, the step and the nearest match. */
#include "domain/graph/condition.h"
#include "graph_specs.h"
#include "harness.h"
#include "shared/alloc.h"

#define HEAD                                                                                       \
    "phoenix_graph: 1\n"                                                                           \
    "inputs: [{name: features, type: FP32, shape: [-1, 4]}]\n"

static struct px_arena arena;
static struct px_graph *graph;
static struct px_err err;

static enum px_code read_graph(const char *yaml)
{
    px_arena_deinit(&arena);
    arena = px_arena(8 << 20);
    err = (struct px_err){0};
    return px_graph_read(px_str(yaml), &graph_resolver, &arena, &graph, &err);
}

static void check_refused(const char *yaml, const char *message, const char *hint)
{
    enum px_code code = read_graph(yaml);
    CHECK(code == PX_E_INVALID || code == PX_E_UNKNOWN_OPTION || code == PX_E_NOT_FOUND);
    CHECK_CONTAINS(err.message, message);
    CHECK_CONTAINS(err.hint, hint);
}

static const char cascade[] =
    HEAD "outputs: [{name: score, from: deep.p}]\n"
         "steps:\n"
         "  - {name: deep, model: scorer, inputs: {x: features}, outputs: {p: predictions},\n"
         "     when: 0.4 <= quick.predictions <= 0.6, otherwise: quick, timeout_ms: 20,\n"
         "     fallback: {p: 0.5}}\n"
         "  - {name: quick, model: scorer, inputs: features}\n";

PX_TEST(a_cascade_is_read_and_ordered)
{
    CHECK_OK(read_graph(cascade));
    CHECK_INT(graph->n_steps, 2);
    CHECK_INT(graph->order[0], 1); /* quick is written last and runs first */
    const struct px_graph_step *deep = &graph->steps[0];
    CHECK(deep->when->is_rows);
    CHECK_INT(deep->needs, 0);
    CHECK_INT(deep->when->needs, 2);
    CHECK_INT(deep->otherwise.needs, 2);
    CHECK_INT(deep->otherwise.values[0].from.source.step, 1);
    CHECK(deep->fallback.values[0].constant);
    CHECK_INT(deep->timeout_ns, 20000000);
    CHECK_STR(deep->engine_names[0], "predictions");
    CHECK_STR(graph->gives.list[0].name, "score");
    CHECK_INT(graph->gives.list[0].type, PX_TYPE_FP32);
    CHECK(graph->row_wise);
}

PX_TEST(a_key_that_is_misspelt_is_named_with_the_nearest)
{
    check_refused(HEAD "output: []\nsteps: []\n", "line 3 column 1: unknown key 'output'",
                  "outputs");
    check_refused(HEAD "outputs: [{name: s, from: a.predictions}]\n"
                       "steps: [{name: a, model: scorer, input: features}]\n",
                  "unknown key 'input'", "inputs");
    check_refused(HEAD "outputs: [{name: s, from: a.output}]\n"
                       "steps: [{name: a, combine: meen, inputs: [features]}]\n",
                  "unknown combiner 'meen'", "mean");
}

PX_TEST(steps_in_a_circle_are_named_in_their_order)
{
    check_refused(HEAD "outputs: [{name: s, from: c.predictions}]\n"
                       "steps:\n"
                       "  - {name: a, model: pair, inputs: {first: b.predictions, second: "
                       "b.predictions}}\n"
                       "  - {name: b, model: pair, inputs: {first: a.predictions, second: "
                       "a.predictions}}\n"
                       "  - {name: c, model: pair, inputs: {first: a.predictions, second: "
                       "b.predictions}}\n",
                  "in a circle: b -> a -> b", "");
    check_refused(HEAD "outputs: [{name: s, from: a.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: features, fallback: a}]\n",
                  "a -> a", "");
}

PX_TEST(a_step_that_nothing_needs_is_refused)
{
    check_refused(HEAD "outputs: [{name: s, from: a.predictions}]\n"
                       "steps:\n"
                       "  - {name: a, model: scorer, inputs: features}\n"
                       "  - {name: lost, model: scorer, inputs: features}\n",
                  "line 6: step 'lost' is not used", "lost.OUTPUT");
}

PX_TEST(a_tensor_that_nobody_gives_is_named_with_the_nearest)
{
    check_refused(HEAD "outputs: [{name: s, from: a.prediction}]\n"
                       "steps: [{name: a, model: scorer, inputs: features}]\n",
                  "step 'a' has no output 'prediction'", "predictions");
    check_refused(HEAD "outputs: [{name: s, from: a.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: feature}]\n",
                  "no input or step 'feature'", "features");
    check_refused(HEAD "outputs: [{name: s, from: a.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: {y: features}}]\n",
                  "step 'a' has no input 'y'", "x");
}

PX_TEST(types_that_do_not_meet_are_shown_on_both_sides)
{
    check_refused("phoenix_graph: 1\ninputs: [{name: features, type: FP64, shape: [-1, 4]}]\n"
                  "outputs: [{name: s, from: a.predictions}]\n"
                  "steps: [{name: a, model: scorer, inputs: features}]\n",
                  "input 'x' of step 'a' is FP32 [-1,4], but 'features' is FP64 [-1,4]", "");
    check_refused("phoenix_graph: 1\ninputs: [{name: features, type: FP32, shape: [-1, 5]}]\n"
                  "outputs: [{name: s, from: a.predictions}]\n"
                  "steps: [{name: a, model: scorer, inputs: features}]\n",
                  "is FP32 [-1,5]", "");
    check_refused(HEAD "outputs: [{name: s, from: a.output}]\n"
                       "steps: [{name: a, combine: mean, inputs: [features, b.label]},\n"
                       "        {name: b, model: classifier, inputs: features}]\n",
                  "'mean' combines numbers, but 'b.label' is BYTES", "");
}

PX_TEST(a_name_that_is_taken_is_refused)
{
    check_refused(HEAD "outputs: [{name: s, from: a.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: features},\n"
                       "        {name: a, model: scorer, inputs: features}]\n",
                  "line 5: there is already a step 'a'", "");
    check_refused(HEAD "outputs: [{name: s, from: a.predictions}]\n"
                       "steps: [{name: features, model: scorer, inputs: features}]\n",
                  "already an input 'features'", "");
}

PX_TEST(a_missing_input_of_a_model_is_named)
{
    check_refused(HEAD "outputs: [{name: s, from: b.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: features},\n"
                       "        {name: b, model: pair, inputs: {first: a.predictions}}]\n",
                  "step 'b' needs the input 'second'", "");
}

PX_TEST(a_fallback_of_another_type_or_shape_is_refused)
{
    check_refused(HEAD "outputs: [{name: s, from: a.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: features, fallback: b},\n"
                       "        {name: b, model: classifier, inputs: features}]\n",
                  "step 'b' has no output 'predictions'", "");
    check_refused(HEAD "outputs: [{name: s, from: a.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: features,\n"
                       "         fallback: {predictions: b.probabilities}},\n"
                       "        {name: b, model: classifier, inputs: features}]\n",
                  "'b.probabilities' is FP32 [-1,2] and cannot stand in for 'predictions' of 'a', "
                  "which is FP32 [-1]",
                  "");
    check_refused(HEAD "outputs: [{name: s, from: a.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: features, fallback: {predictions: "
                       "\"none\"}}]\n",
                  "expected a value of FP32 for 'predictions', got 'none'", "");
    check_refused(HEAD "outputs: [{name: s, from: a.label}]\n"
                       "steps: [{name: a, model: classifier, inputs: features, fallback: {label: "
                       "REVIEW, probabilities: 0}}]\n",
                  "no input or step 'REVIEW'", "quoted");
    check_refused(HEAD "outputs: [{name: s, from: a.probabilities}]\n"
                       "steps: [{name: a, model: classifier, inputs: features, fallback: {label: "
                       "\"no\"}}]\n",
                  "no value for 'probabilities'", "");
    CHECK_OK(read_graph(HEAD "outputs: [{name: s, from: a.label}]\n"
                             "steps: [{name: a, model: classifier, inputs: features, fallback: "
                             "{label: \"no\"}}]\n")); /* nothing uses the other output */
    check_refused(HEAD "outputs: [{name: s, from: a.probabilities}]\n"
                       "steps: [{name: a, model: classifier, inputs: features, fallback: {label: "
                       "\"no\", probabilities: [1, 0, 0]}}]\n",
                  "expected 2 values for 'probabilities'", "");
}

PX_TEST(an_output_that_may_be_absent_is_refused)
{
    check_refused(HEAD "outputs: [{name: s, from: a.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: features, fallback: skip}]\n",
                  "output 's' may be absent", "otherwise");
    check_refused(HEAD "outputs: [{name: s, from: b.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: features, fallback: skip},\n"
                       "        {name: b, model: pair, inputs: {first: a.predictions, second: "
                       "a.predictions}}]\n",
                  "output 's' may be absent", "otherwise");
    CHECK_OK(read_graph(HEAD "outputs: [{name: s, from: m.output}]\n"
                             "steps: [{name: a, model: scorer, inputs: features, fallback: skip},\n"
                             "        {name: b, model: scorer, inputs: features},\n"
                             "        {name: m, combine: mean, inputs: [a.predictions, b]}]\n"));
}

PX_TEST(rows_without_a_value_are_refused)
{
    check_refused(HEAD "outputs: [{name: s, from: b.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: features},\n"
                       "        {name: b, model: scorer, inputs: features, when: a >= 0.5}]\n",
                  "rows for which it is false have no value", "otherwise");
}

PX_TEST(a_condition_that_cannot_be_read_is_pointed_at)
{
    static const struct {
        const char *when, *message;
    } cases[] = {
        {"a.predictions >=", "expected a tensor"},
        {"a.predictions 0.5", "expected 'and', 'or' or a comparison"},
        {"a.predictions", "must be compared with something"},
        {"(a.predictions > 1", "expected ')'"},
        {"a.predictions > 'x", "not closed"},
        {"a.predictions > 'x'", "another type"},
        {"c.probabilities > 0.5", "choose a column"},
        {"c.probabilities[2] > 0.5", "no such column"},
        {"c.label > 'x'", "== and != only"},
        {"1 < 2 and 3", "must be compared"},
        {"not a.predictions", "must be compared"},
        {"(a.predictions > 1) > 2", "values on both sides"},
        {"a.nothing > 1", "no output 'nothing'"},
        {"gone.x > 1", "no input or step 'gone'"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        char yaml[1024];
        snprintf(yaml, sizeof yaml,
                 HEAD "outputs: [{name: s, from: b.predictions}, {name: l, from: c.label}]\n"
                      "steps:\n"
                      "  - {name: a, model: scorer, inputs: features}\n"
                      "  - {name: c, model: classifier, inputs: features}\n"
                      "  - name: b\n    model: scorer\n    inputs: features\n    otherwise: a\n"
                      "    when: %s\n",
                 cases[i].when);
        check_refused(yaml, cases[i].message, "");
    }
}

PX_TEST(an_exit_must_give_every_output)
{
    static const char text[] = HEAD "outputs: [{name: s, from: a.predictions}]\n"
                                    "steps: [{name: a, model: scorer, inputs: features},\n"
                                    "        {name: r, model: rules, inputs: features}]\n";
    char yaml[1024];
    snprintf(yaml, sizeof yaml, "%sexits: [{when: r.blocked, outputs: {}}]\n", text);
    check_refused(yaml, "no value for 's'", "");
    snprintf(yaml, sizeof yaml, "%sexits: [{when: r.blocked, outputs: {s: 1, t: 2}}]\n", text);
    check_refused(yaml, "unknown key 't'", "");
    snprintf(yaml, sizeof yaml, "%sexits: [{when: r.blocked, outputs: {s: 1}}]\n", text);
    CHECK_OK(read_graph(yaml));
    CHECK(graph->exits[0].when->is_rows);
    snprintf(yaml, sizeof yaml, "%sexits: [{when: r.count > 3, outputs: {s: 1}}]\n", text);
    CHECK_OK(read_graph(yaml));
    CHECK(!graph->exits[0].when->is_rows);
}

PX_TEST(stacking_adds_up_the_columns)
{
    CHECK_OK(read_graph(HEAD
                        "outputs: [{name: s, from: m.predictions}]\n"
                        "steps: [{name: a, model: scorer, inputs: features},\n"
                        "        {name: c, model: classifier, inputs: features},\n"
                        "        {name: both, combine: concat, inputs: [a, c.probabilities]},\n"
                        "        {name: m, model: meta, inputs: both}]\n"));
    check_refused(HEAD "outputs: [{name: s, from: m.predictions}]\n"
                       "steps: [{name: a, model: scorer, inputs: features},\n"
                       "        {name: both, combine: concat, inputs: [a, a]},\n"
                       "        {name: m, model: meta, inputs: both}]\n",
                  "input 'x' of step 'm' is FP32 [-1,3], but 'both' is FP32 [-1,2]", "");
}

PX_TEST(weights_are_checked)
{
    static const struct {
        const char *with, *message;
    } cases[] = {{"combine: weighted_mean, inputs: [a, a]", "needs with: {weights"},
                 {"combine: weighted_mean, inputs: [a, a], with: {weights: [1]}", "its 2 inputs"},
                 {"combine: weighted_mean, inputs: [a, a], with: {weights: [1, -1]}", "from 0 on"},
                 {"combine: weighted_mean, inputs: [a, a], with: {weights: [0, 0]}", "all 0"},
                 {"combine: mean, inputs: [a, a], with: {weights: [1, 1]}", "takes no weights"},
                 {"combine: mean, inputs: [a, a], with: {type: INT8}", "FP32 or FP64"},
                 {"combine: vote, inputs: [a, a]", "over labels"}};
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        char yaml[1024];
        snprintf(yaml, sizeof yaml,
                 HEAD "outputs: [{name: s, from: m.output}]\n"
                      "steps: [{name: a, model: scorer, inputs: features},\n"
                      "        {name: m, %s}]\n",
                 cases[i].with);
        check_refused(yaml, cases[i].message, "");
    }
}

PX_TEST(too_many_of_anything_is_refused)
{
    struct px_buf yaml = px_buf(1 << 20);
    px_buf_text(&yaml, HEAD "outputs: [{name: s, from: s0.predictions}]\nsteps:\n");
    for (int i = 0; i < 65; i++)
        px_buf_printf(&yaml, "  - {name: s%d, model: scorer, inputs: features}\n", i);
    CHECK_INT(read_graph(px_buf_cstr(&yaml)), PX_E_TOO_LARGE);
    CHECK_CONTAINS(err.message, "at most 64");
    px_buf_deinit(&yaml);
}

PX_TEST(sixty_four_steps_in_a_row_are_one_graph)
{
    struct px_buf yaml = px_buf(1 << 20);
    px_buf_text(&yaml, HEAD "outputs: [{name: s, from: s0}]\nsteps:\n");
    for (int i = 0; i < 63; i++)
        px_buf_printf(&yaml, "  - {name: s%d, combine: mean, inputs: [s%d]}\n", i, i + 1);
    px_buf_text(&yaml, "  - {name: s63, model: scorer, inputs: features}\n");
    CHECK_OK(read_graph(px_buf_cstr(&yaml)));
    CHECK_INT(graph->order[0], 63);
    CHECK_INT(graph->order[63], 0);
    px_buf_deinit(&yaml);
}

PX_TEST(a_graph_is_known_by_its_key_however_it_is_written)
{
    CHECK(px_graph_recognise(px_str("phoenix_graph: 1\n")));
    CHECK(px_graph_recognise(px_str("# a comment\n\n---\nphoenix_graph: 1\n")));
    CHECK(px_graph_recognise(px_str("name: fraud\ninputs:\n  - {name: x}\nphoenix_graph: 1\n")));
    CHECK(px_graph_recognise(px_str("'phoenix_graph' : 1\n")));
    CHECK(px_graph_recognise(px_str("\"phoenix_graph\": 1\r\n")));
    CHECK(px_graph_recognise(px_str("{\"name\": \"fraud\",\n \"phoenix_graph\" : 1}")));
    CHECK(!px_graph_recognise(px_str("phoenix: 1\nmodel: x\n")));
    CHECK(!px_graph_recognise(px_str("model:\n  phoenix_graph: 1\n")));
    CHECK(!px_graph_recognise(px_str("phoenix_graphs: 1\n")));
    CHECK(!px_graph_recognise(px_str("\"phoenix_graph: 1\n")));
    CHECK(!px_graph_recognise(px_str("")));
    CHECK(!px_graph_recognise(px_str("\"phoenix_graph")));
    CHECK(!px_graph_recognise(px_str("{\"learner\": 1}")));
}

PX_TEST(a_graph_that_cannot_be_read_has_no_name)
{
    px_arena_deinit(&arena);
    arena = px_arena(8 << 20);
    CHECK_STR(px_graph_own_name(px_str("name: fraud\nphoenix_graph: 1\n"), &arena), "fraud");
    CHECK_STR(px_graph_own_name(px_str("{\"name\": \"a b\"}"), &arena), "a b");
    CHECK_STR(px_graph_own_name(px_str("phoenix_graph: 1\n"), &arena), "");
    CHECK_STR(px_graph_own_name(px_str("name: [1]\n"), &arena), "");
    CHECK_STR(px_graph_own_name(px_str("- name\n"), &arena), "");
    CHECK_STR(px_graph_own_name(px_str("name: {"), &arena), "");
    px_arena_deinit(&arena);
}

PX_TEST(without_memory_reading_fails_and_nothing_else)
{
    for (uint64_t n = 1; n < 400; n++) {
        px_alloc_fail_at(n);
        enum px_code code = read_graph(cascade);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        if (code == PX_OK && n > 100)
            break;
    }
}

PX_TEST(the_drawing_shows_lanes_conditions_and_ways_down)
{
    struct px_buf text = px_buf(1 << 16);
    CHECK_OK(read_graph(cascade));
    px_graph_draw(graph, &text);
    CHECK_STR(
        px_buf_view(&text),
        "●        features  input FP32 [-1,4]\n"
        "├─●      quick     model scorer -> predictions FP32 [-1]\n"
        "└─┴─●    deep      model scorer -> p FP32 [-1]\n"
        "    │                when 0.4 <= quick.predictions <= 0.6 (per row), otherwise quick\n"
        "    │                at most 20 ms, if it fails p = 0.5\n"
        "    └─●  score     output FP32 [-1] = deep.p\n");
    px_buf_deinit(&text);
}

PX_TEST(an_input_that_nothing_reads_is_said)
{
    struct px_buf text = px_buf(1 << 16);
    CHECK_OK(read_graph(
        "phoenix_graph: 1\n"
        "inputs: [{name: a, type: FP32, shape: [-1]}, {name: b, type: FP32, shape: [-1]}]\n"
        "outputs: [{name: o, from: s.output}]\n"
        "steps: [{name: s, combine: first, inputs: [a]}]\n"));
    px_graph_draw(graph, &text);
    px_buf_byte(&text, '\0');
    CHECK_CONTAINS(text.ptr, "input FP32 [-1], which nothing reads\n");
    CHECK(!strstr(text.ptr, "a  input FP32 [-1], which"));
    px_buf_deinit(&text);
    px_arena_deinit(&arena);
}

PX_TEST(the_json_is_json)
{
    struct px_buf text = px_buf(1 << 16);
    struct px_json_writer w = px_json_writer(&text);
    CHECK_OK(read_graph(cascade));
    px_json_begin_object(&w);
    px_graph_put_json(graph, NULL, &w);
    px_json_end_object(&w);
    struct px_json json;
    px_json_init(&json, px_buf_view(&text), NULL, 0);
    px_json_skip(&json);
    CHECK_OK(px_json_finish(&json, &err));
    CHECK_CONTAINS(px_buf_cstr(&text), "\"fallback\":\"p = 0.5\"");
    px_buf_deinit(&text);
}

PX_TEST_MAIN(
    T(a_cascade_is_read_and_ordered) T(a_key_that_is_misspelt_is_named_with_the_nearest) T(
        steps_in_a_circle_are_named_in_their_order) T(a_step_that_nothing_needs_is_refused)
        T(a_tensor_that_nobody_gives_is_named_with_the_nearest) T(
            types_that_do_not_meet_are_shown_on_both_sides) T(a_name_that_is_taken_is_refused)
            T(a_missing_input_of_a_model_is_named) T(a_fallback_of_another_type_or_shape_is_refused)
                T(an_output_that_may_be_absent_is_refused) T(rows_without_a_value_are_refused)
                    T(a_condition_that_cannot_be_read_is_pointed_at)
                        T(an_exit_must_give_every_output) T(stacking_adds_up_the_columns)
                            T(weights_are_checked) T(too_many_of_anything_is_refused)
                                T(sixty_four_steps_in_a_row_are_one_graph)
                                    T(a_graph_is_known_by_its_key_however_it_is_written)
                                        T(a_graph_that_cannot_be_read_has_no_name)
                                            T(without_memory_reading_fails_and_nothing_else)
                                                T(the_drawing_shows_lanes_conditions_and_ways_down)
                                                    T(an_input_that_nothing_reads_is_said)
                                                        T(the_json_is_json))
