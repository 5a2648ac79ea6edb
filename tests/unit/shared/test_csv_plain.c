/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "shared/csv.h"
#include "shared/csv_plain.h"
#include "shared/number.h"
#include "shared/processor.h"
#include "shared/rng.h"

enum { COLUMNS_MAX = 40, TEXT_MAX = 4096 };

static double wide[COLUMNS_MAX];
static float narrow[COLUMNS_MAX];
static struct px_csv_left left[COLUMNS_MAX];
static int32_t slots[COLUMNS_MAX];
static struct px_rng rng;

static const struct {
    const char *name;
    px_csv_plain_fn *read;
} forms[] = {{"portable", px_csv_plain_portable},
#if defined(__x86_64__)
             {"avx2", px_csv_plain_avx2}
#endif
};

static size_t n_forms(void)
{
    return px_processor_has_avx2() ? sizeof forms / sizeof forms[0] : 1;
}

/* Blanks around, so that the vector form may look as far as it likes. */
static char padded[TEXT_MAX + 256];

static struct px_str pad(const char *record, size_t n)
{
    memset(padded, ' ', sizeof padded);
    memcpy(padded + 64, record, n);
    return px_str_n(padded, n + 192);
}

static size_t read_wide(px_csv_plain_fn *read, struct px_str text, size_t n_columns,
                        struct px_csv_row *row)
{
    struct px_csv_plain plan = {',', true, slots, n_columns, read};
    *row = (struct px_csv_row){wide, left, 99};
    for (size_t i = 0; i < COLUMNS_MAX; i++)
        wide[i] = 77;
    return read(&plan, text, 64, row);
}

static void all_numbers(void)
{
    for (int32_t i = 0; i < COLUMNS_MAX; i++)
        slots[i] = i;
}

/* Every form reads `field` as px_str_to_f64 does. */
static void check_number(const char *field)
{
    char record[256];
    int n = snprintf(record, sizeof record, "1,%s,2\n", field);
    double want;
    CHECK(px_str_to_f64(px_str(field), &want));
    for (size_t f = 0; f < n_forms(); f++) {
        struct px_csv_row row;
        CHECK_INT(read_wide(forms[f].read, pad(record, (size_t)n), 3, &row), n - 1);
        CHECK_INT(row.n_left, 0);
        CHECK_DOUBLE(wide[0], 1);
        CHECK_DOUBLE(wide[1], want);
        CHECK_DOUBLE(wide[2], 2);
    }
}

PX_TEST(numbers_of_every_form)
{
    static const char *const fields[] = {"0",
                                         "-0",
                                         "1",
                                         "-1",
                                         "007",
                                         "5.",
                                         ".5",
                                         "-.5",
                                         "+3",
                                         "0.0",
                                         "-0.0",
                                         "1e5",
                                         "1E-5",
                                         "2.5e+3",
                                         "nan",
                                         "-inf",
                                         "Infinity",
                                         "123456789012345",
                                         "1234567890123456",
                                         "12345678901234567",
                                         "9007199254740992",
                                         "9007199254740993",
                                         "9999999999999999",
                                         "-9999999999999.99",
                                         "-999999999999.999",
                                         "0.000000000000001",
                                         "0.00000000000001",
                                         "-0.0000000000001",
                                         "1.7976931348623157e308",
                                         "4.9e-324",
                                         "0.4967141530112327",
                                         "-0.13826430117118466",
                                         "123456789.12345678901234567890",
                                         "00000000000000000000000000001",
                                         "1e999",
                                         "0.1"};
    all_numbers();
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        check_number(fields[i]);
}

PX_TEST(numbers_of_every_length_and_point)
{
    char digits[32], field[40];
    rng = px_rng(3);
    all_numbers();
    for (int round = 0; round < 20000; round++) {
        size_t n = 1 + (size_t)px_rng_below(&rng, 20);
        size_t point = (size_t)px_rng_below(&rng, n + 2);
        for (size_t i = 0; i < n; i++)
            digits[i] = (char)('0' + px_rng_below(&rng, 10));
        bool negative = px_rng_below(&rng, 2);
        if (point <= n)
            snprintf(field, sizeof field, "%s%.*s.%.*s", negative ? "-" : "", (int)point, digits,
                     (int)(n - point), digits + point);
        else
            snprintf(field, sizeof field, "%s%.*s", negative ? "-" : "", (int)n, digits);
        check_number(field);
    }
}

PX_TEST(an_empty_field_is_missing)
{
    struct px_csv_row row;
    all_numbers();
    for (size_t f = 0; f < n_forms(); f++) {
        CHECK_INT(read_wide(forms[f].read, pad(",,3,\n", 5), 4, &row), 4);
        CHECK(isnan(wide[0]) && isnan(wide[1]) && isnan(wide[3]));
        CHECK_DOUBLE(wide[2], 3);
        CHECK_INT(row.n_left, 0);
    }
}

PX_TEST(what_is_no_number_is_left_to_the_caller)
{
    struct px_csv_row row;
    const char *record = "NA, 1,-,.,1.2.3,--1,5\r\n";
    all_numbers();
    slots[6] = PX_CSV_TEXT;
    for (size_t f = 0; f < n_forms(); f++) {
        CHECK_INT(read_wide(forms[f].read, pad(record, strlen(record)), 7, &row),
                  strlen(record) - 2);
        CHECK_INT(row.n_left, 7);
        CHECK_INT(row.left[1].column, 1);
        CHECK_STR(row.left[1].text, " 1");
        CHECK_STR(row.left[4].text, "1.2.3");
        CHECK_STR(row.left[6].text, "5");
    }
}

PX_TEST(ignored_columns_are_passed_over)
{
    struct px_csv_row row;
    slots[0] = PX_CSV_IGNORED;
    slots[1] = 1;
    slots[2] = 0;
    for (size_t f = 0; f < n_forms(); f++) {
        CHECK_INT(read_wide(forms[f].read, pad("whatever,2,3\n", 13), 3, &row), 12);
        CHECK_DOUBLE(wide[0], 3);
        CHECK_DOUBLE(wide[1], 2);
        CHECK_INT(row.n_left, 0);
    }
}

PX_TEST(other_records_are_not_plain)
{
    static const char *const records[] = {"1,2\n",      "1,2,3,4\n",   "1,\"2\",3\n", "1,2\",3\n",
                                          "1,2,3\r4\n", "1,2,3\rx,\n", "1,2\r,3\n",   "1,2,3"};
    struct px_csv_row row;
    all_numbers();
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++) {
        for (size_t f = 0; f < n_forms(); f++)
            CHECK_INT(read_wide(forms[f].read, pad(records[i], strlen(records[i])), 3, &row), 0);
    }
}

/* A vector form that looked beyond the text would be seen by the address sanitizer. */
PX_TEST(nothing_around_the_text_is_looked_at)
{
    struct px_csv_row row;
    all_numbers();
    for (size_t n = 1; n < 200; n++) {
        char *text = malloc(n);
        CHECK(text);
        for (size_t i = 0; i < n; i++)
            text[i] = i % 6 == 5 ? '\n' : i % 2 ? ',' : '7';
        for (size_t f = 0; f < n_forms(); f++) {
            struct px_csv_plain plan = {',', true, slots, 3, forms[f].read};
            for (size_t at = 0; at < n; at++) {
                row = (struct px_csv_row){wide, left, 0};
                (void)plan.read(&plan, px_str_n(text, n), at, &row);
            }
            (void)px_csv_survey(px_str_n(text, n), false);
        }
        free(text);
    }
}

static size_t random_record(char *out)
{
    static const char *const pieces[] = {",",  ",",    ",",   "1",  "-2.5", "0.125",
                                         "33", "",     ",",   "\"", "\r",   "\n",
                                         "x",  " ",    "1e3", "NA", "9.75", ",",
                                         ";",  "\r\n", ",",   "-",  ".",    "8888888888888888888"};
    size_t n = 0, count = 1 + (size_t)px_rng_below(&rng, 60);
    for (size_t i = 0; i < count; i++) {
        const char *piece = pieces[px_rng_below(&rng, sizeof pieces / sizeof pieces[0])];
        memcpy(out + n, piece, strlen(piece));
        n += strlen(piece);
    }
    out[n++] = '\n';
    return n;
}

static void random_slots(void)
{
    for (int32_t i = 0; i < COLUMNS_MAX; i++) {
        slots[i] = i;
        uint64_t kind = px_rng_below(&rng, 6);
        if (kind < 2)
            slots[i] = kind ? PX_CSV_TEXT : PX_CSV_IGNORED;
    }
}

/* What a plain record holds is what the exact reader finds at the same place. */
static void check_with_reader(struct px_str record, const struct px_csv_row *row)
{
    struct px_csv csv;
    struct px_csv_record exact;
    size_t next_left = 0;
    px_csv_init(&csv, ',');
    CHECK_OK(px_csv_feed(&csv, "xx\n", 3, NULL)); /* no byte order mark comes next */
    CHECK_INT(px_csv_next(&csv, &exact, NULL), PX_CSV_RECORD);
    CHECK_OK(px_csv_feed(&csv, record.ptr, record.len, NULL));
    CHECK_INT(px_csv_next(&csv, &exact, NULL), PX_CSV_RECORD);
    for (size_t i = 0; i < exact.n_fields; i++) {
        struct px_str field = exact.fields[i].text;
        double want = NAN;
        if (slots[i] == PX_CSV_IGNORED)
            continue;
        if (slots[i] == PX_CSV_TEXT || (field.len && !px_str_to_f64(field, &want))) {
            CHECK_INT(row->left[next_left].column, i);
            CHECK(px_str_eq(row->left[next_left++].text, field));
            continue;
        }
        CHECK_DOUBLE(wide[slots[i]], want);
        CHECK_DOUBLE(narrow[slots[i]], (float)want);
    }
    CHECK_INT(row->n_left, next_left);
    px_csv_deinit(&csv);
}

PX_TEST(all_forms_read_the_same)
{
    char text[TEXT_MAX];
    size_t n_plain = 0;
    rng = px_rng(5);
    for (int round = 0; round < 30000; round++) {
        size_t n = random_record(text), n_columns = 1;
        const char *line_end = memchr(text, '\n', n);
        for (const char *at = text; at < line_end; at++)
            n_columns += *at == ',';
        if (n_columns > COLUMNS_MAX)
            continue;
        random_slots();
        struct px_csv_row row;
        struct px_str around = pad(text, n);
        size_t len = read_wide(px_csv_plain_portable, around, n_columns, &row);
        double first[COLUMNS_MAX];
        memcpy(first, wide, sizeof first);
        size_t n_left = row.n_left;
        for (size_t f = 0; f < n_forms(); f++) {
            CHECK_INT(read_wide(forms[f].read, around, n_columns, &row), len);
            CHECK(len == 0 || (row.n_left == n_left && memcmp(first, wide, sizeof first) == 0));
            struct px_csv_plain plan = {',', false, slots, n_columns, forms[f].read};
            struct px_csv_row again = {narrow, left, 0};
            CHECK_INT(plan.read(&plan, around, 64, &again), len);
        }
        n_plain += len != 0;
        if (len == 0)
            continue;
        check_with_reader(px_str_n(around.ptr + 64, len + 2), &row);
    }
    CHECK(n_plain > 1000);
}

PX_TEST(surveys_agree)
{
    static const char alphabet[] = "aaaaaaaa\n\r\n\"";
    char text[300];
    rng = px_rng(9);
    for (int round = 0; round < 20000; round++) {
        size_t n = (size_t)px_rng_below(&rng, sizeof text), kinds = round % 3 ? 11 : 12;
        for (size_t i = 0; i < n; i++)
            text[i] = alphabet[px_rng_below(&rng, kinds)];
        bool after_cr = round & 1;
        struct px_csv_survey a = px_csv_survey_portable(px_str_n(text, n), after_cr);
        struct px_csv_survey b = px_csv_survey(px_str_n(text, n), after_cr);
        CHECK_INT(a.quotes, b.quotes);
        CHECK_INT(a.line_ends, b.line_ends);
        CHECK_INT(a.after_last, b.after_last);
    }
    CHECK_INT(px_csv_survey(px_str("a\r\nb\rc\n\n"), false).line_ends, 4);
    CHECK_INT(px_csv_survey(px_str("\na"), true).line_ends, 0);
}

PX_TEST_MAIN(T(numbers_of_every_form) T(numbers_of_every_length_and_point)
                 T(an_empty_field_is_missing) T(what_is_no_number_is_left_to_the_caller)
                     T(ignored_columns_are_passed_over) T(other_records_are_not_plain)
                         T(nothing_around_the_text_is_looked_at) T(all_forms_read_the_same)
                             T(surveys_agree))
