/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a ModelInferResponse. Tensors always leave raw: it is what Triton's clients read, and one copy of the scores.
 */
#include "interfaces/grpc/infer.h"

#include "interfaces/inference/regions.h"

enum response_field {
    MODEL_NAME = 1,
    MODEL_VERSION,
    ID,
    PARAMETERS,
    OUTPUTS,
    RAW_OUTPUT_CONTENTS,
};

enum output_field { OUTPUT_NAME = 1, OUTPUT_DATATYPE, OUTPUT_SHAPE, OUTPUT_PARAMETERS };

static void put_parameter(struct px_buf *buf, uint32_t number, const char *key,
                          enum px_grpc_parameter_type type, uint64_t value)
{
    size_t entry = px_protobuf_begin(buf, number);
    px_protobuf_put_text(buf, PX_GRPC_MAP_KEY, key);
    size_t parameter = px_protobuf_begin(buf, PX_GRPC_MAP_VALUE);
    px_protobuf_put_u64(buf, type, value);
    px_protobuf_end(buf, parameter);
    px_protobuf_end(buf, entry);
}

static void put_text_parameter(struct px_buf *buf, uint32_t number, const char *key,
                               struct px_str text)
{
    size_t entry = px_protobuf_begin(buf, number);
    px_protobuf_put_text(buf, PX_GRPC_MAP_KEY, key);
    size_t parameter = px_protobuf_begin(buf, PX_GRPC_MAP_VALUE);
    px_protobuf_put_bytes(buf, PX_GRPC_PARAMETER_TEXT, text);
    px_protobuf_end(buf, parameter);
    px_protobuf_end(buf, entry);
}

/* Where the values of an output went that are not in the reply. */
static void put_range(struct px_buf *buf, const struct px_infer_output *output, size_t size)
{
    const struct px_shared_range *range = &output->shared.range;
    put_text_parameter(buf, OUTPUT_PARAMETERS, "shared_memory_region", range->name);
    if (range->offset)
        put_parameter(buf, OUTPUT_PARAMETERS, "shared_memory_offset", PX_GRPC_PARAMETER_INT64,
                      range->offset);
    put_parameter(buf, OUTPUT_PARAMETERS, "shared_memory_byte_size", PX_GRPC_PARAMETER_INT64, size);
}

static void put_output(struct px_buf *buf, const struct px_infer_output *output,
                       const struct px_tensor *tensor)
{
    int64_t shape[PX_TENSOR_DIMS_MAX];
    for (size_t i = 0; i < tensor->n_dims; i++)
        shape[i] = (int64_t)tensor->shape[i];
    size_t message = px_protobuf_begin(buf, OUTPUTS);
    px_protobuf_put_bytes(buf, OUTPUT_NAME, tensor->name);
    px_protobuf_put_text(buf, OUTPUT_DATATYPE, px_datatype_name(tensor->type));
    px_protobuf_put_packed(buf, OUTPUT_SHAPE, shape, tensor->n_dims);
    if (output->shared.region)
        put_range(buf, output, tensor->bytes.len);
    px_protobuf_end(buf, message);
}

/* Who answered instead of the version that was asked for, and why. */
static void put_fallback(struct px_buf *buf, const struct px_infer *infer)
{
    const struct px_model *other = px_infer_stand_in(infer);
    if (!px_infer_fallback(infer))
        return;
    put_text_parameter(buf, PARAMETERS, "fallback", px_str(px_infer_fallback(infer)));
    put_text_parameter(buf, PARAMETERS, "fallback_reason", px_str(px_infer_fallback_reason(infer)));
    if (!other)
        return;
    put_text_parameter(buf, PARAMETERS, "fallback_model", other->name);
    put_text_parameter(buf, PARAMETERS, "fallback_version", other->version);
}

enum px_code px_grpc_put_infer_response(struct px_grpc_infer *inference, bool is_of_stream,
                                        struct px_buf *buf)
{
    struct px_infer *infer = &inference->infer;
    PX_UNINITIALIZED struct px_tensor tensors[PX_INFER_OUTPUTS_MAX];
    enum px_code code = px_output_tensors(infer, tensors);
    if (code != PX_OK)
        return code;
    px_protobuf_put_bytes(buf, MODEL_NAME, infer->call.model->name);
    px_protobuf_put_bytes(buf, MODEL_VERSION, infer->call.model->version);
    if (inference->infer.id.len)
        px_protobuf_put_bytes(buf, ID, inference->infer.id);
    if (infer->call.n_unseen)
        put_parameter(buf, PARAMETERS, "unseen_categories", PX_GRPC_PARAMETER_INT64,
                      infer->call.n_unseen);
    if (px_infer_degraded(infer).len)
        put_text_parameter(buf, PARAMETERS, "degraded", px_infer_degraded(infer));
    if (px_infer_cache(infer))
        put_text_parameter(buf, PARAMETERS, "cache", px_str(px_infer_cache(infer)));
    put_fallback(buf, infer);
    if (is_of_stream)
        put_parameter(buf, PARAMETERS, "triton_final_response", PX_GRPC_PARAMETER_BOOL, true);
    for (size_t i = 0; i < infer->n_outputs; i++)
        put_output(buf, &infer->outputs[i], &tensors[i]);
    for (size_t i = 0; i < infer->n_outputs; i++)
        px_protobuf_put_bytes(buf, RAW_OUTPUT_CONTENTS,
                              infer->outputs[i].shared.region ? (struct px_str)PX_STR("")
                                                              : tensors[i].bytes);
    return PX_OK;
}
