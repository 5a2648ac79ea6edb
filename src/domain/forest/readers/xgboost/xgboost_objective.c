/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/forest/readers/xgboost/xgboost_objective.h"

#include <math.h>

enum link { LINK_NONE, LINK_LOGIT, LINK_LOG, LINK_EXPECTILE };

/* A value estimates the label itself, a rank only orders rows. */
enum outcome { OUTCOME_VALUE, OUTCOME_RANK, OUTCOME_BINARY, OUTCOME_MULTICLASS };

struct px_xgboost_objective {
    const char *name;
    enum px_transform_kind transform;
    enum link link;
    enum outcome outcome;
    bool probability; /* scores are class probabilities */
};

static const struct px_xgboost_objective objectives[] = {
    {"reg:squarederror", PX_TRANSFORM_IDENTITY, LINK_NONE, OUTCOME_VALUE, false},
    {"reg:linear", PX_TRANSFORM_IDENTITY, LINK_NONE, OUTCOME_VALUE, false},
    {"reg:squaredlogerror", PX_TRANSFORM_IDENTITY, LINK_NONE, OUTCOME_VALUE, false},
    {"reg:pseudohubererror", PX_TRANSFORM_IDENTITY, LINK_NONE, OUTCOME_VALUE, false},
    {"reg:absoluteerror", PX_TRANSFORM_IDENTITY, LINK_NONE, OUTCOME_VALUE, false},
    {"reg:quantileerror", PX_TRANSFORM_SORT, LINK_NONE, OUTCOME_VALUE, false},
    {"reg:expectileerror", PX_TRANSFORM_EXPECTILE, LINK_EXPECTILE, OUTCOME_VALUE, false},
    {"reg:logistic", PX_TRANSFORM_SIGMOID, LINK_LOGIT, OUTCOME_VALUE, false},
    {"binary:logistic", PX_TRANSFORM_SIGMOID, LINK_LOGIT, OUTCOME_BINARY, true},
    {"binary:logitraw", PX_TRANSFORM_IDENTITY, LINK_NONE, OUTCOME_BINARY, false},
    {"binary:hinge", PX_TRANSFORM_HINGE, LINK_NONE, OUTCOME_BINARY, false},
    {"count:poisson", PX_TRANSFORM_EXP, LINK_LOG, OUTCOME_VALUE, false},
    {"reg:gamma", PX_TRANSFORM_EXP, LINK_LOG, OUTCOME_VALUE, false},
    {"reg:tweedie", PX_TRANSFORM_EXP, LINK_LOG, OUTCOME_VALUE, false},
    {"survival:cox", PX_TRANSFORM_EXP, LINK_LOG, OUTCOME_VALUE, false},
    {"survival:aft", PX_TRANSFORM_EXP_WIDE, LINK_LOG, OUTCOME_VALUE, false},
    {"multi:softprob", PX_TRANSFORM_SOFTMAX, LINK_NONE, OUTCOME_MULTICLASS, true},
    {"multi:softmax", PX_TRANSFORM_ARGMAX, LINK_NONE, OUTCOME_MULTICLASS, false},
    {"rank:pairwise", PX_TRANSFORM_IDENTITY, LINK_NONE, OUTCOME_RANK, false},
    {"rank:ndcg", PX_TRANSFORM_IDENTITY, LINK_NONE, OUTCOME_RANK, false},
    {"rank:map", PX_TRANSFORM_IDENTITY, LINK_NONE, OUTCOME_RANK, false},
};

const struct px_xgboost_objective *px_xgboost_objective_find(struct px_str name)
{
    for (size_t i = 0; i < PX_ARRAY_LEN(objectives); i++) {
        if (px_str_is(name, objectives[i].name))
            return &objectives[i];
    }
    return NULL;
}

enum px_code px_xgboost_objective_unknown(struct px_str name, struct px_err *err)
{
    struct px_str names[PX_ARRAY_LEN(objectives)];
    for (size_t i = 0; i < PX_ARRAY_LEN(objectives); i++)
        names[i] = px_str(objectives[i].name);
    long nearest = px_str_nearest(name, names, PX_ARRAY_LEN(objectives));
    enum px_code code = px_err_set(err, PX_E_UNSUPPORTED,
                                   "XGBoost objective '%.*s' is not supported", PX_STR_ARG(name));
    if (nearest >= 0)
        px_err_hint(err, "the nearest supported one is '%s'", objectives[nearest].name);
    else
        px_err_hint(err, "its predictions are unknown here; retrain with a built-in objective");
    return code;
}

bool px_xgboost_objective_is_multiclass(const struct px_xgboost_objective *objective)
{
    return objective->outcome == OUTCOME_MULTICLASS;
}

static double decision_threshold(const struct px_xgboost_objective *objective)
{
    bool margin =
        objective->transform == PX_TRANSFORM_IDENTITY && objective->outcome != OUTCOME_VALUE;
    return margin || objective->transform == PX_TRANSFORM_HINGE ? 0.0 : 0.5;
}

void px_xgboost_objective_apply(const struct px_xgboost_objective *objective, int version,
                                struct px_forest_ir *ir)
{
    enum px_transform_kind kind = objective->transform;
    if (kind == PX_TRANSFORM_SORT && version < PX_XGBOOST_3_4)
        kind = PX_TRANSFORM_IDENTITY;
    if (kind == PX_TRANSFORM_SIGMOID && version < PX_XGBOOST_1_6)
        kind = PX_TRANSFORM_SIGMOID_PLAIN;
    ir->transform = (struct px_transform){.kind = kind, .alpha = 1.0};
    ir->n_outputs = kind == PX_TRANSFORM_ARGMAX ? 1 : ir->n_margins;
    ir->score_is_probability = objective->probability;
    ir->decision_threshold = decision_threshold(objective);
    if (objective->outcome == OUTCOME_MULTICLASS)
        ir->n_classes = ir->n_margins;
    else if (objective->outcome == OUTCOME_BINARY && ir->n_margins == 1)
        ir->n_classes = 2;
}

static float clamp_probability(float p)
{
    float low = PX_XGBOOST_EPSILON, high = 1.0F - PX_XGBOOST_EPSILON;
    p = p < low ? low : p;
    return p > high ? high : p;
}

static enum px_code link_logit(int version, float *p, struct px_err *err)
{
    bool clamps = version >= PX_XGBOOST_3_2;
    bool valid = clamps ? *p >= 0.0F && *p <= 1.0F : *p > 0.0F && *p < 1.0F;
    if (!valid)
        return px_err_set(err, PX_E_CORRUPT, "base_score is %g, which is no probability",
                          (double)*p);
    *p = -logf(1.0F / (clamps ? clamp_probability(*p) : *p) - 1.0F);
    return PX_OK;
}

static enum px_code link_log(float *value, struct px_err *err)
{
    if (!(*value > 0.0F))
        return px_err_set(err, PX_E_CORRUPT,
                          "base_score is %g, but this objective needs a positive one",
                          (double)*value);
    *value = logf(*value);
    return PX_OK;
}

static void link_expectile(float *base, size_t n)
{
    for (size_t j = n; j-- > 1;)
        base[j] = px_softplus_inverse_f32(base[j] - base[j - 1] - PX_XGBOOST_EPSILON);
}

/* Up to 1.2 binary:logitraw linked its base score although it does not transform its margins. */
static enum link link_of(const struct px_xgboost_objective *objective, int version)
{
    bool logitraw = strcmp(objective->name, "binary:logitraw") == 0;
    return logitraw && version < PX_XGBOOST_1_3 ? LINK_LOGIT : objective->link;
}

enum px_code px_xgboost_objective_link(const struct px_xgboost_objective *objective, int version,
                                       float *base, size_t n, struct px_err *err)
{
    enum link link = link_of(objective, version);
    enum px_code code = PX_OK;
    if (link == LINK_EXPECTILE)
        link_expectile(base, n);
    for (size_t j = 0; code == PX_OK && j < n; j++) {
        if (link == LINK_LOGIT)
            code = link_logit(version, &base[j], err);
        else if (link == LINK_LOG)
            code = link_log(&base[j], err);
        if (code == PX_OK && isnan(base[j]))
            code = px_err_set(err, PX_E_CORRUPT, "base_score %zu has no margin", j);
    }
    return code;
}
