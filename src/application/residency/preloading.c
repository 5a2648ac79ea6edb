/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloading: what will probably be used soon is in memory before it is asked for.
 *
 * A look learns from what is counted anyway: requests and failures of each lane, of which each loop is the one writer. So the way of a request pays
 * nothing for it. The forecasts lie in the models and are the loader's; whoever takes a model's place in the snapshot gets its forecast. A version of
 * which nothing is in memory is learned of, too: that nobody used it.
 *
 * Rules
 * 1. One model is loaded, and then the loader's other jobs go first. A request that comes meanwhile waits for one such load at most.
 * 2. A model comes into free room, or when at least `advantage` times as many uses are expected of it as of all that leave for it together. So what
 *    is expected of what is in memory grows with each exchange, and two models do not push each other out by turns.
 * 3. What is pinned, or has just come, does not leave (making_room.c). A model that turns out larger than its files let expect has to pass the second
 *    rule again with its measured size, and is not kept when it does not: its size is remembered.
 * 4. One that fails is FAILED as if a request had asked for it, and is tried again by one; not by a look.
 *
 * Rejected: uses for each byte. A large model that is expected would hardly ever be there in time, and it is the one that a request waits for
 * longest.
 */
#include "application/pressure/pressure.h"
#include "application/residency/residency_impl.h"
#include "application/serving/repository_impl.h"

#include "shared/clock.h"
#include "shared/log.h"

#include <stdlib.h>

enum { TRIES_MAX = 16 /* models that are considered in one look, by what is expected of them */ };

static const uint64_t ahead_ns = 600 * PX_NS_PER_S; /* so far looks ahead, or as far as the next */
static const double uses_min = 0.01, advantage = 2;

/* ---- learning ---- */

static uint64_t count_uses(const struct px_model *model)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < model->n_lanes; i++)
        n +=
            px_metric_get(&model->metrics[i].requests) + px_metric_get(&model->metrics[i].failures);
    return n;
}

static void learn(struct px_residency_counts *counts, struct px_model *model, uint64_t now_ns)
{
    struct px_usage *usage = &model->usage;
    uint64_t n = count_uses(model), n_new = n > usage->n_seen ? n - usage->n_seen : 0;
    px_forecast_note(&usage->forecast, n_new, now_ns);
    usage->n_seen += n_new;
    if (!usage->is_preloaded || n_new == 0)
        return;
    usage->is_preloaded = false;
    px_metric_add(&counts->preload_hits, 1);
}

void px_residency_learn(struct px_serving *serving)
{
    const struct px_model_set *set = px_serving_models(serving);
    uint64_t now_ns = px_clock_wall_ns();
    for (size_t i = 0; i < set->n_models && serving->residency.settings.preload_ns; i++)
        learn(&serving->residency.counts, set->models[i], now_ns);
}

void px_residency_note_asked(struct px_serving *serving, struct px_model *known,
                             struct px_model *model)
{
    if (serving->residency.settings.preload_ns == 0)
        return;
    px_forecast_note(&known->usage.forecast, 1, px_clock_wall_ns());
    model->usage.n_seen = 1; /* the request that comes */
}

static struct px_model *find_successor(const struct px_snapshot_change *change,
                                       const struct px_model *old)
{
    for (size_t i = 0; i < change->n_added; i++) {
        struct px_model *model = change->added[i];
        if (px_str_eq(model->name, old->name) && px_str_eq(model->version, old->version))
            return model;
    }
    return NULL;
}

void px_residency_pass_on(struct px_serving *serving, const struct px_snapshot_change *change)
{
    struct px_residency *residency = &serving->residency;
    uint64_t now_ns = px_clock_wall_ns();
    for (size_t i = 0; i < change->n_removed && residency->settings.preload_ns; i++) {
        struct px_model *old = change->removed[i], *new = find_successor(change, old);
        learn(&residency->counts, old, now_ns);
        if (new)
            new->usage.forecast = old->usage.forecast;
        if (!old->usage.is_preloaded)
            continue;
        if (new &&new->state == PX_MODEL_READY)
            new->usage.is_preloaded = true; /* it still is */
        else
            px_metric_add(&residency->counts.preload_unused, 1);
    }
}

double px_residency_expected_uses(const struct px_serving *serving, const struct px_model *model)
{
    uint64_t period_ns = serving->residency.settings.preload_ns;
    if (period_ns == 0)
        return 0;
    double uses = px_forecast_uses(&model->usage.forecast, px_clock_wall_ns(),
                                   period_ns > ahead_ns ? period_ns : ahead_ns);
    return uses < uses_min ? 0 : uses;
}

/* ---- choosing ---- */

struct choice {
    struct px_model *model;
    double uses;
};

/* Those of which most is expected and that are not in memory, most first. */
static size_t choose(struct px_serving *serving, struct choice choices[TRIES_MAX])
{
    const struct px_model_set *set = px_serving_models(serving);
    size_t n = 0;
    for (size_t i = 0; i < set->n_models; i++) {
        struct px_model *model = set->models[i];
        double uses =
            model->state == PX_MODEL_REGISTERED ? px_residency_expected_uses(serving, model) : 0;
        if (uses <= 0 || (n == TRIES_MAX && uses <= choices[n - 1].uses))
            continue;
        size_t at = n < TRIES_MAX ? n++ : n - 1;
        for (; at > 0 && choices[at - 1].uses < uses; at--)
            choices[at] = choices[at - 1];
        choices[at] = (struct choice){model, uses};
    }
    return n;
}

/* ---- bringing ---- */

/* It is not kept, but what it takes is known from now on. */
static struct px_model *forget(struct px_model *model, const struct px_model *known)
{
    struct px_model *again = px_model_register_again(known);
    if (again)
        again->bytes = model->bytes;
    px_model_unload(model);
    return again;
}

static void note_outcome(struct px_residency *residency, struct px_model *model, double uses)
{
    struct px_residency_counts *counts = &residency->counts;
    if (model->state == PX_MODEL_FAILED)
        px_metric_add(&counts->failed_preloads, 1);
    if (model->state != PX_MODEL_READY)
        return;
    model->usage.is_preloaded = true;
    px_metric_add(&counts->preloads, 1);
    px_log(PX_LOG_INFO, "model.preloaded", PX_LOG_S("model", model->name),
           PX_LOG_S("version", model->version), PX_LOG_U("bytes", model->bytes),
           PX_LOG_F("expected_uses", uses));
}

/* PX_E_OVERLOADED: there is no room for it. */
static enum px_code preload_from(struct px_repository *r, const struct choice *choice,
                                 const struct px_model_place *place, struct px_err *err)
{
    struct px_model *known = choice->model;
    struct px_grave *grave = NULL;
    struct px_room room = px_residency_expect(known, place);
    room.is_ahead = true;
    room.uses_max = choice->uses / advantage;
    enum px_code code = px_residency_make_room(r, &room, err);
    if (code != PX_OK)
        return code;
    px_repository_set_busy(r, known->name, PX_REPOSITORY_LOAD);
    struct px_model *model = px_residency_load(r, known, place);
    px_repository_set_idle(r);
    room.n_bytes = model ? model->bytes : 0;
    room.load_bytes = 0;
    if (model && model->state == PX_MODEL_READY && px_residency_make_room(r, &room, err) != PX_OK)
        model = forget(model, known);
    if (!model)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for another model");
    note_outcome(&r->serving->residency, model, choice->uses);
    code = px_residency_replace(r, known, model, &grave, err);
    if (code == PX_OK)
        px_grave_close(grave);
    return code;
}

/* One behind a URL is preloaded when its files are on the disk; else they come, and it is for a later look. */
static enum px_code preload(struct px_repository *r, const struct choice *choice,
                            struct px_err *err)
{
    struct px_model_place place = px_residency_place_of(choice->model);
    struct px_fetching *fetching = r->serving->fetching;
    char path[PATH_MAX];
    if (!place.is_remote)
        return preload_from(r, choice, &place, err);
    if (!px_fetching_take_ahead(fetching, place.name, place.version, &place.held))
        return px_err_set(err, PX_E_OVERLOADED, "its files are not here yet");
    enum px_code code = px_model_find_in_folder(px_cached_version_path(place.held), path, err);
    place.local = path;
    if (code == PX_OK)
        code = preload_from(r, choice, &place, err);
    px_cached_version_release(place.held);
    return code;
}

bool px_residency_preload_next(struct px_repository *r)
{
    struct choice choices[TRIES_MAX];
    struct px_err err;
    px_residency_learn(r->serving);
    if (px_pressure_check_memory(r->serving->pressure, "preloading a model", &err) != PX_OK)
        return false;
    size_t n = choose(r->serving, choices);
    for (size_t i = 0; i < n; i++) {
        enum px_code code = preload(r, &choices[i], &err);
        if (code == PX_OK)
            return true;
        if (code != PX_E_OVERLOADED) {
            px_log_err(PX_LOG_WARN, "residency.preload_failed", &err);
            return false;
        }
    }
    return false;
}
