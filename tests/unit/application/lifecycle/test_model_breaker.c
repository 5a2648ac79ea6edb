/* SPDX-License-Identifier: Apache-2.0 */
/* `breaker:` of model.yaml and of remote servers: what it means, and what is refused with its line. */
#include "application/lifecycle/model_breaker.h"

#include "harness.h"
#include "shared/alloc.h"
#include "shared/clock.h"

static struct px_model_breaker breaker;
static struct px_err err;

static enum px_code read_text(const char *text)
{
    struct px_arena arena = px_arena(1 << 20);
    const struct px_yaml *root;
    char yaml[256];
    err = (struct px_err){0};
    snprintf(yaml, sizeof yaml, "breaker: %s\n", text);
    enum px_code code = px_yaml_parse(px_str(yaml), &arena, &root, &err);
    if (code == PX_OK)
        code = px_model_breaker_read(px_yaml_get(root, "breaker"), &breaker, &err);
    px_arena_deinit(&arena);
    return code;
}

static void refuses(const char *text, const char *part)
{
    CHECK(read_text(text) != PX_OK);
    CHECK_CONTAINS(err.message, "line 1");
    CHECK_CONTAINS(err.message, part);
}

PX_TEST(without_the_key_the_engine_decides)
{
    CHECK_OK(px_model_breaker_read(NULL, &breaker, &err));
    CHECK(!breaker.is_set && !breaker.is_on);
    CHECK_INT(breaker.policy.failures, px_breaker_policy_default().failures);
}

PX_TEST(on_and_off_are_words)
{
    static const char *const on[] = {"on", "true"}, *const off[] = {"off", "false"};
    for (size_t i = 0; i < 2; i++) {
        CHECK_OK(read_text(on[i]));
        CHECK(breaker.is_set && breaker.is_on);
        CHECK_OK(read_text(off[i]));
        CHECK(breaker.is_set && !breaker.is_on);
    }
    refuses("sometimes", "on, off or a mapping");
    CHECK_CONTAINS(err.hint, "breaker: on");
}

PX_TEST(every_key_reaches_the_policy)
{
    CHECK_OK(
        read_text("{window: 30s, failures: 10, failure_rate: 0.3, slow: 500ms, slow_rate: 0.7, "
                  "open: 2s, open_max: 90s, probes: 4}"));
    const struct px_breaker_policy *p = &breaker.policy;
    CHECK(breaker.is_on);
    CHECK_INT(p->window_calls, 0);
    CHECK_INT(p->window_ns, 30 * PX_NS_PER_S);
    CHECK_INT(p->failures, 10);
    CHECK_DOUBLE(p->failure_rate, 0.3);
    CHECK_INT(p->slow_ns, 500 * PX_NS_PER_MS);
    CHECK_DOUBLE(p->slow_rate, 0.7);
    CHECK_INT(p->open_ns, 2 * PX_NS_PER_S);
    CHECK_INT(p->open_max_ns, 90 * PX_NS_PER_S);
    CHECK_INT(p->probes, 4);
}

PX_TEST(a_number_is_a_window_of_requests)
{
    CHECK_OK(read_text("{window: 100}"));
    CHECK_INT(breaker.policy.window_calls, 100);
    refuses("{window: 0}", "1 to 1024");
    refuses("{window: 1025}", "1 to 1024");
    refuses("{window: 3, failures: 4}", "never has 4 failures");
    refuses("{window: soon}", "'window' must be a time");
}

PX_TEST(a_long_open_time_raises_the_longest)
{
    CHECK_OK(read_text("{open: 5m}"));
    CHECK_INT(breaker.policy.open_max_ns, 300 * PX_NS_PER_S);
    refuses("{open: 5m, open_max: 1m}", "at most 'open_max'");
}

PX_TEST(what_is_no_breaker_is_refused_with_its_line)
{
    static const char *const cases[][2] = {
        {"{failures: 0}", "1 to 1024"},
        {"{failures: -1}", "1 to 1024"},
        {"{failures: 2.5}", "whole number"},
        {"{failures: many}", "whole number"},
        {"{failure_rate: 0}", "above 0"},
        {"{failure_rate: 1.01}", "at most 1"},
        {"{failure_rate: nan}", "above 0"},
        {"{failure_rate: half}", "above 0"},
        {"{slow: 0ms}", "'slow' must be a time"},
        {"{slow: 500}", "'slow' must be a time"},
        {"{slow: 25h}", "1ms to 1d"},
        {"{slow_rate: 0.5}", "needs 'slow'"},
        {"{open: 0s}", "'open' must be a time"},
        {"{open: 5}", "'open' must be a time"},
        {"{probes: 0}", "1 to 100"},
        {"{probes: 101}", "1 to 100"},
        {"[on]", "got a list"},
        {"{probes: [1]}", "got a list"},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++)
        refuses(cases[i][0], cases[i][1]);
}

PX_TEST(a_key_that_is_not_known_names_the_nearest)
{
    CHECK_INT(read_text("{failure: 3}"), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.message, "failure");
    CHECK_CONTAINS(err.hint, "failures");
}

PX_TEST_MAIN(T(without_the_key_the_engine_decides) T(on_and_off_are_words)
                 T(every_key_reaches_the_policy) T(a_number_is_a_window_of_requests)
                     T(a_long_open_time_raises_the_longest)
                         T(what_is_no_breaker_is_refused_with_its_line)
                             T(a_key_that_is_not_known_names_the_nearest))
