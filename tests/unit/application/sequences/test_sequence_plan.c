/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that the model does not fit: every message says what was expected, what came, and how to fix it. */
#include "sequence_fixture.h"

#include "shared/file.h"

#include <unistd.h>

/* A model whose tensors a test gives; it never runs. */
static struct px_tensor_spec takes[4], gives[4];

static void no_start(struct px_engine *base, struct px_run *run)
{
    (void)base;
    (void)run;
}

static void no_destroy(struct px_engine *base)
{
    (void)base;
}

static struct px_engine_ops model = {
    .abi = PX_ENGINE_ABI, .name = "model", .start = no_start, .destroy = no_destroy};
static struct px_engine inner;
static struct px_sequence_state state;
static struct px_sequence_settings settings;

static struct px_tensor_spec spec_of(const char *name, enum px_datatype type, int64_t columns)
{
    return (struct px_tensor_spec){
        .name = px_str(name), .type = type, .shape = {PX_DIM_ANY, columns}, .n_dims = 2};
}

/* x and the state h_in to y and the state h_out, all FP32; `flag` may be a control. */
static void set_up_model(void)
{
    takes[0] = spec_of("x", PX_TYPE_FP32, 4);
    takes[1] = spec_of("h_in", PX_TYPE_FP32, 8);
    takes[2] = spec_of("flag", PX_TYPE_BOOL, 1);
    takes[3] = spec_of("corrid", PX_TYPE_INT64, 1);
    gives[0] = spec_of("y", PX_TYPE_FP32, 1);
    gives[1] = spec_of("h_out", PX_TYPE_FP32, 8);
    model.caps = PX_ENGINE_TENSORS | PX_ENGINE_ASYNC | PX_ENGINE_BATCHES;
    inner = (struct px_engine){.ops = &model, .takes = {takes, 4}, .gives = {gives, 2}};
    state = (struct px_sequence_state){.input = PX_STR("h_in"), .output = PX_STR("h_out")};
    settings = defaults();
    settings.states = &state;
}

static void check_refused(enum px_code code, const char *message, const char *hint)
{
    const struct px_sequence_options options = {.settings = &settings};
    struct px_err err = {0};
    CHECK_INT(px_sequence_engine_create(&inner, &options, &engine, &err), code);
    CHECK_CONTAINS(err.message, message);
    CHECK_CONTAINS(err.hint, hint);
}

static void check_accepted(void)
{
    const struct px_sequence_options options = {.settings = &settings};
    CHECK_OK(px_sequence_engine_create(&inner, &options, &engine, NULL));
    px_engine_destroy(engine);
}

PX_TEST(a_model_that_fits_is_accepted)
{
    set_up_model();
    check_accepted();
    settings.controls[PX_SEQUENCE_START] = (struct px_str)PX_STR("flag");
    settings.controls[PX_SEQUENCE_CORRELATION_ID] = (struct px_str)PX_STR("corrid");
    check_accepted();
}

PX_TEST(tensors_that_the_model_does_not_have_are_named)
{
    set_up_model();
    state.input = (struct px_str)PX_STR("h_inn");
    check_refused(PX_E_CONFLICT, "sequence: the model has no input 'h_inn'",
                  "did you mean 'h_in'?");
    state.input = (struct px_str)PX_STR("something_else");
    check_refused(PX_E_CONFLICT, "the model has no input 'something_else'",
                  "it has x, h_in, flag, corrid");
    state.input = (struct px_str)PX_STR("h_in");
    state.output = (struct px_str)PX_STR("something_else");
    check_refused(PX_E_CONFLICT, "the model has no output 'something_else'", "it has y, h_out");
    state.output = (struct px_str)PX_STR("h_out");
    settings.controls[PX_SEQUENCE_END] = (struct px_str)PX_STR("falg");
    check_refused(PX_E_CONFLICT, "the model has no input 'falg'", "did you mean 'flag'?");
}

PX_TEST(a_state_whose_input_and_output_differ_is_refused_with_both)
{
    set_up_model();
    gives[1].type = PX_TYPE_FP64;
    check_refused(PX_E_CONFLICT,
                  "sequence: state 'h_in' is FP32 of shape [1,8], but the model gives 'h_out' as "
                  "FP64 of [-1,8]",
                  "of one type and shape");
    gives[1] = spec_of("h_out", PX_TYPE_FP32, 9);
    check_refused(PX_E_CONFLICT, "but the model gives 'h_out' as FP32 of [-1,9]",
                  "of one type and shape");
}

PX_TEST(a_type_or_shape_that_is_not_the_models_is_refused_with_both)
{
    set_up_model();
    state.type = PX_TYPE_INT64;
    check_refused(PX_E_CONFLICT,
                  "state 'h_in' is INT64 of shape [1,8], but the model takes 'h_in' as FP32 of "
                  "[-1,8]",
                  "leave out 'type' and 'shape' where the model fixes them");
    state.type = PX_TYPE_NONE;
    state.has_shape = true;
    state.n_dims = 1;
    state.shape[0] = 3;
    check_refused(PX_E_CONFLICT, "state 'h_in' is FP32 of shape [1,3]", "leave out");
    state.n_dims = 2;
    state.shape[1] = 8;
    check_refused(PX_E_CONFLICT, "state 'h_in' is FP32 of shape [1,3,8]", "leave out");
    state.n_dims = 1;
    state.shape[0] = 8;
    check_accepted();
}

PX_TEST(a_shape_that_the_model_leaves_open_is_asked_for)
{
    set_up_model();
    takes[1].shape[1] = PX_DIM_ANY;
    check_refused(PX_E_CONFLICT, "the model does not say how large the state 'h_in' is",
                  "without the dimension that counts rows");
    state.has_shape = true;
    state.n_dims = 1;
    state.shape[0] = 8;
    check_accepted();
    takes[1].any_rank = true;
    takes[1].n_dims = 0;
    state.has_shape = false;
    check_refused(PX_E_CONFLICT, "how large the state 'h_in' is", "give its shape");
}

PX_TEST(a_state_or_control_whose_first_dimension_cannot_count_rows_is_refused)
{
    set_up_model();
    takes[1].shape[0] = 1;
    check_refused(PX_E_CONFLICT,
                  "sequence: 'h_in' is of shape [1,8]; expected a first dimension that counts rows",
                  "leave out 'batches'");
    settings.rules.batch_max = 1; /* then one row is all there is */
    check_accepted();
    takes[1].shape[0] = PX_DIM_ANY;
    settings.rules.batch_max = 2;
    gives[1].shape[0] = 4;
    check_refused(PX_E_CONFLICT, "'h_out' is of shape [4,8]", "open first dimension");
    gives[1].shape[0] = PX_DIM_ANY;
    takes[2].n_dims = 0;
    settings.controls[PX_SEQUENCE_READY] = (struct px_str)PX_STR("flag");
    check_refused(PX_E_CONFLICT, "'flag' is of shape []", "open first dimension");
    model.caps &= ~(uint32_t)PX_ENGINE_BATCHES; /* without rows a scalar is a scalar */
    takes[1].shape[0] = gives[1].shape[0] = 1;
    check_accepted();
}

PX_TEST(texts_and_giants_are_no_states)
{
    set_up_model();
    takes[1].type = PX_TYPE_BYTES;
    check_refused(PX_E_UNSUPPORTED, "state 'h_in' is BYTES; expected numbers or BOOL",
                  "fixed size");
    takes[1] = spec_of("h_in", PX_TYPE_FP32, INT32_MAX);
    gives[1] = spec_of("h_out", PX_TYPE_FP32, INT32_MAX);
    check_refused(PX_E_TOO_LARGE, "state 'h_in' of shape [1,2147483647] is larger than", "shape");
}

PX_TEST(states_over_the_memory_limits_are_refused_at_load)
{
    set_up_model();
    settings.memory_max = 256 * 64 - 1;
    check_refused(PX_E_TOO_LARGE,
                  "the states of 256 sequences need 64 bytes each, 16383 bytes are allowed",
                  "raise 'memory_max', or lower 'sequences_max'");
    takes[1] = spec_of("h_in", PX_TYPE_FP32, 1 << 23);
    gives[1] = spec_of("h_out", PX_TYPE_FP32, 1 << 23);
    settings.memory_max = UINT64_C(1) << 40;
    check_refused(PX_E_TOO_LARGE,
                  "the states of 32 steps computed together are 33554432 bytes each",
                  "lower 'batch_max'");
    settings.rules.scheduler = PX_SEQUENCE_DIRECT;
    check_refused(PX_E_TOO_LARGE, "the states of 256 steps", "lower 'sequences_max'");
    settings.rules.sequences_max = 2;
    check_accepted();
}

PX_TEST(controls_of_other_types_shapes_and_meanings_are_refused)
{
    set_up_model();
    settings.controls[PX_SEQUENCE_START] = (struct px_str)PX_STR("corrid");
    check_accepted(); /* an INT64 may be a truth */
    takes[2] = spec_of("flag", PX_TYPE_FP64, 1);
    settings.controls[PX_SEQUENCE_START] = (struct px_str)PX_STR("flag");
    check_refused(PX_E_CONFLICT,
                  "sequence: control 'start' cannot be 'flag', which is FP64 of shape [-1,1]",
                  "one value for each row, of BOOL, INT32, INT64, UINT8 or FP32");
    takes[2] = spec_of("flag", PX_TYPE_BOOL, 2);
    check_refused(PX_E_CONFLICT, "which is BOOL of shape [-1,2]", "one value for each row");
    settings.controls[PX_SEQUENCE_START] = (struct px_str)PX_STR("");
    settings.controls[PX_SEQUENCE_CORRELATION_ID] = (struct px_str)PX_STR("x");
    check_refused(PX_E_CONFLICT, "control 'correlation_id' cannot be 'x'",
                  "INT32, INT64, UINT32, UINT64 or BYTES");
    settings.controls[PX_SEQUENCE_CORRELATION_ID] = (struct px_str)PX_STR("h_in");
    check_refused(PX_E_CONFLICT,
                  "control 'correlation_id': input 'h_in' has another meaning already",
                  "give each its own");
    settings.controls[PX_SEQUENCE_START] = (struct px_str)PX_STR("corrid");
    settings.controls[PX_SEQUENCE_CORRELATION_ID] = (struct px_str)PX_STR("corrid");
    check_refused(PX_E_CONFLICT, "input 'corrid' has another meaning already", "give each its own");
}

PX_TEST(a_model_of_nothing_but_states_and_controls_is_refused)
{
    set_up_model();
    inner.takes = (struct px_tensor_specs){takes + 1, 1};
    check_refused(PX_E_CONFLICT, "besides states and controls the model has no input",
                  "what callers send");
    set_up_model();
    inner.gives = (struct px_tensor_specs){gives + 1, 1};
    check_refused(PX_E_CONFLICT, "besides states and controls the model has no output",
                  "give a state 'show: true'");
    state.show = true;
    check_accepted();
}

/* ---- initial states ---- */

static void write_initial(char *path, size_t n)
{
    char bytes[64] = {0};
    int file = mkstemp(path);
    CHECK(file >= 0 && n <= sizeof bytes && write(file, bytes, n) == (ssize_t)n);
    close(file);
    state.initial = px_str(path);
}

PX_TEST(an_initial_file_of_another_size_is_refused_with_both_sizes)
{
    static const size_t wrong[] = {0, 31, 33, 64};
    for (size_t i = 0; i < PX_ARRAY_LEN(wrong); i++) {
        char path[] = "/tmp/px_sequence_XXXXXX", words[100];
        set_up_model();
        write_initial(path, wrong[i]);
        snprintf(words, sizeof words, "%s: expected the 32 bytes of state 'h_in', got %zu", path,
                 wrong[i]);
        check_refused(PX_E_CONFLICT, words, "the values of FP32 [1,8] behind one another");
        unlink(path);
    }
    char path[] = "/tmp/px_sequence_XXXXXX";
    write_initial(path, 32);
    check_accepted();
    unlink(path);
}

PX_TEST(an_initial_file_that_is_gone_is_named_with_its_state)
{
    set_up_model();
    state.initial = (struct px_str)PX_STR("/nowhere/h.bin");
    check_refused(PX_E_NOT_FOUND, "sequence: initial state 'h_in'", "");
}

PX_TEST_MAIN(
    T(a_model_that_fits_is_accepted) T(tensors_that_the_model_does_not_have_are_named)
        T(a_state_whose_input_and_output_differ_is_refused_with_both)
            T(a_type_or_shape_that_is_not_the_models_is_refused_with_both)
                T(a_shape_that_the_model_leaves_open_is_asked_for)
                    T(a_state_or_control_whose_first_dimension_cannot_count_rows_is_refused)
                        T(texts_and_giants_are_no_states)
                            T(states_over_the_memory_limits_are_refused_at_load)
                                T(controls_of_other_types_shapes_and_meanings_are_refused)
                                    T(a_model_of_nothing_but_states_and_controls_is_refused) T(
                                        an_initial_file_of_another_size_is_refused_with_both_sizes)
                                        T(an_initial_file_that_is_gone_is_named_with_its_state))
