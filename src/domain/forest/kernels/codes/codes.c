/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How columns and predicates are found.
 *
 * Every split becomes a record (column, key, node), whose key orders thresholds as numbers. One stable radix
 * sort, of as many passes as there are digits that differ, brings the splits of a column together and
 * ascending, so that one walk over them numbers columns, thresholds and predicates. Measured: 20 to 40 ns a
 * split; hashing thresholds instead costs a cache miss a split once they are mostly distinct, as in random
 * forests.
 *
 * Keys. Of an FP32 forest the bits of a float, of an FP64 forest those of a double, with the sign turned so that
 * they compare as unsigned integers. -0 is +0. `x <= t` is the key of the next number after t; `x <= infinity`
 * has the greatest key, decodes to NaN, and as NaN is reached by no number.
 */
#include "domain/forest/kernels/codes/codes_tables.h"
#include "shared/bits.h"
#include "shared/processor.h"

#include <inttypes.h>
#include <math.h>

enum {
    DIGIT_BITS = 11,
    DIGITS = 1 << DIGIT_BITS,
    KEY_DIGITS = 6,    /* of 64 bits */
    COLUMN_DIGITS = 3, /* of 32 bits */
    READING_BITS = 3,  /* in px_codes_split.column */
};

#define UNREACHED UINT64_MAX

/* The key of t' with "goes left" being x < t'. */
static uint64_t threshold_key(enum px_datatype type, const struct px_node *node)
{
    double t = node->threshold;
    if (node->kind == PX_NODE_LE && t == (double)INFINITY)
        return UNREACHED;
    if (type == PX_TYPE_FP32)
        return px_f32_ordered(node->kind == PX_NODE_LE ? nextafterf((float)t, (float)INFINITY)
                                                       : (float)t);
    return px_f64_ordered(node->kind == PX_NODE_LE ? nextafter(t, (double)INFINITY) : t);
}

static double number_of(enum px_datatype type, uint64_t key)
{
    if (key == UNREACHED)
        return (double)NAN;
    return type == PX_TYPE_FP32 ? (double)px_f32_of_ordered((uint32_t)key) : px_f64_of_ordered(key);
}

static size_t count_splits(const struct px_forest_ir *ir)
{
    size_t n = 0;
    const struct px_node *node;
    px_vec_foreach (node, &ir->nodes)
        n += node->kind != PX_NODE_LEAF;
    return n;
}

/* Fills `splits`; `place` is scratch: of each feature, its place among the used ones. */
static void list_splits(const struct px_forest_ir *ir, uint32_t *place,
                        struct px_codes_split *splits)
{
    for (size_t i = 0; i < ir->used_features.len; i++)
        place[ir->used_features.items[i]] = (uint32_t)i;
    for (size_t i = 0; i < ir->nodes.len; i++) {
        const struct px_node *node = &ir->nodes.items[i];
        if (node->kind == PX_NODE_LEAF)
            continue;
        enum px_reading reading = px_reading_of(node);
        *splits++ = (struct px_codes_split){
            .key =
                reading >= PX_READ_SET ? px_codes_class_key(node) : threshold_key(ir->type, node),
            .column = place[node->feature] << READING_BITS | (uint32_t)reading,
            .node = (uint32_t)i,
        };
    }
}

/* The digit numbered `digit` from the least one: of the key, then of the column. */
static size_t digit_of(const struct px_codes_split *split, size_t digit)
{
    uint64_t bits = digit < KEY_DIGITS ? split->key >> digit * DIGIT_BITS
                                       : split->column >> (digit - KEY_DIGITS) * DIGIT_BITS;
    return bits % DIGITS;
}

/* One stable pass from `from` to `to`; false when all have the same digit and nothing was done. */
static bool sort_pass(const struct px_codes_split *from, struct px_codes_split *to, size_t n,
                      size_t digit)
{
    size_t ends[DIGITS] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++)
        ends[digit_of(&from[i], digit)]++;
    if (ends[digit_of(&from[0], digit)] == n)
        return false;
    for (size_t d = 0; d < DIGITS; d++) {
        size_t count = ends[d];
        ends[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++)
        to[ends[digit_of(&from[i], digit)]++] = from[i];
    return true;
}

/* Sorts by column, then key; returns `splits` or `other`, whichever holds the result. */
static struct px_codes_split *sort_splits(struct px_codes_split *splits,
                                          struct px_codes_split *other, size_t n)
{
    for (size_t digit = 0; n && digit < KEY_DIGITS + COLUMN_DIGITS; digit++) {
        if (!sort_pass(splits, other, n, digit))
            continue;
        struct px_codes_split *sorted = other;
        other = splits;
        splits = sorted;
    }
    return splits;
}

/* Room for the columns, and for as many predicates as there are different (column, key). */
static bool reserve(struct px_codes_draft *draft, const struct px_codes_split *splits, size_t n)
{
    size_t n_columns = 0, n_keys = 0;
    struct px_codes *codes = draft->codes;
    for (size_t i = 0; i < n; i++) {
        bool new_column = i == 0 || splits[i].column != splits[i - 1].column;
        n_columns += new_column;
        n_keys += new_column || splits[i].key != splits[i - 1].key;
    }
    codes->columns = px_alloc(n_columns + 1, sizeof *codes->columns);
    codes->predicates = px_alloc(n_keys + 1, sizeof *codes->predicates);
    codes->predicate_of = px_alloc(draft->ir->nodes.len + 1, sizeof *codes->predicate_of);
    draft->searches = px_alloc(n_columns + 1, sizeof *draft->searches);
    draft->first_number = px_alloc(n_columns + 1, sizeof *draft->first_number);
    return codes->columns && codes->predicates && codes->predicate_of && draft->searches &&
           draft->first_number;
}

static enum px_code add_thresholds(struct px_codes_draft *draft, struct px_code_column *column,
                                   const struct px_codes_split *splits, size_t n,
                                   struct px_err *err)
{
    struct px_codes *codes = draft->codes;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || splits[i].key != splits[i - 1].key) {
            double *number = px_vec_push(&draft->numbers);
            if (!number)
                return px_ir_no_memory(err);
            *number = number_of(draft->ir->type, splits[i].key);
            codes->predicates[codes->n_predicates++] = (struct px_predicate){
                .column = (uint32_t)(column - codes->columns), .code = ++column->n_predicates};
        }
        codes->predicate_of[splits[i].node] = (uint32_t)codes->n_predicates - 1;
    }
    if (column->n_predicates >= PX_CODES_WIDE_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "feature %" PRIu32 " has %" PRIu32 " thresholds, at most %d",
                          column->feature, column->n_predicates, PX_CODES_WIDE_MAX - 1);
    column->n_codes = column->n_predicates + 1;
    return PX_OK;
}

static enum px_code add_class_splits(struct px_codes_draft *draft,
                                     const struct px_codes_split *splits, size_t n,
                                     struct px_err *err)
{
    uint64_t *keys = px_alloc(n, sizeof *keys);
    uint32_t *predicates = px_alloc(n, sizeof *predicates);
    size_t n_keys = 0;
    for (size_t i = 0; keys && i < n; i++) {
        if (i == 0 || splits[i].key != splits[i - 1].key)
            keys[n_keys++] = splits[i].key;
    }
    enum px_code code = keys && predicates
                            ? px_codes_add_classes(draft, keys, n_keys, predicates, err)
                            : px_ir_no_memory(err);
    for (size_t i = 0, k = 0; code == PX_OK && i < n; i++) {
        k += i && splits[i].key != splits[i - 1].key;
        draft->codes->predicate_of[splits[i].node] = predicates[k];
    }
    px_free(keys);
    px_free(predicates);
    return code;
}

static uint32_t code_of_zero(const double *thresholds, size_t n)
{
    uint32_t code = 0;
    for (size_t i = 0; i < n; i++)
        code += thresholds[i] <= 0.0;
    return code;
}

/* What counts as missing, and its code. */
static void set_missing(const struct px_codes_draft *draft, const struct px_code_column *column,
                        struct px_codes_search *search)
{
    size_t first = draft->first_number[column - draft->codes->columns];
    bool zero = column->reading == PX_READ_ZERO_LOW || column->reading == PX_READ_ZERO_HIGH;
    bool low = column->reading == PX_READ_MISSING_LOW || column->reading == PX_READ_ZERO_LOW;
    search->missing_to = zero ? PX_ZERO_THRESHOLD : -1.0;
    search->missing_code = low ? 0 : column->n_codes - 1;
    if (column->reading == PX_READ_MISSING_AS_ZERO)
        search->missing_code =
            code_of_zero(&draft->numbers.items[first], draft->numbers.len - first);
}

static enum px_code add_column(struct px_codes_draft *draft, const struct px_codes_split *splits,
                               size_t n, struct px_err *err)
{
    struct px_codes *codes = draft->codes;
    struct px_code_column *column = &codes->columns[codes->n_columns];
    struct px_codes_search *search = &draft->searches[codes->n_columns];
    *column = (struct px_code_column){
        .feature = draft->ir->used_features.items[splits[0].column >> READING_BITS],
        .reading = splits[0].column % (1 << READING_BITS),
        .slot = (uint32_t)codes->n_slots,
        .first_predicate = (uint32_t)codes->n_predicates,
    };
    search->map = PX_CODES_NO_MAP;
    draft->first_number[codes->n_columns++] = draft->numbers.len;
    enum px_code code = px_codes_is_class_column(column)
                            ? add_class_splits(draft, splits, n, err)
                            : add_thresholds(draft, column, splits, n, err);
    if (code != PX_OK)
        return code;
    column->wide = column->n_codes > PX_CODES_NARROW_MAX;
    codes->n_slots += column->wide ? 2 : 1;
    search->feature = column->feature;
    search->slot = column->slot;
    search->wide = column->wide;
    set_missing(draft, column, search);
    draft->first_number[codes->n_columns] = draft->numbers.len;
    return PX_OK;
}

static enum px_code add_columns(struct px_codes_draft *draft, const struct px_codes_split *splits,
                                size_t n, struct px_err *err)
{
    enum px_code code = reserve(draft, splits, n) ? PX_OK : px_ir_no_memory(err);
    for (size_t first = 0, end; code == PX_OK && first < n; first = end) {
        for (end = first + 1; end < n && splits[end].column == splits[first].column;)
            end++;
        code = add_column(draft, &splits[first], end - first, err);
    }
    return code;
}

static enum px_code add_splits(struct px_codes_draft *draft, struct px_err *err)
{
    size_t n = count_splits(draft->ir);
    uint32_t *place = px_alloc(draft->ir->n_features, sizeof *place);
    struct px_codes_split *splits = px_alloc(n, sizeof *splits);
    struct px_codes_split *other = px_alloc(n, sizeof *other);
    enum px_code code = PX_OK;
    if (place && splits && other) {
        list_splits(draft->ir, place, splits);
        code = add_columns(draft, sort_splits(splits, other, n), n, err);
    } else {
        code = px_ir_no_memory(err);
    }
    px_free(place);
    px_free(splits);
    px_free(other);
    return code;
}

/* Groups of the last level for `n` numbers: the count in the last one must lead somewhere, hence one with room.
   A lone group leads nowhere and may be full. */
static size_t last_level_groups(size_t n, size_t group)
{
    return n <= group ? 1 : n / group + 1;
}

/* Groups of the level above one of `n` groups. */
static size_t groups_above(size_t n, size_t group)
{
    return (n + group - 1) / group;
}

/* Gives a search of `n` numbers its levels from group `first` on; returns the number of groups. */
static size_t lay_out(struct px_codes_search *search, size_t n, size_t group, size_t first)
{
    size_t groups[PX_CODES_LEVELS_MAX], total = 0;
    uint8_t levels = 0;
    groups[levels++] = last_level_groups(n, group);
    for (; groups[levels - 1] > 1; levels++)
        groups[levels] = groups_above(groups[levels - 1], group);
    search->n_levels = levels;
    for (uint8_t l = 0; l < levels; l++) {
        search->level[l] = (uint32_t)(first + total);
        total += groups[levels - 1 - l];
    }
    return total;
}

static bool is_table(const struct px_codes_search *search)
{
    return search->n_categories > 0;
}

static enum px_code lay_out_all(struct px_codes_draft *draft, struct px_codes_tables *tables,
                                struct px_err *err)
{
    size_t group = px_codes_group(draft->ir->type);
    for (size_t c = 0; c < draft->codes->n_columns; c++) {
        size_t n = draft->first_number[c + 1] - draft->first_number[c];
        if (n >= PX_CODES_NUMBERS_MAX)
            return px_err_set(err, PX_E_UNSUPPORTED,
                              "feature %" PRIu32 " is compared with %zu numbers, at most %d",
                              draft->searches[c].feature, n, PX_CODES_NUMBERS_MAX - 1);
        if (!is_table(&draft->searches[c]))
            tables->n_groups += lay_out(&draft->searches[c], n, group, tables->n_groups);
    }
    return PX_OK;
}

static void set_key(struct px_codes_tables *tables, size_t at, double key)
{
    if (tables->type == PX_TYPE_FP32)
        ((float *)tables->keys)[at] = (float)key;
    else
        ((double *)tables->keys)[at] = key;
}

/* From the last level up: each place has the last of the `span` numbers below it. */
static void fill_search(struct px_codes_tables *tables, const struct px_codes_search *search,
                        const double *numbers, size_t n)
{
    size_t group = px_codes_group(tables->type), span = 1;
    size_t groups = last_level_groups(n, group);
    for (uint8_t l = search->n_levels; l-- > 0; groups = groups_above(groups, group)) {
        for (size_t i = 0; i < groups * group; i++) {
            size_t last = (i + 1) * span - 1;
            set_key(tables, search->level[l] * group + i, last < n ? numbers[last] : (double)NAN);
        }
        span *= group;
    }
}

static enum px_codes_kind kind_of(const struct px_codes_search *search)
{
    bool plain = search->map == PX_CODES_NO_MAP && !search->wide && search->missing_to < 0;
    int low = search->missing_code == 0 ? PX_CODES_ONE_LEVEL_LOW - PX_CODES_ONE_LEVEL : 0;
    if (!plain || search->n_levels > 3)
        return PX_CODES_OTHER;
    return (enum px_codes_kind)(PX_CODES_ONE_LEVEL + search->n_levels - 1 + low);
}

/* Moves the searches of the draft to the tables, kind by kind. */
static bool sort_searches(const struct px_codes_draft *draft, struct px_codes_tables *tables)
{
    size_t n = draft->codes->n_columns, at = 0;
    tables->searches = px_alloc(n + 1, sizeof *tables->searches);
    for (int kind = 0; tables->searches && kind < PX_CODES_KINDS; kind++) {
        tables->first_of_kind[kind] = at;
        for (size_t c = 0; c < n; c++) {
            if ((int)kind_of(&draft->searches[c]) == kind)
                tables->searches[at++] = draft->searches[c];
        }
    }
    tables->first_of_kind[PX_CODES_KINDS] = at;
    return tables->searches != NULL;
}

static px_codes_encoder *pick_encoder(void)
{
#if defined(__x86_64__)
    if (px_processor_has_avx512())
        return px_codes_encode_avx512;
    if (px_processor_has_avx2())
        return px_codes_encode_avx2;
#endif
    return px_codes_encode_scalar;
}

static enum px_code build_tables(struct px_codes_draft *draft, struct px_err *err)
{
    struct px_codes_tables *tables = draft->codes->tables;
    tables->type = draft->ir->type;
    tables->n_nodes = draft->ir->nodes.len;
    tables->encode = pick_encoder();
    enum px_code code = lay_out_all(draft, tables, err);
    if (code != PX_OK)
        return code;
    tables->keys = px_alloc_aligned(PX_CACHE_LINE, tables->n_groups + 1, PX_CACHE_LINE);
    if (!tables->keys || !sort_searches(draft, tables))
        return px_ir_no_memory(err);
    for (size_t c = 0; c < draft->codes->n_columns; c++) {
        size_t first = draft->first_number[c];
        if (!is_table(&draft->searches[c]))
            fill_search(tables, &draft->searches[c], &draft->numbers.items[first],
                        draft->first_number[c + 1] - first);
    }
    return PX_OK;
}

/* What was drafted in vectors now belongs to the codes. */
static void take_vectors(struct px_codes_draft *draft)
{
    struct px_codes *codes = draft->codes;
    codes->class_words = draft->class_words.items;
    codes->n_class_words = draft->class_words.len;
    codes->tables->maps = draft->maps.items;
    codes->tables->n_maps = draft->maps.len;
}

enum px_code px_codes_create(const struct px_forest_ir *ir, struct px_codes **ret,
                             struct px_err *err)
{
    struct px_codes_draft draft = {.ir = ir, .codes = px_alloc(1, sizeof *draft.codes)};
    if (!draft.codes)
        return px_ir_no_memory(err);
    draft.codes->tables = px_alloc(1, sizeof *draft.codes->tables);
    if (!draft.codes->tables) {
        px_free(draft.codes);
        return px_ir_no_memory(err);
    }
    enum px_code code = add_splits(&draft, err);
    if (code == PX_OK)
        code = build_tables(&draft, err);
    px_vec_free(&draft.numbers);
    px_free(draft.first_number);
    px_free(draft.searches);
    take_vectors(&draft);
    if (code == PX_OK)
        *ret = draft.codes;
    else
        px_codes_destroy(draft.codes);
    return code;
}

void px_codes_destroy(struct px_codes *codes)
{
    if (!codes)
        return;
    px_free(codes->tables->searches);
    px_free(codes->tables->keys);
    px_free(codes->tables->maps);
    px_free(codes->tables);
    px_free(codes->columns);
    px_free(codes->predicates);
    px_free(codes->predicate_of);
    px_free(codes->class_words);
    px_free(codes);
}

/* `predicate_of` has a place for each node, leaves included. */
size_t px_codes_bytes(const struct px_codes *codes)
{
    const struct px_codes_tables *tables = codes->tables;
    return sizeof *codes + sizeof *tables +
           codes->n_columns * (sizeof *codes->columns + sizeof *tables->searches) +
           codes->n_predicates * sizeof *codes->predicates +
           codes->n_class_words * sizeof *codes->class_words +
           tables->n_nodes * sizeof *codes->predicate_of + tables->n_groups * PX_CACHE_LINE +
           tables->n_maps * sizeof *tables->maps;
}

void px_codes_encode(const struct px_codes *codes, const struct px_matrix *rows, size_t first,
                     size_t n, uint8_t *out, size_t stride)
{
    codes->tables->encode(codes, rows, first, n, out, stride);
}
