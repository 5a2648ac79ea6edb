/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/grpc/message.h"

enum px_code px_grpc_read_prefix(const unsigned char *bytes, size_t len_max,
                                 struct px_grpc_prefix *ret, struct px_err *err)
{
    if (bytes[0] > 1)
        return px_err_set(err, PX_E_INVALID, "a message begins with 0 or 1, got %d", bytes[0]);
    ret->compressed = bytes[0];
    ret->len =
        (uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 8 | bytes[4];
    if (ret->len <= len_max)
        return PX_OK;
    px_err_set(err, PX_E_TOO_LARGE, "expected a message of at most %zu bytes, got %u", len_max,
               ret->len);
    return px_err_hint(err, "split the request, or raise server.body_bytes_max");
}

static enum px_code check_coding(const struct px_grpc_call *call, struct px_err *err)
{
    const struct px_grpc_head *head = &call->head;
    if (head->coding_is_unknown ||
        (head->coding && !px_grpc_coder(call->grpc, call->exchange->loop))) {
        px_err_set(err, PX_E_UNSUPPORTED,
                   "the message is compressed with an unknown grpc-encoding");
        return px_err_hint(err, "use gzip, deflate or zstd, or send it uncompressed");
    }
    if (head->coding == PX_CODING_NONE)
        return px_err_set(err, PX_E_INTERNAL,
                          "the message is marked as compressed, but grpc-encoding names no coding");
    return PX_OK;
}

enum px_code px_grpc_decode(const struct px_grpc_call *call, struct px_str message,
                            struct px_buf *out, struct px_err *err)
{
    enum px_code code = check_coding(call, err);
    if (code == PX_OK)
        code = px_coder_decode(px_grpc_coder(call->grpc, call->exchange->loop), call->head.coding,
                               message, out, err);
    return code;
}

static void shrink_scratch(struct px_buf *scratch)
{
    if (scratch->cap > PX_GRPC_SCRATCH_KEPT)
        px_buf_deinit(scratch);
}

static enum px_code decode_to_arena(struct px_grpc_call *call, struct px_str packed,
                                    struct px_err *err)
{
    struct px_buf *scratch = &px_grpc_loop_of(call)->scratch;
    px_buf_clear(scratch);
    enum px_code code = px_grpc_decode(call, packed, scratch, err);
    if (code == PX_OK) {
        call->message = px_arena_str(call->exchange->arena, px_buf_view(scratch));
        code = px_arena_check(call->exchange->arena, "the decompressed message", err);
    }
    shrink_scratch(scratch);
    return code;
}

enum px_code px_grpc_unwrap(struct px_grpc_call *call, struct px_err *err)
{
    struct px_str body = call->exchange->request.body;
    struct px_grpc_prefix prefix;
    if (body.len < PX_GRPC_PREFIX)
        return px_err_set(err, PX_E_INVALID, "expected one message, got %zu bytes", body.len);
    enum px_code code = px_grpc_read_prefix((const unsigned char *)body.ptr,
                                            call->grpc->settings.message_bytes_max, &prefix, err);
    if (code != PX_OK)
        return code;
    size_t rest = body.len - PX_GRPC_PREFIX;
    if (prefix.len != rest)
        return px_err_set(err, PX_E_INVALID,
                          prefix.len > rest
                              ? "expected a message of %u bytes, only %zu came"
                              : "expected one message of %u bytes, got %zu bytes of messages",
                          prefix.len, rest);
    call->message = px_str_n(body.ptr + PX_GRPC_PREFIX, prefix.len);
    return prefix.compressed ? decode_to_arena(call, call->message, err) : PX_OK;
}

size_t px_grpc_begin_message(struct px_buf *body)
{
    static const char prefix[PX_GRPC_PREFIX];
    px_buf_append(body, prefix, sizeof prefix);
    return body->len;
}

static void fill_prefix(struct px_buf *body, size_t mark, bool compressed)
{
    if (body->failed)
        return;
    size_t len = body->len - mark;
    char *prefix = body->ptr + mark - PX_GRPC_PREFIX;
    prefix[0] = compressed;
    for (int i = 0; i < 4; i++)
        prefix[1 + i] = (char)(len >> (24 - 8 * i));
}

void px_grpc_end_message(struct px_buf *body, size_t mark)
{
    fill_prefix(body, mark, false);
}

/* Replaces the message by its compressed form; false when it is better as it is, or memory is short. */
static bool pack(struct px_coder *coder, enum px_coding coding, struct px_buf *body,
                 struct px_buf *packed)
{
    struct px_str message = px_str_n(body->ptr + PX_GRPC_PREFIX, body->len - PX_GRPC_PREFIX);
    px_buf_clear(packed);
    if (px_coder_encode(coder, coding, message, packed, NULL) != PX_OK ||
        packed->len >= message.len)
        return false;
    body->len = PX_GRPC_PREFIX;
    px_buf_str(body, px_buf_view(packed));
    fill_prefix(body, PX_GRPC_PREFIX, true);
    return true;
}

enum px_coding px_grpc_compress_reply(struct px_grpc_call *call, struct px_buf *body)
{
    enum px_coding coding = call->head.coding;
    struct px_coder *coder = px_grpc_coder(call->grpc, call->exchange->loop);
    struct px_buf *scratch = &px_grpc_loop_of(call)->scratch;
    if (PX_LIKELY(coding == PX_CODING_NONE) || !coder || call->head.coding_is_unknown ||
        !(call->head.accepted >> coding & 1) || body->failed ||
        body->len < PX_GRPC_COMPRESS_MIN + PX_GRPC_PREFIX)
        return PX_CODING_NONE;
    bool is_packed = pack(coder, coding, body, scratch);
    shrink_scratch(scratch);
    return is_packed ? coding : PX_CODING_NONE;
}

const char *px_grpc_encoding_field(enum px_coding coding)
{
    static const char *const fields[PX_CODING_COUNT] = {
        [PX_CODING_GZIP] = "grpc-encoding: gzip\r\n",
        [PX_CODING_DEFLATE] = "grpc-encoding: deflate\r\n",
        [PX_CODING_ZSTD] = "grpc-encoding: zstd\r\n",
    };
    return fields[coding];
}
