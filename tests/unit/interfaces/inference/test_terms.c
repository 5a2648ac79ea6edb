/* SPDX-License-Identifier: Apache-2.0 */
/* Terms of a request: what headers mean, and what is refused in words that help. */
#include "interfaces/inference/terms.h"

#include "harness.h"
#include "shared/clock.h"
#include "shared/hash.h"

static struct px_terms terms;
static struct px_err err;

static enum px_code read_one(const char *name, const char *value)
{
    const struct px_http_header headers[] = {{PX_STR("Host"), PX_STR("x")},
                                             {px_str(name), px_str(value)},
                                             {PX_STR("Accept"), PX_STR("*/*")}};
    const struct px_http_request request = {.headers = headers, .n_headers = 3, .peer = 77};
    return px_terms_read(&request, &terms, &err);
}

static void refuses(const char *name, const char *value)
{
    CHECK_INT(read_one(name, value), PX_E_INVALID);
    CHECK_CONTAINS(err.message, name);
    CHECK_CONTAINS(err.message, "expected");
}

PX_TEST(without_headers_the_client_is_its_address)
{
    CHECK_OK(read_one("User-Agent", "test"));
    CHECK(terms.urgency.client == 77);
    CHECK_INT(terms.urgency.priority, 0);
    CHECK_INT(terms.urgency.criticality, PX_CRITICALITY_DEFAULT);
    CHECK(terms.timeout_ns == 0);
}

PX_TEST(names_are_read_without_case_as_http2_sends_them)
{
    CHECK_OK(read_one("phoenix-criticality", "SHEDDABLE"));
    CHECK_INT(terms.urgency.criticality, PX_CRITICALITY_SHEDDABLE);
    CHECK_OK(read_one("PHOENIX-PRIORITY", " 3 "));
    CHECK_INT(terms.urgency.priority, 3);
    CHECK_OK(read_one("Phoenix-Client", "shop"));
    CHECK(terms.urgency.client == px_hash("shop", 4));
}

PX_TEST(headers_that_only_begin_alike_are_nobodys)
{
    CHECK_OK(read_one("Phoenix-Criticalitys", "nonsense"));
    CHECK_OK(read_one("X-Request-Timeouts", "nonsense"));
    CHECK_OK(read_one("Phoenix-Clien", ""));
}

PX_TEST(timeouts_have_units)
{
    static const struct {
        const char *name, *value;
        uint64_t ns;
    } cases[] = {
        {"Phoenix-Timeout-Ms", "250", 250 * PX_NS_PER_MS},
        {"X-Request-Timeout", "250ms", 250 * PX_NS_PER_MS},
        {"X-Request-Timeout", "5", 5 * PX_NS_PER_S},
        {"X-Request-Timeout", "1.5", 3 * PX_NS_PER_S / 2},
        {"X-Request-Timeout", "24h", 86400 * PX_NS_PER_S},
        {"X-Request-Timeout", "2m", 120 * PX_NS_PER_S},
        {"X-Request-Timeout", "800us", 800 * PX_NS_PER_US},
        {"X-Request-Timeout", "86400", 86400 * PX_NS_PER_S},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_OK(read_one(cases[i].name, cases[i].value));
        CHECK(terms.timeout_ns == cases[i].ns);
    }
}

PX_TEST(the_shorter_of_two_timeouts_counts)
{
    const struct px_http_header headers[] = {{PX_STR("X-Request-Timeout"), PX_STR("2s")},
                                             {PX_STR("Phoenix-Timeout-Ms"), PX_STR("300")}};
    const struct px_http_request request = {.headers = headers, .n_headers = 2};
    CHECK_OK(px_terms_read(&request, &terms, &err));
    CHECK(terms.timeout_ns == 300 * PX_NS_PER_MS);
}

PX_TEST(nonsense_is_refused_with_what_was_expected)
{
    static const char *const timeouts[] = {"",    "0",   "-1",       "ms",  "5x",    "1e99",
                                           "nan", "inf", "0.0001us", ".5s", "1 2",   "86401",
                                           "5S",  "1e2", "1 s",      "25h", "1.2.3", "1d"};
    static const char *const millis[] = {
        "", "0", "-1", "1.5", "10ms", "86400001", "99999999999999999999"};
    for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++)
        refuses("X-Request-Timeout", timeouts[i]);
    for (size_t i = 0; i < sizeof millis / sizeof *millis; i++)
        refuses("Phoenix-Timeout-Ms", millis[i]);
    refuses("Phoenix-Priority", "high");
    refuses("Phoenix-Priority", "4294967296");
    refuses("Phoenix-Criticality", "");
    refuses("Phoenix-Criticality", "urgent");
    refuses("Phoenix-Client", "  ");
}

PX_TEST_MAIN(T(without_headers_the_client_is_its_address)
                 T(names_are_read_without_case_as_http2_sends_them)
                     T(headers_that_only_begin_alike_are_nobodys) T(timeouts_have_units)
                         T(the_shorter_of_two_timeouts_counts)
                             T(nonsense_is_refused_with_what_was_expected))
