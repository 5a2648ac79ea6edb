/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading on demand: the loader's job for the model that most calls wait for.
 *
 * The size of a model that was never loaded is a guess from its files, so there are two moments at which room is made: before the load
 * for what is expected, and after it for what was measured. A model that alone takes more than there may be is not kept.
 *
 * A load that fails leaves a FAILED model, which says why, for a while: requests are refused at once, and after a second, then two, and so on up
 * to a minute, the next request tries again. What was broken may have been mended.
 */
#include "application/residency/residency_impl.h"
#include "application/serving/repository_impl.h"

#include "shared/clock.h"
#include "shared/log.h"

static struct px_model *find_model(struct px_serving *serving, const struct px_wanted *wanted)
{
    struct px_str name = px_str_n(wanted->text, wanted->name_len);
    struct px_str version = px_str_n(wanted->text + wanted->name_len, wanted->version_len);
    const struct px_model_set *set = px_serving_models(serving);
    for (size_t i = 0; i < set->n_models; i++) {
        struct px_model *model = set->models[i];
        if (px_str_eq(model->name, name) && px_str_eq(model->version, version))
            return model->state == PX_MODEL_READY ? NULL : model;
    }
    return NULL;
}

void px_residency_set_retry(struct px_model *failed, const struct px_model *before)
{
    failed->retry_pause_ns = px_residency_next_pause_ns(before ? before->retry_pause_ns : 0);
    failed->retry_ns = px_clock_monotonic_ns() + failed->retry_pause_ns;
    failed->bytes = before ? before->bytes : 0;
}

static void fail_too_large(struct px_model *model, uint64_t memory_max)
{
    uint64_t bytes = model->bytes;
    px_model_release(model);
    model->state = PX_MODEL_FAILED;
    px_err_set(&model->reason, PX_E_TOO_LARGE, "it takes %llu bytes, all models may take %llu",
               (unsigned long long)bytes, (unsigned long long)memory_max);
    px_err_hint(&model->reason, "raise serving.memory_max");
}

enum px_code px_residency_replace(struct px_repository *r, struct px_model *old,
                                  struct px_model *new, struct px_grave **ret, struct px_err *err)
{
    const struct px_snapshot_change change = {
        .added = &new, .n_added = 1, .removed = &old, .n_removed = 1};
    enum px_code code = px_repository_prepare(r, &change, ret, err);
    if (code != PX_OK) {
        px_model_unload(new);
        return code;
    }
    px_repository_publish(r, *ret);
    return PX_OK;
}

static void count(struct px_residency_counts *counts, const struct px_model *model,
                  uint64_t started_ns)
{
    bool is_ready = model->state == PX_MODEL_READY;
    px_metric_add(is_ready ? &counts->loads : &counts->failed_loads, 1);
    px_metric_add(&counts->load_ns, px_clock_monotonic_ns() - started_ns);
}

struct px_model *px_residency_load(struct px_repository *r, const struct px_model *known,
                                   const struct px_model_place *place)
{
    uint64_t memory_max = r->serving->residency.settings.memory_max;
    struct px_model *model = px_model_load(r->serving, place);
    if (model && memory_max && model->state == PX_MODEL_READY && model->bytes > memory_max)
        fail_too_large(model, memory_max);
    if (model && model->state == PX_MODEL_FAILED) {
        px_residency_set_retry(model, known);
        model->comes_beside = known->comes_beside;
    }
    return model;
}

struct bringing {
    const struct px_model *model; /* NULL: it has gone meanwhile */
    struct px_grave *grave;
    bool never_fits;
};

/* The model is new in the snapshot, READY or FAILED; the grave is what it replaced. */
static enum px_code bring(struct px_repository *r, const struct px_model_place *place,
                          struct px_model *known, struct bringing *ret, struct px_err *err)
{
    const struct px_room room = px_residency_expect(known, place);
    uint64_t started_ns = px_clock_monotonic_ns();
    enum px_code code = px_residency_make_room(r, &room, err);
    ret->never_fits = code == PX_E_OVERLOADED && px_residency_never_fits(r->serving, &room);
    if (code != PX_OK)
        return code;
    struct px_model_place awaited = *place;
    awaited.is_awaited = true;
    struct px_model *model = px_residency_load(r, known, &awaited);
    if (!model)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for another model");
    count(&r->serving->residency.counts, model, started_ns);
    px_residency_note_asked(r->serving, known, model);
    ret->model = model;
    return px_residency_replace(r, known, model, &ret->grave, err);
}

struct px_model_place px_residency_place_of(const struct px_model *known)
{
    return (struct px_model_place){.name = known->name,
                                   .version = known->version,
                                   .path = known->path,
                                   .policy = known->policy,
                                   .stands_alone = known->stands_alone,
                                   .is_remote = known->is_remote};
}

/* It took more than its files let expect. */
static void make_up(struct px_repository *r, const struct px_model *model)
{
    struct px_err err;
    if (px_residency_make_room(r, &(struct px_room){.keep = model}, &err) != PX_OK)
        px_log_err(PX_LOG_WARN, "residency.over_memory_max", &err);
}

/* Nobody asks for a version beside which an older one answers: it is wanted again when its time has come. */
static void want_again(struct px_repository *r, const struct px_model *model, bool has_failed,
                       bool never_fits)
{
    uint64_t pause_ns = never_fits ? PX_RETRY_LAST_NS : PX_RETRY_FIRST_NS;
    if (model && model->comes_beside)
        px_residency_want_at(r->serving, model,
                             has_failed ? model->retry_ns : px_clock_monotonic_ns() + pause_ns);
}

/* Who waits goes on before the loader waits for loops that may still use what was replaced. */
void px_residency_bring_next(struct px_repository *r)
{
    struct px_residency *residency = &r->serving->residency;
    struct px_wanted *wanted = px_residency_take_wanted(residency);
    struct px_model_place place = {0};
    struct bringing done = {0};
    char path[PATH_MAX];
    struct px_err err, refusal;
    if (!wanted)
        return;
    struct px_model *known = find_model(r->serving, wanted);
    if (known)
        place = px_residency_place_of(known);
    if (known && known->is_remote && !px_residency_find_files(r, wanted, &place, path, &refusal))
        return;
    px_repository_set_busy(r, px_str_n(wanted->text, wanted->name_len), PX_REPOSITORY_LOAD);
    enum px_code code = known ? bring(r, &place, known, &done, &err) : PX_OK;
    px_repository_set_idle(r);
    if (code == PX_OK)
        px_residency_settle(residency, wanted);
    else
        px_residency_put_off(residency, wanted, &err, done.never_fits);
    want_again(r, code == PX_OK ? done.model : known, code == PX_OK, done.never_fits);
    if (done.grave)
        px_grave_close(done.grave);
    if (code == PX_OK && done.model)
        make_up(r, done.model);
}
