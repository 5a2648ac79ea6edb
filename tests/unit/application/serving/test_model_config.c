/* SPDX-License-Identifier: Apache-2.0 */
/* Triton's dynamic_batching in a configuration that comes with a load. */
#include "application/serving/model_config_batching.h"

#include "shared/arena.h"
#include "shared/clock.h"

#include "harness.h"

static struct px_batching batching;
static struct px_err err;

static enum px_code read(const char *text)
{
    struct px_arena arena = px_arena(1 << 20);
    struct px_json json;
    memset(&err, 0, sizeof err);
    px_json_init(&json, px_str(text), &arena, 0);
    enum px_code code = px_config_batching_read(&json, &batching, &err);
    enum px_code syntax = px_json_finish(&json, code == PX_OK ? &err : NULL);
    px_arena_deinit(&arena);
    return code == PX_OK ? syntax : code;
}

PX_TEST(every_field_is_taken)
{
    px_batching_init(&batching);
    CHECK_OK(read("{\"priority_queue_policy\": {\"3\": {\"timeout_action\": \"DELAY\", "
                  "\"default_timeout_microseconds\": \"2000\", \"allow_timeout_override\": true, "
                  "\"max_queue_size\": 7}}, \"preferred_batch_size\": [16, 8, 16], "
                  "\"max_queue_delay_microseconds\": 1500, \"preserve_ordering\": false, "
                  "\"priority_levels\": 3, \"default_priority_level\": 1, "
                  "\"default_queue_policy\": {\"timeout_action\": 0, \"max_queue_size\": 100}}"));
    const struct px_batch_policy *policy = &batching.policy;
    CHECK_INT(policy->n_preferred, 2);
    CHECK(policy->preferred[0] == 8 && policy->preferred[1] == 16);
    CHECK_INT(policy->delay_ns, 1500 * PX_NS_PER_US);
    CHECK(policy->n_levels == 3 && policy->default_level == 1);
    CHECK(policy->levels[0].items_max == 100 && policy->levels[1].items_max == 100);
    CHECK(policy->levels[2].items_max == 7 && policy->levels[2].demotes);
    CHECK_INT(policy->levels[2].timeout_ns, 2000 * PX_NS_PER_US);
}

PX_TEST(what_is_left_out_stays)
{
    px_batching_init(&batching);
    batching.limits_rows = true;
    batching.policy.tunes_delay = true;
    batching.policy.delay_ns = 5 * PX_NS_PER_MS;
    batching.policy.n_weights = 1;
    batching.policy.n_levels = 2;
    batching.policy.default_level = 2;
    batching.policy.levels[1].timeout_ns = 9;
    struct px_batching before = batching;
    CHECK_OK(read("{}"));
    CHECK(memcmp(&batching, &before, sizeof before) == 0);
    CHECK_OK(read("{\"priority_levels\": 2, \"max_queue_delay_microseconds\": 5000}"));
    CHECK(memcmp(&batching, &before, sizeof before) == 0); /* the delay is tuned as before */
    CHECK_OK(read("{\"max_queue_delay_microseconds\": 0, \"priority_levels\": 5}"));
    CHECK(!batching.policy.tunes_delay && batching.policy.delay_ns == 0);
    CHECK(batching.policy.default_level == 3 && batching.policy.levels[1].timeout_ns == 0);
}

PX_TEST(what_cannot_be_done_is_refused_by_name_and_changes_nothing)
{
    static const struct {
        const char *text;
        enum px_code code;
        const char *message;
    } cases[] = {
        {"{\"preferred_batch_size\": [0]}", PX_E_INVALID, "'preferred_batch_size'"},
        {"{\"preferred_batch_size\": [8, 65]}", PX_E_INVALID, "got 65"},
        {"{\"preferred_batch_size\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}", PX_E_INVALID,
         "at most 16"},
        {"{\"max_queue_delay_microseconds\": 60000001}", PX_E_INVALID, "at most a minute"},
        {"{\"max_queue_delay_microseconds\": -1}", PX_E_INVALID, ""},
        {"{\"preserve_ordering\": true, \"priority_levels\": 2}", PX_E_CONFLICT,
         "'preserve_ordering'"},
        {"{\"preserve_ordering\": true, \"default_queue_policy\": {\"timeout_action\": \"DELAY\"}}",
         PX_E_CONFLICT, "'preserve_ordering'"},
        {"{\"priority_levels\": 17}", PX_E_INVALID, "'priority_levels' must be at most 16"},
        {"{\"priority_levels\": 2, \"default_priority_level\": 3}", PX_E_INVALID,
         "'default_priority_level'"},
        {"{\"priority_queue_policy\": {\"2\": {}}}", PX_E_INVALID, "'priority_queue_policy'"},
        {"{\"priority_queue_policy\": {\"0\": {}}}", PX_E_INVALID, "got '0'"},
        {"{\"priority_queue_policy\": {\"first\": {}}}", PX_E_INVALID, "got 'first'"},
        {"{\"default_queue_policy\": {\"timeout_action\": \"WAIT\"}}", PX_E_INVALID, "got 'WAIT'"},
        {"{\"default_queue_policy\": {\"timeout_action\": 2}}", PX_E_INVALID, "timeout_action"},
        {"{\"default_queue_policy\": {\"max_queue_size\": 1001}}", PX_E_INVALID, "max_queue_size"},
        {"{\"default_queue_policy\": {\"default_timeout_microseconds\": 3600000001}}", PX_E_INVALID,
         "at most an hour"},
        {"{\"default_queue_policy\": {\"timeout\": 1}}", PX_E_UNSUPPORTED, "'timeout'"},
        {"{\"default_queue_policy\": {\"allow_timeout_override\": false, "
         "\"default_timeout_microseconds\": 5}}",
         PX_E_UNSUPPORTED, "'allow_timeout_override' must be true"},
        {"{\"max_delay\": 1}", PX_E_UNSUPPORTED, "'max_delay' is not supported"},
        {"{\"priority_levels\": \"many\"}", PX_E_INVALID, "got 'many'"},
        {"[]", PX_E_INVALID, ""},
        {"{\"preferred_batch_size\": [1, ", PX_E_INVALID, "JSON"},
    };
    px_batching_init(&batching);
    struct px_batching before = batching;
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        CHECK_INT(read(cases[i].text), cases[i].code);
        CHECK_CONTAINS(err.message, cases[i].message);
        CHECK(memcmp(&batching, &before, sizeof before) == 0);
    }
}

PX_TEST_MAIN(T(every_field_is_taken) T(what_is_left_out_stays)
                 T(what_cannot_be_done_is_refused_by_name_and_changes_nothing))
