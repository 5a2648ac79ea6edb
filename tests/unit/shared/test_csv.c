/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "shared/alloc.h"
#include "shared/csv.h"
#include "shared/rng.h"

enum { TRACED_MAX = 1000 };

static struct px_err err;
static bool empty_lines; /* of the readers below */

/* Appends one event as text: "1:a|'b'" for a record on line 1 with a quoted b, "2!" for a broken one. */
static void trace(struct px_buf *out, enum px_csv_event event, const struct px_csv_record *record)
{
    px_buf_printf(out, "%s%" PRIu64, out->len ? " " : "", record->line);
    if (event == PX_CSV_BAD) {
        px_buf_byte(out, '!');
        return;
    }
    for (size_t i = 0; i < record->n_fields; i++) {
        const struct px_csv_field *field = &record->fields[i];
        px_buf_byte(out, i ? '|' : ':');
        px_buf_text(out, field->quoted ? "'" : "");
        if (field->text.len > TRACED_MAX)
            px_buf_printf(out, "%zu bytes", field->text.len);
        else
            px_buf_str(out, field->text);
        px_buf_text(out, field->quoted ? "'" : "");
    }
}

/* Reads `text` fed in chunks of `chunk` bytes and returns the trace of all events. */
static const char *read_all(struct px_str text, size_t chunk, char separator)
{
    static struct px_buf out;
    struct px_csv csv;
    struct px_csv_record record;
    size_t fed = 0;
    px_buf_deinit(&out);
    out = px_buf(1 << 20);
    px_csv_init(&csv, separator);
    csv.empty_lines = empty_lines;
    for (;;) {
        enum px_csv_event event = px_csv_next(&csv, &record, &err);
        if (event == PX_CSV_END)
            break;
        if (event != PX_CSV_MORE) {
            trace(&out, event, &record);
            continue;
        }
        size_t n = text.len - fed < chunk ? text.len - fed : chunk;
        /* An exact-size copy, so that the address sanitizer sees a use after the call. */
        char *bytes = malloc(n ? n : 1);
        CHECK(bytes);
        memcpy(bytes, n ? text.ptr + fed : "", n);
        CHECK_OK(px_csv_feed(&csv, bytes, n, &err));
        free(bytes);
        fed += n;
    }
    CHECK_INT(px_csv_next(&csv, &record, &err), PX_CSV_END);
    px_csv_deinit(&csv);
    return px_buf_cstr(&out);
}

static void check(const char *text, const char *want)
{
    for (size_t chunk = 1; chunk <= 64; chunk++)
        CHECK_STR(px_str(read_all(px_str(text), chunk, ',')), want);
}

PX_TEST(reads_records)
{
    check("a,b\n1,2\n", "1:a|b 2:1|2");
    check("a,b\n1,2", "1:a|b 2:1|2");
    check("a,,\n,\n", "1:a|| 2:|");
    check("", "");
    check("\n\n", "");
    check("x", "1:x");
    check(" a , b ", "1: a | b ");
}

PX_TEST(line_ends)
{
    check("a\r\nb\r\n", "1:a 2:b");
    check("a\rb\r", "1:a 2:b");
    check("a\n\r\n\r\n\nb", "1:a 5:b");
    check("a\r\r\nb\n\rc", "1:a 3:b 5:c");
}

PX_TEST(an_empty_line_of_one_column_is_a_missing_value)
{
    empty_lines = true;
    check("1\n\n3\n", "1:1 2: 3:3");
    check("1\r\n\r\n3\r\n", "1:1 2: 3:3");
    check("1\r\r3\r", "1:1 2: 3:3");
    check("\n\n1", "1: 2: 3:1");
    check("1\n\n\n", "1:1 2: 3:"); /* what follows the last line end is no line */
    check("1\n", "1:1");
    check("", "");
    check("\xEF\xBB\xBF\n1\n", "1: 2:1");
    check("\"1\n2\"\n\n\"\"\n", "1:'1\n2' 3: 4:''");
    check("a\"b\n\n2\n", "1! 2: 3:2");
    empty_lines = false;
    check("1\n\n3\n", "1:1 3:3");
}

PX_TEST(byte_order_mark)
{
    check("\xEF\xBB\xBFz,b\n", "1:z|b");
    check("\xEF\xBB\xBF\"a\",b\n", "1:'a'|b");
    check("\xEF\xBB\xBF", "");
    check("\xEF\xBB", "1:\xEF\xBB");
    check("ab", "1:ab");
    check("a\n\xEF\xBB\xBFz", "1:a 2:\xEF\xBB\xBFz");
}

PX_TEST(quoted_fields)
{
    check("\"a\",\"b,c\"\n", "1:'a'|'b,c'");
    check("\"\",,\"\"", "1:''||''");
    check("\"say \"\"hi\"\"\",\"\"\"\"\n", "1:'say \"hi\"'|'\"'");
    check("\"two\nlines\",x\n\"r\r\nn\"\nz", "1:'two\nlines'|x 3:'r\r\nn' 5:z");
    check("\"\"", "1:''");
    check("\"\r\"\na", "1:'\r' 3:a");
}

PX_TEST(broken_records_cost_one_line)
{
    check("a\"b,c\nd,e\n", "1! 2:d|e");
    check("\"a\"b,c\nd,e\n", "1! 2:d|e");
    check("\"a\" ,c\nd", "1! 2:d");
    check("1\n\"open,2\n3,4\n5", "1:1 2! 3:3|4 4:5");
    check("\"x\ny\"z\nw", "1! 2! 3:w");
    check("a,\"\"\"\nb", "1! 2:b");
    check("\"", "1!");
    check("\"a\"\"", "1!");
}

PX_TEST(errors_say_what_is_wrong)
{
    read_all(px_str("a,b\"c\n"), 64, ',');
    CHECK_CONTAINS(err.message, "field 2 has a quote inside");
    CHECK_CONTAINS(err.hint, "double the quotes");
    read_all(px_str("\"x,y\",\"a\"b\n"), 64, ',');
    CHECK_CONTAINS(err.message, "field 2 goes on after its closing quote");
    read_all(px_str("\"a\n"), 64, ',');
    CHECK_CONTAINS(err.message, "never closed");
}

PX_TEST(other_separators)
{
    CHECK_STR(px_str(read_all(px_str("a;\"b;c\";d,e"), 3, ';')), "1:a|'b;c'|d,e");
    CHECK_STR(px_str(read_all(px_str("a\t\tb"), 1, '\t')), "1:a||b");
    CHECK_STR(px_str(read_all(px_str("a\xFFz"), 1, '\xFF')), "1:a|z");
}

PX_TEST(nul_bytes_are_text)
{
    struct px_csv csv;
    struct px_csv_record record;
    px_csv_init(&csv, ',');
    CHECK_OK(px_csv_feed(&csv, "a\0,b\n", 5, &err));
    CHECK_INT(px_csv_next(&csv, &record, &err), PX_CSV_RECORD);
    CHECK_INT(record.n_fields, 2);
    CHECK_INT(record.fields[0].text.len, 2);
    px_csv_deinit(&csv);
}

/* Long texts of the few bytes that matter: the chunks must not change what is read. */
PX_TEST(chunks_do_not_matter)
{
    static const char alphabet[] = "a,\"\"\"\n\r, b";
    struct px_rng rng = px_rng(7);
    char text[80];
    for (int round = 0; round < 3000; round++) {
        size_t n = (size_t)px_rng_below(&rng, sizeof text);
        for (size_t i = 0; i < n; i++)
            text[i] = alphabet[px_rng_below(&rng, sizeof alphabet - 1)];
        char whole[4096];
        snprintf(whole, sizeof whole, "%s", read_all(px_str_n(text, n), sizeof text, ','));
        size_t chunk = 1 + (size_t)px_rng_below(&rng, 9);
        CHECK_STR(px_str(read_all(px_str_n(text, n), chunk, ',')), whole);
    }
}

/* Reads `text` in blocks of about `size` bytes and returns the trace of all events. */
static const char *read_blocks(struct px_str text, size_t size, bool end_is_known)
{
    static struct px_buf out;
    struct px_csv csv;
    struct px_csv_record record;
    struct px_csv_place place = {.line = 1};
    px_buf_deinit(&out);
    out = px_buf(1 << 22);
    px_csv_init(&csv, ',');
    for (size_t want = size; text.len; want = want < size ? size : want * 2) {
        size_t n = text.len < want ? text.len : want;
        bool ended = n == text.len && (end_is_known || want > text.len);
        struct px_csv_place start = place;
        size_t len = px_csv_cut(',', px_str_n(text.ptr, n), ended, &place);
        CHECK(len <= n);
        if (len == 0)
            continue;
        /* An exact-size copy, so that the address sanitizer sees a step beyond the block. */
        char *block = malloc(len);
        CHECK(block);
        memcpy(block, text.ptr, len);
        px_csv_read_block(&csv, block, len, &start, !ended);
        csv.empty_lines = empty_lines;
        for (enum px_csv_event event; (event = px_csv_next(&csv, &record, &err)) != PX_CSV_END;)
            trace(&out, event, &record);
        free(block);
        text = px_str_n(text.ptr + len, text.len - len);
        want = 0;
    }
    px_csv_deinit(&csv);
    return px_buf_cstr(&out);
}

PX_TEST(blocks_give_the_same)
{
    static const char alphabet[] = "a,\"\"\"\n\r, b\n\n,,";
    struct px_rng rng = px_rng(8);
    char text[120];
    for (int round = 0; round < 20000; round++) {
        empty_lines = round & 2;
        size_t n = (size_t)px_rng_below(&rng, sizeof text), kinds = round % 3 ? 14 : 2;
        for (size_t i = 0; i < n; i++)
            text[i] = alphabet[px_rng_below(&rng, kinds)];
        for (size_t i = 0; kinds == 2 && i < n; i += 1 + (size_t)px_rng_below(&rng, 9))
            text[i] = "\n\r"[px_rng_below(&rng, 2)];
        char whole[4096];
        snprintf(whole, sizeof whole, "%s", read_all(px_str_n(text, n), sizeof text, ','));
        size_t size = 1 + (size_t)px_rng_below(&rng, 30);
        CHECK_STR(px_str(read_blocks(px_str_n(text, n), size, round & 1)), whole);
    }
    empty_lines = false;
}

/* Records beyond the limit are given up in the middle of blocks. */
PX_TEST(blocks_with_a_record_that_is_too_large)
{
    static const char *const starts[] = {"1\r\n\"a,\r\nb,\"\"\r\n", "1,2\n\"open\nx,\"y\n", "\""};
    enum { LARGE = PX_CSV_RECORD_MAX + 1000 };
    char *text = malloc(2 * LARGE);
    CHECK(text);
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        for (int quoted = 0; quoted < 2; quoted++) {
            size_t n = strlen(starts[i]);
            memcpy(text, starts[i], n);
            text[n++] = quoted ? '"' : '7';
            memset(text + n, 'x', LARGE);
            for (size_t k = n + 500; quoted && k < n + LARGE; k += 1 << 20)
                text[k] = '\n';
            n += LARGE;
            n += (size_t)snprintf(text + n, 100, "\n5,6\n\"7\",8\n");
            char *whole = strdup(read_all(px_str_n(text, n), 1 << 20, ','));
            CHECK_STR(px_str(read_blocks(px_str_n(text, n), 1 << 18, true)), whole);
            free(whole);
        }
    }
    free(text);
}

PX_TEST(a_caller_can_read_records_ahead)
{
    struct px_csv csv;
    struct px_csv_record record;
    px_csv_init(&csv, ',');
    CHECK_INT(px_csv_ahead(&csv).len, 0);
    CHECK_OK(px_csv_feed(&csv, "\xEF\xBB\xBF\na,b\r\nc,d\ne", 14, &err));
    CHECK_STR(px_csv_ahead(&csv), "a,b\r\nc,d\ne");
    px_csv_pass(&csv, 3);
    CHECK_STR(px_csv_ahead(&csv), "c,d\ne");
    CHECK_INT(px_csv_next(&csv, &record, &err), PX_CSV_RECORD);
    CHECK_INT(record.line, 3);
    CHECK_STR(px_csv_ahead(&csv), "e");
    CHECK_INT(px_csv_next(&csv, &record, &err), PX_CSV_MORE);
    CHECK_INT(px_csv_ahead(&csv).len, 0); /* its end is being searched */
    px_csv_deinit(&csv);
}

static size_t count_records(const char *line, size_t repeat, size_t *ret_bad)
{
    struct px_csv csv;
    struct px_csv_record record;
    size_t records = 0, fed = 0;
    *ret_bad = 0;
    px_csv_init(&csv, ',');
    for (enum px_csv_event event; (event = px_csv_next(&csv, &record, &err)) != PX_CSV_END;) {
        records += event == PX_CSV_RECORD;
        *ret_bad += event == PX_CSV_BAD;
        if (event == PX_CSV_MORE)
            CHECK_OK(px_csv_feed(&csv, line, fed++ < repeat ? strlen(line) : 0, &err));
    }
    px_csv_deinit(&csv);
    return records;
}

/* A reader that starts over at every line would need hours for these. */
PX_TEST(hostile_quotes_take_linear_time)
{
    static const char *const lines[] = {"a\"b,\"c\n", "a\",b,\"c\n",    "\"\"\",\n",
                                        ",\"\n",      "\"\n\"\"\n",     "\"a\",\"\n",
                                        "\"x\n",      ",\"\"\"\n,\"\n", "\"\"\"\"x\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        size_t bad;
        size_t records = count_records(lines[i], 200000, &bad);
        CHECK(records + bad > 0);
    }
}

PX_TEST(limits)
{
    enum { PIECE = 1 << 16 };
    static char piece[PIECE + 1];
    size_t bad;
    memset(piece, ',', PIECE - 1);
    piece[PIECE - 1] = '\n';
    CHECK_INT(count_records(piece, 2, &bad), 2);
    CHECK_INT(bad, 0);
    memset(piece, ',', PIECE);
    CHECK_INT(count_records(piece, 1, &bad), 0); /* one field too many */
    CHECK_INT(bad, 1);
    CHECK_CONTAINS(err.message, "at most 65536 fields");
    memset(piece, 'x', PIECE);
    CHECK_INT(count_records(piece, PX_CSV_RECORD_MAX / PIECE, &bad), 1);
    CHECK_INT(count_records(piece, PX_CSV_RECORD_MAX / PIECE + 1, &bad), 0);
    CHECK_INT(bad, 1);
    CHECK_CONTAINS(err.message, "at most 16777216 bytes");
}

PX_TEST(memory_stays_one_record)
{
    struct px_csv csv;
    struct px_csv_record record;
    px_csv_init(&csv, ',');
    for (int i = 0; i < 10000; i++) {
        CHECK_OK(px_csv_feed(&csv, "1,2,3,4,5,6,7,8,9,10\n11,12", 26, &err));
        while (px_csv_next(&csv, &record, &err) == PX_CSV_RECORD)
            ;
        CHECK(csv.pending.len < 100);
    }
    px_csv_deinit(&csv);
}

PX_TEST(allocation_failures_are_reported)
{
    for (uint64_t n = 1; n < 20; n++) {
        struct px_csv csv;
        struct px_csv_record record;
        size_t records = 0;
        px_csv_init(&csv, ',');
        px_alloc_fail_at(n);
        bool failed = px_csv_feed(&csv, "a,b\n", 4, &err) != PX_OK;
        if (failed) {
            CHECK_INT(err.code, PX_E_NO_MEMORY);
            CHECK_OK(px_csv_feed(&csv, "a,b\n", 4, &err));
        }
        CHECK_OK(px_csv_feed(&csv, "", 0, &err));
        for (enum px_csv_event event; (event = px_csv_next(&csv, &record, &err)) != PX_CSV_END;) {
            CHECK(event == PX_CSV_RECORD || (event == PX_CSV_BAD && err.code == PX_E_NO_MEMORY));
            failed |= event == PX_CSV_BAD;
            records++;
        }
        px_alloc_fail_at(0);
        CHECK_INT(records, 1);
        CHECK(failed == (n <= 2));
        px_csv_deinit(&csv);
    }
}

PX_TEST(guesses_the_separator)
{
    CHECK_INT(px_csv_guess_separator(px_str("a,b,c\n1;2;3;4;5")), ',');
    CHECK_INT(px_csv_guess_separator(px_str("a;b;c")), ';');
    CHECK_INT(px_csv_guess_separator(px_str("\"a,b,c,d\";e\r\n")), ';');
    CHECK_INT(px_csv_guess_separator(px_str("a\tb\r1,2,3")), '\t');
    CHECK_INT(px_csv_guess_separator(px_str("a|b")), '|');
    CHECK_INT(px_csv_guess_separator(px_str("one")), ',');
    CHECK_INT(px_csv_guess_separator(px_str("\na;b\n1,2,3;2")), ';');
    CHECK_INT(px_csv_guess_separator(px_str("\xEF\xBB\xBF\r\n\r\n\na\tb\n")), '\t');
    CHECK_INT(px_csv_guess_separator(px_str("\n\n")), ',');
    CHECK_INT(px_csv_guess_separator((struct px_str){0}), ',');
}

PX_TEST(what_is_written_reads_back)
{
    static const char *const fields[] = {"plain", "with,comma", "say \"hi\"", "two\nlines", "\"",
                                         "x\r",   "\"\"",       "a b",        "\xC3\xA9"};
    struct px_buf buf = px_buf(4096), want = px_buf(4096);
    px_buf_text(&want, "1");
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (i)
            px_buf_byte(&buf, ',');
        px_csv_put(&buf, px_str(fields[i]), ',');
        bool quoted = strpbrk(fields[i], ",\"\r\n") != NULL;
        px_buf_printf(&want, "%s%s%s%s", i ? "|" : ":", quoted ? "'" : "", fields[i],
                      quoted ? "'" : "");
    }
    CHECK_STR(px_str(read_all(px_buf_view(&buf), 7, ',')), want.ptr);
    px_buf_clear(&buf);
    px_csv_put(&buf, (struct px_str){0}, ',');
    CHECK_INT(buf.len, 0);
    px_csv_put(&buf, px_str("a;b"), ',');
    CHECK_STR(px_buf_view(&buf), "a;b");
    px_buf_deinit(&buf);
    px_buf_deinit(&want);
}

PX_TEST(a_reset_reader_starts_anew_without_allocating)
{
    struct px_csv csv;
    struct px_csv_record record;
    uint64_t before = 0;
    px_csv_init(&csv, ',');
    for (int i = 0; i < 3; i++) {
        px_csv_reset(&csv, ';');
        CHECK_INT(px_csv_next(&csv, &record, &err), PX_CSV_MORE);
        CHECK_OK(px_csv_feed(&csv, "a;\"b", 4, &err)); /* left in the middle of a quoted field */
        CHECK_INT(px_csv_next(&csv, &record, &err), PX_CSV_MORE);
        px_csv_reset(&csv, ';');
        CHECK_OK(px_csv_feed(&csv, "c;d\n", 4, &err));
        CHECK_OK(px_csv_feed(&csv, "", 0, &err));
        CHECK_INT(px_csv_next(&csv, &record, &err), PX_CSV_RECORD);
        CHECK_INT(record.line, 1);
        CHECK_INT(record.n_fields, 2);
        CHECK_STR(record.fields[1].text, "d");
        CHECK_INT(px_csv_next(&csv, &record, &err), PX_CSV_END);
        if (i == 0)
            before = px_alloc_count();
    }
    CHECK_INT(px_alloc_count() - before, 0);
    px_csv_deinit(&csv);
}

PX_TEST_MAIN(T(reads_records) T(line_ends) T(an_empty_line_of_one_column_is_a_missing_value) T(
    byte_order_mark) T(quoted_fields) T(broken_records_cost_one_line) T(errors_say_what_is_wrong)
                 T(other_separators) T(nul_bytes_are_text) T(chunks_do_not_matter)
                     T(blocks_give_the_same) T(blocks_with_a_record_that_is_too_large)
                         T(a_caller_can_read_records_ahead) T(hostile_quotes_take_linear_time)
                             T(limits) T(memory_stays_one_record)
                                 T(allocation_failures_are_reported) T(guesses_the_separator)
                                     T(what_is_written_reads_back)
                                         T(a_reset_reader_starts_anew_without_allocating))
