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
