/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything but body data is lines, each judged when its CRLF has arrived. A reply that a strict reader
 * could take for two different things (two lengths, a length and chunks, a bare LF) is BAD: a load test
 * must not go on with a connection whose next reply nobody can find.
 */
#include "infrastructure/load/reply.h"

enum stage { STATUS_LINE, HEADERS, BODY, CHUNK_LINE, CHUNK_DATA, CHUNK_END, TRAILERS, COMPLETE };

void px_reply_begin(struct px_reply_parser *parser, struct px_buf *body, uint64_t body_max)
{
    /* All but the line, which is filled before it is read. */
    memset(parser, 0, offsetof(struct px_reply_parser, line));
    parser->body = body;
    parser->body_max = body_max;
    parser->head_budget = PX_REPLY_HEAD_MAX;
    parser->stage = STATUS_LINE;
}

static enum px_code parse_status_line(struct px_reply_parser *p, struct px_str line,
                                      struct px_err *err)
{
    uint64_t status = 0;
    bool http11 = px_str_starts(line, "HTTP/1.1 ");
    bool valid = (http11 || px_str_starts(line, "HTTP/1.0 ")) && line.len >= 12 &&
                 px_str_to_u64(px_str_n(line.ptr + 9, 3), &status) &&
                 (line.len == 12 || line.ptr[12] == ' ');
    if (!valid || status < 100 || status > 599)
        return px_err_set(err, PX_E_CORRUPT, "expected an HTTP/1.1 status line, got '%.*s'",
                          (int)(line.len < 60 ? line.len : 60), line.ptr);
    p->status = (int)status;
    p->keep_alive = http11;
    p->stage = HEADERS;
    return PX_OK;
}

static enum px_code parse_length(struct px_reply_parser *p, struct px_str value, struct px_err *err)
{
    uint64_t length;
    if (!px_str_to_u64(value, &length) || p->chunked || (p->has_length && p->left != length))
        return px_err_set(err, PX_E_CORRUPT, "the reply's Content-Length is not one number");
    p->has_length = true;
    p->left = length;
    return PX_OK;
}

/* Does a list such as "keep-alive, Upgrade" have this token? */
static bool has_token(struct px_str list, const char *token)
{
    while (list.ptr) {
        if (px_str_eq_nocase(px_str_trim(px_str_cut(&list, ',')), px_str(token)))
            return true;
    }
    return false;
}

static enum px_code parse_header(struct px_reply_parser *p, struct px_str line, struct px_err *err)
{
    size_t colon = px_str_find(line, ':');
    struct px_str name = px_str_n(line.ptr, colon);
    if (colon == 0 || colon == line.len || px_str_find(name, ' ') < name.len)
        return px_err_set(err, PX_E_CORRUPT, "a line of the reply's head is no header: '%.*s'",
                          (int)(line.len < 60 ? line.len : 60), line.ptr);
    struct px_str value = px_str_trim(px_str_n(line.ptr + colon + 1, line.len - colon - 1));
    if (p->stage == TRAILERS)
        return PX_OK;
    if (px_str_eq_nocase(name, px_str("content-length")))
        return parse_length(p, value, err);
    if (px_str_eq_nocase(name, px_str("transfer-encoding"))) {
        if (!px_str_eq_nocase(value, px_str("chunked")) || p->has_length || p->chunked)
            return px_err_set(err, PX_E_CORRUPT, "the reply's framing is not chunked alone");
        p->chunked = true;
    }
    if (px_str_eq_nocase(name, px_str("connection"))) {
        p->closes = p->closes || has_token(value, "close");
        p->keep_alive = p->keep_alive || has_token(value, "keep-alive");
    }
    return PX_OK;
}

static enum px_code check_body(const struct px_reply_parser *p, uint64_t more, struct px_err *err)
{
    if (more <= p->body_max && p->body_len <= p->body_max - more)
        return PX_OK;
    return px_err_set(err, PX_E_TOO_LARGE, "the reply's body is larger than %llu bytes",
                      (unsigned long long)p->body_max);
}

/* The head is complete: what follows? */
static enum px_code end_head(struct px_reply_parser *p, struct px_err *err)
{
    if (p->status < 200) {
        if (p->status == 101)
            return px_err_set(err, PX_E_CORRUPT, "the server switched to another protocol");
        px_reply_begin(p, p->body, p->body_max);
        p->began = true;
        return PX_OK;
    }
    bool empty = p->status == 204 || p->status == 304;
    p->until_close = !empty && !p->chunked && !p->has_length;
    p->keep_alive = p->keep_alive && !p->closes && !p->until_close;
    if (empty || (p->has_length && p->left == 0))
        p->stage = COMPLETE;
    else
        p->stage = p->chunked ? CHUNK_LINE : BODY;
    return empty || !p->has_length ? PX_OK : check_body(p, p->left, err);
}

static enum px_code parse_chunk_line(struct px_reply_parser *p, struct px_str line,
                                     struct px_err *err)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    struct px_str size = px_str_cut(&line, ';');
    uint64_t value = 0;
    bool valid = size.len > 0 && size.len <= 12;
    for (size_t i = 0; valid && i < size.len; i++) {
        const char *digit = size.ptr[i] ? strchr(digits, size.ptr[i]) : NULL;
        valid = digit != NULL;
        size_t at = digit ? (size_t)(digit - digits) : 0;
        value = value * 16 + (at < 16 ? at : at - 6);
    }
    if (!valid)
        return px_err_set(err, PX_E_CORRUPT, "expected the size of a chunk in the reply");
    p->left = value;
    p->stage = value ? CHUNK_DATA : TRAILERS;
    return check_body(p, value, err);
}

static enum px_code parse_line(struct px_reply_parser *p, struct px_str line, struct px_err *err)
{
    switch ((enum stage)p->stage) {
    case STATUS_LINE:
        return parse_status_line(p, line, err);
    case HEADERS:
        return line.len ? parse_header(p, line, err) : end_head(p, err);
    case CHUNK_LINE:
        return parse_chunk_line(p, line, err);
    case CHUNK_END:
        p->stage = CHUNK_LINE;
        if (line.len)
            return px_err_set(err, PX_E_CORRUPT, "a chunk of the reply is longer than it says");
        return PX_OK;
    case TRAILERS:
        if (line.len)
            return parse_header(p, line, err);
        p->stage = COMPLETE;
        return PX_OK;
    case BODY:
    case CHUNK_DATA:
    case COMPLETE:
        break;
    }
    PX_ASSERT(false);
    return PX_E_INTERNAL;
}

/* Takes bytes up to the end of the line; judges the line when it is whole. */
static enum px_code feed_line(struct px_reply_parser *p, const char *bytes, size_t len,
                              size_t *used, struct px_err *err)
{
    const char *lf = memchr(bytes, '\n', len);
    size_t n = lf ? (size_t)(lf - bytes) + 1 : len;
    if (n > sizeof p->line - p->line_len || n > p->head_budget)
        return px_err_set(err, PX_E_CORRUPT, "the reply's head is too long");
    memcpy(p->line + p->line_len, bytes, n);
    p->line_len += n;
    /* Chunk lines are as many as the server likes; body_max bounds what they carry. */
    if (p->stage == STATUS_LINE || p->stage == HEADERS || p->stage == TRAILERS)
        p->head_budget -= n;
    *used += n;
    if (!lf)
        return PX_OK;
    if (p->line_len < 2 || p->line[p->line_len - 2] != '\r')
        return px_err_set(err, PX_E_CORRUPT, "a line of the reply ends with a bare LF");
    struct px_str line = px_str_n(p->line, p->line_len - 2);
    p->line_len = 0;
    if (memchr(line.ptr, '\r', line.len) || memchr(line.ptr, '\0', line.len))
        return px_err_set(err, PX_E_CORRUPT, "the reply's head has a control byte");
    return parse_line(p, line, err);
}

static void keep_body(struct px_reply_parser *p, const char *bytes, size_t n)
{
    size_t room = p->body ? p->body->max - p->body->len : 0;
    if (room)
        px_buf_append(p->body, bytes, n < room ? n : room);
}

static enum px_code feed_body(struct px_reply_parser *p, const char *bytes, size_t len,
                              size_t *used, struct px_err *err)
{
    size_t n = p->until_close || len < p->left ? len : (size_t)p->left;
    enum px_code code = p->until_close ? check_body(p, n, err) : PX_OK;
    if (code != PX_OK)
        return code;
    keep_body(p, bytes, n);
    *used += n;
    p->body_len += n;
    if (p->until_close)
        return PX_OK;
    p->left -= n;
    if (p->left == 0)
        p->stage = p->stage == CHUNK_DATA ? CHUNK_END : COMPLETE;
    return PX_OK;
}

enum px_reply_result px_reply_feed(struct px_reply_parser *p, const char *bytes, size_t len,
                                   size_t *ret_used, struct px_err *err)
{
    enum px_code code = PX_OK;
    size_t used = 0;
    p->began = p->began || len > 0;
    while (code == PX_OK && used < len && p->stage != COMPLETE) {
        if (p->stage == BODY || p->stage == CHUNK_DATA)
            code = feed_body(p, bytes + used, len - used, &used, err);
        else
            code = feed_line(p, bytes + used, len - used, &used, err);
    }
    *ret_used = used;
    if (code != PX_OK)
        return PX_REPLY_BAD;
    return p->stage == COMPLETE ? PX_REPLY_DONE : PX_REPLY_MORE;
}

enum px_reply_result px_reply_end(struct px_reply_parser *p, struct px_err *err)
{
    if (p->stage == COMPLETE || (p->stage == BODY && p->until_close)) {
        p->stage = COMPLETE;
        return PX_REPLY_DONE;
    }
    px_err_set(err, PX_E_CORRUPT, "the connection ended %s",
               p->began ? "in the middle of a reply" : "without a reply");
    return PX_REPLY_BAD;
}
