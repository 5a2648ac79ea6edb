/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/training/target.h"

#include "shared/number.h"

#include <math.h>

/* A class while the target is being fitted. */
struct target_class {
    struct px_str label;
    double number; /* where every label is one */
    uint64_t n;
};

struct classes {
    struct target_class *items;
    size_t len;
};

/* The shortest text of a number, without ".0": the label that "1", "1.0" and "+1" share. */
static struct px_str number_label(double number, char *out)
{
    struct px_str printed = px_str_n(out, px_number_print_f64(number, out));
    return px_str_ends(printed, ".0") ? px_str_n(out, printed.len - 2) : printed;
}

static int compare_classes(const void *left, const void *right)
{
    const struct target_class *a = left, *b = right;
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return px_str_cmp(a->label, b->label);
}

/* The different labels with their counts, in code order; numbers that are equal become one. */
static enum px_code collect(const struct px_column_profile *profile, struct px_target *target,
                            struct px_arena *arena, struct classes *ret, struct px_err *err)
{
    enum px_code code = PX_OK;
    ret->items = px_arena_zalloc(arena, profile->values.len + 1, sizeof *ret->items);
    if (!ret->items)
        return px_arena_check(arena, "the labels", err);
    for (size_t i = 0; code == PX_OK && i < profile->values.len; i++) {
        char text[PX_NUMBER_TEXT_MAX];
        struct px_str label = profile->values.items[i].text;
        double number = 0;
        size_t index;
        if (target->numeric && px_str_to_f64(label, &number))
            label = number_label(number, text);
        if (px_map_get(&target->by_label, label, &index)) {
            ret->items[index].n += profile->values.items[i].n;
            continue;
        }
        label = px_arena_str(arena, label);
        if (!label.ptr)
            return px_arena_check(arena, "the labels", err);
        ret->items[ret->len] = (struct target_class){label, number, profile->values.items[i].n};
        code = px_map_put(&target->by_label, label, ret->len++, err);
    }
    qsort(ret->items, ret->len, sizeof *ret->items, compare_classes);
    return code;
}

static bool few_whole_numbers(const struct px_column_profile *profile,
                              const struct classes *classes)
{
    if (profile->many || profile->n_integer != profile->n - profile->n_missing ||
        classes->len > PX_TARGET_WHOLE_CLASSES)
        return false;
    for (size_t i = 0; i < classes->len; i++) {
        if (classes->items[i].n < PX_TARGET_CLASS_ROWS_MIN)
            return false;
    }
    return true;
}

static enum px_task choose_task(const struct px_column_profile *profile, struct px_target *target,
                                const struct classes *classes)
{
    const char *why = "its values are texts";
    enum px_task task = PX_TASK_MULTICLASS;
    if (!profile->many && classes->len == 2) {
        task = PX_TASK_BINARY;
        why = "it has two different values";
    } else if (target->numeric && few_whole_numbers(profile, classes)) {
        why = "its values are a few whole numbers";
    } else if (target->numeric) {
        task = PX_TASK_REGRESSION;
        why = "its values are numbers";
    }
    snprintf(target->why, sizeof target->why, "%s", why);
    return task;
}

static enum px_code check_classes(const struct px_column_profile *profile,
                                  const struct px_target *target, const struct classes *classes,
                                  struct px_err *err)
{
    struct px_str name = profile->name;
    if (classes->len < 2)
        return px_err_set(err, PX_E_INVALID, "target '%.*s' has %s, so there is nothing to learn",
                          PX_STR_ARG(name), classes->len ? "one value only" : "no values");
    if (target->task == PX_TASK_REGRESSION) {
        if (target->numeric)
            return PX_OK;
        return px_err_set(err, PX_E_INVALID,
                          "target '%.*s' of a regression must be numbers, got texts such as '%.*s'",
                          PX_STR_ARG(name), PX_STR_ARG(classes->items[0].label));
    }
    if (target->task == PX_TASK_BINARY && (classes->len > 2 || profile->many))
        return px_err_set(err, PX_E_INVALID,
                          "target '%.*s' of a binary task must have 2 different values, got %zu%s",
                          PX_STR_ARG(name), classes->len, profile->many ? " or more" : "");
    if (classes->len > PX_TARGET_CLASSES_MAX || profile->many) {
        px_err_set(err, PX_E_INVALID,
                   "target '%.*s' has %s%zu different values; at most %d classes are possible",
                   PX_STR_ARG(name), profile->many ? "more than " : "", classes->len,
                   PX_TARGET_CLASSES_MAX);
        return px_err_hint(err, "is it the right column? numbers can be predicted with --task "
                                "regression");
    }
    return PX_OK;
}

static bool is_true_word(struct px_str label)
{
    static const struct px_feature probe = {.kind = PX_FEATURE_BOOLEAN, .other = -1};
    double value;
    return px_feature_encode_text(&probe, label, &value, NULL) == PX_OK && value == 1;
}

/* Puts the positive class second. */
static enum px_code order_binary(struct classes *classes, struct px_str positive,
                                 struct px_err *err)
{
    struct target_class *c = classes->items;
    bool swap = is_true_word(c[0].label) && !is_true_word(c[1].label);
    if (positive.len) {
        swap = px_str_eq(positive, c[0].label);
        if (!swap && !px_str_eq(positive, c[1].label))
            return px_err_set(err, PX_E_INVALID,
                              "the positive class '%.*s' is no value of the target; it has '%.*s' "
                              "and '%.*s'",
                              PX_STR_ARG(positive), PX_STR_ARG(c[0].label), PX_STR_ARG(c[1].label));
    }
    if (swap) {
        struct target_class first = c[0];
        c[0] = c[1];
        c[1] = first;
    }
    return PX_OK;
}

static enum px_code publish(struct px_target *target, const struct classes *classes,
                            struct px_arena *arena, struct px_err *err)
{
    struct px_str *labels = px_arena_alloc(arena, classes->len, sizeof *labels);
    enum px_code code = PX_OK;
    if (!labels)
        return px_arena_check(arena, "the labels", err);
    for (size_t i = 0; code == PX_OK && i < classes->len; i++) {
        labels[i] = classes->items[i].label;
        code = px_map_put(&target->by_label, labels[i], i, err);
    }
    target->labels = labels;
    target->n_labels = classes->len;
    return code;
}

enum px_code px_target_fit(const struct px_column_profile *profile,
                           const struct px_target_options *options, struct px_arena *arena,
                           struct px_target *ret, struct px_err *err)
{
    struct classes classes = {0};
    uint64_t present = profile->n - profile->n_missing;
    *ret = (struct px_target){.name = profile->name, .numeric = profile->n_number == present};
    enum px_code code = collect(profile, ret, arena, &classes, err);
    if (code != PX_OK)
        return code;
    ret->task = options->task;
    snprintf(ret->why, sizeof ret->why, "as asked for");
    if (!options->task)
        ret->task = choose_task(profile, ret, &classes);
    code = check_classes(profile, ret, &classes, err);
    if (code != PX_OK || ret->task == PX_TASK_REGRESSION)
        return code;
    if (ret->task == PX_TASK_BINARY)
        code = order_binary(&classes, options->positive, err);
    return code == PX_OK ? publish(ret, &classes, arena, err) : code;
}

void px_target_deinit(struct px_target *target)
{
    px_map_deinit(&target->by_label);
}

bool px_target_encode(const struct px_target *target, struct px_str text, float *ret)
{
    char number_text[PX_NUMBER_TEXT_MAX];
    struct px_str s = px_str_trim(text);
    double number;
    size_t code;
    if (px_is_missing_text(s))
        return false;
    if (target->task == PX_TASK_REGRESSION) {
        bool valid = px_str_to_f64(s, &number) && fabs(number) < 1e30;
        *ret = valid ? (float)number : 0;
        return valid;
    }
    if (target->numeric && px_str_to_f64(s, &number))
        s = number_label(number, number_text);
    if (!px_map_get(&target->by_label, s, &code))
        return false;
    *ret = (float)code;
    return true;
}
