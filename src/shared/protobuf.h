/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protobuf wire format: a pull reader over one message in memory, and a writer into a px_buf.
 *
 *     struct px_protobuf p = px_protobuf(bytes);
 *     struct px_protobuf_field field;
 *     while (px_protobuf_next(&p, &field)) { ... }
 *     code = px_protobuf_check(&p, "GraphProto", err);
 *
 *     px_protobuf_put_bytes(buf, 1, name);
 *     size_t mark = px_protobuf_begin(buf, 2);
 *     ...                                          // the nested message
 *     px_protobuf_end(buf, mark);
 *
 * Reading allocates nothing: texts and nested messages are views, and a nested message is read by a reader of its own,
 * so the depth is that of the caller's code, never of the bytes. Groups, which proto3 does not have, are refused, and so
 * are varints of more than 64 bits. A repeated number may come packed (one field of bytes) or one field each.
 *
 * Writing errors stick to the buffer (shared/buf.h). What proto3 leaves out, a number 0 or an empty text, is the
 * caller's choice: everything that is put is written.
 */
#ifndef PX_SHARED_PROTOBUF_H
#define PX_SHARED_PROTOBUF_H

#include "shared/buf.h"
#include "shared/cursor.h"

enum px_protobuf_wire {
    PX_PROTOBUF_VARINT = 0,
    PX_PROTOBUF_FIXED64 = 1,
    PX_PROTOBUF_BYTES = 2,
    PX_PROTOBUF_FIXED32 = 5,
};

enum { PX_PROTOBUF_VARINT_MAX = 10 /* bytes */ };

struct px_protobuf {
    struct px_cursor cursor;
};

struct px_protobuf_field {
    uint32_t number;
    enum px_protobuf_wire wire;
    uint64_t value;      /* of the numbers */
    struct px_str bytes; /* of BYTES; never NULL */
};

static inline struct px_protobuf px_protobuf(struct px_str message)
{
    return (struct px_protobuf){px_cursor(message.ptr, message.len)};
}

/* False at the end, and at the first malformed byte; px_protobuf_check tells which. */
bool px_protobuf_next(struct px_protobuf *p, struct px_protobuf_field *ret);

/* PX_OK, or PX_E_CORRUPT naming the message that is malformed or cut off. */
PX_MUST_USE enum px_code px_protobuf_check(const struct px_protobuf *p, const char *message,
                                           struct px_err *err);

/* A number field as a signed integer, as floats. */
int64_t px_protobuf_i64(const struct px_protobuf_field *field);
float px_protobuf_f32(const struct px_protobuf_field *field);
double px_protobuf_f64(const struct px_protobuf_field *field);

/* The next varint; sets the cursor's `failed` when it is cut off or too long. */
uint64_t px_protobuf_varint(struct px_cursor *cursor);

/* ---- writing ---- */

/* Bytes that a varint takes, 1 to 10. */
size_t px_protobuf_varint_size(uint64_t value);

void px_protobuf_put_u64(struct px_buf *buf, uint32_t number, uint64_t value);
void px_protobuf_put_i64(struct px_buf *buf, uint32_t number, int64_t value); /* not zigzag */
void px_protobuf_put_bool(struct px_buf *buf, uint32_t number, bool value);
void px_protobuf_put_bytes(struct px_buf *buf, uint32_t number, struct px_str bytes);
void px_protobuf_put_text(struct px_buf *buf, uint32_t number, const char *text);
/* Tag and length of `len` bytes that the caller appends. */
void px_protobuf_put_header(struct px_buf *buf, uint32_t number, size_t len);
void px_protobuf_put_packed(struct px_buf *buf, uint32_t number, const int64_t *values, size_t n);

/*
 * A nested message whose length is not known beforehand: begin returns a mark for end, which fills the length in and
 * moves the message when that takes more than a byte. Where the length is known, px_protobuf_put_header saves that copy.
 */
PX_MUST_USE size_t px_protobuf_begin(struct px_buf *buf, uint32_t number);
void px_protobuf_end(struct px_buf *buf, size_t mark);

#endif
