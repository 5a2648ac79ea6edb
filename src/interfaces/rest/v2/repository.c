/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Triton's model repository extension: index, load and unload.
 *
 * The exchange is deferred until the repository answers on this loop. What the repository works on is its own copy, so
 * nothing here outlives the exchange, and a client that has gone changes nothing.
 */
#include "application/serving/repository.h"
#include "interfaces/rest/inference.h"
#include "interfaces/rest/reply.h"

static void put_entry(struct px_json_writer *w, const struct px_repository_entry *entry)
{
    px_json_begin_object(w);
    px_json_member_str(w, "name", entry->name);
    px_json_member_str(w, "version", entry->version);
    px_json_member_text(w, "state", entry->state);
    if (entry->reason.len) {
        px_json_member_str(w, "reason", entry->reason);
    }
    px_json_end_object(w);
}

static void reply_index(struct px_repository_request *repository)
{
    struct px_rest_request *request = repository->owner;
    if (repository->code != PX_OK) {
        px_rest_fail(request, &repository->err);
        return;
    }
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_array(&w);
    for (size_t i = 0; i < repository->n_entries; i++)
        put_entry(&w, &repository->entries[i]);
    px_json_end_array(&w);
    px_reply_json(request, 200);
}

/* Triton's success is an empty body. */
static void reply_done(struct px_repository_request *repository)
{
    struct px_rest_request *request = repository->owner;
    if (repository->code == PX_OK)
        px_reply_finish(request, 200, NULL);
    else
        px_rest_fail(request, &repository->err);
}

/*
 * The bytes of a JSON string that may be as long as a model file: only one with escapes is decoded, and that must be
 * within the reader's limit of a string.
 */
static struct px_str read_text(struct px_json *json, struct px_arena *arena)
{
    struct px_str raw = px_json_raw(json);
    if (px_json_failed(json) || raw.len < 2)
        return (struct px_str){0};
    struct px_str text = px_str_n(raw.ptr + 1, raw.len - 2);
    if (px_str_find(text, '\\') == text.len)
        return text;
    struct px_json inner;
    px_json_init(&inner, raw, arena, 0);
    text = px_json_str(&inner);
    if (px_json_failed(&inner))
        px_json_fail(json, "expected a text with escapes of at most %d bytes", PX_JSON_STRING_MAX);
    return text;
}

static enum px_code read_parameter(struct px_repository_request *repository, struct px_json *json,
                                   struct px_arena *arena, struct px_str key, struct px_err *err)
{
    struct px_repository_value value = {0};
    switch (px_json_peek(json)) {
    case PX_JSON_STRING:
        value.type = PX_REPOSITORY_TEXT;
        value.text = read_text(json, arena);
        break;
    case PX_JSON_BOOL:
        value.type = PX_REPOSITORY_BOOL;
        value.boolean = px_json_bool(json);
        break;
    case PX_JSON_NUMBER:
        value.type = PX_REPOSITORY_INT;
        value.integer = px_json_i64(json);
        break;
    case PX_JSON_NONE:
    case PX_JSON_NULL:
    case PX_JSON_ARRAY:
    case PX_JSON_OBJECT:
        px_json_fail(json, "expected text, a number or a boolean for parameter '%.*s'",
                     PX_STR_ARG(key));
    }
    enum px_code code = px_json_check(json, err);
    return code == PX_OK ? px_repository_add_parameter(repository, key, &value, err) : code;
}

static enum px_code read_parameters(struct px_repository_request *repository, struct px_json *json,
                                    struct px_arena *arena, struct px_err *err)
{
    struct px_str key;
    px_json_enter_object(json);
    while (px_json_next_key(json, &key)) {
        enum px_code code = read_parameter(repository, json, arena, key, err);
        if (code != PX_OK)
            return code;
    }
    return px_json_check(json, err);
}

/* The body may be empty; members that are not known are passed over, as Triton does. */
static enum px_code read_body(struct px_repository_request *repository,
                              struct px_http_exchange *exchange, struct px_err *err)
{
    struct px_json json;
    struct px_str key;
    enum px_code code = px_check_encoding(exchange, PX_E_UNSUPPORTED, err);
    if (code != PX_OK || exchange->request.body.len == 0)
        return code;
    px_json_init(&json, exchange->request.body, exchange->arena, 0);
    px_json_enter_object(&json);
    while (px_json_next_key(&json, &key)) {
        if (px_str_is(key, "ready") && repository->action == PX_REPOSITORY_INDEX)
            repository->ready_only = px_json_bool(&json);
        else if (px_str_is(key, "parameters") && repository->action != PX_REPOSITORY_INDEX)
            code = read_parameters(repository, &json, exchange->arena, err);
        else
            px_json_skip(&json);
        if (code != PX_OK)
            return code;
    }
    return px_json_finish(&json, err);
}

static void ask(struct px_rest_request *request, enum px_repository_action action,
                void (*done)(struct px_repository_request *repository))
{
    struct px_http_exchange *exchange = request->exchange;
    /* Deferred, so it needs a place of its own; exchange->state is of inferences (inference.h). */
    struct px_rest_request *waiting = px_arena_alloc(exchange->arena, 1, sizeof *waiting);
    struct px_repository_request *repository =
        waiting ? px_repository_request_create(action) : NULL;
    struct px_err err;
    if (!repository) {
        px_err_set(&err, PX_E_NO_MEMORY, "no memory for the request");
        px_rest_fail(request, &err);
        return;
    }
    repository->name = request->args[0];
    repository->loop = exchange->loop;
    repository->done = done;
    repository->owner = waiting;
    *waiting = *request;
    if (read_body(repository, exchange, &err) != PX_OK) {
        px_repository_request_free(repository);
        px_rest_fail(request, &err);
        return;
    }
    if (px_repository_submit(request->rest->settings.serving, repository, &err) == PX_OK)
        px_http_defer(exchange);
    else
        px_rest_fail(request, &err);
}

void px_handle_v2_repository_index(struct px_rest_request *request)
{
    ask(request, PX_REPOSITORY_INDEX, reply_index);
}

void px_handle_v2_repository_load(struct px_rest_request *request)
{
    ask(request, PX_REPOSITORY_LOAD, reply_done);
}

void px_handle_v2_repository_unload(struct px_rest_request *request)
{
    ask(request, PX_REPOSITORY_UNLOAD, reply_done);
}

static void refuse_named(struct px_rest_request *request)
{
    struct px_err err;
    px_err_set(&err, PX_E_UNSUPPORTED, "'repository_name' specification is not supported");
    px_err_hint(&err, "there is one repository: /v2/repository/index and /v2/repository/models");
    px_rest_fail(request, &err);
}

void px_handle_v2_named_index(struct px_rest_request *request)
{
    refuse_named(request);
}

void px_handle_v2_named_load(struct px_rest_request *request)
{
    refuse_named(request);
}

void px_handle_v2_named_unload(struct px_rest_request *request)
{
    refuse_named(request);
}
