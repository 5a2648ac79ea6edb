/* SPDX-License-Identifier: Apache-2.0 */
/* What the settings mean for the parts of a server; and whether they can hold. */
#include "server.h"
#include "server_process.h"

#include "shared/file.h"
#include "shared/log.h"

#include <libgen.h>
#include <limits.h>

/* On the loop's thread. The cores were there when the server started, so a refusal is a surprise and no reason to stop. */
static void bind_loop(void *context, unsigned loop)
{
    const struct px_server *server = context;
    struct px_err err;
    if (px_pinning_apply(&server->pinning, loop, &err) != PX_OK)
        px_log_err(PX_LOG_ERROR, "loop.not_bound", &err);
}

struct px_net_config px_server_net_config(struct px_server *server, const struct px_config *config)
{
    return (struct px_net_config){
        .endpoints = server->listening.endpoints,
        .inherited = &server->inherited,
        .tls = server->listening.tls,
        .coders = server->faces.coders,
        .n_loops = (unsigned)server->config->server_threads,
        .header_bytes_max = (size_t)config->server_header_bytes_max,
        .body_bytes_max = (size_t)config->server_body_bytes_max,
        .arena_bytes_max = (size_t)config->serving_request_memory_max,
        .connections_max = (unsigned)config->server_connections_max,
        .streams_max = (unsigned)config->server_http2_streams_max,
        .header_timeout_ms = (unsigned)config->server_header_timeout_ms,
        .body_timeout_ms = (unsigned)config->server_body_timeout_ms,
        .idle_timeout_ms = (unsigned)config->server_idle_timeout_ms,
        .write_timeout_ms = (unsigned)config->server_write_timeout_ms,
        .begins = bind_loop,
        .context = server,
    };
}

bool px_server_wants_shared_memory(const struct px_config *config,
                                   const struct px_listening *listening)
{
    struct px_str wanted = config->server_shared_memory;
    return px_str_is(wanted, "on") ||
           (px_str_is(wanted, "auto") && px_listening_is_local(listening));
}

bool px_server_may_control(const struct px_config *config, const struct px_listening *listening)
{
    if (px_str_is(config->serving_model_control, "auto"))
        return px_listening_is_local(listening);
    return px_str_is(config->serving_model_control, "explicit");
}

/*
 * What `auto` has opened because only this machine reaches the server: a browser on it does too, so hosts are looked
 * at (interfaces/rest/guard.c). Behind Unix sockets alone no browser comes.
 */
static bool needs_local_host(struct px_str setting, const struct px_listening *listening)
{
    bool has_port = false;
    for (size_t i = 0; i < listening->endpoints.n; i++)
        has_port = has_port || !listening->endpoints.items[i].path;
    return px_str_is(setting, "auto") && px_listening_is_local(listening) && has_port;
}

struct px_faces_lent px_server_lent(const struct px_config *config,
                                    const struct px_listening *listening)
{
    return (struct px_faces_lent){
        .config = config,
        .models_may_come = px_server_may_control(config, listening),
        .models_need_local_host = needs_local_host(config->serving_model_control, listening),
        .memory_needs_local_host = needs_local_host(config->server_shared_memory, listening),
    };
}

/* The file is written when the server starts; a check makes none. */
static enum px_code check_trace_file(struct px_str setting, struct px_err *err)
{
    char path[PATH_MAX];
    if (setting.len >= sizeof path)
        return px_err_set(err, PX_E_INVALID, "trace.file: expected fewer than %zu bytes",
                          sizeof path);
    snprintf(path, sizeof path, "%.*s", PX_STR_ARG(setting));
    if (setting.len && px_file_kind(path) == PX_FILE_FOLDER)
        return px_err_set(err, PX_E_INVALID, "trace.file: expected a file, %s is a folder", path);
    const char *folder = setting.len ? dirname(path) : ".";
    if (px_file_kind(folder) == PX_FILE_FOLDER)
        return PX_OK;
    px_err_set(err, PX_E_INVALID, "trace.file: there is no folder %s", folder);
    return px_err_hint(err, "make the folder, or choose another path");
}

enum px_code px_server_process_check(const struct px_config *config, struct px_err *err)
{
    struct px_listening listening;
    struct px_pinning pinning;
    enum px_code code = px_listening_init(&listening, config, err);
    if (code == PX_OK)
        code = px_listening_check(&listening, err);
    if (code == PX_OK)
        code = check_trace_file(config->trace_file, err);
    if (code == PX_OK)
        code = px_pinning_init(&pinning, config->server_pin, config->server_numa, err);
    if (code == PX_OK) {
        const struct px_faces_lent lent = px_server_lent(config, &listening);
        code = px_faces_check(&lent, err);
    }
    px_listening_deinit(&listening);
    return code;
}
