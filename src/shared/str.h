/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borrowed text: a pointer and a length, passed by value, not NUL-terminated, owned by somebody else.
 * The bytes may be anything; functions that want UTF-8 say so. A zeroed px_str is the empty string.
 */
#ifndef PX_SHARED_STR_H
#define PX_SHARED_STR_H

#include "shared/compiler.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct px_str {
    const char *ptr;
    size_t len;
};

/* A px_str of a string literal, usable in static initialisers. */
#define PX_STR(literal)                                                                            \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

/* For printf("%.*s"): PX_STR_ARG(s) expands to the two arguments; at most 200 bytes are shown. */
#define PX_STR_ARG(s) (int)((s).len < 200 ? (s).len : 200), (s).ptr

static inline struct px_str px_str(const char *text)
{
    return (struct px_str){text, text ? strlen(text) : 0};
}

static inline struct px_str px_str_n(const char *ptr, size_t len)
{
    return (struct px_str){ptr, len};
}

static inline bool px_str_eq(struct px_str a, struct px_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool px_str_is(struct px_str a, const char *literal)
{
    return px_str_eq(a, px_str(literal));
}

bool px_str_eq_nocase(struct px_str a, struct px_str b); /* ASCII case only */
bool px_str_starts(struct px_str s, const char *prefix);
bool px_str_ends(struct px_str s, const char *suffix);

/* Byte order, shorter first on a tie: <0, 0, >0. */
int px_str_cmp(struct px_str a, struct px_str b);

/* Without spaces, tabs, CR and LF at both ends. */
struct px_str px_str_trim(struct px_str s);

/* Index of the first `byte`, or s.len. */
size_t px_str_find(struct px_str s, char byte);

/*
 * Cuts the part before the first `separator` off `rest` and returns it; `rest` keeps what follows the
 * separator. At the end of the text the whole rest is returned and `rest` becomes {NULL, 0}:
 *     while (rest.ptr) { part = px_str_cut(&rest, ','); ... }
 */
struct px_str px_str_cut(struct px_str *rest, char separator);

/* The whole of `s` as a decimal integer; false when it is not one or does not fit. */
bool px_str_to_i64(struct px_str s, int64_t *ret);
bool px_str_to_u64(struct px_str s, uint64_t *ret);

/* Is `s` well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates)? */
bool px_str_is_utf8(struct px_str s);
/* Bytes of the longest prefix that is. */
size_t px_str_utf8_prefix(struct px_str s);
/* Bytes of the first character; 0 when it is not well-formed, or `s` is empty. */
size_t px_str_utf8_char(struct px_str s);

/*
 * The candidate nearest to `word` (Damerau-Levenshtein distance, case ignored), for "did you mean".
 * Returns the index, or -1 when none is close (more than a third of the letters differ). The work is bounded
 * whatever the texts are: after PX_NEAREST_STEPS_MAX pairs of letters the rest is not looked at.
 */
long px_str_nearest(struct px_str word, const struct px_str *candidates, size_t n);

enum { PX_NEAREST_STEPS_MAX = 1 << 17 }; /* about half a millisecond */

/* The same as px_str_nearest for names inside larger structs: the first one, and the bytes from one to the next. */
long px_str_nearest_of(struct px_str word, const struct px_str *first, size_t stride, size_t n);

#endif
