/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CatBoost's loss functions: what predict() of the matching estimator makes of the raw values.
 * CatBoostClassifier.predict_proba applies the sigmoid or the softmax; CatBoostRegressor.predict
 * exponentiates for Poisson and Tweedie and returns the raw values for the rest.
 */
#include "domain/forest/readers/catboost/catboost_file.h"

/* As in lightgbm_objective.c; MULTILABEL: a probability per label, which do not exclude each other. */
enum outcome {
    OUTCOME_VALUE,
    OUTCOME_MARGIN,
    OUTCOME_BINARY,
    OUTCOME_MULTICLASS,
    OUTCOME_MULTILABEL
};

struct loss {
    const char *name;
    enum px_transform_kind transform;
    enum outcome outcome;
};

static const struct loss losses[] = {
    {"RMSE", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"MAE", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"Quantile", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"MultiQuantile", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"GroupQuantile", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"LogLinQuantile", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"MAPE", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"Huber", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"Expectile", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"LogCosh", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"Lq", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"SMAPE", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"MultiRMSE", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"MultiRMSEWithMissingValues", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"RMSEWithUncertainty", PX_TRANSFORM_IDENTITY, OUTCOME_VALUE},
    {"Poisson", PX_TRANSFORM_EXP, OUTCOME_VALUE},
    {"Tweedie", PX_TRANSFORM_EXP, OUTCOME_VALUE},
    {"Cox", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
    {"SurvivalAft", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
    {"Logloss", PX_TRANSFORM_SIGMOID, OUTCOME_BINARY},
    {"CrossEntropy", PX_TRANSFORM_SIGMOID, OUTCOME_BINARY},
    {"Focal", PX_TRANSFORM_SIGMOID, OUTCOME_BINARY},
    {"MultiClass", PX_TRANSFORM_SOFTMAX, OUTCOME_MULTICLASS},
    {"MultiClassOneVsAll", PX_TRANSFORM_SIGMOID, OUTCOME_MULTICLASS},
    {"MultiLogloss", PX_TRANSFORM_SIGMOID, OUTCOME_MULTILABEL},
    {"MultiCrossEntropy", PX_TRANSFORM_SIGMOID, OUTCOME_MULTILABEL},
    {"YetiRank", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
    {"YetiRankPairwise", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
    {"StochasticFilter", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
    {"StochasticRank", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
    {"LambdaMart", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
    {"QueryRMSE", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
    {"QuerySoftMax", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
    {"QueryCrossEntropy", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
    {"PairLogit", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
    {"PairLogitPairwise", PX_TRANSFORM_IDENTITY, OUTCOME_MARGIN},
};

static const struct loss *find(struct px_str name)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(losses); i++) {
        if (px_str_is(name, losses[i].name))
            return &losses[i];
    }
    return NULL;
}

/* A loss of another version or of the user's own. Without classes the library returns raw values. */
static enum px_code take_unknown(struct px_catboost_file *file, struct px_err *err)
{
    if (!file->has_classes)
        return px_ir_warn(file->ir, err,
                          "loss function '%.*s' is not known here: scores are the raw values",
                          PX_STR_ARG(file->loss));
    px_err_set(err, PX_E_UNSUPPORTED, "CatBoost loss function '%.*s' is not supported",
               PX_STR_ARG(file->loss));
    return px_err_hint(err,
                       "supported for classes are Logloss, CrossEntropy, Focal, MultiClass and "
                       "MultiClassOneVsAll");
}

static enum px_code check_width(const struct loss *loss, const struct px_forest_ir *ir,
                                struct px_err *err)
{
    bool many = loss->outcome == OUTCOME_MULTICLASS;
    if ((many && ir->n_margins < 2) || (loss->outcome == OUTCOME_BINARY && ir->n_margins != 1))
        return px_err_set(err, PX_E_CORRUPT, "loss function '%s' with leaves of %zu values",
                          loss->name, ir->n_margins);
    return PX_OK;
}

/* The file's labels, when there is one for each class. */
static enum px_code take_labels(struct px_catboost_file *file, struct px_err *err)
{
    struct px_forest_ir *ir = file->ir;
    size_t n = file->class_names.len;
    if (n == 0 || ir->n_classes == 0)
        return PX_OK;
    if (n != ir->n_classes)
        return px_err_set(err, PX_E_CORRUPT, "the file names %zu classes, the model has %zu", n,
                          ir->n_classes);
    ir->class_labels = px_arena_zalloc(&ir->arena, n, sizeof *ir->class_labels);
    if (!ir->class_labels)
        return px_ir_no_memory(err);
    for (size_t i = 0; i < n; i++) {
        ir->class_labels[i] = px_arena_str(&ir->arena, file->class_names.items[i]);
        if (!ir->class_labels[i].ptr)
            return px_ir_no_memory(err);
    }
    return PX_OK;
}

static enum px_code warn_uncertainty(struct px_catboost_file *file, struct px_err *err)
{
    if (!px_str_is(file->loss, "RMSEWithUncertainty"))
        return PX_OK;
    return px_ir_warn(file->ir, err,
                      "RMSEWithUncertainty: the scores are the mean and the logarithm of the "
                      "standard deviation (CatBoost's RawFormulaVal)");
}

enum px_code px_catboost_take_loss(struct px_catboost_file *file, struct px_err *err)
{
    struct px_forest_ir *ir = file->ir;
    const struct loss *loss = find(file->loss);
    ir->objective = px_arena_str(&ir->arena, file->loss);
    if (!ir->objective.ptr)
        return px_ir_no_memory(err);
    ir->transform = (struct px_transform){.alpha = 1.0};
    if (!loss)
        return take_unknown(file, err);
    enum px_code code = check_width(loss, ir, err);
    if (code != PX_OK)
        return code;
    ir->transform.kind = loss->transform;
    ir->decision_threshold = loss->outcome == OUTCOME_MARGIN ? 0.0 : 0.5;
    ir->score_is_probability =
        loss->outcome == OUTCOME_BINARY || loss->outcome == OUTCOME_MULTICLASS;
    if (loss->outcome == OUTCOME_BINARY)
        ir->n_classes = 2;
    else if (loss->outcome == OUTCOME_MULTICLASS)
        ir->n_classes = ir->n_margins;
    code = warn_uncertainty(file, err);
    return code == PX_OK ? take_labels(file, err) : code;
}
