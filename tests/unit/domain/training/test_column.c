/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/training/column.h"

#include "harness.h"

#include "shared/alloc.h"

/* Makes the i-th value of a column. */
typedef const char *value_fn(int i, char *out, size_t cap);

static struct px_column_profile profile_of(const char *name, value_fn *value, int n)
{
    struct px_column_profile profile;
    char text[64];
    px_column_profile_init(&profile, px_str(name));
    for (int i = 0; i < n; i++)
        CHECK_OK(px_column_profile_add(&profile, px_str(value(i, text, sizeof text)), NULL));
    return profile;
}

static struct px_column_decision decide(const char *name, value_fn *value, int n)
{
    struct px_column_profile profile = profile_of(name, value, n);
    struct px_column_decision decision;
    px_column_decide(&profile, &decision);
    px_column_profile_deinit(&profile);
    return decision;
}

static const char *real(int i, char *out, size_t cap)
{
    snprintf(out, cap, "%g", i * 0.37);
    return i % 10 == 0 ? "" : out;
}

static const char *few_whole(int i, char *out, size_t cap)
{
    snprintf(out, cap, "%d", i % 3);
    return out;
}

static const char *counting(int i, char *out, size_t cap)
{
    snprintf(out, cap, "%d", i + 5);
    return out;
}

static const char *scattered(int i, char *out, size_t cap)
{
    snprintf(out, cap, "%d", (i * 7919) % 100003);
    return out;
}

static const char *unique_text(int i, char *out, size_t cap)
{
    snprintf(out, cap, "user-%d", i);
    return out;
}

static const char *colour(int i, char *out, size_t cap)
{
    static const char *const names[] = {"red", "blue", " red ", "green", "NA"};
    (void)out;
    (void)cap;
    return names[i % 5];
}

static const char *yes_no(int i, char *out, size_t cap)
{
    (void)out;
    (void)cap;
    return i % 7 == 0 ? "?" : i % 3 ? "no" : "yes";
}

static const char *date(int i, char *out, size_t cap)
{
    snprintf(out, cap, "2024-01-%02d 10:00", 1 + i % 28);
    return out;
}

static const char *constant(int i, char *out, size_t cap)
{
    (void)i;
    (void)out;
    (void)cap;
    return "same";
}

static const char *missing(int i, char *out, size_t cap)
{
    (void)out;
    (void)cap;
    return i % 2 ? "" : "null";
}

static const char *flag(int i, char *out, size_t cap)
{
    (void)out;
    (void)cap;
    return i % 4 ? "" : "Y";
}

static const char *mostly_numbers(int i, char *out, size_t cap)
{
    snprintf(out, cap, "%d", i * i);
    return i % 200 == 3 ? "n/a" : out;
}

static const char *many_categories(int i, char *out, size_t cap)
{
    snprintf(out, cap, "c%d", i % 400);
    return out;
}

static const char *rare(int i, char *out, size_t cap)
{
    snprintf(out, cap, "%s", i == 7 ? "rare" : i == 8 ? "rarer" : i % 2 ? "odd" : "even");
    return out;
}

PX_TEST(infers_kinds)
{
    CHECK_INT(decide("x", real, 300).kind, PX_FEATURE_NUMBER);
    CHECK_INT(decide("x", few_whole, 300).kind, PX_FEATURE_NUMBER);
    CHECK_INT(decide("x", scattered, 300).kind, PX_FEATURE_NUMBER);
    CHECK_INT(decide("x", colour, 300).kind, PX_FEATURE_CATEGORY);
    CHECK_INT(decide("x", yes_no, 300).kind, PX_FEATURE_BOOLEAN);
    CHECK_INT(decide("x", date, 300).kind, PX_FEATURE_DATETIME);
    CHECK_INT(decide("x", flag, 300).kind, PX_FEATURE_BOOLEAN);
}

PX_TEST(leaves_out_with_a_reason)
{
    struct px_column_decision d = decide("row", counting, 300);
    CHECK_INT(d.kind, 0);
    CHECK_CONTAINS(d.reason, "counts the rows");
    d = decide("user_id", scattered, 300);
    CHECK_INT(d.kind, 0);
    CHECK_CONTAINS(d.reason, "identifier, by its name");
    d = decide("user", unique_text, 300);
    CHECK_INT(d.kind, 0);
    CHECK_CONTAINS(d.reason, "300 different texts in 300 rows");
    d = decide("x", constant, 300);
    CHECK_INT(d.kind, 0);
    CHECK_CONTAINS(d.reason, "constant: 'same'");
    d = decide("x", missing, 300);
    CHECK_INT(d.kind, 0);
    CHECK_CONTAINS(d.reason, "every value is missing");
    d = decide("x", unique_text, PX_COLUMN_DISTINCT_MAX + 100);
    CHECK_INT(d.kind, 0);
    CHECK_CONTAINS(d.reason, "more than 16384 different texts");
    d = decide("x", colour, 10);
    CHECK_INT(d.kind, 0);
    CHECK_CONTAINS(d.reason, "no text occurs in 5 rows");
}

PX_TEST(tolerates_a_few_values_of_another_kind)
{
    struct px_column_decision d = decide("x", mostly_numbers, 1000);
    CHECK_INT(d.kind, PX_FEATURE_NUMBER);
    CHECK_INT(d.n_bad, 5);
    CHECK_CONTAINS(d.reason, "5 values are no number, such as 'n/a'");
}

PX_TEST(fits_categories_in_byte_order)
{
    struct px_column_profile profile = profile_of("x", colour, 300);
    struct px_column_decision decision;
    struct px_column_fit fit;
    struct px_arena arena = px_arena(1 << 20);
    px_column_decide(&profile, &decision);
    CHECK_OK(px_column_fit(&profile, &decision, &arena, &fit, NULL));
    CHECK_INT(fit.feature.n_categories, 3);
    CHECK_STR(fit.feature.categories[0], "blue");
    CHECK_STR(fit.feature.categories[1], "green");
    CHECK_STR(fit.feature.categories[2], "red");
    CHECK_INT(fit.feature.other, -1);
    px_column_profile_deinit(&profile);
    px_arena_deinit(&arena);
}

PX_TEST(puts_rare_and_surplus_categories_into_a_bucket)
{
    struct px_column_decision decision;
    struct px_column_fit fit;
    struct px_arena arena = px_arena(1 << 20);
    struct px_column_profile profile = profile_of("x", rare, 300);
    px_column_decide(&profile, &decision);
    CHECK_OK(px_column_fit(&profile, &decision, &arena, &fit, NULL));
    CHECK_INT(fit.feature.n_categories, 2);
    CHECK_INT(fit.feature.other, 2);
    CHECK_INT(fit.n_bucket, 2);
    px_column_profile_deinit(&profile);

    profile = profile_of("x", many_categories, 4100);
    px_column_decide(&profile, &decision);
    CHECK_INT(decision.kind, PX_FEATURE_CATEGORY);
    CHECK_OK(px_column_fit(&profile, &decision, &arena, &fit, NULL));
    CHECK_INT(fit.feature.n_categories, PX_CATEGORIES_MAX);
    CHECK_INT(fit.feature.other, PX_CATEGORIES_MAX);
    CHECK_INT(fit.n_bucket, 400 - PX_CATEGORIES_MAX);
    px_column_profile_deinit(&profile);
    px_arena_deinit(&arena);
}

PX_TEST(no_memory_is_an_error)
{
    for (uint64_t n = 1; n < 6; n++) {
        struct px_column_profile profile;
        px_column_profile_init(&profile, px_str("x"));
        px_alloc_fail_at(n);
        enum px_code code = px_column_profile_add(&profile, px_str("a"), NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        px_column_profile_deinit(&profile);
    }
    struct px_column_profile profile = profile_of("x", colour, 300);
    struct px_column_decision decision;
    struct px_column_fit fit;
    struct px_arena tiny = px_arena(16);
    px_column_decide(&profile, &decision);
    CHECK_INT(px_column_fit(&profile, &decision, &tiny, &fit, NULL), PX_E_TOO_LARGE);
    px_column_profile_deinit(&profile);
    px_arena_deinit(&tiny);
}

PX_TEST_MAIN(T(infers_kinds) T(leaves_out_with_a_reason) T(tolerates_a_few_values_of_another_kind)
                 T(fits_categories_in_byte_order) T(puts_rare_and_surplus_categories_into_a_bucket)
                     T(no_memory_is_an_error))
