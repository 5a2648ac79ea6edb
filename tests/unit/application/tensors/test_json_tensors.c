/* SPDX-License-Identifier: Apache-2.0 */
#include "application/tensors/json_tensors.h"
#include "harness.h"

static const struct px_tensor_spec matrix = {
    .name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1, -1}, .n_dims = 2};
static const struct px_tensor_spec cube = {
    .name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1, -1, -1}, .n_dims = 3};
static const struct px_tensor_spec column = {
    .name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {-1, 1}, .n_dims = 2};
static const struct px_tensor_spec free_shape = {
    .name = PX_STR("x"), .type = PX_TYPE_FP32, .any_rank = true};

typedef enum px_code read_tensors(struct px_json_tensors *to, struct px_str text,
                                  struct px_err *err);

/* The shape that the text has, or the error. */
static const char *shape_of(read_tensors *read, const struct px_tensor_spec *spec, const char *text)
{
    static char out[512];
    struct px_arena arena = px_arena(1 << 20);
    const struct px_tensor_specs takes = {spec, 1};
    struct px_json_tensors to = {.takes = &takes, .arena = &arena};
    struct px_err err = {0};
    if (read(&to, px_str(text), &err) == PX_OK)
        px_tensor_shape_text(&to.inputs[0], out);
    else
        snprintf(out, sizeof out, "%s", err.message);
    px_arena_deinit(&arena);
    return out;
}

#define CHECK_TEXT(got, want) CHECK_STR(px_str(got), want)
#define INPUTS(spec, text)    shape_of(px_json_read_inputs, spec, text)
#define INSTANCES(spec, text) shape_of(px_json_read_instances, spec, text)

PX_TEST(what_is_even_has_the_shape_of_its_first_elements)
{
    CHECK_TEXT(INPUTS(&matrix, "[[1,2],[3,4],[5,6]]"), "[3,2]");
    CHECK_TEXT(INSTANCES(&matrix, "[[1,2],[3,4],[5,6]]"), "[3,2]");
    CHECK_TEXT(INPUTS(&cube, "[[[1],[2]],[[3],[4]]]"), "[2,2,1]");
    CHECK_TEXT(INPUTS(&matrix, "[[],[]]"), "[2,0]");
}

PX_TEST(as_many_values_in_lists_of_other_lengths_are_not_shaped_anew)
{
    const char *shorter = "input 'x': expected 2 values as in the first, got 1";
    CHECK_TEXT(INPUTS(&matrix, "[[1,2],[3],[4,5,6]]"), shorter);
    CHECK_TEXT(INPUTS(&matrix, "[[1,2],[3,4,5],[6]]"),
               "input 'x': expected 2 values as in the first, got 3");
    CHECK_TEXT(INSTANCES(&cube, "[[[1,2],[3,4]],[[1],[2,3,4]]]"),
               "instance 1: input 'x': expected 2 values as in the first, got 1");
    CHECK_TEXT(INSTANCES(&cube, "[[[1,2]],[[1,2],[3,4]]]"),
               "instance 1: input 'x': expected 1 values as in the first, got 2");
    CHECK_TEXT(INPUTS(&matrix, "[[],[1]]"), "input 'x': expected 0 values as in the first, got 1");
}

PX_TEST(a_value_is_as_deep_as_the_first)
{
    CHECK_TEXT(INPUTS(&matrix, "[[1,2],3,[4,5,6]]"),
               "input 'x': expected a list as in the first, got a value");
    CHECK_TEXT(INPUTS(&free_shape, "[1,[2],3]"),
               "input 'x': expected a value as in the first, got a list");
    CHECK_TEXT(INSTANCES(&free_shape, "[[1],[[2]]]"),
               "instance 1: input 'x': expected a value as in the first, got a list");
    CHECK_TEXT(INSTANCES(&free_shape, "[{\"x\":[1]},{\"x\":2}]"),
               "instance 1: input 'x': expected a list as in the first, got a value");
}

PX_TEST(a_last_dimension_of_one_is_left_out_by_all_or_by_none)
{
    CHECK_TEXT(INPUTS(&column, "[1,2]"), "[2,1]");
    CHECK_TEXT(INSTANCES(&column, "[1,2]"), "[2,1]");
    CHECK_TEXT(INPUTS(&column, "[[1],[2]]"), "[2,1]");
    CHECK_TEXT(INSTANCES(&column, "[[1],[2]]"), "[2,1]");
    CHECK_TEXT(INPUTS(&column, "[1,[2]]"),
               "input 'x': expected a value as in the first, got a list");
    CHECK_TEXT(INSTANCES(&column, "[[1],2]"),
               "instance 1: input 'x': expected a list as in the first, got a value");
}

PX_TEST(broken_text_is_told_as_such)
{
    CHECK(strstr(INPUTS(&matrix, "[[1,2],[3,x]]"), "JSON"));
}

PX_TEST(output_of_any_shape_ends_where_the_text_is_full)
{
    const struct px_tensor empty = {
        .name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {UINT64_C(1) << 62, 0}, .n_dims = 2};
    struct px_buf text = px_buf(1 << 10);
    struct px_json_writer w = px_json_writer(&text);
    px_json_put_columns(&w, &empty, 1);
    CHECK(text.failed);
    px_buf_deinit(&text);
}

PX_TEST_MAIN(T(output_of_any_shape_ends_where_the_text_is_full)
                 T(what_is_even_has_the_shape_of_its_first_elements)
                     T(as_many_values_in_lists_of_other_lengths_are_not_shaped_anew)
                         T(a_value_is_as_deep_as_the_first)
                             T(a_last_dimension_of_one_is_left_out_by_all_or_by_none)
                                 T(broken_text_is_told_as_such))
