/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings, sampling and records of traces.
 *
 * Settings are rows of atomics that are never freed, so a loop reads them without a lock. Writers take a mutex; they are
 * rare. A row whose model overrides nothing any more is used again for another one. A loop that compares the name
 * meanwhile may read a mixture of both, and one that found the row before may read the other's settings: one request is
 * then traced as the other model's would be, which a change of settings at that moment could have done as well.
 */
#include "application/telemetry/trace.h"

#include "application/telemetry/trace_impl.h"
#include "shared/alloc.h"
#include "shared/number.h"

static const struct px_trace_settings defaults = {.rate = 1000, .count = -1};
enum { EVERY_KEY = 15 };

/* ---- changes ---- */

static enum px_code bad_value(struct px_err *err, struct px_str key, const char *expected,
                              struct px_str got)
{
    return px_err_set(err, PX_E_INVALID, "%.*s: expected %s, got '%.*s'", PX_STR_ARG(key), expected,
                      PX_STR_ARG(got));
}

static enum px_code add_levels(struct px_trace_change *change, struct px_str key,
                               const struct px_str *values, size_t n, struct px_err *err)
{
    change->to.levels = 0;
    for (size_t i = 0; i < n; i++) {
        if (px_str_is(values[i], "TIMESTAMPS"))
            change->to.levels |= PX_TRACE_TIMESTAMPS;
        else if (px_str_is(values[i], "TENSORS"))
            change->to.levels |= PX_TRACE_TENSORS;
        else if (!px_str_is(values[i], "OFF") || n > 1)
            return bad_value(err, key, "OFF, or TIMESTAMPS and TENSORS", values[i]);
    }
    return PX_OK;
}

static enum px_code add_number(struct px_trace_change *change, enum px_trace_key which,
                               struct px_str key, struct px_str value, struct px_err *err)
{
    bool fine = false;
    if (which == PX_TRACE_KEY_RATE)
        fine = px_str_to_u64(value, &change->to.rate) && change->to.rate > 0;
    else if (which == PX_TRACE_KEY_COUNT)
        fine = px_str_to_i64(value, &change->to.count) && change->to.count >= -1;
    else
        fine = px_str_to_u64(value, &change->to.log_frequency);
    if (fine)
        return PX_OK;
    return bad_value(err, key,
                     which == PX_TRACE_KEY_RATE    ? "a number from 1"
                     : which == PX_TRACE_KEY_COUNT ? "a number from -1 (no limit)"
                                                   : "a number from 0",
                     value);
}

static enum px_trace_key key_of(struct px_str key)
{
    if (px_str_is(key, "trace_level"))
        return PX_TRACE_KEY_LEVEL;
    if (px_str_is(key, "trace_rate"))
        return PX_TRACE_KEY_RATE;
    if (px_str_is(key, "trace_count"))
        return PX_TRACE_KEY_COUNT;
    return px_str_is(key, "log_frequency") ? PX_TRACE_KEY_FREQUENCY : 0;
}

enum px_code px_trace_change_add(struct px_trace_change *change, struct px_str key,
                                 const struct px_str *values, size_t n_values, struct px_err *err)
{
    enum px_trace_key which = key_of(key);
    enum px_code code = PX_OK;
    if (px_str_is(key, "trace_file") || px_str_is(key, "trace_mode")) {
        px_err_set(err, PX_E_UNSUPPORTED, "%.*s cannot be set while the server runs",
                   PX_STR_ARG(key));
        return px_err_hint(err, "the file is trace.file of the configuration");
    }
    if (!which)
        return px_err_set(err, PX_E_INVALID, "unknown trace setting '%.*s'", PX_STR_ARG(key));
    if (n_values == 0) {
        change->cleared |= which;
        return PX_OK;
    }
    if (which == PX_TRACE_KEY_LEVEL)
        code = add_levels(change, key, values, n_values, err);
    else if (n_values > 1)
        code = bad_value(err, key, "one value", values[1]);
    else
        code = add_number(change, which, key, values[0], err);
    if (code == PX_OK)
        change->given |= which;
    return code;
}

/* ---- settings ---- */

#define SET(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)
#define GET(field)        atomic_load_explicit(&(field), memory_order_relaxed)

static void name_words(struct px_str model, uint64_t words[TRACE_NAME_WORDS])
{
    memset(words, 0, TRACE_NAME_WORDS * sizeof *words);
    memcpy(words, model.ptr, model.len);
}

static bool is_named(const struct px_trace_entry *entry, const uint64_t words[TRACE_NAME_WORDS])
{
    for (size_t i = 0; i < TRACE_NAME_WORDS; i++) {
        if (GET(entry->name[i]) != words[i])
            return false;
    }
    return true;
}

static struct px_trace_entry *find(struct px_trace *trace, struct px_str model)
{
    uint64_t words[TRACE_NAME_WORDS];
    size_t n = GET(trace->n_entries);
    if (n == 1 || model.len > PX_TRACE_NAME_MAX)
        return NULL;
    name_words(model, words);
    for (size_t i = 1; i < n; i++) {
        struct px_trace_entry *entry = &trace->entries[i];
        /* Pairs with the release in set_own: the name of an entry that overrides something is complete. */
        if (atomic_load_explicit(&entry->own, memory_order_acquire) && is_named(entry, words))
            return entry;
    }
    return NULL;
}

/* A free entry with this name; NULL when there are too many. Call it with the mutex held. */
static struct px_trace_entry *take_entry(struct px_trace *trace, struct px_str model)
{
    uint64_t words[TRACE_NAME_WORDS];
    size_t n = GET(trace->n_entries), at = 1;
    while (at < n && GET(trace->entries[at].own))
        at++;
    if (at > PX_TRACE_MODELS_MAX || model.len > PX_TRACE_NAME_MAX)
        return NULL;
    struct px_trace_entry *entry = &trace->entries[at];
    name_words(model, words);
    for (size_t i = 0; i < TRACE_NAME_WORDS; i++)
        SET(entry->name[i], words[i]);
    SET(entry->seen, 0);
    if (at == n)
        SET(trace->n_entries, n + 1);
    return entry;
}

static void set_keys(struct px_trace_entry *entry, unsigned keys,
                     const struct px_trace_settings *to)
{
    if (keys & PX_TRACE_KEY_LEVEL)
        SET(entry->levels, to->levels);
    if (keys & PX_TRACE_KEY_RATE)
        SET(entry->rate, to->rate);
    if (keys & PX_TRACE_KEY_COUNT)
        SET(entry->count, to->count);
    if (keys & PX_TRACE_KEY_FREQUENCY)
        SET(entry->log_frequency, to->log_frequency);
}

static void set_own(struct px_trace_entry *entry, unsigned own)
{
    /* Pairs with the acquires in find and holder. */
    atomic_store_explicit(&entry->own, own, memory_order_release);
}

static void update_switch(struct px_trace *trace)
{
    size_t n = GET(trace->n_entries);
    bool on = false;
    for (size_t i = 0; i < n; i++)
        on |= (GET(trace->entries[i].own) & PX_TRACE_KEY_LEVEL) && GET(trace->entries[i].levels);
    SET(trace->state.on, on);
}

static void apply(struct px_trace *trace, struct px_trace_entry *entry,
                  const struct px_trace_change *change)
{
    bool is_global = entry == &trace->entries[0];
    unsigned cleared = change->cleared & ~change->given;
    set_keys(entry, change->given, &change->to);
    if (is_global)
        set_keys(entry, cleared, &defaults);
    else
        set_own(entry, (GET(entry->own) | change->given) & ~cleared);
    update_switch(trace);
}

enum px_code px_trace_update(struct px_trace *trace, struct px_str model,
                             const struct px_trace_change *change, struct px_err *err)
{
    if ((change->given & PX_TRACE_KEY_LEVEL) && change->to.levels && !trace->rings) {
        px_err_set(err, PX_E_INVALID, "this server has no file to write traces to");
        return px_err_hint(err, "start it with trace.file in the configuration");
    }
    pthread_mutex_lock(&trace->mutex);
    struct px_trace_entry *entry = model.len ? find(trace, model) : &trace->entries[0];
    bool needs_one = !entry && change->given; /* to clear what is not there needs none */
    if (needs_one)
        entry = take_entry(trace, model);
    if (entry)
        apply(trace, entry, change);
    pthread_mutex_unlock(&trace->mutex);
    if (entry || !needs_one)
        return PX_OK;
    return px_err_set(err, PX_E_TOO_LARGE, "more than %d models with trace settings of their own",
                      PX_TRACE_MODELS_MAX);
}

void px_trace_forget(struct px_trace *trace, struct px_str model)
{
    pthread_mutex_lock(&trace->mutex);
    struct px_trace_entry *entry = find(trace, model);
    if (entry) {
        set_own(entry, 0);
        update_switch(trace);
    }
    pthread_mutex_unlock(&trace->mutex);
}

static struct px_trace_entry *holder(struct px_trace *trace, struct px_trace_entry *own,
                                     enum px_trace_key key)
{
    /* Pairs with the release in set_own: what it says to be overridden has its value. */
    bool is_own = own && (atomic_load_explicit(&own->own, memory_order_acquire) & key);
    return is_own ? own : &trace->entries[0];
}

void px_trace_read(struct px_trace *trace, struct px_str model, struct px_trace_settings *ret)
{
    struct px_trace_entry *own = model.len ? find(trace, model) : NULL;
    *ret = (struct px_trace_settings){
        .levels = GET(holder(trace, own, PX_TRACE_KEY_LEVEL)->levels),
        .rate = GET(holder(trace, own, PX_TRACE_KEY_RATE)->rate),
        .count = GET(holder(trace, own, PX_TRACE_KEY_COUNT)->count),
        .log_frequency = GET(holder(trace, own, PX_TRACE_KEY_FREQUENCY)->log_frequency),
    };
}

static void show_levels(unsigned levels, struct px_trace_shown *shown)
{
    *shown = (struct px_trace_shown){.key = "trace_level", .is_list = true};
    if (levels & PX_TRACE_TIMESTAMPS)
        snprintf(shown->values[shown->n_values++], sizeof shown->values[0], "TIMESTAMPS");
    if (levels & PX_TRACE_TENSORS)
        snprintf(shown->values[shown->n_values++], sizeof shown->values[0], "TENSORS");
    if (levels == 0)
        snprintf(shown->values[shown->n_values++], sizeof shown->values[0], "OFF");
}

void px_trace_show(struct px_trace *trace, struct px_str model,
                   struct px_trace_shown shown[PX_TRACE_SHOWN])
{
    struct px_trace_settings s;
    px_trace_read(trace, model, &s);
    show_levels(s.levels, &shown[0]);
    static const char *const keys[] = {"",           "trace_rate", "trace_count", "log_frequency",
                                       "trace_file", "trace_mode"};
    for (size_t i = 1; i < PX_TRACE_SHOWN; i++)
        shown[i] = (struct px_trace_shown){.key = keys[i], .n_values = 1};
    snprintf(shown[1].values[0], sizeof shown[1].values[0], "%llu", (unsigned long long)s.rate);
    snprintf(shown[2].values[0], sizeof shown[2].values[0], "%lld", (long long)s.count);
    snprintf(shown[3].values[0], sizeof shown[3].values[0], "%llu",
             (unsigned long long)s.log_frequency);
    snprintf(shown[4].values[0], sizeof shown[4].values[0], "%s", trace->path);
    snprintf(shown[5].values[0], sizeof shown[5].values[0], "triton");
}

/* ---- recording ---- */

uint64_t px_trace_dropped(const struct px_trace *trace)
{
    return GET(trace->dropped);
}

/* Takes one of what is left; a count of -1 is never used up. */
static bool take_one(struct px_trace_entry *entry)
{
    int64_t left = GET(entry->count);
    while (left > 0) {
        if (atomic_compare_exchange_weak_explicit(&entry->count, &left, left - 1,
                                                  memory_order_relaxed, memory_order_relaxed))
            return true;
    }
    return left < 0;
}

unsigned px_trace_sample(struct px_trace *trace, struct px_str model)
{
    struct px_trace_entry *own = find(trace, model);
    unsigned levels = GET(holder(trace, own, PX_TRACE_KEY_LEVEL)->levels);
    if (levels == 0)
        return 0;
    struct px_trace_entry *rated = holder(trace, own, PX_TRACE_KEY_RATE);
    uint64_t seen = atomic_fetch_add_explicit(&rated->seen, 1, memory_order_relaxed) + 1;
    if (seen % GET(rated->rate) != 0)
        return 0;
    return take_one(holder(trace, own, PX_TRACE_KEY_COUNT)) ? levels : 0;
}

static void copy_name(char out[PX_TRACE_NAME_MAX + 1], struct px_str name)
{
    size_t len = name.len < PX_TRACE_NAME_MAX ? name.len : PX_TRACE_NAME_MAX;
    memcpy(out, name.ptr, len);
    out[len] = '\0';
}

struct px_trace_record *px_trace_begin(struct px_trace *trace, unsigned loop, struct px_str model,
                                       struct px_str version)
{
    struct px_trace_ring *ring = &trace->rings[loop];
    uint64_t head = GET(ring->head);
    /* Pairs with the release in the writer: it is done with the record that is used again. */
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (head - tail == TRACE_RING_RECORDS) {
        atomic_fetch_add_explicit(&trace->dropped, 1, memory_order_relaxed);
        return NULL;
    }
    struct px_trace_record *record = &ring->records[head % TRACE_RING_RECORDS];
    struct px_trace_entry *own = find(trace, model);
    memset(record->at_ns, 0, sizeof record->at_ns);
    record->input.type = record->output.type = PX_TYPE_NONE;
    record->n_steps = 0;
    record->id = atomic_fetch_add_explicit(&trace->next_id, 1, memory_order_relaxed) + 1;
    record->log_frequency = GET(holder(trace, own, PX_TRACE_KEY_FREQUENCY)->log_frequency);
    copy_name(record->model, model);
    copy_name(record->version, version);
    return record;
}

/* "1,2.5,nan": as many values as fit; "..." tells that more were there. */
static void print_values(const struct px_matrix *m, char out[PX_TRACE_TENSOR_MAX])
{
    size_t n = 0, n_values = m->n_rows * m->n_cols;
    for (size_t i = 0; i < n_values; i++) {
        if (n + PX_NUMBER_TEXT_MAX + 4 > PX_TRACE_TENSOR_MAX) {
            memcpy(out + n, ",...", 4);
            n += 4;
            break;
        }
        if (i)
            out[n++] = ',';
        n += px_number_print_f64(px_matrix_get(m, i / m->n_cols, i % m->n_cols), out + n);
    }
    out[n] = '\0';
}

void px_trace_put_tensor(struct px_trace_text *text, const struct px_trace_tensor *tensor)
{
    const struct px_matrix *m = tensor->values;
    copy_name(text->name, tensor->name);
    snprintf(text->shape, sizeof text->shape, "%zu,%zu", m->n_rows, m->n_cols);
    print_values(m, text->values);
    text->type = m->type;
}

struct px_trace_step *px_trace_put_step(struct px_trace_record *record, struct px_str name,
                                        struct px_str note)
{
    if (record->n_steps == PX_TRACE_STEPS_MAX)
        return NULL;
    struct px_trace_step *step = &record->steps[record->n_steps++];
    note.len = px_str_utf8_prefix(
        px_str_n(note.ptr, note.len < PX_TRACE_NOTE_MAX ? note.len : PX_TRACE_NOTE_MAX));
    snprintf(step->name, sizeof step->name, "%.*s", PX_STR_ARG(name));
    snprintf(step->note, sizeof step->note, "%.*s", PX_STR_ARG(note));
    return step;
}

void px_trace_commit(struct px_trace *trace, unsigned loop)
{
    struct px_trace_ring *ring = &trace->rings[loop];
    struct px_trace_record *record = &ring->records[GET(ring->head) % TRACE_RING_RECORDS];
    if (record->n_steps > 0)
        record->first_step_id =
            atomic_fetch_add_explicit(&trace->next_id, record->n_steps, memory_order_relaxed) + 1;
    /* Pairs with the acquire in the writer: the record is complete. */
    atomic_store_explicit(&ring->head, GET(ring->head) + 1, memory_order_release);
    sem_post(&trace->committed);
}

/* ---- life ---- */

static enum px_code make_rings(struct px_trace *trace, struct px_err *err)
{
    trace->rings = px_alloc_aligned(PX_CACHE_LINE, trace->n_loops, sizeof *trace->rings);
    bool complete = trace->rings;
    for (unsigned i = 0; complete && i < trace->n_loops; i++) {
        trace->rings[i].records = px_alloc(TRACE_RING_RECORDS, sizeof *trace->rings[i].records);
        complete = trace->rings[i].records;
    }
    return complete ? PX_OK
                    : px_err_set(err, PX_E_NO_MEMORY, "no memory for the traces of %u loops",
                                 trace->n_loops);
}

enum px_code px_trace_create(const char *file, unsigned n_loops, struct px_trace **ret,
                             struct px_err *err)
{
    struct px_trace *trace = px_alloc_aligned(PX_CACHE_LINE, 1, sizeof *trace);
    if (!trace)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for traces");
    trace->n_loops = n_loops;
    pthread_mutex_init(&trace->mutex, NULL);
    sem_init(&trace->committed, 0, 0);
    set_keys(&trace->entries[0], EVERY_KEY, &defaults);
    SET(trace->entries[0].own, EVERY_KEY);
    SET(trace->n_entries, 1);
    enum px_code code = PX_OK;
    if (file && strlen(file) > TRACE_PATH_MAX)
        code =
            px_err_set(err, PX_E_INVALID, "trace.file: expected at most %d bytes", TRACE_PATH_MAX);
    else if (file) {
        snprintf(trace->path, sizeof trace->path, "%s", file);
        code = make_rings(trace, err);
        if (code == PX_OK)
            code = px_trace_file_start(trace, err);
    }
    if (code == PX_OK)
        *ret = trace;
    else
        px_trace_destroy(trace);
    return code;
}

void px_trace_destroy(struct px_trace *trace)
{
    if (!trace)
        return;
    px_trace_file_stop(trace);
    for (unsigned i = 0; trace->rings && i < trace->n_loops; i++)
        px_free(trace->rings[i].records);
    px_free(trace->rings);
    sem_destroy(&trace->committed);
    pthread_mutex_destroy(&trace->mutex);
    px_free(trace);
}
