/* SPDX-License-Identifier: Apache-2.0 */
/* Base64: every length, and everything that is not it. */
#include "shared/base64.h"

#include "harness.h"

static enum px_code decode(const char *text, char *out, size_t *len)
{
    return px_base64_decode(px_str(text), out, len, NULL);
}

PX_TEST(decodes_the_vectors_of_the_standard)
{
    static const char *const vectors[][2] = {{"", ""},
                                             {"Zg==", "f"},
                                             {"Zm8=", "fo"},
                                             {"Zm9v", "foo"},
                                             {"Zm9vYg==", "foob"},
                                             {"Zm9vYmE=", "fooba"},
                                             {"Zm9vYmFy", "foobar"}};
    for (size_t i = 0; i < PX_ARRAY_LEN(vectors); i++) {
        char out[32];
        size_t len = 99;
        CHECK_OK(decode(vectors[i][0], out, &len));
        CHECK_STR(px_str_n(out, len), vectors[i][1]);
    }
}

PX_TEST(decodes_every_byte)
{
    static const char text[] = "AP+A/w=="; /* 00 FF 80 FF */
    char out[16];
    size_t len;
    CHECK_OK(decode(text, out, &len));
    CHECK_INT(len, 4);
    CHECK(memcmp(out, "\x00\xFF\x80\xFF", 4) == 0);
}

PX_TEST(refuses_what_is_not_base64)
{
    static const char *const bad[] = {
        "Zg", "Zg=", "Zg===", "Z===", "====", "Zm9v\n", "Zm9 ", "Zm-_", "Zh=="};
    for (size_t i = 0; i < PX_ARRAY_LEN(bad); i++) {
        char out[32];
        size_t len;
        CHECK_INT(decode(bad[i], out, &len), PX_E_INVALID);
    }
}

PX_TEST_MAIN(T(decodes_the_vectors_of_the_standard) T(decodes_every_byte)
                 T(refuses_what_is_not_base64))
