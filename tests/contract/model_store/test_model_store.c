/* SPDX-License-Identifier: Apache-2.0 */
/* The port's suite over both stores, in memory and over HTTP; then what only HTTP can do wrong. */
#include "file_peer.h"
#include "infrastructure/stores/http/http_store.h"
#include "memory_store.h"

#include "harness.h"

static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
enum { TEXT = sizeof text - 1 };

static struct memory_store memory;
static struct file_peer peer;
static struct px_model_store *store;

/* What one read brought. */
struct reader {
    char bytes[256];
    size_t n;
    struct px_store_object object;
    unsigned n_begun;
    bool refuses, stops;
};

static bool begin(void *context, const struct px_store_object *object)
{
    struct reader *reader = context;
    reader->object = *object;
    reader->n_begun++;
    return true;
}

static bool take(void *context, struct px_str bytes)
{
    struct reader *reader = context;
    CHECK(bytes.len <= sizeof reader->bytes - reader->n);
    memcpy(reader->bytes + reader->n, bytes.ptr, bytes.len);
    reader->n += bytes.len;
    return !reader->refuses;
}

static bool goes_on(void *context)
{
    const struct reader *reader = context;
    return !reader->stops;
}

static struct px_store_read read_of(struct reader *reader, const char *path)
{
    return (struct px_store_read){.path = px_str(path),
                                  .limit_ns = 10000000000,
                                  .bytes_max = sizeof reader->bytes,
                                  .begin = begin,
                                  .take = take,
                                  .goes_on = goes_on,
                                  .context = reader};
}

static bool same;

static enum px_code read_text(struct reader *reader, uint64_t offset, const char *tag)
{
    struct px_err err;
    struct px_store_read read = read_of(reader, "f/m.txt");
    read.offset = offset;
    read.tag = tag;
    return px_model_store_read(store, &read, &same, &err);
}

static void open_http(const struct px_model_store_settings *settings)
{
    static const struct px_model_store_provider *const list[] = {&px_http_store_provider};
    static const struct px_model_stores stores = {list, 1};
    char url[128];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/root", peer.port);
    CHECK_OK(px_model_store_open(&stores, px_str(url), settings, &store, NULL));
}

static const struct px_model_store_settings no_settings;

static void set_up(bool is_http)
{
    if (is_http) {
        file_peer_start(&peer);
        file_peer_put(&peer, "/root/f/m.txt", px_str(text));
        file_peer_put(&peer, "/root/empty", px_str(""));
        open_http(&no_settings);
        return;
    }
    memory_store_init(&memory);
    memory_store_put(&memory, "f/m.txt", px_str(text));
    memory_store_put(&memory, "empty", px_str(""));
    store = &memory.base;
}

static void tear_down(bool is_http)
{
    px_model_store_destroy(store);
    if (is_http)
        file_peer_stop(&peer);
}

static void set_ranges(bool is_http, bool has_ranges)
{
    memory.has_ranges = has_ranges;
    if (is_http)
        atomic_store(&peer.has_ranges, has_ranges);
}

/* ---- the suite ---- */

static void check_whole_and_rest(bool is_http)
{
    struct reader whole = {0}, rest = {0};
    CHECK_OK(read_text(&whole, 0, NULL));
    CHECK_INT(whole.n_begun, 1);
    CHECK(whole.n == TEXT && memcmp(whole.bytes, text, TEXT) == 0);
    CHECK(whole.object.tag[0] && whole.object.offset == 0 && !same);
    CHECK_OK(read_text(&rest, 10, whole.object.tag));
    CHECK_INT(rest.object.offset, 10);
    CHECK(rest.n == TEXT - 10 && memcmp(rest.bytes, text + 10, TEXT - 10) == 0);
    rest = (struct reader){0};
    set_ranges(is_http, false);
    CHECK_OK(read_text(&rest, 10, whole.object.tag));
    CHECK(rest.object.offset == 0 && rest.n == TEXT);
    set_ranges(is_http, true);
}

static void check_other_file(void)
{
    struct reader reader = {0};
    CHECK_OK(read_text(&reader, 10, "\"another\""));
    CHECK(reader.object.offset == 0 && reader.n == TEXT);
    reader = (struct reader){0};
    CHECK_OK(read_text(&reader, TEXT + 5, NULL)); /* behind its end */
    CHECK(reader.object.offset == 0 && reader.n == TEXT);
}

static void check_unchanged(void)
{
    struct reader reader = {0};
    struct px_store_read read = read_of(&reader, "f/m.txt");
    CHECK_OK(px_model_store_read(store, &read, &same, NULL));
    char tag[PX_STORE_TAG_MAX];
    memcpy(tag, reader.object.tag, sizeof tag);
    reader = (struct reader){0};
    read.if_changed = true;
    read.tag = tag;
    CHECK_OK(px_model_store_read(store, &read, &same, NULL));
    CHECK(same && reader.n_begun == 0);
    read.tag = "\"another\"";
    CHECK_OK(px_model_store_read(store, &read, &same, NULL));
    CHECK(!same && reader.n == TEXT);
}

static void check_refusals(void)
{
    struct reader reader = {.refuses = true};
    struct px_err err;
    struct px_store_read read = read_of(&reader, "no/such");
    CHECK_INT(px_model_store_read(store, &read, &same, &err), PX_E_NOT_FOUND);
    CHECK(strstr(err.message, "no/such") && reader.n_begun == 0);
    CHECK_INT(read_text(&reader, 0, NULL), PX_E_CANCELLED);
    reader = (struct reader){.stops = true};
    CHECK_INT(read_text(&reader, 0, NULL), PX_E_CANCELLED);
    reader = (struct reader){0};
    read = read_of(&reader, "f/m.txt");
    read.bytes_max = 5;
    CHECK_INT(px_model_store_read(store, &read, &same, &err), PX_E_TOO_LARGE);
    CHECK(reader.n <= 5);
}

static void check_empty(void)
{
    struct reader reader = {0};
    struct px_store_read read = read_of(&reader, "empty");
    CHECK_OK(px_model_store_read(store, &read, &same, NULL));
    CHECK(reader.n_begun == 1 && reader.n == 0);
}

static void run_suite(bool is_http)
{
    set_up(is_http);
    check_whole_and_rest(is_http);
    check_other_file();
    check_unchanged();
    check_refusals();
    check_empty();
    tear_down(is_http);
}

PX_TEST(the_store_in_memory)
{
    run_suite(false);
}

PX_TEST(the_store_over_http)
{
    run_suite(true);
}

/* ---- HTTP ---- */

static void check_answer(const char *answer, enum px_code code, const char *why)
{
    struct reader reader = {0};
    struct px_err err;
    struct px_store_read read = read_of(&reader, "f/m.txt");
    read.offset = 10;
    atomic_store(&peer.answer, answer);
    CHECK_INT(px_model_store_read(store, &read, &same, &err), code);
    if (!strstr(err.message, why) && !strstr(err.hint, why))
        fprintf(stderr, "'%s' has no '%s'\n", err.message, why);
    CHECK(strstr(err.message, why) || strstr(err.hint, why));
    CHECK_INT(reader.n_begun, 0);
    atomic_store(&peer.answer, NULL);
}

PX_TEST(answers_of_web_servers_are_understood)
{
    set_up(true);
    check_answer("HTTP/1.1 401 X\r\nContent-Length: 2\r\n\r\nno", PX_E_FORBIDDEN, "token_file");
    check_answer("HTTP/1.1 403 X\r\nContent-Length: 2\r\n\r\nno", PX_E_FORBIDDEN, "token_file");
    check_answer("HTTP/1.1 410 X\r\nContent-Length: 2\r\n\r\nno", PX_E_NOT_FOUND, "410");
    check_answer("HTTP/1.1 429 X\r\nContent-Length: 2\r\n\r\nno", PX_E_LIMITED, "429");
    check_answer("HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nno", PX_E_UNAVAILABLE, "500");
    check_answer("HTTP/1.1 400 X\r\nContent-Length: 2\r\n\r\nno", PX_E_INVALID, "400");
    check_answer("HTTP/1.1 204 X\r\n\r\n", PX_E_INVALID, "204");
    check_answer("HTTP/1.1 304 X\r\n\r\n", PX_E_INVALID, "304");
    check_answer("HTTP/1.1 206 X\r\nContent-Length: 2\r\n\r\nno", PX_E_INVALID, "from 10 on");
    check_answer("HTTP/1.1 206 X\r\nContent-Range: bytes 9-10/36\r\nContent-Length: 2\r\n\r\nno",
                 PX_E_INVALID, "from 10 on");
    check_answer("nonsense\r\n\r\n", PX_E_INVALID, "expected a web server");
    check_answer("", PX_E_UNAVAILABLE, "127.0.0.1");
    check_answer("HTTP/1.1 302 X\r\nLocation: ftp://127.0.0.1/x\r\nContent-Length: 0\r\n\r\n",
                 PX_E_INVALID, "redirections");
    check_answer("HTTP/1.1 302 X\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
                 PX_E_INVALID, "redirections");
    check_answer("HTTP/1.1 302 X\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n", PX_E_INVALID,
                 "redirect");
    tear_down(true);
}

PX_TEST(a_reply_that_breaks_is_told_apart_from_one_that_ends)
{
    struct reader reader = {0};
    set_up(true);
    atomic_store(&peer.answer, "HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nhalf");
    CHECK_INT(read_text(&reader, 0, NULL), PX_E_UNAVAILABLE);
    CHECK_INT(reader.n, 4);
    tear_down(true);
}

PX_TEST(names_are_escaped_and_the_token_is_sent)
{
    struct reader reader = {0};
    struct px_store_read read = read_of(&reader, "a b/100%/m#?.txt");
    struct px_model_store_settings settings = {.token_file = "/tmp/px-token-test"};
    FILE *file = fopen(settings.token_file, "w");
    CHECK(file != NULL);
    fputs("  s3cret \n", file);
    fclose(file);
    file_peer_start(&peer);
    file_peer_put(&peer, "/root/a%20b/100%25/m%23%3F.txt", px_str(text));
    open_http(&settings);
    CHECK_OK(px_model_store_read(store, &read, &same, NULL));
    CHECK(strstr(peer.head, "Authorization: Bearer s3cret\r\n") != NULL);
    remove(settings.token_file);
    struct px_err err;
    CHECK(px_model_store_read(store, &read, &same, &err) != PX_OK);
    CHECK(strstr(err.message, "px-token-test") != NULL);
    tear_down(true);
}

PX_TEST(a_tag_that_only_says_about_the_same_is_not_used_for_parts)
{
    struct reader reader = {0};
    set_up(true);
    CHECK_OK(read_text(&reader, 10, "W/\"36\""));
    CHECK(strstr(peer.head, "Range: bytes=10-") && !strstr(peer.head, "If-Range"));
    tear_down(true);
}

PX_TEST(urls_that_cannot_be_used_are_refused)
{
    static const char *const urls[] = {"http://",           "http:///path",   "https://a:b@host/x",
                                       "http://host/x?y=1", "http://host/#x", "http://ho st/",
                                       "http://host/\n"};
    struct px_err err;
    for (size_t i = 0; i < PX_ARRAY_LEN(urls); i++) {
        struct px_model_store *none = NULL;
        struct px_str url = px_str(urls[i]);
        enum px_code code = px_http_store_provider.knows(url)
                                ? px_http_store_provider.open(url, &no_settings, &none, &err)
                                : PX_E_INVALID;
        CHECK_INT(code, PX_E_INVALID);
        CHECK(!strstr(err.message, "a:b"));
    }
    CHECK(!px_http_store_provider.knows(px_str("s3://bucket")));
}

PX_TEST_MAIN(T(the_store_in_memory) T(the_store_over_http) T(answers_of_web_servers_are_understood)
                 T(a_reply_that_breaks_is_told_apart_from_one_that_ends)
                     T(names_are_escaped_and_the_token_is_sent)
                         T(a_tag_that_only_says_about_the_same_is_not_used_for_parts)
                             T(urls_that_cannot_be_used_are_refused))
