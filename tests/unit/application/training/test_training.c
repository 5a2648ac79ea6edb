/* SPDX-License-Identifier: Apache-2.0 */
/* The use case with the memory trainer, whose model is the mean: what is tested is everything around it. */
#include "application/lifecycle/package.h"
#include "application/training/training.h"

#include "harness.h"
#include "memory_trainer.h"

#include "shared/alloc.h"
#include "shared/file.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], data_path[128], out_path[128];

static void open_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/phoenix-training-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(data_path, sizeof data_path, "%s/people.csv", folder);
    snprintf(out_path, sizeof out_path, "%s/out", folder);
}

static void close_folder(void)
{
    static const char *const files[] = {"out/model.json",
                                        "out/model.yaml",
                                        "out/golden.csv",
                                        "out/reference.csv",
                                        "out",
                                        "people.csv",
                                        ""};
    for (size_t i = 0; i < PX_ARRAY_LEN(files); i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        (void)remove(path);
    }
}

static void write_data(int n, const char *target_of_odd, const char *target_of_even)
{
    struct px_buf csv = px_buf(1 << 22);
    px_buf_text(&csv, "id,age,job,member,y\n");
    for (int i = 0; i < n; i++) {
        char age[16];
        snprintf(age, sizeof age, "%d", 20 + i / 2 % 50);
        px_buf_printf(&csv, "%d,%s,%s,%s,%s\n", i, i % 10 == 3 ? "NA" : age,
                      i % 3 ? "cook" : "nurse", i % 2 ? "yes" : "no",
                      i % 2 ? target_of_odd : target_of_even);
    }
    CHECK_OK(px_file_write(data_path, px_buf_view(&csv), NULL));
    px_buf_deinit(&csv);
}

static struct px_training_options options_of(const char *target)
{
    return (struct px_training_options){
        .data = data_path,
        .out = out_path,
        .target = px_str(target),
        .split = {.valid_fraction = 0.1, .test_fraction = 0.2, .seed = 1},
        .params = {.rounds_max = 5,
                   .depth_max = 3,
                   .learning_rate = 0.1,
                   .subsample = 1,
                   .colsample = 1,
                   .n_threads = 1},
        .memory_auto = true,
    };
}

static enum px_code run(const struct px_training_options *options, struct px_training_report **ret,
                        struct px_err *err)
{
    return px_training_run(options, memory_trainer_create(), NULL, ret, err);
}

static void check_fails(const struct px_training_options *options, enum px_code want,
                        const char *message)
{
    struct px_training_report *report;
    struct px_err err;
    CHECK_INT(run(options, &report, &err), want);
    CHECK_CONTAINS(err.message, message);
}

PX_TEST(writes_a_package)
{
    open_folder();
    write_data(400, "b", "a");
    struct px_training_options options = options_of("y");
    struct px_training_report *report;
    struct px_package *package;
    struct px_err err = {0};
    CHECK_OK(run(&options, &report, &err));
    CHECK_STR(report->name, "people");
    CHECK_INT(report->n_features, 3);
    CHECK_INT(report->columns[0].role, PX_COLUMN_LEFT_OUT);
    CHECK_INT(report->columns[1].n_missing, 40);
    CHECK_INT(report->columns[1].kind, PX_FEATURE_NUMBER);
    CHECK_INT(report->n_part[PX_PART_TRAIN], 280);
    CHECK_INT(report->n_part[PX_PART_VALID], 40);
    CHECK_INT(report->n_part[PX_PART_TEST], 80);
    CHECK_STR(report->labels[1], "b");
    CHECK_DOUBLE(report->binary.auc, 0.5); /* a constant ranks nothing */
    CHECK_NEAR(report->binary.logloss, 0.6931, 0.001);
    CHECK(report->params.memory_max_bytes > 0);
    CHECK_INT(report->n_golden, 50);
    CHECK_INT(report->n_reference, 280);
    CHECK_OK(px_package_open(out_path, NULL, &package, &err));
    CHECK_STR(package->target, "y");
    CHECK_INT(package->signature.n_features, 3);
    px_package_close(package);
    px_training_report_destroy(report);
    close_folder();
}

PX_TEST(trains_every_task)
{
    open_folder();
    write_data(300, "2.5", "1");
    struct px_training_options options = options_of("y");
    struct px_training_report *report;
    struct px_err err = {0};
    options.target_options.task = PX_TASK_REGRESSION;
    CHECK_OK(run(&options, &report, &err));
    CHECK_NEAR(report->regression.rmse, 0.75, 0.01);
    CHECK(report->n_labels == 0);
    px_training_report_destroy(report);

    options.target_options.task = PX_TASK_MULTICLASS;
    CHECK_OK(run(&options, &report, &err));
    CHECK_STR(report->labels[1], "2.5");
    CHECK_NEAR(report->multiclass.accuracy, 0.5, 0.1);
    px_training_report_destroy(report);

    options = options_of("y");
    options.split.test_fraction = 0;
    options.split.valid_fraction = 0;
    CHECK_OK(run(&options, &report, &err));
    CHECK_INT(report->n_part[PX_PART_TRAIN], 300);
    CHECK_INT(report->n_golden, 50);
    px_training_report_destroy(report);
    close_folder();
}

PX_TEST(splits_by_time)
{
    open_folder();
    write_data(300, "b", "a");
    struct px_training_options options = options_of("y");
    struct px_training_report *report;
    struct px_err err = {0};
    options.split_by_time = true;
    options.time_column = px_str("id");
    CHECK_OK(run(&options, &report, &err));
    CHECK_INT(report->columns[0].role, PX_COLUMN_TIME);
    CHECK_INT(report->n_part[PX_PART_TEST], 60);
    px_training_report_destroy(report);
    options.time_column = px_str("job");
    check_fails(&options, PX_E_INVALID, "neither numbers nor ISO 8601");
    options.split_by_time = false;
    check_fails(&options, PX_E_INVALID, "needs the split by time");
    options.split_by_time = true;
    options.time_column = px_str("id");
    options.drop = &options.time_column;
    options.n_drop = 1;
    check_fails(&options, PX_E_INVALID, "--drop names the time column 'id'");
    close_folder();
}

PX_TEST(warns_about_leakage_and_missing_targets)
{
    open_folder();
    write_data(300, "b", "a");
    struct px_training_options options = options_of("y");
    struct px_training_report *report;
    struct px_err err = {0};
    CHECK_OK(run(&options, &report, &err)); /* 'member' is the target in other words */
    CHECK_INT(report->n_warnings, 1);
    CHECK_CONTAINS(report->warnings[0].ptr, "'member' alone predicts");
    px_training_report_destroy(report);

    const struct px_str drop[] = {PX_STR("member")};
    options.drop = drop;
    options.n_drop = 1;
    CHECK_OK(run(&options, &report, &err));
    CHECK_INT(report->n_warnings, 0);
    CHECK_INT(report->n_features, 2);
    px_training_report_destroy(report);

    write_data(300, "b", "");
    check_fails(&options, PX_E_INVALID, "one value only");
    close_folder();
}

static void write_times(const char *of_day)
{
    struct px_buf csv = px_buf(1 << 20);
    px_buf_text(&csv, "since,y\n");
    for (int i = 0; i < 200; i++) {
        char time[64];
        snprintf(time, sizeof time, "2026-03-%02d%s", 1 + i % 28, of_day);
        px_buf_printf(&csv, "%s,%s\n", time, i % 3 ? "a" : "b");
    }
    CHECK_OK(px_file_write(data_path, px_buf_view(&csv), NULL));
    px_buf_deinit(&csv);
}

PX_TEST(warns_about_times_that_are_rounded)
{
    open_folder();
    write_times("");
    struct px_training_options options = options_of("y");
    struct px_training_report *report;
    CHECK_OK(run(&options, &report, NULL));
    CHECK_INT(report->columns[0].kind, PX_FEATURE_DATETIME);
    CHECK_INT(report->n_warnings, 0); /* days are multiples of 128 seconds */
    px_training_report_destroy(report);
    write_times("T10:00:01");
    CHECK_OK(run(&options, &report, NULL));
    CHECK_INT(report->n_warnings, 1);
    CHECK_CONTAINS(report->warnings[0].ptr, "'since': the model sees 200 times rounded to 128 s");
    px_training_report_destroy(report);
    close_folder();
}

PX_TEST(refuses_what_cannot_work)
{
    open_folder();
    write_data(300, "b", "a");
    struct px_training_options options = options_of("z");
    check_fails(&options, PX_E_INVALID, "no target column 'z'");
    options = options_of("y");
    options.params.rounds_max = 0;
    check_fails(&options, PX_E_INVALID, "rounds must be");
    options = options_of("y");
    options.params.depth_max = 31;
    check_fails(&options, PX_E_INVALID, "depth must be");
    options = options_of("y");
    options.params.learning_rate = 0;
    check_fails(&options, PX_E_INVALID, "learning rate must be");
    options = options_of("y");
    options.params.subsample = 1.5;
    check_fails(&options, PX_E_INVALID, "shares of rows");
    options = options_of("y");
    options.split.valid_fraction = 0.8;
    check_fails(&options, PX_E_INVALID, "together at most 0.9");
    write_data(20, "b", "a");
    options = options_of("y");
    check_fails(&options, PX_E_INVALID, "20 rows are too few");
    options.data = "/nonexistent.csv";
    check_fails(&options, PX_E_NOT_FOUND, "/nonexistent.csv");
    CHECK_INT(px_file_kind(out_path), PX_FILE_ABSENT);
    close_folder();
}

PX_TEST(any_file_name_gives_a_valid_model_name)
{
    static const char *const files[] = {"\xc3\xbcung.csv", "-x.csv", "my model.csv", ".csv"};
    static const char *const names[] = {"_ung", "_x", "my_model", "_csv"};
    open_folder();
    write_data(100, "b", "a");
    struct px_training_options options = options_of("y");
    struct px_training_report *report;
    struct px_err err = {0};
    for (size_t i = 0; i < PX_ARRAY_LEN(files); i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        CHECK_INT(rename(data_path, path), 0);
        options.data = path;
        CHECK_OK(run(&options, &report, &err));
        CHECK_STR(report->name, names[i]);
        px_training_report_destroy(report);
        CHECK_INT(rename(path, data_path), 0);
    }
    options = options_of("y");
    options.name = px_str("-x");
    check_fails(&options, PX_E_INVALID, "the name must be");
    close_folder();
}

/* 400 rows of two numbers and a class of three under the given names. */
static void write_named(const char *names)
{
    struct px_buf csv = px_buf(1 << 20);
    px_buf_printf(&csv, "%s\n", names);
    for (int i = 0; i < 400; i++)
        px_buf_printf(&csv, "%d.5,%d,%c\n", i % 37, i % 11, "abc"[i % 3]);
    CHECK_OK(px_file_write(data_path, px_buf_view(&csv), NULL));
    px_buf_deinit(&csv);
}

static void check_golden_scores(const char *target, const char *want)
{
    struct px_training_options options = options_of(target);
    struct px_training_report *report;
    struct px_package *package;
    struct px_err err = {0};
    CHECK_OK(run(&options, &report, &err));
    CHECK_INT(report->n_golden, 50);
    px_training_report_destroy(report);
    CHECK_OK(px_package_open(out_path, NULL, &package, &err));
    CHECK_STR(package->golden_scores, want);
    px_package_close(package);
}

PX_TEST(features_and_targets_may_be_named_like_scores)
{
    open_folder();
    write_named("a,b,y");
    check_golden_scores("y", "");
    write_named("score,b,y"); /* the scores of three classes are score_a, score_b and score_c */
    check_golden_scores("y", "");
    check_golden_scores("score", "expected_");
    write_named("a,score,y");
    check_golden_scores("a", "expected_");
    write_named("score_a,expected_score_b,y");
    check_golden_scores("y", "expected_2_");
    close_folder();
}

static bool cancel_at(void *context, const struct px_training_progress *progress)
{
    return progress->stage != *(const enum px_training_stage *)context;
}

PX_TEST(can_be_cancelled_in_every_stage)
{
    open_folder();
    write_data(20000, "b", "a");
    struct px_training_options options = options_of("y");
    for (int stage = PX_TRAINING_PROFILE; stage <= PX_TRAINING_WRITE; stage++) {
        enum px_training_stage at = (enum px_training_stage)stage;
        const struct px_training_observer observer = {cancel_at, &at};
        struct px_training_report *report;
        struct px_err err;
        CHECK_INT(px_training_run(&options, memory_trainer_create(), &observer, &report, &err),
                  PX_E_CANCELLED);
        CHECK_INT(px_file_kind(out_path), PX_FILE_ABSENT);
    }
    close_folder();
}

/* Changes the data file in place when a stage begins. */
struct change {
    enum px_training_stage stage;
    bool shrink, done;
};

static bool change_data(void *context, const struct px_training_progress *progress)
{
    struct change *change = context;
    if (progress->stage != change->stage || change->done)
        return true;
    change->done = true;
    FILE *file = fopen(data_path, "a");
    CHECK(file != NULL);
    for (int i = 0; i < 2000 && !change->shrink; i++)
        fprintf(file, "%d,1,cook,yes,a\n", i);
    fclose(file);
    CHECK_INT(change->shrink ? truncate(data_path, 4096) : 0, 0);
    return true;
}

PX_TEST(a_data_file_that_changes_meanwhile_is_a_conflict)
{
    open_folder();
    struct px_training_options options = options_of("y");
    for (int i = 0; i < 8; i++) {
        struct change change = {.stage = (enum px_training_stage)(PX_TRAINING_PROFILE + i / 2),
                                .shrink = i % 2};
        const struct px_training_observer observer = {change_data, &change};
        struct px_training_report *report;
        struct px_err err;
        write_data(30000, "b",
                   "a"); /* more than one chunk, so that there is something to cut off */
        CHECK_INT(px_training_run(&options, memory_trainer_create(), &observer, &report, &err),
                  PX_E_CONFLICT);
        CHECK_CONTAINS(err.message, "changed while it was read");
        CHECK_INT(px_file_kind(out_path), PX_FILE_ABSENT);
    }
    close_folder();
}

static size_t count_entries(const char *path)
{
    size_t n = 0;
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2; /* "." and ".." */
}

static uint64_t hash_of_package(void)
{
    struct px_package *package;
    CHECK_OK(px_package_open(out_path, NULL, &package, NULL));
    uint64_t hash = package->model_hash;
    px_package_close(package);
    return hash;
}

static bool fail_at_write(void *context, const struct px_training_progress *progress)
{
    (void)context;
    return progress->stage != PX_TRAINING_WRITE;
}

PX_TEST(a_failing_run_leaves_the_old_package)
{
    open_folder();
    write_data(30000, "b", "a");
    struct px_training_options options = options_of("y");
    const struct px_training_observer cancels = {fail_at_write, NULL};
    struct px_training_report *report;
    struct px_err err;
    CHECK_OK(run(&options, &report, &err));
    px_training_report_destroy(report);
    uint64_t before = hash_of_package();
    CHECK_INT(px_training_run(&options, memory_trainer_create(), &cancels, &report, &err),
              PX_E_CANCELLED);
    CHECK(hash_of_package() == before);
    CHECK_INT(count_entries(folder), 2); /* nothing beside the data and the package */
    close_folder();
}

static bool die_at_write(void *context, const struct px_training_progress *progress)
{
    (void)context;
    if (progress->stage == PX_TRAINING_WRITE)
        raise(SIGKILL);
    return true;
}

PX_TEST(a_killed_run_leaves_the_old_package)
{
    open_folder();
    write_data(300, "b", "a");
    struct px_training_options options = options_of("y");
    const struct px_training_observer dies = {die_at_write, NULL};
    struct px_training_report *report;
    CHECK_OK(run(&options, &report, NULL));
    px_training_report_destroy(report);
    uint64_t before = hash_of_package();
    write_data(301, "b", "a");
    pid_t child = fork();
    if (child == 0)
        _exit(px_training_run(&options, memory_trainer_create(), &dies, &report, NULL) == PX_OK);
    int status;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK(hash_of_package() == before);
    char left[200]; /* hidden from a server that lists the folder; here it is removed by hand */
    snprintf(left, sizeof left, "%s/.out.tmp-%ld-0", folder, (long)child);
    CHECK_INT(rmdir(left), 0);
    close_folder();
}

PX_TEST(a_new_run_replaces_the_package_and_keeps_other_files)
{
    char notes[160];
    open_folder();
    write_data(300, "b", "a");
    struct px_training_options options = options_of("y");
    struct px_training_report *report;
    CHECK_OK(run(&options, &report, NULL));
    px_training_report_destroy(report);
    uint64_t before = hash_of_package();
    snprintf(notes, sizeof notes, "%s/notes.txt", out_path);
    CHECK_OK(px_file_write(notes, px_str("mine"), NULL));
    write_data(301, "b", "a"); /* another mean: another model */
    CHECK_OK(run(&options, &report, NULL));
    px_training_report_destroy(report);
    CHECK(hash_of_package() != before);
    CHECK_INT(px_file_kind(notes), PX_FILE_REGULAR);
    CHECK_INT(count_entries(out_path), 5);
    CHECK_INT(count_entries(folder), 2);
    CHECK_INT(unlink(notes), 0);
    close_folder();
}

PX_TEST(the_working_folder_and_a_link_can_be_the_package)
{
    char link[160], before[1024];
    open_folder();
    write_data(300, "b", "a");
    struct px_training_options options = options_of("y");
    struct px_training_report *report;
    CHECK(getcwd(before, sizeof before) != NULL);
    CHECK_INT(mkdir(out_path, 0750), 0);
    CHECK_INT(chdir(out_path), 0);
    options.out = ".";
    for (int i = 0; i < 2; i++) { /* into an empty folder, then over a package */
        CHECK_OK(run(&options, &report, NULL));
        px_training_report_destroy(report);
        CHECK_INT(px_file_kind("model.yaml"), PX_FILE_REGULAR);
        CHECK_INT(count_entries("."), 4);
    }
    CHECK_INT(chdir(before), 0);
    snprintf(link, sizeof link, "%s/link", folder);
    CHECK_INT(symlink("out", link), 0);
    options.out = link;
    CHECK_OK(run(&options, &report, NULL));
    px_training_report_destroy(report);
    struct stat info;
    CHECK_INT(lstat(link, &info), 0);
    CHECK(S_ISLNK(info.st_mode));
    CHECK_INT(stat(out_path, &info), 0);
    CHECK_INT(info.st_mode & 0777, 0750);
    CHECK_INT(count_entries(folder), 3);
    CHECK_INT(unlink(link), 0);
    close_folder();
}

PX_TEST(passes_on_what_the_trainer_says)
{
    open_folder();
    write_data(300, "b", "a");
    struct px_training_options options = options_of("y");
    struct fault_plan plan = {.ready = PX_E_UNAVAILABLE};
    struct fault_trainer storage;
    struct px_trainer *trainer = fault_trainer_create(&storage, memory_trainer_create(), &plan);
    struct px_training_report *report;
    struct px_err err;
    CHECK_INT(px_training_run(&options, trainer, NULL, &report, &err), PX_E_UNAVAILABLE);
    for (int round = 0; round <= 5; round++) {
        plan = (struct fault_plan){.train = PX_E_NO_MEMORY, .at_round = round};
        CHECK_INT(px_training_run(&options, trainer, NULL, &report, &err), PX_E_NO_MEMORY);
        CHECK_CONTAINS(err.message, "scripted");
    }
    CHECK_INT(px_file_kind(out_path), PX_FILE_ABSENT);
    close_folder();
}

/* Fails the n-th allocation for growing n: an error each time, never a crash or a lost package. */
PX_TEST(survives_failing_allocations)
{
    open_folder();
    write_data(60, "b", "a");
    struct px_training_options options = options_of("y");
    struct px_training_report *first;
    CHECK_OK(run(&options, &first, NULL));
    px_training_report_destroy(first);
    uint64_t before = hash_of_package();
    write_data(61, "b", "a");
    enum px_code code = PX_E_NO_MEMORY;
    for (uint64_t n = 1; code != PX_OK && n < 100000; n += n < 300 ? 1 : n / 50) {
        struct px_training_report *report = NULL;
        px_alloc_fail_at(n);
        code = run(&options, &report, NULL);
        px_alloc_fail_at(0);
        CHECK(code == PX_OK || report == NULL);
        CHECK(code == PX_OK || hash_of_package() == before);
        CHECK_INT(count_entries(folder), 2);
        px_training_report_destroy(report);
    }
    CHECK_INT(code, PX_OK);
    close_folder();
}

PX_TEST_MAIN(T(writes_a_package) T(trains_every_task) T(splits_by_time)
                 T(warns_about_leakage_and_missing_targets) T(warns_about_times_that_are_rounded)
                     T(refuses_what_cannot_work) T(any_file_name_gives_a_valid_model_name)
                         T(can_be_cancelled_in_every_stage)
                             T(a_data_file_that_changes_meanwhile_is_a_conflict)
                                 T(a_failing_run_leaves_the_old_package)
                                     T(a_killed_run_leaves_the_old_package)
                                         T(a_new_run_replaces_the_package_and_keeps_other_files)
                                             T(the_working_folder_and_a_link_can_be_the_package)
                                                 T(passes_on_what_the_trainer_says) T(
                                                     features_and_targets_may_be_named_like_scores)
                                                     T(survives_failing_allocations))
