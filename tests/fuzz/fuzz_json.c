/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON: skipping and walking accept the same texts, numbers are what strtod says, and what was walked,
 * written again, reads back and is written the same.
 */
#include "fuzz.h"

#include "shared/json.h"
#include "shared/number.h"

#include <stdlib.h>

enum { NUMBER_TEXT_MAX = 1000, FLOATS_MAX = 4096 };

static uint64_t bits_f64(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint32_t bits_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The C library takes the same digits; the words for numbers that are not finite are not its. */
static void compare_with_libc(struct px_str text)
{
    char copy[NUMBER_TEXT_MAX + 1];
    float f;
    double d;
    if (text.len > NUMBER_TEXT_MAX || px_str_find(text, 'N') < text.len ||
        px_str_find(text, 'I') < text.len)
        return;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    PX_ASSERT(px_str_to_f32(text, &f) && px_str_to_f64(text, &d));
    PX_ASSERT(bits_f32(f) == bits_f32(strtof(copy, NULL)));
    PX_ASSERT(bits_f64(d) == bits_f64(strtod(copy, NULL)));
}

static void copy_value(struct px_json *json, struct px_json_writer *w);

static void copy_members(struct px_json *json, struct px_json_writer *w)
{
    struct px_str key;
    px_json_enter_object(json);
    px_json_begin_object(w);
    while (px_json_next_key(json, &key)) {
        px_json_key_str(w, key);
        copy_value(json, w);
    }
    px_json_end_object(w);
}

static void copy_elements(struct px_json *json, struct px_json_writer *w)
{
    px_json_enter_array(json);
    px_json_begin_array(w);
    while (px_json_next_element(json))
        copy_value(json, w);
    px_json_end_array(w);
}

static void copy_number(struct px_json *json, struct px_json_writer *w)
{
    struct px_json again = *json;
    struct px_str text = px_json_raw(&again);
    if (!px_json_failed(&again))
        compare_with_libc(text);
    px_json_put_f64(w, px_json_f64(json), true);
}

/* Recursion is bounded by the reader's depth limit. */
static void copy_value(struct px_json *json, struct px_json_writer *w)
{
    switch (px_json_peek(json)) {
    case PX_JSON_OBJECT:
        copy_members(json, w);
        break;
    case PX_JSON_ARRAY:
        copy_elements(json, w);
        break;
    case PX_JSON_STRING:
        px_json_put_str(w, px_json_str(json));
        break;
    case PX_JSON_NUMBER:
        copy_number(json, w);
        break;
    case PX_JSON_BOOL:
        px_json_put_bool(w, px_json_bool(json));
        break;
    case PX_JSON_NULL:
        if (!px_json_null(json))
            px_json_skip(json); /* a word that only starts like null: a failure */
        px_json_put_null(w);
        break;
    case PX_JSON_NONE:
        px_json_skip(json); /* the failure to find a value */
        break;
    }
}

/* Walks `text` and appends its copy to `out`. */
static bool copy_text(struct px_str text, unsigned flags, struct px_arena *arena,
                      struct px_buf *out)
{
    struct px_json json;
    struct px_json_writer w = px_json_writer(out);
    px_json_init(&json, text, arena, flags);
    copy_value(&json, &w);
    return px_json_finish(&json, NULL) == PX_OK;
}

static bool skip_text(struct px_str text, unsigned flags)
{
    struct px_json json;
    struct px_err err;
    px_json_init(&json, text, NULL, flags);
    px_json_skip(&json);
    return px_json_finish(&json, &err) == PX_OK;
}

/* The quick readers of arrays accept no text that the walk refuses, and agree with each other. */
static void check_arrays(struct px_str text, bool valid, unsigned flags)
{
    static float floats[FLOATS_MAX];
    static double doubles[FLOATS_MAX];
    struct px_json json;
    px_json_init(&json, text, NULL, flags);
    size_t n = px_json_f32_array(&json, floats, FLOATS_MAX, true);
    bool accepted = px_json_finish(&json, NULL) == PX_OK;
    PX_ASSERT(n <= FLOATS_MAX && (valid || !accepted));
    px_json_init(&json, text, NULL, flags);
    PX_ASSERT(px_json_f64_array(&json, doubles, FLOATS_MAX, true) == n);
    PX_ASSERT((px_json_finish(&json, NULL) == PX_OK) == accepted);
}

static void check_text(struct px_str text, unsigned flags)
{
    struct px_arena arena = px_arena(16 << 20);
    struct px_buf once = px_buf(16 << 20), twice = px_buf(16 << 20);
    bool valid = copy_text(text, flags, &arena, &once);
    if (text.len <= PX_JSON_STRING_MAX) /* longer strings may be skipped and not read */
        PX_ASSERT(valid == skip_text(text, flags));
    check_arrays(text, valid, flags);
    if (valid) {
        PX_ASSERT(copy_text(px_buf_view(&once), PX_JSON_NONFINITE, &arena, &twice));
        PX_ASSERT(px_str_eq(px_buf_view(&once), px_buf_view(&twice)));
    }
    px_buf_deinit(&once);
    px_buf_deinit(&twice);
    px_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_str text = px_str_n((const char *)data, size);
    check_text(text, 0);
    check_text(text, PX_JSON_NONFINITE);
    return 0;
}
