/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "application/bench/endpoint.h"

static struct px_endpoint e;
static struct px_arena arena;
static struct px_err err;

static enum px_code parse_with(const char *url, const struct px_endpoint_options *options)
{
    px_arena_deinit(&arena);
    arena = px_arena(1 << 20);
    err = (struct px_err){0};
    return px_endpoint_parse(&e, px_str(url), options, &arena, &err);
}

static enum px_code parse(const char *url, const char *model)
{
    const struct px_endpoint_options options = {.model = px_str(model)};
    return parse_with(url, &options);
}

PX_TEST(a_server_and_a_model)
{
    CHECK_OK(parse("http://127.0.0.1:8080", "fraud"));
    CHECK(strcmp(e.address.host, "127.0.0.1") == 0);
    CHECK_INT(e.address.port, 8080);
    CHECK_INT(e.protocol, PX_BENCH_V2);
    CHECK_STR(e.path, "/v2/models/fraud/infer");
    CHECK_STR(e.metadata_path, "/v2/models/fraud");
    CHECK_STR(e.base, "");
    CHECK_STR(e.model, "fraud");
}

PX_TEST(a_version_and_a_base_path)
{
    CHECK_OK(parse("http://host/gateway/a/", "fraud/versions/3"));
    CHECK_INT(e.address.port, 80);
    CHECK_STR(e.path, "/gateway/a/v2/models/fraud/versions/3/infer");
    CHECK_STR(e.metadata_path, "/gateway/a/v2/models/fraud/versions/3");
    CHECK_STR(e.base, "/gateway/a");
    CHECK_STR(e.model, "fraud");
}

PX_TEST(v1_asks_for_metadata_by_v2)
{
    const struct px_endpoint_options options = {.model = px_str("m"), .protocol = PX_BENCH_V1};
    CHECK_OK(parse_with("http://h:1", &options));
    CHECK_INT(e.protocol, PX_BENCH_V1);
    CHECK_STR(e.path, "/v1/models/m:predict");
    CHECK_STR(e.metadata_path, "/v2/models/m");
}

PX_TEST(odd_names_are_encoded)
{
    CHECK_OK(parse("http://h:1", "what's up\xC3\xA9"));
    CHECK_STR(e.path, "/v2/models/what%27s%20up%C3%A9/infer");
    CHECK_STR(e.model, "what's up\xC3\xA9");
}

PX_TEST(full_urls)
{
    CHECK_OK(parse("http://[::1]:8080/v2/models/fraud/versions/2/infer", NULL));
    CHECK(strcmp(e.address.host, "::1") == 0);
    CHECK_INT(e.protocol, PX_BENCH_V2);
    CHECK_STR(e.path, "/v2/models/fraud/versions/2/infer");
    CHECK_STR(e.metadata_path, "/v2/models/fraud/versions/2");
    CHECK_STR(e.model, "fraud");
    CHECK_OK(parse("http://h/x/v1/models/fraud:predict?output=labels", NULL));
    CHECK_INT(e.protocol, PX_BENCH_V1);
    CHECK_STR(e.path, "/x/v1/models/fraud:predict?output=labels");
    CHECK_STR(e.metadata_path, "/x/v2/models/fraud");
    CHECK_STR(e.base, "/x");
}

PX_TEST(any_path_goes_with_a_body)
{
    const struct px_endpoint_options options = {.has_body = true};
    CHECK_OK(parse_with("http://h/score?x=1", &options));
    CHECK_INT(e.protocol, PX_BENCH_RAW);
    CHECK_STR(e.path, "/score?x=1");
    CHECK_OK(parse_with("http://h", &options));
    CHECK_STR(e.path, "/");
    CHECK_OK(parse_with("http://h/v2/models/m/infer", &options));
    CHECK_INT(e.protocol, PX_BENCH_V2);
}

PX_TEST(what_is_no_url_is_refused)
{
    static const char *const cases[] = {
        "127.0.0.1:8080",    "http://",      "http://:80",  "http://h:0",
        "http://h:65536",    "http://h:x",   "http://h:-1", "http://a b",
        "http://u@h",        "http://h/a#b", "http://[::1", "http://[::1]80",
        "http://h/\xC3\xA9", "http://h/a b", "ftp://h",     "http://h\r\nX: y",
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(cases); i++) {
        if (parse(cases[i], "m") != PX_E_INVALID)
            fprintf(stderr, "%s\n", cases[i]);
        CHECK_INT(parse(cases[i], "m"), PX_E_INVALID);
        CHECK(err.hint[0] != '\0');
    }
}

PX_TEST(wrong_combinations_say_what_to_do)
{
    CHECK_INT(parse("http://h:1", NULL), PX_E_INVALID);
    CHECK_CONTAINS(err.hint, "--model");
    CHECK_INT(parse("http://h:1/v2/models/m/infer", "n"), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "--model");
    CHECK_INT(parse("https://h:1", "m"), PX_E_UNSUPPORTED);
    CHECK(err.hint[0] != '\0');
    const struct px_endpoint_options v1 = {.protocol = PX_BENCH_V1};
    CHECK_INT(parse_with("http://h:1/v2/models/m/infer", &v1), PX_E_INVALID);
    CHECK_CONTAINS(err.message, "v1");
}

PX_TEST(a_name_without_end_is_refused)
{
    static char name[6000];
    memset(name, 'a', sizeof name - 1);
    CHECK_INT(parse("http://h", name), PX_E_INVALID);
}

PX_TEST(the_url_of_a_model_is_enough)
{
    CHECK_OK(parse("http://h:1/gate/v2/models/sm", ""));
    CHECK_STR(e.path, "/gate/v2/models/sm/infer");
    CHECK_STR(e.metadata_path, "/gate/v2/models/sm");
    CHECK_STR(e.base, "/gate");
    CHECK_STR(e.model, "sm");
    CHECK_OK(parse("http://h:1/v2/models/a%20b/versions/3/", ""));
    CHECK_STR(e.path, "/v2/models/a%20b/versions/3/infer");
    CHECK_OK(parse("http://h:1/v1/models/sm", ""));
    CHECK_INT(e.protocol, PX_BENCH_V1);
    CHECK_STR(e.path, "/v1/models/sm:predict");
    static const char *const others[] = {"/v2/models/", "/v2/models/sm/ready",
                                         "/v2/models/sm/versions/", "/v2/models/sm/versions/3/x",
                                         "/v2/models/sm?x=1"};
    for (size_t i = 0; i < PX_ARRAY_LEN(others); i++) {
        char url[128];
        snprintf(url, sizeof url, "http://h:1%s", others[i]);
        CHECK_INT(parse(url, ""), PX_E_INVALID);
        CHECK_CONTAINS(err.message, "names no model");
    }
}

PX_TEST(what_a_url_is)
{
    CHECK(px_endpoint_is_url(px_str("http://x")) && px_endpoint_is_url(px_str("https://x")));
    CHECK(!px_endpoint_is_url(px_str("model.json")) && !px_endpoint_is_url(px_str("http")));
}

PX_TEST_MAIN(T(a_server_and_a_model) T(a_version_and_a_base_path) T(v1_asks_for_metadata_by_v2)
                 T(odd_names_are_encoded) T(full_urls) T(any_path_goes_with_a_body)
                     T(what_is_no_url_is_refused) T(wrong_combinations_say_what_to_do)
                         T(a_name_without_end_is_refused) T(the_url_of_a_model_is_enough)
                             T(what_a_url_is))
