/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/inference/terms.h"

#include "interfaces/inference/deadline.h"
#include "shared/clock.h"
#include "shared/hash.h"
#include "shared/number.h"

#include <inttypes.h>

enum { CLIENT_MAX = 256 };

enum px_code px_criticality_read(const char *name, struct px_str text, enum px_criticality *ret,
                                 struct px_err *err)
{
    static const struct px_str names[] = {[PX_CRITICALITY_DEFAULT] = PX_STR("default"),
                                          [PX_CRITICALITY_CRITICAL] = PX_STR("critical"),
                                          [PX_CRITICALITY_SHEDDABLE] = PX_STR("sheddable")};
    for (size_t i = 0; i < PX_ARRAY_LEN(names); i++) {
        if (!px_str_eq_nocase(text, names[i]))
            continue;
        *ret = (enum px_criticality)i;
        return PX_OK;
    }
    px_err_set(err, PX_E_INVALID, "%s: expected critical, default or sheddable, got '%.*s'", name,
               PX_STR_ARG(text));
    return px_err_hint(err, "sheddable requests are refused first, critical ones last");
}

static enum px_code read_priority(struct px_str text, struct px_terms *ret, struct px_err *err)
{
    uint64_t priority;
    if (!px_str_to_u64(text, &priority) || priority > UINT32_MAX)
        return px_err_set(err, PX_E_INVALID,
                          "Phoenix-Priority: expected a whole number, 1 for what is served first, "
                          "got '%.*s'",
                          PX_STR_ARG(text));
    ret->urgency.priority = (unsigned)priority;
    return PX_OK;
}

static enum px_code read_client(struct px_str text, struct px_terms *ret, struct px_err *err)
{
    if (text.len == 0 || text.len > CLIENT_MAX)
        return px_err_set(err, PX_E_INVALID,
                          "Phoenix-Client: expected a name of 1 to %d bytes, got %zu",
                          (int)CLIENT_MAX, text.len);
    ret->urgency.client = px_hash(text.ptr, text.len);
    return PX_OK;
}

static enum px_code read_timeout_ms(struct px_str text, struct px_terms *ret, struct px_err *err)
{
    uint64_t ms;
    const uint64_t most = PX_TIMEOUT_NS_MAX / PX_NS_PER_MS;
    if (!px_str_to_u64(text, &ms) || ms == 0 || ms > most)
        return px_err_set(err, PX_E_INVALID,
                          "Phoenix-Timeout-Ms: expected whole milliseconds from 1 to %" PRIu64
                          ", got '%.*s'",
                          most, PX_STR_ARG(text));
    ret->timeout_ns = px_deadline_earlier(ret->timeout_ns, ms * PX_NS_PER_MS);
    return PX_OK;
}

/* Nanoseconds of what stands behind the digits; seconds without a unit. 0 for what is none. */
static double unit_of(struct px_str unit)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"m", 60e9}, {"h", 3600e9}};
    for (size_t i = 0; i < PX_ARRAY_LEN(units); i++) {
        if (px_str_is(unit, units[i].name))
            return units[i].ns;
    }
    return 0;
}

/* Digits, and a fraction: no sign, exponent or blank. */
static size_t count_digits(struct px_str text)
{
    size_t n = 0, n_points = 0;
    for (; n < text.len && (text.ptr[n] == '.' || (text.ptr[n] >= '0' && text.ptr[n] <= '9')); n++)
        n_points += text.ptr[n] == '.';
    return n_points <= 1 && n > 0 && text.ptr[0] != '.' ? n : 0;
}

static enum px_code read_timeout(struct px_str text, struct px_terms *ret, struct px_err *err)
{
    size_t n = count_digits(text);
    double value = 0, unit_ns = unit_of(px_str_n(text.ptr + n, text.len - n));
    bool is_number = n > 0 && px_str_to_f64(px_str_n(text.ptr, n), &value);
    if (!is_number || !(value * unit_ns >= 1) || value * unit_ns > (double)PX_TIMEOUT_NS_MAX) {
        px_err_set(err, PX_E_INVALID,
                   "X-Request-Timeout: expected a duration of at most a day, got '%.*s'",
                   PX_STR_ARG(text));
        return px_err_hint(err, "write a number and us, ms, s, m or h without a blank, as 250ms or "
                                "1.5s; a number without a unit is in seconds");
    }
    ret->timeout_ns = px_deadline_earlier(ret->timeout_ns, (uint64_t)(value * unit_ns));
    return PX_OK;
}

static enum px_code read_criticality(struct px_str text, struct px_terms *ret, struct px_err *err)
{
    return px_criticality_read("Phoenix-Criticality", text, &ret->urgency.criticality, err);
}

static const struct term {
    struct px_str name;
    enum px_code (*read)(struct px_str text, struct px_terms *ret, struct px_err *err);
} terms[] = {
    {PX_STR("Phoenix-Priority"), read_priority}, {PX_STR("Phoenix-Criticality"), read_criticality},
    {PX_STR("Phoenix-Client"), read_client},     {PX_STR("Phoenix-Timeout-Ms"), read_timeout_ms},
    {PX_STR("X-Request-Timeout"), read_timeout},
};

static enum px_code read_header(const struct px_http_header *header, struct px_terms *ret,
                                struct px_err *err)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(terms); i++) {
        if (header->name.len == terms[i].name.len && px_str_eq_nocase(header->name, terms[i].name))
            return terms[i].read(px_str_trim(header->value), ret, err);
    }
    return PX_OK;
}

enum px_code px_terms_read(const struct px_http_request *request, struct px_terms *ret,
                           struct px_err *err)
{
    *ret = (struct px_terms){.urgency = {.client = request->peer}};
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct px_http_header *header = &request->headers[i];
        char first = (char)(header->name.len > 0 ? header->name.ptr[0] | 0x20 : 0);
        if (PX_LIKELY(first != 'p' && first != 'x'))
            continue;
        enum px_code code = read_header(header, ret, err);
        if (code != PX_OK)
            return code;
    }
    return PX_OK;
}
