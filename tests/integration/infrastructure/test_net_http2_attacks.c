/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 attacks, by raw frames: each ends as docs/architecture/http2.md says, another connection goes on meanwhile, and
 * memory stays bounded (the address sanitizer and the counts below look).
 */
#include "http2_client.h"

static struct client raw;
static char bytes[1 << 16];

enum { GROWTH_MAX = 8 << 20 };

static void start_raw_with(struct px_net_config config)
{
    start_with(config);
    raw_open(&raw, &f);
}

static void start_raw(void)
{
    start_raw_with(fixture_config());
}

/* The other connection is still served. */
static void stop_raw(void)
{
    client_send(&client, "GET /x HTTP/1.1\r\n" HOST "\r\n");
    client_read(&client, &reply);
    CHECK_STR(px_str(reply.body), "whole");
    client_close(&raw);
    wait_for_connections(&f, 1);
    stop_one();
}

/* Fills `bytes` with copies of its first `len` bytes; returns the bytes of whole copies. */
static size_t repeat(size_t len)
{
    size_t n = len;
    for (; n + len <= sizeof bytes; n += len)
        memcpy(bytes + n, bytes, len);
    return n;
}

/* Sends `len` bytes of `bytes` again and again, reading nothing, until the server has had enough. */
static bool floods(size_t len, int times)
{
    for (int i = 0; i < times; i++) {
        if (!raw_try(&raw, bytes, len))
            return true;
    }
    return false;
}

/* What the server says is read and dropped, as a lively attacker would. */
static void read_away(void)
{
    static char away[1 << 16];
    while (recv(raw.fd, away, sizeof away, MSG_DONTWAIT) > 0)
        continue;
}

PX_TEST(rapid_reset_ends_the_session)
{
    start_raw();
    static const unsigned char cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    int32_t id = 1;
    bool ended = false;
    for (int i = 0; i < 5000 && !ended; i++, id += 2) {
        size_t n = raw_head(bytes, id, 5, false, "/never");
        n += raw_frame(bytes + n, NGHTTP2_RST_STREAM, 0, id, cancel, 4);
        ended = !raw_try(&raw, bytes, n);
    }
    raw_expect_goaway(&raw, NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK(abandons < 2000); /* the bound, a round's streams, and what was forgiven meanwhile */
    stop_raw();
}

PX_TEST(resets_that_the_server_is_provoked_to_end_the_session)
{
    start_raw();
    static const unsigned char huge[4] = {0x7f, 0xff, 0xff, 0xff};
    int32_t id = 1;
    bool ended = false; /* streams above the limit are refused, and count for nothing */
    for (int i = 0; i < 100000 && !ended; i++, id += 2) {
        size_t n = raw_head(bytes, id, 5, false, "/never");
        n += raw_frame(bytes + n, NGHTTP2_WINDOW_UPDATE, 0, id, huge, 4); /* overflows */
        ended = !raw_try(&raw, bytes, n);
    }
    raw_expect_goaway(&raw, NGHTTP2_ENHANCE_YOUR_CALM);
    CHECK(abandons < 2000); /* the bound, a round's streams, and what was forgiven meanwhile */
    stop_raw();
}

PX_TEST(streams_left_behind_by_many_sessions_have_a_limit)
{
    start_raw();
    static const unsigned char cancel[4] = {0, 0, 0, NGHTTP2_CANCEL};
    static struct client others[4];
    for (size_t c = 0; c < PX_ARRAY_LEN(others); c++) {
        raw_open(&others[c], &f);
        for (int32_t id = 1; id < 1000; id += 2) {
            size_t n = raw_head(bytes, id, 5, false, "/never");
            n += raw_frame(bytes + n, NGHTTP2_RST_STREAM, 0, id, cancel, 4);
            client_send_bytes(&others[c], bytes, n);
        }
        unsigned char payload[32];
        int32_t id;
        size_t n = raw_frame(bytes, NGHTTP2_PING, 0, 0, "12345678", 8);
        client_send_bytes(&others[c], bytes, n);
        CHECK(raw_expect(&others[c], NGHTTP2_PING, payload, &id));
    }
    CHECK_INT(abandons, 1024); /* the rest was refused */
    for (size_t c = 0; c < PX_ARRAY_LEN(others); c++)
        client_close(&others[c]);
    stop_raw();
}

PX_TEST(continuations_without_end_are_cut)
{
    start_raw();
    size_t n = raw_head(bytes, 1, 1, false, "/x"); /* without END_HEADERS */
    client_send_bytes(&raw, bytes, n);
    for (int i = 0; i < 100; i++) {
        n = raw_frame(bytes, NGHTTP2_CONTINUATION, 0, 1, "\x82", 1);
        if (!raw_try(&raw, bytes, n))
            break;
    }
    raw_expect_goaway(&raw, NGHTTP2_ENHANCE_YOUR_CALM);
    stop_raw();
}

PX_TEST(headers_that_never_end_are_timed_out)
{
    struct px_net_config config = fixture_config();
    config.header_timeout_ms = 50;
    start_raw_with(config);
    client_send_bytes(&raw, bytes, raw_head(bytes, 1, 1, false, "/x"));
    raw_expect_goaway(&raw, NGHTTP2_ENHANCE_YOUR_CALM);
    stop_raw();
}

/* Bytes of this process, the server's among them, in memory; 0 under a sanitizer, which keeps what is freed. */
static size_t resident(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0;
#else
    unsigned long total = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%lu %lu", &total, &pages) == 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
#endif
}

PX_TEST(pings_and_settings_that_are_not_read_fill_no_memory)
{
    static const int types[] = {NGHTTP2_PING, NGHTTP2_SETTINGS};
    for (size_t i = 0; i < PX_ARRAY_LEN(types); i++) {
        struct px_net_config config = fixture_config();
        config.write_timeout_ms = 200;
        start_raw_with(config);
        size_t payload = types[i] == NGHTTP2_PING ? 8 : 0;
        size_t len = repeat(raw_frame(bytes, types[i], 0, 0, "12345678", payload));
        size_t before = resident();
        CHECK(floods(len, 2000));
        CHECK(resident() < before + GROWTH_MAX);
        stop_raw();
    }
}

PX_TEST(frames_without_work_end_the_session_even_if_it_reads)
{
    static const struct {
        int type;
        int32_t id;
        const char *payload;
        size_t len;
    } frames[] = {
        {NGHTTP2_PING, 0, "12345678", 8},
        {NGHTTP2_SETTINGS, 0, "", 0},
        {NGHTTP2_WINDOW_UPDATE, 0, "\0\0\0\1", 4},
        {NGHTTP2_WINDOW_UPDATE, 1, "\0\0\0\1", 4},
        {NGHTTP2_DATA, 1, "", 0},
        {NGHTTP2_PRIORITY, 7, "\0\0\0\1\20", 5},
    };
    for (size_t i = 0; i < PX_ARRAY_LEN(frames); i++) {
        start_raw();
        client_send_bytes(&raw, bytes, raw_head(bytes, 1, 4, true, "/hold"));
        wait_held();
        size_t len =
            raw_frame(bytes, frames[i].type, 0, frames[i].id, frames[i].payload, frames[i].len);
        bool ended = false;
        for (int k = 0; k < 20000 && !ended; k++) {
            ended = !raw_try(&raw, bytes, len);
            read_away();
        }
        CHECK(ended || recv(raw.fd, bytes, 1, 0) <= 0);
        wait_for_connections(&f, 1);
        CHECK_INT(abandons, 1);
        stop_raw();
    }
}

PX_TEST(a_zero_window_holds_nothing_for_ever)
{
    struct px_net_config config = fixture_config();
    config.write_timeout_ms = 100;
    start_raw_with(config);
    static const unsigned char no_window[6] = {0, 4, 0, 0, 0, 0};
    size_t n = raw_frame(bytes, NGHTTP2_SETTINGS, 0, 0, no_window, 6);
    for (int32_t id = 1; id < 100; id += 2)
        n += raw_head(bytes + n, id, 5, false, "/bytes?100000");
    client_send_bytes(&raw, bytes, n);
    unsigned char payload[32];
    int32_t id;
    for (int i = 0; i < 50; i++)
        CHECK(raw_expect(&raw, NGHTTP2_RST_STREAM, payload, &id));
    stop_raw();
}

PX_TEST(a_client_that_reads_nothing_is_closed)
{
    struct px_net_config config = fixture_config();
    config.write_timeout_ms = 100;
    start_raw_with(config);
    static const unsigned char wide[6] = {0, 4, 0x7f, 0xff, 0xff, 0xff};
    static const unsigned char more[4] = {0x7f, 0, 0, 0};
    size_t n = raw_frame(bytes, NGHTTP2_SETTINGS, 0, 0, wide, 6);
    n += raw_frame(bytes + n, NGHTTP2_WINDOW_UPDATE, 0, 0, more, 4);
    for (int32_t id = 1; id < 20; id += 2)
        n += raw_head(bytes + n, id, 5, false, "/bytes?8000000");
    client_send_bytes(&raw, bytes, n);
    wait_for_connections(&f, 1);
    stop_raw();
}

PX_TEST(too_many_streams_are_refused_and_may_be_repeated)
{
    struct px_net_config config = fixture_config();
    config.streams_max = 10;
    start_raw_with(config);
    size_t n = 0;
    for (int32_t id = 1; id < 40; id += 2)
        n += raw_head(bytes + n, id, 5, false, "/never");
    client_send_bytes(&raw, bytes, n);
    unsigned char payload[32];
    int32_t id;
    CHECK(raw_expect(&raw, NGHTTP2_RST_STREAM, payload, &id));
    CHECK_INT(payload[3], NGHTTP2_REFUSED_STREAM);
    client_close(&raw);
    wait_abandons(10);
    raw_open(&raw, &f);
    stop_raw();
}

PX_TEST(a_bomb_of_compressed_headers_is_answered_431)
{
    start_raw();
    /* A field of 1,000 bytes enters the table, and a thousand references to it follow. */
    char block[4000];
    size_t n = 0;
    block[n++] = (char)0x82;
    block[n++] = (char)0x84;
    block[n++] = (char)0x86;
    block[n++] = 0x01; /* :authority */
    block[n++] = 1;
    block[n++] = 'h';
    block[n++] = 0x40; /* literal, indexed, new name */
    block[n++] = 1;
    block[n++] = 'x';
    block[n++] = 0x7f; /* length 127 + 873 */
    block[n++] = (char)(0x80 | (873 & 0x7f));
    block[n++] = (char)(873 >> 7);
    memset(block + n, 'v', 1000);
    n += 1000;
    memset(block + n, 0xbe, 1000); /* index 62 */
    n += 1000;
    client_send_bytes(&raw, bytes, raw_frame(bytes, NGHTTP2_HEADERS, 5, 1, block, n));
    unsigned char payload[32];
    int32_t id;
    CHECK(raw_expect(&raw, NGHTTP2_HEADERS, payload, &id));
    CHECK_INT(f.refusals, 1);
    stop_raw();
}

PX_TEST(nonsense_behind_the_preface_ends_the_session)
{
    static const struct {
        int type, flags;
        int32_t id;
        size_t len;
        bool may_live; /* a reset of the stream is enough */
    } frames[] = {
        {NGHTTP2_DATA, 0, 0, 10, false},         {NGHTTP2_DATA, 0, 1, 10, false},
        {NGHTTP2_HEADERS, 5, 0, 10, false},      {NGHTTP2_HEADERS, 5, 2, 1, false},
        {NGHTTP2_HEADERS, 5, 1, 0, true},        {NGHTTP2_PRIORITY, 0, 1, 3, true},
        {NGHTTP2_RST_STREAM, 0, 1, 4, false},    {NGHTTP2_RST_STREAM, 0, 0, 4, false},
        {NGHTTP2_SETTINGS, 0, 0, 5, false},      {NGHTTP2_SETTINGS, 1, 0, 6, false},
        {NGHTTP2_PUSH_PROMISE, 4, 1, 10, false}, {NGHTTP2_PING, 0, 0, 7, false},
        {NGHTTP2_PING, 0, 1, 8, false},          {NGHTTP2_WINDOW_UPDATE, 0, 0, 4, false},
        {NGHTTP2_CONTINUATION, 4, 1, 10, false}, {NGHTTP2_HEADERS, 5, 1, 20000, false},
        {NGHTTP2_GOAWAY, 0, 0, 3, false},        {0x7f, 0xff, 5, 100, true},
    };
    static const char zeros[20000];
    for (size_t i = 0; i < PX_ARRAY_LEN(frames); i++) {
        start_raw();
        size_t n =
            raw_frame(bytes, frames[i].type, frames[i].flags, frames[i].id, zeros, frames[i].len);
        client_send_bytes(&raw, bytes, n);
        unsigned char payload[32];
        int32_t id;
        if (!frames[i].may_live)
            CHECK(raw_expect(&raw, NGHTTP2_GOAWAY, payload, &id));
        stop_raw();
    }
}

PX_TEST(the_preface_may_come_in_any_pieces)
{
    start_raw();
    struct client slow;
    unsigned char payload[32];
    int32_t id;
    for (size_t cut = 1; cut < 60; cut += 7) {
        client_open(&slow, &f);
        size_t n = sizeof PREFACE - 1;
        memcpy(bytes, PREFACE, n);
        n += raw_frame(bytes + n, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
        n += raw_head(bytes + n, 1, 5, false, "/x");
        for (size_t at = 0; at < n; at += cut) {
            client_send_bytes(&slow, bytes + at, n - at < cut ? n - at : cut);
            if (cut < 8)
                poll(NULL, 0, 1);
        }
        CHECK(raw_expect(&slow, NGHTTP2_HEADERS, payload, &id));
        CHECK_INT(id, 1);
        client_close(&slow);
    }
    stop_raw();
}

PX_TEST(almost_the_preface_is_http1)
{
    start_raw();
    static const char *const starts[] = {"P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
                                         "PRI * HTTP/1.1\r\n"};
    static const char *const ends[] = {"UT /x HTTP/1.1\r\n" HOST "\r\n", "X", HOST "\r\n"};
    static const int statuses[] = {200, 505, 400};
    for (size_t i = 0; i < PX_ARRAY_LEN(starts); i++) {
        struct client slow;
        client_open(&slow, &f);
        client_send(&slow, starts[i]);
        poll(NULL, 0, 5);
        client_send(&slow, ends[i]);
        client_read(&slow, &reply);
        CHECK_INT(reply.status, statuses[i]);
        client_close(&slow);
    }
    stop_raw();
}

PX_TEST(a_reset_of_the_connection_in_a_body_harms_nobody)
{
    start_raw();
    size_t n = raw_head(bytes, 1, 4, true, "/echo");
    n += raw_head(bytes + n, 3, 4, true, "/stream");
    n += raw_frame(bytes + n, NGHTTP2_DATA, 0, 1, "part", 4);
    n += raw_frame(bytes + n, NGHTTP2_DATA, 0, 3, "part", 4);
    n += raw_frame(bytes + n, NGHTTP2_DATA, 0, 3, "half of a frame", 15) - 7;
    client_send_bytes(&raw, bytes, n);
    wait_held();
    struct linger reset = {.l_onoff = 1};
    setsockopt(raw.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    client_close(&raw);
    wait_abandons(1);
    wait_for_connections(&f, 1);
    raw_open(&raw, &f);
    stop_raw();
}

PX_TEST_MAIN(
    T(rapid_reset_ends_the_session) T(resets_that_the_server_is_provoked_to_end_the_session)
        T(streams_left_behind_by_many_sessions_have_a_limit) T(continuations_without_end_are_cut)
            T(headers_that_never_end_are_timed_out)
                T(pings_and_settings_that_are_not_read_fill_no_memory) T(
                    frames_without_work_end_the_session_even_if_it_reads)
                    T(a_zero_window_holds_nothing_for_ever) T(a_client_that_reads_nothing_is_closed)
                        T(too_many_streams_are_refused_and_may_be_repeated)
                            T(a_bomb_of_compressed_headers_is_answered_431)
                                T(nonsense_behind_the_preface_ends_the_session)
                                    T(the_preface_may_come_in_any_pieces)
                                        T(almost_the_preface_is_http1)
                                            T(a_reset_of_the_connection_in_a_body_harms_nobody))
