/* SPDX-License-Identifier: Apache-2.0 */
/* The coding port's contract, run against every adapter and every coding. */
#include "infrastructure/coding/coder.h"
#include "memory_coder.h"
#include "shared/alloc.h"

#include "harness.h"

static struct memory_coder memory;

static struct px_coder *make_memory(void)
{
    return memory_coder_init(&memory);
}

static struct px_coder *make_libraries(void)
{
    struct px_coder *coder = NULL;
    px_alloc_fail_at(0);
    return px_coder_create(&coder, NULL) == PX_OK ? coder : NULL;
}

static struct px_coder *(*const adapters[])(void) = {make_memory, make_libraries};

typedef void coding_test(struct px_coder *coder, enum px_coding coding);

static void for_each(coding_test *test)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(adapters); i++) {
        for (int coding = PX_CODING_NONE + 1; coding < PX_CODING_COUNT; coding++) {
            struct px_coder *coder = adapters[i]();
            test(coder, (enum px_coding)coding);
            px_coder_destroy(coder);
        }
    }
}

static enum px_code decode(struct px_coder *coder, enum px_coding coding, struct px_str bytes,
                           size_t max)
{
    struct px_buf out = px_buf(max);
    struct px_err err;
    enum px_code code = px_coder_decode(coder, coding, bytes, &out, &err);
    CHECK(!out.failed && (code == PX_OK || out.len == 0));
    px_buf_deinit(&out);
    return code;
}

static void check_round_trip(struct px_coder *coder, enum px_coding coding)
{
    struct px_buf packed = px_buf(1 << 20), plain = px_buf(1 << 20), in = px_buf(1 << 20);
    for (size_t len = 0; len < 100000; len = len * 7 + 1) {
        while (in.len < len)
            px_buf_byte(&in, (char)(in.len * in.len % 97));
        px_buf_clear(&packed);
        px_buf_clear(&plain);
        CHECK_OK(px_coder_encode(coder, coding, px_buf_view(&in), &packed, NULL));
        CHECK_OK(px_coder_decode(coder, coding, px_buf_view(&packed), &plain, NULL));
        CHECK(px_str_eq(px_buf_view(&in), px_buf_view(&plain)));
    }
    px_buf_deinit(&packed);
    px_buf_deinit(&plain);
    px_buf_deinit(&in);
}

PX_TEST(what_is_encoded_decodes_to_itself)
{
    for_each(check_round_trip);
}

static void check_what_was_there(struct px_coder *coder, enum px_coding coding)
{
    struct px_buf packed = px_buf(1024), out = px_buf(16);
    CHECK_OK(px_coder_encode(coder, coding, px_str("0123456789"), &packed, NULL));
    px_buf_text(&out, "before ");
    CHECK_INT(px_coder_decode(coder, coding, px_buf_view(&packed), &out, NULL), PX_E_TOO_LARGE);
    CHECK_STR(px_buf_view(&out), "before ");
    CHECK_INT(px_coder_encode(coder, coding, px_buf_view(&packed), &out, NULL), PX_E_TOO_LARGE);
    CHECK_STR(px_buf_view(&out), "before ");
    px_buf_clear(&out);
    px_buf_text(&out, "behind");
    CHECK_OK(px_coder_decode(coder, coding, px_buf_view(&packed), &out, NULL));
    CHECK_STR(px_buf_view(&out), "behind0123456789"); /* exactly the limit */
    px_buf_deinit(&packed);
    px_buf_deinit(&out);
}

PX_TEST(results_are_appended_and_a_failure_leaves_what_was_there)
{
    for_each(check_what_was_there);
}

static void check_damage(struct px_coder *coder, enum px_coding coding)
{
    struct px_buf packed = px_buf(1024);
    CHECK_OK(px_coder_encode(coder, coding, px_str("hello, hello"), &packed, NULL));
    CHECK_OK(decode(coder, coding, px_buf_view(&packed), 12));
    for (size_t n = 0; n < packed.len; n++)
        CHECK_INT(decode(coder, coding, px_str_n(packed.ptr, n), 100), PX_E_INVALID);
    px_buf_byte(&packed, 0);
    CHECK_INT(decode(coder, coding, px_buf_view(&packed), 100), PX_E_INVALID);
    CHECK_INT(decode(coder, coding, px_str("no coding"), 100), PX_E_INVALID);
    packed.len--;
    CHECK_OK(decode(coder, coding, px_buf_view(&packed), 12)); /* a failure leaves no trace */
    px_buf_deinit(&packed);
}

PX_TEST(damaged_cut_off_and_trailing_bytes_are_refused)
{
    for_each(check_damage);
}

static void check_short_memory(struct px_coder *coder, enum px_coding coding)
{
    for (uint64_t n = 1; n < 12; n++) {
        struct px_buf packed = px_buf(1024), plain = px_buf(1024);
        px_alloc_fail_at(n);
        enum px_code code = px_coder_encode(coder, coding, px_str("text"), &packed, NULL);
        if (code == PX_OK)
            code = px_coder_decode(coder, coding, px_buf_view(&packed), &plain, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        CHECK(!packed.failed && !plain.failed);
        px_buf_deinit(&packed);
        px_buf_deinit(&plain);
    }
    check_round_trip(coder, coding);
}

PX_TEST(short_memory_is_an_error_and_passes)
{
    for_each(check_short_memory);
}

PX_TEST(every_coding_is_in_the_list_for_headers)
{
    struct px_str list = px_str(PX_CODINGS);
    for (int coding = PX_CODING_NONE + 1; coding < PX_CODING_COUNT; coding++)
        CHECK_STR(px_str_cut(&list, ','), px_coding_name((enum px_coding)coding));
    CHECK(list.ptr == NULL);
}

PX_TEST_MAIN(T(what_is_encoded_decodes_to_itself)
                 T(results_are_appended_and_a_failure_leaves_what_was_there)
                     T(damaged_cut_off_and_trailing_bytes_are_refused)
                         T(short_memory_is_an_error_and_passes)
                             T(every_coding_is_in_the_list_for_headers))
