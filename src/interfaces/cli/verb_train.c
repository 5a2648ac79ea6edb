/* SPDX-License-Identifier: Apache-2.0 */
#include "application/training/training.h"
#include "interfaces/cli/stream.h"
#include "interfaces/cli/train_report.h"
#include "interfaces/cli/verbs.h"
#include "shared/cores.h"

#include <limits.h>
#include <math.h>

enum { DROP_MAX = 4096, THREADS_MAX = 1024 };

struct session {
    struct px_cli *cli;
    struct px_training_options options;
    struct px_str drop[DROP_MAX];
    struct px_progress bar;
    enum px_training_stage stage;
};

static enum px_code read_drop(struct session *s, struct px_err *err)
{
    struct px_str rest = px_cli_text(s->cli, "drop");
    while (rest.ptr) {
        struct px_str name = px_str_trim(px_str_cut(&rest, ','));
        if (name.len == 0)
            continue;
        if (s->options.n_drop == DROP_MAX)
            return px_err_set(err, PX_E_INVALID, "--drop names more than %d columns", DROP_MAX);
        s->drop[s->options.n_drop++] = name;
    }
    s->options.drop = s->drop;
    return PX_OK;
}

static enum px_code read_split(struct session *s, struct px_err *err)
{
    struct px_training_options *o = &s->options;
    struct px_str split = px_cli_text(s->cli, "split");
    o->time_column = px_cli_text(s->cli, "time-column");
    o->split_by_time = px_str_is(split, "time");
    if (!o->split_by_time && !px_str_is(split, "random"))
        return px_err_set(err, PX_E_INVALID, "--split must be random or time, got '%.*s'",
                          PX_STR_ARG(split));
    if (o->time_column.len && !px_cli_given(s->cli, "split"))
        o->split_by_time = true;
    o->split = (struct px_split_options){
        .valid_fraction = px_cli_real(s->cli, "valid-fraction"),
        .test_fraction = px_cli_real(s->cli, "test-fraction"),
        .seed = (uint64_t)px_cli_int(s->cli, "seed"),
    };
    return PX_OK;
}

static enum px_code read_task(struct session *s, struct px_err *err)
{
    struct px_str task = px_cli_text(s->cli, "task");
    struct px_target_options *t = &s->options.target_options;
    t->positive = px_cli_text(s->cli, "positive");
    if (px_str_is(task, "auto"))
        return PX_OK;
    t->task = px_task_from_name(task);
    if (t->task == 0 || t->task == PX_TASK_RANKING)
        return px_err_set(err, PX_E_INVALID,
                          "--task must be auto, binary, multiclass or regression, got '%.*s'",
                          PX_STR_ARG(task));
    return PX_OK;
}

/* An option's integer within [low, high]. */
static enum px_code read_int(struct session *s, const char *name, int64_t low, int64_t high,
                             int64_t *ret)
{
    int64_t value = px_cli_int(s->cli, name);
    *ret = value;
    return value >= low && value <= high ? PX_OK : PX_E_INVALID;
}

static enum px_code read_params(struct session *s, struct px_err *err)
{
    static const struct {
        const char *name;
        int64_t low, high;
    } rows[] = {{"rounds", 1, 100000},        {"depth", 1, 30},     {"early-stopping", 0, 100000},
                {"threads", 0, THREADS_MAX},  {"seed", 0, INT_MAX}, {"memory-mb", 0, 1 << 24},
                {"cpu-seconds", 0, INT64_MAX}};
    enum { ROUNDS, DEPTH, STOPPING, THREADS, SEED, MEMORY, CPU, N };
    int64_t v[N] = {0};
    for (size_t i = 0; i < N; i++) {
        if (i == MEMORY && !px_cli_given(s->cli, "memory-mb"))
            continue;
        if (read_int(s, rows[i].name, rows[i].low, rows[i].high, &v[i]) != PX_OK)
            return px_err_set(err, PX_E_INVALID, "--%s must be %lld to %lld, got %lld",
                              rows[i].name, (long long)rows[i].low, (long long)rows[i].high,
                              (long long)v[i]);
    }
    s->options.memory_auto = !px_cli_given(s->cli, "memory-mb");
    s->options.params = (struct px_train_params){
        .rounds_max = (int)v[ROUNDS],
        .early_stopping_rounds = (int)v[STOPPING],
        .depth_max = (int)v[DEPTH],
        .learning_rate = px_cli_real(s->cli, "learning-rate"),
        .subsample = px_cli_real(s->cli, "subsample"),
        .colsample = px_cli_real(s->cli, "colsample"),
        .seed = (uint64_t)v[SEED],
        .n_threads = v[THREADS] ? (unsigned)v[THREADS] : px_cores(THREADS_MAX),
        .memory_max_bytes = (size_t)v[MEMORY] << 20,
        .cpu_seconds_max = (uint64_t)v[CPU],
    };
    return PX_OK;
}

static enum px_code read_options(struct session *s, struct px_err *err)
{
    static const char *const required[] = {"data", "target", "out"};
    for (size_t i = 0; i < PX_ARRAY_LEN(required); i++) {
        if (px_cli_text(s->cli, required[i]).len == 0)
            return px_err_set(err, PX_E_INVALID, "--%s is needed", required[i]);
    }
    s->options.data = px_cli_text(s->cli, "data").ptr;
    s->options.out = px_cli_text(s->cli, "out").ptr;
    s->options.target = px_cli_text(s->cli, "target");
    s->options.name = px_cli_text(s->cli, "name");
    s->options.no_header = px_cli_flag(s->cli, "no-header");
    enum px_code code = read_drop(s, err);
    if (code == PX_OK)
        code = read_split(s, err);
    if (code == PX_OK)
        code = read_task(s, err);
    return code == PX_OK ? read_params(s, err) : code;
}

static void note_round(const struct px_train_progress *round, char *note, size_t cap)
{
    if (round->round == 0)
        snprintf(note, cap, "starting,");
    else if (isnan(round->valid_metric))
        snprintf(note, cap, "round %d, %s %.5f,", round->round, round->metric_name,
                 round->train_metric);
    else
        snprintf(note, cap, "round %d, %s %.5f, held out %.5f,", round->round, round->metric_name,
                 round->train_metric, round->valid_metric);
}

static bool show_progress(void *context, const struct px_training_progress *progress)
{
    static const char *const labels[] = {
        [PX_TRAINING_PROFILE] = "look at columns",
        [PX_TRAINING_ENCODE] = "encode rows",
        [PX_TRAINING_BOOST] = "train",
        [PX_TRAINING_WRITE] = "write package",
    };
    struct session *s = context;
    char note[128] = "";
    if (progress->stage != s->stage) {
        px_progress_end(&s->bar);
        s->stage = progress->stage;
        s->bar = px_progress(s->cli->err, labels[s->stage], progress->total);
    }
    if (progress->round)
        note_round(progress->round, note, sizeof note);
    px_progress_update(&s->bar, progress->done, note);
    return !px_interrupts_seen();
}

static enum px_code train(struct session *s, struct px_training_report **ret, struct px_err *err)
{
    const struct px_training_observer observer = {show_progress, s};
    struct px_trainer *trainer = NULL;
    enum px_code code = s->cli->services->open_trainer(&trainer, err);
    if (code == PX_OK)
        code = px_training_run(&s->options, trainer, &observer, ret, err);
    px_progress_end(&s->bar);
    px_trainer_destroy(trainer);
    return code;
}

static int run_train(struct px_cli *cli)
{
    static struct session s;
    struct px_training_report *report = NULL;
    struct px_err err = {0};
    s = (struct session){.cli = cli};
    if (read_options(&s, &err) != PX_OK)
        return px_cli_usage(cli, &err);
    px_interrupts_guard();
    enum px_code code = train(&s, &report, &err);
    if (code != PX_OK) {
        px_cli_fail(cli, &err);
        return code == PX_E_CANCELLED ? PX_EXIT_INTERRUPTED : PX_EXIT_FAILED;
    }
    if (px_cli_flag(cli, "json"))
        px_train_print_json(cli->out, report);
    else
        px_train_print_text(cli->out, report);
    px_training_report_destroy(report);
    fflush(cli->out);
    return PX_EXIT_OK;
}

static const struct px_option options[] = {
    {"data", 'd', PX_OPTION_TEXT, "FILE", "Rows as CSV with a header.", NULL},
    {"target", 't', PX_OPTION_TEXT, "COLUMN", "The column to predict.", NULL},
    {"out", 'o', PX_OPTION_TEXT, "DIR", "Folder for the package; made when it is not there.", NULL},
    {"name", 'n', PX_OPTION_TEXT, "NAME", "Name of the model; else the name of the data file.",
     NULL},
    {"drop", 0, PX_OPTION_TEXT, "COL,COL", "Columns to leave out.", NULL},
    {"no-header", 0, PX_OPTION_FLAG, NULL,
     "The first line is a row; the columns are named c1, c2, ...", NULL},
    {"task", 0, PX_OPTION_TEXT, "auto|binary|multiclass|regression",
     "What to predict; auto decides by the values of the target.", "auto"},
    {"positive", 0, PX_OPTION_TEXT, "LABEL",
     "The class that a binary score is the probability of. Else: the word for true, the higher "
     "number, the last in byte order.",
     NULL},
    {"split", 0, PX_OPTION_TEXT, "random|time",
     "How rows are kept back for measuring: at random with equal shares of classes, or the newest.",
     "random"},
    {"time-column", 0, PX_OPTION_TEXT, "COLUMN",
     "Orders the rows for --split time (implied); it is no feature. Else the file's order counts.",
     NULL},
    {"valid-fraction", 0, PX_OPTION_REAL, "X", "Share of rows that decide when training stops.",
     "0.1"},
    {"test-fraction", 0, PX_OPTION_REAL, "X",
     "Share of rows that training never sees, for the metrics.", "0.2"},
    {"rounds", 'r', PX_OPTION_INT, "N", "Most rounds of boosting.", "500"},
    {"early-stopping", 0, PX_OPTION_INT, "N",
     "Stop after N rounds without improvement and keep the best; 0 = never.", "30"},
    {"depth", 0, PX_OPTION_INT, "N", "Depth of a tree.", "6"},
    {"learning-rate", 0, PX_OPTION_REAL, "X", "How much each round counts.", "0.1"},
    {"subsample", 0, PX_OPTION_REAL, "X", "Share of rows that each tree sees.", "0.8"},
    {"colsample", 0, PX_OPTION_REAL, "X", "Share of features that each tree sees.", "0.8"},
    {"seed", 's', PX_OPTION_INT, "N", "The same seed, file and threads give the same model.", "1"},
    {"threads", 'j', PX_OPTION_INT, "N", "Threads of the training process; 0 = all cores.", "0"},
    {"memory-mb", 0, PX_OPTION_INT, "N",
     "Limit of the training process's address space; 0 = none. Without it the limit follows from "
     "the size of the data.",
     NULL},
    {"cpu-seconds", 0, PX_OPTION_INT, "N", "Limit of the training process's CPU time; 0 = none.",
     "0"},
    {"json", 0, PX_OPTION_FLAG, NULL, "Print the report as JSON.", NULL},
    {0},
};

const struct px_verb px_verb_train = {
    .name = "train",
    .summary = "Train a model on a CSV file and write a package.",
    .arguments = "",
    .details =
        "Column types are inferred: numbers, booleans, dates, and texts as categories; constants, "
        "row counters and identifiers are left out, and the report says why. The encoding is part "
        "of the package, so that serving takes rows as they are in the file.\n"
        "\n"
        "Training runs in a process of its own with limits; it needs libxgboost (apt-get install "
        "libxgboost0). The model is then scored by the engine that will serve it, on rows that "
        "training never saw.\n"
        "\n"
        "    phoenix train --data bank-full.csv --target y --out bank --drop duration\n"
        "    phoenix train --data sales.csv --target amount --out sales --time-column day",
    .options = options,
    .arguments_min = 0,
    .arguments_max = 0,
    .run = run_train,
};
