/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design note.
 *
 * OpenSSL works on the socket itself and not on memory, which saves a copy and lets the kernel encrypt. Its context is
 * counted: a session holds the one that it began with, so a reload swaps a pointer under a lock that is taken once per
 * connection, never per request.
 *
 * A write that would block must be repeated with the same bytes; callers send what is left of one unchanged response.
 */
#include "infrastructure/net/tls/session.h"

#include "shared/alloc.h"
#include "shared/log.h"
#include "shared/unconst.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    FILES = 3,
    PEEK = 16, /* bytes; methods are shorter */
};

static const char ciphers_12[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
static const char curves[] = "X25519:P-256:P-384";

struct file_stamp {
    struct timespec changed;
    off_t size;
    ino_t inode;
};

struct px_tls {
    struct px_tls_config config; /* of copied strings */
    char *paths[FILES];          /* certificate, key, client CA */
    struct file_stamp stamps[FILES];
    pthread_mutex_t mutex; /* over `context` */
    SSL_CTX *context;
};

struct px_tls_session {
    struct px_socket_layer layer; /* first */
    SSL *ssl;
    bool has_begun; /* the client's first bytes have been looked at */
    bool is_open;   /* the handshake is over */
    bool wants_write;
    char *client_name;
};

/* The oldest of OpenSSL's errors as text, which is the cause of the others; empties its queue. */
static const char *first_error(void)
{
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (ERR_GET_LIB(code) == ERR_LIB_SYS)
        return strerror(ERR_GET_REASON(code));
    if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
        ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return "the client left";
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "no reason given";
}

static struct file_stamp stamp_of(const char *path)
{
    struct stat info;
    if (!path || stat(path, &info) != 0)
        return (struct file_stamp){0};
    return (struct file_stamp){info.st_mtim, info.st_size, info.st_ino};
}

static bool same_stamp(const struct file_stamp *a, const struct file_stamp *b)
{
    return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
           a->size == b->size && a->inode == b->inode;
}

static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *argument)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1\x08http/1.0";
    unsigned char *chosen = NULL;
    (void)ssl;
    (void)argument;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301, 3.2: no_application_protocol */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static enum px_code load_identity(SSL_CTX *context, const struct px_tls_config *config,
                                  struct px_err *err)
{
    if (SSL_CTX_use_certificate_chain_file(context, config->certificate_file) != 1)
        return px_err_set(err, PX_E_INVALID, "certificate '%s': %s", config->certificate_file,
                          first_error());
    if (SSL_CTX_use_PrivateKey_file(context, config->key_file, SSL_FILETYPE_PEM) != 1)
        return px_err_set(err, PX_E_INVALID, "private key '%s': %s", config->key_file,
                          first_error());
    if (SSL_CTX_check_private_key(context) != 1)
        return px_err_set(err, PX_E_INVALID, "private key '%s' does not belong to certificate '%s'",
                          config->key_file, config->certificate_file);
    return PX_OK;
}

static enum px_code load_client_ca(SSL_CTX *context, const struct px_tls_config *config,
                                   struct px_err *err)
{
    if (config->clients == PX_TLS_CLIENTS_ANY)
        return PX_OK;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(config->client_ca_file);
    if (!names || SSL_CTX_load_verify_locations(context, config->client_ca_file, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return px_err_set(err, PX_E_INVALID, "client CA '%s': %s", config->client_ca_file,
                          first_error());
    }
    SSL_CTX_set_client_CA_list(context, names);
    int mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
    if (config->clients == PX_TLS_CLIENTS_REQUIRED)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context, mode, NULL);
    return PX_OK;
}

static void set_protocol(SSL_CTX *context, const struct px_tls_config *config)
{
    static const unsigned char session_context[] = "phoenix";
    uint64_t options = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA;
    if (config->in_kernel)
        options |= SSL_OP_ENABLE_KTLS;
    SSL_CTX_set_options(context, options);
    SSL_CTX_set_min_proto_version(context, config->only_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
    /* Sessions that were verified by a client's certificate are resumed only here. */
    SSL_CTX_set_session_id_context(context, session_context, sizeof session_context - 1);
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_OFF); /* tickets need no memory of ours */
}

static enum px_code make_context(const struct px_tls_config *config, SSL_CTX **ret,
                                 struct px_err *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for TLS: %s", first_error());
    set_protocol(context, config);
    enum px_code code = PX_OK;
    if (SSL_CTX_set_cipher_list(context, ciphers_12) != 1 ||
        SSL_CTX_set1_curves_list(context, px_unconst(curves)) != 1)
        code = px_err_set(err, PX_E_INTERNAL, "TLS ciphers: %s", first_error());
    if (code == PX_OK)
        code = load_identity(context, config, err);
    if (code == PX_OK)
        code = load_client_ca(context, config, err);
    if (code != PX_OK) {
        SSL_CTX_free(context);
        return code;
    }
    *ret = context;
    return PX_OK;
}

/* Loads the files and swaps them in. */
static enum px_code load(struct px_tls *tls, struct px_err *err)
{
    struct file_stamp stamps[FILES];
    SSL_CTX *context, *former;
    for (size_t i = 0; i < FILES; i++)
        stamps[i] =
            stamp_of(tls->paths[i]); /* before reading: a change meanwhile is seen next time */
    enum px_code code = make_context(&tls->config, &context, err);
    memcpy(tls->stamps, stamps,
           sizeof stamps); /* also of bad files, which would fail again and again */
    if (code != PX_OK)
        return code;
    pthread_mutex_lock(&tls->mutex);
    former = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->mutex);
    SSL_CTX_free(former);
    return PX_OK;
}

/* A copy of `text`; NULL for NULL and when memory is short, which *ok then tells. */
static char *copy_text(const char *text, bool *ok)
{
    size_t size = text ? strlen(text) + 1 : 0;
    char *copy = size ? px_alloc(size, 1) : NULL;
    if (copy)
        memcpy(copy, text, size);
    *ok = *ok && (copy || !text);
    return copy;
}

enum px_code px_tls_create(const struct px_tls_config *config, struct px_tls **ret,
                           struct px_err *err)
{
    if (!config->certificate_file || !config->key_file)
        return px_err_set(err, PX_E_INVALID, "TLS needs a certificate and its private key");
    if (config->clients != PX_TLS_CLIENTS_ANY && !config->client_ca_file)
        return px_err_set(err, PX_E_INVALID,
                          "clients' certificates cannot be verified without a CA file");
    struct px_tls *tls = px_alloc(1, sizeof *tls);
    if (!tls)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for TLS");
    bool ok = true;
    pthread_mutex_init(&tls->mutex, NULL);
    tls->config = *config;
    tls->config.certificate_file = tls->paths[0] = copy_text(config->certificate_file, &ok);
    tls->config.key_file = tls->paths[1] = copy_text(config->key_file, &ok);
    tls->config.client_ca_file = tls->paths[2] = copy_text(config->client_ca_file, &ok);
    enum px_code code = ok ? load(tls, err) : px_err_set(err, PX_E_NO_MEMORY, "no memory for TLS");
    if (code != PX_OK) {
        px_tls_destroy(tls);
        return code;
    }
    *ret = tls;
    return PX_OK;
}

void px_tls_destroy(struct px_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->mutex);
    for (size_t i = 0; i < FILES; i++)
        px_free(tls->paths[i]);
    px_free(tls);
}

enum px_code px_tls_reload(struct px_tls *tls, struct px_err *err)
{
    return load(tls, err);
}

bool px_tls_is_stale(const struct px_tls *tls)
{
    for (size_t i = 0; i < FILES; i++) {
        struct file_stamp now = stamp_of(tls->paths[i]);
        if (!same_stamp(&now, &tls->stamps[i]))
            return true;
    }
    return false;
}

struct px_tls_session *px_tls_session_create(struct px_tls *tls, int fd)
{
    struct px_tls_session *session = px_alloc(1, sizeof *session);
    if (!session)
        return NULL;
    pthread_mutex_lock(&tls->mutex);
    session->ssl = SSL_new(tls->context); /* counts the context */
    pthread_mutex_unlock(&tls->mutex);
    if (!session->ssl || SSL_set_fd(session->ssl, fd) != 1) {
        px_tls_session_destroy(session);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_accept_state(session->ssl);
    return session;
}

void px_tls_session_destroy(struct px_tls_session *session)
{
    if (!session)
        return;
    SSL_free(session->ssl);
    OPENSSL_free(session->client_name);
    px_free(session);
}

/* What a call that did not succeed means to the caller, as errno; 0 for the client's orderly end. */
static int explain(struct px_tls_session *session, int result)
{
    int saved = errno;
    session->wants_write = false;
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        session->wants_write = true;
        return EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return saved ? saved : ECONNRESET;
    default:
        return EPROTO;
    }
}

static void note_client(struct px_tls_session *session)
{
    X509 *certificate = SSL_get1_peer_certificate(session->ssl);
    if (!certificate)
        return;
    BIO *text = BIO_new(BIO_s_mem());
    char *bytes;
    if (text &&
        X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) >= 0) {
        long len = BIO_get_mem_data(text, &bytes);
        session->client_name = len > 0 ? OPENSSL_strndup(bytes, (size_t)len) : NULL;
    }
    BIO_free(text);
    X509_free(certificate);
}

enum px_tls_progress px_tls_handshake(struct px_tls_session *session, struct px_err *err)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(session->ssl);
    if (result == 1) {
        session->is_open = true;
        note_client(session);
        return PX_TLS_DONE;
    }
    int error = explain(session, result);
    if (error == EAGAIN)
        return PX_TLS_WAITS;
    px_err_set(err, PX_E_INVALID, "TLS handshake: %s",
               error == EPROTO ? first_error() : "the client left");
    return PX_TLS_FAILED;
}

ssize_t px_tls_read(struct px_tls_session *session, char *to, size_t room)
{
    size_t n = 0;
    ERR_clear_error();
    errno = 0;
    int result = SSL_read_ex(session->ssl, to, room, &n);
    if (result == 1)
        return (ssize_t)n;
    errno = explain(session, result);
    return errno ? -1 : 0;
}

ssize_t px_tls_write(struct px_tls_session *session, const void *bytes, size_t len)
{
    size_t n = 0;
    ERR_clear_error();
    errno = 0;
    int result = SSL_write_ex(session->ssl, bytes, len, &n);
    if (result == 1)
        return (ssize_t)n;
    int error = explain(session, result);
    errno = error ? error : EPIPE;
    return -1;
}

bool px_tls_wants_write(const struct px_tls_session *session)
{
    return session->wants_write;
}

bool px_tls_has_pending(const struct px_tls_session *session)
{
    return SSL_pending(session->ssl) > 0;
}

void px_tls_close_notify(struct px_tls_session *session)
{
    ERR_clear_error();
    if (SSL_is_init_finished(session->ssl))
        (void)SSL_shutdown(
            session
                ->ssl); /* the socket's buffer is full: then the client sees the end without it */
    ERR_clear_error();
}

struct px_str px_tls_client_name(const struct px_tls_session *session)
{
    return session->client_name ? px_str(session->client_name) : (struct px_str){0};
}

/* ---- a layer of a socket ---- */

static struct px_tls_session *session_of(struct px_socket_layer *layer)
{
    return PX_CONTAINER_OF(layer, struct px_tls_session, layer);
}

static const struct px_tls_session *const_session_of(const struct px_socket_layer *layer)
{
    return (const void *)layer; /* the first member */
}

/*
 * Do the client's first bytes look like a method of HTTP, or HTTP/2's preface? Capital letters, up to a space or to what has
 * come: no record of TLS begins with one, so a single byte is enough and nothing has to be waited for.
 */
static bool speaks_plain_http(struct px_tls_session *session)
{
    char bytes[PEEK];
    ssize_t n = recv(SSL_get_fd(session->ssl), bytes, sizeof bytes, MSG_PEEK), at = 0;
    session->has_begun = n > 0;
    while (at < n && bytes[at] >= 'A' && bytes[at] <= 'Z')
        at++;
    return at > 0 && (at == n || bytes[at] == ' ');
}

/* False with errno while the handshake goes on, or when it has failed. */
static bool finish_handshake(struct px_tls_session *session)
{
    struct px_err err;
    if (session->is_open)
        return true;
    if (!session->has_begun && speaks_plain_http(session)) {
        px_log(PX_LOG_DEBUG, "net.handshake_failed", PX_LOG_T("reason", "plain HTTP"));
        errno = EPROTOTYPE;
        return false;
    }
    switch (px_tls_handshake(session, &err)) {
    case PX_TLS_DONE:
        return true;
    case PX_TLS_WAITS:
        errno = EAGAIN;
        return false;
    case PX_TLS_FAILED:
        break;
    }
    px_log(PX_LOG_DEBUG, "net.handshake_failed", PX_LOG_T("reason", err.message));
    errno = EPROTO;
    return false;
}

static ssize_t layer_recv(struct px_socket_layer *layer, void *to, size_t room)
{
    struct px_tls_session *session = session_of(layer);
    return finish_handshake(session) ? px_tls_read(session, to, room) : -1;
}

static ssize_t layer_send(struct px_socket_layer *layer, const void *bytes, size_t len)
{
    struct px_tls_session *session = session_of(layer);
    return finish_handshake(session) ? px_tls_write(session, bytes, len) : -1;
}

static bool layer_has_pending(const struct px_socket_layer *layer)
{
    return px_tls_has_pending(const_session_of(layer));
}

static bool layer_wants_write(const struct px_socket_layer *layer)
{
    return px_tls_wants_write(const_session_of(layer));
}

static enum px_socket_handshake layer_handshake(const struct px_socket_layer *layer)
{
    const struct px_tls_session *session = const_session_of(layer);
    const unsigned char *name;
    unsigned len;
    if (!session->is_open)
        return PX_SOCKET_SHAKING;
    SSL_get0_alpn_selected(session->ssl, &name, &len);
    if (len == 0)
        return PX_SOCKET_OPEN;
    return len == 2 ? PX_SOCKET_HTTP2 : PX_SOCKET_HTTP1; /* one of select_protocol's */
}

static struct px_str layer_client_name(const struct px_socket_layer *layer)
{
    return px_tls_client_name(const_session_of(layer));
}

static void layer_end(struct px_socket_layer *layer)
{
    px_tls_close_notify(session_of(layer));
}

static void layer_destroy(struct px_socket_layer *layer)
{
    px_tls_session_destroy(session_of(layer));
}

static const struct px_socket_layer_ops layer_ops = {
    .recv = layer_recv,
    .send = layer_send,
    .has_pending = layer_has_pending,
    .wants_write = layer_wants_write,
    .handshake = layer_handshake,
    .client_name = layer_client_name,
    .end = layer_end,
    .destroy = layer_destroy,
};

struct px_socket_layer *px_tls_layer_create(struct px_tls *tls, int fd)
{
    struct px_tls_session *session = px_tls_session_create(tls, fd);
    if (!session)
        return NULL;
    session->layer.ops = &layer_ops;
    return &session->layer;
}
