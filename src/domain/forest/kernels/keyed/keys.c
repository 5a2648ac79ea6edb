/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Order of keys. The bits of a number, as an unsigned integer, ascend with its magnitude; setting the top
 * bit of positive numbers and inverting negative ones makes them ascend with the number. Adding +0 first
 * makes -0 a +0 and changes nothing else (rounding is to nearest, denormals are kept). The keys of -infinity
 * and +infinity leave the least and greatest integers free for what is missing.
 *
 * `x < t` goes left: right is key(x) >= key(t), that is key(t) - 1 < key(x). `x <= t` goes left: right is
 * key(t) < key(x). Both are exact for every t, infinities included. Doubles would need 64 bits, so their keys
 * are ranked: of the sorted thresholds s of a column, s[k] < key(x) just when k < #{s < key(x)}.
 */
#include "domain/forest/kernels/keyed/keys.h"

#include "shared/alloc.h"
#include "shared/bits.h"

#include <math.h>
#include <stdlib.h>

enum { WINDOW_HEADER = 2, WINDOW_END = 2 }; /* words before and behind those of the set */

static uint64_t split_u64(const struct px_node *node)
{
    return px_f64_ordered(node->threshold) - (node->kind == PX_NODE_LT);
}

/* Place of a feature among the used ones: its own number when all before it are used. */
static size_t used_place(const struct px_forest_ir *ir, uint32_t feature)
{
    const uint32_t *at = ir->used_features.items;
    if (feature < ir->used_features.len && at[feature] == feature)
        return feature;
    for (size_t n = ir->used_features.len; n > 1;) {
        size_t half = n / 2;
        at += at[half] <= feature ? half : 0;
        n -= half;
    }
    return (size_t)(at - ir->used_features.items);
}

uint32_t px_keys_column(const struct px_keys *keys, const struct px_node *node)
{
    size_t place = used_place(keys->ir, node->feature);
    unsigned below = keys->readings[place] & ((1U << px_reading_of(node)) - 1U);
    return keys->first_column[place] + (below ? (uint32_t)__builtin_popcount(below) : 0);
}

/* Which readings the splits need of each used feature. */
static void find_readings(struct px_keys *keys)
{
    const struct px_node *node;
    px_vec_foreach (node, &keys->ir->nodes) {
        if (node->kind != PX_NODE_LEAF)
            keys->readings[used_place(keys->ir, node->feature)] |=
                (uint8_t)(1U << px_reading_of(node));
    }
}

static enum px_code make_columns(struct px_keys *keys, struct px_err *err)
{
    const struct px_forest_ir *ir = keys->ir;
    size_t n_used = ir->used_features.len, n = 1;
    keys->readings = px_alloc(n_used, sizeof *keys->readings);
    keys->first_column = px_alloc(n_used, sizeof *keys->first_column);
    if (!keys->readings || !keys->first_column)
        return px_ir_no_memory(err);
    find_readings(keys);
    for (size_t i = 0; i < n_used; i++) {
        keys->first_column[i] = (uint32_t)n;
        n += (size_t)__builtin_popcount(keys->readings[i]);
    }
    keys->columns = px_alloc(n, sizeof *keys->columns);
    if (!keys->columns)
        return px_ir_no_memory(err);
    keys->n_columns = n;
    struct px_key_column *column = &keys->columns[1];
    for (size_t i = 0; i < n_used; i++) {
        for (int reading = 0; reading <= PX_READ_VALUES; reading++) {
            if (keys->readings[i] >> reading & 1)
                *column++ = (struct px_key_column){.feature = ir->used_features.items[i],
                                                   .reading = (uint8_t)reading};
        }
    }
    return PX_OK;
}

static bool is_threshold(const struct px_node *node)
{
    return node->kind == PX_NODE_LT || node->kind == PX_NODE_LE;
}

static int compare_ranks(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the thresholds of a column and keeps one of each, from rank `to` on. */
static void sort_ranks(struct px_keys *keys, struct px_key_column *column, uint32_t to)
{
    const uint64_t *all = &keys->ranks[column->first_rank];
    uint64_t *distinct = &keys->ranks[to];
    uint32_t n = 0;
    qsort(&keys->ranks[column->first_rank], column->n_ranks, sizeof *all, compare_ranks);
    for (uint32_t i = 0; i < column->n_ranks; i++) {
        if (n == 0 || all[i] != distinct[n - 1])
            distinct[n++] = all[i];
    }
    column->first_rank = to;
    column->n_ranks = n;
}

/* Counts the thresholds of each column, lays the columns out one after the other, fills and sorts them. */
static enum px_code make_ranks(struct px_keys *keys, struct px_err *err)
{
    const struct px_node *node;
    uint32_t total = 0;
    if (keys->ir->type == PX_TYPE_FP32)
        return PX_OK;
    px_vec_foreach (node, &keys->ir->nodes) {
        if (is_threshold(node))
            keys->columns[px_keys_column(keys, node)].n_ranks++;
    }
    for (size_t c = 1; c < keys->n_columns; c++) {
        keys->columns[c].first_rank = total;
        total += keys->columns[c].n_ranks;
        keys->columns[c].n_ranks = 0;
    }
    keys->ranks = px_alloc((size_t)total + 1, sizeof *keys->ranks);
    if (!keys->ranks)
        return px_ir_no_memory(err);
    px_vec_foreach (node, &keys->ir->nodes) {
        if (!is_threshold(node))
            continue;
        struct px_key_column *column = &keys->columns[px_keys_column(keys, node)];
        keys->ranks[column->first_rank + column->n_ranks++] = split_u64(node);
    }
    for (size_t c = 1; c < keys->n_columns; c++) {
        sort_ranks(keys, &keys->columns[c], (uint32_t)keys->n_ranks);
        keys->n_ranks += keys->columns[c].n_ranks;
    }
    uint64_t *smaller = px_realloc(keys->ranks, keys->n_ranks + 1, sizeof *keys->ranks);
    keys->ranks = smaller ? smaller : keys->ranks;
    return PX_OK;
}

/*
 * Thresholds whose ranks are searched side by side. The ranks of a large forest lie in memory far away, and where
 * the next threshold lies is as good as random: one search after the other would wait for every line.
 */
struct searches {
    size_t n;
    uint32_t longest;
    const uint64_t *ranks[PX_KEY_LANES]; /* of the column */
    uint32_t at[PX_KEY_LANES], left[PX_KEY_LANES];
    uint64_t key[PX_KEY_LANES];
    uint32_t *out[PX_KEY_LANES];
};

static void add_search(const struct px_keys *keys, struct searches *s, const struct px_node *node,
                       uint32_t *out)
{
    const struct px_key_column *column = &keys->columns[px_keys_column(keys, node)];
    s->ranks[s->n] = &keys->ranks[column->first_rank];
    s->at[s->n] = 0;
    s->left[s->n] = column->n_ranks;
    s->key[s->n] = split_u64(node);
    s->out[s->n++] = out;
    s->longest = column->n_ranks > s->longest ? column->n_ranks : s->longest;
}

/* Each becomes the number of the column's ranks below its key; a column has at least one. */
static void run_searches(struct searches *s)
{
    for (uint32_t longest = s->longest; longest > 1; longest -= longest / 2) {
        for (size_t i = 0; i < s->n; i++) {
            uint32_t half = s->left[i] / 2, last = half ? half - 1 : 0;
            s->at[i] += (s->ranks[i][s->at[i] + last] < s->key[i]) * half; /* no branch */
            s->left[i] -= half;
        }
    }
    for (size_t i = 0; i < s->n; i++)
        *s->out[i] = s->at[i] + (s->ranks[i][s->at[i]] < s->key[i]);
    s->n = 0;
    s->longest = 0;
}

void px_keys_splits(const struct px_keys *keys, const struct px_node *nodes, size_t n,
                    uint32_t *ret)
{
    struct searches s = {0};
    for (size_t i = 0; i < n; i++) {
        if (!is_threshold(&nodes[i]))
            continue;
        if (keys->ir->type == PX_TYPE_FP32) {
            ret[i] = px_f32_ordered((float)nodes[i].threshold) - (nodes[i].kind == PX_NODE_LT);
            continue;
        }
        add_search(keys, &s, &nodes[i], &ret[i]);
        if (s.n == PX_KEY_LANES)
            run_searches(&s);
    }
    run_searches(&s);
}

/* Adds a window of `n` words whose bits are all as `right` says; 0 when it cannot be. */
static uint32_t add_window(struct px_keys *keys, uint32_t low, uint32_t n,
                           const struct px_node *node, struct px_err *err)
{
    size_t at = keys->words.len, need = at + WINDOW_HEADER + n + WINDOW_END;
    if (need > PX_KEY_WINDOW_WORDS_MAX) {
        px_err_set(err, PX_E_UNSUPPORTED, "its sets and value lists take more than %zu MB",
                   PX_KEY_WINDOW_WORDS_MAX * sizeof(uint32_t) >> 20);
        return 0;
    }
    if (!px_vec_reserve(&keys->words, need)) {
        px_err_set(err, PX_E_NO_MEMORY, "not enough memory to hold its sets");
        return 0;
    }
    uint32_t *words = &keys->words.items[at];
    words[0] = low;
    words[1] = n;
    for (size_t i = 0; i <= n; i++)
        words[WINDOW_HEADER + i] = node->in_set_left ? UINT32_MAX : 0;
    words[WINDOW_HEADER + n + 1] = node->default_left ? 0 : UINT32_MAX;
    keys->words.len = need;
    return (uint32_t)at;
}

static uint32_t add_set_window(struct px_keys *keys, const struct px_node *node, struct px_err *err)
{
    const struct px_set *set = &keys->ir->sets.items[node->set];
    uint32_t at = add_window(keys, set->low_word, set->n_words, node, err);
    for (uint32_t i = 0; at && i < set->n_words; i++)
        keys->words.items[at + WINDOW_HEADER + i] ^= keys->ir->set_words.items[set->first_word + i];
    return at;
}

/* Place of the greatest of the numbers that is not above `x`, or 0. */
static PX_ALWAYS_INLINE size_t value_place(const struct px_keys *keys, double x)
{
    const double *at = keys->values;
    for (size_t n = keys->n_values; n > 1;) {
        size_t half = n / 2;
        at += at[half] <= x ? half : 0;
        n -= half;
    }
    return (size_t)(at - keys->values);
}

static uint32_t add_list_window(struct px_keys *keys, const struct px_node *node,
                                struct px_err *err)
{
    const struct px_value_list *list = &keys->ir->value_lists.items[node->set];
    const double *values = &keys->ir->values.items[list->first];
    uint32_t low = 0, n = 0;
    if (list->n > 0) {
        low = (uint32_t)value_place(keys, values[0]) / 32;
        n = (uint32_t)value_place(keys, values[list->n - 1]) / 32 - low + 1;
    }
    uint32_t at = add_window(keys, low, n, node, err);
    for (uint32_t i = 0; at && i < list->n; i++) {
        size_t place = value_place(keys, values[i]);
        keys->words.items[at + WINDOW_HEADER + place / 32 - low] ^= UINT32_C(1) << (place % 32);
    }
    return at;
}

static enum px_code make_values(struct px_keys *keys, struct px_err *err)
{
    size_t n = keys->ir->values.len;
    keys->values = px_alloc(n + 1, sizeof *keys->values);
    if (!keys->values)
        return px_ir_no_memory(err);
    if (n == 0)
        return PX_OK;
    memcpy(keys->values, keys->ir->values.items, n * sizeof *keys->values);
    qsort(keys->values, n, sizeof *keys->values, px_f64_compare);
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || keys->values[i] != keys->values[keys->n_values - 1])
            keys->values[keys->n_values++] = keys->values[i];
    }
    if (keys->n_values > PX_KEY_OUTSIDE)
        return px_err_set(err, PX_E_UNSUPPORTED, "its value lists name %zu numbers, at most %d",
                          keys->n_values, (int)PX_KEY_OUTSIDE);
    return PX_OK;
}

/* Where the window of a split is noted: splits of one set that send the same keys right share one. */
static uint32_t *window_slot(const struct px_keys *keys, const struct px_node *node)
{
    uint32_t *slots = node->kind == PX_NODE_SET ? keys->set_windows : keys->list_windows;
    return &slots[4 * (size_t)node->set + 2U * node->in_set_left + node->default_left];
}

uint32_t px_keys_window(const struct px_keys *keys, const struct px_node *node)
{
    return *window_slot(keys, node);
}

static enum px_code make_windows(struct px_keys *keys, struct px_err *err)
{
    static const struct px_node nothing = {.default_left = true};
    const struct px_forest_ir *ir = keys->ir;
    const struct px_node *node;
    struct px_err cause = {0};
    keys->set_windows = px_alloc(4 * ir->sets.len + 1, sizeof *keys->set_windows);
    keys->list_windows = px_alloc(4 * ir->value_lists.len + 1, sizeof *keys->list_windows);
    if (!keys->set_windows || !keys->list_windows)
        return px_ir_no_memory(err);
    add_window(keys, 0, 0, &nothing, &cause);
    px_vec_foreach (node, &ir->nodes) {
        bool is_set = node->kind == PX_NODE_SET;
        if (cause.code != PX_OK || (!is_set && node->kind != PX_NODE_VALUES))
            continue;
        uint32_t *slot = window_slot(keys, node);
        if (*slot == 0)
            *slot =
                is_set ? add_set_window(keys, node, &cause) : add_list_window(keys, node, &cause);
    }
    if (cause.code != PX_OK && err)
        *err = cause;
    return cause.code;
}

enum px_code px_keys_create(const struct px_forest_ir *ir, struct px_keys **ret, struct px_err *err)
{
    struct px_keys *keys = px_alloc(1, sizeof *keys);
    if (!keys)
        return px_ir_no_memory(err);
    keys->ir = ir;
    enum px_code code = make_columns(keys, err);
    if (code == PX_OK)
        code = make_ranks(keys, err);
    if (code == PX_OK)
        code = make_values(keys, err);
    if (code == PX_OK)
        code = make_windows(keys, err);
    if (code != PX_OK) {
        px_keys_destroy(keys);
        return code;
    }
    *ret = keys;
    return PX_OK;
}

void px_keys_destroy(struct px_keys *keys)
{
    if (!keys)
        return;
    px_vec_free(&keys->words);
    px_free(keys->columns);
    px_free(keys->ranks);
    px_free(keys->values);
    px_free(keys->set_windows);
    px_free(keys->list_windows);
    px_free(keys->first_column);
    px_free(keys->readings);
    px_free(keys);
}

size_t px_keys_bytes(const struct px_keys *keys)
{
    size_t n_used = keys->ir->used_features.len;
    size_t n_windows = 4 * (keys->ir->sets.len + keys->ir->value_lists.len);
    return sizeof *keys + keys->n_columns * sizeof *keys->columns +
           keys->n_ranks * sizeof *keys->ranks + keys->ir->values.len * sizeof *keys->values +
           (keys->words.cap + n_windows) * sizeof(uint32_t) +
           n_used * (sizeof *keys->first_column + sizeof *keys->readings);
}

/* The key of `x`, not NaN, in a class column. */
static PX_ALWAYS_INLINE uint32_t category_key(const struct px_keys *keys, double x)
{
    bool valid = keys->ir->type == PX_TYPE_FP32 ? x >= 0.0 : x > -1.0; /* as px_ir_in_set */
    return valid && x < (double)PX_FOREST_CATEGORY_MAX ? (uint32_t)(int32_t)x : PX_KEY_OUTSIDE;
}

static PX_ALWAYS_INLINE uint32_t number_key(const struct px_keys *keys, double x)
{
    size_t place = value_place(keys, x);
    return keys->values[place] == x ? (uint32_t)place : PX_KEY_OUTSIDE;
}

/* #{s < x} for PX_KEY_LANES numbers at once, so that the searches overlap. */
static void rank_lanes(const uint64_t *ranks, size_t n_ranks, const uint64_t *x, uint32_t *out)
{
    uint32_t at[PX_KEY_LANES] = {0};
    size_t n = n_ranks;
    for (; n > 1; n -= n / 2) {
        uint32_t half = (uint32_t)(n / 2);
        for (int i = 0; i < PX_KEY_LANES; i++)
            at[i] += ranks[at[i] + half - 1] < x[i] ? half : 0;
    }
    for (int i = 0; i < PX_KEY_LANES; i++)
        out[i] = at[i] + (n == 1 && ranks[at[i]] < x[i]);
}

static PX_ALWAYS_INLINE bool reads_as_missing(double x, enum px_reading reading)
{
    if (reading == PX_READ_ZERO_LOW || reading == PX_READ_ZERO_HIGH)
        return isnan(x) || fabs(x) <= PX_ZERO_THRESHOLD;
    return isnan(x);
}

static PX_ALWAYS_INLINE uint32_t missing_key(enum px_reading reading)
{
    return reading == PX_READ_MISSING_HIGH || reading == PX_READ_ZERO_HIGH ? UINT32_MAX : 0;
}

static PX_ALWAYS_INLINE void encode_floats(const float *x, size_t stride, size_t n,
                                           enum px_reading reading, uint32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        float value = x[i * stride];
        if (reading == PX_READ_MISSING_AS_ZERO) {
            out[i] = px_f32_ordered(isnan(value) ? 0.0F : value);
        } else {
            uint32_t key = px_f32_ordered(value);
            out[i] = reads_as_missing((double)value, reading) ? missing_key(reading) : key;
        }
    }
}

static PX_ALWAYS_INLINE void encode_doubles(const struct px_keys *keys,
                                            const struct px_key_column *column, const double *x,
                                            size_t stride, size_t n, uint32_t *out)
{
    enum px_reading reading = column->reading;
    uint64_t ordered[PX_KEY_LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        double value = x[i * stride];
        ordered[i] = px_f64_ordered(isnan(value) ? 0.0 : value);
    }
    rank_lanes(&keys->ranks[column->first_rank], column->n_ranks, ordered, out);
    if (reading == PX_READ_MISSING_AS_ZERO)
        return;
    for (size_t i = 0; i < n; i++)
        out[i] = reads_as_missing(x[i * stride], reading) ? missing_key(reading) : out[i];
}

static void encode_classes(const struct px_keys *keys, const struct px_key_column *column,
                           const struct px_matrix *rows, size_t first, size_t n, uint32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        double x = px_matrix_get(rows, first + i, column->feature);
        if (isnan(x))
            out[i] = PX_KEY_NAN;
        else if (column->reading == PX_READ_SET)
            out[i] = category_key(keys, x);
        else
            out[i] = number_key(keys, x);
    }
}

static void encode_float_column(const struct px_key_column *column, const float *row, size_t stride,
                                size_t n, uint32_t *out)
{
    const float *x = row + column->feature;
    if (column->reading == PX_READ_MISSING_LOW)
        encode_floats(x, stride, n, PX_READ_MISSING_LOW, out);
    else if (column->reading == PX_READ_MISSING_HIGH)
        encode_floats(x, stride, n, PX_READ_MISSING_HIGH, out);
    else
        encode_floats(x, stride, n, column->reading, out);
}

void px_keys_encode(const struct px_keys *keys, const struct px_matrix *rows, size_t first,
                    size_t n, uint32_t *chunk)
{
    const void *row = px_matrix_row(rows, first);
    if (n < PX_KEY_LANES)
        memset(chunk, 0, keys->n_columns * PX_KEY_LANES * sizeof *chunk);
    else
        memset(chunk, 0, PX_KEY_LANES * sizeof *chunk);
    for (size_t c = 1; c < keys->n_columns; c++) {
        const struct px_key_column *column = &keys->columns[c];
        uint32_t *out = &chunk[c * PX_KEY_LANES];
        if (column->reading == PX_READ_SET || column->reading == PX_READ_VALUES)
            encode_classes(keys, column, rows, first, n, out);
        else if (rows->type == PX_TYPE_FP32)
            encode_float_column(column, row, rows->stride, n, out);
        else
            encode_doubles(keys, column, (const double *)row + column->feature, rows->stride, n,
                           out);
    }
}
