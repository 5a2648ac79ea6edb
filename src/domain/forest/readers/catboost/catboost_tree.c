/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CatBoost's trees.
 *
 * An oblivious tree of depth d asks the same split at every node of a level: bit i of the number of its
 * leaf is the answer to split i. It becomes a full binary tree in heap order whose root asks the last
 * split, so that leaves from left to right have the numbers 0 to 2^d - 1.
 *
 * Trees of the policies Depthwise and Lossguide are nested objects; their depth is bounded by that of the
 * JSON reader. A split that is true goes right in both.
 */
#include "domain/forest/readers/catboost/catboost_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

double px_catboost_threshold(float border)
{
    /* Doubles between `border` and the next float above are halved by their midpoint, which is a double.
     * The midpoint itself rounds to the float whose last bit is 0. Beyond the largest float stands 2^128. */
    if (isinf(border) && border > 0)
        return (double)INFINITY;
    double low = isinf(border) ? -0x1p128 : (double)border;
    float above = nextafterf(border, INFINITY);
    double high = isinf(above) ? 0x1p128 : (double)above;
    double middle = low + (high - low) / 2;
    uint32_t bits;
    memcpy(&bits, &border, sizeof bits);
    return bits & 1 ? nextafter(middle, -(double)INFINITY) : middle;
}

static void PX_PRINTF(2, 3) corrupt(struct px_catboost_file *file, const char *format, ...)
{
    char text[200];
    va_list args;
    if (!px_catboost_going(file))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    file->code = px_err_set(file->err, PX_E_CORRUPT, "tree %zu: %s", file->ir->trees.len, text);
}

#define UNSAID INT64_MIN

struct said_number {
    bool said;
    double number;
};

/* What a split says about itself, against what the bin says. */
struct claim {
    int64_t index;
    struct px_str type;
    int64_t float_feature, category; /* UNSAID, or the number of the feature */
    struct said_number border, value;
};

/* `index`: the number that features_info gives the owner of the bin; -1 when it gives none. */
static bool same_feature(int64_t claimed, int64_t index)
{
    return claimed == index || claimed == UNSAID || index == -1;
}

static bool same_question(const struct px_catboost_file *file, const struct px_catboost_bin *bin,
                          const struct claim *claim)
{
    static const char *const types[] = {[PX_CATBOOST_FLOAT] = "FloatFeature",
                                        [PX_CATBOOST_ONE_HOT] = "OneHotFeature",
                                        [PX_CATBOOST_CTR] = "OnlineCtr"};
    if (claim->type.len && !px_str_is(claim->type, types[bin->question]))
        return false;
    if (bin->question == PX_CATBOOST_FLOAT &&
        !same_feature(claim->float_feature, file->floats.items[bin->owner].index))
        return false;
    if (bin->question == PX_CATBOOST_ONE_HOT)
        return same_feature(claim->category, file->categories.items[bin->owner].index) &&
               (!claim->value.said || claim->value.number == bin->border);
    return !claim->border.said || (double)(float)claim->border.number == bin->border;
}

static void read_said_number(struct px_doc *doc, void *target)
{
    *(struct said_number *)target = (struct said_number){true, px_doc_f64(doc)};
}

static void read_claim(struct px_doc *doc, struct claim *claim)
{
    const struct px_doc_field fields[] = {
        {"split_index", px_doc_read_i64, &claim->index},
        {"float_feature_index", px_doc_read_i64, &claim->float_feature},
        {"cat_feature_index", px_doc_read_i64, &claim->category},
        {"split_type", px_doc_read_str, &claim->type},
        {"border", read_said_number, &claim->border},
        {"value", read_said_number, &claim->value},
    };
    *claim = (struct claim){.index = -1, .float_feature = UNSAID, .category = UNSAID};
    px_doc_object(doc, fields, PX_ARRAY_LEN(fields));
}

static void refuse_split(struct px_catboost_file *file, const struct claim *claim)
{
    if (!px_catboost_going(file))
        return;
    if (px_str_is(claim->type, "EstimatedFeature")) {
        file->code =
            px_err_set(file->err, PX_E_UNSUPPORTED,
                       "tree %zu splits on a text or embedding feature", file->ir->trees.len);
        px_err_hint(file->err, "train without text_features and embedding_features");
        return;
    }
    if (claim->index < 0 || (uint64_t)claim->index >= file->bins.len)
        corrupt(file, "split_index %" PRId64 " is not in [0, %zu), the borders of features_info",
                claim->index, file->bins.len);
    else
        corrupt(file, "split_index %" PRId64 " is another question in features_info", claim->index);
}

/* The number of the bin of the split object that comes next. */
static uint32_t read_split(struct px_catboost_file *file)
{
    struct claim claim;
    read_claim(&file->doc, &claim);
    bool inside = claim.index >= 0 && (uint64_t)claim.index < file->bins.len;
    if (!inside || !same_question(file, &file->bins.items[claim.index], &claim)) {
        refuse_split(file, &claim);
        return 0;
    }
    struct px_catboost_bin *bin = &file->bins.items[claim.index];
    if (!bin->made && px_catboost_going(file))
        px_catboost_make_set(file, bin);
    return (uint32_t)claim.index;
}

static void read_values(struct px_catboost_file *file)
{
    while (px_doc_next_element(&file->doc)) {
        double *value = px_vec_push(&file->values);
        if (!value)
            px_catboost_no_memory(file);
        else
            *value = px_doc_f64(&file->doc);
    }
}

/* All leaves of a model have the same number of values. */
static void take_width(struct px_catboost_file *file, size_t width)
{
    if (file->width == 0)
        file->width = width;
    if (file->width != width)
        corrupt(file, "its leaves have %zu values, those before it %zu", width, file->width);
}

static void add_tree(struct px_catboost_file *file)
{
    struct px_file_tree tree = {.nodes = file->nodes.items,
                                .n_nodes = file->nodes.len,
                                .values = file->values.items,
                                .n_rows = file->width ? file->values.len / file->width : 0,
                                .width = file->width,
                                .all_reached = true};
    if (px_catboost_going(file))
        file->code = px_ir_add_tree(file->ir, &tree, file->err);
}

/* --- oblivious trees -------------------------------------------------------------------------- */

/* Heap order: the children of node i are 2i + 1 and 2i + 2. */
static void lay_out_heap(struct px_catboost_file *file, size_t depth)
{
    size_t n_splits = ((size_t)1 << depth) - 1, n = 2 * n_splits + 1;
    if (!px_vec_reserve(&file->nodes, n)) {
        px_catboost_no_memory(file);
        return;
    }
    file->nodes.len = n;
    for (size_t level = 0; level < depth; level++) {
        size_t first = ((size_t)1 << level) - 1;
        const struct px_catboost_bin *bin =
            &file->bins.items[file->splits.items[depth - 1 - level]];
        for (size_t i = first; i <= 2 * first; i++)
            file->nodes.items[i] =
                (struct px_file_node){bin->node, (int64_t)(2 * i + 1), (int64_t)(2 * i + 2)};
    }
    for (size_t leaf = 0; leaf <= n_splits; leaf++)
        file->nodes.items[n_splits + leaf] =
            (struct px_file_node){.node = {.kind = PX_NODE_LEAF}, .left = (int64_t)leaf};
}

static void add_split(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    uint32_t *split = px_vec_push(&file->splits);
    (void)doc;
    if (!split)
        px_catboost_no_memory(file);
    else
        *split = read_split(file);
}

static void read_splits(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    file->splits.len = 0;
    px_doc_list(doc, add_split, file);
}

static void read_leaf_values(struct px_doc *doc, void *target)
{
    struct px_catboost_file *file = target;
    file->values.len = 0;
    px_doc_enter_array(doc);
    read_values(file);
}

static void read_oblivious_fields(struct px_catboost_file *file)
{
    const struct px_doc_field fields[] = {
        {"leaf_values", read_leaf_values, file},
        {"splits", read_splits, file},
    };
    file->values.len = file->splits.len = 0;
    px_doc_object(&file->doc, fields, PX_ARRAY_LEN(fields));
}

static void read_oblivious_tree(struct px_catboost_file *file)
{
    read_oblivious_fields(file);
    if (!px_catboost_going(file))
        return;
    size_t depth = file->splits.len;
    size_t n_leaves = depth < 32 ? (size_t)1 << depth : SIZE_MAX;
    if (file->values.len < n_leaves || file->values.len % n_leaves) {
        corrupt(file, "%zu splits do not go with %zu leaf values", depth, file->values.len);
        return;
    }
    take_width(file, file->values.len / n_leaves);
    lay_out_heap(file, depth);
    add_tree(file);
}

/* --- other trees ------------------------------------------------------------------------------ */

static void read_leaf(struct px_catboost_file *file, size_t at)
{
    size_t before = file->values.len;
    if (px_doc_peek(&file->doc) == PX_JSON_ARRAY) {
        px_doc_enter_array(&file->doc);
        read_values(file);
    } else {
        double *value = px_vec_push(&file->values);
        if (!value)
            px_catboost_no_memory(file);
        else
            *value = px_doc_f64(&file->doc);
    }
    if (!px_catboost_going(file))
        return;
    if (file->values.len == before)
        corrupt(file, "a leaf without a value");
    take_width(file, file->values.len - before);
    file->nodes.items[at].left = file->width ? (int64_t)(before / file->width) : 0;
}

/* A node while its members are read. */
struct node_fields {
    struct px_catboost_file *file;
    size_t at; /* its own number */
    bool left, right, split, value;
    int64_t left_id, right_id;
};

static int64_t read_node(struct px_catboost_file *file);

static void read_left(struct px_doc *doc, void *target)
{
    struct node_fields *has = target;
    (void)doc;
    has->left_id = read_node(has->file);
    has->left = true;
}

static void read_right(struct px_doc *doc, void *target)
{
    struct node_fields *has = target;
    (void)doc;
    has->right_id = read_node(has->file);
    has->right = true;
}

static void read_node_split(struct px_doc *doc, void *target)
{
    struct node_fields *has = target;
    struct px_catboost_file *file = has->file;
    (void)doc;
    uint32_t bin = read_split(file);
    has->split = true;
    if (px_catboost_going(file))
        file->nodes.items[has->at].node = file->bins.items[bin].node;
}

static void read_node_value(struct px_doc *doc, void *target)
{
    struct node_fields *has = target;
    (void)doc;
    read_leaf(has->file, has->at);
    has->value = true;
}

/* Reads a node and what is below it; returns its number. Recursion is bounded by PX_JSON_DEPTH_MAX. */
static int64_t read_node(struct px_catboost_file *file)
{
    struct node_fields has = {.file = file, .at = file->nodes.len};
    const struct px_doc_field fields[] = {
        {"left", read_left, &has},
        {"right", read_right, &has},
        {"split", read_node_split, &has},
        {"value", read_node_value, &has},
    };
    struct px_file_node *node = px_vec_push(&file->nodes);
    if (!node) {
        px_catboost_no_memory(file);
        return 0;
    }
    *node = (struct px_file_node){.node = {.kind = PX_NODE_LEAF}};
    px_doc_object(&file->doc, fields, PX_ARRAY_LEN(fields));
    bool inner = has.left && has.right && has.split;
    if (inner == has.value || has.left != has.right || has.left != has.split)
        corrupt(file, "a node needs either 'value', or 'split', 'left' and 'right'");
    if (inner && px_catboost_going(file)) {
        file->nodes.items[has.at].left = has.left_id;
        file->nodes.items[has.at].right = has.right_id;
    }
    return (int64_t)has.at;
}

static void read_nested_tree(struct px_catboost_file *file)
{
    file->nodes.len = file->values.len = 0;
    read_node(file);
    add_tree(file);
}

void px_catboost_read_trees(struct px_catboost_file *file)
{
    px_doc_enter_array(&file->doc);
    while (px_doc_next_element(&file->doc)) {
        if (file->oblivious)
            read_oblivious_tree(file);
        else
            read_nested_tree(file);
    }
}
