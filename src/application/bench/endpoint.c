/* SPDX-License-Identifier: Apache-2.0 */
#include "application/bench/endpoint.h"

#include "shared/buf.h"

enum { PATH_MAX_BYTES = 4 << 10 };

static const char infer_end[] = "/infer", predict_end[] = ":predict";

const char *px_bench_protocol_name(enum px_bench_protocol protocol)
{
    switch (protocol) {
    case PX_BENCH_V2:
        return "v2";
    case PX_BENCH_V1:
        return "v1";
    case PX_BENCH_RAW:
        break;
    }
    return "raw";
}

bool px_endpoint_is_url(struct px_str text)
{
    return px_str_starts(text, "http://") || px_str_starts(text, "https://");
}

static enum px_code bad_url(struct px_str url, struct px_err *err)
{
    px_err_set(err, PX_E_INVALID, "expected a URL like http://127.0.0.1:8080, got '%.*s'",
               PX_STR_ARG(url));
    return px_err_hint(err, "or a full one such as http://HOST:PORT/v2/models/NAME/infer");
}

/* "host", "host:port", "[::1]:port" */
static bool parse_authority(struct px_str text, struct px_load_address *ret)
{
    struct px_str host = text, port = {0};
    uint64_t number = 80;
    if (text.len && text.ptr[0] == '[') {
        size_t end = px_str_find(text, ']');
        if (end == text.len)
            return false;
        host = px_str_n(text.ptr + 1, end - 1);
        port = px_str_n(text.ptr + end + 1, text.len - end - 1);
        if (port.len && port.ptr[0] != ':')
            return false;
    } else {
        size_t colon = px_str_find(text, ':');
        host = px_str_n(text.ptr, colon);
        port = px_str_n(text.ptr + colon, text.len - colon);
    }
    if (port.len && !px_str_to_u64(px_str_n(port.ptr + 1, port.len - 1), &number))
        return false;
    if (host.len == 0 || host.len >= sizeof ret->host || number == 0 || number > UINT16_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        if ((unsigned char)host.ptr[i] <= 0x20 || strchr("@/?#\\", host.ptr[i]))
            return false;
    }
    memcpy(ret->host, host.ptr, host.len);
    ret->host[host.len] = '\0';
    ret->port = (uint16_t)number;
    return true;
}

/* What may stand in a request's path as it is. */
static bool is_path(struct px_str path)
{
    for (size_t i = 0; i < path.len; i++) {
        unsigned char byte = (unsigned char)path.ptr[i];
        if (byte <= 0x20 || byte >= 0x7F)
            return false;
    }
    return true;
}

static struct px_str without_end(struct px_str s, size_t n)
{
    return px_str_n(s.ptr, s.len - n);
}

/* Where `part` begins in `s`, or s.len. */
static size_t find_part(struct px_str s, const char *part)
{
    const char *at = s.len ? memmem(s.ptr, s.len, part, strlen(part)) : NULL;
    return at ? (size_t)(at - s.ptr) : s.len;
}

/* A model's name as a part of a path; '/' stays, for NAME/versions/N. */
static void put_encoded(struct px_buf *out, struct px_str name)
{
    static const char plain[] = "-._~/";
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (letter || (c && strchr(plain, c)))
            px_buf_byte(out, c);
        else
            px_buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

static struct px_str without_version(struct px_str name)
{
    return px_str_n(name.ptr, find_part(name, "/versions/"));
}

/* base + prefix + name + end, in the arena. */
static struct px_str join_path(struct px_arena *arena, struct px_str base, const char *prefix,
                               struct px_str name, const char *end)
{
    char memory[PATH_MAX_BYTES];
    struct px_buf path = px_buf_fixed(memory, sizeof memory);
    px_buf_str(&path, base);
    px_buf_text(&path, prefix);
    put_encoded(&path, name);
    px_buf_text(&path, end);
    return path.failed ? (struct px_str){0} : px_arena_str(arena, px_buf_view(&path));
}

/* A URL without an inference path: the model's name makes one. */
static enum px_code from_model(struct px_endpoint *e, struct px_str path,
                               const struct px_endpoint_options *options, struct px_arena *arena,
                               struct px_err *err)
{
    while (path.len && path.ptr[path.len - 1] == '/')
        path.len--;
    if (options->model.len == 0) {
        px_err_set(err, PX_E_INVALID, "the URL names no model");
        return px_err_hint(err, "give --model NAME, or a path such as /v2/models/NAME/infer");
    }
    bool v1 = options->protocol == PX_BENCH_V1;
    e->protocol = v1 ? PX_BENCH_V1 : PX_BENCH_V2;
    e->base = px_arena_str(arena, path);
    e->model = px_arena_str(arena, without_version(options->model));
    e->path = join_path(arena, path, v1 ? "/v1/models/" : "/v2/models/", options->model,
                        v1 ? predict_end : infer_end);
    e->metadata_path = join_path(arena, path, "/v2/models/", options->model, "");
    if (e->path.len == 0 || e->metadata_path.len == 0)
        return px_err_set(err, PX_E_INVALID, "the path of the model is longer than %d bytes",
                          PATH_MAX_BYTES);
    return PX_OK;
}

/* NAME or NAME/versions/N, as it stands in a path. */
static bool is_model_part(struct px_str name)
{
    struct px_str version = name, model = px_str_cut(&version, '/');
    if (model.len == 0 || !version.ptr)
        return model.len && px_str_find(model, '?') == model.len;
    struct px_str word = px_str_cut(&version, '/');
    return px_str_is(word, "versions") && version.len && px_str_find(version, '/') == version.len;
}

/* "/base/v2/models/NAME", the path of a model's metadata: completed to that of inference. */
static struct px_str complete(struct px_str path, struct px_arena *arena)
{
    static const char *const forms[][2] = {{"/v2/models/", infer_end},
                                           {"/v1/models/", predict_end}};
    while (path.len && path.ptr[path.len - 1] == '/')
        path.len--;
    for (size_t i = 0; i < PX_ARRAY_LEN(forms); i++) {
        size_t at = find_part(path, forms[i][0]), start = at + strlen(forms[i][0]);
        if (at == path.len || px_str_ends(path, forms[i][1]) ||
            !is_model_part(px_str_n(path.ptr + start, path.len - start)))
            continue;
        char memory[PATH_MAX_BYTES];
        struct px_buf whole = px_buf_fixed(memory, sizeof memory);
        px_buf_str(&whole, path);
        px_buf_text(&whole, forms[i][1]);
        return whole.failed ? path : px_arena_str(arena, px_buf_view(&whole));
    }
    return path;
}

/* "/base/v2/models/NAME/infer": cuts it into its parts; false when it is no such path. */
static bool from_path(struct px_endpoint *e, struct px_str path, struct px_arena *arena)
{
    static const struct {
        enum px_bench_protocol protocol;
        const char *prefix, *end;
    } forms[] = {{PX_BENCH_V2, "/v2/models/", infer_end},
                 {PX_BENCH_V1, "/v1/models/", predict_end}};
    struct px_str bare = px_str_n(path.ptr, px_str_find(path, '?'));
    for (size_t i = 0; i < PX_ARRAY_LEN(forms); i++) {
        size_t at = find_part(bare, forms[i].prefix), prefix = strlen(forms[i].prefix);
        if (!px_str_ends(bare, forms[i].end) || at == bare.len ||
            bare.len <= at + prefix + strlen(forms[i].end))
            continue;
        struct px_str name = px_str_n(bare.ptr + at + prefix, bare.len - at - prefix);
        name = without_end(name, strlen(forms[i].end));
        e->protocol = forms[i].protocol;
        e->base = px_arena_str(arena, px_str_n(bare.ptr, at));
        e->model = px_arena_str(arena, without_version(name));
        e->path = px_arena_str(arena, path);
        char memory[PATH_MAX_BYTES];
        struct px_buf metadata = px_buf_fixed(memory, sizeof memory);
        px_buf_printf(&metadata, "%.*s/v2/models/", (int)at, bare.ptr);
        px_buf_str(&metadata, name);
        e->metadata_path = px_arena_str(arena, px_buf_view(&metadata));
        return !metadata.failed;
    }
    return false;
}

static enum px_code parse_path(struct px_endpoint *e, struct px_str path,
                               const struct px_endpoint_options *options, struct px_arena *arena,
                               struct px_err *err)
{
    if (!options->has_body) /* a body of one's own goes where the URL says */
        path = complete(path, arena);
    if (from_path(e, path, arena)) {
        if (options->model.len)
            return px_err_set(err, PX_E_INVALID,
                              "the URL names the model '%.*s' already: leave --model out",
                              PX_STR_ARG(e->model));
        if (options->protocol != PX_BENCH_RAW && options->protocol != e->protocol)
            return px_err_set(err, PX_E_INVALID, "the URL's path is %s, --protocol says %s",
                              px_bench_protocol_name(e->protocol),
                              px_bench_protocol_name(options->protocol));
        return PX_OK;
    }
    if (options->model.len || !options->has_body)
        return from_model(e, path, options, arena, err);
    e->protocol = PX_BENCH_RAW;
    e->path = path.len ? px_arena_str(arena, path) : px_str("/");
    return PX_OK;
}

enum px_code px_endpoint_parse(struct px_endpoint *endpoint, struct px_str url,
                               const struct px_endpoint_options *options, struct px_arena *arena,
                               struct px_err *err)
{
    static const char scheme[] = "http://";
    *endpoint = (struct px_endpoint){0};
    if (px_str_starts(url, "https://")) {
        px_err_set(err, PX_E_UNSUPPORTED, "https is not spoken by this client");
        return px_err_hint(err, "measure behind the TLS proxy, at the server's own http port");
    }
    if (!px_str_starts(url, scheme) || !is_path(url))
        return bad_url(url, err);
    struct px_str rest = px_str_n(url.ptr + strlen(scheme), url.len - strlen(scheme));
    size_t slash = px_str_find(rest, '/');
    struct px_str path = px_str_n(rest.ptr + slash, rest.len - slash);
    if (!parse_authority(px_str_n(rest.ptr, slash), &endpoint->address) ||
        px_str_find(path, '#') < path.len)
        return bad_url(url, err);
    enum px_code code = parse_path(endpoint, path, options, arena, err);
    return code == PX_OK ? px_arena_check(arena, "the URL", err) : code;
}
