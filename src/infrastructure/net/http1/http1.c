/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * Problem: judge bytes of strangers exactly as every other strict HTTP implementation would, in about
 * the time that one cache miss takes.
 *
 * Approach: everything but body data is lines. find_line runs over the bytes once, eight at a time,
 * and stops at the first control byte: that is the line's CRLF or an attack. Each line is then judged
 * as a whole by the function of its stage. The header table is part of the parser, so nothing is
 * allocated, and values point into the caller's buffer.
 *
 * Invariants
 * 1. at <= scanned <= len, and no byte in [at, scanned) is a control byte other than HTAB.
 * 2. A line is judged only when its CRLF is there, and faults are reported in the order of the bytes;
 *    so feeding byte by byte and feeding at once end in the same result and message.
 * 3. [body_at, body_end) is joined body; for a chunked body, [body_end, at) is dead bytes of chunk
 *    lines, removed before the parser asks for more.
 * 4. line_budget falls with every line, so no section can grow past its limit.
 *
 * Rejected: a byte-wise state machine (three times slower, and every state is a place for a
 * difference between fast and slow paths); waiting for the empty line before looking at anything
 * (a client that speaks another protocol would hang until its timeout).
 */
#include "infrastructure/net/http1/http1.h"

#include "shared/hex.h"

#include <endian.h>

/* Sets of bytes as bit maps; the unit test derives each from the grammar. */
static const uint64_t token_set[4] = {0x03FF6CFA00000000, 0x57FFFFFFC7FFFFFE, 0, 0};
static const uint64_t target_set[4] = {0xFFFFFFF600000000, 0x7FFFFFFFFFFFFFFF, 0, 0};
static const uint64_t host_set[4] = {0x2FFF6FF200000000, 0x47FFFFFEAFFFFFFE, 0, 0};

static bool in_set(const uint64_t set[4], char c)
{
    unsigned char byte = (unsigned char)c;
    return set[byte >> 6] >> (byte & 63) & 1;
}

/* Index of the first byte of `s` that is not in `set`. */
static size_t span(const uint64_t set[4], struct px_str s)
{
    size_t n = 0;
    while (n < s.len && in_set(set, s.ptr[n]))
        n++;
    return n;
}

#define EVERY_BYTE(value) (0x0101010101010101ull * (value))

/* Sets the high bit of the lowest byte of `word` that is below 0x20 or equal to 0x7F. Higher bytes may
 * be marked in error by borrows, so only the lowest mark counts. */
static uint64_t mark_controls(uint64_t word)
{
    uint64_t del = word ^ EVERY_BYTE(0x7F);
    uint64_t below = (word - EVERY_BYTE(0x20)) & ~word;
    return (below | ((del - EVERY_BYTE(1)) & ~del)) & EVERY_BYTE(0x80);
}

/* Index of the first control byte other than HTAB in [at, end), or `end`. */
static size_t scan_text(const char *bytes, size_t at, size_t end)
{
    while (at + sizeof(uint64_t) <= end) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        uint64_t marks = mark_controls(le64toh(word));
        if (!marks) {
            at += sizeof word;
            continue;
        }
        at += (size_t)__builtin_ctzll(marks) / 8;
        if (bytes[at] != '\t')
            return at;
        at++;
    }
    for (; at < end; at++) {
        unsigned char c = (unsigned char)bytes[at];
        if ((c < 0x20 && c != '\t') || c == 0x7F)
            return at;
    }
    return end;
}

/* Where a fault is, in words that need no bytes of the client. */
static const char *section(const struct px_http1 *parser)
{
    switch (parser->stage) {
    case PX_HTTP1_START:
    case PX_HTTP1_REQUEST_LINE:
        return "request line";
    case PX_HTTP1_HEADERS:
        return "headers";
    case PX_HTTP1_CHUNK_LINE:
    case PX_HTTP1_CHUNK_DATA:
    case PX_HTTP1_CHUNK_END:
        return "chunked body";
    case PX_HTTP1_TRAILERS:
        return "trailers";
    case PX_HTTP1_BODY:
    case PX_HTTP1_COMPLETE:
        break;
    }
    return "body";
}

static enum px_code refuse_control(const struct px_http1 *parser, char byte, struct px_err *err)
{
    if (byte == '\n')
        px_err_set(err, PX_E_INVALID, "%s: expected CR LF at the end of a line, got a bare LF",
                   section(parser));
    else if (byte == '\r')
        px_err_set(err, PX_E_INVALID, "%s: expected LF after CR, got another byte",
                   section(parser));
    else
        px_err_set(err, PX_E_INVALID, "%s: control byte 0x%02x is not allowed", section(parser),
                   (unsigned)(unsigned char)byte);
    return PX_E_INVALID;
}

static enum px_code refuse_length(const struct px_http1 *parser, struct px_err *err)
{
    size_t max = parser->limits.header_bytes_max;
    if (parser->stage <= PX_HTTP1_REQUEST_LINE)
        return px_err_set(err, PX_E_URI_TOO_LONG, "request line is longer than %zu bytes", max);
    if (parser->stage == PX_HTTP1_CHUNK_LINE)
        return px_err_set(err, PX_E_INVALID,
                          "chunked body: a chunk-size line is longer than %d bytes",
                          (int)PX_HTTP1_CHUNK_LINE_MAX);
    return px_err_set(err, PX_E_HEADER_TOO_LARGE, "%s are larger than %zu bytes", section(parser),
                      max);
}

/* Cuts the next line off and moves past its CRLF. */
static enum px_http1_result find_line(struct px_http1 *p, const char *bytes, size_t len,
                                      struct px_str *ret, struct px_err *err)
{
    size_t end = len - p->at < p->line_budget ? len : p->at + p->line_budget;
    size_t cr = scan_text(bytes, p->scanned, end);
    p->scanned = cr;
    if (cr == end || (bytes[cr] == '\r' && cr + 1 == end)) {
        if (len - p->at < p->line_budget)
            return PX_HTTP1_MORE;
        refuse_length(p, err);
        return PX_HTTP1_BAD;
    }
    if (bytes[cr] != '\r' || bytes[cr + 1] != '\n') {
        refuse_control(p, bytes[cr], err);
        return PX_HTTP1_BAD;
    }
    *ret = px_str_n(bytes + p->at, cr - p->at);
    p->line_budget -= cr + 2 - p->at;
    p->at = p->scanned = cr + 2;
    return PX_HTTP1_DONE;
}

static enum px_http_method find_method(struct px_str name)
{
    static const struct {
        enum px_http_method method;
        struct px_str name;
    } methods[] = {
        {PX_HTTP_POST, PX_STR("POST")},       {PX_HTTP_GET, PX_STR("GET")},
        {PX_HTTP_HEAD, PX_STR("HEAD")},       {PX_HTTP_PUT, PX_STR("PUT")},
        {PX_HTTP_DELETE, PX_STR("DELETE")},   {PX_HTTP_PATCH, PX_STR("PATCH")},
        {PX_HTTP_OPTIONS, PX_STR("OPTIONS")},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(methods); i++) {
        if (px_str_eq(name, methods[i].name))
            return methods[i].method;
    }
    return PX_HTTP_OTHER;
}

static void split_query(struct px_http_request *request, struct px_str target)
{
    size_t mark = px_str_find(target, '?');
    request->path = px_str_n(target.ptr, mark);
    if (mark < target.len)
        request->query = px_str_n(target.ptr + mark + 1, target.len - mark - 1);
}

/* Takes "http://authority" off the front of `target`; false when it is not there or not valid. */
static bool cut_authority(struct px_str *target)
{
    static const struct px_str schemes[] = {PX_STR("http://"), PX_STR("https://")};
    for (size_t i = 0; i < PX_ARRAY_LEN(schemes); i++) {
        size_t n = schemes[i].len;
        if (target->len <= n || !px_str_eq_nocase(px_str_n(target->ptr, n), schemes[i]))
            continue;
        struct px_str rest = px_str_n(target->ptr + n, target->len - n);
        size_t host = span(host_set, rest);
        *target = px_str_n(rest.ptr + host, rest.len - host);
        return host > 0 && (!target->len || target->ptr[0] == '/' || target->ptr[0] == '?');
    }
    return false;
}

static enum px_code read_target(struct px_http_request *request, struct px_str target,
                                struct px_err *err)
{
    bool asterisk = px_str_is(target, "*") && request->method == PX_HTTP_OPTIONS;
    if (target.len && (target.ptr[0] == '/' || asterisk || cut_authority(&target))) {
        split_query(request, target);
        return PX_OK;
    }
    return px_err_set(err, PX_E_INVALID,
                      "request line: expected a target that begins with '/' or 'http://host'");
}

static enum px_code read_version(struct px_http1 *p, struct px_str version, struct px_err *err)
{
    bool well_formed = version.len == 8 && px_str_starts(version, "HTTP/") &&
                       version.ptr[5] >= '0' && version.ptr[5] <= '9' && version.ptr[6] == '.' &&
                       version.ptr[7] >= '0' && version.ptr[7] <= '9';
    if (!well_formed)
        return px_err_set(err, PX_E_INVALID,
                          "request line: expected METHOD SP TARGET SP HTTP/1.1 and nothing else");
    if (version.ptr[5] != '1') {
        px_err_set(err, PX_E_VERSION_NOT_SUPPORTED,
                   "request line: expected HTTP/1.0 or HTTP/1.1, got HTTP/%c.%c", version.ptr[5],
                   version.ptr[7]);
        return px_err_hint(err, "send the request as HTTP/1.1");
    }
    p->http10 = version.ptr[7] == '0';
    p->request.version = p->http10 ? PX_HTTP_1_0 : PX_HTTP_1_1;
    return PX_OK;
}

static enum px_code read_request_line(struct px_http1 *p, struct px_str line, struct px_err *err)
{
    size_t method = span(token_set, line);
    if (method == 0 || method == line.len || line.ptr[method] != ' ')
        return px_err_set(err, PX_E_INVALID,
                          "request line: expected a method and one space at the start");
    p->request.method = find_method(px_str_n(line.ptr, method));
    struct px_str rest = px_str_n(line.ptr + method + 1, line.len - method - 1);
    size_t target = span(target_set, rest);
    if (target == rest.len || rest.ptr[target] != ' ')
        return px_err_set(
            err, PX_E_INVALID,
            "request line: expected a target of visible ASCII and one space after it");
    struct px_str version = px_str_n(rest.ptr + target + 1, rest.len - target - 1);
    enum px_code code = read_version(p, version, err);
    return code != PX_OK ? code : read_target(&p->request, px_str_n(rest.ptr, target), err);
}

static enum px_code read_host(struct px_http1 *p, struct px_str value, struct px_err *err)
{
    if (p->has_host)
        return px_err_set(err, PX_E_INVALID, "headers: expected one Host, got a second one");
    if (span(host_set, value) != value.len)
        return px_err_set(err, PX_E_INVALID, "headers: Host is not a host name with a port");
    p->has_host = true;
    return PX_OK;
}

static enum px_code read_length(struct px_http1 *p, struct px_str value, struct px_err *err)
{
    if (p->has_length)
        return px_err_set(err, PX_E_INVALID,
                          "headers: expected one Content-Length, got a second one");
    if (!px_str_to_u64(value, &p->body_left))
        return px_err_set(err, PX_E_INVALID,
                          "headers: Content-Length is not a decimal number below 2^64");
    p->has_length = true;
    return PX_OK;
}

static enum px_code read_coding(struct px_http1 *p, struct px_str value, struct px_err *err)
{
    if (p->chunked)
        return px_err_set(err, PX_E_INVALID,
                          "headers: expected one Transfer-Encoding, got a second one");
    if (!px_str_eq_nocase(value, px_str("chunked")))
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "headers: the only supported Transfer-Encoding is 'chunked'");
    p->chunked = true;
    return PX_OK;
}

static enum px_code read_connection(struct px_http1 *p, struct px_str value)
{
    while (value.ptr) {
        struct px_str option = px_str_trim(px_str_cut(&value, ','));
        p->wants_close |= px_str_eq_nocase(option, px_str("close"));
        p->wants_keep_alive |= px_str_eq_nocase(option, px_str("keep-alive"));
    }
    return PX_OK;
}

static enum px_code read_expect(struct px_http1 *p, struct px_str value, struct px_err *err)
{
    if (!px_str_eq_nocase(value, px_str("100-continue")))
        return px_err_set(err, PX_E_EXPECTATION_FAILED,
                          "headers: the only supported Expect is '100-continue'");
    p->expect_continue = true;
    return PX_OK;
}

/* Acts on the headers that frame the message; the length of the name sorts most others out. */
static enum px_code note_header(struct px_http1 *p, struct px_str name, struct px_str value,
                                struct px_err *err)
{
    switch (name.len) {
    case 4:
        return px_str_eq_nocase(name, px_str("host")) ? read_host(p, value, err) : PX_OK;
    case 6:
        return px_str_eq_nocase(name, px_str("expect")) ? read_expect(p, value, err) : PX_OK;
    case 10:
        return px_str_eq_nocase(name, px_str("connection")) ? read_connection(p, value) : PX_OK;
    case 14:
        return px_str_eq_nocase(name, px_str("content-length")) ? read_length(p, value, err)
                                                                : PX_OK;
    case 17:
        return px_str_eq_nocase(name, px_str("transfer-encoding")) ? read_coding(p, value, err)
                                                                   : PX_OK;
    default:
        return PX_OK;
    }
}

static enum px_code refuse_name(const struct px_http1 *p, struct px_str line, size_t at,
                                struct px_err *err)
{
    const char *where = section(p);
    if (at == line.len)
        return px_err_set(err, PX_E_INVALID, "%s: expected 'Name: value', got a line without ':'",
                          where);
    bool blank = line.ptr[at] == ' ' || line.ptr[at] == '\t';
    if (blank && at == 0)
        return px_err_set(err, PX_E_INVALID,
                          "%s: a line begins with white space (line folding is not allowed)",
                          where);
    if (blank)
        return px_err_set(err, PX_E_INVALID, "%s: white space in or after a name", where);
    if (at == 0 && line.ptr[0] == ':')
        return px_err_set(err, PX_E_INVALID, "%s: a name is empty", where);
    return px_err_set(err, PX_E_INVALID, "%s: byte 0x%02x is not allowed in a name", where,
                      (unsigned)(unsigned char)line.ptr[at]);
}

static enum px_code split_header(const struct px_http1 *p, struct px_str line,
                                 struct px_http_header *ret, struct px_err *err)
{
    size_t colon = span(token_set, line);
    if (colon == 0 || colon == line.len || line.ptr[colon] != ':')
        return refuse_name(p, line, colon, err);
    ret->name = px_str_n(line.ptr, colon);
    ret->value = px_str_trim(px_str_n(line.ptr + colon + 1, line.len - colon - 1));
    return PX_OK;
}

static enum px_code read_header(struct px_http1 *p, struct px_str line, struct px_err *err)
{
    struct px_http_header *header = &p->headers[p->request.n_headers];
    if (p->request.n_headers == PX_HTTP1_HEADERS_MAX)
        return px_err_set(err, PX_E_HEADER_TOO_LARGE, "headers: expected at most %d fields",
                          (int)PX_HTTP1_HEADERS_MAX);
    enum px_code code = split_header(p, line, header, err);
    if (code != PX_OK)
        return code;
    p->request.n_headers++;
    return note_header(p, header->name, header->value, err);
}

static enum px_code refuse_body_size(const struct px_http1 *p, struct px_err *err)
{
    px_err_set(err, PX_E_TOO_LARGE, "body is larger than %zu bytes", p->limits.body_bytes_max);
    return px_err_hint(err, "send fewer rows per request, or raise server.body_bytes_max");
}

/* Judges the head as a whole and decides how the body is framed. */
static enum px_code finish_head(struct px_http1 *p, struct px_err *err)
{
    if (!p->has_host && !p->http10)
        return px_err_set(err, PX_E_INVALID, "headers: HTTP/1.1 requires a Host header");
    if (p->chunked && p->has_length)
        return px_err_set(err, PX_E_INVALID,
                          "headers: Content-Length and Transfer-Encoding exclude each other");
    if (p->chunked && p->http10)
        return px_err_set(err, PX_E_INVALID, "headers: HTTP/1.0 has no Transfer-Encoding");
    p->keep_alive = !p->wants_close && (!p->http10 || p->wants_keep_alive);
    p->expect_continue = p->expect_continue && !p->http10;
    p->body_at = p->body_end = p->at;
    p->line_budget = PX_HTTP1_CHUNK_LINE_MAX;
    p->stage = p->chunked ? PX_HTTP1_CHUNK_LINE : PX_HTTP1_BODY;
    return PX_OK;
}

/* chunk-size [ chunk-ext ]; extensions are passed over. */
static enum px_code read_chunk_line(struct px_http1 *p, struct px_str line, struct px_err *err)
{
    uint64_t size = 0;
    size_t n = 0;
    for (; n < line.len && px_hex_digit(line.ptr[n]) >= 0; n++) {
        if (size >> 60)
            return px_err_set(err, PX_E_INVALID, "chunked body: a chunk's size overflows");
        size = size << 4 | (uint64_t)px_hex_digit(line.ptr[n]);
    }
    struct px_str extension = px_str_trim(px_str_n(line.ptr + n, line.len - n));
    if (n == 0 || (n < line.len && (extension.len == 0 || extension.ptr[0] != ';')))
        return px_err_set(err, PX_E_INVALID,
                          "chunked body: expected a chunk's size in hexadecimal");
    if (!p->streams && size > p->limits.body_bytes_max - (p->body_end - p->body_at))
        return refuse_body_size(p, err);
    p->body_left = size;
    p->stage = size ? PX_HTTP1_CHUNK_DATA : PX_HTTP1_TRAILERS;
    p->line_budget = p->limits.header_bytes_max;
    return PX_OK;
}

static enum px_code read_line(struct px_http1 *p, struct px_str line, struct px_err *err)
{
    struct px_http_header trailer;
    if (p->stage == PX_HTTP1_CHUNK_LINE)
        return read_chunk_line(p, line, err);
    if (p->stage == PX_HTTP1_HEADERS)
        return line.len ? read_header(p, line, err) : finish_head(p, err);
    if (p->stage == PX_HTTP1_TRAILERS) {
        if (line.len)
            return split_header(p, line, &trailer, err);
        p->stage = PX_HTTP1_COMPLETE;
        return PX_OK;
    }
    if (p->stage == PX_HTTP1_START && line.len == 0) {
        p->stage = PX_HTTP1_REQUEST_LINE;
        return PX_OK;
    }
    p->stage = PX_HTTP1_REQUEST_LINE;
    enum px_code code = read_request_line(p, line, err);
    if (code == PX_OK)
        p->stage = PX_HTTP1_HEADERS;
    return code;
}

/* Moves what has arrived of the chunk's data to the end of the joined body. */
static enum px_http1_result join_chunk(struct px_http1 *p, char *bytes, size_t len)
{
    size_t n = len - p->at < p->body_left ? len - p->at : (size_t)p->body_left;
    if (n && p->body_end != p->at)
        memmove(bytes + p->body_end, bytes + p->at, n);
    p->body_end += n;
    p->at += n;
    p->body_left -= n;
    p->scanned = p->at;
    if (p->body_left)
        return PX_HTTP1_MORE;
    p->stage = PX_HTTP1_CHUNK_END;
    return PX_HTTP1_DONE;
}

static enum px_http1_result end_chunk(struct px_http1 *p, const char *bytes, size_t len,
                                      struct px_err *err)
{
    size_t n = len - p->at < 2 ? len - p->at : 2;
    if (memcmp(bytes + p->at, "\r\n", n) != 0) {
        px_err_set(err, PX_E_INVALID, "chunked body: expected CR LF after a chunk's data");
        return PX_HTTP1_BAD;
    }
    if (n < 2)
        return PX_HTTP1_MORE;
    p->at = p->scanned = p->at + 2;
    p->line_budget = PX_HTTP1_CHUNK_LINE_MAX;
    p->stage = PX_HTTP1_CHUNK_LINE;
    return PX_HTTP1_DONE;
}

/* Takes what has come of a stream's body with a known length. */
static enum px_http1_result take_part(struct px_http1 *p, size_t len)
{
    size_t n = len - p->at < p->body_left ? len - p->at : (size_t)p->body_left;
    p->at = p->scanned = p->body_end = p->at + n;
    p->body_left -= n;
    if (p->body_left)
        return PX_HTTP1_MORE;
    p->stage = PX_HTTP1_COMPLETE;
    return PX_HTTP1_DONE;
}

static enum px_http1_result take_body(struct px_http1 *p, size_t len, struct px_err *err)
{
    if (p->streams)
        return take_part(p, len);
    if (p->body_left > p->limits.body_bytes_max) {
        refuse_body_size(p, err);
        return PX_HTTP1_BAD;
    }
    if (len - p->body_at < p->body_left)
        return PX_HTTP1_MORE;
    p->body_end = p->at = p->body_at + (size_t)p->body_left;
    p->stage = PX_HTTP1_COMPLETE;
    return PX_HTTP1_DONE;
}

/* One step: a line or a piece of body. DONE means that the step is done. */
static enum px_http1_result step(struct px_http1 *p, char *bytes, size_t len, struct px_err *err)
{
    if (p->stage == PX_HTTP1_BODY)
        return take_body(p, len, err);
    if (p->stage == PX_HTTP1_CHUNK_DATA)
        return join_chunk(p, bytes, len);
    if (p->stage == PX_HTTP1_CHUNK_END)
        return end_chunk(p, bytes, len, err);
    struct px_str line;
    enum px_http1_result found = find_line(p, bytes, len, &line, err);
    if (found != PX_HTTP1_DONE)
        return found;
    return read_line(p, line, err) == PX_OK ? PX_HTTP1_DONE : PX_HTTP1_BAD;
}

/* Removes the dead bytes between the joined body and what is not parsed yet. */
static void close_gap(struct px_http1 *p, char *bytes, size_t *len)
{
    size_t gap = p->chunked && p->stage > PX_HTTP1_BODY ? p->at - p->body_end : 0;
    if (gap == 0)
        return;
    memmove(bytes + p->body_end, bytes + p->at, *len - p->at);
    p->at -= gap;
    p->scanned -= gap;
    *len -= gap;
}

static const char root[] = "/"; /* the path of http://host */

static void move_str(struct px_str *s, const char *from, const char *to)
{
    if (s->ptr)
        s->ptr = to + ((uintptr_t)s->ptr - (uintptr_t)from);
}

/* The buffer has moved since the last call: so do the pointers into it. */
static void follow_buffer(struct px_http1 *p, const char *bytes)
{
    if (p->request.path.ptr != root)
        move_str(&p->request.path, p->base, bytes);
    move_str(&p->request.query, p->base, bytes);
    for (size_t i = 0; i < p->request.n_headers; i++) {
        move_str(&p->headers[i].name, p->base, bytes);
        move_str(&p->headers[i].value, p->base, bytes);
    }
}

void px_http1_init(struct px_http1 *parser, const struct px_http1_limits *limits)
{
    parser->limits = *limits;
    px_http1_reset(parser);
}

void px_http1_reset(struct px_http1 *parser)
{
    struct px_http1_limits limits = parser->limits;
    bool stops_at_head = parser->stops_at_head;
    /* Not the table: n_headers says how much of it counts. */
    memset(parser, 0, offsetof(struct px_http1, headers));
    parser->limits = limits;
    parser->stops_at_head = stops_at_head;
    parser->request.version = PX_HTTP_1_1;
    parser->line_budget = limits.header_bytes_max;
    parser->request.headers = parser->headers;
}

static enum px_http1_result end_head(struct px_http1 *p)
{
    if (p->request.path.len == 0)
        p->request.path = px_str_n(root, 1);
    return PX_HTTP1_HEAD;
}

enum px_http1_result px_http1_parse(struct px_http1 *parser, char *bytes, size_t *len,
                                    struct px_err *err)
{
    PX_ASSERT(parser->stage != PX_HTTP1_COMPLETE && *len >= parser->at);
    if (parser->base != bytes && parser->base && !parser->streams)
        follow_buffer(parser, bytes);
    parser->base = bytes;
    enum px_http1_result result;
    do {
        bool had_head = px_http1_has_head(parser);
        result = step(parser, bytes, *len, err);
        if (parser->stops_at_head && !had_head && px_http1_has_head(parser))
            return end_head(parser);
    } while (result == PX_HTTP1_DONE && parser->stage != PX_HTTP1_COMPLETE);
    if (result == PX_HTTP1_MORE)
        close_gap(parser, bytes, len);
    if (result != PX_HTTP1_DONE)
        return result;
    end_head(parser);
    if (!parser->streams)
        parser->request.body =
            px_str_n(bytes + parser->body_at, parser->body_end - parser->body_at);
    parser->consumed = parser->at;
    return PX_HTTP1_DONE;
}

void px_http1_stream(struct px_http1 *parser, const char *head)
{
    PX_ASSERT(px_http1_has_head(parser) && parser->body_at == parser->at);
    follow_buffer(parser, head);
    parser->streams = true;
    parser->at = parser->scanned = parser->body_at = parser->body_end = 0;
}

size_t px_http1_drop_piece(struct px_http1 *parser)
{
    size_t n = parser->body_end;
    PX_ASSERT(parser->streams && parser->at == n);
    parser->scanned -= n;
    parser->at = parser->body_end = 0;
    return n;
}

size_t px_http1_missing(const struct px_http1 *parser, size_t len)
{
    if (parser->stage == PX_HTTP1_BODY && len - parser->body_at < parser->body_left)
        return (size_t)parser->body_left - (len - parser->body_at);
    return parser->stage == PX_HTTP1_CHUNK_DATA ? (size_t)parser->body_left : 0;
}

enum px_http_method px_http1_method(struct px_str name)
{
    return find_method(name);
}

bool px_http1_read_path(struct px_http_request *request, struct px_str path)
{
    bool starts = path.len && (path.ptr[0] == '/' || px_str_is(path, "*"));
    if (!starts || span(target_set, path) != path.len)
        return false;
    split_query(request, path);
    return true;
}

bool px_http1_is_host(struct px_str value)
{
    return span(host_set, value) == value.len;
}
