/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "shared/alloc.h"
#include "shared/protobuf.h"

static bool read_one(const char *bytes, size_t len, struct px_protobuf_field *field)
{
    struct px_protobuf p = px_protobuf(px_str_n(bytes, len));
    return px_protobuf_next(&p, field);
}

static bool is_refused(const char *bytes, size_t len)
{
    struct px_protobuf p = px_protobuf(px_str_n(bytes, len));
    struct px_protobuf_field field;
    struct px_err err;
    while (px_protobuf_next(&p, &field))
        ;
    return px_protobuf_check(&p, "it", &err) == PX_E_CORRUPT;
}

#define READ(text, field) read_one(text, sizeof(text) - 1, field)
#define REFUSED(text)     is_refused(text, sizeof(text) - 1)

PX_TEST(reads_every_wire_type)
{
    struct px_protobuf_field field;
    CHECK(READ("\x08\x96\x01", &field));
    CHECK_INT(field.number, 1);
    CHECK_INT(field.value, 150);
    CHECK(READ("\x11\x00\x00\x00\x00\x00\x00\xf0\x3f", &field));
    CHECK_DOUBLE(px_protobuf_f64(&field), 1.0);
    CHECK(READ("\x1a\x02hi", &field));
    CHECK_INT(field.number, 3);
    CHECK_STR(field.bytes, "hi");
    CHECK(READ("\x25\x00\x00\x80\x3f", &field));
    CHECK_DOUBLE((double)px_protobuf_f32(&field), 1.0);
    CHECK(READ("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &field));
    CHECK_INT(px_protobuf_i64(&field), -1);
}

PX_TEST(refuses_what_is_cut_off_or_malformed)
{
    CHECK(REFUSED("\x08"));
    CHECK(REFUSED("\x08\x80"));
    CHECK(REFUSED("\x11\x00\x00"));
    CHECK(REFUSED("\x1a\x05hi"));
    CHECK(REFUSED("\x25\x00"));
    CHECK(REFUSED("\x0b")); /* a group */
    CHECK(REFUSED("\x0e\x00"));
    CHECK(REFUSED("\x00\x00")); /* field 0 */
    CHECK(REFUSED("\xf8\xff\xff\xff\xff\x01\x00"));
    CHECK(!REFUSED(""));
}

PX_TEST(refuses_lengths_that_wrap_around)
{
    CHECK(REFUSED("\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    CHECK(REFUSED("\x1a\xff\xff\xff\xff\xff\xff\xff\x7f"));
    CHECK(REFUSED("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")); /* 65 bits */
    CHECK(REFUSED("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00"));
}

PX_TEST(writes_the_shortest_varints)
{
    static const struct {
        uint64_t value;
        size_t size;
    } rows[] = {{0, 1}, {127, 1}, {128, 2}, {16383, 2}, {16384, 3}, {UINT64_MAX, 10}};
    for (size_t i = 0; i < PX_ARRAY_LEN(rows); i++) {
        struct px_buf buf = px_buf(64);
        struct px_protobuf_field field;
        px_protobuf_put_u64(&buf, 5, rows[i].value);
        CHECK_INT(buf.len, rows[i].size + 1);
        CHECK_INT(px_protobuf_varint_size(rows[i].value), rows[i].size);
        CHECK(read_one(buf.ptr, buf.len, &field));
        CHECK(field.value == rows[i].value);
        px_buf_deinit(&buf);
    }
}

PX_TEST(fills_in_lengths_of_nested_messages)
{
    for (size_t len = 0; len < 20000; len = len * 3 + 1) {
        struct px_buf buf = px_buf(1 << 20);
        struct px_protobuf_field field;
        size_t outer = px_protobuf_begin(&buf, 1), inner = px_protobuf_begin(&buf, 2);
        for (size_t i = 0; i < len; i++)
            px_buf_byte(&buf, (char)i);
        px_protobuf_end(&buf, inner);
        px_protobuf_put_bool(&buf, 3, true);
        px_protobuf_end(&buf, outer);
        CHECK(read_one(buf.ptr, buf.len, &field));
        struct px_protobuf p = px_protobuf(field.bytes);
        CHECK(px_protobuf_next(&p, &field));
        CHECK_INT(field.bytes.len, len);
        CHECK(len == 0 || field.bytes.ptr[len - 1] == (char)(len - 1));
        CHECK(px_protobuf_next(&p, &field));
        CHECK_INT(field.value, 1);
        CHECK(!px_protobuf_next(&p, &field));
        CHECK_OK(px_protobuf_check(&p, "it", NULL));
        px_buf_deinit(&buf);
    }
}

PX_TEST(writes_packed_lists)
{
    static const int64_t shape[] = {-1, 300};
    struct px_buf buf = px_buf(64);
    px_protobuf_put_packed(&buf, 3, shape, 2);
    static const char packed[] = "\x1a\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xac\x02";
    CHECK_INT(buf.len, sizeof packed - 1);
    CHECK(memcmp(buf.ptr, packed, buf.len) == 0);
    px_buf_deinit(&buf);
}

PX_TEST(a_full_buffer_fails_once_and_keeps_its_bytes)
{
    char memory[130];
    struct px_buf buf = px_buf_fixed(memory, sizeof memory);
    size_t mark = px_protobuf_begin(&buf, 1);
    while (buf.len < buf.max)
        px_buf_byte(&buf, 'x');
    CHECK(!buf.failed);
    px_protobuf_end(&buf, mark); /* 128 bytes of room are gone: 127 fit with one length byte */
    CHECK(!buf.failed || buf.len == buf.max);
    px_protobuf_put_u64(&buf, 1, 1);
    CHECK(buf.failed);
}

PX_TEST_MAIN(T(reads_every_wire_type) T(refuses_what_is_cut_off_or_malformed)
                 T(refuses_lengths_that_wrap_around) T(writes_the_shortest_varints)
                     T(fills_in_lengths_of_nested_messages) T(writes_packed_lists)
                         T(a_full_buffer_fails_once_and_keeps_its_bytes))
