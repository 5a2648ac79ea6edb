/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "infrastructure/net/endpoint.h"

static struct px_arena arena;
static struct px_endpoints got;
static struct px_err err;

static enum px_code parse(const char *text)
{
    px_arena_deinit(&arena);
    arena = px_arena(1 << 16);
    return px_endpoints_parse(px_str(text), &arena, &got, &err);
}

static void check_tcp(size_t i, const char *host, unsigned port, bool tls)
{
    CHECK(i < got.n && got.items[i].host && !got.items[i].path);
    CHECK_STR(px_str(got.items[i].host), host);
    CHECK_INT(got.items[i].port, port);
    CHECK(got.items[i].tls == tls);
}

PX_TEST(every_form_is_understood)
{
    CHECK_OK(parse("127.0.0.1:8080, http://[::]:80\thttps://localhost:0,unix:/run/p.sock"));
    CHECK_INT(got.n, 4);
    check_tcp(0, "127.0.0.1", 8080, false);
    check_tcp(1, "::", 80, false);
    check_tcp(2, "localhost", 0, true);
    CHECK_STR(px_str(got.items[3].path), "/run/p.sock");
    CHECK(!got.items[3].host && !got.items[3].tls);
}

PX_TEST(what_is_wrong_is_named)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "at least one"},
        {" , ", "at least one"},
        {"8080", "a host and a port"},
        {":8080", "a host and a port"},
        {"host:", "a port from 0"},
        {"host:65536", "a port from 0"},
        {"host:-1", "a port from 0"},
        {"host:80/path", "has no path"},
        {"::1:80", "brackets"},
        {"[]:80", "brackets"},
        {"ftp://host:21", "unknown scheme"},
        {"unix:p.sock", "absolute path"},
        {"unix:", "absolute path"},
        {"unix:/"
         "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
         "56789012345678901234567890",
         "at most 107 bytes"},
        {"a:1 a:2 a:3 a:4 a:5 a:6 a:7 a:8 a:9 a:10 a:11 a:12 a:13 a:14 a:15 a:16 a:17",
         "at most 16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_INT(parse(cases[i].text), PX_E_INVALID);
        CHECK_CONTAINS(err.message, cases[i].message);
    }
}

PX_TEST(an_address_that_is_listed_twice_is_named)
{
    static const struct {
        const char *text;
        bool is_twice;
    } cases[] = {
        {"127.0.0.1:80 127.0.0.1:80", true},
        {"127.0.0.1:80 unix:/p https://127.0.0.1:80", true},
        {"Host.Example:80 host.example:80", true},
        {"[::1]:80 [0:0:0:0:0:0:0:1]:80", true},
        {"[::FFFF:1.2.3.4]:80 [::ffff:102:304]:80", true},
        {"unix:/run/p.sock unix:/run//p.sock", true},
        {"unix://run/p.sock unix:/run/p.sock", true},
        {"127.0.0.1:80 127.0.0.1:81", false},
        {"127.0.0.1:80 127.0.0.2:80", false},
        {"127.0.0.1:0 127.0.0.1:0", false}, /* two ports */
        {"[::1]:80 [::2]:80", false},
        {"unix:/run/p unix:/runp unix:/run/p/ unix:/run/pq", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_INT(parse(cases[i].text), cases[i].is_twice ? PX_E_INVALID : PX_OK);
        CHECK(!cases[i].is_twice || strstr(err.message, "is listed twice"));
    }
}

PX_TEST_MAIN(T(every_form_is_understood) T(what_is_wrong_is_named)
                 T(an_address_that_is_listed_twice_is_named))
