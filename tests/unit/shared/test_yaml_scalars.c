/* SPDX-License-Identifier: Apache-2.0 */
/* Scalars of settings: one grammar, and errors that say the line, what was expected and what came. */
#include "harness.h"
#include "shared/clock.h"
#include "shared/duration.h"
#include "shared/yaml_scalars.h"

static struct px_err err;
static struct px_arena arena;

static const struct px_yaml *parse(const char *value)
{
    const struct px_yaml *root;
    char text[256];
    px_arena_deinit(&arena);
    arena = px_arena(1 << 20);
    err = (struct px_err){0};
    snprintf(text, sizeof text, "key: %s\n", value);
    CHECK_OK(px_yaml_parse(px_str(text), &arena, &root, NULL));
    return px_yaml_get(root, "key");
}

static void refused(enum px_code code, const char *message)
{
    CHECK_INT(code, PX_E_INVALID);
    CHECK_STR(px_str(err.message), message);
}

PX_TEST(counts_are_whole_and_within_their_bounds)
{
    uint64_t n = 7;
    uint32_t small = 7;
    CHECK_OK(px_yaml_count(parse("3"), 1, 8, &n, &err));
    CHECK_INT(n, 3);
    CHECK_OK(px_yaml_count32(parse("0"), 0, 8, &small, &err));
    CHECK_INT(small, 0);
    CHECK_OK(px_yaml_count(NULL, 1, 8, &n, &err));
    refused(px_yaml_count(parse("9"), 1, 8, &n, &err),
            "line 1: 'key' must be a whole number, 1 to 8, got '9'");
    refused(px_yaml_count(parse("-1"), 0, 8, &n, &err),
            "line 1: 'key' must be a whole number, 0 to 8, got '-1'");
    refused(px_yaml_count(parse("1.5"), 1, 8, &n, &err),
            "line 1: 'key' must be a whole number, 1 to 8, got '1.5'");
    refused(px_yaml_count(parse("'3'"), 1, 8, &n, &err),
            "line 1: 'key' must be a whole number, 1 to 8, got the quoted text '3'");
    refused(px_yaml_count32(parse("[3]"), 1, 8, &small, &err),
            "line 1: 'key' must be a whole number, 1 to 8, got a list");
    refused(px_yaml_count(parse(""), 1, 8, &n, &err),
            "line 1: 'key' must be a whole number, 1 to 8, got nothing");
    CHECK(n == 3 && small == 0); /* what was refused changes nothing */
}

PX_TEST(durations_have_a_unit_and_bounds)
{
    const uint64_t day_ns = 24 * 3600 * PX_NS_PER_S;
    uint64_t ns = 5;
    CHECK_OK(px_yaml_duration(parse("1d"), PX_NS_PER_MS, day_ns, &ns, &err));
    CHECK(ns == day_ns);
    CHECK_OK(px_yaml_duration(parse("0"), 0, day_ns, &ns, &err));
    CHECK_INT(ns, 0);
    CHECK_OK(px_yaml_duration(NULL, 1, 2, &ns, &err));
    refused(px_yaml_duration(parse("2d"), PX_NS_PER_MS, day_ns, &ns, &err),
            "line 1: 'key' must be a time from 1ms to 1d, got '2d'");
    CHECK_CONTAINS(err.hint, "as key: 5s");
    refused(px_yaml_duration(parse("0s"), PX_NS_PER_MS, day_ns, &ns, &err),
            "line 1: 'key' must be a time from 1ms to 1d, got '0s'");
    refused(px_yaml_duration(parse("5"), PX_NS_PER_MS, day_ns, &ns, &err),
            "line 1: 'key' must be a time from 1ms to 1d, got '5'");
    CHECK_INT(ns, 0);
}

PX_TEST(shares_are_above_nothing_and_at_most_all)
{
    double share = 0;
    CHECK_OK(px_yaml_share(parse("0.5"), &share, &err));
    CHECK(share == 0.5);
    CHECK_OK(px_yaml_share(parse("1"), &share, &err));
    refused(px_yaml_share(parse("0"), &share, &err),
            "line 1: 'key' must be above 0 and at most 1, got '0'");
    refused(px_yaml_share(parse("50%"), &share, &err),
            "line 1: 'key' must be above 0 and at most 1, got '50%'");
    refused(px_yaml_share(parse("nan"), &share, &err),
            "line 1: 'key' must be above 0 and at most 1, got 'nan'");
    CHECK(share == 1);
}

PX_TEST(a_switch_is_on_or_off_in_every_word_for_it)
{
    static const char *const on[] = {"on", "true", "yes"}, *const off[] = {"off", "false", "no"};
    bool value = false;
    for (size_t i = 0; i < PX_ARRAY_LEN(on); i++) {
        CHECK_OK(px_yaml_switch(parse(on[i]), &value, &err));
        CHECK(value);
        CHECK_OK(px_yaml_switch(parse(off[i]), &value, &err));
        CHECK(!value);
    }
    CHECK_OK(px_yaml_switch(NULL, &value, &err));
    refused(px_yaml_switch(parse("maybe"), &value, &err),
            "line 1: 'key' must be on or off, got 'maybe'");
    CHECK(!px_yaml_is_switch(parse("{a: 1}"), &value));
}

PX_TEST(a_word_is_one_of_those_listed)
{
    static const struct px_str words[] = {PX_STR("fixed"), PX_STR("auto"), PX_STR("none")};
    size_t at = 9;
    CHECK_OK(px_yaml_word(parse("auto"), words, 3, &at, &err));
    CHECK_INT(at, 1);
    refused(px_yaml_word(parse("fixd"), words, 3, &at, &err),
            "line 1: 'key' must be fixed, auto or none, got 'fixd'");
    CHECK_CONTAINS(err.hint, "fixed");
    refused(px_yaml_word(parse("[auto]"), words, 3, &at, &err),
            "line 1: 'key' must be fixed, auto or none, got a list");
    CHECK_INT(at, 1);
}

PX_TEST(durations_are_read_as_they_are_written)
{
    static const char *const good[] = {"1d", "1h", "90m", "2ms", "500us", "1ns", "3s"};
    static const char *const bad[] = {"", "2", "ms", "1.5s", "-1s", "2 ms", "9999999999999h", "1w"};
    uint64_t ns;
    char text[PX_DURATION_TEXT_MAX];
    for (size_t i = 0; i < PX_ARRAY_LEN(good); i++) {
        CHECK(px_duration_parse(px_str(good[i]), &ns));
        CHECK_STR(px_str(px_duration_text(ns, text)), good[i]);
    }
    for (size_t i = 0; i < PX_ARRAY_LEN(bad); i++)
        CHECK(!px_duration_parse(px_str(bad[i]), &ns));
    CHECK(px_duration_parse(px_str("0"), &ns) && ns == 0);
    CHECK_STR(px_str(px_duration_text(0, text)), "0ms");
    px_arena_deinit(&arena);
}

PX_TEST_MAIN(T(counts_are_whole_and_within_their_bounds) T(durations_have_a_unit_and_bounds)
                 T(shares_are_above_nothing_and_at_most_all)
                     T(a_switch_is_on_or_off_in_every_word_for_it) T(a_word_is_one_of_those_listed)
                         T(durations_are_read_as_they_are_written))
