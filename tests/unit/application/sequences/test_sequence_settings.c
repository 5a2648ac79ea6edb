/* SPDX-License-Identifier: Apache-2.0 */
/* What `sequence:` of model.yaml may say, and what every refusal tells: what was expected, what came, where, and how to fix it. */
#include "application/sequences/sequence_settings.h"

#include "harness.h"
#include "shared/alloc.h"
#include "shared/clock.h"

static struct px_arena arena;
static struct px_sequence_settings settings;
static struct px_err err;

/* `text` is the value of `sequence`, in the first line. */
static enum px_code read(const char *text)
{
    const struct px_yaml *root = NULL;
    char yaml[4096];
    CHECK((size_t)snprintf(yaml, sizeof yaml, "sequence: %s", text) < sizeof yaml);
    px_arena_deinit(&arena);
    arena = px_arena(1 << 20);
    err = (struct px_err){0};
    CHECK_OK(px_yaml_parse(px_str(yaml), &arena, &root, NULL));
    return px_sequence_settings_read(px_yaml_get(root, "sequence"), &arena, &settings, &err);
}

static void check_refused(const char *text, enum px_code code, const char *message,
                          const char *hint)
{
    CHECK_INT(read(text), code);
    CHECK_CONTAINS(err.message, message);
    CHECK_CONTAINS(err.hint, hint);
    CHECK_CONTAINS(err.message, "line 1");
}

/* ---- what is accepted ---- */

PX_TEST(nothing_said_means_the_defaults)
{
    CHECK_OK(read("{}"));
    CHECK_INT(settings.rules.scheduler, PX_SEQUENCE_OLDEST);
    CHECK_INT(settings.rules.sequences_max, 256);
    CHECK_INT(settings.rules.backlog_max, 1000);
    CHECK_INT(settings.rules.batch_max, 32);
    CHECK_INT(settings.rules.idle_timeout_ns, PX_NS_PER_S);
    CHECK_INT(settings.rules.delay_ns, 0);
    CHECK_INT(settings.rules.n_preferred, 0);
    CHECK_INT(settings.steps_max, 1000);
    CHECK_INT(settings.memory_max, 256 << 20);
    CHECK_INT(settings.n_states, 0);
}

PX_TEST(everything_that_can_be_said_is_read)
{
    CHECK_OK(read(
        "{scheduler: oldest, idle_timeout_ms: 5, sequences_max: 7, backlog_max: 0, steps_max: 9, "
        "batch_max: 16, preferred_batch_sizes: [1, 8, 16], max_queue_delay_us: 100, memory_max: 1, "
        "states: [{input: a, output: b, type: INT64, shape: [2, 3], initial: f.bin, show: true}, "
        "{input: c, output: d, initial: zeros, show: false}], "
        "controls: {start: S, end: E, ready: R, correlation_id: C}}"));
    CHECK_INT(settings.rules.idle_timeout_ns, 5 * PX_NS_PER_MS);
    CHECK_INT(settings.rules.delay_ns, 100 * PX_NS_PER_US);
    CHECK(settings.rules.n_preferred == 3 && settings.rules.preferred[2] == 16);
    CHECK_INT(settings.n_states, 2);
    const struct px_sequence_state *state = settings.states;
    CHECK(state->type == PX_TYPE_INT64 && state->has_shape && state->n_dims == 2 && state->show);
    CHECK_STR(state->initial, "f.bin");
    CHECK(state[1].initial.len == 0 && !state[1].has_shape && !state[1].show);
    CHECK_STR(settings.controls[PX_SEQUENCE_CORRELATION_ID], "C");
    CHECK_OK(read("{scheduler: direct, sequences_max: 65536, max_queue_delay_us: 60000000}"));
    CHECK_INT(settings.rules.scheduler, PX_SEQUENCE_DIRECT);
    CHECK_OK(read("{states: [{input: a, output: b, shape: []}]}")); /* one value for each row */
    CHECK(settings.states->has_shape && settings.states->n_dims == 0);
}

/* ---- what is refused ---- */

struct refusal {
    const char *text;
    enum px_code code;
    const char *message, *hint;
};

static void check_all(const struct refusal *refusals, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_refused(refusals[i].text, refusals[i].code, refusals[i].message, refusals[i].hint);
}

PX_TEST(things_of_another_kind_say_what_they_are)
{
    static const struct refusal refusals[] = {
        {"[1, 2]", PX_E_INVALID, "'sequence' must be a mapping, got a list of 2",
         "write it as {states:"},
        {"direct", PX_E_INVALID, "'sequence' must be a mapping, got 'direct'",
         "write it as {states:"},
        {"", PX_E_INVALID, "'sequence' must be a mapping, got nothing", "write it as {states:"},
        {"{scheduler: [direct]}", PX_E_INVALID, "scheduler: expected text, got a list", ""},
        {"{sequences_max: many}", PX_E_INVALID,
         "'sequences_max' must be a whole number, 1 to 65536, got 'many'", ""},
        {"{idle_timeout_ms: 1.5}", PX_E_INVALID,
         "'idle_timeout_ms' must be a whole number, 1 to 86400000, got '1.5'", ""},
        {"{memory_max: \"10\"}", PX_E_INVALID,
         "'memory_max' must be a whole number, 1 to 1099511627776, got the quoted text '10'", ""},
        {"{preferred_batch_sizes: 8}", PX_E_INVALID,
         "'preferred_batch_sizes' must be a list of at most 8 numbers, got '8'", "[8, 16]"},
        {"{preferred_batch_sizes: [1, two]}", PX_E_INVALID, "preferred_batch_sizes: line 1", ""},
        {"{states: {input: a, output: b}}", PX_E_INVALID,
         "'states' must be a list of at most 64 states, got a mapping", "write it as [{input:"},
        {"{states: [a]}", PX_E_INVALID, "a state must be a mapping, got 'a'",
         "{input: h_in, output: h_out}"},
        {"{states: [[a, b]]}", PX_E_INVALID, "a state must be a mapping, got a list of 2",
         "{input: h_in"},
        {"{states: [{input: [a], output: b}]}", PX_E_INVALID, "input: expected text, got a list",
         ""},
        {"{states: [{input: a, output: b, shape: 64}]}", PX_E_INVALID,
         "'shape' must be a list of at most 8 numbers, got '64'", "write it as [64]"},
        {"{states: [{input: a, output: b, shape: [x]}]}", PX_E_INVALID, "shape: line 1", ""},
        {"{states: [{input: a, output: b, initial: {file: x}}]}", PX_E_INVALID,
         "initial: expected text, got a mapping", ""},
        {"{controls: [start]}", PX_E_INVALID, "'controls' must be a mapping, got a list of 1",
         "{start: START"},
        {"{controls: {start: {a: b}}}", PX_E_INVALID, "start: expected text, got a mapping", ""},
    };
    check_all(refusals, PX_ARRAY_LEN(refusals));
}

PX_TEST(unknown_keys_and_words_suggest_what_was_meant)
{
    static const struct refusal refusals[] = {
        {"{sequence_max: 5}", PX_E_UNKNOWN_OPTION, "unknown key 'sequence_max'",
         "did you mean 'sequences_max'?"},
        {"{x: 5}", PX_E_UNKNOWN_OPTION, "unknown key 'x'", "known keys: scheduler"},
        {"{states: [{input: a, outputs: b}]}", PX_E_UNKNOWN_OPTION, "unknown key 'outputs'",
         "did you mean 'output'?"},
        {"{controls: {begin: a}}", PX_E_UNKNOWN_OPTION, "unknown key 'begin'",
         "known keys: start, end, ready"},
        {"{scheduler: oldst}", PX_E_INVALID, "'scheduler' must be oldest or direct, got 'oldst'",
         "did you mean 'oldest'?"},
        {"{scheduler: round_robin}", PX_E_INVALID,
         "'scheduler' must be oldest or direct, got 'round_robin'",
         "direct gives each sequence a row"},
        {"{scheduler: \"\"}", PX_E_INVALID, "'scheduler' must be oldest or direct, got ''",
         "oldest"},
        {"{states: [{input: a, output: b, type: FP33}]}", PX_E_INVALID,
         "the type of a state must be numbers or BOOL, got 'FP33'", "FP32, INT64"},
        {"{states: [{input: a, output: b, type: BYTES}]}", PX_E_INVALID,
         "the type of a state must be numbers or BOOL, got 'BYTES'", "the model knows it"},
        {"{states: [{input: a, output: b, show: maybe}]}", PX_E_INVALID,
         "'show' must be on or off, got 'maybe'", "lets callers ask"},
    };
    check_all(refusals, PX_ARRAY_LEN(refusals));
}

PX_TEST(numbers_out_of_bounds_name_the_bounds_and_the_default)
{
    static const struct refusal refusals[] = {
        {"{idle_timeout_ms: 0}", PX_E_INVALID,
         "'idle_timeout_ms' must be a whole number, 1 to 86400000, got '0'", "it is 1000"},
        {"{idle_timeout_ms: 86400001}", PX_E_INVALID,
         "must be a whole number, 1 to 86400000, got '86400001'", "it is 1000"},
        {"{sequences_max: 0}", PX_E_INVALID,
         "'sequences_max' must be a whole number, 1 to 65536, got '0'", "it is 256"},
        {"{sequences_max: 65537}", PX_E_INVALID,
         "'sequences_max' must be a whole number, 1 to 65536, got '65537'", "it is 256"},
        {"{backlog_max: -1}", PX_E_INVALID,
         "'backlog_max' must be a whole number, 0 to 65536, got '-1'", "it is 1000"},
        {"{backlog_max: 65537}", PX_E_INVALID,
         "'backlog_max' must be a whole number, 0 to 65536, got '65537'", "it is 1000"},
        {"{steps_max: 0}", PX_E_INVALID, "'steps_max' must be a whole number, 1 to 65536, got '0'",
         "it is 1000"},
        {"{batch_max: 0}", PX_E_INVALID, "'batch_max' must be a whole number, 1 to 4096, got '0'",
         "it is 32"},
        {"{batch_max: 4097}", PX_E_INVALID,
         "'batch_max' must be a whole number, 1 to 4096, got '4097'", "it is 32"},
        {"{max_queue_delay_us: 60000001}", PX_E_INVALID,
         "must be a whole number, 0 to 60000000, got '60000001'", "it is 0"},
        {"{memory_max: 0}", PX_E_INVALID,
         "'memory_max' must be a whole number, 1 to 1099511627776, got '0'", "it is 268435456"},
        {"{memory_max: 9999999999999999999999}", PX_E_INVALID,
         "'memory_max' must be a whole number", ""},
        {"{preferred_batch_sizes: [1, 2, 3, 4, 5, 6, 7, 8, 9]}", PX_E_INVALID,
         "at most 8 numbers, got a list of 9", "[8, 16]"},
        {"{preferred_batch_sizes: [0]}", PX_E_INVALID, "must be 1 to batch_max, which is 32; got 0",
         "smallest to the largest"},
        {"{preferred_batch_sizes: [8, 8]}", PX_E_INVALID,
         "must be 9 to batch_max, which is 32; got 8", "smallest to the largest"},
        {"{batch_max: 4, preferred_batch_sizes: [5]}", PX_E_INVALID,
         "to batch_max, which is 4; got 5", "smallest"},
        {"{states: [{input: a, output: b, shape: [1, 1, 1, 1, 1, 1, 1, 1, 1]}]}", PX_E_INVALID,
         "at most 8 numbers, got a list of 9", "write it as [64]"},
        {"{states: [{input: a, output: b, shape: [-1]}]}", PX_E_INVALID,
         "a dimension of a state must be 1 to 2147483647, got -1",
         "leave out the dimension that counts rows"},
        {"{states: [{input: a, output: b, shape: [2147483648]}]}", PX_E_INVALID, "got 2147483648",
         "fixed size"},
    };
    check_all(refusals, PX_ARRAY_LEN(refusals));
}

PX_TEST(what_is_missing_empty_or_shared_is_named)
{
    static const struct refusal refusals[] = {
        {"{states: [{input: a}]}", PX_E_INVALID,
         "a state must have 'input' and 'output', got no 'output'", "{input: h_in"},
        {"{states: [{output: a}]}", PX_E_INVALID, "got no 'input'", "{input: h_in"},
        {"{states: [{input: \"\", output: b}]}", PX_E_INVALID,
         "'input' must be a name, got an empty text", "leave 'input' out"},
        {"{states: [{input: a, output: b, initial: \"\"}]}", PX_E_INVALID,
         "'initial' must be a name, got an empty text", "leave 'initial' out"},
        {"{states: [{input: a, output: b, initial: \"a\\0b\"}]}", PX_E_INVALID,
         "got a text with a NUL byte", "initial"},
        {"{states: [{input: a, output: b, initial: ~}]}", PX_E_INVALID,
         "initial: expected text, got nothing", ""},
        {"{controls: {ready: \"\"}}", PX_E_INVALID, "'ready' must be a name, got an empty text",
         "leave 'ready' out"},
        {"{states: [{input: a, output: b}, {input: a, output: c}]}", PX_E_INVALID,
         "state 'c' to 'a' shares a tensor with state 1", "of its own"},
        {"{states: [{input: a, output: b}, {input: c, output: d}, {input: e, output: d}]}",
         PX_E_INVALID, "state 'd' to 'e' shares a tensor with state 2", "of its own"},
        {"{scheduler: direct, batch_max: 4}", PX_E_CONFLICT,
         "'batch_max' is for the scheduler oldest, got it with direct", "sequences_max"},
        {"{scheduler: direct, preferred_batch_sizes: [4]}", PX_E_CONFLICT,
         "'preferred_batch_sizes' is for the scheduler oldest", "leave it out"},
    };
    check_all(refusals, PX_ARRAY_LEN(refusals));
}

PX_TEST(more_states_than_there_may_be_are_refused)
{
    char text[4000] = "{states: [";
    size_t at = strlen(text);
    for (unsigned i = 0; i < PX_SEQUENCE_STATES_MAX + 1; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "{input: i%u, output: o%u}, ", i, i);
    snprintf(text + at - 2, sizeof text - at, "]}");
    check_refused(text, PX_E_INVALID, "at most 64 states, got a list of 65", "write it as");
}

PX_TEST(the_line_of_a_setting_is_named)
{
    const struct px_yaml *root = NULL;
    CHECK_OK(read("{}"));
    CHECK_OK(px_yaml_parse(px_str("scheduler: direct\nstates:\n  - {input: a, output: b}\n"
                                  "  - {input: c, output: d,\n     shape: [0]}\n"),
                           &arena, &root, NULL));
    CHECK_INT(px_sequence_settings_read(root, &arena, &settings, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "line 5: a dimension of a state");
}

PX_TEST(without_memory_it_says_so)
{
    static const char text[] =
        "{states: [{input: a, output: b, initial: c}], controls: {start: d}}";
    const struct px_yaml *root = NULL;
    struct px_arena small;
    CHECK_OK(read("{}"));
    CHECK_OK(px_yaml_parse(px_str(text), &arena, &root, NULL));
    for (size_t max = 0; max < 512; max += 8) {
        small = px_arena(max);
        enum px_code code = px_sequence_settings_read(root, &small, &settings, &err);
        CHECK(code == PX_OK || code == PX_E_TOO_LARGE);
        px_arena_deinit(&small);
    }
    small = px_arena(1 << 20);
    px_alloc_fail_at(1);
    enum px_code code = px_sequence_settings_read(root, &small, &settings, &err);
    px_alloc_fail_at(0);
    CHECK_INT(code, PX_E_NO_MEMORY);
    px_arena_deinit(&small);
    px_arena_deinit(&arena);
}

PX_TEST_MAIN(T(nothing_said_means_the_defaults) T(everything_that_can_be_said_is_read)
                 T(things_of_another_kind_say_what_they_are)
                     T(unknown_keys_and_words_suggest_what_was_meant)
                         T(numbers_out_of_bounds_name_the_bounds_and_the_default)
                             T(what_is_missing_empty_or_shared_is_named)
                                 T(more_states_than_there_may_be_are_refused)
                                     T(the_line_of_a_setting_is_named) T(without_memory_it_says_so))
