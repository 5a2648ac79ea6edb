/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of models of tensors: started by the submit, completed on their loop, counted, cancelled, waited for. */
#include "application/serving/model_config.h"
#include "application/serving/repository.h"
#include "application/serving/serving_impl.h"
#include "application/serving/statistics.h"
#include "manual_loops.h"
#include "memory_provider.h"

#include "harness.h"

#include <unistd.h>

enum { CALLS = 8, ARENA_MAX = 1 << 20 };

static char root[64];
static struct px_serving *serving;
static struct manual_loops loops;
static struct memory_tensor_engine *memory;

struct asked {
    struct px_call call;
    struct px_arena arena;
    struct px_tensor inputs[2], outputs[1];
    unsigned n_done;
    enum px_code code;
    float sum;
};
static struct asked calls[CALLS];

static const float rows[] = {1, 2, 3, 4};

static const char *at(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void write_model(const char *yaml)
{
    CHECK_OK(px_file_mkdirs(at("m"), NULL));
    CHECK_OK(px_file_write(at("m/model.yaml"), px_str(yaml), NULL));
}

static uint64_t stop_ns; /* 0: the default */

static void set_up_with(const char *yaml, bool managed)
{
    const struct px_serving_limits limits = {
        .request_rows_max = 3, .batch_rows_max = 16, .wave_bytes_max = 64, .stop_ns = stop_ns};
    snprintf(root, sizeof root, "/tmp/px-runs-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    write_model(yaml);
    CHECK_OK(px_serving_create(2, &limits, &serving, NULL));
    px_serving_set_engines(serving, memory_engines());
    CHECK_OK(px_serving_add(serving, at("m"), NULL));
    memory = memory_provider_last;
    manual_loops_init(&loops, 2);
    if (managed)
        CHECK_OK(px_serving_manage(serving, &loops.port, true, NULL));
}

static const char plain[] = "phoenix: 1\nengine: {name: memory, kind: add}\nwarm_up: 0\n";

static void set_up(void)
{
    set_up_with(plain, true);
}

static bool stop(void)
{
    manual_loops_stop(&loops, 0);
    manual_loops_stop(&loops, 1);
    return px_serving_unmanage(serving);
}

static void tear_down(void)
{
    char command[300];
    CHECK(stop());
    px_serving_destroy(serving);
    for (size_t i = 0; i < CALLS; i++)
        px_arena_deinit(&calls[i].arena);
    snprintf(command, sizeof command, "rm -r '%s'", root);
    CHECK_INT(system(command), 0);
}

static void keep_answer(struct px_call *call)
{
    struct asked *a = call->owner;
    a->n_done++;
    a->code = call->code;
    if (call->code == PX_OK)
        memcpy(&a->sum, call->run->outputs[0].bytes.ptr, sizeof a->sum);
    memset(call, 0x5a, sizeof *call); /* `done` may give the call's memory back */
}

static struct px_tensor tensor(const char *name, size_t n_rows)
{
    return (struct px_tensor){.name = px_str(name),
                              .type = PX_TYPE_FP32,
                              .shape = {n_rows, 2},
                              .n_dims = 2,
                              .bytes = px_str_n((const char *)rows, n_rows * 2 * sizeof *rows)};
}

static struct px_call *open_call(size_t i, unsigned loop)
{
    struct asked *a = &calls[i];
    px_arena_deinit(&a->arena);
    *a = (struct asked){.arena = px_arena(ARENA_MAX),
                        .inputs = {tensor("x", 1), tensor("y", 1)},
                        .outputs = {{.name = PX_STR("sum")}}};
    a->call = (struct px_call){.model_name = PX_STR("m"),
                               .loop = loop,
                               .arena = &a->arena,
                               .done = keep_answer,
                               .received_ns = px_clock_monotonic_ns(),
                               .owner = a};
    CHECK_OK(px_call_open(serving, &a->call));
    a->call.run->inputs = a->inputs;
    a->call.run->n_inputs = 2;
    a->call.run->outputs = a->outputs;
    a->call.run->n_outputs = 1;
    return &a->call;
}

static void submit(size_t i, unsigned loop)
{
    CHECK_OK(px_call_submit(serving, open_call(i, loop)));
    CHECK_INT(calls[i].n_done, 0); /* never inside the submit */
}

static void wait_done(size_t i, unsigned loop)
{
    while (calls[i].n_done == 0) {
        manual_loops_wait(&loops, loop);
        manual_loops_run(&loops, loop);
        px_serving_wave(serving, loop);
    }
    CHECK_INT(calls[i].n_done, 1);
}

static const struct px_model *model(void)
{
    return px_serving_find(serving, px_str("m"), px_str(""), NULL);
}

PX_TEST(a_run_is_completed_on_its_loop_and_counted)
{
    set_up();
    submit(0, 1);
    wait_done(0, 1);
    CHECK_INT(calls[0].code, PX_OK);
    CHECK_DOUBLE(calls[0].sum, 2);
    const struct px_model_metrics *m = &model()->metrics[1];
    CHECK_INT(px_metric_get(&m->requests), 1);
    CHECK_INT(px_metric_get(&m->rows), 1);
    CHECK_INT(px_metric_get(&m->batches), 1);
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_released), 1);
    tear_down();
}

PX_TEST(a_run_that_ends_within_the_start_is_completed_later_as_well)
{
    set_up_with("phoenix: 1\nengine: {name: memory, kind: add, asynchronous: true}\n", true);
    submit(0, 0);
    wait_done(0, 0);
    CHECK_INT(calls[0].code, PX_OK);
    tear_down();
}

PX_TEST(who_names_no_output_gets_all_of_them)
{
    set_up();
    struct px_call *call = open_call(0, 0);
    call->run->outputs = NULL;
    call->run->n_outputs = 0;
    CHECK_OK(px_call_submit(serving, call));
    wait_done(0, 0);
    CHECK_DOUBLE(calls[0].sum, 2);
    tear_down();
}

PX_TEST(what_does_not_fit_is_refused_by_the_submit_and_counted)
{
    set_up();
    struct px_call *call = open_call(0, 0);
    call->run->n_inputs = 1;
    CHECK_INT(px_call_submit(serving, call), PX_E_INVALID);
    CHECK_CONTAINS(call->err.message, "'y'");
    call = open_call(1, 0);
    calls[1].inputs[1] = tensor("y", 2);
    CHECK_INT(px_call_submit(serving, call), PX_E_INVALID);
    CHECK_CONTAINS(call->err.message, "rows");
    call = open_call(2, 0);
    calls[2].outputs[0].name = px_str("total");
    CHECK_INT(px_call_submit(serving, call), PX_E_INVALID);
    call = open_call(3, 0);
    call->run->n_inputs = 0;
    CHECK_INT(px_call_submit(serving, call), PX_E_INVALID);
    call = open_call(4, 0);
    call->score_flags = PX_SCORE_MARGIN;
    CHECK_INT(px_call_submit(serving, call), PX_E_UNSUPPORTED);
    CHECK_INT(px_metric_get(&model()->metrics[0].failures), 5);
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_entered), 0);
    tear_down();
}

PX_TEST(too_many_rows_and_too_many_bytes_are_refused)
{
    static const float many[8] = {0};
    set_up();
    struct px_call *call = open_call(0, 0);
    for (size_t i = 0; i < 2; i++) {
        calls[0].inputs[i].shape[0] = 4;
        calls[0].inputs[i].bytes = px_str_n((const char *)many, sizeof many);
    }
    CHECK_INT(px_call_submit(serving, call), PX_E_TOO_LARGE);
    memory_tensor_engine_set_gate(memory, true);
    for (size_t i = 0; i < 4; i++)
        submit(i, 0); /* 16 bytes each */
    CHECK_INT(px_call_submit(serving, open_call(4, 0)), PX_E_OVERLOADED);
    submit(5, 1); /* another loop has room of its own */
    memory_tensor_engine_set_gate(memory, false);
    for (size_t i = 0; i < 4; i++)
        wait_done(i, 0);
    wait_done(5, 1);
    submit(4, 0);
    wait_done(4, 0);
    tear_down();
}

PX_TEST(a_full_queue_answers_that_call_alone)
{
    set_up_with("phoenix: 1\nengine: {name: memory, kind: add}\nwarm_up: 0\nqueue_max: 1\n", true);
    memory_tensor_engine_set_gate(memory, true);
    submit(0, 0);
    memory_tensor_engine_wait(memory, 1);
    submit(1, 0);
    submit(2, 0);
    wait_done(2, 0);
    CHECK_INT(calls[2].code, PX_E_OVERLOADED);
    memory_tensor_engine_set_gate(memory, false);
    wait_done(0, 0);
    wait_done(1, 0);
    CHECK_INT(px_metric_get(&model()->metrics[0].errors[PX_E_OVERLOADED]), 1);
    tear_down();
}

PX_TEST(a_call_over_the_limit_is_refused_by_the_submit_and_told_when_to_come_again)
{
    set_up_with("phoenix: 1\nengine: {name: memory, kind: add}\nwarm_up: 0\n"
                "limits: {concurrency: 4}\n",
                true);
    submit(0, 0);
    wait_done(0, 0);
    memory_tensor_engine_set_gate(memory, true);
    for (size_t i = 0; i < 3; i++)
        submit(i, 0);
    struct px_call *call = open_call(4, 0);
    call->urgency.criticality = PX_CRITICALITY_SHEDDABLE;
    CHECK_INT(px_call_submit(serving, call), PX_E_OVERLOADED);
    CHECK_CONTAINS(call->err.message, "not sheddable");
    call = open_call(5, 1);
    CHECK_INT(px_call_submit(serving, call), PX_E_OVERLOADED);
    CHECK_CONTAINS(call->err.message, "which takes 4: what is left is for critical ones");
    call = open_call(3, 1);
    call->urgency.criticality = PX_CRITICALITY_CRITICAL;
    CHECK_OK(px_call_submit(serving, call));
    memory_tensor_engine_set_gate(memory, false);
    for (size_t i = 0; i < 3; i++)
        wait_done(i, 0);
    wait_done(3, 1);
    submit(5, 1);
    wait_done(5, 1);
    CHECK_INT(px_metric_get(&model()->metrics[0].refused[PX_REFUSAL_SHEDDABLE]), 1);
    CHECK_INT(px_metric_get(&model()->metrics[1].refused[PX_REFUSAL_LIMIT]), 1);
    struct px_limit_report report;
    px_limit_report(model()->limit, &report);
    CHECK_INT(report.in_flight, 0);
    tear_down();
}

PX_TEST(a_client_over_its_limit_leaves_the_others_their_place)
{
    set_up_with("phoenix: 1\nengine: {name: memory, kind: add}\nwarm_up: 0\n"
                "limits: {concurrency: off, per_client: 2}\n",
                true);
    memory_tensor_engine_set_gate(memory, true);
    for (size_t i = 0; i < 4; i++) {
        struct px_call *call = open_call(i, 0);
        call->urgency.client = i < 3 ? 7 : 8;
        CHECK_INT(px_call_submit(serving, call), i == 2 ? PX_E_LIMITED : PX_OK);
    }
    CHECK_CONTAINS(calls[2].call.err.message, "2 requests on their way");
    struct px_limit_report report;
    px_limit_report(model()->limit, &report);
    CHECK(report.is_open && report.in_flight == 3);
    memory_tensor_engine_set_gate(memory, false);
    wait_done(0, 0);
    wait_done(1, 0);
    wait_done(3, 0);
    struct px_call *again = open_call(2, 0);
    again->urgency.client = 7;
    CHECK_OK(px_call_submit(serving, again));
    wait_done(2, 0);
    CHECK_INT(px_metric_get(&model()->metrics[0].refused[PX_REFUSAL_CLIENT]), 1);
    tear_down();
}

/* ---- refusals that a ladder repairs ---- */

#define WITH_LADDER(more)                                                                          \
    "phoenix: 1\nengine: {name: memory, kind: add}\nwarm_up: 0\n" more                             \
    "fallback: [{default: {sum: 7}, on: [overload, deadline]}]\n"

/* One attempt that was refused for that reason, and repaired. */
static void check_repaired(size_t i, enum px_refusal refusal)
{
    const struct px_model_metrics *m = &model()->metrics[0];
    CHECK_INT(calls[i].code, PX_OK);
    CHECK_DOUBLE(calls[i].sum, 7);
    for (unsigned reason = 1; reason < PX_REFUSALS; reason++)
        CHECK_INT(px_metric_get(&m->refused[reason]), reason == (unsigned)refusal);
    CHECK_INT(px_metric_get(&m->failures), 1);
    CHECK_INT(px_metric_get(&m->errors[PX_E_OVERLOADED]), 1);
    CHECK_INT(px_rescue_counted(model()->rescue, 0, PX_FALLBACK_OVERLOAD), 1);
}

PX_TEST(a_refusal_of_the_queue_is_counted_once_though_a_ladder_repairs_it)
{
    set_up_with(WITH_LADDER("queue_max: 1\n"), true);
    memory_tensor_engine_set_gate(memory, true);
    submit(0, 0);
    memory_tensor_engine_wait(memory, 1);
    submit(1, 0);
    submit(2, 0);
    wait_done(2, 0);
    check_repaired(2, PX_REFUSAL_QUEUE);
    memory_tensor_engine_set_gate(memory, false);
    wait_done(0, 0);
    wait_done(1, 0);
    tear_down();
}

PX_TEST(a_refusal_of_the_limit_is_counted_once_though_a_ladder_repairs_it)
{
    set_up_with(WITH_LADDER("limits: {concurrency: 1}\n"), true);
    memory_tensor_engine_set_gate(memory, true);
    submit(0, 0);
    submit(1, 0);
    px_serving_wave(serving, 0);
    check_repaired(1, PX_REFUSAL_LIMIT);
    memory_tensor_engine_set_gate(memory, false);
    wait_done(0, 0);
    tear_down();
}

PX_TEST(a_refusal_for_want_of_memory_is_counted_as_such)
{
    set_up();
    memory_tensor_engine_set_gate(memory, true);
    for (size_t i = 0; i < 4; i++)
        submit(i, 0);
    CHECK_INT(px_call_submit(serving, open_call(4, 0)), PX_E_OVERLOADED);
    CHECK_INT(px_metric_get(&model()->metrics[0].refused[PX_REFUSAL_MEMORY]), 1);
    memory_tensor_engine_set_gate(memory, false);
    for (size_t i = 0; i < 4; i++)
        wait_done(i, 0);
    tear_down();
}

PX_TEST(a_client_over_its_limit_gets_nothing_from_the_ladder)
{
    set_up_with(WITH_LADDER("limits: {concurrency: off, per_client: 1}\n"), true);
    memory_tensor_engine_set_gate(memory, true);
    for (size_t i = 0; i < 2; i++) {
        struct px_call *call = open_call(i, 0);
        call->urgency.client = 7;
        CHECK_INT(px_call_submit(serving, call), i == 0 ? PX_OK : PX_E_LIMITED);
    }
    CHECK_INT(px_metric_get(&model()->metrics[0].refused[PX_REFUSAL_CLIENT]), 1);
    memory_tensor_engine_set_gate(memory, false);
    wait_done(0, 0);
    tear_down();
}

PX_TEST(each_of_many_clients_has_its_own_limit_also_without_memory)
{
    enum { CLIENTS = 500 };
    set_up_with("phoenix: 1\nengine: {name: memory, kind: add}\nwarm_up: 0\n"
                "limits: {concurrency: off, per_client: 1}\n",
                true);
    struct px_limit *limit = model()->limit;
    struct px_limit_request request = {0};
    struct px_err err;
    unsigned n_without = 0;
    for (uint64_t client = 1; client <= CLIENTS; client++) {
        request.urgency.client = client;
        px_alloc_fail_at(1);
        enum px_refusal refusal = px_limit_enter(limit, &request, &err);
        px_alloc_fail_at(0);
        n_without += refusal == PX_REFUSAL_MEMORY;
        if (refusal != PX_REFUSAL_NONE)
            CHECK_INT(px_limit_enter(limit, &request, &err), PX_REFUSAL_NONE);
        CHECK_INT(px_limit_enter(limit, &request, &err), PX_REFUSAL_CLIENT);
    }
    CHECK_INT(n_without, 0); /* a table that cannot grow is filled up */
    for (uint64_t client = 1; client <= CLIENTS; client++)
        px_limit_leave(limit, &(struct px_limit_end){.client = client, .code = PX_E_INTERNAL});
    tear_down();
}

PX_TEST(a_cancelled_call_is_completed_as_such)
{
    set_up();
    memory_tensor_engine_set_gate(memory, true);
    submit(0, 0);
    memory_tensor_engine_wait(memory, 1);
    submit(1, 0);
    px_call_cancel(&calls[0].call);
    px_call_cancel(&calls[1].call);
    CHECK(calls[0].n_done == 0 && calls[1].n_done == 0);
    wait_done(0, 0);
    wait_done(1, 0);
    CHECK(calls[0].code == PX_E_CANCELLED && calls[1].code == PX_E_CANCELLED);
    struct px_call *call = open_call(2, 0);
    px_call_cancel(call);
    CHECK_INT(px_call_submit(serving, call), PX_E_CANCELLED);
    memory_tensor_engine_set_gate(memory, false);
    tear_down();
}

PX_TEST(a_result_that_nobody_wants_any_more_is_a_cancelled_call)
{
    set_up_with("phoenix: 1\nengine: {name: memory, kind: add, asynchronous: true}\n", true);
    submit(0, 0); /* done, and on its way to the loop */
    px_call_cancel(&calls[0].call);
    wait_done(0, 0);
    CHECK_INT(calls[0].code, PX_E_CANCELLED);
    tear_down();
}

PX_TEST(a_deadline_ends_the_call)
{
    set_up();
    memory_tensor_engine_set_gate(memory, true);
    struct px_call *call = open_call(0, 0);
    call->deadline_ns = px_clock_monotonic_ns() + 5 * PX_NS_PER_MS;
    CHECK_OK(px_call_submit(serving, call));
    wait_done(0, 0);
    CHECK_INT(calls[0].code, PX_E_DEADLINE);
    memory_tensor_engine_set_gate(memory, false);
    tear_down();
}

PX_TEST(nothing_runs_before_the_loops_are_known)
{
    set_up_with(plain, false);
    struct px_call *call = open_call(0, 0);
    CHECK_INT(px_call_submit(serving, call), PX_E_UNAVAILABLE);
    tear_down();
}

/* ---- models that go ---- */

static bool is_unloaded;

static void note_unload(struct px_repository_request *request)
{
    is_unloaded = request->code == PX_OK;
}

static void unload(void)
{
    struct px_repository_request *request = px_repository_request_create(PX_REPOSITORY_UNLOAD);
    struct px_err err;
    is_unloaded = false;
    request->name = px_str("m");
    request->done = note_unload;
    CHECK_OK(px_repository_submit(serving, request, &err));
    while (!is_unloaded) {
        manual_loops_run(&loops, 1);
        manual_loops_run(&loops, 0);
        usleep(100);
    }
}

static void run_loops_for_a_while(void)
{
    for (int i = 0; i < 50; i++) {
        manual_loops_run(&loops, 0);
        manual_loops_run(&loops, 1);
        usleep(200);
    }
}

PX_TEST(a_model_lives_until_its_runs_have_ended)
{
    set_up();
    memory_tensor_engine_set_gate(memory, true);
    submit(0, 0);
    submit(1, 1);
    memory_tensor_engine_wait(memory, 1);
    unload(); /* is answered at once; the address sanitizer sees a model that is freed too early */
    run_loops_for_a_while();
    CHECK(calls[0].n_done == 0 && calls[1].n_done == 0);
    memory_tensor_engine_set_gate(memory, false);
    wait_done(0, 0);
    wait_done(1, 1);
    CHECK(calls[0].code == PX_OK && calls[1].code == PX_OK);
    run_loops_for_a_while();
    tear_down();
}

PX_TEST(a_server_that_stops_waits_for_its_runs_and_calls_nobody)
{
    set_up();
    memory_tensor_engine_set_gate(memory, true);
    submit(0, 0);
    submit(1, 1);
    submit(2, 0);
    memory_tensor_engine_wait(memory, 1);
    unload();
    tear_down(); /* cancels them */
    for (size_t i = 0; i < 3; i++)
        CHECK_INT(calls[i].n_done, 0);
}

PX_TEST(an_engine_at_work_for_nobody_holds_its_memory_and_not_the_loader)
{
    set_up_with("phoenix: 1\nengine: {name: memory, kind: add, asynchronous: true}\n", true);
    int before = atomic_load(&memory_tensor_n_destroyed);
    struct memory_tensor_engine *late = memory;
    atomic_store(&late->busy, true);
    unload();
    run_loops_for_a_while();
    CHECK_INT(atomic_load(&memory_tensor_n_destroyed), before);
    atomic_store(&late->busy, false);
    tear_down();
    CHECK_INT(atomic_load(&memory_tensor_n_destroyed), before + 1);
}

PX_TEST(an_orphan_is_released_when_nobody_cancels_it_any_more)
{
    set_up_with("phoenix: 1\nengine: {name: memory, kind: add, asynchronous: true}\nwarm_up: 0\n",
                true);
    manual_loops_stop(&loops, 0);
    submit(0, 0); /* ends at once, and its loop has stopped */
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_runs), 1);
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_released), 0);
    CHECK(stop());
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_released), 1);
    tear_down();
}

PX_TEST(a_server_that_stops_gives_up_an_engine_that_never_ends)
{
    stop_ns = 20 * PX_NS_PER_MS;
    set_up();
    stop_ns = 0;
    memory->obeys_cancel = false;
    memory_tensor_engine_set_gate(memory, true);
    submit(0, 0);
    memory_tensor_engine_wait(memory, 1);
    CHECK(!stop());
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_released), 0);
    memory_tensor_engine_set_gate(memory, false);
    while (!stop())
        usleep(1000);
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_released), 1);
    CHECK_INT(calls[0].n_done, 0);
    atomic_store(&memory->busy, true); /* at work for a run that has ended without it */
    CHECK(!stop());
    atomic_store(&memory->busy, false);
    tear_down();
}

/* ---- what is told about them ---- */

PX_TEST(a_model_of_tensors_describes_itself)
{
    set_up();
    const struct px_model *m = model();
    CHECK(m->signature && m->signature->n_features == 0 && !m->forest);
    CHECK_STR(m->sample_json,
              "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[0,0]},"
              "{\"name\":\"y\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[0,0]}]}");
    struct px_arena arena = px_arena(ARENA_MAX);
    struct px_model_config config;
    CHECK_OK(px_model_config(m, px_serving_limits(serving), &arena, &config, NULL));
    CHECK_STR(px_str(config.platform), "memory");
    CHECK(config.n_inputs == 3 && config.n_outputs == 1 && config.max_batch_size == 3);
    CHECK(config.inputs[2].optional && config.inputs[0].n_dims == 1);
    CHECK_INT(config.inputs[0].dims[0], 2); /* without the dimension that counts rows */
    CHECK_INT(config.n_instances, 1);
    struct px_err err;
    static const char right[] = "{\"name\":\"m\",\"max_batch_size\":3,\"input\":[{\"name\":\"x\","
                                "\"data_type\":\"TYPE_FP32\",\"dims\":[2]}]}";
    static const char wrong[] =
        "{\"input\":[{\"name\":\"x\",\"data_type\":\"TYPE_FP32\",\"dims\":[3]}]}";
    struct px_model_wishes wishes;
    CHECK_OK(px_model_config_check(px_str(right), m, px_serving_limits(serving), &wishes, &err));
    CHECK_INT(px_model_config_check(px_str(wrong), m, px_serving_limits(serving), &wishes, &err),
              PX_E_INVALID);
    px_arena_deinit(&arena);
    tear_down();
}

PX_TEST(statistics_count_runs)
{
    set_up();
    submit(0, 0);
    wait_done(0, 0);
    struct px_arena arena = px_arena(ARENA_MAX);
    struct px_statistics statistics;
    CHECK_OK(
        px_serving_statistics(serving, &(struct px_model_choice){0}, &arena, &statistics, NULL));
    CHECK_INT(statistics.n_models, 1);
    const struct px_model_statistics *s = &statistics.models[0];
    CHECK(s->inference_count == 1 && s->execution_count == 1 && s->success.count == 1);
    CHECK(s->success.ns >= s->compute_infer.ns);
    px_arena_deinit(&arena);
    tear_down();
}

PX_TEST(a_warm_up_runs_the_model_and_its_failure_is_no_reason_to_refuse_it)
{
    set_up_with("phoenix: 1\nengine: {name: memory, kind: add}\nwarm_up: 3\n", true);
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_runs), 3);
    CHECK_INT(memory_tensor_engine_count(memory, &memory->n_released), 3);
    tear_down();
}

PX_TEST(a_trace_has_the_run)
{
    char path[300];
    struct px_trace *trace = NULL;
    struct px_err err;
    struct px_trace_change change = {0};
    const struct px_str levels[] = {PX_STR("TIMESTAMPS"), PX_STR("TENSORS")}, one = PX_STR("1");
    set_up();
    snprintf(path, sizeof path, "%s/trace.json", root);
    CHECK_OK(px_trace_create(path, 2, &trace, &err));
    CHECK_OK(px_trace_change_add(&change, px_str("trace_level"), levels, 2, &err));
    CHECK_OK(px_trace_change_add(&change, px_str("trace_rate"), &one, 1, &err));
    CHECK_OK(px_trace_update(trace, px_str(""), &change, &err));
    px_serving_set_trace(serving, trace);
    submit(0, 0);
    const struct px_run_step step = {.name = PX_STR("scale"), .start_ns = 5, .end_ns = 7};
    px_run_note_step(calls[0].call.run, &step);
    wait_done(0, 0);
    px_serving_set_trace(serving, NULL);
    px_trace_destroy(trace);
    struct px_file file = {0};
    CHECK_OK(px_file_load(&file, path, 1 << 20, &err));
    char text[4096] = "";
    CHECK(file.bytes.len < sizeof text);
    memcpy(text, file.bytes.ptr, file.bytes.len);
    CHECK_CONTAINS(text, "\"model_name\":\"scale\",\"model_version\":1,\"parent_id\":1");
    CHECK_CONTAINS(text,
                   "\"name\":\"x\",\"data\":\"1.0,2.0\",\"shape\":\"1,2\",\"dtype\":\"FP32\"");
    CHECK_CONTAINS(text, "\"name\":\"sum\",\"data\":\"2.0,4.0\"");
    px_file_unload(&file);
    tear_down();
}

PX_TEST_MAIN(
    T(a_run_is_completed_on_its_loop_and_counted) T(
        a_run_that_ends_within_the_start_is_completed_later_as_well) T(who_names_no_output_gets_all_of_them)
        T(what_does_not_fit_is_refused_by_the_submit_and_counted) T(
            too_many_rows_and_too_many_bytes_are_refused) T(a_full_queue_answers_that_call_alone)
            T(a_call_over_the_limit_is_refused_by_the_submit_and_told_when_to_come_again) T(
                a_client_over_its_limit_leaves_the_others_their_place)
                T(a_refusal_of_the_queue_is_counted_once_though_a_ladder_repairs_it) T(
                    a_refusal_of_the_limit_is_counted_once_though_a_ladder_repairs_it)
                    T(a_refusal_for_want_of_memory_is_counted_as_such) T(
                        a_client_over_its_limit_gets_nothing_from_the_ladder)
                        T(each_of_many_clients_has_its_own_limit_also_without_memory) T(
                            a_cancelled_call_is_completed_as_such)
                            T(a_result_that_nobody_wants_any_more_is_a_cancelled_call) T(
                                a_deadline_ends_the_call) T(nothing_runs_before_the_loops_are_known)
                                T(a_model_lives_until_its_runs_have_ended) T(
                                    a_server_that_stops_waits_for_its_runs_and_calls_nobody)
                                    T(an_engine_at_work_for_nobody_holds_its_memory_and_not_the_loader)
                                        T(an_orphan_is_released_when_nobody_cancels_it_any_more) T(
                                            a_server_that_stops_gives_up_an_engine_that_never_ends)
                                            T(a_model_of_tensors_describes_itself) T(
                                                statistics_count_runs)
                                                T(a_warm_up_runs_the_model_and_its_failure_is_no_reason_to_refuse_it)
                                                    T(a_trace_has_the_run))
