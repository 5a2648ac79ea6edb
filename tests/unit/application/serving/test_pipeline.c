/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline over the memory engine: what is batched with what, what is counted, what fails. */
#include "application/serving/serving_impl.h"
#include "memory_engine.h"
#include "shared/clock.h"

#include "harness.h"

enum { FEATURES = 3, BATCH_MAX = 8, REQUEST_MAX = 20, CALLS = 16 };

/* A serving core with one model over a memory engine, and calls on loop 0. */
struct fixture {
    struct px_serving *serving;
    struct memory_engine *engine;
    struct px_model *model;
    struct px_arena arenas[CALLS];
    struct px_call calls[CALLS];
    size_t n_done;
    struct px_urgency urgency; /* of calls that are made */
};

static void count_done(struct px_call *call)
{
    ((struct fixture *)call->owner)->n_done++;
}

static struct px_model *make_model(struct fixture *f, const char *name)
{
    struct px_model *model = px_xalloc(1, sizeof *model);
    model->name = px_str(name);
    model->version = px_str("1");
    model->state = PX_MODEL_READY;
    model->score_max = 1;
    model->engine = &f->engine->base;
    CHECK_OK(px_model_reserve(f->serving, model, NULL));
    return model;
}

static void set_up(struct fixture *f)
{
    const struct px_serving_limits limits = {
        .request_rows_max = REQUEST_MAX, .batch_rows_max = BATCH_MAX, .wave_bytes_max = 1 << 26};
    *f = (struct fixture){0};
    CHECK_OK(px_serving_create(2, &limits, &f->serving, NULL));
    f->engine = memory_engine_create(FEATURES);
    f->model = make_model(f, "sum");
    CHECK_OK(px_serving_publish(f->serving, &f->model, 1, NULL));
    for (size_t i = 0; i < CALLS; i++)
        f->arenas[i] = px_arena(1 << 16);
}

static void tear_down(struct fixture *f)
{
    px_serving_destroy(f->serving);
    for (size_t i = 0; i < CALLS; i++)
        px_arena_deinit(&f->arenas[i]);
}

/* Opens call i and gives it n rows, all values of row r being `first + r`. */
static enum px_code ask(struct fixture *f, size_t i, size_t n_rows, float first, unsigned flags)
{
    struct px_call *call = &f->calls[i];
    px_arena_reset(&f->arenas[i]);
    *call = (struct px_call){.model_name = px_str("sum"),
                             .urgency = f->urgency,
                             .arena = &f->arenas[i],
                             .received_ns = px_clock_monotonic_ns(),
                             .score_flags = flags,
                             .done = count_done,
                             .owner = f};
    CHECK_OK(px_call_open(f->serving, call));
    struct px_matrix *rows = px_call_rows(f->serving, call, n_rows);
    if (!rows)
        return px_call_fail(f->serving, call, &call->err);
    for (size_t row = 0; row < n_rows; row++) {
        for (size_t col = 0; col < FEATURES; col++)
            px_matrix_set(rows, row, col, (double)(first + (float)row));
    }
    return px_call_submit(f->serving, call);
}

static void check_scores(const struct px_call *call, float first, double sign)
{
    CHECK_INT(call->code, PX_OK);
    for (size_t row = 0; row < call->rows.n_rows; row++)
        CHECK_DOUBLE(px_matrix_get(&call->scores, row, 0),
                     sign * FEATURES * (double)(first + (float)row));
}

PX_TEST(calls_of_one_wave_are_scored_together)
{
    struct fixture f;
    set_up(&f);
    CHECK_OK(ask(&f, 0, 2, 1, 0));
    CHECK_OK(ask(&f, 1, 3, 10, 0));
    CHECK_OK(ask(&f, 2, 1, 20, 0));
    CHECK_INT(f.n_done, 0);
    px_serving_wave(f.serving, 0);
    CHECK_INT(f.n_done, 3);
    CHECK_INT(f.engine->n_calls, 1);
    CHECK_INT(f.engine->call_rows[0], 6);
    check_scores(&f.calls[0], 1, 1);
    check_scores(&f.calls[1], 10, 1);
    check_scores(&f.calls[2], 20, 1);
    CHECK_INT(f.calls[1].batch_rows, 6);
    tear_down(&f);
}

PX_TEST(a_wave_over_the_batch_limit_is_cut_between_calls)
{
    struct fixture f;
    set_up(&f);
    for (size_t i = 0; i < 3; i++)
        CHECK_OK(ask(&f, i, 4, (float)i, 0));
    px_serving_wave(f.serving, 0);
    CHECK_INT(f.engine->n_calls, 2);
    CHECK_INT(f.engine->call_rows[0], 8);
    CHECK_INT(f.engine->call_rows[1], 4);
    for (size_t i = 0; i < 3; i++)
        check_scores(&f.calls[i], (float)i, 1);
    tear_down(&f);
}

PX_TEST(one_call_over_the_batch_limit_is_scored_in_pieces)
{
    struct fixture f;
    set_up(&f);
    CHECK_OK(ask(&f, 0, 2 * BATCH_MAX + 3, 5, 0));
    px_serving_wave(f.serving, 0);
    CHECK_INT(f.engine->n_calls, 3);
    CHECK_INT(f.engine->call_rows[2], 3);
    check_scores(&f.calls[0], 5, 1);
    tear_down(&f);
}

/* The call of BATCH_MAX + 1 rows was scored in pieces where it lies, the one without rows answered. */
static void check_alone(struct fixture *f, size_t big)
{
    px_serving_wave(f->serving, 0);
    CHECK_INT(f->n_done, 2);
    CHECK_INT(f->engine->n_calls, 2);
    CHECK_INT(f->engine->call_rows[0], BATCH_MAX);
    CHECK_INT(f->engine->call_rows[1], 1);
    check_scores(&f->calls[big], 5, 1);
    CHECK_INT(f->calls[1 - big].code, PX_OK);
    f->n_done = f->engine->n_calls = 0;
}

PX_TEST(not_even_a_call_without_rows_joins_one_over_the_batch_limit)
{
    struct fixture f;
    set_up(&f);
    CHECK_OK(ask(&f, 0, BATCH_MAX + 1, 5, 0));
    CHECK_OK(ask(&f, 1, 0, 0, 0));
    check_alone(&f, 0);
    CHECK_OK(ask(&f, 0, 0, 0, 0));
    CHECK_OK(ask(&f, 1, BATCH_MAX + 1, 5, 0));
    check_alone(&f, 1);
    tear_down(&f);
}

PX_TEST(margins_are_not_batched_with_scores)
{
    struct fixture f;
    set_up(&f);
    CHECK_OK(ask(&f, 0, 1, 1, 0));
    CHECK_OK(ask(&f, 1, 1, 1, PX_SCORE_MARGIN));
    CHECK_OK(ask(&f, 2, 1, 1, PX_SCORE_MARGIN));
    px_serving_wave(f.serving, 0);
    CHECK_INT(f.engine->n_calls, 2);
    check_scores(&f.calls[0], 1, 1);
    check_scores(&f.calls[2], 1, -1);
    tear_down(&f);
}

PX_TEST(calls_without_rows_are_answered)
{
    struct fixture f;
    set_up(&f);
    for (size_t n_calls = 1; n_calls <= 3; n_calls++) {
        f.n_done = 0;
        for (size_t i = 0; i < n_calls; i++)
            CHECK_OK(ask(&f, i, 0, 0, 0));
        px_serving_wave(f.serving, 0);
        CHECK_INT(f.n_done, n_calls);
        CHECK_INT(f.calls[0].code, PX_OK);
    }
    CHECK_INT(f.engine->n_calls, 0);
    tear_down(&f);
}

PX_TEST(too_many_rows_are_refused_and_counted)
{
    struct fixture f;
    set_up(&f);
    CHECK_INT(ask(&f, 0, REQUEST_MAX + 1, 0, 0), PX_E_TOO_LARGE);
    CHECK_CONTAINS(f.calls[0].err.message, "at most 20 rows");
    CHECK_INT(px_metric_get(&f.model->metrics[0].failures), 1);
    CHECK_INT(px_metric_get(&f.model->metrics[0].errors[PX_E_TOO_LARGE]), 1);
    px_serving_wave(f.serving, 0);
    CHECK_INT(f.n_done, 0);
    tear_down(&f);
}

PX_TEST(a_failing_engine_fails_every_call_of_its_batch_and_no_other)
{
    struct fixture f;
    set_up(&f);
    f.engine->fail_at = 1;
    f.engine->fail_code = PX_E_INTERNAL;
    for (size_t i = 0; i < 3; i++)
        CHECK_OK(ask(&f, i, 4, 0, 0));
    px_serving_wave(f.serving, 0);
    CHECK_INT(f.n_done, 3);
    CHECK_INT(f.calls[0].code, PX_E_INTERNAL);
    CHECK_INT(f.calls[1].code, PX_E_INTERNAL);
    CHECK_CONTAINS(f.calls[1].err.message, "told to fail");
    check_scores(&f.calls[2], 0, 1);
    CHECK_INT(px_metric_get(&f.model->metrics[0].failures), 2);
    CHECK_INT(px_metric_get(&f.model->metrics[0].requests), 1);
    tear_down(&f);
}

PX_TEST(calls_batches_rows_and_missing_values_are_counted)
{
    struct fixture f;
    set_up(&f);
    CHECK_OK(ask(&f, 0, 2, 0, 0));
    px_matrix_set(&f.calls[0].rows, 1, 2, (double)NAN);
    CHECK_OK(ask(&f, 1, 1, 0, 0));
    px_serving_wave(f.serving, 0);
    const struct px_model_metrics *m = &f.model->metrics[0];
    CHECK_INT(px_metric_get(&m->requests), 2);
    CHECK_INT(px_metric_get(&m->rows), 3);
    CHECK_INT(px_metric_get(&m->batches), 1);
    CHECK_INT(px_metric_get(&m->missing_values), 1);
    CHECK_INT(px_metric_get(&m->batch_bins[px_batch_bin(3)]), 1);
    CHECK_INT(px_metric_get(&m->latency_ns.count), 2);
    CHECK_INT(px_metric_get(&f.model->metrics[1].requests), 0);
    tear_down(&f);
}

PX_TEST(unknown_models_are_refused_with_the_nearest_name)
{
    struct fixture f;
    struct px_arena arena = px_arena(1024);
    set_up(&f);
    struct px_call call = {.model_name = px_str("sun"), .arena = &arena, .done = count_done};
    CHECK_INT(px_call_open(f.serving, &call), PX_E_NOT_FOUND);
    CHECK_CONTAINS(call.err.hint, "'sum'");
    CHECK_INT(px_metric_get(&px_serving_loop_metrics(f.serving, 0)->errors[PX_E_NOT_FOUND]), 1);
    call.model_name = px_str("sum");
    call.version = px_str("7");
    CHECK_INT(px_call_open(f.serving, &call), PX_E_NOT_FOUND);
    tear_down(&f);
    px_arena_deinit(&arena);
}

PX_TEST(a_request_over_its_memory_is_refused)
{
    struct fixture f;
    set_up(&f);
    f.arenas[0].max = 64;
    CHECK_INT(ask(&f, 0, 20, 0, 0), PX_E_TOO_LARGE);
    CHECK_CONTAINS(f.calls[0].err.hint, "request_memory_max");
    tear_down(&f);
}

PX_TEST(requests_of_one_wave_share_a_budget_of_memory)
{
    struct fixture f;
    size_t row_bytes = FEATURES * sizeof(float);
    set_up(&f);
    f.serving->limits.wave_bytes_max = 5 * row_bytes;
    CHECK_OK(ask(&f, 0, 3, 1, 0));
    CHECK_INT(ask(&f, 1, 3, 1, 0), PX_E_OVERLOADED);
    CHECK_CONTAINS(f.calls[1].err.hint, "request_memory_max");
    CHECK_OK(ask(&f, 2, 2, 1, 0));
    px_serving_wave(f.serving, 0);
    CHECK_INT(f.n_done, 2);
    CHECK_OK(ask(&f, 1, 5, 1, 0)); /* the next wave has the whole budget again */
    px_serving_wave(f.serving, 0);
    check_scores(&f.calls[1], 1, 1);
    CHECK_INT(px_metric_get(&f.model->metrics[0].errors[PX_E_OVERLOADED]), 1);
    tear_down(&f);
}

PX_TEST(a_late_loop_refuses_what_is_sheddable_and_nothing_else)
{
    struct fixture f;
    set_up(&f);
    px_serving_note_lag(f.serving, 0, 10 * PX_SHED_LAG_NS);
    f.urgency.criticality = PX_CRITICALITY_SHEDDABLE;
    CHECK_INT(ask(&f, 0, 1, 1, 0), PX_E_OVERLOADED);
    CHECK_CONTAINS(f.calls[0].err.message, "200 ms");
    CHECK(px_err_retry_ms(&f.calls[0].err) > 200);
    CHECK_INT(px_metric_get(&f.model->metrics[0].refused[PX_REFUSAL_SHEDDABLE]), 1);
    f.urgency.criticality = PX_CRITICALITY_DEFAULT;
    CHECK_OK(ask(&f, 1, 1, 1, 0));
    for (int i = 0; i < 40; i++)
        px_serving_note_lag(f.serving, 0, 0);
    f.urgency.criticality = PX_CRITICALITY_SHEDDABLE;
    CHECK_OK(ask(&f, 2, 1, 1, 0));
    px_serving_wave(f.serving, 0);
    tear_down(&f);
}

PX_TEST(a_wide_model_gets_smaller_batches)
{
    struct fixture f;
    set_up(&f);
    struct memory_engine *wide = memory_engine_create(PX_LANE_BYTES_MAX / sizeof(float) / 3);
    struct px_model model = {.engine = &wide->base};
    CHECK_OK(px_model_reserve(f.serving, &model, NULL));
    CHECK_INT(model.lanes[0].rows_max, 2);
    px_model_release(&model);
    struct memory_engine *wider = memory_engine_create(PX_LANE_BYTES_MAX / sizeof(float) + 1);
    struct px_err err;
    model.engine = &wider->base;
    CHECK_INT(px_model_reserve(f.serving, &model, &err), PX_E_TOO_LARGE);
    CHECK_CONTAINS(err.message, "one row of");
    px_model_release(&model);
    tear_down(&f);
}

PX_TEST(scoring_allocates_nothing_after_warm_up)
{
    struct fixture f;
    set_up(&f);
    uint64_t before = 0;
    for (int round = 0; round < 20; round++) {
        if (round == 2)
            before = px_alloc_count();
        f.engine->n_calls = 0;
        for (size_t i = 0; i < CALLS; i++)
            CHECK_OK(ask(&f, i, 1 + i % 3, 0, 0));
        px_serving_wave(f.serving, 0);
    }
    CHECK_INT(px_alloc_count() - before, 0);
    tear_down(&f);
}

PX_TEST(no_allocation_failure_breaks_the_set_up)
{
    const struct px_serving_limits limits = {
        .request_rows_max = 1, .batch_rows_max = 1, .wave_bytes_max = 1 << 26};
    for (uint64_t n = 1; n < 20; n++) {
        struct px_serving *serving = NULL;
        struct px_err err;
        px_alloc_fail_at(n);
        enum px_code code = px_serving_create(1, &limits, &serving, &err);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || code == PX_E_NO_MEMORY);
        if (code == PX_OK)
            px_serving_destroy(serving);
    }
}

PX_TEST(draining_turns_readiness_off)
{
    struct fixture f;
    struct px_err err;
    set_up(&f);
    CHECK(px_serving_is_ready(f.serving, &err));
    px_serving_drain(f.serving);
    CHECK(!px_serving_is_ready(f.serving, &err));
    CHECK_CONTAINS(err.message, "draining");
    CHECK_OK(ask(&f, 0, 1, 3, 0)); /* still served */
    px_serving_wave(f.serving, 0);
    check_scores(&f.calls[0], 3, 1);
    tear_down(&f);
}

PX_TEST_MAIN(
    T(calls_of_one_wave_are_scored_together) T(a_wave_over_the_batch_limit_is_cut_between_calls)
        T(one_call_over_the_batch_limit_is_scored_in_pieces)
            T(not_even_a_call_without_rows_joins_one_over_the_batch_limit)
                T(margins_are_not_batched_with_scores) T(calls_without_rows_are_answered)
                    T(too_many_rows_are_refused_and_counted)
                        T(a_failing_engine_fails_every_call_of_its_batch_and_no_other)
                            T(calls_batches_rows_and_missing_values_are_counted)
                                T(unknown_models_are_refused_with_the_nearest_name)
                                    T(a_request_over_its_memory_is_refused)
                                        T(requests_of_one_wave_share_a_budget_of_memory) T(
                                            a_late_loop_refuses_what_is_sheddable_and_nothing_else)
                                            T(a_wide_model_gets_smaller_batches)
                                                T(scoring_allocates_nothing_after_warm_up)
                                                    T(no_allocation_failure_breaks_the_set_up)
                                                        T(draining_turns_readiness_off))
