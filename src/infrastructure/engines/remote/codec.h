/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of the Open Inference Protocol as a client writes and reads them, in two forms: JSON with or without the binary
 * tensor extension (http_codec.c) and protobuf (grpc_codec.c). No sockets here.
 *
 * Replies come from servers that may be anything: readers bound every count, accept unknown members, and say what was
 * expected and what came. Outputs point into the reply where it has their bytes as they are, else into the arena.
 */
#ifndef PX_INFRASTRUCTURE_ENGINES_REMOTE_CODEC_H
#define PX_INFRASTRUCTURE_ENGINES_REMOTE_CODEC_H

#include "application/ports/engine_run.h"
#include "shared/buf.h"

/* What is asked of which model. */
struct px_remote_ask {
    struct px_str model, version; /* version: may be empty */
    const struct px_run *run;
    uint64_t timeout_us; /* 0: none */
};

/* What a reply is read into. */
struct px_remote_answer {
    const struct px_tensor_specs *gives; /* what each output has to be */
    struct px_tensor *outputs;           /* their names are asked for */
    size_t n_outputs;
    struct px_arena *arena;
};

/* What a peer says of its model. */
struct px_remote_metadata {
    struct px_tensor_specs inputs, outputs; /* empty when the peer does not say */
};

/* ---- HTTP ---- */

/* Writes a request; `ret_json_len` is its JSON part, all of it when `binary` is false. */
PX_MUST_USE enum px_code px_remote_http_write(const struct px_remote_ask *ask, bool binary,
                                              struct px_buf *to, size_t *ret_json_len,
                                              struct px_err *err);
/* Reads a reply; `json_len` is what its header Inference-Header-Content-Length said, or all of it. */
PX_MUST_USE enum px_code px_remote_http_read(struct px_str reply, size_t json_len,
                                             const struct px_remote_answer *answer,
                                             struct px_err *err);
/* Reads GET /v2/models/M; texts live in the arena. */
PX_MUST_USE enum px_code px_remote_http_read_metadata(struct px_str reply, struct px_arena *arena,
                                                      struct px_remote_metadata *ret,
                                                      struct px_err *err);
/* Reads GET /v2: does the server know the binary tensor extension? */
PX_MUST_USE enum px_code px_remote_http_read_server(struct px_str reply, bool *ret_binary,
                                                    struct px_err *err);
/* The text of an error's body, into `out` with `size` bytes; what is not {"error": text} is shown as it is, printable and cut. */
void px_remote_http_read_error(struct px_str reply, char *out, size_t size);
/* Appends a path such as /v2/models/M/versions/V, percent-encoded, and `suffix`. */
void px_remote_http_path(struct px_str model, struct px_str version, const char *suffix,
                         struct px_buf *to);

/* ---- gRPC: bodies are one message with its prefix of five bytes ---- */

PX_MUST_USE enum px_code px_remote_grpc_write(const struct px_remote_ask *ask, struct px_buf *to,
                                              struct px_err *err);
/* ModelMetadataRequest and ModelReadyRequest, which are alike. */
void px_remote_grpc_write_model(struct px_str model, struct px_str version, struct px_buf *to);
/* The message of a body: PX_E_INVALID when it is compressed, cut, or not the only one. */
PX_MUST_USE enum px_code px_remote_grpc_message(struct px_str body, struct px_str *ret,
                                                struct px_err *err);
PX_MUST_USE enum px_code px_remote_grpc_read(struct px_str message,
                                             const struct px_remote_answer *answer,
                                             struct px_err *err);
PX_MUST_USE enum px_code px_remote_grpc_read_metadata(struct px_str message, struct px_arena *arena,
                                                      struct px_remote_metadata *ret,
                                                      struct px_err *err);
PX_MUST_USE enum px_code px_remote_grpc_read_ready(struct px_str message, bool *ret,
                                                   struct px_err *err);
/* The text of a header grpc-message, percent-decoded and printable. */
void px_remote_grpc_read_error(struct px_str header, char *out, size_t size);

/* ---- both ---- */

/* Puts a peer's output into the answer when it is asked for; PX_E_INVALID when it is not what the model gives. */
PX_MUST_USE enum px_code px_remote_answer_put(const struct px_remote_answer *answer,
                                              const struct px_tensor *output, struct px_err *err);
/* Did every output that is asked for come? */
PX_MUST_USE enum px_code px_remote_answer_check(const struct px_remote_answer *answer,
                                                struct px_err *err);
/* Appends `text` to a fixed buffer with what is not printable ASCII or valid UTF-8 as '?'. */
void px_remote_put_printable(struct px_buf *to, struct px_str text);

#endif
