/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forests of any shape that the internal form can say, built from the input's bytes, not from a file: sets and
 * value lists, all missing types, chains, weights, vector and linear leaves, late bases, extremes. Each is
 * planned with a clock that says anything, or with a forced kernel. Whatever the plan is, every kernel must
 * give the walker's margins, and so must the planned kernels on a batch of any size.
 */
#include "domain/forest/planner.h"
#include "domain/forest/selftest.h"
#include "fuzz.h"
#include "shared/alloc.h"

#include <math.h>
#include <stdlib.h>

enum {
    FEATURES_MAX = 12,
    MARGINS_MAX = 3,
    SPLITS_MAX = 300,
    NODES_MAX = 2 * SPLITS_MAX + 1,
    TREES_MAX = 16,
    ROWS_MAX = 1100,
    SELF_TEST_ROWS = 40,
    PLAN_BYTES = 5,
};

/* The input; behind its end there are zeros. */
struct source {
    const uint8_t *at, *end;
};

static uint8_t take(struct source *source)
{
    return source->at < source->end ? *source->at++ : 0;
}

static uint64_t take_below(struct source *source, uint64_t n)
{
    uint64_t value = (uint64_t)take(source) << 8;
    return (value | take(source)) % n;
}

static double take_number(struct source *source, enum px_datatype type)
{
    static const double special[] = {
        0.0, -0.0, (double)1e-35F, -(double)1e-35F, 1e-36, 1e-45,  1.0, -1.0, 1e30, -1e30,
        3.0, 0.5,  INFINITY,       -INFINITY,       2.5,   65536.0};
    uint8_t pick = take(source);
    uint32_t bits = 0;
    float number;
    if (pick < 64)
        return (double)(pick % 16) - 8.0;
    if (pick < 128)
        return type == PX_TYPE_FP32 ? (double)(float)special[pick % PX_ARRAY_LEN(special)]
                                    : special[pick % PX_ARRAY_LEN(special)];
    for (int i = 0; i < 4; i++)
        bits = bits << 8 | take(source);
    memcpy(&number, &bits, sizeof number);
    double value = isnan(number) ? 0.0 : (double)number;
    return type == PX_TYPE_FP64 && isfinite(value) ? nextafter(value, INFINITY) : value;
}

/* What a forest is made of. */
struct shape {
    enum px_datatype type;
    bool weights, vectors, linear;
    uint64_t n_sets, n_lists;
};

static struct px_node take_split(struct source *source, const struct px_forest_ir *ir,
                                 const struct shape *shape)
{
    uint8_t flags = take(source);
    struct px_node node = {.kind = flags & 1 ? PX_NODE_LE : PX_NODE_LT,
                           .feature = (uint32_t)take_below(source, ir->n_features),
                           .missing = (uint8_t)((flags >> 1 & 3) % 3),
                           .default_left = flags & 8,
                           .in_set_left = flags & 16,
                           .set = PX_SET_NONE};
    if ((flags & 96) == 96 && shape->n_sets > 0) {
        node.kind = PX_NODE_SET;
        node.set = (uint32_t)take_below(source, shape->n_sets);
    } else if ((flags & 96) == 64 && shape->n_lists > 0) {
        node.kind = PX_NODE_VALUES;
        node.set = (uint32_t)take_below(source, shape->n_lists);
    } else {
        node.threshold = take_number(source, shape->type);
    }
    if (node.set != PX_SET_NONE)
        node.missing = PX_MISSING_NAN;
    return node;
}

/* Splits leaves; which one is next is the input's choice, so that chains and bushes come about. */
static size_t take_nodes(struct source *source, const struct px_forest_ir *ir,
                         const struct shape *shape, struct px_file_node *nodes)
{
    static size_t leaves[SPLITS_MAX + 1];
    size_t n_nodes = 1, n_leaves = 1, n_splits = take(source) % 64;
    bool chain = n_splits % 5 == 4, large = n_splits == 63;
    nodes[0] = (struct px_file_node){.node = {.kind = PX_NODE_LEAF}, .left = 0};
    leaves[0] = 0;
    n_splits = large ? SPLITS_MAX : n_splits;
    for (size_t i = 0; i < n_splits; i++, n_leaves++, n_nodes += 2) {
        size_t pick = chain ? n_leaves - 1 : take_below(source, n_leaves), at = leaves[pick];
        nodes[at] = (struct px_file_node){take_split(source, ir, shape), (int64_t)n_nodes,
                                          (int64_t)n_nodes + 1};
        for (size_t child = n_nodes; child < n_nodes + 2; child++)
            nodes[child] =
                (struct px_file_node){.node = {.kind = PX_NODE_LEAF}, .left = (int64_t)child};
        leaves[pick] = n_nodes;
        leaves[n_leaves] = n_nodes + 1;
    }
    return n_nodes;
}

static bool take_linear(struct source *source, struct px_forest_ir *ir, struct px_tree *tree)
{
    tree->linear = true;
    tree->first_linear = (uint32_t)ir->linear_leaves.len;
    for (uint32_t l = 0; l < tree->n_leaves; l++) {
        uint32_t n_terms = (uint32_t)take_below(source, 4);
        struct px_linear_leaf *leaf = px_vec_push(&ir->linear_leaves);
        if (!leaf)
            return false;
        *leaf = (struct px_linear_leaf){take_number(source, ir->type),
                                        (uint32_t)ir->linear_terms.len, n_terms};
        for (uint32_t i = 0; i < n_terms; i++) {
            struct px_linear_term *term = px_vec_push(&ir->linear_terms);
            if (!term)
                return false;
            term->coefficient = take_number(source, ir->type);
            term->feature = (uint32_t)take_below(source, ir->n_features);
        }
    }
    return true;
}

static bool take_tree(struct source *source, struct px_forest_ir *ir, const struct shape *shape)
{
    static struct px_file_node nodes[NODES_MAX];
    static double values[NODES_MAX * MARGINS_MAX];
    size_t n = take_nodes(source, ir, shape, nodes);
    bool vector = shape->vectors && take(source) % 2;
    for (size_t i = 0; i < n * MARGINS_MAX; i++)
        values[i] = i < 64 ? take_number(source, shape->type) : (double)(i % 97) - 48.0;
    struct px_file_tree file = {.nodes = nodes,
                                .n_nodes = n,
                                .values = values,
                                .n_rows = n,
                                .width = vector ? ir->n_margins : 1};
    if (px_ir_add_tree(ir, &file, NULL) != PX_OK)
        return false;
    struct px_tree *tree = &ir->trees.items[ir->trees.len - 1];
    tree->output = vector ? 0 : (uint32_t)take_below(source, ir->n_margins);
    tree->weight = shape->weights ? (double)0.3F : 1.0;
    return !shape->linear || vector || take_linear(source, ir, tree);
}

static bool take_sets(struct source *source, struct px_forest_ir *ir, const struct shape *shape)
{
    for (uint64_t s = 0; s < shape->n_sets; s++) {
        uint32_t low = (uint32_t)take_below(source, 700), set;
        uint32_t high = low + (uint32_t)take_below(source, 400);
        if (px_ir_add_set(ir, low, high, &set, NULL) != PX_OK)
            return false;
        for (uint32_t code = low; code <= high; code += 1 + take(source) % 8)
            px_ir_set_insert(ir, set, code);
    }
    for (uint64_t v = 0; v < shape->n_lists; v++) {
        double values[8];
        uint32_t list;
        size_t n = 1 + take(source) % PX_ARRAY_LEN(values);
        for (size_t i = 0; i < n; i++)
            values[i] = take_number(source, shape->type);
        if (px_ir_add_values(ir, values, n, &list, NULL) != PX_OK)
            return false;
    }
    return true;
}

static bool take_forest(struct source *source, struct px_forest_ir *ir)
{
    uint8_t flags = take(source), more = take(source);
    struct shape shape = {.type = flags & 1 ? PX_TYPE_FP64 : PX_TYPE_FP32,
                          .weights = flags & 2,
                          .vectors = flags & 4,
                          .linear = (flags & 9) == 9,
                          .n_sets = flags >> 4 & 3,
                          .n_lists = flags >> 6};
    px_ir_init(ir, PX_FOREST_XGBOOST_JSON, shape.type, 1 << 16);
    ir->n_features = 1 + more % FEATURES_MAX;
    ir->n_margins = ir->n_outputs = 1 + take(source) % MARGINS_MAX;
    ir->base_last = more & 64;
    if (ir->base_last && more & 128 && !shape.linear)
        ir->aggregate = take(source) % 2 ? PX_AGGREGATE_MIN : PX_AGGREGATE_MAX;
    ir->base = px_arena_zalloc(&ir->arena, ir->n_margins, sizeof *ir->base);
    for (size_t k = 0; ir->base && k < ir->n_margins; k++)
        ir->base[k] = (double)take(source) / 4;
    bool done = ir->base && take_sets(source, ir, &shape);
    for (size_t n = 1 + take(source) % TREES_MAX; done && n > 0; n--)
        done = take_tree(source, ir, &shape);
    return done && px_ir_finish(ir, NULL) == PX_OK;
}

/* Runs on by steps that look random, sometimes by none. */
static uint64_t clock_now_ns, clock_state;

static uint64_t any_clock_ns(void)
{
    clock_state = clock_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    clock_now_ns += clock_state >> 60 ? (clock_state >> 33) % 100000 : 0;
    return clock_now_ns;
}

static bool same(const struct px_forest_ir *ir, const void *a, const void *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double x =
            ir->type == PX_TYPE_FP32 ? (double)((const float *)a)[i] : ((const double *)a)[i];
        double y =
            ir->type == PX_TYPE_FP32 ? (double)((const float *)b)[i] : ((const double *)b)[i];
        if (memcmp(&x, &y, sizeof x) != 0 && !(isnan(x) && isnan(y)))
            return false;
    }
    return true;
}

/* The planned kernels, piece by piece, against the walker. */
static void check_batch(const struct px_plan *plan, size_t n_rows, uint64_t seed)
{
    static double data[ROWS_MAX * FEATURES_MAX], want[ROWS_MAX * MARGINS_MAX],
        got[ROWS_MAX * MARGINS_MAX];
    const struct px_forest_ir *ir = plan->input.ir;
    struct px_matrix rows = {ir->type, data, n_rows, ir->n_features, ir->n_features};
    struct px_rng rng = px_rng(seed);
    void *scratch = px_alloc_aligned(PX_CACHE_LINE, px_plan_scratch_size(plan, n_rows) + 1, 1);
    if (!scratch)
        abort();
    px_selftest_rows(ir, &rng, &rows);
    px_walker_kernel.margins(&plan->input, NULL, &rows, want, NULL);
    px_ir_finish_margins(ir, want, n_rows);
    px_plan_margins(plan, &rows, got, scratch);
    if (!same(ir, want, got, n_rows * ir->n_margins))
        abort();
    px_free(scratch);
}

static void check_plan(struct source *source, const struct px_forest_ir *ir)
{
    struct px_plan plan;
    struct px_forest_self_test result;
    struct px_plan_options options = {0};
    struct px_err err;
    uint8_t how = take(source);
    uint64_t seed = take_below(source, 1 << 16);
    clock_state = seed;
    if (how & 1)
        options.clock_ns = any_clock_ns;
    if (how & 2)
        options.kernel = px_kernels[seed % PX_KERNELS]->name;
    enum px_code code = px_plan_init_with(&plan, ir, &options, &err);
    if (code == PX_OK) {
        if (px_selftest_plan(&plan, SELF_TEST_ROWS, seed, &result, &err) != PX_OK)
            abort();
        check_batch(&plan, 1 + take_below(source, how & 28 ? 80 : ROWS_MAX), seed);
    } else if (code != PX_E_INVALID || !options.kernel || !err.message[0]) {
        abort();
    }
    px_plan_deinit(&plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_forest_ir ir;
    /* How to plan comes first, so that it stays what it is when the forest changes. */
    size_t n_plan = size < PLAN_BYTES ? size : PLAN_BYTES;
    struct source plan = {data, data + n_plan}, forest = {data + n_plan, data + size};
    if (take_forest(&forest, &ir))
        check_plan(&plan, &ir);
    px_ir_deinit(&ir);
    return 0;
}
