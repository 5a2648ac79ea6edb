/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sequence is in exactly one of three lists (backlog, ready, idle) unless it is busy; `settle` puts it where its fields say. A
 * list is always appended to with the time of now, so each is in the order of `since_ns`, and the oldest of it is its first.
 *
 * A sequence that was busy and has another step waiting goes to the end of `ready`: with more ready sequences than a batch holds,
 * all of them advance at one pace, whatever each has waiting.
 *
 * Places are bits of words, so that the lowest free one is found 64 at a time; with `direct` low places mean short batches.
 */
#include "domain/sequences/sequences.h"

#include "shared/alloc.h"
#include "shared/hash.h"

#include <string.h>

enum { PLACES_PER_WORD = 64 };

/* ---- lists ---- */

static void append(struct px_sequence_list *list, struct px_sequence *s, uint64_t now_ns)
{
    s->list = list;
    s->since_ns = now_ns;
    s->next = NULL;
    s->previous = list->last;
    if (list->last)
        list->last->next = s;
    else
        list->first = s;
    list->last = s;
    list->n++;
}

static void unlink_from_list(struct px_sequence *s)
{
    struct px_sequence_list *list = s->list;
    if (!list)
        return;
    if (s->previous)
        s->previous->next = s->next;
    else
        list->first = s->next;
    if (s->next)
        s->next->previous = s->previous;
    else
        list->last = s->previous;
    list->n--;
    s->list = NULL;
}

static void settle(struct px_sequences *table, struct px_sequence *s, uint64_t now_ns)
{
    struct px_sequence_list *list = NULL;
    if (!s->has_place)
        list = &table->backlog;
    else if (!s->busy)
        list = s->n_waiting ? &table->ready : &table->idle;
    if (list == s->list)
        return;
    unlink_from_list(s);
    if (list)
        append(list, s, now_ns);
}

/* ---- places ---- */

static bool take_place(struct px_sequences *table, struct px_sequence *s)
{
    size_t word = 0;
    if (table->n_places == table->rules.sequences_max)
        return false;
    while (!table->free_places[word])
        word++;
    size_t bit = (size_t)__builtin_ctzll(table->free_places[word]);
    table->free_places[word] &= table->free_places[word] - 1;
    table->n_places++;
    s->place = word * PLACES_PER_WORD + bit;
    s->has_place = true;
    return true;
}

/* Gives the place back, and lets the first of the backlog have one. */
static void leave_place(struct px_sequences *table, struct px_sequence *s, uint64_t now_ns)
{
    struct px_sequence *next = table->backlog.first;
    table->free_places[s->place / PLACES_PER_WORD] |= 1ULL << s->place % PLACES_PER_WORD;
    table->n_places--;
    s->has_place = false;
    if (next && take_place(table, next))
        settle(table, next, now_ns);
}

/* ---- the table ---- */

static size_t count_words(const struct px_sequence_rules *rules)
{
    return (rules->sequences_max + PLACES_PER_WORD - 1) / PLACES_PER_WORD;
}

static void free_all_places(struct px_sequences *table)
{
    for (size_t i = 0; i < table->rules.sequences_max; i++)
        table->free_places[i / PLACES_PER_WORD] |= 1ULL << i % PLACES_PER_WORD;
}

enum px_code px_sequences_init(struct px_sequences *table, const struct px_sequence_rules *rules,
                               struct px_err *err)
{
    size_t n_buckets = 16;
    PX_ASSERT(rules->sequences_max >= 1 && rules->sequences_max <= PX_SEQUENCES_MAX);
    PX_ASSERT(rules->backlog_max <= PX_SEQUENCE_BACKLOG_MAX);
    PX_ASSERT(px_sequences_batch_max(rules) >= 1);
    while (n_buckets < rules->sequences_max + rules->backlog_max)
        n_buckets *= 2;
    *table = (struct px_sequences){.rules = *rules, .mask = n_buckets - 1};
    table->buckets = px_alloc(n_buckets, sizeof(struct px_sequence *));
    table->free_places = px_alloc(count_words(rules), sizeof *table->free_places);
    if (!table->buckets || !table->free_places) {
        px_sequences_deinit(table);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for %zu sequences", rules->sequences_max);
    }
    free_all_places(table);
    return PX_OK;
}

void px_sequences_deinit(struct px_sequences *table)
{
    px_free(table->buckets);
    px_free(table->free_places);
    *table = (struct px_sequences){0};
}

static uint64_t hash_id(const struct px_sequence_id *id)
{
    return id->text.len ? px_hash(id->text.ptr, id->text.len)
                        : px_hash(&id->number, sizeof id->number);
}

static bool has_id(const struct px_sequence *s, const struct px_sequence_id *id)
{
    return id->text.len ? px_str_eq(s->text, id->text)
                        : s->text.len == 0 && s->number == id->number;
}

struct px_sequence *px_sequences_find(const struct px_sequences *table,
                                      const struct px_sequence_id *id)
{
    uint64_t hash = hash_id(id);
    struct px_sequence *s = table->buckets[hash & table->mask];
    while (s && !(s->hash == hash && has_id(s, id)))
        s = s->same_bucket;
    return s;
}

struct px_sequence *px_sequences_any(const struct px_sequences *table)
{
    for (size_t i = 0; table->n > 0 && i <= table->mask; i++) {
        if (table->buckets[i])
            return table->buckets[i];
    }
    return NULL;
}

static void set_id(struct px_sequence *s, const struct px_sequence_id *id)
{
    PX_ASSERT(id->text.len <= PX_SEQUENCE_TEXT_MAX);
    s->number = id->text.len ? 0 : id->number;
    if (id->text.len)
        memcpy(s->text_bytes, id->text.ptr, id->text.len);
    s->text = px_str_n(s->text_bytes, id->text.len);
    s->hash = hash_id(id);
}

enum px_code px_sequences_add(struct px_sequences *table, struct px_sequence *s,
                              const struct px_sequence_id *id, uint64_t now_ns, struct px_err *err)
{
    if (table->n_places == table->rules.sequences_max &&
        table->backlog.n == table->rules.backlog_max) {
        px_err_set(err, PX_E_OVERLOADED,
                   "%zu sequences are live and %zu wait for one of them to end", table->n_places,
                   table->backlog.n);
        return px_err_hint(err, "end sequences with sequence_end, or raise sequences_max or "
                                "backlog_max under 'sequence' in model.yaml");
    }
    set_id(s, id);
    struct px_sequence **bucket = &table->buckets[s->hash & table->mask];
    s->same_bucket = *bucket;
    *bucket = s;
    table->n++;
    (void)take_place(table, s);
    settle(table, s, now_ns);
    return PX_OK;
}

void px_sequences_remove(struct px_sequences *table, struct px_sequence *s, uint64_t now_ns)
{
    struct px_sequence **at = &table->buckets[s->hash & table->mask];
    PX_ASSERT(!s->busy);
    while (*at != s)
        at = &(*at)->same_bucket;
    *at = s->same_bucket;
    table->n--;
    unlink_from_list(s);
    if (s->has_place)
        leave_place(table, s, now_ns);
}

/* ---- steps ---- */

void px_sequences_add_step(struct px_sequences *table, struct px_sequence *s, uint64_t now_ns)
{
    s->n_waiting++;
    settle(table, s, now_ns);
}

void px_sequences_drop_step(struct px_sequences *table, struct px_sequence *s, uint64_t now_ns)
{
    PX_ASSERT(s->n_waiting > 0);
    s->n_waiting--;
    settle(table, s, now_ns);
}

void px_sequences_end_step(struct px_sequences *table, struct px_sequence *s, uint64_t now_ns)
{
    PX_ASSERT(s->busy);
    s->busy = false;
    settle(table, s, now_ns);
}

void px_sequences_requeue(struct px_sequences *table, struct px_sequence *s, uint64_t now_ns)
{
    PX_ASSERT(!s->busy);
    if (!s->has_place || !table->backlog.first)
        return;
    unlink_from_list(s);
    leave_place(table, s, now_ns);
    settle(table, s, now_ns);
}

/* ---- choosing ---- */

/* The size of the batch that may start now out of `n` that could; 0: it waits for others. */
static size_t size_oldest(const struct px_sequence_rules *rules, size_t n, bool waited)
{
    if (n >= rules->batch_max)
        return rules->batch_max;
    for (size_t i = rules->n_preferred; i > 0; i--) {
        if (rules->preferred[i - 1] <= n)
            return rules->preferred[i - 1];
    }
    return waited ? n : 0;
}

static size_t size_direct(const struct px_sequences *table, size_t n, bool waited)
{
    return waited || n == table->n_places ? n : 0;
}

static size_t choose_size(const struct px_sequences *table, size_t n, bool waited)
{
    return table->rules.scheduler == PX_SEQUENCE_DIRECT ? size_direct(table, n, waited)
                                                        : size_oldest(&table->rules, n, waited);
}

/* The ready sequences that can be computed with the first of them, oldest first. */
static size_t collect(const struct px_sequences *table, struct px_sequence **ret)
{
    const struct px_sequence_rules *rules = &table->rules;
    const struct px_sequence *first = table->ready.first;
    size_t n = 0, max = px_sequences_batch_max(rules);
    for (struct px_sequence *s = table->ready.first; s && n < max; s = s->next) {
        if (s == first || !rules->fits || rules->fits(first, s))
            ret[n++] = s;
    }
    return n;
}

size_t px_sequences_choose(struct px_sequences *table, uint64_t now_ns, struct px_sequence **ret,
                           uint64_t *ret_at_ns)
{
    const struct px_sequence *first = table->ready.first;
    *ret_at_ns = 0;
    if (!first)
        return 0;
    uint64_t at_ns = first->since_ns + table->rules.delay_ns;
    size_t n = choose_size(table, collect(table, ret), now_ns >= at_ns);
    if (n == 0)
        *ret_at_ns = at_ns;
    for (size_t i = 0; i < n; i++) {
        ret[i]->n_waiting--;
        ret[i]->busy = true;
        settle(table, ret[i], now_ns);
    }
    return n;
}

/* ---- time ---- */

uint64_t px_sequences_expire_at(const struct px_sequences *table)
{
    const struct px_sequence *oldest = table->idle.first;
    return oldest ? oldest->since_ns + table->rules.idle_timeout_ns : 0;
}

struct px_sequence *px_sequences_expired(const struct px_sequences *table, uint64_t now_ns)
{
    struct px_sequence *oldest = table->idle.first;
    return oldest && now_ns >= px_sequences_expire_at(table) ? oldest : NULL;
}
