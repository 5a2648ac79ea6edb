/* SPDX-License-Identifier: Apache-2.0 */
#include "faces.h"

#include "infrastructure/coding/coder.h"
#include "shared/alloc.h"

static enum px_code create_coders(struct px_faces *faces, struct px_err *err)
{
    enum px_code code = PX_OK;
    faces->coders = px_alloc(faces->n_loops, sizeof(struct px_coder *));
    if (!faces->coders)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %u loops", faces->n_loops);
    for (unsigned i = 0; code == PX_OK && i < faces->n_loops; i++)
        code = px_coder_create(&faces->coders[i], err);
    return code;
}

static struct px_grpc_settings grpc_settings(const struct px_faces_lent *lent,
                                             struct px_coder *const *coders)
{
    return (struct px_grpc_settings){
        .serving = lent->serving,
        .shared_memory = lent->shared_memory,
        .coders = coders,
        .message_bytes_max = (size_t)lent->config->server_body_bytes_max,
        .request_memory_max = (size_t)lent->config->serving_request_memory_max,
    };
}

static struct px_rest_settings rest_settings(const struct px_faces_lent *lent)
{
    const struct px_config *config = lent->config;
    return (struct px_rest_settings){
        .serving = lent->serving,
        .live_config = lent->live_config,
        .pressure = lent->pressure,
        .shared_memory = lent->shared_memory,
        .default_model = config->serving_default_model,
        .version_labels = config->serving_version_labels,
        .models_may_come = lent->models_may_come,
        .vertex_predict_route = config->vertex_predict_route,
        .vertex_health_route = config->vertex_health_route,
        .header_bytes_max = (size_t)config->server_header_bytes_max,
        .cors_origins = config->server_cors_origins,
        .cors_headers = config->server_cors_headers,
        .cors_max_age_s = config->server_cors_max_age_s,
        .cors_credentials = config->server_cors_credentials,
        .models_need_local_host = lent->models_need_local_host,
        .memory_needs_local_host = lent->memory_needs_local_host,
    };
}

enum px_code px_faces_check(const struct px_faces_lent *lent, struct px_err *err)
{
    const struct px_rest_settings rest = rest_settings(lent);
    return px_rest_check_settings(&rest, err);
}

enum px_code px_faces_init(struct px_faces *faces, const struct px_faces_lent *lent,
                           struct px_err *err)
{
    *faces = (struct px_faces){.n_loops = px_serving_n_loops(lent->serving)};
    enum px_code code = create_coders(faces, err);
    const struct px_grpc_settings grpc = grpc_settings(lent, faces->coders);
    const struct px_rest_settings rest = rest_settings(lent);
    if (code == PX_OK)
        code = px_rest_create(&rest, &faces->rest, err);
    if (code == PX_OK)
        code = px_grpc_create(&grpc, &faces->grpc, err);
    if (code == PX_OK)
        faces->gateway = (struct px_gateway){.serving = lent->serving,
                                             .rest = px_rest_handler(faces->rest),
                                             .grpc = px_grpc_handler(faces->grpc)};
    return code;
}

enum px_code px_faces_check_change(const struct px_faces *faces, const struct px_faces_lent *lent,
                                   struct px_err *err)
{
    const struct px_rest_settings rest = rest_settings(lent);
    return px_rest_check_change(faces->rest, &rest, err);
}

void px_faces_change(struct px_faces *faces, const struct px_faces_lent *lent)
{
    const struct px_rest_settings rest = rest_settings(lent);
    px_rest_change(faces->rest, &rest);
}

void px_faces_deinit(struct px_faces *faces)
{
    px_grpc_destroy(faces->grpc);
    px_rest_destroy(faces->rest);
    for (unsigned i = 0; faces->coders && i < faces->n_loops; i++)
        px_coder_destroy(faces->coders[i]);
    px_free(faces->coders);
}

void px_faces_use_loops(struct px_faces *faces, struct px_loops loops)
{
    faces->loops = loops;
    px_grpc_use_loops(faces->grpc, &faces->loops);
}
