/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protobuf wire format: a pull reader over one message in memory, field after field.
 *
 *     struct px_protobuf p = px_protobuf(bytes);
 *     struct px_protobuf_field field;
 *     while (px_protobuf_next(&p, &field)) { ... }
 *     code = px_protobuf_check(&p, "GraphProto", err);
 *
 * Nothing is allocated by it: texts and nested messages are views. Groups, which proto3 does not have, are
 * refused. A repeated number may come packed (one field of bytes) or one field each; the px_protobuf_add_*
 * take both.
 */
#ifndef PX_DOMAIN_FOREST_PROTOBUF_H
#define PX_DOMAIN_FOREST_PROTOBUF_H

#include "domain/forest/readers/doc.h"
#include "shared/cursor.h"

enum px_protobuf_wire {
    PX_PROTOBUF_VARINT = 0,
    PX_PROTOBUF_FIXED64 = 1,
    PX_PROTOBUF_BYTES = 2,
    PX_PROTOBUF_FIXED32 = 5,
};

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

/* A number field as a signed integer, as a float. */
int64_t px_protobuf_i64(const struct px_protobuf_field *field);
float px_protobuf_f32(const struct px_protobuf_field *field);

/* Adds the numbers of a repeated field. PX_E_CORRUPT when the wire type does not fit, PX_E_NO_MEMORY. */
PX_MUST_USE enum px_code px_protobuf_add_ints(const struct px_protobuf_field *field,
                                              struct px_ints *ret, struct px_err *err);
PX_MUST_USE enum px_code px_protobuf_add_floats(const struct px_protobuf_field *field,
                                                struct px_doubles *ret, struct px_err *err);
PX_MUST_USE enum px_code px_protobuf_add_doubles(const struct px_protobuf_field *field,
                                                 struct px_doubles *ret, struct px_err *err);

#endif
