/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/grpc/head.h"

#include "interfaces/inference/deadline.h"
#include "interfaces/inference/terms.h"
#include "shared/clock.h"

enum { TIMEOUT_DIGITS_MAX = 8 };

bool px_grpc_is_content_type(struct px_str value)
{
    struct px_str type = px_str_trim(px_str_cut(&value, ';'));
    static const struct px_str plain = PX_STR("application/grpc"),
                               proto = PX_STR("application/grpc+proto");
    return px_str_eq_nocase(type, plain) || px_str_eq_nocase(type, proto);
}

static uint64_t unit_ns(char unit)
{
    switch (unit) { // clang-format off
    case 'H': return 3600 * PX_NS_PER_S;
    case 'M': return 60 * PX_NS_PER_S;
    case 'S': return PX_NS_PER_S;
    case 'm': return PX_NS_PER_MS;
    case 'u': return PX_NS_PER_US;
    case 'n': return 1;
    default: return 0;
    } // clang-format on
}

bool px_grpc_parse_timeout(struct px_str text, uint64_t *ret_ns)
{
    if (text.len < 2 || text.len > TIMEOUT_DIGITS_MAX + 1)
        return false;
    uint64_t unit = unit_ns(text.ptr[text.len - 1]), value = 0;
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *ret_ns = px_duration_ns(value, unit); /* 10^8 hours are more than fit */
    if (*ret_ns > PX_TIMEOUT_NS_MAX)
        *ret_ns = PX_TIMEOUT_NS_MAX;
    return unit != 0;
}

static unsigned read_accepted(struct px_str value)
{
    unsigned accepted = 0;
    while (value.ptr) {
        enum px_coding coding = px_coding_from_name(px_str_trim(px_str_cut(&value, ',')));
        if (coding < PX_CODING_COUNT)
            accepted |= 1u << coding;
    }
    return accepted;
}

static enum px_code read_timeout(struct px_str value, struct px_grpc_head *ret, struct px_err *err)
{
    uint64_t timeout_ns;
    if (px_grpc_parse_timeout(value, &timeout_ns)) {
        ret->timeout_ns =
            ret->has_timeout ? px_deadline_earlier(ret->timeout_ns, timeout_ns) : timeout_ns;
        ret->has_timeout = true;
        return PX_OK;
    }
    return px_err_set(
        err, PX_E_INVALID,
        "grpc-timeout: expected 1 to 8 digits and one of H, M, S, m, u, n, got '%.*s'",
        PX_STR_ARG(value));
}

enum px_code px_grpc_read_head(const struct px_http_request *request, struct px_grpc_head *ret,
                               struct px_err *err)
{
    struct px_terms terms;
    enum px_code terms_code = px_terms_read(request, &terms, err);
    if (terms_code != PX_OK)
        return terms_code;
    *ret = (struct px_grpc_head){.urgency = terms.urgency};
    if (terms.timeout_ns) {
        ret->has_timeout = true;
        ret->timeout_ns = terms.timeout_ns;
    }
    for (size_t i = 0; i < request->n_headers; i++) {
        struct px_str name = request->headers[i].name, value = request->headers[i].value;
        if (px_str_is(name, "grpc-timeout")) {
            enum px_code code = read_timeout(value, ret, err);
            if (code != PX_OK)
                return code;
        } else if (px_str_is(name, "grpc-encoding")) {
            ret->coding = px_coding_from_name(px_str_trim(value));
            ret->coding_is_unknown = ret->coding == PX_CODING_COUNT;
        } else if (px_str_is(name, "grpc-accept-encoding")) {
            ret->accepted |= read_accepted(value);
        } else if (px_str_is(name, "triton_grpc_error")) {
            ret->errors_end_stream = px_str_is(value, "true");
        }
    }
    return PX_OK;
}
