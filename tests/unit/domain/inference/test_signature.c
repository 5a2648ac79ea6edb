/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/inference/signature.h"

#include "harness.h"

#include "shared/alloc.h"

static const struct px_str jobs[] = {PX_STR("admin."), PX_STR("technician"), PX_STR("NA"),
                                     PX_STR("3"), PX_STR("true")};

static struct px_feature features[] = {
    {.name = PX_STR("age"), .kind = PX_FEATURE_NUMBER, .other = -1},
    {.name = PX_STR("job"),
     .kind = PX_FEATURE_CATEGORY,
     .categories = jobs,
     .n_categories = 5,
     .other = 5},
    {.name = PX_STR("married"), .kind = PX_FEATURE_BOOLEAN, .other = -1},
    {.name = PX_STR("since"), .kind = PX_FEATURE_DATETIME, .other = -1},
    {.name = PX_STR("code"), .kind = PX_FEATURE_CATEGORY, .other = -1},
    {.name = PX_STR("region"),
     .kind = PX_FEATURE_CATEGORY,
     .categories = jobs,
     .n_categories = 2,
     .other = -1},
};
enum { AGE, JOB, MARRIED, SINCE, CODE, REGION };

static struct px_signature open_signature(void)
{
    struct px_signature s = {.features = features,
                             .n_features = PX_ARRAY_LEN(features),
                             .named = true,
                             .task = PX_TASK_BINARY};
    CHECK_OK(px_signature_finish(&s, NULL));
    return s;
}

static double text(int feature, const char *value)
{
    double got = -1;
    CHECK_OK(px_feature_encode_text(&features[feature], px_str(value), &got, NULL));
    return got;
}

static double number(int feature, double value)
{
    double got = -1;
    CHECK_OK(px_feature_encode_number(&features[feature], value, &got, NULL));
    return got;
}

static double boolean(int feature, bool value)
{
    double got = -1;
    CHECK_OK(px_feature_encode_bool(&features[feature], value, &got, NULL));
    return got;
}

PX_TEST(encodes_numbers)
{
    CHECK_DOUBLE(text(AGE, " 41.5 "), 41.5);
    CHECK_DOUBLE(text(AGE, "-1e3"), -1000);
    CHECK_DOUBLE(number(AGE, 7), 7);
    CHECK_DOUBLE(boolean(AGE, true), 1);
    CHECK(isnan(number(AGE, (double)NAN)));

    struct px_err err;
    double got;
    CHECK_INT(px_feature_encode_text(&features[AGE], px_str("old"), &got, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "feature 'age': expected a number, got 'old'");
}

PX_TEST(encodes_missing_texts)
{
    static const char *const missing[] = {"", "  ", "NA", "nan", "NULL", "None", "?", "\t"};
    for (size_t i = 0; i < PX_ARRAY_LEN(missing); i++) {
        CHECK(isnan(text(AGE, missing[i])));
        CHECK(isnan(text(MARRIED, missing[i])));
        CHECK(isnan(text(SINCE, missing[i])));
        CHECK(isnan(text(CODE, missing[i])));
        CHECK(isnan(text(REGION, missing[i])));
    }
    CHECK(!px_is_missing_text(px_str("nope")));
    CHECK(!px_is_missing_text(px_str("n/a")));
    CHECK(!px_is_missing_text(px_str("0")));
}

PX_TEST(encodes_categories)
{
    struct px_signature s = open_signature();
    CHECK_DOUBLE(text(JOB, "technician"), 1);
    CHECK_DOUBLE(text(JOB, " technician "), 1);
    CHECK_DOUBLE(text(JOB, "NA"), 2); /* listed, so it is a category and not missing */
    CHECK(isnan(text(JOB, "")));
    CHECK_DOUBLE(text(JOB, "Technician"), 5);  /* unseen: the bucket */
    CHECK(isnan(text(REGION, "technicians"))); /* unseen without a bucket: missing */
    CHECK_DOUBLE(number(JOB, 3), 3);
    CHECK_DOUBLE(number(JOB, 4), 5);
    CHECK_DOUBLE(boolean(JOB, true), 4);
    CHECK_DOUBLE(boolean(JOB, false), 5);
    px_signature_deinit(&s);
}

PX_TEST(encodes_codes_of_unnamed_categories)
{
    CHECK_DOUBLE(text(CODE, "12"), 12);
    CHECK_DOUBLE(number(CODE, 0), 0);
    struct px_err err;
    double got;
    CHECK_INT(px_feature_encode_text(&features[CODE], px_str("red"), &got, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "does not name its categories, got 'red'");
    CHECK_INT(px_feature_encode_number(&features[CODE], 1.5, &got, &err), PX_E_INVALID);
    CHECK_INT(px_feature_encode_number(&features[CODE], -1, &got, &err), PX_E_INVALID);
}

PX_TEST(encodes_booleans)
{
    static const char *const yes[] = {"true", "YES", "1", "t", "Y", "on", "1.0"};
    static const char *const no[] = {"False", "no", "0", "F", "n", "OFF", "0.0"};
    for (size_t i = 0; i < PX_ARRAY_LEN(yes); i++) {
        CHECK_DOUBLE(text(MARRIED, yes[i]), 1);
        CHECK_DOUBLE(text(MARRIED, no[i]), 0);
    }
    CHECK_DOUBLE(number(MARRIED, 1), 1);
    CHECK_DOUBLE(boolean(MARRIED, false), 0);
    struct px_err err;
    double got;
    CHECK_INT(px_feature_encode_number(&features[MARRIED], 2, &got, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "expected true or false, got 2");
    CHECK_INT(px_feature_encode_text(&features[MARRIED], px_str("2"), &got, &err), PX_E_INVALID);
}

PX_TEST(encodes_datetimes)
{
    CHECK_DOUBLE(text(SINCE, "1970-01-01"), 0);
    CHECK_DOUBLE(text(SINCE, "2024-02-29T12:30:45Z"), 1709209845);
    CHECK_DOUBLE(text(SINCE, "2024-02-29 12:30:45.5"), 1709209845.5);
    CHECK_DOUBLE(text(SINCE, "2024-02-29T14:30+02:00"), 1709209800);
    CHECK_DOUBLE(text(SINCE, "2024-02-29T07:30:45-0500"), 1709209845);
    CHECK_DOUBLE(text(SINCE, "1969-12-31T23:59:59+00"), -1);
    CHECK_DOUBLE(text(SINCE, "2000-03-01"), 951868800);
    CHECK_DOUBLE(number(SINCE, 12.5), 12.5);
    double got;
    static const char *const bad[] = {
        "2023-02-29",         "1900-02-29",        "2024-13-01",           "2024-1-1",
        "20240131",           "1706659200",        "2024-01-31T24:00",     "2024-01-31T12",
        "2024-01-31Z",        "2024-01-31T12:00x", "2024-01-31T12:00:00.", "0000-01-01",
        "2024-01-31T12:00+1", "2024-01-31T"};
    for (size_t i = 0; i < PX_ARRAY_LEN(bad); i++)
        CHECK(!px_parse_datetime(px_str(bad[i]), &got));
    CHECK_INT(px_feature_encode_bool(&features[SINCE], true, &got, NULL), PX_E_INVALID);
}

PX_TEST(names_the_nearest_feature)
{
    struct px_signature s = open_signature();
    struct px_err err;
    CHECK_INT(px_signature_find(&s, px_str("since")), SINCE);
    CHECK_INT(px_signature_find(&s, px_str("sinc")), -1);
    CHECK_INT(px_signature_unknown(&s, px_str("agee"), &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "unknown feature 'agee' (did you mean 'age'?)");
    px_signature_unknown(&s, px_str("mariet"), &err);
    CHECK_CONTAINS(err.message, "did you mean 'married'?");
    px_signature_unknown(&s, px_str("zzzzzzzz"), &err);
    CHECK(!strstr(err.message, "did you mean"));
    CHECK_CONTAINS(err.hint, "the first is 'age'");
    px_signature_deinit(&s);
}

PX_TEST(refuses_duplicates)
{
    struct px_err err;
    struct px_feature twice[] = {{.name = PX_STR("a"), .kind = PX_FEATURE_NUMBER, .other = -1},
                                 {.name = PX_STR("a"), .kind = PX_FEATURE_NUMBER, .other = -1}};
    struct px_signature s = {.features = twice, .n_features = 2};
    CHECK_INT(px_signature_finish(&s, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "feature 'a' is listed twice, as number 0 and 1");
    px_signature_deinit(&s);

    struct px_str red[] = {PX_STR("red"), PX_STR("red")};
    struct px_feature colour = {.name = PX_STR("c"),
                                .kind = PX_FEATURE_CATEGORY,
                                .categories = red,
                                .n_categories = 2,
                                .other = -1};
    s = (struct px_signature){.features = &colour, .n_features = 1};
    CHECK_INT(px_signature_finish(&s, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "category 'red' is listed twice");
    px_signature_deinit(&s);

    struct px_feature nameless = {.kind = PX_FEATURE_NUMBER, .other = -1};
    s = (struct px_signature){.features = &nameless, .n_features = 1};
    CHECK_INT(px_signature_finish(&s, &err), PX_E_INVALID);
    px_signature_deinit(&s);
    px_signature_deinit(&(struct px_signature){0});
}

PX_TEST(binds_columns_by_name)
{
    struct px_signature s = open_signature();
    struct px_arena arena = px_arena(1 << 16);
    struct px_column_binding b;
    struct px_err err;
    const struct px_str columns[] = {PX_STR("region"), PX_STR("id"),  PX_STR("code"),
                                     PX_STR("since"),  PX_STR("job"), PX_STR("married"),
                                     PX_STR("age"),    PX_STR("job")};
    CHECK_OK(px_signature_bind(&s, columns, 7, false, &arena, &b, &err));
    CHECK_INT(b.feature_of[0], REGION);
    CHECK_INT(b.feature_of[1], -1);
    CHECK_INT(b.feature_of[6], AGE);
    CHECK_INT(px_signature_bind(&s, columns, 8, false, &arena, &b, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "column 'job' appears twice, as number 5 and 8");
    CHECK_INT(px_signature_bind(&s, columns, 6, false, &arena, &b, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "no column for feature 'age'");
    CHECK_OK(px_signature_bind(&s, columns, 6, true, &arena, &b, &err));
    px_arena_deinit(&arena);
    px_signature_deinit(&s);
}

PX_TEST(binds_columns_by_position_when_the_model_has_no_names)
{
    struct px_feature plain[] = {{.name = PX_STR("f0"), .kind = PX_FEATURE_NUMBER, .other = -1},
                                 {.name = PX_STR("f1"), .kind = PX_FEATURE_NUMBER, .other = -1}};
    struct px_signature s = {.features = plain, .n_features = 2, .named = false};
    struct px_arena arena = px_arena(1 << 16);
    struct px_column_binding b;
    struct px_err err;
    const struct px_str columns[] = {PX_STR("x"), PX_STR("y"), PX_STR("z")};
    const struct px_str by_name[] = {PX_STR("f1"), PX_STR("f0")};
    CHECK_OK(px_signature_finish(&s, &err));
    CHECK_OK(px_signature_bind(&s, columns, 2, false, &arena, &b, &err));
    CHECK_INT(b.feature_of[1], 1);
    CHECK_OK(px_signature_bind(&s, by_name, 2, false, &arena, &b, &err));
    CHECK_INT(b.feature_of[0], 1);
    CHECK_INT(px_signature_bind(&s, columns, 3, false, &arena, &b, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "takes 2 columns in order, got 3");
    CHECK_INT(px_signature_bind(&s, columns, 1, false, &arena, &b, &err), PX_E_INVALID);
    CHECK_OK(px_signature_bind(&s, columns, 1, true, &arena, &b, &err));
    px_arena_deinit(&arena);
    px_signature_deinit(&s);
}

PX_TEST(made_up_names_count_where_columns_bear_them)
{
    struct px_feature made_up[] = {
        {.name = PX_STR("Column_0"), .kind = PX_FEATURE_NUMBER, .other = -1},
        {.name = PX_STR("Column_1"), .kind = PX_FEATURE_NUMBER, .other = -1}};
    struct px_signature s = {.features = made_up, .n_features = 2, .named = false};
    CHECK_OK(px_signature_finish(&s, NULL));
    CHECK_INT(px_signature_find(&s, px_str("Column_1")), 1);
    CHECK_INT(px_signature_find(&s, px_str("f1")), 1);
    static const char *const others[] = {
        "f2", "f01", "f+1", "f", "f1 ", "F1", "f18446744073709551617"};
    for (size_t i = 0; i < PX_ARRAY_LEN(others); i++)
        CHECK_INT(px_signature_find(&s, px_str(others[i])), -1);
    s.named = true;
    CHECK_INT(px_signature_find(&s, px_str("f1")), -1);
    px_signature_deinit(&s);
}

PX_TEST(reports_failed_allocations)
{
    for (uint64_t n = 1; n < 8; n++) {
        struct px_signature s = {.features = features, .n_features = PX_ARRAY_LEN(features)};
        px_alloc_fail_at(n);
        enum px_code code = px_signature_finish(&s, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        px_signature_deinit(&s);
    }
}

PX_TEST(names_kinds_and_tasks)
{
    CHECK_INT(px_feature_kind_from_name(px_str("datetime")), PX_FEATURE_DATETIME);
    CHECK_INT(px_feature_kind_from_name(px_str("date")), 0);
    CHECK_INT(px_task_from_name(px_str(px_task_name(PX_TASK_MULTICLASS))), PX_TASK_MULTICLASS);
    CHECK_INT(px_task_from_name(px_str("")), 0);
    CHECK_STR(px_str(px_feature_kind_name(PX_FEATURE_CATEGORY)), "category");
}

PX_TEST_MAIN(T(encodes_numbers) T(encodes_missing_texts) T(encodes_categories)
                 T(encodes_codes_of_unnamed_categories) T(encodes_booleans) T(encodes_datetimes)
                     T(names_the_nearest_feature) T(refuses_duplicates) T(binds_columns_by_name)
                         T(binds_columns_by_position_when_the_model_has_no_names)
                             T(made_up_names_count_where_columns_bear_them)
                                 T(reports_failed_allocations) T(names_kinds_and_tasks))
