/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tensors, as libphoenix (phoenix.h) and plug-in engines (engine.h) take and give them.
 *
 * A tensor is a name, a datatype, dimensions and bytes: little-endian, row-major, without padding. A BOOL is a byte 0 or 1. An
 * element of BYTES is its length (uint32) and then its text: "hi" is 02 00 00 00 68 69. That is the form of the Open
 * Inference Protocol's binary extension.
 *
 * A spec is what a model says of a tensor before there is one; a dimension that is not fixed is -1.
 *
 * The structs stay as they are: other programs are compiled against them.
 */
#ifndef PHOENIX_TENSOR_H
#define PHOENIX_TENSOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Datatypes of the Open Inference Protocol. */
enum phx_datatype {
    PHX_BOOL = 1,
    PHX_UINT8,
    PHX_UINT16,
    PHX_UINT32,
    PHX_UINT64,
    PHX_INT8,
    PHX_INT16,
    PHX_INT32,
    PHX_INT64,
    PHX_FP16,
    PHX_BF16,
    PHX_FP32,
    PHX_FP64,
    PHX_BYTES
};

enum { PHX_TENSOR_DIMS_MAX = 8, PHX_TENSORS_MAX = 256 }; /* of one tensor; of one model */

typedef struct phx_tensor {
    const char *name;
    uint32_t datatype;
    uint32_t n_dims;
    int64_t dims[PHX_TENSOR_DIMS_MAX];
    const void *data;
    uint64_t size; /* bytes */
} phx_tensor;

enum phx_spec_flags {
    PHX_SPEC_OPTIONAL = 1, /* of an input: a run may leave it out */
    PHX_SPEC_ANY_RANK = 2  /* any number of dimensions; `dims` says nothing */
};

typedef struct phx_tensor_spec {
    const char *name;
    uint32_t datatype;
    uint32_t n_dims;
    int64_t dims[PHX_TENSOR_DIMS_MAX]; /* -1: any length */
    uint32_t flags;                    /* phx_spec_flags */
    uint32_t reserved;                 /* 0 */
} phx_tensor_spec;

typedef struct phx_specs {
    const phx_tensor_spec *inputs, *outputs;
    uint32_t n_inputs, n_outputs;
} phx_specs;

#ifdef __cplusplus
}
#endif

#endif
