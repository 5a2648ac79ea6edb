/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who leaves memory when another needs it: for a request the least recently used; for a model that is only expected, who is expected to be used least,
 * and of those of whom next to nothing is expected the least recently used.
 *
 * Rejected: to let those that are expected least leave for requests, too. Models that were used much until just now would keep their places for minutes, while two
 * new ones push each other out at every request.
 *
 * Each loop notes in its own lane when it last used a model, so that a call writes nothing that is shared; the loader takes the latest
 * of them. What is resident is added up anew each time, from the snapshot: a sum that is kept could drift, and a load takes
 * thousands of times longer than the walk.
 */
#include "application/residency/memory_use.h"
#include "application/residency/residency_impl.h"
#include "application/serving/repository_impl.h"

#include "shared/clock.h"
#include "shared/log.h"

#include <stdlib.h>

struct candidate {
    struct px_model *model;
    double uses; /* that are expected */
    uint64_t used_ns;
};

typedef PX_VEC(struct candidate) candidate_vec;

uint64_t px_residency_bytes(struct px_serving *serving)
{
    const struct px_model_set *set = px_serving_models(serving);
    uint64_t sum = 0;
    for (size_t i = 0; i < set->n_models; i++) {
        if (set->models[i]->state == PX_MODEL_READY)
            sum += set->models[i]->bytes;
    }
    return sum;
}

void px_residency_look(struct px_serving *serving, struct px_residency_view *ret)
{
    const struct px_model_set *set = px_serving_models(serving);
    struct px_residency *residency = &serving->residency;
    *ret = (struct px_residency_view){.memory_max = residency->settings.memory_max,
                                      .resident_bytes = px_residency_bytes(serving)};
    for (size_t i = 0; i < set->n_models; i++) {
        ret->n_resident += set->models[i]->state == PX_MODEL_READY;
        ret->n_registered += set->models[i]->state == PX_MODEL_REGISTERED;
    }
    pthread_mutex_lock(&residency->mutex);
    ret->n_waiting = residency->n_calls;
    pthread_mutex_unlock(&residency->mutex);
}

struct px_room px_residency_expect(const struct px_model *model, const struct px_model_place *place)
{
    const char *files = place->refusal ? NULL : px_model_place_files(place);
    uint64_t on_disk = files ? px_memory_on_disk(files) : 0;
    uint64_t n_bytes = model->bytes && on_disk ? model->bytes : on_disk;
    return (struct px_room){.n_bytes = n_bytes, .load_bytes = n_bytes + on_disk};
}

static uint64_t last_used_ns(const struct px_model *model)
{
    uint64_t used_ns = model->ready_ns;
    for (unsigned i = 0; i < model->n_lanes; i++) {
        /* A number of its own: a little too early does no harm. */
        uint64_t ns = atomic_load_explicit(&model->lanes[i].used_ns, memory_order_relaxed);
        used_ns = ns > used_ns ? ns : used_ns;
    }
    return used_ns;
}

static bool may_leave(const struct px_residency *residency, const struct px_model *model,
                      uint64_t now_ns)
{
    return model->state == PX_MODEL_READY && model->path && !model->is_pinned &&
           now_ns - model->ready_ns >= residency->settings.resident_min_ns;
}

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int order = (x->uses > y->uses) - (x->uses < y->uses);
    return order ? order : (x->used_ns > y->used_ns) - (x->used_ns < y->used_ns);
}

/* Those that may leave, the one that will be missed least first. */
static enum px_code list_candidates(struct px_repository *r, const struct px_room *room,
                                    candidate_vec *ret, struct px_err *err)
{
    const struct px_model_set *set = px_serving_models(r->serving);
    uint64_t now_ns = px_clock_monotonic_ns();
    for (size_t i = 0; i < set->n_models; i++) {
        struct px_model *model = set->models[i];
        if (model == room->keep || !may_leave(&r->serving->residency, model, now_ns))
            continue;
        struct candidate *slot = px_vec_push(ret);
        if (!slot)
            return px_err_set(err, PX_E_NO_MEMORY, "no memory to choose who leaves");
        double uses = room->is_ahead ? px_residency_expected_uses(r->serving, model) : 0;
        *slot = (struct candidate){model, uses, last_used_ns(model)};
    }
    if (ret->len > 1)
        qsort(ret->items, ret->len, sizeof *ret->items, compare_candidates);
    return PX_OK;
}

/* The first of them that together free `n_bytes`; false when that is not enough, or they may not leave for it. */
static bool cut_candidates(candidate_vec *candidates, uint64_t n_bytes, const struct px_room *room)
{
    uint64_t freed = 0;
    double uses = 0;
    size_t n = 0;
    while (n < candidates->len && freed < n_bytes) {
        uses += candidates->items[n].uses;
        freed += candidates->items[n++].model->bytes;
    }
    candidates->len = n;
    return freed >= n_bytes && !(room->is_ahead && uses > room->uses_max);
}

static void note_evictions(struct px_repository *r, const candidate_vec *leaving)
{
    struct px_residency_counts *counts = &r->serving->residency.counts;
    uint64_t now_ns = px_clock_monotonic_ns();
    for (size_t i = 0; i < leaving->len; i++) {
        const struct candidate *c = &leaving->items[i];
        uint64_t age_ns = now_ns > c->used_ns ? now_ns - c->used_ns : 0;
        px_metric_add(&counts->evictions, 1);
        px_metric_add(&counts->evicted_age_ns, age_ns);
        px_log(PX_LOG_INFO, "model.evicted", PX_LOG_S("model", c->model->name),
               PX_LOG_S("version", c->model->version), PX_LOG_U("bytes", c->model->bytes),
               PX_LOG_U("unused_ms", age_ns / PX_NS_PER_MS));
    }
}

static enum px_code evict(struct px_repository *r, const candidate_vec *leaving, struct px_err *err)
{
    PX_VEC(struct px_model *) added = {0}, removed = {0};
    struct px_grave *grave = NULL;
    enum px_code code = PX_OK;
    if (!px_vec_reserve(&added, leaving->len) || !px_vec_reserve(&removed, leaving->len))
        code = px_err_set(err, PX_E_NO_MEMORY, "no memory to take models out");
    for (size_t i = 0; i < leaving->len && code == PX_OK; i++) {
        struct px_model *known = px_model_register_again(leaving->items[i].model);
        if (known) {
            added.items[added.len++] = known; /* reserved */
            removed.items[removed.len++] = leaving->items[i].model;
        } else {
            code = px_err_set(err, PX_E_NO_MEMORY, "no memory to take models out");
        }
    }
    const struct px_snapshot_change change = {.added = added.items,
                                              .n_added = added.len,
                                              .removed = removed.items,
                                              .n_removed = removed.len};
    if (code == PX_OK)
        code = px_repository_prepare(r, &change, &grave, err);
    if (code == PX_OK) {
        note_evictions(r, leaving);
        px_repository_publish(r, grave);
        px_grave_close(grave);
        px_memory_give_back();
    } else {
        for (size_t i = 0; i < added.len; i++)
            px_model_unload(added.items[i]);
    }
    px_vec_free(&added);
    px_vec_free(&removed);
    return code;
}

/* Bytes of those that stay for as long as nobody unloads them. */
static uint64_t staying_bytes(struct px_serving *serving)
{
    const struct px_model_set *set = px_serving_models(serving);
    uint64_t sum = 0;
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *model = set->models[i];
        if (model->state == PX_MODEL_READY && (model->is_pinned || !model->path))
            sum += model->bytes;
    }
    return sum;
}

bool px_residency_never_fits(struct px_serving *serving, const struct px_room *room)
{
    uint64_t most = serving->residency.settings.memory_max;
    uint64_t needs = room->n_bytes < most ? room->n_bytes : most;
    return most && staying_bytes(serving) + needs > most;
}

/* The least that a model which is not in memory has on the disk; 0 when there is none, or one fits into `room`, or may. */
static uint64_t least_on_disk(struct px_serving *serving, uint64_t room)
{
    const struct px_model_set *set = px_serving_models(serving);
    uint64_t least = 0;
    for (size_t i = 0; i < set->n_models; i++) {
        const struct px_model *model = set->models[i];
        if (model->state != PX_MODEL_REGISTERED)
            continue;
        uint64_t n_bytes = model->is_remote ? 0 : px_memory_on_disk(model->path);
        if (n_bytes <= room)
            return 0;
        least = least && least < n_bytes ? least : n_bytes;
    }
    return least;
}

void px_residency_check_maximum(struct px_serving *serving)
{
    uint64_t most = serving->residency.settings.memory_max, stays = staying_bytes(serving);
    if (most == 0)
        return;
    if (stays > most) {
        px_log(PX_LOG_WARN, "residency.pinned_over_memory_max", PX_LOG_U("needed", stays),
               PX_LOG_U("max", most),
               PX_LOG_T("hint", "raise serving.memory_max, or pin fewer models"));
        return;
    }
    uint64_t least = least_on_disk(serving, most - stays);
    if (least)
        px_log(PX_LOG_WARN, "residency.memory_max_too_small", PX_LOG_U("needed", stays + least),
               PX_LOG_U("max", most),
               PX_LOG_T("hint",
                        "by its file not even the smallest model that is not in memory fits "
                        "beside what is pinned: raise serving.memory_max"));
}

static enum px_code refuse(struct px_serving *serving, const struct px_room *room,
                           uint64_t resident, struct px_err *err)
{
    const struct px_residency_settings *settings = &serving->residency.settings;
    bool never_fits = px_residency_never_fits(serving, room);
    px_err_set(err, PX_E_OVERLOADED,
               "%llu bytes are needed, %llu of %llu are in use, and what is resident is %s",
               (unsigned long long)room->n_bytes, (unsigned long long)resident,
               (unsigned long long)settings->memory_max,
               never_fits ? "pinned" : "pinned or was loaded just now");
    if (never_fits)
        return px_err_hint(err, "raise serving.memory_max, or pin fewer models");
    return px_err_hint(err, "raise serving.memory_max, pin fewer models, or ask again in %llu s",
                       (unsigned long long)(settings->resident_min_ns / PX_NS_PER_S + 1));
}

static enum px_code refuse_by_system(const struct px_pressure_reading *system, uint64_t load_bytes,
                                     struct px_err *err)
{
    px_err_set(err, PX_E_OVERLOADED,
               "a load takes about %llu bytes for a moment, file and model, and %llu of %llu are "
               "used (%s)",
               (unsigned long long)load_bytes, (unsigned long long)system->used,
               (unsigned long long)system->max, system->limit);
    return px_err_hint(err, "unload models, or give the process more memory");
}

/* Models leave by themselves where they come by themselves. */
static bool may_evict(const struct px_residency_settings *settings)
{
    return settings->on_demand || settings->memory_max > 0;
}

uint64_t px_residency_over_system(const struct px_residency *residency, uint64_t load_bytes,
                                  struct px_pressure_reading *ret)
{
    *ret = (struct px_pressure_reading){0};
    if (!residency->settings.read_memory || load_bytes == 0)
        return 0;
    *ret = residency->settings.read_memory();
    uint64_t most = ret->max / 100 * PX_PRESSURE_CRITICAL, needs = ret->used + load_bytes;
    return ret->max && needs > most ? needs - most : 0;
}

/* What has to leave under serving.memory_max. A guess that alone is over it is tried when all others have left: it may be wrong. */
static uint64_t over_maximum(const struct px_residency_settings *settings, uint64_t n_bytes,
                             uint64_t resident)
{
    uint64_t most = settings->memory_max, needs = n_bytes < most ? n_bytes : most;
    return most && resident + needs > most ? resident + needs - most : 0;
}

enum px_code px_residency_make_room(struct px_repository *r, const struct px_room *room,
                                    struct px_err *err)
{
    const struct px_residency_settings *settings = &r->serving->residency.settings;
    struct px_pressure_reading system;
    uint64_t resident = px_residency_bytes(r->serving);
    uint64_t own = over_maximum(settings, room->n_bytes, resident);
    uint64_t systems = px_residency_over_system(&r->serving->residency, room->load_bytes, &system);
    if (own == 0 && systems == 0)
        return PX_OK;
    candidate_vec leaving = {0};
    enum px_code code = may_evict(settings) ? list_candidates(r, room, &leaving, err) : PX_OK;
    if (code == PX_OK && !cut_candidates(&leaving, own > systems ? own : systems, room))
        code = own > systems ? refuse(r->serving, room, resident, err)
                             : refuse_by_system(&system, room->load_bytes, err);
    if (code == PX_OK)
        code = evict(r, &leaving, err);
    px_vec_free(&leaving);
    return code;
}
