/* SPDX-License-Identifier: Apache-2.0 */
/* What the port's contract does not say: tests/contract/coding. */
#include "harness.h"
#include "infrastructure/coding/coder.h"
#include "shared/alloc.h"

static struct px_coder *make(void)
{
    struct px_coder *coder = NULL;
    if (px_coder_create(&coder, NULL) != PX_OK)
        abort();
    return coder;
}

static enum px_code decode_text(enum px_coding coding, const char *bytes, size_t len, size_t max)
{
    struct px_coder *coder = make();
    struct px_buf out = px_buf(max);
    enum px_code code = px_coder_decode(coder, coding, px_str_n(bytes, len), &out, NULL);
    px_buf_deinit(&out);
    px_coder_destroy(coder);
    return code;
}

/* "aaa" as a raw deflate stream, which some clients send as "deflate". */
PX_TEST(deflate_without_a_wrapper_is_understood)
{
    struct px_coder *coder = make();
    struct px_buf out = px_buf(64);
    CHECK_OK(
        px_coder_decode(coder, PX_CODING_DEFLATE, px_str_n("\x4b\x4c\x4c\x04\x00", 5), &out, NULL));
    CHECK_STR(px_buf_view(&out), "aaa");
    px_buf_deinit(&out);
    px_coder_destroy(coder);
}

/* Runs `test` for each coding. */
static void for_each_coding(void (*test)(struct px_coder *coder, enum px_coding coding))
{
    for (int coding = PX_CODING_NONE + 1; coding < PX_CODING_COUNT; coding++) {
        struct px_coder *coder = make();
        test(coder, (enum px_coding)coding);
        px_coder_destroy(coder);
    }
}

static void check_bomb(struct px_coder *coder, enum px_coding coding)
{
    struct px_buf zeros = px_buf(8 << 20), packed = px_buf(1 << 20), out = px_buf(1 << 20);
    struct px_err err;
    CHECK(px_buf_reserve(&zeros, 4 << 20));
    memset(zeros.ptr, 0, 4 << 20);
    zeros.len = 4 << 20;
    CHECK_OK(px_coder_encode(coder, coding, px_buf_view(&zeros), &packed, NULL));
    CHECK_INT(px_coder_decode(coder, coding, px_buf_view(&packed), &out, &err), PX_E_TOO_LARGE);
    CHECK_INT(out.len, 0);
    CHECK(!out.failed);
    CHECK(out.cap <= (1 << 20) + 1);
    px_buf_deinit(&zeros);
    px_buf_deinit(&packed);
    px_buf_deinit(&out);
}

PX_TEST(a_bomb_stops_at_the_limit)
{
    for_each_coding(check_bomb);
}

PX_TEST(a_wrong_checksum_is_refused)
{
    struct px_coder *coder = make();
    struct px_buf packed = px_buf(1024);
    CHECK_OK(px_coder_encode(coder, PX_CODING_GZIP, px_str("hello, hello"), &packed, NULL));
    packed.ptr[packed.len - 6] ^= 1;
    CHECK_INT(decode_text(PX_CODING_GZIP, packed.ptr, packed.len, 100), PX_E_INVALID);
    px_buf_deinit(&packed);
    px_coder_destroy(coder);
}

/* "cat a.gz b.gz": members of gzip and frames of zstd may follow each other; zlib's wrapper knows none. */
static void check_two_in_a_row(struct px_coder *coder, enum px_coding coding)
{
    struct px_buf packed = px_buf(1024), plain = px_buf(1024);
    CHECK_OK(px_coder_encode(coder, coding, px_str("hello, "), &packed, NULL));
    CHECK_OK(px_coder_encode(coder, coding, px_str("world"), &packed, NULL));
    enum px_code code = px_coder_decode(coder, coding, px_buf_view(&packed), &plain, NULL);
    if (coding == PX_CODING_DEFLATE) {
        CHECK_INT(code, PX_E_INVALID);
    } else {
        CHECK_OK(code);
        CHECK_STR(px_buf_view(&plain), "hello, world");
        CHECK_INT(decode_text(coding, packed.ptr, packed.len, 11), PX_E_TOO_LARGE);
        CHECK_INT(decode_text(coding, packed.ptr, packed.len - 1, 100), PX_E_INVALID);
    }
    px_buf_deinit(&packed);
    px_buf_deinit(&plain);
}

PX_TEST(several_in_a_row_are_one_text)
{
    for_each_coding(check_two_in_a_row);
}

/* A frame of zstd whose header asks for a window of 1 GiB. */
PX_TEST(a_decoder_is_not_made_to_reserve_a_huge_window)
{
    static const char frame[] = "\x28\xb5\x2f\xfd\x00\xa0\x01\x00\x00";
    CHECK_INT(decode_text(PX_CODING_ZSTD, frame, sizeof frame - 1, 100), PX_E_INVALID);
}

PX_TEST(a_warm_coder_allocates_nothing)
{
    struct px_coder *coder = make();
    struct px_buf packed = px_buf(1024), plain = px_buf(1024);
    uint64_t before = 0;
    for (int i = 0; i < 10; i++) {
        if (i == 2)
            before = px_alloc_count();
        px_buf_clear(&packed);
        px_buf_clear(&plain);
        CHECK_OK(px_coder_encode(coder, PX_CODING_GZIP, px_str("some text"), &packed, NULL));
        CHECK_OK(px_coder_decode(coder, PX_CODING_GZIP, px_buf_view(&packed), &plain, NULL));
    }
    CHECK_INT(px_alloc_count(), before);
    px_buf_deinit(&packed);
    px_buf_deinit(&plain);
    px_coder_destroy(coder);
}

PX_TEST(short_memory_is_an_error)
{
    for (uint64_t n = 1; n < 25; n++) {
        struct px_coder *coder = NULL;
        struct px_buf out = px_buf(1024);
        px_alloc_fail_at(n);
        enum px_code code = px_coder_create(&coder, NULL);
        if (code == PX_OK)
            code = px_coder_encode(coder, PX_CODING_GZIP, px_str("text"), &out, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        px_buf_deinit(&out);
        px_coder_destroy(coder);
    }
}

PX_TEST(codings_have_names)
{
    CHECK_INT(px_coding_from_name(px_str("GZip")), PX_CODING_GZIP);
    CHECK_INT(px_coding_from_name(px_str("x-gzip")), PX_CODING_GZIP);
    CHECK_INT(px_coding_from_name(px_str("identity")), PX_CODING_NONE);
    CHECK_INT(px_coding_from_name(px_str("zstd")), PX_CODING_ZSTD);
    CHECK_INT(px_coding_from_name(px_str("br")), PX_CODING_COUNT);
    CHECK_STR(px_str(px_coding_name(PX_CODING_DEFLATE)), "deflate");
}

PX_TEST_MAIN(T(deflate_without_a_wrapper_is_understood) T(a_bomb_stops_at_the_limit)
                 T(a_wrong_checksum_is_refused) T(several_in_a_row_are_one_text)
                     T(a_decoder_is_not_made_to_reserve_a_huge_window)
                         T(a_warm_coder_allocates_nothing) T(short_memory_is_an_error)
                             T(codings_have_names))
