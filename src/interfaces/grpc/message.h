/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to interfaces/grpc: messages on the wire. A message is a byte that says whether it is compressed, its length
 * (four bytes, big-endian), and itself; frames of HTTP/2 cut it anywhere.
 */
#ifndef PX_INTERFACES_GRPC_MESSAGE_H
#define PX_INTERFACES_GRPC_MESSAGE_H

#include "interfaces/grpc/grpc_impl.h"

enum {
    PX_GRPC_PREFIX = 5,
    /* Replies below it are not worth the time of compressing them. */
    PX_GRPC_COMPRESS_MIN = 1024,
    PX_GRPC_SCRATCH_KEPT = 256 << 10, /* of a loop's scratch; more is given back after its use */
};

struct px_grpc_prefix {
    bool compressed;
    uint32_t len;
};

/* PX_E_INVALID for a first byte other than 0 and 1, PX_E_TOO_LARGE above `len_max`. */
PX_MUST_USE enum px_code px_grpc_read_prefix(const unsigned char *bytes, size_t len_max,
                                             struct px_grpc_prefix *ret, struct px_err *err);

/*
 * The one message of a unary call's body, decompressed into call->message. A compressed one is in the loop's scratch,
 * then copied to the arena, for it must last until the wave.
 */
PX_MUST_USE enum px_code px_grpc_unwrap(struct px_grpc_call *call, struct px_err *err);

/* Decodes a message that was marked as compressed into `out`. */
PX_MUST_USE enum px_code px_grpc_decode(const struct px_grpc_call *call, struct px_str message,
                                        struct px_buf *out, struct px_err *err);

/* Starts a message at the end of `body`; end fills its prefix in. */
PX_MUST_USE size_t px_grpc_begin_message(struct px_buf *body);
void px_grpc_end_message(struct px_buf *body, size_t mark);

/*
 * Compresses the only message of `body` when the client sent its own compressed, takes the coding, and it is worth it;
 * returns the coding that the message has now.
 */
enum px_coding px_grpc_compress_reply(struct px_grpc_call *call, struct px_buf *body);
/* "grpc-encoding: gzip\r\n", NULL for NONE. */
const char *px_grpc_encoding_field(enum px_coding coding);

#endif
