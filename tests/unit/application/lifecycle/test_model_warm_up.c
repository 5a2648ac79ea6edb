/* SPDX-License-Identifier: Apache-2.0 */
/* `warm_up:` of model.yaml: a number, or a mapping; what is refused with its line. */
#include "application/lifecycle/model_warm_up.h"

#include "harness.h"

static struct px_model_warm_up warm_up;
static struct px_err err;

static enum px_code read_text(const char *text)
{
    struct px_arena arena = px_arena(1 << 20);
    const struct px_yaml *root;
    char yaml[256];
    snprintf(yaml, sizeof yaml, "warm_up: %s\n", text);
    enum px_code code = px_yaml_parse(px_str(yaml), &arena, &root, &err);
    if (code == PX_OK)
        code = px_model_warm_up_read(px_yaml_get(root, "warm_up"), &warm_up, &err);
    px_arena_deinit(&arena);
    return code;
}

static void refuses(const char *text, const char *part)
{
    CHECK(read_text(text) != PX_OK);
    CHECK_CONTAINS(err.message, "line 1");
    CHECK_CONTAINS(err.message, part);
}

PX_TEST(a_number_is_the_number_of_runs)
{
    CHECK_OK(read_text("0"));
    CHECK(warm_up.says_runs && warm_up.runs == 0 && !warm_up.recorded && !warm_up.required);
    CHECK_OK(read_text("1000"));
    CHECK_INT(warm_up.runs, 1000);
}

PX_TEST(a_mapping_says_what_it_says)
{
    CHECK_OK(read_text("{recorded: true}"));
    CHECK(warm_up.recorded && !warm_up.required && !warm_up.says_runs);
    CHECK_OK(read_text("{runs: 3, recorded: false, required: true}"));
    CHECK(!warm_up.recorded && warm_up.required && warm_up.says_runs);
    CHECK_INT(warm_up.runs, 3);
}

PX_TEST(what_it_cannot_be_is_refused)
{
    refuses("1001", "0 to 1000");
    refuses("-1", "0 to 1000");
    refuses("often", "");
    refuses("{runs: 1001}", "0 to 1000");
    refuses("{recorded: perhaps}", "'perhaps'");
    refuses("{required: 1}", "on or off");
    refuses("{recorde: true}", "recorde");
    CHECK_CONTAINS(err.hint, "recorded");
    refuses("[1]", "a number of runs or a mapping");
    refuses("{recorded: [true]}", "");
}

PX_TEST_MAIN(T(a_number_is_the_number_of_runs) T(a_mapping_says_what_it_says)
                 T(what_it_cannot_be_is_refused))
