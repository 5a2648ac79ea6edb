/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "domain/forest/readers/ubjson.h"

#define LENGTH(n) "L\0\0\0\0\0\0\0" n /* a length as XGBoost writes it */

static struct px_ubjson reader;

static void start(const char *bytes, size_t n)
{
    px_ubjson_init(&reader, px_str_n(bytes, n));
}

#define START(literal) start("" literal, sizeof(literal) - 1)

/* The reader must have failed with a message that contains `part`. */
#define CHECK_FAILED(part)                                                                         \
    do {                                                                                           \
        struct px_err err_ = {0};                                                                  \
        CHECK_INT(px_ubjson_check(&reader, &err_), PX_E_CORRUPT);                                  \
        CHECK_CONTAINS(err_.message, part);                                                        \
    } while (0)

PX_TEST(reads_big_endian_numbers)
{
    START(
        "[i\xFFU\xFFI\x01\x02l\x80\0\0\0L\0\0\0\1\0\0\0\0d\x3F\x80\0\0D\x3F\xF0\0\0\0\0\0\0C\x41]");
    static const double want[] = {-1, 255, 258, -2147483648.0, 4294967296.0, 1, 1, 65};
    CHECK(px_ubjson_enter_array(&reader));
    for (size_t i = 0; i < 8; i++) {
        CHECK(px_ubjson_next_element(&reader));
        CHECK_INT(px_ubjson_peek(&reader), PX_JSON_NUMBER);
        CHECK_DOUBLE((double)px_ubjson_f32(&reader), want[i]);
    }
    CHECK(!px_ubjson_next_element(&reader));
    CHECK_OK(px_ubjson_check(&reader, NULL));
}

PX_TEST(counted_and_typed_arrays_have_no_end_marker)
{
    START("{" LENGTH("\1") "a[$d#" LENGTH("\2") "\x3F\x80\0\0\x40\0\0\0" LENGTH("\1") "b[#" LENGTH(
        "\2") "i\5T" LENGTH("\1") "cZ}");
    struct px_str key;
    CHECK(px_ubjson_enter_object(&reader));
    CHECK(px_ubjson_next_key(&reader, &key));
    CHECK_STR(key, "a");
    CHECK(px_ubjson_enter_array(&reader) && px_ubjson_next_element(&reader));
    CHECK_DOUBLE((double)px_ubjson_f32(&reader), 1.0);
    CHECK(px_ubjson_next_element(&reader));
    CHECK_DOUBLE((double)px_ubjson_f32(&reader), 2.0);
    CHECK(!px_ubjson_next_element(&reader));
    CHECK(px_ubjson_next_key(&reader, &key) && px_ubjson_enter_array(&reader));
    CHECK(px_ubjson_next_element(&reader));
    CHECK_INT(px_ubjson_i64(&reader), 5);
    CHECK(px_ubjson_next_element(&reader) && px_ubjson_bool(&reader));
    CHECK(!px_ubjson_next_element(&reader));
    CHECK(px_ubjson_next_key(&reader, &key));
    CHECK_INT(px_ubjson_peek(&reader), PX_JSON_NULL);
    px_ubjson_skip(&reader);
    CHECK(!px_ubjson_next_key(&reader, &key));
    CHECK_OK(px_ubjson_check(&reader, NULL));
    CHECK_INT(px_cursor_left(&reader.cursor), 0);
}

PX_TEST(skips_any_value)
{
    START("[{i\1a[$l#i\2\0\0\0\1\0\0\0\2i\1b[[Si\2hi]Z]}i\7]");
    CHECK(px_ubjson_enter_array(&reader) && px_ubjson_next_element(&reader));
    px_ubjson_skip(&reader);
    CHECK(px_ubjson_next_element(&reader));
    CHECK_INT(px_ubjson_i64(&reader), 7);
    CHECK(!px_ubjson_next_element(&reader));
    CHECK_OK(px_ubjson_check(&reader, NULL));
}

PX_TEST(any_integer_type_may_be_a_length)
{
    START("[Si\2hiSU\2hiSI\0\2hiSl\0\0\0\2hi]");
    CHECK(px_ubjson_enter_array(&reader));
    for (int i = 0; i < 4; i++) {
        CHECK(px_ubjson_next_element(&reader));
        CHECK_STR(px_ubjson_str(&reader), "hi");
    }
}

PX_TEST(counts_are_checked_against_the_bytes_that_are_left)
{
    START("[$d#L\0\0\0\0\0\1\0\0");
    CHECK(!px_ubjson_enter_array(&reader));
    CHECK_FAILED("an array of 65536 elements, but only 0 bytes are left");
    START("[#L\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    CHECK(!px_ubjson_enter_array(&reader));
    CHECK_FAILED("but only 0 bytes are left");
    START("[$L#L\x10\0\0\0\0\0\0\1xxxxxxxx"); /* times 8 overflows */
    CHECK(!px_ubjson_enter_array(&reader));
    CHECK_FAILED("but only 8 bytes");
    START("[#i\xFF");
    CHECK(!px_ubjson_enter_array(&reader));
    CHECK_FAILED("negative length -1");
    START("SL\0\0\0\0\x7F\xFF\xFF\xFF");
    px_ubjson_str(&reader);
    CHECK_FAILED("a string of 2147483647 bytes; the limit is");
}

PX_TEST(what_xgboost_never_writes_is_refused)
{
    START("[$S#i\1i\1a");
    CHECK(!px_ubjson_enter_array(&reader));
    CHECK_FAILED("expected a number type of a typed array, got byte 0x53");
    START("[$Z#L\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF");
    CHECK(!px_ubjson_enter_array(&reader));
    CHECK_FAILED("got byte 0x5a");
    START("[$d\x3F");
    CHECK(!px_ubjson_enter_array(&reader));
    CHECK_FAILED("a typed array without a count");
    START("Hi\1"
          "1");
    px_ubjson_skip(&reader);
    CHECK_FAILED("expected a value, got byte 0x48");
    START("{#i\1i\1ai\1");
    struct px_str key;
    px_ubjson_enter_object(&reader);
    CHECK(!px_ubjson_next_key(&reader, &key));
    CHECK_FAILED("expected an integer type of a length, got byte 0x23");
    START("Si\2\xC3\x28");
    px_ubjson_str(&reader);
    CHECK_FAILED("not valid UTF-8");
}

PX_TEST(wrong_types_are_named)
{
    START("Si\1a");
    px_ubjson_i64(&reader);
    CHECK_FAILED("UBJSON byte 1: expected an integer, got byte 0x53");
    START("d\0\0\0\0");
    px_ubjson_i64(&reader);
    CHECK_FAILED("expected an integer, got byte 0x64");
    START("i\1");
    px_ubjson_bool(&reader);
    CHECK_FAILED("expected true or false");
    START("i\1");
    px_ubjson_str(&reader);
    CHECK_FAILED("expected a string");
    START("i\1");
    px_ubjson_enter_object(&reader);
    CHECK_FAILED("expected an object");
    START("T");
    px_ubjson_f32(&reader);
    CHECK_FAILED("expected a number");
}

PX_TEST(nesting_is_limited)
{
    static char deep[1000];
    memset(deep, '[', sizeof deep);
    start(deep, sizeof deep);
    px_ubjson_skip(&reader);
    CHECK_FAILED("nested deeper than 64 levels");
}

PX_TEST(every_truncation_fails)
{
    static const char text[] = "{i\1a[$l#i\2\0\0\0\1\0\0\0\2i\1b[[Si\2hi]Z]i\1cD\0\0\0\0\0\0\0\0}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        start(text, n);
        px_ubjson_skip(&reader);
        CHECK(px_ubjson_failed(&reader));
    }
    start(text, sizeof text - 1);
    px_ubjson_skip(&reader);
    CHECK_OK(px_ubjson_check(&reader, NULL));
}

PX_TEST(the_first_failure_sticks)
{
    START("Si\1a");
    px_ubjson_i64(&reader);
    CHECK_INT(px_ubjson_peek(&reader), PX_JSON_NONE);
    CHECK_INT(px_ubjson_str(&reader).len, 0);
    CHECK(!px_ubjson_enter_array(&reader));
    px_ubjson_fail(&reader, "later");
    CHECK_FAILED("expected an integer");
}

// clang-format off
PX_TEST_MAIN(
    T(reads_big_endian_numbers)
    T(counted_and_typed_arrays_have_no_end_marker)
    T(skips_any_value)
    T(any_integer_type_may_be_a_length)
    T(counts_are_checked_against_the_bytes_that_are_left)
    T(what_xgboost_never_writes_is_refused)
    T(wrong_types_are_named)
    T(nesting_is_limited)
    T(every_truncation_fails)
    T(the_first_failure_sticks)
)
