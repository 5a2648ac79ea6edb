/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child: reads one job, trains, writes frames, exits.
 *
 * Early stopping is done here, from the library's own evaluation after each round: training ends
 * when the validation metric has not improved for `early_stopping_rounds` rounds, and the model is cut
 * to its best round before it is written. Cutting was preferred to writing best_iteration beside all
 * trees, because then "all trees" and "the best trees" are the same thing, for us and for every other
 * reader of the file. The attribute is written as well, as XGBoost's own training does.
 *
 * Nothing is freed: the process ends after one job, and _exit keeps the library's destructors from
 * having a say in whether training succeeded.
 */
#include "infrastructure/training/xgboost.h"
#include "infrastructure/training/xgboost_library.h"
#include "infrastructure/training/xgboost_protocol.h"

#include "shared/alloc.h"
#include "shared/number.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { PARAMS_MAX = 20, EXIT_BAD_JOB = 3, EXIT_NO_PARENT = 4 };

struct worker {
    struct px_xgb_library lib;
    const struct px_xgb_job *job;
    const char **names;  /* [n_cols] */
    const char **types;  /* [n_cols]: "c" or "q" */
    void *train, *valid; /* matrices; `valid` may be NULL */
    void *booster;
    double best_metric;
    int best_round, rounds;
};

bool px_xgboost_is_worker(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], PX_XGBOOST_WORKER_ARGUMENT) == 0;
}

const char *px_xgb_metric(enum px_task task)
{
    return task == PX_TASK_BINARY ? "logloss" : task == PX_TASK_MULTICLASS ? "mlogloss" : "rmse";
}

/* A parent that has gone away leaves nothing to do. */
static void write_all(const void *bytes, size_t len)
{
    const char *at = bytes;
    while (len > 0) {
        ssize_t n = write(PX_XGB_RESULT_FD, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            _exit(EXIT_NO_PARENT);
        at += n;
        len -= (size_t)n;
    }
}

static void send_frame(enum px_xgb_frame_kind kind, enum px_code code, const void *bytes,
                       size_t len)
{
    struct px_xgb_frame frame = {.kind = kind, .code = code, .len = len};
    write_all(&frame, sizeof frame);
    write_all(bytes, len);
}

/* The library's text has a place before and a stack trace after the one line that matters. */
static enum px_code library_failed(struct worker *w, struct px_err *err)
{
    struct px_str rest = px_str(w->lib.last_error()), line = {0};
    while (rest.ptr && line.len == 0)
        line = px_str_trim(px_str_cut(&rest, '\n'));
    if (line.len && line.ptr[0] == '[' && px_str_find(line, ']') < line.len) {
        size_t skip = px_str_find(line, ']') + 1;
        line = px_str_trim(px_str_n(line.ptr + skip, line.len - skip));
    }
    if (line.ptr && memmem(line.ptr, line.len, "bad_alloc", 9)) {
        px_err_set(err, PX_E_NO_MEMORY, "the training process ran out of memory (limit %zu MB)",
                   w->job->params.memory_max_bytes >> 20);
        return px_err_hint(err, "give it more with --memory-mb, or train on fewer rows");
    }
    return px_err_set(err, PX_E_INTERNAL, "libxgboost: %.*s", PX_STR_ARG(line));
}

static const struct px_xgb_job *map_job(void)
{
    struct stat st;
    if (fstat(PX_XGB_JOB_FD, &st) != 0 || (size_t)st.st_size < sizeof(struct px_xgb_job))
        return NULL;
    const struct px_xgb_job *job =
        mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, PX_XGB_JOB_FD, 0);
    if (job == MAP_FAILED || job->magic != PX_XGB_MAGIC || job->size != (uint64_t)st.st_size)
        return NULL;
    return job;
}

static void limit(__rlimit_resource_t resource, uint64_t value)
{
    struct rlimit now;
    if (value == 0 || getrlimit(resource, &now) != 0)
        return;
    if (now.rlim_max == RLIM_INFINITY || value < now.rlim_max)
        setrlimit(resource, &(struct rlimit){value, now.rlim_max});
}

static void limit_time(const struct px_train_params *params)
{
    limit(RLIMIT_CPU, params->cpu_seconds_max);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
}

/*
 * After the library is open, so that a small limit is not taken for a missing library. None under a
 * sanitizer: its shadow alone is terabytes of address space.
 */
static void limit_memory(const struct px_train_params *params)
{
    if (!SANITIZED)
        limit(RLIMIT_AS, params->memory_max_bytes);
}

static const void *at_offset(const struct px_xgb_job *job, uint64_t offset)
{
    return offset ? (const char *)job + offset : NULL;
}

static enum px_code read_columns(struct worker *w, struct px_err *err)
{
    size_t n = w->job->n_cols;
    const char *name = at_offset(w->job, w->job->names);
    const char *kinds = at_offset(w->job, w->job->kinds);
    w->names = px_alloc(n, sizeof *w->names);
    w->types = px_alloc(n, sizeof *w->types);
    if (!w->names || !w->types)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for the names of %zu columns", n);
    for (size_t i = 0; i < n; i++) {
        w->names[i] = name;
        w->types[i] = kinds[i] ? "c" : "q";
        name += strlen(name) + 1;
    }
    return PX_OK;
}

static enum px_code make_matrix(struct worker *w, const struct px_xgb_part *part, void **ret,
                                struct px_err *err)
{
    const struct px_xgb_job *job = w->job;
    char rows[256], config[64];
    snprintf(rows, sizeof rows,
             "{\"data\":[%zu,true],\"shape\":[%zu,%zu],\"typestr\":\"<f4\",\"version\":3}",
             (size_t)at_offset(job, part->rows), (size_t)part->n_rows, (size_t)job->n_cols);
    snprintf(config, sizeof config, "{\"missing\":NaN,\"nthread\":%u}", job->params.n_threads);
    bool failed =
        w->lib.matrix_from_dense(rows, config, ret) != 0 ||
        w->lib.matrix_set_floats(*ret, "label", at_offset(job, part->labels), part->n_rows) != 0 ||
        w->lib.matrix_set_texts(*ret, "feature_type", w->types, job->n_cols) != 0;
    return failed ? library_failed(w, err) : PX_OK;
}

/* Where boosting starts: the mean, so that no rounds are spent on finding it. */
static double base_score(const struct px_xgb_job *job)
{
    const float *labels = at_offset(job, job->train.labels);
    double sum = 0;
    for (uint64_t i = 0; i < job->train.n_rows; i++)
        sum += (double)labels[i];
    double mean = sum / (double)job->train.n_rows;
    if (job->params.task == PX_TASK_BINARY)
        return fmin(fmax(mean, 1e-6), 1 - 1e-6);
    return mean;
}

struct params {
    struct {
        const char *name;
        char value[40];
    } items[PARAMS_MAX];
    size_t len;
};

PX_PRINTF(3, 4)
static void add_param(struct params *params, const char *name, const char *format, ...)
{
    va_list args;
    PX_ASSERT(params->len < PARAMS_MAX);
    params->items[params->len].name = name;
    va_start(args, format);
    vsnprintf(params->items[params->len].value, sizeof params->items[0].value, format, args);
    va_end(args);
    params->len++;
}

static void list_params(const struct px_xgb_job *job, struct params *params)
{
    const struct px_train_params *p = &job->params;
    const char *objective = p->task == PX_TASK_BINARY       ? "binary:logistic"
                            : p->task == PX_TASK_MULTICLASS ? "multi:softprob"
                                                            : "reg:squarederror";
    add_param(params, "objective", "%s", objective);
    add_param(params, "eval_metric", "%s", px_xgb_metric(p->task));
    if (p->task == PX_TASK_MULTICLASS)
        add_param(params, "num_class", "%zu", p->n_classes);
    else
        add_param(params, "base_score", "%.9g", base_score(job));
    add_param(params, "tree_method", "hist");
    add_param(params, "max_depth", "%d", p->depth_max);
    add_param(params, "learning_rate", "%.9g", p->learning_rate);
    add_param(params, "subsample", "%.9g", p->subsample);
    add_param(params, "colsample_bytree", "%.9g", p->colsample);
    add_param(params, "seed", "%" PRIu64, p->seed & 0x7FFFFFFF);
    add_param(params, "nthread", "%u", p->n_threads);
}

static enum px_code make_booster(struct worker *w, struct px_err *err)
{
    struct params params = {0};
    void *matrices[2] = {w->train, w->valid};
    if (w->lib.booster_create(matrices, w->valid ? 2 : 1, &w->booster) != 0)
        return library_failed(w, err);
    list_params(w->job, &params);
    for (size_t i = 0; i < params.len; i++) {
        if (w->lib.booster_set_param(w->booster, params.items[i].name, params.items[i].value) != 0)
            return library_failed(w, err);
    }
    return PX_OK;
}

/* The number after "train-" or "valid-" in "[3]\ttrain-logloss:0.21\tvalid-logloss:0.25". */
static double metric_of(const char *report, const char *set)
{
    double value = (double)NAN;
    const char *at = strstr(report, set);
    const char *colon = at ? strchr(at, ':') : NULL;
    if (colon)
        px_number_parse_f64(colon + 1, report + strlen(report), &value);
    return value;
}

static enum px_code one_round(struct worker *w, int round, struct px_xgb_progress *progress,
                              struct px_err *err)
{
    void *matrices[2] = {w->train, w->valid};
    const char *names[2] = {"train", "valid"}, *report = "";
    if (w->lib.booster_update(w->booster, round, w->train) != 0 ||
        w->lib.booster_eval(w->booster, round, matrices, names, w->valid ? 2 : 1, &report) != 0)
        return library_failed(w, err);
    progress->round = round;
    progress->train_metric = metric_of(report, "train-");
    progress->valid_metric = metric_of(report, "valid-");
    return PX_OK;
}

static enum px_code boost(struct worker *w, struct px_err *err)
{
    const struct px_train_params *p = &w->job->params;
    bool stops_early = w->valid && p->early_stopping_rounds > 0;
    for (int round = 0; round < p->rounds_max; round++) {
        struct px_xgb_progress progress = {0};
        enum px_code code = one_round(w, round, &progress, err);
        if (code != PX_OK)
            return code;
        w->rounds = round + 1;
        if (!stops_early || round == 0 || progress.valid_metric < w->best_metric) {
            w->best_metric = progress.valid_metric;
            w->best_round = round;
        }
        send_frame(PX_XGB_PROGRESS, PX_OK, &progress, sizeof progress);
        if (stops_early && round - w->best_round >= p->early_stopping_rounds)
            break;
    }
    return PX_OK;
}

/* Cuts the model to its best round and gives it the names that serving matches columns by. */
static enum px_code finish_booster(struct worker *w, struct px_err *err)
{
    char best[16];
    void *cut = w->booster;
    uint64_t n = w->job->n_cols;
    snprintf(best, sizeof best, "%d", w->best_round);
    bool failed = (w->best_round + 1 < w->rounds &&
                   w->lib.booster_slice(w->booster, 0, w->best_round + 1, 1, &cut) != 0) ||
                  w->lib.booster_set_texts(cut, "feature_name", w->names, n) != 0 ||
                  w->lib.booster_set_texts(cut, "feature_type", w->types, n) != 0 ||
                  w->lib.booster_set_attribute(cut, "best_iteration", best) != 0;
    w->booster = cut;
    return failed ? library_failed(w, err) : PX_OK;
}

static enum px_code send_model(struct worker *w, struct px_err *err)
{
    struct px_xgb_outcome outcome = {.best_round = w->best_round, .rounds = w->rounds};
    const char *bytes = NULL;
    uint64_t len = 0;
    if (w->lib.booster_save(w->booster, "{\"format\":\"ubj\"}", &len, &bytes) != 0)
        return library_failed(w, err);
    struct px_xgb_frame frame = {.kind = PX_XGB_MODEL, .len = sizeof outcome + len};
    write_all(&frame, sizeof frame);
    write_all(&outcome, sizeof outcome);
    write_all(bytes, len);
    return PX_OK;
}

static enum px_code train(struct worker *w, struct px_err *err)
{
    enum px_code code = read_columns(w, err);
    if (code == PX_OK)
        code = make_matrix(w, &w->job->train, &w->train, err);
    if (code == PX_OK && w->job->valid.n_rows > 0)
        code = make_matrix(w, &w->job->valid, &w->valid, err);
    if (code == PX_OK)
        code = make_booster(w, err);
    if (code == PX_OK)
        code = boost(w, err);
    if (code == PX_OK)
        code = finish_booster(w, err);
    return code == PX_OK ? send_model(w, err) : code;
}

static void send_version(struct worker *w)
{
    int major = 0, minor = 0, patch = 0;
    char text[48];
    w->lib.version(&major, &minor, &patch);
    int n = snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    send_frame(PX_XGB_VERSION, PX_OK, text, (size_t)n);
}

/*
 * OpenMP's threads wait for each other many times per tree; by default they spin meanwhile. On a machine
 * that does something else too (it serves) the spinning takes the core from the thread that is waited
 * for: measured on two busy cores, sleeping trains 10 times faster, and on idle ones no slower.
 */
static void sleep_while_waiting(void)
{
    setenv("OMP_WAIT_POLICY", "PASSIVE", 0);
}

/*
 * Ctrl-C reaches the whole foreground group; the parent decides what it means. When the parent dies
 * the child must not train on.
 */
int px_xgboost_worker_main(void)
{
    static struct worker worker;
    struct px_err err = {0};
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    worker.job = map_job();
    if (!worker.job)
        return EXIT_BAD_JOB;
    limit_time(&worker.job->params);
    sleep_while_waiting();
    enum px_code code = px_xgb_library_open(&worker.lib, &err);
    limit_memory(&worker.job->params);
    if (code == PX_OK)
        worker.lib.set_global("{\"verbosity\":0}");
    if (code == PX_OK && worker.job->action == PX_XGB_PROBE)
        send_version(&worker);
    else if (code == PX_OK)
        code = train(&worker, &err);
    if (code != PX_OK) {
        char text[PX_ERR_MESSAGE_MAX + PX_ERR_HINT_MAX];
        int n = snprintf(text, sizeof text, "%s%c%s", err.message, '\0', err.hint);
        send_frame(PX_XGB_FAILED, code, text, (size_t)n);
    }
    _exit(code == PX_OK ? 0 : 1);
}
