/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/training/target.h"

#include "harness.h"

static struct px_arena arena;

/* Fits a target whose values are `values`, each `times` times. */
static enum px_code fit(const char *const *values, int times, struct px_target_options options,
                        struct px_target *ret, struct px_err *err)
{
    struct px_column_profile profile;
    arena = px_arena(1 << 20);
    px_column_profile_init(&profile, px_str("y"));
    for (int i = 0; i < times; i++) {
        for (const char *const *value = values; *value; value++)
            CHECK_OK(px_column_profile_add(&profile, px_str(*value), err));
    }
    enum px_code code = px_target_fit(&profile, &options, &arena, ret, err);
    px_column_profile_deinit(&profile);
    return code;
}

static void done(struct px_target *target)
{
    px_target_deinit(target);
    px_arena_deinit(&arena);
}

static void check_binary(const char *const *values, const char *positive, const char *negative,
                         const char *want)
{
    struct px_target target;
    struct px_err err;
    CHECK_OK(fit(values, 20, (struct px_target_options){.positive = px_str(want)}, &target, &err));
    CHECK_INT(target.task, PX_TASK_BINARY);
    CHECK_STR(target.labels[0], negative);
    CHECK_STR(target.labels[1], positive);
    float code = -1;
    CHECK(px_target_encode(&target, px_str(positive), &code));
    CHECK_DOUBLE(code, 1);
    CHECK(px_target_encode(&target, px_str(negative), &code));
    CHECK_DOUBLE(code, 0);
    CHECK(!px_target_encode(&target, px_str("?"), &code));
    CHECK(!px_target_encode(&target, px_str("neither"), &code));
    done(&target);
}

PX_TEST(chooses_the_positive_class)
{
    check_binary((const char *const[]){"yes", "no", NULL}, "yes", "no", NULL);
    check_binary((const char *const[]){"True", "unknown", NULL}, "True", "unknown", NULL);
    check_binary((const char *const[]){"1", "0", "1.0", NULL}, "1", "0", NULL);
    check_binary((const char *const[]){"2", "10", NULL}, "10", "2", NULL);
    check_binary((const char *const[]){"UP", "DOWN", NULL}, "UP", "DOWN", NULL);
    check_binary((const char *const[]){"UP", "DOWN", NULL}, "DOWN", "UP", "DOWN");
    check_binary((const char *const[]){"-1", "1", "", NULL}, "1", "-1", NULL);
}

PX_TEST(chooses_the_task)
{
    struct px_target target;
    struct px_err err;
    const struct px_target_options none = {.positive = {0}};
    CHECK_OK(fit((const char *const[]){"a", "c", "b", NULL}, 3, none, &target, &err));
    CHECK_INT(target.task, PX_TASK_MULTICLASS);
    CHECK_STR(target.labels[2], "c");
    done(&target);
    CHECK_OK(fit((const char *const[]){"10", "9", "-1", NULL}, 10, none, &target, &err));
    CHECK_INT(target.task, PX_TASK_MULTICLASS);
    CHECK_STR(target.labels[0], "-1");
    CHECK_STR(target.labels[2], "10");
    done(&target);
    CHECK_OK(fit((const char *const[]){"10", "9", "-1", NULL}, 9, none, &target, &err));
    CHECK_INT(target.task, PX_TASK_REGRESSION); /* too rare for classes */
    done(&target);
    CHECK_OK(fit((const char *const[]){"1.5", "2.5", "3", NULL}, 20, none, &target, &err));
    CHECK_INT(target.task, PX_TASK_REGRESSION);
    CHECK(target.labels == NULL);
    float label;
    CHECK(px_target_encode(&target, px_str(" 2.25 "), &label));
    CHECK_DOUBLE(label, 2.25);
    CHECK(!px_target_encode(&target, px_str("inf"), &label));
    CHECK(!px_target_encode(&target, px_str("x"), &label));
    done(&target);
    const struct px_target_options regression = {PX_TASK_REGRESSION, {0}};
    CHECK_OK(fit((const char *const[]){"0", "1", NULL}, 20, regression, &target, &err));
    CHECK_INT(target.task, PX_TASK_REGRESSION);
    done(&target);
}

static void check_refused(const char *const *values, struct px_target_options options,
                          const char *message)
{
    struct px_target target;
    struct px_err err;
    CHECK_INT(fit(values, 20, options, &target, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, message);
    done(&target);
}

PX_TEST(refuses_what_cannot_be_learned)
{
    const struct px_target_options none = {.positive = {0}}, binary = {PX_TASK_BINARY, {0}},
                                   regression = {PX_TASK_REGRESSION, {0}},
                                   positive = {.positive = PX_STR("maybe")};
    check_refused((const char *const[]){"a", NULL}, none, "one value only");
    check_refused((const char *const[]){"", "?", NULL}, none, "has no values");
    check_refused((const char *const[]){"a", "b", "c", NULL}, binary, "2 different values, got 3");
    check_refused((const char *const[]){"a", "b", NULL}, regression, "must be numbers");
    check_refused((const char *const[]){"yes", "no", NULL}, positive,
                  "'maybe' is no value of the target; it has 'no' and 'yes'");
}

PX_TEST(refuses_too_many_classes)
{
    struct px_target target;
    struct px_column_profile profile;
    struct px_err err;
    char text[16];
    arena = px_arena(1 << 20);
    px_column_profile_init(&profile, px_str("y"));
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "k%d", i % 300);
        CHECK_OK(px_column_profile_add(&profile, px_str(text), NULL));
    }
    const struct px_target_options none = {.positive = {0}};
    CHECK_INT(px_target_fit(&profile, &none, &arena, &target, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "300 different values; at most 256");
    px_column_profile_deinit(&profile);
    done(&target);
}

PX_TEST_MAIN(T(chooses_the_positive_class) T(chooses_the_task) T(refuses_what_cannot_be_learned)
                 T(refuses_too_many_classes))
