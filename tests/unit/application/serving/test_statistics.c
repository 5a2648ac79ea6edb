/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines, cancellation, and the sums that the statistics extension shows. */
#include "application/serving/serving_impl.h"
#include "application/serving/statistics.h"
#include "memory_engine.h"
#include "shared/clock.h"

#include "harness.h"

enum { FEATURES = 2, BATCH_MAX = 200, CALLS = 8, LONG_AGO_NS = 5000000 };

static struct px_serving *serving;
static struct memory_engine *engine;
static struct px_model *model;
static struct px_arena arenas[CALLS];
static struct px_call calls[CALLS];
static size_t n_done;

static void count_done(struct px_call *call)
{
    (void)call;
    n_done++;
}

static void set_up(void)
{
    const struct px_serving_limits limits = {
        .request_rows_max = 1000, .batch_rows_max = BATCH_MAX, .wave_bytes_max = 1 << 26};
    CHECK_OK(px_serving_create(2, &limits, &serving, NULL));
    engine = memory_engine_create(FEATURES);
    model = px_xalloc(1, sizeof *model);
    model->name = px_str("sum");
    model->version = px_str("1");
    model->state = PX_MODEL_READY;
    model->score_max = 1;
    model->engine = &engine->base;
    CHECK_OK(px_model_reserve(serving, model, NULL));
    CHECK_OK(px_serving_publish(serving, &model, 1, NULL));
    for (size_t i = 0; i < CALLS; i++)
        arenas[i] = px_arena(1 << 16);
    n_done = 0;
}

static void tear_down(void)
{
    px_serving_destroy(serving);
    for (size_t i = 0; i < CALLS; i++)
        px_arena_deinit(&arenas[i]);
}

/* Call i of `loop`, with its rows; `deadline_ns` as in px_call. */
static enum px_code ask(size_t i, unsigned loop, size_t n_rows, uint64_t deadline_ns)
{
    px_arena_reset(&arenas[i]);
    calls[i] = (struct px_call){.model_name = px_str("sum"),
                                .loop = loop,
                                .arena = &arenas[i],
                                .received_ns = px_clock_monotonic_ns(),
                                .deadline_ns = deadline_ns,
                                .done = count_done};
    CHECK_OK(px_call_open(serving, &calls[i]));
    CHECK(px_call_rows(serving, &calls[i], n_rows) != NULL);
    return px_call_submit(serving, &calls[i]);
}

static uint64_t errors(enum px_code code)
{
    return px_metric_get(&model->metrics[0].errors[code]);
}

static struct px_model_statistics *read_statistics(struct px_arena *arena)
{
    struct px_statistics s;
    CHECK_OK(px_serving_statistics(serving, &(struct px_model_choice){0}, arena, &s, NULL));
    CHECK_INT(s.n_models, 1);
    return &s.models[0];
}

PX_TEST(a_late_call_is_refused_at_submit)
{
    set_up();
    CHECK_INT(ask(0, 0, 1, px_clock_monotonic_ns() - LONG_AGO_NS), PX_E_DEADLINE);
    CHECK_CONTAINS(calls[0].err.message, "us before it was scored");
    CHECK_INT(errors(PX_E_DEADLINE), 1);
    px_serving_wave(serving, 0);
    CHECK_INT(engine->n_calls, 0);
    CHECK_INT(n_done, 0);
    tear_down();
}

PX_TEST(a_call_that_becomes_late_while_parked_costs_no_engine_work)
{
    set_up();
    CHECK_OK(ask(0, 0, 1, UINT64_MAX));
    CHECK_OK(ask(1, 0, 1, UINT64_MAX));
    CHECK_OK(ask(2, 0, 1, 0));
    calls[1].deadline_ns = px_clock_monotonic_ns() - LONG_AGO_NS;
    px_serving_wave(serving, 0);
    CHECK_INT(n_done, 3);
    CHECK_INT(engine->n_calls, 1);
    CHECK_INT(engine->call_rows[0], 2);
    CHECK_INT(calls[0].code, PX_OK);
    CHECK_INT(calls[1].code, PX_E_DEADLINE);
    CHECK_INT(calls[2].code, PX_OK);
    CHECK_INT(errors(PX_E_DEADLINE), 1);
    tear_down();
}

PX_TEST(cancelled_calls_are_answered_without_the_engine)
{
    set_up();
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(ask(i, 0, 1, 0));
        px_call_cancel(&calls[i]);
    }
    px_serving_wave(serving, 0);
    CHECK_INT(n_done, 3);
    CHECK_INT(engine->n_calls, 0);
    CHECK_INT(calls[1].code, PX_E_CANCELLED);
    CHECK_INT(errors(PX_E_CANCELLED), 3);
    CHECK_INT(px_metric_get(&model->metrics[0].requests), 0);
    tear_down();
}

PX_TEST(a_cancelled_call_does_not_cut_the_run_around_it)
{
    set_up();
    for (size_t i = 0; i < 5; i++)
        CHECK_OK(ask(i, 0, 3, 0));
    px_call_cancel(&calls[0]);
    px_call_cancel(&calls[4]);
    px_serving_wave(serving, 0);
    CHECK_INT(engine->n_calls, 1);
    CHECK_INT(engine->call_rows[0], 9);
    CHECK_INT(n_done, 5);
    tear_down();
}

PX_TEST(a_call_cancelled_before_submit_is_refused)
{
    set_up();
    CHECK_OK(ask(0, 0, 1, 0)); /* only to open it */
    px_serving_wave(serving, 0);
    calls[0].code = PX_OK;
    px_call_cancel(&calls[0]);
    CHECK_INT(px_call_submit(serving, &calls[0]), PX_E_CANCELLED);
    tear_down();
}

PX_TEST(statistics_sum_the_loops_and_keep_batch_sizes_apart)
{
    struct px_arena arena = px_arena(1 << 16);
    set_up();
    CHECK_OK(ask(0, 0, 4, 0));
    CHECK_OK(ask(1, 0, 3, 0));
    px_serving_wave(serving, 0);
    CHECK_OK(ask(2, 1, 7, 0));
    px_serving_wave(serving, 1);
    CHECK_OK(ask(3, 1, 100, 0));
    px_serving_wave(serving, 1);
    const struct px_model_statistics *s = read_statistics(&arena);
    CHECK_STR(s->name, "sum");
    CHECK_INT(s->inference_count, 114);
    CHECK_INT(s->execution_count, 3);
    CHECK_INT(s->success.count, 4);
    CHECK_INT(s->fail.count, 0);
    CHECK_INT(s->queue.count, 4);
    CHECK_INT(s->n_batches, 2);
    CHECK_INT(s->batches[0].batch_size, 7);
    CHECK_INT(s->batches[0].compute_infer.count, 2);
    CHECK_INT(s->batches[1].batch_size, 128); /* large sizes share a cell */
    CHECK(s->success.ns >= s->compute_infer.ns);
    CHECK(s->memory_bytes > 0);
    px_arena_deinit(&arena);
    tear_down();
}

PX_TEST(the_parts_of_a_lone_request_add_up_to_no_more_than_the_whole)
{
    struct px_arena arena = px_arena(1 << 16);
    set_up();
    CHECK_OK(ask(0, 0, 2, 0));
    px_serving_wave(serving, 0);
    const struct px_model_statistics *s = read_statistics(&arena);
    CHECK(s->queue.ns + s->compute_input.ns + s->compute_infer.ns + s->compute_output.ns <=
          s->success.ns);
    px_arena_deinit(&arena);
    tear_down();
}

PX_TEST(the_last_inference_is_a_wall_clock_time)
{
    struct px_arena arena = px_arena(1 << 16);
    set_up();
    CHECK_INT(read_statistics(&arena)->last_inference_ms, 0);
    uint64_t before_ms = px_clock_wall_ns() / PX_NS_PER_MS;
    CHECK_OK(ask(0, 1, 1, 0));
    px_serving_wave(serving, 1);
    uint64_t last_ms = read_statistics(&arena)->last_inference_ms;
    CHECK(last_ms + 1 >= before_ms && last_ms <= px_clock_wall_ns() / PX_NS_PER_MS);
    px_arena_deinit(&arena);
    tear_down();
}

PX_TEST(failures_are_counted_with_their_time)
{
    struct px_arena arena = px_arena(1 << 16);
    set_up();
    engine->fail_at = 1;
    engine->fail_code = PX_E_INTERNAL;
    CHECK_OK(ask(0, 0, 1, 0));
    px_serving_wave(serving, 0);
    const struct px_model_statistics *s = read_statistics(&arena);
    CHECK_INT(s->fail.count, 1);
    CHECK_INT(s->success.count, 0);
    CHECK_INT(s->inference_count, 0);
    px_arena_deinit(&arena);
    tear_down();
}

PX_TEST(statistics_of_an_unknown_model_or_version_are_refused)
{
    struct px_arena arena = px_arena(1 << 16);
    struct px_statistics s;
    struct px_err err;
    set_up();
    struct px_model_choice choice = {.name = px_str("sun")};
    CHECK_INT(px_serving_statistics(serving, &choice, &arena, &s, &err), PX_E_NOT_FOUND);
    choice = (struct px_model_choice){px_str("sum"), px_str("2")};
    CHECK_INT(px_serving_statistics(serving, &choice, &arena, &s, NULL), PX_E_NOT_FOUND);
    choice.version = px_str("1");
    CHECK_OK(px_serving_statistics(serving, &choice, &arena, &s, &err));
    CHECK_INT(s.n_models, 1);
    px_arena_deinit(&arena);
    tear_down();
}

PX_TEST(every_batch_size_has_a_cell_that_is_not_smaller)
{
    for (size_t n = 1; n <= 3000000; n += n < 5000 ? 1 : 997) {
        unsigned cell = px_batch_cell(n);
        CHECK(cell < PX_BATCH_CELLS);
        CHECK(px_batch_cell_size(cell) >= n || cell == PX_BATCH_CELLS - 1);
        CHECK(cell == 0 || px_batch_cell_size(cell - 1) < n);
        CHECK(n > PX_BATCH_SIZES_EXACT || px_batch_cell_size(cell) == n);
    }
}

PX_TEST_MAIN(
    T(a_late_call_is_refused_at_submit)
        T(a_call_that_becomes_late_while_parked_costs_no_engine_work)
            T(cancelled_calls_are_answered_without_the_engine)
                T(a_cancelled_call_does_not_cut_the_run_around_it)
                    T(a_call_cancelled_before_submit_is_refused)
                        T(statistics_sum_the_loops_and_keep_batch_sizes_apart)
                            T(the_parts_of_a_lone_request_add_up_to_no_more_than_the_whole)
                                T(the_last_inference_is_a_wall_clock_time)
                                    T(failures_are_counted_with_their_time)
                                        T(statistics_of_an_unknown_model_or_version_are_refused)
                                            T(every_batch_size_has_a_cell_that_is_not_smaller))
