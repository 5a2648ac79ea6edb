/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ONNX file as it is written: the graph's nodes with their attributes, its constants, inputs and
 * outputs. Texts and encoded values are views into the file; values are decoded when they are asked for.
 *
 * Ownership: px_onnx_model_deinit frees the lists; the file's bytes must outlive the model.
 */
#ifndef PX_DOMAIN_FOREST_ONNX_MODEL_H
#define PX_DOMAIN_FOREST_ONNX_MODEL_H

#include "domain/forest/ir.h"
#include "domain/forest/readers/onnx/protobuf_lists.h"

/* TensorProto.DataType. */
enum px_onnx_type {
    PX_ONNX_FLOAT = 1,
    PX_ONNX_UINT8 = 2,
    PX_ONNX_INT32 = 6,
    PX_ONNX_INT64 = 7,
    PX_ONNX_STRING = 8,
    PX_ONNX_BOOL = 9,
    PX_ONNX_DOUBLE = 11,
};

struct px_onnx_attribute {
    struct px_str name, message; /* the AttributeProto */
};

struct px_onnx_node {
    struct px_str op, name, domain;
    size_t first_input, n_inputs; /* names in px_onnx_model.names */
    size_t first_output, n_outputs;
    size_t first_attribute, n_attributes;
};

struct px_onnx_constant {
    struct px_str name, message; /* the TensorProto */
};

enum { PX_ONNX_DIMS_MAX = 8 };

/* An input or output of the graph. */
struct px_onnx_port {
    struct px_str name;
    bool tensor;
    int type; /* of its elements */
    size_t n_dims;
    int64_t dims[PX_ONNX_DIMS_MAX]; /* -1: open */
};

struct px_onnx_model {
    struct px_str producer, producer_version;
    int64_t ml_opset; /* of domain ai.onnx.ml; 0 when the file has none */
    PX_VEC(struct px_str) names;
    PX_VEC(struct px_onnx_node) nodes;
    PX_VEC(struct px_onnx_attribute) attributes;
    PX_VEC(struct px_onnx_constant) constants;
    PX_VEC(struct px_onnx_port) inputs, outputs;
};

PX_MUST_USE enum px_code px_onnx_model_read(struct px_onnx_model *model, struct px_str bytes,
                                            struct px_err *err);
void px_onnx_model_deinit(struct px_onnx_model *model);

/* 'node "Gemm" (MatMul_3)', for messages. */
struct px_onnx_node_text {
    char text[160];
};
struct px_onnx_node_text px_onnx_node_text(const struct px_onnx_node *node);

/* The encoded attribute, or NULL. */
const struct px_onnx_attribute *px_onnx_find(const struct px_onnx_model *model,
                                             const struct px_onnx_node *node, const char *name);

/* Decodes an attribute; an absent one leaves `ret` as it is. */
PX_MUST_USE enum px_code px_onnx_get_int(const struct px_onnx_model *model,
                                         const struct px_onnx_node *node, const char *name,
                                         int64_t *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_get_text(const struct px_onnx_model *model,
                                          const struct px_onnx_node *node, const char *name,
                                          struct px_str *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_get_float(const struct px_onnx_model *model,
                                           const struct px_onnx_node *node, const char *name,
                                           double *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_get_ints(const struct px_onnx_model *model,
                                          const struct px_onnx_node *node, const char *name,
                                          struct px_ints *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_get_floats(const struct px_onnx_model *model,
                                            const struct px_onnx_node *node, const char *name,
                                            struct px_doubles *ret, struct px_err *err);
PX_MUST_USE enum px_code px_onnx_get_texts(const struct px_onnx_model *model,
                                           const struct px_onnx_node *node, const char *name,
                                           struct px_strs *ret, struct px_err *err);

/* A tensor of numbers; integers are held in doubles. */
struct px_onnx_tensor {
    int type;
    size_t n_dims;
    int64_t dims[PX_ONNX_DIMS_MAX];
    struct px_doubles values;
};

/* Decodes a TensorProto. Tensors of text and of 16-bit floats are refused. */
PX_MUST_USE enum px_code px_onnx_tensor_read(struct px_str message, struct px_onnx_tensor *ret,
                                             struct px_err *err);
/* The same for an attribute; an absent one leaves `ret` as it is (type 0). */
PX_MUST_USE enum px_code px_onnx_get_tensor(const struct px_onnx_model *model,
                                            const struct px_onnx_node *node, const char *name,
                                            struct px_onnx_tensor *ret, struct px_err *err);

const char *px_onnx_type_name(int type); /* "float" */

#endif
