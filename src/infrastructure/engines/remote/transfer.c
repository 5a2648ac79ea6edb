/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl sends a request again by itself when a connection that it used before ends without a byte of a reply. The peer may have computed the
 * request all the same, and nobody would know of the second one: no budget, no counter, no sequence. So a body is handed over by on_read,
 * once, and on_seek refuses to begin it again: libcurl then ends the exchange, and call.c decides. What libcurl may still
 * begin anew is an exchange of whose body nothing was taken, and one without a body: nothing was computed.
 */
#include "infrastructure/engines/remote/transfer.h"

#include "infrastructure/engines/remote/codec.h"
#include "shared/alloc.h"
#include "shared/clock.h"

#include <sys/socket.h>
#include <unistd.h>

enum { RETRY_AFTER_MAX_S = 86400 };

/* Of silence; less of it is a peer that has much to do, whose connections are worth keeping. */
#define DOUBT_NS PX_NS_PER_S

/* ---- what libcurl calls ---- */

static size_t on_read(char *to, size_t size, size_t n, void *context)
{
    struct px_remote_transfer *self = context;
    size_t left = self->request.len - self->n_sent;
    size_t taken = left < size * n ? left : size * n;
    memcpy(to, self->request.ptr + self->n_sent, taken);
    self->n_sent += taken;
    return taken;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
    const struct px_remote_transfer *self = context;
    bool there = origin == SEEK_SET && offset >= 0 && (size_t)offset == self->n_sent;
    return there ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
    struct px_remote_transfer *self = context;
    px_buf_append(&self->body, bytes, size * n);
    return self->body.failed ? 0 : size * n;
}

/* The line of the status begins the headers anew: those of a 100 Continue are not the reply's. */
static void begin_reply(struct px_remote_transfer *self, struct px_str line)
{
    size_t blank = px_str_find(line, ' ');
    uint64_t status = 0;
    if (line.len >= blank + 4 && px_str_to_u64(px_str_n(line.ptr + blank + 1, 3), &status))
        self->status = (unsigned)status;
    self->grpc_status = -1;
    self->has_head = false;
    self->has_json_len = false;
    self->retry_after_s = 0;
}

/* Seconds; a date is not passed on, since it is by the peer's clock. */
static unsigned read_retry_after(struct px_str value)
{
    uint64_t seconds = 0;
    bool good = px_str_to_u64(value, &seconds);
    return !good ? 0 : seconds < RETRY_AFTER_MAX_S ? (unsigned)seconds : RETRY_AFTER_MAX_S;
}

/* Headers and, after the body, trailers. */
static size_t on_header(char *bytes, size_t size, size_t n, void *context)
{
    struct px_remote_transfer *self = context;
    struct px_str line = px_str_n(bytes, size * n), value;
    uint64_t number = 0;
    if (px_str_starts(line, "HTTP/")) {
        begin_reply(self, line);
    } else if (px_str_is(line, "\r\n") || px_str_is(line, "\n")) {
        self->has_head = self->status >= 200;
    } else if (px_curl_take_header(line, "grpc-status", &value)) {
        bool good = px_str_to_u64(value, &number) && number <= 1000;
        self->grpc_status = good ? (int)number : 2 /* UNKNOWN */;
    } else if (px_curl_take_header(line, "grpc-message", &value)) {
        px_remote_grpc_read_error(value, self->grpc_message, sizeof self->grpc_message);
    } else if (px_curl_take_header(line, "Retry-After", &value)) {
        self->retry_after_s = read_retry_after(value);
    } else if (px_curl_take_header(line, "Inference-Header-Content-Length", &value)) {
        self->has_json_len = true;
        self->json_len =
            px_str_to_u64(value, &number) && number < SIZE_MAX ? (size_t)number : SIZE_MAX;
    }
    return size * n;
}

static curl_socket_t on_open_socket(void *context, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct px_remote_transfer *self = context;
    (void)purpose;
    if (self->reuses) {
        self->refused = true;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    self->peer->n_sockets++;
    return fd;
}

/* The context of a connection is that of the transfer that opened it: the peer, which outlives both. */
static int on_close_socket(void *context, curl_socket_t fd)
{
    struct px_remote_peer *peer = context;
    peer->n_sockets--;
    return close(fd);
}

/* ---- life ---- */

struct px_remote_transfer *px_remote_transfer_create(const struct px_curl *curl,
                                                     const struct px_remote_settings *settings)
{
    struct px_remote_transfer *self = px_alloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->curl = curl;
    self->settings = settings;
    self->body = px_buf((size_t)settings->response_bytes_max);
    self->easy = curl->easy_init();
    if (!self->easy) {
        px_remote_transfer_destroy(self);
        return NULL;
    }
    return self;
}

void px_remote_transfer_destroy(struct px_remote_transfer *self)
{
    if (!self)
        return;
    if (self->easy)
        self->curl->easy_cleanup(self->easy);
    self->curl->list_free(self->headers);
    px_buf_deinit(&self->body);
    px_free(self);
}

void px_remote_transfer_break_off(struct px_remote_transfer *self)
{
    (void)self->curl->set(self->easy, CURLOPT_FORBID_REUSE, 1L);
}

void px_remote_transfer_release(struct px_remote_transfer *self)
{
    PX_ASSERT(self->peer && self->peer->n_transfers > 0);
    self->peer->n_transfers--;
}

/* ---- preparing ---- */

static bool add_header(struct px_remote_transfer *self, const char *text)
{
    struct curl_slist *longer = self->curl->list_append(self->headers, text);
    if (!longer)
        return false;
    self->headers = longer;
    return true;
}

/* grpc-timeout has at most eight digits. */
static bool add_grpc_timeout(struct px_remote_transfer *self, uint64_t remaining_ns)
{
    char text[48];
    uint64_t ms = (remaining_ns + PX_NS_PER_MS - 1) / PX_NS_PER_MS;
    bool seconds = ms > 99999999;
    uint64_t count = seconds ? ms / 1000 : ms;
    snprintf(text, sizeof text, "grpc-timeout: %llu%c",
             (unsigned long long)(count > 99999999 ? 99999999 : count), seconds ? 'S' : 'm');
    return add_header(self, text);
}

static bool add_headers(struct px_remote_transfer *self, const struct px_remote_exchange *exchange)
{
    bool good = true, grpc = self->peer->url->grpc;
    if (grpc) {
        good = add_header(self, "Content-Type: application/grpc") &&
               add_header(self, "TE: trailers") &&
               add_header(self, "grpc-accept-encoding: identity");
        if (good && exchange->remaining_ns)
            good = add_grpc_timeout(self, exchange->remaining_ns);
    } else if (exchange->body.ptr && exchange->binary) {
        char text[64];
        snprintf(text, sizeof text, "Inference-Header-Content-Length: %zu", exchange->json_len);
        good = add_header(self, "Content-Type: application/octet-stream") && add_header(self, text);
    } else if (exchange->body.ptr) {
        good = add_header(self, "Content-Type: application/json");
    }
    /* libcurl would wait a second for 100 Continue before a long body. */
    good = good && add_header(self, "Expect:");
    for (size_t i = 0; i < self->settings->n_headers && good; i++)
        good = add_header(self, self->settings->headers[i]);
    return good;
}

static long http_version(struct px_remote_transfer *self, bool fresh)
{
    const struct px_remote_url *url = self->peer->url;
    if (!url->grpc)
        return url->tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
    if (url->tls)
        return CURL_HTTP_VERSION_2TLS;
    self->reuses = !fresh && self->peer->n_sockets > self->peer->n_transfers;
    return self->reuses ? CURL_HTTP_VERSION_2_0 : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
}

static void set_callbacks(struct px_remote_transfer *self)
{
    CURLcode (*set)(CURL *, CURLoption, ...) = self->curl->set;
    CURL *easy = self->easy;
    set(easy, CURLOPT_WRITEFUNCTION, on_body);
    set(easy, CURLOPT_WRITEDATA, (void *)self);
    set(easy, CURLOPT_HEADERFUNCTION, on_header);
    set(easy, CURLOPT_HEADERDATA, (void *)self);
    set(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    set(easy, CURLOPT_OPENSOCKETDATA, (void *)self);
    set(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    set(easy, CURLOPT_CLOSESOCKETDATA, (void *)self->peer);
    set(easy, CURLOPT_ERRORBUFFER, self->error);
    set(easy, CURLOPT_PRIVATE, (void *)self);
}

/* Connections from before the doubt are closed instead of used again. libcurl counts their age in seconds. */
static void set_age(struct px_remote_transfer *self)
{
    uint64_t since_ns = px_clock_monotonic_ns() - self->peer->doubted_ns;
    long seconds = since_ns < PX_NS_PER_S ? 1 : (long)(since_ns / PX_NS_PER_S);
    if (self->peer->doubted_ns)
        self->curl->set(self->easy, CURLOPT_MAXLIFETIME_CONN, seconds);
}

static void set_transport(struct px_remote_transfer *self,
                          const struct px_remote_exchange *exchange)
{
    CURLcode (*set)(CURL *, CURLoption, ...) = self->curl->set;
    const struct px_remote_settings *s = self->settings;
    CURL *easy = self->easy;
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_PROXY, ""); /* what the environment says of proxies is not for models */
    set(easy, CURLOPT_FOLLOWLOCATION, 0L);
    set(easy, CURLOPT_USERAGENT, "phoenix/" PX_VERSION);
    long version = http_version(self, exchange->fresh);
    set(easy, CURLOPT_HTTP_VERSION, version);
    bool fresh = exchange->fresh || version == CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    set(easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)s->connect_timeout_ms);
    set(easy, CURLOPT_TIMEOUT_MS, (long)(exchange->limit_ns / PX_NS_PER_MS));
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set(easy, CURLOPT_HTTPHEADER, self->headers);
    if (exchange->body.ptr) {
        set(easy, CURLOPT_POST, 1L);
        set(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->body.len);
        set(easy, CURLOPT_READFUNCTION, on_read);
        set(easy, CURLOPT_READDATA, (void *)self);
        set(easy, CURLOPT_SEEKFUNCTION, on_seek);
        set(easy, CURLOPT_SEEKDATA, (void *)self);
    }
    if (s->ca)
        set(easy, CURLOPT_CAINFO, s->ca);
    if (s->cert)
        set(easy, CURLOPT_SSLCERT, s->cert);
    if (s->key)
        set(easy, CURLOPT_SSLKEY, s->key);
}

enum px_code px_remote_transfer_prepare(struct px_remote_transfer *self,
                                        struct px_remote_peer *peer,
                                        const struct px_remote_exchange *exchange,
                                        struct px_err *err)
{
    struct px_buf url = px_buf(1 << 14);
    self->curl->easy_reset(self->easy);
    self->curl->list_free(self->headers);
    self->headers = NULL;
    self->peer = peer;
    self->request = exchange->body;
    self->n_sent = 0;
    px_buf_clear(&self->body);
    self->status = self->retry_after_s = 0;
    self->has_head = false;
    self->grpc_status = -1;
    self->has_json_len = self->reuses = self->refused = false;
    self->grpc_message[0] = self->error[0] = '\0';
    px_buf_text(&url, peer->url->base);
    px_buf_text(&url, exchange->path);
    enum px_code code = px_buf_check(&url, "the URL of a peer", err);
    if (code == PX_OK && (!add_headers(self, exchange) ||
                          self->curl->set(self->easy, CURLOPT_URL, px_buf_cstr(&url)) != CURLE_OK))
        code = px_err_set(err, PX_E_NO_MEMORY, "there is no memory for a request to a peer");
    px_buf_deinit(&url);
    if (code != PX_OK)
        return code;
    set_transport(self, exchange);
    set_age(self);
    set_callbacks(self);
    peer->n_transfers++;
    return PX_OK;
}

void px_remote_transfer_doubt(const struct px_remote_transfer *self, uint64_t now_ns)
{
    if (self->status == 0 && now_ns - self->started_ns >= DOUBT_NS)
        self->peer->doubted_ns = now_ns;
}

/* ---- judging ---- */

static struct px_remote_verdict failed(enum px_code code, bool may_retry)
{
    return (struct px_remote_verdict){.code = code, .may_retry = may_retry, .peer_failed = true};
}

static const char *error_text(const struct px_remote_transfer *self, CURLcode result)
{
    return self->error[0] ? self->error : self->curl->error_text(result);
}

/* The reply is longer than we take, or we have no memory for it. */
static struct px_remote_verdict judge_buffer(struct px_remote_transfer *self, struct px_err *err)
{
    enum px_code code = px_buf_check(&self->body, "the reply", err);
    if (code == PX_E_NO_MEMORY)
        return (struct px_remote_verdict){.code = code};
    px_err_set(err, PX_E_INTERNAL, "%.*s: the reply has more than %.0f bytes",
               PX_STR_ARG(self->peer->url->text), self->settings->response_bytes_max);
    px_err_hint(err, "engine.response_bytes_max of model.yaml allows more");
    return failed(PX_E_INTERNAL, false);
}

/*
 * The exchange broke. It may be tried again while no reply has begun, and of gRPC until its end has come. The peer may have computed it all the same, which a model that
 * keeps nothing between runs does not notice; runs of sequences are never tried again (call.c).
 */
static struct px_remote_verdict judge_transport(struct px_remote_transfer *self, CURLcode result,
                                                struct px_err *err)
{
    if (self->refused && self->n_sent == 0) {
        px_err_set(err, PX_E_UNAVAILABLE, "%.*s: the connection was closed",
                   PX_STR_ARG(self->peer->url->text));
        return (struct px_remote_verdict){.code = PX_E_UNAVAILABLE, .stale = true};
    }
    if (self->body.failed)
        return judge_buffer(self, err);
    bool grpc = self->peer->url->grpc;
    bool early = grpc ? self->grpc_status < 0 : !self->has_head;
    if (result == CURLE_SEND_FAIL_REWIND || self->refused) {
        px_err_set(err, PX_E_UNAVAILABLE, "%.*s: the connection was closed without a reply",
                   PX_STR_ARG(self->peer->url->text));
        struct px_remote_verdict verdict = failed(PX_E_UNAVAILABLE, early);
        verdict.dropped = true;
        return verdict;
    }
    switch ((int)result) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_PARTIAL_FILE: /* of libcurl 7.88 also when a stream of HTTP/2 breaks before its reply */
        break;
    default:
        early = false;
        break;
    }
    px_err_set(err, PX_E_UNAVAILABLE, "%.*s: %s", PX_STR_ARG(self->peer->url->text),
               error_text(self, result));
    return failed(PX_E_UNAVAILABLE, early);
}

/* What the status of a refusal means to our own caller: what he cannot change is not his fault. */
static enum px_code code_of_http(unsigned status)
{
    switch (status) {
    case 400:
    case 422:
        return PX_E_INVALID;
    case 404:
        return PX_E_NOT_FOUND;
    case 409:
        return PX_E_CONFLICT;
    case 408:
    case 504:
        return PX_E_DEADLINE;
    case 413:
        return PX_E_TOO_LARGE;
    case 429:
        return PX_E_LIMITED;
    case 501:
        return PX_E_UNSUPPORTED;
    case 502:
    case 503:
        return PX_E_UNAVAILABLE;
    default:
        return PX_E_INTERNAL;
    }
}

static enum px_code code_of_grpc(int status)
{
    static const enum px_code codes[] = {
        [1] = PX_E_UNAVAILABLE, [2] = PX_E_INTERNAL,     [3] = PX_E_INVALID,
        [4] = PX_E_DEADLINE,    [5] = PX_E_NOT_FOUND,    [6] = PX_E_CONFLICT,
        [7] = PX_E_INTERNAL,    [8] = PX_E_LIMITED,      [9] = PX_E_INVALID,
        [10] = PX_E_CONFLICT,   [11] = PX_E_INVALID,     [12] = PX_E_UNSUPPORTED,
        [13] = PX_E_INTERNAL,   [14] = PX_E_UNAVAILABLE, [15] = PX_E_INTERNAL,
        [16] = PX_E_INTERNAL,
    };
    return status > 0 && status < (int)PX_ARRAY_LEN(codes) ? codes[status] : PX_E_INTERNAL;
}

static struct px_remote_verdict refused(enum px_code code)
{
    return (struct px_remote_verdict){
        .code = code,
        .may_retry = code == PX_E_UNAVAILABLE,
        .peer_failed = code == PX_E_UNAVAILABLE || code == PX_E_INTERNAL,
    };
}

static struct px_remote_verdict judge_http(struct px_remote_transfer *self, struct px_err *err)
{
    char text[PX_REMOTE_ERROR_TEXT_MAX + 1];
    if (!self->has_head) { /* libcurl takes the end of the connection for that of the reply */
        px_err_set(err, PX_E_UNAVAILABLE, "%.*s: the reply was cut off inside its headers",
                   PX_STR_ARG(self->peer->url->text));
        return failed(PX_E_UNAVAILABLE, true);
    }
    if (self->status == 200)
        return (struct px_remote_verdict){.code = PX_OK};
    px_remote_http_read_error(px_buf_view(&self->body), text, sizeof text);
    enum px_code code = code_of_http(self->status);
    px_err_set(err, code, "%.*s answered %u%s%s", PX_STR_ARG(self->peer->url->text), self->status,
               text[0] ? ": " : "", text);
    return refused(code);
}

static struct px_remote_verdict judge_grpc(struct px_remote_transfer *self, struct px_err *err)
{
    struct px_str message, url = self->peer->url->text;
    struct px_err inner = {0};
    if (self->status != 200 && self->grpc_status < 0) {
        enum px_code code = code_of_http(self->status);
        px_err_set(err, code, "%.*s answered gRPC with HTTP status %u", PX_STR_ARG(url),
                   self->status);
        return refused(code);
    }
    /* The end of the reply is missing. It may be a connection that was closed just behind it: libcurl 7.88 loses trailers then. */
    if (self->grpc_status < 0) {
        px_err_set(err, PX_E_UNAVAILABLE, "%.*s: the reply has no grpc-status", PX_STR_ARG(url));
        return failed(PX_E_UNAVAILABLE, true);
    }
    if (self->grpc_status > 0) {
        enum px_code code = code_of_grpc(self->grpc_status);
        px_err_set(err, code, "%.*s answered gRPC status %d%s%s", PX_STR_ARG(url),
                   self->grpc_status, self->grpc_message[0] ? ": " : "", self->grpc_message);
        return refused(code);
    }
    if (px_remote_grpc_message(px_buf_view(&self->body), &message, &inner) == PX_OK)
        return (struct px_remote_verdict){.code = PX_OK};
    px_err_set(err, PX_E_INTERNAL, "%.*s: %s", PX_STR_ARG(url), inner.message);
    return failed(PX_E_INTERNAL, false);
}

struct px_remote_verdict px_remote_transfer_judge(struct px_remote_transfer *self, CURLcode result,
                                                  struct px_err *err)
{
    if (result != CURLE_OK)
        return judge_transport(self, result, err);
    struct px_remote_verdict verdict =
        self->peer->url->grpc ? judge_grpc(self, err) : judge_http(self, err);
    bool may_pass = verdict.code == PX_E_LIMITED || verdict.code == PX_E_UNAVAILABLE;
    if (may_pass && err)
        err->retry_ns = self->retry_after_s * PX_NS_PER_S;
    return verdict;
}

struct px_str px_remote_transfer_reply(const struct px_remote_transfer *self)
{
    struct px_str body = px_buf_view(&self->body), message = body;
    if (self->peer->url->grpc && px_remote_grpc_message(body, &message, NULL) != PX_OK)
        message = (struct px_str){NULL, 0};
    return message;
}

size_t px_remote_transfer_json_len(const struct px_remote_transfer *self)
{
    return self->has_json_len ? self->json_len : self->body.len;
}
