/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain CSV records, quickly: records without a quote, whose line ends with LF or CRLF and whose fields are
 * mostly numbers. Files of numbers are made of them, so that this is where reading spends its time.
 *
 * Concepts
 * - A plan says what becomes of each column: its number goes to an element of the row, or it is passed
 *   over, or its text is left to the caller.
 * - A number is what px_str_to_f64 takes, bit for bit; an empty field is NaN. A field of a number column that
 *   is neither ("NA", " 1") is left to the caller, as text.
 * - Everything else is not plain: a quote, another count of fields, a line end of another kind, or a record
 *   that does not end safely before the text does. It is then up to csv.h, which reads everything;
 *   nothing is ever decided here that csv.h would decide differently.
 *
 * The plan picks the code for the processor once. Both forms of it do the same, and need no padding around
 * the text. Threads: a plan is read only; each thread brings its own row.
 */
#ifndef PX_SHARED_CSV_PLAIN_H
#define PX_SHARED_CSV_PLAIN_H

#include "shared/str.h"

/* What becomes of a column, instead of the index of its element in the row. */
enum { PX_CSV_IGNORED = -1, PX_CSV_TEXT = -2 };

/* A field that the caller has to look at. */
struct px_csv_left {
    uint32_t column;
    struct px_str text;
};

struct px_csv_row {
    void *values;             /* [..] of float, or of double when the plan is wide */
    struct px_csv_left *left; /* [n_columns], filled in the order of the columns */
    size_t n_left;
};

struct px_csv_plain;

/*
 * Reads the record that begins at `at`. Returns its length without the line end, or 0 when it is not plain;
 * `row` holds anything then. No allocation, no failure.
 */
typedef size_t px_csv_plain_fn(const struct px_csv_plain *plan, struct px_str text, size_t at,
                               struct px_csv_row *row);

struct px_csv_plain {
    char separator;
    bool wide;            /* doubles instead of floats */
    const int32_t *slots; /* [n_columns]: index in the row, PX_CSV_IGNORED or PX_CSV_TEXT */
    size_t n_columns;
    px_csv_plain_fn *read; /* of px_csv_plain_pick */
};

/* The quickest code for this processor. */
px_csv_plain_fn *px_csv_plain_pick(void);

/*
 * What a piece of text holds, to cut it into blocks: whether there is a quote, how many line ends (LF, CR or
 * CRLF) and where the last one ends (0 = there is none). `after_cr`: the byte before the text is a CR, so
 * that a LF at its beginning ends no other line.
 */
struct px_csv_survey {
    bool quotes;
    uint64_t line_ends;
    size_t after_last;
};

struct px_csv_survey px_csv_survey(struct px_str text, bool after_cr);

/* The forms that px_csv_plain_pick and px_csv_survey choose from, for tests. */
px_csv_plain_fn px_csv_plain_portable, px_csv_plain_avx2;
struct px_csv_survey px_csv_survey_portable(struct px_str text, bool after_cr);
struct px_csv_survey px_csv_survey_avx2(struct px_str text, bool after_cr);

#endif
