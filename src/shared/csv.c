/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record is handled in two steps. The first looks for its end and can stop at any byte when the text
 * runs out, so it keeps only a position and whether that is within quotes. The second splits the whole
 * record into fields and removes doubled quotes in place; it alone judges the form of the fields.
 *
 *   pending:  [ handed out | record ........ scanned | not looked at yet ]
 *                          ^ at
 *
 *   1. A quote opens a field only right after a separator or at the record's start, and closes it only
 *      right before a separator or a line end. Any other quote breaks the record at once, and reading
 *      goes on with the next line. A record that ran over many lines before it broke is thus read
 *      again, but only once: seen from its second line, all that was within quotes is outside, so
 *      every line end there ends a record. The work stays linear for any text.
 *   2. `at` stops before the line end of the last record; the next call passes over it and over blank
 *      lines. The fields handed out therefore stay untouched until then.
 *      With `empty_lines` it passes over no more than the line end of that record; a line end that comes
 *      then is a record of its own. place.in_line tells the two apart, also from one block to the next.
 *   3. `pending` never holds more than one record within its limit plus what was fed last.
 */
#include "shared/csv.h"

#include "shared/csv_plain.h"

void px_csv_init(struct px_csv *csv, char separator)
{
    PX_ASSERT(separator != '"' && separator != '\n' && separator != '\r');
    *csv = (struct px_csv){
        .separator = separator, .place = {.line = 1}, .pending = px_buf(SIZE_MAX / 2)};
}

void px_csv_deinit(struct px_csv *csv)
{
    px_buf_deinit(&csv->pending);
    px_vec_free(&csv->fields);
}

void px_csv_reset(struct px_csv *csv, char separator)
{
    struct px_csv used = *csv;
    px_csv_init(csv, separator);
    csv->pending = used.pending;
    csv->fields.items = used.fields.items;
    csv->fields.cap = used.fields.cap;
    px_buf_clear(&csv->pending);
}

enum px_code px_csv_feed(struct px_csv *csv, const void *bytes, size_t len, struct px_err *err)
{
    PX_ASSERT(!csv->ended || len == 0);
    csv->ended = len == 0;
    px_buf_consume(&csv->pending, csv->at);
    csv->scanned -= csv->at;
    csv->at = 0;
    px_buf_append(&csv->pending, bytes, len);
    csv->text = csv->pending.ptr;
    csv->len = csv->pending.len;
    if (!csv->pending.failed)
        return PX_OK;
    csv->pending.failed = csv->pending.no_memory = false;
    return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu bytes of CSV", len);
}

/* Passes over a byte order mark; false when more bytes are needed to tell. */
static bool start_text(struct px_csv *csv)
{
    if (csv->place.started)
        return true;
    if (csv->len < 3 && !csv->ended)
        return false;
    csv->place.started = true;
    if (px_str_starts(px_str_n(csv->text, csv->len), "\xEF\xBB\xBF"))
        csv->at = csv->scanned = 3;
    return true;
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

/* Is the line end at `at` one to pass over, not an empty line that counts? */
static bool is_passed_over(const struct px_csv *csv)
{
    bool rest_of_crlf = csv->place.after_cr && csv->text[csv->at] == '\n';
    return !csv->empty_lines || csv->place.in_line || rest_of_crlf;
}

/* Moves `at` to where the next record begins, and counts the lines. */
static void pass_line_ends(struct px_csv *csv)
{
    const char *text = csv->text;
    for (; csv->at < csv->len && is_line_end(text[csv->at]) && is_passed_over(csv); csv->at++) {
        if (text[csv->at] == '\r')
            csv->place.line++;
        else if (!csv->place.after_cr)
            csv->place.line++;
        csv->place.after_cr = text[csv->at] == '\r';
        csv->place.in_line = false;
    }
    if (csv->at < csv->len)
        csv->place.after_cr = false;
    csv->scanned = csv->at;
}

/* Moves `at` to the end of the line that is given up, or of the text. */
static void pass_line(struct px_csv *csv)
{
    const char *text = csv->text;
    while (csv->at < csv->len && !is_line_end(text[csv->at]))
        csv->at++;
    csv->place.discarding = csv->at == csv->len;
    csv->place.in_line = true;
    csv->scanned = csv->at;
}

/* The first quote, CR or LF, looking at eight bytes at a time; `end` when there is none. */
static const char *find_special(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t quote = word ^ (ones * '"'), cr = word ^ (ones * '\r'), lf = word ^ (ones * '\n');
        uint64_t zeros = ((quote - ones) & ~quote) | ((cr - ones) & ~cr) | ((lf - ones) & ~lf);
        if (zeros & tops)
            break;
        at += 8;
    }
    while (at < end && *at != '"' && !is_line_end(*at))
        at++;
    return at;
}

enum search { SEARCH_FOUND, SEARCH_MORE, SEARCH_STRAY_QUOTE };

/* Handles the quote at `at`, within or outside of quotes, and returns where to go on; NULL: stray. */
static const char *pass_quote(struct px_csv *csv, const char *at, const char *end)
{
    if (!csv->in_quotes) {
        bool opens = at == csv->text + csv->at || at[-1] == csv->separator;
        csv->has_quotes = csv->in_quotes = true;
        return opens ? at + 1 : NULL;
    }
    if (at + 1 < end && at[1] == '"')
        return at + 2;
    csv->in_quotes = false;
    bool closes = at + 1 == end || at[1] == csv->separator || is_line_end(at[1]);
    return closes ? at + 1 : NULL;
}

/* Searches on from `scanned`, which moves to the record's end or as far as the text goes. */
static enum search find_end(struct px_csv *csv)
{
    const char *text = csv->text, *end = text + csv->len, *at = text + csv->scanned;
    enum search result = csv->ended ? SEARCH_FOUND : SEARCH_MORE;
    while (at < end) {
        const char *stop =
            csv->in_quotes ? memchr(at, '"', (size_t)(end - at)) : find_special(at, end);
        at = stop ? stop : end;
        if (at == end)
            break;
        if (!csv->in_quotes && *at != '"') {
            result = SEARCH_FOUND;
            break;
        }
        if (csv->in_quotes && at + 1 == end && !csv->ended)
            break; /* the byte after a quote says whether it closes */
        const char *after = pass_quote(csv, at, end);
        if (!after) {
            result = SEARCH_STRAY_QUOTE;
            break;
        }
        at = after;
    }
    csv->scanned = (size_t)(at - text);
    return result;
}

/* ---- fields ---- */

static enum px_code add_field(struct px_csv *csv, struct px_str text, bool quoted,
                              struct px_err *err)
{
    if (csv->fields.len == PX_CSV_FIELDS_MAX)
        return px_err_set(err, PX_E_INVALID, "expected at most %d fields", PX_CSV_FIELDS_MAX);
    struct px_csv_field *field = px_vec_push(&csv->fields);
    if (!field)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu fields", csv->fields.len + 1);
    *field = (struct px_csv_field){text, quoted};
    return PX_OK;
}

/* The quoted field at *at (a quote), undoubled in place; *at moves behind it. */
static struct px_str split_quoted(char **at, const char *end)
{
    char *in = *at + 1, *out = in;
    const char *start = in;
    while (in < end && !(*in == '"' && (in + 1 == end || in[1] != '"'))) {
        in += *in == '"';
        *out++ = *in++;
    }
    *at = in + 1; /* behind the closing quote, which find_end has seen */
    return px_str_n(start, (size_t)(out - start));
}

static struct px_str split_plain(char **at, const char *end, char separator)
{
    char *start = *at, *to = start;
    while (to < end && *to != separator)
        to++;
    *at = to;
    return px_str_n(start, (size_t)(to - start));
}

/* Splits [at, end) into csv->fields. */
static enum px_code split(struct px_csv *csv, char *at, const char *end, struct px_err *err)
{
    csv->fields.len = 0;
    for (;;) {
        bool quoted = at < end && *at == '"';
        struct px_str text =
            quoted ? split_quoted(&at, end) : split_plain(&at, end, csv->separator);
        enum px_code code = add_field(csv, text, quoted, err);
        if (code != PX_OK || at == end)
            return code;
        at++; /* the separator; another field follows, if only an empty one */
    }
}

static uint64_t count_lines(const char *at, const char *end)
{
    uint64_t lines = 0;
    for (; at < end; at++)
        lines += *at == '\n' || (*at == '\r' && !(at + 1 < end && at[1] == '\n'));
    return lines;
}

/* ---- records ---- */

/* Gives up the line where the record starts. */
static enum px_csv_event give_up_line(struct px_csv *csv)
{
    csv->place.discarding = true;
    csv->in_quotes = csv->has_quotes = false;
    return PX_CSV_BAD;
}

/* 1-based number of the field that holds the stray quote at `fault`. */
static size_t field_number(const struct px_csv *csv, const char *fault)
{
    size_t n = 1;
    bool in_quotes = false;
    for (const char *at = csv->text + csv->at; at < fault; at++) {
        in_quotes ^= *at == '"';
        n += !in_quotes && *at == csv->separator;
    }
    return n;
}

static void explain_stray_quote(const struct px_csv *csv, struct px_err *err)
{
    size_t field = field_number(csv, csv->text + csv->scanned);
    px_err_set(err, PX_E_INVALID,
               csv->in_quotes ? "field %zu has a quote inside, but does not start with one"
                              : "field %zu goes on after its closing quote",
               field);
    px_err_hint(err, "put the whole field in quotes and double the quotes within");
}

/* Moves over the record from `at` to `scanned`, up to its line end. */
static void pass_record(struct px_csv *csv)
{
    if (csv->has_quotes)
        csv->place.line += count_lines(csv->text + csv->at, csv->text + csv->scanned);
    csv->at = csv->scanned;
    csv->has_quotes = false;
    csv->place.in_line = true;
}

/* Splits the record from `at` to `scanned`. */
static enum px_csv_event take_record(struct px_csv *csv, struct px_csv_record *ret,
                                     struct px_err *err)
{
    char *start = csv->text + csv->at, *end = csv->text + csv->scanned;
    pass_record(csv);
    if (split(csv, start, end, err) != PX_OK)
        return PX_CSV_BAD;
    ret->fields = csv->fields.items;
    ret->n_fields = csv->fields.len;
    return PX_CSV_RECORD;
}

/* Moves `at` to where a record begins; false when there is none yet. */
static bool start_record(struct px_csv *csv)
{
    if (!start_text(csv))
        return false;
    if (csv->place.discarding)
        pass_line(csv);
    if (csv->scanned == csv->at)
        pass_line_ends(csv);
    return csv->at < csv->len;
}

/*
 * Finds the next record: from `at` to `scanned` when the event is RECORD. In a block that is not the last, only
 * a record that px_csv_cut gave up, because it is too large, has no end.
 */
static enum px_csv_event find_record(struct px_csv *csv, struct px_err *err)
{
    if (!start_record(csv))
        return csv->ended ? PX_CSV_END : PX_CSV_MORE;
    enum search search = find_end(csv);
    bool endless = search == SEARCH_FOUND && csv->goes_on && csv->scanned == csv->len;
    if (endless || csv->scanned - csv->at > PX_CSV_RECORD_MAX) {
        px_err_set(err, PX_E_TOO_LARGE, "expected a record of at most %d bytes", PX_CSV_RECORD_MAX);
        px_err_hint(err, "look for a quote that is never closed");
        return give_up_line(csv);
    }
    if (search == SEARCH_MORE)
        return PX_CSV_MORE;
    if (search == SEARCH_FOUND && !csv->in_quotes)
        return PX_CSV_RECORD;
    if (search == SEARCH_FOUND)
        px_err_set(err, PX_E_INVALID, "a quote in this record is never closed");
    else
        explain_stray_quote(csv, err);
    return give_up_line(csv);
}

enum px_csv_event px_csv_next(struct px_csv *csv, struct px_csv_record *ret, struct px_err *err)
{
    enum px_csv_event event = find_record(csv, err);
    *ret = (struct px_csv_record){.line = csv->place.line};
    return event == PX_CSV_RECORD ? take_record(csv, ret, err) : event;
}

/* ---- blocks ---- */

void px_csv_read_block(struct px_csv *csv, char *text, size_t len, const struct px_csv_place *place,
                       bool goes_on)
{
    px_csv_reset(csv, csv->separator);
    csv->text = text;
    csv->len = len;
    csv->ended = true;
    csv->goes_on = goes_on;
    csv->place = *place;
}

/* Without quotes every line end ends a record, so the last one says all. */
static size_t cut_unquoted(struct px_str text, const struct px_csv_survey *survey,
                           struct px_csv_place *place)
{
    if (survey->after_last) {
        place->line += survey->line_ends;
        place->after_cr = text.ptr[survey->after_last - 1] == '\r';
        place->in_line = false;
    }
    return survey->after_last;
}

/* The text is only read: a record that is not split is not changed. */
static size_t cut_quoted(char separator, struct px_str text, struct px_csv_place *place)
{
    char *bytes;
    struct px_csv csv = {.separator = separator, .len = text.len, .place = *place};
    memcpy(&bytes, &text.ptr, sizeof bytes);
    csv.text = bytes;
    for (enum px_csv_event event; (event = find_record(&csv, NULL)) != PX_CSV_MORE;) {
        if (event == PX_CSV_RECORD)
            pass_record(&csv);
    }
    *place = csv.place;
    return csv.at;
}

size_t px_csv_cut(char separator, struct px_str text, bool ended, struct px_csv_place *place)
{
    if (ended || text.len == 0)
        return text.len;
    struct px_csv_survey survey = px_csv_survey(text, place->after_cr);
    bool simple = !survey.quotes && place->started && !place->discarding;
    if (simple && (survey.after_last || text.len <= PX_CSV_RECORD_MAX))
        return cut_unquoted(text, &survey, place);
    return cut_quoted(separator, text, place);
}

struct px_str px_csv_ahead(struct px_csv *csv)
{
    if (!start_record(csv) || csv->scanned != csv->at)
        return (struct px_str){0};
    return px_str_n(csv->text + csv->at, csv->len - csv->at);
}

void px_csv_pass(struct px_csv *csv, size_t len)
{
    PX_ASSERT(csv->scanned == csv->at && len <= csv->len - csv->at);
    csv->at += len;
    csv->scanned = csv->at;
    csv->place.in_line = true;
}

char px_csv_guess_separator(struct px_str sample)
{
    static const char candidates[] = ",;\t|";
    size_t counts[sizeof candidates - 1] = {0}, best = 0;
    bool in_quotes = false;
    size_t at = px_str_starts(sample, "\xEF\xBB\xBF") ? 3 : 0;
    while (at < sample.len && is_line_end(sample.ptr[at])) /* blank lines are no records */
        at++;
    for (; at < sample.len; at++) {
        char c = sample.ptr[at];
        in_quotes ^= c == '"';
        if (in_quotes)
            continue;
        if (is_line_end(c))
            break;
        const char *candidate = c ? strchr(candidates, c) : NULL;
        if (candidate)
            counts[candidate - candidates]++;
    }
    for (size_t i = 1; i < PX_ARRAY_LEN(counts); i++) {
        if (counts[i] > counts[best])
            best = i;
    }
    return candidates[best];
}

void px_csv_put(struct px_buf *buf, struct px_str field, char separator)
{
    bool plain = true;
    for (size_t i = 0; i < field.len && plain; i++) {
        char c = field.ptr[i];
        plain = c != separator && c != '"' && !is_line_end(c);
    }
    if (plain) {
        px_buf_str(buf, field);
        return;
    }
    px_buf_byte(buf, '"');
    for (struct px_str rest = field; rest.ptr;) {
        struct px_str part = px_str_cut(&rest, '"');
        px_buf_str(buf, part);
        if (rest.ptr)
            px_buf_text(buf, "\"\"");
    }
    px_buf_byte(buf, '"');
}
