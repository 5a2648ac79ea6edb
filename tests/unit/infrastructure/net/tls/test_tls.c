/* SPDX-License-Identifier: Apache-2.0 */
/* TLS sessions against OpenSSL's own client, over socket pairs, with certificates made here. */
#include "harness.h"
#include "infrastructure/net/tls/session.h"
#include "shared/str.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

static char folder[] = "/tmp/phoenix_tls_XXXXXX";

static const char *in_folder(const char *name, char *path)
{
    snprintf(path, 200, "%s/%s", folder, name);
    return path;
}

static EVP_PKEY *make_key(const char *file)
{
    char path[200];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *out = fopen(in_folder(file, path), "w");
    CHECK(key && out && PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL));
    fclose(out);
    return key;
}

/* Signs `name` with the issuer's key, or with its own. */
static void make_certificate(const char *file, const char *name, EVP_PKEY *key, const char *issuer,
                             EVP_PKEY *issuer_key)
{
    char path[200];
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), (long)name[0]);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME *subject = X509_NAME_new(), *by = X509_NAME_new();
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_NAME_add_entry_by_txt(by, "CN", MBSTRING_ASC, (const unsigned char *)issuer, -1, -1, 0);
    X509_set_subject_name(x, subject);
    X509_set_issuer_name(x, by);
    X509_EXTENSION *ca = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "CA:TRUE");
    X509_add_ext(x, ca, -1);
    X509_EXTENSION_free(ca);
    CHECK(X509_sign(x, issuer_key, EVP_sha256()) > 0);
    FILE *out = fopen(in_folder(file, path), "w");
    CHECK(out && PEM_write_X509(out, x));
    fclose(out);
    X509_NAME_free(subject);
    X509_NAME_free(by);
    X509_free(x);
}

static void make_identity(const char *certificate, const char *key_file, const char *name)
{
    EVP_PKEY *key = make_key(key_file);
    make_certificate(certificate, name, key, name, key);
    EVP_PKEY_free(key);
}

static struct px_tls_config make_config(void)
{
    static char certificate[200], key[200], ca[200];
    return (struct px_tls_config){.certificate_file = in_folder("server.pem", certificate),
                                  .key_file = in_folder("server.key", key),
                                  .client_ca_file = in_folder("client.pem", ca)};
}

static struct px_tls *create(const struct px_tls_config *config)
{
    struct px_tls *tls;
    struct px_err err;
    enum px_code code = px_tls_create(config, &tls, &err);
    if (code != PX_OK)
        fprintf(stderr, "%s\n", err.message);
    CHECK(code == PX_OK);
    return tls;
}

/* One connection: our session, and a client of OpenSSL's at the other end of a socket pair. */
struct pair {
    struct px_tls_session *server;
    SSL_CTX *context;
    SSL *client;
    int fds[2];
    enum px_tls_progress progress;
    bool client_done;
    struct px_err err;
};

static struct pair open_pair(struct px_tls *tls)
{
    struct pair p = {0};
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p.fds) == 0);
    p.server = px_tls_session_create(tls, p.fds[0]);
    CHECK(p.server != NULL);
    p.context = SSL_CTX_new(TLS_client_method());
    return p;
}

/* The client's settings are complete: shakes hands until both are done or one fails. */
static void connect_pair(struct pair *p, const char *protocols)
{
    p->client = SSL_new(p->context);
    SSL_set_fd(p->client, p->fds[1]);
    if (protocols)
        SSL_set_alpn_protos(p->client, (const unsigned char *)protocols,
                            (unsigned)strlen(protocols));
    p->progress = PX_TLS_WAITS;
    for (int i = 0; i < 20; i++) {
        int result = SSL_connect(p->client);
        p->client_done = result == 1;
        if (p->progress == PX_TLS_WAITS)
            p->progress = px_tls_handshake(p->server, &p->err);
        if (p->progress == PX_TLS_FAILED || (p->client_done && p->progress == PX_TLS_DONE))
            break;
    }
}

static void close_pair(struct pair *p)
{
    px_tls_session_destroy(p->server);
    SSL_free(p->client);
    SSL_CTX_free(p->context);
    close(p->fds[0]);
    close(p->fds[1]);
}

static void client_name_of_server(const struct pair *p, char *name, size_t cap)
{
    X509 *x = SSL_get1_peer_certificate(p->client);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, (int)cap);
    X509_free(x);
}

/* Sends `text` from the client and reads it at the server. */
static void check_echo(struct pair *p, const char *text)
{
    char got[100];
    CHECK(SSL_write(p->client, text, (int)strlen(text)) == (int)strlen(text));
    ssize_t n = px_tls_read(p->server, got, sizeof got);
    CHECK(n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0);
}

static bool has_agreed_on_http2(const struct pair *p)
{
    const unsigned char *name;
    unsigned len;
    SSL_get0_alpn_selected(p->client, &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}

PX_TEST(agrees_on_the_protocol_by_alpn)
{
    static const struct {
        const char *offer;
        bool done, http2;
    } cases[] = {{"\x02h2\x08http/1.1", true, true},
                 {"\x08http/1.1\x02h2", true, true}, /* the server's preference */
                 {"\x08http/1.1", true, false},
                 {NULL, true, false},
                 {"\x04spdy", false, false}};
    struct px_tls_config config = make_config();
    struct px_tls *tls = create(&config);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pair p = open_pair(tls);
        connect_pair(&p, cases[i].offer);
        CHECK((p.progress == PX_TLS_DONE && p.client_done) == cases[i].done);
        CHECK(!cases[i].done || has_agreed_on_http2(&p) == cases[i].http2);
        close_pair(&p);
    }
    px_tls_destroy(tls);
}

PX_TEST(old_versions_are_refused)
{
    static const struct {
        bool only_13;
        int version;
        bool done;
    } cases[] = {{false, TLS1_1_VERSION, false},
                 {false, TLS1_2_VERSION, true},
                 {false, TLS1_3_VERSION, true},
                 {true, TLS1_2_VERSION, false},
                 {true, TLS1_3_VERSION, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct px_tls_config config = make_config();
        config.only_13 = cases[i].only_13;
        struct px_tls *tls = create(&config);
        struct pair p = open_pair(tls);
        SSL_CTX_set_security_level(p.context, 0);
        SSL_CTX_set_min_proto_version(p.context, TLS1_VERSION);
        SSL_CTX_set_max_proto_version(p.context, cases[i].version);
        connect_pair(&p, NULL);
        CHECK((p.progress == PX_TLS_DONE && p.client_done) == cases[i].done);
        close_pair(&p);
        px_tls_destroy(tls);
    }
}

PX_TEST(ciphers_without_forward_secrecy_are_refused)
{
    struct px_tls_config config = make_config();
    struct px_tls *tls = create(&config);
    struct pair p = open_pair(tls);
    SSL_CTX_set_max_proto_version(p.context, TLS1_2_VERSION);
    CHECK(SSL_CTX_set_cipher_list(p.context, "AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA") == 1);
    connect_pair(&p, NULL);
    CHECK(p.progress == PX_TLS_FAILED && strstr(p.err.message, "no shared cipher"));
    close_pair(&p);
    px_tls_destroy(tls);
}

PX_TEST(what_is_no_tls_fails_with_a_reason)
{
    struct px_tls_config config = make_config();
    struct px_tls *tls = create(&config);
    struct pair p = open_pair(tls);
    CHECK(write(p.fds[1], "GET / HTTP/1.1\r\n\r\n", 18) == 18);
    CHECK(px_tls_handshake(p.server, &p.err) == PX_TLS_FAILED);
    CHECK(strstr(p.err.message, "http request"));
    close_pair(&p);
    p = open_pair(tls);
    CHECK(px_tls_handshake(p.server, &p.err) == PX_TLS_WAITS && !px_tls_wants_write(p.server));
    shutdown(p.fds[1], SHUT_WR);
    CHECK(px_tls_handshake(p.server, &p.err) == PX_TLS_FAILED);
    CHECK(strstr(p.err.message, "the client left"));
    close_pair(&p);
    px_tls_destroy(tls);
}

PX_TEST(plain_http_is_told_from_what_may_be_tls)
{
    static const struct {
        const char *bytes;
        bool is_plain;
    } cases[] = {{"GET / HTTP/1.1\r\n\r\n", true},
                 {"OPTIONS * HTTP/1.1\r\n", true},
                 {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true},
                 {"G", true}, /* in whatever pieces */
                 {"SSH-2.0-x\r\n", false},
                 {"GET\r\n", false},
                 {" GET / HTTP/1.1\r\n", false},
                 {"\x16\x03\x01\x02", false}};
    struct px_tls_config config = make_config();
    struct px_tls *tls = create(&config);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char got[100];
        int fds[2];
        ssize_t len = (ssize_t)strlen(cases[i].bytes);
        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
        struct px_socket socket = {fds[0], px_tls_layer_create(tls, fds[0])};
        CHECK(px_socket_recv(&socket, got, sizeof got) == -1 && errno == EAGAIN);
        CHECK(write(fds[1], cases[i].bytes, (size_t)len) == len);
        CHECK(px_socket_recv(&socket, got, sizeof got) == -1);
        CHECK((errno == EPROTOTYPE) == cases[i].is_plain);
        px_socket_shed_layer(&socket);
        CHECK(!cases[i].is_plain || px_socket_recv(&socket, got, sizeof got) == len);
        px_socket_close(&socket);
        close(fds[1]);
    }
    px_tls_destroy(tls);
}

/* A large response, taken in small pieces: every byte once and in order. */
PX_TEST(a_full_socket_is_waited_for_without_losing_bytes)
{
    enum { HEAD = 3000, BODY = 900000, SMALL = 7 };
    struct px_tls_config config = make_config();
    struct px_tls *tls = create(&config);
    struct pair p = open_pair(tls);
    connect_pair(&p, NULL);
    char *sent = malloc(HEAD + BODY), *got = malloc(HEAD + BODY);
    for (size_t i = 0; i < HEAD + BODY; i++)
        sent[i] = (char)(i * 7 + i / 251);
    size_t at = 0, n_got = 0, n_waits = 0;
    while (n_got < HEAD + BODY) {
        ssize_t n = at < HEAD + BODY ? px_tls_write(p.server, sent + at, HEAD + BODY - at) : 0;
        CHECK(n >= 0 || (errno == EAGAIN && px_tls_wants_write(p.server)));
        n_waits += n < 0;
        at += n > 0 ? (size_t)n : 0;
        int r = SSL_read(p.client, got + n_got, n_waits % SMALL ? 5000 : SMALL);
        n_got += r > 0 ? (size_t)r : 0;
    }
    CHECK(at == HEAD + BODY && memcmp(sent, got, at) == 0 && n_waits > 0);
    free(sent);
    free(got);
    close_pair(&p);
    px_tls_destroy(tls);
}

PX_TEST(bytes_that_are_decrypted_but_not_read_are_pending)
{
    struct px_tls_config config = make_config();
    struct px_tls *tls = create(&config);
    struct pair p = open_pair(tls);
    char got[4];
    connect_pair(&p, NULL);
    CHECK(px_tls_read(p.server, got, 1) == -1 && errno == EAGAIN);
    CHECK(SSL_write(p.client, "abcdef", 6) == 6);
    CHECK(px_tls_read(p.server, got, 4) == 4 && px_tls_has_pending(p.server));
    CHECK(px_tls_read(p.server, got, 4) == 2 && !px_tls_has_pending(p.server));
    SSL_shutdown(p.client);
    CHECK(px_tls_read(p.server, got, 4) == 0);
    px_tls_close_notify(p.server);
    CHECK(SSL_read(p.client, got, 1) <= 0 && SSL_get_shutdown(p.client) & SSL_RECEIVED_SHUTDOWN);
    close_pair(&p);
    px_tls_destroy(tls);
}

PX_TEST(a_reload_is_for_new_connections)
{
    char name[50];
    struct px_err err;
    make_identity("server.pem", "server.key", "first");
    struct px_tls_config config = make_config();
    struct px_tls *tls = create(&config);
    struct pair old = open_pair(tls);
    connect_pair(&old, NULL);
    CHECK(!px_tls_is_stale(tls));
    make_identity("server.pem", "server.key", "second");
    CHECK(px_tls_is_stale(tls));
    CHECK(px_tls_reload(tls, &err) == PX_OK && !px_tls_is_stale(tls));
    struct pair new = open_pair(tls);
    connect_pair(&new, NULL);
    client_name_of_server(&old, name, sizeof name);
    CHECK_STR(px_str(name), "first");
    client_name_of_server(&new, name, sizeof name);
    CHECK_STR(px_str(name), "second");
    check_echo(&old, "still here");
    close_pair(&old);
    close_pair(&new);
    px_tls_destroy(tls);
}

PX_TEST(a_reload_that_fails_keeps_the_former_certificate)
{
    char name[50], path[200];
    struct px_err err;
    make_identity("server.pem", "server.key", "kept");
    struct px_tls_config config = make_config();
    struct px_tls *tls = create(&config);
    make_identity("other.pem", "server.key", "other"); /* the key of another certificate */
    CHECK(px_tls_reload(tls, &err) == PX_E_INVALID);
    CHECK(strstr(err.message, "server.key"));
    CHECK(!px_tls_is_stale(tls)); /* told once, not every time */
    unlink(in_folder("server.pem", path));
    CHECK(px_tls_is_stale(tls) && px_tls_reload(tls, &err) == PX_E_INVALID);
    CHECK(strstr(err.message, "server.pem") && strstr(err.message, "No such file"));
    struct pair p = open_pair(tls);
    connect_pair(&p, NULL);
    client_name_of_server(&p, name, sizeof name);
    CHECK_STR(px_str(name), "kept");
    close_pair(&p);
    px_tls_destroy(tls);
    make_identity("server.pem", "server.key", "server");
}

static void use_client_certificate(struct pair *p, const char *certificate, const char *key)
{
    char path[200];
    CHECK(SSL_CTX_use_certificate_file(p->context, in_folder(certificate, path),
                                       SSL_FILETYPE_PEM) == 1);
    CHECK(SSL_CTX_use_PrivateKey_file(p->context, in_folder(key, path), SSL_FILETYPE_PEM) == 1);
}

PX_TEST(clients_are_verified_by_choice)
{
    static const struct {
        enum px_tls_clients clients;
        const char *certificate;
        bool done;
        const char *name;
    } cases[] = {{PX_TLS_CLIENTS_ANY, NULL, true, ""},
                 {PX_TLS_CLIENTS_ANY, "client", true, ""}, /* not asked for, not shown */
                 {PX_TLS_CLIENTS_OPTIONAL, NULL, true, ""},
                 {PX_TLS_CLIENTS_OPTIONAL, "client", true, "CN=client"},
                 {PX_TLS_CLIENTS_OPTIONAL, "stranger", false, ""},
                 {PX_TLS_CLIENTS_REQUIRED, NULL, false, ""},
                 {PX_TLS_CLIENTS_REQUIRED, "client", true, "CN=client"},
                 {PX_TLS_CLIENTS_REQUIRED, "stranger", false, ""}};
    make_identity("stranger.pem", "stranger.key", "client"); /* the right name, another key */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char certificate[50], key[50];
        struct px_tls_config config = make_config();
        config.clients = cases[i].clients;
        struct px_tls *tls = create(&config);
        struct pair p = open_pair(tls);
        if (cases[i].certificate) {
            snprintf(certificate, sizeof certificate, "%s.pem", cases[i].certificate);
            snprintf(key, sizeof key, "%s.key", cases[i].certificate);
            use_client_certificate(&p, certificate, key);
        }
        connect_pair(&p, NULL);
        CHECK((p.progress == PX_TLS_DONE) == cases[i].done);
        CHECK(!cases[i].done || px_str_is(px_tls_client_name(p.server), cases[i].name));
        close_pair(&p);
        px_tls_destroy(tls);
    }
}

PX_TEST(wrong_files_are_named)
{
    struct px_tls *tls;
    struct px_err err;
    char path[200];
    struct px_tls_config config = make_config();
    config.certificate_file = in_folder("absent.pem", path);
    CHECK(px_tls_create(&config, &tls, &err) == PX_E_INVALID && strstr(err.message, "absent.pem"));
    config = make_config();
    config.key_file = config.certificate_file;
    CHECK(px_tls_create(&config, &tls, &err) == PX_E_INVALID && strstr(err.message, "private key"));
    config = make_config();
    config.clients = PX_TLS_CLIENTS_REQUIRED;
    config.client_ca_file = config.key_file;
    CHECK(px_tls_create(&config, &tls, &err) == PX_E_INVALID && strstr(err.message, "client CA"));
    config.client_ca_file = NULL;
    CHECK(px_tls_create(&config, &tls, &err) == PX_E_INVALID && strstr(err.message, "CA file"));
    config = make_config();
    config.key_file = NULL;
    CHECK(px_tls_create(&config, &tls, &err) == PX_E_INVALID);
}

/* The folder is made for every run and removed at its end, whatever failed. */
int main(int argc, char **argv)
{
    static const struct px_test tests[] = {
        T(agrees_on_the_protocol_by_alpn) T(old_versions_are_refused)
            T(ciphers_without_forward_secrecy_are_refused) T(what_is_no_tls_fails_with_a_reason)
                T(plain_http_is_told_from_what_may_be_tls)
                    T(a_full_socket_is_waited_for_without_losing_bytes)
                        T(bytes_that_are_decrypted_but_not_read_are_pending)
                            T(a_reload_is_for_new_connections)
                                T(a_reload_that_fails_keeps_the_former_certificate)
                                    T(clients_are_verified_by_choice) T(wrong_files_are_named)};
    char command[100];
    if (!mkdtemp(folder))
        return 1;
    make_identity("server.pem", "server.key", "server");
    make_identity("client.pem", "client.key", "client");
    int failed = px_test_run_all(tests, sizeof tests / sizeof tests[0], argc > 1 ? argv[1] : NULL);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) != 0 || failed;
}
