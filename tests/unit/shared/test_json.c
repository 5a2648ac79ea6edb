/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "shared/alloc.h"
#include "shared/json.h"
#include "shared/rng.h"

static struct px_arena arena;
static struct px_err err;

/* An exact-size heap copy, so that the address sanitizer sees a read past the end. */
static char *copied;

static struct px_json reader_n(const char *text, size_t len, unsigned flags)
{
    struct px_json json;
    free(copied);
    copied = malloc(len ? len : 1);
    CHECK(copied);
    memcpy(copied, text, len);
    px_arena_deinit(&arena);
    arena = px_arena(1 << 20);
    px_json_init(&json, px_str_n(copied, len), &arena, flags);
    return json;
}

static struct px_json reader(const char *text, unsigned flags)
{
    return reader_n(text, strlen(text), flags);
}

/* Skips the whole text and finishes. */
static enum px_code judge_n(const char *text, size_t len, unsigned flags)
{
    struct px_json json = reader_n(text, len, flags);
    px_json_skip(&json);
    return px_json_finish(&json, &err);
}

static enum px_code judge(const char *text)
{
    return judge_n(text, strlen(text), 0);
}

PX_TEST(walks_a_document)
{
    struct px_json json = reader(" { \"rows\" : 3 , \"names\":[\"a\",\"b\"], \"x\":{\"y\":null,"
                                 "\"z\":true}, \"e\":{}, \"f\":[] , \"v\":-2.5e1}\n ",
                                 0);
    struct px_str key, names[2];
    size_t n = 0, keys = 0;
    CHECK(px_json_enter_object(&json));
    while (px_json_next_key(&json, &key)) {
        keys++;
        if (px_str_is(key, "rows")) {
            CHECK_INT(px_json_i64(&json), 3);
        } else if (px_str_is(key, "names")) {
            px_json_enter_array(&json);
            while (px_json_next_element(&json))
                names[n++] = px_json_str(&json);
        } else if (px_str_is(key, "x")) {
            px_json_enter_object(&json);
            CHECK(px_json_next_key(&json, &key));
            CHECK(px_json_null(&json));
            CHECK(px_json_next_key(&json, &key));
            CHECK(!px_json_null(&json));
            CHECK(px_json_bool(&json));
            CHECK(!px_json_next_key(&json, &key));
        } else if (px_str_is(key, "v")) {
            CHECK_DOUBLE(px_json_f64(&json), -25);
        } else {
            px_json_skip(&json);
        }
    }
    CHECK_OK(px_json_finish(&json, &err));
    CHECK_INT(keys, 6);
    CHECK_INT(n, 2);
    CHECK_STR(names[0], "a");
    CHECK_STR(names[1], "b");
}

PX_TEST(peeks_without_consuming)
{
    static const struct {
        const char *text;
        enum px_json_type type;
    } rows[] = {{"null", PX_JSON_NULL}, {"true", PX_JSON_BOOL}, {" false", PX_JSON_BOOL},
                {"-1", PX_JSON_NUMBER}, {"7", PX_JSON_NUMBER},  {"\"\"", PX_JSON_STRING},
                {"[]", PX_JSON_ARRAY},  {"{}", PX_JSON_OBJECT}, {"", PX_JSON_NONE},
                {"NaN", PX_JSON_NONE},  {"#", PX_JSON_NONE},    {"]", PX_JSON_NONE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct px_json json = reader(rows[i].text, 0);
        CHECK_INT(px_json_peek(&json), rows[i].type);
        CHECK_INT(px_json_peek(&json), rows[i].type);
        CHECK(rows[i].type == PX_JSON_NONE || !px_json_failed(&json));
    }
    struct px_json json = reader("NaN", PX_JSON_NONFINITE);
    CHECK_INT(px_json_peek(&json), PX_JSON_NUMBER);
}

PX_TEST(accepts_valid_texts)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "1.5E+3",
        "\"\"",
        "\"\\u00e9\\n\\/\"",
        "[]",
        "{}",
        "[[],[[]],{}]",
        "{\"a\":[1,2,{\"b\":null}],\"a\":2}",
        " \t\r\n1 ",
        "[1,\n2,\r3,\t4]",
        "[0.1,\"x\",3]",
        "\"\\ud83d\\ude00\"",
        "\"\xF0\x9F\x98\x80\"",
        "\"\x7F\"",
        "{\"\":0}",
        "[true,false,null]",
        "{\"\\u0041\":1}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CHECK_OK(judge(texts[i]));
}

PX_TEST(refuses_invalid_texts)
{
    static const char *const texts[] = {
        "",
        " ",
        "nul",
        "nulll",
        "tru",
        "True",
        "NaN",
        "Infinity",
        "-Infinity",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "-",
        "0x1",
        "1 2",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "[}",
        "{",
        "}",
        "{]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\" 1}",
        "{1:2}",
        "\"",
        "\"abc",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\ud800x\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\n\"",
        "\"\t\"",
        "\"\xFF\"",
        "\"\xC0\x80\"",
        "\"\xED\xA0\x80\"",
        "\"\xE2\x82\"",
        "'a'",
        "[1]]",
        "{}{}",
        "/**/1",
        "\xEF\xBB\xBF[]",
        "\"\\",
        "{\"\\q\":1}",
        "{\"a",
        "[1,2",
        "[1}",
        "{\"a\":1]",
        "\"\\u",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (judge(texts[i]) != PX_E_INVALID) {
            fprintf(stderr, "accepted: %s\n", texts[i]);
            px_test_fail(__FILE__, __LINE__);
        }
    }
    CHECK_INT(judge_n("1\0", 2, 0), PX_E_INVALID);
    CHECK_INT(judge_n("\"a\0b\"", 5, 0), PX_E_INVALID);
    CHECK_INT(judge_n("\"\\\0\"", 4, 0), PX_E_INVALID);
}

PX_TEST(every_prefix_of_a_document_is_refused)
{
    static const char text[] =
        "{\"a\\u00e9\":[1.5e3,\"x\\\\\",true,null],\"\xC3\xA9\":{\"b\":[[-1]]}}";
    for (size_t n = 0; n < sizeof text - 1; n++)
        CHECK_INT(judge_n(text, n, 0), PX_E_INVALID);
    CHECK_OK(judge(text));
}

PX_TEST(decodes_strings)
{
    static const struct {
        const char *json, *text;
    } rows[] = {
        {"\"\"", ""},
        {"\"plain text of more than eight bytes\"", "plain text of more than eight bytes"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00!\"", "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80!"},
        {"\"\\uFFFF\\u07ff\\u0800\"", "\xEF\xBF\xBF\xDF\xBF\xE0\xA0\x80"},
        {"\"12345678\\n12345678\\t\"", "12345678\n12345678\t"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct px_json json = reader(rows[i].json, 0);
        CHECK_STR(px_json_str(&json), rows[i].text);
        CHECK_OK(px_json_finish(&json, &err));
    }
    struct px_json json = reader("\"a\\u0000b\"", 0);
    struct px_str s = px_json_str(&json);
    CHECK(s.len == 3 && memcmp(s.ptr, "a\0b", 3) == 0);
}

PX_TEST(bad_strings_are_refused_when_read)
{
    static const char *const texts[] = {"\"\\q\"", "\"\\ud800\"", "\"\xFF\"", "\"\n\"", "\"abc"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct px_json json = reader(texts[i], 0);
        CHECK_INT(px_json_str(&json).len, 0);
        CHECK_INT(px_json_check(&json, &err), PX_E_INVALID);
    }
}

PX_TEST(strings_without_escapes_are_borrowed)
{
    struct px_json json = reader("\"abc\"", 0);
    struct px_str s = px_json_str(&json);
    CHECK(s.ptr == copied + 1);
    CHECK_INT(arena.used, 0);
}

PX_TEST(limits)
{
    struct px_buf deep = px_buf(1 << 20);
    for (int i = 0; i < PX_JSON_DEPTH_MAX; i++)
        px_buf_byte(&deep, '[');
    for (int i = 0; i < PX_JSON_DEPTH_MAX; i++)
        px_buf_byte(&deep, ']');
    CHECK_OK(judge(deep.ptr));
    px_buf_clear(&deep);
    for (int i = 0; i <= PX_JSON_DEPTH_MAX; i++)
        px_buf_text(&deep, i % 2 ? "[" : "{\"a\":");
    CHECK_INT(judge(deep.ptr), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "deeper than 64");

    px_buf_clear(&deep);
    px_buf_byte(&deep, '"');
    for (int i = 0; i < PX_JSON_STRING_MAX + 1; i++)
        px_buf_byte(&deep, 'x');
    px_buf_byte(&deep, '"');
    struct px_json json = reader_n(deep.ptr, deep.len, 0);
    CHECK_INT(px_json_str(&json).len, 0);
    CHECK_INT(px_json_check(&json, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "65537 bytes is longer than 65536");
    CHECK_OK(judge(deep.ptr)); /* nothing is kept of a string that is skipped */
    px_buf_deinit(&deep);
}

PX_TEST(a_full_arena_is_too_large)
{
    struct px_json json = reader("\"\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\"", 0);
    arena = px_arena(16);
    px_json_str(&json);
    CHECK_INT(px_json_check(&json, &err), PX_E_TOO_LARGE);
    json = reader("\"\\n\"", 0);
    json.arena = NULL;
    px_json_str(&json);
    CHECK_INT(px_json_check(&json, &err), PX_E_TOO_LARGE);
    json = reader("\"\\n\"", 0);
    px_alloc_fail_at(1);
    px_json_str(&json);
    px_alloc_fail_at(0);
    CHECK_INT(px_json_check(&json, &err), PX_E_NO_MEMORY);
}

PX_TEST(errors_say_what_and_where)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"{\"a\": 1,\n \"b\" 2}",
         "JSON line 2 column 6: expected ':' after the key, got the number 2"},
        {"[1,2", "JSON line 1 column 5: expected ',' or ']', got the end of the text"},
        {"[1 x]", "JSON line 1 column 4: expected ',' or ']', got 'x'"},
        {"[01]", "expected ',' or ']'"},
        {"{\"a\":tru}", "JSON line 1 column 6: expected true or false, got 'tru'"},
        {"[1,]", "expected a value after ',', got ']'"},
        {"{}x", "column 3: expected nothing after the value, got 'x'"},
        {"{1:2}", "expected a key in quotes or '}', got the number 1"},
        {"[\"\xC3\xA9\", }", "JSON line 1 column 7: expected a value, got '}'"},
        {"\"ab\\qc\"", "column 4: unknown escape"},
        {"\"a\\ud800\"", "column 3: this \\u escape is half of a surrogate pair"},
        {"\"a\xFFz\"", "column 3: this string is not valid UTF-8"},
        {"\"a\x01\"", "the control byte 0x01"},
        {"\x01", "got the byte 0x01"},
        {"\"abc", "column 1: this string has no closing quote"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        err.message[0] = '\0';
        CHECK_INT(judge(rows[i].text), PX_E_INVALID);
        if (i == 3)
            continue; /* its wording is checked by malformed_numbers_are_named */
        CHECK_CONTAINS(err.message, rows[i].message);
    }
}

PX_TEST(malformed_numbers_are_named)
{
    struct px_json json = reader("[01]", 0);
    float out[4];
    px_json_f32_array(&json, out, 4, false);
    CHECK_INT(px_json_check(&json, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "column 2: malformed number 01");
}

PX_TEST(wrong_types_name_both)
{
    struct px_json json = reader("\"seven\"", 0);
    CHECK_INT(px_json_i64(&json), 0);
    CHECK_INT(px_json_check(&json, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "expected an integer, got the string \"seven\"");
    json = reader("[1]", 0);
    CHECK_DOUBLE(px_json_f64(&json), 0);
    (void)!px_json_check(&json, &err);
    CHECK_CONTAINS(err.message, "expected a number, got an array");
    json = reader("12", 0);
    CHECK_INT(px_json_str(&json).len, 0);
    (void)!px_json_check(&json, &err);
    CHECK_CONTAINS(err.message, "expected a string, got the number 12");
    json = reader("null", 0);
    CHECK(!px_json_enter_object(&json));
    (void)!px_json_check(&json, &err);
    CHECK_CONTAINS(err.message, "expected an object, got 'null'");
    json = reader("{}", 0);
    CHECK(!px_json_bool(&json));
    (void)!px_json_check(&json, &err);
    CHECK_CONTAINS(err.message, "expected true or false, got an object");
}

PX_TEST(the_first_failure_sticks)
{
    struct px_json json = reader("[1,\"x\",3]", 0);
    struct px_str key;
    px_json_enter_array(&json);
    CHECK(px_json_next_element(&json));
    CHECK(!px_json_bool(&json));
    CHECK(px_json_failed(&json));
    CHECK(!px_json_next_element(&json));
    CHECK(!px_json_next_key(&json, &key));
    CHECK_INT(px_json_i64(&json), 0);
    CHECK_INT(px_json_str(&json).len, 0);
    CHECK_INT(px_json_peek(&json), PX_JSON_NONE);
    px_json_fail(&json, "another");
    CHECK_INT(px_json_finish(&json, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "column 2: expected true or false, got the number 1");
}

PX_TEST(callers_may_fail_it)
{
    struct px_json json = reader("{\"shape\": -1}", 0);
    struct px_str key;
    px_json_enter_object(&json);
    px_json_next_key(&json, &key);
    px_json_fail(&json, "%s must not be negative", "shape");
    CHECK(!px_json_next_key(&json, &key));
    CHECK_INT(px_json_check(&json, &err), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "shape must not be negative");
}

PX_TEST(integers)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"42", 42},
                {"-42", -42},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN},
                {"1000000000000000000", 1000000000000000000}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct px_json json = reader(good[i].text, 0);
        CHECK_INT(px_json_i64(&json), good[i].value);
        CHECK_OK(px_json_finish(&json, &err));
    }
    static const char *const bad[] = {"1.0",
                                      "1e3",
                                      "1E3",
                                      "01",
                                      "-",
                                      "9223372036854775808",
                                      "\"1\"",
                                      "-9223372036854775809",
                                      "99999999999999999999999",
                                      "",
                                      "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct px_json json = reader(bad[i], 0);
        CHECK_INT(px_json_i64(&json), 0);
        CHECK_INT(px_json_check(&json, &err), PX_E_INVALID);
    }
    struct px_json json = reader("18446744073709551615", 0);
    CHECK(px_json_u64(&json) == UINT64_MAX);
    CHECK_OK(px_json_finish(&json, &err));
    static const char *const unsigned_bad[] = {"-1", "18446744073709551616", "1.5"};
    for (size_t i = 0; i < sizeof unsigned_bad / sizeof unsigned_bad[0]; i++) {
        json = reader(unsigned_bad[i], 0);
        CHECK(px_json_u64(&json) == 0);
        CHECK_INT(px_json_check(&json, &err), PX_E_INVALID);
    }
}

PX_TEST(floats_of_the_xgboost_dialect)
{
    static const struct {
        const char *text;
        float value;
    } rows[] = {{"1.0157479E0", 1.0157479F},
                {"-3E0", -3},
                {"5E-1", 0.5F},
                {"0", 0},
                {"NaN", NAN},
                {"Infinity", INFINITY},
                {"-Infinity", -INFINITY},
                {"1.4E-45", 1e-45F},
                {"-0", -0.0F}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct px_json json = reader(rows[i].text, PX_JSON_NONFINITE);
        CHECK_DOUBLE(px_json_f32(&json), rows[i].value);
        CHECK_OK(px_json_finish(&json, &err));
        json = reader(rows[i].text, PX_JSON_NONFINITE);
        px_json_skip(&json);
        CHECK_OK(px_json_finish(&json, &err));
    }
    struct px_json json = reader("nan", PX_JSON_NONFINITE);
    px_json_f32(&json);
    CHECK(px_json_failed(&json));
}

PX_TEST(raw_text_of_a_value)
{
    struct px_json json = reader("{\"a\": [1, {\"b\":2}] , \"c\":3}", 0);
    struct px_str key;
    px_json_enter_object(&json);
    px_json_next_key(&json, &key);
    CHECK_STR(px_json_raw(&json), "[1, {\"b\":2}]");
    px_json_next_key(&json, &key);
    CHECK_STR(px_json_raw(&json), "3");
    CHECK(!px_json_next_key(&json, &key));
    CHECK_OK(px_json_finish(&json, &err));
    json = reader("[1,", 0);
    CHECK_INT(px_json_raw(&json).len, 0);
}

static size_t read_f32(const char *text, float *out, size_t max, bool null_is_nan, unsigned flags)
{
    struct px_json json = reader(text, flags);
    size_t n = px_json_f32_array(&json, out, max, null_is_nan);
    return px_json_finish(&json, &err) == PX_OK ? n : SIZE_MAX;
}

PX_TEST(number_arrays)
{
    float out[8];
    CHECK_INT(read_f32("[1, 2.5,-3e2 ]", out, 8, false, 0), 3);
    CHECK_DOUBLE(out[0], 1);
    CHECK_DOUBLE(out[1], 2.5);
    CHECK_DOUBLE(out[2], -300);
    CHECK_INT(read_f32("[[1,2],[3,4]]", out, 8, false, 0), 4);
    CHECK_DOUBLE(out[3], 4);
    CHECK_INT(read_f32(" [ [ [ 1 ] , [ ] ] , [ [ ] ] , 2 ] ", out, 8, false, 0), 2);
    CHECK_DOUBLE(out[1], 2);
    CHECK_INT(read_f32("[]", out, 0, false, 0), 0);
    CHECK_INT(read_f32("[[],[]]", out, 0, false, 0), 0);
    CHECK_INT(read_f32("[null,1]", out, 8, true, 0), 2);
    CHECK(isnan(out[0]));
    CHECK_INT(read_f32("[NaN,-Infinity,Infinity]", out, 8, false, PX_JSON_NONFINITE), 3);
    CHECK_DOUBLE(out[1], -INFINITY);

    static const char *const bad[] = {
        "",        "1",      "[",      "[1",      "[1,",
        "[1,]",    "[,1]",   "[1 2]",  "[[1],]",  "[[1]",
        "[[],,1]", "[null]", "[NaN]",  "[\"1\"]", "[{}]",
        "[1}",     "[true]", "[[1]]]", "[-]",     "[1.]",
        "[1e]",    "[nul]",  "[01]",   "[][]",    "[1,2,3,4,5,6,7,8,9]",
        "[-x]",    "[["};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (read_f32(bad[i], out, 8, false, 0) != SIZE_MAX) {
            fprintf(stderr, "accepted: %s\n", bad[i]);
            px_test_fail(__FILE__, __LINE__);
        }
    }
    read_f32("[1,2,3]", out, 2, false, 0);
    CHECK_CONTAINS(err.message, "column 6: more numbers than the 2 expected");
    read_f32("[1,null]", out, 2, false, 0);
    CHECK_CONTAINS(err.message, "column 4: expected a number, got 'null'");
}

PX_TEST(number_arrays_within_a_document)
{
    struct px_json json = reader("{\"a\":[1,2],\"b\":[[0.1],[0.2],null],\"c\":7}", 0);
    struct px_str key;
    double out[4];
    px_json_enter_object(&json);
    CHECK(px_json_next_key(&json, &key));
    CHECK_INT(px_json_f64_array(&json, out, 4, false), 2);
    CHECK(px_json_next_key(&json, &key));
    CHECK_INT(px_json_f64_array(&json, out, 4, true), 3);
    CHECK(isnan(out[2]));
    CHECK_DOUBLE(out[0], 0.1);
    CHECK_DOUBLE(out[1], 0.2);
    CHECK(px_json_next_key(&json, &key));
    CHECK_INT(px_json_i64(&json), 7);
    CHECK(!px_json_next_key(&json, &key));
    CHECK_OK(px_json_finish(&json, &err));
}

PX_TEST(number_arrays_obey_the_depth_limit)
{
    char text[2 * PX_JSON_DEPTH_MAX + 4];
    float out[1];
    memset(text, '[', PX_JSON_DEPTH_MAX);
    memset(text + PX_JSON_DEPTH_MAX, ']', PX_JSON_DEPTH_MAX);
    text[2 * PX_JSON_DEPTH_MAX] = '\0';
    CHECK_INT(read_f32(text, out, 1, false, 0), 0);
    memset(text, '[', PX_JSON_DEPTH_MAX + 1);
    CHECK_INT((int64_t)read_f32(text, out, 1, false, 0), -1);
    CHECK_CONTAINS(err.message, "deeper");
}

PX_TEST(reading_numbers_allocates_nothing)
{
    struct px_json json = reader("[1.5,2,3e-2,123456789012345678901234567890,0.1]", 0);
    float out[5];
    uint64_t before = px_alloc_count();
    CHECK_INT(px_json_f32_array(&json, out, 5, false), 5);
    CHECK_OK(px_json_finish(&json, &err));
    CHECK_INT(px_alloc_count(), before);
}

PX_TEST(writes_a_document)
{
    struct px_buf buf = px_buf(4096);
    struct px_json_writer w = px_json_writer(&buf);
    px_json_begin_object(&w);
    px_json_key(&w, "a");
    px_json_begin_array(&w);
    px_json_put_i64(&w, INT64_MIN);
    px_json_put_u64(&w, UINT64_MAX);
    px_json_put_f64(&w, 0.1, false);
    px_json_put_f32(&w, 0.1F, false);
    px_json_put_f64(&w, 1, false);
    px_json_put_f64(&w, NAN, false);
    px_json_put_f32(&w, -INFINITY, false);
    px_json_put_f64(&w, NAN, true);
    px_json_put_f32(&w, -INFINITY, true);
    px_json_end_array(&w);
    px_json_key_str(&w, px_str("b\n"));
    px_json_begin_object(&w);
    px_json_end_object(&w);
    px_json_key(&w, "c");
    px_json_put_bool(&w, true);
    px_json_key(&w, "d");
    px_json_put_null(&w);
    px_json_key(&w, "e");
    px_json_put_raw(&w, px_str("[1]"));
    px_json_key(&w, "f");
    px_json_put_text(&w, "x");
    px_json_key(&w, "g");
    px_json_put_bool(&w, false);
    px_json_end_object(&w);
    CHECK_STR(px_buf_view(&buf),
              "{\"a\":[-9223372036854775808,18446744073709551615,0.1,0.1,1.0,null,null,NaN,"
              "-Infinity],\"b\\n\":{},\"c\":true,\"d\":null,\"e\":[1],\"f\":\"x\",\"g\":false}");
    px_buf_deinit(&buf);
}

PX_TEST(escapes_strings)
{
    struct px_buf buf = px_buf(4096);
    struct px_json_writer w = px_json_writer(&buf);
    px_json_put_str(&w, px_str_n("\"\\\b\f\n\r\t\x01\x1F\0/\x7F", 12));
    CHECK_STR(px_buf_view(&buf), "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\\u0000/\x7F\"");
    px_buf_clear(&buf);
    w = px_json_writer(&buf);
    px_json_put_text(&w, "\xC3\xA9|\xFF|\xE2\x82|\xED\xA0\x80|\xF0\x9F\x98\x80|\xC3");
    CHECK_STR(px_buf_view(&buf), "\"\xC3\xA9|\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD|\xEF\xBF\xBD\xEF"
                                 "\xBF\xBD\xEF\xBF\xBD|\xF0\x9F\x98\x80|\xEF\xBF\xBD\"");
    px_buf_clear(&buf);
    w = px_json_writer(&buf);
    px_json_put_str(&w, (struct px_str){0});
    CHECK_STR(px_buf_view(&buf), "\"\"");
    px_buf_deinit(&buf);
}

PX_TEST(any_bytes_written_read_back)
{
    struct px_rng rng = px_rng(5);
    struct px_buf buf = px_buf(4096);
    for (int round = 0; round < 2000; round++) {
        char bytes[40];
        size_t n = (size_t)px_rng_below(&rng, sizeof bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)px_rng_below(&rng, round % 2 ? 256 : 128);
        px_buf_clear(&buf);
        struct px_json_writer w = px_json_writer(&buf);
        px_json_put_str(&w, px_str_n(bytes, n));
        struct px_json json = reader_n(buf.ptr, buf.len, 0);
        struct px_str back = px_json_str(&json);
        CHECK_OK(px_json_finish(&json, &err));
        if (px_str_is_utf8(px_str_n(bytes, n)))
            CHECK(px_str_eq(back, px_str_n(bytes, n)));
    }
    px_buf_deinit(&buf);
}

static size_t write_example(size_t max, bool *ret_failed)
{
    struct px_buf buf = px_buf(max);
    struct px_json_writer w = px_json_writer(&buf);
    px_json_begin_object(&w);
    px_json_key(&w, "key");
    px_json_put_text(&w, "value \n \xFF");
    px_json_key(&w, "n");
    px_json_put_f64(&w, 1.5e300, false);
    px_json_end_object(&w);
    size_t len = buf.len;
    *ret_failed = buf.failed;
    px_buf_deinit(&buf);
    return len;
}

PX_TEST(a_full_buffer_is_an_error_not_a_crash)
{
    bool failed;
    size_t whole = write_example(100, &failed);
    CHECK(!failed);
    for (size_t max = 0; max <= whole; max++) {
        CHECK(write_example(max, &failed) <= max);
        CHECK(failed == (max < whole));
    }
    px_alloc_fail_at(1);
    write_example(100, &failed);
    px_alloc_fail_at(0);
    CHECK(failed);
}

PX_TEST(writes_members)
{
    const struct px_str list[] = {PX_STR("a"), PX_STR("b")};
    struct px_buf buf = px_buf(1000);
    struct px_json_writer w = px_json_writer(&buf);
    px_json_begin_object(&w);
    px_json_member_str(&w, "s", px_str("x"));
    px_json_member_text(&w, "t", "y");
    px_json_member_u64(&w, "u", UINT64_MAX);
    px_json_member_f64(&w, "f", 0.5);
    px_json_member_f64(&w, "n", (double)NAN);
    px_json_member_bool(&w, "b", true);
    px_json_member_strs(&w, "l", list, 2);
    px_json_member_strs(&w, "e", NULL, 0);
    px_json_end_object(&w);
    CHECK_STR(px_buf_view(&buf), "{\"s\":\"x\",\"t\":\"y\",\"u\":18446744073709551615,"
                                 "\"f\":0.5,\"n\":null,\"b\":true,\"l\":[\"a\",\"b\"],\"e\":[]}");
    px_buf_deinit(&buf);
}

PX_TEST_MAIN(
    T(writes_members) T(walks_a_document) T(peeks_without_consuming) T(accepts_valid_texts)
        T(refuses_invalid_texts) T(every_prefix_of_a_document_is_refused) T(decodes_strings)
            T(bad_strings_are_refused_when_read) T(strings_without_escapes_are_borrowed) T(limits)
                T(a_full_arena_is_too_large) T(errors_say_what_and_where)
                    T(malformed_numbers_are_named) T(wrong_types_name_both)
                        T(the_first_failure_sticks) T(callers_may_fail_it) T(integers)
                            T(floats_of_the_xgboost_dialect) T(raw_text_of_a_value) T(number_arrays)
                                T(number_arrays_within_a_document)
                                    T(number_arrays_obey_the_depth_limit)
                                        T(reading_numbers_allocates_nothing) T(writes_a_document)
                                            T(escapes_strings) T(any_bytes_written_read_back)
                                                T(a_full_buffer_is_an_error_not_a_crash))
