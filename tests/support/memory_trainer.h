/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trainers for tests.
 *
 * memory_trainer_create: a trainer without a library, a child or a file. Its model is one constant, the
 * mean label (the class frequencies for multi-class), as a valid XGBoost JSON file.
 *
 * fault_trainer_create: a decorator that lets the trainer under it work until the scripted moment. It
 * owns that trainer. The plan is read at each call, so a test may change it in between.
 */
#ifndef PX_TESTS_MEMORY_TRAINER_H
#define PX_TESTS_MEMORY_TRAINER_H

#include "application/ports/trainer.h"

struct fault_plan {
    enum px_code ready; /* what ready says; PX_OK asks the trainer below */
    enum px_code train; /* what train says */
    int at_round;       /* after how many rounds of progress; 0 = at once */
};

static inline void put_tree(struct px_buf *json, size_t id, double leaf)
{
    px_buf_printf(json,
                  "{\"base_weights\":[0],\"categories\":[],\"categories_nodes\":[],"
                  "\"categories_segments\":[],\"categories_sizes\":[],\"default_left\":[0],"
                  "\"id\":%zu,\"left_children\":[-1],\"loss_changes\":[0],\"parents\":[2147483647],"
                  "\"right_children\":[-1],\"split_conditions\":[%.9g],\"split_indices\":[0],"
                  "\"split_type\":[0],\"sum_hessian\":[1],\"tree_param\":{\"num_deleted\":\"0\","
                  "\"num_feature\":\"0\",\"num_nodes\":\"1\",\"size_leaf_vector\":\"0\"}}",
                  id, leaf);
}

static inline double share_of(const struct px_training_set *set, size_t class_index)
{
    size_t n = 0;
    for (size_t i = 0; i < set->rows.n_rows; i++)
        n += set->labels[i] == (float)class_index;
    return ((double)n + 1) / ((double)set->rows.n_rows + 1);
}

static inline double mean_of(const struct px_training_set *set)
{
    double sum = 0;
    for (size_t i = 0; i < set->rows.n_rows; i++)
        sum += (double)set->labels[i];
    return sum / (double)set->rows.n_rows;
}

static inline void put_names(struct px_buf *json, const struct px_signature *signature)
{
    px_buf_text(json, "\"feature_names\":[");
    for (size_t i = 0; i < signature->n_features; i++)
        px_buf_printf(json, "%s\"%.*s\"", i ? "," : "", PX_STR_ARG(signature->features[i].name));
    px_buf_text(json, "],\"feature_types\":[");
    for (size_t i = 0; i < signature->n_features; i++)
        px_buf_printf(json, "%s\"%s\"", i ? "," : "",
                      signature->features[i].kind == PX_FEATURE_CATEGORY ? "c" : "q");
    px_buf_text(json, "],");
}

static inline void put_model(struct px_buf *json, const struct px_train_job *job)
{
    bool multi = job->params.task == PX_TASK_MULTICLASS;
    size_t n_trees = multi ? job->params.n_classes : 1;
    const char *objective = multi                                ? "multi:softprob"
                            : job->params.task == PX_TASK_BINARY ? "binary:logistic"
                                                                 : "reg:squarederror";
    px_buf_text(json, "{\"learner\":{\"attributes\":{\"best_iteration\":\"0\"},");
    put_names(json, job->signature);
    px_buf_printf(json,
                  "\"gradient_booster\":{\"model\":{\"gbtree_model_param\":{"
                  "\"num_parallel_tree\":\"1\",\"num_trees\":\"%zu\",\"size_leaf_vector\":\"0\"},"
                  "\"tree_info\":[",
                  n_trees);
    for (size_t i = 0; i < n_trees; i++)
        px_buf_printf(json, "%s%zu", i ? "," : "", i);
    px_buf_text(json, "],\"trees\":[");
    for (size_t i = 0; i < n_trees; i++) {
        if (i)
            px_buf_byte(json, ',');
        put_tree(json, i, multi ? log(share_of(&job->train, i)) : 0);
    }
    px_buf_printf(json,
                  "]},\"name\":\"gbtree\"},\"learner_model_param\":{\"base_score\":\"%.9g\","
                  "\"num_class\":\"%zu\",\"num_feature\":\"%zu\",\"num_target\":\"1\"},"
                  "\"objective\":{\"name\":\"%s\"",
                  multi ? 0.5 : mean_of(&job->train), multi ? n_trees : 0,
                  job->signature->n_features, objective);
    if (multi)
        px_buf_printf(json, ",\"softmax_multiclass_param\":{\"num_class\":\"%zu\"}", n_trees);
    else
        px_buf_text(json, ",\"reg_loss_param\":{\"scale_pos_weight\":\"1\"}");
    px_buf_text(json, "}},\"version\":[1,7,4]}");
}

static inline enum px_code memory_ready(struct px_trainer *trainer, struct px_err *err)
{
    (void)trainer;
    (void)err;
    return PX_OK;
}

static inline enum px_code memory_train(struct px_trainer *trainer, const struct px_train_job *job,
                                        struct px_train_result *ret, struct px_err *err)
{
    (void)trainer;
    if (job->params.task == PX_TASK_RANKING)
        return px_err_set(err, PX_E_UNSUPPORTED, "the memory trainer does not rank");
    if (job->train.rows.n_rows == 0)
        return px_err_set(err, PX_E_INVALID, "there is nothing to train on");
    for (int round = 1; round <= job->params.rounds_max; round++) {
        struct px_train_progress progress = {.round = round,
                                             .rounds_max = job->params.rounds_max,
                                             .train_metric = 1.0 / round,
                                             .valid_metric = 1.0 / round,
                                             .metric_name = "loss"};
        if (job->progress && !job->progress(job->progress_context, &progress))
            return px_err_set(err, PX_E_CANCELLED, "training was cancelled");
    }
    struct px_buf model = px_buf(1 << 20);
    put_model(&model, job);
    enum px_code code = px_buf_check(&model, "the model", err);
    if (code != PX_OK) {
        px_buf_deinit(&model);
        return code;
    }
    *ret = (struct px_train_result){.model = model,
                                    .best_round = 0,
                                    .rounds = job->params.rounds_max,
                                    .file_name = "model.json"};
    return PX_OK;
}

static inline void memory_destroy(struct px_trainer *trainer)
{
    (void)trainer;
}

static inline struct px_trainer *memory_trainer_create(void)
{
    static const struct px_trainer_ops ops = {PX_TRAINER_ABI, "memory", memory_ready, memory_train,
                                              memory_destroy};
    static struct px_trainer trainer = {&ops};
    return &trainer;
}

struct fault_trainer {
    struct px_trainer base;
    struct px_trainer *below;
    const struct fault_plan *plan;
    /* of the job under way */
    const struct px_train_job *job;
    bool struck;
};

static inline enum px_code fault_ready(struct px_trainer *trainer, struct px_err *err)
{
    struct fault_trainer *f = (struct fault_trainer *)trainer;
    if (f->plan->ready != PX_OK)
        return px_err_set(err, f->plan->ready, "scripted: the trainer is not ready");
    return px_trainer_ready(f->below, err);
}

static inline bool fault_progress(void *context, const struct px_train_progress *progress)
{
    struct fault_trainer *f = context;
    if (f->plan->train != PX_OK && progress->round >= f->plan->at_round) {
        f->struck = true;
        return false;
    }
    return !f->job->progress || f->job->progress(f->job->progress_context, progress);
}

static inline enum px_code fault_train(struct px_trainer *trainer, const struct px_train_job *job,
                                       struct px_train_result *ret, struct px_err *err)
{
    struct fault_trainer *f = (struct fault_trainer *)trainer;
    struct px_train_job watched = *job;
    watched.progress = fault_progress;
    watched.progress_context = f;
    f->job = job;
    f->struck = f->plan->train != PX_OK && f->plan->at_round == 0;
    enum px_code code = f->struck ? PX_OK : px_trainer_train(f->below, &watched, ret, err);
    if (!f->struck)
        return code;
    return px_err_set(err, f->plan->train, "scripted: training failed after round %d",
                      f->plan->at_round);
}

static inline void fault_destroy(struct px_trainer *trainer)
{
    px_trainer_destroy(((struct fault_trainer *)trainer)->below);
}

/* Takes `below`; `plan` must outlive the trainer. Lives in `storage`. */
static inline struct px_trainer *fault_trainer_create(struct fault_trainer *storage,
                                                      struct px_trainer *below,
                                                      const struct fault_plan *plan)
{
    static const struct px_trainer_ops ops = {PX_TRAINER_ABI, "fault", fault_ready, fault_train,
                                              fault_destroy};
    *storage = (struct fault_trainer){.base = {&ops}, .below = below, .plan = plan};
    return &storage->base;
}

#endif
