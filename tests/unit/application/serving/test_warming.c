/* SPDX-License-Identifier: Apache-2.0 */
/* A version computes what the one before it has answered, before it answers anybody; one that cannot does not take its place. */
#include "application/serving/repository_impl.h"
#include "manual_loops.h"
#include "memory_provider.h"
#include "tiny_model.h"

#include "harness.h"

#include <ftw.h>
#include <unistd.h>

enum { CALLS = 3 };

static char root[64];
static struct px_serving *serving;
static struct manual_loops loops;
static bool is_answered;
static struct px_err answer;
static struct px_arena arenas[CALLS];
static struct px_call calls[CALLS];
static struct px_tensor inputs[CALLS][2];
static size_t n_done, n_good;

static const char trees[] = "phoenix: 1\nname: m\nmodel: model.txt\n"
                            "warm_up: {recorded: true, required: true}\n";
static const char sums[] = "phoenix: 1\nname: m\nengine: {name: memory, kind: add}\n"
                           "warm_up: {runs: 0, recorded: true, required: true}\n";

static void put(const char *version, const char *file, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/m/%s", root, version);
    CHECK_OK(px_file_mkdirs(path, NULL));
    snprintf(path, sizeof path, "%s/m/%s/%s", root, version, file);
    CHECK_OK(px_file_write(path, px_str(text), NULL));
}

static void put_trees(const char *version, const char *yaml)
{
    put(version, "model.txt", tiny_model);
    put(version, "model.yaml", yaml);
}

static void make_root(void)
{
    snprintf(root, sizeof root, "/tmp/px-warming-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
    atomic_store(&memory_provider_fail_with, 0);
}

static void set_up(bool on_demand)
{
    const struct px_serving_limits limits = {
        .request_rows_max = 100, .batch_rows_max = 16, .wave_bytes_max = 1 << 26};
    const struct px_residency_settings settings = {.on_demand = on_demand,
                                                   .load_wait_ns = 3600 * PX_NS_PER_S};
    CHECK_OK(px_serving_create(1, &limits, &serving, NULL));
    px_serving_set_engines(serving, memory_engines());
    px_serving_set_residency(serving, &settings);
    CHECK_OK(px_serving_add(serving, root, NULL));
    manual_loops_init(&loops, 1);
    CHECK_OK(px_serving_manage(serving, &loops.port, true, NULL));
}

static void set_up_trees(void)
{
    make_root();
    put_trees("1", trees);
    set_up(false);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void tear_down(void)
{
    manual_loops_stop(&loops, 0);
    CHECK(px_serving_unmanage(serving));
    px_serving_destroy(serving);
    for (size_t i = 0; i < CALLS; i++)
        px_arena_deinit(&arenas[i]);
    nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void run_loop(void)
{
    manual_loops_run(&loops, 0);
    px_serving_wave(serving, 0);
    usleep(100);
}

/* ---- asking ---- */

static void count_done(struct px_call *call)
{
    n_done++;
    n_good += call->code == PX_OK;
}

static bool open_call(size_t i, const char *version)
{
    px_arena_deinit(&arenas[i]);
    arenas[i] = px_arena(1 << 20);
    calls[i] = (struct px_call){.model_name = PX_STR("m"),
                                .version = px_str(version),
                                .arena = &arenas[i],
                                .done = count_done,
                                .received_ns = px_clock_monotonic_ns()};
    return px_call_open(serving, &calls[i]) == PX_OK;
}

static struct px_tensor pair(const char *name)
{
    static const float values[] = {1, 2};
    return (struct px_tensor){.name = px_str(name),
                              .type = PX_TYPE_FP32,
                              .shape = {1, 2},
                              .n_dims = 2,
                              .bytes = px_str_n((const char *)values, sizeof values)};
}

static void fill(size_t i)
{
    if (calls[i].run) {
        inputs[i][0] = pair("x");
        inputs[i][1] = pair("y");
        calls[i].run->inputs = inputs[i];
        calls[i].run->n_inputs = 2;
        return;
    }
    struct px_matrix *rows = px_call_rows(serving, &calls[i], 2);
    px_matrix_set(rows, 0, 0, 20);
    px_matrix_set(rows, 1, 1, (double)i);
}

static void ask_all(const char *version)
{
    n_done = n_good = 0;
    for (size_t i = 0; i < CALLS; i++) {
        CHECK(open_call(i, version));
        fill(i);
        CHECK_OK(px_call_submit(serving, &calls[i]));
    }
    while (n_done < CALLS)
        run_loop();
    CHECK_INT(n_good, CALLS);
}

static void keep_answer(struct px_repository_request *request)
{
    answer = request->err;
    answer.code = request->code;
    is_answered = true;
}

static enum px_code load(void)
{
    struct px_repository_request *request = px_repository_request_create(PX_REPOSITORY_LOAD);
    request->name = (struct px_str)PX_STR("m");
    request->done = keep_answer;
    is_answered = false;
    CHECK_OK(px_repository_submit(serving, request, NULL));
    while (!is_answered)
        run_loop();
    return answer.code;
}

static const struct px_model *find(const char *version)
{
    return px_serving_find(serving, px_str("m"), px_str(version), NULL);
}

static uint64_t n_warmed(void)
{
    return atomic_load(&px_warm_up_counts(serving)->runs);
}

static uint64_t n_failed(void)
{
    return atomic_load(&px_warm_up_counts(serving)->failures);
}

/* ---- trees ---- */

PX_TEST(a_version_that_is_replaced_hands_its_requests_on_before_the_first)
{
    set_up_trees();
    ask_all("");
    CHECK_INT(n_warmed(), 0);
    const struct px_model *before = find("");
    CHECK_OK(load());
    CHECK(find("") != before);
    CHECK_INT(n_warmed(), CALLS);
    CHECK_INT(n_failed(), 0);
    CHECK_INT(atomic_load(&find("")->metrics[0].requests), 0);
    CHECK_OK(load()); /* what the first version recorded is still there */
    CHECK_INT(n_warmed(), 2 * CALLS);
    ask_all("");
    CHECK_OK(load());
    CHECK_INT(n_warmed(), 4 * CALLS);
    tear_down();
}

PX_TEST(a_new_version_computes_what_the_highest_has_answered)
{
    set_up_trees();
    ask_all("1");
    put_trees("2", trees);
    CHECK_OK(load());
    CHECK_INT(n_warmed(), 2 * CALLS); /* 1 was loaded again as well */
    CHECK_INT(n_failed(), 0);
    CHECK(find("2")->recorder == find("1")->recorder);
    tear_down();
}

PX_TEST(a_version_that_is_loaded_on_demand_computes_them_too)
{
    make_root();
    put_trees("1", trees);
    put_trees("2", trees);
    set_up(true);
    CHECK(!open_call(0, "1") && calls[0].is_absent);
    for (const char *version = "1"; version; version = *version == '1' ? "2" : NULL) {
        struct px_call call = {.model_name = PX_STR("m"),
                               .version = px_str(version),
                               .received_ns = px_clock_monotonic_ns()};
        n_done = 0;
        CHECK_OK(px_call_await_model(serving, &call, count_done));
        while (n_done == 0)
            run_loop();
        CHECK_INT(n_warmed(), *version == '1' ? 0 : CALLS);
        ask_all(version);
    }
    tear_down();
}

PX_TEST(a_model_that_does_not_ask_for_it_records_nothing)
{
    make_root();
    put_trees("1", "phoenix: 1\nname: m\nmodel: model.txt\n");
    set_up(false);
    ask_all("");
    CHECK(find("")->recorder == NULL);
    CHECK_OK(load());
    CHECK_INT(n_warmed(), 0);
    tear_down();
}

static void put_other_features(const char *yaml)
{
    char text[sizeof tiny_model + 8];
    const char *at = strstr(tiny_model, "amount");
    snprintf(text, sizeof text, "%.*sincome%s", (int)(at - tiny_model), tiny_model, at + 6);
    put("1", "model.txt", text);
    put("1", "model.yaml", yaml);
}

PX_TEST(a_version_with_other_features_does_not_replace_when_it_must_not)
{
    set_up_trees();
    ask_all("");
    const struct px_model *before = find("");
    put_other_features(trees);
    CHECK_INT(load(), PX_E_CONFLICT);
    CHECK_CONTAINS(answer.message, "3 of 3 recorded requests fail");
    CHECK_CONTAINS(answer.message, "'income'");
    CHECK(find("") == before);
    CHECK_INT(n_failed(), CALLS);
    ask_all("");
    tear_down();
}

PX_TEST(without_that_it_serves_and_records_anew)
{
    set_up_trees();
    ask_all("");
    put_other_features("phoenix: 1\nname: m\nmodel: model.txt\nwarm_up: {recorded: true}\n");
    CHECK_OK(load());
    CHECK_INT(n_failed(), CALLS);
    CHECK_OK(load()); /* nothing of the first version's is left */
    CHECK_INT(n_warmed(), CALLS);
    ask_all("");
    CHECK_OK(load());
    CHECK_INT(n_warmed(), 2 * CALLS);
    CHECK_INT(n_failed(), CALLS);
    tear_down();
}

PX_TEST(golden_rows_are_compared_before_anything_is_warmed)
{
    char yaml[sizeof trees + 32];
    set_up_trees();
    ask_all("");
    const struct px_model *before = find("");
    snprintf(yaml, sizeof yaml, "%sgolden: golden.csv\n", trees);
    put("1", "golden.csv", "age,amount,score\n20,0.1,11.0\n40,0.1,12.0\n");
    put("1", "model.yaml", yaml);
    CHECK(load() != PX_OK);
    CHECK_CONTAINS(answer.message, "golden");
    CHECK(find("") == before);
    CHECK_INT(n_warmed(), 0);
    put("1", "golden.csv", "age,amount,score\n20,0.1,11.0\n");
    CHECK_OK(load());
    CHECK_INT(n_warmed(), CALLS);
    tear_down();
}

/* ---- tensors ---- */

static void set_up_sums(const char *yaml)
{
    make_root();
    put("1", "model.yaml", yaml);
    set_up(false);
}

PX_TEST(tensors_are_computed_by_the_engine_that_comes)
{
    set_up_sums(sums);
    CHECK_INT(memory_provider_last->n_runs, 0);
    ask_all("");
    CHECK_OK(load());
    CHECK_INT(memory_provider_last->n_runs, CALLS); /* the new one, and nobody has asked it */
    CHECK_INT(memory_provider_last->n_released, CALLS);
    CHECK_INT(n_warmed(), CALLS);
    CHECK_INT(atomic_load(&find("")->metrics[0].requests), 0);
    tear_down();
}

PX_TEST(an_engine_that_fails_on_them_does_not_replace_when_it_must_not)
{
    set_up_sums(sums);
    ask_all("");
    const struct px_model *before = find("");
    atomic_store(&memory_provider_fail_with, PX_E_INTERNAL);
    CHECK_INT(load(), PX_E_INTERNAL);
    CHECK_CONTAINS(answer.message, "3 of 3 recorded requests fail");
    CHECK(find("") == before);
    ask_all("");
    atomic_store(&memory_provider_fail_with, 0);
    CHECK_OK(load());
    CHECK_INT(n_failed(), CALLS);
    tear_down();
}

PX_TEST(an_engine_that_fails_on_them_is_told_when_it_may_replace)
{
    set_up_sums("phoenix: 1\nname: m\nengine: {name: memory, kind: add}\n"
                "warm_up: {runs: 0, recorded: true}\n");
    ask_all("");
    atomic_store(&memory_provider_fail_with, PX_E_INTERNAL);
    CHECK_OK(load());
    CHECK_INT(n_failed(), CALLS);
    tear_down();
}

PX_TEST(a_first_run_that_fails_fails_the_load_when_it_must_not)
{
    set_up_sums(
        "phoenix: 1\nname: m\nengine: {name: memory, kind: add}\nwarm_up: {required: true}\n");
    const struct px_model *before = find("");
    atomic_store(&memory_provider_fail_with, PX_E_INTERNAL);
    CHECK_INT(load(), PX_E_INTERNAL);
    CHECK_CONTAINS(answer.message, "warm_up");
    CHECK(find("") == before);
    atomic_store(&memory_provider_fail_with, PX_E_INVALID); /* zeros need be no request */
    CHECK_OK(load());
    tear_down();
}

PX_TEST(inputs_that_the_new_version_does_not_take_are_failures)
{
    set_up_sums(sums);
    ask_all("");
    put("1", "model.yaml",
        "phoenix: 1\nname: m\nengine: {name: memory, kind: echo}\n"
        "warm_up: {runs: 0, recorded: true, required: true}\n");
    CHECK_INT(load(), PX_E_INVALID);
    CHECK_CONTAINS(answer.message, "'x'");
    CHECK_INT(n_failed(), CALLS);
    tear_down();
}

/* On this thread: the loops have stopped, and nothing waits for them. */
PX_TEST(a_load_without_memory_leaves_the_version_before_it)
{
    uint64_t n_last = 1;
    set_up_trees();
    ask_all("");
    manual_loops_stop(&loops, 0);
    px_repository_of(serving)->patience_ns = PX_NS_PER_MS; /* loops that have stopped never pass */
    for (uint64_t n = 0; n <= n_last; n++) {
        struct px_repository_request *request = px_repository_request_create(PX_REPOSITORY_LOAD);
        request->name = (struct px_str)PX_STR("m");
        request->serving = serving;
        uint64_t before = px_alloc_count();
        px_alloc_fail_at(n);
        px_repository_load(px_repository_of(serving), request);
        px_alloc_fail_at(0);
        n_last = n ? n_last : px_alloc_count() - before;
        CHECK(find("") && find("")->recorder);
    }
    CHECK(n_warmed() > CALLS);
    tear_down();
}

PX_TEST_MAIN(
    T(a_version_that_is_replaced_hands_its_requests_on_before_the_first)
        T(a_new_version_computes_what_the_highest_has_answered)
            T(a_version_that_is_loaded_on_demand_computes_them_too)
                T(a_model_that_does_not_ask_for_it_records_nothing)
                    T(a_version_with_other_features_does_not_replace_when_it_must_not)
                        T(without_that_it_serves_and_records_anew)
                            T(golden_rows_are_compared_before_anything_is_warmed)
                                T(tensors_are_computed_by_the_engine_that_comes) T(
                                    an_engine_that_fails_on_them_does_not_replace_when_it_must_not)
                                    T(an_engine_that_fails_on_them_is_told_when_it_may_replace)
                                        T(a_first_run_that_fails_fails_the_load_when_it_must_not) T(
                                            inputs_that_the_new_version_does_not_take_are_failures)
                                            T(a_load_without_memory_leaves_the_version_before_it))
