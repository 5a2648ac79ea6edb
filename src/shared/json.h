/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON: a pull reader over text in memory, and a writer. RFC 8259.
 *
 * Reader. The caller walks the document and asks for what it expects; nothing is allocated except the
 * copy of a string with escapes. The first failure sticks: later calls return false or zero, and
 * px_json_check turns it into an error with the place. Example:
 *
 *     px_json_enter_object(&json);
 *     while (px_json_next_key(&json, &key)) {
 *         if (px_str_is(key, "rows")) rows = px_json_i64(&json);
 *         else px_json_skip(&json);
 *     }
 *     return px_json_finish(&json, err);
 *
 * Every value must be consumed by exactly one read, enter or skip. Strings must be valid UTF-8, \u
 * escapes are decoded (lone surrogates are refused). Duplicate keys are the caller's business.
 * The reader needs no terminator after the text and never reads past `end`.
 */
#ifndef PX_SHARED_JSON_H
#define PX_SHARED_JSON_H

#include "shared/arena.h"
#include "shared/buf.h"

enum px_json_type {
    PX_JSON_NONE = 0, /* end of text, or an earlier failure */
    PX_JSON_NULL,
    PX_JSON_BOOL,
    PX_JSON_NUMBER,
    PX_JSON_STRING,
    PX_JSON_ARRAY,
    PX_JSON_OBJECT,
};

enum px_json_flags {
    PX_JSON_NONFINITE = 1, /* accept the bare words NaN, Infinity, -Infinity as numbers */
};

enum {
    PX_JSON_DEPTH_MAX = 64,
    PX_JSON_STRING_MAX = 1 << 16, /* bytes in one string or key that is read (not of one skipped) */
};

struct px_json {
    const char *at, *end;
    /* private */
    const char *start;
    struct px_arena *arena; /* for strings with escapes */
    unsigned flags;
    unsigned depth;
    bool first;            /* no element of the innermost container was read yet */
    uint64_t in_object;    /* bit d: the container at depth d is an object */
    enum px_code code;     /* sticky */
    const char *failed_at; /* where */
    char reason[160];      /* "expected ',' or '}', got 'x'" */
};

/*
 * `arena` receives strings that need decoding and must outlive them; it may be NULL when the caller reads
 * no strings and keys with escapes (they fail then). `flags` of px_json_flags.
 */
void px_json_init(struct px_json *json, struct px_str text, struct px_arena *arena, unsigned flags);

/* The type of the next value, without consuming it. */
enum px_json_type px_json_peek(struct px_json *json);

bool px_json_enter_object(struct px_json *json);
/* The next key of the innermost object; false at its end, which is consumed, or on failure. */
bool px_json_next_key(struct px_json *json, struct px_str *ret_key);
bool px_json_enter_array(struct px_json *json);
/* Is there another element? False at the end, which is consumed, or on failure. */
bool px_json_next_element(struct px_json *json);

/* One value of that type; a wrong type is a failure that names both types. */
struct px_str px_json_str(struct px_json *json);
double px_json_f64(struct px_json *json);
float px_json_f32(struct px_json *json);
int64_t px_json_i64(struct px_json *json); /* a number with a fraction or exponent is a failure */
uint64_t px_json_u64(struct px_json *json);
bool px_json_bool(struct px_json *json);
/* Consumes a null if one is next; false (and nothing consumed) otherwise. */
bool px_json_null(struct px_json *json);
/* Consumes any value, with the same checks as reading it. */
void px_json_skip(struct px_json *json);
/* Consumes any value and returns its text. */
struct px_str px_json_raw(struct px_json *json);

/* Records a failure of the caller's at the current place ("shape must not be negative"). */
void px_json_fail(struct px_json *json, const char *format, ...) PX_PRINTF(2, 3);
bool px_json_failed(const struct px_json *json);

/*
 * PX_OK, or PX_E_INVALID "JSON line 3 column 14: expected ..., got ..."; PX_E_TOO_LARGE when the arena is
 * full, PX_E_NO_MEMORY. Columns count characters.
 */
PX_MUST_USE enum px_code px_json_check(const struct px_json *json, struct px_err *err);
/* The same, and nothing but white space may follow. */
PX_MUST_USE enum px_code px_json_finish(struct px_json *json, struct px_err *err);

/*
 * Fast path for tensors: reads an array of numbers, flat or nested to any depth within the limit, into
 * `out` in document order. `null` becomes NaN when `null_is_nan`, else it is a failure. Returns the
 * count; more than `max` numbers is a failure that says so.
 */
size_t px_json_f32_array(struct px_json *json, float *out, size_t max, bool null_is_nan);
size_t px_json_f64_array(struct px_json *json, double *out, size_t max, bool null_is_nan);

/*
 * Writer: appends to a px_buf and places commas itself. Keys and strings are escaped; bytes that are not
 * UTF-8 become U+FFFD, so the output is always valid.
 */
struct px_json_writer {
    struct px_buf *buf;
    /* private */
    bool comma;
};

static inline struct px_json_writer px_json_writer(struct px_buf *buf)
{
    return (struct px_json_writer){buf, false};
}

void px_json_begin_object(struct px_json_writer *w);
void px_json_end_object(struct px_json_writer *w);
void px_json_begin_array(struct px_json_writer *w);
void px_json_end_array(struct px_json_writer *w);
void px_json_key(struct px_json_writer *w, const char *key);
void px_json_key_str(struct px_json_writer *w, struct px_str key);
void px_json_put_str(struct px_json_writer *w, struct px_str value);
void px_json_put_text(struct px_json_writer *w, const char *value);
void px_json_put_i64(struct px_json_writer *w, int64_t value);
void px_json_put_u64(struct px_json_writer *w, uint64_t value);
void px_json_put_bool(struct px_json_writer *w, bool value);
void px_json_put_null(struct px_json_writer *w);
/* Shortest round-trip text. NaN and infinities: the bare words when `nonfinite`, else null. */
void px_json_put_f64(struct px_json_writer *w, double value, bool nonfinite);
void px_json_put_f32(struct px_json_writer *w, float value, bool nonfinite);
/* Text that is JSON already. */
void px_json_put_raw(struct px_json_writer *w, struct px_str json);

/* A member of an object: the key and its value in one call; a number that is not finite is null. */
void px_json_member_str(struct px_json_writer *w, const char *key, struct px_str value);
void px_json_member_text(struct px_json_writer *w, const char *key, const char *value);
void px_json_member_u64(struct px_json_writer *w, const char *key, uint64_t value);
void px_json_member_f64(struct px_json_writer *w, const char *key, double value);
void px_json_member_bool(struct px_json_writer *w, const char *key, bool value);
void px_json_member_strs(struct px_json_writer *w, const char *key, const struct px_str *values,
                         size_t n);

#endif
