/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "shared/str.h"

static const struct px_str null = {0};

PX_TEST(compares)
{
    CHECK(px_str_eq(null, px_str("")));
    CHECK(px_str_eq(px_str("ab"), px_str_n("abc", 2)));
    CHECK(!px_str_eq(px_str("ab"), px_str("ac")));
    CHECK(px_str_is(px_str("ab"), "ab"));
    CHECK(px_str(NULL).len == 0);
    CHECK(px_str_eq_nocase(px_str("AbZ["), px_str("aBz[")));
    CHECK(!px_str_eq_nocase(px_str("a"), px_str("ab")));
    CHECK(!px_str_eq_nocase(px_str("@"), px_str("`")));
    CHECK(px_str_cmp(px_str("a"), px_str("b")) < 0);
    CHECK(px_str_cmp(px_str("a"), px_str("ab")) < 0);
    CHECK(px_str_cmp(px_str("\xFF"), px_str("a")) > 0);
    CHECK(px_str_cmp(null, null) == 0);
    CHECK(px_str_cmp(px_str("b"), null) > 0);
    static const struct px_str literal = PX_STR("abc");
    CHECK_INT(literal.len, 3);
}

PX_TEST(starts_and_ends)
{
    CHECK(px_str_starts(px_str("abc"), "ab") && !px_str_starts(px_str("a"), "ab"));
    CHECK(px_str_ends(px_str("abc"), "bc") && !px_str_ends(px_str("c"), "bc"));
    CHECK(px_str_starts(null, "") && px_str_ends(null, ""));
    CHECK(!px_str_starts(null, "a") && !px_str_ends(null, "a"));
}

PX_TEST(trims_and_finds)
{
    CHECK_STR(px_str_trim(px_str(" \t\r\n a b \n")), "a b");
    CHECK_STR(px_str_trim(px_str(" \n")), "");
    CHECK_INT(px_str_trim(null).len, 0);
    CHECK_INT(px_str_find(px_str("abc"), 'c'), 2);
    CHECK_INT(px_str_find(px_str("abc"), 'x'), 3);
    CHECK_INT(px_str_find(null, 'x'), 0);
}

PX_TEST(cuts)
{
    struct px_str rest = px_str("a,,b,");
    CHECK_STR(px_str_cut(&rest, ','), "a");
    CHECK_STR(px_str_cut(&rest, ','), "");
    CHECK_STR(px_str_cut(&rest, ','), "b");
    CHECK(rest.ptr && rest.len == 0);
    CHECK_STR(px_str_cut(&rest, ','), "");
    CHECK(!rest.ptr);
    CHECK_INT(px_str_cut(&rest, ',').len, 0);
}

PX_TEST(integers)
{
    uint64_t u = 7;
    int64_t i = 7;
    CHECK(px_str_to_u64(px_str("18446744073709551615"), &u) && u == UINT64_MAX);
    CHECK(px_str_to_u64(px_str("007"), &u) && u == 7);
    CHECK(px_str_to_i64(px_str("-9223372036854775808"), &i) && i == INT64_MIN);
    CHECK(px_str_to_i64(px_str("+9223372036854775807"), &i) && i == INT64_MAX);
    CHECK(px_str_to_i64(px_str("-0"), &i) && i == 0);
    static const char *const bad_u64[] = {
        "",    "-1", "+1", " 1", "1 ", "1.0", "18446744073709551616", "99999999999999999999999",
        "0x1", "a"};
    for (size_t k = 0; k < sizeof bad_u64 / sizeof bad_u64[0]; k++)
        CHECK(!px_str_to_u64(px_str(bad_u64[k]), &u));
    static const char *const bad_i64[] = {
        "", "-", "+", "--1", "+-1", "9223372036854775808", "-9223372036854775809"};
    for (size_t k = 0; k < sizeof bad_i64 / sizeof bad_i64[0]; k++)
        CHECK(!px_str_to_i64(px_str(bad_i64[k]), &i));
    CHECK(!px_str_to_i64(null, &i));
}

PX_TEST(utf8)
{
    static const char *const good[] = {"",
                                       "abc",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "12345678\xC3\xA9"};
    static const char *const bad[] = {
        "\x80",
        "\xBF",
        "\xC0\x80",
        "\xC1\xBF",
        "\xC2",
        "\xC2\x41",
        "\xE0\x9F\xBF",
        "\xE0\xA0",
        "\xED\xA0\x80",
        "\xEF\xBF",
        "\xF0\x8F\xBF\xBF",
        "\xF0\x90\x80",
        "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80",
        "\xFF",
        "\xE2\x28\xA1",
        "\xF0\x90\x28\x80",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK(px_str_is_utf8(px_str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(!px_str_is_utf8(px_str(bad[i])));
        CHECK_INT(px_str_utf8_char(px_str(bad[i])), 0);
    }
    CHECK(px_str_is_utf8(null));
    CHECK_INT(px_str_utf8_prefix(px_str("ab\xC3\xA9\xFFz")), 4);
    CHECK_INT(px_str_utf8_char(px_str("\xE2\x82\xAC.")), 3);
    CHECK_INT(px_str_utf8_char(null), 0);
}

/* Every sequence of two and three bytes against the definition by code points. */
PX_TEST(utf8_exhaustively)
{
    for (unsigned a = 0x80; a < 0x100; a++) {
        for (unsigned b = 0; b < 0x100; b++) {
            char two[] = {(char)a, (char)b};
            bool follows = (b & 0xC0) == 0x80;
            CHECK(px_str_is_utf8(px_str_n(two, 2)) == (a >= 0xC2 && a < 0xE0 && follows));
            for (unsigned c = 0x7F; c < 0xC1; c++) {
                char three[] = {(char)a, (char)b, (char)c};
                unsigned code = (a & 0x0F) << 12 | (b & 0x3F) << 6 | (c & 0x3F);
                bool valid = a >= 0xE0 && a < 0xF0 && follows && (c & 0xC0) == 0x80 &&
                             code >= 0x800 && !(code >= 0xD800 && code < 0xE000);
                if (a >= 0xE0)
                    CHECK(px_str_is_utf8(px_str_n(three, 3)) == valid);
            }
        }
    }
}

PX_TEST(nearest_words)
{
    static const struct px_str words[] = {PX_STR("port"), PX_STR("host"), PX_STR("threads"),
                                          PX_STR("")};
    CHECK_INT(px_str_nearest(px_str("prot"), words, 4), 0);
    CHECK_INT(px_str_nearest(px_str("PORT"), words, 4), 0);
    CHECK_INT(px_str_nearest(px_str("hots"), words, 4), 1);
    CHECK_INT(px_str_nearest(px_str("thread"), words, 4), 2);
    CHECK_INT(px_str_nearest(px_str("zzzz"), words, 4), -1);
    CHECK_INT(px_str_nearest(null, words, 4), -1);
    CHECK_INT(px_str_nearest(px_str("port"), words, 0), -1);
    char longer[100];
    memset(longer, 'p', sizeof longer);
    CHECK_INT(px_str_nearest(px_str_n(longer, sizeof longer), words, 4), -1);
}

PX_TEST(the_search_for_the_nearest_word_is_bounded)
{
    enum { N = 2000, LEN = 57 };
    static char texts[N][LEN];
    static struct {
        uint64_t other;
        struct px_str name;
    } rows[N];
    char word[LEN];
    memset(texts, 'x', sizeof texts);
    memset(word, 'y', sizeof word);
    for (size_t i = 0; i < N; i++)
        rows[i].name = px_str_n(texts[i], LEN);
    struct px_str wanted = px_str_n(word, LEN);
    memset(texts[20], 'y', LEN - 3);
    CHECK_INT(px_str_nearest_of(wanted, &rows[0].name, sizeof rows[0], N), 20);
    memset(texts[20], 'x', LEN);
    memset(texts[N - 1], 'y', LEN - 3); /* beyond what one search may cost */
    CHECK((N - 1) * LEN * LEN > PX_NEAREST_STEPS_MAX);
    CHECK_INT(px_str_nearest_of(wanted, &rows[0].name, sizeof rows[0], N), -1);
    for (size_t i = 0; i + 1 < N; i++)
        rows[i].name.len = 10; /* too short to be near: free */
    CHECK_INT(px_str_nearest_of(wanted, &rows[0].name, sizeof rows[0], N), N - 1);
}

PX_TEST_MAIN(T(compares) T(starts_and_ends) T(trims_and_finds) T(cuts) T(integers) T(utf8)
                 T(utf8_exhaustively) T(nearest_words)
                     T(the_search_for_the_nearest_word_is_bounded))
