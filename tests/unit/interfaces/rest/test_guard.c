/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of other origins do not control the server, whatever a browser lets them send. */
#include "interfaces/rest/router.h"
#include "rest_fixture.h"

#include "harness.h"

static struct rest_fixture f;

/* The path of a pattern with a name for each {segment}. */
static const char *path_of(const char *pattern)
{
    static char path[128];
    size_t n = 0;
    for (; *pattern; pattern++) {
        if (*pattern == '{') {
            path[n++] = 'x';
            pattern = strchr(pattern, '}');
        } else {
            path[n++] = *pattern;
        }
    }
    path[n] = '\0';
    return path;
}

static void use(const char *origins, bool needs_local_host)
{
    const struct px_rest_settings settings = {.cors_origins = px_str(origins),
                                              .cors_headers = px_str("Accept"),
                                              .models_need_local_host = needs_local_host,
                                              .memory_needs_local_host = needs_local_host};
    CHECK_OK(rest_use_settings(&f, settings, NULL));
}

/* Status of one request with these headers; NULL leaves one out. */
static int ask(const struct px_route *route, const char *host, const char *origin, const char *site)
{
    if (host)
        rest_header(&f, "Host", host);
    if (origin)
        rest_header(&f, "Origin", origin);
    if (site)
        rest_header(&f, "Sec-Fetch-Site", site);
    rest_header(&f, "Content-Type", "text/plain");
    rest_ask(&f, route->method, path_of(route->pattern), "{}");
    return f.status;
}

static size_t count_refused(const char *host, const char *origin, const char *site)
{
    size_t n = 0;
    for (size_t i = 0; i < px_n_routes; i++) {
        bool refused = ask(&px_routes[i], host, origin, site) == 403;
        CHECK(!refused || px_routes[i].controls != PX_CONTROLS_NOTHING);
        n += refused;
    }
    return n;
}

static size_t count_controls(void)
{
    size_t n = 0;
    for (size_t i = 0; i < px_n_routes; i++)
        n += px_routes[i].controls != PX_CONTROLS_NOTHING;
    return n;
}

/* Whoever adds a route that changes something must say so. */
PX_TEST(every_route_that_changes_the_server_is_guarded)
{
    static const char *const changing[] = {"load",    "unload",  "register", "unregister",
                                           "setting", "logging", "reload"};
    for (size_t i = 0; i < px_n_routes; i++) {
        const struct px_route *route = &px_routes[i];
        bool changes = route->method == PX_HTTP_PUT || route->method == PX_HTTP_DELETE ||
                       route->method == PX_HTTP_PATCH;
        for (size_t k = 0; k < PX_ARRAY_LEN(changing); k++) {
            const char *last = strrchr(route->pattern, '/') + 1;
            changes |= route->method == PX_HTTP_POST && strcmp(last, changing[k]) == 0;
        }
        CHECK_INT(route->controls != PX_CONTROLS_NOTHING, changes);
    }
    CHECK(count_controls() >= 11);
}

PX_TEST(a_page_of_another_origin_controls_nothing)
{
    size_t all = count_controls();
    rest_set_up(&f);
    CHECK_INT(count_refused("127.0.0.1:8080", "https://evil.example", "cross-site"), all);
    CHECK_INT(count_refused("127.0.0.1:8080", "https://evil.example", NULL), all);
    CHECK_INT(count_refused("127.0.0.1:8080", "http://127.0.0.1:3000", "same-site"), all);
    CHECK_INT(count_refused("127.0.0.1:8080", "http://127.0.0.1:3000", NULL), all);
    CHECK_INT(count_refused("127.0.0.1:8080", "http://127.0.0.1", NULL), all);
    CHECK_INT(count_refused("127.0.0.1", "http://127.0.0.1:3000", NULL), all);
    CHECK_INT(count_refused("127.0.0.1:8080", "http://127.0.0.1:8080.evil.example", NULL), all);
    CHECK_INT(count_refused("[::1]:8080", "http://[::1]:3000", NULL), all);
    CHECK_INT(count_refused("127.0.0.1:8080", "null", NULL), all); /* a frame in a sandbox */
    CHECK_INT(count_refused("127.0.0.1:8080", NULL, "cross-site"), all);
    CHECK_INT(count_refused("127.0.0.1:8080", NULL, "same-site"), all);
    /* the same host, over another scheme */
    CHECK_INT(count_refused("a.example", "http://a.example", "cross-site"), all);
    rest_tear_down(&f);
}

PX_TEST(the_servers_own_pages_and_clients_without_a_page_control)
{
    rest_set_up(&f);
    CHECK_INT(count_refused("127.0.0.1:8080", NULL, NULL), 0);
    CHECK_INT(count_refused("127.0.0.1:8080", "http://127.0.0.1:8080", "same-origin"), 0);
    CHECK_INT(count_refused("[::1]:8080", "http://[::1]:8080", "same-origin"), 0);
    CHECK_INT(count_refused("A.example", "https://a.example", "same-origin"), 0);
    CHECK_INT(count_refused("a.example:80", "http://a.example", NULL), 0);
    CHECK_INT(count_refused("127.0.0.1:8080", NULL, "none"), 0);
    rest_tear_down(&f);
}

PX_TEST(listed_origins_control_and_a_star_lists_none)
{
    rest_set_up(&f);
    use("https://ops.example, https://b.example:8443", false);
    CHECK_INT(count_refused("127.0.0.1:8080", "https://ops.example", "cross-site"), 0);
    CHECK_INT(count_refused("127.0.0.1:8080", "https://b.example:8443", NULL), 0);
    CHECK_INT(count_refused("127.0.0.1:8080", "https://b.example", NULL), count_controls());
    use("*", false);
    CHECK_INT(count_refused("127.0.0.1:8080", "https://ops.example", NULL), count_controls());
    rest_tear_down(&f);
}

PX_TEST(a_name_that_was_rebound_to_this_machine_controls_nothing)
{
    size_t all = count_controls();
    static const char *const local[] = {"localhost", "LOCALHOST:8080", "127.0.0.1:8080",
                                        "127.8.9.1", "[::1]:8080",     "[::1]"};
    static const char *const others[] = {"evil.example:8080",
                                         "127.0.0.1.evil.example",
                                         "localhost.evil.example",
                                         "192.168.1.2:8080",
                                         "[fe80::1]",
                                         "[::1",
                                         ""};
    rest_set_up(&f);
    use("", true);
    for (size_t i = 0; i < PX_ARRAY_LEN(local); i++)
        CHECK_INT(count_refused(local[i], NULL, NULL), 0);
    for (size_t i = 0; i < PX_ARRAY_LEN(others); i++)
        CHECK_INT(count_refused(others[i], NULL, "same-origin"), all);
    CHECK_INT(count_refused("evil.example", "http://evil.example", "same-origin"), all);
    CHECK_INT(count_refused(NULL, NULL, NULL), 0);
    rest_tear_down(&f);
}

PX_TEST(a_page_of_another_origin_names_no_shared_memory)
{
    static const char *const bodies[] = {
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\",\"data\":[1,2,3,4]}],"
        "\"outputs\":[{\"name\":\"predictions\",\"parameters\":{\"shared_memory_region\":\"r\","
        "\"shared_memory_byte_size\":4}}]}",
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,4],\"datatype\":\"FP32\",\"parameters\":"
        "{\"shared_memory_region\":\"r\",\"shared_memory_byte_size\":16}}]}",
    };
    rest_set_up(&f);
    for (size_t i = 0; i < PX_ARRAY_LEN(bodies); i++) {
        rest_header(&f, "Host", "127.0.0.1:8080");
        rest_header(&f, "Origin", "https://evil.example");
        rest_ask(&f, PX_HTTP_POST, "/v2/models/plain/infer", bodies[i]);
        CHECK_INT(f.status, 403);
        rest_ask(&f, PX_HTTP_POST, "/v2/models/plain/infer", bodies[i]);
        CHECK(f.status != 403); /* there is no such region, or no memory at all */
    }
    rest_tear_down(&f);
}

PX_TEST(a_refusal_says_how_to_allow_it)
{
    rest_set_up(&f);
    rest_header(&f, "Origin", "https://evil.example");
    rest_ask(&f, PX_HTTP_POST, "/v2/repository/models/plain/unload", "");
    CHECK_INT(f.status, 403);
    CHECK_CONTAINS(f.body, "https://evil.example");
    CHECK_CONTAINS(f.body, "server.cors_origins");
    use("", true);
    rest_header(&f, "Host", "evil.example");
    rest_ask(&f, PX_HTTP_POST, "/v2/systemsharedmemory/unregister", "");
    CHECK_CONTAINS(f.body, "server.shared_memory: on");
    rest_header(&f, "Host", "evil.example");
    rest_ask(&f, PX_HTTP_POST, "/v2/logging", "");
    CHECK_CONTAINS(f.body, "serving.model_control: explicit");
    rest_tear_down(&f);
}

PX_TEST_MAIN(T(every_route_that_changes_the_server_is_guarded)
                 T(a_page_of_another_origin_controls_nothing)
                     T(the_servers_own_pages_and_clients_without_a_page_control)
                         T(listed_origins_control_and_a_star_lists_none)
                             T(a_name_that_was_rebound_to_this_machine_controls_nothing)
                                 T(a_page_of_another_origin_names_no_shared_memory)
                                     T(a_refusal_says_how_to_allow_it))
