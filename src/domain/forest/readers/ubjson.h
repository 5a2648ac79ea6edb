/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UBJSON: a pull reader over bytes in memory, for the dialect that XGBoost writes (draft 12 of the
 * format, numbers big-endian). It mirrors shared/json.h: the caller asks for what it expects, the first
 * failure sticks, nothing is allocated.
 *
 * Containers: plain arrays `[ ... ]`, counted arrays `[ # n`, typed arrays `[ $ t # n` of numbers (no
 * marker before a value and no `]` after the last), and plain objects, whose keys have no marker.
 * Counted and typed objects, typed arrays of anything but numbers, and high-precision numbers (`H`) are
 * refused: XGBoost never writes them. Counts are checked against the bytes that are left.
 */
#ifndef PX_DOMAIN_FOREST_UBJSON_H
#define PX_DOMAIN_FOREST_UBJSON_H

#include "shared/cursor.h"
#include "shared/json.h"

struct px_ubjson_level {
    bool object, counted;
    char type;     /* of a typed array, else 0 */
    uint64_t left; /* elements of a counted array */
};

struct px_ubjson {
    struct px_cursor cursor;
    /* private */
    const unsigned char *start;
    unsigned depth;
    struct px_ubjson_level levels[PX_JSON_DEPTH_MAX + 1];
    enum px_code code; /* sticky */
    const unsigned char *failed_at;
    char reason[160];
};

void px_ubjson_init(struct px_ubjson *u, struct px_str bytes);

/* The next value's type, without consuming it; the types are JSON's. */
enum px_json_type px_ubjson_peek(struct px_ubjson *u);

bool px_ubjson_enter_object(struct px_ubjson *u);
bool px_ubjson_next_key(struct px_ubjson *u, struct px_str *ret_key);
bool px_ubjson_enter_array(struct px_ubjson *u);
bool px_ubjson_next_element(struct px_ubjson *u);

/*
 * Right after px_ubjson_enter_array, when the array is a typed one of `type`: leaves it and returns its
 * values as they stand in the file (big-endian), and how many they are. NULL for any other array.
 */
const unsigned char *px_ubjson_take_typed(struct px_ubjson *u, char type, size_t *ret_n);

struct px_str px_ubjson_str(struct px_ubjson *u); /* a view into the bytes; valid UTF-8 */
float px_ubjson_f32(struct px_ubjson *u);         /* any number, rounded to float */
int64_t px_ubjson_i64(struct px_ubjson *u);
bool px_ubjson_bool(struct px_ubjson *u);
void px_ubjson_skip(struct px_ubjson *u);

void px_ubjson_fail(struct px_ubjson *u, const char *format, ...) PX_PRINTF(2, 3);
bool px_ubjson_failed(const struct px_ubjson *u);
/* PX_OK, or PX_E_CORRUPT "UBJSON byte 120: ...". */
PX_MUST_USE enum px_code px_ubjson_check(const struct px_ubjson *u, struct px_err *err);

#endif
