/* SPDX-License-Identifier: Apache-2.0 */
/* The examples of FIPS 180-4, and bytes that come in pieces. */
#include "shared/sha256.h"

#include "harness.h"

static void check(struct px_str bytes, const char *wanted)
{
    char hex[PX_SHA256_HEX];
    struct px_sha256 sha = px_sha256();
    px_sha256_add(&sha, bytes);
    px_sha256_end(&sha, hex);
    CHECK_STR(px_str(hex), wanted);
}

PX_TEST(examples_of_the_standard)
{
    check(px_str(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check(px_str("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check(px_str("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* Every length around the ends of blocks, in pieces of every size, is what it is at once. */
PX_TEST(pieces_make_no_difference)
{
    char text[200], whole[PX_SHA256_HEX], pieces[PX_SHA256_HEX];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i * 7);
    for (size_t n = 0; n <= sizeof text; n++) {
        struct px_sha256 a = px_sha256(), b = px_sha256();
        px_sha256_add(&a, px_str_n(text, n));
        for (size_t at = 0, size = 1; at < n; at += size, size = size % 67 + 1) {
            size = size < n - at ? size : n - at;
            px_sha256_add(&b, px_str_n(text + at, size));
        }
        px_sha256_end(&a, whole);
        px_sha256_end(&b, pieces);
        CHECK_STR(px_str(whole), pieces);
    }
}

PX_TEST_MAIN(T(examples_of_the_standard) T(pieces_make_no_difference))
