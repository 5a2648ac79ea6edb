/* SPDX-License-Identifier: Apache-2.0 */
/* What model.yaml says under `batching`: every key is read, and what is wrong is told with its line. */
#include "application/lifecycle/model_batching.h"

#include "harness.h"
#include "shared/clock.h"

static struct px_arena arena;
static struct px_batching batching;
static struct px_err err;

static enum px_code read_text(const char *text)
{
    const struct px_yaml *root;
    px_arena_deinit(&arena);
    arena = px_arena(1 << 20);
    err = (struct px_err){0};
    CHECK_OK(px_yaml_parse(px_str(text), &arena, &root, NULL));
    return px_model_batching_read(px_yaml_get(root, "batching"), &batching, &err);
}

PX_TEST(every_key_is_read)
{
    const struct px_batch_policy *policy = &batching.policy;
    CHECK_OK(read_text("batching:\n  max_rows: 32\n  preferred_rows: [8, 16]\n  max_delay: 2ms\n"
                       "  delay: auto\n  split: false\n  order: adaptive_lifo\n  priorities: 3\n"
                       "  default_priority: 2\n  levels:\n"
                       "    - {level: 1, max_queue: 10, timeout: 50ms}\n"
                       "    - {level: 3, timeout: 1s, on_timeout: demote}\n"
                       "  clients:\n    - {name: shop, weight: 4}\n    - {name: web}\n"));
    CHECK(batching.limits_rows && policy->rows_max == 32 && !policy->splits);
    CHECK(policy->n_preferred == 2 && policy->preferred[1] == 16);
    CHECK(policy->delay_ns == 2 * PX_NS_PER_MS && policy->tunes_delay && policy->turns_around);
    CHECK(policy->n_levels == 3 && policy->default_level == 2);
    CHECK(policy->levels[0].items_max == 10 && policy->levels[0].timeout_ns == 50 * PX_NS_PER_MS);
    CHECK(!policy->levels[0].demotes && policy->levels[2].demotes && !policy->levels[1].timeout_ns);
    CHECK(policy->n_weights == 2 && policy->weights[0].weight == 4 &&
          policy->weights[1].weight == 1);
    CHECK(policy->weights[0].client == px_batching_client(px_str("shop")));
}

PX_TEST(without_keys_nothing_waits_and_nothing_is_refused_for_its_size)
{
    CHECK_OK(read_text("batching: {}\n"));
    CHECK(!batching.limits_rows && !batching.is_off && !batching.preserves_order);
    CHECK(batching.policy.rows_max == PX_BATCHING_ROWS_DEFAULT && batching.policy.delay_ns == 0);
    CHECK_OK(read_text("batching: off\n"));
    CHECK(batching.is_off);
    CHECK_OK(read_text("batching: on\n"));
    CHECK(!batching.is_off && !batching.limits_rows && batching.policy.delay_ns == 0);
    CHECK_OK(read_text("batching: {max_rows: 8}\n"));
    CHECK(batching.limits_rows && batching.policy.splits);
    CHECK_OK(read_text("batching: {delay: auto}\n"));
    CHECK(batching.policy.delay_ns > 0);
    CHECK_OK(read_text("batching: {priorities: 3}\n"));
    CHECK_INT(batching.policy.default_level, 2);
}

PX_TEST(what_is_wrong_is_told)
{
    static const struct {
        const char *text, *says, *hints;
        enum px_code code;
    } cases[] = {
        {"batching: sometimes\n", "'batching' must be on, off or a mapping, got 'sometimes'",
         "max_rows: 32", PX_E_INVALID},
        {"batching: [8]\n", "on, off or a mapping, got a list", "", PX_E_INVALID},
        {"batching: {max_row: 3}\n", "unknown key 'max_row'", "max_rows", PX_E_UNKNOWN_OPTION},
        {"batching: {max_batch_size: 3}\n", "unknown key 'max_batch_size'", "'max_rows' here",
         PX_E_UNKNOWN_OPTION},
        {"batching: {max_rows: 0}\n", "'max_rows' must be a whole number, 1 to 4096, got '0'", "",
         PX_E_INVALID},
        {"batching: {max_rows: 8, preferred_rows: [4, 16]}\n", "which is 8; got 16", "",
         PX_E_INVALID},
        {"batching: {preferred_rows: 4}\n", "must be a list of at most 16", "", PX_E_INVALID},
        {"batching: {max_delay: 2}\n", "0ms to 1m, got '2'", "max_delay: 5s", PX_E_INVALID},
        {"batching: {max_delay: 2h}\n", "0ms to 1m, got '2h'", "", PX_E_INVALID},
        {"batching: {delay: maybe}\n", "must be fixed or auto, got 'maybe'", "", PX_E_INVALID},
        {"batching: {order: lifo}\n", "fifo or adaptive_lifo", "", PX_E_INVALID},
        {"batching: {split: true}\n", "'split' needs 'max_rows'", "no limit", PX_E_INVALID},
        {"batching: {priorities: 17}\n", "1 to 16", "", PX_E_INVALID},
        {"batching: {priorities: 2, default_priority: 3}\n", "1 to 2, got '3'", "", PX_E_INVALID},
        {"batching: {levels: [{timeout: 1s}]}\n", "expected 'level', from 1 to 1", "",
         PX_E_INVALID},
        {"batching: {levels: [{level: 2}]}\n", "'level' must be a whole number, 1 to 1, got '2'",
         "", PX_E_INVALID},
        {"batching: {levels: [{level: 1, on_timeout: wait}]}\n", "refuse or demote", "",
         PX_E_INVALID},
        {"batching: {clients: [{name: a}, {name: a}]}\n", "'a' is listed twice", "", PX_E_INVALID},
        {"batching: {levels: [{level: 1}, {level: 1}]}\n", "level 1 is listed twice", "",
         PX_E_INVALID},
        {"batching: {levels: [{level: 1, on_timeout: demote}]}\n", "'on_timeout' needs 'timeout'",
         "timeout: 50ms", PX_E_INVALID},
        {"batching: {clients: [{name: ''}]}\n", "must have 1 to 256 bytes, got 0", "",
         PX_E_INVALID},
        {"batching: {delay: auto, max_delay: 0ms}\n", "never waits with a 'max_delay' of 0",
         "max_delay: 2ms", PX_E_INVALID},
        {"batching: {clients: [{weight: 2}]}\n", "", "", PX_E_INVALID},
        {"batching: {preserve_order: true, priorities: 2}\n", "keep the order", "one priority",
         PX_E_CONFLICT},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        CHECK_INT(read_text(cases[i].text), cases[i].code);
        CHECK_CONTAINS(err.message, cases[i].says);
        CHECK_CONTAINS(err.message, "line 1");
        CHECK_CONTAINS(err.hint, cases[i].hints);
    }
}

PX_TEST(a_level_holds_no_more_than_the_queue)
{
    CHECK_OK(read_text("batching: {priorities: 2, levels: [{level: 2, max_queue: 5000}]}\n"));
    CHECK_OK(px_model_batching_check_queue(&batching, 5000, &err));
    CHECK_INT(px_model_batching_check_queue(&batching, 0, &err), PX_E_CONFLICT);
    CHECK_CONTAINS(err.message, "level 2: 'max_queue' must be at most 'queue_max', which is 1000");
    CHECK_CONTAINS(err.hint, "queue_max: 5000");
    px_arena_deinit(&arena);
}

PX_TEST_MAIN(T(every_key_is_read) T(without_keys_nothing_waits_and_nothing_is_refused_for_its_size)
                 T(what_is_wrong_is_told) T(a_level_holds_no_more_than_the_queue))
