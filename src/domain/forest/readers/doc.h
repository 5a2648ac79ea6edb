/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pull reader over two encodings of the same document, so that XGBoost's model is read once for JSON
 * and UBJSON. The contract of shared/json.h holds for both: ask for what you expect, the first failure
 * sticks, check at the end.
 */
#ifndef PX_DOMAIN_FOREST_DOC_H
#define PX_DOMAIN_FOREST_DOC_H

#include "domain/forest/readers/ubjson.h"
#include "shared/vec.h"

struct px_doc {
    bool binary; /* UBJSON */
    bool no_memory;
    struct px_json json;
    struct px_ubjson ubjson;
};

struct px_floats {
    float *items;
    size_t len, cap;
};

struct px_doubles {
    double *items;
    size_t len, cap;
};

struct px_ints {
    int64_t *items;
    size_t len, cap;
};

struct px_strs {
    struct px_str *items;
    size_t len, cap;
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
int64_t px_doc_i64(struct px_doc *doc); /* true and false count as 1 and 0 */
void px_doc_skip(struct px_doc *doc);

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
