/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is wrong, or unwise, in an ONNX file, said in the words of whoever exported it.
 *
 * ONNX Runtime refuses a bad export with a text about its own insides, and takes an unwise one (a batch that is fixed to 1)
 * without a word. This reads the file (ONNX IR, onnx.proto3) and says what the export should have done. An error is something
 * that keeps the model from being served; a warning is something that its users will stumble over.
 *
 * Reading allocates what it reports in the caller's arena; texts of the file are views of its bytes. Nothing of the weights
 * is looked at.
 */
#ifndef PX_DOMAIN_INFERENCE_ONNX_DIAGNOSIS_H
#define PX_DOMAIN_INFERENCE_ONNX_DIAGNOSIS_H

#include "shared/arena.h"

enum {
    PX_ONNX_FINDINGS_MAX = 32,
    PX_ONNX_EXTERNAL_MAX = 256, /* files of weights that are looked for */
    PX_ONNX_SCALARS_MAX = 256,
    PX_ONNX_SYMBOLS_MAX = 64,
    PX_ONNX_DEPTH_MAX = 16, /* of graphs in nodes of graphs */
    PX_ONNX_NODES_MAX = 1 << 22,
};

/* What the library that computes knows. */
struct px_onnx_limits {
    int64_t ir_version_max;         /* of the file's format */
    int64_t opset_least, opset_max; /* of ONNX's own operators */
};

struct px_onnx_finding {
    bool error; /* else a warning */
    struct px_str message, hint;
};

struct px_onnx_diagnosis {
    int64_t ir_version, opset; /* 0: the file does not say */
    struct px_onnx_finding findings[PX_ONNX_FINDINGS_MAX];
    size_t n_findings;
    struct px_str
        external[PX_ONNX_EXTERNAL_MAX]; /* paths beside the model that hold weights, each once */
    size_t n_external;
    bool more_external; /* there are more than that */
    struct px_str
        scalars[PX_ONNX_SCALARS_MAX]; /* inputs and outputs whose shape is said to be [] */
    size_t n_scalars;
    struct px_str symbols[PX_ONNX_SYMBOLS_MAX]; /* names of dimensions of inputs, each once */
    size_t n_symbols;
    bool more_symbols; /* there are more than that */
};

/*
 * Reads a whole model file. PX_E_CORRUPT: it is no ONNX file; PX_E_TOO_LARGE, PX_E_NO_MEMORY: of the arena. Findings beyond
 * PX_ONNX_FINDINGS_MAX are left out.
 */
PX_MUST_USE enum px_code px_onnx_diagnose(struct px_str bytes, const struct px_onnx_limits *limits,
                                          struct px_arena *arena, struct px_onnx_diagnosis *ret,
                                          struct px_err *err);

/* Adds an error about a file of weights that is not there, or not in the model's folder, for a caller that has looked. */
void px_onnx_report_missing(struct px_onnx_diagnosis *diagnosis, struct px_str file,
                            struct px_arena *arena);
void px_onnx_report_outside(struct px_onnx_diagnosis *diagnosis, struct px_str file,
                            struct px_arena *arena);

#endif
