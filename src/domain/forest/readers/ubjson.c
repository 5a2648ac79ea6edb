/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/readers/ubjson.h"

#include "shared/bits.h"

#include <stdarg.h>
#include <stdio.h>

void px_ubjson_init(struct px_ubjson *u, struct px_str bytes)
{
    *u = (struct px_ubjson){.cursor = px_cursor(bytes.ptr, bytes.len)};
    u->start = u->cursor.at;
}

void px_ubjson_fail(struct px_ubjson *u, const char *format, ...)
{
    va_list args;
    if (u->code != PX_OK)
        return;
    u->code = PX_E_CORRUPT;
    u->failed_at = u->cursor.at;
    va_start(args, format);
    vsnprintf(u->reason, sizeof u->reason, format, args);
    va_end(args);
}

bool px_ubjson_failed(const struct px_ubjson *u)
{
    return u->code != PX_OK;
}

enum px_code px_ubjson_check(const struct px_ubjson *u, struct px_err *err)
{
    if (u->code == PX_OK)
        return PX_OK;
    return px_err_set(err, u->code, "UBJSON byte %zu: %s", (size_t)(u->failed_at - u->start),
                      u->reason);
}

static void fail_cut_off(struct px_ubjson *u)
{
    px_ubjson_fail(u, "the file ends inside a value");
}

/* The next `n` bytes; NULL and a failure when the text ends before. */
static const unsigned char *take(struct px_ubjson *u, size_t n)
{
    const unsigned char *bytes = u->code == PX_OK ? px_cursor_take(&u->cursor, n) : NULL;
    if (!bytes)
        fail_cut_off(u);
    return bytes;
}

static uint64_t take_big_endian(struct px_ubjson *u, size_t n)
{
    uint64_t value = u->code == PX_OK ? px_cursor_be(&u->cursor, n) : 0;
    if (u->cursor.failed)
        fail_cut_off(u);
    return value;
}

static struct px_ubjson_level *innermost(struct px_ubjson *u)
{
    return &u->levels[u->depth];
}

/* The marker of the next value: given once for a typed array, else a byte before the value. */
static char peek_marker(struct px_ubjson *u)
{
    if (u->code != PX_OK)
        return 0;
    if (innermost(u)->type)
        return innermost(u)->type;
    if (px_cursor_left(&u->cursor) == 0) {
        px_ubjson_fail(u, "the file ends where a value should be");
        return 0;
    }
    return (char)*u->cursor.at;
}

static char take_marker(struct px_ubjson *u)
{
    char marker = peek_marker(u);
    if (marker && !innermost(u)->type)
        u->cursor.at++;
    return marker;
}

/* Bytes of a number of that type, 0 when the marker is no number. */
static size_t number_size(char marker)
{
    if (marker == 'i' || marker == 'U' || marker == 'C')
        return 1;
    if (marker == 'I')
        return 2;
    if (marker == 'l' || marker == 'd')
        return 4;
    return marker == 'L' || marker == 'D' ? 8 : 0;
}

enum px_json_type px_ubjson_peek(struct px_ubjson *u)
{
    char marker = peek_marker(u);
    if (number_size(marker))
        return PX_JSON_NUMBER;
    if (marker == 'S')
        return PX_JSON_STRING;
    if (marker == '{')
        return PX_JSON_OBJECT;
    if (marker == '[')
        return PX_JSON_ARRAY;
    if (marker == 'T' || marker == 'F')
        return PX_JSON_BOOL;
    return marker == 'Z' ? PX_JSON_NULL : PX_JSON_NONE;
}

/* "byte 0x4e" rather than a raw character: the byte may be anything. */
static void fail_expected(struct px_ubjson *u, const char *expected, char got)
{
    px_ubjson_fail(u, "expected %s, got byte 0x%02x", expected, (unsigned)(unsigned char)got);
}

static int64_t take_integer(struct px_ubjson *u, char marker)
{
    uint64_t bits = take_big_endian(u, number_size(marker));
    if (marker == 'i' || marker == 'C')
        return (int8_t)bits;
    if (marker == 'I')
        return (int16_t)bits;
    if (marker == 'l')
        return (int32_t)bits;
    return (int64_t)bits; /* L, and U which needs no sign */
}

static bool is_integer(char marker)
{
    return number_size(marker) && marker != 'd' && marker != 'D';
}

/* A length or count: any integer type, not negative. */
static size_t take_length(struct px_ubjson *u)
{
    const unsigned char *marker = take(u, 1);
    if (!marker)
        return 0;
    if (!is_integer((char)*marker)) {
        fail_expected(u, "an integer type of a length", (char)*marker);
        return 0;
    }
    int64_t length = take_integer(u, (char)*marker);
    if (length < 0)
        px_ubjson_fail(u, "negative length %lld", (long long)length);
    return length < 0 ? 0 : (size_t)length;
}

static struct px_str take_text(struct px_ubjson *u)
{
    size_t length = take_length(u);
    if (length > PX_JSON_STRING_MAX) {
        px_ubjson_fail(u, "a string of %zu bytes; the limit is %d", length, PX_JSON_STRING_MAX);
        return (struct px_str){0};
    }
    const unsigned char *bytes = take(u, length);
    struct px_str text = bytes ? px_str_n((const char *)bytes, length) : (struct px_str){0};
    if (bytes && !px_str_is_utf8(text))
        px_ubjson_fail(u, "a string is not valid UTF-8");
    return u->code == PX_OK ? text : (struct px_str){0};
}

static bool enter(struct px_ubjson *u, struct px_ubjson_level level)
{
    if (u->code == PX_OK && u->depth == PX_JSON_DEPTH_MAX)
        px_ubjson_fail(u, "nested deeper than %d levels", PX_JSON_DEPTH_MAX);
    if (u->code != PX_OK)
        return false;
    u->levels[++u->depth] = level;
    return true;
}

/* Is `byte` next? Consumes it then. */
static bool accept(struct px_ubjson *u, char byte)
{
    if (u->code != PX_OK || px_cursor_left(&u->cursor) == 0 || (char)*u->cursor.at != byte)
        return false;
    u->cursor.at++;
    return true;
}

bool px_ubjson_enter_object(struct px_ubjson *u)
{
    char marker = take_marker(u);
    if (marker != '{')
        fail_expected(u, "an object", marker);
    return enter(u, (struct px_ubjson_level){.object = true});
}

bool px_ubjson_next_key(struct px_ubjson *u, struct px_str *ret_key)
{
    if (u->code != PX_OK)
        return false;
    PX_ASSERT(innermost(u)->object);
    if (accept(u, '}')) {
        u->depth--;
        return false;
    }
    *ret_key = take_text(u);
    return u->code == PX_OK;
}

static void check_count(struct px_ubjson *u, size_t count, size_t size)
{
    if (count > px_cursor_left(&u->cursor) / size)
        px_ubjson_fail(u, "an array of %zu elements, but only %zu bytes are left", count,
                       px_cursor_left(&u->cursor));
}

bool px_ubjson_enter_array(struct px_ubjson *u)
{
    struct px_ubjson_level level = {0};
    char marker = take_marker(u);
    if (marker != '[')
        fail_expected(u, "an array", marker);
    if (accept(u, '$')) {
        const unsigned char *type = take(u, 1);
        level.type = type ? (char)*type : 0;
        if (!number_size(level.type))
            fail_expected(u, "a number type of a typed array", level.type);
    }
    if (accept(u, '#')) {
        level.counted = true;
        level.left = take_length(u);
        check_count(u, level.left, level.type ? number_size(level.type) : 1);
    } else if (level.type) {
        px_ubjson_fail(u, "a typed array without a count");
    }
    return enter(u, level);
}

bool px_ubjson_next_element(struct px_ubjson *u)
{
    if (u->code != PX_OK)
        return false;
    struct px_ubjson_level *level = innermost(u);
    PX_ASSERT(!level->object);
    bool end = level->counted ? level->left == 0 : accept(u, ']');
    if (end) {
        u->depth--;
        return false;
    }
    level->left -= level->counted;
    return true;
}

struct px_str px_ubjson_str(struct px_ubjson *u)
{
    char marker = take_marker(u);
    if (marker != 'S')
        fail_expected(u, "a string", marker);
    return take_text(u);
}

const unsigned char *px_ubjson_take_typed(struct px_ubjson *u, char type, size_t *ret_n)
{
    struct px_ubjson_level *level = innermost(u);
    if (u->code != PX_OK || level->type != type)
        return NULL;
    const unsigned char *values = take(u, level->left * number_size(type));
    *ret_n = level->left;
    if (values)
        u->depth--;
    return values;
}

float px_ubjson_f32(struct px_ubjson *u)
{
    char marker = take_marker(u);
    if (marker == 'd')
        return px_f32_of_bits((uint32_t)take_big_endian(u, 4));
    if (marker == 'D')
        return (float)px_f64_of_bits(take_big_endian(u, 8));
    if (is_integer(marker))
        return (float)take_integer(u, marker);
    fail_expected(u, "a number", marker);
    return 0.0F;
}

int64_t px_ubjson_i64(struct px_ubjson *u)
{
    char marker = take_marker(u);
    if (is_integer(marker))
        return take_integer(u, marker);
    fail_expected(u, "an integer", marker);
    return 0;
}

bool px_ubjson_bool(struct px_ubjson *u)
{
    char marker = take_marker(u);
    if (marker != 'T' && marker != 'F')
        fail_expected(u, "true or false", marker);
    return marker == 'T';
}

/* Consumes a scalar, or enters a container; skip walks the rest. */
static void skip_one(struct px_ubjson *u)
{
    enum px_json_type type = px_ubjson_peek(u);
    if (type == PX_JSON_OBJECT)
        px_ubjson_enter_object(u);
    else if (type == PX_JSON_ARRAY)
        px_ubjson_enter_array(u);
    else if (type == PX_JSON_STRING)
        px_ubjson_str(u);
    else if (type == PX_JSON_NUMBER)
        take(u, number_size(take_marker(u)));
    else if (type == PX_JSON_BOOL || type == PX_JSON_NULL)
        take_marker(u);
    else
        fail_expected(u, "a value", peek_marker(u));
}

/* The rest of a typed array is one block of bytes. */
static void skip_typed(struct px_ubjson *u)
{
    struct px_ubjson_level *level = innermost(u);
    if (u->code == PX_OK && level->type) {
        take(u, level->left * number_size(level->type));
        level->left = 0;
    }
}

void px_ubjson_skip(struct px_ubjson *u)
{
    unsigned outer = u->depth;
    struct px_str key;
    skip_one(u);
    while (u->code == PX_OK && u->depth > outer) {
        skip_typed(u);
        bool more = innermost(u)->object ? px_ubjson_next_key(u, &key) : px_ubjson_next_element(u);
        if (more)
            skip_one(u);
    }
}
