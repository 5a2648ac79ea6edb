/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers against strtof, strtod and printf, which glibc rounds exactly. */
#include "harness.h"
#include "shared/number.h"
#include "shared/rng.h"

enum { ROUNDS = 100000 };

static uint32_t bits_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t bits_f64(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float from_bits_f32(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double from_bits_f64(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Both parsers take the whole text and agree with libc to the bit. */
static void check_text(const char *text)
{
    const char *end = text + strlen(text);
    float f = -1;
    double d = -1;
    const char *after_f = px_number_parse_f32(text, end, &f);
    const char *after_d = px_number_parse_f64(text, end, &d);
    if (after_f != end || after_d != end || bits_f32(f) != bits_f32(strtof(text, NULL)) ||
        bits_f64(d) != bits_f64(strtod(text, NULL))) {
        fprintf(stderr, "'%s': got %a and %a, want %a and %a\n", text, (double)f, d,
                (double)strtof(text, NULL), strtod(text, NULL));
        px_test_fail(__FILE__, __LINE__);
    }
}

static void check_print_f32(float value)
{
    char text[PX_NUMBER_TEXT_MAX + 1], longer[64];
    size_t n = px_number_print_f32(value, text);
    CHECK(n <= PX_NUMBER_TEXT_MAX);
    text[n] = '\0';
    check_text(text);
    CHECK_INT(bits_f32(strtof(text, NULL)), bits_f32(value));
    /* Shortest: printf needs at least as many digits. */
    int digits = 1;
    for (; digits < 9; digits++) {
        snprintf(longer, sizeof longer, "%.*e", digits - 1, (double)value);
        if (bits_f32(strtof(longer, NULL)) == bits_f32(value))
            break;
    }
    int printed = 0, zeros = 0;
    for (size_t i = 0; i < n && text[i] != 'e'; i++) {
        if (text[i] < '0' || text[i] > '9' || (printed == 0 && text[i] == '0'))
            continue;
        printed++;
        zeros = text[i] == '0' ? zeros + 1 : 0;
    }
    CHECK(printed - zeros <= digits);
}

static void check_print_f64(double value)
{
    char text[PX_NUMBER_TEXT_MAX + 1];
    size_t n = px_number_print_f64(value, text);
    CHECK(n <= PX_NUMBER_TEXT_MAX);
    text[n] = '\0';
    check_text(text);
    CHECK_INT(bits_f64(strtod(text, NULL)), bits_f64(value));
}

static const char *printed_f64(double value)
{
    static char text[PX_NUMBER_TEXT_MAX + 1];
    text[px_number_print_f64(value, text)] = '\0';
    return text;
}

static const char *printed_f32(float value)
{
    static char text[PX_NUMBER_TEXT_MAX + 1];
    text[px_number_print_f32(value, text)] = '\0';
    return text;
}

PX_TEST(parses_what_json_allows)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "1",
        "-1",
        "0.5",
        "1e5",
        "1E+5",
        "1e-5",
        "0e99999",
        "0.0",
        "-0.0e-7",
        "3.14",
        "1.0157479E0",
        "-3E0",
        "5E-1",
        "1e400",
        "1e-400",
        "-1e400",
        "1e39",
        "1e-50",
        "123456789012345678",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "0.000000000000000000000000000001",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_text(texts[i]);
}

PX_TEST(stops_after_the_number)
{
    static const char text[] = "12.5,3";
    double d;
    CHECK(px_number_parse_f64(text, text + 6, &d) == text + 4);
    CHECK_DOUBLE(d, 12.5);
    CHECK(px_number_parse_f64(text, text + 2, &d) == text + 2); /* the end cuts it */
    CHECK_DOUBLE(d, 12);
}

PX_TEST(refuses_what_json_forbids)
{
    static const char *const texts[] = {"",    "-",  "+1", ".5",  "1.",  "01",   "-01", "1e",
                                        "1e+", "e5", "x",  "nan", "inf", "1.e5", "--1", "00"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        double d;
        float f;
        CHECK(px_number_parse_f64(texts[i], texts[i] + strlen(texts[i]), &d) == NULL);
        CHECK(px_number_parse_f32(texts[i], texts[i] + strlen(texts[i]), &f) == NULL);
    }
}

PX_TEST(lenient_forms)
{
    static const struct {
        const char *text;
        double value;
    } rows[] = {
        {"+1", 1},
        {".5", 0.5},
        {"5.", 5},
        {"-.25", -0.25},
        {"007", 7},
        {"+.5e1", 5},
        {"nan", NAN},
        {"NaN", NAN},
        {"-NAN", NAN},
        {"inf", INFINITY},
        {"-Inf", -INFINITY},
        {"+infinity", INFINITY},
        {"INFINITY", INFINITY},
        {"1.e2", 100},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double d = 0;
        float f = 0;
        CHECK(px_str_to_f64(px_str(rows[i].text), &d));
        CHECK_DOUBLE(d, rows[i].value);
        CHECK(px_str_to_f32(px_str(rows[i].text), &f));
        CHECK_DOUBLE(f, rows[i].value);
    }
    static const char *const bad[] = {"",    " 1",   "1 ",   ".",   "+",    "-",
                                      "1,5", "0x10", "1e",   "na",  "nana", "infi",
                                      "1_0", "..5",  "5e.1", "--1", "+-1",  "e"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double d;
        float f;
        CHECK(!px_str_to_f64(px_str(bad[i]), &d));
        CHECK(!px_str_to_f32(px_str(bad[i]), &f));
    }
    CHECK(!px_str_to_f64((struct px_str){0}, &(double){0}));
}

PX_TEST(parses_random_bit_patterns)
{
    struct px_rng rng = px_rng(1);
    char text[64];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t bits = px_rng_u64(&rng);
        double d = from_bits_f64(bits);
        if (isfinite(d)) {
            snprintf(text, sizeof text, "%.17g", d);
            check_text(text);
        }
        float f = from_bits_f32((uint32_t)(bits >> 16));
        if (isfinite(f)) {
            snprintf(text, sizeof text, "%.9g", (double)f);
            check_text(text);
            snprintf(text, sizeof text, "%.17g", (double)f);
            check_text(text);
        }
    }
}

PX_TEST(parses_random_decimals)
{
    struct px_rng rng = px_rng(2);
    char text[64];
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t digits = px_rng_u64(&rng) >> px_rng_below(&rng, 64);
        int exponent = (int)px_rng_below(&rng, 700) - 360;
        snprintf(text, sizeof text, "%" PRIu64 "e%d", digits, exponent);
        check_text(text);
        exponent = (int)px_rng_below(&rng, 90) - 60; /* floats */
        snprintf(text, sizeof text, "%" PRIu64 "e%d", digits, exponent);
        check_text(text);
        snprintf(text, sizeof text, "%d.%06d", (int)px_rng_below(&rng, 1000),
                 (int)px_rng_below(&rng, 1000000));
        check_text(text);
    }
}

PX_TEST(parses_half_way_points)
{
    struct px_rng rng = px_rng(3);
    char text[1600];
    for (int i = 0; i < 3000; i++) {
        /* The point between two floats is a double; its exact text, and one digit above and below. */
        uint32_t low = (uint32_t)px_rng_below(&rng, 0x7F7FFFFF);
        double middle = ((double)from_bits_f32(low) + (double)from_bits_f32(low + 1)) / 2;
        int n = snprintf(text, sizeof text - 8, "%.1100f", middle);
        check_text(text);
        memcpy(text + n, "1", 2);
        check_text(text);
        snprintf(text, sizeof text, "%.16e", middle);
        check_text(text);
    }
    for (int i = 0; i < 300; i++) {
        /* Between two doubles: print with long double, exact in 64 bits of mantissa. */
        uint64_t low = px_rng_below(&rng, (uint64_t)0x7FE << 52);
        long double middle =
            ((long double)from_bits_f64(low) + (long double)from_bits_f64(low + 1)) / 2;
        int n = snprintf(text, sizeof text - 8, "%.1150Lf", middle);
        if (n < (int)sizeof text - 8) {
            check_text(text);
            memcpy(text + n, "1", 2);
            check_text(text);
        }
    }
}

PX_TEST(parses_known_hard_cases)
{
    static const char *const texts[] = {
        "9007199254740993",
        "9007199254740992.5",
        "9007199254740993.0000000000000000001",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.797693134862315807e308",
        "1.7976931348623159e308",
        "16777217",
        "16777219",
        "16777217.0000000000000000000000001",
        "3.4028234663852886e38",
        "3.4028235677973366e38",
        "3.4028235677973365e38",
        "1.1754943508222875e-38",
        "1.1754942807573643e-38",
        "1.401298464324817e-45",
        "7.006492321624085e-46",
        "7.006492321624086e-46",
        "8.5899345919999999999999999999999e9",
        "6.631236846766476e-316",
        "0.1000000014901161193847656250000000000000000001",
        "7.2057594037927933e16",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999",
        "1000000000000000000000000000000000",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_text(texts[i]);
}

PX_TEST(parses_powers_of_ten_and_two)
{
    char text[64];
    for (int e = -350; e <= 320; e++) {
        snprintf(text, sizeof text, "1e%d", e);
        check_text(text);
        snprintf(text, sizeof text, "9.9999999999999999999e%d", e);
        check_text(text);
    }
    for (int e = -1074; e < 1024; e++) {
        snprintf(text, sizeof text, "%.17g", ldexp(1, e));
        check_text(text);
        snprintf(text, sizeof text, "%.25g", ldexp(1, e));
        check_text(text);
    }
}

PX_TEST(parses_very_long_numbers)
{
    enum { LONG = 5000 };
    static char text[LONG + 16];
    memset(text, '7', LONG);
    text[1] = '.';
    text[LONG] = '\0';
    check_text(text);
    memset(text, '0', LONG);
    text[1] = '.';
    memcpy(text + LONG - 3, "123", 4);
    check_text(text);
    memcpy(text + LONG, "e4990", 6); /* the zeros cancel against the exponent */
    check_text(text);
    memset(text, '9', LONG);
    memcpy(text + LONG, "e-4990", 7);
    check_text(text);
}

PX_TEST(prints_the_documented_forms)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {-1, "-1.0"},
        {100, "100.0"},
        {9007199254740991, "9007199254740991.0"},
        {9007199254740992, "9007199254740992.0"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {1.5e300, "1.5e+300"},
        {1e-7, "1e-07"},
        {1.25e-5, "1.25e-05"},
        {0.0001, "0.0001"},
        {0.00012, "0.00012"},
        {0.1, "0.1"},
        {0.3, "0.3"},
        {0.1 + 0.2, "0.30000000000000004"},
        {123.456, "123.456"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {NAN, "NaN"},
        {INFINITY, "Infinity"},
        {-INFINITY, "-Infinity"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK_STR(px_str(printed_f64(rows[i].value)), rows[i].text);
    CHECK_STR(px_str(printed_f32(0.1F)), "0.1");
    CHECK_STR(px_str(printed_f32(-2.5F)), "-2.5");
    CHECK_STR(px_str(printed_f32(16777216.0F)), "16777216.0");
    CHECK_STR(px_str(printed_f32(1e-45F)), "1e-45");
    CHECK_STR(px_str(printed_f32(3.4028235e38F)), "3.4028235e+38");
    CHECK_STR(px_str(printed_f32(1e10F)), "10000000000.0");
    CHECK_STR(px_str(printed_f32(NAN)), "NaN");
    CHECK_STR(px_str(printed_f32(-INFINITY)), "-Infinity");
    CHECK_STR(px_str(printed_f32(-0.0F)), "-0.0");
}

PX_TEST(prints_shortest_that_parses_back)
{
    struct px_rng rng = px_rng(4);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t bits = px_rng_u64(&rng);
        double d = from_bits_f64(bits);
        float f = from_bits_f32((uint32_t)bits);
        if (isfinite(d))
            check_print_f64(d);
        if (isfinite(f) && i % 4 == 0)
            check_print_f32(f);
        check_print_f64((double)(int64_t)bits / 1000);
        check_print_f32((float)px_rng_unit(&rng));
    }
    for (int e = -1074; e < 1024; e++) {
        double power = ldexp(1, e);
        check_print_f64(power);
        check_print_f64(nextafter(power, 0));
        check_print_f64(nextafter(power, INFINITY));
    }
    for (int e = -149; e < 128; e++) {
        float power = ldexpf(1, e);
        check_print_f32(power);
        check_print_f32(nextafterf(power, 0));
        check_print_f32(nextafterf(power, INFINITY));
    }
}

PX_TEST_MAIN(T(parses_what_json_allows) T(stops_after_the_number) T(refuses_what_json_forbids)
                 T(lenient_forms) T(parses_random_bit_patterns) T(parses_random_decimals)
                     T(parses_half_way_points) T(parses_known_hard_cases)
                         T(parses_powers_of_ten_and_two) T(parses_very_long_numbers)
                             T(prints_the_documented_forms) T(prints_shortest_that_parses_back))
