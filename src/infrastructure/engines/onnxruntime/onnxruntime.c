/* SPDX-License-Identifier: Apache-2.0 */
#include "infrastructure/engines/onnxruntime/onnxruntime.h"

#include "infrastructure/engines/onnxruntime/provider.h"
#include "infrastructure/engines/onnxruntime/session.h"
#include "shared/protobuf.h"

/*
 * A ModelProto: fields 1 to 8, 14, 20, 25 and 26 with the wire types of onnx.proto, beginning with the version of the format, or a
 * text, and the graph as bytes. The first bytes of a file end in the middle of a field.
 */
static bool is_model_proto(struct px_str first_bytes)
{
    struct px_protobuf reader = px_protobuf(first_bytes);
    struct px_protobuf_field field;
    bool version = false;
    size_t n = 0;
    while (px_protobuf_next(&reader, &field)) {
        bool number = field.number == 1 || field.number == 5;
        bool bytes = (field.number >= 2 && field.number <= 8 && field.number != 5) ||
                     field.number == 14 || field.number == 20 || field.number == 25 ||
                     field.number == 26;
        if (field.wire != (number ? PX_PROTOBUF_VARINT : PX_PROTOBUF_BYTES) || !(number || bytes))
            return false;
        version |= field.number == 1 && field.value > 0 && field.value < 1000;
        n++;
    }
    return version && n > 0;
}

bool px_ort_knows(const char *path, struct px_str first_bytes)
{
    return px_str_ends(px_str(path), ".onnx") || is_model_proto(first_bytes);
}

enum px_code px_ort_open_model(const struct px_engine_request *request, struct px_engine **ret,
                               struct px_err *err)
{
    if (request->path.len == 0)
        return px_err_set(err, PX_E_INVALID, "the engine onnxruntime needs a model file");
    return px_ort_session_open(request, ret, err);
}

void px_ort_describe(struct px_engine_state *ret)
{
    const struct px_ort *ort;
    struct px_err err = {0};
    *ret = (struct px_engine_state){0};
    if (px_ort_open(&ort, &err) != PX_OK) {
        px_err_text(&err, ret->details, sizeof ret->details);
        return;
    }
    ret->available = true;
    snprintf(ret->version, sizeof ret->version, "%s", ort->version);
    snprintf(ret->place, sizeof ret->place, "%s", ort->place);
    char providers[sizeof ret->details];
    snprintf(ret->details, sizeof ret->details, "execution providers: %s",
             px_ort_providers(ort, providers, sizeof providers - 24));
}

const struct px_engine_provider px_onnxruntime_embedded_provider = {
    .name = "onnxruntime",
    .summary = "ONNX models of any kind, by ONNX Runtime",
    .knows = px_ort_knows,
    .open = px_ort_open_model,
    .describe = px_ort_describe,
};
