/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kinds are tested with the encoder of domain/inference, so a column is a number exactly when serving
 * would read its values as numbers.
 */
#include "domain/training/column.h"

#include "shared/number.h"

#include <math.h>

static const struct px_feature as_boolean = {.kind = PX_FEATURE_BOOLEAN, .other = -1};

void px_column_profile_init(struct px_column_profile *profile, struct px_str name)
{
    *profile = (struct px_column_profile){
        .name = name, .counting = true, .texts = px_arena(PX_COLUMN_TEXT_MAX)};
}

void px_column_profile_deinit(struct px_column_profile *profile)
{
    px_vec_free(&profile->values);
    px_map_deinit(&profile->by_text);
    px_arena_deinit(&profile->texts);
}

/* Remembers a text, or forgets about remembering when there are too many. */
static enum px_code count_text(struct px_column_profile *profile, struct px_str text,
                               struct px_err *err)
{
    size_t index;
    if (px_map_get(&profile->by_text, text, &index)) {
        profile->values.items[index].n++;
        return PX_OK;
    }
    if (profile->many)
        return PX_OK;
    struct px_str copy = {0};
    if (profile->values.len < PX_COLUMN_DISTINCT_MAX)
        copy = px_arena_str(&profile->texts, text);
    if (!copy.ptr) {
        profile->many = true;
        return PX_OK;
    }
    struct px_column_value *value = px_vec_push(&profile->values);
    if (!value)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the values of column '%.*s'",
                          PX_STR_ARG(profile->name));
    *value = (struct px_column_value){copy, 1};
    return px_map_put(&profile->by_text, copy, profile->values.len - 1, err);
}

static void count_number(struct px_column_profile *profile, double number)
{
    bool whole = number == floor(number) && !isinf(number);
    profile->counting =
        profile->counting && whole && (profile->n_number == 0 || number == profile->last + 1);
    profile->last = number;
    profile->n_number++;
    profile->n_integer += whole;
}

enum px_code px_column_profile_add(struct px_column_profile *profile, struct px_str text,
                                   struct px_err *err)
{
    double value;
    struct px_str s = px_str_trim(text);
    profile->n++;
    if (px_is_missing_text(s)) {
        profile->n_missing++;
        profile->counting = false;
        return PX_OK;
    }
    if (px_str_to_f64(s, &value))
        count_number(profile, value);
    else if (px_parse_datetime(s, &value))
        profile->n_datetime++;
    else if (px_feature_encode_text(&as_boolean, s, &value, NULL) == PX_OK)
        profile->n_boolean++;
    return count_text(profile, s, err);
}

static bool named_like_an_identifier(struct px_str name)
{
    return px_str_eq_nocase(name, px_str("id")) || px_str_ends(name, "_id") ||
           px_str_ends(name, "_ID") || px_str_ends(name, "Id") || px_str_ends(name, "ID");
}

static bool nearly_all_different(const struct px_column_profile *profile, uint64_t present)
{
    return profile->many || (double)profile->values.len >= 0.95 * (double)present;
}

static enum px_feature_kind decide_number(const struct px_column_profile *profile, uint64_t present,
                                          struct px_column_decision *ret)
{
    if (profile->counting && present > 1) {
        snprintf(ret->reason, sizeof ret->reason, "it counts the rows");
        return (enum px_feature_kind)0;
    }
    if (profile->n_integer == present && named_like_an_identifier(profile->name) &&
        nearly_all_different(profile, present)) {
        snprintf(ret->reason, sizeof ret->reason, "an identifier, by its name and its values");
        return (enum px_feature_kind)0;
    }
    return PX_FEATURE_NUMBER;
}

static enum px_feature_kind decide_text(const struct px_column_profile *profile, uint64_t present,
                                        struct px_column_decision *ret)
{
    uint64_t most = 0;
    for (size_t i = 0; i < profile->values.len; i++)
        most = profile->values.items[i].n > most ? profile->values.items[i].n : most;
    if (profile->many || profile->values.len * 2 > present) {
        snprintf(ret->reason, sizeof ret->reason,
                 "%s%zu different texts in %llu rows: an identifier or free text",
                 profile->many ? "more than " : "", profile->values.len,
                 (unsigned long long)present);
        return (enum px_feature_kind)0;
    }
    if (most < PX_CATEGORY_ROWS_MIN) {
        snprintf(ret->reason, sizeof ret->reason, "no text occurs in %d rows or more",
                 PX_CATEGORY_ROWS_MIN);
        return (enum px_feature_kind)0;
    }
    return PX_FEATURE_CATEGORY;
}

static void note_bad(const struct px_column_profile *profile, struct px_column_decision *ret)
{
    if (ret->n_bad == 0)
        return;
    for (size_t i = 0; i < profile->values.len; i++) {
        struct px_feature probe = {.kind = ret->kind, .other = -1};
        struct px_str text = profile->values.items[i].text;
        double value;
        if (px_feature_encode_text(&probe, text, &value, NULL) == PX_OK)
            continue;
        snprintf(ret->reason, sizeof ret->reason,
                 "%llu values are no %s, such as '%.40s'; training takes them as missing",
                 (unsigned long long)ret->n_bad, px_feature_kind_name(ret->kind), text.ptr);
        return;
    }
}

void px_column_decide(const struct px_column_profile *profile, struct px_column_decision *ret)
{
    uint64_t present = profile->n - profile->n_missing;
    double share = PX_COLUMN_KIND_SHARE * (double)present;
    *ret = (struct px_column_decision){.n_bad = 0};
    if (present == 0) {
        snprintf(ret->reason, sizeof ret->reason, "every value is missing");
    } else if (profile->n_missing == 0 && !profile->many && profile->values.len == 1) {
        snprintf(ret->reason, sizeof ret->reason, "constant: '%.40s' in every row",
                 profile->values.items[0].text.ptr);
    } else if ((double)profile->n_number >= share) {
        ret->kind = decide_number(profile, present, ret);
        ret->n_bad = present - profile->n_number;
    } else if ((double)profile->n_datetime >= share) {
        ret->kind = PX_FEATURE_DATETIME;
        ret->n_bad = present - profile->n_datetime;
    } else if (profile->n_boolean == present && !profile->many && profile->values.len <= 2) {
        ret->kind = PX_FEATURE_BOOLEAN;
    } else {
        ret->kind = decide_text(profile, present, ret);
    }
    if (ret->kind)
        note_bad(profile, ret);
}

static int by_frequency(const void *left, const void *right)
{
    const struct px_column_value *a = left, *b = right;
    if (a->n != b->n)
        return a->n > b->n ? -1 : 1;
    return px_str_cmp(a->text, b->text);
}

static int by_text(const void *left, const void *right)
{
    return px_str_cmp(*(const struct px_str *)left, *(const struct px_str *)right);
}

/* Chooses the kept categories: frequent enough, the most frequent first, then put in byte order. */
static enum px_code fit_categories(const struct px_column_profile *profile, struct px_arena *arena,
                                   struct px_column_fit *ret, struct px_err *err)
{
    size_t n = profile->values.len, kept = 0;
    struct px_column_value *sorted = px_arena_alloc(arena, n, sizeof *sorted);
    struct px_str *categories = px_arena_alloc(arena, n, sizeof *categories);
    if (!sorted || !categories)
        return px_arena_check(arena, "the categories", err);
    memcpy(sorted, profile->values.items, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_frequency);
    for (; kept < n && kept < PX_CATEGORIES_MAX && sorted[kept].n >= PX_CATEGORY_ROWS_MIN; kept++)
        categories[kept] = px_arena_str(arena, sorted[kept].text);
    ret->n_bucket = n - kept;
    qsort(categories, kept, sizeof *categories, by_text);
    ret->feature.categories = categories;
    ret->feature.n_categories = kept;
    ret->feature.other = ret->n_bucket ? (long)kept : -1;
    return px_arena_check(arena, "the categories", err);
}

enum px_code px_column_fit(const struct px_column_profile *profile,
                           const struct px_column_decision *decision, struct px_arena *arena,
                           struct px_column_fit *ret, struct px_err *err)
{
    PX_ASSERT(decision->kind != 0);
    *ret = (struct px_column_fit){.feature = {.kind = decision->kind, .other = -1}};
    ret->feature.name = px_arena_str(arena, profile->name);
    if (decision->kind == PX_FEATURE_CATEGORY)
        return fit_categories(profile, arena, ret, err);
    return px_arena_check(arena, "the features", err);
}
