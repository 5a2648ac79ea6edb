/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each read has a handle of libcurl of its own, on the calling thread: reads are few and long, and share nothing. A handle that a read has finished with is
 * kept for the next, with its connection.
 *
 * A reply's bytes are handed over only when its final status is known to be good: bodies of errors and of redirections are passed over.
 *
 *   200   the whole file, from its beginning, whatever was asked for
 *   206   from where Content-Range says, which must be where we asked
 *   304   the tag still holds
 *   416   we asked for what is behind its end: it is another file, and is asked for as a whole
 */
#include "infrastructure/stores/http/http_store.h"

#include "infrastructure/curl/curl_library.h"
#include "shared/alloc.h"
#include "shared/buf.h"
#include "shared/clock.h"
#include "shared/file.h"
#include "shared/log.h"

#include <pthread.h>
#include <stdio.h>

enum {
    CONNECT_TIMEOUT_MS = 10000,
    SLOW_BYTES = 1024, /* fewer in a second, for so many seconds, and the read is given up */
    SLOW_S = 30,
    REDIRECTIONS_MAX = 5,
    TOKEN_BYTES_MAX = 16384,
    IDLE_MAX = 4, /* handles that are kept */
};

struct http_store {
    struct px_model_store base;
    const struct px_curl *curl;
    char *url; /* without a '/' at its end */
    const char *token_file, *ca_file;
    bool is_tls;
    pthread_mutex_t mutex; /* of the handles that are kept */
    CURL *idle[IDLE_MAX];
    size_t n_idle;
};

/* One read. */
struct exchange {
    struct http_store *store;
    const struct px_store_read *read;
    CURL *easy;
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    struct px_buf token;

    /* what came */
    unsigned status;
    uint64_t range_first; /* of Content-Range */
    bool has_range;
    char tag[PX_STORE_TAG_MAX];
    bool has_begun;
    uint64_t n_taken;
    bool is_refused, is_too_large, is_nonsense; /* why we took no more */
};

/* ---- what libcurl calls ---- */

/* "bytes 100-199/200" */
static void read_range(struct exchange *x, struct px_str value)
{
    if (!px_str_starts(value, "bytes "))
        return;
    struct px_str rest = px_str_n(value.ptr + 6, value.len - 6);
    x->has_range = px_str_to_u64(px_str_cut(&rest, '-'), &x->range_first);
}

static bool is_plain_text(struct px_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] <= 0x20 || (unsigned char)text.ptr[i] >= 0x7f)
            return false;
    }
    return true;
}

static void begin_reply(struct exchange *x, struct px_str line)
{
    size_t blank = px_str_find(line, ' ');
    uint64_t status = 0;
    if (line.len >= blank + 4 && px_str_to_u64(px_str_n(line.ptr + blank + 1, 3), &status))
        x->status = (unsigned)status;
    x->has_range = false;
    x->tag[0] = '\0';
}

static size_t on_header(char *bytes, size_t size, size_t n, void *context)
{
    struct exchange *x = context;
    struct px_str line = px_str_n(bytes, size * n), value;
    if (px_str_starts(line, "HTTP/"))
        begin_reply(x, line);
    else if (px_curl_take_header(line, "Content-Range", &value))
        read_range(x, value);
    else if (px_curl_take_header(line, "ETag", &value) && value.len < sizeof x->tag &&
             is_plain_text(value))
        snprintf(x->tag, sizeof x->tag, "%.*s", (int)value.len, value.ptr);
    return size * n;
}

static bool begin_body(struct exchange *x)
{
    struct px_store_object object = {0};
    if (x->has_begun)
        return true;
    if (x->status == 206) {
        if (!x->has_range || x->range_first != x->read->offset) {
            x->is_nonsense = true;
            return false;
        }
        object.offset = x->range_first;
    }
    snprintf(object.tag, sizeof object.tag, "%s", x->tag);
    x->has_begun = true;
    x->n_taken = object.offset;
    x->is_refused = !x->read->begin(x->read->context, &object);
    return !x->is_refused;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
    struct exchange *x = context;
    size_t len = size * n;
    if (x->status != 200 && x->status != 206)
        return len;
    if (!begin_body(x))
        return 0;
    if (len > x->read->bytes_max - x->n_taken) {
        x->is_too_large = true;
        return 0;
    }
    x->n_taken += len;
    x->is_refused = !x->read->take(x->read->context, px_str_n(bytes, len));
    return x->is_refused ? 0 : len;
}

static int on_progress(void *context, curl_off_t to_come, curl_off_t came, curl_off_t to_go,
                       curl_off_t gone)
{
    const struct exchange *x = context;
    (void)to_come;
    (void)came;
    (void)to_go;
    (void)gone;
    return x->read->goes_on(x->read->context) ? 0 : 1;
}

/* ---- asking ---- */

static CURL *take_handle(struct http_store *store)
{
    pthread_mutex_lock(&store->mutex);
    CURL *easy = store->n_idle > 0 ? store->idle[--store->n_idle] : NULL;
    pthread_mutex_unlock(&store->mutex);
    if (!easy)
        return store->curl->easy_init();
    store->curl->easy_reset(easy);
    return easy;
}

static void give_handle(struct http_store *store, CURL *easy)
{
    pthread_mutex_lock(&store->mutex);
    bool is_kept = store->n_idle < IDLE_MAX;
    if (is_kept)
        store->idle[store->n_idle++] = easy;
    pthread_mutex_unlock(&store->mutex);
    if (!is_kept)
        store->curl->easy_cleanup(easy);
}

static void put_escaped(struct px_buf *url, struct px_str path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-._~/";
    for (size_t i = 0; i < path.len; i++) {
        if (path.ptr[i] && strchr(plain, path.ptr[i]))
            px_buf_byte(url, path.ptr[i]);
        else
            px_buf_printf(url, "%%%02X", (unsigned char)path.ptr[i]);
    }
}

static enum px_code set_url(struct exchange *x, struct px_err *err)
{
    struct px_buf url = px_buf(PX_STORE_URL_MAX + 4 * PX_STORE_PATH_MAX * 2);
    px_buf_printf(&url, "%s/", x->store->url);
    put_escaped(&url, x->read->path);
    enum px_code code = px_buf_check(&url, "a URL", err);
    if (code == PX_OK && x->store->curl->set(x->easy, CURLOPT_URL, px_buf_cstr(&url)) != CURLE_OK)
        code = px_err_set(err, PX_E_NO_MEMORY, "no memory for a URL");
    px_buf_deinit(&url);
    return code;
}

static bool add_header(struct exchange *x, const char *name, const char *value)
{
    char text[PX_STORE_TAG_MAX + 64];
    snprintf(text, sizeof text, "%s: %s", name, value);
    struct curl_slist *longer = x->store->curl->list_append(x->headers, text);
    if (!longer)
        return false;
    x->headers = longer;
    return true;
}

/* A tag that begins with W/ is of content that is equal enough to read, not equal in its bytes. */
static bool is_strong(const char *tag)
{
    return tag && tag[0] == '"';
}

static enum px_code set_headers(struct exchange *x, struct px_err *err)
{
    const struct px_store_read *read = x->read;
    char range[48];
    bool good = true;
    if (read->offset > 0) {
        snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)read->offset);
        good = add_header(x, "Range", range) &&
               (!is_strong(read->tag) || add_header(x, "If-Range", read->tag));
    } else if (read->if_changed && read->tag) {
        good = add_header(x, "If-None-Match", read->tag);
    }
    if (!good)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a request");
    x->store->curl->set(x->easy, CURLOPT_HTTPHEADER, x->headers);
    return PX_OK;
}

static enum px_code check_token(struct px_str token, const char *where, struct px_err *err)
{
    if (token.len > 0 && is_plain_text(token))
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "%s: expected a token of printable characters", where);
    return px_err_hint(err, "it is sent as 'Authorization: Bearer TOKEN'");
}

static enum px_code set_token(struct exchange *x, struct px_err *err)
{
    const struct http_store *store = x->store;
    const char *variable = getenv(PX_HTTP_STORE_TOKEN_VARIABLE), *where = store->token_file;
    enum px_code code = PX_OK;
    if (store->token_file) {
        code = px_file_read(store->token_file, &x->token, err);
    } else if (variable && variable[0]) {
        where = PX_HTTP_STORE_TOKEN_VARIABLE;
        px_buf_text(&x->token, variable);
    } else {
        return PX_OK;
    }
    struct px_str token = px_str_trim(px_buf_view(&x->token));
    if (code == PX_OK)
        code = px_buf_check(&x->token, where, err);
    if (code == PX_OK)
        code = check_token(token, where, err);
    if (code != PX_OK)
        return code;
    ((char *)(uintptr_t)token.ptr)[token.len] = '\0'; /* our buffer */
    store->curl->set(x->easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    store->curl->set(x->easy, CURLOPT_XOAUTH2_BEARER, token.ptr);
    return PX_OK;
}

static void set_transport(struct exchange *x)
{
    CURLcode (*set)(CURL *, CURLoption, ...) = x->store->curl->set;
    CURL *easy = x->easy;
    bool is_tls = x->store->is_tls;
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_USERAGENT, "phoenix/" PX_VERSION);
    set(easy, CURLOPT_HTTP_VERSION, is_tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1);
    set(easy, CURLOPT_FOLLOWLOCATION, 1L);
    set(easy, CURLOPT_MAXREDIRS, (long)REDIRECTIONS_MAX);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    set(easy, CURLOPT_TIMEOUT_MS, (long)(x->read->limit_ns / PX_NS_PER_MS));
    set(easy, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES);
    set(easy, CURLOPT_LOW_SPEED_TIME, (long)SLOW_S);
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    if (x->store->ca_file)
        set(easy, CURLOPT_CAINFO, x->store->ca_file);
        /* From https a redirection may not lead to where others can read along. The names of protocols as text are newer than the libcurl that will do. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    long protocols = is_tls ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS;
    set(easy, CURLOPT_PROTOCOLS, protocols);
    set(easy, CURLOPT_REDIR_PROTOCOLS, protocols);
#pragma GCC diagnostic pop
    set(easy, CURLOPT_WRITEFUNCTION, on_body);
    set(easy, CURLOPT_WRITEDATA, (void *)x);
    set(easy, CURLOPT_HEADERFUNCTION, on_header);
    set(easy, CURLOPT_HEADERDATA, (void *)x);
    set(easy, CURLOPT_NOPROGRESS, 0L);
    set(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    set(easy, CURLOPT_XFERINFODATA, (void *)x);
    set(easy, CURLOPT_ERRORBUFFER, x->error);
}

/* ---- judging ---- */

static enum px_code judge_status(const struct exchange *x, bool *ret_same, struct px_err *err)
{
    unsigned status = x->status;
    const char *url = x->store->url;
    struct px_str path = x->read->path;
    if (status == 200 || status == 206)
        return PX_OK;
    if (status == 304 && x->read->if_changed && x->read->tag) {
        *ret_same = true;
        return PX_OK;
    }
    if (status == 404 || status == 410)
        return px_err_set(err, PX_E_NOT_FOUND, "%.120s/%.*s is not there (%u)", url,
                          PX_STR_ARG(path), status);
    if (status == 401 || status == 403) {
        px_err_set(err, PX_E_FORBIDDEN, "%.120s/%.*s is not for us (%u)", url, PX_STR_ARG(path),
                   status);
        return px_err_hint(err, "set " PX_HTTP_STORE_TOKEN_VARIABLE
                                " or repository.token_file to a token that may read it");
    }
    if (status == 429)
        return px_err_set(err, PX_E_LIMITED, "%.120s asks for fewer requests (429)", url);
    if (status == 408 || status >= 500)
        return px_err_set(err, PX_E_UNAVAILABLE, "%.120s/%.*s was answered %u", url,
                          PX_STR_ARG(path), status);
    return px_err_set(err, PX_E_INVALID, "%.120s/%.*s was answered %u, expected 200", url,
                      PX_STR_ARG(path), status);
}

static enum px_code judge_failure(const struct exchange *x, CURLcode result, struct px_err *err)
{
    const char *url = x->store->url;
    if (x->is_refused || result == CURLE_ABORTED_BY_CALLBACK)
        return px_err_set(err, PX_E_CANCELLED, "%.120s: the read was given up", url);
    if (x->is_too_large)
        return px_err_set(err, PX_E_TOO_LARGE, "%.120s/%.*s has more than %llu bytes", url,
                          PX_STR_ARG(x->read->path), (unsigned long long)x->read->bytes_max);
    if (x->is_nonsense)
        return px_err_set(err, PX_E_INVALID,
                          "%.120s/%.*s: asked for bytes from %llu on, got others", url,
                          PX_STR_ARG(x->read->path), (unsigned long long)x->read->offset);
    px_err_set(err, PX_E_UNAVAILABLE, "%.120s: %.160s", url,
               x->error[0] ? x->error : x->store->curl->error_text(result));
    switch ((int)result) {
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
        err->code = PX_E_INVALID;
        return px_err_hint(err,
                           "expected a web server; at most %d redirections are followed, none from "
                           "https to http",
                           REDIRECTIONS_MAX);
    case CURLE_PEER_FAILED_VERIFICATION:
        err->code = PX_E_FORBIDDEN;
        return px_err_hint(err, "repository.ca_file names the authority of its certificate");
    default:
        return err->code;
    }
}

static enum px_code perform(struct exchange *x, bool *ret_same, struct px_err *err)
{
    CURLcode result = x->store->curl->perform(x->easy);
    if (result != CURLE_OK)
        return judge_failure(x, result, err);
    enum px_code code = judge_status(x, ret_same, err);
    if (code == PX_OK && !*ret_same && !begin_body(x)) /* an empty file has no body to begin with */
        code = judge_failure(x, CURLE_WRITE_ERROR, err);
    return code;
}

static enum px_code ask(struct http_store *store, const struct px_store_read *read, bool *ret_same,
                        unsigned *ret_status, struct px_err *err)
{
    struct exchange x = {.store = store, .read = read, .token = px_buf(TOKEN_BYTES_MAX)};
    x.easy = take_handle(store);
    if (!x.easy)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to read from %s", store->url);
    set_transport(&x);
    enum px_code code = set_url(&x, err);
    if (code == PX_OK)
        code = set_headers(&x, err);
    if (code == PX_OK)
        code = set_token(&x, err);
    if (code == PX_OK)
        code = perform(&x, ret_same, err);
    *ret_status = x.status;
    give_handle(store, x.easy);
    store->curl->list_free(x.headers);
    px_buf_deinit(&x.token);
    return code;
}

static enum px_code store_read(struct px_model_store *base, const struct px_store_read *read,
                               bool *ret_same, struct px_err *err)
{
    struct http_store *store = PX_CONTAINER_OF(base, struct http_store, base);
    unsigned status = 0;
    struct px_err own;
    err = err ? err : &own;
    enum px_code code = ask(store, read, ret_same, &status, err);
    if (status != 416 || read->offset == 0)
        return code;
    struct px_store_read whole = *read;
    whole.offset = 0;
    return ask(store, &whole, ret_same, &status, err);
}

/* ---- life ---- */

static void destroy(struct px_model_store *base)
{
    struct http_store *store = PX_CONTAINER_OF(base, struct http_store, base);
    while (store->n_idle > 0)
        store->curl->easy_cleanup(store->idle[--store->n_idle]);
    pthread_mutex_destroy(&store->mutex);
    px_free(store->url);
    px_free(store);
}

static const struct px_model_store_ops ops = {
    .abi = PX_MODEL_STORE_ABI,
    .name = "http",
    .read = store_read,
    .destroy = destroy,
};

static bool has_scheme(struct px_str url, const char *scheme)
{
    size_t n = strlen(scheme);
    return url.len > n && px_str_eq_nocase(px_str_n(url.ptr, n), px_str(scheme));
}

static bool knows(struct px_str url)
{
    return has_scheme(url, "http://") || has_scheme(url, "https://");
}

/* A URL is shown in messages and metrics, so secrets do not belong there; a path is appended, so neither does a query. */
static enum px_code check_url(struct px_str url, struct px_err *err)
{
    struct px_str rest = px_str_n(url.ptr + px_str_find(url, '/') + 2, 0);
    rest.len = (size_t)(url.ptr + url.len - rest.ptr);
    struct px_str host = px_str_n(rest.ptr, px_str_find(rest, '/'));
    if (px_str_find(host, '@') < host.len) {
        px_err_set(err, PX_E_INVALID, "a URL with a user or password in it");
        return px_err_hint(err,
                           "set " PX_HTTP_STORE_TOKEN_VARIABLE " or repository.token_file instead");
    }
    if (host.len == 0 || !is_plain_text(url) || px_str_find(url, '?') < url.len ||
        px_str_find(url, '#') < url.len)
        return px_err_set(err, PX_E_INVALID,
                          "expected https://HOST/PATH/ without '?', '#' and blanks, got '%.*s'",
                          PX_STR_ARG(url));
    return PX_OK;
}

static enum px_code open_store(struct px_str url, const struct px_model_store_settings *settings,
                               struct px_model_store **ret, struct px_err *err)
{
    const struct px_curl *curl;
    enum px_code code = check_url(url, err);
    if (code == PX_OK)
        code = px_curl_open(&curl, err);
    if (code != PX_OK)
        return code;
    struct http_store *store = px_alloc(1, sizeof *store);
    char *copy = px_alloc(url.len + 1, 1);
    if (!store || !copy) {
        px_free(store);
        px_free(copy);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for another repository");
    }
    memcpy(copy, url.ptr, url.len);
    *store = (struct http_store){.base = {&ops},
                                 .curl = curl,
                                 .url = copy,
                                 .token_file = settings->token_file,
                                 .ca_file = settings->ca_file,
                                 .is_tls = has_scheme(url, "https://")};
    pthread_mutex_init(&store->mutex, NULL);
    *ret = &store->base;
    return PX_OK;
}

const struct px_model_store_provider px_http_store_provider = {
    .name = "http",
    .knows = knows,
    .open = open_store,
};
