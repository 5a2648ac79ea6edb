/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encoded rows in, printed scores out: what every thread of a batch has of its own.
 *
 * A format says how scores are printed and is shared; a scorer collects rows into a chunk, scores the chunk
 * when it is full and appends the text. A chunk is small enough to stay in the processor's cache.
 *
 * Ownership: init/deinit; package and format must outlive the scorer. Threads: a format is only read; a scorer
 * belongs to one thread at a time.
 */
#ifndef PX_APPLICATION_BATCH_SCORER_H
#define PX_APPLICATION_BATCH_SCORER_H

#include "application/lifecycle/package.h"

struct px_format {
    bool margin;          /* raw margins instead of scores */
    bool json;            /* JSON lines instead of CSV */
    const char *place;    /* what a row's place is called in JSON: "line" */
    struct px_str *names; /* [n_scores] */
    size_t n_scores;
    enum px_datatype type; /* of the scores */
    /* private */
    struct px_buf text; /* the bytes of the names */
};

/* `margin`, `json` and `place` are set before. */
PX_MUST_USE enum px_code px_format_init(struct px_format *format, const struct px_package *package,
                                        struct px_err *err);
void px_format_deinit(struct px_format *format);

/* The first line of CSV; nothing for JSON. */
void px_format_header(const struct px_format *format, struct px_buf *out);
/* At most this many bytes are printed for a row. */
size_t px_format_row_max(const struct px_format *format);

struct px_scorer {
    struct px_matrix chunk; /* n_rows = rows that wait to be scored */
    size_t chunk_rows;      /* room */
    uint64_t *places;       /* [chunk_rows]: line of each waiting row */
    /* private */
    const struct px_package *package;
    const struct px_format *format;
    void *scores, *scratch;
};

PX_MUST_USE enum px_code px_scorer_init(struct px_scorer *scorer, const struct px_package *package,
                                        const struct px_format *format, struct px_err *err);
void px_scorer_deinit(struct px_scorer *scorer);

/* Scores the rows that wait and prints them. What fails is in `out`. */
void px_scorer_flush(struct px_scorer *scorer, struct px_buf *out);

/* One more row waits, at `place`; flushes when the chunk is full. */
static inline void px_scorer_add(struct px_scorer *scorer, uint64_t place, struct px_buf *out)
{
    scorer->places[scorer->chunk.n_rows++] = place;
    if (scorer->chunk.n_rows == scorer->chunk_rows)
        px_scorer_flush(scorer, out);
}

#endif
