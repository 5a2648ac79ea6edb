/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CSV, RFC 4180 with what files in the wild add: LF, CRLF or CR line ends, a UTF-8 byte order mark,
 * any one-byte separator, and blank lines, which are passed over (but see `empty_lines`). A quoted field may hold separators,
 * line breaks and doubled quotes. A quote inside an unquoted field, text after a closing quote, or a quote
 * that is never closed (or not within PX_CSV_RECORD_MAX) breaks the record; reading goes on with the line
 * after the one where the record starts, so a stray quote does not swallow a file.
 *
 * The reader is sans-I/O and streaming: the caller feeds chunks, the reader hands out one record at a
 * time and asks for more. Memory is one record, with a limit.
 *
 *     px_csv_init(&csv, ',');
 *     for (;;) {
 *         switch (px_csv_next(&csv, &record, &err)) {
 *         case PX_CSV_RECORD: use(record); break;
 *         case PX_CSV_MORE:   n = read(...); px_csv_feed(&csv, bytes, n, &err); break; // n == 0: the end
 *         case PX_CSV_BAD:    report(record.line, &err); break;
 *         case PX_CSV_END:    return;
 *         }
 *     }
 *
 * A long text can also be read in blocks, by several threads at once. px_csv_cut says how much of a piece
 * is whole records, and where the rest stands; px_csv_read_block reads such a block in place. The blocks
 * together give the same events as one reader of the whole text.
 */
#ifndef PX_SHARED_CSV_H
#define PX_SHARED_CSV_H

#include "shared/buf.h"
#include "shared/vec.h"

enum px_csv_event {
    PX_CSV_RECORD,
    PX_CSV_MORE, /* feed more bytes; feeding 0 bytes says that the text has ended */
    PX_CSV_BAD,  /* this record is broken; err says how, ret->line where, the next call goes on */
    PX_CSV_END,
};

struct px_csv_field {
    struct px_str text; /* unquoted; valid until the next call of px_csv_next or px_csv_feed */
    bool quoted; /* so that a caller can tell "" from nothing; to a signature both are missing */
};

struct px_csv_record {
    const struct px_csv_field *fields;
    size_t n_fields;
    uint64_t line; /* where the record starts, 1-based */
};

enum {
    PX_CSV_FIELDS_MAX = 1 << 16,
    PX_CSV_RECORD_MAX = 1 << 24, /* bytes */
};

/* Where a text stands between two records; all zero but line = 1 at its beginning. */
struct px_csv_place {
    uint64_t line;
    bool started;    /* a byte order mark would have been passed over */
    bool after_cr;   /* a LF that comes next belongs to the line end before it */
    bool in_line;    /* the line of the last record has not ended yet */
    bool discarding; /* passing over the rest of a line that is given up */
};

struct px_csv {
    char separator;
    /*
     * A line without a byte is a record of one empty field. For tables of one column, where it would be lost
     * otherwise; what follows the last line end is still no line. The caller may set it between two records.
     */
    bool empty_lines;
    /* private */
    struct px_buf pending; /* bytes fed and not yet handed out */
    char *text;            /* what is read: `pending`, or the caller's block */
    size_t len;
    size_t at;       /* start of the next record in `text` */
    size_t scanned;  /* how far the search for the record's end has come */
    bool in_quotes;  /* state at `scanned` */
    bool has_quotes; /* somewhere between `at` and `scanned` */
    bool ended;
    bool goes_on; /* the block ends, but not the text */
    struct px_csv_place place;
    PX_VEC(struct px_csv_field) fields;
};

/* `separator` is any byte but a quote, CR or LF. */
void px_csv_init(struct px_csv *csv, char separator);
void px_csv_deinit(struct px_csv *csv);
/* As px_csv_init for a reader that was used, whose memory is kept. */
void px_csv_reset(struct px_csv *csv, char separator);

/* Adds bytes (copied). len == 0: no more will come. PX_E_NO_MEMORY when short; nothing is lost then. */
PX_MUST_USE enum px_code px_csv_feed(struct px_csv *csv, const void *bytes, size_t len,
                                     struct px_err *err);

/*
 * Reads `text` in place (quoted fields are unquoted in it) instead of what is fed. It begins at `place` and
 * was cut by px_csv_cut; `goes_on`: another block follows. The memory of a reader that was used is
 * kept, as by px_csv_reset.
 */
void px_csv_read_block(struct px_csv *csv, char *text, size_t len, const struct px_csv_place *place,
                       bool goes_on);

/*
 * How many bytes of `text`, which begins at `place`, are whole records: 0 when a record does not end
 * within it. `place` moves on by as much. `ended`: nothing comes after the text, so all of it counts.
 */
size_t px_csv_cut(char separator, struct px_str text, bool ended, struct px_csv_place *place);

/* What comes next, without the line ends before it, when a record begins there; else empty. */
struct px_str px_csv_ahead(struct px_csv *csv);
/* The caller has read the record that begins `ahead` itself: `len` bytes without quotes and line ends. */
void px_csv_pass(struct px_csv *csv, size_t len);

enum px_csv_event px_csv_next(struct px_csv *csv, struct px_csv_record *ret, struct px_err *err);

/* The separator that splits the first line of `sample` that is not blank best among , ; tab and |. */
char px_csv_guess_separator(struct px_str sample);

/* Appends one field, quoted when it must be. An empty field is written as nothing: a missing value. */
void px_csv_put(struct px_buf *buf, struct px_str field, char separator);

#endif
