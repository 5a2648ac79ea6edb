/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a model in the terms of Triton's ModelConfig, for every dialect, and the check of one that a
 * client sends.
 *
 * Phoenix takes what a model is from its files. A client may send a configuration with a load: a field that says what the model is must
 * agree with it; one that says how its requests are put together, or whether its answers are kept, is done from then on, instead of what
 * model.yaml says; a field that asks for something else is refused by its name, never ignored. Fields that are left out keep what is.
 *
 * Ownership: results point into the model, and are valid as long as it is, and into the arena. Threads: any.
 */
#ifndef PX_APPLICATION_SERVING_MODEL_CONFIG_H
#define PX_APPLICATION_SERVING_MODEL_CONFIG_H

#include "application/execution/batching.h"
#include "application/sequences/sequence_settings.h"
#include "application/serving/serving.h"

/*
 * One tensor of a model's signature: [-1, n_columns] of a tree model. One whose features are all numbers has one input of them all, which
 * is what clients fill from one array; one with named categories or dates has an input per feature, because one array cannot
 * hold text and numbers. Both kinds accept both forms.
 */
struct px_model_tensor {
    struct px_str name;
    enum px_datatype type;
    size_t n_columns;
    bool optional; /* absent means missing */
    /* As a ModelConfig has it: without the dimension that counts rows when max_batch_size is not 0. -1: any length. */
    int64_t dims[PX_TENSOR_DIMS_MAX];
    size_t n_dims;
    bool any_rank;                     /* `dims` is [-1] */
    const struct px_tensor_spec *spec; /* of a model of tensors, else NULL */
};

/* "TYPE_FP32" and its number in the enum DataType of model_config.proto; BYTES is TYPE_STRING. */
const char *px_config_type_name(enum px_datatype type);
unsigned px_config_type_number(enum px_datatype type);

struct px_model_config {
    struct px_str name;
    const char *platform;   /* the file's format, or the engine's name in Triton's words */
    const char *backend;    /* the engine */
    int32_t max_batch_size; /* 0: every dimension is in the tensors' dims */
    const struct px_model_tensor *inputs, *outputs;
    size_t n_inputs, n_outputs;
    struct px_str instance_group; /* the name of its one group, KIND_CPU, one instance per loop */
    unsigned n_instances;
    bool has_waves; /* a model of rows, batched by waves: dynamic_batching without delay */
    bool has_queue; /* requests that wait are computed together, by the rules of `batching` */
    struct px_batching batching;
    bool has_cache;                              /* its answers are kept */
    const struct px_sequence_settings *sequence; /* of a model that keeps state, else NULL */
    const struct px_tensor_specs *model_inputs;  /* of such a model, with its states and controls */
    struct px_version_policy versions;
};

PX_MUST_USE enum px_code px_model_config(const struct px_model *model,
                                         const struct px_serving_limits *limits,
                                         struct px_arena *arena, struct px_model_config *ret,
                                         struct px_err *err);

/* The whole shape, as metadata has it: {-1, n_columns} of a tree model. Returns the number of dimensions. */
size_t px_model_tensor_shape(const struct px_model_tensor *tensor, int64_t ret[PX_TENSOR_DIMS_MAX]);

/* "onnxruntime_onnx" for "onnxruntime": the platform that a ModelConfig names for an engine. Static. */
const char *px_model_platform(const struct px_model *model);

/* A state's type and dimensions as a ModelConfig has them: what model.yaml says, else what the model does. */
struct px_model_tensor px_config_state(const struct px_model_config *config,
                                       const struct px_sequence_state *state);

/* The type of an input of a model that keeps state, also of one that is a control. */
enum px_datatype px_config_input_type(const struct px_model_config *config, struct px_str name);
/* "CONTROL_SEQUENCE_START", and its number in the enum Kind of model_config.proto. */
const char *px_config_control_name(enum px_sequence_control control);
unsigned px_config_control_number(enum px_sequence_control control);
/* What a path is called in its folder. */
struct px_str px_config_file_name(struct px_str path);

/* The name that a whole-matrix input is advertised under. */
#define PX_MODEL_INPUT_NAME "input"

/* Is the model advertised with one tensor per feature? So it is when a feature takes names or dates. */
bool px_model_is_by_columns(const struct px_signature *signature);

/* What a ModelConfig asks for that is not a matter of the model's files. */
struct px_model_wishes {
    bool has_batching, has_cache; /* it says something about it */
    struct px_batching batching;  /* all of it, with what the config does not say as it is */
    bool cache;
};

/*
 * Does the ModelConfig `json` agree with the model? PX_E_INVALID for what contradicts it or is no configuration,
 * PX_E_UNSUPPORTED and PX_E_CONFLICT, with the field's name, for what cannot be done.
 */
PX_MUST_USE enum px_code px_model_config_check(struct px_str json, const struct px_model *model,
                                               const struct px_serving_limits *limits,
                                               struct px_model_wishes *ret, struct px_err *err);

/*
 * Makes a model that does not serve yet do so. One that does otherwise than its files say is kept in memory: they could not
 * bring it back. PX_E_UNSUPPORTED for a cache where there can be none, PX_E_NO_MEMORY.
 */
PX_MUST_USE enum px_code px_model_config_apply(const struct px_serving *serving,
                                               struct px_model *model,
                                               const struct px_model_wishes *wishes,
                                               struct px_err *err);

#endif
