/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/rest/media.h"

#include "shared/number.h"

struct px_str px_media_type(struct px_str header)
{
    struct px_str rest = header;
    return px_str_trim(px_str_cut(&rest, ';'));
}

/* Up to the next ';' that is in no quotes. */
static struct px_str cut_parameter(struct px_str *rest)
{
    bool is_quoted = false;
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->ptr[i] == '"')
            is_quoted = !is_quoted;
        if (rest->ptr[i] != ';' || is_quoted)
            continue;
        struct px_str part = px_str_n(rest->ptr, i);
        *rest = px_str_n(rest->ptr + i + 1, rest->len - i - 1);
        return part;
    }
    struct px_str part = *rest;
    *rest = (struct px_str){0};
    return part;
}

static struct px_str unquote(struct px_str value)
{
    bool is_quoted = value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"';
    return is_quoted ? px_str_n(value.ptr + 1, value.len - 2) : value;
}

struct px_str px_media_parameter(struct px_str header, const char *name)
{
    struct px_str rest = header;
    (void)px_str_cut(&rest, ';'); /* the type itself */
    while (rest.ptr) {
        struct px_str value = cut_parameter(&rest);
        struct px_str key = px_str_trim(px_str_cut(&value, '='));
        if (value.ptr && px_str_eq_nocase(key, px_str(name)))
            return unquote(px_str_trim(value));
    }
    return (struct px_str){0};
}

enum px_code px_check_charset(const struct px_http_request *request, struct px_err *err)
{
    static const struct px_str same[] = {PX_STR("utf-8"), PX_STR("utf8"), PX_STR("us-ascii")};
    struct px_str type = px_http_header(request, "Content-Type");
    struct px_str charset = px_media_parameter(type, "charset");
    if (PX_LIKELY(!charset.ptr))
        return PX_OK;
    for (size_t i = 0; i < PX_ARRAY_LEN(same); i++) {
        if (px_str_eq_nocase(charset, same[i]))
            return PX_OK;
    }
    px_err_set(err, PX_E_UNSUPPORTED_MEDIA, "Content-Type: expected charset=utf-8, got '%.*s'",
               PX_STR_ARG(charset));
    return px_err_hint(err, "send the text as UTF-8");
}

/* ---- Accept (RFC 9110, section 12.5.1) ---- */

/* How one range of Accept judges a type. */
struct judgement {
    unsigned exactness; /* 0: not at all, 1: any type, 2: any of its kind, 3: the type itself */
    double q;
};

static unsigned exactness_of(struct px_str range, struct px_str name)
{
    size_t slash = px_str_find(name, '/') + 1;
    if (px_str_eq_nocase(range, name))
        return 3;
    if (range.len == slash + 1 && range.ptr[slash] == '*' &&
        px_str_eq_nocase(px_str_n(range.ptr, slash), px_str_n(name.ptr, slash)))
        return 2;
    return px_str_is(range, "*/*") ? 1 : 0;
}

static double quality_of(struct px_str range)
{
    double q;
    struct px_str text = px_media_parameter(range, "q");
    return text.ptr && px_str_to_f64(text, &q) && q >= 0 && q <= 1 ? q : 1;
}

/* The most exact range decides about a type; of several the first. */
static struct judgement judge(struct px_str accepted, struct px_str name)
{
    struct judgement best = {0};
    while (accepted.ptr) {
        struct px_str range = px_str_cut(&accepted, ',');
        unsigned exactness = exactness_of(px_media_type(range), name);
        if (exactness > best.exactness)
            best = (struct judgement){exactness, quality_of(range)};
    }
    return best;
}

/* Where a type is named; the end when it is not. */
static size_t place_of(struct px_str accepted, struct px_str name)
{
    size_t n = 0;
    while (accepted.ptr && !px_str_eq_nocase(px_media_type(px_str_cut(&accepted, ',')), name))
        n++;
    return n;
}

unsigned px_media_choose(const struct px_http_request *request, const struct px_media_offer *offers,
                         size_t n)
{
    struct px_str accepted = px_http_header(request, "Accept");
    struct judgement best = {0};
    size_t chosen = 0;
    for (size_t i = 0; accepted.len && i < n; i++) {
        struct judgement one = judge(accepted, offers[i].name);
        bool is_equal = one.q >= best.q && one.exactness == best.exactness;
        bool is_better = one.q > best.q || (one.q >= best.q && one.exactness > best.exactness) ||
                         (is_equal && place_of(accepted, offers[i].name) <
                                          place_of(accepted, offers[chosen].name));
        if (one.exactness && one.q > 0 && is_better) {
            best = one;
            chosen = i;
        }
    }
    return offers[chosen].id;
}
