/* SPDX-License-Identifier: Apache-2.0 */
#include "interfaces/rest/reply.h"

enum family { FAMILY_V2, FAMILY_V1, FAMILY_MLFLOW, FAMILY_OWN };

/* By the raw path, so that a request whose path could not be decoded is answered in its form too. */
static enum family family_of(struct px_str path)
{
    if (px_str_is(path, "/v2") || px_str_starts(path, "/v2/"))
        return FAMILY_V2;
    if (px_str_is(path, "/invocations"))
        return FAMILY_MLFLOW;
    return px_str_starts(path, "/v1/") ? FAMILY_V1 : FAMILY_OWN;
}

static void put_error_text(struct px_json_writer *w, const struct px_err *err)
{
    char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 4];
    px_json_member_text(w, "error", px_err_text(err, text, sizeof text));
}

/* "urn:phoenix:error:not-found" */
static void put_problem_type(struct px_json_writer *w, enum px_code code)
{
    char type[64];
    size_t n = (size_t)snprintf(type, sizeof type, "urn:phoenix:error:%s", px_code_name(code));
    for (size_t i = sizeof "urn:phoenix:error:" - 1; i < n && i < sizeof type; i++)
        type[i] = (char)(type[i] == '_' ? '-' : type[i] | 0x20);
    px_json_member_text(w, "type", type);
}

static void put_problem(struct px_json_writer *w, const struct px_err *err)
{
    put_problem_type(w, err->code);
    px_json_member_text(w, "title", px_code_text(err->code));
    px_json_key(w, "status");
    px_json_put_i64(w, px_code_http(err->code));
    px_json_member_text(w, "detail", err->message);
    px_json_member_text(w, "code", px_code_name(err->code));
    if (err->hint[0]) {
        px_json_member_text(w, "hint", err->hint);
    }
    if (err->retry_ns)
        px_json_member_u64(w, "retry_after_ms", px_err_retry_ms(err));
}

/* The names of MLflow's own protocol (ErrorCode in its databricks.proto) for what its scoring server answers. */
static const char *mlflow_code(int status)
{
    switch (status) {
    case 404:
        return "RESOURCE_DOES_NOT_EXIST";
    case 500:
        return "INTERNAL_ERROR";
    case 501:
        return "NOT_IMPLEMENTED";
    case 429:
        return "REQUEST_LIMIT_EXCEEDED";
    case 503:
        return "TEMPORARILY_UNAVAILABLE";
    case 504:
        return "DEADLINE_EXCEEDED";
    default:
        return "BAD_REQUEST";
    }
}

static void put_mlflow(struct px_json_writer *w, const struct px_err *err)
{
    char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX + 4];
    px_json_member_text(w, "error_code", mlflow_code(px_code_http(err->code)));
    px_json_member_text(w, "message", px_err_text(err, text, sizeof text));
}

void px_reply_add_header(struct px_http_exchange *exchange, const char *header)
{
    const char *before = exchange->extra_headers;
    if (!before) {
        exchange->extra_headers = header;
        return;
    }
    size_t n = strlen(before), n_header = strlen(header);
    char *both = px_arena_alloc(exchange->arena, n + n_header + 1, 1);
    if (!both)
        return;
    memcpy(both, before, n);
    memcpy(both + n, header, n_header + 1);
    exchange->extra_headers = both;
}

/* Retry-After knows whole seconds only. */
static void add_retry_after(struct px_http_exchange *exchange, const struct px_err *err)
{
    uint64_t ms = px_err_retry_ms(err);
    char text[96];
    const char *kept = NULL;
    if (err->retry_ns) {
        snprintf(text, sizeof text, "Retry-After: %llu\r\nPhoenix-Retry-After-Ms: %llu\r\n",
                 (unsigned long long)((ms + 999) / 1000), (unsigned long long)ms);
        kept = px_arena_cstr(exchange->arena, px_str(text));
    }
    px_reply_add_header(exchange, kept ? kept : "Retry-After: 1\r\n");
}

void px_reply_error(struct px_http_exchange *exchange, const struct px_err *err)
{
    enum family family = family_of(exchange->request.path);
    px_buf_clear(exchange->body);
    exchange->may_compress = false; /* clients read errors as they come */
    struct px_json_writer w = px_json_writer(exchange->body);
    px_json_begin_object(&w);
    if (family != FAMILY_V2)
        put_problem(&w, err);
    if (family == FAMILY_MLFLOW)
        put_mlflow(&w, err);
    else if (family != FAMILY_OWN)
        put_error_text(&w, err);
    px_json_end_object(&w);
    exchange->status = px_code_http(err->code);
    if (exchange->status == 429 || (exchange->status == 503 && px_code_retryable(err->code)))
        add_retry_after(exchange, err);
    if (exchange->body->failed) /* no memory even for this: the status says enough */
        px_buf_clear(exchange->body);
    exchange->content_type = family == FAMILY_V2 ? "application/json" : "application/problem+json";
    px_http_finish(exchange);
}

void px_reply_whole(struct px_http_exchange *exchange, int status, const char *content_type)
{
    exchange->status = status;
    exchange->content_type = content_type;
    /* Some clients of /v2 ask for compression of everything and understand it in inference replies only. */
    if (status == 200 && family_of(exchange->request.path) != FAMILY_V2)
        exchange->may_compress = true;
    px_http_finish(exchange);
}

void px_reply_finish(struct px_rest_request *request, int status, const char *content_type)
{
    struct px_err err;
    if (px_buf_check(request->exchange->body, "the response", &err) == PX_OK)
        px_reply_whole(request->exchange, status, content_type);
    else
        px_rest_fail(request, &err);
}

void px_reply_json(struct px_rest_request *request, int status)
{
    px_reply_finish(request, status, "application/json");
}
