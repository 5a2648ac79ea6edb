/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pull reader over two encodings of the same document, so that XGBoost's model is read once for JSON
 * and UBJSON. The contract of shared/json.h holds for both: ask for what you expect, the first failure
 * sticks, check at the end.
 */
#ifndef PX_DOMAIN_FOREST_DOC_H
#define PX_DOMAIN_FOREST_DOC_H

#include "domain/forest/readers/lists.h"
#include "domain/forest/readers/ubjson.h"

struct px_doc {
    bool binary; /* UBJSON */
    bool no_memory;
    /* A finding of the reader's own that ends every walk, as a failure does; NULL: there is none. */
    const enum px_code *finding;
    struct px_json json;
    struct px_ubjson ubjson;
};

/* `arena` receives strings with escapes and must outlive them. */
void px_doc_init(struct px_doc *doc, struct px_str bytes, bool binary, struct px_arena *arena);

enum px_json_type px_doc_peek(struct px_doc *doc);
bool px_doc_enter_object(struct px_doc *doc);
bool px_doc_next_key(struct px_doc *doc, struct px_str *ret_key);
bool px_doc_enter_array(struct px_doc *doc);
bool px_doc_next_element(struct px_doc *doc);
struct px_str px_doc_str(struct px_doc *doc);
float px_doc_f32(struct px_doc *doc);
double px_doc_f64(struct px_doc *doc);  /* JSON only */
int64_t px_doc_i64(struct px_doc *doc); /* true and false count as 1 and 0 */
void px_doc_skip(struct px_doc *doc);

/* Takes a null, which some writers put for an empty list; false when something else comes. JSON only. */
bool px_doc_null(struct px_doc *doc);

/* A label: a string as it is, a number or truth value as its text. JSON only. */
struct px_str px_doc_label(struct px_doc *doc);
/* The same in JSON that is no document of its own: a text within a model. */
struct px_str px_doc_json_label(struct px_json *json);

/*
 * Objects as tables. A member is read by its function into its target; what is in no row is passed over, and
 * a member that comes twice replaces the first.
 */
struct px_doc_field {
    const char *key;
    void (*read)(struct px_doc *doc, void *target);
    void *target;
};

void px_doc_object(struct px_doc *doc, const struct px_doc_field *fields, size_t n);
/* Reads the value of a key that was just met; false, and nothing is read, when no row has it. */
bool px_doc_member(struct px_doc *doc, struct px_str key, const struct px_doc_field *fields,
                   size_t n);
/* Calls `read` at each element of a list, which may be written as null when it is empty. JSON only. */
void px_doc_list(struct px_doc *doc, void (*read)(struct px_doc *doc, void *target), void *target);

/* Functions of rows, by the type of their target. */
void px_doc_read_str(struct px_doc *doc, void *target); /* struct px_str */
void px_doc_read_i64(struct px_doc *doc, void *target); /* int64_t */
void px_doc_read_f64(struct px_doc *doc, void *target); /* double; JSON only */
void px_doc_read_single(struct px_doc *doc,
                        void *target);                    /* float, by way of a double; JSON only */
void px_doc_read_bool(struct px_doc *doc, void *target);  /* bool: truth value or number */
void px_doc_read_param(struct px_doc *doc, void *target); /* int64_t, by px_doc_param */
void px_doc_read_ints(struct px_doc *doc, void *target);  /* struct px_ints */
void px_doc_read_floats(struct px_doc *doc, void *target); /* struct px_floats */

/* A parameter: XGBoost writes them as strings; a plain integer is taken as well. */
int64_t px_doc_param(struct px_doc *doc);

/* A whole array replaces what `ret` held. */
void px_doc_floats(struct px_doc *doc, struct px_floats *ret);
void px_doc_ints(struct px_doc *doc, struct px_ints *ret);

void px_doc_fail(struct px_doc *doc, const char *reason);
bool px_doc_failed(const struct px_doc *doc);
/* PX_OK, PX_E_NO_MEMORY, or PX_E_CORRUPT with the place. */
PX_MUST_USE enum px_code px_doc_check(const struct px_doc *doc, struct px_err *err);
/* The same, and nothing but white space (JSON) may follow. */
PX_MUST_USE enum px_code px_doc_finish(struct px_doc *doc, struct px_err *err);

#endif
