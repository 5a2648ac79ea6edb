/* SPDX-License-Identifier: Apache-2.0 */
#include "application/lifecycle/example.h"
#include "harness.h"

static const struct px_engine_ops plain = {.caps = PX_ENGINE_TENSORS},
                                  sequences = {.caps = PX_ENGINE_TENSORS | PX_ENGINE_SEQUENCES};

static const char *example_of(const struct px_tensor_spec *spec)
{
    static char text[1024];
    struct px_buf json = px_buf_fixed(text, sizeof text);
    const struct px_engine engine = {.ops = &plain, .takes = {spec, 1}};
    px_example_put_json(&engine, &json);
    return json.failed ? NULL : text;
}

PX_TEST(open_dimensions_are_one)
{
    const struct px_tensor_spec spec = {
        .name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {PX_DIM_ANY, 3}, .n_dims = 2};
    const char *text = example_of(&spec);
    CHECK(text);
    CHECK_CONTAINS(text, "\"shape\":[1,3],\"datatype\":\"FP32\",\"data\":[0,0,0]");
}

/* What lies behind the dimension that is too large is not known, so nothing is printed. */
PX_TEST(an_example_that_nobody_would_paste_is_not_begun)
{
    static char text[1024];
    struct px_buf json = px_buf_fixed(text, sizeof text);
    const struct px_tensor_spec spec = {.name = PX_STR("x"),
                                        .type = PX_TYPE_FP32,
                                        .shape = {INT64_C(1) << 40, 7, 7, 7},
                                        .n_dims = 4};
    const struct px_engine engine = {.ops = &plain, .takes = {&spec, 1}};
    px_example_put_json(&engine, &json);
    CHECK(json.failed);
    CHECK_STR(px_buf_view(&json), "{\"inputs\":[");
}

PX_TEST(an_example_of_a_model_that_keeps_state_is_a_whole_sequence)
{
    static char text[1024];
    struct px_buf json = px_buf_fixed(text, sizeof text);
    const struct px_tensor_spec spec = {
        .name = PX_STR("x"), .type = PX_TYPE_FP32, .shape = {1}, .n_dims = 1};
    const struct px_engine engine = {.ops = &sequences, .takes = {&spec, 1}};
    px_example_put_json(&engine, &json);
    CHECK_CONTAINS(
        text,
        "],\"parameters\":{\"sequence_id\":1,\"sequence_start\":true,\"sequence_end\":true}}");
}

PX_TEST_MAIN(T(an_example_of_a_model_that_keeps_state_is_a_whole_sequence)
                 T(open_dimensions_are_one) T(an_example_that_nobody_would_paste_is_not_begun))
