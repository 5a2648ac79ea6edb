/* SPDX-License-Identifier: Apache-2.0 */
#include "application/ports/trainer.h"

enum px_code px_trainer_ready(struct px_trainer *trainer, struct px_err *err)
{
    PX_ASSERT(trainer->ops->abi == PX_TRAINER_ABI);
    return trainer->ops->ready(trainer, err);
}

enum px_code px_trainer_train(struct px_trainer *trainer, const struct px_train_job *job,
                              struct px_train_result *ret, struct px_err *err)
{
    PX_ASSERT(job->train.rows.n_cols == job->signature->n_features);
    PX_ASSERT(job->train.rows.type == PX_TYPE_FP32);
    return trainer->ops->train(trainer, job, ret, err);
}

const char *px_trainer_name(const struct px_trainer *trainer)
{
    return trainer->ops->name;
}

void px_trainer_destroy(struct px_trainer *trainer)
{
    if (trainer)
        trainer->ops->destroy(trainer);
}
