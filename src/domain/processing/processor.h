/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processors: the built-in steps of a graph that no model is needed for, before a model (scale, impute, tokenise ...) and
 * after it (calibrate, decide, top-k ...). Tensors in, tensors out.
 *
 * A kind (`scale`) creates a processor from the settings of its step and from the specs of what it will be given, so that wrong
 * settings, datatypes and shapes are found when the graph is loaded. Applying cannot fail for tensors that fit those specs, but for
 * their values (a text that is no number) and for memory.
 *
 * A kind that was fitted elsewhere (scikit-learn's StandardScaler ...) takes its parameters from the settings, or from a file
 * that they name; it gives the same numbers as the library that fitted them, to the bit where the library's
 * arithmetic is defined.
 *
 * Ownership: a processor lives in the arena it was created with; nothing is freed. Immutable after creation: any number of
 * threads may apply it at once, each with an arena of its own.
 */
#ifndef PX_DOMAIN_PROCESSING_PROCESSOR_H
#define PX_DOMAIN_PROCESSING_PROCESSOR_H

#include "domain/inference/tensor.h"
#include "shared/arena.h"
#include "shared/yaml.h"

enum { PX_PROCESSOR_INPUTS_MAX = 64, PX_PROCESSOR_OUTPUTS_MAX = 8 };

struct px_processor_source {
    const struct px_yaml *settings; /* the step's mapping of settings; NULL: none were given */
    struct px_tensor_specs
        inputs; /* under the names that this kind gives them (`input`, `mask` ...) */
    struct px_arena *arena;
    /* The bytes of a file beside the graph (a vocabulary), in the arena. The domain reads no files itself. */
    enum px_code (*read_file)(void *context, struct px_str name, struct px_str *ret,
                              struct px_err *err);
    void *context;
};

struct px_processor;

struct px_processor_kind {
    const char *name;    /* "scale" */
    const char *summary; /* one line */
    /* PX_E_INVALID, PX_E_UNKNOWN_OPTION with the line and the nearest match */
    enum px_code (*create)(const struct px_processor_source *source, struct px_processor **ret,
                           struct px_err *err);
};

struct px_processor {
    const struct px_processor_kind *kind;
    struct px_tensor_specs takes, gives; /* what it was created for, and what comes out */
    /*
     * The first dimension of every input and output counts the same rows, and what comes out for a row does not depend on the others, to the
     * bit: the rows may be computed together, apart, or only some of them.
     */
    bool row_wise;
    /*
     * `inputs` in the order of `takes` (a missing optional one has the type PX_TYPE_NONE), `outputs` in the order of `gives`:
     * filled, with bytes from the arena or lent by the inputs.
     */
    enum px_code (*apply)(const struct px_processor *processor, const struct px_tensor *inputs,
                          struct px_tensor *outputs, struct px_arena *arena, struct px_err *err);
};

/* Is the first dimension of such a tensor a number of rows that requests choose? */
bool px_processor_has_rows(const struct px_tensor_spec *spec);

/* Every kind there is, sorted by name. */
const struct px_processor_kind *const *px_processor_kinds(size_t *ret_n);
/* NULL and PX_E_UNKNOWN_OPTION in `err`, with the nearest name. */
const struct px_processor_kind *px_processor_kind_find(struct px_str name, struct px_err *err);

#endif
