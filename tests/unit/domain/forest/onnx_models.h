/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX models for tests: a graph as a C value, written as protobuf. Lists are numbers in a text. */
#ifndef PX_TESTS_ONNX_MODELS_H
#define PX_TESTS_ONNX_MODELS_H

#include "forest_models.h"

enum { ONNX_MAX = 1 << 16, ONNX_NODES_MAX = 8, ONNX_ATTRIBUTES_MAX = 20, ONNX_CONSTANTS_MAX = 4 };

struct bytes {
    unsigned char at[ONNX_MAX];
    size_t len;
};

static inline void put_varint(struct bytes *b, uint64_t value)
{
    do
        b->at[b->len++] = (unsigned char)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
    while (value >>= 7);
}

static inline void put_int(struct bytes *b, unsigned field, int64_t value)
{
    put_varint(b, field << 3);
    put_varint(b, (uint64_t)value);
}

static inline void put_bytes(struct bytes *b, unsigned field, const void *from, size_t n)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    memcpy(b->at + b->len, from, n);
    b->len += n;
}

static inline void put_text(struct bytes *b, unsigned field, const char *text)
{
    put_bytes(b, field, text, strlen(text));
}

static inline void put_message(struct bytes *b, unsigned field, const struct bytes *inner)
{
    put_bytes(b, field, inner->at, inner->len);
}

static inline void put_float(struct bytes *b, unsigned field, float value)
{
    put_varint(b, field << 3 | 5);
    memcpy(b->at + b->len, &value, sizeof value);
    b->len += sizeof value;
}

struct onnx_attribute {
    const char *name;
    const char *type;   /* int float string ints packed floats strings; tensors: f32 f64 u8 i64,
                           and u8 whose data is written as other numbers: u8i32 u8f32 */
    const char *values; /* separated by blanks */
};

struct onnx_node {
    const char *op;
    const char *in, *out; /* names, separated by blanks */
    struct onnx_attribute attributes[ONNX_ATTRIBUTES_MAX];
    const char *name;
};

struct onnx {
    struct onnx_node nodes[ONNX_NODES_MAX];
    struct onnx_attribute constants[ONNX_CONSTANTS_MAX];
    const char *outputs;
    const char *inputs; /* X */
    int element;        /* of the inputs; 0: float */
    int features;       /* 0: 2; -1: open */
};

/* The next word of `rest`, or NULL. */
static inline const char *onnx_word(const char **rest)
{
    static char word[256];
    size_t n;
    *rest += strspn(*rest, " ");
    n = strcspn(*rest, " ");
    memcpy(word, *rest, n);
    word[n] = '\0';
    *rest += n;
    return n ? word : NULL;
}

/* A TensorProto: raw bytes for f64 and u8, the typed field for the others. */
static inline void put_tensor(struct bytes *b, unsigned field, const struct onnx_attribute *from)
{
    static struct bytes tensor, raw;
    const char *rest = from->values, *word;
    bool f64 = strcmp(from->type, "f64") == 0, u8 = strcmp(from->type, "u8") == 0;
    bool f32 = strcmp(from->type, "f32") == 0 || strcmp(from->type, "u8f32") == 0;
    bool i32 = strcmp(from->type, "u8i32") == 0;
    int type = f64 ? 11 : from->type[0] == 'u' ? 2 : f32 ? 1 : 7;
    int64_t n = 0;
    tensor.len = raw.len = 0;
    for (; (word = onnx_word(&rest)) != NULL; n++) {
        double value = strtod(word, NULL);
        if (f64) {
            memcpy(raw.at + raw.len, &value, sizeof value);
            raw.len += sizeof value;
        } else if (u8) {
            raw.at[raw.len++] = (unsigned char)value;
        } else if (f32) {
            put_float(&tensor, 4, (float)value);
        } else {
            put_int(&tensor, i32 ? 5 : 7, (int64_t)value);
        }
    }
    put_int(&tensor, 1, n);
    put_int(&tensor, 2, type);
    if (f64 || u8)
        put_message(&tensor, 9, &raw);
    put_text(&tensor, 8, from->name);
    put_message(b, field, &tensor);
}

static inline void put_list(struct bytes *b, const struct onnx_attribute *from)
{
    static struct bytes packed;
    const char *rest = from->values, *word;
    packed.len = 0;
    while ((word = onnx_word(&rest)) != NULL) {
        if (strcmp(from->type, "ints") == 0)
            put_int(b, 8, strtoll(word, NULL, 10));
        else if (strcmp(from->type, "packed") == 0)
            put_varint(&packed, (uint64_t)strtoll(word, NULL, 10));
        else if (strcmp(from->type, "floats") == 0)
            put_float(b, 7, strtof(word, NULL));
        else
            put_text(b, 9, word);
    }
    if (packed.len)
        put_message(b, 8, &packed);
}

static inline void put_attribute(struct bytes *node, const struct onnx_attribute *from)
{
    static struct bytes attribute;
    attribute.len = 0;
    put_text(&attribute, 1, from->name);
    if (strcmp(from->type, "int") == 0)
        put_int(&attribute, 3, strtoll(from->values, NULL, 10));
    else if (strcmp(from->type, "float") == 0)
        put_float(&attribute, 2, strtof(from->values, NULL));
    else if (strcmp(from->type, "string") == 0)
        put_text(&attribute, 4, from->values);
    else if (strchr("fui", from->type[0]) && strpbrk(from->type, "0123456789"))
        put_tensor(&attribute, 5, from);
    else
        put_list(&attribute, from);
    put_message(node, 5, &attribute);
}

static inline bool is_ml(const char *op)
{
    static const char *const ops[] = {
        "TreeEnsemble", "TreeEnsembleRegressor", "TreeEnsembleClassifier", "Scaler",    "Imputer",
        "ZipMap",       "LabelEncoder",          "ArrayFeatureExtractor",  "Normalizer"};
    for (size_t i = 0; i < PX_ARRAY_LEN(ops); i++) {
        if (strcmp(op, ops[i]) == 0)
            return true;
    }
    return false;
}

static inline void put_node(struct bytes *graph, const struct onnx_node *from)
{
    static struct bytes node;
    const char *in = from->in, *out = from->out, *word;
    node.len = 0;
    while ((word = onnx_word(&in)) != NULL)
        put_text(&node, 1, word);
    while ((word = onnx_word(&out)) != NULL)
        put_text(&node, 2, word);
    put_text(&node, 3, from->name ? from->name : "");
    put_text(&node, 4, from->op);
    for (size_t i = 0; i < ONNX_ATTRIBUTES_MAX && from->attributes[i].name; i++)
        put_attribute(&node, &from->attributes[i]);
    if (is_ml(from->op))
        put_text(&node, 7, "ai.onnx.ml");
    put_message(graph, 1, &node);
}

/* A ValueInfoProto with shape [open, columns]; without a type when `element` is 0. */
static inline void put_port(struct bytes *graph, unsigned field, const char *name, int element,
                            int columns)
{
    static struct bytes port, type, tensor, shape, dim;
    port.len = type.len = tensor.len = shape.len = dim.len = 0;
    put_text(&port, 1, name);
    if (element) {
        put_message(&shape, 1, &dim);
        if (columns > 0)
            put_int(&dim, 1, columns);
        put_message(&shape, 1, &dim);
        put_int(&tensor, 1, element);
        put_message(&tensor, 2, &shape);
        put_message(&type, 1, &tensor);
        put_message(&port, 2, &type);
    }
    put_message(graph, field, &port);
}

static inline struct px_str onnx_bytes(const struct onnx *m)
{
    static struct bytes model, graph, opset;
    const char *outputs = or_default(m->outputs, "Y"), *inputs = or_default(m->inputs, "X"), *word;
    model.len = graph.len = opset.len = 0;
    for (size_t i = 0; i < ONNX_NODES_MAX && m->nodes[i].op; i++)
        put_node(&graph, &m->nodes[i]);
    for (size_t i = 0; i < ONNX_CONSTANTS_MAX && m->constants[i].name; i++)
        put_tensor(&graph, 5, &m->constants[i]);
    while ((word = onnx_word(&inputs)) != NULL)
        put_port(&graph, 11, word, m->element ? m->element : 1, m->features ? m->features : 2);
    while ((word = onnx_word(&outputs)) != NULL)
        put_port(&graph, 12, word, 0, 0);
    put_text(&opset, 1, "ai.onnx.ml");
    put_int(&opset, 2, 3);
    put_int(&model, 1, 8);
    put_text(&model, 2, "tests");
    put_message(&model, 7, &graph);
    put_message(&model, 8, &opset);
    return px_str_n((const char *)model.at, model.len);
}

static inline struct px_forest *onnx_load(const struct onnx *m, const char *kernel)
{
    struct px_forest_options options = {.kernel = kernel};
    struct px_forest *forest = NULL;
    struct px_err err = {0};
    if (px_forest_create(onnx_bytes(m), &options, &forest, &err) != PX_OK)
        fprintf(stderr, "%s\n", err.message);
    return forest;
}

/* Scores one row by the reference walker, and proves that the other kernels agree. */
static inline struct scores onnx_score(const struct onnx *m, const double *row, unsigned flags)
{
    struct scores scores = {0};
    struct px_forest *forest = onnx_load(m, "walker");
    struct px_err err = {0};
    if (!forest)
        return scores;
    const struct px_forest_info *info = px_forest_info(forest);
    _Alignas(64) double data[ROW_MAX], out[OUT_MAX], scratch[OUT_MAX * 8];
    struct px_matrix rows = {info->feature_type, data, 1, info->n_features, info->n_features};
    for (size_t j = 0; j < info->n_features; j++)
        px_matrix_set(&rows, 0, j, row[j]);
    px_forest_predict(forest, &rows, out, scratch, flags);
    scores.n = flags & PX_FOREST_MARGIN ? info->n_margins : info->n_outputs;
    for (size_t i = 0; i < scores.n; i++)
        scores.of[i] =
            info->score_type == PX_TYPE_FP32 ? (double)((const float *)(void *)out)[i] : out[i];
    if (px_forest_self_test(forest, 200, 1, &err) != PX_OK) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    px_forest_destroy(forest);
    return scores;
}

#define ONNX_SCORE(model, ...) onnx_score(&(model), ROW(__VA_ARGS__), 0).of[0]

/* The first warning, or "". */
static inline const char *onnx_warning(const struct onnx *m)
{
    static char text[600];
    struct px_forest *forest = onnx_load(m, NULL);
    text[0] = '\0';
    if (forest && px_forest_info(forest)->n_warnings)
        snprintf(text, sizeof text, "%s", px_forest_info(forest)->warnings[0].ptr);
    px_forest_destroy(forest);
    return text;
}

#define CHECK_ONNX_REFUSED(model_, code_, part_)                                                   \
    do {                                                                                           \
        enum px_code got_code;                                                                     \
        struct px_str bytes_ = onnx_bytes(&(model_));                                              \
        CHECK_CONTAINS(refusal_n(bytes_.ptr, bytes_.len, &got_code), part_);                       \
        CHECK_INT(got_code, code_);                                                                \
    } while (0)

/* Attributes of one stump: x[0] MODE threshold goes to the leaf with `yes`, else to the one with `no`. */
#define STUMP_NODES(mode, threshold, tracks)                                                       \
    {"nodes_treeids", "ints", "0 0 0"}, {"nodes_nodeids", "ints", "0 1 2"},                        \
        {"nodes_featureids", "ints", "0 0 0"}, {"nodes_modes", "strings", mode " LEAF LEAF"},      \
        {"nodes_values", "floats", threshold " 0 0"}, {"nodes_truenodeids", "ints", "1 0 0"},      \
        {"nodes_falsenodeids", "ints", "2 0 0"},                                                   \
    {                                                                                              \
        "nodes_missing_value_tracks_true", "ints", tracks " 0 0"                                   \
    }
#define TARGETS(trees, nodes, ids, weights)                                                        \
    {"target_treeids", "ints", trees}, {"target_nodeids", "ints", nodes},                          \
        {"target_ids", "ints", ids},                                                               \
    {                                                                                              \
        "target_weights", "floats", weights                                                        \
    }
#define CLASSES(trees, nodes, ids, weights)                                                        \
    {"class_treeids", "ints", trees}, {"class_nodeids", "ints", nodes},                            \
        {"class_ids", "ints", ids},                                                                \
    {                                                                                              \
        "class_weights", "floats", weights                                                         \
    }
#define REGRESSOR_AS(in_, mode, threshold, tracks, yes_no)                                         \
    {                                                                                              \
        .op = "TreeEnsembleRegressor", .in = in_, .out = "Y", .attributes = {                      \
            STUMP_NODES(mode, threshold, tracks),                                                  \
            TARGETS("0 0", "1 2", "0 0", yes_no)                                                   \
        }                                                                                          \
    }

#endif
