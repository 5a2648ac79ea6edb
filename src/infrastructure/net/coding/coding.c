/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding needs a buffer that grows, and its result has to live as long as the request: it is decoded into the loop's scratch
 * buffer and copied to the exchange's arena. An encoded response is copied back to where it was: that memory is the exchange's,
 * with its limit and kept for its next use, and what is copied is the smaller form.
 */
#include "infrastructure/net/coding/coding.h"

enum {
    SCRATCH_KEPT = 1 << 20, /* more is given back after its use */
    WEIGHT_MAX = 1000,
};

struct px_net_coding px_net_coding(struct px_coder *coder, size_t body_bytes_max)
{
    return (struct px_net_coding){.coder = coder, .scratch = px_buf(body_bytes_max)};
}

void px_net_coding_deinit(struct px_net_coding *coding)
{
    px_buf_deinit(&coding->scratch);
}

static void clear_scratch(struct px_net_coding *coding)
{
    size_t max = coding->scratch.max;
    if (coding->scratch.cap > SCRATCH_KEPT) {
        px_buf_deinit(&coding->scratch);
        coding->scratch = px_buf(max);
    }
    px_buf_clear(&coding->scratch);
}

/* The codings of a Content-Encoding header in the order in which they were applied; false when one is unknown. */
static bool read_codings(struct px_str text, enum px_coding *codings, size_t *ret_n)
{
    *ret_n = 0;
    while (text.ptr) {
        struct px_str name = px_str_trim(px_str_cut(&text, ','));
        enum px_coding coding = name.len ? px_coding_from_name(name) : PX_CODING_NONE;
        if (coding == PX_CODING_NONE)
            continue;
        if (coding == PX_CODING_COUNT || *ret_n == PX_NET_CODINGS_MAX)
            return false;
        codings[(*ret_n)++] = coding;
    }
    return true;
}

/* One coding less, into the scratch buffer, whose limit is `room` while that is smaller. */
static enum px_code undo(struct px_net_coding *self, enum px_coding coding, struct px_str body,
                         size_t room, struct px_err *err)
{
    size_t max = self->scratch.max;
    self->scratch.max = room < max ? room : max;
    enum px_code code = px_coder_decode(self->coder, coding, body, &self->scratch, err);
    self->scratch.max = max;
    if (code != PX_E_TOO_LARGE || room >= max)
        return code;
    px_err_set(err, PX_E_OVERLOADED,
               "requests that are being read leave %zu bytes for the decompressed body", room);
    return px_err_hint(err, "try again later");
}

/* Copies what was decoded from the scratch buffer to where it lives as long as the request. */
static enum px_code keep(const struct px_net_coding *self, struct px_str *body,
                         struct px_arena *arena, struct px_err *err)
{
    const struct px_buf *scratch = &self->scratch;
    char *copy = px_arena_alloc(arena, scratch->len + 1, 1);
    if (!copy)
        return px_arena_check(arena, "the decoded body", err);
    memcpy(copy, scratch->ptr ? scratch->ptr : "", scratch->len + 1);
    *body = px_str_n(copy, scratch->len);
    return PX_OK;
}

enum px_code px_net_decode_request(struct px_net_coding *coding, struct px_http_request *request,
                                   struct px_arena *arena, size_t *room, struct px_err *err)
{
    enum px_coding codings[PX_NET_CODINGS_MAX];
    size_t n = 0;
    struct px_str text = px_str_trim(px_http_header(request, "Content-Encoding"));
    if (PX_LIKELY(text.len == 0))
        return PX_OK;
    if (!read_codings(text, codings, &n) || (n > 0 && !coding->coder)) {
        request->coding = text;
        return PX_OK;
    }
    enum px_code code = PX_OK;
    while (code == PX_OK && n > 0) {
        code = undo(coding, codings[--n], request->body, *room, err);
        if (code == PX_OK) {
            *room -= coding->scratch.len;
            code = keep(coding, &request->body, arena, err);
        }
        clear_scratch(coding);
    }
    return code;
}

/* "0.5" and "1" as thousandths; WEIGHT_MAX for what is no weight, as if it were not there. */
static unsigned read_weight(struct px_str text)
{
    unsigned weight = 0, digit = WEIGHT_MAX / 10;
    if (text.len == 0 || text.ptr[0] == '1' || text.ptr[0] != '0')
        return WEIGHT_MAX;
    for (size_t i = 2; i < text.len && digit; i++, digit /= 10) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            break;
        weight += (unsigned)(text.ptr[i] - '0') * digit;
    }
    return weight;
}

static bool is_named(struct px_str accepted, enum px_coding coding)
{
    while (accepted.ptr) {
        struct px_str element = px_str_cut(&accepted, ',');
        if (px_coding_from_name(px_str_trim(px_str_cut(&element, ';'))) == coding)
            return true;
    }
    return false;
}

/* What "*" stands for in this header: a coding that it does not name; PX_CODING_COUNT when it names all. */
static enum px_coding first_unnamed(struct px_str accepted)
{
    if (px_str_find(accepted, '*') == accepted.len)
        return PX_CODING_COUNT;
    for (int coding = PX_CODING_GZIP; coding < PX_CODING_COUNT; coding++) {
        if (!is_named(accepted, (enum px_coding)coding))
            return (enum px_coding)coding;
    }
    return PX_CODING_COUNT;
}

/* One element, "gzip;q=0.8"; "*" is `any`. */
static enum px_coding read_choice(struct px_str element, enum px_coding any, unsigned *ret_weight)
{
    struct px_str name = px_str_trim(px_str_cut(&element, ';'));
    struct px_str parameter = px_str_trim(element);
    *ret_weight = WEIGHT_MAX;
    if (parameter.len > 2 && (parameter.ptr[0] | 0x20) == 'q' && parameter.ptr[1] == '=')
        *ret_weight = read_weight(px_str_n(parameter.ptr + 2, parameter.len - 2));
    return px_str_is(name, "*") ? any : px_coding_from_name(name);
}

enum px_coding px_net_choose_coding(struct px_str accepted)
{
    enum px_coding best = PX_CODING_NONE;
    enum px_coding any = first_unnamed(accepted);
    unsigned best_weight = 0;
    while (accepted.ptr) {
        unsigned weight;
        enum px_coding coding = read_choice(px_str_trim(px_str_cut(&accepted, ',')), any, &weight);
        if (coding == PX_CODING_COUNT || weight <= best_weight)
            continue;
        best = coding;
        best_weight = weight;
    }
    return best;
}

void px_net_encode_response(struct px_net_coding *coding, struct px_http_exchange *exchange)
{
    struct px_str body =
        exchange->static_body.len ? exchange->static_body : px_buf_view(exchange->body);
    if (body.len < PX_NET_CODING_BYTES_MIN || !coding->coder)
        return;
    struct px_str accepted = px_http_header(&exchange->request, "Accept-Encoding");
    enum px_coding chosen = accepted.len ? px_net_choose_coding(accepted) : PX_CODING_NONE;
    if (chosen == PX_CODING_NONE)
        return;
    if (px_coder_encode(coding->coder, chosen, body, &coding->scratch, NULL) == PX_OK &&
        coding->scratch.len < body.len) {
        px_buf_clear(exchange->body);
        px_buf_str(exchange->body, px_buf_view(&coding->scratch));
        if (exchange->body->failed) { /* possible only beside a static body */
            px_buf_clear(exchange->body);
        } else {
            exchange->static_body = (struct px_str){0};
            exchange->coding = chosen;
        }
    }
    clear_scratch(coding);
}
