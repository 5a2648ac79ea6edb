/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract of the trainer port, run against every adapter: memory, the fault decorator with an
 * empty plan, and libxgboost (passed over, and said so, where the library is missing).
 */
#include "harness.h"
#include "memory_trainer.h"

#include "domain/forest/forest.h"
#include "infrastructure/training/xgboost.h"
#include "shared/alloc.h"
#include "shared/rng.h"

#include <signal.h>
#include <unistd.h>

enum { N_ROWS = 600, N_VALID = 200, N_COLS = 3, N_COLOURS = 4 };

static const struct px_str colours[N_COLOURS] = {PX_STR("blue"), PX_STR("green"), PX_STR("red"),
                                                 PX_STR("white")};
static struct px_feature features[N_COLS] = {
    {.name = PX_STR("size"), .kind = PX_FEATURE_NUMBER, .other = -1},
    {.name = PX_STR("colour of it"),
     .kind = PX_FEATURE_CATEGORY,
     .categories = colours,
     .n_categories = N_COLOURS,
     .other = -1},
    {.name = PX_STR("old"), .kind = PX_FEATURE_BOOLEAN, .other = -1},
};

static float rows[N_ROWS + N_VALID][N_COLS];
static float labels[N_ROWS + N_VALID];

struct suite {
    const char *name;
    struct px_trainer *trainer;
    bool learns; /* its model is better than a constant */
};

static struct suite current;

struct watcher {
    int calls, last_round, cancel_at;
    double first, last;
};

static bool watch(void *context, const struct px_train_progress *progress)
{
    struct watcher *w = context;
    CHECK(progress->round >= w->last_round && progress->round <= progress->rounds_max);
    CHECK(progress->metric_name != NULL);
    if (progress->round == 1 && w->last_round == 0)
        w->first = progress->valid_metric;
    w->last = progress->valid_metric;
    w->last_round = progress->round;
    w->calls++;
    return w->cancel_at == 0 || progress->round < w->cancel_at;
}

/* A label that needs the interaction of a number and a category; some values are missing. */
static void fill(enum px_task task)
{
    struct px_rng rng = px_rng(7);
    for (size_t i = 0; i < N_ROWS + N_VALID; i++) {
        double size = px_rng_unit(&rng);
        uint64_t colour = px_rng_below(&rng, N_COLOURS);
        bool hit = (size > 0.5) != (colour == 2);
        rows[i][0] = (float)size;
        rows[i][1] = i % 11 == 0 ? NAN : (float)colour;
        rows[i][2] = (float)px_rng_below(&rng, 2);
        labels[i] = task == PX_TASK_BINARY       ? (float)hit
                    : task == PX_TASK_MULTICLASS ? (float)((size_t)hit + (colour == 1))
                                                 : (float)(size * 3 + (double)colour);
    }
}

static struct px_training_set part(size_t from, size_t n)
{
    return (struct px_training_set){.rows = {PX_TYPE_FP32, rows[from], n, N_COLS, N_COLS},
                                    .labels = labels + from};
}

static struct px_signature signature = {.features = features, .n_features = N_COLS, .named = true};

static struct px_train_job job_of(enum px_task task)
{
    fill(task);
    return (struct px_train_job){
        .signature = &signature,
        .train = part(0, N_ROWS),
        .valid = part(N_ROWS, N_VALID),
        .params = {.task = task,
                   .n_classes = 3,
                   .rounds_max = 30,
                   .early_stopping_rounds = 5,
                   .depth_max = 4,
                   .learning_rate = 0.3,
                   .subsample = 1,
                   .colsample = 1,
                   .seed = 1,
                   .n_threads = 1,
                   .memory_max_bytes = (size_t)4 << 30,
                   .cpu_seconds_max = 120},
    };
}

/* The scores of the validation rows by our own engine, [N_VALID, n_outputs]. */
static float *score(struct px_str model, size_t *ret_outputs)
{
    struct px_err err;
    struct px_forest *forest = NULL;
    CHECK_OK(px_forest_create(model, NULL, &forest, &err));
    const struct px_forest_info *info = px_forest_info(forest);
    CHECK_INT(info->n_features, N_COLS);
    CHECK_STR(info->feature_names[1], "colour of it");
    struct px_matrix valid = part(N_ROWS, N_VALID).rows;
    float *out = px_xalloc(N_VALID * info->n_outputs, sizeof *out);
    size_t size = px_forest_scratch_size(forest, N_VALID);
    void *scratch = px_alloc_aligned(64, size + 1, 1);
    px_forest_predict(forest, &valid, out, scratch, 0);
    *ret_outputs = info->n_outputs;
    px_free(scratch);
    px_forest_destroy(forest);
    return out;
}

static size_t best_output(const float *scores, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = scores[i] > scores[best] ? i : best;
    return best;
}

PX_TEST(is_ready)
{
    struct px_err err;
    CHECK_OK(px_trainer_ready(current.trainer, &err));
}

PX_TEST(trains_a_binary_model)
{
    struct px_train_job job = job_of(PX_TASK_BINARY);
    struct px_train_result result;
    struct px_err err = {0};
    CHECK_OK(px_trainer_train(current.trainer, &job, &result, &err));
    CHECK(result.rounds >= 1 && result.rounds <= 30 && result.best_round < result.rounds);
    size_t n_outputs, right = 0;
    float *scores = score(px_buf_view(&result.model), &n_outputs);
    CHECK_INT(n_outputs, 1);
    for (size_t i = 0; i < N_VALID; i++)
        right += (scores[i] > 0.5F) == (labels[N_ROWS + i] > 0.5F);
    CHECK(!current.learns || right > N_VALID * 9 / 10);
    px_free(scores);
    px_buf_deinit(&result.model);
}

PX_TEST(trains_a_multiclass_model)
{
    struct px_train_job job = job_of(PX_TASK_MULTICLASS);
    struct px_train_result result;
    struct px_err err;
    CHECK_OK(px_trainer_train(current.trainer, &job, &result, &err));
    size_t n_outputs, right = 0;
    float *scores = score(px_buf_view(&result.model), &n_outputs);
    CHECK_INT(n_outputs, 3);
    for (size_t i = 0; i < N_VALID; i++)
        right += best_output(scores + i * 3, 3) == (size_t)labels[N_ROWS + i];
    CHECK(!current.learns || right > N_VALID * 85 / 100);
    px_free(scores);
    px_buf_deinit(&result.model);
}

PX_TEST(trains_a_regression_model)
{
    struct px_train_job job = job_of(PX_TASK_REGRESSION);
    struct px_train_result result;
    struct px_err err;
    job.params.early_stopping_rounds = 0;
    CHECK_OK(px_trainer_train(current.trainer, &job, &result, &err));
    CHECK_INT(result.rounds, 30);
    size_t n_outputs;
    double squares = 0;
    float *scores = score(px_buf_view(&result.model), &n_outputs);
    for (size_t i = 0; i < N_VALID; i++) {
        double error = (double)scores[i] - (double)labels[N_ROWS + i];
        squares += error * error;
    }
    CHECK(!current.learns || sqrt(squares / N_VALID) < 0.5);
    px_free(scores);
    px_buf_deinit(&result.model);
}

PX_TEST(trains_without_a_validation_set)
{
    struct px_train_job job = job_of(PX_TASK_BINARY);
    struct px_train_result result;
    struct px_err err;
    job.valid.rows.n_rows = 0;
    job.params.rounds_max = 3;
    CHECK_OK(px_trainer_train(current.trainer, &job, &result, &err));
    CHECK_INT(result.rounds, 3);
    px_buf_deinit(&result.model);
}

PX_TEST(gives_the_same_model_for_the_same_job)
{
    struct px_train_job job = job_of(PX_TASK_BINARY);
    struct px_train_result one, two;
    struct px_err err;
    job.params.subsample = 0.7;
    CHECK_OK(px_trainer_train(current.trainer, &job, &one, &err));
    CHECK_OK(px_trainer_train(current.trainer, &job, &two, &err));
    CHECK(px_str_eq(px_buf_view(&one.model), px_buf_view(&two.model)));
    px_buf_deinit(&one.model);
    px_buf_deinit(&two.model);
}

PX_TEST(reports_every_round)
{
    struct watcher watcher = {0};
    struct px_train_job job = job_of(PX_TASK_BINARY);
    struct px_train_result result;
    struct px_err err;
    job.progress = watch;
    job.progress_context = &watcher;
    job.params.rounds_max = 8;
    job.params.early_stopping_rounds = 0;
    CHECK_OK(px_trainer_train(current.trainer, &job, &result, &err));
    CHECK(watcher.calls >= 8);
    CHECK_INT(watcher.last_round, 8);
    CHECK(watcher.last < watcher.first);
    px_buf_deinit(&result.model);
}

PX_TEST(is_cancelled_by_progress)
{
    struct watcher watcher = {.cancel_at = 3};
    struct px_train_job job = job_of(PX_TASK_BINARY);
    struct px_train_result result;
    struct px_err err;
    job.progress = watch;
    job.progress_context = &watcher;
    job.params.rounds_max = 100000;
    job.params.early_stopping_rounds = 0;
    CHECK_INT(px_trainer_train(current.trainer, &job, &result, &err), PX_E_CANCELLED);
    CHECK_CONTAINS(err.message, "cancelled");
    CHECK_INT(watcher.last_round, 3);
}

PX_TEST(refuses_what_it_cannot_train)
{
    struct px_train_job job = job_of(PX_TASK_REGRESSION);
    struct px_train_result result;
    struct px_err err;
    job.params.task = PX_TASK_RANKING;
    CHECK_INT(px_trainer_train(current.trainer, &job, &result, &err), PX_E_UNSUPPORTED);
    job.params.task = PX_TASK_REGRESSION;
    job.train.rows.n_rows = 0;
    CHECK_INT(px_trainer_train(current.trainer, &job, &result, &err), PX_E_INVALID);
}

static const struct px_test contract[] = {
    T(is_ready) T(trains_a_binary_model) T(trains_a_multiclass_model) T(trains_a_regression_model)
        T(trains_without_a_validation_set) T(gives_the_same_model_for_the_same_job)
            T(reports_every_round) T(is_cancelled_by_progress) T(refuses_what_it_cannot_train)};

/* What is particular to one adapter. */

PX_TEST(fault_fails_as_scripted)
{
    struct fault_plan plan = {.ready = PX_E_UNAVAILABLE, .train = PX_E_NO_MEMORY, .at_round = 4};
    struct fault_trainer storage;
    struct px_trainer *trainer = fault_trainer_create(&storage, memory_trainer_create(), &plan);
    struct watcher watcher = {0};
    struct px_train_job job = job_of(PX_TASK_BINARY);
    struct px_train_result result;
    struct px_err err;
    job.progress = watch;
    job.progress_context = &watcher;
    CHECK_INT(px_trainer_ready(trainer, &err), PX_E_UNAVAILABLE);
    CHECK_INT(px_trainer_train(trainer, &job, &result, &err), PX_E_NO_MEMORY);
    CHECK_INT(watcher.last_round, 3);
    px_trainer_destroy(trainer);
}

PX_TEST(xgboost_says_what_to_install)
{
    struct px_trainer *trainer;
    struct px_err err;
    const char *before = getenv(PX_XGBOOST_LIBRARY_VARIABLE);
    setenv(PX_XGBOOST_LIBRARY_VARIABLE, "/nonexistent/libxgboost.so", 1);
    CHECK_OK(px_xgboost_trainer_create(&trainer, &err));
    CHECK_INT(px_trainer_ready(trainer, &err), PX_E_UNAVAILABLE);
    CHECK_CONTAINS(err.message, "/nonexistent/libxgboost.so");
    CHECK_CONTAINS(err.hint, PX_XGBOOST_LIBRARY_VARIABLE);
    px_trainer_destroy(trainer);
    if (before)
        setenv(PX_XGBOOST_LIBRARY_VARIABLE, before, 1);
    else
        unsetenv(PX_XGBOOST_LIBRARY_VARIABLE);
}

PX_TEST(xgboost_cuts_the_model_to_its_best_round)
{
    struct px_train_job job = job_of(PX_TASK_BINARY);
    struct px_train_result result;
    struct px_forest *forest;
    struct px_err err;
    for (size_t i = 0; i < N_ROWS; i += 5) /* noise that a deep model will learn by heart */
        labels[i] = 1 - labels[i];
    job.params.rounds_max = 200;
    job.params.depth_max = 8;
    CHECK_OK(px_trainer_train(current.trainer, &job, &result, &err));
    CHECK_INT(result.rounds, result.best_round + 1 + 5);
    CHECK_OK(px_forest_create(px_buf_view(&result.model), NULL, &forest, &err));
    CHECK_INT(px_forest_info(forest)->n_rounds, result.best_round + 1);
    CHECK_INT(px_forest_info(forest)->best_round, result.best_round);
    CHECK(px_forest_info(forest)->categorical[1]);
    px_forest_destroy(forest);
    px_buf_deinit(&result.model);
}

PX_TEST(xgboost_honours_the_cpu_limit)
{
    struct px_train_job job = job_of(PX_TASK_BINARY);
    struct px_train_result result;
    struct px_err err;
    job.params.rounds_max = 100000000;
    job.params.early_stopping_rounds = 0;
    job.params.cpu_seconds_max = 1;
    CHECK_INT(px_trainer_train(current.trainer, &job, &result, &err), PX_E_DEADLINE);
    CHECK_CONTAINS(err.message, "more than its 1 s of CPU time");
}

PX_TEST(xgboost_survives_a_training_process_that_has_too_little_memory)
{
    struct px_train_job job = job_of(PX_TASK_BINARY);
    struct px_train_result result = {0};
    struct px_err err = {0};
    job.params.memory_max_bytes = (size_t)16 << 20;
    enum px_code code = px_trainer_train(current.trainer, &job, &result, &err);
    px_buf_deinit(&result.model); /* a sanitizer build has no limit, so training succeeds */
    if (code != PX_OK)
        CHECK_CONTAINS(err.hint, "--memory-mb");
}

/* The child is found by its parent, this process, while the first round is awaited. */
static bool kill_child(void *context, const struct px_train_progress *progress)
{
    char path[64], pids[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)gettid());
    FILE *file = fopen(path, "r");
    if (!file)
        return true;
    size_t n = fread(pids, 1, sizeof pids - 1, file);
    fclose(file);
    pids[n] = '\0';
    int *killed = context;
    if (progress->round >= 1 && !*killed)
        *killed = kill((pid_t)strtol(pids, NULL, 10), SIGKILL) == 0;
    return true;
}

PX_TEST(xgboost_reports_a_training_process_that_was_killed)
{
    int killed = 0;
    struct px_train_job job = job_of(PX_TASK_BINARY);
    struct px_train_result result;
    struct px_err err;
    job.progress = kill_child;
    job.progress_context = &killed;
    job.params.rounds_max = 100000;
    job.params.early_stopping_rounds = 0;
    CHECK_INT(px_trainer_train(current.trainer, &job, &result, &err), PX_E_INTERNAL);
    CHECK(killed);
    CHECK_CONTAINS(err.message, "killed by signal 9");
    CHECK_CONTAINS(err.hint, "--memory-mb");
}

PX_TEST(xgboost_passes_on_what_the_library_refuses)
{
    struct px_train_job job = job_of(PX_TASK_BINARY);
    struct px_train_result result;
    struct px_err err;
    rows[3][0] = INFINITY;
    CHECK_INT(px_trainer_train(current.trainer, &job, &result, &err), PX_E_INTERNAL);
    CHECK_CONTAINS(err.message, "inf");
    CHECK(!strchr(err.message, '\n'));
}

static const struct px_test fault_only[] = {T(fault_fails_as_scripted)};
static const struct px_test xgboost_only[] = {
    T(xgboost_says_what_to_install) T(xgboost_cuts_the_model_to_its_best_round)
        T(xgboost_honours_the_cpu_limit)
            T(xgboost_survives_a_training_process_that_has_too_little_memory)
                T(xgboost_reports_a_training_process_that_was_killed)
                    T(xgboost_passes_on_what_the_library_refuses)};

static int run(struct suite suite, const struct px_test *tests, size_t n, const char *only)
{
    printf("-- %s\n", suite.name);
    current = suite;
    return px_test_run_all(tests, n, only);
}

int main(int argc, char **argv)
{
    if (px_xgboost_is_worker(argc, argv))
        return px_xgboost_worker_main();
    const char *only = argc > 1 ? argv[1] : NULL;
    static const struct fault_plan no_fault = {0};
    struct fault_trainer fault;
    struct px_trainer *xgboost;
    struct px_err err;
    int failed = px_signature_finish(&signature, &err) != PX_OK;
    struct suite memory = {"memory", memory_trainer_create(), false};
    struct suite faulty = {"fault", fault_trainer_create(&fault, memory.trainer, &no_fault), false};
    failed |= run(memory, contract, PX_ARRAY_LEN(contract), only);
    failed |= run(faulty, contract, PX_ARRAY_LEN(contract), only);
    failed |= run(faulty, fault_only, PX_ARRAY_LEN(fault_only), only);
    if (px_xgboost_trainer_create(&xgboost, &err) != PX_OK)
        return 1;
    struct suite real = {"xgboost", xgboost, true};
    if (px_trainer_ready(xgboost, &err) == PX_E_UNAVAILABLE) {
        printf("-- xgboost: passed over: %s\n", err.message);
    } else {
        failed |= run(real, contract, PX_ARRAY_LEN(contract), only);
        failed |= run(real, xgboost_only, PX_ARRAY_LEN(xgboost_only), only);
    }
    px_trainer_destroy(xgboost);
    px_signature_deinit(&signature);
    return failed;
}
