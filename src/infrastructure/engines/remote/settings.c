/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/remote/settings.h"

#include "shared/clock.h"
#include "shared/file.h"
#include "shared/number.h"

#include <limits.h>

/* Numbers, by section; "" is the mapping itself. A whole one refuses fractions. */
struct number {
    const char *section, *name;
    size_t offset; /* of a double in struct px_remote_settings */
    double least, most;
    bool whole;
};

enum { DAY_MS = 86400000, GIB = 1 << 30 };

#define SETTING(section, key, member, least, most, whole)                                          \
    {                                                                                              \
        section, key, offsetof(struct px_remote_settings, member), least, most, whole              \
    }
static const struct number settings_numbers[] = {
    SETTING("", "timeout_ms", timeout_ms, 1, DAY_MS, true),
    SETTING("", "connect_timeout_ms", connect_timeout_ms, 1, DAY_MS, true),
    SETTING("", "connections_max", connections_max, 1, 10000, true),
    SETTING("", "requests_max", requests_max, 1, 100000, true),
    SETTING("", "response_bytes_max", response_bytes_max, 1024, GIB, true),
    SETTING("retries", "max", retries_max, 0, 10, true),
    SETTING("retries", "budget_percent", budget_percent, 0, 1000, false),
    SETTING("retries", "minimum_per_s", budget_minimum_per_s, 0, 1000, false),
    SETTING("hedge", "after_ms", hedge_after_ms, 0, DAY_MS, true),
    SETTING("hedge", "percentile", hedge_percentile, 0, 99.99, false),
    SETTING("health", "interval_ms", health_interval_ms, 0, DAY_MS, true),
};

static enum px_code read_number(const struct number *number, const struct px_yaml *node,
                                double *ret, struct px_err *err)
{
    struct px_str text;
    enum px_code code = px_yaml_str(node, &text, err);
    if (code != PX_OK)
        return code;
    double value;
    bool good = !node->quoted && px_str_to_f64(text, &value) && value >= number->least &&
                value <= number->most && (!number->whole || value == (double)(int64_t)value);
    if (!good)
        return px_err_set(err, PX_E_INVALID,
                          "line %u: expected a %snumber from %.*f to %.*f, got '%.*s'", node->line,
                          number->whole ? "whole " : "", number->whole ? 0 : 1, number->least,
                          number->whole ? 0 : 1, number->most, PX_STR_ARG(text));
    *ret = value;
    return PX_OK;
}

static enum px_code read_numbers(const struct px_yaml *root, struct px_remote_settings *into,
                                 struct px_err *err)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(settings_numbers); i++) {
        const struct number *number = &settings_numbers[i];
        const struct px_yaml *section =
            *number->section ? px_yaml_get(root, number->section) : root;
        const struct px_yaml *node = section ? px_yaml_get(section, number->name) : NULL;
        double *to = (double *)(void *)((char *)into + number->offset);
        if (node && read_number(number, node, to, err) != PX_OK)
            return px_err_wrap(err, "engine.%s%s%s", number->section, *number->section ? "." : "",
                               number->name);
    }
    return PX_OK;
}

static enum px_code read_breaker(const struct px_yaml *root, struct px_remote_settings *ret,
                                 struct px_err *err)
{
    const struct px_yaml *former = px_yaml_get(root, "ejection");
    if (former) {
        px_err_set(err, PX_E_UNKNOWN_OPTION,
                   "engine.ejection: line %u: expected 'breaker': it decides which server is left "
                   "out",
                   former->key_line);
        return px_err_hint(err, "consecutive_errors: 5, base_ms: 30000, max_ms: 300000 become "
                                "breaker: {failures: 5, open: 30s, open_max: 300s}; "
                                "consecutive_errors: 0 becomes breaker: off");
    }
    const struct px_yaml *node = px_yaml_get(root, "breaker");
    if (px_model_breaker_read(node, &ret->breaker, err) != PX_OK)
        return px_err_wrap(err, "engine.breaker");
    ret->breaker.is_on |= !node;
    return PX_OK;
}

/* ---- texts ---- */

/* A C string for libcurl: printable, because a line end in a header would be another header. */
static enum px_code check_printable(const struct px_yaml *node, struct px_str text,
                                    struct px_err *err)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7F)
            return px_err_set(err, PX_E_INVALID, "line %u: a control character is not allowed here",
                              node->line);
    }
    return PX_OK;
}

static enum px_code read_text(const struct px_yaml *node, struct px_str *ret, struct px_err *err)
{
    enum px_code code = px_yaml_str(node, ret, err);
    return code == PX_OK ? check_printable(node, *ret, err) : code;
}

struct scheme {
    const char *prefix, *base;
    bool grpc, tls;
};

static const struct scheme schemes[] = {
    {"http://", "http://", false, false},
    {"https://", "https://", false, true},
    {"grpc://", "http://", true, false},
    {"grpcs://", "https://", true, true},
};

static bool is_plain_host(struct px_str rest, bool path_allowed)
{
    size_t host_len = px_str_find(rest, '/');
    if (host_len == 0 || (!path_allowed && host_len < rest.len))
        return false;
    for (size_t i = 0; i < rest.len; i++) {
        if (strchr(" \t?#@\\\"<>", rest.ptr[i]))
            return false;
    }
    return true;
}

static enum px_code read_url(const struct px_yaml *node, struct px_arena *arena,
                             struct px_remote_url *ret, struct px_err *err)
{
    struct px_str text;
    enum px_code code = read_text(node, &text, err);
    if (code != PX_OK)
        return code;
    for (size_t i = 0; i < PX_ARRAY_LEN(schemes); i++) {
        const struct scheme *s = &schemes[i];
        size_t skip = strlen(s->prefix);
        if (!px_str_starts(text, s->prefix))
            continue;
        struct px_str rest = px_str_n(text.ptr + skip, text.len - skip);
        while (rest.len && rest.ptr[rest.len - 1] == '/')
            rest.len--;
        if (!is_plain_host(rest, !s->grpc) || text.len > PX_REMOTE_URL_MAX)
            break;
        char base[PX_REMOTE_URL_MAX + 16];
        snprintf(base, sizeof base, "%s%.*s", s->base, (int)rest.len, rest.ptr);
        *ret = (struct px_remote_url){px_arena_str(arena, text), px_arena_cstr(arena, px_str(base)),
                                      s->grpc, s->tls};
        return PX_OK;
    }
    px_err_set(err, PX_E_INVALID, "line %u: expected a URL, got '%.*s'", node->line,
               PX_STR_ARG(text));
    return px_err_hint(err, "http://HOST:PORT, https://HOST:PORT/BASE, grpc://HOST:PORT or "
                            "grpcs://HOST:PORT");
}

/*
 * One port that speaks both is asked by one of them: libcurl's connections are known by host and port alone, so that a request of
 * gRPC would go out on a connection of HTTP/1.1.
 */
static enum px_code check_ports(const struct px_remote_settings *s, struct px_err *err)
{
    for (size_t i = 0; i < s->n_urls; i++) {
        for (size_t k = 0; k < i; k++) {
            const char *a = s->urls[i].base, *b = s->urls[k].base;
            size_t scheme = strlen("https://"), n = scheme + strcspn(a + scheme, "/");
            bool same = strncmp(a, b, n) == 0 && (b[n] == '\0' || b[n] == '/');
            if (same && s->urls[i].grpc == s->urls[k].grpc && strcmp(a, b) == 0)
                return px_err_set(err, PX_E_INVALID, "engine.urls: '%.*s' is listed twice",
                                  PX_STR_ARG(s->urls[i].text));
            if (same && s->urls[i].grpc != s->urls[k].grpc)
                return px_err_set(err, PX_E_INVALID,
                                  "engine.urls: '%.*s' and '%.*s' are one port: list one of them",
                                  PX_STR_ARG(s->urls[i].text), PX_STR_ARG(s->urls[k].text));
        }
    }
    return PX_OK;
}

static enum px_code read_urls(const struct px_yaml *root, struct px_arena *arena,
                              struct px_remote_settings *ret, struct px_err *err)
{
    const struct px_yaml *node = px_yaml_get(root, "urls");
    if (!node || (node->type == PX_YAML_SEQUENCE && node->n_children == 0)) {
        px_err_set(err, PX_E_INVALID, "engine.urls: expected at least one server");
        return px_err_hint(err, "urls: [http://HOST:PORT]");
    }
    if (node->type == PX_YAML_SEQUENCE && node->n_children > PX_ENDPOINTS_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "engine.urls: at most %d servers, got %zu",
                          (int)PX_ENDPOINTS_MAX, node->n_children);
    const struct px_yaml *first = node->type == PX_YAML_SEQUENCE ? node->first_child : node;
    for (const struct px_yaml *at = first; at; at = at == node ? NULL : at->next) {
        if (read_url(at, arena, &ret->urls[ret->n_urls++], err) != PX_OK)
            return px_err_wrap(err, "engine.urls");
    }
    return check_ports(ret, err);
}

static bool is_token(struct px_str name)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || !strchr(others, c)))
            return false;
    }
    return name.len > 0;
}

/* Those that the engine itself sets, in any case. */
static bool is_ours(struct px_str name)
{
    static const char *const ours[] = {
        "content-type", "content-length",    "te",
        "expect",       "transfer-encoding", "inference-header-content-length",
        "grpc-timeout", "grpc-encoding",     "connection"};
    for (size_t i = 0; i < PX_ARRAY_LEN(ours); i++) {
        if (px_str_eq_nocase(name, px_str(ours[i])))
            return true;
    }
    return false;
}

static enum px_code read_headers(const struct px_yaml *root, struct px_arena *arena,
                                 struct px_remote_settings *ret, struct px_err *err)
{
    const struct px_yaml *node = px_yaml_get(root, "headers");
    if (!node)
        return PX_OK;
    if (node->type != PX_YAML_MAPPING || node->n_children > PX_REMOTE_HEADERS_MAX)
        return px_err_set(err, PX_E_INVALID,
                          "engine.headers: line %u: expected a mapping of at most %d headers",
                          node->line, (int)PX_REMOTE_HEADERS_MAX);
    for (const struct px_yaml *at = node->first_child; at; at = at->next) {
        struct px_str value;
        if (read_text(at, &value, err) != PX_OK)
            return px_err_wrap(err, "engine.headers");
        if (!is_token(at->key) || is_ours(at->key))
            return px_err_set(err, PX_E_INVALID,
                              "engine.headers: line %u: '%.*s' cannot be set as a header",
                              at->key_line, PX_STR_ARG(at->key));
        struct px_buf line = px_buf(1 << 14);
        px_buf_str(&line, at->key);
        px_buf_text(&line, value.len ? ": " : ";"); /* libcurl sends a header without value so */
        px_buf_str(&line, value);
        enum px_code code = px_buf_check(&line, "a header", err);
        ret->headers[ret->n_headers++] = px_arena_cstr(arena, px_buf_view(&line));
        px_buf_deinit(&line);
        if (code != PX_OK)
            return px_err_wrap(err, "engine.headers");
    }
    return PX_OK;
}

/*
 * A relative path stays inside the package. It is kept as it was written: where certificates are renewed by turning a link, as Kubernetes does,
 * what the link leads to now is soon gone.
 */
static enum px_code read_file(const struct px_yaml *tls, const char *key, struct px_str folder,
                              struct px_arena *arena, const char **ret, struct px_err *err)
{
    const struct px_yaml *node = px_yaml_get(tls, key);
    struct px_str text;
    if (!node)
        return PX_OK;
    if (read_text(node, &text, err) != PX_OK)
        return px_err_wrap(err, "engine.tls.%s", key);
    bool beside = folder.len > 0 && !px_str_starts(text, "/");
    char inside[PATH_MAX];
    if (beside && px_file_resolve_inside(folder, text, inside, err) != PX_OK) {
        px_err_wrap(err, "engine.tls.%s", key);
        return px_err_hint(err, "put it into the package, or name it by its absolute path");
    }
    char *path = px_arena_alloc(arena, folder.len + text.len + 2, 1);
    if (!path)
        return px_arena_check(arena, "the engine's settings", err);
    snprintf(path, folder.len + text.len + 2, "%.*s%s%.*s", beside ? (int)folder.len : 0,
             beside ? folder.ptr : "", beside ? "/" : "", PX_STR_ARG(text));
    *ret = path;
    return PX_OK;
}

static enum px_code read_tls(const struct px_yaml *root, struct px_str folder,
                             struct px_arena *arena, struct px_remote_settings *ret,
                             struct px_err *err)
{
    const struct px_yaml *tls = px_yaml_get(root, "tls");
    if (!tls)
        return PX_OK;
    if (!px_yaml_get(tls, "cert") != !px_yaml_get(tls, "key"))
        return px_err_set(err, PX_E_INVALID, "engine.tls: cert and key come together");
    enum px_code code = read_file(tls, "ca", folder, arena, &ret->ca, err);
    if (code == PX_OK)
        code = read_file(tls, "cert", folder, arena, &ret->cert, err);
    if (code == PX_OK)
        code = read_file(tls, "key", folder, arena, &ret->key, err);
    return code;
}

static enum px_code read_names(const struct px_yaml *root, struct px_arena *arena,
                               struct px_remote_settings *ret, struct px_err *err)
{
    const struct px_yaml *model = px_yaml_get(root, "model"),
                         *version = px_yaml_get(root, "version"),
                         *balance = px_yaml_get(root, "balance"),
                         *health = px_yaml_get(root, "health"),
                         *path = health ? px_yaml_get(health, "path") : NULL;
    struct px_str text;
    if (!model)
        return px_err_set(err, PX_E_INVALID,
                          "engine.model: expected the name that the peers serve");
    if (read_text(model, &text, err) != PX_OK)
        return px_err_wrap(err, "engine.model");
    ret->model = px_arena_str(arena, text);
    if (text.len == 0)
        return px_err_set(err, PX_E_INVALID, "engine.model: line %u: the name is empty",
                          model->line);
    if (version && read_text(version, &text, err) != PX_OK)
        return px_err_wrap(err, "engine.version");
    ret->version = version ? px_arena_str(arena, text) : (struct px_str){NULL, 0};
    if (path && read_text(path, &text, err) != PX_OK)
        return px_err_wrap(err, "engine.health.path");
    if (path && !px_str_starts(text, "/"))
        return px_err_set(err, PX_E_INVALID,
                          "engine.health.path: line %u: expected a path that "
                          "begins with '/'",
                          path->line);
    ret->health_path = path ? px_arena_cstr(arena, text) : NULL;
    if (!balance)
        return PX_OK;
    if (read_text(balance, &text, err) != PX_OK)
        return px_err_wrap(err, "engine.balance");
    ret->balance = PX_BALANCE_LEAST_OUTSTANDING;
    if (px_str_is(text, "power_of_two"))
        ret->balance = PX_BALANCE_POWER_OF_TWO;
    else if (!px_str_is(text, "least_outstanding"))
        return px_err_set(err, PX_E_INVALID,
                          "engine.balance: line %u: expected power_of_two or least_outstanding, "
                          "got '%.*s'",
                          balance->line, PX_STR_ARG(text));
    return PX_OK;
}

/* ---- the whole ---- */

struct known_keys {
    const char *section;
    struct px_str keys[17];
};

static const struct known_keys known[] = {
    {"",
     {PX_STR("name"), PX_STR("urls"), PX_STR("model"), PX_STR("version"), PX_STR("timeout_ms"),
      PX_STR("connect_timeout_ms"), PX_STR("connections_max"), PX_STR("requests_max"),
      PX_STR("response_bytes_max"), PX_STR("retries"), PX_STR("hedge"), PX_STR("health"),
      PX_STR("balance"), PX_STR("breaker"), PX_STR("headers"), PX_STR("tls")}},
    {"retries", {PX_STR("max"), PX_STR("budget_percent"), PX_STR("minimum_per_s")}},
    {"hedge", {PX_STR("after_ms"), PX_STR("percentile")}},
    {"health", {PX_STR("interval_ms"), PX_STR("path")}},
    {"tls", {PX_STR("ca"), PX_STR("cert"), PX_STR("key")}},
};

static enum px_code check_keys(const struct px_yaml *root, struct px_err *err)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(known); i++) {
        bool inner = *known[i].section != '\0';
        const struct px_yaml *node = inner ? px_yaml_get(root, known[i].section) : root;
        size_t n = 0;
        while (known[i].keys[n].len)
            n++;
        if (node && node->type != PX_YAML_MAPPING)
            return px_err_set(err, PX_E_INVALID, "engine.%s: line %u: expected a mapping",
                              known[i].section, node->line);
        if (node && px_yaml_only(node, known[i].keys, n, err) != PX_OK)
            return px_err_wrap(err, "engine%s%s", inner ? "." : "", known[i].section);
    }
    return PX_OK;
}

enum px_code px_remote_settings_read(const struct px_yaml *yaml, struct px_str folder,
                                     struct px_arena *arena, struct px_remote_settings *ret,
                                     struct px_err *err)
{
    *ret = (struct px_remote_settings){
        .timeout_ms = 30000,
        .connect_timeout_ms = 1000,
        .connections_max = 64,
        .requests_max = 1000,
        .response_bytes_max = 64 << 20,
        .retries_max = 2,
        .budget_percent = 20,
        .budget_minimum_per_s = 3,
        .health_interval_ms = 5000,
        .balance = PX_BALANCE_POWER_OF_TWO,
    };
    if (!yaml || yaml->type != PX_YAML_MAPPING) {
        px_err_set(err, PX_E_INVALID, "the engine remote needs settings");
        return px_err_hint(err, "engine: {name: remote, urls: [http://HOST:PORT], model: NAME}");
    }
    enum px_code code = read_breaker(yaml, ret, err);
    if (code == PX_OK)
        code = check_keys(yaml, err);
    if (code == PX_OK)
        code = read_urls(yaml, arena, ret, err);
    if (code == PX_OK)
        code = read_names(yaml, arena, ret, err);
    if (code == PX_OK)
        code = read_numbers(yaml, ret, err);
    if (code == PX_OK)
        code = read_headers(yaml, arena, ret, err);
    if (code == PX_OK)
        code = read_tls(yaml, folder, arena, ret, err);
    return code == PX_OK ? px_arena_check(arena, "the engine's settings", err) : code;
}
