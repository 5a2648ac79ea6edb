/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies of peers: whatever they answer, it is outputs that keep what the model promises, or an error.
 *
 * The first byte of an input says what is read: 0 scores over HTTP (the next two bytes are the length of the JSON part, 0xFFFF: all),
 * 1 metadata, 2 the server's, 3 an error's body, 4 to 7 the same of gRPC: scores, metadata, readiness, an error's header.
 */
#include "fuzz.h"

#include "infrastructure/engines/remote/codec.h"
#include "shared/alloc.h"

enum { ARENA_MAX = 1 << 20, N_SPECS = 5 };

static void require(bool condition)
{
    if (!condition)
        __builtin_trap();
}

static const struct px_tensor_spec specs[N_SPECS] = {
    {.name = PX_STR("y"), .type = PX_TYPE_FP32, .shape = {-1, 2}, .n_dims = 2},
    {.name = PX_STR("t"), .type = PX_TYPE_BYTES, .shape = {-1}, .n_dims = 1},
    {.name = PX_STR("i"), .type = PX_TYPE_INT16, .any_rank = true},
    {.name = PX_STR("b"), .type = PX_TYPE_BOOL, .shape = {-1}, .n_dims = 1},
    {.name = PX_STR("u"), .type = PX_TYPE_UINT64, .shape = {2}, .n_dims = 1},
};

/* The outputs that the input's second byte asks for, one bit each. */
static void read_scores(struct px_str reply, size_t json_len, unsigned asked, bool grpc)
{
    struct px_arena arena = px_arena(ARENA_MAX);
    struct px_tensor outputs[N_SPECS];
    const struct px_tensor_specs gives = {specs, N_SPECS};
    struct px_remote_answer answer = {&gives, outputs, 0, &arena};
    struct px_err err = {0};
    for (size_t i = 0; i < N_SPECS; i++) {
        if (asked & (1u << i))
            outputs[answer.n_outputs++] = (struct px_tensor){.name = specs[i].name};
    }
    enum px_code code = grpc ? px_remote_grpc_read(reply, &answer, &err)
                             : px_remote_http_read(reply, json_len, &answer, &err);
    require(code == PX_OK || err.message[0]);
    for (size_t i = 0; i < answer.n_outputs && code == PX_OK; i++) {
        require(px_tensor_check_bytes(&outputs[i], NULL) == PX_OK);
        require(px_tensor_check_spec(&outputs[i], px_tensor_specs_find(&gives, outputs[i].name),
                                     NULL) == PX_OK);
    }
    px_arena_deinit(&arena);
}

static void read_metadata(struct px_str reply, bool grpc)
{
    struct px_arena arena = px_arena(ARENA_MAX);
    struct px_remote_metadata metadata;
    struct px_err err = {0};
    enum px_code code = grpc ? px_remote_grpc_read_metadata(reply, &arena, &metadata, &err)
                             : px_remote_http_read_metadata(reply, &arena, &metadata, &err);
    require(code == PX_OK || err.message[0]);
    for (size_t i = 0; i < metadata.inputs.n && code == PX_OK; i++)
        require(metadata.inputs.list[i].type != PX_TYPE_NONE &&
                metadata.inputs.list[i].n_dims <= PX_TENSOR_DIMS_MAX);
    px_arena_deinit(&arena);
}

static void read_text(struct px_str reply, bool grpc)
{
    char text[64];
    memset(text, 'x', sizeof text);
    if (grpc)
        px_remote_grpc_read_error(reply, text, sizeof text);
    else
        px_remote_http_read_error(reply, text, sizeof text);
    require(memchr(text, '\0', sizeof text) != NULL && px_str_is_utf8(px_str(text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    size_t json_len = (size_t)data[2] << 8 | data[3], len = size - 4;
    unsigned what = data[0] & 7, asked = data[1];
    char *copy =
        px_xalloc(len ? len : 1, 1); /* of just its size, so that reading past it is found */
    memcpy(copy, data + 4, len);
    struct px_str reply = px_str_n(copy, len), message = reply;
    bool flag;
    if (what == 0)
        read_scores(reply, json_len == 0xFFFF ? len : json_len, asked, false);
    else if (what == 4 && px_remote_grpc_message(reply, &message, NULL) == PX_OK)
        read_scores(message, 0, asked, true);
    else if (what == 1 || what == 5)
        read_metadata(reply, what == 5);
    else if (what == 2 && px_remote_http_read_server(reply, &flag, NULL) != PX_OK)
        read_text(reply, false);
    else if (what == 6 && px_remote_grpc_read_ready(reply, &flag, NULL) != PX_OK)
        read_text(reply, true);
    else
        read_text(reply, what >= 4);
    px_free(copy);
    return 0;
}
