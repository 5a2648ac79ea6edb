/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class columns: sets of categories, and lists of numbers.
 *
 * An atom is a category or a number that some list of the column names. All atoms start in class 0, that of
 * everything no list names. List after list, the members leave their classes for new ones, so that in
 * the end a class lies inside or outside of every list as a whole. An identity that no atom has any more is
 * used again, so there are never more than atoms + 1. Cost: the members of all lists, twice.
 *
 * Looking up a category takes a table over the range of the sets. Where they are scattered so widely that a
 * table would be mostly empty, and for lists of numbers, the column is a search among the numbers at
 * which the class changes: a list's number v starts at v and ends at the next number of the type.
 */
#include "domain/forest/kernels/codes/codes_tables.h"

#include "shared/bits.h"
#include "shared/hash.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum {
    SPARSE_FACTOR = 4, /* a table may have this many entries for each one that a set covers */
    TABLE_MIN = 4096,  /* ... and these in any case */
    CLASS_WORDS_MAX = 8 << 20,
    MAPS_MAX = 32 << 20,
};

#define NO_LIST UINT32_MAX

/* Words [low, high) of 32 categories; the atoms of word `low` start at first_atom. */
struct interval {
    uint32_t low, high;
    size_t first_atom;
};

/* A class while lists are taken in; `to` is where members of `list` go. */
struct class_state {
    uint32_t list, to;
    uint32_t n_atoms;
};

struct builder {
    struct px_codes_draft *draft;
    const struct px_forest_ir *ir;
    struct px_code_column *column;
    struct px_codes_search *search;
    PX_VEC(struct interval) intervals; /* of a SET column, ascending and apart */
    PX_VEC(double) values;             /* atoms of a VALUES column, ascending */
    size_t n_atoms;
    uint32_t *class_of;         /* [n_atoms] */
    struct class_state *states; /* [n_atoms + 1] */
    uint32_t free_state;        /* `to` links the unused ones; 0 ends the chain */
    uint32_t list;              /* that is being taken in */
    uint64_t *words;            /* where a list's classes are marked */
    uint32_t *seen;             /* hash table of this column's predicates + 1 */
    size_t seen_mask;
};

static int compare_intervals(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

/* Joins what overlaps or touches, and numbers the atoms. */
static void merge_intervals(struct builder *b)
{
    size_t kept = 0;
    if (b->intervals.len == 0)
        return;
    qsort(b->intervals.items, b->intervals.len, sizeof *b->intervals.items, compare_intervals);
    for (size_t i = 1; i < b->intervals.len; i++) {
        struct interval *last = &b->intervals.items[kept], next = b->intervals.items[i];
        if (next.low > last->high)
            b->intervals.items[++kept] = next;
        else if (next.high > last->high)
            last->high = next.high;
    }
    b->intervals.len = kept + 1;
    for (size_t i = 0; i <= kept; i++) {
        b->intervals.items[i].first_atom = b->n_atoms;
        b->n_atoms += (size_t)(b->intervals.items[i].high - b->intervals.items[i].low) * 32;
    }
}

static bool add_set_range(struct builder *b, uint32_t list)
{
    const struct px_set *set = &b->ir->sets.items[list];
    struct interval *interval = set->n_words ? px_vec_push(&b->intervals) : NULL;
    if (interval)
        *interval = (struct interval){set->low_word, set->low_word + set->n_words, 0};
    return interval || set->n_words == 0;
}

/* In an FP32 forest a number that is no float equals no feature. -0 equals 0. */
static bool add_list_values(struct builder *b, uint32_t list)
{
    const struct px_value_list *l = &b->ir->value_lists.items[list];
    if (!px_vec_reserve(&b->values, b->values.len + l->n))
        return false;
    for (uint32_t i = 0; i < l->n; i++) {
        double value = b->ir->values.items[l->first + i];
        if (b->ir->type == PX_TYPE_FP64 || (double)(float)value == value)
            b->values.items[b->values.len++] = value == 0.0 ? 0.0 : value;
    }
    return true;
}

static void sort_values(struct builder *b)
{
    if (b->values.len)
        qsort(b->values.items, b->values.len, sizeof *b->values.items, px_f64_compare);
    for (size_t i = 0; i < b->values.len; i++) {
        if (b->n_atoms == 0 || b->values.items[b->n_atoms - 1] < b->values.items[i])
            b->values.items[b->n_atoms++] = b->values.items[i];
    }
    b->values.len = b->n_atoms;
}

static bool is_set_column(const struct builder *b)
{
    return b->column->reading == PX_READ_SET;
}

static bool find_atoms(struct builder *b, const uint64_t *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++) {
        uint32_t list = (uint32_t)(keys[i] >> 2);
        if (i && list == (uint32_t)(keys[i - 1] >> 2))
            continue;
        if (!(is_set_column(b) ? add_set_range(b, list) : add_list_values(b, list)))
            return false;
    }
    if (is_set_column(b))
        merge_intervals(b);
    else
        sort_values(b);
    b->class_of = px_alloc(b->n_atoms + 1, sizeof *b->class_of);
    b->states = px_alloc(b->n_atoms + 2, sizeof *b->states);
    return b->class_of && b->states;
}

static const struct interval *find_interval(const struct builder *b, uint32_t word)
{
    size_t low = 0, high = b->intervals.len;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (b->intervals.items[middle].low <= word)
            low = middle;
        else
            high = middle;
    }
    return &b->intervals.items[low];
}

typedef void visitor(struct builder *b, size_t atom);

static void visit_set(struct builder *b, uint32_t list, visitor *visit)
{
    const struct px_set *set = &b->ir->sets.items[list];
    if (set->n_words == 0)
        return;
    const struct interval *interval = find_interval(b, set->low_word);
    size_t atom = interval->first_atom + (size_t)(set->low_word - interval->low) * 32;
    for (uint32_t w = 0; w < set->n_words; w++, atom += 32) {
        for (uint32_t bits = b->ir->set_words.items[set->first_word + w]; bits; bits &= bits - 1)
            visit(b, atom + (size_t)__builtin_ctz(bits));
    }
}

static void visit_values(struct builder *b, uint32_t list, visitor *visit)
{
    const struct px_value_list *l = &b->ir->value_lists.items[list];
    for (uint32_t i = 0; i < l->n; i++) {
        const double *at = b->n_atoms ? bsearch(&b->ir->values.items[l->first + i], b->values.items,
                                                b->n_atoms, sizeof *at, px_f64_compare)
                                      : NULL;
        if (at)
            visit(b, (size_t)(at - b->values.items));
    }
}

static void visit_members(struct builder *b, uint32_t list, visitor *visit)
{
    if (is_set_column(b))
        visit_set(b, list, visit);
    else
        visit_values(b, list, visit);
}

static uint32_t take_state(struct builder *b)
{
    uint32_t id = b->free_state;
    b->free_state = b->states[id].to;
    b->states[id] = (struct class_state){.list = NO_LIST};
    return id;
}

/* Moves an atom out of its class, together with the other members of this list. */
static void refine(struct builder *b, size_t atom)
{
    uint32_t old = b->class_of[atom];
    if (b->states[old].list != b->list) {
        uint32_t to = take_state(b);
        b->states[old].list = b->list;
        b->states[old].to = to;
    }
    uint32_t to = b->states[old].to;
    b->class_of[atom] = to;
    b->states[to].n_atoms++;
    if (old && --b->states[old].n_atoms == 0) {
        b->states[old].to = b->free_state;
        b->free_state = old;
    }
}

/* Renumbers the classes in the order of their first atoms; returns their number, that of class 0 included. */
static uint32_t compact_classes(struct builder *b)
{
    uint32_t n = 1;
    for (size_t i = 1; i < b->n_atoms + 2; i++)
        b->states[i].to = 0;
    for (size_t atom = 0; atom < b->n_atoms; atom++) {
        struct class_state *state = &b->states[b->class_of[atom]];
        if (b->class_of[atom] && state->to == 0)
            state->to = n++;
        b->class_of[atom] = b->class_of[atom] ? state->to : 0;
    }
    return n;
}

static enum px_code find_classes(struct builder *b, const uint64_t *keys, size_t n_keys,
                                 struct px_err *err)
{
    b->free_state = 1;
    for (size_t i = 1; i < b->n_atoms + 1; i++)
        b->states[i].to = (uint32_t)i + 1;
    b->states[0].list = NO_LIST;
    for (size_t i = 0; i < n_keys; i++) {
        b->list = (uint32_t)(keys[i] >> 2);
        if (i == 0 || b->list != (uint32_t)(keys[i - 1] >> 2))
            visit_members(b, b->list, refine);
    }
    uint32_t n = compact_classes(b) + 1; /* and missing */
    if (n > PX_CODES_WIDE_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "feature %" PRIu32 " has %" PRIu32 " classes of categories, at most %d",
                          b->column->feature, n, PX_CODES_WIDE_MAX);
    b->column->n_codes = n;
    return PX_OK;
}

static void mark_class(struct builder *b, size_t atom)
{
    b->words[b->class_of[atom] / 64] |= UINT64_C(1) << (b->class_of[atom] % 64);
}

/* Which classes go right, at b->words. */
static void mark_right(struct builder *b, uint64_t key, size_t n_words)
{
    uint32_t missing = b->column->n_codes - 1;
    bool in_set_left = key >> 1 & 1, default_left = key & 1;
    memset(b->words, 0, n_words * sizeof *b->words);
    visit_members(b, (uint32_t)(key >> 2), mark_class);
    for (size_t w = 0; in_set_left && w < n_words; w++)
        b->words[w] = ~b->words[w];
    uint64_t bit = UINT64_C(1) << (missing % 64), *last = &b->words[n_words - 1];
    *last = (*last & (bit - 1)) | (default_left ? 0 : bit);
}

/* The predicate with the words at b->words, which are the last of class_words: an old one, or a new one. */
static uint32_t find_predicate(struct builder *b, size_t n_words)
{
    struct px_codes *codes = b->draft->codes;
    uint64_t *all = b->draft->class_words.items;
    size_t size = n_words * sizeof *all;
    size_t at = (size_t)px_hash(b->words, size) & b->seen_mask;
    for (; b->seen[at]; at = (at + 1) & b->seen_mask) {
        uint32_t known = b->seen[at] - 1;
        if (memcmp(&all[codes->predicates[known].first_word], b->words, size) == 0) {
            b->draft->class_words.len -= n_words;
            return known;
        }
    }
    uint32_t added = (uint32_t)codes->n_predicates++;
    codes->predicates[added] = (struct px_predicate){
        .column = (uint32_t)(b->column - codes->columns), .first_word = (uint32_t)(b->words - all)};
    b->column->n_predicates++;
    b->seen[at] = added + 1;
    return added;
}

static enum px_code find_predicates(struct builder *b, const uint64_t *keys, size_t n_keys,
                                    uint32_t *ret_predicates, struct px_err *err)
{
    size_t n_words = (b->column->n_codes + 63) / 64, size = 4;
    while (size < 2 * n_keys)
        size *= 2;
    b->seen = px_alloc(size, sizeof *b->seen);
    b->seen_mask = size - 1;
    if (!b->seen)
        return px_ir_no_memory(err);
    for (size_t i = 0; i < n_keys; i++) {
        size_t first = b->draft->class_words.len;
        if (first + n_words > CLASS_WORDS_MAX)
            return px_err_set(err, PX_E_UNSUPPORTED,
                              "its splits on categories need more than %zu MB as sets of classes",
                              CLASS_WORDS_MAX * sizeof(uint64_t) >> 20);
        if (!px_vec_reserve(&b->draft->class_words, first + n_words))
            return px_ir_no_memory(err);
        b->draft->class_words.len += n_words;
        b->words = &b->draft->class_words.items[first];
        mark_right(b, keys[i], n_words);
        ret_predicates[i] = find_predicate(b, n_words);
    }
    return PX_OK;
}

static bool push_map(struct builder *b, uint32_t atom_class)
{
    uint16_t *map = px_vec_push(&b->draft->maps);
    if (map)
        *map = (uint16_t)atom_class;
    return map != NULL;
}

/* From `number` on the class is `atom_class`; takes the place of an entry for the same number. */
static bool push_change(struct builder *b, double number, uint32_t atom_class)
{
    size_t first = b->draft->first_number[b->column - b->draft->codes->columns];
    size_t n = b->draft->numbers.len;
    if (n > first && b->draft->numbers.items[n - 1] == number) {
        b->draft->maps.items[b->draft->maps.len - 1] = (uint16_t)atom_class;
        return true;
    }
    double *item = px_vec_push(&b->draft->numbers);
    if (item)
        *item = number;
    return item && push_map(b, atom_class);
}

/* The least number whose category is `code`. */
static double category_start(const struct px_forest_ir *ir, size_t code)
{
    if (code == 0)
        return ir->type == PX_TYPE_FP32 ? 0.0 : nextafter(-1.0, 0.0);
    return (double)code;
}

static bool push_interval(struct builder *b, const struct interval *interval)
{
    uint32_t atom_class = 0;
    size_t code = (size_t)interval->low * 32, atom = interval->first_atom;
    for (; code < (size_t)interval->high * 32; code++, atom++) {
        if (b->class_of[atom] != atom_class &&
            !push_change(b, category_start(b->ir, code), b->class_of[atom]))
            return false;
        atom_class = b->class_of[atom];
    }
    return atom_class == 0 || push_change(b, category_start(b->ir, code), 0);
}

static bool push_value(struct builder *b, size_t atom)
{
    double value = b->values.items[atom];
    double next = b->ir->type == PX_TYPE_FP32 ? (double)nextafterf((float)value, (float)INFINITY)
                                              : nextafter(value, (double)INFINITY);
    return push_change(b, value, b->class_of[atom]) && (next <= value || push_change(b, next, 0));
}

static enum px_code add_search(struct builder *b, struct px_err *err)
{
    bool added = push_map(b, 0); /* below all */
    for (size_t i = 0; added && i < b->intervals.len; i++)
        added = push_interval(b, &b->intervals.items[i]);
    for (size_t atom = 0; added && atom < b->values.len; atom++)
        added = push_value(b, atom);
    return added ? PX_OK : px_ir_no_memory(err);
}

static enum px_code add_table(struct builder *b, struct px_err *err)
{
    const struct interval *interval, *last = &b->intervals.items[b->intervals.len - 1];
    b->search->low = b->intervals.items[0].low * 32;
    b->search->n_categories = last->high * 32 - b->search->low;
    size_t first = b->draft->maps.len, n = b->search->n_categories + (size_t)1;
    if (!px_vec_reserve(&b->draft->maps, first + n))
        return px_ir_no_memory(err);
    memset(&b->draft->maps.items[first], 0, n * sizeof *b->draft->maps.items);
    b->draft->maps.len += n;
    px_vec_foreach (interval, &b->intervals) {
        uint16_t *table = &b->draft->maps.items[first + interval->low * 32 - b->search->low];
        for (size_t i = 0; i < (size_t)(interval->high - interval->low) * 32; i++)
            table[i] = (uint16_t)b->class_of[interval->first_atom + i];
    }
    return PX_OK;
}

static enum px_code add_lookup(struct builder *b, struct px_err *err)
{
    size_t range = 0;
    if (b->intervals.len)
        range = 32 *
                (size_t)(b->intervals.items[b->intervals.len - 1].high - b->intervals.items[0].low);
    bool table = range && range <= SPARSE_FACTOR * b->n_atoms + TABLE_MIN;
    if (b->draft->maps.len + (table ? range : 2 * b->n_atoms) + 1 > MAPS_MAX)
        return px_err_set(err, PX_E_UNSUPPORTED,
                          "the tables of its categories need more than %zu MB",
                          MAPS_MAX * sizeof(uint16_t) >> 20);
    b->search->map = (uint32_t)b->draft->maps.len;
    return table ? add_table(b, err) : add_search(b, err);
}

enum px_code px_codes_add_classes(struct px_codes_draft *draft, const uint64_t *keys, size_t n_keys,
                                  uint32_t *ret_predicates, struct px_err *err)
{
    size_t column = draft->codes->n_columns - 1;
    struct builder b = {.draft = draft,
                        .ir = draft->ir,
                        .column = &draft->codes->columns[column],
                        .search = &draft->searches[column]};
    enum px_code code = find_atoms(&b, keys, n_keys) ? PX_OK : px_ir_no_memory(err);
    if (code == PX_OK)
        code = find_classes(&b, keys, n_keys, err);
    if (code == PX_OK)
        code = find_predicates(&b, keys, n_keys, ret_predicates, err);
    if (code == PX_OK)
        code = add_lookup(&b, err);
    px_vec_free(&b.intervals);
    px_vec_free(&b.values);
    px_free(b.class_of);
    px_free(b.states);
    px_free(b.seen);
    return code;
}
