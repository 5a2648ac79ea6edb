/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include "infrastructure/load/socket.h"

static void check_host(const char *host, uint16_t port, const char *expected)
{
    struct px_load_address address = {.port = port};
    struct px_buf out = px_buf(256);
    snprintf(address.host, sizeof address.host, "%s", host);
    px_peer_put_host(&out, &address);
    CHECK_STR(px_buf_view(&out), expected);
    px_buf_deinit(&out);
}

PX_TEST(an_address_with_colons_is_in_brackets)
{
    check_host("::1", 8080, "[::1]:8080");
    check_host("localhost", 80, "localhost:80");
    check_host("127.0.0.1", 65535, "127.0.0.1:65535");
}

PX_TEST_MAIN(T(an_address_with_colons_is_in_brackets))
