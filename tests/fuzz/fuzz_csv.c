/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV: the chunks and blocks in which a text comes do not change what is read, and a record that is written again
 * reads back. The first byte of the input chooses the separator and the size of the chunks.
 */
#include "fuzz.h"

#include "shared/alloc.h"
#include "shared/csv.h"
#include "shared/hash.h"

static const char separators[] = ",;\t|";

/* Feeds the next chunk of `rest`. */
static void feed(struct px_csv *csv, struct px_str *rest, size_t chunk)
{
    size_t n = rest->len < chunk ? rest->len : chunk;
    enum px_code code = px_csv_feed(csv, rest->ptr, n, NULL);
    PX_ASSERT(code == PX_OK);
    *rest = px_str_n(rest->ptr + n, rest->len - n);
}

static void check_same(const struct px_csv_record *a, const struct px_csv_record *b)
{
    PX_ASSERT(a->n_fields == b->n_fields);
    for (size_t i = 0; i < a->n_fields; i++)
        PX_ASSERT(px_str_eq(a->fields[i].text, b->fields[i].text));
}

static void write_again(const struct px_csv_record *record, char separator)
{
    struct px_buf text = px_buf(1 << 20);
    struct px_csv csv;
    struct px_csv_record again;
    px_buf_text(&text, "x\n"); /* so that the record's first field is no byte order mark */
    for (size_t i = 0; i < record->n_fields; i++) {
        if (i)
            px_buf_byte(&text, separator);
        px_csv_put(&text, record->fields[i].text, separator);
    }
    px_csv_init(&csv, separator);
    struct px_str rest = px_buf_view(&text);
    feed(&csv, &rest, SIZE_MAX);
    feed(&csv, &rest, SIZE_MAX);
    PX_ASSERT(px_csv_next(&csv, &again, NULL) == PX_CSV_RECORD);
    enum px_csv_event event = px_csv_next(&csv, &again, NULL);
    if (text.len > 2) { /* one empty field is a blank line */
        PX_ASSERT(event == PX_CSV_RECORD);
        check_same(record, &again);
    }
    px_csv_deinit(&csv);
    px_buf_deinit(&text);
}

/* Adds an event to a hash of events. */
static void add_event(uint64_t *sum, enum px_csv_event event, const struct px_csv_record *record)
{
    uint64_t parts[3] = {*sum, (uint64_t)event, record->line};
    for (size_t i = 0; i < record->n_fields; i++) {
        const struct px_csv_field *field = &record->fields[i];
        parts[1] = parts[1] * 31 + px_hash(field->text.ptr, field->text.len) + field->quoted;
    }
    *sum = px_hash(parts, sizeof parts);
}

/* Reads the whole text; returns a hash of all events. */
static uint64_t read_all(struct px_str text, char separator, bool empty_lines, size_t chunk)
{
    struct px_csv csv;
    struct px_csv_record record;
    uint64_t sum = 0, last_line = 0;
    px_csv_init(&csv, separator);
    csv.empty_lines = empty_lines;
    for (enum px_csv_event event; (event = px_csv_next(&csv, &record, NULL)) != PX_CSV_END;) {
        if (event == PX_CSV_MORE) {
            feed(&csv, &text, chunk);
            continue;
        }
        PX_ASSERT(record.line > last_line);
        last_line = record.line;
        add_event(&sum, event, &record);
        if (event == PX_CSV_RECORD && chunk == SIZE_MAX)
            write_again(&record, separator);
    }
    px_csv_deinit(&csv);
    return sum;
}

/* Reads one block, a copy of its own, so that a step beyond it is seen. */
static void read_block(struct px_csv *csv, struct px_str text, const struct px_csv_place *place,
                       bool goes_on, uint64_t *sum)
{
    struct px_csv_record record;
    char *block = px_alloc(text.len, 1);
    PX_ASSERT(block);
    memcpy(block, text.ptr, text.len);
    bool empty_lines = csv->empty_lines;
    px_csv_read_block(csv, block, text.len, place, goes_on);
    csv->empty_lines = empty_lines;
    for (enum px_csv_event event; (event = px_csv_next(csv, &record, NULL)) != PX_CSV_END;)
        add_event(sum, event, &record);
    px_free(block);
}

/* Reads the text in blocks of about `size` bytes; the same hash as read_all's. */
static uint64_t read_blocks(struct px_str text, char separator, bool empty_lines, size_t size)
{
    struct px_csv csv;
    struct px_csv_place place = {.line = 1};
    uint64_t sum = 0;
    px_csv_init(&csv, separator);
    csv.empty_lines = empty_lines;
    for (size_t want = size; text.len;) {
        struct px_csv_place start = place;
        bool ended = want > text.len;
        struct px_str piece = px_str_n(text.ptr, ended ? text.len : want);
        size_t len = px_csv_cut(separator, piece, ended, &place);
        PX_ASSERT(len <= piece.len && (len || !ended));
        if (len)
            read_block(&csv, px_str_n(text.ptr, len), &start, !ended, &sum);
        text = px_str_n(text.ptr + len, text.len - len);
        want = len ? size : want * 2;
    }
    px_csv_deinit(&csv);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char separator = separators[data[0] & 3];
    struct px_str text = px_str_n((const char *)data + 1, size - 1);
    for (int empty_lines = 0; empty_lines < 2; empty_lines++) {
        uint64_t whole = read_all(text, separator, empty_lines, SIZE_MAX);
        PX_ASSERT(read_all(text, separator, empty_lines, 1 + (data[0] >> 2)) == whole);
        PX_ASSERT(read_blocks(text, separator, empty_lines, 1 + (data[0] >> 2)) == whole);
    }
    (void)px_csv_guess_separator(text);
    return 0;
}
