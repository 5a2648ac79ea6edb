/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shards of domain/caching/answers.h, each under a mutex that is held for a look-up or a few list operations: requests are hashed, copied and
 * compared, answers copied and memory freed outside of it.
 *
 * A hit is a hash, a mutex, a comparison, and two changes of a counter; it allocates nothing. A miss allocates the entry with a copy of the
 * request, since the leader's own may go before the others have compared theirs with it.
 *
 * Invariants
 * 1. An entry is referred to by the table while it is in it, by its leader, and by each who waits or reads: who takes the last reference
 *    frees it.
 * 2. `answer` is written by the leader before it is KEPT or handed to who waits, under the mutex, and never again.
 * 3. Who takes a waiter from its entry, under the mutex, wakes it, once: the leader, its own deadline, or px_cache_leave.
 * 4. Counts of a space change under a mutex of the table or by its own callers, so none does after it was closed.
 *
 * Mutexes: the timers' comes before a shard's (a timer that is due leaves its entry); timers are started and stopped without one.
 *
 * Rejected: one table with a reader-writer lock (every hit changes the order of use), a table per loop (the same answer in each, and none knows
 * what the others compute), comparing under the mutex (a large request would hold up the others).
 */
#include "application/cache/cache.h"

#include "shared/alloc.h"

#include <pthread.h>
#include <string.h>

enum {
    SHARDS_MAX = 16,
    SHARD_BYTES_MIN = 1 << 20, /* where there are several */
    BUCKET_BYTES = 512,        /* of the limit, for one bucket */
    BUCKETS_MAX = 1 << 20,
    ENTRIES_OF_SHARD = 4, /* so many of the largest fit */
    BLOCK_OVERHEAD = 32,  /* what the allocator takes for two blocks */
    DROPPED_AT_ONCE = 64, /* under one hold of a mutex */
};

struct shard {
    pthread_mutex_t mutex;
    struct px_answers answers;
} __attribute__((aligned(PX_CACHE_LINE)));

struct px_cache {
    struct px_cache_settings settings;
    struct px_answer **buckets;
    size_t entry_bytes_max;
    unsigned n_shards;
    uint64_t n_spaces; /* ever */
    struct shard shards[SHARDS_MAX];
};

struct px_cache_space {
    struct px_cache *cache;
    struct px_cache_space_settings settings;
    uint64_t id;
    struct px_cache_counts counts;
    struct px_answer_owner owners[SHARDS_MAX]; /* one for each shard, under its mutex */
};

struct px_cache_entry {
    struct px_answer base; /* first: what the table knows */
    struct px_cache_space *space;
    struct shard *shard;
    _Atomic unsigned n_refs;
    unsigned group;
    bool has_failed; /* a leader did, and not by its client's wish */
    struct px_cache_answer answer;
    void *memory; /* of the answer */
    struct px_str request;
    struct px_cache_entry *stale; /* that this one is to replace; a reference; under the mutex */
};

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void subtract(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
}

/* ---- the cache and its spaces ---- */

static size_t power_of_two(size_t least)
{
    size_t n = 1;
    while (n < least && n < BUCKETS_MAX)
        n *= 2;
    return n;
}

enum px_code px_cache_create(const struct px_cache_settings *settings, struct px_cache **ret,
                             struct px_err *err)
{
    PX_ASSERT(settings->bytes_max >= PX_CACHE_BYTES_MIN);
    struct px_cache *cache = px_alloc_aligned(PX_CACHE_LINE, 1, sizeof *cache);
    if (!cache)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the cache");
    cache->settings = *settings;
    cache->n_shards = 1;
    while (cache->n_shards < SHARDS_MAX &&
           settings->bytes_max / (cache->n_shards * 2) >= SHARD_BYTES_MIN)
        cache->n_shards *= 2;
    size_t shard_bytes = settings->bytes_max / cache->n_shards;
    size_t n_buckets = power_of_two(shard_bytes / BUCKET_BYTES);
    cache->entry_bytes_max = shard_bytes / ENTRIES_OF_SHARD;
    cache->buckets = px_alloc(cache->n_shards * n_buckets, sizeof(struct px_answer *));
    if (!cache->buckets) {
        px_free(cache);
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the table of the cache");
    }
    for (unsigned i = 0; i < cache->n_shards; i++) {
        pthread_mutex_init(&cache->shards[i].mutex, NULL);
        px_answers_init(&cache->shards[i].answers, cache->buckets + i * n_buckets, n_buckets,
                        shard_bytes);
    }
    *ret = cache;
    return PX_OK;
}

void px_cache_destroy(struct px_cache *cache)
{
    if (!cache)
        return;
    for (unsigned i = 0; i < cache->n_shards; i++)
        pthread_mutex_destroy(&cache->shards[i].mutex);
    px_free(cache->buckets);
    px_free(cache);
}

enum px_code px_cache_open(struct px_cache *cache, const struct px_cache_space_settings *settings,
                           struct px_cache_space **ret, struct px_err *err)
{
    enum px_code code = settings->waits ? px_timers_hold(err) : PX_OK;
    if (code != PX_OK)
        return code;
    struct px_cache_space *space = px_alloc(1, sizeof *space);
    if (!space) {
        if (settings->waits)
            px_timers_release();
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the cache of a model");
    }
    space->cache = cache;
    space->settings = *settings;
    space->id = ++cache->n_spaces;
    *ret = space;
    return PX_OK;
}

const struct px_cache_counts *px_cache_counts(const struct px_cache_space *space)
{
    return &space->counts;
}

/* ---- entries ---- */

static struct px_cache_entry *entry_of(struct px_answer *answer)
{
    return (struct px_cache_entry *)answer; /* its first member */
}

static void hold(struct px_cache_entry *entry)
{
    atomic_fetch_add_explicit(&entry->n_refs, 1, memory_order_relaxed);
}

void px_cache_release(struct px_cache_entry *entry)
{
    /* Releases what this thread has read to who frees it. */
    if (atomic_fetch_sub_explicit(&entry->n_refs, 1, memory_order_acq_rel) != 1)
        return;
    px_free(entry->memory);
    px_free(entry);
}

const struct px_cache_answer *px_cache_answer(const struct px_cache_entry *entry)
{
    return &entry->answer;
}

/* Under the mutex: what was dropped is not counted any more. */
static void count_out(const struct px_answer *gone)
{
    for (; gone; gone = gone->next) {
        const struct px_cache_entry *entry = (const struct px_cache_entry *)gone;
        subtract(&entry->space->counts.bytes, gone->bytes);
        subtract(&entry->space->counts.entries, 1);
    }
}

/* The table's references to what it has dropped. */
static void release_all(struct px_answer *gone)
{
    while (gone) {
        struct px_answer *next = gone->next;
        px_cache_release(entry_of(gone));
        gone = next;
    }
}

void px_cache_close(struct px_cache_space *space)
{
    if (!space)
        return;
    for (unsigned i = 0; i < space->cache->n_shards; i++) {
        struct shard *shard = &space->cache->shards[i];
        struct px_answer *gone;
        do {
            pthread_mutex_lock(&shard->mutex);
            gone = px_answers_drop_owned(&shard->answers, &space->owners[i], DROPPED_AT_ONCE);
            pthread_mutex_unlock(&shard->mutex);
            release_all(gone);
        } while (gone);
    }
    if (space->settings.waits)
        px_timers_release();
    px_free(space);
}

/* ---- requests ---- */

static struct px_hash128 hash_pieces(const struct px_cache_request *request)
{
    struct px_hash128 hash = px_hash128_start();
    for (size_t i = 0; i < request->n_pieces; i++)
        px_hash128_add(&hash, request->pieces[i].ptr, request->pieces[i].len);
    return hash;
}

/* Owners tell spaces apart; their numbers keep equal requests of several models out of the same bucket. */
static struct px_answer_key key_of(const struct px_cache_space *space,
                                   const struct px_cache_request *request)
{
    const struct px_cache_settings *settings = &space->cache->settings;
    struct px_hash128 hash = settings->hash ? settings->hash(request) : hash_pieces(request);
    return (struct px_answer_key){hash.low ^ space->id * 0x9E3779B97F4A7C15u, hash.high};
}

/* The high half chooses the shard, the low half the bucket. */
static unsigned shard_of(const struct px_cache *cache, const struct px_answer_key *key)
{
    return (unsigned)(key->high % cache->n_shards);
}

static size_t request_len(const struct px_cache_request *request)
{
    size_t len = 0;
    for (size_t i = 0; i < request->n_pieces; i++)
        len += request->pieces[i].len;
    return len;
}

static bool is_equal(const struct px_cache_entry *entry, const struct px_cache_request *request)
{
    const char *at = entry->request.ptr;
    if (entry->request.len != request_len(request))
        return false;
    for (size_t i = 0; i < request->n_pieces; i++) {
        const struct px_str *piece = &request->pieces[i];
        if (piece->len && memcmp(at, piece->ptr, piece->len) != 0)
            return false;
        at += piece->len;
    }
    return true;
}

/* An entry with a copy of the request, referred to by the table and by its leader; NULL when it is too large, or without memory. */
static struct px_cache_entry *make_entry(struct px_cache_space *space,
                                         const struct px_cache_request *request,
                                         const struct px_answer_key *key, unsigned group)
{
    size_t len = request_len(request);
    unsigned shard = shard_of(space->cache, key);
    if (len > space->cache->entry_bytes_max)
        return NULL;
    struct px_cache_entry *entry = px_alloc(1, sizeof *entry + len);
    if (!entry)
        return NULL;
    char *copy = (char *)(entry + 1);
    entry->request = px_str_n(copy, len);
    for (size_t i = 0; i < request->n_pieces; i++) {
        const struct px_str *piece = &request->pieces[i];
        if (piece->len)
            memcpy(copy, piece->ptr, piece->len);
        copy += piece->len;
    }
    entry->base.key = *key;
    entry->base.owner = &space->owners[shard];
    entry->space = space;
    entry->shard = &space->cache->shards[shard];
    entry->group = group;
    atomic_init(&entry->n_refs, 2);
    return entry;
}

/* ---- asking ---- */

/*
 * With the mutex held, in a space that keeps what is stale: an answer whose time has passed is as good as not there, and goes when a new one
 * is promised, which puts it back when it does not come.
 */
static struct px_answer *set_aside(struct shard *shard, struct px_answer *found, uint64_t now_ns,
                                   struct px_cache_entry *fresh)
{
    struct px_cache_entry *entry = entry_of(found);
    bool has_expired = found->state == PX_ANSWER_KEPT && found->expires_ns && now_ns &&
                       now_ns >= found->expires_ns;
    if (PX_LIKELY(!has_expired))
        return found;
    if (!fresh)
        return NULL;
    px_answers_drop(&shard->answers, found);
    count_out(found);
    add(&entry->space->counts.expired, 1);
    fresh->stale = entry; /* with the table's reference */
    return NULL;
}

/* A reference to what is there for the key, or, when there is nothing, `fresh` as the entry that is awaited (NULL: nothing). */
static struct px_cache_entry *find_or_enter(struct px_cache_space *space,
                                            const struct px_answer_key *key, uint64_t now_ns,
                                            struct px_cache_entry *fresh,
                                            enum px_answer_state *ret_state)
{
    unsigned number = shard_of(space->cache, key);
    struct shard *shard = &space->cache->shards[number];
    struct px_answer *gone;
    pthread_mutex_lock(&shard->mutex);
    bool keeps_stale = space->settings.keeps_stale;
    struct px_answer *found = px_answers_find(&shard->answers, key, &space->owners[number],
                                              keeps_stale ? 0 : now_ns, &gone);
    if (found && keeps_stale)
        found = set_aside(shard, found, now_ns, fresh);
    if (gone) {
        count_out(gone);
        add(&space->counts.expired, 1);
    }
    if (found) {
        hold(entry_of(found));
        *ret_state = found->state;
    } else if (fresh) {
        px_answers_await(&shard->answers, &fresh->base);
    }
    pthread_mutex_unlock(&shard->mutex);
    release_all(gone);
    return found ? entry_of(found) : NULL;
}

/* The entry may be gone when another was faster, so it is not looked at; the shard stays. */
static bool leave(struct px_cache_wait *wait)
{
    struct shard *shard = wait->shard;
    pthread_mutex_lock(&shard->mutex);
    bool left = px_answers_leave(&wait->waiter);
    pthread_mutex_unlock(&shard->mutex);
    return left;
}

/* Called under the timers' mutex: true when the waiter is ours to wake. */
static bool is_due(struct px_timer *timer)
{
    struct px_cache_wait *wait = PX_CONTAINER_OF(timer, struct px_cache_wait, timer);
    return leave(wait);
}

/* The waiter is nobody's but the caller's. */
static void wake_without(struct px_cache_wait *wait, enum px_cache_verdict verdict)
{
    px_cache_release(wait->entry);
    wait->entry = NULL;
    wait->verdict = verdict;
    wait->wake(wait);
}

static void end_late(void *subject)
{
    wake_without(subject, PX_CACHE_LATE);
}

/* Whose deadline cannot be watched does not wait. */
static enum px_cache_verdict watch_deadline(struct px_cache_wait *wait,
                                            struct px_cache_entry *entry)
{
    wait->timer.at_ns = wait->deadline_ns;
    wait->timer.due = is_due;
    wait->timer.run = end_late;
    wait->timer.subject = wait;
    if (px_timer_start(&wait->timer, NULL) == PX_OK || !leave(wait))
        return PX_CACHE_WAIT;
    px_cache_release(entry);
    wait->entry = NULL;
    wait->verdict = PX_CACHE_PASS;
    return PX_CACHE_PASS;
}

static enum px_cache_verdict end_ask(struct px_cache_wait *wait, struct px_cache_entry *entry,
                                     enum px_cache_verdict verdict)
{
    if (verdict == PX_CACHE_PASS && entry) {
        px_cache_release(entry);
        entry = NULL;
    }
    wait->entry = entry;
    wait->verdict = verdict;
    return verdict;
}

/* The entry has the same request and was awaited a moment ago. */
static enum px_cache_verdict join(struct px_cache_wait *wait, struct px_cache_entry *entry)
{
    if (entry->group != wait->group)
        return end_ask(wait, entry, PX_CACHE_PASS);
    wait->entry = entry;
    wait->shard = entry->shard;
    pthread_mutex_lock(&entry->shard->mutex);
    enum px_answer_state state = entry->base.state;
    if (state == PX_ANSWER_AWAITED)
        px_answers_join(&entry->base, &wait->waiter);
    pthread_mutex_unlock(&entry->shard->mutex);
    if (state != PX_ANSWER_AWAITED)
        return end_ask(wait, entry, state == PX_ANSWER_KEPT ? PX_CACHE_HIT : PX_CACHE_PASS);
    return wait->deadline_ns ? watch_deadline(wait, entry) : PX_CACHE_WAIT;
}

static enum px_cache_verdict use_found(struct px_cache_wait *wait, struct px_cache_entry *entry,
                                       enum px_answer_state state,
                                       const struct px_cache_request *request)
{
    if (PX_UNLIKELY(!is_equal(entry, request))) {
        add(&entry->space->counts.collisions, 1);
        return end_ask(wait, entry, PX_CACHE_PASS);
    }
    return state == PX_ANSWER_KEPT ? end_ask(wait, entry, PX_CACHE_HIT) : join(wait, entry);
}

enum px_cache_verdict px_cache_ask(struct px_cache_space *space,
                                   const struct px_cache_request *request,
                                   struct px_cache_wait *wait, uint64_t now_ns)
{
    const struct px_answer_key key = key_of(space, request);
    enum px_answer_state state = PX_ANSWER_GONE;
    struct px_cache_entry *found = find_or_enter(space, &key, now_ns, NULL, &state);
    if (PX_LIKELY(found))
        return use_found(wait, found, state, request);
    struct px_cache_entry *fresh = make_entry(space, request, &key, wait->group);
    if (!fresh) {
        add(&space->counts.unkept, 1);
        return end_ask(wait, NULL, PX_CACHE_PASS);
    }
    found = find_or_enter(space, &key, now_ns, fresh, &state); /* another may have been faster */
    if (!found)
        return end_ask(wait, fresh, PX_CACHE_LEAD);
    px_free(fresh);
    return use_found(wait, found, state, request);
}

/* What an awaited answer is to replace. */
static struct px_cache_entry *hold_stale(struct px_cache_entry *awaited)
{
    pthread_mutex_lock(&awaited->shard->mutex);
    struct px_cache_entry *stale = awaited->stale;
    if (stale)
        hold(stale);
    pthread_mutex_unlock(&awaited->shard->mutex);
    return stale;
}

struct px_cache_entry *px_cache_look(struct px_cache_space *space,
                                     const struct px_cache_request *request, uint64_t now_ns)
{
    const struct px_answer_key key = key_of(space, request);
    enum px_answer_state state = PX_ANSWER_GONE;
    struct px_cache_entry *found = find_or_enter(space, &key, now_ns, NULL, &state);
    if (!found || (state == PX_ANSWER_KEPT && is_equal(found, request)))
        return found;
    struct px_cache_entry *stale = now_ns ? NULL : hold_stale(found);
    px_cache_release(found);
    if (!stale || is_equal(stale, request))
        return stale;
    px_cache_release(stale);
    return NULL;
}

/* ---- ending ---- */

static size_t answer_size(const struct px_cache_answer *answer)
{
    size_t size = answer->n_outputs * sizeof *answer->outputs + answer->degraded.len;
    for (size_t i = 0; i < answer->n_outputs; i++)
        size += answer->outputs[i].name.len + answer->outputs[i].bytes.len;
    return size + answer->n_outputs * (PX_CACHE_LINE - 1); /* bytes are aligned */
}

static struct px_str put_text(char **at, struct px_str text)
{
    struct px_str copy = px_str_n(*at, text.len);
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

/* Values are aligned as an engine's are: readers cast them. */
static struct px_str put_values(char **at, struct px_str values)
{
    *at += -(uintptr_t)*at % PX_CACHE_LINE;
    return put_text(at, values);
}

/* Outputs, then their values, then texts. */
static bool copy_answer(struct px_cache_entry *entry, const struct px_cache_answer *answer,
                        size_t size)
{
    struct px_tensor *outputs = px_alloc(1, size + 1);
    char *at = (char *)(outputs + answer->n_outputs);
    if (!outputs)
        return false;
    for (size_t i = 0; i < answer->n_outputs; i++) {
        outputs[i] = answer->outputs[i];
        outputs[i].bytes = put_values(&at, answer->outputs[i].bytes);
    }
    for (size_t i = 0; i < answer->n_outputs; i++)
        outputs[i].name = put_text(&at, answer->outputs[i].name);
    entry->answer =
        (struct px_cache_answer){outputs, answer->n_outputs, put_text(&at, answer->degraded)};
    entry->memory = outputs;
    return true;
}

static bool has_waiters(struct px_cache_entry *entry)
{
    pthread_mutex_lock(&entry->shard->mutex);
    bool has = entry->base.first_waiter != NULL;
    pthread_mutex_unlock(&entry->shard->mutex);
    return has;
}

/* Under the mutex: all who wait, linked by their `next`. */
static struct px_answer_waiter *take_waiters(struct px_cache_entry *entry)
{
    struct px_answer_waiter *first = NULL, **end = &first, *waiter;
    while ((waiter = px_answers_take_waiter(&entry->base))) {
        waiter->next = NULL;
        *end = waiter;
        end = &waiter->next;
    }
    return first;
}

static void wake_all(struct px_answer_waiter *waiter, bool has_answer)
{
    while (waiter) {
        struct px_cache_wait *wait = PX_CONTAINER_OF(waiter, struct px_cache_wait, waiter);
        waiter = waiter->next;
        if (has_answer) {
            wait->verdict = PX_CACHE_HIT;
            wait->wake(wait);
        } else {
            wake_without(wait, PX_CACHE_PASS);
        }
    }
}

/* Under the mutex, as are the two below. */
static struct px_answer *keep_until(struct px_cache_entry *entry, size_t bytes, uint64_t expires_ns)
{
    struct px_cache_space *space = entry->space;
    struct px_answer *gone =
        px_answers_keep(&entry->shard->answers, &entry->base, bytes, expires_ns);
    add(&space->counts.bytes, bytes);
    add(&space->counts.entries, 1);
    count_out(gone);
    for (const struct px_answer *a = gone; a; a = a->next)
        add(&((const struct px_cache_entry *)a)->space->counts.evictions, 1);
    return gone;
}

static struct px_answer *keep(struct px_cache_entry *entry, size_t bytes, uint64_t now_ns)
{
    uint64_t ttl_ns = entry->space->settings.ttl_ns;
    return keep_until(entry, bytes, ttl_ns ? now_ns + ttl_ns : 0);
}

/* There is no new answer: the stale one is found again. Returns what went to make room. */
static struct px_answer *put_back_stale(struct px_cache_entry *entry)
{
    struct px_cache_entry *stale = entry->stale;
    entry->stale = NULL;
    if (!stale)
        return NULL;
    px_answers_await(&entry->shard->answers, &stale->base);
    return keep_until(stale, stale->base.bytes, stale->base.expires_ns);
}

void px_cache_give(struct px_cache_entry *entry, const struct px_cache_answer *answer,
                   uint64_t now_ns)
{
    size_t size = answer_size(answer);
    size_t bytes = sizeof *entry + entry->request.len + size + BLOCK_OVERHEAD;
    bool is_kept = bytes <= entry->space->cache->entry_bytes_max && !answer->degraded.len;
    bool has_answer = (is_kept || has_waiters(entry)) && copy_answer(entry, answer, size);
    is_kept = is_kept && has_answer;
    if (!is_kept)
        add(&entry->space->counts.unkept, 1);
    pthread_mutex_lock(&entry->shard->mutex);
    struct px_answer_waiter *waiters = take_waiters(entry);
    struct px_answer *gone = is_kept ? keep(entry, bytes, now_ns) : NULL;
    struct px_cache_entry *stale = entry->stale;
    entry->stale = NULL;
    if (!is_kept)
        px_answers_drop(&entry->shard->answers, &entry->base);
    pthread_mutex_unlock(&entry->shard->mutex);
    release_all(gone);
    wake_all(waiters, has_answer);
    if (stale)
        px_cache_release(stale);
    if (!is_kept)
        px_cache_release(entry); /* the table's */
    px_cache_release(entry);
}

void px_cache_fail(struct px_cache_entry *entry, bool left)
{
    struct px_answer_waiter *next = NULL, *others = NULL;
    struct px_answer *gone = NULL;
    pthread_mutex_lock(&entry->shard->mutex);
    if (left || !entry->has_failed)
        next = px_answers_take_waiter(&entry->base);
    entry->has_failed = entry->has_failed || !left;
    if (!next) {
        others = take_waiters(entry);
        px_answers_drop(&entry->shard->answers, &entry->base);
        gone = put_back_stale(entry);
    }
    pthread_mutex_unlock(&entry->shard->mutex);
    release_all(gone);
    if (next) {
        struct px_cache_wait *wait = PX_CONTAINER_OF(next, struct px_cache_wait, waiter);
        wait->verdict = PX_CACHE_LEAD; /* its reference is the leader's now */
        wait->wake(wait);
    } else {
        wake_all(others, false);
        px_cache_release(entry); /* the table's */
    }
    px_cache_release(entry);
}

void px_cache_leave(struct px_cache_wait *wait)
{
    if (leave(wait))
        wake_without(wait, PX_CACHE_CANCELLED);
}

void px_cache_settle(struct px_cache_wait *wait)
{
    if (wait->timer.due)
        px_timer_stop(&wait->timer);
}
