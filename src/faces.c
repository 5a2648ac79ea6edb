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

enum px_code px_faces_init(struct px_faces *faces, const struct px_config *config,
                           struct px_serving *serving, struct px_shared_memory *shared_memory,
                           struct px_err *err)
{
    *faces = (struct px_faces){.n_loops = px_serving_n_loops(serving)};
    enum px_code code = create_coders(faces, err);
    const struct px_grpc_settings settings = {
        .serving = serving,
        .shared_memory = shared_memory,
        .coders = faces->coders,
        .message_bytes_max = (size_t)config->server_body_bytes_max,
        .request_memory_max = (size_t)config->serving_request_memory_max,
    };
    if (code == PX_OK)
        code = px_rest_create(serving, &faces->rest, err);
    if (code == PX_OK)
        code = px_grpc_create(&settings, &faces->grpc, err);
    if (code == PX_OK)
        px_rest_use_shared_memory(faces->rest, shared_memory);
    if (code == PX_OK)
        faces->gateway = (struct px_gateway){.rest = px_rest_handler(faces->rest),
                                             .grpc = px_grpc_handler(faces->grpc)};
    return code;
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
