/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "shared/err.h"
#include "shared/str.h"

PX_TEST(sets_code_message_and_place)
{
    struct px_err err;
    memset(&err, 0xAB, sizeof err);
    CHECK_INT(px_err_set(&err, PX_E_NOT_FOUND, "no model '%s'", "m"), PX_E_NOT_FOUND);
    CHECK_INT(err.code, PX_E_NOT_FOUND);
    CHECK_STR(px_str(err.message), "no model 'm'");
    CHECK_STR(px_str(err.hint), "");
    CHECK_INT(err.line, __LINE__ - 4);
    CHECK_CONTAINS(err.file, "test_err.c");
}

PX_TEST(null_is_fine)
{
    CHECK_INT(px_err_set(NULL, PX_E_INVALID, "x"), PX_E_INVALID);
    CHECK_INT(px_err_hint(NULL, "x"), PX_E_INVALID);
    CHECK_INT(px_err_wrap(NULL, "x"), PX_E_INVALID);
}

static enum px_code find_nothing(struct px_err *err)
{
    px_err_set(err, PX_E_NOT_FOUND, "nothing here");
    px_err_hint(err, "look elsewhere");
    return px_err_wrap(err, "find");
}

PX_TEST(the_code_does_not_depend_on_who_listens)
{
    struct px_err err;
    CHECK_INT(px_err_set(NULL, PX_E_IO, "an older error"), PX_E_IO);
    CHECK_INT(find_nothing(&err), PX_E_NOT_FOUND);
    CHECK_INT(find_nothing(NULL), PX_E_NOT_FOUND);
}

PX_TEST(suggests_the_nearest_word)
{
    static const struct px_str words[] = {PX_STR("port"), PX_STR("host")};
    struct px_err err;
    px_err_set(&err, PX_E_INVALID, "unknown");
    CHECK(!px_err_suggest(&err, px_str("zzzz"), words, 2));
    CHECK_STR(px_str(err.hint), "");
    CHECK(px_err_suggest(&err, px_str("hots"), words, 2));
    CHECK_STR(px_str(err.hint), "did you mean 'host'?");
    CHECK(px_err_suggest(NULL, px_str("hots"), words, 2));
}

PX_TEST(hints_and_context)
{
    struct px_err err;
    char text[100];
    px_err_set(&err, PX_E_INVALID, "expected a number");
    CHECK_STR(px_str(px_err_text(&err, text, sizeof text)), "expected a number");
    CHECK_INT(px_err_hint(&err, "write %d", 5), PX_E_INVALID);
    CHECK_INT(px_err_wrap(&err, "line %d", 3), PX_E_INVALID);
    CHECK_INT(px_err_wrap(&err, "file '%s'", "f"), PX_E_INVALID);
    CHECK_STR(px_str(err.message), "file 'f': line 3: expected a number");
    CHECK_STR(px_str(px_err_text(&err, text, sizeof text)),
              "file 'f': line 3: expected a number (write 5)");
    CHECK_STR(px_str(px_err_text(&err, text, 5)), "file");
}

PX_TEST(the_old_message_may_be_an_argument)
{
    struct px_err err;
    px_err_set(&err, PX_E_IO, "inner");
    px_err_set(&err, PX_E_CORRUPT, "outer (%s)", err.message);
    CHECK_STR(px_str(err.message), "outer (inner)");
}

PX_TEST(long_texts_are_cut)
{
    struct px_err err;
    char text[2 * PX_ERR_MESSAGE_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    px_err_set(&err, PX_E_INVALID, "%s", text);
    CHECK_INT(strlen(err.message), PX_ERR_MESSAGE_MAX - 1);
    px_err_wrap(&err, "%s", text);
    CHECK_INT(strlen(err.message), PX_ERR_MESSAGE_MAX - 1);
    px_err_hint(&err, "%s", text);
    CHECK_INT(strlen(err.hint), PX_ERR_HINT_MAX - 1);
}

PX_TEST(codes_have_properties)
{
    CHECK_STR(px_str(px_code_name(PX_E_NOT_FOUND)), "NOT_FOUND");
    CHECK_STR(px_str(px_code_text(PX_E_NOT_FOUND)), "not found");
    CHECK_INT(px_code_http(PX_E_NOT_FOUND), 404);
    CHECK_INT(px_code_grpc(PX_E_NOT_FOUND), 5);
    CHECK(!px_code_retryable(PX_E_NOT_FOUND));
    CHECK(px_code_retryable(PX_E_OVERLOADED));
    CHECK_INT(px_code_http(PX_OK), 200);
    /* A number that no release knows: the worst is assumed. */
    volatile int unknown = 9999;
    CHECK_STR(px_str(px_code_name((enum px_code)unknown)), "INTERNAL");
}

PX_TEST(rows_are_distinct_and_sensible)
{
    static const enum px_code codes[] = {
#define PX_ERROR(name, number, http, grpc, retryable, text) PX_E_##name,
#include "shared/errors.def"
#undef PX_ERROR
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        CHECK(px_code_http(codes[i]) >= 400 && px_code_http(codes[i]) < 600);
        CHECK(px_code_grpc(codes[i]) >= 1 && px_code_grpc(codes[i]) <= 16);
        for (size_t k = 0; k < i; k++)
            CHECK(codes[i] != codes[k]);
    }
}

PX_TEST_MAIN(T(sets_code_message_and_place) T(null_is_fine)
                 T(the_code_does_not_depend_on_who_listens) T(hints_and_context)
                     T(suggests_the_nearest_word) T(the_old_message_may_be_an_argument)
                         T(long_texts_are_cut) T(codes_have_properties)
                             T(rows_are_distinct_and_sensible))
