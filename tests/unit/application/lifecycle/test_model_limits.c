/* SPDX-License-Identifier: Apache-2.0 */
/* `limits:` of model.yaml: what it means, and what is refused with its line. */
#include "application/lifecycle/model_limits.h"

#include "harness.h"

static struct px_model_limits limits;
static struct px_err err;

static enum px_code read_text(const char *text)
{
    struct px_arena arena = px_arena(1 << 20);
    const struct px_yaml *root;
    char yaml[256];
    snprintf(yaml, sizeof yaml, "limits: %s\n", text);
    enum px_code code = px_yaml_parse(px_str(yaml), &arena, &root, &err);
    if (code == PX_OK)
        code = px_model_limits_read(px_yaml_get(root, "limits"), &limits, &err);
    px_arena_deinit(&arena);
    return code;
}

static void refuses(const char *text, const char *part)
{
    CHECK(read_text(text) != PX_OK);
    CHECK_CONTAINS(err.message, "line 1");
    CHECK_CONTAINS(err.message, part);
}

PX_TEST(auto_learns_between_bounds)
{
    CHECK_OK(read_text("auto"));
    CHECK(limits.is_on && limits.adapts);
    CHECK_INT(limits.max, PX_MODEL_LIMITS_MAX);
    CHECK_OK(read_text("{concurrency: auto, min: 2, max: 50}"));
    CHECK(limits.adapts);
    CHECK_INT(limits.min, 2);
    CHECK_INT(limits.max, 50);
}

PX_TEST(a_number_stays)
{
    CHECK_OK(read_text("{concurrency: 16, per_client: 4}"));
    CHECK(limits.is_on && !limits.adapts);
    CHECK_INT(limits.max, 16);
    CHECK_INT(limits.min, 16);
    CHECK_INT(limits.per_client, 4);
}

PX_TEST(off_is_off_but_for_clients)
{
    CHECK_OK(read_text("on"));
    CHECK(limits.is_on && limits.adapts);
    CHECK_OK(read_text("off"));
    CHECK(!limits.is_on);
    CHECK_OK(read_text("{concurrency: off}"));
    CHECK(!limits.is_on);
    CHECK_OK(read_text("{concurrency: off, per_client: 1}"));
    CHECK(limits.is_on && !limits.adapts);
    CHECK_INT(limits.per_client, 1);
}

PX_TEST(nonsense_names_its_line_and_what_was_expected)
{
    refuses("[1]", "must be auto, off or a mapping, got a list");
    refuses("sometimes", "must be auto, off or a mapping");
    refuses("{concurrency: many}", "must be auto, off or a number");
    refuses("{concurrency: 0}", "1 to 65536");
    refuses("{concurrency: 70000}", "1 to 65536");
    refuses("{concurrency: 8, min: 2}", "'min' is for");
    refuses("{min: 9, max: 3}", "at most max, which is 3");
    refuses("{per_client: 0}", "1 to 65536");
    CHECK_INT(read_text("{concurency: 8}"), PX_E_UNKNOWN_OPTION);
    CHECK_CONTAINS(err.hint, "concurrency");
}

PX_TEST_MAIN(T(auto_learns_between_bounds) T(a_number_stays) T(off_is_off_but_for_clients)
                 T(nonsense_names_its_line_and_what_was_expected))
