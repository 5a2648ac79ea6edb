/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of the server, and reading their file again. The exchange is deferred until the thread of the settings
 * answers (application/config/live.h); what it answers with is copied there, so nothing here outlives the exchange.
 */
#include "application/config/live.h"
#include "application/serving/repository.h"
#include "interfaces/rest/operations/api.h"
#include "interfaces/rest/reply.h"

/* Who may not control the server need not know where its files are. */
static bool shows_paths(const struct px_rest_request *request)
{
    struct px_err err;
    return px_serving_check_control(request->rest->settings.serving, "seeing paths", &err) == PX_OK;
}

/* "file": its path, or null. */
static void put_path(struct px_json_writer *w, struct px_str path)
{
    px_json_key(w, "file");
    if (path.len)
        px_json_put_str(w, path);
    else
        px_json_put_null(w);
}

static void put_setting(struct px_json_writer *w, const struct px_live_setting *setting,
                        bool with_paths)
{
    bool is_hidden = !with_paths && setting->value.len && strcmp(setting->key->unit, "path") == 0;
    px_json_begin_object(w);
    px_json_member_text(w, "key", setting->key->name);
    px_json_member_str(w, "value", is_hidden ? px_str("(hidden)") : setting->value);
    px_json_member_text(w, "origin", px_config_origin_name(setting->origin));
    px_json_member_text(w, "default", setting->key->def);
    px_json_member_text(w, "unit", setting->key->unit);
    px_json_member_bool(w, "live", setting->key->is_live);
    px_json_end_object(w);
}

static void reply_settings(struct px_live_request *live)
{
    struct px_rest_request *request = live->owner;
    struct px_json_writer w = px_json_writer(request->exchange->body);
    bool with_paths = shows_paths(request);
    px_json_begin_object(&w);
    put_path(&w, with_paths ? live->path : (struct px_str){0});
    px_json_key(&w, "settings");
    px_json_begin_array(&w);
    for (size_t i = 0; i < live->n_settings; i++)
        put_setting(&w, &live->settings[i], with_paths);
    px_json_end_array(&w);
    px_json_end_object(&w);
    px_reply_json(request, 200);
}

static void put_change(struct px_json_writer *w, const struct px_live_change *change)
{
    px_json_begin_object(w);
    px_json_member_text(w, "key", change->key->name);
    px_json_member_str(w, "from", change->from);
    px_json_member_str(w, "to", change->to);
    px_json_end_object(w);
}

static void reply_changes(struct px_live_request *live)
{
    struct px_rest_request *request = live->owner;
    struct px_json_writer w = px_json_writer(request->exchange->body);
    px_json_begin_object(&w);
    put_path(&w, live->path);
    px_json_key(&w, "changes");
    px_json_begin_array(&w);
    for (size_t i = 0; i < live->n_changes; i++)
        put_change(&w, &live->changes[i]);
    px_json_end_array(&w);
    px_json_end_object(&w);
    px_reply_json(request, 200);
}

static void reply(struct px_live_request *live)
{
    if (live->code != PX_OK)
        px_rest_fail(live->owner, &live->err);
    else if (live->action == PX_LIVE_RELOAD)
        reply_changes(live);
    else
        reply_settings(live);
}

static enum px_code submit(struct px_rest_request *request, enum px_live_action action,
                           struct px_err *err)
{
    struct px_http_exchange *exchange = request->exchange;
    struct px_live_config *config = request->rest->settings.live_config;
    if (!config)
        return px_err_set(err, PX_E_UNAVAILABLE, "this server does not tell its settings");
    struct px_rest_request *waiting = px_arena_alloc(exchange->arena, 1, sizeof *waiting);
    struct px_live_request *live = waiting ? px_live_request_create(action) : NULL;
    if (!live)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the request");
    *waiting = *request;
    live->loop = exchange->loop;
    live->done = reply;
    live->owner = waiting;
    return px_live_config_submit(config, live, err);
}

static void ask(struct px_rest_request *request, enum px_live_action action)
{
    struct px_err err;
    if (submit(request, action, &err) == PX_OK)
        px_http_defer(request->exchange);
    else
        px_rest_fail(request, &err);
}

void px_handle_api_config(struct px_rest_request *request)
{
    ask(request, PX_LIVE_SHOW);
}

void px_handle_api_config_reload(struct px_rest_request *request)
{
    struct px_err err;
    struct px_serving *serving = request->rest->settings.serving;
    if (px_serving_check_control(serving, "reloading the configuration", &err) == PX_OK)
        ask(request, PX_LIVE_RELOAD);
    else
        px_rest_fail(request, &err);
}
