/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/rest: rows from text, for every dialect that sends them as JSON or CSV.
 *
 * Concepts
 * - A body is an object whose members are described by a table (px_body_member): some hold rows, of which exactly one
 *   must come; others say what to answer.
 * - Rows are instances (objects or arrays), records (objects of a table, which may have columns that are no
 *   feature), columns ({feature: [values]}), a split table ({columns, data}), or one JSON value per line.
 *
 * Everything is in the exchange's arena; errors go to call.err.
 */
#ifndef PX_INTERFACES_REST_ROWS_H
#define PX_INTERFACES_REST_ROWS_H

#include "interfaces/rest/inference.h"
#include "interfaces/rest/media.h"

/*
 * A row matrix that grows while rows are read, since "instances" does not say how many follow. Each
 * growth takes the rest of the text for rows like those so far, at most 16 times as many.
 */
struct px_row_growth {
    struct px_infer *infer;
    size_t n;        /* rows handed out */
    size_t capacity; /* rows of the matrix */
};

/*
 * Index of a new row whose values are all missing. `text_used` and `text_left` are the bytes of the rows
 * so far and of what follows. The matrix may move.
 */
PX_MUST_USE enum px_code px_rows_add(struct px_row_growth *growth, size_t text_used,
                                     size_t text_left, size_t *ret_row);
/* The matrix has exactly the rows handed out; after this it may be submitted. */
PX_MUST_USE enum px_code px_rows_end(struct px_row_growth *growth);

/* A JSON body that is being read. */
struct px_json_rows {
    struct px_infer *infer;
    const struct px_signature *signature;
    struct px_json json;
    struct px_row_growth growth;
    uint64_t *is_given;  /* bit per feature of the current object */
    uint64_t *is_ever;   /* of all records so far */
    struct px_str held;  /* a part that is read at the end of the body, as text */
    const char *row_key; /* a row may also be {row_key: [values]}; NULL: not so */
    bool met_row_key;    /* and one was */
    bool skips_unknown;  /* members of a row that are no feature are passed over */
    struct px_err *err;
};

PX_MUST_USE enum px_code px_json_rows_init(struct px_json_rows *in, struct px_infer *infer,
                                           struct px_str text);

/* The next value as the number that the model takes for the feature; [value] is that value. */
PX_MUST_USE enum px_code px_json_rows_value(struct px_json_rows *in, size_t feature, double *ret);

/* An array of instances. */
PX_MUST_USE enum px_code px_json_rows_instances(struct px_json_rows *in);
/* One instance as a new row; `used` and `left` as for px_rows_add. */
PX_MUST_USE enum px_code px_json_rows_instance(struct px_json_rows *in, size_t used, size_t left);
/* The same for a row that the caller names in errors. */
PX_MUST_USE enum px_code px_json_rows_line(struct px_json_rows *in, size_t used, size_t left);
/* An array of records: as instances, but every feature must appear in one of them. */
PX_MUST_USE enum px_code px_json_rows_records(struct px_json_rows *in);
/* {feature: [values]}, or an array of instances. */
PX_MUST_USE enum px_code px_json_rows_columns(struct px_json_rows *in);
/* {"columns": [names], "data": [[values]]}. */
PX_MUST_USE enum px_code px_json_rows_split(struct px_json_rows *in);
/* One instance per line of the body. */
PX_MUST_USE enum px_code px_json_rows_lines(struct px_infer *infer, const char *row_key);

/*
 * The same for a model of tensors (tensor_rows.c): {"instances": ...} row by row, {"inputs": ...} all rows at once. The readers of
 * rows above turn to these by themselves.
 */
PX_MUST_USE enum px_code px_json_tensors_instances(struct px_json_rows *in);
PX_MUST_USE enum px_code px_json_tensors_inputs(struct px_json_rows *in);
/* PX_E_UNSUPPORTED: the model takes no `what` ("CSV"), and what to send instead. */
enum px_code px_refuse_tables(struct px_infer *infer, const char *what);
/* Can what a run gave be JSON? Otherwise the request has failed, and is answered. True without a run. */
PX_MUST_USE bool px_check_run_predictions(struct px_infer *infer);
/*
 * What a model of tensors gave: an array with an element per row, {output: value} each when there are several outputs; or
 * `by_columns`, and when the outputs have no common rows, each output as a whole.
 */
void px_put_run_predictions(struct px_json_writer *w, const struct px_infer *infer,
                            bool by_columns);

/* A member of a body. */
struct px_body_member {
    struct px_str name;
    enum px_code (*read)(struct px_json_rows *in);
    bool has_rows;
};

struct px_body_form {
    const struct px_body_member *members;
    size_t n_members;
    const char *hint; /* what a body looks like */
    const char *row_key;
};

/* Reads the exchange's whole body by its form; `in` is what it leaves behind. */
PX_MUST_USE enum px_code px_body_read(struct px_infer *infer, const struct px_body_form *form,
                                      struct px_json_rows *in);

/* Members that several dialects have. */
enum px_code px_body_output(struct px_json_rows *in);         /* "output": "labels" */
enum px_code px_body_signature_name(struct px_json_rows *in); /* accepted: there is one */
enum px_code px_body_parameters(struct px_json_rows *in);     /* {"output": "labels", ...} */

/* Selects the output by ?output=labels, for bodies that have no other place for it. */
PX_MUST_USE enum px_code px_select_output_by_query(struct px_infer *infer);

/* A CSV body into the call's rows. */
PX_MUST_USE enum px_code px_read_csv(struct px_infer *infer);

#endif
