/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The portable form, which the vector form (csv_plain_avx2.c) is compared with in tests: fields are cut at
 * the next byte that ends one, and numbers read by px_str_to_f64.
 */
#include "shared/csv_plain.h"

#include "shared/number.h"
#include "shared/processor.h"

#include <math.h>

static bool ends_field(char c, char separator)
{
    return c == separator || c == '\n' || c == '\r' || c == '"';
}

/* Puts a field where the plan says. */
static void take(const struct px_csv_plain *plan, size_t column, struct px_str field,
                 struct px_csv_row *row)
{
    int32_t slot = plan->slots[column];
    double value = NAN;
    if (slot == PX_CSV_IGNORED)
        return;
    if (slot == PX_CSV_TEXT || (field.len && !px_str_to_f64(field, &value)))
        row->left[row->n_left++] = (struct px_csv_left){(uint32_t)column, field};
    else if (plan->wide)
        ((double *)row->values)[slot] = value;
    else
        ((float *)row->values)[slot] = (float)value;
}

size_t px_csv_plain_portable(const struct px_csv_plain *plan, struct px_str text, size_t at,
                             struct px_csv_row *row)
{
    size_t field = at, column = 0;
    row->n_left = 0;
    for (size_t i = at; i + 1 < text.len; i++) {
        char c = text.ptr[i];
        if (!ends_field(c, plan->separator))
            continue;
        if (column == plan->n_columns || c == '"')
            return 0;
        take(plan, column++, px_str_n(text.ptr + field, i - field), row);
        field = i + 1;
        if (c == plan->separator)
            continue;
        bool line_end = c == '\n' || text.ptr[i + 1] == '\n';
        return line_end && column == plan->n_columns ? i - at : 0;
    }
    return 0;
}

struct px_csv_survey px_csv_survey_portable(struct px_str text, bool after_cr)
{
    struct px_csv_survey survey = {0};
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        survey.quotes |= c == '"';
        survey.line_ends += c == '\r' || (c == '\n' && !after_cr);
        after_cr = c == '\r';
        if (c == '\r' || c == '\n')
            survey.after_last = i + 1;
    }
    return survey;
}

px_csv_plain_fn *px_csv_plain_pick(void)
{
#if defined(__x86_64__)
    if (px_processor_has_avx2())
        return px_csv_plain_avx2;
#endif
    return px_csv_plain_portable;
}

struct px_csv_survey px_csv_survey(struct px_str text, bool after_cr)
{
#if defined(__x86_64__)
    if (px_processor_has_avx2())
        return px_csv_survey_avx2(text, after_cr);
#endif
    return px_csv_survey_portable(text, after_cr);
}
