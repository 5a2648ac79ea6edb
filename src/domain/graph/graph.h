/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The face of the graph room: what an ensemble is, read from graph.yaml and checked as a whole before anything runs.
 *
 *     phoenix_graph: 1
 *     inputs:
 *       - {name: features, type: FP32, shape: [-1, 30]}
 *     outputs:
 *       - {name: score, from: deep.predictions}
 *     steps:
 *       - name: quick
 *         model: models/quick.json
 *         inputs: features
 *       - name: deep
 *         model: models/deep.onnx
 *         inputs: {x: features}
 *         outputs: {predictions: probability}        # the step's name: the engine's name
 *         when: 0.4 <= quick.predictions <= 0.6      # per row; other rows keep what `otherwise` says
 *         otherwise: quick
 *         timeout_ms: 20
 *         fallback: quick
 *
 * Concepts
 * - A step is a model, a processor (domain/processing) or a combiner (combine.h). This room knows models and processors by their
 *   specs only: a resolver of the caller opens them and says what they take and give.
 * - A reference is `input` or `step.output`.
 * - Demand: a step runs when something wants its outputs: an output of the graph, a condition, an input of a step that runs, a
 *   substitute that is used. Steps that nothing could ever want are an error.
 * - A substitute stands in for the outputs of a step: `otherwise` when its condition is false, `fallback` when it failed or was
 *   late. It is another step, a value or reference per output, or `skip`: then the outputs are absent. A step
 *   that needs an absent tensor is skipped itself; combiners leave it out.
 * - A condition is of rows when it reads tensors whose first dimension is -1, else of the whole. With a condition of rows the
 *   result of a row never depends on the other rows of the batch.
 * - An exit ends the graph early for the rows for which its condition is true: its outputs are the graph's.
 *
 * Ownership: everything lives in the arena that the graph was read into, the YAML tree included. Immutable afterwards: any thread.
 */
#ifndef PX_DOMAIN_GRAPH_GRAPH_H
#define PX_DOMAIN_GRAPH_GRAPH_H

#include "domain/inference/tensor.h"
#include "shared/json.h"
#include "shared/yaml.h"

enum {
    PX_GRAPH_LAYOUT = 1,
    PX_GRAPH_STEPS_MAX = 64,   /* a set of steps is a uint64_t */
    PX_GRAPH_TENSORS_MAX = 64, /* inputs or outputs of the graph, or of one step */
    PX_GRAPH_EXITS_MAX = 16,
    PX_GRAPH_NAME_MAX = 64,
    PX_GRAPH_YAML_MAX = 1 << 20,
    PX_GRAPH_TIMEOUT_MS_MAX = 3600 * 1000,
};

enum { PX_GRAPH_INPUT = -1 }; /* as the step of a source: an input of the graph */

struct px_graph_source {
    int step;        /* index into `steps`, or PX_GRAPH_INPUT */
    unsigned tensor; /* index into its `gives`, or into the graph's inputs */
};

struct px_graph_reference {
    struct px_str text;
    unsigned line;
    struct px_graph_source source;
};

struct px_graph_link {
    struct px_str name; /* of the step's input; empty for combiners */
    struct px_graph_reference from;
    bool optional; /* the step runs without it */
};

/* What stands in for one tensor: another one, or a constant, given for one row when the spec has rows. */
struct px_graph_value {
    bool constant;
    struct px_graph_reference from;
    const struct px_yaml *node; /* of a constant */
    struct px_str bytes; /* of a constant: one row, or all when the first dimension is fixed */
};

enum px_graph_substitute_kind { PX_GRAPH_NOTHING = 0, PX_GRAPH_SKIP, PX_GRAPH_VALUES };

struct px_graph_substitute {
    enum px_graph_substitute_kind kind;
    struct px_graph_value *values; /* one per output */
    uint64_t needs;                /* steps that the values come from */
    const struct px_yaml *node;
    int step; /* "otherwise: quick"; PX_GRAPH_INPUT when the values were written one by one */
};

struct px_graph_condition; /* condition.h */

enum px_graph_kind { PX_GRAPH_MODEL = 1, PX_GRAPH_PROCESSOR, PX_GRAPH_COMBINE };

struct px_graph_combiner; /* combine.h */

struct px_graph_step {
    struct px_str name;
    enum px_graph_kind kind;
    struct px_str what; /* path of the model, kind of the processor or of the combiner */
    unsigned line;
    const struct px_yaml *settings; /* `with`; may be NULL */
    struct px_graph_link *inputs;
    size_t n_inputs;
    struct px_tensor_specs takes; /* in the order of `inputs`, as the step wants them */
    struct px_tensor_specs gives; /* under the names that references use */
    struct px_str *engine_names;  /* of `gives`, as the model or processor calls them */
    uint64_t used;                /* those of `gives` that something refers to */
    struct px_graph_condition *when;
    struct px_graph_substitute otherwise, fallback;
    uint64_t timeout_ns; /* 0: none */
    uint64_t needs;      /* steps that the inputs come from */
    bool row_wise;       /* rows do not know of each other: a step may compute some of them */
    bool may_be_absent;
    const struct px_graph_combiner *combiner;
    const struct px_yaml *outputs_node;
};

struct px_graph_output {
    struct px_str name;
    struct px_graph_reference from;
};

struct px_graph_exit {
    struct px_graph_condition *when;
    struct px_graph_substitute outputs; /* one value per output of the graph */
    unsigned line;
};

struct px_graph {
    struct px_str name; /* may be empty */
    struct px_tensor_specs takes, gives;
    struct px_graph_step *steps; /* as written */
    size_t n_steps;
    unsigned
        order[PX_GRAPH_STEPS_MAX];   /* steps so that each comes after all that it can ever need */
    struct px_graph_output *outputs; /* in the order of `gives` */
    struct px_graph_exit *exits;
    size_t n_exits;
    uint64_t inputs_read; /* those of `takes` that something refers to */
    bool row_wise;        /* every step that could tell says so, and no condition is of the whole */
};

/* What a resolver says of a model or processor; texts and lists live as long as the graph. */
struct px_graph_resolved {
    struct px_tensor_specs takes, gives;
    bool row_wise;
};

struct px_graph_resolver {
    /* `inputs`: what the step will be given, under the names of its inputs (an empty name: its only one). */
    enum px_code (*resolve)(void *context, const struct px_graph *graph, size_t step,
                            const struct px_tensor_specs *inputs, struct px_graph_resolved *ret,
                            struct px_err *err);
    void *context;
};

/*
 * Reads and checks. PX_E_INVALID and PX_E_UNKNOWN_OPTION name line, step and tensor, and the nearest match of what is not known;
 * PX_E_TOO_LARGE, PX_E_NO_MEMORY; else what the resolver said.
 */
PX_MUST_USE enum px_code px_graph_read(struct px_str yaml, const struct px_graph_resolver *resolver,
                                       struct px_arena *arena, struct px_graph **ret,
                                       struct px_err *err);

/* The name of the file that is a graph whatever it begins with. */
#define PX_GRAPH_FILE_NAME "graph.yaml"

/* Is a key phoenix_graph at the top of what these bytes begin, in YAML or JSON? */
bool px_graph_recognise(struct px_str first_bytes);

/* What a graph calls itself; empty when it does not, or cannot be read. The arena keeps more than the name. */
struct px_str px_graph_own_name(struct px_str yaml, struct px_arena *arena);

const char *px_graph_kind_name(enum px_graph_kind kind); /* "model" */

/* The spec of what a source gives. */
const struct px_tensor_spec *px_graph_spec(const struct px_graph *graph,
                                           struct px_graph_source source);

/* The graph as lines of text, steps from top to bottom and their connections at the left; UTF-8, each line ends in \n. */
void px_graph_draw(const struct px_graph *graph, struct px_buf *out);
/* Adds members to the object of the step at `at`: what is known of it where it runs. */
struct px_graph_step_notes {
    void (*put)(const void *context, size_t at, struct px_json_writer *json);
    const void *context;
};
/* The same as members of a JSON object: inputs, outputs, steps, exits. `notes` may be NULL. */
void px_graph_put_json(const struct px_graph *graph, const struct px_graph_step_notes *notes,
                       struct px_json_writer *json);

#endif
