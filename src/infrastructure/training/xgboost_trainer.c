/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent's side: writes the job, starts the child, listens, judges how it ended.
 *
 * The child is this program executed again, not a fork that goes on: after a fork a program with
 * threads may only call async-signal-safe functions until it executes, and a copy of the server's
 * memory, locks and sockets has no business in a training process. posix_spawn starts it with only
 * the descriptors it needs; all others are close-on-exec.
 *
 * The training set is copied once into a memory file, which the child maps. A pipe would copy it twice
 * and need the reader's buffers; sharing the caller's pages would need the caller to build its matrix
 * in a memory file from the start.
 *
 * How the child ended, in order of trust: a MODEL or FAILED frame; else its wait status (a signal is
 * named, with the limit that explains it); what it printed last is added to the message.
 */
#include "infrastructure/training/xgboost.h"
#include "infrastructure/training/xgboost_protocol.h"

#include "shared/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TICK_MS = 200, /* how often `progress` is asked between rounds */
    LOG_MAX = 4096,
    READ_MAX = 1 << 16,
    FRAMES_MAX = PX_XGB_MODEL_MAX + (1 << 16),
};

struct child {
    pid_t pid;
    int results, log; /* read ends; -1 = closed */
    struct px_buf frames;
    char printed[LOG_MAX]; /* the last that it printed */
    size_t n_printed;
    /* the last frame, once it has come */
    struct px_xgb_frame last;
    bool ended;
    const struct px_train_job *job; /* NULL for a probe */
    struct px_train_progress progress;
    bool cancelled;
};

static enum px_code system_failed(const char *what, struct px_err *err)
{
    return px_err_set(err, PX_E_IO, "cannot start the training process: %s: %s", what,
                      strerror(errno));
}

/* The layout of a job: where each array goes. */
static uint64_t place(uint64_t *size, uint64_t bytes)
{
    uint64_t at = *size;
    *size = (at + bytes + PX_CACHE_LINE - 1) / PX_CACHE_LINE * PX_CACHE_LINE;
    return at;
}

static void place_part(struct px_xgb_part *part, const struct px_training_set *set, uint64_t n_cols,
                       uint64_t *size)
{
    part->n_rows = set->rows.n_rows;
    if (part->n_rows == 0)
        return;
    part->rows = place(size, part->n_rows * n_cols * sizeof(float));
    part->labels = place(size, part->n_rows * sizeof(float));
}

static struct px_xgb_job plan_job(const struct px_train_job *job)
{
    struct px_xgb_job plan = {.magic = PX_XGB_MAGIC, .action = PX_XGB_PROBE};
    uint64_t names = 0;
    place(&plan.size, sizeof plan);
    if (job) {
        plan.action = PX_XGB_TRAIN;
        plan.params = job->params;
        plan.n_cols = job->signature->n_features;
        for (size_t i = 0; i < plan.n_cols; i++)
            names += job->signature->features[i].name.len + 1;
        plan.names = place(&plan.size, names);
        plan.kinds = place(&plan.size, plan.n_cols);
        place_part(&plan.train, &job->train, plan.n_cols, &plan.size);
        place_part(&plan.valid, &job->valid, plan.n_cols, &plan.size);
    }
    return plan;
}

static void copy_part(char *base, const struct px_xgb_part *part, const struct px_training_set *set,
                      size_t n_cols)
{
    for (size_t row = 0; row < part->n_rows; row++)
        memcpy(base + part->rows + row * n_cols * sizeof(float), px_matrix_row(&set->rows, row),
               n_cols * sizeof(float));
    if (part->labels)
        memcpy(base + part->labels, set->labels, part->n_rows * sizeof(float));
}

static void copy_job(char *base, const struct px_xgb_job *plan, const struct px_train_job *job)
{
    memcpy(base, plan, sizeof *plan);
    if (!job)
        return;
    char *name = base + plan->names, *kind = base + plan->kinds;
    for (size_t i = 0; i < plan->n_cols; i++) {
        const struct px_feature *feature = &job->signature->features[i];
        memcpy(name, feature->name.ptr, feature->name.len);
        name[feature->name.len] = '\0';
        name += feature->name.len + 1;
        kind[i] = feature->kind == PX_FEATURE_CATEGORY;
    }
    copy_part(base, &plan->train, &job->train, plan->n_cols);
    copy_part(base, &plan->valid, &job->valid, plan->n_cols);
}

/* Gives a memory file its size and its pages; returns an errno. */
static int reserve(int fd, uint64_t size)
{
    int number;
    do {
        number = posix_fallocate(fd, 0, (off_t)size);
    } while (number == EINTR);
    return number;
}

/* Writes the job into a memory file and returns its descriptor, or -1. */
static int write_job(const struct px_train_job *job, struct px_err *err)
{
    struct px_xgb_job plan = plan_job(job);
    int fd = memfd_create("phoenix-training", MFD_CLOEXEC);
    if (fd < 0) {
        system_failed("a memory file", err);
        return -1;
    }
    /* Memory that is only promised would end this process with SIGBUS when it cannot be had. */
    int number = reserve(fd, plan.size);
    if (number != 0) {
        px_err_set(err, PX_E_NO_MEMORY,
                   "no memory to hand over %" PRIu64 " MB of training rows: %s", plan.size >> 20,
                   strerror(number));
        close(fd);
        return -1;
    }
    char *base = mmap(NULL, plan.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        px_err_set(err, PX_E_NO_MEMORY, "no memory to hand over %" PRIu64 " MB of training rows",
                   plan.size >> 20);
        close(fd);
        return -1;
    }
    copy_job(base, &plan, job);
    munmap(base, plan.size);
    return fd;
}

static enum px_code spawn(int job_fd, int result_fd, int log_fd, pid_t *ret, struct px_err *err)
{
    char program[] = "/proc/self/exe", argument[] = PX_XGBOOST_WORKER_ARGUMENT;
    char *argv[] = {program, argument, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory to start the training process");
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_adddup2(&actions, log_fd, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, log_fd, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&actions, job_fd, PX_XGB_JOB_FD);
    posix_spawn_file_actions_adddup2(&actions, result_fd, PX_XGB_RESULT_FD);
    int failed = posix_spawn(ret, program, &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (failed)
        return px_err_set(err, PX_E_IO, "cannot start the training process: %s", strerror(failed));
    return PX_OK;
}

/*
 * Moves a descriptor out of the numbers that the child's own are put on, so that one adddup2 cannot
 * overwrite the source of the next.
 */
static int move_up(int fd)
{
    if (fd < 0)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, PX_XGB_RESULT_FD + 1);
    close(fd);
    return moved;
}

static void close_all(int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

static enum px_code start(struct child *child, struct px_err *err)
{
    enum { JOB, RESULT_READ, RESULT_WRITE, LOG_READ, LOG_WRITE, N };
    int fds[N] = {-1, -1, -1, -1, -1};
    fds[JOB] = write_job(child->job, err);
    if (fds[JOB] < 0)
        return err ? err->code : PX_E_IO;
    enum px_code code = PX_OK;
    if (pipe2(&fds[RESULT_READ], O_CLOEXEC) != 0 || pipe2(&fds[LOG_READ], O_CLOEXEC) != 0)
        code = system_failed("a pipe", err);
    for (int i = 0; code == PX_OK && i < N; i++) {
        fds[i] = move_up(fds[i]);
        if (fds[i] < 0)
            code = system_failed("a descriptor", err);
    }
    if (code == PX_OK)
        code = spawn(fds[JOB], fds[RESULT_WRITE], fds[LOG_WRITE], &child->pid, err);
    if (code == PX_OK) {
        child->results = fds[RESULT_READ];
        child->log = fds[LOG_READ];
        fds[RESULT_READ] = fds[LOG_READ] = -1;
    }
    close_all(fds, N);
    return code;
}

/* Keeps the end of what the child prints. */
static void keep_printed(struct child *child, const char *bytes, size_t len)
{
    if (len > LOG_MAX) {
        bytes += len - LOG_MAX;
        len = LOG_MAX;
    }
    if (child->n_printed + len > LOG_MAX) {
        size_t drop = child->n_printed + len - LOG_MAX;
        memmove(child->printed, child->printed + drop, child->n_printed - drop);
        child->n_printed -= drop;
    }
    memcpy(child->printed + child->n_printed, bytes, len);
    child->n_printed += len;
}

/* Reads once from `*fd` and closes it at its end; returns the count. */
static size_t read_some(int *fd, char *bytes)
{
    ssize_t n = read(*fd, bytes, READ_MAX);
    if (n > 0)
        return (size_t)n;
    if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        close(*fd);
        *fd = -1;
    }
    return 0;
}

static void report_progress(struct child *child)
{
    const struct px_train_job *job = child->job;
    if (!job || !job->progress || child->cancelled)
        return;
    if (!job->progress(job->progress_context, &child->progress))
        child->cancelled = true;
}

/* Handles the whole frames that have come. The last one stays at the start of `frames`. */
static void take_frames(struct child *child)
{
    while (!child->ended && child->frames.len >= sizeof child->last) {
        struct px_xgb_frame frame;
        memcpy(&frame, child->frames.ptr, sizeof frame);
        if (child->frames.len - sizeof frame < frame.len)
            return;
        if (frame.kind != PX_XGB_PROGRESS) {
            child->last = frame;
            child->ended = true;
            return;
        }
        struct px_xgb_progress progress;
        PX_ASSERT(frame.len == sizeof progress);
        memcpy(&progress, child->frames.ptr + sizeof frame, sizeof progress);
        px_buf_consume(&child->frames, sizeof frame + sizeof progress);
        child->progress.round = progress.round + 1;
        child->progress.train_metric = progress.train_metric;
        child->progress.valid_metric = progress.valid_metric;
        report_progress(child);
    }
}

/* Listens until both pipes have ended, the job is cancelled, or the model is too large. */
static void listen_to(struct child *child)
{
    static _Thread_local char bytes[READ_MAX];
    while (child->results >= 0 && !child->cancelled && !child->frames.failed) {
        struct pollfd fds[2] = {{.fd = child->results, .events = POLLIN},
                                {.fd = child->log, .events = POLLIN}};
        int ready = poll(fds, 2, TICK_MS);
        if (ready <= 0) {
            report_progress(child);
            continue;
        }
        if (fds[1].revents)
            keep_printed(child, bytes, read_some(&child->log, bytes));
        if (fds[0].revents) {
            px_buf_append(&child->frames, bytes, read_some(&child->results, bytes));
            take_frames(child);
        }
    }
}

/* What the child printed after the last frame, without waiting for more. */
static void drain_log(struct child *child)
{
    static _Thread_local char bytes[READ_MAX];
    while (child->log >= 0) {
        struct pollfd fd = {.fd = child->log, .events = POLLIN};
        if (poll(&fd, 1, 0) <= 0)
            return;
        keep_printed(child, bytes, read_some(&child->log, bytes));
    }
}

/* Ends the child where it still runs and returns its wait status. */
static int stop(struct child *child)
{
    int status = 0;
    if (child->results >= 0)
        kill(child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    drain_log(child);
    if (child->results >= 0)
        close(child->results);
    if (child->log >= 0)
        close(child->log);
    return status;
}

static struct px_str last_line(const struct child *child)
{
    struct px_str printed = px_str_trim(px_str_n(child->printed, child->n_printed));
    for (size_t i = printed.len; i > 0; i--) {
        if (printed.ptr[i - 1] == '\n')
            return px_str_n(printed.ptr + i, printed.len - i);
    }
    return printed;
}

static void hint_memory(const struct child *child, struct px_err *err)
{
    size_t max = child->job ? child->job->params.memory_max_bytes : 0;
    if (max)
        px_err_hint(err, "often memory is short: its limit was %zu MB (--memory-mb)", max >> 20);
    else
        px_err_hint(err, "often memory is short on the machine");
}

static enum px_code died_of_signal(const struct child *child, int number, struct px_err *err)
{
    struct px_str line = last_line(child);
    if (number == SIGXCPU && child->job)
        return px_err_set(err, PX_E_DEADLINE,
                          "training stopped: it used more than its %" PRIu64 " s of CPU time",
                          child->job->params.cpu_seconds_max);
    px_err_set(err, PX_E_INTERNAL, "the training process was killed by signal %d (%s)%s%.*s",
               number, strsignal(number), line.len ? "; it said last: " : "", PX_STR_ARG(line));
    hint_memory(child, err);
    return PX_E_INTERNAL;
}

/* The child ended without a last frame. */
static enum px_code judge_death(const struct child *child, int status, struct px_err *err)
{
    struct px_str line = last_line(child);
    if (child->frames.failed)
        return px_err_set(err, PX_E_TOO_LARGE, "the model is larger than %d MB or memory is short",
                          PX_XGB_MODEL_MAX >> 20);
    if (WIFSIGNALED(status))
        return died_of_signal(child, WTERMSIG(status), err);
    px_err_set(err, PX_E_INTERNAL,
               "the training process ended without a model, with status %d%s%.*s",
               WEXITSTATUS(status), line.len ? "; it said last: " : "", PX_STR_ARG(line));
    hint_memory(child, err);
    return PX_E_INTERNAL;
}

static enum px_code judge_failure(const struct child *child, struct px_err *err)
{
    struct px_str hint = px_str_n(child->frames.ptr + sizeof child->last, child->last.len);
    struct px_str message = px_str_cut(&hint, '\0');
    px_err_set(err, child->last.code, "%.*s", (int)message.len, message.ptr);
    if (hint.len)
        px_err_hint(err, "%.*s", (int)hint.len, hint.ptr);
    return child->last.code;
}

/* Starts a child for `job` (NULL: a probe), listens to it and judges how it ended. */
static enum px_code run_child(struct child *child, const struct px_train_job *job,
                              struct px_err *err)
{
    *child = (struct child){.results = -1, .log = -1, .job = job, .frames = px_buf(FRAMES_MAX)};
    if (job)
        child->progress =
            (struct px_train_progress){.rounds_max = job->params.rounds_max,
                                       .train_metric = (double)NAN,
                                       .valid_metric = (double)NAN,
                                       .metric_name = px_xgb_metric(job->params.task)};
    enum px_code code = start(child, err);
    if (code != PX_OK)
        return code;
    listen_to(child);
    int status = stop(child);
    if (child->cancelled)
        return px_err_set(err, PX_E_CANCELLED, "training was cancelled");
    if (!child->ended)
        return judge_death(child, status, err);
    return child->last.kind == PX_XGB_FAILED ? judge_failure(child, err) : PX_OK;
}

static enum px_code ready(struct px_trainer *trainer, struct px_err *err)
{
    struct child child;
    (void)trainer;
    enum px_code code = run_child(&child, NULL, err);
    px_buf_deinit(&child.frames);
    return code;
}

static enum px_code check_job(const struct px_train_job *job, struct px_err *err)
{
    if (job->params.task == PX_TASK_RANKING)
        return px_err_set(err, PX_E_UNSUPPORTED, "this trainer does not train ranking models");
    if (job->signature->n_features > PX_XGB_FEATURES_MAX)
        return px_err_set(err, PX_E_TOO_LARGE, "%zu features are more than the %d that are allowed",
                          job->signature->n_features, PX_XGB_FEATURES_MAX);
    if (job->train.rows.n_rows == 0 || job->signature->n_features == 0)
        return px_err_set(err, PX_E_INVALID, "there is nothing to train on: %zu rows, %zu features",
                          job->train.rows.n_rows, job->signature->n_features);
    return PX_OK;
}

static enum px_code train(struct px_trainer *trainer, const struct px_train_job *job,
                          struct px_train_result *ret, struct px_err *err)
{
    struct child child;
    struct px_xgb_outcome outcome;
    (void)trainer;
    enum px_code code = check_job(job, err);
    if (code != PX_OK)
        return code;
    code = run_child(&child, job, err);
    if (code != PX_OK) {
        px_buf_deinit(&child.frames);
        return code;
    }
    PX_ASSERT(child.last.kind == PX_XGB_MODEL);
    memcpy(&outcome, child.frames.ptr + sizeof child.last, sizeof outcome);
    px_buf_consume(&child.frames, sizeof child.last + sizeof outcome);
    *ret = (struct px_train_result){.model = child.frames,
                                    .best_round = outcome.best_round,
                                    .rounds = outcome.rounds,
                                    .file_name = "model.ubj"};
    return PX_OK;
}

static void destroy(struct px_trainer *trainer)
{
    px_free(trainer);
}

static const struct px_trainer_ops xgboost_ops = {
    .abi = PX_TRAINER_ABI,
    .name = "xgboost",
    .ready = ready,
    .train = train,
    .destroy = destroy,
};

enum px_code px_xgboost_trainer_create(struct px_trainer **ret, struct px_err *err)
{
    struct px_trainer *trainer = px_alloc(1, sizeof *trainer);
    if (!trainer)
        return px_err_set(err, PX_E_NO_MEMORY, "no memory for a trainer");
    trainer->ops = &xgboost_ops;
    *ret = trainer;
    return PX_OK;
}
