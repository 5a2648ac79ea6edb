/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protobuf reader and writer: fields that are read and written again are the same fields, and writing them twice
 * gives the same bytes. Fields of bytes are also read as messages and as packed lists, a few levels deep.
 */
#include "fuzz.h"
#include "shared/protobuf.h"

enum { DEPTH_MAX = 4 };

static void rewrite(const struct px_protobuf_field *field, struct px_buf *buf)
{
    if (field->wire == PX_PROTOBUF_BYTES)
        px_protobuf_put_bytes(buf, field->number, field->bytes);
    else
        px_protobuf_put_u64(buf, field->number, field->value);
}

static void read_list(struct px_str bytes)
{
    struct px_cursor list = px_cursor(bytes.ptr, bytes.len);
    while (px_cursor_left(&list) && !list.failed)
        (void)px_protobuf_varint(&list);
}

static bool read_message(struct px_str bytes, struct px_buf *buf, unsigned depth)
{
    struct px_protobuf p = px_protobuf(bytes);
    struct px_protobuf_field field;
    while (px_protobuf_next(&p, &field)) {
        PX_ASSERT(field.bytes.ptr != NULL && field.number > 0);
        if (buf)
            rewrite(&field, buf);
        if (field.wire == PX_PROTOBUF_BYTES && depth < DEPTH_MAX) {
            read_list(field.bytes);
            (void)read_message(field.bytes, NULL, depth + 1);
        }
    }
    return px_protobuf_check(&p, "it", NULL) == PX_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_buf first = px_buf(size * 2 + 16), second = px_buf(size * 2 + 16);
    (void)read_message(px_str_n((const char *)data, size), &first, 0);
    PX_ASSERT(!first.failed);
    PX_ASSERT(read_message(px_buf_view(&first), &second, 0));
    PX_ASSERT(px_str_eq(px_buf_view(&first), px_buf_view(&second)));
    px_buf_deinit(&first);
    px_buf_deinit(&second);
    return 0;
}
