/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a table: names of columns, bound to the features of a model.
 *
 * Columns are matched by name; columns that are no feature are ignored. By position (asked for, without
 * a header, or when the model has no names and the header none of f0, f1, ...) the columns are the features in
 * order; a column with the target's name is left out first.
 *
 * Ownership: init/deinit; the signature must outlive it. Once bound it is only read, by any thread.
 */
#ifndef PX_APPLICATION_BATCH_HEADER_H
#define PX_APPLICATION_BATCH_HEADER_H

#include "domain/inference/signature.h"

struct px_rows_options {
    char separator; /* 0 = guessed from the first line */
    bool by_position;
    bool no_header;       /* implies by_position */
    struct px_str target; /* column to leave out by position; empty = none */
    bool with_scores;     /* leave out "score" and "score_..." by position as well */
};

struct px_header {
    const struct px_signature *signature;
    struct px_rows_options options;
    const struct px_str *columns; /* [n_columns]; empty texts without a header */
    size_t n_columns;
    bool bound;
    struct px_column_binding binding;
    const int32_t *slots; /* [n_columns], for csv_plain.h: only NUMBER features are read there */
    /* private */
    struct px_arena arena;
};

void px_header_init(struct px_header *header, const struct px_signature *signature,
                    const struct px_rows_options *options);
void px_header_deinit(struct px_header *header);

/*
 * Binds to `names` ([n], any text; with no_header they are not looked at). PX_E_INVALID: a feature has no
 * column, the count is wrong, or the names look like data.
 */
PX_MUST_USE enum px_code px_header_bind(struct px_header *header, const struct px_str *names,
                                        size_t n, struct px_err *err);

#endif
