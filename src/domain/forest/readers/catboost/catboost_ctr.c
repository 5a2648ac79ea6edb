/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Categories: codes for their names, and splits on them as sets of codes.
 *
 * The library hashes a category's text to 32 bits and looks at nothing else. A row here carries a code
 * instead, so every question about a category is answered once per code when the model is read:
 *   one-hot   the hash equals a value
 *   CTR       ((count + prior) / (total + prior) + shift) * scale > border, all in float; the counts come
 *             from a table by a hash of the hash
 * The set of a split holds the codes whose answer differs from that for a category that the model never
 * saw, which is also the answer for NaN; so unknown codes need no rule of their own.
 *
 * A target statistic over a combination of features is no function of one code and is refused by name.
 */
#include "domain/forest/readers/catboost/catboost_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* Claims of names that no question mentions; see claim_rest. */
enum { REST_CLAIMS_MAX = 1 << 20 };

/* The library writes a free bucket of its hash table as a row of this hash and arbitrary counts. */
#define FREE_BUCKET UINT64_MAX

/* --- tables ----------------------------------------------------------------------------------- */

struct raw_table {
    PX_VEC(uint64_t) hashes;
    PX_VEC(double) counts;
    size_t row;     /* counts between the first two hashes */
    bool irregular; /* a hash does not directly follow the end of a row */
};

/* Notes where a hash stands; whether rows have the right length is known once hash_stride is. */
static void note_hash(struct raw_table *raw)
{
    size_t before = raw->hashes.len - 1;
    if (before == 1)
        raw->row = raw->counts.len;
    raw->irregular |= raw->counts.len != before * raw->row;
}

/* [hash, count, ..., hash, count, ...]: hashes are texts of digits, counts are numbers. */
static void read_hash_map(struct px_doc *doc, void *target)
{
    struct raw_table *raw = target;
    px_doc_enter_array(doc);
    while (px_doc_next_element(doc)) {
        bool is_hash = px_doc_peek(doc) == PX_JSON_STRING;
        uint64_t *hash = is_hash ? px_vec_push(&raw->hashes) : NULL;
        double *count = is_hash ? NULL : px_vec_push(&raw->counts);
        if (hash && !px_str_to_u64(px_doc_str(doc), hash))
            px_doc_fail(doc, "expected a hash as a text of digits");
        else if (count)
            *count = px_doc_f64(doc);
        else if (!hash)
            doc->no_memory = true;
        if (hash)
            note_hash(raw);
    }
}

static void keep_table(struct px_catboost_file *file, const struct raw_table *raw,
                       struct px_catboost_table *table)
{
    struct px_arena *arena = &file->ir->arena;
    table->n = raw->hashes.len;
    table->hashes = px_arena_alloc(arena, table->n, sizeof *table->hashes);
    table->counts = px_arena_alloc(arena, raw->counts.len, sizeof *table->counts);
    if (!table->hashes || !table->counts) {
        px_catboost_no_memory(file);
        return;
    }
    memcpy(table->hashes, raw->hashes.items, table->n * sizeof *table->hashes);
    memcpy(table->counts, raw->counts.items, raw->counts.len * sizeof *table->counts);
}

static bool is_regular(const struct raw_table *raw, int64_t stride)
{
    size_t n = raw->hashes.len;
    if (raw->irregular || stride < 2 || n == 0 || (n > 1 && raw->row != (uint64_t)stride - 1))
        return false;
    return raw->counts.len % n == 0 && raw->counts.len / n == (uint64_t)stride - 1;
}

static void read_table(struct px_catboost_file *file, struct px_catboost_table *table)
{
    struct raw_table raw = {0};
    const struct px_doc_field fields[] = {
        {"hash_stride", px_doc_read_i64, &table->stride},
        {"counter_denominator", px_doc_read_i64, &table->denominator},
        {"hash_map", read_hash_map, &raw},
    };
    px_doc_object(&file->doc, fields, PX_ARRAY_LEN(fields));
    if (px_catboost_going(file) && !is_regular(&raw, table->stride))
        file->code = px_err_set(file->err, PX_E_CORRUPT,
                                "ctr_data, table %zu: its hash_map has no rows of hash_stride "
                                "%" PRId64 " elements",
                                file->tables.len - 1, table->stride);
    if (px_catboost_going(file))
        keep_table(file, &raw, table);
    px_vec_free(&raw.hashes);
    px_vec_free(&raw.counts);
}

void px_catboost_read_tables(struct px_catboost_file *file)
{
    struct px_str key;
    px_doc_enter_object(&file->doc);
    while (px_doc_next_key(&file->doc, &key)) {
        struct px_catboost_table *table = px_vec_push(&file->tables);
        if (!table) {
            px_catboost_no_memory(file);
            return;
        }
        *table = (struct px_catboost_table){0};
        file->code = px_map_put(&file->table_of, key, file->tables.len - 1, file->err);
        read_table(file, table);
    }
}

/*
 * The category's hash from that in a table. The library computes CalcHash(0, x) = m * (m * x) modulo 2^64
 * of the sign-extended 32-bit hash x; m is odd, so x comes back by multiplying with its inverse. False when
 * the number is not made so (combinations are hashed further).
 */
static bool invert_hash(uint64_t hash, uint32_t *ret)
{
    const uint64_t m = UINT64_C(0x4906BA494954CB65);
    uint64_t inverse = m; /* right in the lowest three bits; each step doubles them */
    for (int i = 0; i < 5; i++)
        inverse *= 2 - m * inverse;
    uint64_t x = hash * inverse * inverse;
    *ret = (uint32_t)x;
    return (uint64_t)(int64_t)(int32_t)*ret == x;
}

/* --- names and codes -------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const struct px_catboost_name *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static void sort_names(struct px_catboost_file *file)
{
    if (file->names.len)
        qsort(file->names.items, file->names.len, sizeof *file->names.items, compare_names);
    for (size_t i = 1; i < file->names.len; i++) {
        if (file->names.items[i].hash != file->names.items[i - 1].hash)
            continue;
        file->code = px_err_set(file->err, PX_E_CORRUPT,
                                "cat_features_hash gives two names for the hash %" PRIu32,
                                file->names.items[i].hash);
        return;
    }
}

/* Index of the name with a hash, or -1. */
static long find_name(const struct px_catboost_file *file, uint32_t hash)
{
    struct px_catboost_name key = {.hash = hash};
    if (file->names.len == 0)
        return -1;
    const struct px_catboost_name *name =
        bsearch(&key, file->names.items, file->names.len, sizeof *file->names.items, compare_names);
    return name ? name - file->names.items : -1;
}

static void refuse_unnamed(struct px_catboost_file *file,
                           const struct px_catboost_category *category)
{
    if (file->code != PX_OK)
        return;
    file->code = px_err_set(file->err, PX_E_UNSUPPORTED,
                            "categorical feature %" PRId64
                            " ('%.*s'): the file has hashes of its categories, but not the name of "
                            "each",
                            category->flat, PX_STR_ARG(category->name));
    px_err_hint(file->err, "save the model with its training data: "
                           "model.save_model('m.json', format='json', pool=train_pool)");
}

/* Notes that the category with `hash` is one of the feature's. */
static void claim(struct px_catboost_file *file, const struct px_catboost_category *category,
                  long name)
{
    if (name < 0) {
        refuse_unnamed(file, category);
        return;
    }
    struct px_catboost_claim *item = px_vec_push(&file->claims);
    if (!item)
        px_catboost_no_memory(file);
    else
        *item = (struct px_catboost_claim){(uint32_t)(category - file->categories.items),
                                           (uint32_t)name};
}

/* Values are the hashes as signed numbers. */
static long name_of_value(const struct px_catboost_file *file, double value)
{
    bool whole = value >= INT32_MIN && value <= INT32_MAX && value == (double)(int32_t)value;
    return whole ? find_name(file, (uint32_t)(int32_t)value) : -1;
}

static long name_of_row(const struct px_catboost_file *file, const struct px_catboost_table *table,
                        size_t row)
{
    uint32_t hash;
    return invert_hash(table->hashes[row], &hash) ? find_name(file, hash) : -1;
}

static void claim_values(struct px_catboost_file *file)
{
    struct px_catboost_category *category;
    px_vec_foreach (category, &file->categories) {
        for (size_t i = 0; file->code == PX_OK && i < category->values.n; i++) {
            double value = file->borders.items[category->values.first + i];
            claim(file, category, name_of_value(file, value));
        }
    }
}

static void claim_table(struct px_catboost_file *file, struct px_catboost_ctr *ctr)
{
    if (ctr->table->category == ctr->category)
        return;
    if (ctr->table->category) {
        file->code =
            px_err_set(file->err, PX_E_CORRUPT, "ctr_data: two features share the table '%.*s'",
                       PX_STR_ARG(ctr->identifier));
        return;
    }
    ctr->table->category = ctr->category;
    ctr->category->has_table = true;
    for (size_t row = 0; file->code == PX_OK && row < ctr->table->n; row++) {
        if (ctr->table->hashes[row] != FREE_BUCKET)
            claim(file, ctr->category, name_of_row(file, ctr->table, row));
    }
}

/*
 * A one-hot feature mentions only the categories that some split asks for, and names are not listed by
 * feature. So that the others are not taken for categories that the model never saw, every feature
 * without a table gets all names that nobody claimed; they answer every question with no.
 */
static void claim_rest(struct px_catboost_file *file)
{
    size_t n_open = 0;
    struct px_catboost_category *category;
    px_vec_foreach (category, &file->categories)
        n_open += !category->has_table;
    uint8_t *claimed = px_alloc(file->names.len + 1, sizeof *claimed);
    if (!claimed) {
        px_catboost_no_memory(file);
        return;
    }
    size_t n_rest = file->names.len;
    for (size_t i = 0; i < file->claims.len; i++) {
        n_rest -= !claimed[file->claims.items[i].name];
        claimed[file->claims.items[i].name] = 1;
    }
    bool few = n_rest == 0 || n_open <= REST_CLAIMS_MAX / n_rest;
    px_vec_foreach (category, &file->categories) {
        for (size_t i = 0; few && !category->has_table && i < file->names.len; i++) {
            if (!claimed[i])
                claim(file, category, (long)i);
        }
    }
    px_free(claimed);
    if (!few && file->code == PX_OK)
        file->code = px_ir_warn(file->ir, file->err,
                                "%zu categories that no split asks for are too many to list for "
                                "each of %zu features: they count as unknown, with the same scores",
                                n_rest, n_open);
}

static int compare_claims(const void *a, const void *b)
{
    const struct px_catboost_claim *x = a, *y = b;
    if (x->category != y->category)
        return x->category < y->category ? -1 : 1;
    return (x->name > y->name) - (x->name < y->name);
}

/* Claims in order, each once, are the features' lists one after the other. */
static void cut_lists(struct px_catboost_file *file)
{
    size_t n = file->claims.len;
    const struct px_catboost_claim *claims = file->claims.items;
    uint32_t *codes = px_arena_alloc(&file->ir->arena, n, sizeof *codes);
    if (!codes && n) {
        px_catboost_no_memory(file);
        return;
    }
    if (n)
        qsort(file->claims.items, n, sizeof *file->claims.items, compare_claims);
    for (size_t i = 0; i < n; i++) {
        if (i && compare_claims(&claims[i], &claims[i - 1]) == 0)
            continue;
        struct px_catboost_category *category = &file->categories.items[claims[i].category];
        if (category->n_codes == file->codes_max) {
            file->code = px_err_set(file->err, PX_E_TOO_LARGE,
                                    "categorical feature %" PRId64 " has more than %zu categories",
                                    category->flat, file->codes_max);
            return;
        }
        if (category->n_codes == 0)
            category->codes = codes;
        category->n_codes++;
        *codes++ = claims[i].name;
    }
}

/* The code of a name, which has one. */
static size_t code_of(const struct px_catboost_category *category, uint32_t name)
{
    size_t low = 0, high = category->n_codes;
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;
        if (category->codes[middle] <= name)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* --- target statistics ------------------------------------------------------------------------ */

static struct px_catboost_category *find_category(const struct px_catboost_file *file,
                                                  int64_t index)
{
    size_t low = 0, high = file->categories.len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (file->categories.items[middle].index < index)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < file->categories.len && file->categories.items[low].index == index;
    return found ? &file->categories.items[low] : NULL;
}

static void refuse_combination(struct px_catboost_file *file, const struct px_catboost_ctr *ctr)
{
    const struct px_catboost_category *first = find_category(file, ctr->feature);
    const struct px_catboost_category *second = find_category(file, ctr->other);
    struct px_str unknown = PX_STR("?"), numbers = PX_STR("conditions");
    file->code = px_err_set(file->err, PX_E_UNSUPPORTED,
                            "the model has target statistics (CTR) of a combination of features: "
                            "'%.*s' with '%.*s'",
                            PX_STR_ARG(first ? first->name : unknown),
                            PX_STR_ARG(second ? second->name : numbers));
    px_err_hint(file->err,
                "train with max_ctr_complexity=1, or with a one_hot_max_size that covers "
                "the categories of these features");
}

/* A table of counts per label has one column per label, the others have a fixed number. */
static bool fits_table(const struct px_catboost_ctr *ctr)
{
    int64_t n = ctr->table->stride - 1;
    if (ctr->type == PX_CATBOOST_COUNTER)
        return n == 1;
    if (ctr->type == PX_CATBOOST_MEAN)
        return n == 2;
    return n >= 2 && ctr->target_border >= 0 && ctr->target_border < n;
}

static void resolve_ctr(struct px_catboost_file *file, struct px_catboost_ctr *ctr)
{
    size_t table;
    if (ctr->combined) {
        refuse_combination(file, ctr);
        return;
    }
    ctr->category = find_category(file, ctr->feature);
    if (!ctr->category) {
        file->code = px_err_set(file->err, PX_E_CORRUPT,
                                "a target statistic is of categorical feature %" PRId64
                                ", which the file does not have",
                                ctr->feature);
        return;
    }
    if (!px_map_get(&file->table_of, ctr->identifier, &table)) {
        file->code = px_err_set(file->err, PX_E_CORRUPT, "ctr_data has no table '%.*s'",
                                PX_STR_ARG(ctr->identifier));
        return;
    }
    ctr->table = &file->tables.items[table];
    if (!fits_table(ctr))
        file->code =
            px_err_set(file->err, PX_E_CORRUPT,
                       "ctr_data, table '%.*s': hash_stride %" PRId64
                       " does not go with target_border_idx %" PRId64,
                       PX_STR_ARG(ctr->identifier), ctr->table->stride, ctr->target_border);
    if (file->code == PX_OK)
        claim_table(file, ctr);
}

static void check_order(struct px_catboost_file *file)
{
    for (size_t i = 1; i < file->categories.len; i++) {
        if (file->categories.items[i].index > file->categories.items[i - 1].index)
            continue;
        file->code = px_err_set(
            file->err, PX_E_CORRUPT,
            "categorical_features: feature_index %" PRId64 " does not come after %" PRId64,
            file->categories.items[i].index, file->categories.items[i - 1].index);
        return;
    }
}

void px_catboost_assign_codes(struct px_catboost_file *file)
{
    check_order(file);
    if (file->code == PX_OK)
        sort_names(file);
    for (size_t i = 0; file->code == PX_OK && i < file->ctrs.len; i++)
        resolve_ctr(file, &file->ctrs.items[i]);
    if (file->code == PX_OK)
        claim_values(file);
    if (file->code == PX_OK)
        claim_rest(file);
    if (file->code == PX_OK)
        cut_lists(file);
}

/* The formula of the library, in float, of a row of the table. */
static float statistic(const struct px_catboost_ctr *ctr, double count, double total)
{
    float ratio = ((float)count + ctr->prior_numerator) / ((float)total + ctr->prior_denominator);
    return (ratio + ctr->shift) * ctr->scale;
}

/* `counts` is a row of the table, or NULL for a category that it does not have. */
static float value_of(const struct px_catboost_ctr *ctr, const double *counts)
{
    if (ctr->type == PX_CATBOOST_COUNTER)
        return statistic(ctr, counts ? counts[0] : 0.0, (double)ctr->table->denominator);
    if (!counts)
        return statistic(ctr, 0.0, 0.0);
    if (ctr->type == PX_CATBOOST_MEAN)
        return statistic(ctr, counts[0], counts[1]);
    double total = 0.0, above = 0.0; /* whole numbers: sums are exact */
    for (int64_t k = 0; k < ctr->table->stride - 1; k++) {
        total += counts[k];
        above += k > ctr->target_border ? counts[k] : 0.0;
    }
    bool buckets = ctr->type == PX_CATBOOST_BUCKETS;
    return statistic(ctr, buckets ? counts[ctr->target_border] : above, total);
}

static int compare_values(const void *a, const void *b)
{
    const struct px_catboost_value *x = a, *y = b;
    if (isnan(x->value) || isnan(y->value))
        return isnan(y->value) - isnan(x->value);
    return (x->value > y->value) - (x->value < y->value);
}

/* Statistics may share a table; together they look at no more of it than the file's size allows. */
static bool may_work(struct px_catboost_file *file, const struct px_catboost_ctr *ctr)
{
    uint64_t work = (uint64_t)ctr->table->n * (uint64_t)ctr->table->stride + ctr->category->n_codes;
    if (work > file->ctr_work) {
        file->code = px_err_set(file->err, PX_E_TOO_LARGE,
                                "too many target statistics for the size of the table '%.*s'",
                                PX_STR_ARG(ctr->identifier));
        return false;
    }
    file->ctr_work -= work;
    return true;
}

/* The statistic of every code, and of unknown categories. */
static void compute_values(struct px_catboost_file *file, struct px_catboost_ctr *ctr)
{
    const struct px_catboost_table *table = ctr->table;
    size_t n = ctr->category->n_codes;
    if (!may_work(file, ctr))
        return;
    ctr->values = px_arena_alloc(&file->ir->arena, n + 1, sizeof *ctr->values);
    if (!ctr->values) {
        px_catboost_no_memory(file);
        return;
    }
    ctr->unknown = value_of(ctr, NULL);
    for (size_t code = 0; code < n; code++)
        ctr->values[code] = (struct px_catboost_value){ctr->unknown, (uint32_t)code};
    for (size_t row = 0; row < table->n; row++) {
        if (table->hashes[row] == FREE_BUCKET)
            continue;
        long name = name_of_row(file, table, row); /* has one: the table was claimed */
        ctr->values[code_of(ctr->category, (uint32_t)name)].value =
            value_of(ctr, &table->counts[row * (size_t)(table->stride - 1)]);
    }
    qsort(ctr->values, n, sizeof *ctr->values, compare_values);
}

/* --- sets ------------------------------------------------------------------------------------- */

/* How many of a statistic's values are not above the border. */
static size_t count_below(const struct px_catboost_ctr *ctr, float border)
{
    size_t low = 0, high = ctr->category->n_codes;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ctr->values[middle].value > border)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/*
 * A set of the codes whose answer is not that of unknown categories; false answers go left. They are one end
 * of the sorted values, so that a border costs as much as its set is large, not as there are codes.
 */
static void make_ctr_set(struct px_catboost_file *file, struct px_catboost_bin *bin)
{
    struct px_catboost_ctr *ctr = &file->ctrs.items[bin->owner];
    float border = (float)bin->border;
    if (!ctr->values)
        compute_values(file, ctr);
    if (file->code != PX_OK)
        return;
    bool unknown = ctr->unknown > border;
    size_t n_below = count_below(ctr, border);
    size_t first = unknown ? 0 : n_below, end = unknown ? n_below : ctr->category->n_codes;
    uint32_t low = first < end ? ctr->values[first].code : 0, high = low;
    for (size_t i = first; i < end; i++) {
        low = ctr->values[i].code < low ? ctr->values[i].code : low;
        high = ctr->values[i].code > high ? ctr->values[i].code : high;
    }
    bin->node.default_left = !unknown;
    bin->node.in_set_left = unknown;
    file->code = px_ir_add_set(file->ir, low, high, &bin->node.set, file->err);
    for (size_t i = first; file->code == PX_OK && i < end; i++)
        px_ir_set_insert(file->ir, bin->node.set, ctr->values[i].code);
}

static void make_one_hot_set(struct px_catboost_file *file, struct px_catboost_bin *bin)
{
    const struct px_catboost_category *category = &file->categories.items[bin->owner];
    long name = name_of_value(file, bin->border); /* has one: the values were claimed */
    uint32_t code = (uint32_t)code_of(category, (uint32_t)name);
    bin->node.default_left = true;
    bin->node.in_set_left = false;
    file->code = px_ir_add_set(file->ir, code, code, &bin->node.set, file->err);
    if (file->code == PX_OK)
        px_ir_set_insert(file->ir, bin->node.set, code);
}

void px_catboost_make_set(struct px_catboost_file *file, struct px_catboost_bin *bin)
{
    bool one_hot = bin->question == PX_CATBOOST_ONE_HOT;
    const struct px_catboost_category *category =
        one_hot ? &file->categories.items[bin->owner] : file->ctrs.items[bin->owner].category;
    bin->node = (struct px_node){.kind = PX_NODE_SET,
                                 .feature = (uint32_t)category->flat,
                                 .missing = PX_MISSING_NAN,
                                 .set = PX_SET_NONE};
    if (one_hot)
        make_one_hot_set(file, bin);
    else
        make_ctr_set(file, bin);
    bin->made = true;
}
