/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers to text and back, correctly rounded, without the locale.
 *
 * Parsing takes the JSON number grammar (RFC 8259) and, where lenient forms are allowed, also a leading
 * '+', leading zeros, a leading or trailing '.', and "nan", "inf", "infinity" in any case. The result
 * is the float or double nearest to the decimal text (ties to even): a float is parsed as a float, never as a double
 * that is then rounded again. Printing gives the shortest text that parses back to the same value
 * of the same type (as Ryu and Schubfach do).
 */
#ifndef PX_SHARED_NUMBER_H
#define PX_SHARED_NUMBER_H

#include "shared/str.h"

enum { PX_NUMBER_TEXT_MAX = 32 };

/*
 * Parse a number at the start of [at, end), in JSON's grammar. Return the first byte after it, or NULL
 * when there is none or it breaks off ("1.", "1e"). Values beyond the type's range become infinities,
 * tiny ones zero, as strtod does.
 */
const char *px_number_parse_f32(const char *at, const char *end, float *ret);
const char *px_number_parse_f64(const char *at, const char *end, double *ret);

/* The whole of `s`, lenient forms allowed; false when it is not a number. */
bool px_str_to_f32(struct px_str s, float *ret);
bool px_str_to_f64(struct px_str s, double *ret);

/*
 * Shortest round-trip text; returns the length (no NUL is written). `out` has PX_NUMBER_TEXT_MAX bytes.
 * From 0.0001 to below 10^16 there is no exponent, and whole numbers keep ".0" (1 prints as 1.0), so that
 * the JSON value stays a float for typed readers; the others look like 1e-07. NaN and infinities print as
 * NaN, Infinity, -Infinity.
 */
size_t px_number_print_f32(float value, char *out);
size_t px_number_print_f64(double value, char *out);

#endif
