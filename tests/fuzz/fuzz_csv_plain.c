/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain records: the vector form reads what the portable one reads, and both what the exact reader and
 * px_str_to_f64 make of it. The first byte chooses the separator and what becomes of the columns.
 */
#include "fuzz.h"

#include "shared/csv.h"
#include "shared/csv_plain.h"
#include "shared/number.h"
#include "shared/processor.h"

#include <math.h>

enum { COLUMNS_MAX = 64 };

static int32_t slots[COLUMNS_MAX];

struct result {
    size_t len, n_left;
    double values[COLUMNS_MAX];
    struct px_csv_left left[COLUMNS_MAX];
};

static void read_with(px_csv_plain_fn *read, const struct px_csv_plain *plan, struct px_str text,
                      size_t at, struct result *ret)
{
    struct px_csv_row row = {.values = ret->values, .left = ret->left};
    for (size_t i = 0; i < COLUMNS_MAX; i++)
        ret->values[i] = -77;
    ret->len = read(plan, text, at, &row);
    ret->n_left = row.n_left;
}

static void check_same(const struct result *a, const struct result *b)
{
    PX_ASSERT(a->len == b->len);
    if (a->len == 0)
        return;
    PX_ASSERT(a->n_left == b->n_left && memcmp(a->values, b->values, sizeof a->values) == 0);
    for (size_t i = 0; i < a->n_left; i++) {
        PX_ASSERT(a->left[i].column == b->left[i].column);
        PX_ASSERT(px_str_eq(a->left[i].text, b->left[i].text));
    }
}

/* The exact reader's fields are those of the result. */
static void check_exact(const struct px_csv_plain *plan, struct px_str record,
                        const struct result *got)
{
    struct px_csv csv;
    struct px_csv_record exact;
    size_t next_left = 0;
    px_csv_init(&csv, plan->separator);
    struct px_csv_place place = {.line = 1, .started = true};
    char *copy = px_alloc(record.len, 1);
    PX_ASSERT(copy);
    memcpy(copy, record.ptr, record.len);
    px_csv_read_block(&csv, copy, record.len, &place, false);
    enum px_csv_event event = px_csv_next(&csv, &exact, NULL);
    PX_ASSERT(event == PX_CSV_RECORD && exact.n_fields == plan->n_columns);
    for (size_t i = 0; i < exact.n_fields; i++) {
        struct px_str field = exact.fields[i].text;
        double want = NAN;
        if (slots[i] == PX_CSV_IGNORED)
            continue;
        if (slots[i] == PX_CSV_TEXT || (field.len && !px_str_to_f64(field, &want)))
            PX_ASSERT(px_str_eq(got->left[next_left++].text, field));
        else
            PX_ASSERT(memcmp(&got->values[slots[i]], &want, sizeof want) == 0);
    }
    PX_ASSERT(next_left == got->n_left);
    px_free(copy);
    px_csv_deinit(&csv);
}

static void check_record(struct px_csv_plain *plan, struct px_str text, size_t at)
{
    static struct result a, b;
    const char *rest = text.ptr + at;
    const char *line_end = memchr(rest, '\n', text.len - at);
    size_t len = line_end ? (size_t)(line_end - rest) : text.len - at;
    plan->n_columns = 1;
    for (size_t i = 0; i < len; i++)
        plan->n_columns += rest[i] == plan->separator;
    if (plan->n_columns > COLUMNS_MAX || *rest == '\n' || *rest == '\r')
        return;
    read_with(px_csv_plain_portable, plan, text, at, &a);
    if (a.len)
        check_exact(plan, px_str_n(rest, a.len), &a);
#if defined(__x86_64__)
    if (!px_processor_has_avx2() || at < 16 || text.len - at < len + 66)
        return;
    read_with(px_csv_plain_avx2, plan, text, at, &b);
    check_same(&a, &b);
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char separators[] = ",;\t|";
    if (size == 0)
        return 0;
    /* Blanks around: the vector form wants some bytes before and after a record. */
    size_t around = 80, len = size - 1 + 2 * around;
    char *padded = px_alloc(len, 1);
    PX_ASSERT(padded);
    memset(padded, ' ', len);
    memcpy(padded + around, data + 1, size - 1);
    for (int32_t i = 0; i < COLUMNS_MAX; i++)
        slots[i] = (data[0] >> 2) % 8 == i % 8 ? (i & 8 ? PX_CSV_TEXT : PX_CSV_IGNORED) : i;
    struct px_csv_plain plan = {.separator = separators[data[0] & 3], .wide = true, .slots = slots};
    for (size_t at = around; at < len - around; at++) {
        if (at == around || padded[at - 1] == '\n')
            check_record(&plan, px_str_n(padded, len), at);
    }
    struct px_str text = px_str_n(padded, len);
    struct px_csv_survey a = px_csv_survey_portable(text, data[0] & 1);
    struct px_csv_survey b = px_csv_survey(text, data[0] & 1);
    PX_ASSERT(a.quotes == b.quotes && a.line_ends == b.line_ends && a.after_last == b.after_last);
    px_free(padded);
    return 0;
}
