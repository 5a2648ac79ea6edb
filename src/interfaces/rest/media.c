/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/rest/media.h"

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
